//! Tenants and their SIP domains.

use base::id::kind::{Domain, RateDeck, Tenant};
use base::{Currency, Id, Timestamp};
use domain::account::AccountStatus;
use sqlx::any::AnyRow;

use crate::Store;
use crate::directory::Topic;
use crate::error::{Error, Result};
use crate::filter::Filter;
use crate::naming::{self, Page};
use crate::pool::{Tx, sql};
use crate::row::Columns;

/// Most SIP domains of one tenant.
const DOMAINS_MAX: usize = 100;

/// A tenant as administrators see it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TenantRow {
    /// The tenant.
    pub id: Id<Tenant>,
    /// Its unique name.
    pub name: String,
    /// Whether it may do anything.
    pub status: AccountStatus,
    /// Currency of its prices and wallets; fixed for life.
    pub currency: Currency,
    /// Its SIP domains; the first is its main one.
    pub domains: Vec<String>,
    /// Whether calls to its numbers are charged to their owners.
    pub inbound_charged: bool,
    /// Whether an undelivered text is refunded.
    pub refund_undelivered: bool,
    /// Whether media of its devices must be SRTP.
    pub secure_media: bool,
    /// The manifest that owns it.
    pub managed_by: Option<String>,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it was changed last.
    pub updated_at: Timestamp,
}

/// A tenant to make.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewTenant {
    /// Its unique name.
    pub name: String,
    /// Currency of its prices and wallets.
    pub currency: Currency,
    /// Its SIP domains, at least one; the first is its main one.
    pub domains: Vec<String>,
    /// Whether calls to its numbers are charged to their owners.
    pub inbound_charged: bool,
    /// Whether an undelivered text is refunded.
    pub refund_undelivered: bool,
    /// Whether media of its devices must be SRTP.
    pub secure_media: bool,
}

/// What is to change; `None` stays.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TenantChange {
    /// Its unique name.
    pub name: Option<String>,
    /// Active or suspended.
    pub status: Option<AccountStatus>,
    /// All its SIP domains; one with users cannot go.
    pub domains: Option<Vec<String>>,
    /// Whether calls to its numbers are charged to their owners.
    pub inbound_charged: Option<bool>,
    /// Whether an undelivered text is refunded.
    pub refund_undelivered: Option<bool>,
    /// Whether media of its devices must be SRTP.
    pub secure_media: Option<bool>,
}

fn read(row: &AnyRow, domains: Vec<String>) -> Result<TenantRow> {
    Ok(TenantRow {
        id: row.id("id")?,
        name: row.text("name")?,
        status: row.word("status", AccountStatus::parse)?,
        currency: row.currency("currency")?,
        domains,
        inbound_charged: row.flag("inbound_charged")?,
        refund_undelivered: row.flag("refund_undelivered")?,
        secure_media: row.flag("secure_media")?,
        managed_by: row.text_opt("managed_by")?,
        created_at: row.time("created_at_ms")?,
        updated_at: row.time("updated_at_ms")?,
    })
}

/// Domain names as they are kept: checked, lower case, each once, at least one.
pub(crate) fn checked_domains(names: &[String]) -> Result<Vec<String>> {
    let mut checked: Vec<String> = Vec::new();
    for name in names {
        let name = naming::domain(name)?;
        if !checked.contains(&name) {
            checked.push(name);
        }
    }
    if checked.is_empty() || checked.len() > DOMAINS_MAX {
        return Err(Error::malformed("domains", format!("1 to {DOMAINS_MAX}")));
    }
    Ok(checked)
}

impl Store {
    /// Tenants, newest first; deleted ones are left out.
    pub async fn list_tenants(&self, page: Page) -> Result<Vec<TenantRow>> {
        let mut filter = Filter::new("SELECT * FROM tenants");
        filter.and("status <> 'deleted'");
        filter.and_int_opt("id <", page.before);
        let mut tenants = Vec::new();
        for row in self.database().rows(filter.query(" ORDER BY id DESC", page.limit)).await? {
            tenants.push(read(&row, self.domains_of(row.id("id")?).await?)?);
        }
        Ok(tenants)
    }

