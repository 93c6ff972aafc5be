//! The port `Billing`: a call's record and its money, always in one transaction.
//!
//! The record's row tells whether a step was done before, so every step may be repeated. What cannot be paid is not
//! charged: a wallet never goes below its limit, and the record says what was not collected.

use std::time::Duration;

use async_trait::async_trait;
use base::id::kind::{Call, Reservation, User, Wallet};
use base::{Id, Money, Timestamp};
use domain::call_record::{CallDirection, CallEnd, CallParties, CallState};
use domain::ports::{Billing, BillingError, NewCall};
use domain::rate::{Rate, Service};
use domain::wallet::{Grant, Hold};

use crate::Store;
use crate::error::{Error, Result};
use crate::group::{Answer, Outcome, Request};
use crate::ledger::Category;
use crate::pool::{Query, Tx, composed, sql};
use crate::row::{Columns, json};
use crate::wallet;

/// A call to open, with the price known for it.
pub(crate) struct Opening {
    call: NewCall,
    rate: Option<Rate>,
}

/// More money for a running call.
pub(crate) struct Extension {
    reservation: Id<Reservation>,
    hold: Hold,
    ttl: Duration,
}

/// A step in a call's life.
pub(crate) struct Progress {
    call: Id<Call>,
    state: CallState,
    at: Timestamp,
}

/// The end of a call.
pub(crate) struct Settlement {
    pub(crate) parties: CallParties,
    pub(crate) end: CallEnd,
}

#[async_trait]
impl Billing for Store {
    async fn open_call(&self, call: NewCall) -> Result<Option<Grant>, BillingError> {
        // The price is kept with the reservation, so that a sweeper can settle the call if this process dies.
        let rate = match (call.rate, call.hold) {
            (Some(rate), _) => Some(rate),
            (None, Some(_)) => {
                let service = service_of(call.parties.direction);
                self.rate_for(call.parties.tenant, service, &call.parties.to).await?
            }
            (None, None) => None,
        };
        match self.enqueue(Request::OpenCall(Box::new(Opening { call, rate }))).await? {
            Answer::Granted(grant) => Ok(grant),
            other => Err(unexpected(&other)),
        }
    }

    async fn extend_call(
        &self,
        reservation: Id<Reservation>,
        hold: Hold,
        ttl: Duration,
    ) -> Result<Grant, BillingError> {
        match self.enqueue(Request::ExtendCall(Extension { reservation, hold, ttl })).await? {
            Answer::Granted(Some(grant)) => Ok(grant),
            Answer::Granted(None) => Err(BillingError::NoCredit),
            other => Err(unexpected(&other)),
        }
    }

    async fn progress_call(&self, call: Id<Call>, state: CallState, at: Timestamp) -> Result<(), BillingError> {
        self.enqueue(Request::ProgressCall(Progress { call, state, at })).await?;
        Ok(())
    }

    async fn settle_call(
        &self,
        parties: &CallParties,
        _reservation: Option<Id<Reservation>>,
        end: &CallEnd,
    ) -> Result<(), BillingError> {
        // The reservation is found by the call, so that a wrong one cannot be closed.
        let settlement = Settlement { parties: parties.clone(), end: end.clone() };
        self.enqueue(Request::SettleCall(Box::new(settlement))).await?;
        Ok(())
    }
}

fn unexpected(answer: &Answer) -> BillingError {
    Error::Misbehaved(format!("unexpected answer {answer:?}")).into()
}

const fn service_of(direction: CallDirection) -> Service {
    match direction {
        CallDirection::Outbound => Service::VoiceOut,
        CallDirection::Inbound => Service::VoiceIn,
        CallDirection::OnNet => Service::VoiceOnNet,
    }
}

fn millis(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX / 4)
}

