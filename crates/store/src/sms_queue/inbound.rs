//! Texts that come in: every part is stored before the carrier is answered, and joined when the last one is there.

use std::time::Duration;

use base::gsm;
use base::id::kind::{Tenant, User};
use base::{Id, Timestamp};
use domain::ports::InboundOutcome;
use domain::sms::{Concatenation, Encoding, InboundPart};
use domain::trunk::ON_NET;

use super::{Note, note};
use crate::error::Result;
use crate::group::{Answer, Outcome};
use crate::pool::{Query, Tx, composed, sql};
use crate::row::Columns;

/// A part of a joined text that comes again within this time is a repetition; later it belongs to a new text that got
/// the same reference.
const REPEATED_WITHIN: Duration = Duration::from_secs(600);

/// Stores a part.
pub(crate) async fn inbound(tx: &mut Tx<'_>, part: &InboundPart) -> Outcome {
    // What was delivered stays delivered, also when the number has been switched off before its repetition.
    if part.carrier == ON_NET && is_stored(tx, part).await? {
        return Ok(Ok(Answer::Inbound(InboundOutcome::Duplicate)));
    }
    // The lock makes parts of one text that come over two binds wait for each other.
    let query = format!(
        "SELECT tenant_id, user_id FROM numbers WHERE number = $1 AND status = 'active' AND sms = 1{}",
        tx.engine().for_update()
    );
    let Some(row) = tx.row(composed(query).bind(part.to.as_str().to_owned())).await? else {
        return Ok(Ok(Answer::Inbound(InboundOutcome::UnknownNumber)));
    };
    let owner = Owner { tenant: row.id("tenant_id")?, user: row.id_opt("user_id")? };
    let outcome = match part.concatenation {
        Some(place) if place.parts > 1 && (1..=place.parts).contains(&place.part) => {
            inbound_part(tx, &owner, part, place).await?
        }
        _ => {
            let new = store(tx, &owner, part, &part.text, 1).await?;
            if new { InboundOutcome::Stored(part.id) } else { InboundOutcome::Duplicate }
        }
    };
    Ok(Ok(Answer::Inbound(outcome)))
}

async fn is_stored(tx: &mut Tx<'_>, part: &InboundPart) -> Result<bool> {
    Ok(tx.row(sql("SELECT id FROM messages WHERE id = $1").bind(part.id.as_i64())).await?.is_some())
}

/// What tells the parts of one text from those of another: a carrier's reference, or between our own numbers the
/// message itself, which no other text can share.
fn set_reference(part: &InboundPart, place: Concatenation) -> i64 {
    if part.carrier == ON_NET { part.id.as_i64() } else { i64::from(place.reference) }
}

struct Owner {
    tenant: Id<Tenant>,
    user: Option<Id<User>>,
}

/// Begins a statement on the parts of one text: `text` goes on after the five columns that name it.
fn on_set(head: &'static str, tail: &'static str, part: &InboundPart, place: Concatenation) -> Query<'static> {
    let set = "carrier_id = $1 AND from_party = $2 AND to_party = $3 AND reference = $4 AND parts = $5";
    composed(format!("{head} WHERE {set}{tail}"))
        .bind(part.carrier.as_i64())
        .bind(part.from.clone())
        .bind(part.to.as_str().to_owned())
        .bind(set_reference(part, place))
        .bind(i64::from(place.parts))
}

async fn inbound_part(
    tx: &mut Tx<'_>,
    owner: &Owner,
    part: &InboundPart,
    place: Concatenation,
) -> Result<InboundOutcome> {
    let query = on_set("SELECT body, message_id, at_ms FROM inbound_parts", " AND part = $6", part, place);
    if let Some(known) = tx.row(query.bind(i64::from(place.part))).await? {
        let joined = known.int_opt("message_id")?.is_some();
        let recent = part.at.since(known.time("at_ms")?) < REPEATED_WITHIN;
        if known.text("body")? == part.text && (!joined || recent) {
            return Ok(InboundOutcome::Duplicate);
        }
        if joined {
            let old = on_set("DELETE FROM inbound_parts", " AND message_id IS NOT NULL", part, place);
            tx.execute(old).await?;
        }
    }
    let insert = sql(
        "INSERT INTO inbound_parts (carrier_id, from_party, to_party, reference, parts, part, body, at_ms) \
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8) ON CONFLICT (carrier_id, from_party, to_party, reference, parts, part) \
         DO UPDATE SET body = excluded.body, at_ms = excluded.at_ms",
    );
    let insert = insert
        .bind(part.carrier.as_i64())
        .bind(part.from.clone())
        .bind(part.to.as_str().to_owned())
        .bind(set_reference(part, place))
        .bind(i64::from(place.parts))
        .bind(i64::from(place.part))
        .bind(part.text.clone())
        .bind(Timestamp::as_millis(part.at));
    tx.execute(insert).await?;
    let query = on_set("SELECT body FROM inbound_parts", " AND message_id IS NULL ORDER BY part", part, place);
    let there = tx.rows(query).await?;
    if there.len() < usize::from(place.parts) {
        return Ok(InboundOutcome::PartStored);
    }
    let body = there.iter().map(|row| row.text("body")).collect::<Result<String>>()?;
    store(tx, owner, part, &body, i64::from(place.parts)).await?;
    let join = on_set("UPDATE inbound_parts SET message_id = $6", "", part, place);
    tx.execute(join.bind(part.id.as_i64())).await?;
    Ok(InboundOutcome::Stored(part.id))
}

/// Stores the whole text; `false` when it is there already.
async fn store(tx: &mut Tx<'_>, owner: &Owner, part: &InboundPart, body: &str, segments: i64) -> Result<bool> {
    let plain = body.chars().all(|c| gsm::septets(c).is_some());
    let encoding = if plain { Encoding::Gsm7 } else { Encoding::Ucs2 };
    let insert = sql("INSERT INTO messages (id, tenant_id, user_id, direction, from_party, to_party, body, encoding, \
         segments, status, carrier_id, created_at_ms, due_at_ms, valid_until_ms) \
         VALUES ($1, $2, $3, 'inbound', $4, $5, $6, $7, $8, 'received', $9, $10, $10, $10) ON CONFLICT (id) DO NOTHING");
    let insert = insert
        .bind(part.id.as_i64())
        .bind(owner.tenant.as_i64())
        .bind(owner.user.map(Id::as_i64))
        .bind(part.from.clone())
        .bind(part.to.as_str().to_owned())
        .bind(body.to_owned())
        .bind(encoding.as_str())
        .bind(segments)
        .bind(part.carrier.as_i64())
        .bind(part.at.as_millis());
    let new = tx.execute(insert).await? == 1;
    if new {
        let event = Note { event: "received", carrier: Some(part.carrier), ..Note::default() };
        note(tx, part.id, part.at, event).await?;
    }
    Ok(new)
}
