//! A softphone: headless baresip, driven over its control port (ctrl_tcp: JSON in netstrings). It sends a tone from a file
//! and records what it hears with its sndfile filter.

use std::fmt::Write as _;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Arc, Condvar, Mutex};
use std::time::{Duration, Instant};

use audio::Recording;
use serde_json::{Value, json};

use crate::sound::{self, Heard};
use crate::{Place, Process, tool, until, until_some};

/// Port of the control connection.
const CONTROL_PORT: u16 = 14_444;
/// How long a phone may take to start.
const START_LIMIT: Duration = Duration::from_secs(15);
/// Places where distributions keep baresip's modules.
const MODULE_PATHS: [&str; 4] = [
    "/usr/lib/baresip/modules",
    "/usr/lib/x86_64-linux-gnu/baresip/modules",
    "/usr/lib/aarch64-linux-gnu/baresip/modules",
    "/usr/local/lib/baresip/modules",
];

/// What a phone is to be.
#[derive(Debug, Clone)]
pub struct PhoneSetup {
    ip: Ipv4Addr,
    directory: PathBuf,
    user: String,
    domain: String,
    password: Option<String>,
    server: Option<SocketAddr>,
    transport: &'static str,
    media_encryption: Option<&'static str>,
    tone_hz: f64,
    answers_at_once: bool,
    expires_s: u32,
    more: String,
}

impl PhoneSetup {
    /// A phone on host `host` of the place, for `user@domain`, not yet with a server: it takes calls to its own address.
    pub fn new(place: &Place, host: u8, user: &str, domain: &str) -> Self {
        Self {
            ip: place.ip(host),
            directory: place.subdirectory(&format!("phone-{host}")),
            user: user.to_owned(),
            domain: domain.to_owned(),
            password: None,
            server: None,
            transport: "udp",
            media_encryption: None,
            tone_hz: 440.0,
            answers_at_once: false,
            expires_s: 300,
            more: String::new(),
        }
    }

    /// Registers at `server` over `transport` (udp, tcp or tls) with a password.
    #[must_use]
    pub fn registers(mut self, server: SocketAddr, transport: &'static str, password: &str) -> Self {
        (self.server, self.transport, self.password) = (Some(server), transport, Some(password.to_owned()));
        self
    }

    /// Encrypts media with SDES: "srtp" offers RTP/AVP with a=crypto, "srtp-mand" RTP/SAVP.
    #[must_use]
    pub fn encrypted(mut self, how: &'static str) -> Self {
        self.media_encryption = Some(how);
        self
    }

    /// The tone that it sends.
    #[must_use]
    pub fn tone_hz(mut self, tone_hz: f64) -> Self {
        self.tone_hz = tone_hz;
        self
    }

    /// Takes every call without being told.
    #[must_use]
    pub fn answers_at_once(mut self) -> Self {
        self.answers_at_once = true;
        self
    }

    /// The registration's wished lifetime, seconds; it is renewed well before. 0: does not register.
    #[must_use]
    pub fn expires_s(mut self, expires_s: u32) -> Self {
        self.expires_s = expires_s;
        self
    }

    /// More parameters of the account line, each with its `;`.
    #[must_use]
    pub fn parameters(mut self, more: &str) -> Self {
        self.more = more.to_owned();
        self
    }

    /// Starts it; it is ready to dial, but perhaps not yet registered.
    #[track_caller]
    pub fn start(self) -> Phone {
        Phone::start(self)
    }

    fn account(&self) -> String {
        let mut line = format!("<sip:{}@{};transport={}>", self.user, self.domain, self.transport);
        let register = if self.server.is_some() { self.expires_s } else { 0 };
        let _ = write!(line, ";regint={register};audio_codecs=PCMU/8000/1,PCMA/8000/1");
        if let Some(password) = &self.password {
            let _ = write!(line, ";auth_user={};auth_pass={password}", self.user);
        }
        if let Some(server) = self.server {
            let _ = write!(line, ";outbound=\"sip:{server};transport={}\"", self.transport);
        }
        if let Some(encryption) = self.media_encryption {
            let _ = write!(line, ";mediaenc={encryption}");
        }
        let mode = if self.answers_at_once { "auto" } else { "manual" };
        let _ = writeln!(line, ";answermode={mode}{}", self.more);
        line
    }

