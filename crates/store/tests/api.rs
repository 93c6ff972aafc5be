//! What the API keeps here: logins, idempotency keys, the audit log, small questions. One text for both engines.

#![allow(clippy::unwrap_used, dead_code, unreachable_pub)]

#[path = "contract/world.rs"]
mod world;

use std::time::Duration;

use base::Id;
use base::id::kind::{Device, Message, Session};
use domain::ports::{Billing, BindingChange, Locations, StoredBinding};
use serde_json::json;
use store::{AuditFilter, Claim, NewAudit, NewSession, NumberChange, Rotation, UserRow};
use world::{World, completed};

const WEEK: Duration = Duration::from_secs(7 * 24 * 3600);

async fn session(w: &World, user: &UserRow, hash: &str) -> Id<Session> {
    let (user, tenant) = (user.id, user.tenant);
    let new = NewSession { user, tenant, device: None, device_minted: false, token_hash: hash, ttl: WEEK };
    w.store.open_session(new).await.unwrap()
}

async fn d4_reuse_of_a_refresh_token_ends_its_login_only(w: World) {
    let tenant = w.tenant("acme").await;
    let user = w.user(tenant.id, "alice").await;
    let (one, _two) = (session(&w, &user, "a1").await, session(&w, &user, "b1").await);
    let Rotation::Rotated(facts) = w.store.rotate_session("a1", "a2", WEEK).await.unwrap() else { panic!("refused") };
    assert_eq!((facts.id, facts.user, facts.ended_at), (one, user.id, None));
    assert!(matches!(w.store.rotate_session("a1", "a3", WEEK).await.unwrap(), Rotation::Reused(s) if s.id == one));
    assert_eq!(w.store.rotate_session("a2", "a4", WEEK).await.unwrap(), Rotation::Refused);
    assert_eq!(w.store.rotate_session("a3", "a5", WEEK).await.unwrap(), Rotation::Refused, "it was never given out");
    assert!(matches!(w.store.rotate_session("b1", "b2", WEEK).await.unwrap(), Rotation::Rotated(_)));
}

async fn d4_of_two_processes_with_one_token_one_wins(w: World) {
    let tenant = w.tenant("acme").await;
    let user = w.user(tenant.id, "alice").await;
    session(&w, &user, "t0").await;
    let other = w.another().await;
    let tries = (0..16).map(|n| {
        let store = if n % 2 == 0 { w.store.clone() } else { other.clone() };
        tokio::spawn(async move { store.rotate_session("t0", &format!("t1-{n}"), WEEK).await.unwrap() })
    });
    let mut won = 0;
    for attempt in tries.collect::<Vec<_>>() {
        won += usize::from(matches!(attempt.await.unwrap(), Rotation::Rotated(_)));
    }
    assert_eq!(won, 1);
}

async fn logins_end_by_time_by_hand_and_with_their_user_and_are_forgotten(w: World) {
    let tenant = w.tenant("acme").await;
    let user = w.user(tenant.id, "alice").await;
    let by_hand = session(&w, &user, "h").await;
    assert_eq!(w.store.end_session(by_hand, "logout").await.unwrap().unwrap().user, user.id);
    assert_eq!(w.store.rotate_session("h", "h2", WEEK).await.unwrap(), Rotation::Refused);
    session(&w, &user, "u").await;
    assert_eq!(w.store.end_sessions_of(user.id, "suspended").await.unwrap(), 1);
    assert_eq!(w.store.rotate_session("u", "u2", WEEK).await.unwrap(), Rotation::Refused);
    session(&w, &user, "t").await;
    w.advance(WEEK);
    assert_eq!(w.store.rotate_session("t", "t2", WEEK).await.unwrap(), Rotation::Refused);
    assert_eq!(w.store.sweep_sessions().await.unwrap(), 0, "kept for a week more, to know a reuse");
    w.advance(WEEK + Duration::from_secs(1));
    assert_eq!(w.store.sweep_sessions().await.unwrap(), 3);
    assert_eq!(w.store.end_session(by_hand, "again").await.unwrap(), None);
}

