//! Trunks, carriers and the routes that lead to them.

use base::Id;
use base::Secret;

use super::table::{Removal, Sync, Table, Value, Wanted, int, text};
use super::{DesiredCarrier, DesiredRoute, DesiredTrunk};
use crate::carrier::{CarrierData, purpose};
use crate::error::{Error, Result};
use crate::naming;
use crate::pool::sql;
use crate::row::Columns;
use crate::trunk::{TrunkData, sources_json};

static TRUNKS: Table = Table {
    what: "trunk",
    name: "trunks",
    columns: &[
        text("name").key(),
        int("tenant_id").hidden(),
        text("host"),
        int("port"),
        text("transport"),
        text("sources"),
        int("enabled"),
        int("calls_max"),
    ],
    removal: Removal::DeletedAt,
    updated_at: true,
    returns: false,
};
static TRUNK_ROUTES: Table = Table {
    what: "route",
    name: "trunk_routes",
    columns: &[int("tenant_id").key().hidden(), text("prefix").key(), int("trunk_id").key().hidden(), int("priority")],
    removal: Removal::Delete,
    updated_at: false,
    returns: false,
};
static CARRIERS: Table = Table {
    what: "carrier",
    name: "carriers",
    columns: &[
        text("name").key(),
        text("host"),
        int("port"),
        text("system_id"),
        text("password_sealed").hidden(),
        text("system_type"),
        text("bind"),
        int("window_size"),
        int("submits_per_second"),
        int("enabled"),
    ],
    removal: Removal::DeletedAt,
    updated_at: true,
    returns: false,
};
static SMS_ROUTES: Table = Table {
    what: "sms route",
    name: "sms_routes",
    columns: &[
        int("tenant_id").key().hidden(),
        text("prefix").key(),
        int("carrier_id").key().hidden(),
        int("priority"),
    ],
    removal: Removal::Delete,
    updated_at: false,
    returns: false,
};

fn wrong(what: &'static str, label: &str, error: Error) -> Error {
    match error {
        Error::Malformed { what: field, why } => Error::Malformed { what, why: format!("{label}: {field}: {why}") },
        other => other,
    }
}

fn tenant_id(sync: &Sync<'_>, what: &'static str, label: &str, tenant: Option<&str>) -> Result<Option<i64>> {
    let Some(name) = tenant else { return Ok(None) };
    let missing = || Error::Malformed { what, why: format!("{label}: there is no tenant {name}") };
    sync.known("tenant", name).map(Some).ok_or_else(missing)
}

pub(super) async fn trunks(sync: &mut Sync<'_>, desired: &[DesiredTrunk]) -> Result<()> {
    let mut wanted = Vec::new();
    for trunk in desired {
        let tenant = tenant_id(sync, "trunk", &trunk.name, trunk.tenant.as_deref())?;
        let data = TrunkData {
            name: trunk.name.clone(),
            tenant: tenant.map(Id::from_i64),
            target: trunk.target.clone(),
            sources: trunk.sources.clone(),
            calls_max: trunk.calls_max,
            enabled: trunk.enabled,
        };
        data.check().map_err(|e| wrong("trunk", &trunk.name, e))?;
        let target = trunk.target.as_ref();
        wanted.push(Wanted {
            label: trunk.name.clone(),
            values: vec![
                trunk.name.as_str().into(),
                tenant.into(),
                target.map(|t| t.host.as_str()).into(),
                target.map(|t| i64::from(t.port)).into(),
                target.map(|t| t.transport.as_str()).into(),
                sources_json(&trunk.sources)?.into(),
                trunk.enabled.into(),
                trunk.calls_max.map(i64::from).into(),
            ],
        });
    }
    sync.rows(&TRUNKS, wanted).await?;
    for row in sync.tx.rows(sql("SELECT id, name FROM trunks WHERE deleted_at_ms IS NULL")).await? {
        sync.ids.insert(("trunk", row.text("name")?), row.int("id")?);
    }
    Ok(())
}

pub(super) async fn trunk_routes(sync: &mut Sync<'_>, desired: &[DesiredRoute]) -> Result<()> {
    let wanted = routes(sync, "route", "trunk", desired)?;
    sync.rows(&TRUNK_ROUTES, wanted).await.map(drop)
}

