//! The ports `Accounts` and `Directory`: questions of the call path, answered from memory, read from SQL at most once
//! per change.

mod deck;
mod load;
mod memory;
mod peers;
mod versions;

use std::net::IpAddr;
use std::sync::Arc;

use async_trait::async_trait;
use base::id::kind::{Carrier, Tenant, User};
use base::{E164, Id};
use domain::account::{DeviceCredentials, TenantFacts, UserFacts};
use domain::number::{NumberFacts, NumberStatus};
use domain::ports::{Accounts, Directory, Unavailable};
use domain::rate::{Rate, Service};
use domain::trunk::{CarrierFacts, ON_NET, TrunkFacts};

use crate::Store;
use crate::error::Result;
use deck::Deck;
use memory::Memory;
use peers::Peers;
pub(crate) use versions::{Caches, Topic};

/// Answers from `memory`, else asks and keeps the answer.
async fn through<K, V>(memory: &Memory<K, V>, question: K, ask: impl Future<Output = Result<V>>) -> Result<V>
where
    K: Eq + std::hash::Hash + Clone,
    V: Clone,
{
    match memory.recall(&question) {
        Ok(answer) => Ok(answer),
        Err(stamp) => {
            let answer = ask.await?;
            memory.keep(stamp, question, answer.clone());
            Ok(answer)
        }
    }
}

impl Store {
    /// Looks at once for changes that other processes made, instead of within 250 ms.
    pub async fn refresh(&self) -> Result<()> {
        self.core.refresh().await
    }

    pub(crate) async fn tenant_facts(&self, tenant: Id<Tenant>) -> Result<Option<Arc<TenantFacts>>> {
        through(&self.core.caches.tenants, tenant, load::tenant(self.database(), tenant)).await
    }

    pub(crate) async fn user_facts(&self, user: Id<User>) -> Result<Option<Arc<UserFacts>>> {
        through(&self.core.caches.users, user, load::user(self.database(), user)).await
    }

    async fn number_facts(&self, number: &E164) -> Result<Option<Arc<NumberFacts>>> {
        let ask = async {
            let Some((mut facts, owner)) = load::number(self.database(), number).await? else { return Ok(None) };
            if let Some(owner) = owner {
                facts.owner = self.user_facts(owner).await?;
            }
            Ok(Some(Arc::new(facts)))
        };
        through(&self.core.caches.numbers, number.clone(), ask).await
    }

    async fn peers(&self) -> Result<Arc<Peers>> {
        let ask = async { Ok(Arc::new(Peers::load(&self.core).await?)) };
        through(&self.core.caches.peers, (), ask).await
    }

    /// The tenant's price of a service to what was dialled: a number by its longest prefix, a name by the prefix of
    /// everything.
    pub(crate) async fn rate_for(&self, tenant: Id<Tenant>, service: Service, to: &str) -> Result<Option<Rate>> {
        let ask = async { Ok(Arc::new(Deck::load(self.database(), tenant).await?)) };
        let deck = through(&self.core.caches.decks, tenant, ask).await?;
        let now = self.now();
        Ok(match to.parse::<E164>() {
            Ok(number) => deck.find(service, number.prefixes().chain([""]), now),
            Err(_) => deck.find(service, [""].into_iter(), now),
        })
    }
}

#[async_trait]
impl Accounts for Store {
    async fn credentials(&self, username: &str, realm: &str) -> Result<Option<Arc<DeviceCredentials>>, Unavailable> {
        let question = (username.to_owned(), realm.to_ascii_lowercase());
        let ask = load::credentials(self.database(), username, &question.1);
        Ok(through(&self.core.caches.credentials, question.clone(), ask).await?)
    }
}

#[async_trait]
impl Directory for Store {
    async fn tenant_of_domain(&self, domain: &str) -> Result<Option<Arc<TenantFacts>>, Unavailable> {
        let domain = domain.to_ascii_lowercase();
        let ask = load::tenant_of_domain(self.database(), &domain);
        match through(&self.core.caches.domains, domain.clone(), ask).await? {
            Some(tenant) => Ok(self.tenant_facts(tenant).await?),
            None => Ok(None),
        }
    }

    async fn tenant(&self, tenant: Id<Tenant>) -> Result<Option<Arc<TenantFacts>>, Unavailable> {
        Ok(self.tenant_facts(tenant).await?)
    }

    async fn user(&self, user: Id<User>) -> Result<Option<Arc<UserFacts>>, Unavailable> {
        Ok(self.user_facts(user).await?)
    }

    async fn user_by_name(&self, tenant: Id<Tenant>, name: &str) -> Result<Option<Arc<UserFacts>>, Unavailable> {
        let ask = load::user_id_by_name(self.database(), tenant, name);
        match through(&self.core.caches.names, (tenant, name.to_owned()), ask).await? {
            Some(user) => Ok(self.user_facts(user).await?),
            None => Ok(None),
        }
    }

    async fn number(&self, number: &E164) -> Result<Option<Arc<NumberFacts>>, Unavailable> {
        Ok(self.number_facts(number).await?)
    }

    async fn trunk_by_source(&self, address: IpAddr, port: u16) -> Result<Option<Arc<TrunkFacts>>, Unavailable> {
        Ok(self.peers().await?.trunk_by_source(address, port))
    }

    async fn trunks_for(&self, tenant: Id<Tenant>, number: &E164) -> Result<Vec<Arc<TrunkFacts>>, Unavailable> {
        Ok(self.peers().await?.trunks_for(tenant, number))
    }

    async fn rate(&self, tenant: Id<Tenant>, service: Service, number: &E164) -> Result<Option<Rate>, Unavailable> {
        Ok(self.rate_for(tenant, service, number.as_str()).await?)
    }

    async fn carriers(&self) -> Result<Vec<Arc<CarrierFacts>>, Unavailable> {
        Ok(self.peers().await?.carriers())
    }

    async fn carriers_for(&self, tenant: Id<Tenant>, number: &E164) -> Result<Vec<Id<Carrier>>, Unavailable> {
        // Whether it takes texts is for the delivery to find out: no carrier could bring one to a number of ours.
        if self.number_facts(number).await?.is_some_and(|n| n.status == NumberStatus::Active) {
            return Ok(vec![ON_NET]);
        }
        Ok(self.peers().await?.carriers_for(tenant, number))
    }
}
