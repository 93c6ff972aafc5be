//! SIP trunks and the routes that lead to them.

use base::Id;
use base::Timestamp;
use base::id::kind::{Tenant, Trunk};
use domain::trunk::{SourceAddress, TrunkFacts, TrunkTarget, TrunkTransport};
use sqlx::any::AnyRow;

use crate::Store;
use crate::directory::Topic;
use crate::error::{Error, Result};
use crate::filter::Filter;
use crate::naming::{self, Page};
use crate::pool::{Tx, sql};
use crate::row::{Columns, json};

/// Most source addresses of one trunk; every INVITE looks through all of them.
const SOURCES_MAX: usize = 64;

/// A trunk as administrators see it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TrunkRow {
    /// What calls need of it.
    pub facts: TrunkFacts,
    /// The manifest that owns it.
    pub managed_by: Option<String>,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it was changed last.
    pub updated_at: Timestamp,
}

/// A trunk to make or what one is to become.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TrunkData {
    /// Its unique name.
    pub name: String,
    /// The tenant that alone may use it; `None`: shared.
    pub tenant: Option<Id<Tenant>>,
    /// Where calls to it go; `None`: it only calls us.
    pub target: Option<TrunkTarget>,
    /// From where it calls us.
    pub sources: Vec<SourceAddress>,
    /// Most calls at the same time.
    pub calls_max: Option<u32>,
    /// Whether it may be used.
    pub enabled: bool,
}

/// Numbers of a prefix go by a trunk.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RouteRow<T> {
    /// Its row.
    pub id: i64,
    /// Whose route; `None`: of every tenant without one of its own for the prefix.
    pub tenant: Option<Id<Tenant>>,
    /// Digits without `+`.
    pub prefix: String,
    /// Lower ones first.
    pub priority: i32,
    /// Where to.
    pub to: Id<T>,
    /// The manifest that owns it.
    pub managed_by: Option<String>,
}

pub(crate) fn facts(row: &AnyRow) -> Result<TrunkFacts> {
    let sources: Vec<String> = row.json("sources")?;
    let bad = |s: &String| Error::Misbehaved(format!("column sources: {s}"));
    let target = match (row.text_opt("host")?, row.number_opt("port")?) {
        (Some(host), Some(port)) => {
            let transport = row.word_opt("transport", TrunkTransport::parse)?.unwrap_or(TrunkTransport::Udp);
            Some(TrunkTarget { host, port, transport })
        }
        _ => None,
    };
    Ok(TrunkFacts {
        id: row.id("id")?,
        name: row.text("name")?,
        tenant: row.id_opt("tenant_id")?,
        target,
        sources: sources.iter().map(|s| SourceAddress::parse(s).ok_or_else(|| bad(s))).collect::<Result<_>>()?,
        enabled: row.flag("enabled")?,
        calls_max: row.number_opt("calls_max")?,
    })
}

fn read(row: &AnyRow) -> Result<TrunkRow> {
    Ok(TrunkRow {
        facts: facts(row)?,
        managed_by: row.text_opt("managed_by")?,
        created_at: row.time("created_at_ms")?,
        updated_at: row.time("updated_at_ms")?,
    })
}

/// Source addresses as they are kept.
pub(crate) fn sources_json(sources: &[SourceAddress]) -> Result<String> {
    json(&sources.iter().map(ToString::to_string).collect::<Vec<_>>())
}

impl TrunkData {
    pub(crate) fn check(&self) -> Result<()> {
        naming::object_name("name", &self.name)?;
        if self.sources.len() > SOURCES_MAX {
            return Err(Error::malformed("sources", format!("at most {SOURCES_MAX}")));
        }
        if self.target.is_none() && self.sources.is_empty() {
            return Err(Error::malformed("trunk", "it needs a host, or sources, or both"));
        }
        match &self.target {
            Some(target) if target.port == 0 => Err(Error::malformed("port", "1 to 65535")),
            Some(target) => naming::host(&target.host),
            None => Ok(()),
        }
    }
}

