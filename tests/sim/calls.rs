//! Properties of calls over many seeds: whatever the network does, every call ends in exactly one final state, nothing is
//! left behind, and the money is right to the last micro.
#![allow(clippy::unwrap_used)]

use std::collections::BTreeMap;

use testkit::world::{Outcome, Scenario, run};

fn check(scenario: Scenario) -> Outcome {
    let outcome = run(scenario);
    let seed = scenario.seed;
    let mut records = BTreeMap::new();
    for (parties, end) in &outcome.settled {
        assert!(end.state.is_final(), "seed {seed}: {end:?}");
        let known = records.insert(parties.call.as_i64(), end);
        assert!(known.is_none(), "seed {seed}: settled twice: {known:?} and {end:?}");
    }
    assert_eq!((outcome.calls_left, outcome.transactions_left), (0, 0), "seed {seed}: something is left");
    let charged: i64 = records.values().filter_map(|end| end.price).map(|price| price.micros).sum();
    assert_eq!(outcome.balance_micros + charged, scenario.balance_micros, "seed {seed}: money");
    assert_eq!(outcome.held_micros, 0, "seed {seed}: money is still set aside");
    assert!(outcome.free_least_micros >= 0, "seed {seed}: overdrawn");
    outcome
}

#[test]
fn every_call_ends_once_and_the_money_sums_on_a_good_network() {
    let mut completed = 0;
    for seed in 0..60 {
        let outcome = check(Scenario { seed, loss_percent: 0, calls: 8, balance_micros: 100_000_000 });
        assert_eq!(outcome.settled.len(), 8, "seed {seed}");
        completed += outcome.settled.iter().filter(|(_, end)| end.answered_at.is_some()).count();
    }
    assert!(completed > 200, "most calls are answered, {completed}");
}

#[test]
fn every_call_ends_once_and_the_money_sums_when_a_quarter_is_lost() {
    for seed in 1_000..1_100 {
        check(Scenario { seed, loss_percent: 25, calls: 8, balance_micros: 100_000_000 });
    }
}

#[test]
fn many_calls_on_a_small_wallet_never_overdraw_it() {
    let mut cut = 0;
    for seed in 2_000..2_060 {
        let outcome = check(Scenario { seed, loss_percent: 10, calls: 12, balance_micros: 2_500_000 });
        cut += outcome.settled.iter().filter(|(_, end)| end.cause == "no_credit").count() + outcome.refused;
    }
    assert!(cut > 20, "the money does run out, {cut}");
}

#[test]
fn a_seed_repeats_its_run() {
    let scenario = Scenario { seed: 7, loss_percent: 20, calls: 6, balance_micros: 5_000_000 };
    let ends = |outcome: Outcome| outcome.settled.into_iter().map(|(p, end)| (p.call, end)).collect::<Vec<_>>();
    assert_eq!(ends(check(scenario)), ends(check(scenario)));
}
