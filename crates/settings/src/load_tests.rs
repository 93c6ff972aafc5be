//! What an operator gets to read when settings are wrong, and that overrides win.

#![allow(clippy::unwrap_used)]

use super::load_str;
use crate as settings;
use base::Secret;

settings::config! {
    /// Edge.
    struct Edge {
        /// Listener.
        udp_listen: std::net::SocketAddr = ([127, 0, 0, 1], 5060).into(),
        /// Port.
        port: u16 = 1,
        /// Password.
        #[serde(serialize_with = "settings::redacted")]
        password: Secret = Secret::default(),
        /// Names.
        names: Vec<String> = vec![],
    }
}

#[derive(Debug, Default, serde::Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Whole {
    edge: Edge,
    peer: Vec<Edge>,
}

fn load(text: &str, environment: &[(&str, &str)]) -> Result<Whole, String> {
    load_str("x.toml", text, environment.iter().map(|(k, v)| (k.to_string(), v.to_string()))).map_err(|e| e.to_string())
}

#[test]
fn nothing_gives_the_defaults_and_the_environment_wins_over_the_file() {
    assert_eq!(load("", &[]).unwrap().edge.port, 1);
    let text = "[edge]\nport = 2\nudp_listen = '0.0.0.0:9'\n";
    let whole = load(text, &[("TANDEM_EDGE__PORT", "3"), ("OTHER", "x")]).unwrap();
    assert_eq!((whole.edge.port, whole.edge.udp_listen.port()), (3, 9));
    let whole = load("", &[("TANDEM_EDGE__UDP_LISTEN", "1.2.3.4:5"), ("TANDEM_EDGE__NAMES", "['a', 'b']")]).unwrap();
    assert_eq!((whole.edge.udp_listen.port(), whole.edge.names.len()), (5, 2));
}

#[test]
fn a_text_that_looks_like_a_number_is_still_taken_as_text() {
    let whole = load("", &[("TANDEM_EDGE__PASSWORD", "12345"), ("TANDEM_EDGE__PORT", "7")]).unwrap();
    assert!(whole.edge.password.expose() == "12345" && whole.edge.port == 7);
}

#[test]
fn every_refusal_is_one_line_that_names_place_and_key() {
    for (text, expected) in [
        ("[edge]\nport = 2\nfoo = 1\n", "unknown key `foo` in [edge], x.toml line 3 column 1"),
        (
            "[edge]\nudp_lisden = 'x'\n",
            "unknown key `udp_lisden` in [edge], x.toml line 2 column 1 (did you mean `udp_listen`?)",
        ),
        ("[edgy]\nport = 2\n", "unknown key `edgy` in the top level, x.toml line 1 column 2 (did you mean `edge`?)"),
        ("[[peer]]\nport = 1\n[[peer]]\nbar = 1\n", "unknown key `bar` in [peer], x.toml line 4 column 1"),
        ("[edge]\nport = 'x'\n", "x.toml line 2 column 8: edge.port: invalid type: string \"x\", expected u16"),
        ("[edge]\nport = 70000\n", "x.toml line 2 column 8: edge.port: invalid value: integer `70000`, expected u16"),
        ("[edge]\nudp_listen = 'here'\n", "x.toml line 2 column 14: edge.udp_listen: invalid socket address syntax"),
        ("[edge]\npassword = 77\n", "x.toml line 2 column 12: edge.password: not of the right form (value not shown)"),
    ] {
        assert_eq!(load(text, &[]).unwrap_err(), expected);
    }
    for text in ["[edge\n", "port = \n", "a = 1\na = 2\n", "x"] {
        let message = load(text, &[]).unwrap_err();
        assert!(message.starts_with("x.toml line 1") || message.starts_with("x.toml line 2"), "{message}");
        assert!(!message.contains('\n'), "{message}");
    }
}

#[test]
fn a_bad_variable_is_named() {
    let message = load("", &[("TANDEM_EDGE__PROT", "1")]).unwrap_err();
    assert_eq!(message, "unknown key `prot` in [edge], environment variable TANDEM_EDGE__PROT (did you mean `port`?)");
    let message = load("", &[("TANDEM_EDGE__PORT", "many")]).unwrap_err();
    assert!(message.starts_with("environment variable TANDEM_EDGE__PORT: edge.port: invalid type"), "{message}");
    let message = load("", &[("TANDEM_EDGY__PORT", "1")]).unwrap_err();
    assert!(message.starts_with("unknown key `edgy` in the top level, environment variable"), "{message}");
    let message = load("", &[("TANDEM_EDGE__PORT", "70000")]).unwrap_err();
    assert!(message.contains("70000"), "{message}");
}

#[test]
fn an_unreadable_file_is_named() {
    let missing = std::env::temp_dir().join("tandem-settings-no-such-file.toml");
    let error = settings::load::<Whole>(Some(&missing), []).unwrap_err().to_string();
    assert!(error.contains("tandem-settings-no-such-file.toml"), "{error}");
}
