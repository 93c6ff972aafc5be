//! Users: people and services that own devices, numbers and a wallet.

use base::id::kind::{Tenant, User, Wallet};
use base::{Currency, Id, Secret, Timestamp};
use domain::account::AccountStatus;
use sqlx::any::AnyRow;

use crate::Store;
use crate::directory::Topic;
use crate::error::{Error, Result};
use crate::filter::Filter;
use crate::naming::{self, Page};
use crate::password;
use crate::pool::{Tx, sql};
use crate::row::Columns;

/// What a user may do in the API.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Role {
    /// Its own things.
    User,
    /// Everything of its tenant.
    TenantAdmin,
    /// Everything.
    PlatformAdmin,
}

impl Role {
    /// The stored and printed name.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::User => "user",
            Self::TenantAdmin => "tenant_admin",
            Self::PlatformAdmin => "platform_admin",
        }
    }

    /// Reads [`Self::as_str`].
    pub fn parse(text: &str) -> Option<Self> {
        [Self::User, Self::TenantAdmin, Self::PlatformAdmin].into_iter().find(|r| r.as_str() == text)
    }
}

/// A user as it and its administrators see it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UserRow {
    /// The user.
    pub id: Id<User>,
    /// Its tenant.
    pub tenant: Id<Tenant>,
    /// User part of its address-of-record, unique in the tenant.
    pub name: String,
    /// Domain part of its address-of-record.
    pub domain: String,
    /// Login of the API, besides `name@domain`.
    pub email: Option<String>,
    /// What callees may be shown.
    pub display_name: Option<String>,
    /// What it may do in the API.
    pub role: Role,
    /// Its own status; the tenant's counts too.
    pub status: AccountStatus,
    /// What pays for its calls and texts.
    pub wallet: Id<Wallet>,
    /// The wallet's currency.
    pub currency: Currency,
    /// Whether it can log in.
    pub has_password: bool,
    /// The manifest that owns it.
    pub managed_by: Option<String>,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it was changed last.
    pub updated_at: Timestamp,
}

/// A user to make.
#[derive(Debug, Clone)]
pub struct NewUser {
    /// Its tenant.
    pub tenant: Id<Tenant>,
    /// User part of its address-of-record.
    pub name: String,
    /// One of the tenant's domains; `None`: its main one.
    pub domain: Option<String>,
    /// Login of the API.
    pub email: Option<String>,
    /// What callees may be shown.
    pub display_name: Option<String>,
    /// What it may do in the API.
    pub role: Role,
    /// Password of the API; `None`: it cannot log in.
    pub password: Option<Secret>,
}

/// What is to change; `None` stays.
#[derive(Debug, Clone, Default)]
pub struct UserChange {
    /// Login of the API; `Some(None)` takes it away.
    pub email: Option<Option<String>>,
    /// What callees may be shown; `Some(None)` takes it away.
    pub display_name: Option<Option<String>>,
    /// What it may do in the API.
    pub role: Option<Role>,
    /// Active or suspended.
    pub status: Option<AccountStatus>,
    /// Password of the API.
    pub password: Option<Secret>,
}

impl UserChange {
    fn is_empty(&self) -> bool {
        self.email.is_none()
            && self.display_name.is_none()
            && self.role.is_none()
            && self.status.is_none()
            && self.password.is_none()
    }
}

/// Which users to list.
#[derive(Debug, Clone, Default)]
pub struct UserFilter {
    /// Only with this status; deleted ones only when asked for.
    pub status: Option<AccountStatus>,
    /// Only the one with this name.
    pub name: Option<String>,
}

/// Somebody who wants to log in.
#[derive(Debug, Clone)]
pub struct Login {
    /// Who it is.
    pub user: UserRow,
    /// What the password is checked against.
    pub password_hash: Option<String>,
    /// The tenant's status.
    pub tenant_status: AccountStatus,
}

const SELECT: &str = "SELECT u.*, d.name AS domain, w.id AS wallet_id, w.currency, t.status AS tenant_status \
    FROM users u JOIN domains d ON d.id = u.domain_id JOIN wallets w ON w.user_id = u.id \
    JOIN tenants t ON t.id = u.tenant_id";

