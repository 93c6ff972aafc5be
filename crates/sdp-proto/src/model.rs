//! The description as a list of lines, kept as they came, with typed reads on top. Only `m=` lines are taken apart on reading.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use crate::crypto::CryptoAttribute;
use crate::protocol::Protocol;

/// One line: `a=ptime:20` is `Line { kind: 'a', value: "ptime:20" }`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line {
    /// The letter before `=`.
    pub kind: char,
    /// What follows it.
    pub value: String,
}

impl Line {
    /// A line of any kind.
    pub fn new(kind: char, value: impl Into<String>) -> Self {
        Self { kind, value: value.into() }
    }

    /// An attribute `a=name` or `a=name:value`.
    pub fn attribute(name: &str, value: Option<&dyn fmt::Display>) -> Self {
        Self::new('a', value.map_or_else(|| name.to_owned(), |value| format!("{name}:{value}")))
    }

    /// Name and value if it is an attribute; without a colon the value is empty.
    pub fn as_attribute(&self) -> Option<(&str, &str)> {
        let is = self.kind == 'a';
        is.then(|| self.value.split_once(':').unwrap_or((&self.value, "")))
    }
}

/// A whole description.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Sdp {
    /// Lines before the first `m=`, the `v=` line included.
    pub session: Vec<Line>,
    /// The media sections, in order; offers and answers match them by place (RFC 3264 §6).
    pub media: Vec<Media>,
}

/// One media section.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Media {
    /// `audio`, `video`, `image`, `text`, `application`, `message` …
    pub kind: String,
    /// The port; 0: refused or given up (RFC 3264 §6, §8.2).
    pub port: u16,
    /// How many port pairs, usually 1.
    pub port_count: u16,
    /// The transport.
    pub protocol: Protocol,
    /// The formats: for RTP the payload types, best first.
    pub formats: Vec<String>,
    /// The other lines of the section.
    pub lines: Vec<Line>,
}

/// An address of a `c=`, `o=` or `a=rtcp` line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Address {
    /// A number.
    Ip(IpAddr),
    /// A domain name.
    Name(String),
}

/// The `o=` line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Origin {
    /// The user, `-` for none.
    pub username: String,
    /// Numeric, but of any length.
    pub session_id: String,
    /// Numeric, but of any length; grows with each change.
    pub version: String,
    /// Where the session was made.
    pub address: Address,
}

/// Which way media flows, seen from who wrote the description (RFC 8866 §6.7).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Direction {
    /// Both ways.
    #[default]
    SendRecv,
    /// It only sends: puts the other on hold.
    SendOnly,
    /// It only receives.
    RecvOnly,
    /// No media.
    Inactive,
}

/// An RTP codec under its payload type.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Codec {
    /// 0-127.
    pub payload_type: u8,
    /// Its encoding name, as written; compare without regard to case.
    pub name: String,
    /// RTP clock, Hz.
    pub clock_rate_hz: u32,
    /// Audio channels, 1 if not given.
    pub channels: u8,
    /// The parameters of its `a=fmtp`.
    pub parameters: Option<String>,
}

impl Direction {
    /// Its attribute.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::SendRecv => "sendrecv",
            Self::SendOnly => "sendonly",
            Self::RecvOnly => "recvonly",
            Self::Inactive => "inactive",
        }
    }

    /// The direction of that attribute.
    pub fn parse(name: &str) -> Option<Self> {
        [Self::SendRecv, Self::SendOnly, Self::RecvOnly, Self::Inactive].into_iter().find(|d| d.as_str() == name)
    }

    /// From whether the writer sends and receives.
    pub const fn new(sends: bool, receives: bool) -> Self {
        match (sends, receives) {
            (true, true) => Self::SendRecv,
            (true, false) => Self::SendOnly,
            (false, true) => Self::RecvOnly,
            (false, false) => Self::Inactive,
        }
    }

    /// Whether the writer sends.
    pub const fn sends(self) -> bool {
        matches!(self, Self::SendRecv | Self::SendOnly)
    }

    /// Whether the writer receives.
    pub const fn receives(self) -> bool {
        matches!(self, Self::SendRecv | Self::RecvOnly)
    }

    /// The same seen from the other side.
    #[must_use]
    pub const fn reversed(self) -> Self {
        Self::new(self.receives(), self.sends())
    }

    /// What to answer to this offer when we want `wish` (RFC 3264 §6.1).
    #[must_use]
    pub const fn answer(self, wish: Self) -> Self {
        Self::new(wish.sends() && self.receives(), wish.receives() && self.sends())
    }
}

