//! Ends what nobody ends: calls whose reservation ran out, and calls of processes that stopped.
//!
//! A charged call gives a sign of life with every extension; when its time to live has passed it is settled to the last
//! one. A call that nothing charges lives as long as its process beats (`instances`), which each sweep does.

use std::time::Duration;

use base::{Currency, Id, Timestamp};
use domain::call_record::{CallDirection, CallEnd, CallParties, CallState};
use domain::ports::SmsQueue;
use domain::rate::Rate;
use domain::sms::StatusChange;
use sqlx::any::AnyRow;

use crate::Store;
use crate::billing::Settlement;
use crate::error::Result;
use crate::group::Request;
use crate::pool::sql;
use crate::row::Columns;

/// A process that did not beat for so long is gone: its uncharged calls end. Sweep at least every 10 s.
const INSTANCE_TIMEOUT: Duration = Duration::from_secs(40);
/// Beats of processes that are gone are kept for so long.
const INSTANCE_KEPT: Duration = Duration::from_secs(24 * 3600);
/// Expired bindings are kept for so long.
const BINDING_KEPT: Duration = Duration::from_secs(3600);
/// Most calls ended in one sweep; the next one goes on.
const SWEEP_MAX: i64 = 1_000;

/// What a sweep did.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Swept {
    /// Calls that were ended with cause `abandoned`.
    pub calls: u64,
    /// Rows of texts that changed.
    pub texts: u64,
    /// Texts that were given up, for whoever listens.
    pub text_changes: Vec<StatusChange>,
}

const CALL: &str = "SELECT c.*, r.touched_at_ms, r.currency AS held_currency, r.rate_id, r.rate_price_micros, \
    r.rate_connect_micros, r.rate_first_increment_s, r.rate_next_increment_s, i.heartbeat_at_ms FROM calls c \
    LEFT JOIN reservations r ON r.call_id = c.id AND r.status = 'open' \
    LEFT JOIN instances i ON i.id = c.instance_id";

impl Store {
    /// Housekeeping, to be called every few seconds by every process: beats, ends abandoned calls, and looks after
    /// texts (see `SmsQueue::sweep`). Several processes may sweep at once.
    pub async fn sweep(&self, now: Timestamp) -> Result<Swept> {
        self.beat(now).await?;
        let mut calls = 0;
        for row in self.abandoned(now).await? {
            let settlement = abandoned_end(&row)?;
            self.enqueue(Request::SettleCall(Box::new(settlement))).await?;
            calls += 1;
        }
        let texts = SmsQueue::sweep(self, now).await.map_err(|e| crate::Error::Unavailable(e.0))?;
        Ok(Swept { calls, texts: texts.rows, text_changes: texts.changes })
    }

    pub(crate) async fn beat(&self, now: Timestamp) -> Result<()> {
        let mut tx = self.begin().await?;
        let beat = sql("INSERT INTO instances (id, heartbeat_at_ms) VALUES ($1, $2) \
             ON CONFLICT (id) DO UPDATE SET heartbeat_at_ms = excluded.heartbeat_at_ms");
        tx.execute(beat.bind(self.core.instance).bind(now.as_millis())).await?;
        let old = sql("DELETE FROM instances WHERE heartbeat_at_ms < $1 AND NOT EXISTS (SELECT 1 FROM calls c \
             WHERE c.instance_id = instances.id AND c.status IN ('initiated', 'ringing', 'answered'))");
        tx.execute(old.bind(now.before(INSTANCE_KEPT).as_millis())).await?;
        // The registrar removes what expires; this is for those it never got to.
        let bindings = sql("DELETE FROM bindings WHERE expires_at_ms < $1");
        tx.execute(bindings.bind(now.before(BINDING_KEPT).as_millis())).await?;
        Ok(tx.commit().await?)
    }

    async fn abandoned(&self, now: Timestamp) -> Result<Vec<AnyRow>> {
        let expired = format!("{CALL} WHERE r.expires_at_ms <= $1 LIMIT $2");
        let expired = crate::pool::composed(expired).bind(now.as_millis()).bind(SWEEP_MAX);
        let mut rows = self.database().rows(expired).await?;
        let orphaned = format!(
            "{CALL} WHERE c.status IN ('initiated', 'ringing', 'answered') AND c.instance_id <> $1 AND r.id IS NULL \
             AND (i.heartbeat_at_ms IS NULL OR i.heartbeat_at_ms < $2) LIMIT $3"
        );
        let silent_since = now.before(INSTANCE_TIMEOUT).as_millis();
        let orphaned = crate::pool::composed(orphaned).bind(self.core.instance).bind(silent_since).bind(SWEEP_MAX);
        rows.extend(self.database().rows(orphaned).await?);
        Ok(rows)
    }
}

/// How a call ends of which nobody knows more than what is stored.
fn abandoned_end(row: &AnyRow) -> Result<Settlement> {
    let started_at = row.time("started_at_ms")?;
    let answered_at = row.time_opt("answered_at_ms")?;
    let sign_of_life = match row.time_opt("touched_at_ms")? {
        Some(touched) => touched,
        None => row.time_opt("heartbeat_at_ms")?.unwrap_or(started_at),
    };
    let ended_at = sign_of_life.max(answered_at.unwrap_or(started_at));
    let talked_s = answered_at.map_or(0, |a| u64::try_from(ended_at.since(a).as_millis().div_ceil(1000)).unwrap_or(0));
    let rate = rate(row)?;
    let price = answered_at.and(rate).map(|r| r.price_of_call(talked_s));
    let end = CallEnd {
        state: if answered_at.is_some() { CallState::Completed } else { CallState::Failed },
        cause: "abandoned".into(),
        sip_status: if answered_at.is_some() { 200 } else { 500 },
        q850: 41, // temporary failure (ITU-T Q.850 §2.2.7)
        ended_by: "switch".into(),
        answered_at,
        ended_at,
        talked_s,
        billed_s: answered_at.and(rate).map_or(0, |r| r.billed_seconds(talked_s)),
        trunk_out: row.id_opt("trunk_out_id")?,
        forwarded_to: row.e164_opt("forwarded_to")?,
        price,
        legs: vec![],
    };
    let parties = CallParties {
        call: row.id("id")?,
        sip_call_id: row.text("sip_call_id")?,
        tenant: row.id("tenant_id")?,
        user: row.id_opt("user_id")?,
        callee_user: row.id_opt("callee_user_id")?,
        device: row.id_opt("device_id")?,
        direction: row.word("direction", CallDirection::parse)?,
        from: row.text("from_party")?,
        to: row.text("to_party")?,
        trunk_in: row.id_opt("trunk_in_id")?,
        started_at,
    };
    Ok(Settlement { parties, end })
}

/// The price that was known when the call was opened.
fn rate(row: &AnyRow) -> Result<Option<Rate>> {
    let (Some(id), Some(price_micros)) = (row.int_opt("rate_id")?, row.int_opt("rate_price_micros")?) else {
        return Ok(None);
    };
    let currency: Option<Currency> = row.word_opt("held_currency", |t| t.parse().ok())?;
    let Some(currency) = currency else { return Ok(None) };
    Ok(Some(Rate {
        id: Id::from_i64(id),
        currency,
        price_micros,
        connect_micros: row.int_opt("rate_connect_micros")?.unwrap_or(0),
        first_increment_s: row.number_opt("rate_first_increment_s")?.unwrap_or(60),
        next_increment_s: row.number_opt("rate_next_increment_s")?.unwrap_or(60),
    }))
}
