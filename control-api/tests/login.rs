//! D2-D4: logging in, rotating refresh tokens, logging out.

#![allow(clippy::unwrap_used)]

mod world;

use reqwest::Method;
use serde_json::{Value, json};
use world::{PASSWORD, World};

async fn refresh(world: &World, token: &Value) -> world::Answer {
    let body = json!({ "refresh_token": token });
    world.send(world.request(Method::POST, "/api/v1/auth/refresh", None).json(&body)).await
}

#[tokio::test]
async fn d2_one_answer_has_tokens_sip_credentials_and_turn_credentials() {
    let world = World::start().await;
    let body = json!({ "login": "alice@a.example", "password": PASSWORD, "device": { "label": "phone" } });
    let answer = world.send(world.request(Method::POST, "/api/v1/auth/login", None).json(&body)).await.expect(200);
    let token = answer["access_token"].as_str().unwrap();
    assert_eq!((&answer["token_type"], &answer["expires_in"]), (&json!("Bearer"), &json!(900)));
    assert_eq!(answer["sip"]["address_of_record"], "sip:alice@a.example");
    assert_eq!(answer["sip"]["uris"][0], "sips:sip.a.example");
    assert!(answer["sip"]["device"]["secret"].as_str().unwrap().len() >= 20);
    assert_eq!(answer["sip"]["device"]["realm"], "a.example");
    assert_eq!(answer["ice"]["ice_servers"][1]["urls"][0], "turn:192.0.2.1:3478?transport=udp");
    // The secret is shown once.
    let list = world.get("/api/v1/device", token).await.expect(200);
    assert_eq!(list["items"].as_array().unwrap().len(), 1);
    assert!(list["items"][0].get("secret").is_none());
    assert_eq!(world.get("/api/v1/user/profile", token).await.expect(200)["name"], "alice");
}

#[tokio::test]
async fn a_wrong_password_and_an_unknown_login_are_answered_alike() {
    let world = World::start().await;
    let wrong = world.log_in("alice@a.example", "wrong horse").await.problem(401, "invalid_credentials");
    let unknown = world.log_in("nobody@a.example", PASSWORD).await.problem(401, "invalid_credentials");
    assert_eq!(wrong["detail"], unknown["detail"]);
}

#[tokio::test]
async fn d4_a_refresh_token_is_good_once_and_its_reuse_ends_the_family() {
    let world = World::start().await;
    let first = world.log_in("alice@a.example", PASSWORD).await.expect(200);
    let other = world.log_in("alice@a.example", PASSWORD).await.expect(200);
    let second = refresh(&world, &first["refresh_token"]).await.expect(200);
    assert_ne!(first["refresh_token"], second["refresh_token"]);
    let token = second["access_token"].as_str().unwrap();
    world.get("/api/v1/wallet", token).await.expect(200);
    // Somebody uses the first one again: the newest dies with it, the other login does not.
    refresh(&world, &first["refresh_token"]).await.problem(401, "invalid_refresh_token");
    refresh(&world, &second["refresh_token"]).await.problem(401, "invalid_refresh_token");
    world.get("/api/v1/wallet", token).await.problem(401, "unauthenticated");
    refresh(&world, &other["refresh_token"]).await.expect(200);
    refresh(&world, &json!("made up")).await.problem(401, "invalid_refresh_token");
}

#[tokio::test]
async fn d4_access_ends_after_15_minutes_and_refresh_after_7_days() {
    let world = World::start().await;
    let login = world.log_in("alice@a.example", PASSWORD).await.expect(200);
    let token = login["access_token"].as_str().unwrap();
    world.clock.pass_s(899);
    world.get("/api/v1/wallet", token).await.expect(200);
    world.clock.pass_s(1);
    world.get("/api/v1/wallet", token).await.problem(401, "token_expired");
    world.clock.pass_s(7 * 24 * 3600 - 1000);
    let next = refresh(&world, &login["refresh_token"]).await.expect(200);
    world.clock.pass_s(7 * 24 * 3600);
    refresh(&world, &next["refresh_token"]).await.problem(401, "invalid_refresh_token");
}

