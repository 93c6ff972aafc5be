//! The whole configuration: one struct of the services' structs. The defaults are a working switch on one machine.

use std::path::{Path, PathBuf};

use serde::Deserialize;
use settings::{Document, SettingsError};

use crate::roles::Role;

settings::config! {
    /// The process.
    pub struct Node {
        /// Directory of everything that is kept in files: database (by default), master key, certificate.
        pub data_dir: PathBuf = PathBuf::from("data"),
        /// Roles that this process runs: sip-proxy, media-server, rtp-relay, smpp-gateway, control-api, turn-server.
        pub roles: Vec<Role> = Role::ALL.to_vec(),
        /// How long running calls may go on after SIGTERM before they are ended, seconds.
        pub drain_s: u64 = 30,
        /// Whether the first start on an empty database makes a demo tenant with two users.
        pub demo: bool = true,
    }
}

settings::config! {
    /// The database.
    pub struct Database {
        /// sqlite:PATH or postgres://user:password@host/database. Empty: tandem.db in node.data_dir.
        pub url: String = String::new(),
    }
}

settings::config! {
    /// Log lines on standard error: text on a terminal, JSON otherwise.
    pub struct Log {
        /// Levels, as "info" or "info,sip_proxy=debug".
        pub filter: String = "info,sqlx=warn".into(),
        /// auto, text or json.
        pub format: telemetry::LogFormat = telemetry::LogFormat::Auto,
    }
}

settings::config! {
    /// Metrics and health over HTTP.
    pub struct Health {
        /// Address of /metrics, /healthz and /readyz.
        pub listen: std::net::SocketAddr = ([127, 0, 0, 1], 9090).into(),
    }
}

/// Everything.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// `[node]`
    pub node: Node,
    /// `[store]`
    pub store: Database,
    /// `[log]`
    pub log: Log,
    /// `[health]`
    pub health: Health,
    /// `[sip_proxy]`
    pub sip_proxy: sip_proxy::Config,
    /// `[rtp_relay]`
    pub rtp_relay: rtp_relay::Config,
    /// `[media_server]`
    pub media_server: media_server::Config,
    /// `[smpp_gateway]`
    pub smpp_gateway: smpp_gateway::Config,
    /// `[turn_server]`
    pub turn_server: turn_server::Config,
    /// `[control_api]`
    pub control_api: control_api::Config,
}

/// Settings that cannot be used: one line for a terminal.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// Unreadable, unknown key, wrong type.
    #[error(transparent)]
    Settings(#[from] SettingsError),
    /// Values that do not make sense together.
    #[error("{0}")]
    Senseless(String),
}

impl Config {
    /// Reads the file, if any, lays `TANDEM_` variables over it, and checks that it makes sense.
    pub fn load(
        file: Option<&Path>,
        environment: impl IntoIterator<Item = (String, String)>,
    ) -> Result<Self, ConfigError> {
        let settings = environment.into_iter().filter(|(name, _)| name != "TANDEM_CONFIG");
        let config: Self = settings::load(file, settings)?;
        config.check().map_err(ConfigError::Senseless)?;
        Ok(config)
    }

    /// Whether the settings make sense; the text names the key.
    pub fn check(&self) -> Result<(), String> {
        let needs = |role: Role, other: Role| {
            if self.runs(role) && !self.runs(other) {
                return Err(format!("node.roles: {} needs {} in the same process", role.as_str(), other.as_str()));
            }
            Ok(())
        };
        if self.node.roles.is_empty() {
            return Err("node.roles is empty".into());
        }
        needs(Role::SipProxy, Role::RtpRelay)?;
        needs(Role::SipProxy, Role::MediaServer)?;
        needs(Role::MediaServer, Role::SipProxy)?;
        self.sip_proxy.check()?;
        self.rtp_relay.validate().map_err(|e| e.to_string())?;
        self.media_server.validate().map_err(|e| e.to_string())?;
        self.turn_server.validate().map_err(|e| e.to_string())?;
        self.smpp_gateway.check()
    }

    /// Whether this process has a role.
    pub fn runs(&self, role: Role) -> bool {
        self.node.roles.contains(&role)
    }

    /// The database's URL.
    pub fn store_url(&self) -> String {
        match self.store.url.as_str() {
            "" => format!("sqlite:{}", self.node.data_dir.join("tandem.db").display()),
            url => url.to_owned(),
        }
    }

    /// `configs/tandem.toml`: every key with its explanation and default.
    pub fn reference() -> String {
        Document::new(&[
            "Settings of Tandem. Every key is shown with its default; remove the # to change one.",
            "The environment goes before the file: TANDEM_SIP_PROXY__RING_TIMEOUT_S=30 sets ring_timeout_s of [sip_proxy].",
            "Tenants, users, numbers, trunks, carriers and rates are not settings: see docs/manifest.md.",
        ])
        .section::<Node>("node")
        .section::<Database>("store")
        .section::<Log>("log")
        .section::<Health>("health")
        .section::<sip_proxy::Config>("sip_proxy")
        .section::<rtp_relay::Config>("rtp_relay")
        .section::<media_server::Config>("media_server")
        .section::<smpp_gateway::Config>("smpp_gateway")
        .section::<turn_server::Config>("turn_server")
        .section::<control_api::Config>("control_api")
        .finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_committed_reference_is_what_the_defaults_say() {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("configs/tandem.toml");
        if std::env::var_os("UPDATE_REFERENCE").is_some() {
            std::fs::write(&path, Config::reference()).expect("the reference can be written");
        }
        let committed = std::fs::read_to_string(&path).unwrap_or_default();
        assert!(
            committed == Config::reference(),
            "run the tests once with UPDATE_REFERENCE=1 and commit {}",
            path.display()
        );
    }

    #[test]
    fn the_reference_reads_back_and_changes_nothing() {
        let all_keys_set: String = Config::reference()
            .lines()
            .map(|l| l.strip_prefix('#').filter(|k| !k.starts_with(' ')).unwrap_or(l))
            .fold(String::new(), |text, line| text + line + "\n");
        let read: Config = settings::load_str("reference", &all_keys_set, []).expect("the reference is valid TOML");
        assert!(read.check().is_ok());
        assert_eq!(read.sip_proxy.ring_timeout_s, Config::default().sip_proxy.ring_timeout_s);
    }

    #[test]
    fn an_unknown_key_is_named_with_its_place() {
        let error =
            settings::load_str::<Config>("t.toml", "[sip_proxy]\nring_time = 3\n", []).expect_err("unknown key");
        let line = error.to_string();
        assert!(line.contains("ring_time") && line.contains("t.toml") && line.contains('2'), "{line}");
    }
}
