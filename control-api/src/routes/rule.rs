//! Call rules of a number (R8-R12). A change works for the next call; a chain of forwards that comes back is refused.

use std::collections::BTreeSet;
use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use base::id::kind::{Number, Rule};
use base::{E164, Id};
use domain::rule::{RuleKind, Schedule};
use serde::{Deserialize, Serialize};
use store::{NumberRow, RuleData, RuleRow};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::number::own;
use crate::app::App;
use crate::auth::Caller;
use crate::extract::{Body, BothOnPath, OnPath};
use crate::problem::{Code, Problem};
use crate::value::Time;

/// Most numbers looked at for a loop; a longer chain of forwards is refused as one.
const CHAIN_MAX: usize = 64;

/// A rule to make, or what one is to become.
#[derive(Debug, Deserialize, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct RuleBody {
    /// `forward_always`, `forward_busy`, `forward_no_answer`, `forward_unreachable`, `dnd` or `schedule`.
    #[schema(value_type = String, example = "forward_no_answer")]
    kind: RuleKind,
    /// Lower numbers are looked at first; equal ones in order of creation.
    #[serde(default)]
    priority: i32,
    /// Where calls go, E.164; needed by the forwarding kinds. `schedule` without it is `dnd`.
    #[serde(default)]
    #[schema(value_type = Option<String>, example = "+15550199")]
    forward_to: Option<E164>,
    /// How long devices ring before `forward_no_answer`, 1 to 120 seconds.
    #[serde(default)]
    timeout_seconds: Option<u32>,
    /// When the rule holds, in the number's time zone; always when none. Needed by `schedule`.
    #[serde(default)]
    #[schema(value_type = Option<ScheduleSchema>)]
    schedule: Option<Schedule>,
    /// Whether it is looked at; yes when not given.
    #[serde(default = "yes")]
    active: bool,
}

const fn yes() -> bool {
    true
}

/// Days, and hours on each of them.
#[derive(ToSchema)]
#[schema(as = Schedule)]
#[expect(dead_code, reason = "describes domain::rule::Schedule in OpenAPI; the domain knows nothing of OpenAPI")]
struct ScheduleSchema {
    /// Days on which the window opens: `mon` to `sun`.
    #[schema(example = json!(["mon", "tue"]))]
    days: Vec<String>,
    /// `HH:MM`, inclusive.
    #[schema(example = "22:00")]
    start: String,
    /// `HH:MM`, exclusive; one that is not after `start` is on the next day.
    #[schema(example = "06:00")]
    end: String,
    /// `inside` or `outside`.
    #[schema(example = "inside")]
    when: Option<String>,
}

/// A rule.
#[derive(Debug, Serialize, ToSchema)]
struct RuleView {
    #[schema(value_type = String)]
    id: Id<Rule>,
    /// Its number.
    #[schema(value_type = String)]
    number_id: Id<Number>,
    #[serde(flatten)]
    body: RuleBody,
    /// The manifest that owns it; the API does not change such ones.
    managed_by: Option<String>,
    #[schema(value_type = String, format = DateTime)]
    created_at: Time,
    #[schema(value_type = String, format = DateTime)]
    updated_at: Time,
}

/// Rules in the order in which they are looked at.
#[derive(Debug, Serialize, ToSchema)]
struct RuleList {
    /// IANA time zone of the schedules.
    time_zone: String,
    items: Vec<RuleView>,
}

impl From<RuleRow> for RuleView {
    fn from(row: RuleRow) -> Self {
        let rule = row.rule;
        Self {
            id: rule.id,
            number_id: row.number,
            body: RuleBody {
                kind: rule.kind,
                priority: rule.priority,
                forward_to: rule.forward_to,
                timeout_seconds: rule.timeout_s,
                schedule: rule.schedule,
                active: row.active,
            },
            managed_by: row.managed_by,
            created_at: row.created_at.into(),
            updated_at: row.updated_at.into(),
        }
    }
}

impl From<RuleBody> for RuleData {
    fn from(body: RuleBody) -> Self {
        Self {
            priority: body.priority,
            kind: body.kind,
            forward_to: body.forward_to,
            timeout_s: body.timeout_seconds,
            schedule: body.schedule,
            active: body.active,
        }
    }
}

