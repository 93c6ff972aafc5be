//! Connections: one writer and some readers on SQLite, one pool on PostgreSQL; and the transaction that all changes use.

use std::str::FromStr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use base::time::Clock;
use base::{Id, IdGenerator, Timestamp};
use sqlx::any::{AnyConnectOptions, AnyPoolOptions, AnyRow};
use sqlx::{Any, AnyConnection, AnyPool, ConnectOptions, Executor, Transaction};

use crate::dialect::Engine;
use crate::directory::Topic;
use crate::error::{Error, Result};

/// Reading connections to SQLite: reads are short and the process has few cores.
const SQLITE_READERS: u32 = 4;
/// Connections to PostgreSQL per process.
const POSTGRES_CONNECTIONS: u32 = 12;
/// How long a caller waits for a connection before it is told that the store is unavailable.
const ACQUIRE_TIMEOUT: Duration = Duration::from_secs(10);
/// Statements slower than this are logged as a warning.
const SLOW_STATEMENT: Duration = Duration::from_secs(1);

/// A query with its arguments.
pub(crate) type Query<'q> = sqlx::query::Query<'q, Any, sqlx::any::AnyArguments>;

/// A statement of fixed text.
pub(crate) fn sql<'q>(text: &'static str) -> Query<'q> {
    sqlx::query(text)
}

/// A statement composed of fixed fragments and placeholders; never of values.
pub(crate) fn composed<'q>(text: String) -> Query<'q> {
    sqlx::query(sqlx::AssertSqlSafe(text))
}

/// The database, its time and its ids.
pub(crate) struct Database {
    pub(crate) engine: Engine,
    readers: AnyPool,
    writer: AnyPool,
    clock: Arc<dyn Clock>,
    ids: Mutex<IdGenerator>,
}

impl Database {
    /// Connects to `sqlite:PATH` (made when missing) or `postgres://…`.
    pub(crate) async fn connect(url: &str, clock: Arc<dyn Clock>, node: u16) -> Result<Self> {
        sqlx::any::install_default_drivers();
        let engine = engine_of(url)?;
        let (readers, writer) = match engine {
            Engine::Sqlite => {
                let writer = sqlite_pool(url, "rwc", 1, "").await?;
                (sqlite_pool(url, "rw", SQLITE_READERS, "PRAGMA query_only = 1;").await?, writer)
            }
            Engine::Postgres => {
                let pool = postgres_pool(url).await?;
                (pool.clone(), pool)
            }
        };
        Ok(Self { engine, readers, writer, clock, ids: Mutex::new(IdGenerator::new(node)) })
    }

    pub(crate) fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// A new id.
    pub(crate) fn id<K>(&self) -> Id<K> {
        self.ids.lock().unwrap_or_else(PoisonError::into_inner).next(self.clock.now())
    }

    /// Begins a transaction that may write. Dropping it without [`Tx::commit`] undoes it.
    pub(crate) async fn begin(&self) -> Result<Tx<'_>, sqlx::Error> {
        let inner = self.writer.begin_with(self.engine.begin()).await?;
        Ok(Tx { inner, database: self, now: self.now(), touched: vec![] })
    }

    /// All rows of a query that only reads.
    pub(crate) async fn rows(&self, query: Query<'_>) -> Result<Vec<AnyRow>> {
        Ok(query.fetch_all(&self.readers).await?)
    }

    /// The first row of a query that only reads.
    pub(crate) async fn row(&self, query: Query<'_>) -> Result<Option<AnyRow>> {
        Ok(query.fetch_optional(&self.readers).await?)
    }

    pub(crate) fn is_closed(&self) -> bool {
        self.writer.is_closed()
    }

    /// Waits until every connection is closed.
    pub(crate) async fn close(&self) {
        self.readers.close().await;
        self.writer.close().await;
    }
}

/// A transaction that may write, with the time at which it began.
pub(crate) struct Tx<'d> {
    inner: Transaction<'static, Any>,
    database: &'d Database,
    pub(crate) now: Timestamp,
    touched: Vec<Topic>,
}

