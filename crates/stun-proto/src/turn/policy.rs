//! Whom clients may reach through a relay: public addresses, unless a rule says otherwise.
//!
//! A relay sends from inside the operator's network, so everything that is not plainly public is closed by default:
//! loopback, private, shared (CGNAT), link-local with the metadata service of clouds, multicast, and the ranges that
//! carry an IPv4 address inside IPv6. Rules open ranges. Single addresses can be opened for some ports only: those of the
//! server's own relays, over which two of its clients meet, and of the media relays of the same operator.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::ops::RangeInclusive;
use std::str::FromStr;

/// A range of addresses, such as `10.0.0.0/8` or `2001:db8::/32`; a bare address is a range of one.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Cidr {
    ip: IpAddr,
    prefix: u8,
}

/// Text that is not a range of addresses.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not an address range: write 192.0.2.0/24, 2001:db8::/32 or one address")]
pub struct BadCidr;

impl Cidr {
    /// Whether `ip` lies in the range.
    pub fn contains(&self, ip: IpAddr) -> bool {
        match (self.ip, ip) {
            (IpAddr::V4(range), IpAddr::V4(ip)) => {
                let shift = 32 - u32::from(self.prefix);
                (u32::from(range) ^ u32::from(ip)).checked_shr(shift).unwrap_or(0) == 0
            }
            (IpAddr::V6(range), IpAddr::V6(ip)) => {
                let shift = 128 - u32::from(self.prefix);
                (u128::from(range) ^ u128::from(ip)).checked_shr(shift).unwrap_or(0) == 0
            }
            (IpAddr::V4(_), IpAddr::V6(_)) | (IpAddr::V6(_), IpAddr::V4(_)) => false,
        }
    }
}

impl FromStr for Cidr {
    type Err = BadCidr;

    fn from_str(text: &str) -> Result<Self, BadCidr> {
        let (ip, prefix) = match text.split_once('/') {
            Some((ip, prefix)) => (ip, Some(prefix)),
            None => (text, None),
        };
        let ip: IpAddr = ip.parse().map_err(|_| BadCidr)?;
        let longest = if ip.is_ipv4() { 32 } else { 128 };
        let prefix = match prefix {
            None => longest,
            Some(digits) if digits.bytes().all(|b| b.is_ascii_digit()) => digits.parse().map_err(|_| BadCidr)?,
            Some(_) => return Err(BadCidr),
        };
        if prefix <= longest { Ok(Self { ip, prefix }) } else { Err(BadCidr) }
    }
}
impl fmt::Display for Cidr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.ip, self.prefix)
    }
}
impl fmt::Debug for Cidr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// The rules. The default reaches public addresses only.
#[derive(Debug, Clone, Default)]
pub struct PeerPolicy {
    allowed: Vec<Cidr>,
    denied: Vec<Cidr>,
    endpoints: Vec<(IpAddr, RangeInclusive<u16>)>,
}

impl PeerPolicy {
    /// Also reaches `allowed`, even where it is not public.
    #[must_use]
    pub fn allow(mut self, allowed: impl IntoIterator<Item = Cidr>) -> Self {
        self.allowed.extend(allowed);
        self
    }

    /// Never reaches `denied`, whatever else says so.
    #[must_use]
    pub fn deny(mut self, denied: impl IntoIterator<Item = Cidr>) -> Self {
        self.denied.extend(denied);
        self
    }

    /// Reaches `ports` of one address, public or not, and no other ports of it unless [`Self::allow`] covers the address.
    /// An empty range closes the address.
    #[must_use]
    pub fn endpoint(mut self, ip: IpAddr, ports: RangeInclusive<u16>) -> Self {
        self.endpoints.push((ip.to_canonical(), ports));
        self
    }

    /// Whether a permission may name this address. Ports come later: see [`Self::reaches`].
    pub fn permits(&self, ip: IpAddr) -> bool {
        let ip = ip.to_canonical();
        let named = |ranges: &[Cidr]| ranges.iter().any(|range| range.contains(ip));
        if named(&self.denied) {
            return false;
        }
        let open = self.endpoints.iter().any(|(known, ports)| *known == ip && !ports.is_empty());
        named(&self.allowed) || open || (is_public(ip) && !self.has_endpoint(ip))
    }

    /// Whether payload may go to this peer, whose address has a permission.
    pub fn reaches(&self, peer: SocketAddr) -> bool {
        let ip = peer.ip().to_canonical();
        if peer.port() == 0 {
            return false;
        }
        if !self.has_endpoint(ip) || self.allowed.iter().any(|range| range.contains(ip)) {
            return true;
        }
        self.endpoints.iter().any(|(known, ports)| *known == ip && ports.contains(&peer.port()))
    }

    fn has_endpoint(&self, ip: IpAddr) -> bool {
        self.endpoints.iter().any(|(known, _)| *known == ip)
    }
}

/// Whether an address is plainly somewhere on the Internet (IANA special-purpose registries, RFC 6890).
fn is_public(ip: IpAddr) -> bool {
    match ip.to_canonical() {
        IpAddr::V4(ip) => is_public_v4(ip),
        IpAddr::V6(ip) => is_public_v6(ip),
    }
}

