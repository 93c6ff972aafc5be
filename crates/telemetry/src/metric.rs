//! The one registry of metric names. A service asks for a metric by name once, keeps the handle, and counts without a lock.
//!
//! Names are `<service>_<noun>`; the unit and `_total` are appended by their kind, as OpenMetrics wants it. Asking for the
//! same name again gives the same metric, so that several switches in one process (tests) share it.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, LazyLock, Mutex, PoisonError};

use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter as RawCounter;
use prometheus_client::metrics::family::{Family, MetricConstructor};
use prometheus_client::metrics::gauge::Gauge as RawGauge;
use prometheus_client::metrics::histogram::Histogram as RawHistogram;
use prometheus_client::registry::{Metric, Registry, Unit as RawUnit};

/// Most label combinations of one name. What comes after them is counted under the value `other` in every label, so that
/// a peer cannot fill the memory by inventing values.
const SERIES_MAX: usize = 1_000;

/// Buckets for waiting times, seconds: from half a millisecond to a minute.
pub const SECONDS_BUCKETS: [f64; 16] =
    [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0];

/// What a value counts; it becomes the end of the name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unit {
    /// Things, named by the metric itself; nothing is appended.
    Count,
    /// `_seconds`
    Seconds,
    /// `_bytes`
    Bytes,
    /// `_ratio`, 0 to 1.
    Ratio,
}

/// Only grows.
#[derive(Debug, Clone, Default)]
pub struct Counter(RawCounter);

/// Goes up and down.
#[derive(Debug, Clone, Default)]
pub struct Gauge(RawGauge);

/// A distribution in fixed buckets.
#[derive(Debug, Clone)]
pub struct Histogram(RawHistogram);

type Labels = Vec<(&'static str, String)>;

/// Series of one name that differ by labels.
#[derive(Debug)]
struct Series<M, C = fn() -> M> {
    names: &'static [&'static str],
    family: Family<Labels, M, C>,
    count: Arc<AtomicUsize>,
}

/// Counters that differ by labels.
#[derive(Debug, Clone)]
pub struct Counters<const N: usize>(Series<RawCounter>);

/// Gauges that differ by labels.
#[derive(Debug, Clone)]
pub struct Gauges<const N: usize>(Series<RawGauge>);

/// Histograms that differ by labels.
#[derive(Debug, Clone)]
pub struct Histograms<const N: usize>(Series<RawHistogram, Buckets>);

/// Bounds of a histogram, ascending.
#[derive(Debug, Clone)]
struct Buckets(Arc<[f64]>);

impl MetricConstructor<RawHistogram> for Buckets {
    fn new_metric(&self) -> RawHistogram {
        RawHistogram::new(self.0.iter().copied())
    }
}

impl Counter {
    /// One more.
    pub fn increment(&self) {
        self.0.inc();
    }

    /// `n` more.
    pub fn add(&self, n: u64) {
        self.0.inc_by(n);
    }

    /// What it shows.
    pub fn value(&self) -> u64 {
        self.0.get()
    }
}

impl Gauge {
    /// Shows `value`.
    pub fn set(&self, value: i64) {
        self.0.set(value);
    }

    /// One more.
    pub fn increment(&self) {
        self.0.inc();
    }

    /// One less.
    pub fn decrement(&self) {
        self.0.dec();
    }

    /// What it shows.
    pub fn value(&self) -> i64 {
        self.0.get()
    }
}

impl Histogram {
    /// Counts one observation.
    pub fn observe(&self, value: f64) {
        self.0.observe(value);
    }
}

impl<M: Clone, C: MetricConstructor<M>> Series<M, C> {
    fn new(names: &'static [&'static str], family: Family<Labels, M, C>) -> Self {
        Self { names, family, count: Arc::default() }
    }

    fn with(&self, values: &[&str]) -> M {
        let label = |value: &dyn Fn(usize) -> String| -> Labels {
            self.names.iter().enumerate().map(|(n, name)| (*name, value(n))).collect()
        };
        let wanted = label(&|n| values.get(n).copied().unwrap_or_default().to_owned());
        if let Some(known) = self.family.get(&wanted) {
            return known.clone();
        }
        if self.count.fetch_add(1, Ordering::Relaxed) >= SERIES_MAX {
            return self.family.get_or_create_owned(&label(&|_| "other".to_owned()));
        }
        self.family.get_or_create_owned(&wanted)
    }
}

impl<M, C: Clone> Clone for Series<M, C> {
    fn clone(&self) -> Self {
        Self { names: self.names, family: self.family.clone(), count: Arc::clone(&self.count) }
    }
}

macro_rules! with {
    ($family:ident, $handle:ident) => {
        impl<const N: usize> $family<N> {
            /// The series with these label values, in the order of the names. It takes a lock: keep the handle where it is hot.
            pub fn with(&self, values: [&str; N]) -> $handle {
                $handle(self.0.with(&values))
            }
        }
    };
}
with!(Counters, Counter);
with!(Gauges, Gauge);
with!(Histograms, Histogram);

/// Every metric of the process.
#[derive(Debug, Default)]
pub struct Metrics {
    inner: Mutex<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    registry: Registry,
    known: BTreeMap<&'static str, Known>,
}

#[derive(Debug, Clone)]
enum Known {
    Counter(Counter),
    Gauge(Gauge),
    Histogram(Histogram),
    Counters(Series<RawCounter>),
    Gauges(Series<RawGauge>),
    Histograms(Series<RawHistogram, Buckets>),
}

/// The registry of this process.
pub fn metrics() -> &'static Metrics {
    static METRICS: LazyLock<Metrics> = LazyLock::new(Metrics::default);
    &METRICS
}