async fn a_key_is_claimed_once_kept_a_day_and_taken_over_after_a_crash(mut w: World) {
    let tenant = w.tenant("acme").await;
    let user = w.user(tenant.id, "alice").await.id;
    let claim = async |w: &World, hash: &str| w.store.claim_key::<Message>(user, "k", hash).await.unwrap();
    let Claim::First(id) = claim(&w, "h").await else { panic!("not the first") };
    assert_eq!(claim(&w, "h").await, Claim::InFlight);
    assert_eq!(claim(&w, "other").await, Claim::Mismatch);
    w.crash().await;
    assert_eq!(claim(&w, "h").await, Claim::InFlight);
    w.advance(Duration::from_secs(60));
    assert_eq!(claim(&w, "h").await, Claim::TakenOver(id), "the same object");
    assert_eq!(claim(&w, "h").await, Claim::InFlight);
    w.store.yield_key(user, "k").await.unwrap();
    assert_eq!(claim(&w, "h").await, Claim::TakenOver(id));
    w.store.keep_answer(user, "k", 202, "{}").await.unwrap();
    w.store.keep_answer(user, "k", 500, "late").await.unwrap();
    w.store.release_key(user, "k").await.unwrap();
    assert_eq!(claim(&w, "h").await, Claim::Done { status: 202, answer: "{}".into() });
    w.advance(Duration::from_secs(24 * 3600));
    assert!(matches!(claim(&w, "other").await, Claim::First(new) if new != id));
    w.store.release_key(user, "k").await.unwrap();
    assert!(matches!(claim(&w, "third").await, Claim::First(_)), "a released key is free");
    w.advance(Duration::from_secs(24 * 3600));
    assert_eq!(w.store.sweep_keys().await.unwrap(), 1);
}