impl Address {
    /// Reads `IN IP4 192.0.2.1`; a TTL after a slash is passed over.
    pub fn parse(text: &str) -> Option<Self> {
        let mut words = text.split_ascii_whitespace();
        let (net, family, host) = (words.next()?, words.next()?, words.next()?);
        if !net.eq_ignore_ascii_case("IN") {
            return None;
        }
        let host = host.split('/').next()?;
        let ip = match family.to_ascii_uppercase().as_str() {
            "IP4" => host.parse::<Ipv4Addr>().map(IpAddr::V4).ok(),
            "IP6" => host.parse::<Ipv6Addr>().map(IpAddr::V6).ok(),
            _ => return None,
        };
        // A number of the other family, or half a number, is no name.
        let name_like =
            host.parse::<IpAddr>().is_err() && host.bytes().any(|b| b.is_ascii_alphabetic()) && !host.contains(':');
        ip.map(Self::Ip).or_else(|| name_like.then(|| Self::Name(host.to_owned())))
    }

    /// The number, if it is one.
    pub const fn ip(&self) -> Option<IpAddr> {
        match self {
            Self::Ip(ip) => Some(*ip),
            Self::Name(_) => None,
        }
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ip(ip) => write!(f, "IN {} {ip}", if ip.is_ipv4() { "IP4" } else { "IP6" }),
            Self::Name(name) => write!(f, "IN IP4 {name}"),
        }
    }
}

impl Origin {
    /// Reads the value of an `o=` line.
    pub fn parse(value: &str) -> Option<Self> {
        let mut words = value.splitn(4, ' ');
        let (username, session_id, version) = (words.next()?, words.next()?, words.next()?);
        let number = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
        if username.is_empty() || !number(session_id) || !number(version) {
            return None;
        }
        let address = Address::parse(words.next()?)?;
        Some(Self { username: username.into(), session_id: session_id.into(), version: version.into(), address })
    }
}
impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} {} {}", self.username, self.session_id, self.version, self.address)
    }
}

impl Sdp {
    /// The origin; parsed descriptions always have one.
    pub fn origin(&self) -> Option<Origin> {
        self.session.iter().find(|line| line.kind == 'o').and_then(|line| Origin::parse(&line.value))
    }

    /// Puts another origin in.
    pub fn set_origin(&mut self, origin: &Origin) {
        match self.session.iter_mut().find(|line| line.kind == 'o') {
            Some(line) => line.value = origin.to_string(),
            None => self.session.insert(self.session.len().min(1), Line::new('o', origin.to_string())),
        }
    }

    /// The value of the first session attribute of that name.
    pub fn attribute(&self, name: &str) -> Option<&str> {
        attribute(&self.session, name)
    }

    /// The address of section `index`: its own `c=` line, else that of the session.
    pub fn address(&self, index: usize) -> Option<Address> {
        let own = self.media.get(index)?.lines.iter().find(|line| line.kind == 'c');
        own.or_else(|| self.session.iter().find(|line| line.kind == 'c')).and_then(|line| Address::parse(&line.value))
    }

    /// Where section `index` wants its media, if the address is a number.
    pub fn rtp_address(&self, index: usize) -> Option<SocketAddr> {
        Some(SocketAddr::new(self.address(index)?.ip()?, self.media.get(index)?.port))
    }

    /// Where section `index` wants its RTCP: the same port (`a=rtcp-mux`), what `a=rtcp` says (RFC 3605), else the next port.
    pub fn rtcp_address(&self, index: usize) -> Option<SocketAddr> {
        let rtp = self.rtp_address(index)?;
        let media = &self.media[index];
        if media.has_rtcp_mux() {
            return Some(rtp);
        }
        match media.rtcp() {
            Some((port, address)) => Some(SocketAddr::new(address.map_or(Some(rtp.ip()), |a| a.ip())?, port)),
            None => rtp.port().checked_add(1).map(|port| SocketAddr::new(rtp.ip(), port)),
        }
    }

    /// The direction of section `index`; `sendrecv` where nothing is said.
    pub fn direction(&self, index: usize) -> Direction {
        let find = |lines: &[Line]| lines.iter().filter(|l| l.kind == 'a').find_map(|l| Direction::parse(&l.value));
        self.media.get(index).and_then(|media| find(&media.lines)).or_else(|| find(&self.session)).unwrap_or_default()
    }

    /// Whether section `index` holds the other side: it does not receive, or asks for media at `0.0.0.0` (the old way,
    /// RFC 3264 §8.4).
    pub fn is_hold(&self, index: usize) -> bool {
        !self.direction(index).receives()
            || self.address(index).and_then(|a| a.ip()).is_some_and(|ip| ip.is_unspecified())
    }

    /// Whether ICE is offered for section `index` (RFC 8839).
    pub fn has_ice(&self, index: usize) -> bool {
        let own = self.media.get(index).and_then(|media| media.attribute("ice-ufrag"));
        own.or_else(|| self.attribute("ice-ufrag")).is_some()
    }

    /// The fingerprint for section `index` (RFC 8122), such as `sha-256 AB:CD:…`.
    pub fn fingerprint(&self, index: usize) -> Option<&str> {
        self.media.get(index).and_then(|media| media.attribute("fingerprint")).or_else(|| self.attribute("fingerprint"))
    }
}

impl Media {
    /// The value of the first attribute of that name; empty for a flag.
    pub fn attribute(&self, name: &str) -> Option<&str> {
        attribute(&self.lines, name)
    }