    // Media has the address 127.0.0.1: baresip sends it from an unbound socket, for which the system chooses that one,
    // and a media description that said otherwise would be wrong. Only SIP has the address of the place.
    fn config(&self, modules: &str) -> String {
        let directory = self.directory.display();
        let ip = self.ip;
        format!(
            "module_path {modules}\nsip_listen {ip}:15060\nnet_interface 127.0.0.1\ncall_local_timeout 120\ncall_max_calls 4\n\
             audio_path {directory}\naudio_source aufile,{directory}/tone.wav\naudio_player aubridge,none\n\
             audio_alert aubridge,none\nausrc_srate 8000\nauplay_srate 8000\nausrc_channels 1\nauplay_channels 1\n\
             audio_txmode thread\nsnd_path {directory}\nrtp_ports 20000-20998\nrtcp_mux no\njitter_buffer_delay 1-5\n\
             ctrl_tcp_listen {ip}:{CONTROL_PORT}\nmodule g711.so\nmodule aufile.so\nmodule aubridge.so\n\
             module sndfile.so\nmodule srtp.so\nmodule_tmp account.so\nmodule_app menu.so\nmodule_app ctrl_tcp.so\n"
        )
    }
}

/// An event that the phone told.
#[derive(Debug, Clone)]
pub struct Event {
    /// As CALL_ESTABLISHED or REGISTER_OK.
    pub kind: String,
    /// Its parameter: a reason, a peer.
    pub parameter: String,
    /// Who is at the other end.
    pub peer: String,
    /// When it came.
    pub at: Instant,
}

#[derive(Default)]
struct Shared {
    events: Mutex<Vec<Event>>,
    changed: Condvar,
}

/// A running phone.
pub struct Phone {
    setup: PhoneSetup,
    process: Process,
    control: TcpStream,
    shared: Arc<Shared>,
    /// How many events have been waited for.
    seen: usize,
}

impl Phone {
    #[track_caller]
    fn start(setup: PhoneSetup) -> Self {
        let program = tool("baresip");
        let modules = MODULE_PATHS.into_iter().find(|path| Path::new(path).join("ctrl_tcp.so").is_file());
        let modules = modules.expect("baresip's modules are missing: run tests/run, which installs them");
        sound::write_tone(&setup.directory.join("tone.wav"), setup.tone_hz, 120);
        std::fs::write(setup.directory.join("config"), setup.config(modules)).unwrap();
        std::fs::write(setup.directory.join("accounts"), setup.account()).unwrap();
        std::fs::write(setup.directory.join("contacts"), "").unwrap();
        let mut command = Command::new(program);
        command.arg("-4").arg("-v").arg("-s").arg("-f").arg(&setup.directory);
        let name = format!("phone {} ({})", setup.user, setup.ip);
        let mut process = Process::start(&name, &mut command, &setup.directory.join("output"));
        let control = until_some(&format!("{name} opens its control port"), START_LIMIT, || {
            assert!(process.ended().is_none(), "{name} ended at once");
            TcpStream::connect((setup.ip, CONTROL_PORT)).ok()
        });
        let shared = Arc::new(Shared::default());
        let (reader, sink) = (control.try_clone().unwrap(), shared.clone());
        std::thread::spawn(move || read_events(reader, &sink));
        until(&format!("{name} is ready"), START_LIMIT, || process.printed().contains("baresip is ready"));
        Self { setup, process, control, shared, seen: 0 }
    }

    /// Sends a command of baresip's menu.
    pub fn command(&mut self, command: &str, parameter: &str) {
        let text = json!({ "command": command, "params": parameter, "token": "test" }).to_string();
        let _ = self.control.write_all(format!("{}:{text},", text.len()).as_bytes());
    }

    /// Calls a number or a name of its own domain, or a whole URI.
    pub fn dial(&mut self, whom: &str) {
        let uri = if whom.starts_with("sip:") { whom.to_owned() } else { format!("sip:{whom}@{}", self.setup.domain) };
        self.command("dial", &uri);
    }

    /// Takes the ringing call.
    pub fn accept(&mut self) {
        self.command("accept", "");
    }

    /// Ends, refuses or gives up the current call.
    pub fn hangup(&mut self) {
        self.command("hangup", "");
    }

    /// Waits for the next event of a kind; those before it count as seen.
    #[track_caller]
    pub fn wait(&mut self, kind: &str, limit: Duration) -> Event {
        self.wait_any(&[kind], limit)
    }

