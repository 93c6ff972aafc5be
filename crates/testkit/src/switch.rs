//! The switch under test: the built binary in a process of its own, on a loopback network, with its own data directory.
//! What a test learns of it comes from outside: sockets, the command line, what it prints, its exit code.

use std::fmt::Write as _;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Output};
use std::time::Duration;

use serde_json::{Value, json};

use crate::http::Client;
use crate::{Place, Process, until};

/// How long a start may take, a first one on a busy machine included.
const START_LIMIT: Duration = Duration::from_secs(30);
/// The host of the switch on its place.
const HOST: u8 = 10;
/// The SIP domain of the tests.
pub const DOMAIN: &str = "phones.test";

/// What a switch is to be.
pub struct Setup {
    program: PathBuf,
    place: Place,
    manifest: Option<String>,
    settings: Vec<(String, String)>,
}

impl Setup {
    /// A switch from the binary `program` (`env!("CARGO_BIN_EXE_tandem")`), with an empty database.
    pub fn new(program: &str) -> Self {
        let place = Place::claim();
        let (ip, data) = (place.ip(HOST), place.directory().join("data").display().to_string());
        let setup = Self { program: program.into(), place, manifest: None, settings: Vec::new() };
        let text = |value: String| format!("{value:?}");
        let [udp, tls, turn] = [5_060, 5_061, 3_478].map(|port| format!("[\"{ip}:{port}\"]"));
        setup
            .set("node.data_dir", &text(data))
            .set("node.demo", "false")
            .set("node.drain_s", "2")
            .set("log.format", "\"text\"")
            .set("health.listen", &format!("\"{ip}:9090\""))
            .set("control_api.listen", &format!("\"{ip}:8080\""))
            .set("control_api.requests_per_minute_user", "0")
            .set("control_api.requests_per_minute_tenant", "0")
            .set("control_api.requests_per_minute_address", "0")
            .set("sip_proxy.udp_listen", &udp)
            .set("sip_proxy.tcp_listen", &udp)
            .set("sip_proxy.tls_listen", &tls)
            .set("sip_proxy.default_domain", &format!("\"{DOMAIN}\""))
            .set("rtp_relay.addresses", &format!("[\"{ip}\"]"))
            .set("turn_server.listen", &turn)
            .set("turn_server.relay_addresses", &format!("[\"{ip}\"]"))
            .set("turn_server.allowed_peers", "[\"127.0.0.0/8\"]")
    }

    /// Sets `section.key` to a TOML value; the last word counts.
    #[must_use]
    pub fn set(mut self, key: &str, toml: &str) -> Self {
        self.settings.retain(|(name, _)| name != key);
        self.settings.push((key.to_owned(), toml.to_owned()));
        self
    }

    /// Applies a manifest before the start. The domain of its tenant should be [`DOMAIN`].
    #[must_use]
    pub fn manifest(mut self, text: &str) -> Self {
        self.manifest = Some(text.to_owned());
        self
    }

    /// The place, for peers that the manifest names.
    pub fn place(&self) -> &Place {
        &self.place
    }

    /// Writes the settings file; returns where it lies.
    pub fn write(&self) -> PathBuf {
        let mut sections: Vec<&str> = self.settings.iter().filter_map(|(key, _)| key.split('.').next()).collect();
        sections.sort_unstable();
        sections.dedup();
        let mut text = String::new();
        for section in sections {
            let _ = writeln!(text, "[{section}]");
            for (key, value) in &self.settings {
                if let Some(name) = key.strip_prefix(section).and_then(|rest| rest.strip_prefix('.')) {
                    let _ = writeln!(text, "{name} = {value}");
                }
            }
        }
        let path = self.place.directory().join("tandem.toml");
        std::fs::write(&path, text).expect("the settings can be written");
        path
    }

    /// Applies the manifest, starts the switch, waits until it is ready.
    #[track_caller]
    pub fn start(self) -> Switch {
        let config = self.write();
        let output = self.place.directory().join("switch.output");
        let manifest = self.manifest;
        let mut switch = Switch { program: self.program, place: self.place, config, output, process: None };
        if let Some(text) = manifest {
            switch.apply(&text);
        }
        switch.start();
        switch
    }
}

/// A switch; running except between [`Switch::stop`] or [`Switch::kill`] and [`Switch::start`].
pub struct Switch {
    program: PathBuf,
    place: Place,
    config: PathBuf,
    output: PathBuf,
    // Dropped before `place` would be wrong: declared after it, so the files are gone only when the process is.
    process: Option<Process>,
}

impl Drop for Switch {
    fn drop(&mut self) {
        self.process = None;
    }
}

