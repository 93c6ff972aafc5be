//! What keeps the house in order: who imports whom (docs/ARCHITECTURE.md, layers), no runtime below layer 2, one importer
//! per foreign protocol or storage crate, and every file says what it is for.
#![allow(clippy::unwrap_used)]

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use cargo_metadata::{DependencyKind, MetadataCommand};

/// Crate, layer, and which of ours it may import.
const LAYERS: &[(&str, u8, &[&str])] = &[
    ("base", 0, &[]),
    ("domain", 1, &["base"]),
    ("sip-proto", 1, &["base"]),
    ("sdp-proto", 1, &["base"]),
    ("rtp-proto", 1, &["base"]),
    ("stun-proto", 1, &["base"]),
    ("smpp-proto", 1, &["base"]),
    ("audio", 1, &["base"]),
    ("call", 1, &["base", "domain", "sip-proto", "sdp-proto"]),
    ("net", 2, &["base"]),
    ("telemetry", 2, &["base"]),
    ("settings", 2, &["base"]),
    ("store", 2, &["base", "domain"]),
    ("bus", 2, &["base", "domain"]),
    (
        "sip-proxy",
        3,
        &["base", "domain", "call", "sip-proto", "sdp-proto", "stun-proto", "net", "settings", "telemetry"],
    ),
    (
        "media-server",
        3,
        &["base", "domain", "audio", "rtp-proto", "sdp-proto", "sip-proto", "net", "settings", "telemetry"],
    ),
    (
        "rtp-relay",
        3,
        &["base", "domain", "audio", "rtp-proto", "stun-proto", "sdp-proto", "net", "settings", "telemetry"],
    ),
    ("smpp-gateway", 3, &["base", "domain", "smpp-proto", "net", "settings", "telemetry"]),
    ("turn-server", 3, &["base", "domain", "stun-proto", "net", "settings", "telemetry"]),
    ("control-api", 3, &["base", "domain", "store", "net", "settings", "telemetry"]),
];

/// The composition root and the test kit import what they need.
const UNBOUND: &[&str] = &["tandem", "testkit"];

/// Foreign crates that bring a runtime, sockets or a database: not below layer 2.
const IMPURE: &[&str] =
    &["tokio", "tokio-util", "tokio-rustls", "sqlx", "axum", "hyper", "rustls", "socket2", "libc", "tracing"];

/// Foreign crates with their only importers in production.
const WRAPPED: &[(&str, &[&str])] = &[
    ("sqlx", &["store"]),
    ("axum", &["control-api", "telemetry"]),
    ("rustls", &["net"]),
    ("rcgen", &["net"]),
    ("aws-lc-rs", &["rtp-proto", "store", "control-api"]),
    ("argon2", &["store"]),
    ("prometheus-client", &["telemetry"]),
    ("hound", &["audio", "testkit"]),
    ("jiff", &["domain", "control-api"]),
];

fn graph() -> BTreeMap<String, BTreeSet<String>> {
    let metadata = MetadataCommand::new().no_deps().exec().expect("cargo metadata runs");
    let normal = |p: &cargo_metadata::Package| {
        p.dependencies.iter().filter(|d| d.kind != DependencyKind::Development).map(|d| d.name.clone()).collect()
    };
    metadata.packages.iter().map(|p| (p.name.to_string(), normal(p))).collect()
}

