//! What a media relay changes in a description that passes through it: addresses, ports, transport, keys, origin. Codecs and
//! everything not named here stay. ICE, DTLS and grouping lines are taken out: they spoke of the other leg's transport.

use std::net::{IpAddr, SocketAddr};

use crate::crypto::CryptoAttribute;
use crate::error::SdpError;
use crate::model::{Address, Direction, Line, Media, Sdp};
use crate::protocol::Protocol;

/// What becomes of one section.
#[derive(Debug, Clone)]
pub enum SectionEdit {
    /// Its media goes through the relay.
    Relay(RelayEdit),
    /// Port 0: refused, given up, or something that cannot be relayed.
    Refuse,
}

/// The relay's side of one section.
#[derive(Debug, Clone)]
pub struct RelayEdit {
    /// Where media is to be sent.
    pub rtp: SocketAddr,
    /// Where RTCP is to be sent.
    pub rtcp: RtcpPlace,
    /// The transport to name.
    pub protocol: Protocol,
    /// The `a=crypto` lines to put in place of those there.
    pub crypto: Vec<CryptoAttribute>,
}

/// Where RTCP goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RtcpPlace {
    /// A port of its own, on the address of the media; named by `a=rtcp` (RFC 3605).
    Port(u16),
    /// The port of the media (RFC 5761), which must have been offered or be agreed.
    Mux,
    /// The port of the media if the other side can, else this one: offers only.
    MuxOrPort(u16),
    /// None: not RTP.
    Absent,
}

/// Attributes that speak of the transport on the other leg, by their documents: RFC 8839, RFC 8122, RFC 8842, RFC 4568, RFC 3605,
/// RFC 5761, RFC 8858, RFC 4567, RFC 6189, RFC 5939, RFC 9143.
const TRANSPORT: [&str; 26] = [
    "candidate",
    "remote-candidates",
    "end-of-candidates",
    "ice-ufrag",
    "ice-pwd",
    "ice-options",
    "ice-lite",
    "ice-mismatch",
    "ice-pacing",
    "fingerprint",
    "setup",
    "tls-id",
    "dtls-id",
    "identity",
    "crypto",
    "rtcp",
    "rtcp-mux",
    "rtcp-mux-only",
    "key-mgmt",
    "zrtp-hash",
    "acap",
    "tcap",
    "pcfg",
    "acfg",
    "csup",
    "bundle-only",
];

fn speaks_of_transport(name: &str, value: &str) -> bool {
    TRANSPORT.contains(&name) || (name == "group" && value.starts_with("BUNDLE"))
}

/// The description for the other leg: one edit per section. The origin is left for [`crate::OriginKeeper`].
pub fn rewrite(sdp: &Sdp, edits: &[SectionEdit]) -> Result<Sdp, SdpError> {
    if sdp.media.len() != edits.len() {
        return Err(SdpError::Misbehaved("one edit per media section"));
    }
    let main = edits.iter().find_map(|edit| match edit {
        SectionEdit::Relay(relay) => Some(relay.rtp.ip()),
        SectionEdit::Refuse => None,
    });
    let mut out = Sdp { session: rewrite_session(sdp, main), media: Vec::with_capacity(edits.len()) };
    for (index, (media, edit)) in sdp.media.iter().zip(edits).enumerate() {
        out.media.push(match edit {
            SectionEdit::Relay(relay) => rewrite_media(media, relay, main, held_direction(sdp, index)),
            SectionEdit::Refuse => Media { port: 0, port_count: 1, lines: vec![], ..media.clone() },
        });
    }
    Ok(out)
}

/// `c=0.0.0.0` says "do not send to me" (RFC 3264 §8.4); with our address in its place the direction must say it.
fn held_direction(sdp: &Sdp, index: usize) -> Option<Direction> {
    let unspecified = sdp.address(index).and_then(|a| a.ip()).is_some_and(|ip| ip.is_unspecified());
    unspecified.then(|| Direction::new(sdp.direction(index).sends(), false))
}

