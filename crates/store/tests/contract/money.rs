//! Money and call records: `Billing`, the ledger, the sweeper.

use std::time::Duration;

use base::Id;
use domain::call_record::{CallDirection, CallState};
use domain::ports::{Billing, BillingError, NewCall};
use domain::rate::Service;
use domain::wallet::Hold;
use sqlx::Executor;
use store::{CallFilter, Category, Error, Place, RateData, TransactionFilter};

use crate::world::{World, completed, unanswered, usd};

const TTL: Duration = Duration::from_secs(90);

pub(crate) async fn b9_of_200_parallel_debits_with_money_for_100_exactly_100_succeed(w: World) {
    let tenant = w.tenant("acme").await;
    let user = w.funded(tenant.id, "alice", 100 * 250_000).await;
    let other = w.another().await;
    let debits = (0..200).map(|n| {
        // Two processes at once.
        let store = if n % 2 == 0 { w.store.clone() } else { other.clone() };
        let call = w.call(&user, 250_000, 250_000);
        let end = completed(w.now(), w.now(), Some(250_000));
        tokio::spawn(async move {
            let grant = store.open_call(call.clone()).await?;
            store.settle_call(&call.parties, grant.map(|g| g.reservation), &end).await?;
            Ok::<_, BillingError>(())
        })
    });
    let (mut paid, mut refused) = (0, 0);
    for debit in debits.collect::<Vec<_>>() {
        match debit.await.unwrap() {
            Ok(()) => paid += 1,
            Err(BillingError::NoCredit) => refused += 1,
            Err(other) => panic!("{other}"),
        }
    }
    assert_eq!((paid, refused), (100, 100));
    assert_eq!(w.wallet(&user).await, (0, 0));
    w.check_ledger().await;
}

pub(crate) async fn b8_nobody_changes_or_deletes_what_was_posted(w: World) {
    let tenant = w.tenant("acme").await;
    w.funded(tenant.id, "alice", 1_000_000).await;
    let mut raw = w.raw().await;
    for attack in [
        "UPDATE ledger_entries SET amount_micros = 2",
        "DELETE FROM ledger_entries",
        "UPDATE postings SET reason = 'mine'",
        "DELETE FROM postings",
    ] {
        let refused = raw.execute(attack).await.unwrap_err().to_string();
        assert!(refused.contains("append-only"), "{attack}: {refused}");
    }
    w.check_ledger().await;
}

pub(crate) async fn opening_a_call_twice_is_opening_it_once(w: World) {
    let tenant = w.tenant("acme").await;
    let user = w.funded(tenant.id, "alice", 1_000_000).await;
    let call = w.call(&user, 300_000, 100_000);
    let first = w.store.open_call(call.clone()).await.unwrap().unwrap();
    assert_eq!(first.total, usd(300_000));
    assert_eq!(w.store.open_call(call.clone()).await.unwrap(), Some(first));
    assert_eq!(w.another().await.open_call(call).await.unwrap(), Some(first));
    assert_eq!(w.wallet(&user).await, (1_000_000, 300_000));
    let free = NewCall { hold: None, ..w.call(&user, 0, 0) };
    assert_eq!(w.store.open_call(free.clone()).await, Ok(None));
    assert_eq!(w.store.open_call(free).await, Ok(None));
    w.check_ledger().await;
}

pub(crate) async fn a_refused_call_leaves_a_failed_record_and_no_hold(w: World) {
    let tenant = w.tenant("acme").await;
    let user = w.funded(tenant.id, "alice", 99_999).await;
    let call = w.call(&user, 300_000, 100_000);
    for _ in 0..2 {
        assert_eq!(w.store.open_call(call.clone()).await, Err(BillingError::NoCredit));
    }
    let listed = w.store.list_calls(None, &CallFilter::default(), None, 10).await.unwrap();
    assert_eq!(listed.iter().map(|c| c.status).collect::<Vec<_>>(), [CallState::Failed]);
    let end = unanswered(w.now(), CallState::Failed, "no_credit");
    w.store.settle_call(&call.parties, None, &end).await.unwrap();
    let record = w.store.find_call(Some(tenant.id), Some(user.id), call.parties.call).await.unwrap();
    assert_eq!((record.status, record.cause.as_deref()), (CallState::Failed, Some("no_credit")));
    assert_eq!(record.price, None);
    let stranger = NewCall { hold: call.hold.map(|h| Hold { wallet: Id::from_i64(7), ..h }), ..w.call(&user, 0, 0) };
    assert_eq!(w.store.open_call(stranger).await, Err(BillingError::Unknown));
    assert_eq!(w.wallet(&user).await, (99_999, 0));
}