/// Opens the record and sets money aside. A refusal leaves a failed record and no hold.
pub(crate) async fn open(tx: &mut Tx<'_>, opening: &Opening, instance: i64) -> Outcome {
    let NewCall { parties, hold, ttl, .. } = &opening.call;
    let row = CallRow { parties, status: CallState::Initiated, instance };
    if tx.execute(row.insert(" ON CONFLICT (id) DO NOTHING")).await? == 0 {
        let refused = sql("SELECT id FROM calls WHERE id = $1 AND status = 'failed' AND cause = 'no_credit'");
        if tx.row(refused.bind(parties.call.as_i64())).await?.is_some() {
            return Ok(Err(Error::NoCredit));
        }
        return Ok(Ok(Answer::Granted(granted_before(tx, parties.call).await?)));
    }
    let Some(hold) = hold else { return Ok(Ok(Answer::Granted(None))) };
    let held = match wallet::hold(tx, hold).await? {
        Ok(held) => held,
        Err(refusal) => {
            // The record stays, so that its user sees why the call failed (402; Q.850 50: facility not subscribed).
            let failed = sql("UPDATE calls SET status = 'failed', cause = 'no_credit', sip_status = 402, q850 = 50, \
                 ended_by = 'switch', ended_at_ms = $1 WHERE id = $2");
            tx.execute(failed.bind(parties.started_at.as_millis()).bind(parties.call.as_i64())).await?;
            return Ok(Err(refusal));
        }
    };
    let reservation: Id<Reservation> = tx.id();
    let (rate, now_ms) = (opening.rate.as_ref(), tx.now.as_millis());
    let insert = sql("INSERT INTO reservations (id, wallet_id, call_id, held_micros, currency, status, rate_id, \
         rate_price_micros, rate_connect_micros, rate_first_increment_s, rate_next_increment_s, opened_at_ms, \
         touched_at_ms, expires_at_ms) VALUES ($1, $2, $3, $4, $5, 'open', $6, $7, $8, $9, $10, $11, $11, $12)");
    let insert = insert
        .bind(reservation.as_i64())
        .bind(hold.wallet.as_i64())
        .bind(parties.call.as_i64())
        .bind(held)
        .bind(hold.wanted.currency.as_str().to_owned())
        .bind(rate.map(|r| r.id.as_i64()))
        .bind(rate.map(|r| r.price_micros))
        .bind(rate.map(|r| r.connect_micros))
        .bind(rate.map(|r| i64::from(r.first_increment_s)))
        .bind(rate.map(|r| i64::from(r.next_increment_s)))
        .bind(now_ms)
        .bind(now_ms.saturating_add(millis(*ttl)));
    tx.execute(insert).await?;
    let total = Money::new(held, hold.wanted.currency);
    Ok(Ok(Answer::Granted(Some(Grant { reservation, total }))))
}

async fn granted_before(tx: &mut Tx<'_>, call: Id<Call>) -> Result<Option<Grant>> {
    let query = sql("SELECT id, held_micros, currency FROM reservations WHERE call_id = $1");
    let Some(row) = tx.row(query.bind(call.as_i64())).await? else { return Ok(None) };
    let total = Money::new(row.int("held_micros")?, row.currency("currency")?);
    Ok(Some(Grant { reservation: row.id("id")?, total }))
}

/// Prolongs a reservation, and adds to it if the wallet has what is of use.
pub(crate) async fn extend(tx: &mut Tx<'_>, extension: &Extension) -> Outcome {
    let now_ms = tx.now.as_millis();
    let update = sql("UPDATE reservations SET touched_at_ms = $1, expires_at_ms = $2 \
         WHERE id = $3 AND status = 'open' RETURNING wallet_id");
    let expires_at_ms = now_ms.saturating_add(millis(extension.ttl));
    let update = update.bind(now_ms).bind(expires_at_ms).bind(extension.reservation.as_i64());
    let Some(row) = tx.row(update).await? else { return Ok(Err(Error::NotFound("open reservation"))) };
    let hold = Hold { wallet: row.id("wallet_id")?, ..extension.hold };
    let held = match wallet::hold(tx, &hold).await? {
        Ok(held) => held,
        Err(Error::NoCredit) => return Ok(Ok(Answer::Granted(None))),
        Err(refusal) => return Ok(Err(refusal)),
    };
    let update = sql("UPDATE reservations SET held_micros = held_micros + $1 WHERE id = $2 RETURNING held_micros");
    let row = tx.row(update.bind(held).bind(extension.reservation.as_i64())).await?;
    let total = row.ok_or(Error::NotFound("open reservation"))?.int("held_micros")?;
    let grant = Grant { reservation: extension.reservation, total: Money::new(total, hold.wanted.currency) };
    Ok(Ok(Answer::Granted(Some(grant))))
}

