//! Devices: SIP clients with credentials of their own. A password is shown once, when it is made; only verifiers stay.

use base::id::kind::{Device, Tenant, User};
use base::{Id, Secret, Timestamp};
use domain::account::{AccountStatus, DeviceMedia, Verifiers};
use sqlx::any::AnyRow;

use crate::Store;
use crate::digest::{checked, verifiers};
use crate::directory::Topic;
use crate::error::{Error, Result};
use crate::filter::Filter;
use crate::naming::{self, Page};
use crate::pool::sql;
use crate::row::Columns;

/// Most devices of one user that are not deleted.
pub const DEVICES_PER_USER_MAX: i64 = 50;

/// A device as its owner sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeviceRow {
    /// The device.
    pub id: Id<Device>,
    /// Its owner.
    pub user: Id<User>,
    /// The owner's tenant.
    pub tenant: Id<Tenant>,
    /// Digest username.
    pub username: String,
    /// Digest realm: the domain of its user.
    pub realm: String,
    /// What its owner calls it.
    pub label: Option<String>,
    /// Media that it speaks.
    pub media: DeviceMedia,
    /// Whether it may register and call.
    pub status: AccountStatus,
    /// The manifest that owns it.
    pub managed_by: Option<String>,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it was changed last.
    pub updated_at: Timestamp,
}

/// How a new device will prove who it is.
#[derive(Debug, Clone)]
pub enum Credential {
    /// By a password that is made up now and returned once.
    Minted,
    /// By this password.
    Password(Secret),
    /// By a password of which only verifiers are known.
    Verifiers(Verifiers),
}

/// A device to make.
#[derive(Debug, Clone)]
pub struct NewDevice {
    /// Its owner.
    pub user: Id<User>,
    /// Digest username, unique in the owner's domain; `None`: one is made up from the owner's name.
    pub username: Option<String>,
    /// What its owner calls it.
    pub label: Option<String>,
    /// Media that it speaks.
    pub media: DeviceMedia,
    /// How it proves who it is.
    pub credential: Credential,
}

/// What is to change; `None` stays.
#[derive(Debug, Clone, Default)]
pub struct DeviceChange {
    /// What its owner calls it; `Some(None)` takes it away.
    pub label: Option<Option<String>>,
    /// Media that it speaks.
    pub media: Option<DeviceMedia>,
    /// Active or suspended.
    pub status: Option<AccountStatus>,
    /// A new password.
    pub password: Option<Secret>,
}

const SELECT: &str = "SELECT v.*, d.name AS realm FROM devices v JOIN domains d ON d.id = v.domain_id";

fn read(row: &AnyRow) -> Result<DeviceRow> {
    Ok(DeviceRow {
        id: row.id("id")?,
        user: row.id("user_id")?,
        tenant: row.id("tenant_id")?,
        username: row.text("username")?,
        realm: row.text("realm")?,
        label: row.text_opt("label")?,
        media: row.word("media", DeviceMedia::parse)?,
        status: row.word("status", AccountStatus::parse)?,
        managed_by: row.text_opt("managed_by")?,
        created_at: row.time("created_at_ms")?,
        updated_at: row.time("updated_at_ms")?,
    })
}

impl Store {
    /// Devices of a tenant or (`None`) of all, of one user if given, newest first.
    pub async fn list_devices(
        &self,
        scope: Option<Id<Tenant>>,
        user: Option<Id<User>>,
        page: Page,
    ) -> Result<Vec<DeviceRow>> {
        let mut query = Filter::new(SELECT);
        query.and_int_opt("v.tenant_id =", scope.map(Id::as_i64));
        query.and_int_opt("v.user_id =", user.map(Id::as_i64));
        query.and_int_opt("v.id <", page.before);
        query.and("v.status <> 'deleted'");
        let rows = self.database().rows(query.query(" ORDER BY v.id DESC", page.limit)).await?;
        rows.iter().map(read).collect()
    }

    /// A device, within a tenant or (`None`) anywhere.
    pub async fn find_device(&self, scope: Option<Id<Tenant>>, device: Id<Device>) -> Result<DeviceRow> {
        let mut query = Filter::new(SELECT);
        query.and_int("v.id =", device.as_i64());
        query.and_int_opt("v.tenant_id =", scope.map(Id::as_i64));
        query.and("v.status <> 'deleted'");
        let row = self.database().row(query.query("", 1)).await?;
        row.as_ref().map(read).transpose()?.ok_or(Error::NotFound("device"))
    }

