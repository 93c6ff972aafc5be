//! Tenants with domains, users with devices, numbers with rules.

use std::collections::HashMap;

use base::Secret;
use base::id::kind::Wallet;
use domain::account::Verifiers;

use super::table::{Hold, Removal, Sync, Table, Value, Wanted, int, text};
use super::{Desired, DesiredCredential, DesiredNumber, DesiredTenant, DesiredUser};
use crate::Store;
use crate::dialect::value_rows;
use crate::digest::{checked, verifiers};
use crate::error::{Error, Result};
use crate::naming;
use crate::pool::{composed, sql};
use crate::row::{Columns, json};

static TENANTS: Table = Table {
    what: "tenant",
    name: "tenants",
    columns: &[
        text("name").key(),
        text("status"),
        text("currency").hold(Hold::Forever),
        int("inbound_charged"),
        int("refund_undelivered"),
        int("secure_media"),
    ],
    removal: Removal::Status("deleted"),
    updated_at: true,
    returns: true,
};
static DOMAINS: Table = Table {
    what: "domain",
    name: "domains",
    columns: &[text("name").key(), int("tenant_id").hidden().hold(Hold::Owner), int("position")],
    removal: Removal::DeletedAt,
    updated_at: false,
    returns: false,
};
static USERS: Table = Table {
    what: "user",
    name: "users",
    columns: &[
        int("tenant_id").key().hidden(),
        text("name").key(),
        int("domain_id").hidden(),
        text("email"),
        text("display_name"),
        text("role"),
        text("status"),
        text("password_hash").hidden(),
        text("password_tag").hidden(),
    ],
    removal: Removal::Status("deleted"),
    updated_at: true,
    returns: true,
};
static DEVICES: Table = Table {
    what: "device",
    name: "devices",
    columns: &[
        int("domain_id").key().hidden(),
        text("username").key(),
        int("tenant_id").hidden(),
        int("user_id").hidden().hold(Hold::Owner),
        text("ha1_md5").hidden(),
        text("ha1_sha256").hidden(),
        text("ha1_sha512_256").hidden(),
        text("media"),
        text("status"),
    ],
    removal: Removal::Status("deleted"),
    updated_at: true,
    returns: false,
};
static NUMBERS: Table = Table {
    what: "number",
    name: "numbers",
    columns: &[
        text("number").key(),
        int("tenant_id").hidden().hold(Hold::Owner),
        int("user_id").hidden(),
        text("kind"),
        text("status"),
        text("time_zone"),
        int("position"),
        int("sms"),
    ],
    removal: Removal::Status("released"),
    updated_at: true,
    returns: false,
};
static RULES: Table = Table {
    what: "rule",
    name: "rules",
    columns: &[
        int("number_id").key().hidden(),
        int("priority").key(),
        text("kind").key(),
        int("tenant_id").hidden(),
        text("forward_to"),
        int("timeout_s"),
        text("schedule"),
        int("active"),
    ],
    removal: Removal::Delete,
    updated_at: true,
    returns: false,
};

/// Adds whose fault it is to an error about a field.
fn of<T>(what: &'static str, label: &str, result: Result<T>) -> Result<T> {
    result.map_err(|error| match error {
        Error::Malformed { what: field, why } => Error::Malformed { what, why: format!("{label}: {field}: {why}") },
        other => other,
    })
}

fn unknown(what: &'static str, label: &str, missing: &str) -> Error {
    Error::Malformed { what, why: format!("{label}: there is no {missing}") }
}

pub(super) async fn tenants(sync: &mut Sync<'_>, desired: &[DesiredTenant]) -> Result<()> {
    let mut wanted = Vec::new();
    for tenant in desired {
        of("tenant", &tenant.name, naming::object_name("name", &tenant.name))?;
        wanted.push(Wanted {
            label: tenant.name.clone(),
            values: vec![
                tenant.name.as_str().into(),
                tenant.status.as_str().into(),
                tenant.currency.as_str().into(),
                tenant.inbound_charged.into(),
                tenant.refund_undelivered.into(),
                tenant.secure_media.into(),
            ],
        });
    }
    let ids = sync.rows(&TENANTS, wanted).await?;
    let mut domains = Vec::new();
    for (tenant, id) in desired.iter().zip(&ids) {
        let names = of("tenant", &tenant.name, crate::tenant::checked_domains(&tenant.domains))?;
        for (position, name) in names.into_iter().enumerate() {
            let position = i64::try_from(position).unwrap_or(i64::MAX);
            domains.push(Wanted { label: name.clone(), values: vec![name.into(), (*id).into(), position.into()] });
        }
    }
    sync.rows(&DOMAINS, domains).await?;
    // Other objects may belong to tenants that another source or the API made.
    for row in sync.tx.rows(sql("SELECT id, name FROM tenants WHERE status <> 'deleted'")).await? {
        sync.ids.insert(("tenant", row.text("name")?), row.int("id")?);
    }
    let query =
        "SELECT id, name, tenant_id, position FROM domains WHERE deleted_at_ms IS NULL ORDER BY tenant_id, position";
    let mut last_tenant = None;
    for row in sync.tx.rows(sql(query)).await? {
        let (id, name, tenant) = (row.int("id")?, row.text("name")?, row.int("tenant_id")?);
        if last_tenant.replace(tenant) != Some(tenant) {
            sync.ids.insert(("main domain", tenant.to_string()), id);
        }
        sync.ids.insert(("domain", format!("{tenant} {name}")), id);
        sync.ids.insert(("domain name", format!("{id} {name}")), id);
    }
    Ok(())
}