    /// The values of all attributes of that name.
    pub fn attributes<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        self.lines
            .iter()
            .filter_map(Line::as_attribute)
            .filter(move |(found, _)| *found == name)
            .map(|(_, value)| value)
    }

    /// Whether it was refused or given up.
    pub const fn is_refused(&self) -> bool {
        self.port == 0
    }

    /// The codecs in the order of the formats: `a=rtpmap`, or the static table of RFC 3551 §6. Formats that are neither are left out.
    pub fn codecs(&self) -> Vec<Codec> {
        self.formats.iter().filter_map(|format| self.codec(format.parse().ok().filter(|pt| *pt < 128)?)).collect()
    }

    /// The codec under a payload type.
    pub fn codec(&self, payload_type: u8) -> Option<Codec> {
        let of_type = |value: &'_ str| {
            let (number, rest) = value.split_once(' ')?;
            (number.parse() == Ok(payload_type)).then(|| rest.trim().to_owned())
        };
        let parameters = self.attributes("fmtp").find_map(of_type);
        if let Some(map) = self.attributes("rtpmap").find_map(of_type) {
            let mut parts = map.split('/');
            let (name, rate) = (parts.next()?.to_owned(), parts.next()?.trim().parse().ok()?);
            let channels = parts.next().and_then(|c| c.trim().parse().ok()).unwrap_or(1);
            return Some(Codec { payload_type, name, clock_rate_hz: rate, channels, parameters });
        }
        let (_, name, clock_rate_hz) = STATIC_CODECS.iter().find(|(number, ..)| *number == payload_type)?;
        Some(Codec { payload_type, name: (*name).to_owned(), clock_rate_hz: *clock_rate_hz, channels: 1, parameters })
    }

    /// Packet time, ms.
    pub fn ptime_ms(&self) -> Option<u32> {
        self.attribute("ptime").and_then(|value| value.trim().parse().ok()).filter(|ms| (1..=200).contains(ms))
    }

    /// What `a=rtcp` says (RFC 3605).
    pub fn rtcp(&self) -> Option<(u16, Option<Address>)> {
        let value = self.attribute("rtcp")?;
        let (port, address) = value.split_once(' ').map_or((value, None), |(port, rest)| (port, Address::parse(rest)));
        Some((port.trim().parse().ok().filter(|port| *port != 0)?, address))
    }

    /// Whether RTP and RTCP share the port (RFC 5761).
    pub fn has_rtcp_mux(&self) -> bool {
        self.attribute("rtcp-mux").is_some()
    }

    /// The `a=crypto` lines that we can do, in order.
    pub fn crypto(&self) -> Vec<CryptoAttribute> {
        self.attributes("crypto").filter_map(CryptoAttribute::parse).collect()
    }

    /// Takes every attribute out for which `is` holds; it gets name and value.
    pub fn remove_attributes(&mut self, is: impl Fn(&str, &str) -> bool) {
        self.lines.retain(|line| !line.as_attribute().is_some_and(|(name, value)| is(name, value)));
    }

    /// Adds an attribute at the end.
    pub fn add_attribute(&mut self, name: &str, value: Option<&dyn fmt::Display>) {
        self.lines.push(Line::attribute(name, value));
    }

    /// Sets the direction.
    pub fn set_direction(&mut self, direction: Direction) {
        self.remove_attributes(|name, _| Direction::parse(name).is_some());
        self.add_attribute(direction.as_str(), None);
    }
}

/// RFC 3551 §6: payload type, name, clock.
const STATIC_CODECS: [(u8, &str, u32); 12] = [
    (0, "PCMU", 8_000),
    (3, "GSM", 8_000),
    (4, "G723", 8_000),
    (8, "PCMA", 8_000),
    (9, "G722", 8_000),
    (13, "CN", 8_000),
    (15, "G728", 8_000),
    (18, "G729", 8_000),
    (26, "JPEG", 90_000),
    (31, "H261", 90_000),
    (33, "MP2T", 90_000),
    (34, "H263", 90_000),
];

fn attribute<'a>(lines: &'a [Line], name: &str) -> Option<&'a str> {
    lines.iter().filter_map(Line::as_attribute).find(|(found, _)| *found == name).map(|(_, value)| value)
}

impl Codec {
    /// Whether both are the same encoding (RFC 8866 §6.6): name without regard to case, clock and channels. Parameters are not
    /// compared.
    pub fn is_same_encoding(&self, other: &Self) -> bool {
        let (a, b) = (self, other);
        a.name.eq_ignore_ascii_case(&b.name) && a.clock_rate_hz == b.clock_rate_hz && a.channels == b.channels
    }

    /// The value of its `a=rtpmap` line.
    pub fn rtpmap(&self) -> String {
        let channels = if self.channels == 1 { String::new() } else { format!("/{}", self.channels) };
        format!("{} {}/{}{channels}", self.payload_type, self.name, self.clock_rate_hz)
    }
}