impl Store {
    /// Trunks of a tenant with those shared by all, or (`None`) every trunk.
    pub async fn list_trunks(&self, scope: Option<Id<Tenant>>, page: Page) -> Result<Vec<TrunkRow>> {
        let mut filter = Filter::new("SELECT * FROM trunks");
        filter.and("deleted_at_ms IS NULL");
        filter.and_int_opt("tenant_id =", scope.map(Id::as_i64));
        filter.and_int_opt("id <", page.before);
        let rows = self.database().rows(filter.query(" ORDER BY id DESC", page.limit)).await?;
        rows.iter().map(read).collect()
    }

    /// A trunk.
    pub async fn find_trunk(&self, trunk: Id<Trunk>) -> Result<TrunkRow> {
        let query = sql("SELECT * FROM trunks WHERE id = $1 AND deleted_at_ms IS NULL").bind(trunk.as_i64());
        self.database().row(query).await?.as_ref().map(read).transpose()?.ok_or(Error::NotFound("trunk"))
    }

    /// Makes a trunk.
    pub async fn create_trunk(&self, data: &TrunkData) -> Result<TrunkRow> {
        data.check()?;
        let mut tx = self.begin().await?;
        let id: Id<Trunk> = tx.id();
        insert(&mut tx, id, data, None).await?;
        tx.touch(Topic::Peers);
        self.commit(tx).await?;
        self.find_trunk(id).await
    }

    /// Makes a trunk into what `data` says.
    pub async fn update_trunk(&self, trunk: Id<Trunk>, data: &TrunkData) -> Result<TrunkRow> {
        data.check()?;
        naming::unmanaged(self.find_trunk(trunk).await?.managed_by.as_deref())?;
        let mut tx = self.begin().await?;
        update(&mut tx, trunk, data, None).await?;
        tx.touch(Topic::Peers);
        self.commit(tx).await?;
        self.find_trunk(trunk).await
    }

    /// Takes a trunk and its routes out of use; records of its calls still name it.
    pub async fn delete_trunk(&self, trunk: Id<Trunk>) -> Result<()> {
        naming::unmanaged(self.find_trunk(trunk).await?.managed_by.as_deref())?;
        let mut tx = self.begin().await?;
        delete(&mut tx, trunk).await?;
        tx.touch(Topic::Peers);
        self.commit(tx).await
    }

    /// Every route to trunks, by prefix and priority.
    pub async fn list_trunk_routes(&self, scope: Option<Id<Tenant>>, page: Page) -> Result<Vec<RouteRow<Trunk>>> {
        let mut filter =
            Filter::new("SELECT id, tenant_id, prefix, priority, trunk_id AS peer, managed_by FROM trunk_routes");
        filter.and_int_opt("tenant_id =", scope.map(Id::as_i64));
        filter.and_int_opt("id <", page.before);
        let rows = self.database().rows(filter.query(" ORDER BY id DESC", page.limit)).await?;
        rows.iter().map(read_route).collect()
    }

    /// Adds a route.
    pub async fn create_trunk_route(
        &self,
        tenant: Option<Id<Tenant>>,
        prefix: &str,
        priority: i32,
        trunk: Id<Trunk>,
    ) -> Result<i64> {
        let prefix = naming::prefix(prefix)?;
        self.find_trunk(trunk).await?;
        let mut tx = self.begin().await?;
        let id: Id<Trunk> = tx.id();
        let insert = sql("INSERT INTO trunk_routes (id, tenant_id, prefix, priority, trunk_id, created_at_ms) \
             VALUES ($1, $2, $3, $4, $5, $6)");
        let insert = insert.bind(id.as_i64()).bind(tenant.map(Id::as_i64)).bind(prefix).bind(i64::from(priority));
        let now_ms = tx.now.as_millis();
        tx.execute(insert.bind(trunk.as_i64()).bind(now_ms)).await?;
        tx.touch(Topic::Peers);
        self.commit(tx).await?;
        Ok(id.as_i64())
    }

