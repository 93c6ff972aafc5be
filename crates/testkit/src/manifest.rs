//! Manifests for tests, piece by piece. Every user has the SIP password `NAME-sip` and the API password `NAME-api-password`.

use std::fmt::Write as _;
use std::net::Ipv4Addr;

use crate::DOMAIN;

/// A manifest with one tenant, "test", whose domain is [`DOMAIN`]; calls between its users are free.
#[derive(Debug, Clone)]
pub struct Manifest(String);

impl Default for Manifest {
    fn default() -> Self {
        Self::new()
    }
}

impl Manifest {
    /// With nobody in it.
    pub fn new() -> Self {
        let tenant = format!("[[tenant]]\nname = \"test\"\ncurrency = \"USD\"\ndomains = [\"{DOMAIN}\"]\n");
        Self(tenant).rate("voice_on_net", "", "0", "1/1")
    }

    /// A user with one device, numbers (the first is the primary one) and an opening balance ("10.00").
    #[must_use]
    pub fn user(self, name: &str, numbers: &[&str], balance: &str) -> Self {
        let device = format!("sip_password = \"{}\"\n", sip_password(name));
        self.user_with(name, numbers, balance, &device)
    }

    /// A user whose further keys, as those of devices, are `more`.
    #[must_use]
    pub fn user_with(mut self, name: &str, numbers: &[&str], balance: &str, more: &str) -> Self {
        let _ = write!(
            self.0,
            "\n[[user]]\ntenant = \"test\"\nname = \"{name}\"\npassword = \"{}\"\nnumbers = {numbers:?}\nbalance = \
             \"{balance}\"\n{more}",
            api_password(name)
        );
        self
    }

    /// A price per minute or segment, with its increments.
    #[must_use]
    pub fn rate(mut self, service: &str, prefix: &str, price: &str, increments: &str) -> Self {
        let _ = write!(
            self.0,
            "\n[[rate]]\ntenant = \"test\"\nservice = \"{service}\"\nprefix = \"{prefix}\"\nprice = \"{price}\"\n\
             increments = \"{increments}\"\n"
        );
        self
    }

    /// A trunk known by its address, called at its port 15060 over UDP.
    #[must_use]
    pub fn trunk(mut self, name: &str, address: Ipv4Addr) -> Self {
        let _ = write!(
            self.0,
            "\n[[trunk]]\nname = \"{name}\"\nsources = [\"{address}\"]\nhost = \"{address}\"\nport = 15060\n\
             transport = \"udp\"\n"
        );
        self
    }

    /// Which trunks, in order, lead to numbers with a prefix.
    #[must_use]
    pub fn route(mut self, prefix: &str, trunks: &[&str]) -> Self {
        let _ = write!(self.0, "\n[[route]]\nprefix = \"{prefix}\"\ntrunks = {trunks:?}\n");
        self
    }

    /// Any further text.
    #[must_use]
    pub fn and(mut self, text: &str) -> Self {
        self.0.push('\n');
        self.0.push_str(text);
        self
    }

    /// The tenant wants media of its devices to be SRTP.
    #[must_use]
    pub fn secure_media(mut self) -> Self {
        self.0 = self.0.replacen("currency = \"USD\"\n", "currency = \"USD\"\nsecure_media = true\n", 1);
        self
    }

    /// The text.
    pub fn text(&self) -> &str {
        &self.0
    }
}

/// The SIP password of a user.
pub fn sip_password(name: &str) -> String {
    format!("{name}-sip")
}

/// The API password of a user.
pub fn api_password(name: &str) -> String {
    format!("{name}-api-password")
}
