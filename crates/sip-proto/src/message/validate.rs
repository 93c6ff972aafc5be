//! What a message must have before anybody acts on it, and the status of a request that has not (RFC 3261 §8.1.1, §8.2).

use super::{HeaderName, Message, Start, address, via};
use crate::method::Method;
use crate::scan::{find_outside, has_empty_part, number};
use crate::uri::{self, Scheme};

/// Why a request is refused; a response with such a fault is dropped.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{status} {reason}")]
pub struct Refusal {
    /// The status that the sender of a request deserves.
    pub status: u16,
    /// The reason phrase; for a 400 it names what is wrong (RFC 3261 §21.4.1).
    pub reason: &'static str,
}

const fn bad(reason: &'static str) -> Refusal {
    Refusal { status: 400, reason }
}

impl Message {
    /// Checks version, scheme, framing and the mandatory headers.
    ///
    /// 505 for another version, 501 for an unknown method that CSeq contradicts, 416 for a Request-URI that is neither sip, sips nor tel, 400 for all else. What depends
    /// on the role of the element (Max-Forwards 0, Require, body types) is not looked at. A request without
    /// Max-Forwards passes: RFC 2543 clients send none.
    pub fn validate(&self) -> Result<(), Refusal> {
        self.check_start()?;
        self.check_single()?;
        let (_, method) = self.cseq().ok_or(bad("Bad CSeq"))?;
        if self.is_request() && method != self.method() {
            return Err(match self.method() {
                Method::Other(_) => Refusal { status: 501, reason: "Not Implemented" },
                _ => bad("CSeq Method Does Not Match"),
            });
        }
        if self.call_id().is_empty() || self.call_id().contains([' ', '\t', ',']) {
            return Err(bad("Bad Call-ID"));
        }
        self.check_address(HeaderName::From).ok_or(bad("Bad From"))?;
        self.check_address(HeaderName::To).ok_or(bad("Bad To"))?;
        let version = self.header_values(HeaderName::Via).next().and_then(|value| via::check(value).ok());
        version.filter(|version| *version == "2.0").ok_or(bad("Bad Via"))?;
        if self.header_lines(HeaderName::Via).any(has_empty_part) {
            return Err(bad("Bad Via"));
        }
        if let Some(value) = self.header(HeaderName::MaxForwards) {
            number::<u8>(value).ok_or(bad("Bad Max-Forwards"))?;
        }
        if self.method() == Method::Register && self.is_request() && self.contacts().any(|c| c.is_err()) {
            return Err(bad("Bad Contact"));
        }
        match self.fault {
            None => Ok(()),
            Some("Content-Length" | "Content-Length beyond the message") => Err(bad("Bad Content-Length")),
            Some("request line") => Err(bad("Bad Request Line")),
            Some(_) => Err(bad("Bad Header Line")),
        }
    }

    /// From and To: one address and nothing behind it.
    fn check_address(&self, name: HeaderName) -> Option<()> {
        let value = self.header(name).filter(|value| find_outside(value, b',').is_none())?;
        address::check(value).ok()
    }

    fn check_start(&self) -> Result<(), Refusal> {
        match self.start {
            Start::Request { version_known: false, .. } | Start::Response { version_known: false, .. } => {
                Err(Refusal { status: 505, reason: "Version Not Supported" })
            }
            Start::Response { .. } => Ok(()),
            Start::Request { .. } => {
                let (scheme, has_headers) = uri::check(self.request_uri_text()).map_err(|_| bad("Bad Request-URI"))?;
                match scheme {
                    Scheme::Other => Err(Refusal { status: 416, reason: "Unsupported URI Scheme" }),
                    Scheme::Sip | Scheme::Sips | Scheme::Tel if has_headers => Err(bad("Headers In Request-URI")),
                    Scheme::Sip | Scheme::Sips | Scheme::Tel => Ok(()),
                }
            }
        }
    }

    fn check_single(&self) -> Result<(), Refusal> {
        let mut seen = 0u8;
        for header in self.headers.iter().filter(|h| h.name.is_single()) {
            let bit = match header.name {
                HeaderName::From => 1,
                HeaderName::To => 2,
                HeaderName::CallId => 4,
                HeaderName::CSeq => 8,
                _ => 16,
            };
            if seen & bit != 0 {
                return Err(bad("Header Given Twice"));
            }
            seen |= bit;
        }
        Ok(())
    }
}
