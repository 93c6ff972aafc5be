//! Taking a text: message, money and queue rows in one transaction.

use base::id::kind::{Message, Reservation};
use base::{Id, Timestamp};
use domain::sms::NewMessage;
use domain::wallet::Hold;

use super::{Note, note};
use crate::dialect::value_rows;
use crate::error::Result;
use crate::group::{Answer, Outcome};
use crate::pool::{Tx, composed, sql};
use crate::wallet;

/// Stores a text and its queue rows; a refusal leaves nothing. A text that is there already stays as it is.
pub(crate) async fn accept(tx: &mut Tx<'_>, message: &NewMessage) -> Outcome {
    let insert =
        sql("INSERT INTO messages (id, tenant_id, user_id, wallet_id, direction, from_party, to_party, body, \
         encoding, segments, reference, status, price_micros, currency, created_at_ms, due_at_ms, valid_until_ms) \
         VALUES ($1, $2, $3, $4, 'outbound', $5, $6, $7, $8, $9, $10, 'queued', $11, $12, $13, $14, $15) \
         ON CONFLICT (id) DO NOTHING");
    let insert = insert
        .bind(message.id.as_i64())
        .bind(message.tenant.as_i64())
        .bind(message.user.as_i64())
        .bind(message.wallet.as_i64())
        .bind(message.from.as_str().to_owned())
        .bind(message.to.as_str().to_owned())
        .bind(message.body.clone())
        .bind(message.encoding.as_str())
        .bind(count(message.segments.len()))
        .bind(reference(message.id))
        .bind(message.price.micros)
        .bind(message.price.currency.as_str().to_owned())
        .bind(message.created_at.as_millis())
        .bind(message.due_at.as_millis())
        .bind(message.valid_until.as_millis());
    if tx.execute(insert).await? == 0 {
        return Ok(Ok(Answer::Accepted(message.id)));
    }
    let hold = Hold { wallet: message.wallet, wanted: message.price, least: message.price };
    let held = match wallet::hold(tx, &hold).await? {
        Ok(held) => held,
        Err(refusal) => {
            tx.execute(sql("DELETE FROM messages WHERE id = $1").bind(message.id.as_i64())).await?;
            return Ok(Err(refusal));
        }
    };
    let reservation: Id<Reservation> = tx.id();
    let now_ms = tx.now.as_millis();
    let insert =
        sql("INSERT INTO reservations (id, wallet_id, message_id, held_micros, currency, status, opened_at_ms, \
         touched_at_ms, expires_at_ms) VALUES ($1, $2, $3, $4, $5, 'open', $6, $6, $7)");
    let insert = insert
        .bind(reservation.as_i64())
        .bind(message.wallet.as_i64())
        .bind(message.id.as_i64())
        .bind(held)
        .bind(message.price.currency.as_str().to_owned())
        .bind(now_ms)
        .bind(message.valid_until.as_millis());
    tx.execute(insert).await?;
    queue(tx, message).await?;
    note(tx, message.id, message.created_at, Note { event: "queued", ..Note::default() }).await?;
    Ok(Ok(Answer::Accepted(message.id)))
}

async fn queue(tx: &mut Tx<'_>, message: &NewMessage) -> Result<()> {
    let text = value_rows(message.carriers.len(), 3);
    let plan = composed(format!("INSERT INTO message_plan (message_id, position, carrier_id) VALUES {text}"));
    let plan = message.carriers.iter().enumerate().fold(plan, |query, (position, carrier)| {
        query.bind(message.id.as_i64()).bind(count(position)).bind(carrier.as_i64())
    });
    tx.execute(plan).await?;
    let text = value_rows(message.segments.len(), 5);
    let parts =
        composed(format!("INSERT INTO message_parts (message_id, part, body, status, due_at_ms) VALUES {text}"));
    let parts = message.segments.iter().enumerate().fold(parts, |query, (n, body)| {
        let query = query.bind(message.id.as_i64()).bind(count(n + 1)).bind(body.clone());
        query.bind("queued").bind(Timestamp::as_millis(message.due_at))
    });
    tx.execute(parts).await?;
    Ok(())
}

fn count(n: usize) -> i64 {
    i64::try_from(n).unwrap_or(i64::MAX)
}

/// Concatenation reference: changes from one text to the next, in the same millisecond or not.
fn reference(message: Id<Message>) -> i64 {
    let id = message.as_i64();
    ((id >> 21) ^ id) & 0xff
}
