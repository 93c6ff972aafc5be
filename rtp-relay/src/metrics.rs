//! The relay's metrics. Workers add to them once per round, not per packet.

use telemetry::{Counter, Gauge, Unit, metrics};

/// Handles of all of them.
#[derive(Debug, Clone)]
pub(crate) struct RelayMetrics {
    pub(crate) sessions: Gauge,
    pub(crate) packets: Counter,
    pub(crate) bytes: Counter,
    pub(crate) refused: Counter,
    pub(crate) unsent: Counter,
    pub(crate) timeouts: Counter,
    pub(crate) exhausted: Counter,
}

impl RelayMetrics {
    pub(crate) fn new() -> Self {
        let all = metrics();
        Self {
            sessions: all.gauge("rtp_relay_sessions", "Media sessions that exist", Unit::Count),
            packets: all.counter("rtp_relay_packets", "Packets passed on"),
            bytes: all.counter("rtp_relay_bytes", "Bytes of packets passed on, as sent"),
            refused: all.counter("rtp_relay_packets_refused", "Packets from a wrong source, forged or replayed"),
            unsent: all.counter("rtp_relay_packets_unsent", "Packets that the system did not take"),
            timeouts: all.counter("rtp_relay_timeouts", "Sessions reported as dead"),
            exhausted: all.counter("rtp_relay_offers_refused", "Offers refused for want of ports or room"),
        }
    }
}