/// Notes a step, if the call may take it; late and repeated news change nothing.
pub(crate) async fn progress(tx: &mut Tx<'_>, progress: &Progress) -> Outcome {
    if progress.state.is_final() {
        return Ok(Err(Error::malformed("state", "a call is ended by settling it")));
    }
    let before: Vec<_> = CallState::ALL.into_iter().filter(|s| s.may_become(progress.state)).collect();
    let time = if progress.state == CallState::Answered { "answered_at_ms" } else { "ringing_at_ms" };
    let names = before.iter().map(|s| format!("'{}'", s.as_str())).collect::<Vec<_>>().join(", ");
    if !names.is_empty() {
        let update = format!("UPDATE calls SET status = $1, {time} = $2 WHERE id = $3 AND status IN ({names})");
        let update = composed(update).bind(progress.state.as_str()).bind(progress.at.as_millis());
        if tx.execute(update.bind(progress.call.as_i64())).await? == 1 {
            let touch = sql("UPDATE reservations SET touched_at_ms = $1 WHERE call_id = $2 AND status = 'open'");
            let now_ms = tx.now.as_millis();
            tx.execute(touch.bind(now_ms).bind(progress.call.as_i64())).await?;
            return Ok(Ok(Answer::Done));
        }
    }
    let known = tx.row(sql("SELECT id FROM calls WHERE id = $1").bind(progress.call.as_i64())).await?;
    Ok(if known.is_some() { Ok(Answer::Done) } else { Err(Error::NotFound("call")) })
}

/// Ends a call: record, charge and reservation together. An ended call stays as it is.
pub(crate) async fn settle(tx: &mut Tx<'_>, settlement: &Settlement, instance: i64) -> Outcome {
    let Settlement { parties, end } = settlement;
    if !end.state.is_final() {
        return Ok(Err(Error::malformed("state", "settling needs a final state")));
    }
    let query = format!("SELECT status FROM calls WHERE id = $1{}", tx.engine().for_update());
    let status = match tx.row(composed(query).bind(parties.call.as_i64())).await? {
        Some(row) => row.word("status", CallState::parse)?,
        None => {
            let row = CallRow { parties, status: CallState::Initiated, instance };
            tx.execute(row.insert("")).await?;
            CallState::Initiated
        }
    };
    if status.is_final() {
        return Ok(Ok(Answer::Done));
    }
    let (charge, price) = pay(tx, parties, end).await?;
    // A call that was answered can only have been completed.
    let state = if status == CallState::Answered { CallState::Completed } else { end.state };
    let update = sql("UPDATE calls SET status = $1, cause = $2, sip_status = $3, q850 = $4, ended_by = $5, \
         answered_at_ms = COALESCE($6, answered_at_ms), ended_at_ms = $7, talked_s = $8, billed_s = $9, \
         trunk_out_id = $10, forwarded_to = $11, price_micros = $12, uncollected_micros = $13, currency = $14, \
         legs = $15 WHERE id = $16");
    let update = update
        .bind(state.as_str())
        .bind(end.cause.clone())
        .bind(i64::from(end.sip_status))
        .bind(i64::from(end.q850))
        .bind(end.ended_by.clone())
        .bind(end.answered_at.map(Timestamp::as_millis))
        .bind(end.ended_at.as_millis())
        .bind(seconds(end.talked_s))
        .bind(seconds(end.billed_s))
        .bind(end.trunk_out.map(Id::as_i64))
        .bind(end.forwarded_to.as_ref().map(|n| n.as_str().to_owned()))
        .bind(price.map(|_| charge.charged_micros))
        .bind(charge.uncollected_micros)
        .bind(price.map(|p| p.currency.as_str().to_owned()))
        .bind(json(&end.legs)?)
        .bind(parties.call.as_i64());
    tx.execute(update).await?;
    Ok(Ok(Answer::Done))
}