pub(crate) async fn extending_takes_what_is_there_and_prolongs_even_when_refused(w: World) {
    let tenant = w.tenant("acme").await;
    let user = w.funded(tenant.id, "alice", 500_000).await;
    let call = w.call(&user, 300_000, 100_000);
    let grant = w.store.open_call(call.clone()).await.unwrap().unwrap();
    let hold = call.hold.unwrap();
    w.advance(Duration::from_secs(60));
    let more = w.store.extend_call(grant.reservation, hold, TTL).await.unwrap();
    assert_eq!(more.total, usd(500_000), "all that was left");
    w.advance(Duration::from_secs(60));
    assert_eq!(w.store.extend_call(grant.reservation, hold, TTL).await, Err(BillingError::NoCredit));
    w.advance(Duration::from_secs(60));
    assert_eq!(w.store.sweep(w.now()).await.unwrap().calls, 0, "the refused extension was a sign of life");
    assert_eq!(w.store.extend_call(Id::from_i64(9), hold, TTL).await, Err(BillingError::Unknown));
    let end = completed(call.parties.started_at, w.now(), Some(450_000));
    w.store.settle_call(&call.parties, Some(grant.reservation), &end).await.unwrap();
    assert_eq!(w.wallet(&user).await, (50_000, 0));
    assert_eq!(w.store.extend_call(grant.reservation, hold, TTL).await, Err(BillingError::Unknown));
    w.check_ledger().await;
}

pub(crate) async fn settling_charges_once_and_never_more_than_there_is(w: World) {
    let tenant = w.tenant("acme").await;
    let user = w.funded(tenant.id, "alice", 200_000).await;
    let call = w.call(&user, 150_000, 1);
    let grant = w.store.open_call(call.clone()).await.unwrap().unwrap();
    let end = completed(w.now(), w.now(), Some(230_000));
    for _ in 0..3 {
        w.store.settle_call(&call.parties, Some(grant.reservation), &end).await.unwrap();
    }
    assert_eq!(w.wallet(&user).await, (0, 0));
    let record = w.store.find_call(None, None, call.parties.call).await.unwrap();
    assert_eq!((record.price, record.uncollected_micros), (Some(usd(200_000)), 30_000));
    let filter = TransactionFilter { category: Some(Category::Call), ..TransactionFilter::default() };
    let charged = w.store.list_transactions(user.wallet, &filter, None, 10).await.unwrap();
    assert_eq!(charged.len(), 1);
    assert_eq!(charged[0].reference, format!("call:{}", call.parties.call));
    assert_eq!((charged[0].amount, charged[0].balance_after), (usd(-200_000), usd(0)));
    // A call that was never opened, and costs something all the same, is charged to its user.
    w.fund(&user, 10_000).await;
    let late = w.parties(&user, "+1");
    w.store.settle_call(&late, None, &completed(w.now(), w.now(), Some(4_000))).await.unwrap();
    assert_eq!(w.wallet(&user).await, (6_000, 0));
    w.check_ledger().await;
}

