//! URIs of the schemes sip, sips and tel; any other absolute URI is kept as it is (RFC 3261 §19.1, RFC 3966).
//!
//! A parsed URI shares the bytes it came from. Nothing is looked up here: RFC 3263 is another module's work.

use std::borrow::Cow;
use std::fmt;
use std::net::{IpAddr, Ipv6Addr};

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::error::ParseError;
use crate::scan::{Params, escape, unescape};
use crate::text::Text;

/// The scheme of a URI.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Scheme {
    /// `sip`.
    Sip,
    /// `sips`: every hop over TLS (RFC 5630).
    Sips,
    /// `tel` (RFC 3966).
    Tel,
    /// Anything else; a request for it gets 416.
    Other,
}

/// A half-open range of bytes in the text of a URI. Messages end at 65,535 bytes, so 16 bits hold it.
#[derive(Debug, Clone, Copy, Default)]
struct Span(u16, u16);

/// A URI.
#[derive(Clone)]
pub struct Uri {
    text: Text,
    scheme: Scheme,
    port: Option<u16>,
    has_user: bool,
    has_password: bool,
    user: Span,
    password: Span,
    host: Span,
    params: Span,
    headers: Span,
}

impl Uri {
    /// Parses a URI from text of its own.
    pub fn parse(text: &str) -> Result<Self, ParseError> {
        Self::from_text(Text::from(text))
    }

    /// Parses a URI, sharing the bytes of `text`.
    pub fn from_text(text: Text) -> Result<Self, ParseError> {
        parse(text)
    }

    /// `sip:user@host:port`; the user is escaped as needed, an IPv6 address gets its brackets.
    pub fn sip(user: Option<&str>, host: &str, port: Option<u16>) -> Result<Self, ParseError> {
        let mut out = String::from("sip:");
        if let Some(user) = user {
            out.push_str(&escape(user, USER_PLAIN));
            out.push('@');
        }
        push_host_port(&mut out, host, port);
        Self::from_text(out.into())
    }

    /// The URI as it was written.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The scheme.
    pub const fn scheme(&self) -> Scheme {
        self.scheme
    }

    /// Whether the scheme is sip or sips.
    pub const fn is_sip(&self) -> bool {
        matches!(self.scheme, Scheme::Sip | Scheme::Sips)
    }

    /// The user part as written, without password; for tel the number.
    pub fn user(&self) -> Option<&str> {
        self.has_user.then(|| self.at(self.user))
    }