impl Metrics {
    /// A counter; `_total` is appended.
    pub fn counter(&self, name: &'static str, help: &'static str) -> Counter {
        let fresh = Counter::default();
        match self.register(name, help, Unit::Count, fresh.0.clone(), Known::Counter(fresh.clone())) {
            Known::Counter(known) => known,
            other => mismatch(name, &other, fresh),
        }
    }

    /// A gauge.
    pub fn gauge(&self, name: &'static str, help: &'static str, unit: Unit) -> Gauge {
        let fresh = Gauge::default();
        match self.register(name, help, unit, fresh.0.clone(), Known::Gauge(fresh.clone())) {
            Known::Gauge(known) => known,
            other => mismatch(name, &other, fresh),
        }
    }

    /// A histogram with the given bounds, ascending.
    pub fn histogram(&self, name: &'static str, help: &'static str, unit: Unit, bounds: &[f64]) -> Histogram {
        let fresh = Histogram(RawHistogram::new(bounds.iter().copied()));
        match self.register(name, help, unit, fresh.0.clone(), Known::Histogram(fresh.clone())) {
            Known::Histogram(known) => known,
            other => mismatch(name, &other, fresh),
        }
    }

    /// Counters with labels; `_total` is appended.
    pub fn counters<const N: usize>(
        &self,
        name: &'static str,
        help: &'static str,
        labels: &'static [&'static str; N],
    ) -> Counters<N> {
        let fresh = Series::new(labels, Family::default());
        match self.register(name, help, Unit::Count, fresh.family.clone(), Known::Counters(fresh.clone())) {
            Known::Counters(known) if known.names == labels => Counters(known),
            other => mismatch(name, &other, Counters(fresh)),
        }
    }

    /// Gauges with labels.
    pub fn gauges<const N: usize>(
        &self,
        name: &'static str,
        help: &'static str,
        unit: Unit,
        labels: &'static [&'static str; N],
    ) -> Gauges<N> {
        let fresh = Series::new(labels, Family::default());
        match self.register(name, help, unit, fresh.family.clone(), Known::Gauges(fresh.clone())) {
            Known::Gauges(known) if known.names == labels => Gauges(known),
            other => mismatch(name, &other, Gauges(fresh)),
        }
    }

    /// Histograms with labels and the given bounds, ascending.
    pub fn histograms<const N: usize>(
        &self,
        name: &'static str,
        help: &'static str,
        unit: Unit,
        bounds: &[f64],
        labels: &'static [&'static str; N],
    ) -> Histograms<N> {
        let fresh = Series::new(labels, Family::new_with_constructor(Buckets(bounds.into())));
        match self.register(name, help, unit, fresh.family.clone(), Known::Histograms(fresh.clone())) {
            Known::Histograms(known) if known.names == labels => Histograms(known),
            other => mismatch(name, &other, Histograms(fresh)),
        }
    }

    /// Everything in the OpenMetrics 1.0 text format.
    pub fn render(&self) -> Result<String, std::fmt::Error> {
        let inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        let mut text = String::new();
        encode(&mut text, &inner.registry)?;
        Ok(text)
    }

    /// Registers a new name, or gives back what it already stands for.
    fn register(&self, name: &'static str, help: &str, unit: Unit, metric: impl Metric, fresh: Known) -> Known {
        let mut inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = inner.known.get(name) {
            return known.clone();
        }
        let help = help.trim_end_matches('.');
        match unit {
            Unit::Count => inner.registry.register(name, help, metric),
            Unit::Seconds => inner.registry.register_with_unit(name, help, RawUnit::Seconds, metric),
            Unit::Bytes => inner.registry.register_with_unit(name, help, RawUnit::Bytes, metric),
            Unit::Ratio => inner.registry.register_with_unit(name, help, RawUnit::Ratios, metric),
        }
        inner.known.insert(name, fresh.clone());
        fresh
    }
}

/// Two services use one name for different things: the second counts where nobody sees it, and says so.
fn mismatch<T>(name: &str, known: &Known, unseen: T) -> T {
    tracing::error!(name, ?known, "the metric is registered with another type or other labels");
    unseen
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_text_has_help_unit_labels_and_total() -> std::fmt::Result {
        let metrics = Metrics::default();
        let requests = metrics.counters("sip_requests", "Requests by method.", &["method"]);
        requests.with(["INVITE"]).add(2);
        metrics.gauge("calls", "Calls that run.", Unit::Count).set(5);
        metrics.histogram("api_wait", "Waiting time.", Unit::Seconds, &SECONDS_BUCKETS).observe(0.003);
        let text = metrics.render()?;
        for line in [
            "# HELP sip_requests Requests by method.",
            "sip_requests_total{method=\"INVITE\"} 2",
            "calls 5",
            "# UNIT api_wait_seconds seconds",
            "api_wait_seconds_bucket{le=\"0.005\"} 1",
            "# EOF",
        ] {
            assert!(text.contains(line), "{line} is missing in\n{text}");
        }
        Ok(())
    }

    #[test]
    fn one_name_is_one_metric() {
        let metrics = Metrics::default();
        metrics.counter("a", "A.").increment();
        metrics.counter("a", "A.").increment();
        assert_eq!(metrics.counter("a", "A.").value(), 2);
        assert_eq!(metrics.gauge("a", "Another kind.", Unit::Count).value(), 0);
        assert_eq!(metrics.counter("a", "A.").value(), 2);
    }

    #[test]
    fn invented_label_values_do_not_pile_up() {
        let metrics = Metrics::default();
        let family = metrics.counters("b", "B.", &["peer"]);
        for n in 0..SERIES_MAX + 500 {
            family.with([&n.to_string()]).increment();
        }
        assert_eq!(family.with(["other"]).value(), 500);
        assert_eq!(family.with(["7"]).value(), 1);
    }
}
