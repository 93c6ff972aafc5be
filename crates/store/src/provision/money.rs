//! Prices, and the money that new users begin with.

use std::collections::HashSet;

use base::Id;
use base::id::kind::RateDeck;
use base::money::format_micros;

use super::table::{Removal, Sync, Table, Wanted, int, text};
use super::{DesiredRate, DesiredUser};
use crate::error::{Error, Result};
use crate::ledger::{Account, Category, Kind, Movement, post};
use crate::pool::sql;
use crate::rate::RateData;
use crate::row::Columns;

static RATES: Table = Table {
    what: "rate",
    name: "rates",
    columns: &[
        int("deck_id").key().hidden(),
        text("service").key(),
        text("prefix").key(),
        int("effective_from_ms").key(),
        int("price_micros"),
        int("connect_micros"),
        int("first_increment_s"),
        int("next_increment_s"),
    ],
    removal: Removal::Delete,
    updated_at: true,
    returns: false,
};

pub(super) async fn rates(sync: &mut Sync<'_>, desired: &[DesiredRate]) -> Result<()> {
    let mut wanted = Vec::with_capacity(desired.len());
    for rate in desired {
        let label = format!("{} {} {}", rate.tenant, rate.service.as_str(), rate.prefix);
        let prefix = crate::naming::prefix(&rate.prefix)?;
        let data = RateData {
            service: rate.service,
            prefix: prefix.clone(),
            price_micros: rate.price_micros,
            connect_micros: rate.connect_micros,
            first_increment_s: rate.first_increment_s,
            next_increment_s: rate.next_increment_s,
            effective_from: rate.effective_from,
        };
        data.check().map_err(|e| Error::Malformed { what: "rate", why: format!("{label}: {e}") })?;
        let missing = || Error::Malformed { what: "rate", why: format!("{label}: there is no such tenant") };
        let tenant = sync.known("tenant", &rate.tenant).ok_or_else(missing)?;
        let deck = deck(sync, tenant, &rate.tenant).await?;
        wanted.push(Wanted {
            label,
            values: vec![
                deck.into(),
                rate.service.as_str().into(),
                prefix.into(),
                rate.effective_from.as_millis().into(),
                rate.price_micros.into(),
                rate.connect_micros.into(),
                i64::from(rate.first_increment_s).into(),
                i64::from(rate.next_increment_s).into(),
            ],
        });
    }
    sync.rows(&RATES, wanted).await.map(drop)
}

/// The tenant's deck, made when it has none.
async fn deck(sync: &mut Sync<'_>, tenant: i64, name: &str) -> Result<i64> {
    if let Some(deck) = sync.known("deck", name) {
        return Ok(deck);
    }
    let there = sync.tx.row(sql("SELECT id FROM rate_decks WHERE tenant_id = $1").bind(tenant)).await?;
    let deck = match there {
        Some(row) => row.int("id")?,
        None => {
            let id: Id<RateDeck> = sync.tx.id();
            let insert = sql("INSERT INTO rate_decks (id, tenant_id, name, created_at_ms) VALUES ($1, $2, $3, $4)");
            let now_ms = sync.tx.now.as_millis();
            sync.tx.execute(insert.bind(id.as_i64()).bind(tenant).bind("standard").bind(now_ms)).await?;
            id.as_i64()
        }
    };
    sync.ids.insert(("deck", name.to_owned()), deck);
    Ok(deck)
}

/// Credits the opening balance of users that never had one; the reference in the ledger makes it once.
pub(super) async fn opening_balances(sync: &mut Sync<'_>, desired: &[DesiredUser]) -> Result<()> {
    if desired.iter().all(|u| u.opening_balance_micros == 0) {
        return Ok(());
    }
    let mut given = HashSet::new();
    for row in sync.tx.rows(sql("SELECT reference FROM postings WHERE category = 'opening'")).await? {
        given.insert(row.text("reference")?);
    }
    let mut wallets = std::collections::HashMap::new();
    for row in sync.tx.rows(sql("SELECT id, user_id FROM wallets")).await? {
        wallets.insert(row.int("user_id")?, row.id("id")?);
    }
    for user in desired.iter().filter(|u| u.opening_balance_micros > 0) {
        let tenant = sync.known("tenant", &user.tenant).ok_or(Error::NotFound("tenant"))?;
        let id = sync.known("user", &format!("{tenant} {}", user.name)).ok_or(Error::NotFound("user"))?;
        let reference = format!("opening:{}", Id::<base::id::kind::User>::from_i64(id));
        if given.contains(&reference) {
            continue;
        }
        let opening = format!("opening balance {}", format_micros(user.opening_balance_micros));
        sync.say_change("user", id, &format!("{}/{}", user.tenant, user.name), &opening);
        let movement = Movement {
            wallet: *wallets.get(&id).ok_or(Error::NotFound("wallet"))?,
            amount_micros: user.opening_balance_micros,
            release_micros: 0,
            kind: Kind::Credit,
            category: Category::Opening,
            against: Account::Funding,
            reference,
            reason: None,
            actor: None,
        };
        if !post(&mut sync.tx, &movement).await? {
            return Err(Error::NotFound("wallet"));
        }
    }
    Ok(())
}
