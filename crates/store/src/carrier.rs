//! SMPP carriers, their sealed passwords, and the routes that lead to them.

use base::id::kind::{Carrier, Tenant};
use base::{Id, Secret, Timestamp};
use domain::trunk::{BindType, CarrierFacts};
use sqlx::any::AnyRow;

use crate::Store;
use crate::directory::Topic;
use crate::error::{Error, Result};
use crate::filter::Filter;
use crate::naming::{self, Page};
use crate::pool::{Tx, sql};
use crate::row::Columns;
use crate::seal::MasterKey;
use crate::trunk::{RouteRow, read_route};

/// A carrier as administrators see it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CarrierRow {
    /// What the gateway needs of it; the password is never printed.
    pub facts: CarrierFacts,
    /// The manifest that owns it.
    pub managed_by: Option<String>,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it was changed last.
    pub updated_at: Timestamp,
}

/// A carrier to make or what one is to become.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CarrierData {
    /// Its unique name.
    pub name: String,
    /// Host name or address.
    pub host: String,
    /// TCP port.
    pub port: u16,
    /// system_id, at most 15 octets (SMPP 3.4 §5.2.1).
    pub system_id: String,
    /// password; `None` keeps the one that is there.
    pub password: Option<Secret>,
    /// system_type, at most 12 octets (§5.2.3).
    pub system_type: String,
    /// How to bind.
    pub bind: BindType,
    /// Most submit_sm without a response, at least 1.
    pub window: u16,
    /// Most submit_sm per second.
    pub submits_per_second: Option<u32>,
    /// Whether it may be used.
    pub enabled: bool,
}

/// What the password of a carrier is sealed for.
pub(crate) fn purpose(id: Id<Carrier>) -> String {
    format!("password of carrier {id}")
}

pub(crate) fn facts(row: &AnyRow, key: &MasterKey) -> Result<CarrierFacts> {
    let id: Id<Carrier> = row.id("id")?;
    Ok(CarrierFacts {
        id,
        name: row.text("name")?,
        host: row.text("host")?,
        port: row.number("port")?,
        system_id: row.text("system_id")?,
        password: key.open(&purpose(id), &row.text("password_sealed")?)?,
        system_type: row.text("system_type")?,
        bind: row.word("bind", BindType::parse)?,
        window: row.number("window_size")?,
        submits_per_second: row.number_opt("submits_per_second")?,
        enabled: row.flag("enabled")?,
    })
}

impl CarrierData {
    pub(crate) fn check(&self) -> Result<()> {
        naming::object_name("name", &self.name)?;
        naming::host(&self.host)?;
        let octets = |what, text: &str, max: usize| {
            if text.len() > max || !text.bytes().all(|b| (b' '..=b'~').contains(&b)) {
                return Err(Error::malformed(what, format!("at most {max} printable ASCII characters")));
            }
            Ok(())
        };
        octets("system_id", &self.system_id, 15)?;
        octets("system_type", &self.system_type, 12)?;
        octets("password", self.password.as_ref().map_or("", |p| p.expose()), 64)?;
        if self.port == 0 || self.window == 0 || self.submits_per_second == Some(0) {
            return Err(Error::malformed("carrier", "port, window and submits_per_second are at least 1"));
        }
        Ok(())
    }
}

impl Store {
    fn read_carrier(&self, row: &AnyRow) -> Result<CarrierRow> {
        Ok(CarrierRow {
            facts: facts(row, self.key())?,
            managed_by: row.text_opt("managed_by")?,
            created_at: row.time("created_at_ms")?,
            updated_at: row.time("updated_at_ms")?,
        })
    }

    /// Carriers, newest first.
    pub async fn list_carriers(&self, page: Page) -> Result<Vec<CarrierRow>> {
        let mut filter = Filter::new("SELECT * FROM carriers");
        filter.and("deleted_at_ms IS NULL");
        filter.and_int_opt("id <", page.before);
        let rows = self.database().rows(filter.query(" ORDER BY id DESC", page.limit)).await?;
        rows.iter().map(|row| self.read_carrier(row)).collect()
    }

    /// A carrier.
    pub async fn find_carrier(&self, carrier: Id<Carrier>) -> Result<CarrierRow> {
        let query = sql("SELECT * FROM carriers WHERE id = $1 AND deleted_at_ms IS NULL").bind(carrier.as_i64());
        let row = self.database().row(query).await?.ok_or(Error::NotFound("carrier"))?;
        self.read_carrier(&row)
    }

    /// Makes a carrier.
    pub async fn create_carrier(&self, data: &CarrierData) -> Result<CarrierRow> {
        data.check()?;
        let mut tx = self.begin().await?;
        let id: Id<Carrier> = tx.id();
        insert(&mut tx, self.key(), id, data, None).await?;
        tx.touch(Topic::Peers);
        self.commit(tx).await?;
        self.find_carrier(id).await
    }

    /// Makes a carrier into what `data` says.
    pub async fn update_carrier(&self, carrier: Id<Carrier>, data: &CarrierData) -> Result<CarrierRow> {
        data.check()?;
        naming::unmanaged(self.find_carrier(carrier).await?.managed_by.as_deref())?;
        let mut tx = self.begin().await?;
        update(&mut tx, self.key(), carrier, data, None).await?;
        tx.touch(Topic::Peers);
        self.commit(tx).await?;
        self.find_carrier(carrier).await
    }

