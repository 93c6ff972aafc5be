//! The gateway against an SMSC on a third party's codec (`tests/peers/smsc.py`).
//!
//! Runs with the Python that `TANDEM_TEST_PYTHON` names, or that of `tests/.venv`, which `tests/run` makes; it must have
//! the package smpp.pdu3. Where there is neither, the tests fail and say so.
#![allow(clippy::unwrap_used)]

mod world;

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use domain::sms::{Encoding, ReceiptState};
use domain::trunk::CarrierFacts;
use serde_json::{Value, json};
use smpp_gateway::Handle;
use world::{RowState, World, carrier, carrier_id, quick};

/// The peer's process; it ends when its standard input closes.
struct Peer {
    child: Child,
    smpp_port: u16,
    control_port: u16,
}

impl Drop for Peer {
    fn drop(&mut self) {
        drop(self.child.stdin.take());
        _ = self.child.wait();
    }
}

impl Peer {
    fn start(config: Value) -> Self {
        let own = concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/.venv/bin/python");
        let python = match std::env::var("TANDEM_TEST_PYTHON") {
            Ok(named) => named,
            Err(_) if std::path::Path::new(own).exists() => own.to_owned(),
            Err(_) => panic!("no peer: neither TANDEM_TEST_PYTHON nor tests/.venv; tests/run makes one"),
        };
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/peers/smsc.py");
        let mut child = Command::new(python)
            .args([script, "--config", &config.to_string()])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let ports: Value = serde_json::from_str(&line).unwrap();
        let port = |name: &str| ports[name].as_u64().unwrap() as u16;
        Self { child, smpp_port: port("smpp_port"), control_port: port("control_port") }
    }

    fn ask(&self, method: &str, path: &str, body: &Value) -> Value {
        let mut stream = TcpStream::connect(("127.0.0.1", self.control_port)).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(40))).unwrap();
        let body = body.to_string();
        write!(stream, "{method} {path} HTTP/1.1\r\nContent-Length: {}\r\n\r\n{body}", body.len()).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        assert!(head.starts_with("HTTP/1.1 200"), "{answer}");
        serde_json::from_str(body).unwrap()
    }

    fn post(&self, path: &'static str, body: Value) -> Value {
        tokio::task::block_in_place(|| self.ask("POST", path, &body))
    }

    fn messages(&self) -> Vec<Value> {
        tokio::task::block_in_place(|| self.ask("GET", "/messages", &json!({}))).as_array().unwrap().clone()
    }

    async fn bound(&self) {
        let end = Instant::now() + Duration::from_secs(10);
        while tokio::task::block_in_place(|| self.ask("GET", "/binds", &json!({}))) == json!([]) {
            assert!(Instant::now() < end, "no bind");
            tokio::task::yield_now().await;
        }
    }
}

async fn gateway(config: Value, facts: impl Fn(CarrierFacts) -> CarrierFacts) -> (Peer, World, Handle) {
    let peer = Peer::start(config);
    let world = World::new([facts(carrier(1, peer.smpp_port))]);
    let handle = world.start(quick());
    peer.bound().await;
    (peer, world, handle)
}

fn accepted(rows: &world::Rows) -> bool {
    rows.rows.iter().all(|row| matches!(row.state, RowState::Accepted { .. }))
}

