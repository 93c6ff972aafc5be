//! TURN from outside (TS1, TS4, TS16): coturn's own client with credentials that the API gave.
#![allow(clippy::unwrap_used)]

mod common;

use std::process::Command;
use std::time::Duration;

use common::switch;
use testkit::{Manifest, Process, Switch, tool};

fn start() -> Switch {
    switch().manifest(Manifest::new().user("alice", &["+12025550101"], "1.00")).start()
}

/// A TURN URI, user name and credential from the API.
fn credentials(switch: &Switch) -> (String, String, String) {
    let answer = switch.user("alice").get("/api/v1/ice-servers").expect(200);
    let servers = answer["ice_servers"].as_array().unwrap();
    let turn = servers.iter().find(|server| server["username"].is_string()).unwrap();
    let urls = turn["urls"].as_array().unwrap();
    let uri = urls.iter().filter_map(|url| url.as_str()).find(|url| url.starts_with("turn:")).unwrap().to_owned();
    let word = |key: &str| turn[key].as_str().unwrap().to_owned();
    (uri, word("username"), word("credential"))
}

/// Runs coturn's client between two clients; returns what it printed and whether it was content.
fn uclient(switch: &Switch, name: &str, user: &str, password: &str, more: &[&str]) -> (bool, String) {
    let ip = switch.turn().ip().to_string();
    let mut command = Command::new(tool("turnutils_uclient"));
    command.args(["-u", user, "-w", password, "-p", &switch.turn().port().to_string(), "-L", &ip]);
    command.args(["-n", "50", "-m", "2", "-l", "160", "-z", "20"]).args(more).arg(&ip);
    let output = switch.place().directory().join(format!("uclient-{name}"));
    let mut process = Process::start("turnutils_uclient", &mut command, &output);
    let status = process.wait(Duration::from_secs(60));
    (status.success(), process.printed())
}

#[test]
fn the_api_names_this_server() {
    let switch = start();
    let (uri, user, _) = credentials(&switch);
    assert!(uri.contains(&switch.turn().port().to_string()), "{uri}");
    let expiry: u64 = user.split(':').next().unwrap().parse().unwrap();
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs();
    assert!(expiry > now, "{user}");
}

#[test]
fn coturns_client_relays_through_channels_and_indications_without_loss() {
    let switch = start();
    let (_, user, password) = credentials(&switch);
    for (name, more) in [("channels", &["-y"][..]), ("indications", &["-y", "-s"])] {
        let (good, text) = uclient(&switch, name, &user, &password, more);
        assert!(good, "{name}: {text}");
        for all in ["tot_send_msgs=200, tot_recv_msgs=200\n", "Total lost packets 0 "] {
            assert!(text.contains(all), "{name}: {text}");
        }
    }
}

#[test]
fn a_wrong_credential_gets_nothing() {
    let switch = start();
    let (_, user, _) = credentials(&switch);
    let (good, text) = uclient(&switch, "wrong", &user, "wrong", &["-y"]);
    assert!(!good || text.contains("Unauthorized") || text.contains("401"), "{text}");
}
