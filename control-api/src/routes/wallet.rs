//! `GET /wallet` (B1) and `GET /transactions` (B3): the caller's money.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use base::Id;
use base::id::kind::{Posting, Wallet};
use serde::{Deserialize, Serialize};
use store::{Category, Kind, Transaction, TransactionFilter, WalletRow};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::app::App;
use crate::auth::Caller;
use crate::extract::Params;
use crate::page::{self, Cursor, Page};
use crate::problem::{Code, FieldError, Problem};
use crate::value::{Amount, Time, time_parameter};

/// A purse.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct WalletView {
    /// The wallet.
    #[schema(value_type = String)]
    id: Id<Wallet>,
    /// Sum of all transactions.
    balance: Amount,
    /// Set aside for calls that run and texts that wait.
    held: Amount,
    /// How far the balance may go below zero.
    credit_limit: Amount,
    /// What can be spent: balance and credit limit without what is held.
    available: Amount,
}

impl From<WalletRow> for WalletView {
    fn from(row: WalletRow) -> Self {
        Self {
            available: Amount::micros(row.free_micros(), row.balance.currency),
            id: row.id,
            balance: row.balance.into(),
            held: row.held.into(),
            credit_limit: row.credit_limit.into(),
        }
    }
}

/// One movement of money.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct TransactionView {
    /// The posting.
    #[schema(value_type = String)]
    id: Id<Posting>,
    /// `credit`, `debit` or `refund`.
    kind: &'static str,
    /// `call`, `sms`, `opening`, `top_up` or `adjustment`.
    category: &'static str,
    /// What for: `call:ID`, `sms:ID` ...
    reference: String,
    /// An administrator's words.
    reason: Option<String>,
    /// Added; negative: taken.
    amount: Amount,
    /// Balance before.
    balance_before: Amount,
    /// Balance after.
    balance_after: Amount,
    /// When.
    #[schema(value_type = String, format = DateTime)]
    at: Time,
}

impl From<Transaction> for TransactionView {
    fn from(row: Transaction) -> Self {
        Self {
            id: row.id,
            kind: row.kind.as_str(),
            category: row.category.as_str(),
            reference: row.reference,
            reason: row.reason,
            amount: row.amount.into(),
            balance_before: row.balance_before.into(),
            balance_after: row.balance_after.into(),
            at: row.at.into(),
        }
    }
}

/// Which transactions.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct TransactionParams {
    /// `next_cursor` of the page before.
    cursor: Option<String>,
    /// Rows of the page, 1 to 200; 50 when not given.
    limit: Option<u32>,
    /// `credit`, `debit` or `refund`.
    kind: Option<String>,
    /// `call`, `sms`, `opening`, `top_up` or `adjustment`.
    category: Option<String>,
    /// From this time or date on.
    from: Option<String>,
    /// Before this time or date.
    to: Option<String>,
}

/// Place in a wallet's chain.
struct Sequence(i64);

impl Cursor for Sequence {
    fn write(&self) -> String {
        self.0.to_string()
    }
    fn read(text: &str) -> Option<Self> {
        text.parse().ok().map(Self)
    }
}

pub(super) fn routes() -> OpenApiRouter<Arc<App>> {
    OpenApiRouter::new().routes(routes!(wallet)).routes(routes!(transactions))
}

/// The caller's wallet
#[utoipa::path(get, path = "/wallet", tag = "money", responses((status = 200, body = WalletView)))]
async fn wallet(State(app): State<Arc<App>>, caller: Caller) -> Result<Json<WalletView>, Problem> {
    Ok(Json(app.store().wallet_of(Some(caller.tenant), caller.user).await?.into()))
}

/// The caller's transactions, newest first
#[utoipa::path(get, path = "/transactions", tag = "money", params(TransactionParams),
    responses((status = 200, body = Page<TransactionView>)))]
async fn transactions(
    State(app): State<Arc<App>>,
    caller: Caller,
    Params(params): Params<TransactionParams>,
) -> Result<Json<Page<TransactionView>>, Problem> {
    let wallet = app.store().wallet_of(Some(caller.tenant), caller.user).await?.id;
    list(&app, wallet, &params).await.map(Json)
}

/// Transactions of any wallet.
pub(crate) async fn list(
    app: &App,
    wallet: Id<Wallet>,
    params: &TransactionParams,
) -> Result<Page<TransactionView>, Problem> {
    let slice = page::slice::<Sequence>(params.cursor.as_deref(), params.limit)?;
    let filter = TransactionFilter {
        kind: known("kind", params.kind.as_deref(), Kind::parse)?,
        category: known("category", params.category.as_deref(), Category::parse)?,
        from: time_parameter("from", params.from.as_deref())?,
        to: time_parameter("to", params.to.as_deref())?,
    };
    let before = slice.before.as_ref().map(|s| s.0);
    let rows = app.store().list_transactions(wallet, &filter, before, slice.rows()).await?;
    Ok(slice.page(rows, |r| Sequence(r.sequence), Into::into))
}

/// Reads a query parameter that is one of a few words.
pub(crate) fn known<T>(
    field: &str,
    text: Option<&str>,
    parse: impl Fn(&str) -> Option<T>,
) -> Result<Option<T>, Problem> {
    let Some(text) = text else { return Ok(None) };
    parse(text).map(Some).ok_or_else(|| {
        let errors = vec![FieldError { field: field.to_owned(), detail: "not one of the known words".to_owned() }];
        Problem::new(Code::InvalidParameter, format!("{field}: not one of the known words")).with_errors(errors)
    })
}
