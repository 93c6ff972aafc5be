//! The switch under test: the built binary in a process of its own, on a loopback network, with its own data directory.
//! What a test learns of it comes from outside: sockets, the command line, what it prints, its exit code.

use std::fmt::Write as _;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Output};
use std::time::Duration;

use serde_json::{Value, json};

use crate::http::Client;
use crate::manifest::{api_password, sip_password};
use crate::{Manifest, PhoneSetup, Place, Process, until};

/// The micros of an amount of the API (`{"amount": "1.25", "currency": "USD"}` or the bare text).
#[track_caller]
pub fn micros(amount: &Value) -> i64 {
    let text = amount.as_str().or_else(|| amount["amount"].as_str()).unwrap_or_else(|| panic!("no amount: {amount}"));
    let (sign, digits) = text.strip_prefix('-').map_or((1, text), |rest| (-1, rest));
    let (whole, part) = digits.split_once('.').unwrap_or((digits, ""));
    let part = format!("{part:0<6}");
    let parse = |text: &str| text.parse::<i64>().unwrap_or_else(|_| panic!("no amount: {amount}"));
    sign * (parse(whole) * 1_000_000 + parse(&part[..6]))
}

/// How long a start may take, a first one on a busy machine included.
const START_LIMIT: Duration = Duration::from_secs(30);
/// The host of the switch on its place.
const HOST: u8 = 10;
/// Login of the administrator that the first start makes.
const ADMIN: &str = "admin@localhost";
/// The SIP domain of the tests.
pub const DOMAIN: &str = "phones.test";

/// What a switch is to be.
pub struct Setup {
    program: PathBuf,
    place: Place,
    manifest: Option<Manifest>,
    settings: Vec<(String, String)>,
}

impl Setup {
    /// A switch from the binary `program` (`env!("CARGO_BIN_EXE_tandem")`), with an empty database.
    pub fn new(program: &str) -> Self {
        let place = Place::claim();
        let (ip, data) = (place.ip(HOST), place.directory().join("data").display().to_string());
        let setup = Self { program: program.into(), place, manifest: None, settings: Vec::new() };
        let text = |value: String| format!("{value:?}");
        let [udp, tls, turn] = [15_060, 15_061, 13_478].map(|port| format!("[\"{ip}:{port}\"]"));
        setup
            .set("node.data_dir", &text(data))
            .set("node.demo", "false")
            .set("node.drain_s", "2")
            .set("log.format", "\"text\"")
            .set("health.listen", &format!("\"{ip}:19090\""))
            .set("control_api.listen", &format!("\"{ip}:18080\""))
            .set("control_api.logins_per_minute", "0")
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

    /// Applies a manifest before the start.
    #[must_use]
    pub fn manifest(mut self, manifest: Manifest) -> Self {
        self.manifest = Some(manifest);
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

    /// Starts the switch and waits until it is ready. A manifest is applied between a first start, which makes the
    /// administrator, and a second one, so that nothing of it can be in a cache too late.
    #[track_caller]
    pub fn start(self) -> Switch {
        let config = self.write();
        let output = self.place.directory().join("switch.output");
        let mut switch = Switch { program: self.program, place: self.place, config, output, process: None };
        switch.start();
        if let Some(manifest) = self.manifest {
            switch.stop();
            switch.apply(&manifest);
            switch.start();
        }
        switch
    }
}

/// A command without what the environment says about settings: those of a test are in its file.
pub fn program(path: impl AsRef<std::ffi::OsStr>) -> Command {
    let mut command = Command::new(path);
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("TANDEM_") {
            command.env_remove(name);
        }
    }
    command
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
        let mut command = program(&self.program);
        command.arg("--config").arg(&self.config).arg("run");
        let mut process = Process::start("the switch", &mut command, &self.output);
        let health = Client::new(self.address(19_090));
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
        self.address(15_060)
    }

    /// SIP over TLS.
    pub fn sips(&self) -> SocketAddr {
        self.address(15_061)
    }

    /// TURN over UDP.
    pub fn turn(&self) -> SocketAddr {
        self.address(13_478)
    }

    /// The control API as nobody.
    pub fn api(&self) -> Client {
        Client::new(self.address(18_080))
    }

    /// The health door.
    pub fn health(&self) -> Client {
        Client::new(self.address(19_090))
    }

    /// The control API as a user of a [`Manifest`].
    #[track_caller]
    pub fn user(&self, name: &str) -> Client {
        self.login(&format!("{name}@{DOMAIN}"), &api_password(name))
    }

    #[track_caller]
    fn login(&self, login: &str, password: &str) -> Client {
        let answer =
            self.api().post("/api/v1/auth/login", &json!({ "login": login, "password": password })).expect(200);
        let token = answer["access_token"].as_str().unwrap_or_else(|| panic!("no access_token in {answer}"));
        self.api().with_token(token)
    }

    /// The control API as the platform's administrator, whose password is made anew.
    #[track_caller]
    pub fn admin(&self) -> Client {
        let output = self.run(&["admin", "reset-password", ADMIN]);
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        let password = text.trim().rsplit(' ').next().unwrap_or_default().to_owned();
        assert!(output.status.success(), "{text}{}", String::from_utf8_lossy(&output.stderr));
        self.login(ADMIN, &password)
    }

    /// Runs the program with other arguments on the same settings.
    pub fn run(&self, arguments: &[&str]) -> Output {
        let mut command = program(&self.program);
        command.arg("--config").arg(&self.config).args(arguments);
        command.output().expect("the program starts")
    }

    /// Applies a manifest; returns the difference that it printed.
    #[track_caller]
    pub fn apply(&self, manifest: &Manifest) -> String {
        let path = self.place.directory().join("manifest.toml");
        std::fs::write(&path, manifest.text()).expect("the manifest can be written");
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

    /// A phone of a user of the domain, on a host of the place.
    pub fn phone(&self, host: u8, user: &str) -> PhoneSetup {
        let password = sip_password(user);
        PhoneSetup::new(&self.place, host, user, DOMAIN).registers(self.sip(), "udp", &password)
    }

    /// The same over TLS.
    pub fn tls_phone(&self, host: u8, user: &str) -> PhoneSetup {
        let password = sip_password(user);
        PhoneSetup::new(&self.place, host, user, DOMAIN).registers(self.sips(), "tls", &password)
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