    /// Waits for the next event of one of several kinds.
    #[track_caller]
    pub fn wait_any(&mut self, kinds: &[&str], limit: Duration) -> Event {
        let deadline = Instant::now() + limit;
        let mut events = self.shared.events.lock().unwrap();
        loop {
            let found = events[self.seen..].iter().position(|event| kinds.contains(&event.kind.as_str()));
            if let Some(n) = found {
                self.seen += n + 1;
                return events[self.seen - 1].clone();
            }
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                let all: Vec<String> =
                    events.iter().map(|event| format!("{} {}", event.kind, event.parameter)).collect();
                drop(events);
                panic!("phone {} did not tell {kinds:?} within {limit:?}; it told {all:?}", self.setup.user);
            }
            events = self.shared.changed.wait_timeout(events, left).unwrap().0;
        }
    }

    /// Waits until it is registered. The event of the first registration may come before anybody listens to events, so
    /// this looks at what baresip prints.
    #[track_caller]
    pub fn registered(self) -> Self {
        let name = format!("phone {} registers", self.setup.user);
        until(&name, Duration::from_secs(10), || {
            let printed = self.process.printed();
            let refused = printed.lines().find(|line| line.contains("reg: ") && line.contains("(register)"));
            assert!(refused.is_none(), "{name}: {}", refused.unwrap_or_default());
            printed.contains(" binding]") || printed.contains(" bindings]")
        });
        self
    }

    /// Whether an event of the kind has ever come.
    pub fn has_told(&self, kind: &str) -> bool {
        self.shared.events.lock().unwrap().iter().any(|event| event.kind == kind)
    }

    /// All SIP messages, both ways, as baresip printed them, with all else that it prints.
    pub fn trace(&self) -> String {
        self.process.printed()
    }

    /// What it has recorded from its peers, oldest call first; waits until the files are whole.
    #[track_caller]
    pub fn recordings(&self) -> Vec<Recording> {
        let entries = std::fs::read_dir(&self.setup.directory).unwrap();
        let mut files: Vec<PathBuf> = entries.filter_map(|entry| Some(entry.ok()?.path())).collect();
        files.retain(|path| path.to_string_lossy().ends_with("-dec.wav"));
        files.sort();
        for path in &files {
            until("a recording is closed", Duration::from_secs(5), || is_whole(path));
        }
        files.iter().map(|path| sound::read(path)).collect()
    }

    /// The recording of its only call.
    #[track_caller]
    pub fn recording(&self) -> Recording {
        let mut all = self.recordings();
        assert_eq!(all.len(), 1, "phone {} recorded {} calls", self.setup.user, all.len());
        all.remove(0)
    }

    /// Asserts that its only call had the tone for about the whole time and no gap above 60 ms. A lost packet shows in
    /// the length: baresip records what arrives.
    #[track_caller]
    pub fn assert_heard(&self, frequency_hz: f64, talked: Duration) -> Heard {
        let heard = sound::hear(&self.recording(), frequency_hz);
        let least_ms = (talked.as_millis() as usize).saturating_sub(300);
        assert!(heard.span_ms >= least_ms, "{}: {frequency_hz} Hz for {talked:?}, but {heard:?}", self.setup.user);
        assert!(heard.gap_ms <= 60, "{}: {heard:?}", self.setup.user);
        heard
    }

    /// Its SIP address.
    pub fn address(&self) -> SocketAddr {
        (self.setup.ip, 15_060).into()
    }

    /// Unregisters, ends and waits for that.
    pub fn quit(mut self) {
        self.command("quit", "");
        self.process.wait(Duration::from_secs(10));
    }

    /// Vanishes without a word, as when its battery is empty.
    pub fn vanish(mut self) {
        self.process.kill();
    }
}

/// Whether a WAV file's head says its true length: libsndfile writes that when it closes the file.
fn is_whole(path: &Path) -> bool {
    let bytes = std::fs::read(path).unwrap_or_default();
    let said = bytes.get(4..8).map(|four| u32::from_le_bytes([four[0], four[1], four[2], four[3]]) as usize);
    said.is_some_and(|said| said > 44 && said + 8 == bytes.len())
}

fn read_events(mut stream: TcpStream, shared: &Shared) {
    let (mut buffer, mut chunk) = (Vec::new(), [0; 4_096]);
    while let Ok(length @ 1..) = stream.read(&mut chunk) {
        buffer.extend_from_slice(&chunk[..length]);
        while let Some((text, used)) = netstring(&buffer) {
            if let Ok(value) = serde_json::from_slice::<Value>(text)
                && value["event"] == true
            {
                let word = |key: &str| value[key].as_str().unwrap_or_default().to_owned();
                let event =
                    Event { kind: word("type"), parameter: word("param"), peer: word("peeruri"), at: Instant::now() };
                shared.events.lock().unwrap().push(event);
                shared.changed.notify_all();
            }
            buffer.drain(..used);
        }
    }
}

/// The first netstring of a buffer and how many bytes it takes.
fn netstring(buffer: &[u8]) -> Option<(&[u8], usize)> {
    let colon = buffer.iter().position(|byte| *byte == b':')?;
    let length: usize = std::str::from_utf8(&buffer[..colon]).ok()?.parse().ok()?;
    let end = colon + 1 + length;
    (buffer.len() > end).then(|| (&buffer[colon + 1..end], end + 1))
}
