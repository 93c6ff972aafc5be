//! One pass over the head of a message: where each header stands, and the first thing that is wrong with it.
//!
//! Tolerant on purpose: what can still be answered is returned as a message with its fault noted, and
//! `Message::validate` turns the fault into a status. Only what cannot be answered at all is an error.

use std::ops::Range;

use base::limits::{SIP_HEADERS_MAX, SIP_MESSAGE_BYTES_MAX};
use bytes::Bytes;
use smallvec::SmallVec;

use super::{HeaderName, Message, Start};
use crate::error::ParseError;
use crate::method::Method;
use crate::scan::{is_token, number, trim};

/// Where one header stands; messages end at 65,535 bytes, so 16 bits hold every offset.
#[derive(Debug, Clone, Copy)]
pub(super) struct HeaderAt {
    pub(super) name: HeaderName,
    name_length: u8,
    name_start: u16,
    value_start: u16,
    value_length: u16,
}

impl HeaderAt {
    pub(super) fn name_range(&self) -> Range<usize> {
        let start = usize::from(self.name_start);
        start..start + usize::from(self.name_length)
    }

    pub(super) fn value_range(&self) -> Range<usize> {
        let start = usize::from(self.value_start);
        start..start + usize::from(self.value_length)
    }
}

/// Headers kept in the message itself; more go to the heap. Ordinary INVITEs have 12 to 25.
pub(super) type Headers = SmallVec<[HeaderAt; 30]>;

/// A line of the head: its content, and where the next one begins.
struct Line {
    start: usize,
    end: usize,
    next: usize,
}

/// Parses one whole message.
pub(super) fn parse(bytes: Bytes) -> Result<Message, ParseError> {
    if bytes.len() > SIP_MESSAGE_BYTES_MAX {
        return Err(ParseError::TooLarge { what: "message", limit_max: SIP_MESSAGE_BYTES_MAX });
    }
    let mut scan = Scan { headers: Headers::new(), folds: false, fault: None, body_start: 0 };
    let start_line = scan.head(&bytes)?;
    let mut bytes = bytes;
    if scan.folds {
        bytes = unfolded(&bytes, start_line.1, scan.body_start);
    }
    if std::str::from_utf8(&bytes[..scan.body_start]).is_err() {
        return parse(latin1_to_utf8(&bytes, scan.body_start));
    }
    let start = start_of(&bytes, start_line, &mut scan.fault)?;
    let available = bytes.len() - scan.body_start;
    let body_length = body_length(&bytes, &scan.headers, available, &mut scan.fault);
    let body = scan.body_start..scan.body_start + body_length;
    Ok(Message {
        bytes,
        start,
        headers: scan.headers,
        body_start: narrow(body.start),
        body_end: narrow(body.end),
        fault: scan.fault,
        source: None,
    })
}

struct Scan {
    headers: Headers,
    folds: bool,
    fault: Option<&'static str>,
    body_start: usize,
}

impl Scan {
    /// Reads to the empty line; returns where the start line stands.
    fn head(&mut self, bytes: &[u8]) -> Result<(usize, usize), ParseError> {
        let mut at = bytes.iter().position(|b| !matches!(b, b'\r' | b'\n')).unwrap_or(bytes.len());
        let first = next_line(bytes, at)?;
        at = first.next;
        loop {
            if at == bytes.len() {
                // Every line is whole, only the empty one is missing: it can still be refused by name.
                self.fault = self.fault.or(Some("end of the head"));
                self.body_start = at;
                return Ok((first.start, first.end));
            }
            let line = next_line(bytes, at)?;
            at = line.next;
            if line.start == line.end {
                self.body_start = at;
                return Ok((first.start, first.end));
            }
            if matches!(bytes[line.start], b' ' | b'\t') {
                self.fold(&line, bytes)?;
            } else {
                self.header(&line, bytes)?;
            }
        }
    }

    fn header(&mut self, line: &Line, bytes: &[u8]) -> Result<(), ParseError> {
        if self.headers.len() == SIP_HEADERS_MAX {
            return Err(ParseError::TooLarge { what: "number of headers", limit_max: SIP_HEADERS_MAX });
        }
        let content = &bytes[line.start..line.end];
        let named = memchr::memchr(b':', content).and_then(|colon| {
            let name = std::str::from_utf8(&content[..colon]).ok()?.trim_end_matches([' ', '\t']);
            (is_token(name) && name.len() <= usize::from(u8::MAX)).then_some((colon, name))
        });
        let Some((colon, name)) = named else {
            self.fault = self.fault.or(Some("header line"));
            return Ok(());
        };
        let value = line.start + colon + 1..line.end;
        let value = trimmed(bytes, value);
        self.headers.push(HeaderAt {
            name: HeaderName::lookup(name),
            name_length: u8::try_from(name.len()).unwrap_or(u8::MAX),
            name_start: narrow(line.start),
            value_start: narrow(value.start),
            value_length: narrow(value.len()),
        });
        Ok(())
    }

    /// A continuation belongs to the header before it.
    fn fold(&mut self, line: &Line, bytes: &[u8]) -> Result<(), ParseError> {
        let Some(header) = self.headers.last_mut() else {
            return Err(ParseError::malformed("header line", line.start));
        };
        self.folds = true;
        let content = trimmed(bytes, line.start..line.end);
        if content.is_empty() {
            return Ok(());
        }
        if header.value_length == 0 {
            header.value_start = narrow(content.start);
        }
        header.value_length = narrow(content.end - usize::from(header.value_start));
        Ok(())
    }
}

