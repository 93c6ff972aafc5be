//! Via (RFC 3261 §20.42) with `received` and `rport` (RFC 3581).
//!
//! A received message is never rewritten: where it came from is kept beside it and shows in the topmost Via on read.

use std::fmt;
use std::net::{IpAddr, SocketAddr};

use crate::error::ParseError;
use crate::scan::{Params, is_token, number, trim};
use crate::text::Text;
use crate::uri::{host_end, host_ip};

/// One value of Via.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Via {
    version: Text,
    transport: Text,
    host: Text,
    /// The port of sent-by, when it is written.
    pub port: Option<u16>,
    params: Text,
    source: Option<SocketAddr>,
}

impl Via {
    /// Parses one value from text of its own.
    pub fn parse(text: &str) -> Result<Self, ParseError> {
        Self::from_text(&Text::from(text), None)
    }

    /// Parses one value, sharing the bytes of `text`; `source` is where the message came from, for the topmost Via.
    pub(crate) fn from_text(text: &Text, source: Option<SocketAddr>) -> Result<Self, ParseError> {
        let parts = split(text.as_str())?;
        Ok(Self {
            version: text.share(parts.version),
            transport: text.share(parts.transport),
            host: text.share(parts.host),
            port: parts.port,
            params: text.share(parts.params),
            source,
        })
    }

    /// The protocol version; anything but `2.0` is only read so that it can be answered with 505.
    pub fn version(&self) -> &str {
        &self.version
    }

    /// The transport as written: `UDP`, `TCP`, `TLS`, `WS`, `WSS` or another token.
    pub fn transport(&self) -> &str {
        &self.transport
    }

    /// The host of sent-by as written.
    pub fn host(&self) -> &str {
        &self.host
    }

    /// A parameter as written: `Some(None)` when it has no value.
    pub fn param(&self, name: &str) -> Option<Option<&str>> {
        Params::new(&self.params).find(name)
    }

    /// The branch.
    pub fn branch(&self) -> Option<&str> {
        self.param("branch").flatten().filter(|branch| !branch.is_empty())
    }

    /// The branch, when it is unique in the sense of RFC 3261 §8.1.1.7: the magic cookie and more.
    pub fn unique_branch(&self) -> Option<&str> {
        self.branch().filter(|b| b.len() > 7 && b.get(..7).is_some_and(|start| start.eq_ignore_ascii_case("z9hG4bK")))
    }

    /// Where the message really came from: `received`, or what was seen when it arrived.
    pub fn received(&self) -> Option<IpAddr> {
        match self.source {
            Some(source) => Some(source.ip()),
            None => self.param("received").flatten().and_then(host_ip_lenient),
        }
    }

    /// Whether the sender asked for symmetric response routing (RFC 3581 §3).
    pub fn wants_rport(&self) -> bool {
        self.param("rport").is_some()
    }

    /// The port that `rport` has, or gets because the sender asked for it.
    pub fn rport(&self) -> Option<u16> {
        match (self.source, self.param("rport")?) {
            (Some(source), _) => Some(source.port()),
            (None, value) => value.and_then(number),
        }
    }

    /// Where a response goes over an unreliable transport (RFC 3261 §18.2.2, RFC 3581 §4); nothing when that needs
    /// a look-up of the host name. `maddr` is not followed: it would let anybody aim our answers at a third party.
    pub fn response_address(&self) -> Option<SocketAddr> {
        let ip = self.received().or_else(|| host_ip(self.host()))?;
        let sent_by = self.port.unwrap_or(if self.transport.eq_ignore_ascii_case("TLS") { 5061 } else { 5060 });
        Some(SocketAddr::new(ip, self.rport().unwrap_or(sent_by)))
    }
}

/// `received` carries IPv6 addresses both with and without brackets in the field.
fn host_ip_lenient(text: &str) -> Option<IpAddr> {
    host_ip(text).or_else(|| text.parse().ok())
}

/// The parts of a value, as slices of it.
struct Parts<'a> {
    version: &'a str,
    transport: &'a str,
    host: &'a str,
    port: Option<u16>,
    params: &'a str,
}

/// Checks one value without keeping anything; returns its protocol version.
pub(super) fn check(text: &str) -> Result<&str, ParseError> {
    split(text).map(|parts| parts.version)
}

