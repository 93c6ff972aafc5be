//! Trunks, carriers and their routes in memory, whole: there are hundreds, and every call asks.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;

use base::id::kind::{Carrier, Tenant, Trunk};
use base::{E164, Id};
use domain::trunk::{CarrierFacts, SourceAddress, TrunkFacts};

use crate::Core;
use crate::carrier;
use crate::error::Result;
use crate::pool::{Query, sql};
use crate::row::Columns;
use crate::trunk;

/// Where numbers of a prefix go, of one tenant or (`None`) of all; in the order in which to try them.
type Routes<T> = HashMap<(Option<Id<Tenant>>, String), Vec<Id<T>>>;

/// Every peer that was not deleted.
pub(crate) struct Peers {
    trunks: HashMap<Id<Trunk>, Arc<TrunkFacts>>,
    /// Enabled trunks by source, the most specific source first.
    sources: Vec<(SourceAddress, Id<Trunk>)>,
    trunk_routes: Routes<Trunk>,
    carriers: Vec<Arc<CarrierFacts>>,
    sms_routes: Routes<Carrier>,
}

impl Peers {
    pub(crate) async fn load(core: &Core) -> Result<Self> {
        let database = &core.database;
        let mut trunks = HashMap::new();
        let mut sources = Vec::new();
        for row in database.rows(sql("SELECT * FROM trunks WHERE deleted_at_ms IS NULL ORDER BY id")).await? {
            let facts = trunk::facts(&row)?;
            if facts.enabled {
                sources.extend(facts.sources.iter().map(|s| (*s, facts.id)));
            }
            trunks.insert(facts.id, Arc::new(facts));
        }
        sources.sort_by_key(|(s, id)| (s.port.is_none(), std::cmp::Reverse(s.prefix_bits), *id));
        let mut carriers = Vec::new();
        for row in database.rows(sql("SELECT * FROM carriers WHERE deleted_at_ms IS NULL ORDER BY id")).await? {
            carriers.push(Arc::new(carrier::facts(&row, &core.key)?));
        }
        let routes = sql("SELECT tenant_id, prefix, trunk_id AS peer FROM trunk_routes ORDER BY priority, id");
        let trunk_routes = load_routes(core, routes).await?;
        let routes = sql("SELECT tenant_id, prefix, carrier_id AS peer FROM sms_routes ORDER BY priority, id");
        let sms_routes = load_routes(core, routes).await?;
        Ok(Self { trunks, sources, trunk_routes, carriers, sms_routes })
    }

    pub(crate) fn trunk_by_source(&self, address: IpAddr, port: u16) -> Option<Arc<TrunkFacts>> {
        let (_, id) = self.sources.iter().find(|(source, _)| source.matches(address, port))?;
        self.trunks.get(id).cloned()
    }

    pub(crate) fn trunks_for(&self, tenant: Id<Tenant>, number: &E164) -> Vec<Arc<TrunkFacts>> {
        let usable = |t: &Arc<TrunkFacts>| t.enabled && t.target.is_some() && t.tenant.is_none_or(|own| own == tenant);
        let ids = select(&self.trunk_routes, tenant, number);
        ids.iter().filter_map(|id| self.trunks.get(id).cloned()).filter(usable).collect()
    }

    pub(crate) fn carriers(&self) -> Vec<Arc<CarrierFacts>> {
        self.carriers.clone()
    }

    pub(crate) fn carriers_for(&self, tenant: Id<Tenant>, number: &E164) -> Vec<Id<Carrier>> {
        let enabled = |id: &Id<Carrier>| self.carriers.iter().any(|c| c.id == *id && c.enabled);
        select(&self.sms_routes, tenant, number).iter().copied().filter(enabled).collect()
    }
}

async fn load_routes<T>(core: &Core, query: Query<'_>) -> Result<Routes<T>> {
    let mut routes = Routes::new();
    for row in core.database.rows(query).await? {
        let key = (row.id_opt("tenant_id")?, row.text("prefix")?);
        routes.entry(key).or_insert_with(Vec::new).push(row.id("peer")?);
    }
    Ok(routes)
}

/// The routes of the longest prefix; at equal length a tenant's own ones replace those of all.
fn select<'r, T>(routes: &'r Routes<T>, tenant: Id<Tenant>, number: &E164) -> &'r [Id<T>] {
    let own_or_shared = |prefix: &str| {
        let own = routes.get(&(Some(tenant), prefix.to_owned()));
        own.or_else(|| routes.get(&(None, prefix.to_owned())))
    };
    number.prefixes().chain([""]).find_map(own_or_shared).map_or(&[], Vec::as_slice)
}
