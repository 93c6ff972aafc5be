//! Provisioning: `Store::provision` brings what is there to what is wanted, once.

use std::time::Instant;

use base::{Currency, Secret};
use domain::account::{AccountStatus, DeviceMedia, Verifiers};
use domain::number::NumberStatus;
use domain::ports::{Accounts, Directory};
use domain::rate::Service;
use domain::rule::RuleKind;
use domain::trunk::{BindType, SourceAddress};
use store::{
    Desired, DesiredCarrier, DesiredCredential, DesiredDevice, DesiredNumber, DesiredRate, DesiredRoute, DesiredTenant,
    DesiredTrunk, DesiredUser, Error, NumberKind, Role, RuleData, UserChange, UserFilter, verifiers,
};

use crate::world::{World, e164};

fn tenant(name: &str) -> DesiredTenant {
    DesiredTenant {
        name: name.into(),
        status: AccountStatus::Active,
        currency: Currency::USD,
        domains: vec![format!("{name}.example")],
        inbound_charged: false,
        refund_undelivered: false,
        secure_media: false,
    }
}

fn user(name: &str) -> DesiredUser {
    DesiredUser {
        tenant: "acme".into(),
        name: name.into(),
        domain: None,
        email: None,
        display_name: None,
        role: Role::User,
        status: None,
        password: None,
        opening_balance_micros: 0,
        devices: vec![DesiredDevice {
            username: name.into(),
            credential: DesiredCredential::Password(Secret::new(format!("{name}-secret"))),
            media: DeviceMedia::Auto,
        }],
    }
}

fn number(number: &str, user: &str) -> DesiredNumber {
    DesiredNumber {
        tenant: "acme".into(),
        user: Some(user.into()),
        number: e164(number),
        kind: NumberKind::Local,
        status: NumberStatus::Active,
        time_zone: "UTC".into(),
        position: 0,
        sms: true,
        rules: vec![],
    }
}

/// Something of everything.
fn everything() -> Desired {
    let rule = RuleData {
        priority: 1,
        kind: RuleKind::ForwardAlways,
        forward_to: Some(e164("+442071234567")),
        timeout_s: None,
        schedule: None,
        active: true,
    };
    let alice = DesiredUser {
        email: Some("alice@mail.example".into()),
        password: Some(Secret::new("correct horse")),
        opening_balance_micros: 5_000_000,
        ..user("alice")
    };
    Desired {
        tenants: vec![tenant("acme")],
        users: vec![alice, user("bob")],
        numbers: vec![
            DesiredNumber { rules: vec![rule], ..number("+15550000001", "alice") },
            number("+15550000002", "bob"),
        ],
        trunks: vec![DesiredTrunk {
            name: "peer".into(),
            tenant: None,
            target: None,
            sources: vec![SourceAddress::parse("192.0.2.0/24").unwrap()],
            calls_max: None,
            enabled: true,
        }],
        routes: vec![DesiredRoute { tenant: None, prefix: "1".into(), to: vec!["peer".into()] }],
        carriers: vec![DesiredCarrier {
            name: "smsc".into(),
            host: "127.0.0.1".into(),
            port: 2775,
            system_id: "tandem".into(),
            password: Secret::new("pa55"),
            system_type: String::new(),
            bind: BindType::Transceiver,
            window: 10,
            submits_per_second: None,
            enabled: true,
        }],
        sms_routes: vec![DesiredRoute { tenant: Some("acme".into()), prefix: "".into(), to: vec!["smsc".into()] }],
        rates: vec![DesiredRate {
            tenant: "acme".into(),
            service: Service::SmsOut,
            prefix: "".into(),
            price_micros: 10_000,
            connect_micros: 0,
            first_increment_s: 60,
            next_increment_s: 60,
            effective_from: base::Timestamp::from_millis(0),
        }],
    }
}

pub(crate) async fn everything_comes_once_and_the_second_time_nothing_changes(w: World) {
    let desired = everything();
    let dry = w.store.provision("a.toml", &desired, true).await.unwrap();
    assert!(!dry.is_empty() && w.store.find_login("alice@mail.example").await.unwrap().is_none());
    let shown = dry.to_string();
    for secret in ["alice-secret", "correct horse", "pa55", "argon2"] {
        assert!(!shown.contains(secret), "{secret} is shown in {shown}");
    }
    w.store.provision("a.toml", &desired, false).await.unwrap();
    let again = w.store.provision("a.toml", &desired, false).await.unwrap();
    assert!(again.is_empty(), "{again}");
    let found = w.store.credentials("alice", "acme.example").await.unwrap().unwrap();
    assert_eq!(found.verifiers, verifiers("alice", "acme.example", &Secret::new("alice-secret")));
    let login = w.store.find_login("alice@mail.example").await.unwrap().unwrap();
    assert!(w.store.verify_password(&Secret::new("correct horse"), login.password_hash.as_deref()).await.unwrap());
    assert_eq!(w.wallet(&login.user).await, (5_000_000, 0));
    let facts = w.store.number(&e164("+15550000001")).await.unwrap().unwrap();
    assert_eq!((facts.owner.as_ref().map(|o| o.name.as_str()), facts.rules.len()), (Some("alice"), 1));
    assert!(w.store.trunk_by_source("192.0.2.9".parse().unwrap(), 1).await.unwrap().is_some());
    let carriers = w.store.carriers().await.unwrap();
    assert_eq!(carriers[0].password.expose(), "pa55");
    assert_eq!(w.store.carriers_for(facts.tenant, &e164("+442071234567")).await, Ok(vec![carriers[0].id]));
    let rate = w.store.rate(facts.tenant, Service::SmsOut, &e164("+15551234567")).await.unwrap();
    assert_eq!(rate.map(|r| r.price_micros), Some(10_000));
    w.check_ledger().await;
}

