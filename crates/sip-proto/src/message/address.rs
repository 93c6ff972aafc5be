//! `name-addr` and `addr-spec`: From, To, Contact, Route and their kin (RFC 3261 §20.10, §25.1).

use std::borrow::Cow;
use std::fmt;

use crate::error::ParseError;
use crate::scan::{Params, find_outside, is_token, quote, quoted_end, trim, unquote};
use crate::text::Text;
use crate::uri::Uri;

/// A URI with an optional display name and header parameters.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NameAddr {
    display: Text,
    /// The URI.
    pub uri: Uri,
    params: Text,
}

impl NameAddr {
    /// Only a URI.
    pub fn new(uri: Uri) -> Self {
        Self { display: Text::default(), uri, params: Text::default() }
    }

    /// With this display name; it is quoted when needed.
    #[must_use]
    pub fn with_display(mut self, name: &str) -> Self {
        let plain = name.split(' ').all(is_token);
        self.display = if name.is_empty() || plain { name.into() } else { quote(name).into() };
        self
    }

    /// With `;name=value` at the end, in place of a header parameter of the same name.
    #[must_use]
    pub fn with_param(self, name: &str, value: Option<&str>) -> Self {
        let mut out = String::with_capacity(self.params.len() + name.len() + 16);
        let kept = Params::new(&self.params).filter(|(n, _)| !n.eq_ignore_ascii_case(name));
        for (n, v) in kept.chain([(name, value)]) {
            out.push(';');
            out.push_str(n);
            if let Some(v) = v {
                out.push('=');
                out.push_str(v);
            }
        }
        Self { params: out.into(), ..self }
    }

    /// With this tag.
    #[must_use]
    pub fn with_tag(self, tag: &str) -> Self {
        self.with_param("tag", Some(tag))
    }

    /// Parses one value from text of its own.
    pub fn parse(text: &str) -> Result<Self, ParseError> {
        Self::from_text(&Text::from(text))
    }

    /// Parses one value, sharing the bytes of `text`.
    pub fn from_text(text: &Text) -> Result<Self, ParseError> {
        let parts = split(text.as_str())?;
        let uri = Uri::from_text(text.share(parts.uri))?;
        Ok(Self { display: text.share(parts.display), uri, params: text.share(parts.params) })
    }

    /// The display name without quotes; empty when there is none.
    pub fn display_name(&self) -> Cow<'_, str> {
        unquote(self.display.as_str())
    }

    /// All header parameters as written.
    pub fn params(&self) -> &str {
        &self.params
    }

    /// A header parameter: `Some(None)` when it has no value. A quoted value keeps its quotes.
    pub fn param(&self, name: &str) -> Option<Option<&str>> {
        Params::new(&self.params).find(name)
    }

    /// The tag.
    pub fn tag(&self) -> Option<&str> {
        self.param("tag").flatten().filter(|tag| !tag.is_empty())
    }

    /// The `q` parameter in thousandths, 0 to 1000; nothing when absent or out of range.
    pub fn q_thousandths(&self) -> Option<u16> {
        parse_q(self.param("q")??)
    }

    /// A copy in memory of its own.
    #[must_use]
    pub fn detached(&self) -> Self {
        Self { display: self.display.detached(), uri: self.uri.detached(), params: self.params.detached() }
    }
}

/// The three parts of a value, as slices of it.
#[derive(Default)]
struct Parts<'a> {
    display: &'a str,
    uri: &'a str,
    params: &'a str,
}

/// Checks one value without keeping anything.
pub(super) fn check(text: &str) -> Result<(), ParseError> {
    crate::uri::check(split(text)?.uri).map(|_| ())
}

/// The tag of a value, if it can be read at all.
pub(crate) fn tag_of(text: &str) -> Option<&str> {
    Params::new(split(text).ok()?.params).find("tag").flatten().filter(|tag| !tag.is_empty())
}

fn split(whole: &str) -> Result<Parts<'_>, ParseError> {
    match find_outside(whole, b'<') {
        Some(open) => bracketed(whole, open),
        None if whole.contains('"') => Err(ParseError::malformed("quoted string", 0)),
        None => bare(whole),
    }
}

