//! Texts: sending (M1-M4), history (M7), details (M29).

use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use base::id::kind::{Carrier, Message};
use base::limits::SMS_BODY_BYTES_MAX;
use base::{E164, Id, Money};
use domain::account::UserFacts;
use domain::event::Fact;
use domain::number::NumberStatus;
use domain::ports::SmsError;
use domain::rate::Service;
use domain::sms::{Composed, Encoding, MessageStatus, NewMessage, compose};
use domain::trunk::ON_NET;
use serde::{Deserialize, Serialize};
use store::{MessageDirection, MessageEvent, MessageFilter, MessageRow, Place};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::wallet::known;
use crate::app::App;
use crate::auth::Caller;
use crate::extract::{Body, OnPath, Params};
use crate::idempotent::{self, Attempt, Done, Key};
use crate::page::{self, Page};
use crate::problem::{Code, FieldError, Problem};
use crate::value::{Amount, Time, time_parameter};

/// A text to send.
#[derive(Debug, Deserialize, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct SendText {
    /// Sender: one of your active numbers that can send texts, E.164.
    #[schema(example = "+15550100")]
    from: String,
    /// Recipient, E.164.
    #[schema(example = "+15550199")]
    to: String,
    /// What to send, at most ten segments.
    #[schema(example = "Hello", min_length = 1)]
    text: String,
}

/// A text that was taken.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct TextAccepted {
    /// The message.
    #[schema(value_type = String)]
    id: Id<Message>,
    /// How many segments it takes.
    segments: usize,
    /// `gsm7` or `ucs2`.
    #[schema(value_type = String)]
    encoding: Encoding,
    /// Price of all segments, held until the carrier accepts them.
    price: Amount,
    /// `queued`, unless this answers a repeated request.
    #[schema(value_type = String)]
    status: MessageStatus,
}

/// A text of the history.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct TextView {
    #[schema(value_type = String)]
    id: Id<Message>,
    /// `outbound` or `inbound`.
    direction: &'static str,
    /// Sender: a number, or inbound also a name.
    from: String,
    /// Recipient.
    to: String,
    /// What was written.
    text: String,
    /// `gsm7` or `ucs2`.
    #[schema(value_type = String)]
    encoding: Encoding,
    /// How many segments it took.
    segments: u32,
    /// `queued`, `sent`, `delivered`, `failed`, `cancelled` or `received`.
    #[schema(value_type = String)]
    status: MessageStatus,
    /// Price of all segments; inbound texts have none.
    price: Option<Amount>,
    /// What was charged, refunds taken off.
    charged: Option<Amount>,
    #[schema(value_type = String, format = DateTime)]
    created_at: Time,
    /// When the carrier had all of it.
    #[schema(value_type = Option<String>, format = DateTime)]
    sent_at: Option<Time>,
    /// When the recipient had all of it.
    #[schema(value_type = Option<String>, format = DateTime)]
    delivered_at: Option<Time>,
    /// When it was given up.
    #[schema(value_type = Option<String>, format = DateTime)]
    failed_at: Option<Time>,
}

impl From<MessageRow> for TextView {
    fn from(row: MessageRow) -> Self {
        Self {
            id: row.id,
            direction: row.direction.as_str(),
            from: row.from,
            to: row.to,
            text: row.body,
            encoding: row.encoding,
            segments: row.segments,
            status: row.status,
            price: row.price.map(Into::into),
            charged: row.charged.map(Into::into),
            created_at: row.created_at.into(),
            sent_at: row.sent_at.map(Into::into),
            delivered_at: row.delivered_at.map(Into::into),
            failed_at: row.failed_at.map(Into::into),
        }
    }
}

/// A text with everything that happened to it.
#[derive(Debug, Serialize, ToSchema)]
struct TextDetails {
    #[serde(flatten)]
    message: TextView,
    /// The carrier that took or brought it; none for a text between numbers of this switch.
    #[schema(value_type = Option<String>)]
    carrier_id: Option<Id<Carrier>>,
    /// What receipts said last, by SMPP message_state.
    receipt: Option<String>,
    /// The carrier's raw code, when it failed.
    code: Option<String>,
    /// Oldest first.
    events: Vec<TextEvent>,
}

/// One thing that happened to a text.
#[derive(Debug, Serialize, ToSchema)]
struct TextEvent {
    #[schema(value_type = String, format = DateTime)]
    at: Time,
    /// `queued`, `submitted`, `retry`, `next_carrier`, `rejected`, `expired`, `receipt`, or a new status of the text.
    event: String,
    /// Of which segment.
    segment: Option<u32>,
    /// By which carrier.
    #[schema(value_type = Option<String>)]
    carrier_id: Option<Id<Carrier>>,
    /// The carrier's raw code.
    code: Option<String>,
    /// The carrier's own words.
    raw: Option<String>,
}

