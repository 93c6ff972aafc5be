//! Logs tell what happened and never whose numbers, words, passwords or tokens it was about.

#![allow(clippy::unwrap_used)]

mod world;

use std::io::Write;
use std::sync::{Arc, Mutex};

use reqwest::Method;
use serde_json::json;
use world::{PASSWORD, World};

#[derive(Clone, Default)]
struct Memory(Arc<Mutex<Vec<u8>>>);

impl Write for Memory {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }
    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[tokio::test]
async fn nothing_personal_and_no_secret_is_logged_at_any_level() {
    let memory = Memory::default();
    let writer = memory.clone();
    let lines = tracing_subscriber::fmt().with_max_level(tracing_subscriber::filter::LevelFilter::TRACE);
    lines.with_writer(move || writer.clone()).with_ansi(false).init();
    let world = World::start().await;
    world.can_text().await;
    world.fund(&world.a.user, 1_000_000).await;
    let login = world.log_in("alice@a.example", PASSWORD).await.expect(200);
    let token = login["access_token"].as_str().unwrap().to_owned();
    world.log_in("alice@a.example", "my other password").await.expect(401);
    let refresh = json!({ "refresh_token": login["refresh_token"] });
    for _ in 0..2 {
        world.send(world.request(Method::POST, "/api/v1/auth/refresh", None).json(&refresh)).await;
    }
    let token =
        if world.get("/api/v1/wallet", &token).await.status == 200 { token } else { world.token(&world.a.user).await };
    let text = json!({ "from": world.a.number.number, "to": "+15559876543", "text": "meet me at noon" });
    world.post("/api/v1/sms/send", &token, &text).await.expect(202);
    world.get("/api/v1/sms?number=%2B15559876543", &token).await.expect(200);
    let device = world.post("/api/v1/device/register", &token, &json!({})).await.expect(201);
    let log = String::from_utf8(memory.0.lock().unwrap().clone()).unwrap();
    assert!(log.contains("/api/v1/sms/send") && log.contains("status=202"), "{log}");
    for secret in [
        PASSWORD,
        "my other password",
        "meet me at noon",
        "15559876543",
        "15550101",
        login["refresh_token"].as_str().unwrap(),
        &token,
        device["secret"].as_str().unwrap(),
        "north",
    ] {
        // What the test's own HTTP client logs is not ours.
        let ours = log.lines().filter(|l| !l.contains("hyper") && !l.contains("reqwest"));
        let found: Vec<&str> = ours.filter(|l| l.contains(secret)).collect();
        assert!(found.is_empty(), "{secret} is logged: {found:?}");
    }
}
