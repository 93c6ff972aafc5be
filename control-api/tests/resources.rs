//! The resources themselves: numbers and rules, devices, money, administration, paging, TURN credentials.

#![allow(clippy::unwrap_used)]

mod world;

use std::collections::BTreeSet;
use std::time::Duration;

use base::id::kind::Device;
use base::{Id, Timestamp};
use domain::call_record::{CallDirection, CallEnd, CallParties, CallState};
use domain::ports::{Billing, BindingChange, LegStatistics, Locations, NewCall, StoredBinding};
use reqwest::Method;
use serde_json::{Value, json};
use world::World;

fn items(page: &Value) -> &Vec<Value> {
    page["items"].as_array().unwrap()
}

#[tokio::test]
async fn n1_n5_n6_n7_numbers_are_listed_switched_and_one_is_primary() {
    let world = World::start().await;
    let (token, root) = (world.token(&world.a.user).await, world.token(&world.platform).await);
    let body = json!({ "tenant_id": world.a.tenant.id, "user_id": world.a.user.id, "number": "+441632960001", "type": "mobile" });
    let second = world.post("/api/v1/admin/numbers", &root, &body).await.expect(201);
    world.post("/api/v1/admin/numbers", &root, &body).await.problem(409, "conflict");
    let list = world.get("/api/v1/numbers", &token).await.expect(200);
    let facts: Vec<_> =
        items(&list).iter().map(|n| (n["country"].clone(), n["type"].clone(), n["primary"].clone())).collect();
    assert_eq!(facts, [(json!("GB"), json!("mobile"), json!(false)), (json!("US"), json!("local"), json!(true))]);
    let path = |what: &str| format!("/api/v1/numbers/{}/{what}", second["id"].as_str().unwrap());
    world.send(world.request(Method::PUT, &path("primary"), Some(&token))).await.expect(200);
    let primaries =
        |list: &Value| items(list).iter().filter(|n| n["primary"] == true).map(|n| n["id"].clone()).collect::<Vec<_>>();
    let list = world.get("/api/v1/numbers", &token).await.expect(200);
    assert_eq!(primaries(&list), [second["id"].clone()]);
    let capabilities = world.get(&path("capabilities"), &token).await.expect(200);
    assert_eq!(
        (&capabilities["voice"], &capabilities["sms"], &capabilities["10dlc"]),
        (&json!(true), &json!(true), &json!(false))
    );
    // Off: another one is primary, and exactly one.
    world.call(Method::PUT, &path("status"), &token, &json!({ "status": "inactive" })).await.expect(200);
    let list = world.get("/api/v1/numbers", &token).await.expect(200);
    assert_eq!(primaries(&list), [json!(world.a.number.id)]);
    world.send(world.request(Method::PUT, &path("primary"), Some(&token))).await.problem(409, "conflict");
    world
        .call(Method::PUT, &path("status"), &token, &json!({ "status": "released" }))
        .await
        .problem(422, "invalid_body");
    assert_eq!(items(&world.get("/api/v1/numbers?status=inactive", &token).await.expect(200)).len(), 1);
}

