//! What carriers answered to submitted parts, and what follows for the text and its money.

use base::id::kind::{Carrier, Message};
use base::{Id, Money, Timestamp};
use domain::sms::{MessageStatus, StatusChange, SubmitOutcome, SubmitResult};

use super::receipt::{apply_parked, conclude_receipts, fold};
use super::{Note, note};
use crate::error::{Error, Result};
use crate::group::{Answer, Outcome};
use crate::ledger::Category;
use crate::pool::{Tx, composed, sql};
use crate::row::Columns;
use crate::wallet;

/// Notes the answers; each one that was noted before changes nothing.
pub(crate) async fn submitted(tx: &mut Tx<'_>, outcomes: &[SubmitOutcome]) -> Outcome {
    let mut changes = vec![];
    for outcome in outcomes {
        // Locks the text on PostgreSQL, so that two answers to its parts cannot both miss being the last.
        let lock = format!("SELECT id FROM messages WHERE id = $1{}", tx.engine().for_update());
        if tx.row(composed(lock).bind(outcome.message.as_i64())).await?.is_none() {
            tracing::warn!(message = %outcome.message, "an answer to a text that does not exist");
            continue;
        }
        match &outcome.result {
            SubmitResult::Accepted { carrier_message_id } => accepted(tx, outcome, carrier_message_id).await?,
            SubmitResult::Delivered => delivered(tx, outcome).await?,
            SubmitResult::RetryAt { at, code } => retry(tx, outcome, *at, *code).await?,
            SubmitResult::NextCarrier { code } => next_carrier(tx, outcome, *code).await?,
            SubmitResult::Failed { code } => failed(tx, outcome, *code).await?,
        }
        changes.extend(conclude(tx, outcome.message, outcome.at).await?);
    }
    Ok(Ok(Answer::Submitted(changes)))
}

fn note_of<'n>(outcome: &SubmitOutcome, event: &'n str, code: Option<String>) -> Note<'n> {
    Note { event, part: Some(outcome.part), carrier: Some(outcome.carrier), code, raw: None }
}

async fn accepted(tx: &mut Tx<'_>, outcome: &SubmitOutcome, carrier_message_id: &str) -> Result<()> {
    let key = fold(carrier_message_id);
    let update = sql("UPDATE message_parts SET status = 'accepted', carrier_id = $1, carrier_message_id = $2, \
         carrier_message_key = $3, submitted_at_ms = $4, lease_until_ms = 0 \
         WHERE message_id = $5 AND part = $6 AND status = 'queued'");
    let update = update
        .bind(outcome.carrier.as_i64())
        .bind(carrier_message_id.to_owned())
        .bind(key.clone())
        .bind(outcome.at.as_millis())
        .bind(outcome.message.as_i64())
        .bind(i64::from(outcome.part));
    if tx.execute(update).await? == 1 {
        let event = Note { raw: Some(carrier_message_id.to_owned()), ..note_of(outcome, "submitted", None) };
        note(tx, outcome.message, outcome.at, event).await?;
        apply_parked(tx, outcome, &key).await?;
    }
    Ok(())
}

async fn delivered(tx: &mut Tx<'_>, outcome: &SubmitOutcome) -> Result<()> {
    let update = sql("UPDATE message_parts SET status = 'delivered', receipt = 'delivered', carrier_id = $1, \
         submitted_at_ms = $2, lease_until_ms = 0 WHERE message_id = $3 AND part = $4 AND status = 'queued'");
    let update = update
        .bind(outcome.carrier.as_i64())
        .bind(outcome.at.as_millis())
        .bind(outcome.message.as_i64())
        .bind(i64::from(outcome.part));
    if tx.execute(update).await? == 1 {
        note(tx, outcome.message, outcome.at, note_of(outcome, "submitted", None)).await?;
    }
    Ok(())
}

async fn retry(tx: &mut Tx<'_>, outcome: &SubmitOutcome, at: Timestamp, code: u32) -> Result<()> {
    let update = sql("UPDATE message_parts SET due_at_ms = $1, lease_until_ms = $1, code = $2 \
         WHERE message_id = $3 AND part = $4 AND status = 'queued' AND carrier_id = $5 AND due_at_ms < $1");
    let update = update
        .bind(at.as_millis())
        .bind(hexadecimal(code))
        .bind(outcome.message.as_i64())
        .bind(i64::from(outcome.part))
        .bind(outcome.carrier.as_i64());
    if tx.execute(update).await? == 1 {
        note(tx, outcome.message, outcome.at, note_of(outcome, "retry", Some(hexadecimal(code)))).await?;
    }
    Ok(())
}

async fn next_carrier(tx: &mut Tx<'_>, outcome: &SubmitOutcome, code: u32) -> Result<()> {
    let query =
        sql("SELECT p.position AS refused, (SELECT COUNT(*) FROM message_plan n WHERE n.message_id = p.message_id \
         AND n.position > p.position) AS others FROM message_plan p WHERE p.message_id = $1 AND p.carrier_id = $2 \
         ORDER BY p.position DESC LIMIT 1");
    let row = tx.row(query.bind(outcome.message.as_i64()).bind(outcome.carrier.as_i64())).await?;
    let position = match &row {
        Some(row) if row.int("others")? > 0 => row.int("refused")? + 1,
        _ => return failed(tx, outcome, code).await,
    };
    let update = sql("UPDATE message_parts SET plan_position = $1, lease_until_ms = 0, due_at_ms = $2, code = $3 \
         WHERE message_id = $4 AND part = $5 AND status = 'queued' AND plan_position < $1");
    let update = update
        .bind(position)
        .bind(outcome.at.as_millis())
        .bind(hexadecimal(code))
        .bind(outcome.message.as_i64())
        .bind(i64::from(outcome.part));
    if tx.execute(update).await? == 1 {
        note(tx, outcome.message, outcome.at, note_of(outcome, "next_carrier", Some(hexadecimal(code)))).await?;
    }
    Ok(())
}

