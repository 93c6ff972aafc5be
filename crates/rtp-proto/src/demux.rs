//! Tells the protocols apart that share one port (RFC 7983 §7, RFC 5761 §4). It looks at two bytes and checks nothing else.

/// What a datagram on a media port is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PacketKind {
    /// STUN (RFC 8489): first byte 0-3.
    Stun,
    /// ZRTP (RFC 6189): first byte 16-19.
    Zrtp,
    /// DTLS (RFC 6347): first byte 20-63.
    Dtls,
    /// TURN channel data (RFC 8656): first byte 64-79.
    TurnChannel,
    /// RTP or SRTP: first byte 128-191, second not an RTCP packet type.
    Rtp,
    /// RTCP or SRTCP: first byte 128-191, second byte 192-223.
    Rtcp,
    /// Anything else, and datagrams under two bytes: to be dropped.
    Unknown,
}

/// The kind of `datagram`.
#[inline]
pub fn classify(datagram: &[u8]) -> PacketKind {
    let &[first, second, ..] = datagram else { return PacketKind::Unknown };
    match first {
        128..=191 if (192..=223).contains(&second) => PacketKind::Rtcp,
        128..=191 => PacketKind::Rtp,
        0..=3 => PacketKind::Stun,
        16..=19 => PacketKind::Zrtp,
        20..=63 => PacketKind::Dtls,
        64..=79 => PacketKind::TurnChannel,
        4..=15 | 80..=127 | 192..=255 => PacketKind::Unknown,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rfc7983_7_first_byte_ranges() {
        let kinds = [
            (0, PacketKind::Stun),
            (3, PacketKind::Stun),
            (4, PacketKind::Unknown),
            (16, PacketKind::Zrtp),
            (20, PacketKind::Dtls),
        ];
        let more = [
            (63, PacketKind::Dtls),
            (64, PacketKind::TurnChannel),
            (79, PacketKind::TurnChannel),
            (80, PacketKind::Unknown),
        ];
        let last = [
            (127, PacketKind::Unknown),
            (128, PacketKind::Rtp),
            (191, PacketKind::Rtp),
            (192, PacketKind::Unknown),
            (255, PacketKind::Unknown),
        ];
        for (byte, kind) in kinds.into_iter().chain(more).chain(last) {
            assert_eq!(classify(&[byte, 0]), kind, "{byte}");
        }
        assert_eq!(classify(&[128]), PacketKind::Unknown);
    }

    #[test]
    fn rfc5761_4_rtcp_is_told_from_rtp_by_the_packet_type() {
        for (second, kind) in [
            (191, PacketKind::Rtp),
            (192, PacketKind::Rtcp),
            (200, PacketKind::Rtcp),
            (223, PacketKind::Rtcp),
            (224, PacketKind::Rtp),
        ] {
            assert_eq!(classify(&[0x80, second]), kind, "{second}");
        }
    }
}
