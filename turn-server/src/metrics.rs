//! What the workers counted, as metrics. Workers count for themselves and report differences once a second.

use std::sync::LazyLock;

use stun_proto::turn::{Counters, Traffic};
use telemetry::{Counter, Gauge, Unit, metrics};

struct Handles {
    bindings: Counter,
    granted: Counter,
    refusals: Counter,
    challenges: Counter,
    malformed: Counter,
    dropped: Counter,
    send_failures: Counter,
    packets: [Counter; 2],
    bytes: [Counter; 2],
    running: Gauge,
}

static HANDLES: LazyLock<Handles> = LazyLock::new(|| {
    let all = metrics();
    let packets = all.counters("turn_packets", "Relayed datagrams.", &["direction"]);
    let bytes = all.counters("turn_payload_bytes", "Relayed payload.", &["direction"]);
    Handles {
        bindings: all.counter("turn_bindings", "Binding requests answered."),
        granted: all.counter("turn_allocations_granted", "Allocations granted."),
        refusals: all.counter("turn_refusals", "Requests refused, without the first challenge of a client."),
        challenges: all.counter("turn_challenges", "Answers 401 and 438."),
        malformed: all.counter("turn_malformed", "Datagrams that were neither STUN nor ChannelData."),
        dropped: all.counter("turn_dropped", "Payload without allocation, channel or permission, or to a closed peer."),
        send_failures: all.counter("turn_send_failures", "Datagrams that the system did not take."),
        packets: ["to_peer", "from_peer"].map(|direction| packets.with([direction])),
        bytes: ["to_peer", "from_peer"].map(|direction| bytes.with([direction])),
        running: all.gauge("turn_allocations", "Allocations that run.", Unit::Count),
    }
});

/// What one worker reported so far.
#[derive(Debug, Default)]
pub(crate) struct Report {
    last: Counters,
    last_failures: u64,
    last_running: i64,
}

impl Report {
    /// Adds what happened since the last report.
    pub(crate) fn publish(&mut self, now: Counters, send_failures: u64, running: usize) {
        let (last, handles) = (self.last, &*HANDLES);
        handles.bindings.add(now.bindings - last.bindings);
        handles.granted.add(now.allocations - last.allocations);
        handles.refusals.add(now.refusals - last.refusals);
        handles.challenges.add(now.challenges - last.challenges);
        handles.malformed.add(now.malformed - last.malformed);
        handles.dropped.add(now.dropped - last.dropped);
        handles.send_failures.add(send_failures - self.last_failures);
        let ways = [(now.to_peers, last.to_peers), (now.from_peers, last.from_peers)];
        for (n, (now, last)) in ways.into_iter().enumerate() {
            handles.packets[n].add(now.packets - last.packets);
            handles.bytes[n].add(now.bytes - last.bytes);
        }
        // Workers share the gauge: each one moves it by its own difference.
        let running = i64::try_from(running).unwrap_or(i64::MAX);
        for _ in 0..(running - self.last_running).max(0) {
            handles.running.increment();
        }
        for _ in 0..(self.last_running - running).max(0) {
            handles.running.decrement();
        }
        (self.last, self.last_failures, self.last_running) = (now, send_failures, running);
    }
}

/// Adds up the counters of two workers.
pub(crate) fn add(sum: &mut Counters, other: &Counters) {
    let traffic = |a: Traffic, b: Traffic| Traffic { packets: a.packets + b.packets, bytes: a.bytes + b.bytes };
    *sum = Counters {
        bindings: sum.bindings + other.bindings,
        allocations: sum.allocations + other.allocations,
        refusals: sum.refusals + other.refusals,
        challenges: sum.challenges + other.challenges,
        malformed: sum.malformed + other.malformed,
        dropped: sum.dropped + other.dropped,
        to_peers: traffic(sum.to_peers, other.to_peers),
        from_peers: traffic(sum.from_peers, other.from_peers),
    };
}
