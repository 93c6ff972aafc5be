//! The description of the API: committed, complete, and shown without asking other hosts.

#![allow(clippy::unwrap_used)]

mod world;

use std::path::Path;

use reqwest::Method;
use serde_json::Value;
use world::World;

/// Rewrite it with `TANDEM_REWRITE=1 cargo test -p control-api --test openapi`.
#[test]
fn the_committed_description_is_the_generated_one() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/openapi.json");
    let generated = control_api::openapi_json();
    if std::env::var_os("TANDEM_REWRITE").is_some() {
        std::fs::write(&path, &generated).unwrap();
    }
    let committed = std::fs::read_to_string(&path).unwrap();
    assert!(committed == generated, "docs/openapi.json is not what the code says; rewrite it with TANDEM_REWRITE=1");
}

#[tokio::test]
async fn it_is_served_as_openapi_3_1_with_summaries_problems_and_no_dangling_reference() {
    let world = World::start().await;
    let api = world.send(world.request(Method::GET, "/openapi.json", None)).await.expect(200);
    assert_eq!(api["openapi"], "3.1.0");
    for (path, item) in api["paths"].as_object().unwrap() {
        assert!(path.starts_with("/api/v1/"), "{path}");
        for (method, operation) in item.as_object().unwrap() {
            assert!(operation["summary"].is_string(), "{method} {path} has no summary");
            assert!(operation["tags"][0].is_string(), "{method} {path} has no tag");
            assert!(operation["responses"]["default"]["content"]["application/problem+json"].is_object());
        }
    }
    references(&api, &mut |reference| {
        let pointer = reference.strip_prefix('#').unwrap();
        assert!(api.pointer(pointer).is_some(), "{reference} leads nowhere");
    });
}

fn references(value: &Value, see: &mut impl FnMut(&str)) {
    match value {
        Value::Object(map) => {
            if let Some(reference) = map.get("$ref").and_then(Value::as_str) {
                see(reference);
            }
            map.values().for_each(|v| references(v, see));
        }
        Value::Array(list) => list.iter().for_each(|v| references(v, see)),
        _ => {}
    }
}

#[tokio::test]
async fn the_page_loads_from_here_only() {
    let world = World::start().await;
    for (path, kind) in [("/docs", "text/html"), ("/docs/page.js", "text/javascript"), ("/docs/page.css", "text/css")] {
        let answer = world.send(world.request(Method::GET, path, None)).await;
        assert!(answer.headers["content-type"].to_str().unwrap().starts_with(kind));
        assert!(answer.headers["content-security-policy"].to_str().unwrap().starts_with("default-src 'none'"));
        let text = answer.expect(200).as_str().unwrap().to_owned();
        assert!(!text.contains("://"), "{path} names another host");
    }
}
