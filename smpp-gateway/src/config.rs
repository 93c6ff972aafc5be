//! Settings of the gateway. Carriers are not settings: they live in the store and change while it runs.

use std::time::Duration;

use smpp_proto::Alphabet;
use smpp_proto::receipt::ReceiptIdForm;

settings::config! {
    /// SMS: binds to carriers, sending, receipts, inbound texts.
    pub struct Config {
        /// How often the queue and the list of carriers are looked at without a hint, milliseconds, 10 to 60,000.
        pub poll_interval_ms: u64 = 1_000,
        /// Most texts taken from the queue at once, 1 to 10,000.
        pub claim_parts_max: usize = 500,
        /// How long a text belongs to this process before another may send it, milliseconds. After a crash the texts in
        /// flight wait for this long. At least response_timeout_ms and a half more.
        pub lease_ms: u64 = 60_000,
        /// How long a carrier may take to accept a connection and a bind, milliseconds.
        pub bind_timeout_ms: u64 = 10_000,
        /// How long a carrier may take to answer anything else, milliseconds.
        pub response_timeout_ms: u64 = 30_000,
        /// How long a carrier may be silent before enquire_link asks whether it lives, milliseconds.
        pub enquire_link_interval_ms: u64 = 30_000,
        /// How long unbinding may take: first for open responses, then for its own, milliseconds.
        pub unbind_timeout_ms: u64 = 10_000,
        /// Wait before the first reconnection to a carrier, milliseconds; each further one waits twice as long.
        pub reconnect_min_ms: u64 = 1_000,
        /// Longest wait before a reconnection, milliseconds.
        pub reconnect_max_ms: u64 = 30_000,
        /// Wait before a text is tried again after a temporary error of the carrier, milliseconds; each further one waits
        /// three times as long.
        pub retry_min_ms: u64 = 5_000,
        /// Longest wait before a text is tried again, milliseconds.
        pub retry_max_ms: u64 = 300_000,
        /// How often a text is tried again at a carrier with temporary errors before the next carrier gets it.
        pub retries_max: u32 = 5,
        /// Whether carriers are told until when a text is worth delivering.
        pub send_validity_period: bool = true,
        /// What carriers mean by data_coding 0: gsm7, latin1 or ascii.
        pub default_alphabet: Alphabet = Alphabet::Gsm7,
        /// How carriers write message ids in response and receipt: auto, same, hex_then_decimal, decimal_then_hex.
        pub receipt_id_form: ReceiptIdForm = ReceiptIdForm::Auto,
    }
}

impl Config {
    /// Whether the settings make sense together; the text names the key.
    ///
    /// # Errors
    /// A sentence for the operator.
    pub fn check(&self) -> Result<(), String> {
        if !(10..=60_000).contains(&self.poll_interval_ms) {
            return Err("smpp_gateway.poll_interval_ms is not between 10 and 60000".into());
        }
        if !(1..=10_000).contains(&self.claim_parts_max) {
            return Err("smpp_gateway.claim_parts_max is not between 1 and 10000".into());
        }
        if self.lease_ms < self.response_timeout_ms.saturating_add(self.response_timeout_ms / 2) {
            return Err("smpp_gateway.lease_ms is below one and a half of response_timeout_ms".into());
        }
        for (key, value) in [
            ("bind_timeout_ms", self.bind_timeout_ms),
            ("response_timeout_ms", self.response_timeout_ms),
            ("enquire_link_interval_ms", self.enquire_link_interval_ms),
            ("reconnect_min_ms", self.reconnect_min_ms),
            ("retry_min_ms", self.retry_min_ms),
        ] {
            if value == 0 {
                return Err(format!("smpp_gateway.{key} is 0"));
            }
        }
        if self.reconnect_max_ms < self.reconnect_min_ms {
            return Err("smpp_gateway.reconnect_max_ms is below reconnect_min_ms".into());
        }
        if self.retry_max_ms < self.retry_min_ms {
            return Err("smpp_gateway.retry_max_ms is below retry_min_ms".into());
        }
        if matches!(self.default_alphabet, Alphabet::Ucs2 | Alphabet::Octets) {
            return Err("smpp_gateway.default_alphabet is not gsm7, latin1 or ascii".into());
        }
        Ok(())
    }

    /// The time of one lease.
    pub(crate) const fn lease(&self) -> Duration {
        Duration::from_millis(self.lease_ms)
    }

    /// How long a leased text may wait for window and pace: what the lease has over the response time, less a margin.
    pub(crate) const fn queue_wait_max(&self) -> Duration {
        Duration::from_millis((self.lease_ms - self.response_timeout_ms) / 2)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_defaults_are_good_and_contradictions_name_their_key() {
        assert_eq!(Config::default().check(), Ok(()));
        for (config, key) in [
            (Config { lease_ms: 30_000, ..Config::default() }, "lease_ms"),
            (Config { poll_interval_ms: 0, ..Config::default() }, "poll_interval_ms"),
            (Config { default_alphabet: Alphabet::Ucs2, ..Config::default() }, "default_alphabet"),
            (Config { reconnect_max_ms: 1, ..Config::default() }, "reconnect_max_ms"),
            (Config { response_timeout_ms: 0, ..Config::default() }, "response_timeout_ms"),
        ] {
            assert!(config.check().is_err_and(|text| text.contains(key)), "{key}");
        }
    }
}
