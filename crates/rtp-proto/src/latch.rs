//! Where a leg's media comes from and where to send it (symmetric RTP, RFC 4961; latching, RFC 7362 §4).
//!
//! Media goes to the signalled address until a packet is believed; from then on to where that came from. Believed are, the
//! better first: the signalled address; its host from another port; the host that signalled. For a short time after the first
//! packet a better source takes over; then the source is fixed, so that nobody can steer the media away by sending to the
//! port ("RTP bleed"). Three things still move it:
//!
//! * an authenticated packet (SRTP) that is newer than all before;
//! * the stream going on from elsewhere: same SSRC, next sequence numbers, after the old address fell silent: a NAT that
//!   rebound, a phone that changed networks. Who cannot see the stream cannot guess these;
//! * the same host beginning anew from another port, after a longer silence.
//!
//! A new signalled address starts over. No clock: `now` is an argument. It does not check packets; give it those whose format
//! (and, for SRTP, authentication) held.

use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant};

/// The times and counts of latching.
#[derive(Debug, Clone, Copy)]
pub struct LatchConfig {
    /// How long after the first believed packet a better source may take over.
    pub learning: Duration,
    /// How long the old address must be silent before the stream may go on from another.
    pub silence_for_move: Duration,
    /// How long it must be silent before the same host may begin anew from another port.
    pub silence_for_restart: Duration,
    /// How many packets in order a new source must show, where it is not believed at once.
    pub packets_to_confirm: u8,
    /// Whether, with nothing better, any host may become the source by `packets_to_confirm` packets. Needed where a NAT gives
    /// media another public address than signalling: whoever finds the port in time then gets the media. On a leg that is not
    /// behind a NAT (a carrier that sends from elsewhere than it receives) it is only heard: the destination stays as signalled.
    pub any_source: bool,
}

impl Default for LatchConfig {
    fn default() -> Self {
        Self {
            learning: Duration::from_secs(3),
            silence_for_move: Duration::from_millis(200),
            silence_for_restart: Duration::from_secs(2),
            packets_to_confirm: 3,
            any_source: false,
        }
    }
}

/// What a packet shows of its sender.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Evidence {
    /// Its SSRC; 0 for media that is not RTP.
    pub ssrc: u32,
    /// Its sequence number.
    pub sequence: u16,
    /// Whether it passed SRTP authentication and replay check.
    pub authenticated: bool,
}

/// What to do with a packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// Take it.
    Accept,
    /// Take it; the destination has moved to where it came from.
    Moved,
    /// Drop it.
    Refuse,
}

/// How far ahead a stream may be when it goes on from elsewhere, packets: a minute of 20 ms ones.
const GAP_MAX: u16 = 3_000;

/// How much an address is worth; less is better.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Rank {
    Signalled,
    SignalledHost,
    SignallingHost,
    Foreign,
}

#[derive(Debug, Clone, Copy)]
struct Source {
    address: SocketAddr,
    rank: Rank,
    ssrc: u32,
    sequence: u16,
    heard_at: Instant,
    fixed_at: Instant,
    /// Heard only: media for the leg goes on to the signalled address.
    one_way: bool,
}

#[derive(Debug, Clone, Copy)]
struct Candidate {
    address: SocketAddr,
    ssrc: u32,
    sequence: u16,
    count: u8,
}

/// The latch of one media stream of a leg.
#[derive(Debug, Clone)]
pub struct Latch {
    config: LatchConfig,
    signalled: Option<SocketAddr>,
    signalled_rtcp: Option<SocketAddr>,
    signalling_host: Option<IpAddr>,
    behind_nat: bool,
    source: Option<Source>,
    candidate: Option<Candidate>,
    rtcp_source: Option<SocketAddr>,
}

impl Latch {
    /// A latch that knows no address yet: all is refused.
    pub const fn new(config: LatchConfig) -> Self {
        Self {
            config,
            signalled: None,
            signalled_rtcp: None,
            signalling_host: None,
            behind_nat: false,
            source: None,
            candidate: None,
            rtcp_source: None,
        }
    }

    /// Takes what signalling says: the addresses in the SDP (for RTCP `None` when it shares the port), the host that sent
    /// the SDP, and whether there may be a NAT in between. A changed RTP address starts over; the same one changes nothing.
    pub fn signal(&mut self, rtp: SocketAddr, rtcp: Option<SocketAddr>, host: IpAddr, behind_nat: bool) {
        let changed = self.signalled != Some(rtp);
        self.signalled = Some(rtp);
        self.signalled_rtcp = rtcp;
        self.signalling_host = Some(host);
        self.behind_nat = behind_nat;
        if changed {
            self.source = None;
            self.candidate = None;
            self.rtcp_source = None;
        }
    }

