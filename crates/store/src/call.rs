//! Call records as users and administrators read them (T23, T24). They are written by `billing`.

use base::id::kind::{Call, Device, Tenant, Trunk, User};
use base::{E164, Id, Money, Timestamp};
use domain::call_record::{CallDirection, CallState};
use domain::ports::LegStatistics;
use sqlx::any::AnyRow;

use crate::Store;
use crate::error::{Error, Result};
use crate::filter::Filter;
use crate::naming::Place;
use crate::row::Columns;

/// A call's record.
#[derive(Debug, Clone, PartialEq)]
pub struct CallRecord {
    /// The call.
    pub id: Id<Call>,
    /// The tenant that pays.
    pub tenant: Id<Tenant>,
    /// The user that pays.
    pub user: Option<Id<User>>,
    /// The user that was called.
    pub callee_user: Option<Id<User>>,
    /// The device that called.
    pub device: Option<Id<Device>>,
    /// Which way.
    pub direction: CallDirection,
    /// What the callee was shown.
    pub from: String,
    /// What was dialled.
    pub to: String,
    /// Call-ID of the caller's leg.
    pub sip_call_id: String,
    /// Trunk by which it came.
    pub trunk_in: Option<Id<Trunk>>,
    /// Trunk by which it went.
    pub trunk_out: Option<Id<Trunk>>,
    /// Number that answered after a forward.
    pub forwarded_to: Option<E164>,
    /// Where it is.
    pub status: CallState,
    /// Word for the reason of its end.
    pub cause: Option<String>,
    /// Final SIP status.
    pub sip_status: Option<u16>,
    /// ITU-T Q.850 cause.
    pub q850: Option<u8>,
    /// Who hung up.
    pub ended_by: Option<String>,
    /// When it was taken.
    pub started_at: Timestamp,
    /// When it rang.
    pub ringing_at: Option<Timestamp>,
    /// When it was answered.
    pub answered_at: Option<Timestamp>,
    /// When it ended.
    pub ended_at: Option<Timestamp>,
    /// Seconds of talk.
    pub talked_s: i64,
    /// Seconds charged.
    pub billed_s: i64,
    /// What was charged; `None` while it runs and when nothing charges it.
    pub price: Option<Money>,
    /// What the wallet could not pay, micros.
    pub uncollected_micros: i64,
    /// Media figures per leg.
    pub legs: Vec<LegStatistics>,
}

/// Which calls to list.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CallFilter {
    /// Only where this user called or was called.
    pub user: Option<Id<User>>,
    /// Only from or to this number or name.
    pub number: Option<String>,
    /// Only this way.
    pub direction: Option<CallDirection>,
    /// Only in this state.
    pub status: Option<CallState>,
    /// Not begun before.
    pub from: Option<Timestamp>,
    /// Begun before.
    pub to: Option<Timestamp>,
}

fn read(row: &AnyRow) -> Result<CallRecord> {
    let currency = row.word_opt("currency", |t| t.parse().ok())?;
    let price = row.int_opt("price_micros")?.zip(currency);
    Ok(CallRecord {
        id: row.id("id")?,
        tenant: row.id("tenant_id")?,
        user: row.id_opt("user_id")?,
        callee_user: row.id_opt("callee_user_id")?,
        device: row.id_opt("device_id")?,
        direction: row.word("direction", CallDirection::parse)?,
        from: row.text("from_party")?,
        to: row.text("to_party")?,
        sip_call_id: row.text("sip_call_id")?,
        trunk_in: row.id_opt("trunk_in_id")?,
        trunk_out: row.id_opt("trunk_out_id")?,
        forwarded_to: row.e164_opt("forwarded_to")?,
        status: row.word("status", CallState::parse)?,
        cause: row.text_opt("cause")?,
        sip_status: row.number_opt("sip_status")?,
        q850: row.number_opt("q850")?,
        ended_by: row.text_opt("ended_by")?,
        started_at: row.time("started_at_ms")?,
        ringing_at: row.time_opt("ringing_at_ms")?,
        answered_at: row.time_opt("answered_at_ms")?,
        ended_at: row.time_opt("ended_at_ms")?,
        talked_s: row.int("talked_s")?,
        billed_s: row.int("billed_s")?,
        price: price.map(|(micros, currency)| Money::new(micros, currency)),
        uncollected_micros: row.int("uncollected_micros")?,
        legs: row.json("legs")?,
    })
}

/// One index range: calls of a tenant, of a caller, or of a callee.
fn range(scope: Option<Id<Tenant>>, filter: &CallFilter, before: Option<Place>) -> Filter {
    let mut query = Filter::new("SELECT * FROM calls");
    query.and_int_opt("tenant_id =", scope.map(Id::as_i64));
    query.and_either_text(["from_party =", "to_party ="], filter.number.as_deref());
    query.and_text_opt("direction =", filter.direction.map(CallDirection::as_str));
    query.and_text_opt("status =", filter.status.map(CallState::as_str));
    query.and_int_opt("started_at_ms >=", filter.from.map(Timestamp::as_millis));
    query.and_int_opt("started_at_ms <", filter.to.map(Timestamp::as_millis));
    query.before("started_at_ms", "id", before.map(Place::key));
    query
}

impl Store {
    /// Calls of a tenant or (`None`) of all, newest first, those after `before` if given.
    pub async fn list_calls(
        &self,
        scope: Option<Id<Tenant>>,
        filter: &CallFilter,
        before: Option<Place>,
        limit: u32,
    ) -> Result<Vec<CallRecord>> {
        const ORDER: &str = " ORDER BY started_at_ms DESC, id DESC";
        let Some(user) = filter.user else {
            let rows = self.database().rows(range(scope, filter, before).query(ORDER, limit)).await?;
            return rows.iter().map(read).collect();
        };
        // Each side is a range of its own index; a call with oneself stands in both.
        let mut calls = Vec::new();
        for column in ["user_id =", "callee_user_id ="] {
            let mut query = range(None, filter, before);
            query.and_int(column, user.as_i64());
            for row in self.database().rows(query.query(ORDER, limit)).await? {
                calls.push(read(&row)?);
            }
        }
        // A user called by another tenant's user sees the call too; `scope` is about who asks.
        calls.sort_by_key(|c| std::cmp::Reverse((c.started_at, c.id)));
        calls.dedup_by_key(|c| c.id);
        calls.truncate(usize::try_from(limit).unwrap_or(usize::MAX));
        Ok(calls)
    }

    /// A call, if its tenant is `scope` (or `scope` is `None`), and if `user` is given, only where it called or was called.
    pub async fn find_call(
        &self,
        scope: Option<Id<Tenant>>,
        user: Option<Id<User>>,
        call: Id<Call>,
    ) -> Result<CallRecord> {
        let mut query = Filter::new("SELECT * FROM calls");
        query.and_int("id =", call.as_i64());
        let row = self.database().row(query.query("", 1)).await?;
        let found = row.as_ref().map(read).transpose()?;
        let visible = |c: &CallRecord| match user {
            Some(user) => c.user == Some(user) || c.callee_user == Some(user),
            None => scope.is_none_or(|t| t == c.tenant),
        };
        found.filter(visible).ok_or(Error::NotFound("call"))
    }
}
