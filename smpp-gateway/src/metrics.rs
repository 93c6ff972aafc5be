//! What the gateway counts.

use telemetry::{Counter, Counters, Gauges, Histograms, SECONDS_BUCKETS, Unit, metrics};

/// Handles to every metric of the gateway.
#[derive(Debug, Clone)]
pub(crate) struct Metrics {
    /// Parts taken from the queue.
    pub(crate) claimed: Counter,
    /// Parts given back unsent.
    pub(crate) returned: Counter,
    /// Answers to submit_sm, by carrier and command_status.
    pub(crate) answers: Counters<2>,
    /// Parts sent without an answer in time, by carrier.
    pub(crate) unanswered: Counters<1>,
    /// From submit to its answer, by carrier.
    pub(crate) answer_wait: Histograms<1>,
    /// What carriers delivered, by carrier and what became of it.
    pub(crate) deliveries: Counters<2>,
    /// 1 while bound, by carrier.
    pub(crate) bound: Gauges<1>,
    /// Ends of binds and of attempts to bind, by carrier.
    pub(crate) unbound: Counters<1>,
    /// Pauses that a carrier asked for, by carrier.
    pub(crate) pauses: Counters<1>,
}

impl Metrics {
    pub(crate) fn new() -> Self {
        let all = metrics();
        Self {
            claimed: all.counter("smpp_parts_claimed", "Text parts taken from the queue."),
            returned: all.counter("smpp_parts_returned", "Text parts given back to the queue unsent."),
            answers: all.counters("smpp_submit_answers", "Answers to submit_sm.", &["carrier", "status"]),
            unanswered: all.counters("smpp_submits_unanswered", "submit_sm without an answer in time.", &["carrier"]),
            answer_wait: all.histograms(
                "smpp_submit_wait",
                "Time from handing a part to its bind to the carrier's answer.",
                Unit::Seconds,
                &SECONDS_BUCKETS,
                &["carrier"],
            ),
            deliveries: all.counters("smpp_deliveries", "deliver_sm and data_sm received.", &["carrier", "outcome"]),
            bound: all.gauges("smpp_bound", "1 while bound to the carrier.", Unit::Count, &["carrier"]),
            unbound: all.counters("smpp_binds_ended", "Binds and attempts to bind that ended.", &["carrier"]),
            pauses: all.counters("smpp_pauses", "Pauses because the carrier throttled.", &["carrier"]),
        }
    }
}
