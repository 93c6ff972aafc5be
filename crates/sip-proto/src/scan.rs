//! The small scanners that every header shares: character classes, quotes, parameter lists, escapes (RFC 3261 §25.1).
//!
//! They never allocate except to undo an escape, and they never fail: what is malformed is found by their callers.

use std::borrow::Cow;

/// Whether `byte` may stand in a token.
pub(crate) const fn is_token_byte(byte: u8) -> bool {
    TOKEN[byte as usize]
}

const TOKEN: [bool; 256] = {
    let mut table = [false; 256];
    let mut byte = 0usize;
    while byte < 128 {
        let b = byte as u8;
        table[byte] = b.is_ascii_alphanumeric()
            || matches!(b, b'-' | b'.' | b'!' | b'%' | b'*' | b'_' | b'+' | b'`' | b'\'' | b'~');
        byte += 1;
    }
    table
};

/// Whether `text` is a token: one or more token characters.
pub(crate) fn is_token(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(is_token_byte)
}

/// Without white space at either end; line folds have become spaces before this is called.
pub(crate) fn trim(text: &str) -> &str {
    text.trim_matches([' ', '\t'])
}

/// The end of the quoted string that opens at `start` (a `"`): the index after the closing quote.
pub(crate) fn quoted_end(bytes: &[u8], start: usize) -> Option<usize> {
    let mut at = start + 1;
    loop {
        let rest = bytes.get(at..)?;
        let found = at + memchr::memchr2(b'"', b'\\', rest)?;
        if bytes[found] == b'"' {
            return Some(found + 1);
        }
        at = found + 2;
    }
}

/// The first `wanted` outside quotes and, unless it is `<` itself, outside `<>`. An open quote hides all the rest.
pub(crate) fn find_outside(text: &str, wanted: u8) -> Option<usize> {
    let bytes = text.as_bytes();
    let mut at = 0;
    while at < bytes.len() {
        match bytes[at] {
            b if b == wanted => return Some(at),
            b'"' => at = quoted_end(bytes, at)?,
            b'<' => at += memchr::memchr(b'>', &bytes[at..]).map_or(1, |n| n + 1),
            _ => at += 1,
        }
    }
    None
}

/// The values of a comma-separated list; commas in quotes and `<>` do not separate. Empty values are skipped.
#[derive(Debug, Clone)]
pub struct Values<'a> {
    rest: Option<&'a str>,
}

impl<'a> Values<'a> {
    pub(crate) const fn new(text: &'a str) -> Self {
        Self { rest: Some(text) }
    }
}

impl<'a> Iterator for Values<'a> {
    type Item = &'a str;
    fn next(&mut self) -> Option<&'a str> {
        while let Some(text) = self.rest {
            let value = match find_outside(text, b',') {
                Some(comma) => {
                    self.rest = Some(&text[comma + 1..]);
                    &text[..comma]
                }
                None => {
                    self.rest = None;
                    text
                }
            };
            let value = trim(value);
            if !value.is_empty() {
                return Some(value);
            }
        }
        None
    }
}

/// The parameters of `;name=value;flag`, in order; a leading `;` is optional.
#[derive(Debug, Clone)]
pub struct Params<'a> {
    rest: Option<&'a str>,
    separator: u8,
}

impl<'a> Params<'a> {
    /// Parameters divided by `;`.
    pub fn new(text: &'a str) -> Self {
        Self { rest: Some(text), separator: b';' }
    }

    /// Parameters divided by `,`, as in challenges and credentials.
    pub(crate) fn comma_separated(text: &'a str) -> Self {
        Self { rest: Some(text), separator: b',' }
    }

    /// The value of `name` (any case): `Some(None)` when it stands there without a value.
    pub fn find(mut self, name: &str) -> Option<Option<&'a str>> {
        self.find_map(|(n, value)| n.eq_ignore_ascii_case(name).then_some(value))
    }
}

impl<'a> Iterator for Params<'a> {
    type Item = (&'a str, Option<&'a str>);
    fn next(&mut self) -> Option<Self::Item> {
        while let Some(text) = self.rest {
            let one = match find_outside(text, self.separator) {
                Some(end) => {
                    self.rest = Some(&text[end + 1..]);
                    &text[..end]
                }
                None => {
                    self.rest = None;
                    text
                }
            };
            if trim(one).is_empty() {
                continue;
            }
            return Some(match one.split_once('=') {
                Some((name, value)) => (trim(name), Some(trim(value))),
                None => (trim(one), None),
            });
        }
        None
    }
}

/// The content of a quoted string without quotes and backslashes; other text as it is.
pub(crate) fn unquote(text: &str) -> Cow<'_, str> {
    let Some(inner) = text.strip_prefix('"').and_then(|t| t.strip_suffix('"')) else { return Cow::Borrowed(text) };
    if !inner.contains('\\') {
        return Cow::Borrowed(inner);
    }
    let mut out = String::with_capacity(inner.len());
    let mut chars = inner.chars();
    while let Some(c) = chars.next() {
        out.extend(if c == '\\' { chars.next() } else { Some(c) });
    }
    Cow::Owned(out)
}

