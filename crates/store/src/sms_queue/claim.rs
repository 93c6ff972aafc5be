//! Leasing queue rows. Condition and lock see to it that none is leased twice at the same time (measured on both engines).

use std::collections::HashMap;
use std::time::Duration;

use base::id::kind::Carrier;
use base::{Id, Timestamp};
use domain::sms::{Encoding, QueuedPart};

use crate::Store;
use crate::dialect::placeholders;
use crate::error::{Error, Result};
use crate::group::{Answer, Outcome};
use crate::pool::{Tx, composed, sql};
use crate::row::Columns;

/// Most rows of one claim, whatever was asked.
const CLAIM_MAX: usize = 1_000;

impl Store {
    /// Leases due parts; see `SmsQueue::claim`.
    pub(super) async fn claim_parts(
        &self,
        available: &[Id<Carrier>],
        with_room: &[Id<Carrier>],
        limit: usize,
        now: Timestamp,
        lease: Duration,
    ) -> Result<Vec<QueuedPart>> {
        if available.is_empty() || with_room.is_empty() || limit == 0 {
            return Ok(vec![]);
        }
        let mut tx = self.begin().await?;
        let among = placeholders(4, available.len());
        let open = placeholders(4 + available.len(), with_room.len());
        let first_of_plan = |part: &str| {
            format!(
                "(SELECT c.carrier_id FROM message_plan c WHERE c.message_id = {part}.message_id \
                 AND c.position >= {part}.plan_position AND c.carrier_id IN ({among}) ORDER BY c.position LIMIT 1)"
            )
        };
        let free = "status = 'queued' AND due_at_ms <= $1 AND lease_until_ms <= $1";
        let skip_locked = self.engine().skip_locked();
        let text = format!(
            "UPDATE message_parts SET lease_until_ms = $2, attempts = attempts + 1, carrier_id = {} \
             WHERE (message_id, part) IN (SELECT p.message_id, p.part FROM message_parts p WHERE p.{free} \
             AND {} IN ({open}) ORDER BY p.due_at_ms, p.message_id, p.part LIMIT $3{skip_locked}) AND {free} \
             RETURNING message_id, part, body, attempts, carrier_id",
            first_of_plan("message_parts"),
            first_of_plan("p"),
        );
        let limit = i64::try_from(limit.min(CLAIM_MAX)).unwrap_or(1);
        let query = composed(text).bind(now.as_millis()).bind(now.after(lease).as_millis()).bind(limit);
        let query = available.iter().chain(with_room).fold(query, |query, carrier| query.bind(carrier.as_i64()));
        let claimed = tx.rows(query).await?;
        let mut parts = Vec::with_capacity(claimed.len());
        if !claimed.is_empty() {
            let ids = claimed.iter().map(|row| row.int("message_id")).collect::<Result<Vec<_>>>()?;
            let messages = messages(&mut tx, ids).await?;
            for row in &claimed {
                let message = row.int("message_id")?;
                let whole = messages.get(&message).ok_or(Error::NotFound("message"))?;
                parts.push(QueuedPart {
                    part: row.number("part")?,
                    carrier: row.id("carrier_id")?,
                    text: row.text("body")?,
                    attempts: row.number::<u32>("attempts")?.saturating_sub(1),
                    ..whole.clone()
                });
            }
        }
        tx.commit().await?;
        parts.sort_by_key(|p| (p.message, p.part));
        Ok(parts)
    }
}

/// What the parts of each message have in common.
async fn messages(tx: &mut Tx<'_>, mut ids: Vec<i64>) -> Result<HashMap<i64, QueuedPart>> {
    ids.sort_unstable();
    ids.dedup();
    let text = format!(
        "SELECT id, from_party, to_party, encoding, segments, reference, valid_until_ms FROM messages WHERE id IN ({})",
        placeholders(1, ids.len())
    );
    let query = ids.iter().fold(composed(text), |query, id| query.bind(*id));
    let mut messages = HashMap::new();
    for row in tx.rows(query).await? {
        let whole = QueuedPart {
            message: row.id("id")?,
            part: 0,
            parts: row.number("segments")?,
            carrier: Id::from_i64(0),
            from: row.e164("from_party")?,
            to: row.e164("to_party")?,
            text: String::new(),
            encoding: row.word("encoding", Encoding::parse)?,
            reference: row.number("reference")?,
            attempts: 0,
            valid_until: row.time("valid_until_ms")?,
        };
        messages.insert(whole.message.as_i64(), whole);
    }
    Ok(messages)
}

/// Gives leases back. The number of attempts tells whether a lease is still that of the caller.
pub(crate) async fn unclaim(tx: &mut Tx<'_>, parts: &[QueuedPart]) -> Outcome {
    for part in parts {
        let update = sql("UPDATE message_parts SET lease_until_ms = 0, attempts = attempts - 1 \
             WHERE message_id = $1 AND part = $2 AND status = 'queued' AND attempts = $3");
        let update = update.bind(part.message.as_i64()).bind(i64::from(part.part)).bind(i64::from(part.attempts) + 1);
        tx.execute(update).await?;
    }
    Ok(Ok(Answer::Done))
}
