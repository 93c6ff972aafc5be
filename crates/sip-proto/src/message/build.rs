//! Building messages: headers are written one after the other into one buffer, line ends in values become spaces.
//!
//! Content-Length is always written here, and Via is put on top by the endpoint that sends a request.

use std::borrow::Cow;
use std::fmt::{self, Display, Write};

use bytes::{BufMut, Bytes, BytesMut};

use super::address::tag_of;
use super::{HeaderName, Message};
use crate::method::Method;
use crate::scan::{Values, find_outside};
use crate::status::reason_phrase;

/// Header lines in order; a removed line stays in the text until the message is built.
#[derive(Debug, Clone, Default)]
struct Head {
    text: String,
    lines: Vec<HeadLine>,
}

#[derive(Debug, Clone, Copy)]
struct HeadLine {
    name: HeaderName,
    start: usize,
    value_start: usize,
    /// After the value, before CRLF.
    end: usize,
}

/// Room for the header lines of a usual message; more grow it.
const LINES_USUAL: usize = 20;

/// Passes text on without control characters that could end a line.
struct OneLine<'a>(&'a mut String);

impl Write for OneLine<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        if memchr::memchr2(b'\r', b'\n', text.as_bytes()).is_none() {
            self.0.push_str(text);
        } else {
            self.0.extend(text.chars().map(|c| if matches!(c, '\r' | '\n') { ' ' } else { c }));
        }
        Ok(())
    }
}

impl Head {
    fn with_capacity(bytes: usize) -> Self {
        Self { text: String::with_capacity(bytes), lines: Vec::with_capacity(LINES_USUAL) }
    }

    fn push(&mut self, name: HeaderName, text: &str, value: impl Display) {
        let start = self.text.len();
        // Writing to a String cannot fail.
        let _ = write!(OneLine(&mut self.text), "{text}: ");
        let value_start = self.text.len();
        let _ = write!(OneLine(&mut self.text), "{value}");
        let end = self.text.len();
        self.text.push_str("\r\n");
        self.lines.push(HeadLine { name, start, value_start, end });
    }

    fn add(&mut self, name: HeaderName, value: impl Display) {
        self.push(name, name.as_str(), value);
    }

    fn add_named(&mut self, text: &str, value: impl Display) {
        self.push(HeaderName::lookup(text), text, value);
    }

    fn remove(&mut self, name: HeaderName) {
        self.lines.retain(|line| line.name != name);
    }

    fn get(&self, name: HeaderName) -> Option<&str> {
        let line = self.lines.iter().find(|line| line.name == name)?;
        self.text.get(line.value_start..line.end)
    }

    fn copy(&mut self, from: &Message, name: HeaderName) {
        for value in from.header_lines(name) {
            self.add(name, value);
        }
    }

    /// Takes the first value out of a header that is a list.
    fn remove_first_value(&mut self, name: HeaderName) {
        let Some(at) = self.lines.iter().position(|line| line.name == name) else { return };
        let line = self.lines[at];
        let value = self.text.get(line.value_start..line.end).unwrap_or_default();
        match find_outside(value, b',').map(|comma| value[comma + 1..].trim().to_owned()) {
            Some(rest) if !rest.is_empty() => {
                self.push(name, name.as_str(), rest);
                // The rest takes the place of the whole, so that the order of the list stays.
                if let Some(moved) = self.lines.pop() {
                    self.lines[at] = moved;
                }
            }
            Some(_) | None => {
                self.lines.remove(at);
            }
        }
    }

    /// Puts `text` at the end of a line's value.
    fn append(&mut self, at: usize, text: &str) {
        let Some(end) = self.lines.get(at).map(|line| line.end) else { return };
        self.text.insert_str(end, text);
        for line in &mut self.lines {
            if line.start > end {
                line.start += text.len();
                line.value_start += text.len();
            }
            if line.end >= end {
                line.end += text.len();
            }
        }
    }

    fn finish(&self, start_line: fmt::Arguments<'_>, top: &str, body: &Bytes) -> Bytes {
        let mut out = BytesMut::with_capacity(self.text.len() + top.len() + body.len() + 160);
        // Writing to a growing buffer cannot fail.
        let _ = out.write_fmt(start_line);
        out.put_slice(top.as_bytes());
        for line in &self.lines {
            out.put_slice(self.text.as_bytes().get(line.start..line.end + 2).unwrap_or_default());
        }
        let _ = write!(out, "Content-Length: {}\r\n\r\n", body.len());
        out.put_slice(body);
        out.freeze()
    }
}