pub(super) fn routes() -> OpenApiRouter<Arc<App>> {
    OpenApiRouter::new().routes(routes!(list, create)).routes(routes!(update, delete))
}

/// Rules of a number, in the order in which they are looked at
#[utoipa::path(get, path = "/numbers/{id}/rules", tag = "numbers", params(("id" = String, Path)),
    responses((status = 200, body = RuleList)))]
async fn list(
    State(app): State<Arc<App>>,
    caller: Caller,
    OnPath(number): OnPath<Id<Number>>,
) -> Result<Json<RuleList>, Problem> {
    let number = own(&app, &caller, number).await?;
    let rows = app.store().list_rules(number.id).await?;
    Ok(Json(RuleList { time_zone: number.time_zone, items: rows.into_iter().map(Into::into).collect() }))
}

/// Add a rule to a number
#[utoipa::path(post, path = "/numbers/{id}/rules", tag = "numbers", params(("id" = String, Path)),
    request_body = RuleBody, responses((status = 201, body = RuleView)))]
async fn create(
    State(app): State<Arc<App>>,
    caller: Caller,
    OnPath(number): OnPath<Id<Number>>,
    Body(body): Body<RuleBody>,
) -> Result<(StatusCode, Json<RuleView>), Problem> {
    let number = own(&app, &caller, number).await?;
    let data: RuleData = body.into();
    refuse_loop(&app, &number, &data).await?;
    let row = app.store().create_rule(Some(caller.tenant), number.id, &data).await?;
    Ok((StatusCode::CREATED, Json(row.into())))
}

/// Make a rule into what the body says
#[utoipa::path(put, path = "/numbers/{id}/rules/{rule_id}", tag = "numbers",
    params(("id" = String, Path), ("rule_id" = String, Path)), request_body = RuleBody,
    responses((status = 200, body = RuleView)))]
async fn update(
    State(app): State<Arc<App>>,
    caller: Caller,
    BothOnPath(number, rule): BothOnPath<Id<Number>, Id<Rule>>,
    Body(body): Body<RuleBody>,
) -> Result<Json<RuleView>, Problem> {
    let number = own(&app, &caller, number).await?;
    on_number(&app, &caller, &number, rule).await?;
    let data: RuleData = body.into();
    refuse_loop(&app, &number, &data).await?;
    Ok(Json(app.store().update_rule(Some(caller.tenant), rule, &data).await?.into()))
}

/// Remove a rule
#[utoipa::path(delete, path = "/numbers/{id}/rules/{rule_id}", tag = "numbers",
    params(("id" = String, Path), ("rule_id" = String, Path)), responses((status = 204, description = "Gone")))]
async fn delete(
    State(app): State<Arc<App>>,
    caller: Caller,
    BothOnPath(number, rule): BothOnPath<Id<Number>, Id<Rule>>,
) -> Result<StatusCode, Problem> {
    let number = own(&app, &caller, number).await?;
    on_number(&app, &caller, &number, rule).await?;
    app.store().delete_rule(Some(caller.tenant), rule).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Whether the rule is one of this number.
async fn on_number(app: &App, caller: &Caller, number: &NumberRow, rule: Id<Rule>) -> Result<(), Problem> {
    let row = app.store().find_rule(Some(caller.tenant), rule).await?;
    if row.number == number.id { Ok(()) } else { Err(Problem::not_found("rule")) }
}

/// Refuses a rule whose target leads back to its number by rules that are there.
async fn refuse_loop(app: &App, number: &NumberRow, data: &RuleData) -> Result<(), Problem> {
    let back = |detail: &str| Problem::field(Code::Conflict, "/forward_to", detail);
    let Some(target) = data.forward_to.clone().filter(|_| data.active) else { return Ok(()) };
    let mut seen = BTreeSet::new();
    let mut open = vec![target];
    while let Some(next) = open.pop() {
        if next == number.number {
            return Err(back("calls would come back to this number: a loop"));
        }
        if !seen.insert(next.clone()) {
            continue;
        }
        if seen.len() > CHAIN_MAX {
            return Err(back("too long a chain of forwards"));
        }
        let facts = app.deps.directory.number(&next).await?;
        open.extend(facts.iter().flat_map(|f| &f.rules).filter_map(|rule| rule.forward_to.clone()));
    }
    Ok(())
}