/// Hashes of API passwords that are new, by `tenant/user`.
pub(super) type Hashes = HashMap<String, (String, String)>;

impl Store {
    /// Hashes what changed, outside the transaction: it is slow on purpose. A password that the tag knows is not hashed again.
    pub(super) async fn new_password_hashes(&self, desired: &Desired, dry_run: bool) -> Result<Hashes> {
        let mut hashes = HashMap::new();
        if desired.users.iter().all(|u| u.password.is_none()) {
            return Ok(hashes);
        }
        let query =
            sql("SELECT t.name AS tenant, u.name, u.password_tag FROM users u JOIN tenants t ON t.id = u.tenant_id \
             WHERE u.status <> 'deleted' AND u.password_tag IS NOT NULL");
        let mut tags = HashMap::new();
        for row in self.database().rows(query).await? {
            tags.insert(format!("{}/{}", row.text("tenant")?, row.text("name")?), row.text("password_tag")?);
        }
        for user in &desired.users {
            let Some(password) = &user.password else { continue };
            let key = format!("{}/{}", user.tenant, user.name);
            let tag = self.key().tag(Secret::new(format!("{key}:{}", password.expose())).expose());
            if tags.get(&key) != Some(&tag) {
                let hash =
                    if dry_run { String::from("new") } else { of("user", &key, self.hash_password(password).await)? };
                hashes.insert(key, (hash, tag));
            }
        }
        Ok(hashes)
    }
}

pub(super) async fn users(sync: &mut Sync<'_>, desired: &[DesiredUser], hashes: &Hashes) -> Result<()> {
    let mut wanted = Vec::with_capacity(desired.len());
    let mut domains = Vec::with_capacity(desired.len());
    for user in desired {
        let label = format!("{}/{}", user.tenant, user.name);
        of("user", &label, naming::user_part("name", &user.name))?;
        let email = of("user", &label, user.email.as_deref().map(naming::email).transpose())?;
        of("user", &label, user.display_name.as_deref().map_or(Ok(()), |t| naming::text("display_name", t)))?;
        let tenant = sync.known("tenant", &user.tenant).ok_or_else(|| unknown("user", &label, "such tenant"))?;
        let domain = match &user.domain {
            Some(name) => sync.known("domain", &format!("{tenant} {}", name.to_ascii_lowercase())),
            None => sync.known("main domain", &tenant.to_string()),
        };
        let domain = domain.ok_or_else(|| unknown("user", &label, "such domain of its tenant"))?;
        domains.push((tenant, domain));
        let (hash, tag) = match hashes.get(&label) {
            Some((hash, tag)) => (hash.as_str().into(), tag.as_str().into()),
            None => (Value::Keep, Value::Keep),
        };
        wanted.push(Wanted {
            label,
            values: vec![
                tenant.into(),
                user.name.as_str().into(),
                domain.into(),
                email.into(),
                user.display_name.as_deref().into(),
                user.role.as_str().into(),
                user.status.map_or(Value::AtFirst("active"), |s| s.as_str().into()),
                hash,
                tag,
            ],
        });
    }
    let ids = sync.rows(&USERS, wanted).await?;
    make_wallets(sync, &ids).await?;
    for (user, (id, (tenant, _))) in desired.iter().zip(ids.iter().zip(&domains)) {
        sync.ids.insert(("user", format!("{tenant} {}", user.name)), *id);
    }
    devices(sync, desired, &ids, &domains).await
}