    async fn domains_of(&self, tenant: Id<Tenant>) -> Result<Vec<String>> {
        let query =
            sql("SELECT name FROM domains WHERE tenant_id = $1 AND deleted_at_ms IS NULL ORDER BY position, id");
        self.database().rows(query.bind(tenant.as_i64())).await?.iter().map(|row| row.text("name")).collect()
    }

    /// A tenant that was not deleted.
    pub async fn find_tenant(&self, tenant: Id<Tenant>) -> Result<TenantRow> {
        let query = sql("SELECT * FROM tenants WHERE id = $1 AND status <> 'deleted'").bind(tenant.as_i64());
        let row = self.database().row(query).await?.ok_or(Error::NotFound("tenant"))?;
        read(&row, self.domains_of(tenant).await?)
    }

    /// Makes a tenant with its domains and an empty rate deck.
    pub async fn create_tenant(&self, new: &NewTenant) -> Result<TenantRow> {
        naming::object_name("name", &new.name)?;
        let domains = checked_domains(&new.domains)?;
        let mut tx = self.begin().await?;
        let id: Id<Tenant> = tx.id();
        insert(&mut tx, id, new, None).await?;
        for (position, name) in domains.iter().enumerate() {
            insert_domain(&mut tx, id, name, position, None).await?;
        }
        tx.touch(Topic::Accounts);
        self.commit(tx).await?;
        self.find_tenant(id).await
    }

    /// Changes a tenant.
    pub async fn update_tenant(&self, tenant: Id<Tenant>, change: &TenantChange) -> Result<TenantRow> {
        let row = self.find_tenant(tenant).await?;
        naming::unmanaged(row.managed_by.as_deref())?;
        let name = change.name.clone().unwrap_or(row.name);
        naming::object_name("name", &name)?;
        if change.status == Some(AccountStatus::Deleted) {
            return Err(Error::malformed("status", "a tenant is deleted by deleting it"));
        }
        let mut tx = self.begin().await?;
        let update = sql("UPDATE tenants SET name = $1, status = $2, inbound_charged = $3, refund_undelivered = $4, \
             secure_media = $5, updated_at_ms = $6 WHERE id = $7");
        let now_ms = tx.now.as_millis();
        let update = update
            .bind(name)
            .bind(change.status.unwrap_or(row.status).as_str())
            .bind(i64::from(change.inbound_charged.unwrap_or(row.inbound_charged)))
            .bind(i64::from(change.refund_undelivered.unwrap_or(row.refund_undelivered)))
            .bind(i64::from(change.secure_media.unwrap_or(row.secure_media)))
            .bind(now_ms)
            .bind(tenant.as_i64());
        tx.execute(update).await?;
        if let Some(domains) = &change.domains {
            set_domains(&mut tx, tenant, &checked_domains(domains)?, None).await?;
        }
        tx.touch(Topic::Accounts);
        self.commit(tx).await?;
        self.find_tenant(tenant).await
    }

    /// Deletes a tenant: nothing of it registers, calls or logs in any more, its domains become free. Its ledger and
    /// records stay.
    pub async fn delete_tenant(&self, tenant: Id<Tenant>) -> Result<()> {
        naming::unmanaged(self.find_tenant(tenant).await?.managed_by.as_deref())?;
        let mut tx = self.begin().await?;
        delete(&mut tx, tenant).await?;
        tx.touch(Topic::Accounts);
        self.commit(tx).await
    }
}

pub(crate) async fn insert(
    tx: &mut Tx<'_>,
    id: Id<Tenant>,
    new: &NewTenant,
    managed_by: Option<&str>,
) -> Result<Id<RateDeck>> {
    let now_ms = tx.now.as_millis();
    let insert = sql(
        "INSERT INTO tenants (id, name, status, currency, inbound_charged, refund_undelivered, secure_media, managed_by, \
         created_at_ms, updated_at_ms) VALUES ($1, $2, 'active', $3, $4, $5, $6, $7, $8, $8)",
    );
    let insert = insert
        .bind(id.as_i64())
        .bind(new.name.clone())
        .bind(new.currency.as_str().to_owned())
        .bind(i64::from(new.inbound_charged))
        .bind(i64::from(new.refund_undelivered))
        .bind(i64::from(new.secure_media))
        .bind(managed_by.map(str::to_owned))
        .bind(now_ms);
    tx.execute(insert).await?;
    let deck: Id<RateDeck> = tx.id();
    let insert = sql("INSERT INTO rate_decks (id, tenant_id, name, created_at_ms) VALUES ($1, $2, 'standard', $3)");
    tx.execute(insert.bind(deck.as_i64()).bind(id.as_i64()).bind(now_ms)).await?;
    Ok(deck)
}

