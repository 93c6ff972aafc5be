//! File and environment to a typed struct. Every refusal is one line that names the place and the key.
//!
//! `TANDEM_SIP_PROXY__UDP_LISTEN=0.0.0.0:5070` sets `udp_listen` of `[sip_proxy]`: the prefix, then the levels in upper case
//! with `__` between them. The value is read as TOML, and when it is not TOML, or not of the right type, as plain text.

use std::ops::Range;
use std::path::Path;

use serde::de::DeserializeOwned;
use toml::Spanned;
use toml::de::{DeTable, DeValue, Deserializer};

use crate::locate;
use crate::redact::is_secret_key;

/// Environment variables that begin so are settings.
pub const ENV_PREFIX: &str = "TANDEM_";

/// Most overrides looked at; an environment is not a configuration file.
const OVERRIDES_MAX: usize = 1_000;

/// Why settings were not taken. Each displays as one line for a terminal.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SettingsError {
    /// Not TOML.
    #[error("{place}: {reason}")]
    Malformed {
        /// File, line and column, or the environment variable.
        place: String,
        /// What is wrong.
        reason: String,
    },
    /// A key that nobody knows.
    #[error("unknown key `{key}` in {section}, {place}{hint}")]
    UnknownKey {
        /// File, line and column, or the environment variable.
        place: String,
        /// The key.
        key: String,
        /// `[section]`, or `the top level`.
        section: String,
        /// A similar key, in words, or nothing.
        hint: String,
    },
    /// A value of the wrong type or out of range.
    #[error("{place}: {key}: {reason}")]
    BadValue {
        /// File, line and column, or the environment variable.
        place: String,
        /// Path of the key with dots.
        key: String,
        /// What is wrong.
        reason: String,
    },
    /// The file cannot be read.
    #[error("cannot read {path}: {reason}")]
    Unreadable {
        /// The file.
        path: String,
        /// What the system says.
        reason: String,
    },
}

/// Reads `file` (or nothing: all defaults) and lays the `TANDEM_` variables of `environment` over it. Other variables are
/// passed over; a `TANDEM_` variable that is no setting must be taken out by the caller.
pub fn load<T: DeserializeOwned>(
    file: Option<&Path>,
    environment: impl IntoIterator<Item = (String, String)>,
) -> Result<T, SettingsError> {
    let Some(path) = file else { return load_str("defaults", "", environment) };
    let name = path.display().to_string();
    let text = std::fs::read_to_string(path)
        .map_err(|e| SettingsError::Unreadable { path: name.clone(), reason: e.to_string() })?;
    load_str(&name, &text, environment)
}

/// As [`load`], from a text; `name` stands for the file in errors.
pub fn load_str<T: DeserializeOwned>(
    name: &str,
    text: &str,
    environment: impl IntoIterator<Item = (String, String)>,
) -> Result<T, SettingsError> {
    let overrides = Override::collect(environment);
    let mut plain = vec![false; overrides.len()];
    let mut first_error = None;
    // Each round turns one refused override into plain text, so there are at most as many rounds as overrides.
    for _ in 0..=overrides.len() {
        let source = Source { name, text, overrides: &overrides };
        match source.read(&plain) {
            Ok(value) => return Ok(value),
            Err((error, culprit)) => match culprit {
                Some(n) if !plain[n] => {
                    plain[n] = true;
                    first_error.get_or_insert(error);
                }
                Some(_) => return Err(first_error.unwrap_or(error)),
                None => return Err(error),
            },
        }
    }
    Err(first_error.unwrap_or(SettingsError::Malformed { place: name.to_owned(), reason: "cannot be read".to_owned() }))
}

/// One environment variable.
struct Override {
    variable: String,
    path: Vec<String>,
    value: String,
    /// `v = <value>`, for reading it as TOML.
    assignment: String,
}

impl Override {
    fn collect(environment: impl IntoIterator<Item = (String, String)>) -> Vec<Self> {
        let mut found: Vec<Self> = environment
            .into_iter()
            .filter(|(name, _)| name.starts_with(ENV_PREFIX))
            .take(OVERRIDES_MAX)
            .map(|(variable, value)| Self {
                path: variable[ENV_PREFIX.len()..].to_ascii_lowercase().split("__").map(str::to_owned).collect(),
                assignment: format!("v = {value}"),
                variable,
                value,
            })
            .collect();
        found.sort_by(|a, b| a.variable.cmp(&b.variable));
        found
    }

    /// The value as TOML, else (or when `plain`) as a string; all spans inside become `span`.
    fn parse(&self, plain: bool, span: &Range<usize>) -> DeValue<'_> {
        let one_line = !self.value.contains('\n');
        let parsed = (!plain && one_line).then(|| DeTable::parse(&self.assignment).ok()).flatten();
        let value = parsed.and_then(|t| t.into_inner().into_iter().next()).map(|(_, v)| v.into_inner());
        value.map_or_else(|| DeValue::String(self.value.as_str().into()), |v| with_span(v, span))
    }
}

fn with_span<'i>(value: DeValue<'i>, span: &Range<usize>) -> DeValue<'i> {
    let wrap = |v: Spanned<DeValue<'i>>| Spanned::new(span.clone(), with_span(v.into_inner(), span));
    match value {
        DeValue::Array(items) => DeValue::Array(items.into_iter().map(wrap).collect()),
        DeValue::Table(table) => DeValue::Table(
            table.into_iter().map(|(k, v)| (Spanned::new(span.clone(), k.into_inner()), wrap(v))).collect(),
        ),
        scalar => scalar,
    }
}