async fn failed(tx: &mut Tx<'_>, outcome: &SubmitOutcome, code: u32) -> Result<()> {
    let update = sql("UPDATE message_parts SET status = 'failed', lease_until_ms = 0, code = $1 \
         WHERE message_id = $2 AND part = $3 AND status = 'queued'");
    let update = update.bind(hexadecimal(code)).bind(outcome.message.as_i64()).bind(i64::from(outcome.part));
    if tx.execute(update).await? == 0 {
        return Ok(());
    }
    note(tx, outcome.message, outcome.at, note_of(outcome, "rejected", Some(hexadecimal(code)))).await?;
    // Without this part the others are of no use: those that are not on their way stay here.
    let rest = sql("UPDATE message_parts SET status = 'failed' \
         WHERE message_id = $1 AND status = 'queued' AND lease_until_ms <= $2");
    tx.execute(rest.bind(outcome.message.as_i64()).bind(outcome.at.as_millis())).await?;
    Ok(())
}

/// command_status as the specification writes it.
fn hexadecimal(code: u32) -> String {
    format!("0x{code:08X}")
}

/// When every part has its answer: captures the price of the accepted ones, releases the rest, and moves the text on.
/// Returns its new statuses.
pub(super) async fn conclude(tx: &mut Tx<'_>, message: Id<Message>, at: Timestamp) -> Result<Vec<StatusChange>> {
    let query = sql("SELECT m.status, m.tenant_id, m.user_id, m.wallet_id, m.price_micros, m.currency, m.segments, \
         (SELECT COUNT(*) FROM message_parts p WHERE p.message_id = m.id AND p.status = 'queued') AS open, \
         (SELECT COUNT(*) FROM message_parts p WHERE p.message_id = m.id AND p.status <> 'queued' \
         AND p.status <> 'failed') AS taken, \
         (SELECT MAX(p.carrier_id) FROM message_parts p WHERE p.message_id = m.id) AS last_carrier, \
         (SELECT MAX(p.code) FROM message_parts p WHERE p.message_id = m.id AND p.status = 'failed') AS part_code \
         FROM messages m WHERE m.id = $1");
    let row = tx.row(query.bind(message.as_i64())).await?.ok_or(Error::NotFound("message"))?;
    if row.int("open")? > 0 || row.word("status", MessageStatus::parse)? != MessageStatus::Queued {
        return Ok(conclude_receipts(tx, message, at).await?.into_iter().collect());
    }
    let (taken, segments) = (row.int("taken")?, row.int("segments")?.max(1));
    let price = i128::from(row.int("price_micros")?) * i128::from(taken) / i128::from(segments);
    let price = Money::new(i64::try_from(price).unwrap_or(i64::MAX), row.currency("currency")?);
    let charged = capture(tx, message, price).await?;
    let (status, time) = match taken == segments {
        true => (MessageStatus::Sent, "sent_at_ms"),
        false => (MessageStatus::Failed, "failed_at_ms"),
    };
    let text = format!(
        "UPDATE messages SET status = $1, {time} = $2, charged_micros = $3, carrier_id = $4, code = $5 WHERE id = $6"
    );
    let update = composed(text)
        .bind(status.as_str())
        .bind(at.as_millis())
        .bind(charged)
        .bind(row.int_opt("last_carrier")?)
        .bind(row.text_opt("part_code")?)
        .bind(message.as_i64());
    tx.execute(update).await?;
    let carrier: Option<Id<Carrier>> = row.id_opt("last_carrier")?;
    note(tx, message, at, Note { event: status.as_str(), carrier, ..Note::default() }).await?;
    let change = StatusChange { message, tenant: row.id("tenant_id")?, user: row.id_opt("user_id")?, status };
    let further = conclude_receipts(tx, message, at).await?;
    Ok([change].into_iter().chain(further).collect())
}

/// Closes the reservation of a text and charges `price`; what was charged.
async fn capture(tx: &mut Tx<'_>, message: Id<Message>, price: Money) -> Result<i64> {
    let now_ms = tx.now.as_millis();
    let close =
        sql("UPDATE reservations SET status = $1, closed_at_ms = $2 WHERE message_id = $3 AND status = 'open' \
         RETURNING wallet_id, held_micros");
    let close = close.bind(if price.micros > 0 { "settled" } else { "released" }).bind(now_ms);
    let Some(row) = tx.row(close.bind(message.as_i64())).await? else { return Ok(0) };
    let (wallet, held) = (row.id("wallet_id")?, row.int("held_micros")?);
    let reference = format!("sms:{message}");
    Ok(wallet::charge(tx, wallet, held, price, Category::Sms, reference).await?.charged_micros)
}
