//! The packet path: one stream takes a packet (source, authentication, statistics), its peer gives it out (signal, protection,
//! destination). Packets are changed in place; nothing is allocated, locked or logged here. Sockets are `worker`'s.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Instant;

use rtp_proto::header::set_ssrc;
use rtp_proto::{Evidence, Latch, Opener, PacketKind, RtpError, RtpHeader, Sealer, Verdict, classify, rtcp};

use crate::ports::PortPair;
use crate::signal::{Playing, law_of};
use crate::stats::{Receptions, StreamStats, add};

/// How packets of a leg are read.
pub(crate) enum Inbound {
    /// Not yet: no keys.
    Closed,
    Plain,
    Srtp(Box<Opener>),
}

/// How packets to a leg are written.
pub(crate) enum Outbound {
    /// Not yet: no keys.
    Closed,
    Plain,
    Srtp(Box<Protected>),
}

/// SRTP towards a leg. A plain stream that begins anew with lower sequence numbers under the same SSRC cannot be protected under
/// it: indexes would repeat, and receivers take it for a replay. It goes on under another SSRC.
pub(crate) struct Protected {
    sealer: Sealer,
    /// The peer's SSRC, and the one that it has here.
    renamed: Option<(u32, u32)>,
    /// Packets refused one after the other as repeated.
    refused_in_a_row: u8,
}

/// So many refused packets in a row are no late ones: the stream began anew.
const RESTART_PACKETS: u8 = 8;

impl Protected {
    pub(crate) const fn new(sealer: Sealer) -> Self {
        Self { sealer, renamed: None, refused_in_a_row: 0 }
    }

    #[inline]
    fn protect_rtp(&mut self, header: &RtpHeader, buffer: &mut [u8], length: usize) -> Option<usize> {
        let ssrc = match self.renamed {
            Some((from, to)) if from == header.ssrc => {
                set_ssrc(buffer, to);
                to
            }
            _ => header.ssrc,
        };
        match self.sealer.protect_rtp(buffer, length) {
            Ok(length) => {
                self.refused_in_a_row = 0;
                Some(length)
            }
            Err(RtpError::Replayed) => {
                self.refused_in_a_row += 1;
                if self.refused_in_a_row >= RESTART_PACKETS {
                    // Any other number will do; this step comes back to an old one only after all others.
                    self.renamed = Some((header.ssrc, ssrc.wrapping_add(0x9e37_79b9)));
                    self.refused_in_a_row = 0;
                }
                None
            }
            Err(_) => None,
        }
    }

    fn protect_rtcp(&mut self, buffer: &mut [u8], length: usize) -> Option<usize> {
        if let (Some((from, to)), Some(word)) = (self.renamed, buffer.get_mut(4..8))
            && *word == from.to_be_bytes()
        {
            word.copy_from_slice(&to.to_be_bytes());
        }
        self.sealer.protect_rtcp(buffer, length).ok()
    }
}

/// One medium of one leg, as its worker has it.
pub(crate) struct Stream {
    pub(crate) ports: PortPair,
    pub(crate) stats: Arc<StreamStats>,
    pub(crate) latch: Latch,
    pub(crate) inbound: Inbound,
    pub(crate) outbound: Outbound,
    /// Not RTP: fax. Latched by address alone and passed on as it is.
    pub(crate) raw: bool,
    /// RTP and RTCP share the port (RFC 5761).
    pub(crate) rtcp_mux: bool,
    /// Clock of the first codec, Hz.
    pub(crate) clock_rate_hz: u32,
    /// The stream of the other leg, by its place in the worker.
    pub(crate) peer: Option<usize>,
    /// Nothing of this leg is passed on.
    pub(crate) blocked: bool,
    /// What this leg says is replaced by silence.
    pub(crate) silenced: bool,
    /// What is being played into this leg.
    pub(crate) playing: Option<Playing>,
    pub(crate) receptions: Receptions,
}

/// A packet between its two streams.
pub(crate) enum Packet {
    Rtp(RtpHeader),
    Rtcp,
    Raw,
}

/// What became of a received packet.
pub(crate) enum Taken {
    /// To be passed on: what it is, and its length in the buffer.
    Packet(Packet, usize),
    /// Counted, but not to be passed on.
    Kept,
    /// Not ours, forged or replayed.
    Refused,
}

/// Where a packet goes.
pub(crate) struct Given {
    pub(crate) to: SocketAddr,
    pub(crate) length: usize,
    /// By the RTCP socket.
    pub(crate) by_rtcp_port: bool,
}

impl Stream {
    pub(crate) fn new(ports: PortPair, stats: Arc<StreamStats>, latch: Latch) -> Self {
        Self {
            ports,
            stats,
            latch,
            inbound: Inbound::Closed,
            outbound: Outbound::Closed,
            raw: false,
            rtcp_mux: false,
            clock_rate_hz: 8_000,
            peer: None,
            blocked: false,
            silenced: false,
            playing: None,
            receptions: Receptions::default(),
        }
    }

