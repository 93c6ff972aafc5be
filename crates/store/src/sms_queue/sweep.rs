//! Housekeeping of texts.

use std::time::Duration;

use base::id::kind::Message;
use base::{Id, Timestamp};
use domain::ports::SmsSwept;

use super::submit::conclude;
use super::{Note, note};
use crate::Store;
use crate::error::Result;
use crate::pool::sql;
use crate::row::Columns;

/// How long an early receipt, and the parts of an incomplete text, are kept; also how long after its validity a text
/// waits for a receipt.
const KEPT: Duration = Duration::from_secs(24 * 3600);
/// From the id of a text to that of its copy for a recipient of ours ([`Id::twin`]).
const TWIN_OFFSET: i64 = Id::<Message>::from_i64(0).twin().as_i64();
/// Most texts that one sweep fails; the next one goes on.
const SWEEP_MAX: i64 = 500;

impl Store {
    /// See `SmsQueue::sweep`.
    pub(super) async fn sweep_texts(&self, now: Timestamp) -> Result<SmsSwept> {
        let (mut changed, mut changes) = (0, vec![]);
        let mut tx = self.begin().await?;
        // Between our own numbers the recipient may have a text of which nobody noted it yet; somebody will.
        let query = sql("SELECT m.id FROM messages m WHERE m.status = 'queued' AND m.valid_until_ms <= $1 \
             AND NOT EXISTS (SELECT 1 FROM messages t WHERE t.id = m.id + $2) ORDER BY m.id LIMIT $3");
        let expired = tx.rows(query.bind(now.as_millis()).bind(TWIN_OFFSET).bind(SWEEP_MAX)).await?;
        for row in expired {
            let message: Id<Message> = row.id("id")?;
            // Parts that are on their way get their answer, or their lease ends.
            let update = sql("UPDATE message_parts SET status = 'failed', code = 'expired' \
                 WHERE message_id = $1 AND status = 'queued' AND lease_until_ms <= $2");
            let failed = tx.execute(update.bind(message.as_i64()).bind(now.as_millis())).await?;
            if failed > 0 {
                let event = Note { event: "expired", code: Some("expired".into()), ..Note::default() };
                note(&mut tx, message, now, event).await?;
                changes.extend(conclude(&mut tx, message, now).await?);
                changed += failed;
            }
        }
        let old = now.before(KEPT).as_millis();
        changed += tx.execute(sql("DELETE FROM parked_receipts WHERE at_ms < $1").bind(old)).await?;
        // The reference of a text between our own numbers is its id: its parts are kept as long as others may come.
        let parts = sql("DELETE FROM inbound_parts WHERE at_ms < $1 AND NOT EXISTS (SELECT 1 FROM messages m \
             WHERE m.id = inbound_parts.reference - $2 AND m.status = 'queued')");
        changed += tx.execute(parts.bind(old).bind(TWIN_OFFSET)).await?;
        let silent = sql("UPDATE messages SET receipt = 'unknown' \
             WHERE status = 'sent' AND receipt IS NULL AND valid_until_ms < $1");
        changed += tx.execute(silent.bind(old)).await?;
        tx.commit().await?;
        Ok(SmsSwept { rows: changed, changes })
    }
}
