//! REGISTER from outside (T1, T3, SP21, SP27, SP36-SP38; RFC 3261 §10, RFC 7616): baresip over UDP, TCP and TLS, sipp for
//! what a softphone cannot be made to do, sipsak for SHA-256.
#![allow(clippy::unwrap_used)]

mod common;

use std::process::Command;
use std::time::{Duration, Instant};

use common::{SOON, switch, tests};
use serde_json::json;
use testkit::http::Client;
use testkit::manifest::sip_password;
use testkit::sipp::{Sipp, SippSetup};
use testkit::{DOMAIN, Manifest, Switch, tool, until};

const ALICE: &str = "+12025550101";

fn alice() -> Manifest {
    Manifest::new().user("alice", &[ALICE], "1.00")
}

/// The first device of a user, as its owner sees it.
fn device(client: &Client) -> serde_json::Value {
    client.get("/api/v1/device").expect(200)["items"][0].clone()
}

fn register<'a>(switch: &'a Switch, host: u8, user: &str, password: &str, expires_s: u32) -> SippSetup<'a> {
    let contact = format!("<sip:{user}@{}:15060>", switch.place().ip(host));
    let words = [("user", user), ("password", password), ("domain", DOMAIN), ("contact", contact.as_str())];
    SippSetup::new(switch.place(), host, tests(), "register").words(&words).word("expires", &expires_s.to_string())
}

/// Contacts in the final answer of a registration.
fn contacts(sipp: &Sipp) -> Vec<String> {
    let messages = sipp.messages();
    let answer = messages.iter().rev().find(|m| !m.sent && m.first_line().starts_with("SIP/2.0 2")).unwrap();
    let lines = answer.text.lines().filter_map(|line| line.strip_prefix("Contact:"));
    lines.flat_map(|line| line.split(',')).map(|contact| contact.trim().to_owned()).collect()
}

#[test]
fn a_phone_registers_over_udp_tcp_and_tls_and_unregisters() {
    let switch = switch().manifest(alice()).start();
    let client = switch.user("alice");
    assert_eq!(device(&client)["online"], json!(false));
    for (transport, server) in [("udp", switch.sip()), ("tcp", switch.sip()), ("tls", switch.sips())] {
        let phone = switch.phone(20, "alice").registers(server, transport, &sip_password("alice")).start().registered();
        until(&format!("the device is online over {transport}"), Duration::from_secs(2), || {
            device(&client)["online"] == json!(true)
        });
        phone.quit();
        until("the device is offline", SOON, || device(&client)["online"] == json!(false));
    }
}

#[test]
fn rfc3261_10_3_contact_and_expires_come_back_and_a_refresh_replaces() {
    let switch = switch().manifest(alice()).start();
    for expires_s in [300, 200] {
        let mut sipp =
            register(&switch, 20, "alice", &sip_password("alice"), expires_s).word("code", "200").towards(switch.sip());
        sipp.succeeds(SOON);
        let contacts = contacts(&sipp);
        assert_eq!(contacts.len(), 1, "{contacts:?}");
        assert!(contacts[0].contains(&switch.place().ip(20).to_string()), "{contacts:?}");
        let granted: u32 = contacts[0].split("expires=").nth(1).unwrap().trim().parse().unwrap();
        assert!((expires_s - 2..=expires_s).contains(&granted), "{contacts:?}");
    }
}

#[test]
fn rfc3261_10_2_8_a_too_brief_registration_gets_423() {
    let switch = switch().manifest(alice()).start();
    let setup = register(&switch, 20, "alice", &sip_password("alice"), 5).word("code", "423");
    let mut sipp = setup.towards(switch.sip());
    sipp.succeeds(SOON);
    let refusal = sipp.messages().pop().unwrap();
    assert_eq!(refusal.header("Min-Expires"), Some("60"));
}

#[test]
fn several_devices_of_a_user_are_listed_until_each_unregisters() {
    let switch = switch().manifest(alice()).start();
    let mut one = register(&switch, 20, "alice", &sip_password("alice"), 300).word("code", "200").towards(switch.sip());
    one.succeeds(SOON);
    let setup = register(&switch, 21, "alice", &sip_password("alice"), 300).word("code", "200").tcp();
    let mut two = setup.towards(switch.sip());
    two.succeeds(SOON);
    // The connection of the second is closed by now, so its flow may be gone; a third one over UDP must see the first.
    let mut three =
        register(&switch, 22, "alice", &sip_password("alice"), 300).word("code", "200").towards(switch.sip());
    three.succeeds(SOON);
    let all = contacts(&three);
    for host in [20, 22] {
        assert!(all.iter().any(|contact| contact.contains(&switch.place().ip(host).to_string())), "{all:?}");
    }
    let mut gone = register(&switch, 20, "alice", &sip_password("alice"), 0).word("code", "200").towards(switch.sip());
    gone.succeeds(SOON);
    assert!(!contacts(&gone).iter().any(|contact| contact.contains(&switch.place().ip(20).to_string())));
}

