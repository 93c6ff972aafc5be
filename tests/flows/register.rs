//! REGISTER from outside (T1, T3, SP21, SP27, SP36-SP38; RFC 3261 §10, RFC 7616): baresip over UDP, TCP and TLS, sipp for
//! what a softphone cannot be made to do, the digest of the crate rsip for SHA-256.
#![allow(clippy::unwrap_used)]

mod common;

use std::io::Write;
use std::net::UdpSocket;
use std::process::{Command, Stdio};
use std::time::Duration;

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

/// Registers Alice from a plain socket with a digest that the crate rsip computes; neither sipp nor baresip of Debian 12
/// knows SHA-256. Returns the statuses of both answers and the algorithms of the challenge.
fn register_by_rsip(switch: &Switch, password: &str) -> (Vec<String>, String) {
    let socket = UdpSocket::bind((switch.place().ip(20), 15_060)).unwrap();
    socket.set_read_timeout(Some(SOON)).unwrap();
    let ip = switch.place().ip(20);
    let (mut statuses, mut challenge, mut authorization) = (Vec::new(), String::new(), String::new());
    for sequence in 1..=2 {
        let request = format!(
            "REGISTER sip:{DOMAIN} SIP/2.0\r\nVia: SIP/2.0/UDP {ip}:15060;branch=z9hG4bK{sequence}{password}\r\n\
             From: <sip:alice@{DOMAIN}>;tag=1\r\nTo: <sip:alice@{DOMAIN}>\r\nCall-ID: {password}@{ip}\r\n\
             CSeq: {sequence} REGISTER\r\nContact: <sip:alice@{ip}:15060>\r\nMax-Forwards: 70\r\n{authorization}\
             Content-Length: 0\r\n\r\n"
        );
        socket.send_to(request.as_bytes(), switch.sip()).unwrap();
        let mut buffer = [0; 4_096];
        let length = socket.recv(&mut buffer).expect("an answer");
        let answer = String::from_utf8_lossy(&buffer[..length]).into_owned();
        statuses.push(answer.split(' ').nth(1).unwrap().to_owned());
        let challenges = answer.lines().filter(|line| line.starts_with("WWW-Authenticate:"));
        if sequence == 1 {
            challenge = challenges.collect();
            let nonce = challenge.split("nonce=\"").nth(1).unwrap().split('"').next().unwrap();
            let uri: rsip::Uri = format!("sip:{DOMAIN}").try_into().unwrap();
            let response = rsip::services::DigestGenerator {
                username: "alice",
                password,
                nonce,
                uri: &uri,
                realm: DOMAIN,
                method: &rsip::Method::Register,
                qop: Some(&rsip::headers::auth::AuthQop::Auth { cnonce: "c".into(), nc: 1 }),
                algorithm: rsip::headers::auth::Algorithm::Sha256,
            };
            authorization = format!(
                "Authorization: Digest username=\"alice\", realm=\"{DOMAIN}\", nonce=\"{nonce}\", uri=\"sip:{DOMAIN}\", \
                 response=\"{}\", algorithm=SHA-256, cnonce=\"c\", qop=auth, nc=00000001\r\n",
                response.compute()
            );
        }
    }
    (statuses, challenge)
}

#[test]
fn rfc7616_sha_256_alone_is_challenged_and_accepted() {
    // The digests of "alice:phones.test:secret" under SHA-256.
    let ha1 = sha_256(&format!("alice:{DOMAIN}:secret"));
    let keys = format!("sip_ha1_sha256 = \"{ha1}\"\n");
    let switch = switch().manifest(Manifest::new().user_with("alice", &[ALICE], "1.00", &keys)).start();
    let (statuses, challenge) = register_by_rsip(&switch, "wrong");
    assert_eq!(statuses, ["401", "401"]);
    assert!(challenge.contains("algorithm=SHA-256") && !challenge.contains("MD5"), "{challenge}");
    assert_eq!(register_by_rsip(&switch, "secret").0, ["401", "200"]);
    let client = switch.user("alice");
    until("the device is online", Duration::from_secs(2), || device(&client)["online"] == json!(true));
}

/// By the system's own tool.
fn sha_256(text: &str) -> String {
    let mut child =
        Command::new(tool("sha256sum")).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("sha256sum starts");
    child.stdin.take().unwrap().write_all(text.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    String::from_utf8_lossy(&output.stdout).split(' ').next().unwrap().to_owned()
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
    let admin = switch.admin();
    // What a manifest brought is changed there only, so this user comes by the API.
    let tenants = admin.get("/api/v1/admin/tenants").expect(200);
    let tenant = tenants["items"].as_array().unwrap().iter().find(|tenant| tenant["name"] == json!("test")).unwrap();
    let user = admin.post("/api/v1/admin/users", &json!({ "tenant_id": tenant["id"], "name": "carol" })).expect(201);
    let body = json!({ "user_id": user["id"], "username": "carol" });
    let secret = admin.post("/api/v1/admin/devices", &body).expect(201)["secret"].as_str().unwrap().to_owned();
    let registers_with = |code: &str| {
        let setup = register(&switch, 20, "carol", &secret, 300).word("code", code);
        setup.towards(switch.sip()).ends(SOON)
    };
    until("carol may register", Duration::from_secs(2), || registers_with("200"));
    let path = format!("/api/v1/admin/users/{}/status", user["id"].as_str().unwrap());
    let answer = admin.send("PUT", &path, &[], Some(&json!({ "status": "suspended" })));
    assert_eq!(answer.status, 200, "{}", answer.body);
    until("carol is refused", Duration::from_secs(1), || registers_with("403"));
    assert_eq!(admin.send("PUT", &path, &[], Some(&json!({ "status": "active" }))).status, 200);
    until("carol may register again", Duration::from_secs(1), || registers_with("200"));
}
