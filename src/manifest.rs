//! The manifest: a TOML file that says which tenants, users, devices, numbers, trunks, carriers and rates there should be.
//! `docs/manifest.md` describes every key. An unknown key or an ill-typed value is refused with its line.

use base::money::parse_micros;
use base::{Currency, E164, Secret, Timestamp};
use domain::account::{AccountStatus, DeviceMedia, Verifiers};
use domain::number::NumberStatus;
use domain::rate::Service;
use domain::rule::{RuleKind, Schedule};
use domain::trunk::{BindType, SourceAddress, TrunkTarget, TrunkTransport};
use serde::Deserialize;
use store::{
    Desired, DesiredCarrier, DesiredCredential, DesiredDevice, DesiredNumber, DesiredRate, DesiredRoute, DesiredTenant,
    DesiredTrunk, DesiredUser, NumberKind, Role, RuleData,
};

/// What cannot be read, as one line.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(crate) struct BadManifest(String);

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Manifest {
    #[serde(default)]
    tenant: Vec<Tenant>,
    #[serde(default)]
    user: Vec<User>,
    #[serde(default)]
    number: Vec<Number>,
    #[serde(default)]
    trunk: Vec<Trunk>,
    #[serde(default)]
    route: Vec<TrunkRoute>,
    #[serde(default)]
    carrier: Vec<Carrier>,
    #[serde(default)]
    sms_route: Vec<SmsRoute>,
    #[serde(default)]
    rate: Vec<Rate>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Tenant {
    name: String,
    #[serde(default = "usd")]
    currency: Currency,
    domains: Vec<String>,
    #[serde(default)]
    inbound_charged: bool,
    #[serde(default)]
    refund_undelivered: bool,
    #[serde(default)]
    secure_media: bool,
    #[serde(default = "active")]
    status: AccountStatus,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct User {
    tenant: String,
    name: String,
    domain: Option<String>,
    email: Option<String>,
    display_name: Option<String>,
    #[serde(default = "user_role")]
    role: String,
    status: Option<AccountStatus>,
    password: Option<Secret>,
    balance: Option<String>,
    sip_password: Option<Secret>,
    sip_ha1_md5: Option<String>,
    sip_ha1_sha256: Option<String>,
    sip_ha1_sha512_256: Option<String>,
    media: Option<DeviceMedia>,
    #[serde(default)]
    numbers: Vec<E164>,
    #[serde(default)]
    device: Vec<Device>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Device {
    username: String,
    password: Option<Secret>,
    ha1_md5: Option<String>,
    ha1_sha256: Option<String>,
    ha1_sha512_256: Option<String>,
    media: Option<DeviceMedia>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Number {
    number: E164,
    tenant: String,
    user: Option<String>,
    #[serde(default = "utc")]
    time_zone: String,
    #[serde(default = "number_active")]
    status: NumberStatus,
    #[serde(default = "local")]
    kind: String,
    #[serde(default = "yes")]
    sms: bool,
    #[serde(default)]
    rule: Vec<Rule>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Rule {
    priority: i32,
    kind: RuleKind,
    forward_to: Option<E164>,
    timeout_seconds: Option<u32>,
    schedule: Option<Schedule>,
    #[serde(default = "yes")]
    active: bool,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Trunk {
    name: String,
    tenant: Option<String>,
    #[serde(default)]
    sources: Vec<String>,
    host: Option<String>,
    port: Option<u16>,
    #[serde(default = "udp")]
    transport: TrunkTransport,
    calls_max: Option<u32>,
    #[serde(default = "yes")]
    enabled: bool,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct TrunkRoute {
    tenant: Option<String>,
    #[serde(default)]
    prefix: String,
    trunks: Vec<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct SmsRoute {
    tenant: Option<String>,
    #[serde(default)]
    prefix: String,
    carriers: Vec<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Carrier {
    name: String,
    host: String,
    #[serde(default = "smpp_port")]
    port: u16,
    system_id: String,
    password: Secret,
    #[serde(default)]
    system_type: String,
    #[serde(default = "transceiver")]
    bind: BindType,
    #[serde(default = "window")]
    window: u16,
    submits_per_second: Option<u32>,
    #[serde(default = "yes")]
    enabled: bool,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Rate {
    tenant: String,
    service: Service,
    #[serde(default)]
    prefix: String,
    price: String,
    #[serde(default = "nothing")]
    connect: String,
    #[serde(default = "by_the_second")]
    increments: String,
    effective_from_ms: Option<i64>,
}

fn usd() -> Currency {
    Currency::USD
}
fn active() -> AccountStatus {
    AccountStatus::Active
}
fn number_active() -> NumberStatus {
    NumberStatus::Active
}
fn user_role() -> String {
    Role::User.as_str().into()
}
fn utc() -> String {
    "UTC".into()
}
fn local() -> String {
    NumberKind::Local.as_str().into()
}
fn yes() -> bool {
    true
}
fn udp() -> TrunkTransport {
    TrunkTransport::Udp
}
fn smpp_port() -> u16 {
    2775
}
fn transceiver() -> BindType {
    BindType::Transceiver
}
fn window() -> u16 {
    10
}
fn nothing() -> String {
    "0".into()
}
fn by_the_second() -> String {
    "1/1".into()
}

/// Reads a manifest; `name` stands for the file in errors.
pub(crate) fn read(name: &str, text: &str) -> Result<Desired, BadManifest> {
    let manifest: Manifest = toml::from_str(text).map_err(|error| {
        let line = error.span().map_or(0, |span| text[..span.start.min(text.len())].matches('\n').count() + 1);
        BadManifest(format!("{name}, line {line}: {}", error.message()))
    })?;
    desired(manifest).map_err(|reason| BadManifest(format!("{name}: {reason}")))
}

fn desired(manifest: Manifest) -> Result<Desired, String> {
    let mut numbers: Vec<DesiredNumber> = Vec::new();
    for user in &manifest.user {
        for (position, number) in (0i64..).zip(&user.numbers) {
            numbers.push(plain_number(user, number, position));
        }
    }
    for number in manifest.number {
        let known = numbers.iter().position(|n| n.number == number.number);
        let number = desired_number(number)?;
        match known {
            // Named by its user and described apart: the description adds to it.
            Some(index) => {
                let DesiredNumber { user, position, .. } = numbers[index].clone();
                numbers[index] = DesiredNumber { user: number.user.clone().or(user), position, ..number };
            }
            None => numbers.push(number),
        }
    }
    Ok(Desired {
        tenants: manifest.tenant.into_iter().map(desired_tenant).collect(),
        users: manifest.user.into_iter().map(desired_user).collect::<Result<_, _>>()?,
        numbers,
        trunks: manifest.trunk.into_iter().map(desired_trunk).collect::<Result<_, _>>()?,
        routes: manifest
            .route
            .into_iter()
            .map(|r| DesiredRoute { tenant: r.tenant, prefix: r.prefix, to: r.trunks })
            .collect(),
        carriers: manifest.carrier.into_iter().map(desired_carrier).collect(),
        sms_routes: manifest
            .sms_route
            .into_iter()
            .map(|r| DesiredRoute { tenant: r.tenant, prefix: r.prefix, to: r.carriers })
            .collect(),
        rates: manifest.rate.into_iter().map(desired_rate).collect::<Result<_, _>>()?,
    })
}

fn desired_tenant(tenant: Tenant) -> DesiredTenant {
    let Tenant { name, currency, domains, inbound_charged, refund_undelivered, secure_media, status } = tenant;
    DesiredTenant { name, status, currency, domains, inbound_charged, refund_undelivered, secure_media }
}

fn plain_number(user: &User, number: &E164, position: i64) -> DesiredNumber {
    DesiredNumber {
        tenant: user.tenant.clone(),
        user: Some(user.name.clone()),
        number: number.clone(),
        kind: NumberKind::Local,
        status: NumberStatus::Active,
        time_zone: utc(),
        position,
        sms: true,
        rules: Vec::new(),
    }
}

fn desired_user(user: User) -> Result<DesiredUser, String> {
    let label = format!("user {}", user.name);
    let role = Role::parse(&user.role)
        .ok_or_else(|| format!("{label}: role {} is not user, tenant_admin or platform_admin", user.role))?;
    let balance = user.balance.as_deref().map_or(Ok(0), parse_micros).map_err(|e| format!("{label}: balance: {e}"))?;
    if balance < 0 {
        return Err(format!("{label}: balance is negative"));
    }
    let shorthand =
        credential(&label, user.sip_password, user.sip_ha1_md5, user.sip_ha1_sha256, user.sip_ha1_sha512_256)?;
    let media = user.media.unwrap_or(DeviceMedia::Auto);
    let own = shorthand.map(|credential| DesiredDevice { username: user.name.clone(), credential, media });
    let mut devices: Vec<DesiredDevice> = own.into_iter().collect();
    for device in user.device {
        let label = format!("{label}, device {}", device.username);
        let given = credential(&label, device.password, device.ha1_md5, device.ha1_sha256, device.ha1_sha512_256)?;
        devices.push(DesiredDevice {
            username: device.username,
            credential: given
                .ok_or_else(|| format!("{label}: needs a password or ha1_md5, ha1_sha256, ha1_sha512_256"))?,
            media: device.media.unwrap_or(DeviceMedia::Auto),
        });
    }
    Ok(DesiredUser {
        tenant: user.tenant,
        name: user.name,
        domain: user.domain,
        email: user.email,
        display_name: user.display_name,
        role,
        status: user.status,
        password: user.password,
        opening_balance_micros: balance,
        devices,
    })
}

fn credential(
    label: &str,
    password: Option<Secret>,
    md5: Option<String>,
    sha256: Option<String>,
    sha512_256: Option<String>,
) -> Result<Option<DesiredCredential>, String> {
    let verifiers = Verifiers { md5, sha256, sha512_256 };
    match (password, verifiers != Verifiers::default()) {
        (Some(_), true) => Err(format!("{label}: a password and ha1 exclude each other")),
        (Some(password), false) => Ok(Some(DesiredCredential::Password(password))),
        (None, true) => Ok(Some(DesiredCredential::Verifiers(verifiers))),
        (None, false) => Ok(None),
    }
}

fn desired_number(number: Number) -> Result<DesiredNumber, String> {
    let label = format!("number {}", number.number);
    let kind = NumberKind::parse(&number.kind)
        .ok_or_else(|| format!("{label}: kind {} is not local, mobile or toll_free", number.kind))?;
    let rules = number.rule.into_iter().map(|rule| RuleData {
        priority: rule.priority,
        kind: rule.kind,
        forward_to: rule.forward_to,
        timeout_s: rule.timeout_seconds,
        schedule: rule.schedule,
        active: rule.active,
    });
    Ok(DesiredNumber {
        tenant: number.tenant,
        user: number.user,
        number: number.number,
        kind,
        status: number.status,
        time_zone: number.time_zone,
        position: 0,
        sms: number.sms,
        rules: rules.collect(),
    })
}

fn desired_trunk(trunk: Trunk) -> Result<DesiredTrunk, String> {
    let label = format!("trunk {}", trunk.name);
    let source = |text: &String| {
        SourceAddress::parse(text)
            .ok_or_else(|| format!("{label}: source {text} is not an address, network or address:port"))
    };
    let default_port = if trunk.transport == TrunkTransport::Tls { 5061 } else { 5060 };
    let port = trunk.port.unwrap_or(default_port);
    Ok(DesiredTrunk {
        sources: trunk.sources.iter().map(source).collect::<Result<_, _>>()?,
        target: trunk.host.map(|host| TrunkTarget { host, port, transport: trunk.transport }),
        name: trunk.name,
        tenant: trunk.tenant,
        calls_max: trunk.calls_max,
        enabled: trunk.enabled,
    })
}

fn desired_carrier(carrier: Carrier) -> DesiredCarrier {
    let Carrier { name, host, port, system_id, password, system_type, bind, window, submits_per_second, enabled } =
        carrier;
    DesiredCarrier { name, host, port, system_id, password, system_type, bind, window, submits_per_second, enabled }
}

fn desired_rate(rate: Rate) -> Result<DesiredRate, String> {
    let label = format!("rate {} {} {:?}", rate.tenant, rate.service.as_str(), rate.prefix);
    let money = |key: &str, text: &str| parse_micros(text).map_err(|e| format!("{label}: {key}: {e}"));
    let increments = rate.increments.split_once('/').and_then(|(f, n)| Some((f.parse().ok()?, n.parse().ok()?)));
    let (first_increment_s, next_increment_s) =
        increments.ok_or_else(|| format!("{label}: increments {} is not like 60/60", rate.increments))?;
    Ok(DesiredRate {
        price_micros: money("price", &rate.price)?,
        connect_micros: money("connect", &rate.connect)?,
        tenant: rate.tenant,
        service: rate.service,
        prefix: rate.prefix,
        first_increment_s,
        next_increment_s,
        effective_from: Timestamp::from_millis(rate.effective_from_ms.unwrap_or(0)),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(text: &str) -> String {
        read("m.toml", text).expect_err("a bad manifest").to_string()
    }

    #[test]
    fn an_unknown_key_and_an_ill_typed_value_are_named_with_their_line() {
        let unknown = refusal("[[tenant]]\nname = \"a\"\ndomains = [\"a.test\"]\ncolour = 1\n");
        assert!(unknown.contains("m.toml, line 4") && unknown.contains("colour"), "{unknown}");
        let typed = refusal("[[trunk]]\nname = \"t\"\nport = \"x\"\n");
        assert!(typed.contains("m.toml, line 3"), "{typed}");
        let number = refusal("[[number]]\ntenant = \"a\"\nnumber = \"5551234\"\n");
        assert!(number.contains("line 3") && number.contains("E.164"), "{number}");
    }

    #[test]
    fn a_user_s_shorthand_makes_a_device_and_numbers_in_order() {
        let text = "[[user]]\ntenant = \"a\"\nname = \"alice\"\nsip_password = \"p\"\nnumbers = [\"+15550001\", \"+15550002\"]\n\
            [[number]]\nnumber = \"+15550002\"\ntenant = \"a\"\ntime_zone = \"Europe/Berlin\"\n";
        let desired = read("m.toml", text).expect("good");
        assert_eq!(desired.users[0].devices[0].username, "alice");
        assert_eq!(desired.numbers.len(), 2);
        let second = &desired.numbers[1];
        assert_eq!(
            (second.user.as_deref(), second.position, second.time_zone.as_str()),
            (Some("alice"), 1, "Europe/Berlin")
        );
    }

    #[test]
    fn what_contradicts_itself_is_refused() {
        for (text, word) in [
            ("[[user]]\ntenant=\"a\"\nname=\"x\"\nsip_password=\"p\"\nsip_ha1_md5=\"0\"\n", "exclude"),
            ("[[user]]\ntenant=\"a\"\nname=\"x\"\n[[user.device]]\nusername=\"y\"\n", "needs a password"),
            ("[[rate]]\ntenant=\"a\"\nservice=\"sms_out\"\nprice=\"1e3\"\n", "price"),
            ("[[rate]]\ntenant=\"a\"\nservice=\"sms_out\"\nprice=\"1\"\nincrements=\"60\"\n", "increments"),
            ("[[trunk]]\nname=\"t\"\nsources=[\"nowhere\"]\n", "nowhere"),
            ("[[user]]\ntenant=\"a\"\nname=\"x\"\nbalance=\"-1\"\n", "negative"),
        ] {
            assert!(refusal(text).contains(word), "{}", refusal(text));
        }
    }
}
