//! What provisioning changes, for a person to read.

use std::fmt;

/// Lines that are printed; what comes after is only counted.
const LINES_MAX: usize = 400;

/// Lines `+ kind name`, `~ kind name: field old -> new`, `- kind name`. Secrets are never shown.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Difference {
    lines: Vec<String>,
    /// Objects that are new.
    pub added: usize,
    /// Objects that change.
    pub changed: usize,
    /// Objects that go.
    pub removed: usize,
}

impl Difference {
    /// Whether nothing changes.
    pub const fn is_empty(&self) -> bool {
        self.added + self.changed + self.removed == 0
    }

    pub(super) fn add(&mut self, what: &str, label: &str) {
        self.added += 1;
        self.line(|| format!("+ {what} {label}"));
    }

    pub(super) fn change(&mut self, what: &str, label: &str, fields: &str) {
        self.changed += 1;
        self.line(|| format!("~ {what} {label}: {fields}"));
    }

    pub(super) fn remove(&mut self, what: &str, label: &str) {
        self.removed += 1;
        self.line(|| format!("- {what} {label}"));
    }

    fn line(&mut self, line: impl FnOnce() -> String) {
        if self.lines.len() < LINES_MAX {
            self.lines.push(line());
        }
    }
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_empty() {
            return writeln!(f, "Nothing changes.");
        }
        for line in &self.lines {
            writeln!(f, "{line}")?;
        }
        let total = self.added + self.changed + self.removed;
        if total > self.lines.len() {
            writeln!(f, "… and {} more", total - self.lines.len())?;
        }
        writeln!(f, "{} added, {} changed, {} removed", self.added, self.changed, self.removed)
    }
}
