//! Logins of the API (D2-D4): a family of refresh tokens of which only the newest is good. Using an older one ends the
//! family. Tokens themselves never get here, only their hashes.

use std::time::Duration;

use base::id::kind::{Device, Session, Tenant, User};
use base::{Id, Timestamp};
use sqlx::any::AnyRow;

use crate::Store;
use crate::error::Result;
use crate::pool::{Tx, sql};
use crate::row::Columns;

/// How long ended logins are kept, so that a late reuse is still recognised.
const KEPT: Duration = Duration::from_secs(7 * 24 * 3600);

/// A login that begins.
#[derive(Debug, Clone, Copy)]
pub struct NewSession<'a> {
    /// Who logged in.
    pub user: Id<User>,
    /// Its tenant.
    pub tenant: Id<Tenant>,
    /// The device that it is for.
    pub device: Option<Id<Device>>,
    /// Whether the device was made by this login, and so goes with it.
    pub device_minted: bool,
    /// SHA-256 of its first refresh token, hexadecimal.
    pub token_hash: &'a str,
    /// How long the token is good.
    pub ttl: Duration,
}

/// A login.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SessionFacts {
    /// The login.
    pub id: Id<Session>,
    /// Who logged in.
    pub user: Id<User>,
    /// Its tenant.
    pub tenant: Id<Tenant>,
    /// The device that it is for.
    pub device: Option<Id<Device>>,
    /// Whether the device was made by this login.
    pub device_minted: bool,
    /// When it ended early.
    pub ended_at: Option<Timestamp>,
}

/// What became of a refresh token that was presented.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Rotation {
    /// It was the newest; the new one took its place.
    Rotated(SessionFacts),
    /// It was used before: somebody has a copy, and the whole login is ended now.
    Reused(SessionFacts),
    /// Unknown, too old, or of a login that ended.
    Refused,
}

impl Store {
    /// Begins a login.
    pub async fn open_session(&self, new: NewSession<'_>) -> Result<Id<Session>> {
        let mut tx = self.begin().await?;
        let id: Id<Session> = tx.id();
        let expires_at_ms = tx.now.after(new.ttl).as_millis();
        let insert = sql("INSERT INTO api_sessions (id, tenant_id, user_id, device_id, device_minted, created_at_ms, \
                          expires_at_ms) VALUES ($1, $2, $3, $4, $5, $6, $7)");
        let insert = insert
            .bind(id.as_i64())
            .bind(new.tenant.as_i64())
            .bind(new.user.as_i64())
            .bind(new.device.map(Id::as_i64))
            .bind(i64::from(new.device_minted))
            .bind(tx.now.as_millis())
            .bind(expires_at_ms);
        tx.execute(insert).await?;
        insert_token(&mut tx, id, new.token_hash, expires_at_ms).await?;
        tx.commit().await?;
        Ok(id)
    }

    /// Puts a new refresh token in the place of the one with `old_hash`.
    pub async fn rotate_session(&self, old_hash: &str, new_hash: &str, ttl: Duration) -> Result<Rotation> {
        let mut tx = self.begin().await?;
        let now_ms = tx.now.as_millis();
        // The condition on used_at_ms lets exactly one of several that come at once win.
        let take = sql("UPDATE api_refresh_tokens SET used_at_ms = $1 \
                        WHERE token_hash = $2 AND used_at_ms IS NULL AND expires_at_ms > $1 RETURNING session_id");
        let taken = tx.row(take.bind(now_ms).bind(old_hash.to_owned())).await?;
        let fresh = taken.is_some();
        let row = match taken {
            Some(row) => Some(row),
            None => {
                let used =
                    sql("SELECT session_id FROM api_refresh_tokens WHERE token_hash = $1 AND used_at_ms IS NOT NULL");
                tx.row(used.bind(old_hash.to_owned())).await?
            }
        };
        let Some(row) = row else { return Ok(Rotation::Refused) };
        let Some(facts) = load(&mut tx, row.id("session_id")?).await? else { return Ok(Rotation::Refused) };
        if !fresh {
            end(&mut tx, facts.id, "reuse of a refresh token").await?;
            tx.commit().await?;
            return Ok(Rotation::Reused(facts));
        }
        if facts.ended_at.is_some() {
            tx.commit().await?;
            return Ok(Rotation::Refused);
        }
        let expires_at_ms = tx.now.after(ttl).as_millis();
        insert_token(&mut tx, facts.id, new_hash, expires_at_ms).await?;
        let prolong = sql("UPDATE api_sessions SET expires_at_ms = $1 WHERE id = $2");
        tx.execute(prolong.bind(expires_at_ms).bind(facts.id.as_i64())).await?;
        tx.commit().await?;
        Ok(Rotation::Rotated(facts))
    }

