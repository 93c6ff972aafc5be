//! Every SQL statement of the product, for SQLite and PostgreSQL from one text (architecture section 7).
//!
//! [`Store`] fills the ports `Accounts`, `Directory`, `Billing`, `Locations` and `SmsQueue`; control-api calls its other
//! functions directly. Money moves only here: reservation, settlement and the state change that they pay for share a
//! transaction. It does not decide business questions (`domain` does) and publishes no events.

mod audit;
mod billing;
mod call;
mod carrier;
mod device;
mod dialect;
mod digest;
mod directory;
mod error;
mod filter;
mod group;
mod idempotency;
mod ledger;
mod location;
mod message;
mod migrate;
mod naming;
mod number;
mod password;
mod pool;
mod provision;
mod rate;
mod row;
mod rule;
mod seal;
mod secret;
mod session;
mod sms_queue;
mod sweep;
mod tenant;
mod trunk;
mod user;
mod view;
mod wallet;

use std::path::Path;
use std::sync::Arc;

use base::time::{Clock, SystemClock};
use base::{Id, IdGenerator, Random, Secret, Timestamp};

pub use audit::{AuditFilter, AuditRow, NewAudit};
pub use call::{CallFilter, CallRecord};
pub use carrier::{CarrierData, CarrierRow};
pub use device::{Credential, DEVICES_PER_USER_MAX, DeviceChange, DeviceRow, NewDevice};
pub use dialect::Engine;
pub use digest::verifiers;
pub use error::{Error, Result};
pub use idempotency::Claim;
pub use ledger::{Category, FAULTS_MAX, Kind, LedgerReport, Transaction, TransactionFilter};
pub use message::{MessageDirection, MessageEvent, MessageFilter, MessageRow};
pub use naming::{Page, Place};
pub use number::{NewNumber, NumberChange, NumberFilter, NumberKind, NumberRow, may_become};
pub use provision::{
    Desired, DesiredCarrier, DesiredCredential, DesiredDevice, DesiredNumber, DesiredRate, DesiredRoute, DesiredTenant,
    DesiredTrunk, DesiredUser, Difference,
};
pub use rate::{RateData, RateRow};
pub use rule::{RULES_PER_NUMBER_MAX, RuleData, RuleRow};
pub use seal::MasterKey;
pub use session::{NewSession, Rotation, SessionFacts};
pub use sweep::Swept;
pub use tenant::{NewTenant, TenantChange, TenantRow};
pub use trunk::{RouteRow, TrunkData, TrunkRow};
pub use user::{Login, NewUser, Role, UserChange, UserFilter, UserRow};
pub use view::UserFigures;
pub use wallet::WalletRow;

use directory::Caches;
use group::Group;
use password::Hashery;
use pool::{Database, Tx};

/// How a store is opened; the default is what the switch uses.
#[derive(Clone)]
pub struct Options {
    /// Where the time comes from.
    pub clock: Arc<dyn Clock>,
    /// Node number in ids, 0 to 511; `None`: a random one.
    pub node: Option<u16>,
    /// Whether missing migrations are applied; if not, a database that lacks some is refused.
    pub migrate: bool,
}

impl Default for Options {
    fn default() -> Self {
        Self { clock: Arc::new(SystemClock), node: None, migrate: true }
    }
}

/// The database with everything that stands on it; cheap to clone.
#[derive(Clone)]
pub struct Store {
    core: Arc<Core>,
    group: Group,
}

/// What background tasks share with the handle.
pub(crate) struct Core {
    database: Database,
    key: MasterKey,
    hashery: Hashery,
    caches: Caches,
    /// This process among those that share the database.
    instance: i64,
    migrated: Vec<&'static str>,
}

impl Store {
    /// Opens `sqlite:PATH` or `postgres://…`, applies missing migrations, and checks that `key` is the one that sealed
    /// what is there.
    pub async fn open(url: &str, key: MasterKey) -> Result<Self> {
        Self::open_with(url, key, Options::default()).await
    }

    /// As [`Store::open`], with options.
    pub async fn open_with(url: &str, key: MasterKey, options: Options) -> Result<Self> {
        let nodes = u64::from(IdGenerator::NODES);
        let node = options.node.unwrap_or_else(|| u16::try_from(Random::from_entropy().below(nodes)).unwrap_or(0));
        let database = Database::connect(url, options.clock, node).await?;
        let migrated = migrate::migrate(&database, options.migrate).await?;
        let instance = i64::try_from(Random::from_entropy().u64() >> 2).unwrap_or(0);
        let core = Core { database, key, hashery: Hashery::new(), caches: Caches::new(), instance, migrated };
        let core = Arc::new(core);
        let store = Self { group: Group::start(Arc::clone(&core)), core };
        // Opening it fails with a clear message under any other key.
        store.named_secret("master key check").await?;
        store.beat(store.now()).await?;
        Core::watch(&store.core);
        Ok(store)
    }

    /// Whether a URL leads to a database that was already set up, so that its master key must exist.
    pub async fn exists(url: &str) -> Result<bool> {
        match pool::engine_of(url)? {
            Engine::Sqlite => {
                let file = std::fs::metadata(Path::new(pool::sqlite_path(url)));
                Ok(file.is_ok_and(|f| f.len() > 0))
            }
            Engine::Postgres => {
                let database = Database::connect(url, Arc::new(SystemClock), 0).await?;
                let row = pool::sql("SELECT CAST(to_regclass('schema_migrations') AS TEXT) AS name");
                let row = database.row(row).await?;
                database.close().await;
                Ok(row.is_some_and(|r| row::Columns::text_opt(&r, "name").ok().flatten().is_some()))
            }
        }
    }

    /// Names of the migrations that opening applied.
    pub fn migrations_applied(&self) -> &[&'static str] {
        &self.core.migrated
    }

    /// Which engine it runs on.
    pub fn engine(&self) -> Engine {
        self.core.database.engine
    }

    /// The wall clock of the store.
    pub fn now(&self) -> Timestamp {
        self.core.database.now()
    }

    /// A new id, unique on this database.
    pub fn new_id<K>(&self) -> Id<K> {
        self.core.database.id()
    }

    /// Hashes a password of a person (argon2id) in a bounded slot.
    pub async fn hash_password(&self, password: &Secret) -> Result<String> {
        password::check(password)?;
        self.core.hashery.hash(password.clone()).await
    }

    /// Whether `password` belongs to `hash`; takes the same time when there is no hash.
    pub async fn verify_password(&self, password: &Secret, hash: Option<&str>) -> Result<bool> {
        self.core.hashery.verify(password.clone(), hash.map(str::to_owned)).await
    }

    /// Closes every connection; later calls are `Unavailable`.
    pub async fn close(&self) {
        self.core.database.close().await;
    }

    pub(crate) fn database(&self) -> &Database {
        &self.core.database
    }

    pub(crate) fn key(&self) -> &MasterKey {
        &self.core.key
    }

    pub(crate) async fn begin(&self) -> Result<Tx<'_>> {
        Ok(self.core.database.begin().await?)
    }

    /// Commits, raises the versions of what was touched, and forgets it here.
    pub(crate) async fn commit(&self, mut tx: Tx<'_>) -> Result<()> {
        let touched = tx.touched();
        for topic in &touched {
            tx.execute(pool::sql("UPDATE meta SET value = value + 1 WHERE name = $1").bind(topic.as_str())).await?;
        }
        let done = tx.commit().await;
        // Also when it failed: a lost connection may hide that it was done.
        touched.into_iter().for_each(|topic| self.core.caches.forget(topic));
        Ok(done?)
    }
}