#[test]
fn every_arrow_between_our_crates_stands_in_the_layer_table() {
    let graph = graph();
    let ours: BTreeSet<&String> = graph.keys().collect();
    let mut wrong = Vec::new();
    for (name, dependencies) in &graph {
        if UNBOUND.contains(&name.as_str()) {
            continue;
        }
        let Some((_, _, allowed)) = LAYERS.iter().find(|(n, ..)| n == name) else {
            wrong.push(format!("{name} is in no layer"));
            continue;
        };
        for dependency in dependencies.iter().filter(|d| ours.contains(d)) {
            if !allowed.contains(&dependency.as_str()) {
                wrong.push(format!("{name} may not import {dependency}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn nothing_below_layer_2_knows_a_runtime_a_socket_or_a_database() {
    let graph = graph();
    let pure = LAYERS.iter().filter(|(_, layer, _)| *layer < 2).map(|(name, ..)| *name);
    let wrong: Vec<_> = pure
        .flat_map(|name| {
            graph[name].iter().filter(|d| IMPURE.contains(&d.as_str())).map(move |d| format!("{name}: {d}"))
        })
        .collect();
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn foreign_crates_that_are_wrapped_have_one_importer() {
    let graph = graph();
    let mut wrong = Vec::new();
    for (foreign, importers) in WRAPPED {
        for (name, dependencies) in &graph {
            if dependencies.contains(*foreign) && !importers.contains(&name.as_str()) {
                wrong.push(format!("{name} imports {foreign}; only {importers:?} may"));
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn every_file_says_what_it_is_for() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut files = Vec::new();
    rust_files(root, &mut files);
    assert!(files.len() > 50, "only {} files found", files.len());
    let silent: Vec<_> = files.iter().filter(|f| !says_what_it_is(f)).collect();
    assert!(silent.is_empty(), "no //! at the top of {silent:#?}");
}

fn says_what_it_is(file: &Path) -> bool {
    let text = std::fs::read_to_string(file).unwrap();
    text.lines().find(|l| !l.trim().is_empty() && !l.starts_with("#!")).is_none_or(|l| l.starts_with("//!"))
}

fn rust_files(directory: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(directory).unwrap().map(Result::unwrap) {
        let (path, name) = (entry.path(), entry.file_name().to_string_lossy().into_owned());
        if entry.file_type().unwrap().is_dir() {
            if !name.starts_with('.')
                && !name.starts_with("target")
                && !matches!(name.as_str(), "data" | "node_modules")
            {
                rust_files(&path, found);
            }
        } else if name.ends_with(".rs") {
            found.push(path);
        }
    }
}

#[test]
fn the_clock_and_the_system_s_randomness_stay_out_of_the_machines() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("crates");
    let mut wrong = Vec::new();
    for (name, ..) in LAYERS.iter().filter(|(name, layer, _)| *layer == 1 && *name != "base") {
        let mut files = Vec::new();
        rust_files(&root.join(name).join("src"), &mut files);
        for file in files {
            let text = std::fs::read_to_string(&file).unwrap();
            let production = text.split("#[cfg(test)]").next().unwrap_or_default();
            let is_test_file = file.file_name().is_some_and(|n| n.to_string_lossy().contains("tests"));
            for needle in ["Instant::now()", "SystemTime::now()", "from_entropy()", "rand::rng()"] {
                if !is_test_file && production.contains(needle) {
                    wrong.push(format!("{}: {needle}", file.display()));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

/// An operator must be able to look every metric up.
#[test]
fn every_metric_is_described_in_the_operations_page() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let page = std::fs::read_to_string(root.join("docs/operations.md")).unwrap();
    let mut files = Vec::new();
    rust_files(root, &mut files);
    let mut names = BTreeSet::new();
    for file in files.iter().filter(|f| !f.ends_with("tidy.rs") && !f.starts_with(root.join("crates/telemetry"))) {
        let text = std::fs::read_to_string(file).unwrap();
        for kind in ["counter", "counters", "gauge", "gauges", "histogram", "histograms"] {
            for call in text.split(&format!(".{kind}(")).skip(1) {
                if let Some(name) = call.trim_start().strip_prefix('"').and_then(|rest| rest.split('"').next()) {
                    names.insert(name.to_owned());
                }
            }
        }
    }
    assert!(names.len() > 30, "only {names:?} found");
    let missing: Vec<_> = names.iter().filter(|n| !page.contains(n.as_str())).collect();
    assert!(missing.is_empty(), "not in docs/operations.md: {missing:?}");
}
