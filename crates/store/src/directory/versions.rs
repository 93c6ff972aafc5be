//! When to forget: each group of tables has a version in `meta`, raised in the transaction that changes it. This process
//! forgets at once; changes of others are seen by asking for the versions several times a second.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use base::E164;
use base::Id;
use base::id::kind::{Tenant, User};
use domain::account::{DeviceCredentials, TenantFacts, UserFacts};
use domain::number::NumberFacts;
use tokio::time::MissedTickBehavior;

use super::deck::Deck;
use super::memory::Memory;
use super::peers::Peers;
use crate::Core;
use crate::error::Result;
use crate::pool::sql;
use crate::row::Columns;

/// How often changes of other processes are looked for: they must show within a second.
const POLL_INTERVAL: Duration = Duration::from_millis(250);
/// Answers kept per kind of question, to twice as many: about 1 kB each at most.
const ANSWERS_MAX: usize = 65_536;
/// Price decks kept, to twice as many.
const DECKS_MAX: usize = 512;

/// Groups of tables that change together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Topic {
    /// Tenants, domains, users, devices, numbers, rules.
    Accounts,
    /// Trunks, carriers and their routes.
    Peers,
    /// Prices.
    Rates,
}

impl Topic {
    pub(crate) const ALL: [Self; 3] = [Self::Accounts, Self::Peers, Self::Rates];

    /// Its name in `meta`.
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Accounts => "accounts",
            Self::Peers => "peers",
            Self::Rates => "rates",
        }
    }
}

/// Everything that is remembered of the directory.
pub(crate) struct Caches {
    versions: Mutex<[i64; 3]>,
    pub(super) tenants: Memory<Id<Tenant>, Option<Arc<TenantFacts>>>,
    pub(super) domains: Memory<String, Option<Id<Tenant>>>,
    pub(super) users: Memory<Id<User>, Option<Arc<UserFacts>>>,
    pub(super) names: Memory<(Id<Tenant>, String), Option<Id<User>>>,
    pub(super) numbers: Memory<E164, Option<Arc<NumberFacts>>>,
    pub(super) credentials: Memory<(String, String), Option<Arc<DeviceCredentials>>>,
    pub(super) peers: Memory<(), Arc<Peers>>,
    pub(super) decks: Memory<Id<Tenant>, Arc<Deck>>,
}

impl Caches {
    pub(crate) fn new() -> Self {
        Self {
            versions: Mutex::new([0; 3]),
            tenants: Memory::new(ANSWERS_MAX),
            domains: Memory::new(ANSWERS_MAX),
            users: Memory::new(ANSWERS_MAX),
            names: Memory::new(ANSWERS_MAX),
            numbers: Memory::new(ANSWERS_MAX),
            credentials: Memory::new(ANSWERS_MAX),
            peers: Memory::new(1),
            decks: Memory::new(DECKS_MAX),
        }
    }

    /// Forgets what was read from the tables of a topic.
    pub(crate) fn forget(&self, topic: Topic) {
        match topic {
            Topic::Accounts => {
                self.tenants.forget();
                self.domains.forget();
                self.users.forget();
                self.names.forget();
                self.numbers.forget();
                self.credentials.forget();
            }
            Topic::Peers => self.peers.forget(),
            Topic::Rates => self.decks.forget(),
        }
    }

    /// Compares versions with those seen last, and forgets what changed.
    fn compare(&self, found: [i64; 3]) {
        let mut seen = self.versions.lock().unwrap_or_else(PoisonError::into_inner);
        for (n, topic) in Topic::ALL.into_iter().enumerate() {
            if seen[n] != found[n] {
                self.forget(topic);
            }
        }
        *seen = found;
    }
}

impl Core {
    /// Looks once for changes that other processes made.
    pub(crate) async fn refresh(&self) -> Result<()> {
        let rows = self.database.rows(sql("SELECT name, value FROM meta")).await?;
        let mut found = [0; 3];
        for row in rows {
            let name = row.text("name")?;
            if let Some(n) = Topic::ALL.iter().position(|t| t.as_str() == name) {
                found[n] = row.int("value")?;
            }
        }
        self.caches.compare(found);
        Ok(())
    }

    /// Starts looking for changes until the store is dropped. A database that is down is asked again; meanwhile answers
    /// come from memory.
    pub(crate) fn watch(core: &Arc<Self>) {
        let weak = Arc::downgrade(core);
        tokio::spawn(async move {
            let mut tick = tokio::time::interval(POLL_INTERVAL);
            tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
            loop {
                tick.tick().await;
                let Some(core) = weak.upgrade() else { return };
                if core.database.is_closed() {
                    return;
                }
                if let Err(error) = core.refresh().await {
                    tracing::warn!(%error, "cannot look for changes of the directory");
                }
            }
        });
    }
}