struct Source<'a> {
    name: &'a str,
    text: &'a str,
    overrides: &'a [Override],
}

impl Source<'_> {
    /// Reads everything; on failure also says which override is to blame, if one is.
    fn read<T: DeserializeOwned>(&self, plain: &[bool]) -> Result<T, (SettingsError, Option<usize>)> {
        let syntax = |e: toml::de::Error| {
            let reason = one_line(e.message());
            (SettingsError::Malformed { place: self.place(e.span().as_ref()), reason }, None)
        };
        let mut root = DeTable::parse(self.text).map_err(syntax)?;
        for (n, over) in self.overrides.iter().enumerate() {
            let span = self.span_of(n);
            place_value(root.get_mut(), &over.path, over.parse(plain[n], &span), &span);
        }
        let document = root.get_ref().clone();
        T::deserialize(Deserializer::from(root)).map_err(|e| self.explain(&document, &e))
    }

    /// Overrides have spans behind the end of the file, so that an error tells them from it and from each other.
    fn span_of(&self, index: usize) -> Range<usize> {
        let start = self.text.len() + 1 + index * 2;
        start..start + 1
    }

    fn override_at(&self, span: Option<&Range<usize>>) -> Option<usize> {
        let start = span?.start;
        (start > self.text.len()).then(|| (start - self.text.len() - 1) / 2)
    }

    fn place(&self, span: Option<&Range<usize>>) -> String {
        match (self.override_at(span).and_then(|n| self.overrides.get(n)), span) {
            (Some(over), _) => format!("environment variable {}", over.variable),
            (None, Some(span)) => {
                let (line, column) = locate::line_and_column(self.text, span.start);
                format!("{} line {line} column {column}", self.name)
            }
            (None, None) => self.name.to_owned(),
        }
    }

    fn explain(&self, document: &DeTable<'_>, error: &toml::de::Error) -> (SettingsError, Option<usize>) {
        let span = error.span();
        let place = self.place(span.as_ref());
        let culprit = self.override_at(span.as_ref());
        let path = match (culprit.and_then(|n| self.overrides.get(n)), span.as_ref()) {
            (Some(over), _) => over.path.clone(),
            (None, Some(span)) => locate::key_path(document, span),
            (None, None) => vec![],
        };
        let message = one_line(error.message());
        if let Some((key, known)) = unknown_field(&message) {
            let above = path.iter().rposition(|step| *step == key).map_or(&path[..], |at| &path[..at]);
            let section = if above.is_empty() { "the top level".to_owned() } else { format!("[{}]", above.join(".")) };
            let error = SettingsError::UnknownKey { place, section, hint: hint(&key, &known), key };
            return (error, culprit);
        }
        let key = if path.is_empty() { "settings".to_owned() } else { path.join(".") };
        let secret = path.last().is_some_and(|k| is_secret_key(k));
        let reason = if secret { "not of the right form (value not shown)".to_owned() } else { message };
        (SettingsError::BadValue { place, key, reason }, culprit)
    }
}

/// Puts a value at a path, making the tables on the way; what stands in the way is replaced.
fn place_value<'i>(table: &mut DeTable<'i>, path: &'i [String], value: DeValue<'i>, span: &Range<usize>) {
    let Some((first, rest)) = path.split_first() else { return };
    let key = Spanned::new(span.clone(), first.as_str().into());
    if rest.is_empty() {
        table.remove(&key);
        table.insert(key, Spanned::new(span.clone(), value));
        return;
    }
    if !table.get(&key).is_some_and(|v| v.get_ref().is_table()) {
        table.remove(&key);
        table.insert(key.clone(), Spanned::new(span.clone(), DeValue::Table(DeTable::new())));
    }
    if let Some(DeValue::Table(inner)) = table.get_mut(&key).map(Spanned::get_mut) {
        place_value(inner, rest, value, span);
    }
}

/// The key and the known keys out of serde's message for an unknown field.
fn unknown_field(message: &str) -> Option<(String, Vec<String>)> {
    let rest = message.strip_prefix("unknown field `")?;
    let (key, rest) = rest.split_once('`')?;
    Some((key.to_owned(), rest.split('`').skip(1).step_by(2).map(str::to_owned).collect()))
}

fn hint(key: &str, known: &[String]) -> String {
    let nearest = known.iter().map(|k| (distance(key, k), k)).min();
    match nearest {
        Some((d, k)) if d <= 1 + key.len() / 4 => format!(" (did you mean `{k}`?)"),
        Some(_) | None => String::new(),
    }
}

/// Levenshtein distance in bytes.
fn distance(a: &str, b: &str) -> usize {
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.bytes().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, y) in b.bytes().enumerate() {
            let change = diagonal + usize::from(x != y);
            diagonal = row[j + 1];
            row[j + 1] = change.min(diagonal + 1).min(row[j] + 1);
        }
    }
    row[b.len()]
}

fn one_line(message: &str) -> String {
    message.lines().map(str::trim).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
#[path = "load_tests.rs"]
mod tests;