impl From<MessageEvent> for TextEvent {
    fn from(row: MessageEvent) -> Self {
        Self {
            at: row.at.into(),
            event: row.event,
            segment: row.part,
            carrier_id: outside(row.carrier),
            code: row.code,
            raw: row.raw,
        }
    }
}

/// The carrier, unless that is the switch itself, which no list of carriers has.
fn outside(carrier: Option<Id<Carrier>>) -> Option<Id<Carrier>> {
    carrier.filter(|id| *id != ON_NET)
}

/// Which texts.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct TextParams {
    /// `next_cursor` of the page before.
    cursor: Option<String>,
    /// Rows of the page, 1 to 200; 50 when not given.
    limit: Option<u32>,
    /// From or to this number or name.
    number: Option<String>,
    /// `outbound` or `inbound`.
    direction: Option<String>,
    /// `queued`, `sent`, `delivered`, `failed`, `cancelled` or `received`.
    status: Option<String>,
    /// From this time or date on.
    from: Option<String>,
    /// Before this time or date.
    to: Option<String>,
}

pub(super) fn routes() -> OpenApiRouter<Arc<App>> {
    OpenApiRouter::new().routes(routes!(send)).routes(routes!(list)).routes(routes!(read))
}

/// Send a text
///
/// Price and segments are in the answer; the price is held now, charged when the carrier accepts the text and freed when it
/// does not.
#[utoipa::path(post, path = "/sms/send", tag = "texts",
    params(("Idempotency-Key" = Option<String>, Header, description = "Sending twice with the same key sends once; kept 24 h")),
    request_body = SendText, responses((status = 202, body = TextAccepted)))]
async fn send(
    State(app): State<Arc<App>>,
    caller: Caller,
    key: Key,
    Body(request): Body<SendText>,
) -> Result<Response, Problem> {
    let (from, to) = parties(&request)?;
    let sent = idempotent::run(&app, &caller, key, &request, |id, attempt| {
        accept(&app, &caller, Accepting { id, attempt, from, to, body: &request.text })
    })
    .await;
    let outcome = sent.as_ref().map_or_else(|p| p.code().as_str(), |_| "accepted".to_owned());
    app.figures.texts.with([&outcome]).increment();
    sent
}

/// The caller's texts, newest first
#[utoipa::path(get, path = "/sms", tag = "texts", params(TextParams), responses((status = 200, body = Page<TextView>)))]
async fn list(
    State(app): State<Arc<App>>,
    caller: Caller,
    Params(params): Params<TextParams>,
) -> Result<Json<Page<TextView>>, Problem> {
    let slice = page::slice::<Place>(params.cursor.as_deref(), params.limit)?;
    let filter = MessageFilter {
        user: Some(caller.user),
        peer: params.number,
        direction: known("direction", params.direction.as_deref(), MessageDirection::parse)?,
        status: known("status", params.status.as_deref(), MessageStatus::parse)?,
        from: time_parameter("from", params.from.as_deref())?,
        to: time_parameter("to", params.to.as_deref())?,
    };
    let rows = app.store().list_messages(Some(caller.tenant), &filter, slice.before, slice.rows()).await?;
    Ok(Json(slice.page(rows, |r| Place { at: r.created_at, id: r.id.as_i64() }, Into::into)))
}

/// A text with everything that happened to it
#[utoipa::path(get, path = "/sms/{id}", tag = "texts", params(("id" = String, Path)),
    responses((status = 200, body = TextDetails)))]
async fn read(
    State(app): State<Arc<App>>,
    caller: Caller,
    OnPath(id): OnPath<Id<Message>>,
) -> Result<Json<TextDetails>, Problem> {
    let row = app.store().find_message(Some(caller.tenant), Some(caller.user), id).await?;
    let events = app.store().message_events(id).await?;
    Ok(Json(TextDetails {
        carrier_id: outside(row.carrier),
        receipt: row.receipt.clone(),
        code: row.code.clone(),
        message: row.into(),
        events: events.into_iter().map(Into::into).collect(),
    }))
}