#[tokio::test]
async fn r8_to_r11_rules_are_made_changed_removed_and_shown_in_order() {
    let world = World::start().await;
    let token = world.token(&world.a.user).await;
    let rules = format!("/api/v1/numbers/{}/rules", world.a.number.id);
    let night =
        json!({ "kind": "schedule", "priority": 2, "schedule": { "days": ["mon"], "start": "22:00", "end": "06:00" } });
    world.post(&rules, &token, &night).await.expect(201);
    let busy = json!({ "kind": "forward_busy", "priority": 1, "forward_to": "+15559990000" });
    let busy = world.post(&rules, &token, &busy).await.expect(201);
    let list = world.get(&rules, &token).await.expect(200);
    assert_eq!(
        items(&list).iter().map(|r| r["kind"].as_str().unwrap()).collect::<Vec<_>>(),
        ["forward_busy", "schedule"]
    );
    assert_eq!(list["time_zone"], "UTC");
    let one = format!("{rules}/{}", busy["id"].as_str().unwrap());
    let dnd = json!({ "kind": "dnd", "priority": 9, "active": false });
    assert_eq!(world.call(Method::PUT, &one, &token, &dnd).await.expect(200)["active"], false);
    world.delete(&one, &token).await.expect(204);
    world.delete(&one, &token).await.problem(404, "not_found");
    for (bad, status) in [
        (json!({ "kind": "forward_always" }), 422),
        (json!({ "kind": "forward_no_answer", "forward_to": "+15559990000", "timeout_seconds": 121 }), 422),
        (json!({ "kind": "forward_always", "forward_to": "5559990000" }), 422),
        (json!({ "kind": "schedule", "schedule": { "days": [], "start": "22:00", "end": "06:00" } }), 422),
        (json!({ "kind": "schedule", "schedule": { "days": ["mon"], "start": "22", "end": "06:00" } }), 422),
        (json!({ "kind": "teleport" }), 422),
    ] {
        world.post(&rules, &token, &bad).await.expect(status);
    }
}

#[tokio::test]
async fn r9_forwards_that_come_back_are_refused() {
    let world = World::start().await;
    let (alice, bob) = (world.token(&world.a.user).await, world.token(&world.b.user).await);
    let rules = |number: &store::NumberRow| format!("/api/v1/numbers/{}/rules", number.id);
    let to = |number: &store::NumberRow| json!({ "kind": "forward_always", "forward_to": number.number });
    world.post(&rules(&world.a.number), &alice, &to(&world.a.number)).await.expect(409);
    world.post(&rules(&world.a.number), &alice, &to(&world.b.number)).await.expect(201);
    world.post(&rules(&world.b.number), &bob, &to(&world.a.number)).await.problem(409, "conflict");
    let mut inactive = to(&world.a.number);
    inactive["active"] = json!(false);
    world.post(&rules(&world.b.number), &bob, &inactive).await.expect(201);
}

#[tokio::test]
async fn d12_d13_devices_are_minted_shown_online_and_dropped() {
    let world = World::start().await;
    let token = world.token(&world.a.user).await;
    let made =
        world.post("/api/v1/device/register", &token, &json!({ "label": "desk", "media": "sdes" })).await.expect(201);
    assert_eq!((&made["online"], &made["media"]), (&json!(false), &json!("sdes")));
    let device: Id<Device> = made["id"].as_str().unwrap().parse().unwrap();
    let binding = StoredBinding {
        user: world.a.user.id,
        device,
        key: "k".into(),
        data: "{}".into(),
        expires_at: world.store.now().after(Duration::from_secs(60)),
    };
    world.store.write(&[BindingChange::Put(binding)]).await.unwrap();
    let online = |list: &Value| items(list)[0]["online"].clone();
    assert_eq!(online(&world.get("/api/v1/device", &token).await.expect(200)), true);
    world.clock.pass_s(61);
    assert_eq!(online(&world.get("/api/v1/device", &token).await.expect(200)), false);
    world.delete(&format!("/api/v1/device/{device}"), &token).await.expect(204);
    assert_eq!(world.recorder.dropped.lock().unwrap().as_slice(), [(world.a.user.id, device)]);
    assert!(items(&world.get("/api/v1/device", &token).await.expect(200)).is_empty());
    for _ in 0..10 {
        world.post("/api/v1/device/register", &token, &json!({})).await.expect(201);
    }
    world.post("/api/v1/device/register", &token, &json!({})).await.problem(409, "too_many_devices");
}

#[tokio::test]
async fn ts16_turn_credentials_end_and_match_the_shared_secret() {
    let world = World::start().await;
    let token = world.token(&world.a.user).await;
    let answer = world.get("/api/v1/ice-servers", &token).await.expect(200);
    let turn = &answer["ice_servers"][1];
    let (expiry, user) = turn["username"].as_str().unwrap().split_once(':').unwrap();
    assert_eq!(expiry.parse::<i64>().unwrap(), world.store.now().as_secs() + 43_200);
    assert_eq!(user, world.a.user.id.to_string());
    assert_eq!(turn["credential"].as_str().unwrap().len(), 28, "20 octets in base64");
    assert_eq!(answer["expires_at"], Timestamp::from_millis(expiry.parse::<i64>().unwrap() * 1000).to_string());
}

