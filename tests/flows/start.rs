//! Starting from outside: secrets are shown once, and what cannot work is one clear line and exit code 2 before anything
//! listens.
#![allow(clippy::unwrap_used)]

mod common;

use std::net::{TcpListener, TcpStream, UdpSocket};
use std::path::Path;
use std::process::Output;

use common::{SOON, switch};
use testkit::{Manifest, Setup, program, until};

/// Runs the program on settings that must not work.
fn run(config: &Path) -> Output {
    program(env!("CARGO_BIN_EXE_tandem")).arg("--config").arg(config).arg("run").output().unwrap()
}

/// Asserts that a setup is refused with one line that has all of `words`, exit code 2, and that nothing has listened:
/// no database was made either.
#[track_caller]
fn is_refused(setup: &Setup, words: &[&str]) {
    let config = setup.write();
    refused_by_file(setup, &config, words);
}

#[track_caller]
fn refused_by_file(setup: &Setup, config: &Path, words: &[&str]) {
    let output = run(config);
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(2), "{said}");
    assert_eq!(said.trim().lines().count(), 1, "{said}");
    for word in words {
        assert!(said.contains(word), "no {word:?} in: {said}");
    }
    assert!(output.stdout.is_empty(), "{}", String::from_utf8_lossy(&output.stdout));
    assert!(TcpStream::connect((setup.place().ip(10), 19_090)).is_err());
}

#[test]
fn the_first_start_shows_secrets_that_work_and_the_second_shows_none() {
    let mut switch = switch().set("node.demo", "true").start();
    until("the whole welcome", SOON, || switch.printed().contains("/docs"));
    let welcome = switch.printed();
    let after = |marker: &str| welcome.split(marker).nth(1).unwrap_or_default().split_whitespace().next().unwrap_or("");
    let admin = after("administrator   admin@localhost   password ").to_owned();
    assert!(admin.len() >= 16, "{welcome}");
    let login = serde_json::json!({ "login": "admin@localhost", "password": admin });
    switch.api().post("/api/v1/auth/login", &login).expect(200);
    for what in ["SIP over UDP", "SIP over TCP", "SIP over TLS", "TURN", "HTTP", "Try this", "curl", "+1202555010"] {
        assert!(welcome.contains(what), "no {what:?} in {welcome}");
    }
    let secrets: Vec<String> = welcome
        .split("password ")
        .skip(1)
        .filter_map(|rest| Some(rest.split_whitespace().next()?.to_owned()))
        .filter(|word| word.len() >= 16)
        .collect();
    assert!(secrets.len() >= 5, "the administrator's, and two of each demo user: {welcome}");
    switch.stop();
    let first = switch.printed().len();
    switch.start();
    until("the second welcome", SOON, || switch.printed()[first..].contains("Tandem runs"));
    let second = &switch.printed()[first..];
    for secret in &secrets {
        assert!(!second.contains(secret.as_str()), "a secret is shown again");
    }
    assert!(!second.contains("password"), "{second}");
    let key = std::fs::metadata(switch.data().join("master.key")).unwrap();
    assert_eq!(std::os::unix::fs::PermissionsExt::mode(&key.permissions()) & 0o777, 0o600);
}

#[test]
fn secrets_are_not_in_the_database_as_they_are() {
    let mut switch = switch().manifest(Manifest::new().user("alice", &["+12025550101"], "1.00")).start();
    switch.stop();
    for entry in std::fs::read_dir(switch.data()).unwrap() {
        let bytes = std::fs::read(entry.unwrap().path()).unwrap_or_default();
        for secret in ["alice-sip", "alice-api-password"] {
            assert!(!bytes.windows(secret.len()).any(|window| window == secret.as_bytes()), "{secret}");
        }
    }
}