    /// Takes a carrier and its routes out of use; its texts still name it.
    pub async fn delete_carrier(&self, carrier: Id<Carrier>) -> Result<()> {
        naming::unmanaged(self.find_carrier(carrier).await?.managed_by.as_deref())?;
        let mut tx = self.begin().await?;
        delete(&mut tx, carrier).await?;
        tx.touch(Topic::Peers);
        self.commit(tx).await
    }

    /// Every route to carriers.
    pub async fn list_sms_routes(&self, scope: Option<Id<Tenant>>, page: Page) -> Result<Vec<RouteRow<Carrier>>> {
        let mut filter =
            Filter::new("SELECT id, tenant_id, prefix, priority, carrier_id AS peer, managed_by FROM sms_routes");
        filter.and_int_opt("tenant_id =", scope.map(Id::as_i64));
        filter.and_int_opt("id <", page.before);
        let rows = self.database().rows(filter.query(" ORDER BY id DESC", page.limit)).await?;
        rows.iter().map(read_route).collect()
    }

    /// Adds a route.
    pub async fn create_sms_route(
        &self,
        tenant: Option<Id<Tenant>>,
        prefix: &str,
        priority: i32,
        carrier: Id<Carrier>,
    ) -> Result<i64> {
        let prefix = naming::prefix(prefix)?;
        self.find_carrier(carrier).await?;
        let mut tx = self.begin().await?;
        let id: Id<Carrier> = tx.id();
        let insert = sql("INSERT INTO sms_routes (id, tenant_id, prefix, priority, carrier_id, created_at_ms) \
             VALUES ($1, $2, $3, $4, $5, $6)");
        let insert = insert.bind(id.as_i64()).bind(tenant.map(Id::as_i64)).bind(prefix).bind(i64::from(priority));
        let now_ms = tx.now.as_millis();
        tx.execute(insert.bind(carrier.as_i64()).bind(now_ms)).await?;
        tx.touch(Topic::Peers);
        self.commit(tx).await?;
        Ok(id.as_i64())
    }

    /// Removes a route.
    pub async fn delete_sms_route(&self, scope: Option<Id<Tenant>>, route: i64) -> Result<()> {
        self.delete_route("sms_routes", scope, route).await
    }
}

pub(crate) async fn insert(
    tx: &mut Tx<'_>,
    key: &MasterKey,
    id: Id<Carrier>,
    data: &CarrierData,
    managed_by: Option<&str>,
) -> Result<()> {
    let sealed = key.seal(&purpose(id), &data.password.clone().unwrap_or_default())?;
    let insert = sql("INSERT INTO carriers (id, name, host, port, system_id, password_sealed, system_type, bind, \
         window_size, submits_per_second, enabled, managed_by, created_at_ms, updated_at_ms) \
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $13)");
    let now_ms = tx.now.as_millis();
    let insert = insert
        .bind(id.as_i64())
        .bind(data.name.clone())
        .bind(data.host.clone())
        .bind(i64::from(data.port))
        .bind(data.system_id.clone())
        .bind(sealed)
        .bind(data.system_type.clone())
        .bind(data.bind.as_str())
        .bind(i64::from(data.window))
        .bind(data.submits_per_second.map(i64::from))
        .bind(i64::from(data.enabled))
        .bind(managed_by.map(str::to_owned))
        .bind(now_ms);
    tx.execute(insert).await?;
    Ok(())
}

pub(crate) async fn update(
    tx: &mut Tx<'_>,
    key: &MasterKey,
    id: Id<Carrier>,
    data: &CarrierData,
    managed_by: Option<&str>,
) -> Result<()> {
    let sealed = data.password.as_ref().map(|p| key.seal(&purpose(id), p)).transpose()?;
    let update = sql("UPDATE carriers SET name = $1, host = $2, port = $3, system_id = $4, \
         password_sealed = COALESCE($5, password_sealed), system_type = $6, bind = $7, window_size = $8, \
         submits_per_second = $9, enabled = $10, managed_by = $11, updated_at_ms = $12 WHERE id = $13");
    let now_ms = tx.now.as_millis();
    let update = update
        .bind(data.name.clone())
        .bind(data.host.clone())
        .bind(i64::from(data.port))
        .bind(data.system_id.clone())
        .bind(sealed)
        .bind(data.system_type.clone())
        .bind(data.bind.as_str())
        .bind(i64::from(data.window))
        .bind(data.submits_per_second.map(i64::from))
        .bind(i64::from(data.enabled))
        .bind(managed_by.map(str::to_owned))
        .bind(now_ms)
        .bind(id.as_i64());
    tx.execute(update).await?;
    Ok(())
}

pub(crate) async fn delete(tx: &mut Tx<'_>, id: Id<Carrier>) -> Result<()> {
    let now_ms = tx.now.as_millis();
    tx.execute(sql("DELETE FROM sms_routes WHERE carrier_id = $1").bind(id.as_i64())).await?;
    let update = sql("UPDATE carriers SET deleted_at_ms = $1, enabled = 0 WHERE id = $2 AND deleted_at_ms IS NULL");
    tx.execute(update.bind(now_ms).bind(id.as_i64())).await?;
    Ok(())
}