/// What both builders share.
macro_rules! shared_methods {
    () => {
        /// Appends a header.
        #[must_use]
        pub fn header(mut self, name: HeaderName, value: impl Display) -> Self {
            self.head.add(name, value);
            self
        }

        /// Appends a header under a name of any kind. The name must be a token; Content-Length is written by `build`.
        #[must_use]
        pub fn header_named(mut self, name: &str, value: impl Display) -> Self {
            self.head.add_named(name, value);
            self
        }

        /// Sets a header in place of all of this name.
        #[must_use]
        pub fn set(mut self, name: HeaderName, value: impl Display) -> Self {
            self.head.remove(name);
            self.head.add(name, value);
            self
        }

        /// Takes away all headers of this name.
        #[must_use]
        pub fn without(mut self, name: HeaderName) -> Self {
            self.head.remove(name);
            self
        }

        /// The first header of this name, as far as it is set.
        pub fn get(&self, name: HeaderName) -> Option<&str> {
            self.head.get(name)
        }

        /// Copies every header of this name from `message`.
        #[must_use]
        pub fn copy(mut self, message: &Message, name: HeaderName) -> Self {
            self.head.copy(message, name);
            self
        }

        /// Sets Content-Type and the body.
        #[must_use]
        pub fn body(mut self, content_type: impl Display, body: impl Into<Bytes>) -> Self {
            self.head.remove(HeaderName::ContentType);
            self.head.add(HeaderName::ContentType, content_type);
            self.body = body.into();
            self
        }
    };
}

/// A request in the making.
#[derive(Debug, Clone)]
pub struct RequestBuilder {
    method: Method,
    uri: String,
    head: Head,
    body: Bytes,
}

impl RequestBuilder {
    /// A request of `method` to `uri`, without headers yet.
    pub fn new(method: Method, uri: impl Display) -> Self {
        let mut text = String::new();
        // Writing to a String cannot fail.
        let _ = write!(OneLine(&mut text), "{uri}");
        Self { method, uri: text, head: Head::with_capacity(768), body: Bytes::new() }
    }

    /// The same request to be passed on by a proxy (RFC 3261 §16.6): everything is copied, Vias included; Max-Forwards
    /// is one less (70 when there was none). The endpoint puts its own Via on top.
    pub fn forward(request: &Message) -> Self {
        let mut builder = Self::new(request.method(), request.request_uri_text());
        builder.head = forwarded(request, request.via().map(|via| via.to_string()));
        let hops = request.max_forwards().map_or(base::limits::SIP_MAX_FORWARDS, |n| n.saturating_sub(1));
        builder.head.remove(HeaderName::MaxForwards);
        builder.head.add(HeaderName::MaxForwards, hops);
        builder.body = request.body();
        builder
    }

    /// The method.
    pub const fn method(&self) -> Method {
        self.method
    }

    /// The Request-URI as it will be written.
    pub fn uri(&self) -> &str {
        &self.uri
    }

    /// How many Via values the draft has, as one that is passed on by a proxy.
    pub(crate) fn vias(&self) -> usize {
        let vias = self.head.lines.iter().filter(|line| line.name == HeaderName::Via);
        vias.filter_map(|line| self.head.text.get(line.value_start..line.end))
            .map(|value| Values::new(value).count())
            .sum()
    }

    /// With another Request-URI.
    #[must_use]
    pub fn with_uri(mut self, uri: impl Display) -> Self {
        self.uri.clear();
        // Writing to a String cannot fail.
        let _ = write!(OneLine(&mut self.uri), "{uri}");
        self
    }

    /// Sets CSeq.
    #[must_use]
    pub fn cseq(self, sequence: u32) -> Self {
        let method = self.method;
        self.set(HeaderName::CSeq, format_args!("{sequence} {method}"))
    }

    /// Appends a Route value.
    #[must_use]
    pub fn route(self, route: impl Display) -> Self {
        self.header(HeaderName::Route, route)
    }

    /// Takes away the topmost Route value (RFC 3261 §16.4).
    #[must_use]
    pub fn without_first_route(mut self) -> Self {
        self.head.remove_first_value(HeaderName::Route);
        self
    }

