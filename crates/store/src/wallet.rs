//! Wallets: setting money aside and moving it. A wallet's balance is the sum of its ledger entries, and balance plus
//! credit limit never falls under what is held: every statement here carries that condition.

use base::id::kind::{Posting, Tenant, User, Wallet};
use base::{Currency, Id, Money, Timestamp};
use domain::wallet::Hold;
use sqlx::any::AnyRow;

use crate::Store;
use crate::error::{Error, Result};
use crate::ledger::{Account, Category, Kind, Movement, post};
use crate::pool::{Tx, sql};
use crate::row::Columns;

/// A wallet as its owner sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WalletRow {
    /// The wallet.
    pub id: Id<Wallet>,
    /// Its tenant.
    pub tenant: Id<Tenant>,
    /// Its owner.
    pub user: Id<User>,
    /// Sum of its ledger.
    pub balance: Money,
    /// Set aside by open reservations.
    pub held: Money,
    /// How far the balance may go below zero.
    pub credit_limit: Money,
    /// When it was made.
    pub created_at: Timestamp,
}

impl WalletRow {
    /// What can still be set aside or spent.
    pub fn free_micros(&self) -> i64 {
        self.balance.micros + self.credit_limit.micros - self.held.micros
    }
}

fn read(row: &AnyRow) -> Result<WalletRow> {
    let currency = row.currency("currency")?;
    let money = |name| Ok::<_, Error>(Money::new(row.int(name)?, currency));
    Ok(WalletRow {
        id: row.id("id")?,
        tenant: row.id("tenant_id")?,
        user: row.id("user_id")?,
        balance: money("balance_micros")?,
        held: money("held_micros")?,
        credit_limit: money("credit_limit_micros")?,
        created_at: row.time("created_at_ms")?,
    })
}

impl Store {
    /// A wallet by id, within a tenant or (`None`) anywhere.
    pub async fn find_wallet(&self, scope: Option<Id<Tenant>>, wallet: Id<Wallet>) -> Result<WalletRow> {
        let row = self.database().row(sql("SELECT * FROM wallets WHERE id = $1").bind(wallet.as_i64())).await?;
        let found = row.as_ref().map(read).transpose()?;
        found.filter(|w| scope.is_none_or(|t| t == w.tenant)).ok_or(Error::NotFound("wallet"))
    }

    /// A user's wallet, within a tenant or (`None`) anywhere.
    pub async fn wallet_of(&self, scope: Option<Id<Tenant>>, user: Id<User>) -> Result<WalletRow> {
        let row = self.database().row(sql("SELECT * FROM wallets WHERE user_id = $1").bind(user.as_i64())).await?;
        let found = row.as_ref().map(read).transpose()?;
        found.filter(|w| scope.is_none_or(|t| t == w.tenant)).ok_or(Error::NotFound("wallet"))
    }

    /// Adds to (or, negative, takes from) a wallet by hand. `reason` and `actor` stand in the ledger. Taking more than
    /// is free is [`Error::NoCredit`]. With the same `key` it is done once, however often it is asked.
    pub async fn adjust_wallet(
        &self,
        scope: Option<Id<Tenant>>,
        wallet: Id<Wallet>,
        amount: Money,
        reason: &str,
        actor: &str,
        key: Id<Posting>,
    ) -> Result<WalletRow> {
        let before = self.find_wallet(scope, wallet).await?;
        if amount.currency != before.balance.currency {
            return Err(Error::malformed("amount", format!("the wallet is in {}", before.balance.currency)));
        }
        if amount.micros == 0 {
            return Err(Error::malformed("amount", "zero"));
        }
        if reason.trim().is_empty() || reason.len() > REASON_BYTES_MAX {
            return Err(Error::malformed("reason", format!("1 to {REASON_BYTES_MAX} octets")));
        }
        let reference = format!("adjustment:{key}");
        let mut tx = self.begin().await?;
        let known = tx.row(sql("SELECT id FROM postings WHERE reference = $1").bind(reference.clone())).await?;
        if known.is_none() {
            let movement = Movement {
                wallet,
                amount_micros: amount.micros,
                release_micros: 0,
                kind: if amount.micros > 0 { Kind::Credit } else { Kind::Debit },
                category: Category::Adjustment,
                against: Account::Adjustment,
                reference,
                reason: Some(reason.to_owned()),
                actor: Some(actor.to_owned()),
            };
            if !post(&mut tx, &movement).await? {
                return Err(Error::NoCredit);
            }
        }
        tx.commit().await?;
        self.find_wallet(scope, wallet).await
    }