/// Display name, `<URI>`, parameters; `open` is where the bracket stands.
fn bracketed(whole: &str, open: usize) -> Result<Parts<'_>, ParseError> {
    let close = whole[open..].find('>').map(|n| n + open).ok_or(ParseError::malformed("name-addr", open))?;
    let display = trim(&whole[..open]);
    if display.starts_with('"') {
        let end = quoted_end(display.as_bytes(), 0);
        if end != Some(display.len()) {
            return Err(ParseError::malformed("display name", 0));
        }
    } else if display.contains('"') {
        return Err(ParseError::malformed("display name", 0));
    }
    let params = trim(&whole[close + 1..]);
    if !params.is_empty() && !params.starts_with(';') {
        return Err(ParseError::malformed("header parameters", close + 1));
    }
    Ok(Parts { display, uri: &whole[open + 1..close], params })
}

/// A URI without brackets: what follows its first `;` belongs to the header, and it must not hold `?` or `,`
/// (RFC 3261 §20).
fn bare(whole: &str) -> Result<Parts<'_>, ParseError> {
    let end = whole.find(';').unwrap_or(whole.len());
    let uri = trim(&whole[..end]);
    if let Some(bad) = uri.find(['?', ',', '>']) {
        return Err(ParseError::malformed("addr-spec without brackets", bad));
    }
    Ok(Parts { display: "", uri, params: trim(&whole[end..]) })
}

/// `0`, `0.5`, `1.000` in thousandths.
fn parse_q(text: &str) -> Option<u16> {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    let digits = |t: &str| t.bytes().all(|b| b.is_ascii_digit());
    if !digits(whole) || whole.len() != 1 || !digits(fraction) || fraction.len() > 3 {
        return None;
    }
    let padded: u16 = format!("{fraction:0<3}").parse().ok()?;
    let q = whole.parse::<u16>().ok()?.checked_mul(1000)?.checked_add(padded)?;
    (q <= 1000).then_some(q)
}

impl fmt::Display for NameAddr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.display.is_empty() {
            write!(f, "{} ", self.display)?;
        }
        write!(f, "<{}>", self.uri)?;
        if !self.params.is_empty() && !self.params.starts_with(';') {
            f.write_str(";")?;
        }
        f.write_str(&self.params)
    }
}

/// One value of Contact.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Contact {
    /// `*`, only sensible in REGISTER.
    Wildcard,
    /// An address.
    Address(NameAddr),
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_forms_are_read_and_written() {
        let full =
            NameAddr::parse(r#""A. \"G\" Bell, jr" <sip:bell@example.com;lr> ;tag=88sja8x; q=0.33"#).expect("valid");
        assert_eq!(full.display_name(), r#"A. "G" Bell, jr"#);
        assert_eq!((full.tag(), full.q_thousandths()), (Some("88sja8x"), Some(330)));
        assert!(full.uri.is_loose_router());
        assert_eq!(NameAddr::parse(&full.to_string()).map(|n| n.to_string()), Ok(full.to_string()));
        let bare = NameAddr::parse("sip:c8oqz84zk7z@privacy.org;tag=hyh8").expect("valid");
        assert_eq!((bare.tag(), bare.uri.as_str()), (Some("hyh8"), "sip:c8oqz84zk7z@privacy.org"));
        assert_eq!(bare.to_string(), "<sip:c8oqz84zk7z@privacy.org>;tag=hyh8");
        assert_eq!(bare.with_tag("x").tag(), Some("x"));
    }

    #[test]
    fn what_cannot_be_told_apart_is_refused() {
        for bad in [
            r#""open <sip:a@b>"#,
            "sip:a@b?h=v",
            "<sip:a@b",
            "<sip:a@b> x",
            "",
            r#"a "b" <sip:a@b>"#,
            r#""a" b <sip:a@b>"#,
            "alice",
        ] {
            assert!(NameAddr::parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn display_names_are_quoted_when_they_need_it() {
        let uri = Uri::parse("sip:a@b").expect("valid");
        assert_eq!(NameAddr::new(uri.clone()).with_display("Alice Two").to_string(), "Alice Two <sip:a@b>");
        assert_eq!(NameAddr::new(uri.clone()).with_display("A, \"B\"").to_string(), r#""A, \"B\"" <sip:a@b>"#);
        assert_eq!(NameAddr::new(uri).with_display("").to_string(), "<sip:a@b>");
    }

    #[test]
    fn q_values_are_thousandths() {
        let q = |text: &str| parse_q(text);
        assert_eq!(
            (q("0"), q("1"), q("0.7"), q("1.000"), q("0.05")),
            (Some(0), Some(1000), Some(700), Some(1000), Some(50))
        );
        assert_eq!((q("1.1"), q("2"), q("0.1234"), q(""), q("-1")), (None, None, None, None, None));
    }
}
