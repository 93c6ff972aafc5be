//! Starting in an order in which nothing listens before everything is known to be good, and stopping the other way round.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use base::time::{Clock, SystemClock};
use base::{IdGenerator, Random};
use bus::LocalBus;
use domain::ports::Events;
use store::{MasterKey, Store};
use telemetry::{Door, Health};
use tokio::sync::Notify;
use tokio::task::JoinHandle;

use crate::config::Config;
use crate::roles::Role;
use crate::{seed, welcome, wiring};

/// How often reservations and texts whose time is over are looked for.
const SWEEP_EVERY: Duration = Duration::from_secs(10);

/// Why the switch does not start: one line for a terminal.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// Settings, a port, a file, the database: something that the operator can change.
    #[error("{0}")]
    Unusable(String),
}

impl StartError {
    pub(crate) fn new(error: impl std::fmt::Display) -> Self {
        Self::Unusable(error.to_string())
    }
}

/// The switch.
pub struct Switch;

/// A running switch.
pub struct Running {
    pub(crate) addresses: Vec<(&'static str, SocketAddr)>,
    pub(crate) seeded: Option<seed::Seeded>,
    pub(crate) sip_domain: String,
    health: Arc<Health>,
    door: Door,
    sip: Option<sip_proxy::Handle>,
    media: Option<media_server::Handle>,
    relay: Option<rtp_relay::Handle>,
    sms: Option<smpp_gateway::Handle>,
    turn: Option<turn_server::Handle>,
    api: Option<control_api::Handle>,
    tasks: Vec<JoinHandle<()>>,
    store: Store,
}

/// Opens the database of a configuration, with the master key beside it; makes both when there is nothing yet.
pub async fn open_store(config: &Config, migrate: bool) -> Result<Store, StartError> {
    let directory = &config.node.data_dir;
    let unusable = |e: std::io::Error| StartError::new(format!("node.data_dir {}: {e}", directory.display()));
    std::fs::create_dir_all(directory).map_err(unusable)?;
    let url = config.store_url();
    let exists = Store::exists(&url).await.map_err(StartError::new)?;
    let key = MasterKey::load_or_create(&directory.join("master.key"), exists).map_err(StartError::new)?;
    let options = store::Options { migrate, ..store::Options::default() };
    Store::open_with(&url, key, options).await.map_err(StartError::new)
}

impl Switch {
    /// Starts every role of the configuration. Every listener is bound, every file read, the database open and migrated
    /// before the first one serves.
    pub async fn start(mut config: Config) -> Result<Running, StartError> {
        config.check().map_err(StartError::Unusable)?;
        std::fs::create_dir_all(&config.node.data_dir)
            .map_err(|e| StartError::new(format!("node.data_dir {}: {e}", config.node.data_dir.display())))?;
        wiring::provide_certificate(&mut config)?;
        let listeners = wiring::Listeners::bind(&config)?;
        let store = open_store(&config, true).await?;
        let seeded = seed::first_start(&store, &config).await?;
        let clock: Arc<dyn Clock> = Arc::new(SystemClock);
        let mut random = Random::from_entropy();
        let node = u16::try_from(random.below(u64::from(IdGenerator::NODES))).unwrap_or(0);
        let health = Health::new();
        let bus = Arc::new(LocalBus::new(node, Arc::clone(&clock)));
        let parts = wiring::Parts {
            bus: Arc::clone(&bus),
            queued: Arc::new(Notify::new()),
            health: Arc::clone(&health),
            seed: random.u64(),
            store: store.clone(),
            clock,
        };
        let sip_domain = config.sip_proxy.default_domain.clone();
        let roles = wiring::start_roles(config, listeners, &parts).await?;
        let mut tasks = vec![tokio::spawn(sweep(store.clone(), bus))];
        tasks.extend(roles.tasks);
        tracing::info!(addresses = ?roles.addresses, "the switch runs");
        Ok(Running {
            addresses: roles.addresses,
            seeded,
            sip_domain,
            health,
            door: roles.door,
            sip: roles.sip,
            media: roles.media,
            relay: roles.relay,
            sms: roles.sms,
            turn: roles.turn,
            api: roles.api,
            tasks,
            store,
        })
    }
}

/// Settles what nobody settled (a node that died), ends texts whose time is over.
async fn sweep(store: Store, bus: Arc<LocalBus>) {
    let mut every = tokio::time::interval(SWEEP_EVERY);
    every.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        every.tick().await;
        match store.sweep(store.now()).await {
            Ok(swept) => {
                swept.text_changes.into_iter().for_each(|change| bus.publish(Some(change.tenant), change.into()));
            }
            Err(error) => tracing::warn!(%error, "sweep failed"),
        }
    }
}

impl Running {
    /// What listens where.
    pub fn addresses(&self) -> &[(&'static str, SocketAddr)] {
        &self.addresses
    }

    /// The first address that serves `what`, as in [`Self::addresses`].
    pub fn address(&self, what: &str) -> Option<SocketAddr> {
        self.addresses.iter().find(|(name, _)| *name == what).map(|(_, a)| *a)
    }

    /// The store, for tests that look at it from the side.
    pub fn store(&self) -> &Store {
        &self.store
    }

    /// What an operator sees after the start; secrets only the first time.
    pub fn welcome(&self) -> String {
        welcome::text(self)
    }

    /// Waits until a part of the switch dies that only a restart brings back; for ever, if all goes well.
    pub async fn failed(&self) {
        match &self.sip {
            Some(sip) => sip.failed().cancelled_owned().await,
            None => std::future::pending().await,
        }
    }

    /// Takes no new calls, lets running ones end until the deadline, then ends them. Returns how many had to be ended.
    pub async fn drain(&self, deadline: Duration) -> usize {
        self.health.drain();
        match &self.sip {
            Some(sip) => sip.drain(deadline).await,
            None => 0,
        }
    }

    /// Stops every role and closes the database.
    pub async fn stop(self) {
        if let Some(api) = self.api {
            api.stop().await;
        }
        if let Some(sms) = self.sms {
            sms.stop().await;
        }
        if let Some(sip) = self.sip {
            sip.stop().await;
        }
        if let Some(media) = self.media {
            media.stop().await;
        }
        if let Some(relay) = self.relay {
            relay.stop();
        }
        if let Some(turn) = self.turn {
            turn.stop();
        }
        for task in &self.tasks {
            task.abort();
        }
        self.store.close().await;
        self.door.stop().await;
    }
}

impl Running {
    /// Whether this process has a role.
    pub(crate) fn has(&self, role: Role) -> bool {
        match role {
            Role::SipProxy => self.sip.is_some(),
            Role::MediaServer => self.media.is_some(),
            Role::RtpRelay => self.relay.is_some(),
            Role::SmppGateway => self.sms.is_some(),
            Role::ControlApi => self.api.is_some(),
            Role::TurnServer => self.turn.is_some(),
        }
    }
}