fn read(row: &AnyRow) -> Result<UserRow> {
    Ok(UserRow {
        id: row.id("id")?,
        tenant: row.id("tenant_id")?,
        name: row.text("name")?,
        domain: row.text("domain")?,
        email: row.text_opt("email")?,
        display_name: row.text_opt("display_name")?,
        role: row.word("role", Role::parse)?,
        status: row.word("status", AccountStatus::parse)?,
        wallet: row.id("wallet_id")?,
        currency: row.currency("currency")?,
        has_password: row.text_opt("password_hash")?.is_some(),
        managed_by: row.text_opt("managed_by")?,
        created_at: row.time("created_at_ms")?,
        updated_at: row.time("updated_at_ms")?,
    })
}

impl Store {
    /// Users of a tenant or (`None`) of all, newest first.
    pub async fn list_users(&self, scope: Option<Id<Tenant>>, filter: &UserFilter, page: Page) -> Result<Vec<UserRow>> {
        let mut query = Filter::new(SELECT);
        query.and_int_opt("u.tenant_id =", scope.map(Id::as_i64));
        match filter.status {
            Some(status) => query.and_text("u.status =", status.as_str()),
            None => query.and("u.status <> 'deleted'"),
        }
        query.and_text_opt("u.name =", filter.name.as_deref());
        query.and_int_opt("u.id <", page.before);
        let rows = self.database().rows(query.query(" ORDER BY u.id DESC", page.limit)).await?;
        rows.iter().map(read).collect()
    }

    /// A user, within a tenant or (`None`) anywhere; deleted ones are not found.
    pub async fn find_user(&self, scope: Option<Id<Tenant>>, user: Id<User>) -> Result<UserRow> {
        let mut query = Filter::new(SELECT);
        query.and_int("u.id =", user.as_i64());
        query.and_int_opt("u.tenant_id =", scope.map(Id::as_i64));
        query.and("u.status <> 'deleted'");
        let row = self.database().row(query.query("", 1)).await?;
        row.as_ref().map(read).transpose()?.ok_or(Error::NotFound("user"))
    }

    /// Whoever logs in with this e-mail address or `name@domain`.
    pub async fn find_login(&self, login: &str) -> Result<Option<Login>> {
        let mut query = Filter::new(SELECT);
        query.and_text("u.email =", &login.trim().to_lowercase());
        query.and("u.status <> 'deleted'");
        let mut row = self.database().row(query.query("", 1)).await?;
        if row.is_none()
            && let Some((name, domain)) = login.trim().rsplit_once('@')
        {
            let mut query = Filter::new(SELECT);
            query.and_text("u.name =", name);
            query.and_text("d.name =", &domain.to_ascii_lowercase());
            query.and("d.deleted_at_ms IS NULL AND u.status <> 'deleted'");
            row = self.database().row(query.query("", 1)).await?;
        }
        row.map(|row| {
            Ok(Login {
                user: read(&row)?,
                password_hash: row.text_opt("password_hash")?,
                tenant_status: row.word("tenant_status", AccountStatus::parse)?,
            })
        })
        .transpose()
    }

    /// Makes a user with an empty wallet.
    pub async fn create_user(&self, new: &NewUser) -> Result<UserRow> {
        naming::user_part("name", &new.name)?;
        let email = new.email.as_deref().map(naming::email).transpose()?;
        new.display_name.as_deref().map_or(Ok(()), |text| naming::text("display_name", text))?;
        let tenant = self.find_tenant(new.tenant).await?;
        let domain = match &new.domain {
            Some(name) => naming::domain(name)?,
            None => tenant.domains.first().cloned().ok_or(Error::NotFound("domain"))?,
        };
        let hash = match &new.password {
            Some(password) => Some(self.hash_password(password).await?),
            None => None,
        };
        let mut tx = self.begin().await?;
        let query = sql("SELECT id FROM domains WHERE name = $1 AND tenant_id = $2 AND deleted_at_ms IS NULL");
        let row = tx.row(query.bind(domain).bind(new.tenant.as_i64())).await?.ok_or(Error::NotFound("domain"))?;
        let id: Id<User> = tx.id();
        let now_ms = tx.now.as_millis();
        let insert = sql("INSERT INTO users (id, tenant_id, domain_id, name, email, display_name, role, status, \
             password_hash, created_at_ms, updated_at_ms) VALUES ($1, $2, $3, $4, $5, $6, $7, 'active', $8, $9, $9)");
        let insert = insert
            .bind(id.as_i64())
            .bind(new.tenant.as_i64())
            .bind(row.int("id")?)
            .bind(new.name.clone())
            .bind(email)
            .bind(new.display_name.clone())
            .bind(new.role.as_str())
            .bind(hash)
            .bind(now_ms);
        tx.execute(insert).await?;
        let wallet: Id<Wallet> = tx.id();
        let insert =
            sql("INSERT INTO wallets (id, tenant_id, user_id, currency, created_at_ms) VALUES ($1, $2, $3, $4, $5)");
        let insert = insert.bind(wallet.as_i64()).bind(new.tenant.as_i64()).bind(id.as_i64());
        tx.execute(insert.bind(tenant.currency.as_str().to_owned()).bind(now_ms)).await?;
        tx.touch(Topic::Accounts);
        self.commit(tx).await?;
        self.find_user(None, id).await
    }