pub(crate) async fn insert_domain(
    tx: &mut Tx<'_>,
    tenant: Id<Tenant>,
    name: &str,
    position: usize,
    managed_by: Option<&str>,
) -> Result<Id<Domain>> {
    let id: Id<Domain> = tx.id();
    let now_ms = tx.now.as_millis();
    let insert = sql("INSERT INTO domains (id, tenant_id, name, position, managed_by, created_at_ms) \
         VALUES ($1, $2, $3, $4, $5, $6)");
    let insert = insert
        .bind(id.as_i64())
        .bind(tenant.as_i64())
        .bind(name.to_owned())
        .bind(i64::try_from(position).unwrap_or(i64::MAX))
        .bind(managed_by.map(str::to_owned))
        .bind(now_ms);
    tx.execute(insert).await?;
    Ok(id)
}

/// Gives a tenant exactly these domains, in this order.
pub(crate) async fn set_domains(
    tx: &mut Tx<'_>,
    tenant: Id<Tenant>,
    names: &[String],
    managed_by: Option<&str>,
) -> Result<()> {
    let query = sql("SELECT id, name FROM domains WHERE tenant_id = $1 AND deleted_at_ms IS NULL");
    let mut there = Vec::new();
    for row in tx.rows(query.bind(tenant.as_i64())).await? {
        there.push((row.int("id")?, row.text("name")?));
    }
    for (position, name) in names.iter().enumerate() {
        match there.iter().find(|(_, n)| n == name) {
            Some((id, _)) => {
                let update = sql("UPDATE domains SET position = $1 WHERE id = $2");
                tx.execute(update.bind(i64::try_from(position).unwrap_or(i64::MAX)).bind(*id)).await?;
            }
            None => drop(insert_domain(tx, tenant, name, position, managed_by).await?),
        }
    }
    for (id, name) in there.iter().filter(|(_, n)| !names.contains(n)) {
        remove_domain(tx, *id, name).await?;
    }
    Ok(())
}

/// Takes a domain away, unless users live in it.
pub(crate) async fn remove_domain(tx: &mut Tx<'_>, id: i64, name: &str) -> Result<()> {
    let query = sql("SELECT COUNT(*) AS n FROM users WHERE domain_id = $1 AND status <> 'deleted'").bind(id);
    if tx.row(query).await?.map_or(Ok(0), |row| row.int("n"))? > 0 {
        return Err(Error::Conflict(format!("the domain {name} still has users")));
    }
    let now_ms = tx.now.as_millis();
    tx.execute(sql("UPDATE domains SET deleted_at_ms = $1 WHERE id = $2").bind(now_ms).bind(id)).await?;
    Ok(())
}

/// Deletes a tenant with everything of it that acts; numbers are released.
pub(crate) async fn delete(tx: &mut Tx<'_>, tenant: Id<Tenant>) -> Result<()> {
    let now_ms = tx.now.as_millis();
    for update in [
        "UPDATE tenants SET status = 'deleted', updated_at_ms = $1 WHERE id = $2",
        "UPDATE domains SET deleted_at_ms = $1 WHERE tenant_id = $2 AND deleted_at_ms IS NULL",
        "UPDATE users SET status = 'deleted', updated_at_ms = $1 WHERE tenant_id = $2 AND status <> 'deleted'",
        "UPDATE devices SET status = 'deleted', updated_at_ms = $1 WHERE tenant_id = $2 AND status <> 'deleted'",
        "UPDATE numbers SET status = 'released', updated_at_ms = $1 WHERE tenant_id = $2 AND status <> 'released'",
    ] {
        tx.execute(sql(update).bind(now_ms).bind(tenant.as_i64())).await?;
    }
    Ok(())
}
