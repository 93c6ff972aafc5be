//! Delivery receipts: matched by carrier and id in any form, parked when they overtake the response.

use base::id::kind::Message;
use base::{Id, Timestamp};
use domain::ports::ReceiptOutcome;
use domain::sms::{MessageStatus, ReceiptReport, ReceiptState, StatusChange, SubmitOutcome};

use super::{Note, note};
use crate::dialect::placeholders;
use crate::error::{Error, Result};
use crate::group::{Answer, Outcome};
use crate::ledger::{Account, Category, Kind, Movement, post};
use crate::pool::{Tx, composed, sql};
use crate::row::Columns;

/// An id as it is compared: lower case, without blanks and leading zeros.
pub(super) fn fold(id: &str) -> String {
    let folded = id.trim().to_ascii_lowercase();
    let stripped = folded.trim_start_matches('0');
    if stripped.is_empty() { folded } else { stripped.to_owned() }
}

/// What a receipt says of one part.
struct News {
    state: ReceiptState,
    code: Option<String>,
    raw: String,
    at: Timestamp,
}

/// Finds the part of a receipt and applies it, or keeps it for later.
pub(crate) async fn receipt(tx: &mut Tx<'_>, report: &ReceiptReport) -> Outcome {
    let mut keys: Vec<String> = Vec::new();
    for key in report.id_candidates.iter().map(|c| fold(c)) {
        if !keys.contains(&key) {
            keys.push(key);
        }
    }
    if keys.is_empty() {
        return Ok(Err(Error::malformed("receipt", "it names no message")));
    }
    let text = format!(
        "SELECT message_id, part, carrier_message_key FROM message_parts WHERE carrier_id = $1 \
         AND carrier_message_key IN ({}) ORDER BY submitted_at_ms DESC LIMIT 100",
        placeholders(2, keys.len())
    );
    let query = keys.iter().fold(composed(text).bind(report.carrier.as_i64()), |query, key| query.bind(key.clone()));
    let mut found = Vec::new();
    for row in tx.rows(query).await? {
        let key = row.text("carrier_message_key")?;
        let rank = keys.iter().position(|k| *k == key).unwrap_or(usize::MAX);
        found.push((rank, row.id::<base::id::kind::Message>("message_id")?, row.number::<u8>("part")?));
    }
    // The first form that is known, and of several parts with that id the latest.
    found.sort_by_key(|(rank, _, _)| *rank);
    let news = News { state: report.state, code: report.code.clone(), raw: report.raw.clone(), at: report.at };
    match found.first() {
        Some(&(_, message, part)) => {
            apply(tx, message, part, report.carrier, news).await?;
            let change = conclude_receipts(tx, message, report.at).await?;
            Ok(Ok(Answer::Receipt(ReceiptOutcome::Matched(message), change.into_iter().collect())))
        }
        None => {
            park(tx, report, &keys).await?;
            Ok(Ok(Answer::Receipt(ReceiptOutcome::Parked, vec![])))
        }
    }
}

async fn park(tx: &mut Tx<'_>, report: &ReceiptReport, keys: &[String]) -> Result<()> {
    let id: Id<base::id::kind::Event> = tx.id();
    for key in keys {
        let insert = sql("INSERT INTO parked_receipts (carrier_id, message_key, receipt_id, state, code, raw, at_ms) \
             VALUES ($1, $2, $3, $4, $5, $6, $7)");
        let insert = insert
            .bind(report.carrier.as_i64())
            .bind(key.clone())
            .bind(id.as_i64())
            .bind(report.state.as_str())
            .bind(report.code.clone())
            .bind(report.raw.clone())
            .bind(report.at.as_millis());
        tx.execute(insert).await?;
    }
    Ok(())
}

/// Applies the receipts that had come before this response, in the order in which they came.
pub(super) async fn apply_parked(tx: &mut Tx<'_>, outcome: &SubmitOutcome, key: &str) -> Result<()> {
    let query = sql("SELECT receipt_id, state, code, raw, at_ms FROM parked_receipts \
         WHERE carrier_id = $1 AND message_key = $2 ORDER BY receipt_id");
    let rows = tx.rows(query.bind(outcome.carrier.as_i64()).bind(key.to_owned())).await?;
    for row in rows {
        let news = News {
            state: row.word("state", ReceiptState::parse)?,
            code: row.text_opt("code")?,
            raw: row.text("raw")?,
            at: row.time("at_ms")?,
        };
        apply(tx, outcome.message, outcome.part, outcome.carrier, news).await?;
        let delete = sql("DELETE FROM parked_receipts WHERE receipt_id = $1");
        tx.execute(delete.bind(row.int("receipt_id")?)).await?;
    }
    Ok(())
}

