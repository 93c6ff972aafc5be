//! From a place in a TOML text to words a person can find: line, column, and the path of the key.

use std::ops::Range;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

/// Line and column of a byte, both from 1; the column counts characters.
pub(crate) fn line_and_column(text: &str, byte: usize) -> (usize, usize) {
    let before = text.get(..byte.min(text.len())).unwrap_or(text);
    let line_start = before.rfind('\n').map_or(0, |n| n + 1);
    (before.matches('\n').count() + 1, before[line_start..].chars().count() + 1)
}

/// The keys that lead to the innermost key or value whose span is or holds `span`; empty for the whole document.
pub(crate) fn key_path(root: &DeTable<'_>, span: &Range<usize>) -> Vec<String> {
    let mut path = vec![];
    let mut table = root;
    while let Some((key, value)) = table.iter().find(|(k, v)| holds(&k.span(), span) || leads_to(v, span)) {
        path.push(key.get_ref().to_string());
        match value.get_ref() {
            DeValue::Table(inner) if !holds(&key.span(), span) => table = inner,
            DeValue::Array(items) if !holds(&key.span(), span) => {
                let inner = items.iter().find(|v| leads_to(v, span)).map(Spanned::get_ref);
                let Some(DeValue::Table(inner)) = inner else { break };
                table = inner;
            }
            _ => break,
        }
    }
    path
}

/// Whether the place is in this value: by its span, or, for tables written under several headings, by anything inside.
fn leads_to(value: &Spanned<DeValue<'_>>, span: &Range<usize>) -> bool {
    holds(&value.span(), span)
        || match value.get_ref() {
            DeValue::Table(table) => table.iter().any(|(k, v)| holds(&k.span(), span) || leads_to(v, span)),
            DeValue::Array(items) => items.iter().any(|v| leads_to(v, span)),
            _ => false,
        }
}

fn holds(outer: &Range<usize>, inner: &Range<usize>) -> bool {
    outer.start <= inner.start && inner.end <= outer.end && outer.start < outer.end
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_and_columns_count_from_one_in_characters() {
        assert_eq!(line_and_column("a\nä = 1", 0), (1, 1));
        assert_eq!(line_and_column("a\nä = 1", 7), (2, 5));
        assert_eq!(line_and_column("", 5), (1, 1));
    }
}
