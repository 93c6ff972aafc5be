//! A carrier: `tests/peers/smsc.py`, an SMSC on a codec that is not ours, driven over HTTP.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use serde_json::{Value, json};

use crate::http::Client;
use crate::{Place, Process, tool, until_some};

/// A running SMSC.
pub struct Smsc {
    process: Process,
    /// Where it takes binds.
    pub address: SocketAddr,
    control: Client,
}

/// The Python that has the peers' packages: what TANDEM_TEST_PYTHON names, or that of `tests/.venv`.
#[track_caller]
fn python(tests: &Path) -> PathBuf {
    if let Some(named) = std::env::var_os("TANDEM_TEST_PYTHON") {
        return named.into();
    }
    let own = tests.join(".venv/bin/python");
    if own.is_file() { own } else { tool("python3") }
}

impl Smsc {
    /// Starts it on an address of the place. `tests` is the directory that has `peers/smsc.py`.
    #[track_caller]
    pub fn start(place: &Place, host: u8, tests: &Path, config: &Value) -> Self {
        let mut command = Command::new(python(tests));
        command.arg(tests.join("peers/smsc.py")).args(["--host", &place.ip(host).to_string(), "--port", "12775"]);
        command.args(["--control-port", "12776", "--config", &config.to_string()]);
        let mut process = Process::start("smsc", &mut command, &place.directory().join("smsc.output"));
        until_some("the SMSC prints its ports", Duration::from_secs(15), || {
            let text = process.printed();
            let hint = "smsc.py ended: does the Python lack smpp.pdu3? Run tests/run, which installs it";
            assert!(process.ended().is_none(), "{hint}\n{text}");
            text.lines().find_map(|line| serde_json::from_str::<Value>(line).ok()?.get("smpp_port").cloned())
        });
        let control = Client::new((place.ip(host), 12_776).into());
        Self { process, address: (place.ip(host), 12_775).into(), control }
    }

    /// Changes its behaviour; the keys are in smsc.py.
    #[track_caller]
    pub fn configure(&self, config: &Value) {
        self.control.post("/config", config).expect(200);
    }

    /// Every submit_sm so far.
    #[track_caller]
    pub fn messages(&self) -> Vec<Value> {
        let list = self.control.get("/messages").expect(200);
        list.as_array().cloned().unwrap_or_else(|| list["messages"].as_array().cloned().unwrap_or_default())
    }

    /// Waits until somebody is bound.
    #[track_caller]
    pub fn bound(&self, limit: Duration) {
        until_some("the switch binds to the SMSC", limit, || {
            let binds = self.control.get("/binds");
            let list = binds.body.as_array().cloned().or_else(|| binds.body["binds"].as_array().cloned());
            list.filter(|list| !list.is_empty())
        });
    }

    /// Delivers a text to the switch; the statuses of its responses.
    #[track_caller]
    pub fn deliver(&self, from: &str, to: &str, text: &str) -> Value {
        self.control.post("/deliver", &json!({ "from": from, "to": to, "text": text })).expect(200)
    }

    /// Any control request.
    pub fn control(&self, path: &str, body: &Value) -> Value {
        self.control.post(path, body).body
    }

    /// What it has printed.
    pub fn printed(&self) -> String {
        self.process.printed()
    }
}
