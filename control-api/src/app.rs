//! What every handler works with: the ports, the keys, the limits.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use base::id::kind::{Device, User};
use base::time::Clock;
use base::{Id, Random, Secret, Timestamp};
use domain::ports::{Directory, Events, SmsQueue, Unavailable};
use store::Store;
use telemetry::{Counters, Histogram, SECONDS_BUCKETS, Unit, metrics};
use tokio::sync::Semaphore;

use crate::auth::{Revoked, Tokens};
use crate::config::Config;
use crate::limit::{Limits, Rates};

/// Ends registrations from outside the registrar (D3, D13). Filled by whoever keeps the bindings.
#[async_trait]
pub trait Registrations: Send + Sync {
    /// Drops every binding of a device, and the connections that they came by.
    async fn drop_device(&self, user: Id<User>, device: Id<Device>) -> Result<(), Unavailable>;
}

/// Where TURN and STUN are, and the secret that both sides share (`use-auth-secret`).
#[derive(Debug, Clone, Default)]
pub struct TurnAccess {
    /// `turn:host:port?transport=udp` and the like; none: no TURN server.
    pub turn_uris: Vec<String>,
    /// `stun:host:port`.
    pub stun_uris: Vec<String>,
    /// The shared secret.
    pub secret: Secret,
}

/// Where SIP clients connect.
#[derive(Debug, Clone, Default)]
pub struct SipAccess {
    /// `sip:host:port;transport=tcp`, `sips:host:port`, `wss://host/` and the like, the best one first.
    pub uris: Vec<String>,
}

/// What the API needs from the rest of the switch.
#[derive(Clone)]
pub struct Deps {
    /// Accounts, numbers, records, money.
    pub store: Store,
    /// Facts from memory.
    pub directory: Arc<dyn Directory>,
    /// Texts on their way out.
    pub texts: Arc<dyn SmsQueue>,
    /// Where facts are published.
    pub events: Arc<dyn Events>,
    /// The registrar.
    pub registrations: Arc<dyn Registrations>,
    /// The wall clock.
    pub clock: Arc<dyn Clock>,
    /// For `GET /ice-servers`.
    pub turn: TurnAccess,
    /// For the answer to a login.
    pub sip: SipAccess,
}

/// Shared by all requests.
pub(crate) struct App {
    pub(crate) config: Config,
    pub(crate) deps: Deps,
    pub(crate) tokens: Tokens,
    pub(crate) revoked: Revoked,
    pub(crate) limits: Limits,
    pub(crate) slots: Arc<Semaphore>,
    pub(crate) figures: Figures,
    random: Mutex<Random>,
}

/// What the API counts.
pub(crate) struct Figures {
    pub(crate) requests: Counters<3>,
    pub(crate) wait: Histogram,
    pub(crate) logins: Counters<1>,
    pub(crate) texts: Counters<1>,
}

impl App {
    pub(crate) fn new(config: Config, deps: Deps, token_key: &Secret) -> Self {
        let rates = Rates {
            address: config.requests_per_minute_address,
            user: config.requests_per_minute_user,
            tenant: config.requests_per_minute_tenant,
            login: config.logins_per_minute,
        };
        let metrics = metrics();
        let access_ttl_s = config.access_token_ttl_s.clamp(60, 86_400);
        Self {
            tokens: Tokens::new(token_key, &config.token_issuer, access_ttl_s),
            revoked: Revoked::new(Duration::from_secs(u64::from(access_ttl_s))),
            limits: Limits::new(rates),
            slots: Arc::new(Semaphore::new(config.requests_max.max(1) as usize)),
            figures: Figures {
                requests: metrics.counters(
                    "control_api_requests",
                    "Requests by method, route and status.",
                    &["method", "route", "status"],
                ),
                wait: metrics.histogram(
                    "control_api_request_duration",
                    "Time from the head of a request to its answer.",
                    Unit::Seconds,
                    &SECONDS_BUCKETS,
                ),
                logins: metrics.counters("control_api_logins", "Logins by outcome.", &["outcome"]),
                texts: metrics.counters("control_api_texts", "Texts sent through the API by outcome.", &["outcome"]),
            },
            random: Mutex::new(Random::from_entropy()),
            config,
            deps,
        }
    }

    /// Ends every login of a user: refresh tokens everywhere, access tokens on this node.
    pub(crate) async fn end_logins_of(&self, user: Id<User>, why: &str) -> Result<(), store::Error> {
        self.store().end_sessions_of(user, why).await?;
        self.revoked.user(user, self.store().new_id(), self.now());
        Ok(())
    }

    /// The store.
    pub(crate) fn store(&self) -> &Store {
        &self.deps.store
    }

    /// The wall clock.
    pub(crate) fn now(&self) -> Timestamp {
        self.deps.clock.now()
    }

    /// Random text of `length` characters, five bits each.
    pub(crate) fn token(&self, length: usize) -> String {
        self.random.lock().unwrap_or_else(PoisonError::into_inner).token(length)
    }
}