    /// The user part with its escapes undone.
    pub fn user_unescaped(&self) -> Option<Cow<'_, str>> {
        self.user().map(unescape)
    }

    /// The password part as written.
    pub fn password(&self) -> Option<&str> {
        self.has_password.then(|| self.at(self.password))
    }

    /// The host as written, an IPv6 address with its brackets; empty for tel and other schemes.
    pub fn host(&self) -> &str {
        self.at(self.host)
    }

    /// The host as an address, when it is one.
    pub fn host_ip(&self) -> Option<IpAddr> {
        host_ip(self.host())
    }

    /// The port, when it is written.
    pub const fn port(&self) -> Option<u16> {
        self.port
    }

    /// All URI parameters as written, without the first `;`.
    pub fn params(&self) -> &str {
        self.at(self.params)
    }

    /// A URI parameter: `Some(None)` when it has no value.
    pub fn param(&self, name: &str) -> Option<Option<&str>> {
        Params::new(self.params()).find(name)
    }

    /// The `transport` parameter.
    pub fn transport(&self) -> Option<&str> {
        self.param("transport").flatten()
    }

    /// Whether the `lr` parameter stands there: a loose router (RFC 3261 §16.12).
    pub fn is_loose_router(&self) -> bool {
        self.param("lr").is_some()
    }

    /// The headers part as written, without `?`.
    pub fn headers(&self) -> &str {
        self.at(self.headers)
    }

    /// A header of the headers part, with its escapes undone.
    pub fn header(&self, name: &str) -> Option<String> {
        self.headers().split('&').find_map(|pair| {
            let (n, value) = pair.split_once('=').unwrap_or((pair, ""));
            unescape(n).eq_ignore_ascii_case(name).then(|| unescape(value).into_owned())
        })
    }

    /// With `;name=value` appended to the URI parameters, in place of one of the same name.
    pub fn with_param(&self, name: &str, value: Option<&str>) -> Result<Self, ParseError> {
        let base = self.without_param(name)?;
        let (before, headers) = base.split_at_headers();
        let mut out = String::from(before);
        out.push(';');
        out.push_str(name);
        if let Some(value) = value {
            out.push('=');
            out.push_str(&escape(value, "[]/:&+$"));
        }
        out.push_str(headers);
        Self::from_text(out.into())
    }

    /// Without the URI parameter `name`.
    pub fn without_param(&self, name: &str) -> Result<Self, ParseError> {
        if self.param(name).is_none() {
            return Ok(self.clone());
        }
        let (_, headers) = self.split_at_headers();
        let start = usize::from(self.params.0).saturating_sub(1);
        let mut out = String::from(self.text.get(..start).unwrap_or_default());
        for (n, value) in Params::new(self.params()).filter(|(n, _)| !n.eq_ignore_ascii_case(name)) {
            out.push(';');
            out.push_str(n);
            if let Some(value) = value {
                out.push('=');
                out.push_str(value);
            }
        }
        out.push_str(headers);
        Self::from_text(out.into())
    }

    /// Without the headers part, as a Request-URI must be (RFC 3261 §19.1.1 table 1).
    pub fn without_headers(&self) -> Result<Self, ParseError> {
        Self::from_text(self.split_at_headers().0.into())
    }

    /// A copy in memory of its own.
    #[must_use]
    pub fn detached(&self) -> Self {
        Self { text: self.text.detached(), ..self.clone() }
    }

    /// Whether both name the same resource (RFC 3261 §19.1.4, RFC 3966 §4). Not transitive, hence no `Eq`.
    pub fn equivalent(&self, other: &Self) -> bool {
        match (self.scheme, other.scheme) {
            (Scheme::Sip, Scheme::Sip) | (Scheme::Sips, Scheme::Sips) => same_sip(self, other),
            (Scheme::Tel, Scheme::Tel) => {
                digits(self.user().unwrap_or_default()).eq(digits(other.user().unwrap_or_default()))
                    && params_match(self, other, &|_| true)
            }
            (Scheme::Other, Scheme::Other) => self.as_str() == other.as_str(),
            (Scheme::Sip | Scheme::Sips | Scheme::Tel | Scheme::Other, _) => false,
        }
    }

    fn at(&self, span: Span) -> &str {
        self.text.get(usize::from(span.0)..usize::from(span.1)).unwrap_or_default()
    }

    /// The text before the headers part, and the headers part with its `?`.
    fn split_at_headers(&self) -> (&str, &str) {
        let start = if self.headers.0 == 0 { self.text.len() } else { usize::from(self.headers.0) - 1 };
        self.text.split_at_checked(start).unwrap_or((&self.text, ""))
    }
}

/// What stands unescaped in a user part besides `unreserved`; `#` is not in the grammar, but phones dial it.
const USER_PLAIN: &str = "&=+$,;?/";

/// The address in `host`, with or without brackets.
pub(crate) fn host_ip(host: &str) -> Option<IpAddr> {
    match host.strip_prefix('[') {
        Some(inner) => inner.strip_suffix(']')?.parse::<Ipv6Addr>().ok().map(IpAddr::V6),
        None => host.parse().ok(),
    }
}

/// Writes `host` (a bare IPv6 address gets brackets) and `:port`.
pub(crate) fn push_host_port(out: &mut String, host: &str, port: Option<u16>) {
    use fmt::Write;
    let bare_v6 = host.contains(':') && !host.starts_with('[');
    // Writing to a String cannot fail.
    let _ = if bare_v6 { write!(out, "[{host}]") } else { write!(out, "{host}") };
    if let Some(port) = port {
        let _ = write!(out, ":{port}");
    }
}

fn parse(text: Text) -> Result<Uri, ParseError> {
    let (scheme, Layout { port, has_user, has_password, user, password, host, params, headers }) =
        layout(text.as_str())?;
    Ok(Uri { text, scheme, port, has_user, has_password, user, password, host, params, headers })
}

/// Checks a URI without keeping anything: its scheme, and whether it has a headers part.
pub(crate) fn check(text: &str) -> Result<(Scheme, bool), ParseError> {
    layout(text).map(|(scheme, layout)| (scheme, layout.headers.0 != layout.headers.1))
}

