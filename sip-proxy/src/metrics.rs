//! What the proxy counts. Names and meanings are in `docs/operations.md`.

use telemetry::{Counter, Gauge, Unit};

/// Counters and gauges of the proxy.
#[derive(Debug, Clone)]
pub(crate) struct Metrics {
    pub(crate) calls_running: Gauge,
    pub(crate) calls_started: Counter,
    pub(crate) calls_refused: Counter,
    pub(crate) registrations: Gauge,
    pub(crate) registers_accepted: Counter,
    pub(crate) registers_refused: Counter,
    pub(crate) challenges: Counter,
    pub(crate) shed: Counter,
    pub(crate) unsent: Counter,
}

impl Metrics {
    pub(crate) fn register() -> Self {
        let metrics = telemetry::metrics();
        Self {
            calls_running: metrics.gauge(
                "sip_proxy_calls_running",
                "Calls between INVITE and the end of their records",
                Unit::Count,
            ),
            calls_started: metrics.counter("sip_proxy_calls_started", "Calls whose record was opened"),
            calls_refused: metrics.counter("sip_proxy_calls_refused", "INVITEs refused before a call was made"),
            registrations: metrics.gauge("sip_proxy_registrations", "Registered contacts", Unit::Count),
            registers_accepted: metrics.counter("sip_proxy_registers_accepted", "REGISTER requests answered with 200"),
            registers_refused: metrics
                .counter("sip_proxy_registers_refused", "REGISTER requests refused, challenges apart"),
            challenges: metrics.counter("sip_proxy_challenges", "401 and 407 answers"),
            shed: metrics.counter("sip_proxy_messages_shed", "Messages dropped because a shard's queue was full"),
            unsent: metrics.counter("sip_proxy_messages_unsent", "Messages that no socket or connection took"),
        }
    }
}