async fn of_two_processes_with_one_key_one_is_first(w: World) {
    let tenant = w.tenant("acme").await;
    let user = w.user(tenant.id, "alice").await.id;
    let other = w.another().await;
    let claims = (0..16).map(|n| {
        let store = if n % 2 == 0 { w.store.clone() } else { other.clone() };
        tokio::spawn(async move { store.claim_key::<Message>(user, "k", "h").await.unwrap() })
    });
    let mut first = 0;
    for claim in claims.collect::<Vec<_>>() {
        match claim.await.unwrap() {
            Claim::First(_) => first += 1,
            Claim::InFlight => {}
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(first, 1);
}

async fn the_audit_log_is_paged_and_filtered(w: World) {
    let (one, two) = (w.tenant("acme").await.id, w.tenant("beta").await.id);
    let actor = w.user(one, "root").await.id;
    for n in 0..5 {
        let row = NewAudit {
            tenant: Some(if n % 2 == 0 { one } else { two }),
            actor: Some(actor),
            actor_role: "platform_admin",
            action: if n == 4 { "user.delete" } else { "user.create" },
            object_kind: "user",
            object: Some(n),
            detail: &json!({ "n": n }),
            request: "r",
        };
        w.store.audit(row).await.unwrap();
        w.advance(Duration::from_secs(1));
    }
    let objects = async |filter: AuditFilter, before, limit| -> Vec<i64> {
        let rows = w.store.audit_log(&filter, before, limit).await.unwrap();
        rows.iter().map(|r| r.object.unwrap()).collect()
    };
    assert_eq!(objects(AuditFilter::default(), None, 3).await, [4, 3, 2]);
    let page = w.store.audit_log(&AuditFilter::default(), None, 3).await.unwrap();
    assert_eq!(objects(AuditFilter::default(), Some(page[2].id), 3).await, [1, 0]);
    assert_eq!(page[0].detail, json!({ "n": 4 }));
    assert_eq!(objects(AuditFilter { tenant: Some(two), ..AuditFilter::default() }, None, 9).await, [3, 1]);
    assert_eq!(
        objects(AuditFilter { action: Some("user.delete".into()), ..AuditFilter::default() }, None, 9).await,
        [4]
    );
    let from = Some(w.now().before(Duration::from_secs(2)));
    assert_eq!(objects(AuditFilter { from, ..AuditFilter::default() }, None, 9).await, [4, 3]);
}

async fn n5_exactly_one_number_is_the_primary_one_and_an_active_one_if_there_is_any(w: World) {
    let tenant = w.tenant("acme").await;
    let user = w.user(tenant.id, "alice").await;
    assert_eq!(w.store.primary_number(user.id).await.unwrap(), None);
    let (first, second) = (w.number(&user, "+15550000001").await, w.number(&user, "+15550000002").await);
    assert_eq!(w.store.primary_number(user.id).await.unwrap(), Some(first));
    let change = NumberChange { primary: true, ..NumberChange::default() };
    w.store.update_number(None, second, &change).await.unwrap();
    assert_eq!(w.store.primary_number(user.id).await.unwrap(), Some(second));
    let off = NumberChange { status: Some(domain::number::NumberStatus::Inactive), ..NumberChange::default() };
    w.store.update_number(None, second, &off).await.unwrap();
    assert_eq!(w.store.primary_number(user.id).await.unwrap(), Some(first));
    assert!(w.store.number_takes_texts(&world::e164("+15550000001")).await.unwrap());
    assert!(!w.store.number_takes_texts(&world::e164("+15559999999")).await.unwrap());
}

async fn figures_and_registrations_of_a_user_are_counted(w: World) {
    let tenant = w.tenant("acme").await;
    let user = w.funded(tenant.id, "alice", 1_000_000).await;
    let call = w.call(&user, 100_000, 10_000);
    let grant = w.store.open_call(call.clone()).await.unwrap().unwrap();
    let begun = w.now();
    w.advance(Duration::from_secs(30));
    let end = completed(begun, w.now(), Some(5_000));
    w.store.settle_call(&call.parties, Some(grant.reservation), &end).await.unwrap();
    let figures = w.store.user_figures(user.id, begun).await.unwrap();
    assert_eq!((figures.calls, figures.talked_s, figures.texts_sent), (1, 30, 0));
    assert_eq!(w.store.user_figures(user.id, w.now()).await.unwrap().calls, 0);
    let device: Id<Device> = w.store.new_id();
    let put = |key: &str, seconds| {
        let expires_at = w.now().after(Duration::from_secs(seconds));
        BindingChange::Put(StoredBinding { user: user.id, device, key: key.into(), data: "{}".into(), expires_at })
    };
    w.store.write(&[put("a", 10), put("b", 20)]).await.unwrap();
    let until = w.now().after(Duration::from_secs(20));
    assert_eq!(w.store.online_devices(&[user.id], w.now()).await.unwrap(), [(device, until)]);
    assert!(w.store.online_devices(&[], w.now()).await.unwrap().is_empty());
    assert!(w.store.online_devices(&[user.id], until).await.unwrap().is_empty());
}

/// Makes of each `async fn(World)` a test on SQLite and one on PostgreSQL.
macro_rules! on_both_engines {
    ($($name:ident),+ $(,)?) => {
        mod sqlite { $(
            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $name() { super::$name(super::World::sqlite().await).await; }
        )+ }
        mod postgres { $(
            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $name() { super::$name(super::World::postgres().await).await; }
        )+ }
    };
}

on_both_engines! {
    d4_reuse_of_a_refresh_token_ends_its_login_only,
    d4_of_two_processes_with_one_token_one_wins,
    logins_end_by_time_by_hand_and_with_their_user_and_are_forgotten,
    a_key_is_claimed_once_kept_a_day_and_taken_over_after_a_crash,
    of_two_processes_with_one_key_one_is_first,
    the_audit_log_is_paged_and_filtered,
    n5_exactly_one_number_is_the_primary_one_and_an_active_one_if_there_is_any,
    figures_and_registrations_of_a_user_are_counted,
}
