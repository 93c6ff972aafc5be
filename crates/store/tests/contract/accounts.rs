//! Accounts, numbers, peers, prices: `Accounts`, `Directory`, `Locations`, and what the API does to them.

use std::time::Duration;

use base::{Id, Secret, Timestamp};
use domain::account::{AccountStatus, DeviceMedia};
use domain::number::NumberStatus;
use domain::ports::{Accounts, BindingChange, Directory, Locations, StoredBinding};
use domain::rate::Service;
use domain::rule::RuleKind;
use domain::trunk::{BindType, SourceAddress, TrunkTarget, TrunkTransport};
use store::{
    CarrierData, Credential, DeviceChange, Error, NewDevice, NewUser, NumberChange, NumberFilter, Page, RateData, Role,
    RuleData, TenantChange, TrunkData, UserChange, UserFilter, UserRow, verifiers,
};

use crate::world::{World, e164};

async fn device(w: &World, user: &UserRow, username: &str) -> (store::DeviceRow, Option<Secret>) {
    let new = NewDevice {
        user: user.id,
        username: Some(username.into()),
        label: None,
        media: DeviceMedia::Auto,
        credential: Credential::Minted,
    };
    w.store.create_device(None, &new).await.unwrap()
}

fn suspend() -> UserChange {
    UserChange { status: Some(AccountStatus::Suspended), ..UserChange::default() }
}

pub(crate) async fn t1_credentials_carry_the_realm_and_the_strictest_status(w: World) {
    let tenant = w.tenant("acme").await;
    let user = w.user(tenant.id, "alice").await;
    let (row, password) = device(&w, &user, "alice-phone").await;
    let found = w.store.credentials("alice-phone", "ACME.example").await.unwrap().unwrap();
    assert_eq!((found.device, found.user, found.tenant), (row.id, user.id, tenant.id));
    assert_eq!((found.realm.as_str(), found.status), ("acme.example", AccountStatus::Active));
    assert_eq!(found.verifiers, verifiers("alice-phone", "acme.example", &password.unwrap()));
    assert_eq!(w.store.credentials("alice-phone", "other.example").await, Ok(None));
    assert_eq!(w.store.credentials("bob", "acme.example").await, Ok(None));
    w.store.update_user(None, user.id, &suspend()).await.unwrap();
    let status = async || w.store.credentials("alice-phone", "acme.example").await.unwrap().map(|c| c.status);
    assert_eq!(status().await, Some(AccountStatus::Suspended), "at once in this process");
    let active = UserChange { status: Some(AccountStatus::Active), ..UserChange::default() };
    w.store.update_user(None, user.id, &active).await.unwrap();
    let tenant_off = TenantChange { status: Some(AccountStatus::Suspended), ..TenantChange::default() };
    w.store.update_tenant(tenant.id, &tenant_off).await.unwrap();
    assert_eq!(status().await, Some(AccountStatus::Suspended));
    let facts = w.store.user(user.id).await.unwrap().unwrap();
    assert_eq!(facts.status, AccountStatus::Suspended);
    let device_off = DeviceChange { status: Some(AccountStatus::Suspended), ..DeviceChange::default() };
    w.store.update_device(None, row.id, &device_off).await.unwrap();
    assert!(w.store.user(user.id).await.unwrap().unwrap().devices.is_empty(), "only enabled devices");
    w.store.delete_user(None, user.id).await.unwrap();
    assert_eq!(status().await, None);
}

pub(crate) async fn a_change_in_another_process_shows_after_a_refresh(w: World) {
    let tenant = w.tenant("acme").await;
    let user = w.user(tenant.id, "alice").await;
    let other = w.another().await;
    let status = async || other.user(user.id).await.unwrap().unwrap().status;
    assert_eq!(status().await, AccountStatus::Active);
    assert_eq!(other.user_by_name(tenant.id, "bob").await, Ok(None));
    w.store.update_user(None, user.id, &suspend()).await.unwrap();
    w.user(tenant.id, "bob").await;
    other.refresh().await.unwrap();
    assert_eq!(status().await, AccountStatus::Suspended);
    assert!(other.user_by_name(tenant.id, "bob").await.unwrap().is_some(), "what was not there is not remembered");
}