pub(crate) async fn t25_a_record_passes_through_the_states_and_ends_in_one(w: World) {
    let tenant = w.tenant("acme").await;
    let user = w.funded(tenant.id, "alice", 1_000_000).await;
    let status = async |call| w.store.find_call(None, None, call).await.unwrap().status;
    let call = w.call(&user, 100_000, 1);
    let id = call.parties.call;
    w.store.open_call(call.clone()).await.unwrap();
    assert_eq!(status(id).await, CallState::Initiated);
    w.store.progress_call(id, CallState::Ringing, w.now()).await.unwrap();
    assert_eq!(status(id).await, CallState::Ringing);
    w.advance(Duration::from_secs(5));
    let answered_at = w.now();
    w.store.progress_call(id, CallState::Answered, answered_at).await.unwrap();
    w.store.progress_call(id, CallState::Ringing, w.now()).await.unwrap();
    assert_eq!(status(id).await, CallState::Answered, "late news change nothing");
    assert!(w.store.progress_call(id, CallState::Busy, w.now()).await.is_err(), "only settling ends a call");
    w.advance(Duration::from_secs(10));
    w.store.settle_call(&call.parties, None, &completed(answered_at, w.now(), Some(10))).await.unwrap();
    w.store.progress_call(id, CallState::Ringing, w.now()).await.unwrap();
    let busy = unanswered(w.now(), CallState::Busy, "busy");
    w.store.settle_call(&call.parties, None, &busy).await.unwrap();
    let record = w.store.find_call(None, None, id).await.unwrap();
    assert_eq!((record.status, record.talked_s), (CallState::Completed, 10));
    assert_eq!((record.ringing_at.is_some(), record.answered_at), (true, Some(answered_at)));
    for (end, cause) in
        [(CallState::Busy, "busy"), (CallState::NoAnswer, "cancelled"), (CallState::Failed, "unallocated")]
    {
        let call = w.call(&user, 100_000, 1);
        w.store.open_call(call.clone()).await.unwrap();
        w.store.settle_call(&call.parties, None, &unanswered(w.now(), end, cause)).await.unwrap();
        assert_eq!(status(call.parties.call).await, end);
    }
    let unknown = w.store.progress_call(Id::from_i64(5), CallState::Ringing, w.now()).await;
    assert_eq!(unknown, Err(BillingError::Unknown));
    assert_eq!(w.wallet(&user).await, (999_990, 0));
}

pub(crate) async fn b11_two_calls_share_the_money_and_never_overdraw(w: World) {
    let tenant = w.tenant("acme").await;
    let user = w.funded(tenant.id, "alice", 90).await;
    let (a, b) = (w.call(&user, 60, 1), w.call(&user, 60, 1));
    let (one, two) = tokio::join!(w.store.open_call(a.clone()), w.store.open_call(b.clone()));
    let (one, two) = (one.unwrap().unwrap(), two.unwrap().unwrap());
    let mut totals = [one.total.micros, two.total.micros];
    totals.sort_unstable();
    assert_eq!(totals, [30, 60]);
    let third = w.store.open_call(w.call(&user, 60, 1)).await;
    assert_eq!(third, Err(BillingError::NoCredit));
    for (call, grant) in [(a, one), (b, two)] {
        let end = completed(w.now(), w.now(), Some(grant.total.micros));
        w.store.settle_call(&call.parties, Some(grant.reservation), &end).await.unwrap();
    }
    assert_eq!(w.wallet(&user).await, (0, 0));
    w.check_ledger().await;
}

pub(crate) async fn an_abandoned_call_is_settled_to_its_last_sign_of_life(mut w: World) {
    let tenant = w.tenant("acme").await;
    let user = w.funded(tenant.id, "alice", 1_000_000).await;
    let rate = RateData {
        service: Service::VoiceOut,
        prefix: "44".into(),
        price_micros: 60_000,
        connect_micros: 500,
        first_increment_s: 1,
        next_increment_s: 1,
        effective_from: base::Timestamp::from_millis(0),
    };
    w.store.create_rate(tenant.id, &rate).await.unwrap();
    let (talking, ringing) = (w.call(&user, 60_000, 1_000), w.call(&user, 60_000, 1_000));
    let grant = w.store.open_call(talking.clone()).await.unwrap().unwrap();
    w.store.open_call(ringing.clone()).await.unwrap();
    w.store.progress_call(ringing.parties.call, CallState::Ringing, w.now()).await.unwrap();
    w.advance(Duration::from_secs(3));
    w.store.progress_call(talking.parties.call, CallState::Answered, w.now()).await.unwrap();
    w.advance(Duration::from_secs(40));
    w.store.extend_call(grant.reservation, talking.hold.unwrap(), TTL).await.unwrap();
    w.crash().await;
    w.advance(Duration::from_secs(47));
    assert_eq!(w.store.sweep(w.now()).await.unwrap().calls, 1, "the ringing one, whose time has passed");
    w.advance(Duration::from_secs(43));
    let other = w.another().await;
    let (a, b) = tokio::join!(w.store.sweep(w.now()), other.sweep(w.now()));
    assert!(a.unwrap().calls + b.unwrap().calls >= 1);
    let record = w.store.find_call(None, None, talking.parties.call).await.unwrap();
    assert_eq!((record.status, record.cause.as_deref()), (CallState::Completed, Some("abandoned")));
    assert_eq!((record.talked_s, record.price), (40, Some(usd(40_500))));
    let record = w.store.find_call(None, None, ringing.parties.call).await.unwrap();
    assert_eq!((record.status, record.price), (CallState::Failed, None));
    assert_eq!(w.wallet(&user).await, (1_000_000 - 40_500, 0));
    assert_eq!(w.store.sweep(w.now()).await.unwrap().calls, 0);
    w.check_ledger().await;
}