#[tokio::test]
async fn b1_b3_money_is_moved_with_a_reason_once_per_key_and_stands_in_ledger_and_audit() {
    let world = World::start().await;
    let (token, root) = (world.token(&world.a.user).await, world.token(&world.platform).await);
    let path = format!("/api/v1/admin/users/{}/wallet/adjustments", world.a.user.id);
    let body = json!({ "amount": "12.345678", "reason": "welcome" });
    let keyed = || world.request(Method::POST, &path, Some(&root)).header("Idempotency-Key", "m-1").json(&body);
    world.send(keyed()).await.expect(201);
    world.send(keyed()).await.expect(201);
    let wallet = world.get("/api/v1/wallet", &token).await.expect(200);
    assert_eq!(
        (&wallet["balance"]["amount"], &wallet["available"]["amount"]),
        (&json!("12.345678"), &json!("12.345678"))
    );
    for (amount, status) in [("0", 422), ("1.0000001", 422), ("abc", 422), ("-99", 402)] {
        world.post(&path, &root, &json!({ "amount": amount, "reason": "x" })).await.expect(status);
    }
    world.post(&path, &root, &json!({ "amount": "1", "currency": "EUR", "reason": "x" })).await.expect(422);
    world.post(&path, &root, &json!({ "amount": "-2.345678", "reason": "mistake" })).await.expect(201);
    let list = world.get("/api/v1/transactions", &token).await.expect(200);
    let rows: Vec<_> = items(&list).iter().map(|t| (t["amount"]["amount"].clone(), t["reason"].clone())).collect();
    assert_eq!(rows, [(json!("-2.345678"), json!("mistake")), (json!("12.345678"), json!("welcome"))]);
    assert_eq!(items(&list)[0]["balance_after"]["amount"], "10.00");
    assert_eq!(items(&world.get("/api/v1/transactions?kind=credit", &token).await.expect(200)).len(), 1);
    let audit = world.get("/api/v1/admin/audit?action=wallet.adjust", &root).await.expect(200);
    assert_eq!(items(&audit).len(), 2);
    assert_eq!(items(&audit)[0]["detail"]["reason"], "mistake");
    assert_eq!(items(&audit)[0]["actor_id"], json!(world.platform.id));
    assert!(world.store.verify_ledger().await.unwrap().faults.is_empty());
}

#[tokio::test]
async fn b3_pages_stay_stable_while_rows_arrive() {
    let world = World::start().await;
    for n in 1..=25 {
        world.fund(&world.a.user, n).await;
    }
    let token = world.token(&world.a.user).await;
    let (mut seen, mut cursor) = (vec![], String::new());
    loop {
        let page = world.get(&format!("/api/v1/transactions?limit=10{cursor}"), &token).await.expect(200);
        seen.extend(items(&page).iter().map(|t| t["id"].as_str().unwrap().to_owned()));
        // New rows come in between two pages.
        world.fund(&world.a.user, 1).await;
        match page["next_cursor"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => break,
        }
    }
    assert_eq!(seen.len(), 25);
    assert_eq!(seen.iter().collect::<BTreeSet<_>>().len(), 25, "no row twice");
    assert!(seen.is_sorted_by(|a, b| a > b), "newest first");
}