fn layout(whole: &str) -> Result<(Scheme, Layout), ParseError> {
    if whole.len() > base::limits::SIP_MESSAGE_BYTES_MAX {
        return Err(ParseError::TooLarge { what: "URI", limit_max: base::limits::SIP_MESSAGE_BYTES_MAX });
    }
    if let Some(bad) = whole.bytes().position(|b| !URI_BYTE[usize::from(b)]) {
        return Err(ParseError::malformed("URI", bad));
    }
    let colon = memchr::memchr(b':', whole.as_bytes()).ok_or(ParseError::malformed("URI scheme", 0))?;
    let scheme = scheme_of(&whole[..colon]).ok_or(ParseError::malformed("URI scheme", 0))?;
    let start = colon + 1;
    Ok(match scheme {
        Scheme::Sip | Scheme::Sips => (scheme, sip_layout(whole, start)?),
        Scheme::Tel => (scheme, tel_layout(whole, start)?),
        Scheme::Other => (scheme, Layout::default()),
    })
}

/// Everything but controls, space, quotes and angle brackets.
const URI_BYTE: [bool; 256] = {
    let mut table = [true; 256];
    let mut byte = 0;
    while byte <= 0x20 {
        table[byte] = false;
        byte += 1;
    }
    table[0x7f] = false;
    table[b'<' as usize] = false;
    table[b'>' as usize] = false;
    table[b'"' as usize] = false;
    table
};

#[derive(Default)]
struct Layout {
    port: Option<u16>,
    has_user: bool,
    has_password: bool,
    user: Span,
    password: Span,
    host: Span,
    params: Span,
    headers: Span,
}

/// Offsets were checked against the message limit, which 16 bits hold.
#[allow(clippy::cast_possible_truncation)]
const fn span(start: usize, end: usize) -> Span {
    Span(start as u16, end as u16)
}

fn scheme_of(text: &str) -> Option<Scheme> {
    let mut bytes = text.bytes();
    let valid = bytes.next()?.is_ascii_alphabetic()
        && bytes.all(|b| b.is_ascii_alphanumeric() || matches!(b, b'+' | b'-' | b'.'));
    if !valid {
        return None;
    }
    Some(if text.eq_ignore_ascii_case("sip") {
        Scheme::Sip
    } else if text.eq_ignore_ascii_case("sips") {
        Scheme::Sips
    } else if text.eq_ignore_ascii_case("tel") {
        Scheme::Tel
    } else {
        Scheme::Other
    })
}

fn sip_layout(whole: &str, start: usize) -> Result<Layout, ParseError> {
    let bytes = whole.as_bytes();
    let mut layout = Layout::default();
    let mut host_start = start;
    if let Some(at) = memchr::memchr(b'@', &bytes[start..]).map(|n| n + start) {
        let user_end = match memchr::memchr(b':', &bytes[start..at]).map(|n| n + start) {
            Some(colon) => {
                (layout.has_password, layout.password) = (true, span(colon + 1, at));
                colon
            }
            None => at,
        };
        if user_end == start {
            return Err(ParseError::malformed("user of a SIP URI", start));
        }
        (layout.has_user, layout.user) = (true, span(start, user_end));
        host_start = at + 1;
    }
    let host_end = host_end(bytes, host_start).ok_or(ParseError::malformed("host of a SIP URI", host_start))?;
    layout.host = span(host_start, host_end);
    let mut at = host_end;
    if bytes.get(at) == Some(&b':') {
        let end = bytes[at + 1..].iter().position(|b| !b.is_ascii_digit()).map_or(bytes.len(), |n| n + at + 1);
        let port = crate::scan::number(&whole[at + 1..end]);
        layout.port = Some(port.ok_or(ParseError::malformed("port of a SIP URI", at))?);
        at = end;
    }
    if bytes.get(at) == Some(&b';') {
        let end = memchr::memchr(b'?', &bytes[at..]).map_or(bytes.len(), |n| n + at);
        layout.params = span(at + 1, end);
        at = end;
    }
    if bytes.get(at) == Some(&b'?') {
        layout.headers = span(at + 1, bytes.len());
        at = bytes.len();
    }
    if at == bytes.len() { Ok(layout) } else { Err(ParseError::malformed("SIP URI", at)) }
}