pub(super) async fn sms_routes(sync: &mut Sync<'_>, desired: &[DesiredRoute]) -> Result<()> {
    let wanted = routes(sync, "sms route", "carrier", desired)?;
    sync.rows(&SMS_ROUTES, wanted).await.map(drop)
}

fn routes(sync: &Sync<'_>, what: &'static str, peer: &'static str, desired: &[DesiredRoute]) -> Result<Vec<Wanted>> {
    let mut wanted = Vec::new();
    for route in desired {
        let prefix = naming::prefix(&route.prefix).map_err(|e| wrong(what, &route.prefix, e))?;
        let tenant = tenant_id(sync, what, &prefix, route.tenant.as_deref())?;
        for (priority, name) in route.to.iter().enumerate() {
            let missing = || Error::Malformed { what, why: format!("{prefix}: there is no {peer} {name}") };
            let to = sync.known(peer, name).ok_or_else(missing)?;
            let priority = i64::try_from(priority).unwrap_or(i64::MAX);
            wanted.push(Wanted {
                label: format!("{prefix} by {name}"),
                values: vec![tenant.into(), prefix.as_str().into(), to.into(), priority.into()],
            });
        }
    }
    Ok(wanted)
}

pub(super) async fn carriers(sync: &mut Sync<'_>, desired: &[DesiredCarrier]) -> Result<()> {
    let mut wanted = Vec::new();
    for carrier in desired {
        let data = CarrierData {
            name: carrier.name.clone(),
            host: carrier.host.clone(),
            port: carrier.port,
            system_id: carrier.system_id.clone(),
            password: Some(carrier.password.clone()),
            system_type: carrier.system_type.clone(),
            bind: carrier.bind,
            window: carrier.window,
            submits_per_second: carrier.submits_per_second,
            enabled: carrier.enabled,
        };
        data.check().map_err(|e| wrong("carrier", &carrier.name, e))?;
        wanted.push(Wanted {
            label: carrier.name.clone(),
            values: vec![
                carrier.name.as_str().into(),
                carrier.host.as_str().into(),
                i64::from(carrier.port).into(),
                carrier.system_id.as_str().into(),
                password(sync, carrier).await?,
                carrier.system_type.as_str().into(),
                carrier.bind.as_str().into(),
                i64::from(carrier.window).into(),
                carrier.submits_per_second.map(i64::from).into(),
                carrier.enabled.into(),
            ],
        });
    }
    let ids = sync.rows(&CARRIERS, wanted).await?;
    for (carrier, id) in desired.iter().zip(ids) {
        seal(sync, id, &carrier.password).await?;
    }
    for row in sync.tx.rows(sql("SELECT id, name FROM carriers WHERE deleted_at_ms IS NULL")).await? {
        sync.ids.insert(("carrier", row.text("name")?), row.int("id")?);
    }
    Ok(())
}

/// Sealing makes another text each time, so what is there is opened and compared; what differs is marked and sealed
/// for the row's id once that is known.
async fn password(sync: &mut Sync<'_>, carrier: &DesiredCarrier) -> Result<Value> {
    let query = sql("SELECT id, password_sealed FROM carriers WHERE name = $1 AND deleted_at_ms IS NULL");
    let Some(row) = sync.tx.row(query.bind(carrier.name.clone())).await? else { return Ok(UNSEALED.into()) };
    let there = sync.store.key().open(&purpose(row.id("id")?), &row.text("password_sealed")?)?;
    Ok(if there == carrier.password { Value::Keep } else { UNSEALED.into() })
}

/// Stands in a carrier's row until the password is sealed, within one transaction.
const UNSEALED: &str = "";

async fn seal(sync: &mut Sync<'_>, id: i64, password: &Secret) -> Result<()> {
    let sealed = sync.store.key().seal(&purpose(Id::from_i64(id)), password)?;
    let update = sql("UPDATE carriers SET password_sealed = $1 WHERE id = $2 AND password_sealed = $3");
    sync.tx.execute(update.bind(sealed).bind(id).bind(UNSEALED)).await?;
    Ok(())
}