pub(crate) async fn what_changes_is_said_field_by_field_and_what_leaves_goes(w: World) {
    let mut desired = everything();
    w.store.provision("a.toml", &desired, false).await.unwrap();
    desired.users[0].display_name = Some("Alice".into());
    desired.users[0].password = Some(Secret::new("battery staple"));
    desired.users[0].devices[0].credential =
        DesiredCredential::Verifiers(Verifiers { md5: Some("0".repeat(32)), ..Verifiers::default() });
    desired.users.remove(1);
    desired.numbers.remove(1);
    desired.numbers[0].rules.clear();
    desired.carriers[0].password = Secret::new("other");
    desired.rates[0].price_micros = 20_000;
    desired.trunks.clear();
    desired.routes.clear();
    let said = w.store.provision("a.toml", &desired, false).await.unwrap().to_string();
    for part in ["display_name", "Alice", "- user", "- number", "- trunk", "- rule", "20000"] {
        assert!(said.contains(part), "{part} is missing in {said}");
    }
    let found = w.store.credentials("alice", "acme.example").await.unwrap().unwrap();
    assert_eq!((found.verifiers.md5.clone(), found.verifiers.sha256.clone()), (Some("0".repeat(32)), None));
    assert_eq!(w.store.credentials("bob", "acme.example").await, Ok(None));
    let released = w.store.number(&e164("+15550000002")).await.unwrap().unwrap();
    assert_eq!(released.status, NumberStatus::Released);
    assert!(w.store.number(&e164("+15550000001")).await.unwrap().unwrap().rules.is_empty());
    assert_eq!(w.store.carriers().await.unwrap()[0].password.expose(), "other");
    assert_eq!(w.store.trunk_by_source("192.0.2.9".parse().unwrap(), 1).await, Ok(None));
    let login = w.store.find_login("alice@mail.example").await.unwrap().unwrap();
    assert!(w.store.verify_password(&Secret::new("battery staple"), login.password_hash.as_deref()).await.unwrap());
    assert_eq!(w.wallet(&login.user).await, (5_000_000, 0), "the opening balance is given once");
    assert!(w.store.provision("a.toml", &desired, false).await.unwrap().is_empty());
    w.check_ledger().await;
}

pub(crate) async fn an_object_belongs_to_one_manifest_and_the_api_keeps_off(w: World) {
    let desired = everything();
    w.store.provision("a.toml", &desired, false).await.unwrap();
    let other = Desired { tenants: vec![tenant("acme")], ..Desired::default() };
    assert!(matches!(w.store.provision("b.toml", &other, false).await, Err(Error::Conflict(_))));
    let alice = w.store.find_login("alice@mail.example").await.unwrap().unwrap().user;
    let change = UserChange { role: Some(Role::TenantAdmin), ..UserChange::default() };
    let refused = w.store.update_user(None, alice.id, &change).await;
    assert_eq!(refused, Err(Error::Managed("a.toml".into())));
    // A second manifest may add to a tenant of the first, and leaves its objects alone.
    let more = Desired { users: vec![user("carol")], ..Desired::default() };
    w.store.provision("b.toml", &more, false).await.unwrap();
    assert!(w.store.credentials("alice", "acme.example").await.unwrap().is_some());
    assert!(w.store.credentials("carol", "acme.example").await.unwrap().is_some());
}

pub(crate) async fn what_the_api_made_is_adopted_with_its_id_and_money(w: World) {
    let made = w.tenant("acme").await;
    let alice = w.funded(made.id, "alice", 700).await;
    let desired = Desired { tenants: vec![tenant("acme")], users: vec![user("alice")], ..Desired::default() };
    let said = w.store.provision("a.toml", &desired, false).await.unwrap().to_string();
    assert!(said.contains("~ tenant acme") && said.contains("~ user acme/alice"), "{said}");
    let after = w.store.find_user(Some(made.id), alice.id).await.unwrap();
    assert_eq!((after.managed_by.as_deref(), after.wallet), (Some("a.toml"), alice.wallet));
    assert_eq!(w.wallet(&alice).await, (700, 0));
    assert!(w.store.provision("a.toml", &desired, false).await.unwrap().is_empty());
}

