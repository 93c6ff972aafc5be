//! Wallets of users. Tenant administrators look; only the platform moves money by hand, and says why.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use base::id::kind::{Posting, User};
use base::{Id, Money};
use serde::{Deserialize, Serialize};
use serde_json::json;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::{Change, note};
use crate::app::App;
use crate::auth::{Admin, Caller, PlatformAdmin};
use crate::extract::{Body, OnPath, Params};
use crate::idempotent::{self, Done, Key};
use crate::page::Page;
use crate::problem::{Code, Problem};
use crate::routes::wallet::{TransactionParams, TransactionView, WalletView, list};
use crate::value::micros;

/// Money to move by hand.
#[derive(Debug, Deserialize, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct Adjustment {
    /// Decimal; negative takes.
    #[schema(example = "10.00")]
    amount: String,
    /// ISO 4217; must be the wallet's, which is taken when none is given.
    #[serde(default)]
    currency: Option<String>,
    /// Why, for the ledger and the audit log.
    #[schema(example = "goodwill for the outage of 3 May")]
    reason: String,
}

/// A new limit.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct CreditLimit {
    /// How far the balance may go below zero, decimal, not negative.
    #[schema(example = "0.00")]
    amount: String,
}

pub(super) fn routes() -> OpenApiRouter<Arc<App>> {
    OpenApiRouter::new()
        .routes(routes!(read))
        .routes(routes!(transactions))
        .routes(routes!(adjust))
        .routes(routes!(credit_limit))
}

/// The wallet of a user
#[utoipa::path(get, path = "/users/{id}/wallet", tag = "admin: money", params(("id" = String, Path)),
    responses((status = 200, body = WalletView)))]
async fn read(
    State(app): State<Arc<App>>,
    admin: Admin,
    OnPath(user): OnPath<Id<User>>,
) -> Result<Json<WalletView>, Problem> {
    Ok(Json(app.store().wallet_of(admin.scope(), user).await?.into()))
}

/// Transactions of a user, newest first
#[utoipa::path(get, path = "/users/{id}/transactions", tag = "admin: money",
    params(("id" = String, Path), TransactionParams), responses((status = 200, body = Page<TransactionView>)))]
async fn transactions(
    State(app): State<Arc<App>>,
    admin: Admin,
    OnPath(user): OnPath<Id<User>>,
    Params(params): Params<TransactionParams>,
) -> Result<Json<Page<TransactionView>>, Problem> {
    let wallet = app.store().wallet_of(admin.scope(), user).await?.id;
    list(&app, wallet, &params).await.map(Json)
}

/// Move money by hand
///
/// Adds to a wallet, or takes from it what is free. With an Idempotency-Key it is done once however often it is asked.
#[utoipa::path(post, path = "/users/{id}/wallet/adjustments", tag = "admin: money",
    params(("id" = String, Path), ("Idempotency-Key" = Option<String>, Header, description = "Kept 24 h")),
    request_body = Adjustment, responses((status = 201, body = WalletView)))]
async fn adjust(
    State(app): State<Arc<App>>,
    PlatformAdmin(caller): PlatformAdmin,
    OnPath(user): OnPath<Id<User>>,
    key: Key,
    Body(body): Body<Adjustment>,
) -> Result<Response, Problem> {
    let request = json!({ "user": user, "adjustment": body });
    idempotent::run(&app, &caller, key, &request, |id: Id<Posting>, _| move_money(&app, &caller, user, id, &body)).await
}

async fn move_money(
    app: &App,
    caller: &Caller,
    user: Id<User>,
    key: Id<Posting>,
    body: &Adjustment,
) -> Result<Done<WalletView>, Problem> {
    let wallet = app.store().wallet_of(None, user).await?;
    let currency = match &body.currency {
        None => wallet.balance.currency,
        Some(text) => text
            .parse()
            .map_err(|e: base::money::BadMoney| Problem::field(Code::InvalidBody, "/currency", e.to_string()))?,
    };
    let amount = Money::new(micros("/amount", &body.amount)?, currency);
    let actor = caller.user.to_string();
    let row = app.store().adjust_wallet(None, wallet.id, amount, &body.reason, &actor, key).await?;
    let detail = json!({ "user": user, "amount": body.amount, "currency": currency, "reason": body.reason });
    let change = Change { action: "wallet.adjust", tenant: Some(wallet.tenant), object: wallet.id.as_i64(), detail };
    note(app, caller, change).await;
    Ok(Done { status: StatusCode::CREATED, body: row.into() })
}

/// Set how far the balance of a user may go below zero
#[utoipa::path(put, path = "/users/{id}/wallet/credit-limit", tag = "admin: money", params(("id" = String, Path)),
    request_body = CreditLimit, responses((status = 200, body = WalletView)))]
async fn credit_limit(
    State(app): State<Arc<App>>,
    PlatformAdmin(caller): PlatformAdmin,
    OnPath(user): OnPath<Id<User>>,
    Body(body): Body<CreditLimit>,
) -> Result<Json<WalletView>, Problem> {
    let wallet = app.store().wallet_of(None, user).await?;
    let row = app.store().set_credit_limit(None, wallet.id, micros("/amount", &body.amount)?).await?;
    let detail = json!({ "user": user, "amount": body.amount });
    let change =
        Change { action: "wallet.credit_limit", tenant: Some(wallet.tenant), object: wallet.id.as_i64(), detail };
    note(&app, &caller, change).await;
    Ok(Json(row.into()))
}
