//! Who may do what: every operation of the API with every role, and nothing of another tenant.

#![allow(clippy::unwrap_used)]

mod world;

use reqwest::Method;
use serde_json::{Value, json};
use world::{Answer, World};

/// Operations that need no token.
const OPEN: [(&str, &str); 2] = [("post", "/api/v1/auth/login"), ("post", "/api/v1/auth/refresh")];

/// Operations of administration that a tenant's administrator may ask for; all others are the platform's.
const OF_TENANT: [(&str, &str); 21] = [
    ("get", "/api/v1/admin/tenants"),
    ("get", "/api/v1/admin/tenants/{id}"),
    ("get", "/api/v1/admin/users"),
    ("post", "/api/v1/admin/users"),
    ("get", "/api/v1/admin/users/{id}"),
    ("patch", "/api/v1/admin/users/{id}"),
    ("delete", "/api/v1/admin/users/{id}"),
    ("put", "/api/v1/admin/users/{id}/status"),
    ("get", "/api/v1/admin/users/{id}/wallet"),
    ("get", "/api/v1/admin/users/{id}/transactions"),
    ("get", "/api/v1/admin/devices"),
    ("post", "/api/v1/admin/devices"),
    ("get", "/api/v1/admin/devices/{id}"),
    ("patch", "/api/v1/admin/devices/{id}"),
    ("delete", "/api/v1/admin/devices/{id}"),
    ("get", "/api/v1/admin/numbers"),
    ("get", "/api/v1/admin/numbers/{id}"),
    ("patch", "/api/v1/admin/numbers/{id}"),
    ("get", "/api/v1/admin/rates"),
    ("get", "/api/v1/admin/rates/{id}"),
    ("get", "/api/v1/admin/audit"),
];

/// Every operation: method, path template.
async fn operations(world: &World) -> Vec<(String, String)> {
    let api = world.send(world.request(Method::GET, "/openapi.json", None)).await.expect(200);
    let mut found = vec![];
    for (path, item) in api["paths"].as_object().unwrap() {
        for method in item.as_object().unwrap().keys() {
            found.push((method.clone(), path.clone()));
        }
    }
    assert!(found.len() > 50, "only {} operations", found.len());
    found
}

/// Asks with an empty object and ids that nobody has: what may be done is refused only for that.
async fn probe(world: &World, method: &str, template: &str, token: Option<&str>) -> Answer {
    let path = template.replace("{id}", "0000000000001").replace("{rule_id}", "0000000000001");
    let method: Method = method.to_uppercase().parse().unwrap();
    let request = world.request(method.clone(), &path, token);
    world.send(if method == Method::GET || method == Method::DELETE { request } else { request.json(&json!({})) }).await
}

#[tokio::test]
async fn every_operation_answers_and_every_role_gets_what_it_may() {
    let world = World::start().await;
    let tokens =
        [world.token(&world.a.user).await, world.token(&world.a.admin).await, world.token(&world.platform).await];
    for (method, path) in operations(&world).await {
        // Logging out and a new password would spoil the tokens.
        if path.ends_with("/logout") {
            continue;
        }
        let open = OPEN.contains(&(method.as_str(), path.as_str()));
        let nobody = probe(&world, &method, &path, None).await;
        if open {
            nobody.problem(422, "invalid_body");
            continue;
        }
        nobody.problem(401, "unauthenticated");
        let admin = path.starts_with("/api/v1/admin/");
        let of_tenant = OF_TENANT.contains(&(method.as_str(), path.as_str()));
        for (role, token) in tokens.iter().enumerate() {
            let allowed = !admin || role == 2 || (role == 1 && of_tenant);
            let answer = probe(&world, &method, &path, Some(token)).await;
            if allowed {
                assert!(
                    matches!(answer.status, 200 | 201 | 204 | 404 | 409 | 422),
                    "{method} {path} as role {role}: {} {}",
                    answer.status,
                    answer.body
                );
            } else {
                answer.problem(403, "forbidden");
            }
        }
    }
}

