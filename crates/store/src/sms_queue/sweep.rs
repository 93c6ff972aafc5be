//! Housekeeping of texts.

use std::time::Duration;

use base::Timestamp;

use super::submit::conclude;
use super::{Note, note};
use crate::Store;
use crate::error::Result;
use crate::pool::sql;
use crate::row::Columns;

/// How long an early receipt, and the parts of an incomplete text, are kept; also how long after its validity a text
/// waits for a receipt.
const KEPT: Duration = Duration::from_secs(24 * 3600);
/// Most texts that one sweep fails; the next one goes on.
const SWEEP_MAX: i64 = 500;

impl Store {
    /// See `SmsQueue::sweep`.
    pub(super) async fn sweep_texts(&self, now: Timestamp) -> Result<u64> {
        let mut changed = 0;
        let mut tx = self.begin().await?;
        let query = sql("SELECT id FROM messages WHERE status = 'queued' AND valid_until_ms <= $1 ORDER BY id LIMIT $2");
        let expired = tx.rows(query.bind(now.as_millis()).bind(SWEEP_MAX)).await?;
        for row in expired {
            let message = row.id("id")?;
            // Parts that are on their way get their answer, or their lease ends.
            let update = sql("UPDATE message_parts SET status = 'failed', code = 'expired' \
                 WHERE message_id = $1 AND status = 'queued' AND lease_until_ms <= $2");
            let failed = tx.execute(update.bind(message.as_i64()).bind(now.as_millis())).await?;
            if failed > 0 {
                let event = Note { event: "expired", code: Some("expired".into()), ..Note::default() };
                note(&mut tx, message, now, event).await?;
                conclude(&mut tx, message, now).await?;
                changed += failed;
            }
        }
        let old = now.before(KEPT).as_millis();
        changed += tx.execute(sql("DELETE FROM parked_receipts WHERE at_ms < $1").bind(old)).await?;
        changed += tx.execute(sql("DELETE FROM inbound_parts WHERE at_ms < $1").bind(old)).await?;
        let silent = sql("UPDATE messages SET receipt = 'unknown' \
             WHERE status = 'sent' AND receipt IS NULL AND valid_until_ms < $1");
        changed += tx.execute(silent.bind(old)).await?;
        tx.commit().await?;
        Ok(changed)
    }
}
