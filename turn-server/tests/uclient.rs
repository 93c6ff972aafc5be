//! coturn's `turnutils_uclient` allocates, binds and exchanges data through our server with a peer on loopback.
//!
//! The tools come with the package `coturn`; without them these tests fail, since nothing else here speaks TURN as
//! somebody else understands it.
#![allow(clippy::unwrap_used)]

use std::net::{IpAddr, Ipv4Addr, SocketAddr, UdpSocket};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use base::time::{Clock, SystemClock};
use base::{Secret, Timestamp};
use stun_proto::credential::TimeLimited;
use turn_server::{Config, Deps, Handle};

const LOOPBACK: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);
const UCLIENT: &str = "/usr/bin/turnutils_uclient";
const PEER: &str = "/usr/bin/turnutils_peer";

fn require_tools() {
    for tool in [UCLIENT, PEER] {
        assert!(Path::new(tool).exists(), "{tool} is missing: install the package `coturn`");
    }
}

/// The echo peer; ends with the test.
struct Peer {
    child: Child,
    port: u16,
}

impl Peer {
    fn start() -> Self {
        // The tool cannot say which port it took, so we find a free pair for it (it also listens on the next one).
        let probe = UdpSocket::bind((LOOPBACK, 0)).unwrap();
        let port = probe.local_addr().unwrap().port() & !1;
        drop(probe);
        let args = ["-L", "127.0.0.1", "-p", &port.to_string()];
        let child = Command::new(PEER).args(args).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        let peer = Self { child, port };
        peer.wait_until_it_echoes();
        peer
    }

    fn wait_until_it_echoes(&self) {
        let socket = UdpSocket::bind((LOOPBACK, 0)).unwrap();
        socket.set_read_timeout(Some(Duration::from_millis(50))).unwrap();
        let deadline = Instant::now() + Duration::from_secs(10);
        // The tool is a process of its own: knock until it answers. A refused port shows as an error at once.
        while Instant::now() < deadline {
            let _ = socket.send_to(&[1; 100], (LOOPBACK, self.port));
            if socket.recv(&mut [0; 200]).is_ok() {
                return;
            }
        }
        panic!("{PEER} does not answer on port {}", self.port);
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn secret() -> Secret {
    Secret::new("a secret for tests")
}

fn server(allowed: &[&str], workers: usize) -> Handle {
    server_on(LOOPBACK, allowed, workers)
}

fn server_on(listen: IpAddr, allowed: &[&str], workers: usize) -> Handle {
    let config = Config {
        listen: vec![(listen, 0).into()],
        relay_addresses: vec![LOOPBACK],
        allowed_peers: allowed.iter().map(ToString::to_string).collect(),
        worker_threads: workers,
        ..Config::default()
    };
    let deps = Deps { secrets: vec![Secret::new("the next one"), secret()], users: vec![], media: vec![] };
    turn_server::start(config, deps).unwrap()
}

/// Runs the client; whether it got everything back, with what it printed.
fn uclient(server: SocketAddr, peer: u16, more: &[&str]) -> (bool, String) {
    let (port, peer) = (server.port().to_string(), peer.to_string());
    let common = ["-p", &port, "-e", "127.0.0.1", "-r", &peer, "-n", "20", "-z", "5"];
    let output = Command::new(UCLIENT).args(common).args(more).arg("127.0.0.1").output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    let complete = text.contains("Total lost packets 0 (0.000000%), total send dropped 0 (0.000000%)");
    (output.status.success() && complete, text)
}

fn credential(now: Timestamp) -> TimeLimited {
    TimeLimited::issue(&secret(), "alice", now, Duration::from_secs(600))
}

/// Channels, Send indications, reserved ports, larger payloads, several clients: all with one time-limited credential.
#[test]
fn turnutils_uclient_passes_with_time_limited_credentials() {
    require_tools();
    let (peer, server) = (Peer::start(), server(&["127.0.0.1/32"], 1));
    let user = credential(SystemClock.now());
    let login = ["-u", &user.username, "-w", user.password.expose()];
    let ways: [&[&str]; 9] = [
        &["-c"],
        &["-c", "-s"],
        &[],
        &["-s"],
        &["-m", "10"],
        &["-c", "-l", "1200"],
        &["-c", "-G"],
        &["-y"],
        &["-y", "-s"],
    ];
    std::thread::scope(|scope| {
        for way in ways {
            let (address, port) = (server.addresses()[0], peer.port);
            scope.spawn(move || {
                let (passed, text) = uclient(address, port, &[&login[..], way].concat());
                assert!(passed, "{way:?}:\n{text}");
            });
        }
    });
    let counters = server.stop();
    assert!(counters.allocations >= 20, "{counters:?}");
    assert_eq!((counters.malformed, counters.dropped), (0, 0), "{counters:?}");
    assert!(counters.to_peers.packets >= 500 && counters.from_peers.packets >= 500, "{counters:?}");
}

#[test]
fn turnutils_uclient_makes_credentials_from_the_secret_as_we_do() {
    require_tools();
    let (peer, server) = (Peer::start(), server(&["127.0.0.1/32"], 1));
    let login = ["-u", "bob", "-W", secret().expose()].map(str::to_owned);
    let login: Vec<&str> = login.iter().map(String::as_str).collect();
    let (passed, text) = uclient(server.addresses()[0], peer.port, &[&login[..], &["-c"]].concat());
    assert!(passed, "{text}");
    server.stop();
}

/// With several workers the reserved port of EVEN-PORT is found from another port of the same client. They listen on
/// all addresses, as by default.
#[test]
fn turnutils_uclient_passes_with_several_workers() {
    require_tools();
    let (peer, server) = (Peer::start(), server_on(Ipv4Addr::UNSPECIFIED.into(), &["127.0.0.1/32"], 3));
    let user = credential(SystemClock.now());
    let login = ["-u", &user.username, "-w", user.password.expose(), "-m", "6"];
    let (passed, text) = uclient(server.addresses()[0], peer.port, &login);
    assert!(passed, "{text}");
    server.stop();
}

#[test]
fn without_a_rule_loopback_is_no_peer_and_without_the_secret_nobody_gets_in() {
    require_tools();
    let (peer, closed) = (Peer::start(), server(&[], 1));
    let user = credential(SystemClock.now());
    let login = ["-u", &user.username, "-w", user.password.expose(), "-c", "-n", "1"];
    let (passed, text) = uclient(closed.addresses()[0], peer.port, &login);
    assert!(!passed && text.contains("403"), "{text}");
    let (passed, text) = uclient(closed.addresses()[0], peer.port, &["-u", &user.username, "-w", "wrong", "-c"]);
    assert!(!passed && text.contains("Cannot complete Allocation"), "{text}");
    let old = credential(SystemClock.now().before(Duration::from_secs(601)));
    let (passed, _) =
        uclient(closed.addresses()[0], peer.port, &["-u", &old.username, "-w", old.password.expose(), "-c"]);
    assert!(!passed, "an expired credential");
    let counters = closed.stop();
    assert_eq!(counters.to_peers.packets, 0);
}