#[tokio::test]
async fn t23_t24_calls_are_listed_filtered_and_shown_with_their_legs() {
    let world = World::start().await;
    let token = world.token(&world.a.user).await;
    for n in 0..3 {
        call(&world, n).await;
        world.clock.pass_s(60);
    }
    let list = world.get("/api/v1/calls?limit=2", &token).await.expect(200);
    assert_eq!(items(&list).iter().map(|c| c["to"].as_str().unwrap()).collect::<Vec<_>>(), ["+15550002", "+15550001"]);
    let next = list["next_cursor"].as_str().unwrap();
    let rest = world.get(&format!("/api/v1/calls?limit=2&cursor={next}"), &token).await.expect(200);
    assert_eq!((items(&rest).len(), &rest["next_cursor"]), (1, &Value::Null));
    assert_eq!(items(&world.get("/api/v1/calls?number=%2B15550001", &token).await.expect(200)).len(), 1);
    assert!(items(&world.get("/api/v1/calls?direction=inbound", &token).await.expect(200)).is_empty());
    let path = format!("/api/v1/calls/{}", items(&rest)[0]["id"].as_str().unwrap());
    let details = world.get(&path, &token).await.expect(200);
    assert_eq!(
        (&details["status"], &details["duration_s"], &details["q850_cause"]),
        (&json!("completed"), &json!(12), &json!(16))
    );
    assert_eq!((&details["sip_call_id"], &details["legs"][0]["packets_lost"]), (&json!("trace-0"), &json!(3)));
    let other = world.token(&world.b.user).await;
    world.get(&path, &other).await.problem(404, "not_found");
    assert!(items(&world.get("/api/v1/calls", &other).await.expect(200)).is_empty());
    let figures = world.get("/api/v1/user/profile", &token).await.expect(200)["figures"].clone();
    assert_eq!((&figures["calls"], &figures["talked_s"]), (&json!(3), &json!(36)));
}

async fn call(world: &World, n: u32) {
    let now = world.store.now();
    let parties = CallParties {
        call: world.store.new_id(),
        sip_call_id: format!("trace-{n}"),
        tenant: world.a.tenant.id,
        user: Some(world.a.user.id),
        callee_user: None,
        device: None,
        direction: CallDirection::Outbound,
        from: "+15550101".into(),
        to: format!("+1555000{n}"),
        trunk_in: None,
        started_at: now,
    };
    let new = NewCall { parties: parties.clone(), hold: None, rate: None, ttl: Duration::from_secs(60) };
    world.store.open_call(new).await.unwrap();
    world.store.progress_call(parties.call, CallState::Answered, now).await.unwrap();
    let end = CallEnd {
        state: CallState::Completed,
        cause: "normal".into(),
        sip_status: 200,
        q850: 16,
        ended_by: "caller".into(),
        answered_at: Some(now),
        ended_at: now.after(Duration::from_secs(12)),
        talked_s: 12,
        billed_s: 12,
        trunk_out: None,
        forwarded_to: None,
        price: None,
        legs: vec![LegStatistics { packets_lost: 3, ..LegStatistics::default() }],
    };
    world.store.settle_call(&parties, None, &end).await.unwrap();
}