    /// Takes the datagram in the first `length` bytes of `buffer`. `clock_ms` is `now` since the relay started.
    #[inline]
    pub(crate) fn take(
        &mut self,
        now: Instant,
        clock_ms: u64,
        from: SocketAddr,
        on_rtcp_port: bool,
        buffer: &mut [u8],
        length: usize,
    ) -> Taken {
        let taken = match classify(&buffer[..length]) {
            _ if self.raw => self.take_raw(now, from, length),
            PacketKind::Rtp if !on_rtcp_port => self.take_rtp(now, from, buffer, length),
            PacketKind::Rtcp => self.take_rtcp(from, on_rtcp_port, buffer, length),
            // Keep-alives and probes of what we do not speak.
            _ => return Taken::Kept,
        };
        match taken {
            Some((packet, length)) => {
                self.stats.heard_at_ms.store(clock_ms.max(1), Relaxed);
                if self.blocked { Taken::Kept } else { Taken::Packet(packet, length) }
            }
            None => {
                add(&self.stats.packets_refused, 1);
                Taken::Refused
            }
        }
    }

    #[inline]
    fn take_rtp(
        &mut self,
        now: Instant,
        from: SocketAddr,
        buffer: &mut [u8],
        length: usize,
    ) -> Option<(Packet, usize)> {
        let (length, authenticated) = match &mut self.inbound {
            Inbound::Closed => return None,
            Inbound::Plain => (length, false),
            Inbound::Srtp(opener) => (opener.unprotect_rtp(&mut buffer[..length]).ok()?, true),
        };
        let header = RtpHeader::parse(&buffer[..length]).ok()?;
        let evidence = Evidence { ssrc: header.ssrc, sequence: header.sequence, authenticated };
        if self.latch.receive(now, from, evidence) == Verdict::Refuse {
            return None;
        }
        add(&self.stats.packets_received, 1);
        add(&self.stats.bytes_received, length as u64);
        self.receptions.push(now, &header, self.clock_rate_hz, &self.stats);
        if self.silenced {
            silence(&header, &mut buffer[..length]);
        }
        Some((Packet::Rtp(header), length))
    }

    fn take_rtcp(
        &mut self,
        from: SocketAddr,
        on_rtcp_port: bool,
        buffer: &mut [u8],
        length: usize,
    ) -> Option<(Packet, usize)> {
        let (length, authenticated) = match &mut self.inbound {
            Inbound::Closed => return None,
            Inbound::Plain => (length, false),
            Inbound::Srtp(opener) => (opener.unprotect_rtcp(&mut buffer[..length]).ok()?, true),
        };
        rtcp::check(&buffer[..length]).ok()?;
        if !on_rtcp_port {
            // On the shared port it must come from where the media comes; it does not latch.
            let expected = self.latch.source().or_else(|| self.latch.destination());
            return (authenticated || expected == Some(from)).then_some((Packet::Rtcp, length));
        }
        (self.latch.receive_rtcp(from, authenticated) != Verdict::Refuse).then_some((Packet::Rtcp, length))
    }

    fn take_raw(&mut self, now: Instant, from: SocketAddr, length: usize) -> Option<(Packet, usize)> {
        let evidence = Evidence { ssrc: 0, sequence: 0, authenticated: false };
        if self.latch.receive(now, from, evidence) == Verdict::Refuse {
            return None;
        }
        add(&self.stats.packets_received, 1);
        add(&self.stats.bytes_received, length as u64);
        Some((Packet::Raw, length))
    }

    /// Makes a packet of the peer ready to go to this leg. `None`: it cannot go out now.
    #[inline]
    pub(crate) fn give(&mut self, now: Instant, packet: &Packet, buffer: &mut [u8], length: usize) -> Option<Given> {
        match packet {
            Packet::Rtp(header) => {
                if let Some(playing) = &mut self.playing {
                    playing.overlay(now, header, &mut buffer[..length]);
                    if playing.is_over() {
                        self.playing = None;
                    }
                }
                let to = self.latch.destination()?;
                let length = match &mut self.outbound {
                    Outbound::Closed => return None,
                    Outbound::Plain => length,
                    Outbound::Srtp(protected) => protected.protect_rtp(header, buffer, length)?,
                };
                add(&self.stats.packets_sent, 1);
                Some(Given { to, length, by_rtcp_port: false })
            }
            Packet::Rtcp => {
                let to = if self.rtcp_mux { self.latch.destination()? } else { self.latch.rtcp_destination()? };
                let length = match &mut self.outbound {
                    Outbound::Closed => return None,
                    Outbound::Plain => length,
                    Outbound::Srtp(protected) => protected.protect_rtcp(buffer, length)?,
                };
                Some(Given { to, length, by_rtcp_port: !self.rtcp_mux })
            }
            Packet::Raw => {
                add(&self.stats.packets_sent, 1);
                Some(Given { to: self.latch.destination()?, length, by_rtcp_port: false })
            }
        }
    }
}

/// Replaces what G.711 says by silence. Other codecs have no silence that could be written without knowing them: their
/// payload is emptied, which receivers conceal.
fn silence(header: &RtpHeader, packet: &mut [u8]) {
    if let Ok(range) = header.payload_range(packet) {
        packet[range].fill(law_of(header.payload_type).map_or(0, |law| law.silence()));
    }
}
