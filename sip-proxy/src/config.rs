//! Settings of the proxy.

use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;

use sip_proto::auth::Algorithm;

settings::config! {
    /// SIP: registrar, calls, trunks.
    pub struct Config {
        /// Addresses of the UDP listeners.
        pub udp_listen: Vec<SocketAddr> = vec![([0, 0, 0, 0], 5060).into()],
        /// Addresses of the TCP listeners.
        pub tcp_listen: Vec<SocketAddr> = vec![([0, 0, 0, 0], 5060).into()],
        /// Addresses of the TLS listeners (TLS 1.2 and 1.3).
        pub tls_listen: Vec<SocketAddr> = vec![([0, 0, 0, 0], 5061).into()],
        /// PEM file with the TLS certificate chain. Empty: the self-signed one made at the first start.
        pub tls_certificate: PathBuf = PathBuf::new(),
        /// PEM file with the private key of the certificate.
        pub tls_key: PathBuf = PathBuf::new(),
        /// PEM file with certificate authorities trusted on TLS trunks. Empty: TLS trunks are not called.
        pub tls_trunk_roots: PathBuf = PathBuf::new(),
        /// Address that goes into Via and Contact where a listener is bound to all addresses. Empty: the address of
        /// this machine's default route.
        pub advertised_address: String = String::new(),
        /// SIP domain meant by requests that name one of our addresses instead of a domain; its users may then type the
        /// server's address into a phone. Empty: none.
        pub default_domain: String = "tandem.internal".into(),
        /// Number of shards, each of which owns its calls. 0: one per core.
        pub shards: usize = 0,
        /// Shortest registration, seconds; a shorter wish gets 423.
        pub register_expires_min_s: u32 = 60,
        /// Longest registration, seconds; a longer wish is shortened.
        pub register_expires_max_s: u32 = 3600,
        /// Registration when the device names none, seconds.
        pub register_expires_default_s: u32 = 600,
        /// How long a challenge's nonce is good, seconds.
        pub nonce_lifetime_s: u32 = 300,
        /// Digest algorithms that are offered, the preferred one first: MD5, SHA-256, SHA-512-256 (RFC 8760). A device that has a
        /// verifier for none of them is offered those that it has. Many phones, Debian 12's baresip among them, give up
        /// when they see one that they do not know; put SHA-256 first once all of yours know it.
        pub digest_algorithms: Vec<String> = vec!["MD5".into()],
        /// How long a user's devices ring when no rule says otherwise, seconds.
        pub ring_timeout_s: u64 = 60,
        /// How long a trunk may ring before the call counts as not answered, seconds.
        pub trunk_timeout_s: u64 = 120,
        /// Longest call, seconds. 0: no limit.
        pub talk_max_s: u64 = 14_400,
        /// How long money stays set aside for a call that shows no sign of life (node died), seconds, at least 90.
        pub reservation_ttl_s: u64 = 120,
        /// User part that callers dial for the echo test.
        pub echo_code: String = "*43".into(),
        /// TCP and TLS connections on which nothing came for this time are closed, seconds; above register_expires_max_s and
        /// talk_max_s, so that no phone and no call loses its connection to it.
        pub connection_idle_s: u64 = 14_700,
        /// Most TCP and TLS connections at the same time; more are closed at once.
        pub connections_max: usize = 20_000,
    }
}

impl Config {
    /// The offered algorithms; the text names the key.
    pub(crate) fn algorithms(&self) -> Result<Vec<Algorithm>, String> {
        let unknown = |name: &String| format!("sip_proxy.digest_algorithms: {name} is not MD5, SHA-256 or SHA-512-256");
        let read = |name: &String| {
            Algorithm::parse(name).filter(|(_, session)| !session).map(|(a, _)| a).ok_or_else(|| unknown(name))
        };
        let list: Vec<Algorithm> = self.digest_algorithms.iter().map(read).collect::<Result<_, _>>()?;
        if list.is_empty() { Err("sip_proxy.digest_algorithms is empty".into()) } else { Ok(list) }
    }

    /// Whether the settings make sense together; the text names the key.
    pub fn check(&self) -> Result<(), String> {
        if self.register_expires_min_s > self.register_expires_max_s {
            return Err("sip_proxy.register_expires_min_s is above register_expires_max_s".into());
        }
        if !(self.register_expires_min_s..=self.register_expires_max_s).contains(&self.register_expires_default_s) {
            return Err("sip_proxy.register_expires_default_s is not between register_expires_min_s and _max_s".into());
        }
        self.algorithms()?;
        if self.reservation_ttl_s < 90 {
            return Err("sip_proxy.reservation_ttl_s is below 90, the time between two signs of life".into());
        }
        if self.connection_idle_s <= u64::from(self.register_expires_max_s).max(self.talk_max_s) {
            return Err("sip_proxy.connection_idle_s must be above register_expires_max_s and talk_max_s".into());
        }
        if self.ring_timeout_s == 0 || self.trunk_timeout_s == 0 {
            return Err("sip_proxy.ring_timeout_s and trunk_timeout_s must be above 0".into());
        }
        if !self.advertised_address.is_empty() && self.advertised_address.parse::<IpAddr>().is_err() {
            return Err(format!("sip_proxy.advertised_address is not an IP address: {}", self.advertised_address));
        }
        if self.tls_certificate.as_os_str().is_empty() != self.tls_key.as_os_str().is_empty() {
            return Err("sip_proxy.tls_certificate and tls_key go together".into());
        }
        Ok(())
    }
}
