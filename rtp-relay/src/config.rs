//! The settings of the relay role, checked before any port is opened.

use std::net::IpAddr;
use std::time::Duration;

use rtp_proto::{LatchConfig, Suite};
use sdp_proto::CryptoSuite;

use crate::StartError;
use crate::sdes;

settings::config! {
    /// RTP relay: all media of calls passes through it.
    pub struct Config {
        /// Local addresses of media sockets, one IPv4 and one IPv6 at most. Empty: every address of this machine, and
        /// peers are told the one from which this machine reaches them.
        pub addresses: Vec<IpAddr> = Vec::new(),
        /// What peers are told instead of addresses, in the same order, when this machine is behind a 1:1 NAT.
        pub advertised_addresses: Vec<IpAddr> = Vec::new(),
        /// Lowest UDP port of media, 1024 to 65534; made even. A call of two legs takes four ports per medium.
        pub port_min: u16 = 30_000,
        /// Highest UDP port of media.
        pub port_max: u16 = 39_999,
        /// How long a port rests after a call, milliseconds, 0 to 60,000, so that late packets meet nobody.
        pub port_rest_ms: u64 = 5_000,
        /// Most sessions at a time, 1 to 100,000. Over it calls get 503.
        pub sessions_max: usize = 20_000,
        /// Threads that relay, 1 to 64.
        pub worker_threads: usize = 1,
        /// CPU numbers to which the threads are bound, in order; empty: the system chooses.
        pub worker_cpus: Vec<usize> = Vec::new(),
        /// How long a busy thread gathers packets before it looks again, microseconds, 0 to 1,000: saves most of the
        /// wake-ups and delays media by as much.
        pub batch_wait_us: u64 = 1_000,
        /// SRTP suites offered to legs that speak SDES, best first; of those offered to us the peer's first is taken.
        pub srtp_suites: Vec<String> = vec![
            "AEAD_AES_128_GCM".into(), "AES_CM_128_HMAC_SHA1_80".into(), "AEAD_AES_256_GCM".into(),
            "AES_256_CM_HMAC_SHA1_80".into(), "AES_CM_128_HMAC_SHA1_32".into(),
        ],
        /// After how long without any packet a call is reported as dead, seconds, 5 to 3,600.
        pub media_timeout_s: u64 = 60,
        /// The same for calls of which a side is on hold, seconds, 60 to 86,400.
        pub held_timeout_s: u64 = 7_200,
        /// How long after a leg's first packet a better matching source may still take over, milliseconds, 0 to 10,000.
        pub latch_learning_ms: u64 = 3_000,
        /// Whether media may come from a host that neither signalled nor was signalled. Some carriers and carrier NATs need
        /// it; whoever finds the port of a leg behind a NAT first then gets its media.
        pub latch_any_source: bool = false,
    }
}

/// What follows from the settings, checked.
#[derive(Debug, Clone)]
pub(crate) struct Checked {
    pub(crate) latch: LatchConfig,
    pub(crate) suites: Vec<Suite>,
    pub(crate) batch_wait: Duration,
    pub(crate) media_timeout: Duration,
    pub(crate) held_timeout: Duration,
    pub(crate) sessions_max: usize,
}

fn bad(key: &'static str, reason: impl Into<String>) -> StartError {
    StartError::Config { key, reason: reason.into() }
}

impl Config {
    /// Whether the settings make sense; nothing is opened.
    pub fn validate(&self) -> Result<(), StartError> {
        self.check().map(drop)
    }

    pub(crate) fn check(&self) -> Result<Checked, StartError> {
        let in_range = |key, good: bool, range| if good { Ok(()) } else { Err(bad(key, format!("must be {range}"))) };
        in_range("rtp_relay.port_min", (1024..=65_534).contains(&self.port_min), "1024 to 65534")?;
        in_range("rtp_relay.port_max", self.port_max > self.port_min, "above port_min")?;
        in_range("rtp_relay.port_rest_ms", self.port_rest_ms <= 60_000, "0 to 60000")?;
        in_range("rtp_relay.sessions_max", (1..=100_000).contains(&self.sessions_max), "1 to 100000")?;
        in_range("rtp_relay.worker_threads", (1..=64).contains(&self.worker_threads), "1 to 64")?;
        in_range("rtp_relay.batch_wait_us", self.batch_wait_us <= 1_000, "0 to 1000")?;
        in_range("rtp_relay.media_timeout_s", (5..=3_600).contains(&self.media_timeout_s), "5 to 3600")?;
        in_range("rtp_relay.held_timeout_s", (60..=86_400).contains(&self.held_timeout_s), "60 to 86400")?;
        in_range("rtp_relay.latch_learning_ms", self.latch_learning_ms <= 10_000, "0 to 10000")?;
        for v4 in [true, false] {
            if self.addresses.iter().filter(|ip| ip.is_ipv4() == v4).count() > 1 {
                return Err(bad("rtp_relay.addresses", "at most one address per family"));
            }
        }
        let advertised = &self.advertised_addresses;
        let same_families = self.addresses.iter().zip(advertised).all(|(a, b)| a.is_ipv4() == b.is_ipv4());
        if !advertised.is_empty() && (advertised.len() != self.addresses.len() || !same_families) {
            return Err(bad("rtp_relay.advertised_addresses", "needs one entry per address, of its family"));
        }
        Ok(Checked {
            latch: LatchConfig {
                learning: Duration::from_millis(self.latch_learning_ms),
                any_source: self.latch_any_source,
                ..LatchConfig::default()
            },
            suites: self.suites()?,
            batch_wait: Duration::from_micros(self.batch_wait_us),
            media_timeout: Duration::from_secs(self.media_timeout_s),
            held_timeout: Duration::from_secs(self.held_timeout_s),
            sessions_max: self.sessions_max,
        })
    }

    fn suites(&self) -> Result<Vec<Suite>, StartError> {
        let mut suites = vec![];
        for name in &self.srtp_suites {
            let suite = CryptoSuite::parse(name).map(sdes::suite_of);
            let suite = suite.ok_or_else(|| bad("rtp_relay.srtp_suites", format!("unknown suite {name:?}")))?;
            if !suites.contains(&suite) {
                suites.push(suite);
            }
        }
        if suites.is_empty() { Err(bad("rtp_relay.srtp_suites", "at least one")) } else { Ok(suites) }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn the_defaults_hold_and_bad_values_are_named_by_their_key() {
        assert!(Config::default().check().is_ok());
        let cases: [(&str, Config); 6] = [
            ("port_max", Config { port_max: 1_000, ..Config::default() }),
            ("worker_threads", Config { worker_threads: 0, ..Config::default() }),
            ("batch_wait_us", Config { batch_wait_us: 2_000, ..Config::default() }),
            ("srtp_suites", Config { srtp_suites: vec!["ROT13".into()], ..Config::default() }),
            ("addresses", Config { addresses: vec![[10, 0, 0, 1].into(); 2], ..Config::default() }),
            ("advertised_addresses", Config { advertised_addresses: vec![[10, 0, 0, 1].into()], ..Config::default() }),
        ];
        for (key, config) in cases {
            let error = config.check().unwrap_err().to_string();
            assert!(error.contains(&format!("rtp_relay.{key}")), "{error}");
        }
    }
}