/// Where the host that begins at `start` ends; nothing when there is none. An underscore is taken although host
/// names have none, because deployed domains do.
pub(crate) fn host_end(bytes: &[u8], start: usize) -> Option<usize> {
    let rest = bytes.get(start..)?;
    if rest.first() == Some(&b'[') {
        let end = memchr::memchr(b']', rest)?;
        let inner = std::str::from_utf8(rest.get(1..end)?).ok()?;
        return inner.parse::<Ipv6Addr>().ok().map(|_| start + end + 1);
    }
    let name = |b: &u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'.' | b'_');
    let length = rest.iter().position(|b| !name(b)).unwrap_or(rest.len());
    (length > 0).then_some(start + length)
}

fn tel_layout(whole: &str, start: usize) -> Result<Layout, ParseError> {
    let rest = &whole[start..];
    let end = rest.find(';').map_or(whole.len(), |n| n + start);
    let number = &whole[start..end];
    let dialled = |b: u8| b.is_ascii_hexdigit() || matches!(b, b'+' | b'-' | b'.' | b'(' | b')' | b'*' | b'#');
    if number.is_empty() || !number.bytes().all(dialled) {
        return Err(ParseError::malformed("number of a tel URI", start));
    }
    let mut layout = Layout { has_user: true, user: span(start, end), ..Layout::default() };
    if end < whole.len() {
        layout.params = span(end + 1, whole.len());
    }
    Ok(layout)
}

/// The number without visual separators (RFC 3966 §5.1.1).
fn digits(number: &str) -> impl Iterator<Item = u8> + '_ {
    number.bytes().filter(|b| !matches!(b, b'-' | b'.' | b'(' | b')')).map(|b| b.to_ascii_lowercase())
}

fn same_sip(a: &Uri, b: &Uri) -> bool {
    let unescaped = |part: Option<&str>| part.map(|p| unescape(p).into_owned());
    let same_host = match (a.host_ip(), b.host_ip()) {
        (Some(x), Some(y)) => x == y,
        (None, None) => a.host().eq_ignore_ascii_case(b.host()),
        (Some(_), None) | (None, Some(_)) => false,
    };
    let decisive =
        |name: &str| ["transport", "user", "ttl", "method", "maddr"].iter().any(|d| d.eq_ignore_ascii_case(name));
    same_host
        && a.port() == b.port()
        && unescaped(a.user()) == unescaped(b.user())
        && unescaped(a.password()) == unescaped(b.password())
        && params_match(a, b, &decisive)
        && sorted_headers(a) == sorted_headers(b)
}

/// Parameters of both must be equal; one that only one side has matters when it is `decisive`.
fn params_match(a: &Uri, b: &Uri, decisive: &dyn Fn(&str) -> bool) -> bool {
    let one_way = |x: &Uri, y: &Uri| {
        Params::new(x.params()).all(|(name, value)| {
            let same = |other: Option<&str>| match (value, other) {
                (Some(v), Some(o)) => unescape(v).eq_ignore_ascii_case(&unescape(o)),
                (None, None) => true,
                (Some(_), None) | (None, Some(_)) => false,
            };
            let mut named = Params::new(y.params()).filter(|(n, _)| n.eq_ignore_ascii_case(name)).peekable();
            if named.peek().is_some() { named.any(|(_, other)| same(other)) } else { !decisive(name) }
        })
    };
    one_way(a, b) && one_way(b, a)
}

fn sorted_headers(uri: &Uri) -> Vec<(String, String)> {
    let mut headers: Vec<_> = (uri.headers().split('&').filter(|h| !h.is_empty()))
        .map(|pair| {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            (unescape(name).to_ascii_lowercase(), unescape(value).into_owned())
        })
        .collect();
    headers.sort_unstable();
    headers
}

impl std::str::FromStr for Uri {
    type Err = ParseError;
    fn from_str(text: &str) -> Result<Self, ParseError> {
        Self::parse(text)
    }
}
impl fmt::Display for Uri {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
impl fmt::Debug for Uri {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
impl PartialEq for Uri {
    /// The same characters; see [`Uri::equivalent`] for the comparison of the RFC.
    fn eq(&self, other: &Self) -> bool {
        self.text == other.text
    }
}
impl Eq for Uri {}
impl Serialize for Uri {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}
impl<'de> Deserialize<'de> for Uri {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::from_text(String::deserialize(deserializer)?.into()).map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests;