#[test]
fn rfc7616_sha_256_alone_is_challenged_and_accepted() {
    let setup = switch();
    let file = setup.place().directory().join("secret");
    std::fs::write(&file, format!("alice:{DOMAIN}:a secret")).unwrap();
    let output = Command::new(tool("openssl")).args(["dgst", "-sha256", "-r"]).arg(&file).output().unwrap();
    let ha1 = String::from_utf8_lossy(&output.stdout).split(' ').next().unwrap().to_owned();
    let keys = format!("sip_ha1_sha256 = \"{ha1}\"\n");
    let switch = setup.manifest(Manifest::new().user_with("alice", &[ALICE], "1.00", &keys)).start();
    let ip = switch.place().ip(20).to_string();
    let run = |password: &str| {
        let mut command = Command::new(tool("sipsak"));
        command.args(["-U", "-vvv", "-x", "120", "-H", &ip, "-u", "alice", "-a", password]);
        // It looks the domain up, so it gets the server's address, which means the default domain.
        command.args(["-s", &format!("sip:alice@{}", switch.sip()), "-C", &format!("sip:alice@{ip}:15060")]);
        let output = command.output().unwrap();
        (output.status.success(), String::from_utf8_lossy(&output.stdout).into_owned())
    };
    let (good, text) = run("a secret");
    assert!(good, "{text}");
    assert!(text.contains("algorithm=SHA-256") && !text.contains("algorithm=MD5"), "{text}");
    let client = switch.user("alice");
    until("the device is online", Duration::from_secs(2), || device(&client)["online"] == json!(true));
    let (good, text) = run("another secret");
    assert!(!good, "{text}");
}

#[test]
fn a_binding_survives_a_restart_and_the_phone_is_called_without_registering_again() {
    let mut switch = switch().manifest(alice().user("bob", &["+12025550102"], "1.00")).start();
    let mut alice = switch.phone(20, "alice").start().registered();
    switch.stop();
    switch.start();
    let mut bob = switch.phone(21, "bob").start().registered();
    bob.dial("alice");
    alice.wait("CALL_INCOMING", SOON);
    alice.accept();
    bob.wait("CALL_ESTABLISHED", SOON);
    bob.hangup();
    alice.wait("CALL_CLOSED", SOON);
}

#[test]
fn a_binding_survives_kill_9() {
    let mut switch = switch().manifest(alice()).start();
    let mut sipp =
        register(&switch, 20, "alice", &sip_password("alice"), 300).word("code", "200").towards(switch.sip());
    sipp.succeeds(SOON);
    // Bindings are written behind the answer; T1 allows a second.
    let client = switch.user("alice");
    until("the binding is written", Duration::from_secs(2), || device(&client)["online"] == json!(true));
    switch.kill();
    switch.start();
    assert_eq!(device(&switch.user("alice"))["online"], json!(true));
}

#[test]
fn a_wrong_password_gets_401_again_and_an_unknown_user_learns_nothing() {
    let switch = switch().manifest(alice()).start();
    for (user, password) in [("alice", "wrong"), ("nobody", "wrong")] {
        let mut sipp = register(&switch, 20, user, password, 300).word("code", "401").towards(switch.sip());
        sipp.succeeds(SOON);
        let refusal = sipp.messages().pop().unwrap();
        assert!(refusal.header("WWW-Authenticate").is_some(), "{}", refusal.text);
    }
    assert_eq!(device(&switch.user("alice"))["online"], json!(false));
}

#[test]
fn an_address_of_record_of_somebody_else_is_refused() {
    let switch = switch().manifest(alice().user("bob", &["+12025550102"], "1.00")).start();
    // Bob's credentials, Alice's address (SP36).
    let setup = register(&switch, 20, "alice", &sip_password("bob"), 300).word("code", "403");
    let scenario = setup.replace_text("authentication username=alice", "authentication username=bob");
    scenario.towards(switch.sip()).succeeds(SOON);
    assert_eq!(device(&switch.user("alice"))["online"], json!(false));
}

#[test]
fn a_suspended_user_is_refused_within_a_second() {
    let switch = switch().manifest(alice()).start();
    let mut sipp =
        register(&switch, 20, "alice", &sip_password("alice"), 300).word("code", "200").towards(switch.sip());
    sipp.succeeds(SOON);
    let admin = switch.admin();
    let users = admin.get("/api/v1/admin/users?limit=200").expect(200);
    let user = users["items"].as_array().unwrap().iter().find(|user| user["name"] == json!("alice")).unwrap();
    let path = format!("/api/v1/admin/users/{}/status", user["id"].as_str().unwrap());
    let answer = admin.send("PUT", &path, &[], Some(&json!({ "status": "suspended" })));
    assert_eq!(answer.status, 200, "{}", answer.body);
    let since = Instant::now();
    until("a suspended user is refused", Duration::from_secs(1), || {
        let mut sipp =
            register(&switch, 20, "alice", &sip_password("alice"), 300).word("code", "403").towards(switch.sip());
        sipp.ends(SOON)
    });
    assert!(since.elapsed() < Duration::from_secs(2));
}
