//! What is counted per stream: written by the one worker that has it, read by anybody. No lock, no read-modify-write.

use std::sync::atomic::{AtomicU32, AtomicU64, Ordering::Relaxed};
use std::time::Instant;

use rtp_proto::{Reception, RtpHeader};

/// Sources of a stream whose statistics are kept apart; a further one takes the place of the oldest.
const SOURCES_MAX: usize = 8;

/// Counters of one stream.
#[derive(Debug, Default)]
pub(crate) struct StreamStats {
    pub(crate) packets_received: AtomicU64,
    pub(crate) bytes_received: AtomicU64,
    pub(crate) packets_sent: AtomicU64,
    pub(crate) packets_refused: AtomicU64,
    pub(crate) packets_lost: AtomicU64,
    pub(crate) jitter_us: AtomicU32,
    /// When a packet last came, milliseconds since the relay started; 0: never.
    pub(crate) heard_at_ms: AtomicU64,
}

/// Adds to a counter that only this thread writes.
#[inline]
pub(crate) fn add(counter: &AtomicU64, n: u64) {
    counter.store(counter.load(Relaxed).wrapping_add(n), Relaxed);
}

/// Reception statistics of the sources of a stream (RFC 3550 A.1, A.3, A.8).
#[derive(Debug, Default)]
pub(crate) struct Receptions {
    all: Vec<Reception>,
    last: usize,
    lost_before: u64,
}

impl Receptions {
    /// Takes a packet and writes loss and jitter out.
    #[inline]
    pub(crate) fn push(&mut self, now: Instant, header: &RtpHeader, clock_rate_hz: u32, stats: &StreamStats) {
        let known = self.all.get(self.last).is_some_and(|reception| reception.ssrc() == header.ssrc);
        if !known && !self.find_or_add(now, header) {
            return;
        }
        let reception = &mut self.all[self.last];
        reception.push(now, header.sequence, header.timestamp, clock_rate_hz);
        stats.jitter_us.store(reception.jitter_us(clock_rate_hz), Relaxed);
        let lost: u64 = self.all.iter().map(Reception::packets_lost).sum();
        stats.packets_lost.store(self.lost_before + lost, Relaxed);
    }

    /// Finds the source; `false` when it is new, so that its first packet is already counted.
    fn find_or_add(&mut self, now: Instant, header: &RtpHeader) -> bool {
        if let Some(place) = self.all.iter().position(|reception| reception.ssrc() == header.ssrc) {
            self.last = place;
            return true;
        }
        if self.all.len() == SOURCES_MAX {
            self.lost_before += self.all.remove(0).packets_lost();
        }
        self.all.push(Reception::new(now, header.ssrc, header.sequence, header.timestamp));
        self.last = self.all.len() - 1;
        false
    }
}