fn is_public_v4(ip: Ipv4Addr) -> bool {
    let [a, b, c, _] = ip.octets();
    let special = match (a, b, c) {
        (0 | 10 | 127, _, _) => true, // this network, private, loopback
        (100, 64..=127, _) => true,   // shared address space, RFC 6598
        (169, 254, _) => true,        // link-local and cloud metadata
        (172, 16..=31, _) => true,    // private
        (192, 0, 0 | 2) => true,      // protocol assignments, documentation
        (192, 88, 99) => true,        // 6to4 anycast
        (192, 168, _) => true,        // private
        (198, 18 | 19, _) => true,    // benchmarking
        (198, 51, 100) => true,       // documentation
        (203, 0, 113) => true,        // documentation
        (224.., _, _) => true,        // multicast, reserved, broadcast
        _ => false,
    };
    !special
}

fn is_public_v6(ip: Ipv6Addr) -> bool {
    // Only 2000::/3 is handed out; in it the ranges that embed IPv4 could lead to a private address.
    match ip.segments() {
        [0x2001, 0..=0x01ff, ..] => false, // protocol assignments with Teredo and ORCHID
        [0x2001, 0x0db8, ..] => false,     // documentation
        [0x2002, ..] => false,             // 6to4
        [0x3fff, 0..=0x0fff, ..] => false, // documentation
        [first, ..] => (0x2000..=0x3fff).contains(&first),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ip(text: &str) -> IpAddr {
        text.parse().expect("an address")
    }

    #[test]
    fn only_public_addresses_are_reached_by_default() {
        let policy = PeerPolicy::default();
        let closed = [
            "0.0.0.0",
            "10.1.2.3",
            "100.64.0.1",
            "100.127.255.255",
            "127.0.0.1",
            "169.254.169.254",
            "172.16.0.1",
            "172.31.255.255",
            "192.0.0.8",
            "192.0.2.1",
            "192.168.1.1",
            "198.18.0.1",
            "198.19.255.1",
            "198.51.100.7",
            "203.0.113.9",
            "224.0.0.1",
            "239.1.1.1",
            "240.0.0.1",
            "255.255.255.255",
            "::",
            "::1",
            "::ffff:10.0.0.1",
            "::ffff:127.0.0.1",
            "::7f00:1",
            "64:ff9b::7f00:1",
            "64:ff9b:1::1",
            "fe80::1",
            "fc00::1",
            "fd00:ec2::254",
            "ff02::1",
            "2001::1",
            "2001:db8::1",
            "2002:7f00:1::",
            "100::1",
            "3fff::1",
            "5f00::1",
        ];
        for address in closed {
            assert!(!policy.permits(ip(address)), "{address}");
        }
        for address in ["8.8.8.8", "100.63.0.1", "100.128.0.1", "172.32.0.1", "2606:4700::1", "::ffff:8.8.8.8"] {
            assert!(policy.permits(ip(address)), "{address}");
        }
    }

    #[test]
    fn rules_open_ranges_and_denials_win() {
        let range = |text: &str| text.parse::<Cidr>().expect("a range");
        let policy = PeerPolicy::default().allow([range("10.0.0.0/8"), range("fd00::/8")]).deny([range("10.9.0.0/16")]);
        assert!(
            policy.permits(ip("10.1.2.3")) && policy.permits(ip("::ffff:10.1.2.3")) && policy.permits(ip("fd00::1"))
        );
        assert!(!policy.permits(ip("10.9.0.1")) && policy.permits(ip("11.0.0.1")));
        let all = PeerPolicy::default().allow([range("0.0.0.0/0"), range("::/0")]);
        assert!(all.permits(ip("127.0.0.1")) && all.permits(ip("::1")));
        assert!(!PeerPolicy::default().deny([range("8.8.8.8")]).permits(ip("8.8.8.8")));
    }

    #[test]
    fn an_endpoint_is_reached_on_its_ports_only() {
        let own = PeerPolicy::default().endpoint(ip("8.0.0.1"), 50_000..=50_100).endpoint(ip("10.0.0.1"), 7..=7);
        assert!(own.permits(ip("10.0.0.1")) && own.reaches((ip("10.0.0.1"), 7).into()));
        let closed = PeerPolicy::default().endpoint(ip("8.0.0.9"), RangeInclusive::new(1, 0));
        assert!(!closed.permits(ip("8.0.0.9")) && closed.permits(ip("8.0.0.8")));
        assert!(!own.permits(ip("10.0.0.2")) && !own.reaches((ip("10.0.0.1"), 8).into()));
        assert!(own.permits(ip("8.0.0.1")));
        assert!(own.reaches((ip("8.0.0.1"), 50_001).into()));
        assert!(!own.reaches((ip("8.0.0.1"), 5060).into()));
        assert!(own.reaches((ip("8.0.0.2"), 5060).into()));
        assert!(!own.reaches((ip("8.0.0.2"), 0).into()));
    }

    #[test]
    fn bad_ranges_are_refused() {
        for bad in ["", "10.0.0.0/33", "::/129", "10.0.0/8", "10.0.0.0/", "10.0.0.0/+8", "x/8", "10.0.0.0/8/8"] {
            assert_eq!(bad.parse::<Cidr>(), Err(BadCidr), "{bad}");
        }
    }
}