    /// Ends a login; what it was, or `None` when there is none.
    pub async fn end_session(&self, session: Id<Session>, why: &str) -> Result<Option<SessionFacts>> {
        let mut tx = self.begin().await?;
        let facts = load(&mut tx, session).await?;
        end(&mut tx, session, why).await?;
        tx.commit().await?;
        Ok(facts)
    }

    /// Ends every login of a user; how many there were.
    pub async fn end_sessions_of(&self, user: Id<User>, why: &str) -> Result<u64> {
        let mut tx = self.begin().await?;
        let update =
            sql("UPDATE api_sessions SET ended_at_ms = $1, ended_why = $2 WHERE user_id = $3 AND ended_at_ms IS NULL");
        let ended = tx.execute(update.bind(tx.now.as_millis()).bind(why.to_owned()).bind(user.as_i64())).await?;
        tx.commit().await?;
        Ok(ended)
    }

    /// Forgets logins that ended a week ago; how many.
    pub async fn sweep_sessions(&self) -> Result<u64> {
        let mut tx = self.begin().await?;
        let before_ms = tx.now.before(KEPT).as_millis();
        let tokens = sql("DELETE FROM api_refresh_tokens WHERE session_id IN \
                          (SELECT id FROM api_sessions WHERE expires_at_ms < $1)");
        tx.execute(tokens.bind(before_ms)).await?;
        let gone = tx.execute(sql("DELETE FROM api_sessions WHERE expires_at_ms < $1").bind(before_ms)).await?;
        tx.commit().await?;
        Ok(gone)
    }
}

async fn insert_token(tx: &mut Tx<'_>, session: Id<Session>, hash: &str, expires_at_ms: i64) -> Result<()> {
    let insert = sql("INSERT INTO api_refresh_tokens (token_hash, session_id, created_at_ms, expires_at_ms) \
                      VALUES ($1, $2, $3, $4)");
    let now_ms = tx.now.as_millis();
    tx.execute(insert.bind(hash.to_owned()).bind(session.as_i64()).bind(now_ms).bind(expires_at_ms)).await?;
    Ok(())
}

async fn load(tx: &mut Tx<'_>, session: Id<Session>) -> Result<Option<SessionFacts>> {
    let select =
        sql("SELECT id, user_id, tenant_id, device_id, device_minted, ended_at_ms FROM api_sessions WHERE id = $1");
    tx.row(select.bind(session.as_i64())).await?.map(|row| facts(&row)).transpose()
}

fn facts(row: &AnyRow) -> Result<SessionFacts> {
    Ok(SessionFacts {
        id: row.id("id")?,
        user: row.id("user_id")?,
        tenant: row.id("tenant_id")?,
        device: row.id_opt("device_id")?,
        device_minted: row.flag("device_minted")?,
        ended_at: row.time_opt("ended_at_ms")?,
    })
}

async fn end(tx: &mut Tx<'_>, session: Id<Session>, why: &str) -> Result<()> {
    let update = sql("UPDATE api_sessions SET ended_at_ms = $1, ended_why = $2 WHERE id = $3 AND ended_at_ms IS NULL");
    let now_ms = tx.now.as_millis();
    tx.execute(update.bind(now_ms).bind(why.to_owned()).bind(session.as_i64())).await?;
    Ok(())
}