#[tokio::test]
async fn administration_makes_everything_that_a_call_and_a_text_need() {
    let world = World::start().await;
    let root = world.token(&world.platform).await;
    let admin = |path: &str| format!("/api/v1/admin/{path}");
    let tenant = json!({ "name": "fresh", "currency": "USD", "domains": ["fresh.example"] });
    let tenant = world.post(&admin("tenants"), &root, &tenant).await.expect(201)["id"].clone();
    let user =
        json!({ "tenant_id": tenant, "name": "carol", "password": world::PASSWORD, "email": "Carol@Fresh.example" });
    let user = world.post(&admin("users"), &root, &user).await.expect(201)["id"].clone();
    let device = json!({ "user_id": user, "username": "carol" });
    assert!(!world.post(&admin("devices"), &root, &device).await.expect(201)["secret"].as_str().unwrap().is_empty());
    world.post(&admin("devices"), &root, &device).await.problem(409, "conflict");
    let number = json!({ "tenant_id": tenant, "user_id": user, "number": "+15557770001" });
    world.post(&admin("numbers"), &root, &number).await.expect(201);
    let trunk = json!({ "name": "t", "host": "sip.example", "transport": "tls", "sources": ["192.0.2.0/24"] });
    let trunk = world.post(&admin("trunks"), &root, &trunk).await.expect(201);
    assert_eq!(trunk["port"], 5061);
    let trunk_path = admin(&format!("trunks/{}", trunk["id"].as_str().unwrap()));
    let changed = json!({ "name": "t2", "sources": ["192.0.2.1:5062"], "enabled": false });
    let changed = world.call(Method::PUT, &trunk_path, &root, &changed).await.expect(200);
    assert_eq!((&changed["host"], &changed["sources"]), (&Value::Null, &json!(["192.0.2.1:5062"])));
    let carrier = json!({ "name": "c", "host": "smsc.example", "system_id": "me", "password": "pw" });
    let carrier = world.post(&admin("carriers"), &root, &carrier).await.expect(201);
    assert!(carrier.get("password").is_none());
    let route = json!({ "prefix": "1", "trunk_id": trunk["id"] });
    let route = world.post(&admin("trunk-routes"), &root, &route).await.expect(201);
    world.delete(&admin(&format!("trunk-routes/{}", route["id"].as_str().unwrap())), &root).await.expect(204);
    let route = json!({ "prefix": "1", "carrier_id": carrier["id"] });
    world.post(&admin("sms-routes"), &root, &route).await.expect(201);
    for service in ["voice_out", "sms_out"] {
        let rate = json!({ "tenant_id": tenant, "service": service, "prefix": "1", "price": "0.01" });
        world.post(&admin("rates"), &root, &rate).await.expect(201);
    }
    let rates = world.get(&admin("rates?service=sms_out"), &root).await.expect(200);
    assert_eq!((&items(&rates)[0]["price"], &items(&rates)[0]["currency"]), (&json!("0.01"), &json!("USD")));
    let path = admin(&format!("users/{}/wallet/adjustments", user.as_str().unwrap()));
    world.post(&path, &root, &json!({ "amount": "1.00", "reason": "start" })).await.expect(201);
    // The new user logs in by e-mail and texts.
    let login = world.log_in("carol@fresh.example", world::PASSWORD).await.expect(200);
    let token = login["access_token"].as_str().unwrap();
    let text = json!({ "from": "+15557770001", "to": "+15559876543", "text": "Hi" });
    assert_eq!(world.post("/api/v1/sms/send", token, &text).await.expect(202)["price"]["amount"], "0.01");
    // And is gone with all that is hers.
    let path = admin(&format!("users/{}", user.as_str().unwrap()));
    world.delete(&path, &root).await.expect(204);
    world.get("/api/v1/wallet", token).await.problem(401, "unauthenticated");
    world.get(&path, &root).await.problem(404, "not_found");
    world.delete(&trunk_path, &root).await.expect(204);
    world.delete(&admin(&format!("carriers/{}", carrier["id"].as_str().unwrap())), &root).await.expect(204);
    world.delete(&admin(&format!("tenants/{}", tenant.as_str().unwrap())), &root).await.expect(204);
    let audit = world.get(&admin("audit?limit=200"), &root).await.expect(200);
    let text = audit.to_string();
    assert!(!text.contains("pw\"") && !text.contains(world::PASSWORD), "no secret in the audit log");
    for action in ["tenant.create", "user.create", "device.create", "number.create", "trunk.update", "carrier.create"] {
        assert!(text.contains(action), "{action} is not in the audit log");
    }
}

#[tokio::test]
async fn null_takes_away_and_what_is_left_out_stays() {
    let world = World::start().await;
    let admin = world.token(&world.a.admin).await;
    let path = format!("/api/v1/admin/users/{}", world.a.user.id);
    let set = json!({ "email": "alice@mail.example", "display_name": "Alice" });
    world.call(Method::PATCH, &path, &admin, &set).await.expect(200);
    let row = world.call(Method::PATCH, &path, &admin, &json!({ "display_name": null })).await.expect(200);
    assert_eq!((&row["email"], &row["display_name"]), (&json!("alice@mail.example"), &Value::Null));
    world.log_in("alice@mail.example", world::PASSWORD).await.expect(200);
}
