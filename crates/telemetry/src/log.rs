//! Log lines on standard error: text for a person at a terminal, JSON lines for a collector.

use std::io::IsTerminal;

use serde::{Deserialize, Serialize};
use tracing::Subscriber;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::MakeWriter;

use crate::TelemetryError;

/// How lines look.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LogFormat {
    /// Text on a terminal, JSON otherwise.
    #[default]
    Auto,
    /// Always text.
    Text,
    /// Always JSON, one object per line: `timestamp`, `level`, `target`, `message`, the event's fields and its span.
    Json,
}

/// What is logged, and how.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogOptions {
    /// Levels per target, as `info` or `info,sip_proxy=debug`.
    pub filter: String,
    /// How lines look.
    pub format: LogFormat,
}

impl Default for LogOptions {
    fn default() -> Self {
        Self { filter: "info".to_owned(), format: LogFormat::Auto }
    }
}

/// Starts logging to standard error for the whole process; once.
pub fn start_logs(options: &LogOptions) -> Result<(), TelemetryError> {
    let subscriber = subscriber(options, std::io::stderr().is_terminal(), std::io::stderr)?;
    tracing::subscriber::set_global_default(subscriber).map_err(|_| TelemetryError::LogsStarted)
}

fn subscriber<W>(
    options: &LogOptions,
    terminal: bool,
    writer: W,
) -> Result<Box<dyn Subscriber + Send + Sync>, TelemetryError>
where
    W: for<'w> MakeWriter<'w> + Send + Sync + 'static,
{
    let filter = EnvFilter::builder()
        .parse(&options.filter)
        .map_err(|e| TelemetryError::Malformed { filter: options.filter.clone(), reason: e.to_string() })?;
    let lines = tracing_subscriber::fmt().with_env_filter(filter).with_writer(writer);
    let json = match options.format {
        LogFormat::Auto => !terminal,
        LogFormat::Text => false,
        LogFormat::Json => true,
    };
    Ok(if json {
        Box::new(lines.json().flatten_event(true).with_current_span(true).with_span_list(false).finish())
    } else {
        Box::new(lines.with_ansi(terminal).finish())
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use std::sync::{Arc, Mutex};

    #[derive(Clone, Default)]
    struct Memory(Arc<Mutex<Vec<u8>>>);
    impl std::io::Write for Memory {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }
        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    fn written(format: LogFormat, terminal: bool) -> String {
        let memory = Memory::default();
        let for_writer = memory.clone();
        let options = LogOptions { filter: "info".into(), format };
        let subscriber = subscriber(&options, terminal, move || for_writer.clone()).unwrap();
        tracing::subscriber::with_default(subscriber, || {
            let _span = tracing::info_span!("call", id = "c1").entered();
            tracing::info!(status = 200, caller = %base::Pii("+15551234567"), "answered");
            tracing::debug!("too low a level");
        });
        let bytes = memory.0.lock().unwrap().clone();
        String::from_utf8(bytes).unwrap()
    }

    #[test]
    fn json_lines_carry_message_fields_and_span_but_no_personal_data() {
        let text = written(LogFormat::Auto, false);
        let line: serde_json::Value = serde_json::from_str(text.trim()).unwrap();
        assert_eq!(
            (&line["message"], &line["status"], &line["span"]["id"]),
            (&"answered".into(), &200.into(), &"c1".into())
        );
        assert!(!text.contains("5551234567"));
    }

    #[test]
    fn a_terminal_gets_text_and_a_bad_filter_is_named() {
        assert!(written(LogFormat::Auto, true).contains("answered"));
        assert!(!written(LogFormat::Text, false).starts_with('{'));
        let bad = LogOptions { filter: "sip=loud".into(), format: LogFormat::Auto };
        let Err(error) = subscriber(&bad, false, std::io::sink) else { panic!("taken") };
        assert!(error.to_string().contains("sip=loud"), "{error}");
    }
}