pub(crate) async fn numbers_lead_to_their_owner_and_active_rules(w: World) {
    let tenant = w.tenant("acme").await;
    let user = w.user(tenant.id, "alice").await;
    let first = w.number(&user, "+15550000001").await;
    let second = w.number(&user, "+15550000002").await;
    let primary = async || w.store.user(user.id).await.unwrap().unwrap().primary_number().cloned();
    assert_eq!(primary().await, Some(e164("+15550000001")));
    let change = NumberChange { primary: true, ..NumberChange::default() };
    w.store.update_number(None, second, &change).await.unwrap();
    assert_eq!(primary().await, Some(e164("+15550000002")));
    let mut rule = RuleData {
        priority: 5,
        kind: RuleKind::ForwardNoAnswer,
        forward_to: Some(e164("+442071234567")),
        timeout_s: Some(20),
        schedule: None,
        active: true,
    };
    let kept = w.store.create_rule(Some(tenant.id), first, &rule).await.unwrap();
    rule = RuleData { priority: 1, kind: RuleKind::Dnd, forward_to: None, timeout_s: None, ..rule };
    let dnd = w.store.create_rule(None, first, &rule).await.unwrap();
    let kinds = async || {
        let number = w.store.number(&e164("+15550000001")).await.unwrap().unwrap();
        number.rules.iter().map(|r| r.kind).collect::<Vec<_>>()
    };
    assert_eq!(kinds().await, [RuleKind::Dnd, RuleKind::ForwardNoAnswer]);
    let inactive = RuleData { active: false, ..rule.clone() };
    w.store.update_rule(None, dnd.rule.id, &inactive).await.unwrap();
    assert_eq!(kinds().await, [RuleKind::ForwardNoAnswer]);
    w.store.delete_rule(None, kept.rule.id).await.unwrap();
    assert!(kinds().await.is_empty());
    let bad = RuleData { kind: RuleKind::ForwardAlways, forward_to: Some(e164("+15550000001")), ..rule };
    assert!(matches!(w.store.create_rule(None, first, &bad).await, Err(Error::Malformed { .. })));
    let facts = w.store.number(&e164("+15550000001")).await.unwrap().unwrap();
    assert_eq!(facts.owner.as_ref().map(|o| o.id), Some(user.id));
    assert_eq!(w.store.number(&e164("+15550000009")).await, Ok(None));
}

fn trunk(name: &str, tenant: Option<Id<base::id::kind::Tenant>>, sources: &[&str]) -> TrunkData {
    let target = TrunkTarget { host: "192.0.2.1".into(), port: 5060, transport: TrunkTransport::Udp };
    TrunkData {
        name: name.into(),
        tenant,
        target: Some(target),
        sources: sources.iter().map(|s| SourceAddress::parse(s).unwrap()).collect(),
        calls_max: None,
        enabled: true,
    }
}

pub(crate) async fn t7_routes_follow_the_longest_prefix_and_the_tenants_own_first(w: World) {
    let (acme, other) = (w.tenant("acme").await, w.tenant("other").await);
    let a = w.store.create_trunk(&trunk("a", None, &["192.0.2.0/24"])).await.unwrap().facts.id;
    let b = w.store.create_trunk(&trunk("b", None, &["192.0.2.7:5062"])).await.unwrap().facts.id;
    let own = w.store.create_trunk(&trunk("own", Some(acme.id), &[])).await.unwrap().facts.id;
    for (tenant, prefix, priority, to) in
        [(None, "", 1, a), (None, "1900", 2, a), (None, "1900", 1, b), (Some(acme.id), "1900", 1, own)]
    {
        w.store.create_trunk_route(tenant, prefix, priority, to).await.unwrap();
    }
    let names = async |tenant, number: &str| {
        let trunks = w.store.trunks_for(tenant, &e164(number)).await.unwrap();
        trunks.iter().map(|t| t.name.clone()).collect::<Vec<_>>()
    };
    assert_eq!(names(other.id, "+19005551234").await, ["b", "a"]);
    assert_eq!(names(acme.id, "+19005551234").await, ["own"]);
    assert_eq!(names(acme.id, "+442071234567").await, ["a"]);
    let disabled = TrunkData { enabled: false, ..trunk("b", None, &["192.0.2.7:5062"]) };
    w.store.update_trunk(b, &disabled).await.unwrap();
    assert_eq!(names(other.id, "+19005551234").await, ["a"]);
    let by_source = async |port| {
        let found = w.store.trunk_by_source("192.0.2.7".parse().unwrap(), port).await.unwrap();
        found.map(|t| t.name.clone())
    };
    assert_eq!(by_source(5062).await.as_deref(), Some("a"), "b is switched off");
    w.store.update_trunk(b, &trunk("b", None, &["192.0.2.7:5062"])).await.unwrap();
    assert_eq!(by_source(5062).await.as_deref(), Some("b"), "the more specific source");
    assert_eq!(by_source(5060).await.as_deref(), Some("a"));
    w.store.delete_trunk(a).await.unwrap();
    assert_eq!(by_source(5060).await, None);
    assert!(names(acme.id, "+442071234567").await.is_empty());
    assert!(matches!(w.store.create_trunk(&trunk("b", None, &["::1"])).await, Err(Error::Conflict(_))));
}

