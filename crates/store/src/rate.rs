//! Prices of a tenant.

use base::id::kind::{Rate as RateId, Tenant};
use base::{Currency, Id, Timestamp};
use domain::rate::Service;
use sqlx::any::AnyRow;

use crate::Store;
use crate::directory::Topic;
use crate::error::{Error, Result};
use crate::filter::Filter;
use crate::naming::{self, Page};
use crate::pool::sql;
use crate::row::Columns;

/// A price as administrators see it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RateRow {
    /// Its row.
    pub id: Id<RateId>,
    /// Whose price.
    pub tenant: Id<Tenant>,
    /// The tenant's currency.
    pub currency: Currency,
    /// What it says.
    pub data: RateData,
    /// The manifest that owns it.
    pub managed_by: Option<String>,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it was changed last.
    pub updated_at: Timestamp,
}

/// A price to make or what one is to become.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RateData {
    /// What it is for.
    pub service: Service,
    /// Digits without `+`; empty: every number.
    pub prefix: String,
    /// Millionths per minute or segment.
    pub price_micros: i64,
    /// Millionths once per answered call.
    pub connect_micros: i64,
    /// Least seconds charged.
    pub first_increment_s: u32,
    /// Steps after it, seconds.
    pub next_increment_s: u32,
    /// From when it holds.
    pub effective_from: Timestamp,
}

impl RateData {
    pub(crate) fn check(&self) -> Result<()> {
        naming::prefix(&self.prefix)?;
        let increments = [self.first_increment_s, self.next_increment_s];
        if !increments.iter().all(|s| (1..=86_400).contains(s)) {
            return Err(Error::malformed("increments", "1 to 86400 seconds"));
        }
        if self.price_micros < 0 || self.connect_micros < 0 {
            return Err(Error::malformed("price", "negative"));
        }
        Ok(())
    }
}

const SELECT: &str = "SELECT r.*, k.tenant_id, t.currency FROM rates r JOIN rate_decks k ON k.id = r.deck_id \
    JOIN tenants t ON t.id = k.tenant_id";

fn read(row: &AnyRow) -> Result<RateRow> {
    Ok(RateRow {
        id: row.id("id")?,
        tenant: row.id("tenant_id")?,
        currency: row.currency("currency")?,
        data: RateData {
            service: row.word("service", Service::parse)?,
            prefix: row.text("prefix")?,
            price_micros: row.int("price_micros")?,
            connect_micros: row.int("connect_micros")?,
            first_increment_s: row.number("first_increment_s")?,
            next_increment_s: row.number("next_increment_s")?,
            effective_from: row.time("effective_from_ms")?,
        },
        managed_by: row.text_opt("managed_by")?,
        created_at: row.time("created_at_ms")?,
        updated_at: row.time("updated_at_ms")?,
    })
}

impl Store {
    /// Prices of a tenant or (`None`) of all, newest first.
    pub async fn list_rates(
        &self,
        scope: Option<Id<Tenant>>,
        service: Option<Service>,
        page: Page,
    ) -> Result<Vec<RateRow>> {
        let mut query = Filter::new(SELECT);
        query.and_int_opt("k.tenant_id =", scope.map(Id::as_i64));
        query.and_text_opt("r.service =", service.map(Service::as_str));
        query.and_int_opt("r.id <", page.before);
        let rows = self.database().rows(query.query(" ORDER BY r.id DESC", page.limit)).await?;
        rows.iter().map(read).collect()
    }

    /// A price, within a tenant or (`None`) anywhere.
    pub async fn find_rate(&self, scope: Option<Id<Tenant>>, rate: Id<RateId>) -> Result<RateRow> {
        let mut query = Filter::new(SELECT);
        query.and_int("r.id =", rate.as_i64());
        query.and_int_opt("k.tenant_id =", scope.map(Id::as_i64));
        let row = self.database().row(query.query("", 1)).await?;
        row.as_ref().map(read).transpose()?.ok_or(Error::NotFound("rate"))
    }

    /// Adds a price to a tenant's deck.
    pub async fn create_rate(&self, tenant: Id<Tenant>, data: &RateData) -> Result<RateRow> {
        data.check()?;
        self.find_tenant(tenant).await?;
        let mut tx = self.begin().await?;
        let id: Id<RateId> = tx.id();
        let now_ms = tx.now.as_millis();
        let insert = sql("INSERT INTO rates (id, deck_id, service, prefix, price_micros, connect_micros, \
             first_increment_s, next_increment_s, effective_from_ms, created_at_ms, updated_at_ms) VALUES ($1, \
             (SELECT id FROM rate_decks WHERE tenant_id = $2), $3, $4, $5, $6, $7, $8, $9, $10, $10)");
        let insert = insert
            .bind(id.as_i64())
            .bind(tenant.as_i64())
            .bind(data.service.as_str())
            .bind(naming::prefix(&data.prefix)?)
            .bind(data.price_micros)
            .bind(data.connect_micros)
            .bind(i64::from(data.first_increment_s))
            .bind(i64::from(data.next_increment_s))
            .bind(data.effective_from.as_millis())
            .bind(now_ms);
        tx.execute(insert).await?;
        tx.touch(Topic::Rates);
        self.commit(tx).await?;
        self.find_rate(None, id).await
    }

    /// Makes a price into what `data` says; running calls keep the one they began with.
    pub async fn update_rate(&self, scope: Option<Id<Tenant>>, rate: Id<RateId>, data: &RateData) -> Result<RateRow> {
        data.check()?;
        naming::unmanaged(self.find_rate(scope, rate).await?.managed_by.as_deref())?;
        let mut tx = self.begin().await?;
        let now_ms = tx.now.as_millis();
        let update = sql("UPDATE rates SET service = $1, prefix = $2, price_micros = $3, connect_micros = $4, \
             first_increment_s = $5, next_increment_s = $6, effective_from_ms = $7, updated_at_ms = $8 WHERE id = $9");
        let update = update
            .bind(data.service.as_str())
            .bind(naming::prefix(&data.prefix)?)
            .bind(data.price_micros)
            .bind(data.connect_micros)
            .bind(i64::from(data.first_increment_s))
            .bind(i64::from(data.next_increment_s))
            .bind(data.effective_from.as_millis())
            .bind(now_ms)
            .bind(rate.as_i64());
        tx.execute(update).await?;
        tx.touch(Topic::Rates);
        self.commit(tx).await?;
        self.find_rate(scope, rate).await
    }

    /// Removes a price.
    pub async fn delete_rate(&self, scope: Option<Id<Tenant>>, rate: Id<RateId>) -> Result<()> {
        naming::unmanaged(self.find_rate(scope, rate).await?.managed_by.as_deref())?;
        let mut tx = self.begin().await?;
        tx.execute(sql("DELETE FROM rates WHERE id = $1").bind(rate.as_i64())).await?;
        tx.touch(Topic::Rates);
        self.commit(tx).await
    }
}
