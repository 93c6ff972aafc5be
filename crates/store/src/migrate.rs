//! Brings the schema up to date: applies what is missing, in order, in one transaction, and refuses a database whose
//! history is not ours. A migration that was ever released is never edited; a change is a new file.

use std::fmt::Write;

use aws_lc_rs::digest::{SHA256, digest};

use crate::dialect::Engine;
use crate::error::{Error, Result};
use crate::pool::{Database, Tx, sql};
use crate::row::Columns;

/// One step of the schema's history. Most have one text for both engines.
struct Migration {
    name: &'static str,
    sqlite: &'static str,
    postgres: &'static str,
}

macro_rules! same {
    ($name:literal) => {
        Migration {
            name: $name,
            sqlite: include_str!(concat!("../migrations/", $name, ".sql")),
            postgres: include_str!(concat!("../migrations/", $name, ".sql")),
        }
    };
}
macro_rules! twins {
    ($name:literal) => {
        Migration {
            name: $name,
            sqlite: include_str!(concat!("../migrations/", $name, ".sqlite.sql")),
            postgres: include_str!(concat!("../migrations/", $name, ".postgres.sql")),
        }
    };
}

/// The whole history, oldest first.
const MIGRATIONS: &[Migration] = &[same!("0001_core"), twins!("0001_core_guard"), same!("0002_api")];

/// Any number; PostgreSQL's advisory lock under which migrations run.
const LOCK: i64 = 0x7461_6e64_656d;

/// Applies what is missing; the names of what was applied now. With `apply` false anything missing is an error.
pub(crate) async fn migrate(database: &Database, apply: bool) -> Result<Vec<&'static str>> {
    let mut tx = database.begin().await?;
    if tx.engine() == Engine::Postgres {
        // Two processes that start together: the second waits here, then finds everything done.
        tx.execute(sql("SELECT pg_advisory_xact_lock($1)").bind(LOCK)).await?;
    }
    tx.execute(sql(
        "CREATE TABLE IF NOT EXISTS schema_migrations (name TEXT NOT NULL PRIMARY KEY, checksum TEXT NOT NULL, \
         applied_at_ms BIGINT NOT NULL)",
    ))
    .await?;
    let missing = missing(&mut tx).await?;
    if !apply && !missing.is_empty() {
        let names: Vec<_> = missing.iter().map(|m| m.name).collect();
        return Err(Error::Conflict(format!("the database lacks migrations: {}", names.join(", "))));
    }
    for migration in &missing {
        let text = text(migration, tx.engine());
        sqlx::raw_sql(text)
            .execute(tx.connection())
            .await
            .map_err(|e| Error::Unavailable(format!("migration {}: {e}", migration.name)))?;
        let now_ms = tx.now.as_millis();
        let insert = sql("INSERT INTO schema_migrations (name, checksum, applied_at_ms) VALUES ($1, $2, $3)");
        tx.execute(insert.bind(migration.name).bind(checksum(text)).bind(now_ms)).await?;
    }
    tx.commit().await?;
    Ok(missing.iter().map(|m| m.name).collect())
}

/// What is not applied yet; an error when the database knows migrations that we do not, or other texts of ours.
async fn missing(tx: &mut Tx<'_>) -> Result<Vec<&'static Migration>> {
    let rows = tx.rows(sql("SELECT name, checksum FROM schema_migrations ORDER BY name")).await?;
    let mut applied = Vec::new();
    for row in rows {
        let (name, sum) = (row.text("name")?, row.text("checksum")?);
        let Some(known) = MIGRATIONS.iter().find(|m| m.name == name) else {
            let why = format!("the database has the migration {name}, which this version does not know: it is newer");
            return Err(Error::Conflict(why));
        };
        if checksum(text(known, tx.engine())) != sum {
            return Err(Error::Conflict(format!("the migration {name} was applied with another text")));
        }
        applied.push(name);
    }
    Ok(MIGRATIONS.iter().filter(|m| !applied.iter().any(|a| a == m.name)).collect())
}

fn text(migration: &Migration, engine: Engine) -> &'static str {
    match engine {
        Engine::Sqlite => migration.sqlite,
        Engine::Postgres => migration.postgres,
    }
}

/// SHA-256 in hexadecimal.
fn checksum(text: &str) -> String {
    digest(&SHA256, text.as_bytes()).as_ref().iter().fold(String::new(), |mut hex, byte| {
        _ = write!(hex, "{byte:02x}");
        hex
    })
}