pub(crate) async fn b10_the_longest_prefix_in_force_is_the_price(w: World) {
    let tenant = w.tenant("acme").await;
    let rate = |prefix: &str, price_micros, from: Timestamp| RateData {
        service: Service::VoiceOut,
        prefix: prefix.into(),
        price_micros,
        connect_micros: 0,
        first_increment_s: 60,
        next_increment_s: 6,
        effective_from: from,
    };
    let start = Timestamp::from_millis(0);
    let tomorrow = w.now().after(Duration::from_secs(86_400));
    for data in [rate("", 1, start), rate("44", 2, start), rate("4420", 3, start), rate("4420", 4, tomorrow)] {
        w.store.create_rate(tenant.id, &data).await.unwrap();
    }
    let price = async |number: &str| {
        let found = w.store.rate(tenant.id, Service::VoiceOut, &e164(number)).await.unwrap();
        found.map(|r| r.price_micros)
    };
    assert_eq!(price("+442071234567").await, Some(3));
    assert_eq!(price("+447700900123").await, Some(2));
    assert_eq!(price("+15551234567").await, Some(1));
    w.advance(Duration::from_secs(86_400));
    assert_eq!(price("+442071234567").await, Some(4), "a price comes into force by itself");
    assert_eq!(w.store.rate(tenant.id, Service::SmsOut, &e164("+15551234567")).await, Ok(None));
    let doubled = w.store.create_rate(tenant.id, &rate("+44", 9, start)).await;
    assert!(matches!(doubled, Err(Error::Conflict(_))));
}

pub(crate) async fn d16_a_device_keeps_verifiers_and_shows_its_password_once(w: World) {
    let tenant = w.tenant("acme").await;
    let user = w.user(tenant.id, "alice").await;
    let (row, password) = device(&w, &user, "phone").await;
    let password = password.unwrap();
    assert_eq!(password.expose().len(), 24);
    let columns = sqlx::query("SELECT ha1_md5, ha1_sha256, ha1_sha512_256 FROM devices");
    let stored = columns.fetch_one(&mut w.raw().await).await.unwrap();
    for n in 0..3 {
        let verifier: String = sqlx::Row::get(&stored, n);
        assert!(!verifier.contains(password.expose()) && verifier.len() >= 32);
    }
    let bob = w.user(tenant.id, "bob").await;
    let same = NewDevice {
        user: bob.id,
        username: Some("phone".into()),
        label: None,
        media: DeviceMedia::Rtp,
        credential: Credential::Password(Secret::new("x")),
    };
    assert!(matches!(w.store.create_device(None, &same).await, Err(Error::Conflict(_))), "unique in the domain");
    w.store.delete_device(None, row.id).await.unwrap();
    assert!(w.store.create_device(None, &same).await.is_ok(), "a deleted one leaves its name");
    let made_up = NewDevice { username: None, ..same };
    assert!(w.store.create_device(None, &made_up).await.unwrap().0.username.starts_with("bob-"));
}