async fn make_wallets(sync: &mut Sync<'_>, users: &[i64]) -> Result<()> {
    let query = "SELECT u.id, u.tenant_id, t.currency FROM users u JOIN tenants t ON t.id = u.tenant_id \
        WHERE NOT EXISTS (SELECT 1 FROM wallets w WHERE w.user_id = u.id)";
    let mine: std::collections::HashSet<i64> = users.iter().copied().collect();
    let rows = sync.tx.rows(sql(query)).await?;
    let now_ms = sync.tx.now.as_millis();
    let mut missing = Vec::new();
    for row in &rows {
        if mine.contains(&row.int("id")?) {
            missing.push((row.int("id")?, row.int("tenant_id")?, row.text("currency")?));
        }
    }
    for chunk in missing.chunks(500) {
        let text = value_rows(chunk.len(), 5);
        let query =
            composed(format!("INSERT INTO wallets (id, tenant_id, user_id, currency, created_at_ms) VALUES {text}"));
        let ids: Vec<i64> = chunk.iter().map(|_| sync.tx.id::<Wallet>().as_i64()).collect();
        let query = chunk.iter().zip(ids).fold(query, |query, ((user, tenant, currency), id)| {
            query.bind(id).bind(*tenant).bind(*user).bind(currency.clone()).bind(now_ms)
        });
        sync.tx.execute(query).await?;
    }
    Ok(())
}

async fn devices(sync: &mut Sync<'_>, desired: &[DesiredUser], ids: &[i64], domains: &[(i64, i64)]) -> Result<()> {
    let names: HashMap<i64, String> = sync
        .ids
        .iter()
        .filter(|((what, _), _)| *what == "domain name")
        .filter_map(|((_, name), id)| Some((*id, name.split_once(' ')?.1.to_owned())))
        .collect();
    let mut wanted = Vec::new();
    for ((user, id), (tenant, domain)) in desired.iter().zip(ids).zip(domains) {
        for device in &user.devices {
            let label = format!("{}/{} {}", user.tenant, user.name, device.username);
            of("device", &label, naming::user_part("username", &device.username))?;
            let realm = names.get(domain).map_or("", String::as_str);
            let Verifiers { md5, sha256, sha512_256 } = match &device.credential {
                DesiredCredential::Password(password) => verifiers(&device.username, realm, password),
                DesiredCredential::Verifiers(given) => of("device", &label, checked(given))?,
            };
            wanted.push(Wanted {
                label,
                values: vec![
                    (*domain).into(),
                    device.username.as_str().into(),
                    (*tenant).into(),
                    (*id).into(),
                    md5.into(),
                    sha256.into(),
                    sha512_256.into(),
                    device.media.as_str().into(),
                    "active".into(),
                ],
            });
        }
    }
    sync.rows(&DEVICES, wanted).await.map(drop)
}

pub(super) async fn numbers(sync: &mut Sync<'_>, desired: &[DesiredNumber]) -> Result<()> {
    let mut wanted = Vec::with_capacity(desired.len());
    for number in desired {
        let label = number.number.to_string();
        let tenant = sync.known("tenant", &number.tenant).ok_or_else(|| unknown("number", &label, "such tenant"))?;
        let user = match &number.user {
            None => None,
            Some(name) => {
                Some(find_user(sync, tenant, name).await?.ok_or_else(|| unknown("number", &label, "such user"))?)
            }
        };
        if !domain::rule::is_time_zone(&number.time_zone) {
            return Err(unknown("number", &label, &format!("time zone {}", number.time_zone)));
        }
        wanted.push(Wanted {
            label,
            values: vec![
                number.number.as_str().into(),
                tenant.into(),
                user.into(),
                number.kind.as_str().into(),
                number.status.as_str().into(),
                number.time_zone.as_str().into(),
                number.position.into(),
                number.sms.into(),
            ],
        });
    }
    let tenants: Vec<Value> = wanted.iter().map(|w| w.values[1].clone()).collect();
    let ids = sync.rows(&NUMBERS, wanted).await?;
    let mut rules = Vec::new();
    for ((number, id), tenant) in desired.iter().zip(ids).zip(tenants) {
        for rule in &number.rules {
            let label = format!("{} {} {}", number.number, rule.priority, rule.kind.as_str());
            of("rule", &label, rule.check(&number.number))?;
            rules.push(Wanted {
                label,
                values: vec![
                    id.into(),
                    i64::from(rule.priority).into(),
                    rule.kind.as_str().into(),
                    tenant.clone(),
                    rule.forward_to.as_ref().map(|n| n.as_str()).into(),
                    rule.timeout_s.map(i64::from).into(),
                    rule.schedule.as_ref().map(json).transpose()?.into(),
                    rule.active.into(),
                ],
            });
        }
    }
    sync.rows(&RULES, rules).await.map(drop)
}

async fn find_user(sync: &mut Sync<'_>, tenant: i64, name: &str) -> Result<Option<i64>> {
    if let Some(id) = sync.known("user", &format!("{tenant} {name}")) {
        return Ok(Some(id));
    }
    let query = sql("SELECT id FROM users WHERE tenant_id = $1 AND name = $2 AND status <> 'deleted'");
    let row = sync.tx.row(query.bind(tenant).bind(name.to_owned())).await?;
    row.map(|r| r.int("id")).transpose()
}
