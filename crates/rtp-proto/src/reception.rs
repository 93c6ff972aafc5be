//! What a receiver knows of one source: extended sequence numbers, loss and jitter (RFC 3550 A.1, A.3, A.8).
//! Counting only; nothing is reordered or held back.

use std::time::Instant;

use crate::rtcp::ReportBlock;

/// A gap that large, forwards, is a restart and not loss (RFC 3550 A.1).
const DROPOUT_MAX: u16 = 3_000;
/// A packet that late is a restart and not reordering (RFC 3550 A.1).
const MISORDER_MAX: u16 = 100;

/// Extends 16-bit sequence numbers over roll-overs, following restarts of the source (RFC 3550 A.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SequenceExtender {
    highest: u16,
    cycles: u32,
    /// The number after a suspicious jump; a second packet in order there proves a restart.
    restart_at: Option<u16>,
}

/// How a packet relates to those before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Order {
    /// New highest number, with its extended value.
    Ahead(u32),
    /// Late or doubled.
    Behind(u32),
    /// A jump too large to believe yet; not to be counted.
    Suspicious,
    /// The source began anew.
    Restarted,
}

impl SequenceExtender {
    /// Starts at the first number seen.
    pub const fn new(first: u16) -> Self {
        Self { highest: first, cycles: 0, restart_at: None }
    }

    /// Takes the next packet's number.
    pub fn push(&mut self, sequence: u16) -> Order {
        let ahead = sequence.wrapping_sub(self.highest);
        if ahead < DROPOUT_MAX {
            if sequence < self.highest {
                self.cycles = self.cycles.wrapping_add(1 << 16);
            }
            self.highest = sequence;
            self.restart_at = None;
            return if ahead == 0 { Order::Behind(self.extended()) } else { Order::Ahead(self.extended()) };
        }
        if ahead > u16::MAX - MISORDER_MAX {
            let cycles = if sequence > self.highest { self.cycles.wrapping_sub(1 << 16) } else { self.cycles };
            return Order::Behind(cycles | u32::from(sequence));
        }
        if self.restart_at == Some(sequence) {
            *self = Self::new(sequence);
            return Order::Restarted;
        }
        self.restart_at = Some(sequence.wrapping_add(1));
        Order::Suspicious
    }

    /// The highest number seen, extended by its roll-overs.
    pub const fn extended(&self) -> u32 {
        self.cycles | self.highest as u32
    }
}

/// Statistics of one source.
#[derive(Debug, Clone, Copy)]
pub struct Reception {
    ssrc: u32,
    sequence: SequenceExtender,
    base: u32,
    received: u64,
    /// Lost before the last restart of the source.
    lost_before: u64,
    expected_before_report: u32,
    received_before_report: u64,
    received_since_restart: u64,
    /// Jitter in timestamp units, scaled by 16 as in RFC 3550 A.8.
    jitter_scaled: u32,
    last: Option<(Instant, u32)>,
}

impl Reception {
    /// Starts with the first packet of a source.
    pub fn new(now: Instant, ssrc: u32, sequence: u16, timestamp: u32) -> Self {
        Self {
            ssrc,
            sequence: SequenceExtender::new(sequence),
            base: u32::from(sequence),
            received: 1,
            lost_before: 0,
            expected_before_report: 0,
            received_before_report: 0,
            received_since_restart: 1,
            jitter_scaled: 0,
            last: Some((now, timestamp)),
        }
    }

    /// Whose statistics these are.
    pub const fn ssrc(&self) -> u32 {
        self.ssrc
    }

    /// Takes a further packet, received at `now`; `clock_rate_hz` is that of its payload type.
    #[inline]
    pub fn push(&mut self, now: Instant, sequence: u16, timestamp: u32, clock_rate_hz: u32) {
        self.received += 1;
        self.received_since_restart += 1;
        let expected_before = u64::from(self.expected());
        match self.sequence.push(sequence) {
            Order::Ahead(_) => self.push_jitter(now, timestamp, clock_rate_hz),
            // One from before the first that was seen.
            Order::Behind(extended) if (extended.wrapping_sub(self.base) as i32) < 0 => self.base = extended,
            Order::Behind(_) => {}
            Order::Suspicious => self.last = None,
            Order::Restarted => {
                // The suspicious packet just before this one belongs to the new run.
                self.lost_before += expected_before.saturating_sub(self.received_since_restart.saturating_sub(2));
                // It counts as the one before this, even over the end of the number range.
                self.base = u32::from(sequence).wrapping_sub(1);
                self.received_since_restart = 2;
                self.received_before_report = 0;
                self.expected_before_report = 0;
                self.last = Some((now, timestamp));
            }
        }
    }

    fn push_jitter(&mut self, now: Instant, timestamp: u32, clock_rate_hz: u32) {
        if let Some((last_at, last_timestamp)) = self.last {
            let passed_us = now.saturating_duration_since(last_at).as_micros() as u64;
            let passed_units = (passed_us * u64::from(clock_rate_hz) / 1_000_000) as u32;
            let difference = (passed_units.wrapping_sub(timestamp.wrapping_sub(last_timestamp)) as i32).unsigned_abs();
            // A timestamp jump (talk spurt, source switch) of over two seconds is not jitter.
            if difference < clock_rate_hz.saturating_mul(2) {
                self.jitter_scaled = self.jitter_scaled + difference - ((self.jitter_scaled + 8) >> 4);
            }
        }
        self.last = Some((now, timestamp));
    }