pub(crate) async fn d11_logins_are_found_by_address_and_by_name(w: World) {
    let tenant = w.tenant("acme").await;
    let new = NewUser {
        tenant: tenant.id,
        name: "alice".into(),
        domain: None,
        email: Some("Alice@Mail.example".into()),
        display_name: None,
        role: Role::TenantAdmin,
        password: Some(Secret::new("correct horse")),
    };
    let user = w.store.create_user(&new).await.unwrap();
    for login in ["alice@mail.example", " ALICE@mail.example", "alice@ACME.example"] {
        let found = w.store.find_login(login).await.unwrap().unwrap();
        assert_eq!((found.user.id, found.user.role), (user.id, Role::TenantAdmin));
        let hash = found.password_hash;
        assert!(w.store.verify_password(&Secret::new("correct horse"), hash.as_deref()).await.unwrap());
        assert!(!w.store.verify_password(&Secret::new("wrong horse"), hash.as_deref()).await.unwrap());
    }
    assert!(w.store.find_login("nobody@acme.example").await.unwrap().is_none());
    assert!(w.store.find_login("alice").await.unwrap().is_none());
    assert!(matches!(w.store.create_user(&new).await, Err(Error::Conflict(_))));
    w.store.set_password(user.id, &Secret::new("battery staple")).await.unwrap();
    let hash = w.store.find_login("alice@mail.example").await.unwrap().unwrap().password_hash;
    assert!(w.store.verify_password(&Secret::new("battery staple"), hash.as_deref()).await.unwrap());
    assert!(w.store.set_password(user.id, &Secret::new("short")).await.is_err());
}

pub(crate) async fn n8_illegal_steps_of_a_number_are_conflicts(w: World) {
    let tenant = w.tenant("acme").await;
    let user = w.user(tenant.id, "alice").await;
    let number = w.number(&user, "+15550000001").await;
    let to = |status| NumberChange { status: Some(status), ..NumberChange::default() };
    let step = async |status| w.store.update_number(None, number, &to(status)).await.map(|n| n.status);
    assert!(matches!(step(NumberStatus::Porting).await, Err(Error::Conflict(_))));
    assert_eq!(step(NumberStatus::Inactive).await, Ok(NumberStatus::Inactive));
    assert_eq!(step(NumberStatus::Released).await, Ok(NumberStatus::Released));
    assert!(matches!(step(NumberStatus::Active).await, Err(Error::Conflict(_))));
    let facts = w.store.number(&e164("+15550000001")).await.unwrap().unwrap();
    assert_eq!(facts.status, NumberStatus::Released, "what was released last is still known");
    let again = w.number(&user, "+15550000001").await;
    assert_ne!(again, number);
    assert_eq!(w.store.number(&e164("+15550000001")).await.unwrap().unwrap().id, again);
}

pub(crate) async fn w10_nothing_of_another_tenant_is_found(w: World) {
    let (a, b) = (w.tenant("a").await, w.tenant("b").await);
    let bob = w.user(b.id, "bob").await;
    let number = w.number(&bob, "+15550000001").await;
    let (phone, _) = device(&w, &bob, "phone").await;
    let scope = Some(a.id);
    assert_eq!(w.store.find_user(scope, bob.id).await, Err(Error::NotFound("user")));
    assert_eq!(w.store.find_device(scope, phone.id).await, Err(Error::NotFound("device")));
    assert_eq!(w.store.find_number(scope, number).await, Err(Error::NotFound("number")));
    assert_eq!(w.store.find_wallet(scope, bob.wallet).await, Err(Error::NotFound("wallet")));
    assert_eq!(w.store.wallet_of(scope, bob.id).await, Err(Error::NotFound("wallet")));
    assert_eq!(w.store.delete_device(scope, phone.id).await, Err(Error::NotFound("device")));
    assert_eq!(w.store.update_user(scope, bob.id, &suspend()).await, Err(Error::NotFound("user")));
    let change = NumberChange { user: Some(None), ..NumberChange::default() };
    assert_eq!(w.store.update_number(scope, number, &change).await, Err(Error::NotFound("number")));
    assert!(w.store.list_users(scope, &UserFilter::default(), Page::default()).await.unwrap().is_empty());
    assert!(w.store.list_devices(scope, Some(bob.id), Page::default()).await.unwrap().is_empty());
    assert!(w.store.list_numbers(scope, &NumberFilter::default(), Page::default()).await.unwrap().is_empty());
    // A number of one tenant cannot be given to a user of another.
    let alice = w.user(a.id, "alice").await;
    let change = NumberChange { user: Some(Some(alice.id)), ..NumberChange::default() };
    assert_eq!(w.store.update_number(None, number, &change).await, Err(Error::NotFound("user")));
    assert_eq!(w.store.user_by_name(a.id, "bob").await, Ok(None));
}