#[tokio::test]
async fn of_parallel_refreshes_with_one_token_at_most_one_wins() {
    let world = World::start().await;
    let login = world.log_in("alice@a.example", PASSWORD).await.expect(200);
    let tries = (0..8).map(|_| {
        let body = json!({ "refresh_token": login["refresh_token"] });
        world.request(Method::POST, "/api/v1/auth/refresh", None).json(&body).send()
    });
    let mut won = 0;
    for task in tries.map(tokio::spawn).collect::<Vec<_>>() {
        won += usize::from(task.await.unwrap().unwrap().status().is_success());
    }
    assert_eq!(won, 1);
}

#[tokio::test]
async fn d3_logout_kills_the_refresh_token_and_the_device_of_the_login() {
    let world = World::start().await;
    let body = json!({ "login": "alice@a.example", "password": PASSWORD, "device": {} });
    let login = world.send(world.request(Method::POST, "/api/v1/auth/login", None).json(&body)).await.expect(200);
    let token = login["access_token"].as_str().unwrap();
    world.post("/api/v1/auth/logout", token, &json!({})).await.expect(204);
    refresh(&world, &login["refresh_token"]).await.problem(401, "invalid_refresh_token");
    world.get("/api/v1/device", token).await.problem(401, "unauthenticated");
    let again = world.token(&world.a.user).await;
    assert_eq!(world.get("/api/v1/device", &again).await.expect(200)["items"], json!([]));
    let dropped = world.recorder.dropped.lock().unwrap().clone();
    assert_eq!(dropped.len(), 1);
    assert_eq!(json!(dropped[0].1), login["sip"]["device"]["id"]);
}

#[tokio::test]
async fn a_suspended_user_is_out_at_once() {
    let world = World::start().await;
    let login = world.log_in("alice@a.example", PASSWORD).await.expect(200);
    let token = login["access_token"].as_str().unwrap();
    let admin = world.token(&world.a.admin).await;
    let path = format!("/api/v1/admin/users/{}/status", world.a.user.id);
    world.call(Method::PUT, &path, &admin, &json!({ "status": "suspended" })).await.expect(200);
    world.get("/api/v1/wallet", token).await.problem(401, "unauthenticated");
    refresh(&world, &login["refresh_token"]).await.problem(401, "invalid_refresh_token");
    world.log_in("alice@a.example", PASSWORD).await.problem(403, "account_suspended");
    world.call(Method::PUT, &path, &admin, &json!({ "status": "active" })).await.expect(200);
    world.get("/api/v1/wallet", token).await.problem(401, "unauthenticated");
    let again = world.token(&world.a.user).await;
    world.get("/api/v1/wallet", &again).await.expect(200);
}

#[tokio::test]
async fn a_suspended_tenant_takes_its_users_with_it() {
    let world = World::start().await;
    let (alice, root) = (world.token(&world.b.user).await, world.token(&world.platform).await);
    let path = format!("/api/v1/admin/tenants/{}", world.b.tenant.id);
    world.call(Method::PATCH, &path, &root, &json!({ "status": "suspended" })).await.expect(200);
    world.get("/api/v1/wallet", &alice).await.problem(403, "account_suspended");
}

#[tokio::test]
async fn a_new_password_ends_every_login() {
    let world = World::start().await;
    let login = world.log_in("alice@a.example", PASSWORD).await.expect(200);
    let token = login["access_token"].as_str().unwrap();
    let body = |current: &str, new: &str| json!({ "current": current, "new": new });
    let path = "/api/v1/user/password";
    world.call(Method::PUT, path, token, &body("wrong", "battery staple")).await.problem(401, "invalid_credentials");
    world.call(Method::PUT, path, token, &body(PASSWORD, "short")).await.problem(422, "invalid_body");
    world.call(Method::PUT, path, token, &body(PASSWORD, "battery staple")).await.expect(204);
    refresh(&world, &login["refresh_token"]).await.problem(401, "invalid_refresh_token");
    world.log_in("alice@a.example", PASSWORD).await.problem(401, "invalid_credentials");
    world.log_in("alice@a.example", "battery staple").await.expect(200);
}