fn split(whole: &str) -> Result<Parts<'_>, ParseError> {
    let bad = |at: usize| ParseError::malformed("Via", at);
    let mut slashes = memchr::memchr_iter(b'/', whole.as_bytes());
    let (first, second) = slashes.next().zip(slashes.next()).ok_or(bad(0))?;
    let version = trim(&whole[first + 1..second]);
    if !trim(&whole[..first]).eq_ignore_ascii_case("SIP") || !is_token(version) {
        return Err(bad(0));
    }
    let rest = whole[second + 1..].trim_start_matches([' ', '\t']);
    let (transport, rest) = rest.split_once([' ', '\t']).ok_or(bad(second))?;
    if !is_token(transport) {
        return Err(bad(second));
    }
    let rest = trim(rest);
    let end = host_end(rest.as_bytes(), 0).ok_or(bad(second))?;
    let (host, rest) = rest.split_at(end);
    let mut rest = trim(rest);
    let mut port = None;
    if let Some(after) = rest.strip_prefix(':') {
        let end = after.find(';').unwrap_or(after.len());
        port = Some(number(&after[..end]).ok_or(bad(second))?);
        rest = &after[end..];
    }
    if !rest.is_empty() && !rest.starts_with(';') {
        return Err(bad(second));
    }
    Ok(Parts { version, transport, host, port, params: rest })
}

impl fmt::Display for Via {
    /// As written, but with `received` and `rport` filled in from the source (RFC 3261 §18.2.1, RFC 3581 §4).
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SIP/{}/{} {}", self.version, self.transport, self.host)?;
        if let Some(port) = self.port {
            write!(f, ":{port}")?;
        }
        let Some(source) = self.source else { return f.write_str(&self.params) };
        let mut wants_rport = false;
        for (name, value) in Params::new(&self.params) {
            if name.eq_ignore_ascii_case("rport") {
                wants_rport = true;
                continue;
            }
            if name.eq_ignore_ascii_case("received") {
                continue;
            }
            match value {
                Some(value) => write!(f, ";{name}={value}")?,
                None => write!(f, ";{name}")?,
            }
        }
        if wants_rport || host_ip(self.host()) != Some(source.ip()) {
            write!(f, ";received={}", source.ip())?;
        }
        if wants_rport { write!(f, ";rport={}", source.port()) } else { Ok(()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn white_space_stands_anywhere() {
        let via =
            Via::parse("SIP  / 2.0  / TCP     spindle.example.com   ;    branch  =   z9hG4bK9ikj8").expect("valid");
        assert_eq!(
            (via.transport(), via.host(), via.port, via.branch()),
            ("TCP", "spindle.example.com", None, Some("z9hG4bK9ikj8"))
        );
        let v6 = Via::parse("SIP/2.0/UDP [2001:db8::9:1]:5070;branch=z9hG4bK;received=2001:db8::9:255").expect("valid");
        assert_eq!((v6.host(), v6.port, v6.unique_branch()), ("[2001:db8::9:1]", Some(5070), None));
        assert_eq!(v6.response_address(), "[2001:db8::9:255]:5070".parse().ok());
        for bad in
            ["SIP/2.0/UDP", "SIP/2 0/UDP a", "SIP/2.0 a", "SIP/2.0/UDP a:b", "SIP/2.0/UDP a b", "SIP/2.0/U@P a", ""]
        {
            assert!(Via::parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn rfc3581_4_the_source_fills_rport_and_received() {
        let source = "192.0.2.1:9988".parse().expect("an address");
        let text = Text::from("SIP/2.0/UDP 10.1.1.1:4540;rport;branch=z9hG4bKkjshdyff");
        let via = Via::from_text(&text, Some(source)).expect("valid");
        assert_eq!(via.to_string(), "SIP/2.0/UDP 10.1.1.1:4540;branch=z9hG4bKkjshdyff;received=192.0.2.1;rport=9988");
        assert_eq!(via.response_address(), Some(source));
        let again = Via::parse(&via.to_string()).expect("valid");
        assert_eq!((again.received(), again.rport()), (Some(source.ip()), Some(9988)));
    }

    #[test]
    fn rfc3261_18_2_2_without_rport_the_answer_goes_to_sent_by_port_at_the_source_address() {
        let source = "192.0.2.1:9988".parse().expect("an address");
        let text = Text::from("SIP/2.0/UDP pc33.example.com:5066;branch=z9hG4bKx");
        let via = Via::from_text(&text, Some(source)).expect("valid");
        assert_eq!(via.response_address(), "192.0.2.1:5066".parse().ok());
        assert_eq!(via.to_string(), "SIP/2.0/UDP pc33.example.com:5066;branch=z9hG4bKx;received=192.0.2.1");
    }
}