pub(crate) async fn bindings_survive_a_restart_and_the_last_change_counts(mut w: World) {
    let binding = |key: &str, seconds: u64| StoredBinding {
        user: Id::from_i64(1),
        device: Id::from_i64(2),
        key: key.into(),
        data: format!("{{\"n\":{seconds}}}"),
        expires_at: w.now().after(Duration::from_secs(seconds)),
    };
    let (short, long, moved) = (binding("a", 60), binding("b", 3600), binding("a", 120));
    let gone = BindingChange::Remove { user: Id::from_i64(1), key: "c".into() };
    let changes = [
        BindingChange::Put(short),
        BindingChange::Put(long.clone()),
        BindingChange::Put(moved.clone()),
        BindingChange::Put(binding("c", 60)),
        gone.clone(),
    ];
    w.store.write(&changes).await.unwrap();
    w.crash().await;
    assert_eq!(w.store.load(w.now()).await.unwrap(), [moved, long.clone()]);
    w.advance(Duration::from_secs(120));
    assert_eq!(w.store.bindings_of(Id::from_i64(1), w.now()).await.unwrap(), [long]);
    w.store.write(&[gone, BindingChange::Remove { user: Id::from_i64(1), key: "b".into() }]).await.unwrap();
    assert!(w.store.load(w.now()).await.unwrap().is_empty());
    w.store.write(&[]).await.unwrap();
}

pub(crate) async fn carriers_read_back_their_sealed_password(w: World) {
    let tenant = w.tenant("acme").await;
    let data = CarrierData {
        name: "smsc".into(),
        host: "smsc.example".into(),
        port: 2775,
        system_id: "tandem".into(),
        password: Some(Secret::new("s3cret")),
        system_type: String::new(),
        bind: BindType::Transceiver,
        window: 10,
        submits_per_second: Some(50),
        enabled: true,
    };
    let id = w.store.create_carrier(&data).await.unwrap().facts.id;
    let raw = sqlx::query("SELECT password_sealed FROM carriers").fetch_one(&mut w.raw().await).await.unwrap();
    assert!(!sqlx::Row::get::<String, _>(&raw, 0).contains("s3cret"));
    let keep = CarrierData { password: None, port: 2776, ..data.clone() };
    w.store.update_carrier(id, &keep).await.unwrap();
    let carriers = w.store.carriers().await.unwrap();
    assert_eq!((carriers[0].port, carriers[0].password.expose()), (2776, "s3cret"));
    w.store.create_sms_route(None, "1", 1, id).await.unwrap();
    assert_eq!(w.store.carriers_for(tenant.id, &e164("+15551234567")).await, Ok(vec![id]));
    assert_eq!(w.store.carriers_for(tenant.id, &e164("+442071234567")).await, Ok(vec![]));
    w.store.update_carrier(id, &CarrierData { enabled: false, ..keep }).await.unwrap();
    assert_eq!(w.store.carriers_for(tenant.id, &e164("+15551234567")).await, Ok(vec![]));
    assert!(w.store.create_carrier(&CarrierData { system_id: "x".repeat(16), ..data }).await.is_err());
}

pub(crate) async fn pages_are_stable_and_complete(w: World) {
    let tenant = w.tenant("acme").await;
    let mut ids = Vec::new();
    for n in 0..7 {
        ids.push(w.user(tenant.id, &format!("user{n}")).await.id);
    }
    ids.reverse();
    let (mut seen, mut before) = (Vec::new(), None);
    loop {
        let page = Page { before, limit: 3 };
        let users = w.store.list_users(Some(tenant.id), &UserFilter::default(), page).await.unwrap();
        let Some(last) = users.last() else { break };
        before = Some(last.id.as_i64());
        seen.extend(users.iter().map(|u| u.id));
        // What comes while one reads does not move what one has not read.
        w.user(tenant.id, &format!("late{}", seen.len())).await;
    }
    assert_eq!(seen, ids);
}
