//! Messages: parsed lazily over the bytes they came in, read through typed views, and built anew.
//!
//! A parsed message is a value that never changes; what has to go out differently is built with
//! [`RequestBuilder`] or [`ResponseBuilder`]. Parsing finds where headers stand and nothing more; each view parses
//! its header when asked. What a request deserves that is not in order says [`Message::validate`].

mod address;
mod build;
mod exercise;
mod name;
mod parse;
mod validate;
mod via;

use std::fmt;
use std::net::SocketAddr;

use bytes::Bytes;

pub(crate) use address::tag_of;
pub use address::{Contact, NameAddr};
pub use build::{RequestBuilder, ResponseBuilder};
#[doc(hidden)]
pub use exercise::exercise;
pub use name::HeaderName;
pub use validate::Refusal;
pub use via::Via;

use crate::error::ParseError;
use crate::method::Method;
use crate::scan::{Values, delta_seconds, number, trim};
use crate::text::Text;
use crate::uri::Uri;

/// One SIP message (RFC 3261 §7). Cloning copies about 350 bytes and no content.
#[derive(Clone)]
pub struct Message {
    bytes: Bytes,
    start: Start,
    headers: parse::Headers,
    body_start: u16,
    body_end: u16,
    fault: Option<&'static str>,
    source: Option<SocketAddr>,
}

#[derive(Debug, Clone, Copy)]
enum Start {
    Request { method: Method, uri_start: u16, uri_length: u16, version_known: bool },
    Response { status: u16, reason_start: u16, reason_length: u16, version_known: bool },
}

impl Message {
    /// Parses one datagram or one framed message of a stream. Leading line ends are skipped (RFC 3261 §7.5).
    ///
    /// A message that is returned may still break rules; ask [`Self::validate`] before acting on it.
    pub fn parse(bytes: Bytes) -> Result<Self, ParseError> {
        parse::parse(bytes)
    }

    /// The bytes as they came (line folds replaced by spaces).
    pub fn bytes(&self) -> &Bytes {
        &self.bytes
    }

    /// Whether it is a request.
    pub const fn is_request(&self) -> bool {
        matches!(self.start, Start::Request { .. })
    }

    /// The method: of the request line, for a response that of CSeq.
    pub fn method(&self) -> Method {
        match self.start {
            Start::Request { method, .. } => method,
            Start::Response { .. } => self.cseq().map_or(Method::Options, |(_, method)| method),
        }
    }

    /// The status of a response.
    pub const fn status(&self) -> Option<u16> {
        match self.start {
            Start::Request { .. } => None,
            Start::Response { status, .. } => Some(status),
        }
    }

    /// The reason phrase of a response, empty for a request.
    pub fn reason(&self) -> &str {
        match self.start {
            Start::Request { .. } => "",
            Start::Response { reason_start, reason_length, .. } => self.str_at(reason_start, reason_length),
        }
    }

    /// The Request-URI as written, empty for a response.
    pub fn request_uri_text(&self) -> &str {
        match self.start {
            Start::Request { uri_start, uri_length, .. } => self.str_at(uri_start, uri_length),
            Start::Response { .. } => "",
        }
    }

    /// The Request-URI; nothing for a response or when it is malformed.
    pub fn request_uri(&self) -> Option<Uri> {
        self.is_request().then(|| Uri::from_text(self.share(self.request_uri_text())).ok()).flatten()
    }

    /// All headers in order, as (name as written, value).
    pub fn headers(&self) -> impl Iterator<Item = (&str, &str)> {
        self.headers.iter().map(|h| (self.text(h.name_range()), self.text(h.value_range())))
    }

    /// All headers in order, as (known name, name as written, value).
    pub fn named_headers(&self) -> impl Iterator<Item = (HeaderName, &str, &str)> {
        self.headers.iter().map(|h| (h.name, self.text(h.name_range()), self.text(h.value_range())))
    }

    /// The first header of this name, its value untouched but for surrounding white space.
    pub fn header(&self, name: HeaderName) -> Option<&str> {
        self.headers.iter().find(|h| h.name == name).map(|h| self.text(h.value_range()))
    }

    /// Every header line of this name, in order.
    pub fn header_lines(&self, name: HeaderName) -> impl Iterator<Item = &str> {
        self.headers.iter().filter(move |h| h.name == name).map(|h| self.text(h.value_range()))
    }

    /// The values of a header that is a comma-separated list, over all its lines.
    pub fn header_values(&self, name: HeaderName) -> impl Iterator<Item = &str> {
        self.header_lines(name).flat_map(Values::new)
    }

    /// The first header with this name in any case, known or not.
    pub fn header_by_name(&self, name: &str) -> Option<&str> {
        match HeaderName::lookup(name) {
            HeaderName::Other => self.headers().find(|(n, _)| n.eq_ignore_ascii_case(name)).map(|(_, value)| value),
            known => self.header(known),
        }
    }

    /// Call-ID; empty when there is none, which [`Self::validate`] refuses.
    pub fn call_id(&self) -> &str {
        self.header(HeaderName::CallId).unwrap_or_default()
    }

    /// CSeq: number below 2^31 and method.
    pub fn cseq(&self) -> Option<(u32, Method)> {
        let (sequence, method) = self.header(HeaderName::CSeq)?.split_once([' ', '\t'])?;
        let sequence = number(sequence).filter(|n| *n < 1 << 31)?;
        Some((sequence, Method::parse(trim(method))?))
    }