pub(crate) async fn an_uncharged_call_ends_when_its_process_is_gone(mut w: World) {
    let tenant = w.tenant("acme").await;
    let user = w.user(tenant.id, "alice").await;
    let call = NewCall { hold: None, ..w.call(&user, 0, 0) };
    w.store.open_call(call.clone()).await.unwrap();
    w.store.progress_call(call.parties.call, CallState::Answered, w.now()).await.unwrap();
    w.advance(Duration::from_secs(3600));
    assert_eq!(w.store.sweep(w.now()).await.unwrap().calls, 0, "its process lives");
    w.crash().await;
    w.advance(Duration::from_secs(20));
    assert_eq!(w.store.sweep(w.now()).await.unwrap().calls, 0, "it may still beat");
    w.advance(Duration::from_secs(25));
    assert_eq!(w.store.sweep(w.now()).await.unwrap().calls, 1);
    let record = w.store.find_call(None, None, call.parties.call).await.unwrap();
    assert_eq!((record.status, record.talked_s), (CallState::Completed, 3600));
}

pub(crate) async fn adjustments_are_done_once_per_key_and_keep_the_chain(w: World) {
    let tenant = w.tenant("acme").await;
    let user = w.user(tenant.id, "alice").await;
    let key = w.store.new_id();
    for _ in 0..2 {
        w.store.adjust_wallet(Some(tenant.id), user.wallet, usd(500), "gift", "root", key).await.unwrap();
    }
    let adjust = async |micros| {
        let key = w.store.new_id();
        w.store.adjust_wallet(None, user.wallet, usd(micros), "test", "root", key).await.map(|r| r.balance.micros)
    };
    assert_eq!(adjust(-200).await, Ok(300));
    assert_eq!(adjust(-301).await, Err(Error::NoCredit));
    assert!(adjust(0).await.is_err());
    let foreign = w.tenant("other").await;
    let refused = w.store.adjust_wallet(Some(foreign.id), user.wallet, usd(1), "x", "x", w.store.new_id()).await;
    assert_eq!(refused, Err(Error::NotFound("wallet")));
    let all = TransactionFilter::default();
    let list = w.store.list_transactions(user.wallet, &all, None, 10).await.unwrap();
    let chain: Vec<_> = list.iter().map(|t| (t.sequence, t.balance_before.micros, t.balance_after.micros)).collect();
    assert_eq!(chain, [(2, 500, 300), (1, 0, 500)]);
    assert_eq!(w.store.list_transactions(user.wallet, &all, Some(2), 10).await.unwrap().len(), 1);
    w.check_ledger().await;
}

pub(crate) async fn a_credit_limit_lets_a_wallet_go_below_zero_so_far(w: World) {
    let tenant = w.tenant("acme").await;
    let user = w.user(tenant.id, "alice").await;
    w.store.set_credit_limit(None, user.wallet, 100).await.unwrap();
    let call = w.call(&user, 80, 80);
    let grant = w.store.open_call(call.clone()).await.unwrap().unwrap();
    assert!(matches!(w.store.set_credit_limit(None, user.wallet, 79).await, Err(Error::Conflict(_))));
    let end = completed(w.now(), w.now(), Some(120));
    w.store.settle_call(&call.parties, Some(grant.reservation), &end).await.unwrap();
    assert_eq!(w.wallet(&user).await, (-100, 0));
    assert_eq!(w.store.find_call(None, None, call.parties.call).await.unwrap().uncollected_micros, 20);
    w.check_ledger().await;
}