#[tokio::test]
async fn nothing_of_another_tenant_can_be_seen_or_touched() {
    let world = World::start().await;
    world.can_text().await;
    world.fund(&world.b.user, 1_000_000).await;
    let (alice_b, admin_b) = (world.token(&world.b.user).await, world.token(&world.b.admin).await);
    let device = world.post("/api/v1/device/register", &alice_b, &json!({})).await.expect(201)["id"].clone();
    let rules = format!("/api/v1/numbers/{}/rules", world.b.number.id);
    let rule = world.post(&rules, &alice_b, &json!({ "kind": "dnd" })).await.expect(201)["id"].clone();
    let body = json!({ "from": world.b.number.number, "to": "+15559876543", "text": "x" });
    let message = world.post("/api/v1/sms/send", &alice_b, &body).await.expect(202)["id"].clone();
    let rate = world.get("/api/v1/admin/rates", &admin_b).await.expect(200)["items"][0]["id"].clone();
    let id = |v: &Value| v.as_str().unwrap().to_owned();
    let (user, number, tenant) = (world.b.user.id, world.b.number.id, world.b.tenant.id);
    let (device, rule, message, rate) = (id(&device), id(&rule), id(&message), id(&rate));

    let alice_a = world.token(&world.a.user).await;
    for (method, path, body) in [
        ("GET", format!("/sms/{message}"), None),
        ("GET", format!("/numbers/{number}"), None),
        ("GET", format!("/numbers/{number}/capabilities"), None),
        ("PUT", format!("/numbers/{number}/primary"), None),
        ("PUT", format!("/numbers/{number}/status"), Some(json!({ "status": "inactive" }))),
        ("GET", format!("/numbers/{number}/rules"), None),
        ("POST", format!("/numbers/{number}/rules"), Some(json!({ "kind": "dnd" }))),
        ("PUT", format!("/numbers/{number}/rules/{rule}"), Some(json!({ "kind": "dnd" }))),
        ("DELETE", format!("/numbers/{number}/rules/{rule}"), None),
        ("PUT", format!("/numbers/{}/rules/{rule}", world.a.number.id), Some(json!({ "kind": "dnd" }))),
        ("DELETE", format!("/numbers/{}/rules/{rule}", world.a.number.id), None),
        ("DELETE", format!("/device/{device}"), None),
    ] {
        foreign(&world, method, &format!("/api/v1{path}"), &alice_a, body).await;
    }

    let admin_a = world.token(&world.a.admin).await;
    for (method, path, body) in [
        ("GET", format!("/tenants/{tenant}"), None),
        ("GET", format!("/users?tenant_id={tenant}"), None),
        ("GET", format!("/devices?tenant_id={tenant}"), None),
        ("GET", format!("/numbers?tenant_id={tenant}"), None),
        ("GET", format!("/rates?tenant_id={tenant}"), None),
        ("GET", format!("/audit?tenant_id={tenant}"), None),
        ("GET", format!("/users/{user}"), None),
        ("PATCH", format!("/users/{user}"), Some(json!({ "display_name": "Mallory" }))),
        ("PUT", format!("/users/{user}/status"), Some(json!({ "status": "suspended" }))),
        ("DELETE", format!("/users/{user}"), None),
        ("GET", format!("/users/{user}/wallet"), None),
        ("GET", format!("/users/{user}/transactions"), None),
        ("POST", "/users".to_owned(), Some(json!({ "tenant_id": tenant, "name": "mallory" }))),
        ("POST", "/devices".to_owned(), Some(json!({ "user_id": user }))),
        ("GET", format!("/devices/{device}"), None),
        ("PATCH", format!("/devices/{device}"), Some(json!({ "secret": "guessed it" }))),
        ("DELETE", format!("/devices/{device}"), None),
        ("GET", format!("/numbers/{number}"), None),
        ("PATCH", format!("/numbers/{number}"), Some(json!({ "user_id": null }))),
        ("PATCH", format!("/numbers/{}", world.a.number.id), Some(json!({ "user_id": user }))),
        ("GET", format!("/rates/{rate}"), None),
    ] {
        foreign(&world, method, &format!("/api/v1/admin{path}"), &admin_a, body).await;
    }
    for list in ["users", "devices", "numbers", "rates", "tenants", "audit"] {
        let page = world.get(&format!("/api/v1/admin/{list}?limit=200"), &admin_a).await.expect(200);
        assert!(!page.to_string().contains(&tenant.to_string()), "{list}: {page}");
    }
    // Nothing was changed by trying.
    world.log_in("alice@b.example", world::PASSWORD).await.expect(200);
    assert_eq!(world.get(&rules, &alice_b).await.expect(200)["items"].as_array().unwrap().len(), 1);
}

async fn foreign(world: &World, method: &str, path: &str, token: &str, body: Option<Value>) {
    let request = world.request(method.parse().unwrap(), path, Some(token));
    let answer = world.send(body.map_or(request.try_clone().unwrap(), |b| request.json(&b))).await;
    assert_eq!(answer.status, 404, "{method} {path}: {}", answer.body);
    answer.problem(404, "not_found");
}

#[tokio::test]
async fn a_tenant_administrator_neither_makes_nor_touches_the_platforms() {
    let world = World::start().await;
    let admin = world.token(&world.a.admin).await;
    let users = "/api/v1/admin/users";
    world.post(users, &admin, &json!({ "name": "m", "role": "platform_admin" })).await.problem(403, "forbidden");
    let own = format!("{users}/{}", world.a.admin.id);
    let raise = json!({ "role": "platform_admin" });
    world.call(Method::PATCH, &own, &admin, &raise).await.problem(403, "forbidden");
    let root = format!("{users}/{}", world.platform.id);
    world.call(Method::PATCH, &root, &admin, &json!({ "password": "let me in" })).await.problem(403, "forbidden");
    world.delete(&root, &admin).await.problem(403, "forbidden");
    world
        .call(Method::PUT, &format!("{root}/status"), &admin, &json!({ "status": "suspended" }))
        .await
        .problem(403, "forbidden");
}

#[tokio::test]
async fn a_changed_role_ends_the_logins_that_say_the_old_one() {
    let world = World::start().await;
    let root = world.token(&world.platform).await;
    let login = world.log_in("admin@a.example", world::PASSWORD).await.expect(200);
    let path = format!("/api/v1/admin/users/{}", world.a.admin.id);
    world.call(Method::PATCH, &path, &root, &json!({ "role": "user" })).await.expect(200);
    let token = login["access_token"].as_str().unwrap();
    world.get("/api/v1/admin/users", token).await.problem(401, "unauthenticated");
    let body = json!({ "refresh_token": login["refresh_token"] });
    let request = world.request(Method::POST, "/api/v1/auth/refresh", None).json(&body);
    world.send(request).await.problem(401, "invalid_refresh_token");
}
