//! Idempotency-Key of the API: which request came first, which object it makes, and what was answered. The object's id is
//! fixed in the key's row before anything is done; whoever goes on after a crash makes the same object again, and making it
//! twice changes nothing.

use std::time::Duration;

use base::Id;
use base::id::kind::User;

use crate::Store;
use crate::error::Result;
use crate::pool::sql;
use crate::row::Columns;

/// How long an answer is kept.
const KEPT: Duration = Duration::from_secs(24 * 3600);
/// How long a request is believed to be worked on; a process that takes longer has crashed.
const LEASE: Duration = Duration::from_secs(60);

/// What to do with a request under a key.
#[derive(Debug, Clone)]
pub enum Claim<K> {
    /// Nobody did it before: make the object with this id.
    First(Id<K>),
    /// Somebody began and did not finish: the object with this id may be there or not.
    TakenOver(Id<K>),
    /// It was done, and this was the answer.
    Done {
        /// HTTP status.
        status: u16,
        /// Body.
        answer: String,
    },
    /// The key stands for another request.
    Mismatch,
    /// Somebody is at it.
    InFlight,
}

impl<K> PartialEq for Claim<K> {
    /// By hand, since a kind of id need not be comparable.
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::First(a), Self::First(b)) | (Self::TakenOver(a), Self::TakenOver(b)) => a == b,
            (Self::Done { status: s, answer: a }, Self::Done { status: t, answer: b }) => s == t && a == b,
            (Self::Mismatch, Self::Mismatch) | (Self::InFlight, Self::InFlight) => true,
            (Self::First(_) | Self::TakenOver(_) | Self::Done { .. } | Self::Mismatch | Self::InFlight, _) => false,
        }
    }
}

impl Store {
    /// Claims `key` of `user` for the request with this hash.
    pub async fn claim_key<K>(&self, user: Id<User>, key: &str, request_hash: &str) -> Result<Claim<K>> {
        let mut tx = self.begin().await?;
        let (now_ms, lease_ms) = (tx.now.as_millis(), tx.now.after(LEASE).as_millis());
        let object: Id<K> = tx.id();
        let gone = sql("DELETE FROM idempotency_keys WHERE user_id = $1 AND name = $2 AND expires_at_ms <= $3");
        tx.execute(gone.bind(user.as_i64()).bind(key.to_owned()).bind(now_ms)).await?;
        let insert = sql("INSERT INTO idempotency_keys (user_id, name, request_hash, object_id, lease_until_ms, \
                          created_at_ms, expires_at_ms) VALUES ($1, $2, $3, $4, $5, $6, $7) ON CONFLICT DO NOTHING");
        let insert = insert
            .bind(user.as_i64())
            .bind(key.to_owned())
            .bind(request_hash.to_owned())
            .bind(object.as_i64())
            .bind(lease_ms)
            .bind(now_ms)
            .bind(tx.now.after(KEPT).as_millis());
        if tx.execute(insert).await? == 1 {
            tx.commit().await?;
            return Ok(Claim::First(object));
        }
        let select = sql(
            "SELECT request_hash, object_id, status, answer FROM idempotency_keys WHERE user_id = $1 AND name = $2",
        );
        let Some(row) = tx.row(select.bind(user.as_i64()).bind(key.to_owned())).await? else {
            // Released between the two statements: the client may simply try again.
            return Ok(Claim::InFlight);
        };
        if row.text("request_hash")? != request_hash {
            return Ok(Claim::Mismatch);
        }
        if let (Some(status), Some(answer)) = (row.number_opt("status")?, row.text_opt("answer")?) {
            return Ok(Claim::Done { status, answer });
        }
        let take = sql("UPDATE idempotency_keys SET lease_until_ms = $1 \
                        WHERE user_id = $2 AND name = $3 AND answer IS NULL AND lease_until_ms <= $4");
        let taken = tx.execute(take.bind(lease_ms).bind(user.as_i64()).bind(key.to_owned()).bind(now_ms)).await?;
        tx.commit().await?;
        Ok(if taken == 1 { Claim::TakenOver(row.id("object_id")?) } else { Claim::InFlight })
    }

    /// Keeps what was answered, for a day.
    pub async fn keep_answer(&self, user: Id<User>, key: &str, status: u16, answer: &str) -> Result<()> {
        let mut tx = self.begin().await?;
        let update = sql(
            "UPDATE idempotency_keys SET status = $1, answer = $2 WHERE user_id = $3 AND name = $4 AND answer IS NULL",
        );
        let update = update.bind(i64::from(status)).bind(answer.to_owned()).bind(user.as_i64()).bind(key.to_owned());
        tx.execute(update).await?;
        Ok(tx.commit().await?)
    }

    /// Forgets a key: the request was refused and nothing was done.
    pub async fn release_key(&self, user: Id<User>, key: &str) -> Result<()> {
        let mut tx = self.begin().await?;
        let delete = sql("DELETE FROM idempotency_keys WHERE user_id = $1 AND name = $2 AND answer IS NULL");
        tx.execute(delete.bind(user.as_i64()).bind(key.to_owned())).await?;
        Ok(tx.commit().await?)
    }

    /// Gives the lease back: nobody knows whether it was done, and the next request finds out.
    pub async fn yield_key(&self, user: Id<User>, key: &str) -> Result<()> {
        let mut tx = self.begin().await?;
        let update =
            sql("UPDATE idempotency_keys SET lease_until_ms = 0 WHERE user_id = $1 AND name = $2 AND answer IS NULL");
        tx.execute(update.bind(user.as_i64()).bind(key.to_owned())).await?;
        Ok(tx.commit().await?)
    }

    /// Forgets keys whose day is over; how many.
    pub async fn sweep_keys(&self) -> Result<u64> {
        let mut tx = self.begin().await?;
        let now_ms = tx.now.as_millis();
        let gone = tx.execute(sql("DELETE FROM idempotency_keys WHERE expires_at_ms <= $1").bind(now_ms)).await?;
        tx.commit().await?;
        Ok(gone)
    }
}
