//! A tenant's prices in memory: longest prefix, the latest one in force.

use std::collections::HashMap;

use base::id::kind::Tenant;
use base::{Id, Timestamp};
use domain::rate::{Rate, Service};

use crate::error::Result;
use crate::pool::{Database, sql};
use crate::row::Columns;

/// All prices of a tenant.
pub(crate) struct Deck {
    /// Per service and prefix: when it comes into force, latest first.
    rates: HashMap<(Service, String), Vec<(Timestamp, Rate)>>,
}

impl Deck {
    pub(crate) async fn load(database: &Database, tenant: Id<Tenant>) -> Result<Self> {
        let query = sql("SELECT r.id, r.service, r.prefix, r.price_micros, r.connect_micros, r.first_increment_s, \
             r.next_increment_s, r.effective_from_ms, t.currency FROM rates r JOIN rate_decks k ON k.id = r.deck_id \
             JOIN tenants t ON t.id = k.tenant_id WHERE k.tenant_id = $1 ORDER BY r.effective_from_ms DESC");
        let mut rates: HashMap<_, Vec<_>> = HashMap::new();
        for row in database.rows(query.bind(tenant.as_i64())).await? {
            let rate = Rate {
                id: row.id("id")?,
                currency: row.currency("currency")?,
                price_micros: row.int("price_micros")?,
                connect_micros: row.int("connect_micros")?,
                first_increment_s: row.number("first_increment_s")?,
                next_increment_s: row.number("next_increment_s")?,
            };
            let key = (row.word("service", Service::parse)?, row.text("prefix")?);
            rates.entry(key).or_default().push((row.time("effective_from_ms")?, rate));
        }
        Ok(Self { rates })
    }

    /// The price at `now` for the first of `prefixes` that has one in force.
    pub(crate) fn find<'p>(
        &self,
        service: Service,
        prefixes: impl Iterator<Item = &'p str>,
        now: Timestamp,
    ) -> Option<Rate> {
        prefixes.into_iter().find_map(|prefix| {
            let dated = self.rates.get(&(service, prefix.to_owned()))?;
            dated.iter().find(|(from, _)| *from <= now).map(|(_, rate)| *rate)
        })
    }
}
