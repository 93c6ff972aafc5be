//! sipp with a scenario of `tests/peers/sipp`, its messages kept for assertions.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use crate::{Place, Process, tool, until_some};

/// A run of sipp.
pub struct Sipp {
    process: Process,
    messages: PathBuf,
    errors: PathBuf,
    name: String,
}

/// A message of a run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SipMessage {
    /// Whether sipp sent it.
    pub sent: bool,
    /// First line, header lines, body.
    pub text: String,
}

impl SipMessage {
    /// The first line.
    pub fn first_line(&self) -> &str {
        self.text.lines().next().unwrap_or_default()
    }

    /// The value of the first header of that name, whatever its case.
    pub fn header(&self, name: &str) -> Option<&str> {
        let head = self.text.split("\r\n\r\n").next().unwrap_or_default();
        head.lines().skip(1).find_map(|line| {
            let (key, value) = line.split_once(':')?;
            key.trim().eq_ignore_ascii_case(name).then(|| value.trim())
        })
    }
}

/// What sipp is to do.
pub struct SippSetup<'a> {
    place: &'a Place,
    host: u8,
    name: String,
    scenario: String,
    arguments: Vec<String>,
}

impl<'a> SippSetup<'a> {
    /// The scenario `name`.xml of `tests/peers/sipp` on host `host` of the place, port 15060, one call. `tests` is the
    /// directory of the tests.
    #[track_caller]
    pub fn new(place: &'a Place, host: u8, tests: &Path, name: &str) -> Self {
        let path = tests.join("peers/sipp").join(format!("{name}.xml"));
        let scenario = std::fs::read_to_string(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
        Self { place, host, name: name.to_owned(), scenario, arguments: Vec::new() }
    }

    /// More arguments of sipp.
    #[must_use]
    pub fn arguments(mut self, arguments: &[&str]) -> Self {
        self.arguments.extend(arguments.iter().map(|&argument| argument.to_owned()));
        self
    }

    /// Over TCP instead of UDP.
    #[must_use]
    pub fn tcp(self) -> Self {
        self.arguments(&["-t", "t1"])
    }

    /// Fills in a word of the scenario: `@name@`.
    #[must_use]
    pub fn word(mut self, name: &str, value: &str) -> Self {
        self.scenario = self.scenario.replace(&format!("@{name}@"), value);
        self
    }

    /// Changes the scenario where a word does not reach.
    #[must_use]
    #[track_caller]
    pub fn replace_text(mut self, from: &str, to: &str) -> Self {
        assert!(self.scenario.contains(from), "the scenario has no {from:?}");
        self.scenario = self.scenario.replace(from, to);
        self
    }

    /// Fills in several.
    #[must_use]
    pub fn words(self, words: &[(&str, &str)]) -> Self {
        words.iter().fold(self, |setup, (name, value)| setup.word(name, value))
    }

    /// Starts it as a caller or registering phone towards `server`.
    #[track_caller]
    pub fn towards(self, server: SocketAddr) -> Sipp {
        self.run(Some(server))
    }

    /// Starts it as one that is called, and waits until it listens.
    #[track_caller]
    pub fn listens(self) -> Sipp {
        let ip = self.place.ip(self.host);
        let mut sipp = self.run(None);
        until_some("sipp listens", Duration::from_secs(10), || {
            assert!(sipp.runs(), "sipp {} ended at once", sipp.name);
            udp_is_taken(ip, 15_060).then_some(())
        });
        sipp
    }

    fn run(self, server: Option<SocketAddr>) -> Sipp {
        static COUNT: AtomicUsize = AtomicUsize::new(0);
        let name = format!("{}-{}-{}", self.name, self.host, COUNT.fetch_add(1, Ordering::Relaxed));
        // What the test does not care about has a usual value.
        let filled = self.words(&[("headers", ""), ("challenge", "407"), ("talk_ms", "500"), ("ring_ms", "200")]);
        let directory = filled.place.directory();
        let file = |kind: &str| directory.join(format!("sipp-{name}.{kind}"));
        let (scenario, messages, errors) = (file("xml"), file("messages"), file("errors"));
        std::fs::write(&scenario, &filled.scenario).expect("a scenario can be written");
        let ip = filled.place.ip(filled.host).to_string();
        let mut command = Command::new(tool("sipp"));
        command.current_dir(directory).env("TERM", "xterm").arg("-sf").arg(&scenario);
        command.args(["-i", &ip, "-p", "15060", "-mi", &ip, "-mp", "21000"]);
        command.args(["-m", "1", "-nostdin", "-trace_msg", "-trace_err", "-message_overwrite", "true"]);
        command.arg("-message_file").arg(&messages).arg("-error_file").arg(&errors).args(&filled.arguments);
        if let Some(server) = server {
            // Left alone, sipp computes its digest for the server's address instead of the Request-URI.
            command.arg("-auth_uri").arg(request_uri(&filled.scenario)).arg(server.to_string());
        }
        let process = Process::start(&format!("sipp {name}"), &mut command, &file("screen"));
        Sipp { process, messages, errors, name }
    }
}

/// The Request-URI of the scenario's first request, without its scheme.
fn request_uri(scenario: &str) -> &str {
    let after = scenario.split_once(" sip:").map_or("", |(_, rest)| rest);
    after.split(' ').next().unwrap_or_default()
}

/// Whether somebody listens on a UDP port.
fn udp_is_taken(ip: Ipv4Addr, port: u16) -> bool {
    std::net::UdpSocket::bind((ip, port)).is_err()
}

impl Sipp {
    /// Waits until the scenario is over; panics with its log unless every call went as the scenario says.
    #[track_caller]
    pub fn succeeds(&mut self, limit: Duration) {
        let (name, errors) = (self.name.clone(), self.errors.clone());
        let status = until_some(&format!("sipp {name} ends"), limit, || self.process.ended());
        let log = std::fs::read_to_string(errors).unwrap_or_default();
        assert!(status.success(), "sipp {name}: {status}\n{log}\n{}", self.conversation());
    }

    /// Waits until the scenario is over; whether every call went as it says.
    #[track_caller]
    pub fn ends(&mut self, limit: Duration) -> bool {
        self.process.wait(limit).success()
    }

    /// Whether it still runs.
    pub fn runs(&mut self) -> bool {
        self.process.ended().is_none()
    }

    /// All messages so far.
    pub fn messages(&self) -> Vec<SipMessage> {
        let text = String::from_utf8_lossy(&std::fs::read(&self.messages).unwrap_or_default()).into_owned();
        let mut found = Vec::new();
        for part in text.split("----------------------------------------------- ").skip(1) {
            let Some((kind, body)) = part.split_once(":\n\n").or_else(|| part.split_once("\n\n")) else { continue };
            found.push(SipMessage { sent: kind.contains("sent"), text: body.trim_end_matches('\n').to_owned() });
        }
        found
    }

    /// Waits for a received message that fits.
    #[track_caller]
    pub fn received(&mut self, what: &str, limit: Duration, fits: impl Fn(&SipMessage) -> bool) -> SipMessage {
        let name = self.name.clone();
        until_some(&format!("sipp {name} receives {what}"), limit, || {
            self.messages().into_iter().find(|message| !message.sent && fits(message))
        })
    }

    /// The first lines of all messages, for failures.
    pub fn conversation(&self) -> String {
        let line = |m: &SipMessage| format!("{} {}\n", if m.sent { "->" } else { "<-" }, m.first_line());
        self.messages().iter().map(line).collect()
    }

    /// Ends it.
    pub fn stop(mut self) {
        self.process.kill();
    }
}