impl Tx<'_> {
    pub(crate) const fn engine(&self) -> Engine {
        self.database.engine
    }

    /// A new id.
    pub(crate) fn id<K>(&self) -> Id<K> {
        self.database.id()
    }

    pub(crate) fn connection(&mut self) -> &mut AnyConnection {
        &mut self.inner
    }

    /// Runs a statement; how many rows it changed.
    pub(crate) async fn execute(&mut self, query: Query<'_>) -> Result<u64, sqlx::Error> {
        Ok(query.execute(self.connection()).await?.rows_affected())
    }

    pub(crate) async fn rows(&mut self, query: Query<'_>) -> Result<Vec<AnyRow>, sqlx::Error> {
        query.fetch_all(self.connection()).await
    }

    pub(crate) async fn row(&mut self, query: Query<'_>) -> Result<Option<AnyRow>, sqlx::Error> {
        query.fetch_optional(self.connection()).await
    }

    /// Says that it changes what caches remember. Such a transaction ends with `Store::commit`.
    pub(crate) fn touch(&mut self, topic: Topic) {
        if !self.touched.contains(&topic) {
            self.touched.push(topic);
        }
    }

    pub(crate) fn touched(&self) -> Vec<Topic> {
        self.touched.clone()
    }

    pub(crate) async fn commit(self) -> Result<(), sqlx::Error> {
        self.inner.commit().await
    }
}

/// Which engine a URL names.
pub(crate) fn engine_of(url: &str) -> Result<Engine> {
    match url.split_once(':').map(|(scheme, _)| scheme) {
        Some("sqlite") => Ok(Engine::Sqlite),
        Some("postgres" | "postgresql") => Ok(Engine::Postgres),
        _ => Err(Error::Unsupported("store.url must begin with sqlite: or postgres://".into())),
    }
}

/// The file of a `sqlite:` URL.
pub(crate) fn sqlite_path(url: &str) -> &str {
    let path = url.strip_prefix("sqlite:").unwrap_or(url);
    let path = path.strip_prefix("//").unwrap_or(path);
    path.split_once('?').map_or(path, |(path, _)| path)
}

/// Money and messages must survive a power cut, hence synchronous = FULL: the log is flushed at every commit.
const SQLITE_PRAGMAS: &str = "PRAGMA busy_timeout = 10000; PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; \
    PRAGMA foreign_keys = ON; PRAGMA temp_store = MEMORY; PRAGMA cache_size = -32000; PRAGMA wal_autocheckpoint = 4000;";

async fn sqlite_pool(url: &str, mode: &str, connections: u32, more_pragmas: &'static str) -> Result<AnyPool> {
    let url = format!("sqlite://{}?mode={mode}", sqlite_path(url));
    let options = AnyPoolOptions::new()
        .max_connections(connections)
        .acquire_timeout(ACQUIRE_TIMEOUT)
        .idle_timeout(None)
        .max_lifetime(None)
        .test_before_acquire(false)
        .after_connect(move |connection, _| {
            Box::pin(async move {
                let pragmas = format!("{SQLITE_PRAGMAS} {more_pragmas}");
                connection.execute(sqlx::raw_sql(sqlx::AssertSqlSafe(pragmas))).await.map(drop)
            })
        });
    connect(options, &url, sqlite_path(&url)).await
}

async fn postgres_pool(url: &str) -> Result<AnyPool> {
    let options = AnyPoolOptions::new().max_connections(POSTGRES_CONNECTIONS).acquire_timeout(ACQUIRE_TIMEOUT);
    connect(options, url, "the PostgreSQL server").await
}

async fn connect(options: AnyPoolOptions, url: &str, what: &str) -> Result<AnyPool> {
    let connect = AnyConnectOptions::from_str(url)
        .map_err(|e| Error::malformed("store.url", e))?
        .log_statements(log_filter("trace")?)
        .log_slow_statements(log_filter("warn")?, SLOW_STATEMENT);
    options.connect_with(connect).await.map_err(|e| Error::Unavailable(format!("{what}: {e}")))
}

/// sqlx takes levels of the `log` crate, which we do not otherwise use; they read from their names.
fn log_filter<T: FromStr>(name: &str) -> Result<T> {
    name.parse().map_err(|_| Error::Unsupported(format!("log level {name}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_names_its_engine_and_file() {
        assert_eq!(engine_of("sqlite:data/x.db"), Ok(Engine::Sqlite));
        assert_eq!(engine_of("postgres://h/db"), Ok(Engine::Postgres));
        assert!(engine_of("mysql://h/db").is_err() && engine_of("data/x.db").is_err());
        for url in ["sqlite:data/x.db", "sqlite://data/x.db", "sqlite:data/x.db?mode=ro"] {
            assert_eq!(sqlite_path(url), "data/x.db");
        }
    }
}