impl Switch {
    /// Starts it (again), on the same ports and data.
    #[track_caller]
    pub fn start(&mut self) {
        let mut command = Command::new(&self.program);
        command.arg("--config").arg(&self.config).arg("run").env_remove("TANDEM_CONFIG");
        let mut process = Process::start("the switch", &mut command, &self.output);
        let health = Client::new(self.address(9_090));
        until("the switch is ready", START_LIMIT, || {
            if let Some(status) = process.ended() {
                panic!("the switch ended at once, {status}:\n{}", process.last_lines(20));
            }
            health.get("/readyz").status == 200
        });
        self.process = Some(process);
    }

    /// The place, for further peers.
    pub fn place(&self) -> &Place {
        &self.place
    }

    fn address(&self, port: u16) -> SocketAddr {
        (self.place.ip(HOST), port).into()
    }

    /// SIP over UDP and TCP.
    pub fn sip(&self) -> SocketAddr {
        self.address(5_060)
    }

    /// SIP over TLS.
    pub fn sips(&self) -> SocketAddr {
        self.address(5_061)
    }

    /// TURN over UDP.
    pub fn turn(&self) -> SocketAddr {
        self.address(3_478)
    }

    /// The control API as nobody.
    pub fn api(&self) -> Client {
        Client::new(self.address(8_080))
    }

    /// The health door.
    pub fn health(&self) -> Client {
        Client::new(self.address(9_090))
    }

    /// The control API as a user of the domain (`name`) or an administrator (`name@…` as it is).
    #[track_caller]
    pub fn login(&self, name: &str, password: &str) -> Client {
        let login = if name.contains('@') || name == "admin" { name.to_owned() } else { format!("{name}@{DOMAIN}") };
        let answer =
            self.api().post("/api/v1/auth/login", &json!({ "login": login, "password": password })).expect(200);
        let token = answer["access_token"].as_str().unwrap_or_else(|| panic!("no access_token in {answer}"));
        self.api().with_token(token)
    }

    /// The control API as the platform's administrator, whose password is made anew.
    #[track_caller]
    pub fn admin(&self) -> Client {
        let output = self.run(&["admin", "reset-password", "admin"]);
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        let password = text.trim().rsplit(' ').next().unwrap_or_default().to_owned();
        assert!(output.status.success(), "{text}{}", String::from_utf8_lossy(&output.stderr));
        self.login("admin", &password)
    }

    /// Runs the program with other arguments on the same settings.
    pub fn run(&self, arguments: &[&str]) -> Output {
        let mut command = Command::new(&self.program);
        command.arg("--config").arg(&self.config).args(arguments).env_remove("TANDEM_CONFIG");
        command.output().expect("the program starts")
    }

    /// Applies a manifest; returns the difference that it printed.
    #[track_caller]
    pub fn apply(&self, manifest: &str) -> String {
        let path = self.place.directory().join("manifest.toml");
        std::fs::write(&path, manifest).expect("the manifest can be written");
        let output = self.run(&["apply", &path.to_string_lossy()]);
        let printed = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(output.status.success(), "apply: {printed}{}", String::from_utf8_lossy(&output.stderr));
        printed
    }

    /// Asserts that balances equal their ledgers and holds their reservations (`tandem admin verify-ledger`).
    #[track_caller]
    pub fn assert_ledger_sound(&self) {
        let output = self.run(&["admin", "verify-ledger"]);
        let said = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{said}");
    }

    /// Waits until a user's list of calls satisfies `fits`, newest first; returns it.
    #[track_caller]
    pub fn calls(&self, client: &Client, what: &str, fits: impl Fn(&[Value]) -> bool) -> Vec<Value> {
        let mut last = Vec::new();
        until(&format!("the call records: {what}"), Duration::from_secs(10), || {
            let answer = client.get("/api/v1/calls").expect(200);
            last = answer["items"].as_array().cloned().unwrap_or_else(|| panic!("no items in {answer}"));
            fits(&last)
        });
        last
    }

    /// Sends SIGTERM.
    pub fn terminate(&self) {
        if let Some(process) = &self.process {
            process.signal(libc::SIGTERM);
        }
    }

    /// Waits for its end after [`Self::terminate`].
    #[track_caller]
    pub fn ends(&mut self, limit: Duration) -> ExitStatus {
        self.process.as_mut().expect("the switch runs").wait(limit)
    }

    /// SIGTERM, and waits for a good end.
    #[track_caller]
    pub fn stop(&mut self) {
        self.terminate();
        let status = self.ends(Duration::from_secs(20));
        assert!(status.success(), "the switch ended with {status}");
        self.process = None;
    }

    /// `kill -9`.
    pub fn kill(&mut self) {
        self.process = None;
    }

    /// Everything it has printed since the first start.
    pub fn printed(&self) -> String {
        String::from_utf8_lossy(&std::fs::read(&self.output).unwrap_or_default()).into_owned()
    }

    /// Where its files lie.
    pub fn data(&self) -> PathBuf {
        self.place.directory().join("data")
    }

    /// The program.
    pub fn program(&self) -> &Path {
        &self.program
    }
}