#[tokio::test(flavor = "multi_thread")]
async fn m6_receipts_match_in_every_form_and_order() {
    for receipt in ["early", "late"] {
        for (response, report) in [
            ("decimal", "same"),
            ("decimal", "hex"),
            ("decimal", "upper"),
            ("hex", "decimal"),
            ("upper", "decimal"),
            ("upper", "padded"),
            ("padded", "decimal"),
            ("uuid", "same"),
        ] {
            let config = json!({"id_form": response, "receipt_id_form": report, "receipt": receipt, "system_id": "tandem",
                "password": "secret", "receipt_state": "UNDELIV", "receipt_error": "027"});
            let (peer, world, handle) = gateway(config, |facts| facts).await;
            world.queue.put("hello", &[carrier_id(1)]);
            world.queued.notify_one();
            world.queue.until("acceptance and receipt", |rows| accepted(rows) && rows.receipts.len() == 1).await;
            {
                let state = world.queue.lock();
                let RowState::Accepted { id, .. } = &state.rows[0].state else { panic!("{:?}", state.rows[0]) };
                let stored = smpp_proto::ReceiptId::new(id).canonical();
                let candidates = &state.receipts[0].id_candidates;
                assert!(candidates.contains(&stored), "{response} {report}: {stored} {candidates:?}");
                assert_eq!(
                    (state.receipts[0].state, state.receipts[0].code.as_deref()),
                    (ReceiptState::Undeliverable, Some("027"))
                );
            }
            assert_eq!(peer.messages().len(), 1);
            handle.stop().await;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn m4_another_codec_reads_our_texts_and_segments() {
    let (peer, world, handle) = gateway(json!({}), |facts| facts).await;
    world.queue.put("plain [€] äöü@", &[carrier_id(1)]);
    world.queue.put("привет 😀", &[carrier_id(1)]);
    world.queue.put("second of three", &[carrier_id(1)]);
    {
        let mut state = world.queue.lock();
        state.rows[1].part.encoding = Encoding::Ucs2;
        state.rows[2].part.part = 2;
        state.rows[2].part.parts = 3;
        state.rows[2].part.reference = 0xab;
    }
    world.queued.notify_one();
    world.queue.until("acceptance", accepted).await;
    let mut messages = peer.messages();
    messages.sort_by_key(|message| message["number"].as_u64());
    let shown = |n: usize, key: &str| messages[n][key].as_str().unwrap_or_default().to_owned();
    assert_eq!((shown(0, "text"), shown(0, "coding")), ("plain [€] äöü@".into(), "SMSC_DEFAULT_ALPHABET".into()));
    assert_eq!((shown(1, "text"), shown(1, "coding")), ("привет 😀".into(), "UCS2".into()));
    assert_eq!((shown(2, "text"), shown(2, "udh")), ("second of three".into(), "050003ab0302".into()));
    for n in 0..3 {
        assert_eq!((shown(n, "from"), shown(n, "to")), ("15550001".into(), "15550002".into()));
        assert_eq!((shown(n, "from_ton"), shown(n, "to_ton")), ("INTERNATIONAL".into(), "INTERNATIONAL".into()));
        assert_eq!(shown(n, "receipt_wanted"), "SMSC_DELIVERY_RECEIPT_REQUESTED");
    }
    handle.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn m5_texts_of_another_codec_arrive_whole_in_every_form() {
    let (peer, world, handle) = gateway(json!({}), |facts| facts).await;
    let long = "0123456789".repeat(30);
    for (coding, concat, text) in [
        ("gsm7", "none", "short [€]"),
        ("latin1", "none", "café"),
        ("ucs2", "none", "привет 😀"),
        ("gsm7", "udh8", &long),
        ("gsm7", "udh16", &long),
        ("gsm7", "sar", &long),
        ("gsm7", "payload", &long),
    ] {
        world.queue.lock().inbound.clear();
        let order = if matches!(concat, "none" | "payload") { json!([1]) } else { json!([3, 1, 2]) };
        let wanted = json!({"from": "+15550009", "to": "+15550001", "text": text, "coding": coding, "concat": concat,
            "order": order, "reference": 513});
        let answer = peer.post("/deliver", wanted);
        let statuses = answer["statuses"].as_array().unwrap();
        assert!(statuses.iter().all(|status| status == "ESME_ROK"), "{answer}");
        let mut parts = world.queue.lock().inbound.clone();
        parts.sort_by_key(|part| part.concatenation.map(|place| place.part));
        assert_eq!(parts.iter().map(|part| part.text.as_str()).collect::<String>(), text, "{coding} {concat}");
        if statuses.len() > 1 {
            let places: Vec<_> = parts.iter().map(|part| part.concatenation.unwrap()).collect();
            assert!(places.iter().all(|place| place.parts == 3 && place.reference == places[0].reference));
            assert_eq!(places[0].reference, if concat == "udh8" { 1 } else { 513 });
        }
    }
    handle.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn m17_a_carrier_that_counts_per_second_gets_everything_in_the_end() {
    let facts = |facts| CarrierFacts { window: 50, ..facts };
    let (peer, world, handle) = gateway(json!({"submits_per_second": 200}), facts).await;
    for n in 0..400 {
        world.queue.put(&format!("text {n}"), &[carrier_id(1)]);
    }
    world.queued.notify_one();
    world.queue.until("acceptance of all", accepted).await;
    let messages = peer.messages();
    let taken = messages.iter().filter(|message| message["status"] == "ESME_ROK").count();
    assert!(messages.len() > taken, "the limit was never reached");
    assert_eq!(taken, 400, "no text is taken twice");
    handle.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_carrier_that_cuts_or_unbinds_is_bound_again_and_gets_the_rest() {
    let (peer, world, handle) = gateway(json!({"response_delay_ms": 5}), |facts| facts).await;
    for end in ["/disconnect", "/unbind"] {
        for n in 0..100 {
            world.queue.put(&format!("text {n}"), &[carrier_id(1)]);
        }
        world.queued.notify_one();
        world
            .queue
            .until("the first answers", |rows| {
                rows.rows.iter().any(|row| row.state == RowState::Queued) && rows.rows.len() % 100 == 0
            })
            .await;
        peer.post(end, json!({}));
        world.queue.until("acceptance of all", accepted).await;
    }
    handle.stop().await;
}