    fn expected(&self) -> u32 {
        self.sequence.extended().wrapping_sub(self.base).wrapping_add(1)
    }

    /// Packets received, late and doubled ones included.
    pub const fn packets_received(&self) -> u64 {
        self.received
    }

    /// Packets that never came; doubled ones may hide some (RFC 3550 A.3), never below 0.
    pub fn packets_lost(&self) -> u64 {
        self.lost_before + u64::from(self.expected()).saturating_sub(self.received_since_restart)
    }

    /// Interarrival jitter in timestamp units (RFC 3550 A.8).
    pub const fn jitter(&self) -> u32 {
        self.jitter_scaled >> 4
    }

    /// Interarrival jitter in microseconds.
    pub fn jitter_us(&self, clock_rate_hz: u32) -> u32 {
        (u64::from(self.jitter()) * 1_000_000 / u64::from(clock_rate_hz.max(1))) as u32
    }

    /// The highest sequence number, extended.
    pub const fn highest_sequence(&self) -> u32 {
        self.sequence.extended()
    }

    /// The report block of now; starts a new reporting interval (RFC 3550 A.3). `last_sr` and `delay` are what §6.4.1 calls
    /// LSR and DLSR.
    pub fn report(&mut self, last_sr: u32, delay: u32) -> ReportBlock {
        let expected = self.expected();
        let expected_interval = expected.wrapping_sub(self.expected_before_report);
        let received_interval = self.received_since_restart.saturating_sub(self.received_before_report);
        let lost_interval = u64::from(expected_interval).saturating_sub(received_interval);
        self.expected_before_report = expected;
        self.received_before_report = self.received_since_restart;
        let fraction = (lost_interval * 256).checked_div(u64::from(expected_interval)).unwrap_or(0);
        ReportBlock {
            ssrc: self.ssrc,
            fraction_lost: fraction.min(255) as u8,
            packets_lost: self.packets_lost().min(0x7f_ffff) as i32,
            highest_sequence: self.sequence.extended(),
            jitter: self.jitter(),
            last_sr,
            delay_since_last_sr: delay,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    fn run(sequences: impl IntoIterator<Item = u16>) -> Reception {
        let start = Instant::now();
        let mut all = sequences.into_iter();
        let first = all.next().unwrap_or_default();
        let mut reception = Reception::new(start, 1, first, 0);
        for (n, sequence) in all.enumerate() {
            let n = n as u32 + 1;
            reception.push(start + Duration::from_millis(20) * n, sequence, 160 * n, 8000);
        }
        reception
    }

    #[test]
    fn rfc3550_a1_sequence_numbers_roll_over() {
        let reception = run((0..200_000u32).map(|n| (65_000 + n) as u16));
        assert_eq!(reception.highest_sequence(), 65_000 + 199_999);
        assert_eq!(reception.packets_lost(), 0);
    }

    #[test]
    fn rfc3550_a3_lost_packets_are_counted_and_late_ones_are_not_lost() {
        assert_eq!(run([1, 2, 5, 6]).packets_lost(), 2);
        assert_eq!(run([1, 2, 5, 3, 4, 6]).packets_lost(), 0);
        assert_eq!(run([5, 4, 6]).packets_lost(), 0, "one before the first");
    }

    #[test]
    fn a_restarted_source_is_not_a_loss_of_thousands() {
        let mut numbers: Vec<u16> = (1..=100).filter(|n| *n != 50).collect();
        numbers.extend(30_000..30_100u16);
        let reception = run(numbers);
        assert_eq!(reception.packets_lost(), 1);
        assert_eq!(reception.highest_sequence(), 30_099);
        assert_eq!(reception.packets_received(), 199);
    }

    #[test]
    fn rfc3550_a8_even_spacing_has_no_jitter_and_uneven_spacing_converges() {
        assert_eq!(run(0..500).jitter(), 0);
        let start = Instant::now();
        let mut reception = Reception::new(start, 1, 0, 0);
        for n in 1..2_000u32 {
            let wobble = if n % 2 == 0 { 5 } else { 0 };
            reception.push(start + Duration::from_millis(u64::from(20 * n + wobble)), n as u16, 160 * n, 8000);
        }
        let us = reception.jitter_us(8000);
        assert!((4_000..=5_100).contains(&us), "{us}");
    }

    #[test]
    fn rfc3550_6_4_1_a_report_covers_its_interval() {
        let mut reception = run((0..100u16).filter(|n| n % 4 != 3));
        let report = reception.report(0, 0);
        assert_eq!((report.fraction_lost, report.packets_lost), (62, 24), "the last of the four is not expected yet");
        assert_eq!(reception.report(0, 0).fraction_lost, 0);
    }
}