pub(crate) async fn a_user_that_leaves_and_returns_keeps_its_wallet(w: World) {
    let desired = everything();
    w.store.provision("a.toml", &desired, false).await.unwrap();
    let before = w.store.find_login("alice@mail.example").await.unwrap().unwrap().user;
    let without = Desired { users: vec![], numbers: vec![], ..desired.clone() };
    w.store.provision("a.toml", &without, false).await.unwrap();
    assert!(w.store.find_login("alice@mail.example").await.unwrap().is_none());
    w.store.provision("a.toml", &desired, false).await.unwrap();
    let after = w.store.find_login("alice@mail.example").await.unwrap().unwrap().user;
    assert_eq!((after.id, after.wallet), (before.id, before.wallet));
    assert_eq!(w.wallet(&after).await, (5_000_000, 0));
    assert!(w.store.credentials("alice", "acme.example").await.unwrap().is_some());
}

pub(crate) async fn an_opening_balance_that_comes_later_is_said_and_given_once(w: World) {
    let mut desired = Desired { tenants: vec![tenant("acme")], users: vec![user("alice")], ..Desired::default() };
    w.store.provision("a.toml", &desired, false).await.unwrap();
    desired.users[0].opening_balance_micros = 5_000_000;
    let said = w.store.provision("a.toml", &desired, true).await.unwrap().to_string();
    assert!(said.contains("opening balance 5.00"), "{said}");
    w.store.provision("a.toml", &desired, false).await.unwrap();
    assert!(w.store.provision("a.toml", &desired, false).await.unwrap().is_empty());
    let alice = w.store.find_login("alice@acme.example").await.unwrap().unwrap().user;
    assert_eq!(w.wallet(&alice).await, (5_000_000, 0));
    w.check_ledger().await;
}

pub(crate) async fn nothing_is_taken_from_another_tenant_or_user(w: World) {
    let other = w.tenant("other").await;
    let owner = w.user(other.id, "olga").await;
    w.number(&owner, "+15550000001").await;
    let refused = w.store.provision("a.toml", &everything(), false).await;
    assert!(matches!(refused, Err(Error::Conflict(_))), "a number of another tenant: {refused:?}");
    let mut domain = Desired { tenants: vec![tenant("acme")], ..Desired::default() };
    domain.tenants[0].domains = vec!["other.example".into()];
    let refused = w.store.provision("a.toml", &domain, false).await;
    assert!(matches!(refused, Err(Error::Conflict(_))), "a domain of another tenant: {refused:?}");
    let mut desired = Desired { tenants: vec![tenant("acme")], users: vec![user("alice")], ..Desired::default() };
    w.store.provision("a.toml", &desired, false).await.unwrap();
    desired.tenants[0].currency = "EUR".parse().unwrap();
    let refused = w.store.provision("a.toml", &desired, false).await;
    assert!(refused.is_err(), "a tenant's currency is fixed for life: {refused:?}");
}

pub(crate) async fn a_mistake_changes_nothing_and_is_named(w: World) {
    let mut desired = everything();
    desired.numbers[1].user = Some("nobody".into());
    let error = w.store.provision("a.toml", &desired, false).await.unwrap_err().to_string();
    assert!(error.contains("+15550000002"), "{error}");
    assert!(w.store.find_login("alice@mail.example").await.unwrap().is_none());
    let mut twice = everything();
    twice.users.push(user("bob"));
    let error = w.store.provision("a.toml", &twice, false).await.unwrap_err().to_string();
    assert!(error.contains("bob"), "{error}");
    assert!(w.store.list_users(None, &UserFilter::default(), store::Page::default()).await.unwrap().is_empty());
}

pub(crate) async fn ten_thousand_users_come_in_seconds_and_then_nothing_changes(w: World) {
    let users: Vec<_> =
        (0..10_000).map(|n| DesiredUser { opening_balance_micros: 1_000_000, ..user(&format!("user{n}")) }).collect();
    let numbers = (0..10_000).map(|n| number(&format!("+1555{n:07}"), &format!("user{n}"))).collect();
    let desired = Desired { tenants: vec![tenant("acme")], users, numbers, ..Desired::default() };
    let began = Instant::now();
    let first = w.store.provision("big.toml", &desired, false).await.unwrap();
    assert!(began.elapsed().as_secs() < 20, "took {:?} (without optimisation)", began.elapsed());
    assert_eq!(first.added, 30_000 + 2, "tenant, domain; user, device and number of each");
    assert!(w.store.provision("big.toml", &desired, false).await.unwrap().is_empty());
    assert!(w.store.credentials("user9999", "acme.example").await.unwrap().is_some());
    w.check_ledger().await;
}