pub(crate) async fn t23_calls_are_listed_newest_first_with_filters_and_cursor(w: World) {
    let tenant = w.tenant("acme").await;
    let (alice, bob) = (w.user(tenant.id, "alice").await, w.user(tenant.id, "bob").await);
    let mut ids = Vec::new();
    for n in 0..7 {
        let mut parties = w.parties(&alice, &format!("+4420{n}"));
        if n % 2 == 0 {
            parties.direction = CallDirection::OnNet;
            parties.callee_user = Some(bob.id);
        }
        w.store.settle_call(&parties, None, &unanswered(w.now(), CallState::NoAnswer, "cancelled")).await.unwrap();
        ids.push(parties.call);
        // Two of them begin in the same millisecond.
        if n != 3 {
            w.advance(Duration::from_millis(1));
        }
    }
    ids.reverse();
    for (user, expected) in [(alice.id, ids.clone()), (bob.id, ids.iter().copied().step_by(2).collect())] {
        let filter = CallFilter { user: Some(user), ..CallFilter::default() };
        let (mut seen, mut place) = (Vec::new(), None);
        loop {
            let page = w.store.list_calls(Some(tenant.id), &filter, place, 2).await.unwrap();
            let Some(last) = page.last() else { break };
            place = Some(Place { at: last.started_at, id: last.id.as_i64() });
            seen.extend(page.iter().map(|c| c.id));
        }
        assert_eq!(seen, expected);
    }
    let count = async |filter: CallFilter| w.store.list_calls(None, &filter, None, 100).await.unwrap().len();
    assert_eq!(count(CallFilter { number: Some("+44203".into()), ..CallFilter::default() }).await, 1);
    assert_eq!(count(CallFilter { direction: Some(CallDirection::OnNet), ..CallFilter::default() }).await, 4);
    assert_eq!(count(CallFilter { status: Some(CallState::Busy), ..CallFilter::default() }).await, 0);
    assert_eq!(count(CallFilter { to: Some(w.now()), ..CallFilter::default() }).await, 7);
    assert_eq!(count(CallFilter { from: Some(w.now()), ..CallFilter::default() }).await, 0);
}

pub(crate) async fn a_poisoned_request_does_not_take_its_batch_along(w: World) {
    let tenant = w.tenant("acme").await;
    let user = w.funded(tenant.id, "alice", 1_000_000).await;
    // A text with a zero octet is refused by PostgreSQL, a negative credit by both: one of them spoils its batch.
    let good: Vec<_> = (0..20).map(|_| w.call(&user, 1_000, 1)).collect();
    let mut bad = w.call(&user, 1_000, 1);
    bad.parties.from = "\0".into();
    let tasks = good.iter().chain([&bad]).map(|call| {
        let (store, call) = (w.store.clone(), call.clone());
        tokio::spawn(async move { store.open_call(call).await })
    });
    let mut results = Vec::new();
    for task in tasks.collect::<Vec<_>>() {
        results.push(task.await.unwrap());
    }
    assert!(results[..20].iter().all(Result::is_ok), "{results:?}");
    let held = if results[20].is_ok() { 21_000 } else { 20_000 };
    assert_eq!(w.wallet(&user).await, (1_000_000, held));
    w.check_ledger().await;
}

pub(crate) async fn verify_finds_a_tampered_wallet(w: World) {
    let tenant = w.tenant("acme").await;
    let user = w.funded(tenant.id, "alice", 1_000).await;
    let mut raw = w.raw().await;
    raw.execute("UPDATE wallets SET balance_micros = 2000, held_micros = 5").await.unwrap();
    let report = w.store.verify_ledger().await.unwrap();
    assert_eq!((report.wallets, report.entries, report.faults.len()), (1, 1, 2));
    assert!(report.faults.iter().all(|f| f.contains(&user.wallet.as_i64().to_string())), "{report:?}");
}