    /// Sets how far a wallet may go below zero, micros, not negative. A limit under what is in use is refused.
    pub async fn set_credit_limit(
        &self,
        scope: Option<Id<Tenant>>,
        wallet: Id<Wallet>,
        micros: i64,
    ) -> Result<WalletRow> {
        if micros < 0 {
            return Err(Error::malformed("credit_limit", "negative"));
        }
        self.find_wallet(scope, wallet).await?;
        let mut tx = self.begin().await?;
        let update = sql("UPDATE wallets SET credit_limit_micros = $1 \
             WHERE id = $2 AND balance_micros + $1 - held_micros >= 0");
        if tx.execute(update.bind(micros).bind(wallet.as_i64())).await? == 0 {
            return Err(Error::Conflict("more of the credit is in use".into()));
        }
        tx.commit().await?;
        self.find_wallet(scope, wallet).await
    }
}

/// Longest reason of an adjustment, octets.
const REASON_BYTES_MAX: usize = 500;

/// Sets money aside: all that is wanted, else what is there and of use. The refusal is the inner error.
pub(crate) async fn hold(tx: &mut Tx<'_>, hold: &Hold) -> Result<Result<i64>> {
    let (wallet, wanted) = (hold.wallet.as_i64(), hold.wanted.micros.max(0));
    if add_hold(tx, hold, wanted).await? {
        return Ok(Ok(wanted));
    }
    let lock = tx.engine().for_update();
    let query = format!(
        "SELECT balance_micros + credit_limit_micros - held_micros AS free_micros, currency FROM wallets \
         WHERE id = $1{lock}"
    );
    let Some(row) = tx.row(crate::pool::composed(query).bind(wallet)).await? else {
        return Ok(Err(Error::NotFound("wallet")));
    };
    if row.currency("currency")? != hold.wanted.currency {
        return Ok(Err(Error::malformed("hold", "another currency than the wallet's")));
    }
    match hold.granted_micros(row.int("free_micros")?) {
        Some(granted) if add_hold(tx, hold, granted).await? => Ok(Ok(granted)),
        _ => Ok(Err(Error::NoCredit)),
    }
}

async fn add_hold(tx: &mut Tx<'_>, hold: &Hold, micros: i64) -> Result<bool> {
    let update = sql("UPDATE wallets SET held_micros = held_micros + $1 WHERE id = $2 AND currency = $3 \
         AND balance_micros + credit_limit_micros - held_micros >= $1");
    let currency = hold.wanted.currency.as_str().to_owned();
    Ok(tx.execute(update.bind(micros).bind(hold.wallet.as_i64()).bind(currency)).await? == 1)
}

/// Frees money that was set aside.
pub(crate) async fn release(tx: &mut Tx<'_>, wallet: Id<Wallet>, micros: i64) -> Result<()> {
    if micros > 0 {
        let update = sql("UPDATE wallets SET held_micros = held_micros - $1 WHERE id = $2");
        tx.execute(update.bind(micros).bind(wallet.as_i64())).await?;
    }
    Ok(())
}

/// What was charged, and what could not be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Charge {
    pub(crate) charged_micros: i64,
    pub(crate) uncollected_micros: i64,
}

/// Frees `held` and charges `price` in one step: never more than is there, so that no wallet goes below its limit.
pub(crate) async fn charge(
    tx: &mut Tx<'_>,
    wallet: Id<Wallet>,
    held_micros: i64,
    price: Money,
    category: Category,
    reference: String,
) -> Result<Charge> {
    let mut movement = Movement {
        wallet,
        amount_micros: -price.micros,
        release_micros: held_micros,
        kind: Kind::Debit,
        category,
        against: Account::Revenue,
        reference,
        reason: None,
        actor: None,
    };
    if price.micros <= 0 {
        release(tx, wallet, held_micros).await?;
        return Ok(Charge { charged_micros: 0, uncollected_micros: 0 });
    }
    if post(tx, &movement).await? {
        return Ok(Charge { charged_micros: price.micros, uncollected_micros: 0 });
    }
    // More than there is: take what there is.
    let there = free_of(tx, wallet, price.currency).await? + held_micros;
    let there = there.clamp(0, price.micros);
    movement.amount_micros = -there;
    if there == 0 || !post(tx, &movement).await? {
        release(tx, wallet, held_micros).await?;
        return Ok(Charge { charged_micros: 0, uncollected_micros: price.micros });
    }
    Ok(Charge { charged_micros: there, uncollected_micros: price.micros - there })
}

async fn free_of(tx: &mut Tx<'_>, wallet: Id<Wallet>, currency: Currency) -> Result<i64> {
    let query = format!(
        "SELECT balance_micros + credit_limit_micros - held_micros AS free_micros FROM wallets \
         WHERE id = $1 AND currency = $2{}",
        tx.engine().for_update()
    );
    let query = crate::pool::composed(query).bind(wallet.as_i64()).bind(currency.as_str().to_owned());
    tx.row(query).await?.map_or(Ok(0), |row| row.int("free_micros"))
}