    /// From; nothing when absent or malformed.
    pub fn from(&self) -> Option<NameAddr> {
        self.name_addr(HeaderName::From)
    }

    /// To; nothing when absent or malformed.
    pub fn to(&self) -> Option<NameAddr> {
        self.name_addr(HeaderName::To)
    }

    /// The first value of any header that is a list of addresses.
    pub fn name_addr(&self, name: HeaderName) -> Option<NameAddr> {
        self.name_addrs(name).next()?.ok()
    }

    /// All values of a header that is a list of addresses.
    pub fn name_addrs(&self, name: HeaderName) -> impl Iterator<Item = Result<NameAddr, ParseError>> {
        self.header_values(name).map(|value| NameAddr::from_text(&self.share(value)))
    }

    /// The topmost Via; nothing when absent or malformed.
    pub fn via(&self) -> Option<Via> {
        self.vias().next()?.ok()
    }

    /// All Via values from the top.
    pub fn vias(&self) -> impl Iterator<Item = Result<Via, ParseError>> {
        let mut source = self.source;
        self.header_values(HeaderName::Via).map(move |value| Via::from_text(&self.share(value), source.take()))
    }

    /// All Contact values.
    pub fn contacts(&self) -> impl Iterator<Item = Result<Contact, ParseError>> {
        self.header_values(HeaderName::Contact).map(|value| match value {
            "*" => Ok(Contact::Wildcard),
            value => NameAddr::from_text(&self.share(value)).map(Contact::Address),
        })
    }

    /// The first Contact, when it is an address.
    pub fn contact(&self) -> Option<NameAddr> {
        match self.contacts().next()? {
            Ok(Contact::Address(address)) => Some(address),
            Ok(Contact::Wildcard) | Err(_) => None,
        }
    }

    /// All Route values from the top.
    pub fn routes(&self) -> impl Iterator<Item = Result<NameAddr, ParseError>> {
        self.name_addrs(HeaderName::Route)
    }

    /// All Record-Route values from the top.
    pub fn record_routes(&self) -> impl Iterator<Item = Result<NameAddr, ParseError>> {
        self.name_addrs(HeaderName::RecordRoute)
    }

    /// Max-Forwards, 0 to 255; nothing when absent or malformed.
    pub fn max_forwards(&self) -> Option<u8> {
        number(self.header(HeaderName::MaxForwards)?)
    }

    /// Expires in seconds; over the range of 32 bits it is the longest time.
    pub fn expires(&self) -> Option<u32> {
        delta_seconds(self.header(HeaderName::Expires)?)
    }

    /// The media type in lower case without parameters, such as `application/sdp`.
    pub fn content_type(&self) -> Option<String> {
        let value = self.header(HeaderName::ContentType)?;
        let media = value.split(';').next().unwrap_or_default();
        Some(media.chars().filter(|c| !c.is_ascii_whitespace()).map(|c| c.to_ascii_lowercase()).collect())
    }

    /// The body, sharing the bytes of the message.
    pub fn body(&self) -> Bytes {
        self.bytes.slice(usize::from(self.body_start)..usize::from(self.body_end))
    }

    /// Whether an option tag stands in Supported, Require or another list of tokens.
    pub fn has_option(&self, name: HeaderName, tag: &str) -> bool {
        self.header_values(name).any(|value| value.eq_ignore_ascii_case(tag))
    }

    /// The option tags of Require (or Proxy-Require) that are not among `supported`: what a 420 lists in Unsupported.
    pub fn unsupported_options<'a>(&'a self, name: HeaderName, supported: &[&str]) -> Vec<&'a str> {
        self.header_values(name).filter(|tag| !supported.iter().any(|s| s.eq_ignore_ascii_case(tag))).collect()
    }

    /// The Reason header's value for `protocol` (`SIP`, `Q.850`): cause and text (RFC 3326).
    pub fn reason_cause(&self, protocol: &str) -> Option<u16> {
        self.header_values(HeaderName::Reason).find_map(|value| {
            let (name, params) = value.split_once(';')?;
            if !trim(name).eq_ignore_ascii_case(protocol) {
                return None;
            }
            number(crate::scan::Params::new(params).find("cause")??)
        })
    }

    /// Where it came from, once an endpoint has received it.
    pub const fn source(&self) -> Option<SocketAddr> {
        self.source
    }

    /// Notes where it came from; the topmost Via then shows `received` and `rport` (RFC 3261 §18.2.1, RFC 3581).
    pub const fn set_source(&mut self, source: SocketAddr) {
        self.source = Some(source);
    }

    /// Shares a piece of this message's own text.
    fn share(&self, part: &str) -> Text {
        // The head is UTF-8 (checked when parsed) and `part` is a slice of it.
        Text::from_bytes(self.bytes.slice_ref(part.as_bytes())).unwrap_or_default()
    }

    fn text(&self, range: std::ops::Range<usize>) -> &str {
        self.bytes.get(range).and_then(|b| std::str::from_utf8(b).ok()).unwrap_or_default()
    }

    fn str_at(&self, start: u16, length: u16) -> &str {
        self.text(usize::from(start)..usize::from(start) + usize::from(length))
    }
}

impl fmt::Debug for Message {
    /// Only the first line: headers and bodies are personal data.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.start {
            Start::Request { method, .. } => write!(f, "Message({method} {} bytes)", self.bytes.len()),
            Start::Response { status, .. } => write!(f, "Message({status} {} bytes)", self.bytes.len()),
        }
    }
}

#[cfg(test)]
mod tests;