fn seconds(seconds: u64) -> i64 {
    i64::try_from(seconds).unwrap_or(i64::MAX)
}

/// Closes the call's reservation and charges its price.
async fn pay(tx: &mut Tx<'_>, parties: &CallParties, end: &CallEnd) -> Result<(wallet::Charge, Option<Money>)> {
    let nothing = wallet::Charge { charged_micros: 0, uncollected_micros: 0 };
    let now_ms = tx.now.as_millis();
    let close = sql("UPDATE reservations SET status = $1, closed_at_ms = $2 WHERE call_id = $3 AND status = 'open' \
         RETURNING wallet_id, held_micros, currency");
    let charged = end.price.is_some_and(|p| p.micros > 0);
    let close = close.bind(if charged { "settled" } else { "released" }).bind(now_ms);
    let reservation = tx.row(close.bind(parties.call.as_i64())).await?;
    let (wallet, held_micros) = match &reservation {
        Some(row) => (Some(row.id::<base::id::kind::Wallet>("wallet_id")?), row.int("held_micros")?),
        None if charged => (wallet_of(tx, parties.user).await?, 0),
        None => (None, 0),
    };
    let price = match (&reservation, end.price) {
        (Some(row), Some(price)) if row.currency("currency")? != price.currency => {
            tracing::error!(call = %parties.call, "the price is in another currency than the wallet: not charged");
            None
        }
        (_, price) => price,
    };
    let Some(wallet) = wallet else {
        let uncollected_micros = price.map_or(0, |p| p.micros.max(0));
        return Ok((wallet::Charge { uncollected_micros, ..nothing }, price));
    };
    match price {
        Some(price) => {
            let reference = format!("call:{}", parties.call);
            Ok((wallet::charge(tx, wallet, held_micros, price, Category::Call, reference).await?, Some(price)))
        }
        None => {
            wallet::release(tx, wallet, held_micros).await?;
            Ok((nothing, None))
        }
    }
}

async fn wallet_of(tx: &mut Tx<'_>, user: Option<Id<User>>) -> Result<Option<Id<Wallet>>> {
    let Some(user) = user else { return Ok(None) };
    let row = tx.row(sql("SELECT id FROM wallets WHERE user_id = $1").bind(user.as_i64())).await?;
    row.map(|r| r.id("id")).transpose()
}

/// A record that begins.
struct CallRow<'p> {
    parties: &'p CallParties,
    status: CallState,
    instance: i64,
}

impl CallRow<'_> {
    fn insert(&self, on_conflict: &'static str) -> Query<'static> {
        let text = "INSERT INTO calls (id, tenant_id, user_id, callee_user_id, device_id, direction, from_party, \
             to_party, sip_call_id, trunk_in_id, status, started_at_ms, instance_id) \
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)";
        let p = self.parties;
        composed(format!("{text}{on_conflict}"))
            .bind(p.call.as_i64())
            .bind(p.tenant.as_i64())
            .bind(p.user.map(Id::as_i64))
            .bind(p.callee_user.map(Id::as_i64))
            .bind(p.device.map(Id::as_i64))
            .bind(p.direction.as_str())
            .bind(p.from.clone())
            .bind(p.to.clone())
            .bind(p.sip_call_id.clone())
            .bind(p.trunk_in.map(Id::as_i64))
            .bind(self.status.as_str())
            .bind(p.started_at.as_millis())
            .bind(self.instance)
    }
}