#[test]
fn a_taken_port_is_named() {
    for (key, host_port) in
        [("control_api.listen", 18_080), ("health.listen", 19_090), ("sip_proxy.tcp_listen", 15_060)]
    {
        let setup = switch();
        let ip = setup.place().ip(10);
        let _taken = TcpListener::bind((ip, host_port)).unwrap();
        let config = setup.write();
        let output = run(&config);
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(2), "{said}");
        assert_eq!(said.trim().lines().count(), 1, "{said}");
        for word in [key, &format!("{ip}:{host_port}")] {
            assert!(said.contains(word), "no {word:?} in: {said}");
        }
    }
    for (key, host_port) in [("sip_proxy.udp_listen", 15_060), ("turn_server.listen", 13_478)] {
        let setup = switch();
        let ip = setup.place().ip(10);
        let _taken = UdpSocket::bind((ip, host_port)).unwrap();
        is_refused(&setup, &[key, &format!("{ip}:{host_port}")]);
    }
}

#[test]
fn an_unknown_key_is_named_with_its_line() {
    is_refused(&switch().set("sip_proxy.ring_time_s", "3"), &["ring_time_s", "tandem.toml", "line"]);
    is_refused(&switch().set("proxy.udp_listen", "[]"), &["proxy", "tandem.toml"]);
}

#[test]
fn an_ill_typed_key_is_named() {
    is_refused(&switch().set("sip_proxy.ring_timeout_s", "\"long\""), &["ring_timeout_s", "tandem.toml"]);
    is_refused(&switch().set("control_api.listen", "\"nowhere\""), &["listen", "tandem.toml"]);
}

#[test]
fn values_that_make_no_sense_are_named() {
    is_refused(&switch().set("sip_proxy.register_expires_min_s", "4000"), &["register_expires_min_s"]);
    for (key, value) in
        [("rtp_relay.port_max", "20"), ("turn_server.worker_threads", "0"), ("media_server.sessions_max", "0")]
    {
        is_refused(&switch().set(key, value), &[key]);
    }
}

#[test]
fn a_file_that_cannot_be_read_is_named() {
    let setup = switch();
    let missing = setup.place().directory().join("none.toml");
    refused_by_file(&setup, &missing, &["none.toml"]);
    let certificate = format!("{:?}", setup.place().directory().join("none.pem"));
    let setup = setup.set("sip_proxy.tls_certificate", &certificate).set("sip_proxy.tls_key", &certificate);
    is_refused(&setup, &["none.pem"]);
}

#[test]
fn a_manifest_with_an_unknown_key_is_refused_with_its_line() {
    let switch = switch().start();
    let path = switch.place().directory().join("bad.toml");
    std::fs::write(&path, "[[tenant]]\nname = \"x\"\ncurrency = \"USD\"\ncolour = \"red\"\n").unwrap();
    let output = switch.run(&["apply", &path.to_string_lossy()]);
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(2), "{said}");
    assert!(said.contains("colour") && said.contains('4') && said.contains("bad.toml"), "{said}");
}

#[test]
fn apply_is_idempotent_shows_first_and_works_on_a_running_switch() {
    let switch = switch().start();
    let manifest = Manifest::new().user("alice", &["+12025550101"], "1.00");
    let path = switch.place().directory().join("new.toml");
    std::fs::write(&path, manifest.text()).unwrap();
    let dry = switch.run(&["apply", "--dry-run", &path.to_string_lossy()]);
    let shown = String::from_utf8_lossy(&dry.stdout).into_owned();
    assert!(dry.status.success() && shown.contains("alice"), "{shown}{}", String::from_utf8_lossy(&dry.stderr));
    assert!(!shown.contains("alice-sip") && !shown.contains("alice-api-password"), "a secret is shown");
    let login = serde_json::json!({ "login": "alice@phones.test", "password": "alice-api-password" });
    switch.api().post("/api/v1/auth/login", &login).expect(401);
    switch.apply(&manifest);
    let _alice = switch.phone(20, "alice").start().registered();
    let again = switch.apply(&manifest);
    assert!(!again.contains('+') && !again.contains('~'), "nothing to do the second time: {again}");
    switch.assert_ledger_sound();
}

#[test]
fn the_health_door_tells() {
    let switch = switch().start();
    let health = switch.health();
    assert_eq!((health.get("/healthz").status, health.get("/readyz").status), (200, 200));
    let metrics = health.get("/metrics").body;
    let metrics = metrics.as_str().unwrap_or_default();
    assert!(metrics.contains("# HELP") && metrics.contains("_total"), "{metrics}");
}