fn rewrite_session(sdp: &Sdp, main: Option<IpAddr>) -> Vec<Line> {
    let mut lines: Vec<Line> = vec![];
    let mut placed = false;
    for line in &sdp.session {
        let dropped =
            line.kind == 'k' || line.as_attribute().is_some_and(|(name, value)| speaks_of_transport(name, value));
        match (line.kind, main) {
            _ if dropped => {}
            ('c', Some(ip)) => {
                placed = true;
                lines.push(Line::new('c', Address::Ip(ip).to_string()));
            }
            _ => lines.push(line.clone()),
        }
    }
    if let (false, Some(ip)) = (placed, main) {
        // Its place is after i=, u=, e= and p= (RFC 8866 §5).
        let at = lines.iter().position(|line| !"vosiuep".contains(line.kind)).unwrap_or(lines.len());
        lines.insert(at, Line::new('c', Address::Ip(ip).to_string()));
    }
    lines
}

fn rewrite_media(media: &Media, relay: &RelayEdit, main: Option<IpAddr>, direction: Option<Direction>) -> Media {
    let feedback = matches!(relay.protocol, Protocol::Rtp { feedback: true, .. });
    let keep = |line: &&Line| {
        let attribute = line.as_attribute();
        let stale = |(name, value): (&str, &str)| speaks_of_transport(name, value) || (name == "rtcp-fb" && !feedback);
        line.kind != 'c' && line.kind != 'k' && !attribute.is_some_and(stale)
    };
    let mut out = Media {
        port: relay.rtp.port(),
        port_count: 1,
        protocol: relay.protocol.clone(),
        kind: media.kind.clone(),
        formats: media.formats.clone(),
        lines: media.lines.iter().filter(keep).cloned().collect(),
    };
    if main != Some(relay.rtp.ip()) {
        let at = out.lines.iter().position(|line| line.kind != 'i').unwrap_or(out.lines.len());
        out.lines.insert(at, Line::new('c', Address::Ip(relay.rtp.ip()).to_string()));
    }
    if let Some(direction) = direction {
        out.set_direction(direction);
    }
    match relay.rtcp {
        RtcpPlace::Port(port) => out.add_attribute("rtcp", Some(&port)),
        RtcpPlace::Mux => out.add_attribute("rtcp-mux", None),
        RtcpPlace::MuxOrPort(port) => {
            out.add_attribute("rtcp", Some(&port));
            out.add_attribute("rtcp-mux", None);
        }
        RtcpPlace::Absent => {}
    }
    for crypto in &relay.crypto {
        out.add_attribute("crypto", Some(crypto));
    }
    out
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::crypto::CryptoSuite;

    const WEBRTC: &str = "v=0\r\no=- 46 2 IN IP4 127.0.0.1\r\ns=-\r\nt=0 0\r\na=group:BUNDLE 0\r\na=ice-lite\r\na=msid-semantic: WMS\r\n\
        m=audio 9 UDP/TLS/RTP/SAVPF 111 0\r\nc=IN IP4 0.0.0.0\r\na=rtcp:9 IN IP4 0.0.0.0\r\na=ice-ufrag:x\r\na=ice-pwd:y\r\n\
        a=fingerprint:sha-256 AA\r\na=setup:actpass\r\na=mid:0\r\na=sendrecv\r\na=rtcp-mux\r\na=rtpmap:111 opus/48000/2\r\na=rtcp-fb:111 transport-cc\r\n\
        a=candidate:1 1 udp 1 192.0.2.1 5 typ host\r\nm=application 9 UDP/DTLS/SCTP webrtc-datachannel\r\nc=IN IP4 0.0.0.0\r\n";

    fn relay(protocol: Protocol) -> RelayEdit {
        RelayEdit {
            rtp: "198.51.100.7:30000".parse().unwrap(),
            rtcp: RtcpPlace::Port(30_001),
            protocol,
            crypto: vec![],
        }
    }

    #[test]
    fn transport_lines_of_the_other_leg_are_taken_out_and_codecs_stay() {
        let sdp = Sdp::parse(&WEBRTC.replace("c=IN IP4 0.0.0.0", "c=IN IP4 192.0.2.9")).unwrap();
        let out = rewrite(&sdp, &[SectionEdit::Relay(relay(Protocol::AVP)), SectionEdit::Refuse]).unwrap();
        assert_eq!(
            out.to_string(),
            "v=0\r\no=- 46 2 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 198.51.100.7\r\nt=0 0\r\na=msid-semantic: WMS\r\nm=audio 30000 RTP/AVP 111 0\r\n\
             a=mid:0\r\na=sendrecv\r\na=rtpmap:111 opus/48000/2\r\na=rtcp:30001\r\nm=application 0 UDP/DTLS/SCTP webrtc-datachannel\r\n"
        );
        assert_eq!(Sdp::parse(&out.to_string()).unwrap(), out);
    }

    #[test]
    fn rfc3264_8_4_the_old_hold_becomes_a_direction() {
        let sdp = Sdp::parse(WEBRTC).unwrap();
        let out = rewrite(&sdp, &[SectionEdit::Relay(relay(Protocol::AVP)), SectionEdit::Refuse]).unwrap();
        assert!(sdp.is_hold(0) && out.is_hold(0));
        assert_eq!(
            (out.direction(0), out.rtp_address(0)),
            (Direction::SendOnly, Some("198.51.100.7:30000".parse().unwrap()))
        );
    }

    #[test]
    fn keys_and_transport_are_exchanged_in_both_directions() {
        let plain = "v=0\no=- 1 1 IN IP4 10.0.0.1\ns=-\nc=IN IP4 10.0.0.1\nt=0 0\nm=audio 4000 RTP/AVP 0\na=sendonly\n";
        let crypto = CryptoAttribute {
            tag: 1,
            suite: CryptoSuite::AEAD_AES_128_GCM,
            key_and_salt: vec![1; 28],
            lifetime_packets: None,
            mki: None,
        };
        let edit = RelayEdit { crypto: vec![crypto.clone()], ..relay(Protocol::SAVP) };
        let secured = rewrite(&Sdp::parse(plain).unwrap(), &[SectionEdit::Relay(edit)]).unwrap();
        assert_eq!((secured.media[0].crypto(), &secured.media[0].protocol), (vec![crypto], &Protocol::SAVP));
        let back = rewrite(
            &secured,
            &[SectionEdit::Relay(RelayEdit { rtcp: RtcpPlace::MuxOrPort(30_001), ..relay(Protocol::AVP) })],
        )
        .unwrap();
        assert_eq!(
            (back.media[0].crypto(), &back.media[0].protocol, back.direction(0)),
            (vec![], &Protocol::AVP, Direction::SendOnly)
        );
        assert!(back.media[0].has_rtcp_mux() && back.media[0].rtcp().is_some());
    }

    #[test]
    fn sections_on_two_addresses_keep_their_own() {
        let two = "v=0\no=- 1 1 IN IP4 10.0.0.1\ns=-\nt=0 0\nm=audio 4000 RTP/AVP 0\nc=IN IP4 10.0.0.1\nm=video 4002 RTP/AVP 99\nc=IN IP4 10.0.0.2\n";
        let other =
            RelayEdit { rtp: "[2001:db8::7]:30002".parse().unwrap(), rtcp: RtcpPlace::Mux, ..relay(Protocol::AVP) };
        let out =
            rewrite(&Sdp::parse(two).unwrap(), &[SectionEdit::Relay(relay(Protocol::AVP)), SectionEdit::Relay(other)])
                .unwrap();
        assert_eq!(out.rtp_address(0), Some("198.51.100.7:30000".parse().unwrap()));
        assert_eq!(out.rtp_address(1), Some("[2001:db8::7]:30002".parse().unwrap()));
        assert!(rewrite(&out, &[]).is_err());
    }
}