/// Checks what can be checked without asking anybody, all fields at once.
fn parties(request: &SendText) -> Result<(E164, E164), Problem> {
    let mut errors = vec![];
    let mut refuse = |field: &str, detail: String| errors.push(FieldError { field: field.to_owned(), detail });
    let number = |text: &str| text.parse::<E164>();
    let (from, to) = (number(&request.from), number(&request.to));
    for (field, read) in [("/from", &from), ("/to", &to)] {
        if let Err(error) = read {
            refuse(field, error.to_string());
        }
    }
    if request.text.is_empty() {
        refuse("/text", "empty".to_owned());
    } else if request.text.len() > SMS_BODY_BYTES_MAX {
        refuse("/text", format!("at most {SMS_BODY_BYTES_MAX} octets"));
    }
    match (from, to) {
        (Ok(from), Ok(to)) if errors.is_empty() => Ok((from, to)),
        _ => Err(Problem::new(Code::InvalidBody, "the text cannot be sent as it is").with_errors(errors)),
    }
}

/// A text that is there already, as it was answered when it was taken.
async fn found(app: &App, caller: &Caller, id: Id<Message>) -> Result<Option<TextAccepted>, Problem> {
    match app.store().find_message(Some(caller.tenant), Some(caller.user), id).await {
        Ok(row) => {
            let price = row.price.ok_or_else(|| Problem::internal(&"a text without price"))?.into();
            let segments = row.segments as usize;
            Ok(Some(TextAccepted { id, segments, encoding: row.encoding, price, status: row.status }))
        }
        Err(store::Error::NotFound(_)) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

struct Accepting<'a> {
    id: Id<Message>,
    attempt: Attempt,
    from: E164,
    to: E164,
    body: &'a str,
}

async fn accept(app: &App, caller: &Caller, wanted: Accepting<'_>) -> Result<Done<TextAccepted>, Problem> {
    if wanted.attempt == Attempt::Again
        && let Some(there) = found(app, caller, wanted.id).await?
    {
        return Ok(Done { status: StatusCode::ACCEPTED, body: there });
    }
    let sender = sender(app, caller, &wanted.from).await?;
    let composed = compose(wanted.body).map_err(|e| Problem::field(Code::TextNotSendable, "/text", e.to_string()))?;
    let price = price(app, caller, &wanted.to, &composed).await?;
    let carriers = app.deps.directory.carriers_for(caller.tenant, &wanted.to).await?;
    if carriers.is_empty() {
        return Err(Problem::field(Code::NoRoute, "/to", "no carrier reaches this number"));
    }
    let now = app.now();
    let (segments, encoding) = (composed.segments.len(), composed.encoding);
    let message = NewMessage {
        id: wanted.id,
        tenant: caller.tenant,
        user: caller.user,
        wallet: sender.wallet,
        from: wanted.from,
        to: wanted.to,
        body: wanted.body.to_owned(),
        encoding,
        segments: composed.segments,
        price,
        carriers,
        created_at: now,
        due_at: now,
        valid_until: now.after(Duration::from_secs(u64::from(app.config.sms_validity_s))),
    };
    let id = app.deps.texts.accept(message).await.map_err(|error| match error {
        SmsError::NoCredit => Problem::new(Code::InsufficientCredit, "the wallet has less than the price"),
        SmsError::Unavailable(error) => error.into(),
    })?;
    app.deps.events.publish(Some(caller.tenant), Fact::SmsQueued { message: id });
    let body = TextAccepted { id, segments, encoding, price: price.into(), status: MessageStatus::Queued };
    Ok(Done { status: StatusCode::ACCEPTED, body })
}

/// The caller as the owner of `from`, if that number may send texts.
async fn sender(app: &App, caller: &Caller, from: &E164) -> Result<Arc<UserFacts>, Problem> {
    let number = app.deps.directory.number(from).await?;
    let owned = number.filter(|n| n.tenant == caller.tenant && n.status == NumberStatus::Active);
    let owner = owned.and_then(|n| n.owner.clone()).filter(|o| o.id == caller.user);
    let owner = owner.ok_or_else(|| Problem::field(Code::SenderNotOwned, "/from", "not one of your active numbers"))?;
    if !app.store().number_takes_texts(from).await? {
        return Err(Problem::field(Code::SenderWithoutSms, "/from", "this number cannot send texts"));
    }
    Ok(owner)
}

async fn price(app: &App, caller: &Caller, to: &E164, composed: &Composed) -> Result<Money, Problem> {
    let none = || Problem::field(Code::NoRate, "/to", "there is no price for this destination");
    let rate = app.deps.directory.rate(caller.tenant, Service::SmsOut, to).await?.ok_or_else(none)?;
    rate.price_of_segments(composed.segments.len()).ok_or_else(none)
}