    /// Changes a user. A managed one takes a new status only; a manifest that names none leaves it as it is.
    pub async fn update_user(&self, scope: Option<Id<Tenant>>, user: Id<User>, change: &UserChange) -> Result<UserRow> {
        let row = self.find_user(scope, user).await?;
        // A suspension must not wait for somebody to edit a file; everything else of a managed user stands there.
        let only_status = UserChange { status: None, ..change.clone() };
        if !only_status.is_empty() {
            naming::unmanaged(row.managed_by.as_deref())?;
        }
        let email = match &change.email {
            Some(email) => email.as_deref().map(naming::email).transpose()?,
            None => row.email,
        };
        let display_name = change.display_name.clone().unwrap_or(row.display_name);
        display_name.as_deref().map_or(Ok(()), |text| naming::text("display_name", text))?;
        if change.status == Some(AccountStatus::Deleted) {
            return Err(Error::malformed("status", "a user is deleted by deleting it"));
        }
        let hash = match &change.password {
            Some(password) => Some(self.hash_password(password).await?),
            None => None,
        };
        let mut tx = self.begin().await?;
        let update = sql("UPDATE users SET email = $1, display_name = $2, role = $3, status = $4, \
             password_hash = COALESCE($5, password_hash), updated_at_ms = $6 WHERE id = $7");
        let now_ms = tx.now.as_millis();
        let update = update
            .bind(email)
            .bind(display_name)
            .bind(change.role.unwrap_or(row.role).as_str())
            .bind(change.status.unwrap_or(row.status).as_str())
            .bind(hash)
            .bind(now_ms)
            .bind(user.as_i64());
        tx.execute(update).await?;
        tx.touch(Topic::Accounts);
        self.commit(tx).await?;
        self.find_user(scope, user).await
    }

    /// Sets a user's own password, managed or not: people own their passwords.
    pub async fn set_password(&self, user: Id<User>, new: &Secret) -> Result<()> {
        password::check(new)?;
        let hash = self.hash_password(new).await?;
        let mut tx = self.begin().await?;
        let now_ms = tx.now.as_millis();
        let update =
            sql("UPDATE users SET password_hash = $1, updated_at_ms = $2 WHERE id = $3 AND status <> 'deleted'");
        if tx.execute(update.bind(hash).bind(now_ms).bind(user.as_i64())).await? == 0 {
            return Err(Error::NotFound("user"));
        }
        self.commit(tx).await
    }

    /// Deletes a user: devices go, numbers go back to the tenant's stock. Ledger and records stay.
    pub async fn delete_user(&self, scope: Option<Id<Tenant>>, user: Id<User>) -> Result<()> {
        naming::unmanaged(self.find_user(scope, user).await?.managed_by.as_deref())?;
        let mut tx = self.begin().await?;
        delete(&mut tx, user).await?;
        tx.touch(Topic::Accounts);
        self.commit(tx).await
    }
}

pub(crate) async fn delete(tx: &mut Tx<'_>, user: Id<User>) -> Result<()> {
    let now_ms = tx.now.as_millis();
    for update in [
        "UPDATE users SET status = 'deleted', updated_at_ms = $1 WHERE id = $2",
        "UPDATE devices SET status = 'deleted', updated_at_ms = $1 WHERE user_id = $2 AND status <> 'deleted'",
        "UPDATE numbers SET user_id = NULL, updated_at_ms = $1 WHERE user_id = $2",
    ] {
        tx.execute(sql(update).bind(now_ms).bind(user.as_i64())).await?;
    }
    tx.execute(sql("DELETE FROM bindings WHERE user_id = $1").bind(user.as_i64())).await?;
    Ok(())
}
