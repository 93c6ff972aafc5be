//! Provisioning: brings tenants, users, devices, numbers, trunks, carriers, routes and rates to what is desired, in one
//! transaction, and says what that changes. Doing it again changes nothing.
//!
//! What a source brought carries its name (`managed_by`) and is changed and removed only by that source. Accounts and numbers
//! are never deleted as rows: records refer to them. How a manifest is written is not known here.

mod accounts;
mod difference;
mod money;
mod peers;
mod table;

use base::{Currency, Secret, Timestamp};
use domain::account::{AccountStatus, DeviceMedia, Verifiers};
use domain::number::NumberStatus;
use domain::rate::Service;
use domain::trunk::{BindType, SourceAddress, TrunkTarget};

use crate::Store;
use crate::directory::Topic;
use crate::error::Result;
use crate::number::NumberKind;
use crate::rule::RuleData;
use crate::user::Role;

pub use difference::Difference;
use table::Sync;

/// Everything that one source wants. Objects name each other by their natural names.
#[derive(Debug, Clone, Default)]
pub struct Desired {
    /// Tenants with their SIP domains.
    pub tenants: Vec<DesiredTenant>,
    /// Users with their devices.
    pub users: Vec<DesiredUser>,
    /// Numbers with their rules.
    pub numbers: Vec<DesiredNumber>,
    /// SIP trunks.
    pub trunks: Vec<DesiredTrunk>,
    /// Which numbers go by which trunk.
    pub routes: Vec<DesiredRoute>,
    /// SMPP carriers.
    pub carriers: Vec<DesiredCarrier>,
    /// Which texts go by which carrier.
    pub sms_routes: Vec<DesiredRoute>,
    /// Prices.
    pub rates: Vec<DesiredRate>,
}

/// A tenant.
#[derive(Debug, Clone)]
pub struct DesiredTenant {
    /// Its unique name.
    pub name: String,
    /// Whether it may do anything.
    pub status: AccountStatus,
    /// Currency of its prices and wallets; fixed for life.
    pub currency: Currency,
    /// Its SIP domains, at least one; the first is its main one.
    pub domains: Vec<String>,
    /// Whether calls to its numbers are charged to their owners.
    pub inbound_charged: bool,
    /// Whether an undelivered text is refunded.
    pub refund_undelivered: bool,
    /// Whether media of its devices must be SRTP.
    pub secure_media: bool,
}

/// A user.
#[derive(Debug, Clone)]
pub struct DesiredUser {
    /// Its tenant's name.
    pub tenant: String,
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
    /// Whether it may do anything; `None` leaves that to the API, which begins with active.
    pub status: Option<AccountStatus>,
    /// Password of the API; `None` leaves the one that is there.
    pub password: Option<Secret>,
    /// Credited once, when the user is first seen; micros.
    pub opening_balance_micros: i64,
    /// Its devices.
    pub devices: Vec<DesiredDevice>,
}

/// A device.
#[derive(Debug, Clone)]
pub struct DesiredDevice {
    /// Digest username, unique in the domain.
    pub username: String,
    /// How it proves who it is.
    pub credential: DesiredCredential,
    /// Media that it speaks.
    pub media: DeviceMedia,
}

/// A password, of which verifiers are made, or the verifiers themselves.
#[derive(Debug, Clone)]
pub enum DesiredCredential {
    /// In clear; only verifiers are kept.
    Password(Secret),
    /// `H(username:realm:password)` per algorithm.
    Verifiers(Verifiers),
}

/// A number.
#[derive(Debug, Clone)]
pub struct DesiredNumber {
    /// Its tenant's name.
    pub tenant: String,
    /// Its user's name; `None`: in stock.
    pub user: Option<String>,
    /// The number.
    pub number: base::E164,
    /// What sort.
    pub kind: NumberKind,
    /// Active or inactive.
    pub status: NumberStatus,
    /// IANA time zone of its rules.
    pub time_zone: String,
    /// Place among its user's numbers; the least is the primary one.
    pub position: i64,
    /// Whether it takes and sends texts.
    pub sms: bool,
    /// Its rules.
    pub rules: Vec<RuleData>,
}

/// A SIP trunk.
#[derive(Debug, Clone)]
pub struct DesiredTrunk {
    /// Its unique name.
    pub name: String,
    /// The tenant that alone may use it.
    pub tenant: Option<String>,
    /// Where calls to it go.
    pub target: Option<TrunkTarget>,
    /// From where it calls us.
    pub sources: Vec<SourceAddress>,
    /// Most calls at the same time.
    pub calls_max: Option<u32>,
    /// Whether it may be used.
    pub enabled: bool,
}

/// Numbers of a prefix go by trunks or carriers, tried in this order.
#[derive(Debug, Clone)]
pub struct DesiredRoute {
    /// Whose route; `None`: everybody's.
    pub tenant: Option<String>,
    /// Digits, with or without `+`; empty: every number.
    pub prefix: String,
    /// Names.
    pub to: Vec<String>,
}

/// An SMPP carrier.
#[derive(Debug, Clone)]
pub struct DesiredCarrier {
    /// Its unique name.
    pub name: String,
    /// Host name or address.
    pub host: String,
    /// TCP port.
    pub port: u16,
    /// system_id.
    pub system_id: String,
    /// password.
    pub password: Secret,
    /// system_type.
    pub system_type: String,
    /// How to bind.
    pub bind: BindType,
    /// Most submit_sm without a response.
    pub window: u16,
    /// Most submit_sm per second.
    pub submits_per_second: Option<u32>,
    /// Whether it may be used.
    pub enabled: bool,
}

/// A price.
#[derive(Debug, Clone)]
pub struct DesiredRate {
    /// Its tenant's name.
    pub tenant: String,
    /// What it is for.
    pub service: Service,
    /// Digits, with or without `+`; empty: every number.
    pub prefix: String,
    /// Millionths per minute or segment.
    pub price_micros: i64,
    /// Millionths once per answered call.
    pub connect_micros: i64,
    /// Least seconds charged.
    pub first_increment_s: u32,
    /// Steps after it, seconds.
    pub next_increment_s: u32,
    /// From when it holds.
    pub effective_from: Timestamp,
}

impl Store {
    /// Brings what `source` manages to what it desires; `dry_run` only says what would change. Either all of it happens
    /// or nothing.
    pub async fn provision(&self, source: &str, desired: &Desired, dry_run: bool) -> Result<Difference> {
        crate::naming::object_name("source", source)?;
        let hashes = self.new_password_hashes(desired, dry_run).await?;
        let mut sync = Sync::begin(self, source).await?;
        accounts::tenants(&mut sync, &desired.tenants).await?;
        accounts::users(&mut sync, &desired.users, &hashes).await?;
        accounts::numbers(&mut sync, &desired.numbers).await?;
        peers::trunks(&mut sync, &desired.trunks).await?;
        peers::trunk_routes(&mut sync, &desired.routes).await?;
        peers::carriers(&mut sync, &desired.carriers).await?;
        peers::sms_routes(&mut sync, &desired.sms_routes).await?;
        money::rates(&mut sync, &desired.rates).await?;
        sync.remove_what_left().await?;
        money::opening_balances(&mut sync, &desired.users).await?;
        let (mut tx, difference) = sync.finish();
        if !dry_run && !difference.is_empty() {
            [Topic::Accounts, Topic::Peers, Topic::Rates].into_iter().for_each(|topic| tx.touch(topic));
            self.commit(tx).await?;
        }
        Ok(difference)
    }
}
