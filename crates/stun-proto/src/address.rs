//! XOR-MAPPED-ADDRESS and its kin (RFC 8489 §14.2): an address hidden from NATs that rewrite what they recognise.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use crate::attribute::{FAMILY_IPV4, FAMILY_IPV6};
use crate::message::{MAGIC_COOKIE, TransactionId};

/// Longest encoded address value, bytes (IPv6).
pub const LENGTH_MAX: usize = 20;

/// Writes `address` into `out`, hidden by the cookie and `transaction`; returns the bytes used, 8 or 20.
pub fn write_xor(address: SocketAddr, transaction: TransactionId, out: &mut [u8; LENGTH_MAX]) -> usize {
    let mask = mask(transaction);
    out[0] = 0;
    out[2..4].copy_from_slice(&address.port().to_be_bytes());
    let end = match address.ip() {
        IpAddr::V4(ip) => {
            out[1] = FAMILY_IPV4;
            out[4..8].copy_from_slice(&ip.octets());
            8
        }
        IpAddr::V6(ip) => {
            out[1] = FAMILY_IPV6;
            out[4..20].copy_from_slice(&ip.octets());
            20
        }
    };
    xor(&mut out[2..4], &mask);
    xor(&mut out[4..end], &mask);
    end
}

/// Reads an address written by [`write_xor`]; `None` for an unknown family or a wrong length.
pub fn read_xor(value: &[u8], transaction: TransactionId) -> Option<SocketAddr> {
    let mask = mask(transaction);
    let (head, host) = value.split_at_checked(4)?;
    let mut port = [head[2], head[3]];
    xor(&mut port, &mask);
    let ip = match head[1] {
        FAMILY_IPV4 => {
            let mut octets: [u8; 4] = host.try_into().ok()?;
            xor(&mut octets, &mask);
            IpAddr::V4(Ipv4Addr::from(octets))
        }
        FAMILY_IPV6 => {
            let mut octets: [u8; 16] = host.try_into().ok()?;
            xor(&mut octets, &mask);
            IpAddr::V6(Ipv6Addr::from(octets))
        }
        _ => return None,
    };
    Some(SocketAddr::new(ip, u16::from_be_bytes(port)))
}

/// The number by which attributes name the family of `ip`.
pub fn family(ip: IpAddr) -> u8 {
    if ip.is_ipv4() { FAMILY_IPV4 } else { FAMILY_IPV6 }
}

fn mask(transaction: TransactionId) -> [u8; 16] {
    let mut mask = [0; 16];
    mask[..4].copy_from_slice(&MAGIC_COOKIE);
    mask[4..].copy_from_slice(&transaction.0);
    mask
}

fn xor(bytes: &mut [u8], mask: &[u8; 16]) {
    for (byte, mask) in bytes.iter_mut().zip(mask) {
        *byte ^= mask;
    }
}