/// Offsets were checked against the message limit, which 16 bits hold.
#[allow(clippy::cast_possible_truncation)]
const fn narrow(offset: usize) -> u16 {
    offset as u16
}

/// A line ends at CRLF; a lone LF is taken as well, a lone CR never: another element could read it as a line end.
fn next_line(bytes: &[u8], start: usize) -> Result<Line, ParseError> {
    let rest = bytes.get(start..).unwrap_or_default();
    match memchr::memchr2(b'\r', b'\n', rest).map(|n| n + start) {
        Some(end) if bytes[end] == b'\n' => Ok(Line { start, end, next: end + 1 }),
        Some(end) if bytes.get(end + 1) == Some(&b'\n') => Ok(Line { start, end, next: end + 2 }),
        Some(end) => Err(ParseError::malformed("line end", end)),
        None => Err(ParseError::malformed("end of the head", bytes.len())),
    }
}

fn trimmed(bytes: &[u8], range: Range<usize>) -> Range<usize> {
    let blank = |b: &u8| matches!(b, b' ' | b'\t');
    let content = &bytes[range.clone()];
    let Some(first) = content.iter().position(|b| !blank(b)) else { return range.end..range.end };
    let last = content.iter().rposition(|b| !blank(b)).unwrap_or(first);
    range.start + first..range.start + last + 1
}

/// A copy in which every line fold is spaces (RFC 3261 §7.3.1), so that offsets stay as they are.
fn unfolded(bytes: &[u8], head_start: usize, head_end: usize) -> Bytes {
    let mut copy = bytes.to_vec();
    for at in head_start..head_end.saturating_sub(1) {
        if copy[at] == b'\n' && matches!(copy[at + 1], b' ' | b'\t') {
            copy[at] = b' ';
            if copy[at - 1] == b'\r' {
                copy[at - 1] = b' ';
            }
        }
    }
    Bytes::from(copy)
}

/// Heads that are not UTF-8 come from old devices that mean ISO 8859-1; read so, they stay usable as text.
fn latin1_to_utf8(bytes: &[u8], head_end: usize) -> Bytes {
    let mut out = String::with_capacity(bytes.len() + 64);
    out.extend(bytes[..head_end].iter().map(|b| char::from(*b)));
    let mut out = out.into_bytes();
    out.extend_from_slice(&bytes[head_end..]);
    Bytes::from(out)
}

fn start_of(bytes: &Bytes, line: (usize, usize), fault: &mut Option<&'static str>) -> Result<Start, ParseError> {
    let bad = |rule| ParseError::malformed(rule, line.0);
    let text = std::str::from_utf8(&bytes[line.0..line.1]).map_err(|_| bad("start line"))?;
    if text.get(..4).is_some_and(|start| start.eq_ignore_ascii_case("SIP/")) {
        return status_line(text, line.0).ok_or(bad("status line"));
    }
    let content = text.trim_end_matches([' ', '\t']);
    if content.len() != text.len() {
        *fault = fault.or(Some("request line"));
    }
    let (method, rest) = content.split_once(' ').ok_or(bad("request line"))?;
    let (uri, version) = rest.rsplit_once(' ').ok_or(bad("request line"))?;
    if !version.get(..4).is_some_and(|start| start.eq_ignore_ascii_case("SIP/")) {
        return Err(bad("SIP version"));
    }
    let method = Method::parse(method).ok_or(bad("method"))?;
    let uri_start = line.0 + content.len() - rest.len();
    let version_known = version.eq_ignore_ascii_case("SIP/2.0");
    Ok(Start::Request { method, uri_start: narrow(uri_start), uri_length: narrow(uri.len()), version_known })
}

fn status_line(text: &str, offset: usize) -> Option<Start> {
    let (version, rest) = text.split_once(' ')?;
    let (code, reason) = rest.split_once(' ').unwrap_or((rest, ""));
    let status = number::<u16>(code).filter(|status| code.len() == 3 && (100..700).contains(status))?;
    let reason_start = offset + text.len() - reason.len();
    let version_known = version.eq_ignore_ascii_case("SIP/2.0");
    Some(Start::Response {
        status,
        reason_start: narrow(reason_start),
        reason_length: narrow(reason.len()),
        version_known,
    })
}

/// The length of the body: Content-Length, or all there is. Octets beyond it are not part of the message (RFC 3261 §18.3).
fn body_length(bytes: &[u8], headers: &Headers, available: usize, fault: &mut Option<&'static str>) -> usize {
    let mut length = None;
    for header in headers.iter().filter(|h| h.name == HeaderName::ContentLength) {
        let value = std::str::from_utf8(&bytes[header.value_range()]).ok().and_then(|v| number::<usize>(trim(v)));
        match (value, length) {
            (Some(value), None) => length = Some(value),
            (Some(value), Some(known)) if value == known => {}
            (Some(_) | None, _) => *fault = fault.or(Some("Content-Length")),
        }
    }
    match length {
        Some(length) if length > available => {
            *fault = fault.or(Some("Content-Length beyond the message"));
            available
        }
        Some(length) => length,
        None => available,
    }
}