    /// Removes a route.
    pub async fn delete_trunk_route(&self, scope: Option<Id<Tenant>>, route: i64) -> Result<()> {
        self.delete_route("trunk_routes", scope, route).await
    }

    pub(crate) async fn delete_route(&self, table: &'static str, scope: Option<Id<Tenant>>, route: i64) -> Result<()> {
        let mut tx = self.begin().await?;
        let query = crate::pool::composed(format!("SELECT tenant_id, managed_by FROM {table} WHERE id = $1"));
        let row = tx.row(query.bind(route)).await?.ok_or(Error::NotFound("route"))?;
        if scope.is_some() && row.id_opt("tenant_id")? != scope {
            return Err(Error::NotFound("route"));
        }
        naming::unmanaged(row.text_opt("managed_by")?.as_deref())?;
        tx.execute(crate::pool::composed(format!("DELETE FROM {table} WHERE id = $1")).bind(route)).await?;
        tx.touch(Topic::Peers);
        self.commit(tx).await
    }
}

pub(crate) fn read_route<T>(row: &AnyRow) -> Result<RouteRow<T>> {
    Ok(RouteRow {
        id: row.int("id")?,
        tenant: row.id_opt("tenant_id")?,
        prefix: row.text("prefix")?,
        priority: row.number("priority")?,
        to: row.id("peer")?,
        managed_by: row.text_opt("managed_by")?,
    })
}

pub(crate) async fn insert(tx: &mut Tx<'_>, id: Id<Trunk>, data: &TrunkData, managed_by: Option<&str>) -> Result<()> {
    let insert = sql("INSERT INTO trunks (id, tenant_id, name, host, port, transport, sources, enabled, calls_max, \
         managed_by, created_at_ms, updated_at_ms) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $11)");
    let target = data.target.as_ref();
    let now_ms = tx.now.as_millis();
    let insert = insert
        .bind(id.as_i64())
        .bind(data.tenant.map(Id::as_i64))
        .bind(data.name.clone())
        .bind(target.map(|t| t.host.clone()))
        .bind(target.map(|t| i64::from(t.port)))
        .bind(target.map(|t| t.transport.as_str()))
        .bind(sources_json(&data.sources)?)
        .bind(i64::from(data.enabled))
        .bind(data.calls_max.map(i64::from))
        .bind(managed_by.map(str::to_owned))
        .bind(now_ms);
    tx.execute(insert).await?;
    Ok(())
}

pub(crate) async fn update(tx: &mut Tx<'_>, id: Id<Trunk>, data: &TrunkData, managed_by: Option<&str>) -> Result<()> {
    let update =
        sql("UPDATE trunks SET tenant_id = $1, name = $2, host = $3, port = $4, transport = $5, sources = $6, \
         enabled = $7, calls_max = $8, managed_by = $9, updated_at_ms = $10 WHERE id = $11");
    let target = data.target.as_ref();
    let now_ms = tx.now.as_millis();
    let update = update
        .bind(data.tenant.map(Id::as_i64))
        .bind(data.name.clone())
        .bind(target.map(|t| t.host.clone()))
        .bind(target.map(|t| i64::from(t.port)))
        .bind(target.map(|t| t.transport.as_str()))
        .bind(sources_json(&data.sources)?)
        .bind(i64::from(data.enabled))
        .bind(data.calls_max.map(i64::from))
        .bind(managed_by.map(str::to_owned))
        .bind(now_ms)
        .bind(id.as_i64());
    tx.execute(update).await?;
    Ok(())
}

pub(crate) async fn delete(tx: &mut Tx<'_>, id: Id<Trunk>) -> Result<()> {
    let now_ms = tx.now.as_millis();
    tx.execute(sql("DELETE FROM trunk_routes WHERE trunk_id = $1").bind(id.as_i64())).await?;
    let update = sql("UPDATE trunks SET deleted_at_ms = $1, enabled = 0 WHERE id = $2 AND deleted_at_ms IS NULL");
    tx.execute(update.bind(now_ms).bind(id.as_i64())).await?;
    Ok(())
}