    /// Where to send RTP. `None`: nowhere yet, since the leg is behind a NAT and was not heard.
    #[inline]
    pub fn destination(&self) -> Option<SocketAddr> {
        match self.source {
            Some(source) if !source.one_way => Some(source.address),
            Some(_) | None => self.signalled.filter(|address| self.believes(*address)),
        }
    }

    /// Where to send RTCP when it has a port of its own.
    pub fn rtcp_destination(&self) -> Option<SocketAddr> {
        match (self.rtcp_source, self.source) {
            (Some(address), _) => Some(address),
            // Not heard yet: what was signalled, but on the host where the media really is.
            (None, Some(source)) if !source.one_way => {
                self.signalled_rtcp.map(|address| SocketAddr::new(source.address.ip(), address.port()))
            }
            (None, _) => self.signalled_rtcp.filter(|address| self.believes(*address)),
        }
    }

    /// From where packets are accepted, once one was.
    pub fn source(&self) -> Option<SocketAddr> {
        self.source.map(|source| source.address)
    }

    fn believes(&self, address: SocketAddr) -> bool {
        !self.behind_nat || self.signalling_host == Some(address.ip())
    }

    fn rank(&self, from: SocketAddr) -> Rank {
        match self.signalled {
            Some(signalled) if signalled == from => Rank::Signalled,
            Some(signalled) if signalled.ip() == from.ip() => Rank::SignalledHost,
            _ if self.signalling_host == Some(from.ip()) => Rank::SignallingHost,
            _ => Rank::Foreign,
        }
    }

    /// Takes an RTP packet (or a packet of other media) from `from`.
    #[inline]
    pub fn receive(&mut self, now: Instant, from: SocketAddr, evidence: Evidence) -> Verdict {
        match &mut self.source {
            Some(source) if source.address == from => {
                // Late packets do not turn the sequence back.
                if evidence.ssrc != source.ssrc || evidence.sequence.wrapping_sub(source.sequence) < 0x8000 {
                    source.ssrc = evidence.ssrc;
                    source.sequence = evidence.sequence;
                }
                source.heard_at = now;
                self.candidate = None;
                Verdict::Accept
            }
            Some(source) => {
                let source = *source;
                self.receive_elsewhere(now, from, evidence, source)
            }
            None if self.signalled.is_none() => Verdict::Refuse,
            None => {
                let rank = self.rank(from);
                let believed = rank < Rank::Foreign || evidence.authenticated;
                if believed || (self.config.any_source && self.confirm(from, evidence)) {
                    let before = self.destination();
                    self.fix(now, from, rank, evidence);
                    if let Some(source) = &mut self.source {
                        source.one_way = !believed && !self.behind_nat;
                    }
                    if before == self.destination() { Verdict::Accept } else { Verdict::Moved }
                } else {
                    Verdict::Refuse
                }
            }
        }
    }

    fn receive_elsewhere(&mut self, now: Instant, from: SocketAddr, evidence: Evidence, source: Source) -> Verdict {
        let rank = self.rank(from);
        let silence = now.saturating_duration_since(source.heard_at);
        let ahead = evidence.sequence.wrapping_sub(source.sequence);
        let newer = (1..GAP_MAX).contains(&ahead);
        let learning = now.saturating_duration_since(source.fixed_at) < self.config.learning;
        let goes_on = evidence.ssrc == source.ssrc && newer && silence >= self.config.silence_for_move;
        let begins_anew = from.ip() == source.address.ip() && silence >= self.config.silence_for_restart;

        let believed = (learning && rank < source.rank)
            || (evidence.authenticated && (evidence.ssrc != source.ssrc || newer))
            || ((goes_on || begins_anew) && self.confirm(from, evidence));
        if !believed {
            return Verdict::Refuse;
        }
        let fixed_at = source.fixed_at;
        self.fix(now, from, rank, evidence);
        if let Some(source) = &mut self.source {
            source.fixed_at = fixed_at;
        }
        Verdict::Moved
    }

    /// Counts packets in order from one address; whether there are enough.
    fn confirm(&mut self, from: SocketAddr, evidence: Evidence) -> bool {
        let follows = self.candidate.is_some_and(|c| {
            c.address == from
                && c.ssrc == evidence.ssrc
                && (1..=8).contains(&evidence.sequence.wrapping_sub(c.sequence))
        });
        let count = if follows { self.candidate.map_or(1, |c| c.count.saturating_add(1)) } else { 1 };
        self.candidate = Some(Candidate { address: from, ssrc: evidence.ssrc, sequence: evidence.sequence, count });
        count >= self.config.packets_to_confirm
    }