/// `text` as a quoted string. Line ends cannot be quoted and become spaces.
pub(crate) fn quote(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 2);
    out.push('"');
    for c in text.chars() {
        match c {
            '"' | '\\' => out.extend(['\\', c]),
            '\r' | '\n' => out.push(' '),
            c => out.push(c),
        }
    }
    out.push('"');
    out
}

/// Undoes `%hh` escapes (RFC 3261 §19.1.2). What then is not UTF-8 is replaced by U+FFFD; a `%` without two
/// hexadecimal digits stays as it is.
pub fn unescape(text: &str) -> Cow<'_, str> {
    if !text.contains('%') {
        return Cow::Borrowed(text);
    }
    let bytes = text.as_bytes();
    let mut out = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while at < bytes.len() {
        let escaped = (bytes[at] == b'%').then(|| text.get(at + 1..at + 3)).flatten();
        match escaped.and_then(|hex| u8::from_str_radix(hex, 16).ok()) {
            Some(byte) => {
                out.push(byte);
                at += 3;
            }
            None => {
                out.push(bytes[at]);
                at += 1;
            }
        }
    }
    Cow::Owned(String::from_utf8_lossy(&out).into_owned())
}

/// Escapes everything outside `unreserved` and the characters of `also`.
pub fn escape(text: &str, also: &str) -> String {
    use std::fmt::Write;
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        let plain = byte.is_ascii_alphanumeric() || b"-_.!~*'()".contains(&byte) || also.as_bytes().contains(&byte);
        if plain {
            out.push(char::from(byte));
        } else {
            // Writing to a String cannot fail.
            let _ = write!(out, "%{byte:02X}");
        }
    }
    out
}

/// Whether a list has an empty value or an empty parameter, as `a;;b` or `,a`: the grammar has none of them.
pub(crate) fn has_empty_part(text: &str) -> bool {
    let bytes = text.as_bytes();
    let (mut at, mut open) = (0, true);
    while at < bytes.len() {
        at = match bytes[at] {
            b',' | b';' if open => return true,
            b',' | b';' => {
                open = true;
                at + 1
            }
            b' ' | b'\t' => at + 1,
            b'"' => {
                open = false;
                quoted_end(bytes, at).unwrap_or(bytes.len())
            }
            b'<' => {
                open = false;
                memchr::memchr(b'>', &bytes[at..]).map_or(at + 1, |n| at + n + 1)
            }
            _ => {
                open = false;
                at + 1
            }
        };
    }
    open
}

/// A decimal number without sign, or nothing when it is empty, not digits, or over the range.
pub(crate) fn number<T: std::str::FromStr>(text: &str) -> Option<T> {
    let text = trim(text);
    if text.is_empty() || !text.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    text.parse().ok()
}

/// Decimal seconds; digits over the range of 32 bits count as the longest time (RFC 3261 §20.19).
pub(crate) fn delta_seconds(text: &str) -> Option<u32> {
    let text = trim(text);
    (!text.is_empty() && text.bytes().all(|b| b.is_ascii_digit())).then(|| text.parse().unwrap_or(u32::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commas_in_quotes_and_brackets_do_not_separate() {
        let list = r#""a,b" <sip:x@y;p=1,2>, , "q\",\"" <sip:z>,plain"#;
        let values: Vec<_> = Values::new(list).collect();
        assert_eq!(values, [r#""a,b" <sip:x@y;p=1,2>"#, r#""q\",\"" <sip:z>"#, "plain"]);
    }

    #[test]
    fn parameters_keep_semicolons_in_quotes_and_flags_have_no_value() {
        let params: Vec<_> = Params::new(r#" ; lr ; a = "x;y" ;B=2"#).collect();
        assert_eq!(params, [("lr", None), ("a", Some(r#""x;y""#)), ("B", Some("2"))]);
        assert_eq!(Params::new(";LR").find("lr"), Some(None));
        assert_eq!(Params::new(";lrx").find("lr"), None);
    }

    #[test]
    fn empty_parts_are_found_outside_quotes_and_brackets() {
        for bad in ["", "a;;b", "a,", ";a", "a ; , b", "a,,b", "<x>; ;"] {
            assert!(has_empty_part(bad), "{bad}");
        }
        for good in ["a;b,c", r#"";;,," <,,;;>;x=";;""#] {
            assert!(!has_empty_part(good), "{good}");
        }
    }

    #[test]
    fn escapes_are_undone_and_bad_ones_stay() {
        assert_eq!(unescape("a%40b%zz%4"), "a@b%zz%4");
        assert_eq!(escape("a b#@", "#"), "a%20b#%40");
        assert_eq!(unquote(r#""J \\\"""#), r#"J \""#);
        assert_eq!(unquote(&quote(r#"x"\y"#)), r#"x"\y"#);
        assert_eq!(quoted_end(br#""open \""#, 0), None);
        assert_eq!(quoted_end(b"\"ends in backslash\\", 0), None);
    }
}
