//! The settings of the media role.

use std::time::Duration;

use crate::StartError;

settings::config! {
    /// Media applications: echo test, announcements.
    pub struct Config {
        /// Lowest UDP port for media, 1024 to 65534. Even ports carry RTP.
        pub rtp_port_min: u16 = 28_000,
        /// Highest UDP port for media.
        pub rtp_port_max: u16 = 29_999,
        /// Most legs at a time, 1 to 10,000. Over it: 503 with Retry-After.
        pub sessions_max: usize = 500,
        /// After how long without media a leg is hung up, seconds, 5 to 3,600.
        pub rtp_timeout_s: u64 = 30,
        /// Longest leg, seconds, 10 to 86,400; then it is hung up.
        pub session_max_s: u64 = 3_600,
    }
}

impl Config {
    /// Whether the settings make sense; nothing is opened.
    pub fn validate(&self) -> Result<(), StartError> {
        self.check()
    }

    pub(crate) fn check(&self) -> Result<(), StartError> {
        let rules = [
            ("media_server.rtp_port_min", self.rtp_port_min >= 1024, "must be 1024 to 65534"),
            ("media_server.rtp_port_max", self.rtp_port_max > self.rtp_port_min, "must be above rtp_port_min"),
            ("media_server.sessions_max", (1..=10_000).contains(&self.sessions_max), "must be 1 to 10000"),
            ("media_server.rtp_timeout_s", (5..=3_600).contains(&self.rtp_timeout_s), "must be 5 to 3600"),
            ("media_server.session_max_s", (10..=86_400).contains(&self.session_max_s), "must be 10 to 86400"),
        ];
        match rules.into_iter().find(|(_, good, _)| !good) {
            Some((key, _, reason)) => Err(StartError::Config { key, reason }),
            None => Ok(()),
        }
    }

    pub(crate) fn rtp_timeout(&self) -> Duration {
        Duration::from_secs(self.rtp_timeout_s)
    }
}