    /// Puts a header before all others, as Record-Route and Path need it.
    #[must_use]
    pub fn header_first(mut self, name: HeaderName, value: impl Display) -> Self {
        self.head.add(name, value);
        if let Some(line) = self.head.lines.pop() {
            self.head.lines.insert(0, line);
        }
        self
    }

    shared_methods!();

    /// The finished request without further Via.
    pub fn build(&self) -> Bytes {
        self.build_with("")
    }

    /// The finished request with `top`, whole header lines, above all others.
    pub(crate) fn build_with(&self, top: &str) -> Bytes {
        self.head.finish(format_args!("{} {} SIP/2.0\r\n", self.method, self.uri), top, &self.body)
    }
}

/// A response in the making.
#[derive(Debug, Clone)]
pub struct ResponseBuilder {
    status: u16,
    reason: Cow<'static, str>,
    head: Head,
    body: Bytes,
}

impl ResponseBuilder {
    /// A response to `request` with what RFC 3261 §8.2.6 and §12.1.1 copy: Via, From, To, Call-ID, CSeq; Record-Route
    /// from 101 to 299; Timestamp into 100. An empty `reason` means the usual phrase. To has no tag yet: set one with
    /// [`Self::to_tag`], or the endpoint adds the one of its transaction.
    pub fn to(request: &Message, status: u16, reason: &str) -> Self {
        let mut head = Head::with_capacity(512);
        if let Some(top) = request.via() {
            head.add(HeaderName::Via, top);
        }
        request.header_values(HeaderName::Via).skip(1).for_each(|via| head.add(HeaderName::Via, via));
        for name in [HeaderName::From, HeaderName::To, HeaderName::CallId, HeaderName::CSeq] {
            if let Some(value) = request.header(name) {
                head.add(name, value);
            }
        }
        match status {
            100 => head.copy(request, HeaderName::Timestamp),
            101..=299 => head.copy(request, HeaderName::RecordRoute),
            _ => {}
        }
        Self { status, reason: phrase(status, reason), head, body: Bytes::new() }
    }

    /// The same response to be passed upstream by a proxy: everything but the topmost Via (RFC 3261 §16.7).
    pub fn forward(response: &Message) -> Self {
        let status = response.status().unwrap_or(500);
        let mut head = forwarded(response, None);
        head.remove_first_value(HeaderName::Via);
        Self { status, reason: phrase(status, response.reason()), head, body: response.body() }
    }

    /// The status.
    pub const fn status(&self) -> u16 {
        self.status
    }

    /// With this tag in To, unless one stands there already.
    #[must_use]
    pub fn to_tag(mut self, tag: &str) -> Self {
        self.add_tag(tag);
        self
    }

    /// The tag of To, when it has one.
    pub fn tag(&self) -> Option<&str> {
        tag_of(self.get(HeaderName::To)?)
    }

    pub(crate) fn add_tag(&mut self, tag: &str) {
        if self.tag().is_none()
            && let Some(at) = self.head.lines.iter().position(|line| line.name == HeaderName::To)
        {
            self.head.append(at, &format!(";tag={tag}"));
        }
    }

    shared_methods!();

    /// The finished response.
    pub fn build(&self) -> Bytes {
        self.head.finish(format_args!("SIP/2.0 {} {}\r\n", self.status, self.reason), "", &self.body)
    }
}

fn phrase(status: u16, reason: &str) -> Cow<'static, str> {
    if reason.is_empty() {
        return Cow::Borrowed(reason_phrase(status));
    }
    let mut text = String::new();
    // Writing to a String cannot fail.
    let _ = OneLine(&mut text).write_str(reason);
    Cow::Owned(text)
}

/// All headers of `message` but Content-Length; `top_via` replaces the first Via value.
fn forwarded(message: &Message, top_via: Option<String>) -> Head {
    let mut head = Head::with_capacity(message.bytes().len() + 256);
    let mut top_via = top_via;
    for (name, text, value) in message.named_headers() {
        if name == HeaderName::ContentLength {
            continue;
        }
        match top_via.take_if(|_| name == HeaderName::Via) {
            Some(top) => {
                head.add(name, top);
                Values::new(value).skip(1).for_each(|rest| head.add(name, rest));
            }
            None => head.push(name, text, value),
        }
    }
    head
}
