//! What the media role counts.

use std::sync::LazyLock;

use telemetry::{Counter, Counters, Gauge, Unit, metrics};

pub(crate) struct Handles {
    /// Legs by application.
    pub(crate) legs: Counters<1>,
    pub(crate) running: Gauge,
    pub(crate) shed: Counter,
    pub(crate) silent: Counter,
    pub(crate) unsent: Counter,
    pub(crate) late_ticks: Counter,
}

pub(crate) static METRICS: LazyLock<Handles> = LazyLock::new(|| Handles {
    legs: metrics().counters("media_legs", "Legs taken, by application.", &["app"]),
    running: metrics().gauge("media_sessions", "Legs that run.", Unit::Count),
    shed: metrics().counter("media_legs_shed", "Legs refused because there was no room or port."),
    silent: metrics().counter("media_legs_silent", "Legs hung up because no media came."),
    unsent: metrics().counter("media_sip_unsent", "SIP messages lost because the proxy did not take them."),
    late_ticks: metrics().counter("media_late_ticks", "Ticks of 20 ms that came over 20 ms late."),
});
