//! The facts of accounts and numbers, read from SQL.

use std::sync::Arc;

use base::id::kind::{Tenant, User};
use base::{E164, Id};
use domain::account::{AccountStatus, DeviceCredentials, DeviceMedia, TenantFacts, UserFacts, Verifiers};
use domain::number::{NumberFacts, NumberStatus};

use crate::error::Result;
use crate::pool::{Database, sql};
use crate::row::Columns;
use crate::rule;

/// The stricter of two statuses.
fn stricter(a: AccountStatus, b: AccountStatus) -> AccountStatus {
    use AccountStatus::{Active, Deleted, Suspended};
    match (a, b) {
        (Deleted, _) | (_, Deleted) => Deleted,
        (Suspended, _) | (_, Suspended) => Suspended,
        (Active, Active) => Active,
    }
}

/// What a device speaks: SDES whatever it says, where the tenant wants its media secure (T16).
const fn effective(media: DeviceMedia, secure: bool) -> DeviceMedia {
    if secure { DeviceMedia::Sdes } else { media }
}

pub(super) async fn tenant(database: &Database, tenant: Id<Tenant>) -> Result<Option<Arc<TenantFacts>>> {
    let query = sql("SELECT * FROM tenants WHERE id = $1").bind(tenant.as_i64());
    let Some(row) = database.row(query).await? else { return Ok(None) };
    let query = sql("SELECT name FROM domains WHERE tenant_id = $1 AND deleted_at_ms IS NULL ORDER BY position, id");
    let domains = database.rows(query.bind(tenant.as_i64())).await?;
    Ok(Some(Arc::new(TenantFacts {
        id: tenant,
        name: row.text("name")?,
        status: row.word("status", AccountStatus::parse)?,
        currency: row.currency("currency")?,
        domains: domains.iter().map(|d| d.text("name")).collect::<Result<_>>()?,
        inbound_charged: row.flag("inbound_charged")?,
        refund_undelivered: row.flag("refund_undelivered")?,
    })))
}

pub(super) async fn tenant_of_domain(database: &Database, domain: &str) -> Result<Option<Id<Tenant>>> {
    let query = sql("SELECT tenant_id FROM domains WHERE name = $1 AND deleted_at_ms IS NULL");
    let row = database.row(query.bind(domain.to_owned())).await?;
    row.map(|r| r.id("tenant_id")).transpose()
}

pub(super) async fn user_id_by_name(database: &Database, tenant: Id<Tenant>, name: &str) -> Result<Option<Id<User>>> {
    let query = sql("SELECT id FROM users WHERE tenant_id = $1 AND name = $2 AND status <> 'deleted'");
    let row = database.row(query.bind(tenant.as_i64()).bind(name.to_owned())).await?;
    row.map(|r| r.id("id")).transpose()
}

pub(super) async fn user(database: &Database, user: Id<User>) -> Result<Option<Arc<UserFacts>>> {
    let query = sql("SELECT u.tenant_id, u.name, d.name AS domain, u.display_name, u.status, \
         t.status AS tenant_status, t.secure_media, w.id AS wallet_id, w.currency FROM users u JOIN domains d ON d.id = u.domain_id \
         JOIN tenants t ON t.id = u.tenant_id JOIN wallets w ON w.user_id = u.id WHERE u.id = $1");
    let Some(row) = database.row(query.bind(user.as_i64())).await? else { return Ok(None) };
    let numbers = sql("SELECT number FROM numbers WHERE user_id = $1 AND status = 'active' ORDER BY position, id");
    let numbers = database.rows(numbers.bind(user.as_i64())).await?;
    let devices = sql("SELECT id, media FROM devices WHERE user_id = $1 AND status = 'active' ORDER BY id");
    let devices = database.rows(devices.bind(user.as_i64())).await?;
    let status = row.word("status", AccountStatus::parse)?;
    let secure = row.flag("secure_media")?;
    Ok(Some(Arc::new(UserFacts {
        id: user,
        tenant: row.id("tenant_id")?,
        name: row.text("name")?,
        domain: row.text("domain")?,
        display_name: row.text_opt("display_name")?,
        status: stricter(status, row.word("tenant_status", AccountStatus::parse)?),
        wallet: row.id("wallet_id")?,
        currency: row.currency("currency")?,
        numbers: numbers.iter().map(|n| n.e164("number")).collect::<Result<_>>()?,
        devices: devices
            .iter()
            .map(|d| Ok((d.id("id")?, effective(d.word("media", DeviceMedia::parse)?, secure))))
            .collect::<Result<_>>()?,
    })))
}

/// A number and its owner's id. Of several rows the one in use counts, else the one released last.
pub(super) async fn number(database: &Database, number: &E164) -> Result<Option<(NumberFacts, Option<Id<User>>)>> {
    let query = sql("SELECT id, tenant_id, user_id, status, time_zone FROM numbers WHERE number = $1 \
         ORDER BY CASE WHEN status = 'released' THEN 1 ELSE 0 END, id DESC LIMIT 1");
    let Some(row) = database.row(query.bind(number.as_str().to_owned())).await? else { return Ok(None) };
    let id = row.id("id")?;
    let rules = sql("SELECT * FROM rules WHERE number_id = $1 AND active = 1 ORDER BY priority, id");
    let rules = database.rows(rules.bind(row.int("id")?)).await?;
    let facts = NumberFacts {
        id,
        number: number.clone(),
        tenant: row.id("tenant_id")?,
        owner: None,
        status: row.word("status", NumberStatus::parse)?,
        time_zone: row.text("time_zone")?,
        rules: rules.iter().map(rule::facts).collect::<Result<_>>()?,
    };
    Ok(Some((facts, row.id_opt("user_id")?)))
}

pub(super) async fn credentials(
    database: &Database,
    username: &str,
    realm: &str,
) -> Result<Option<Arc<DeviceCredentials>>> {
    let query = sql(
        "SELECT v.id, v.user_id, v.tenant_id, v.ha1_md5, v.ha1_sha256, v.ha1_sha512_256, v.media, v.status, \
         u.status AS user_status, t.status AS tenant_status, t.secure_media FROM devices v JOIN domains d ON d.id = v.domain_id \
         JOIN users u ON u.id = v.user_id JOIN tenants t ON t.id = v.tenant_id \
         WHERE d.name = $1 AND d.deleted_at_ms IS NULL AND v.username = $2 AND v.status <> 'deleted'",
    );
    let row = database.row(query.bind(realm.to_owned()).bind(username.to_owned())).await?;
    let Some(row) = row else { return Ok(None) };
    let status = row.word("status", AccountStatus::parse)?;
    let status = stricter(status, row.word("user_status", AccountStatus::parse)?);
    let status = stricter(status, row.word("tenant_status", AccountStatus::parse)?);
    if status == AccountStatus::Deleted {
        return Ok(None);
    }
    Ok(Some(Arc::new(DeviceCredentials {
        device: row.id("id")?,
        user: row.id("user_id")?,
        tenant: row.id("tenant_id")?,
        username: username.to_owned(),
        realm: realm.to_owned(),
        status,
        verifiers: Verifiers {
            md5: row.text_opt("ha1_md5")?,
            sha256: row.text_opt("ha1_sha256")?,
            sha512_256: row.text_opt("ha1_sha512_256")?,
        },
        media: effective(row.word("media", DeviceMedia::parse)?, row.flag("secure_media")?),
    })))
}