/// Notes what became of a part. News that is known already changes nothing.
async fn apply(
    tx: &mut Tx<'_>,
    message: Id<Message>,
    part: u8,
    carrier: Id<base::id::kind::Carrier>,
    news: News,
) -> Result<()> {
    let status = match news.state {
        ReceiptState::Delivered => Some("delivered"),
        ReceiptState::Expired | ReceiptState::Deleted | ReceiptState::Undeliverable | ReceiptState::Rejected => {
            Some("undelivered")
        }
        ReceiptState::Enroute | ReceiptState::Accepted | ReceiptState::Unknown => None,
    };
    // Delivered is final; a late delivery overrules what was taken for lost.
    let update =
        sql("UPDATE message_parts SET status = COALESCE($1, status), receipt = $2, code = COALESCE($3, code) \
         WHERE message_id = $4 AND part = $5 AND status <> 'delivered' AND (receipt IS NULL OR receipt <> $2) \
         AND (status <> 'undelivered' OR $2 = 'delivered')");
    let update = update
        .bind(status)
        .bind(news.state.as_str())
        .bind(news.code.clone())
        .bind(message.as_i64())
        .bind(i64::from(part));
    if tx.execute(update).await? == 1 {
        let raw = Some(format!("{} {}", news.state.as_str(), news.raw));
        let event = Note { event: "receipt", part: Some(part), carrier: Some(carrier), code: news.code, raw };
        note(tx, message, news.at, event).await?;
    }
    Ok(())
}

/// Moves a text on by what receipts said of its parts: delivered when all are, failed when one was not.
/// Returns its new status, if that makes one.
pub(super) async fn conclude_receipts(
    tx: &mut Tx<'_>,
    message: Id<Message>,
    at: Timestamp,
) -> Result<Option<StatusChange>> {
    let query = format!(
        "SELECT m.status, m.tenant_id, m.user_id, m.segments, m.receipt, m.charged_micros, m.wallet_id, t.refund_undelivered, \
         (SELECT COUNT(*) FROM message_parts p WHERE p.message_id = m.id AND p.status = 'delivered') AS delivered, \
         (SELECT COUNT(*) FROM message_parts p WHERE p.message_id = m.id AND p.status = 'undelivered') AS lost, \
         (SELECT MAX(p.receipt) FROM message_parts p WHERE p.message_id = m.id AND p.status = 'undelivered') AS why, \
         (SELECT MAX(p.code) FROM message_parts p WHERE p.message_id = m.id AND p.status = 'undelivered') AS code \
         FROM messages m JOIN tenants t ON t.id = m.tenant_id WHERE m.id = $1{}",
        if tx.engine().for_update().is_empty() { "" } else { " FOR UPDATE OF m" }
    );
    let row = tx.row(composed(query).bind(message.as_i64())).await?.ok_or(Error::NotFound("message"))?;
    let status = row.word("status", MessageStatus::parse)?;
    if status == MessageStatus::Queued {
        return Ok(None); // its price is not settled yet; the last answer comes back here
    }
    let (tenant, user) = (row.id("tenant_id")?, row.id_opt("user_id")?);
    let change = |status| Some(StatusChange { message, tenant, user, status });
    if row.int("delivered")? == row.int("segments")? && status.may_become(MessageStatus::Delivered) {
        let update = sql("UPDATE messages SET status = 'delivered', receipt = 'delivered', code = NULL, \
             delivered_at_ms = $1 WHERE id = $2");
        tx.execute(update.bind(at.as_millis()).bind(message.as_i64())).await?;
        note(tx, message, at, Note { event: "delivered", ..Note::default() }).await?;
        return Ok(change(MessageStatus::Delivered));
    }
    if row.int("lost")? > 0 && status == MessageStatus::Sent {
        let refund = row.flag("refund_undelivered")?;
        let charged = row.int("charged_micros")?;
        let refunded = refund && charged > 0 && refund_text(tx, message, row.id("wallet_id")?, charged).await?;
        let update = sql("UPDATE messages SET status = 'failed', receipt = $1, code = $2, failed_at_ms = $3, \
             charged_micros = $4 WHERE id = $5");
        let update = update
            .bind(row.text_opt("why")?)
            .bind(row.text_opt("code")?)
            .bind(at.as_millis())
            .bind(if refunded { 0 } else { charged })
            .bind(message.as_i64());
        tx.execute(update).await?;
        note(tx, message, at, Note { event: "failed", ..Note::default() }).await?;
        return Ok(change(MessageStatus::Failed));
    }
    Ok(None)
}

async fn refund_text(
    tx: &mut Tx<'_>,
    message: Id<Message>,
    wallet: Id<base::id::kind::Wallet>,
    micros: i64,
) -> Result<bool> {
    let movement = Movement {
        wallet,
        amount_micros: micros,
        release_micros: 0,
        kind: Kind::Refund,
        category: Category::Sms,
        against: Account::Revenue,
        reference: format!("sms-refund:{message}"),
        reason: None,
        actor: None,
    };
    post(tx, &movement).await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn m6_ids_are_compared_without_case_blanks_and_leading_zeros() {
        for (a, b) in [("00AF3", "af3"), (" 12 ", "12"), ("0", "0"), ("000", "000")] {
            assert_eq!(fold(a), b);
        }
    }
}
