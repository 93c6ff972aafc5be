//! Call history (T23) and details (T24).

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use base::id::kind::{Call, Device, Trunk};
use base::{E164, Id};
use domain::call_record::{CallDirection, CallState};
use domain::ports::LegStatistics;
use serde::{Deserialize, Serialize};
use store::{CallFilter, CallRecord, Place};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::wallet::known;
use crate::app::App;
use crate::auth::Caller;
use crate::extract::{OnPath, Params};
use crate::page::{self, Page};
use crate::problem::Problem;
use crate::value::{Amount, Time, time_parameter};

/// A call of the history.
#[derive(Debug, Serialize, ToSchema)]
struct CallView {
    #[schema(value_type = String)]
    id: Id<Call>,
    /// `outbound`, `inbound` or `on_net`.
    #[schema(value_type = String)]
    direction: CallDirection,
    /// What the callee was shown.
    from: String,
    /// What was dialled.
    to: String,
    /// `initiated`, `ringing`, `answered`, `completed`, `failed`, `busy` or `no_answer`.
    #[schema(value_type = String)]
    status: CallState,
    /// Word for the reason of its end: `normal`, `cancelled`, `no_credit` ...
    cause: Option<String>,
    #[schema(value_type = String, format = DateTime)]
    started_at: Time,
    #[schema(value_type = Option<String>, format = DateTime)]
    answered_at: Option<Time>,
    #[schema(value_type = Option<String>, format = DateTime)]
    ended_at: Option<Time>,
    /// Seconds of talk.
    duration_s: i64,
    /// What the caller of this list paid; none for calls that somebody else paid and while it runs.
    cost: Option<Amount>,
}

/// A call with everything that is known of it.
#[derive(Debug, Serialize, ToSchema)]
struct CallDetails {
    #[serde(flatten)]
    call: CallView,
    #[schema(value_type = Option<String>, format = DateTime)]
    ringing_at: Option<Time>,
    /// Seconds charged.
    billed_s: i64,
    /// Final SIP status towards the caller.
    sip_status: Option<u16>,
    /// ITU-T Q.850 cause.
    q850_cause: Option<u8>,
    /// `caller`, `callee` or `switch`.
    ended_by: Option<String>,
    /// The device that called.
    #[schema(value_type = Option<String>)]
    device_id: Option<Id<Device>>,
    /// Trunk by which it came.
    #[schema(value_type = Option<String>)]
    trunk_in_id: Option<Id<Trunk>>,
    /// Trunk by which it went.
    #[schema(value_type = Option<String>)]
    trunk_out_id: Option<Id<Trunk>>,
    /// Number that answered after a forward.
    #[schema(value_type = Option<String>)]
    forwarded_to: Option<E164>,
    /// Call-ID of the caller's leg, by which a trace finds it.
    sip_call_id: String,
    /// Media figures per leg.
    legs: Vec<LegView>,
}

/// What was counted on one leg.
#[derive(Debug, Serialize, ToSchema)]
struct LegView {
    /// 0 is the caller.
    leg: u16,
    packets_received: u64,
    bytes_received: u64,
    packets_sent: u64,
    packets_lost: u64,
    /// Interarrival jitter (RFC 3550 A.8), milliseconds.
    jitter_ms: f64,
    packets_refused: u64,
}

impl From<LegStatistics> for LegView {
    fn from(leg: LegStatistics) -> Self {
        Self {
            leg: leg.leg,
            packets_received: leg.packets_received,
            bytes_received: leg.bytes_received,
            packets_sent: leg.packets_sent,
            packets_lost: leg.packets_lost,
            jitter_ms: f64::from(leg.jitter_us) / 1e3,
            packets_refused: leg.packets_refused,
        }
    }
}

/// What `caller` may see of a call: the price is for who pays.
fn view(caller: &Caller, row: &CallRecord) -> CallView {
    CallView {
        id: row.id,
        direction: row.direction,
        from: row.from.clone(),
        to: row.to.clone(),
        status: row.status,
        cause: row.cause.clone(),
        started_at: row.started_at.into(),
        answered_at: row.answered_at.map(Into::into),
        ended_at: row.ended_at.map(Into::into),
        duration_s: row.talked_s,
        cost: row.price.filter(|_| row.user == Some(caller.user)).map(Into::into),
    }
}

/// Which calls.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct CallParams {
    /// `next_cursor` of the page before.
    cursor: Option<String>,
    /// Rows of the page, 1 to 200; 50 when not given.
    limit: Option<u32>,
    /// From or to this number or name.
    number: Option<String>,
    /// `outbound`, `inbound` or `on_net`.
    direction: Option<String>,
    /// `initiated`, `ringing`, `answered`, `completed`, `failed`, `busy` or `no_answer`.
    status: Option<String>,
    /// Begun at this time or date or later.
    from: Option<String>,
    /// Begun before this time or date.
    to: Option<String>,
}

pub(super) fn routes() -> OpenApiRouter<Arc<App>> {
    OpenApiRouter::new().routes(routes!(list)).routes(routes!(read))
}

/// The caller's calls, newest first
#[utoipa::path(get, path = "/calls", tag = "calls", params(CallParams), responses((status = 200, body = Page<CallView>)))]
async fn list(
    State(app): State<Arc<App>>,
    caller: Caller,
    Params(params): Params<CallParams>,
) -> Result<Json<Page<CallView>>, Problem> {
    let slice = page::slice::<Place>(params.cursor.as_deref(), params.limit)?;
    let filter = CallFilter {
        user: Some(caller.user),
        number: params.number,
        direction: known("direction", params.direction.as_deref(), CallDirection::parse)?,
        status: known("status", params.status.as_deref(), CallState::parse)?,
        from: time_parameter("from", params.from.as_deref())?,
        to: time_parameter("to", params.to.as_deref())?,
    };
    let rows = app.store().list_calls(Some(caller.tenant), &filter, slice.before, slice.rows()).await?;
    Ok(Json(slice.page(rows, |r| Place { at: r.started_at, id: r.id.as_i64() }, |r| view(&caller, &r))))
}

/// A call with everything that is known of it
#[utoipa::path(get, path = "/calls/{id}", tag = "calls", params(("id" = String, Path)),
    responses((status = 200, body = CallDetails)))]
async fn read(
    State(app): State<Arc<App>>,
    caller: Caller,
    OnPath(id): OnPath<Id<Call>>,
) -> Result<Json<CallDetails>, Problem> {
    let row = app.store().find_call(Some(caller.tenant), Some(caller.user), id).await?;
    // A callee of another tenant sees the call, not the payer's devices and trunks.
    let own = row.tenant == caller.tenant;
    Ok(Json(CallDetails {
        call: view(&caller, &row),
        ringing_at: row.ringing_at.map(Into::into),
        billed_s: if row.user == Some(caller.user) { row.billed_s } else { 0 },
        sip_status: row.sip_status,
        q850_cause: row.q850,
        ended_by: row.ended_by,
        device_id: row.device.filter(|_| own),
        trunk_in_id: row.trunk_in.filter(|_| own),
        trunk_out_id: row.trunk_out.filter(|_| own),
        forwarded_to: row.forwarded_to,
        sip_call_id: row.sip_call_id,
        legs: row.legs.into_iter().map(Into::into).collect(),
    }))
}
