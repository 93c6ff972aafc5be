//! What the switch tells about itself: logs, metrics, health. It decides nothing and keeps no personal data; what must not
//! show is wrapped in `base::Pii` or `base::Secret` by whoever logs it.

mod door;
mod health;
mod log;
mod metric;
mod panic;

pub use door::Door;
pub use health::{Component, Health, Readiness};
pub use log::{LogFormat, LogOptions, start_logs};
pub use metric::{Counter, Counters, Gauge, Gauges, Histogram, Histograms, Metrics, SECONDS_BUCKETS, Unit, metrics};
pub use panic::log_panics;

/// What can go wrong while starting.
#[derive(Debug, thiserror::Error)]
pub enum TelemetryError {
    /// The level filter cannot be read.
    #[error("log filter `{filter}`: {reason}")]
    Malformed {
        /// As configured.
        filter: String,
        /// What is wrong.
        reason: String,
    },
    /// Logs were started before in this process.
    #[error("logs were started before in this process")]
    LogsStarted,
    /// The system refused the listener.
    #[error("health door: {0}")]
    Unavailable(#[from] std::io::Error),
}
