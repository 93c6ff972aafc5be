//! The reference file: every section, every key with its explanation and its default, commented out, so that the file as
//! generated changes nothing and a line gets effective by removing one `#`.

use std::fmt::Write;

use crate::Documented;

/// Longest line of an explanation, characters; longer ones are wrapped at blanks.
const LINE_MAX: usize = 110;

/// A reference file that grows section by section.
#[derive(Debug)]
pub struct Document {
    text: String,
}

impl Document {
    /// Starts with a head of comment lines.
    pub fn new(head: &[&str]) -> Self {
        let mut text = String::new();
        comment(&mut text, head);
        Self { text }
    }

    /// Adds the section `name` with the defaults of `C`. A key that has no default is shown without value.
    #[must_use]
    pub fn section<C: Documented>(mut self, name: &str) -> Self {
        let defaults = toml::Table::try_from(C::default()).unwrap_or_default();
        self.text.push('\n');
        comment(&mut self.text, C::about());
        let _ = writeln!(self.text, "[{name}]");
        for key in C::reference() {
            self.text.push('\n');
            comment(&mut self.text, key.help);
            let _ = match defaults.get(key.name) {
                Some(value) => writeln!(self.text, "#{} = {}", key.name, inline(value)),
                None => writeln!(self.text, "#{} =", key.name),
            };
        }
        self
    }

    /// The file.
    pub fn finish(self) -> String {
        self.text
    }
}

fn comment(text: &mut String, lines: &[&str]) {
    for paragraph in paragraphs(lines) {
        let mut line = String::from("#");
        for word in paragraph.split_whitespace() {
            if line.len() + 1 + word.len() > LINE_MAX && line.len() > 1 {
                let _ = writeln!(text, "{line}");
                line.truncate(1);
            }
            line.push(' ');
            line.push_str(word);
        }
        let _ = writeln!(text, "{line}");
    }
}

/// Doc comment lines joined to paragraphs, as Markdown does.
fn paragraphs(lines: &[&str]) -> Vec<String> {
    let mut found: Vec<String> = vec![];
    let mut open = false;
    for line in lines.iter().map(|l| l.trim()) {
        match (line.is_empty(), found.last_mut()) {
            (true, _) => open = false,
            (false, Some(last)) if open => {
                last.push(' ');
                last.push_str(line);
            }
            (false, _) => {
                found.push(line.to_owned());
                open = true;
            }
        }
    }
    found
}

/// A value on one line; tables inside become inline tables.
fn inline(value: &toml::Value) -> String {
    match value {
        toml::Value::Table(table) => {
            let inner: Vec<String> = table.iter().map(|(k, v)| format!("{k} = {}", inline(v))).collect();
            format!("{{ {} }}", inner.join(", "))
        }
        toml::Value::Array(items) => {
            format!("[{}]", items.iter().map(inline).collect::<Vec<_>>().join(", "))
        }
        scalar => scalar.to_string(),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use crate as settings;
    use crate::{Document, load_str};
    use base::Secret;

    settings::config! {
        /// Test section.
        ///
        /// Second paragraph.
        struct Sample {
            /// Where it listens, and a long explanation that has to be wrapped because it goes on and on and on until
            /// nobody would like to read it on one line.
            listen: std::net::SocketAddr = ([127, 0, 0, 1], 80).into(),
            /// How long, milliseconds.
            timeout_ms: u64 = 500,
            /// Names.
            names: Vec<String> = vec!["a".into(), "b".into()],
            /// Nothing by default.
            upstream: Option<String> = None,
            /// A secret.
            #[serde(serialize_with = "settings::redacted")]
            secret: Secret = Secret::default(),
        }
    }

    #[derive(serde::Deserialize, Default)]
    #[serde(deny_unknown_fields, default)]
    struct Whole {
        sample: Sample,
    }

    #[test]
    fn the_generated_file_changes_nothing_and_reads_back_when_uncommented() {
        let text = Document::new(&["Head."]).section::<Sample>("sample").finish();
        assert!(text.lines().all(|l| l.len() <= super::LINE_MAX + 1), "{text}");
        let as_generated: Whole = load_str("t.toml", &text, []).unwrap();
        assert_eq!(as_generated.sample.timeout_ms, 500);
        let uncommented: String = text
            .lines()
            .map(|l| l.strip_prefix('#').filter(|l| !l.starts_with(' ') && !l.ends_with('=')).unwrap_or(l))
            .fold(String::new(), |all, l| all + l + "\n");
        let uncommented: Whole = load_str("t.toml", &uncommented, []).unwrap();
        assert_eq!(uncommented.sample.names, ["a", "b"]);
        assert_eq!(uncommented.sample.listen.port(), 80);
        assert!(uncommented.sample.secret.is_empty() && uncommented.sample.upstream.is_none());
    }
}