    fn fix(&mut self, now: Instant, from: SocketAddr, rank: Rank, evidence: Evidence) {
        let moved_host = self.source.is_some_and(|source| source.address.ip() != from.ip());
        self.source = Some(Source {
            address: from,
            rank,
            ssrc: evidence.ssrc,
            sequence: evidence.sequence,
            heard_at: now,
            fixed_at: now,
            one_way: false,
        });
        self.candidate = None;
        if moved_host {
            self.rtcp_source = None;
        }
    }

    /// Takes an RTCP packet that came on its own port. It is accepted from the host of the media (or, before media, from a
    /// believed one) and fixes the RTCP destination there.
    pub fn receive_rtcp(&mut self, from: SocketAddr, authenticated: bool) -> Verdict {
        let believed = match self.source {
            Some(source) => source.address.ip() == from.ip(),
            None => self.signalled.is_some() && self.rank(from) < Rank::Foreign,
        };
        if !believed && !authenticated {
            return Verdict::Refuse;
        }
        let before = self.rtcp_destination();
        self.rtcp_source = Some(from);
        if before == Some(from) { Verdict::Accept } else { Verdict::Moved }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    const SDP: &str = "192.168.1.7:4000";
    const NAT: &str = "203.0.113.5:61000";

    fn address(text: &str) -> SocketAddr {
        text.parse().unwrap()
    }

    struct Leg {
        latch: Latch,
        now: Instant,
        sequence: u16,
    }

    impl Leg {
        fn new(signalled: &str, host: &str, behind_nat: bool) -> Self {
            let mut latch = Latch::new(LatchConfig::default());
            let rtp = address(signalled);
            latch.signal(rtp, Some(SocketAddr::new(rtp.ip(), rtp.port() + 1)), host.parse().unwrap(), behind_nat);
            Self { latch, now: Instant::now(), sequence: 65_530 }
        }
        fn natted() -> Self {
            Self::new(SDP, "203.0.113.5", true)
        }
        fn wait(&mut self, ms: u64) {
            self.now += Duration::from_millis(ms);
        }
        /// The peer's own next packet.
        fn next(&mut self, from: &str) -> Verdict {
            self.wait(20);
            self.sequence = self.sequence.wrapping_add(1);
            self.send(from, 77, self.sequence, false)
        }
        fn send(&mut self, from: &str, ssrc: u32, sequence: u16, authenticated: bool) -> Verdict {
            self.latch.receive(self.now, address(from), Evidence { ssrc, sequence, authenticated })
        }
    }

    #[test]
    fn rfc4961_media_goes_to_the_signalled_address_until_a_packet_comes() {
        let mut leg = Leg::new("198.51.100.9:4000", "198.51.100.1", false);
        assert_eq!(leg.latch.destination(), Some(address("198.51.100.9:4000")));
        assert_eq!(leg.latch.rtcp_destination(), Some(address("198.51.100.9:4001")));
        assert_eq!(leg.next("198.51.100.9:4000"), Verdict::Accept);
        let mut other_port = Leg::new("198.51.100.9:4000", "198.51.100.1", false);
        assert_eq!(other_port.next("198.51.100.9:5000"), Verdict::Moved);
        assert_eq!(other_port.latch.destination(), Some(address("198.51.100.9:5000")));
    }

    #[test]
    fn a_leg_behind_a_nat_gets_nothing_at_its_private_address_and_is_latched_by_its_first_packet() {
        let mut leg = Leg::natted();
        assert_eq!((leg.latch.destination(), leg.latch.rtcp_destination()), (None, None));
        assert_eq!(leg.next(NAT), Verdict::Moved);
        assert_eq!(leg.latch.destination(), Some(address(NAT)));
        assert_eq!(leg.latch.rtcp_destination(), Some(address("203.0.113.5:4001")));
        assert_eq!(leg.latch.receive_rtcp(address("203.0.113.5:61001"), false), Verdict::Moved);
        assert_eq!(leg.latch.rtcp_destination(), Some(address("203.0.113.5:61001")));
        assert_eq!(leg.latch.receive_rtcp(address("9.9.9.9:61001"), false), Verdict::Refuse);
    }

    #[test]
    fn rtp_bleed_a_stranger_gets_nothing_before_during_or_after_the_call() {
        let mut leg = Leg::natted();
        for n in 0..100 {
            assert_eq!(leg.send("9.9.9.9:9", 5, n, false), Verdict::Refuse);
        }
        assert_eq!(leg.next(NAT), Verdict::Moved);
        for n in 0..100 {
            assert_eq!(leg.send("9.9.9.9:9", 5, n, false), Verdict::Refuse);
            assert_eq!(leg.next(NAT), Verdict::Accept);
        }
        leg.wait(60_000);
        for n in 0..100 {
            assert_eq!(leg.send("9.9.9.9:9", 5, n, false), Verdict::Refuse, "no stream of its own");
            assert_eq!(leg.send("9.9.9.9:9", 77, 20_000 + n, false), Verdict::Refuse, "SSRC known, sequence guessed");
        }
        assert_eq!(leg.next(NAT), Verdict::Accept);
    }

    #[test]
    fn a_better_source_takes_over_only_while_learning() {
        let mut leg = Leg::new("198.51.100.9:4000", "198.51.100.1", false);
        assert_eq!(leg.send("198.51.100.1:9", 1, 1, false), Verdict::Moved);
        assert_eq!(leg.send("198.51.100.9:4000", 2, 1, false), Verdict::Moved);
        assert_eq!(leg.send("198.51.100.1:9", 1, 2, false), Verdict::Refuse, "not back to the worse");
        let mut late = Leg::new("198.51.100.9:4000", "198.51.100.1", false);
        assert_eq!(late.next("198.51.100.1:9"), Verdict::Moved);
        for _ in 0..200 {
            assert_eq!(late.next("198.51.100.1:9"), Verdict::Accept);
        }
        assert_eq!(late.send("198.51.100.9:4000", 2, 1, false), Verdict::Refuse);
    }

    #[test]
    fn a_nat_that_rebinds_keeps_its_call() {
        let mut leg = Leg::natted();
        for _ in 0..200 {
            leg.next(NAT);
        }
        assert_eq!(leg.next("203.0.113.5:62222"), Verdict::Refuse, "the old address spoke just now");
        let taken = (0..20).take_while(|_| leg.next("203.0.113.5:62222") == Verdict::Refuse).count();
        assert!(taken <= 12, "{taken} packets lost, a quarter of a second is enough");
        assert_eq!(leg.latch.destination(), Some(address("203.0.113.5:62222")));
        leg.wait(700);
        let taken = (0..20).take_while(|_| leg.next("192.0.2.77:1024") == Verdict::Refuse).count();
        assert_eq!(taken, 2, "another network: confirmed by the third packet");
        assert_eq!(leg.next(NAT), Verdict::Refuse);
    }

    #[test]
    fn a_device_that_begins_anew_on_another_port_of_its_host_is_found_again() {
        let mut leg = Leg::natted();
        leg.next(NAT);
        leg.wait(5_000);
        let verdicts: Vec<_> = (1..=3).map(|n| leg.send("203.0.113.5:7000", 99, n, false)).collect();
        assert_eq!(verdicts, [Verdict::Refuse, Verdict::Refuse, Verdict::Moved]);
    }

    #[test]
    fn authenticated_media_moves_at_once_but_an_old_packet_does_not_move_it_back() {
        let mut leg = Leg::natted();
        assert_eq!(leg.send("9.9.9.9:9", 1, 10, true), Verdict::Moved);
        assert_eq!(leg.send("8.8.8.8:8", 1, 11, true), Verdict::Moved);
        assert_eq!(leg.send("9.9.9.9:9", 1, 9, true), Verdict::Refuse);
        assert_eq!(leg.send("8.8.8.8:8", 1, 12, true), Verdict::Accept);
    }

    #[test]
    fn a_new_signalled_address_starts_over_and_the_same_one_does_not() {
        let mut leg = Leg::natted();
        leg.next(NAT);
        leg.latch.signal(address(SDP), None, "203.0.113.5".parse().unwrap(), true);
        assert_eq!(leg.latch.destination(), Some(address(NAT)));
        leg.latch.signal(address("198.51.100.9:4000"), None, "198.51.100.9".parse().unwrap(), false);
        assert_eq!(leg.latch.destination(), Some(address("198.51.100.9:4000")));
        assert_eq!(leg.next(NAT), Verdict::Refuse);
    }

    #[test]
    fn any_source_is_a_choice_and_needs_packets_in_order() {
        let mut leg = Leg::natted();
        leg.latch.config.any_source = true;
        assert_eq!(leg.next("9.9.9.9:9"), Verdict::Refuse);
        assert_eq!(leg.next("9.9.9.9:9"), Verdict::Refuse);
        assert_eq!(leg.next("9.9.9.9:9"), Verdict::Moved);
    }

    #[test]
    fn a_carrier_that_sends_from_elsewhere_is_heard_and_gets_its_media_where_it_signalled() {
        let mut leg = Leg::new("198.51.100.9:4000", "198.51.100.1", false);
        leg.latch.config.any_source = true;
        let verdicts: Vec<_> = (0..4).map(|_| leg.next("9.9.9.9:9")).collect();
        assert_eq!(verdicts, [Verdict::Refuse, Verdict::Refuse, Verdict::Accept, Verdict::Accept]);
        assert_eq!(leg.latch.destination(), Some(address("198.51.100.9:4000")));
        assert_eq!(leg.latch.rtcp_destination(), Some(address("198.51.100.9:4001")));
        assert_eq!(leg.send("198.51.100.9:4000", 5, 1, false), Verdict::Moved, "a better one takes over");
    }
}