    /// Makes a device; with [`Credential::Minted`] its password is returned, now and never again. Users of a manifest
    /// may have devices of their own besides.
    pub async fn create_device(
        &self,
        scope: Option<Id<Tenant>>,
        new: &NewDevice,
    ) -> Result<(DeviceRow, Option<Secret>)> {
        let user = self.find_user(scope, new.user).await?;
        let mut tx = self.begin().await?;
        let id: Id<Device> = tx.id();
        let username = match &new.username {
            Some(name) => name.clone(),
            None => format!("{}-{}", user.name.chars().take(40).collect::<String>(), &id.to_string()[5..]),
        };
        naming::user_part("username", &username)?;
        new.label.as_deref().map_or(Ok(()), |text| naming::text("label", text))?;
        let count = sql("SELECT COUNT(*) AS n FROM devices WHERE user_id = $1 AND status <> 'deleted'");
        let count = tx.row(count.bind(user.id.as_i64())).await?.map_or(Ok(0), |row| row.int("n"))?;
        if count >= DEVICES_PER_USER_MAX {
            return Err(Error::Conflict(format!("a user has at most {DEVICES_PER_USER_MAX} devices")));
        }
        let (found, minted) = match &new.credential {
            Credential::Minted => {
                let password = Secret::new(naming::minted_password());
                (verifiers(&username, &user.domain, &password), Some(password))
            }
            Credential::Password(password) => (verifiers(&username, &user.domain, password), None),
            Credential::Verifiers(given) => (checked(given)?, None),
        };
        let insert =
            sql("INSERT INTO devices (id, tenant_id, user_id, domain_id, username, label, ha1_md5, ha1_sha256, \
             ha1_sha512_256, media, status, created_at_ms, updated_at_ms) VALUES ($1, $2, $3, \
             (SELECT domain_id FROM users WHERE id = $3), $4, $5, $6, $7, $8, $9, 'active', $10, $10)");
        let now_ms = tx.now.as_millis();
        let insert = insert
            .bind(id.as_i64())
            .bind(user.tenant.as_i64())
            .bind(user.id.as_i64())
            .bind(username)
            .bind(new.label.clone())
            .bind(found.md5)
            .bind(found.sha256)
            .bind(found.sha512_256)
            .bind(new.media.as_str())
            .bind(now_ms);
        tx.execute(insert).await?;
        tx.touch(Topic::Accounts);
        self.commit(tx).await?;
        Ok((self.find_device(scope, id).await?, minted))
    }

    /// Changes a device.
    pub async fn update_device(
        &self,
        scope: Option<Id<Tenant>>,
        device: Id<Device>,
        change: &DeviceChange,
    ) -> Result<DeviceRow> {
        let row = self.find_device(scope, device).await?;
        naming::unmanaged(row.managed_by.as_deref())?;
        let label = change.label.clone().unwrap_or(row.label);
        label.as_deref().map_or(Ok(()), |text| naming::text("label", text))?;
        if change.status == Some(AccountStatus::Deleted) {
            return Err(Error::malformed("status", "a device is deleted by deleting it"));
        }
        let mut tx = self.begin().await?;
        let now_ms = tx.now.as_millis();
        let update = sql("UPDATE devices SET label = $1, media = $2, status = $3, updated_at_ms = $4 WHERE id = $5");
        let update = update
            .bind(label)
            .bind(change.media.unwrap_or(row.media).as_str())
            .bind(change.status.unwrap_or(row.status).as_str())
            .bind(now_ms)
            .bind(device.as_i64());
        tx.execute(update).await?;
        if let Some(password) = &change.password {
            let new = verifiers(&row.username, &row.realm, password);
            let update = sql("UPDATE devices SET ha1_md5 = $1, ha1_sha256 = $2, ha1_sha512_256 = $3 WHERE id = $4");
            let update = update.bind(new.md5).bind(new.sha256).bind(new.sha512_256).bind(device.as_i64());
            tx.execute(update).await?;
        }
        tx.touch(Topic::Accounts);
        self.commit(tx).await?;
        self.find_device(scope, device).await
    }

    /// Deletes a device; its bindings go with it.
    pub async fn delete_device(&self, scope: Option<Id<Tenant>>, device: Id<Device>) -> Result<()> {
        let row = self.find_device(scope, device).await?;
        naming::unmanaged(row.managed_by.as_deref())?;
        let mut tx = self.begin().await?;
        let now_ms = tx.now.as_millis();
        let update = sql("UPDATE devices SET status = 'deleted', updated_at_ms = $1 WHERE id = $2");
        tx.execute(update.bind(now_ms).bind(device.as_i64())).await?;
        let bindings = sql("DELETE FROM bindings WHERE user_id = $1 AND device_id = $2");
        tx.execute(bindings.bind(row.user.as_i64()).bind(device.as_i64())).await?;
        tx.touch(Topic::Accounts);
        self.commit(tx).await
    }
}
