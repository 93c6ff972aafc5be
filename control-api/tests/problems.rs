//! RFC 9457: whatever is wrong with a request, the answer is a problem document with a stable code.

#![allow(clippy::unwrap_used)]

mod world;

use control_api::Config;
use reqwest::Method;
use serde_json::json;
use world::{World, unlimited};

const SEND: &str = "/api/v1/sms/send";

async fn raw(world: &World, token: &str, kind: &str, body: impl Into<reqwest::Body>) -> world::Answer {
    world.send(world.request(Method::POST, SEND, Some(token)).header("Content-Type", kind).body(body)).await
}

#[tokio::test]
async fn bad_bodies_are_told_apart_and_name_the_field() {
    let world = World::start().await;
    let token = world.token(&world.a.user).await;
    let json = "application/json";
    let twice = r#"{"from":"+1555","to":"+1556","text":"x"}{}"#;
    for malformed in ["", "{", "nonsense", twice, "{\"from\":\"+1\",}"] {
        raw(&world, &token, json, malformed).await.problem(400, "malformed_json");
    }
    for (body, field, detail) in [
        (r#"{"from":"+15550101","to":"+15550102","text":"x","colour":1}"#, "/colour", "unknown field"),
        (r#"{"from":"+15550101","to":"+15550102"}"#, "/text", "needed"),
        (r#"{"from":15550101,"to":"+15550102","text":"x"}"#, "/from", "invalid type"),
        (r#"["+15550101","+15550102","x"]"#, "", "object"),
    ] {
        let problem = raw(&world, &token, json, body).await.problem(422, "invalid_body");
        assert_eq!(problem["errors"][0]["field"], field, "{problem}");
        assert!(problem["errors"][0]["detail"].as_str().unwrap().contains(detail), "{problem}");
    }
    raw(&world, &token, "text/plain", "{}").await.problem(415, "unsupported_media_type");
    raw(&world, &token, json, "x".repeat(1_048_577)).await.problem(413, "body_too_large");
}

#[tokio::test]
async fn nested_fields_are_named_by_json_pointer() {
    let world = World::start().await;
    let token = world.token(&world.platform).await;
    let body = json!({ "name": "t", "sources": ["192.0.2.1", "nonsense"] });
    let problem = world.post("/api/v1/admin/trunks", &token, &body).await.problem(422, "invalid_body");
    assert_eq!(problem["errors"][0]["field"], "/sources/1");
    let body = json!({ "name": "t", "sources": ["192.0.2.1", 5] });
    let problem = world.post("/api/v1/admin/trunks", &token, &body).await.problem(422, "invalid_body");
    assert_eq!(problem["errors"][0]["field"], "/sources/1");
}

#[tokio::test]
async fn unknown_paths_wrong_methods_and_bad_ids_are_problems() {
    let world = World::start().await;
    let token = world.token(&world.a.user).await;
    world.get("/api/v1/nothing", &token).await.problem(404, "not_found");
    world.get("/", &token).await.problem(404, "not_found");
    let wrong = world.delete("/api/v1/wallet", &token).await;
    assert!(wrong.headers["allow"].to_str().unwrap().contains("GET"), "{:?}", wrong.headers);
    wrong.problem(405, "method_not_allowed");
    for id in ["1", "0000000000000", "not-an-id-at-all", "%00"] {
        world.get(&format!("/api/v1/calls/{id}"), &token).await.problem(404, "not_found");
    }
}

#[tokio::test]
async fn query_parameters_are_strict() {
    let world = World::start().await;
    let token = world.token(&world.a.user).await;
    for (query, field) in [
        ("limit=0", "limit"),
        ("limit=201", "limit"),
        ("limit=x", "limit"),
        ("cursor=zzz", "cursor"),
        ("status=lost", "status"),
        ("from=yesterday", "from"),
        ("colour=red", "colour"),
    ] {
        let problem = world.get(&format!("/api/v1/calls?{query}"), &token).await.problem(400, "invalid_parameter");
        assert_eq!(problem["errors"][0]["field"], field, "{problem}");
    }
    world.get("/api/v1/calls?from=2026-01-01&to=2026-01-02T00:00:00Z&direction=outbound", &token).await.expect(200);
}

#[tokio::test]
async fn a_request_id_is_taken_over_when_it_is_harmless() {
    let world = World::start().await;
    let token = world.token(&world.a.user).await;
    let with = |id: &str| world.request(Method::GET, "/api/v1/wallet", Some(&token)).header("X-Request-Id", id);
    assert_eq!(world.send(with("abc-1")).await.headers["x-request-id"], "abc-1");
    assert_ne!(world.send(with("a b\"c")).await.headers["x-request-id"], "a b\"c");
}

#[tokio::test]
async fn d20_the_101st_request_of_a_minute_is_told_when_to_come_back() {
    let world = World::with(Config { requests_per_minute_user: 100, ..unlimited() }).await;
    let token = world.token(&world.a.user).await;
    for _ in 0..100 {
        world.get("/api/v1/wallet", &token).await.expect(200);
    }
    let refused = world.get("/api/v1/wallet", &token).await;
    let seconds: u64 = refused.headers["retry-after"].to_str().unwrap().parse().unwrap();
    assert!((1..=60).contains(&seconds));
    refused.problem(429, "rate_limited");
    let other = world.token(&world.b.user).await;
    world.get("/api/v1/wallet", &other).await.expect(200);
}

#[tokio::test]
async fn guessing_passwords_is_slowed_down_by_login_name() {
    let world = World::with(Config { logins_per_minute: 5, ..unlimited() }).await;
    for _ in 0..5 {
        world.log_in("alice@a.example", "guess number n").await.problem(401, "invalid_credentials");
    }
    world.log_in("ALICE@a.example", world::PASSWORD).await.problem(429, "rate_limited");
    world.log_in("alice@b.example", world::PASSWORD).await.expect(200);
}

#[tokio::test]
async fn requests_without_a_token_are_limited_by_address() {
    let world = World::with(Config { requests_per_minute_address: 3, ..unlimited() }).await;
    for _ in 0..3 {
        world.send(world.request(Method::GET, "/openapi.json", None)).await.expect(200);
    }
    world.send(world.request(Method::GET, "/openapi.json", None)).await.problem(429, "rate_limited");
    // A made-up token is none.
    world.send(world.request(Method::GET, "/openapi.json", Some("a.b.c"))).await.problem(429, "rate_limited");
}

#[tokio::test]
async fn a_stop_lets_the_address_go() {
    let world = World::start().await;
    let token = world.token(&world.a.user).await;
    let request = world.request(Method::GET, "/api/v1/wallet", Some(&token));
    world.stop().await;
    assert!(request.send().await.is_err());
}

/// RFC 9113 §3.4: after the client's preface the server speaks HTTP/2 on the same port; its first frame is SETTINGS.
#[tokio::test]
async fn rfc9113_3_4_http_2_with_prior_knowledge_is_served_on_the_same_port() {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let world = World::start().await;
    let mut stream = tokio::net::TcpStream::connect(world.address()).await.unwrap();
    stream.write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0").await.unwrap();
    let mut head = [0u8; 9];
    stream.read_exact(&mut head).await.unwrap();
    assert_eq!(head[3], 4, "a SETTINGS frame");
}

#[tokio::test]
async fn an_address_behind_a_proxy_counts_only_when_the_proxy_is_trusted() {
    let ask = async |world: &World, from: &str| {
        let request = world.request(Method::GET, "/docs", None).header("X-Forwarded-For", from);
        world.send(request).await.status
    };
    let limit = Config { requests_per_minute_address: 1, ..unlimited() };
    let trusting = Config { trusted_proxies: vec!["127.0.0.1".parse().unwrap()], ..limit.clone() };
    let world = World::with(trusting).await;
    assert_eq!(ask(&world, "198.51.100.1").await, 200);
    // What stands before the proxy's own entry is the client's word.
    assert_eq!(ask(&world, "203.0.113.9, 198.51.100.1").await, 429);
    assert_eq!(ask(&world, "198.51.100.2").await, 200);
    let world = World::with(limit).await;
    assert_eq!(ask(&world, "198.51.100.1").await, 200);
    assert_eq!(ask(&world, "198.51.100.2").await, 429);
}

#[tokio::test]
async fn a_tenant_that_does_not_exist_is_a_wrong_field() {
    let world = World::start().await;
    let token = world.token(&world.platform).await;
    let body = json!({ "name": "t", "host": "sip.example", "tenant_id": "0000000000001" });
    let problem = world.post("/api/v1/admin/trunks", &token, &body).await.problem(422, "invalid_body");
    assert_eq!(problem["errors"][0]["field"], "/tenant_id");
}
