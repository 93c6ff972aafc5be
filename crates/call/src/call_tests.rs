//! What a call must do, seen through its inputs and outputs, on a virtual clock.
#![allow(clippy::unwrap_used)]

use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

use base::{Currency, Id, Money, Timestamp};
use domain::call_record::{CallDirection, CallEnd, CallParties};
use domain::rate::Rate;
use proptest::prelude::*;

use super::*;
use crate::plan::Target;

const NETWORK: LegNetwork =
    LegNetwork { profile: None, signalled_from: IpAddr::V4(Ipv4Addr::LOCALHOST), behind_nat: false };

/// A call with ports that answer at once: a wallet, a relay that marks SDP with the leg for which it made it.
struct Bench {
    call: Call<&'static str>,
    now: Now,
    free_micros: i64,
    held_micros: i64,
    said: Vec<(LegIndex, LegCommand<&'static str>)>,
    settled: Vec<(CallParties, CallEnd)>,
    states: Vec<CallState>,
    played: Vec<LegIndex>,
    forward_to: Option<Plan<&'static str>>,
    finished: bool,
    extensions: usize,
}

fn parties(direction: CallDirection) -> CallParties {
    CallParties {
        call: Id::from_i64(1),
        sip_call_id: "c".into(),
        tenant: Id::from_i64(2),
        user: Some(Id::from_i64(3)),
        callee_user: None,
        device: None,
        direction,
        from: "+15550001".into(),
        to: "+15550002".into(),
        trunk_in: None,
        started_at: Timestamp::from_millis(0),
    }
}

fn rate(per_minute: i64, first: u32, next: u32) -> Rate {
    Rate {
        id: Id::from_i64(1),
        currency: Currency::USD,
        price_micros: per_minute,
        connect_micros: 0,
        first_increment_s: first,
        next_increment_s: next,
    }
}

fn step(targets: &[&'static str], ring_s: u64) -> Step<&'static str> {
    let target = |d| Target { destination: d, network: NETWORK, trunk: None };
    Step { targets: targets.iter().copied().map(target).collect(), ring_for: Duration::from_secs(ring_s) }
}

fn plan(steps: Vec<Step<&'static str>>) -> Plan<&'static str> {
    Plan {
        steps,
        on_busy: None,
        on_no_answer: None,
        on_unreachable: None,
        otherwise: Rejection::new(480, Cause::Unreachable),
        account: None,
        called: "+15550002".into(),
        diversion: None,
    }
}

impl Bench {
    fn start(plan: Plan<&'static str>, tariff: Option<Rate>, free_micros: i64) -> Self {
        let account =
            Account { parties: parties(CallDirection::Outbound), tariff: tariff.map(|r| (r, Id::from_i64(9))) };
        let caller = Caller { session: Id::from_i64(5), network: NETWORK, sdp: "offer".into() };
        let config = CallConfig { reservation_ttl: Duration::from_secs(120), talk_max: None };
        let now = Now { instant: Instant::now(), wall: Timestamp::from_millis(1_000_000) };
        let mut bench = Self {
            call: Call::start(caller, plan, account, config),
            now,
            free_micros,
            held_micros: 0,
            said: vec![],
            settled: vec![],
            states: vec![],
            played: vec![],
            forward_to: None,
            finished: false,
            extensions: 0,
        };
        bench.drain();
        bench
    }

    fn tell(&mut self, input: Input<&'static str>) {
        // A call may be written down and taken up again between any two inputs.
        self.call = self.call.clone();
        self.call.handle(self.now, input);
        self.drain();
    }

    fn leg(&mut self, leg: LegIndex, event: LegEvent) {
        self.tell(Input::Leg(leg, event));
    }

    fn hold(&mut self, hold: domain::wallet::Hold) -> Result<Grant, BillingError> {
        let granted = hold.granted_micros(self.free_micros).ok_or(BillingError::NoCredit)?;
        self.free_micros -= granted;
        self.held_micros += granted;
        Ok(Grant { reservation: Id::from_i64(7), total: Money::new(self.held_micros, Currency::USD) })
    }

    fn drain(&mut self) {
        while let Some(output) = self.call.poll_output() {
            let input = match output {
                Output::Leg(leg, command) => {
                    self.said.push((leg, command));
                    continue;
                }
                Output::Publish(_, state) => {
                    self.states.push(state);
                    continue;
                }
                Output::Finished => {
                    self.finished = true;
                    continue;
                }
                Output::Ask(Ask::Open(account, new)) => {
                    let answer = new.hold.map(|h| self.hold(h)).transpose();
                    Input::Opened(account, answer)
                }
                Output::Ask(Ask::Extend { account, hold, .. }) => {
                    self.extensions += 1;
                    let answer = self.hold(hold);
                    Input::Extended(account, answer)
                }
                Output::Ask(Ask::Offer(offer)) => Input::Offered(offer.to, Ok(format!("{}>{}", offer.sdp, offer.to))),
                Output::Ask(Ask::Answer(answer)) => {
                    Input::MediaAnswered(answer.from, Ok(format!("{}<{}", answer.sdp, answer.to)))
                }
                Output::Ask(Ask::Delete(_)) => Input::Deleted(vec![]),
                Output::Ask(Ask::Settle { parties, end, .. }) => {
                    self.settled.push((*parties, *end));
                    continue;
                }
                Output::Ask(Ask::Play(_, leg, _)) => {
                    self.played.push(leg);
                    continue;
                }
                Output::Ask(Ask::Forward { .. }) => {
                    let missing = Rejection::new(404, Cause::NoRoute);
                    Input::Planned(self.forward_to.take().map(Box::new).ok_or(missing))
                }
                Output::Ask(Ask::Progress { .. } | Ask::DropLeg(..)) => continue,
            };
            self.call.handle(self.now, input);
        }
    }

    /// Lets time pass, firing what falls due.
    fn pass(&mut self, time: Duration) {
        let until = self.now.instant + time;
        while let Some(at) = self.call.poll_timeout().filter(|at| *at <= until) {
            self.advance_to(at);
            self.tell(Input::Timeout);
        }
        self.advance_to(until);
    }

    fn advance_to(&mut self, at: Instant) {
        let step = at.saturating_duration_since(self.now.instant);
        self.now = Now { instant: self.now.instant + step, wall: self.now.wall.after(step) };
    }

    fn answer(&mut self, leg: LegIndex) {
        self.leg(leg, LegEvent::Provisional { status: 180, sdp: None });
        self.leg(leg, LegEvent::Accepted { sdp: Some("answer".into()) });
    }

    fn end(&self) -> &CallEnd {
        assert!(self.finished, "the call has not finished");
        assert_eq!(self.settled.len(), 1, "exactly one record");
        &self.settled[0].1
    }

    fn heard(&self, leg: LegIndex) -> Vec<&LegCommand<&'static str>> {
        self.said.iter().filter(|(l, _)| *l == leg).map(|(_, c)| c).collect()
    }
}

#[test]
fn an_answered_call_passes_through_its_states_and_is_charged_once() {
    let mut bench = Bench::start(plan(vec![step(&["trunk"], 30)]), Some(rate(600_000, 60, 60)), 10_000_000);
    bench.answer(1);
    bench.pass(Duration::from_secs(61));
    bench.leg(0, LegEvent::HungUp);
    let end = bench.end();
    assert_eq!((end.state, end.talked_s, end.billed_s), (CallState::Completed, 61, 120));
    assert_eq!(end.price.unwrap().micros, 1_200_000);
    assert_eq!(end.ended_by, "caller");
    assert_eq!(bench.states, [CallState::Initiated, CallState::Ringing, CallState::Answered, CallState::Completed]);
    assert!(matches!(bench.heard(1).last(), Some(LegCommand::Bye(Cause::Normal))));
    assert_eq!(
        bench.heard(0),
        [&LegCommand::Provisional { status: 180, sdp: None }, &LegCommand::Accept { sdp: "answer<0".into() }]
    );
}

#[test]
fn t5_all_devices_ring_and_the_losers_hear_that_another_answered() {
    let mut bench = Bench::start(plan(vec![step(&["desk", "mobile", "tablet"], 30)]), None, 0);
    bench.leg(1, LegEvent::Provisional { status: 180, sdp: None });
    bench.answer(2);
    for loser in [1, 3] {
        assert_eq!(bench.heard(loser).last(), Some(&&LegCommand::Cancel { completed_elsewhere: true }));
    }
    // A late 200 of a loser changes nothing.
    bench.leg(1, LegEvent::Accepted { sdp: Some("late".into()) });
    bench.leg(2, LegEvent::HungUp);
    assert_eq!((bench.end().state, bench.end().ended_by.as_str()), (CallState::Completed, "callee"));
}

#[test]
fn b11_a_call_is_warned_and_cut_when_the_money_ends() {
    // Money for 90 s at 0.60 a minute, by the second.
    let mut bench = Bench::start(plan(vec![step(&["trunk"], 30)]), Some(rate(600_000, 1, 1)), 900_000);
    bench.answer(1);
    bench.pass(Duration::from_secs(79));
    assert!(bench.played.is_empty() && !bench.finished);
    bench.pass(Duration::from_secs(2));
    assert_eq!(bench.played, [0]);
    bench.pass(Duration::from_millis(8_900));
    assert!(!bench.finished, "cut too early");
    bench.pass(Duration::from_millis(200));
    let end = bench.end();
    assert_eq!((end.cause.as_str(), end.talked_s), ("no_credit", 90));
    assert_eq!(end.price.unwrap().micros, 900_000);
    assert!(matches!(bench.heard(0).last(), Some(LegCommand::Bye(Cause::NoCredit))));
    assert!(matches!(bench.heard(1).last(), Some(LegCommand::Bye(Cause::NoCredit))));
}

#[test]
fn a_reservation_shows_signs_of_life_while_it_rings_and_during_a_long_increment() {
    // The first increment of ten minutes needs no extension for a long time.
    let mut bench = Bench::start(plan(vec![step(&["trunk"], 100)]), Some(rate(600_000, 600, 60)), 50_000_000);
    bench.leg(1, LegEvent::Provisional { status: 180, sdp: None });
    bench.pass(Duration::from_secs(91));
    assert_eq!(bench.extensions, 2);
    bench.answer(1);
    bench.pass(Duration::from_secs(300));
    assert!((8..=9).contains(&bench.extensions), "{}", bench.extensions);
    assert_eq!(bench.held_micros, 6_000_000);
    bench.leg(0, LegEvent::HungUp);
    assert_eq!(bench.end().price.unwrap().micros, 6_000_000);
}

#[test]
fn a_call_at_a_flat_fee_goes_on_showing_signs_of_life_after_the_store_was_away() {
    let flat = Rate { connect_micros: 50_000, ..rate(0, 1, 1) };
    let mut bench = Bench::start(plan(vec![step(&["trunk"], 100)]), Some(flat), 1_000_000);
    bench.answer(1);
    let away = BillingError::Unavailable(domain::ports::Unavailable("test".into()));
    bench.tell(Input::Extended(0, Err(away)));
    bench.pass(Duration::from_secs(200));
    assert!(bench.extensions >= 4, "{}", bench.extensions);
    bench.leg(0, LegEvent::HungUp);
    assert_eq!(bench.end().price.unwrap().micros, 50_000);
}

#[test]
fn without_money_nothing_rings_and_there_is_no_record() {
    let mut bench = Bench::start(plan(vec![step(&["trunk"], 30)]), Some(rate(600_000, 60, 60)), 599_999);
    assert!(bench.finished && bench.settled.is_empty());
    assert_eq!(bench.heard(0), [&LegCommand::Reject(Rejection::new(402, Cause::NoCredit))]);
    bench.pass(Duration::from_secs(100));
}

#[test]
fn a_cancelled_call_is_no_answer_with_cause_cancelled() {
    let mut bench = Bench::start(plan(vec![step(&["desk"], 30)]), Some(rate(600_000, 60, 60)), 10_000_000);
    bench.leg(1, LegEvent::Provisional { status: 180, sdp: None });
    bench.leg(0, LegEvent::Cancelled);
    let end = bench.end();
    assert_eq!((end.state, end.cause.as_str(), end.sip_status), (CallState::NoAnswer, "cancelled", 487));
    assert_eq!(end.price.unwrap().micros, 0);
    assert_eq!(bench.heard(1).last(), Some(&&LegCommand::Cancel { completed_elsewhere: false }));
}

#[test]
fn busy_ends_busy_and_declined_counts_as_busy() {
    for status in [486, 600, 603] {
        let mut bench = Bench::start(plan(vec![step(&["desk"], 30)]), None, 0);
        bench.leg(1, LegEvent::Rejected { status });
        assert_eq!((bench.end().state, bench.end().sip_status), (CallState::Busy, status));
    }
}

#[test]
fn t8_a_trunk_that_fails_is_followed_by_the_next_and_a_busy_callee_is_not() {
    let two = || plan(vec![step(&["first"], 30), step(&["second"], 30)]);
    for status in [503, 500, 408] {
        let mut bench = Bench::start(two(), None, 0);
        bench.leg(1, LegEvent::Rejected { status });
        assert!(matches!(bench.heard(2)[..], [LegCommand::Invite { destination: "second", .. }]), "{status}");
        bench.answer(2);
    }
    for status in [486, 404, 603] {
        let mut bench = Bench::start(two(), None, 0);
        bench.leg(1, LegEvent::Rejected { status });
        assert!(bench.heard(2).is_empty() && bench.finished, "{status}");
    }
}

#[test]
fn r3_no_answer_forwards_after_its_time_and_the_caller_hears_no_break() {
    let mut with_forward = plan(vec![step(&["desk"], 20)]);
    with_forward.on_no_answer =
        Some(Conditional { to: "+15559".parse().unwrap(), rule: Id::from_i64(4), by: Id::from_i64(3) });
    let mut bench = Bench::start(with_forward, None, 0);
    bench.forward_to = Some(plan(vec![step(&["elsewhere"], 30)]));
    bench.leg(1, LegEvent::Provisional { status: 180, sdp: None });
    bench.pass(Duration::from_millis(19_900));
    assert!(bench.heard(2).is_empty());
    bench.pass(Duration::from_millis(200));
    assert_eq!(bench.heard(1).last(), Some(&&LegCommand::Cancel { completed_elsewhere: false }));
    let Some(LegCommand::Invite { destination: "elsewhere", diversion: Some(diversion), .. }) = bench.heard(2).first()
    else {
        panic!("the forward was not called: {:?}", bench.said)
    };
    assert_eq!((diversion.from.as_str(), diversion.reason), ("+15550002", "no-answer"));
    bench.answer(2);
    bench.leg(0, LegEvent::HungUp);
    assert_eq!(bench.end().state, CallState::Completed);
    assert!(!bench.heard(0).iter().any(|c| matches!(c, LegCommand::Reject(_))));
}

#[test]
fn forwards_that_never_end_are_a_loop() {
    let looping = || {
        let mut p = plan(vec![]);
        p.on_unreachable =
            Some(Conditional { to: "+15559".parse().unwrap(), rule: Id::from_i64(4), by: Id::from_i64(3) });
        p
    };
    let account = Account { parties: parties(CallDirection::Inbound), tariff: None };
    let caller = Caller { session: Id::from_i64(5), network: NETWORK, sdp: "offer".into() };
    let config = CallConfig { reservation_ttl: Duration::from_secs(120), talk_max: None };
    let mut call = Call::start(caller, looping(), account, config);
    let now = Now { instant: Instant::now(), wall: Timestamp::from_millis(0) };
    call.handle(now, Input::Opened(0, Ok(None)));
    for _ in 0..20 {
        call.handle(now, Input::Planned(Ok(Box::new(looping()))));
    }
    let refusals = std::iter::from_fn(|| call.poll_output())
        .filter(|o| matches!(o, Output::Leg(0, LegCommand::Reject(r)) if r.status == 482 && r.cause == Cause::Loop))
        .count();
    assert_eq!(refusals, 1);
}

#[test]
fn early_media_reaches_the_caller_and_the_refusal_after_it_too() {
    let mut bench = Bench::start(plan(vec![step(&["announcement"], 30)]), None, 0);
    bench.leg(1, LegEvent::Provisional { status: 183, sdp: Some("early".into()) });
    bench.leg(1, LegEvent::Rejected { status: 404 });
    assert_eq!(bench.heard(0)[0], &LegCommand::Provisional { status: 183, sdp: Some("early<0".into()) });
    assert_eq!(bench.heard(0)[1], &LegCommand::Reject(Rejection { status: 404, q850: 1, cause: Cause::Unallocated }));
    assert_eq!(bench.end().state, CallState::Failed);
}

#[test]
fn a_hold_passes_through_and_glare_is_refused_with_491() {
    let mut bench = Bench::start(plan(vec![step(&["desk"], 30)]), None, 0);
    bench.answer(1);
    bench.leg(0, LegEvent::Reoffer { sdp: "hold".into() });
    assert_eq!(bench.heard(1).last(), Some(&&LegCommand::Reoffer { sdp: "hold>1".into() }));
    bench.leg(1, LegEvent::Reoffer { sdp: "glare".into() });
    assert_eq!(bench.heard(1).last(), Some(&&LegCommand::Reanswer { result: Err(491) }));
    bench.leg(1, LegEvent::Reanswer { result: Ok("held".into()) });
    assert_eq!(bench.heard(0).last(), Some(&&LegCommand::Reanswer { result: Ok("held<0".into()) }));
    bench.leg(1, LegEvent::Reoffer { sdp: "again".into() });
    assert_eq!(bench.heard(0).last(), Some(&&LegCommand::Reoffer { sdp: "again>0".into() }));
}

/// One random thing that may happen to a call.
fn happening() -> impl Strategy<Value = (LegIndex, u8, u16)> {
    (0u16..5, 0u8..9, prop_oneof![Just(180u16), Just(183), Just(404), Just(486), Just(503), Just(603)])
}

proptest! {
    /// Whatever legs do in whatever order, a call that was opened is settled exactly once, its held money covers its
    /// price, and it can always be ended.
    #[test]
    fn every_opened_call_is_settled_exactly_once(
        money in 0i64..3_000_000, happenings in proptest::collection::vec(happening(), 0..40),
    ) {
        let mut start = plan(vec![step(&["a", "b"], 20), step(&["c"], 20)]);
        start.on_no_answer = Some(Conditional { to: "+15559".parse().unwrap(), rule: Id::from_i64(4), by: Id::from_i64(3) });
        let mut bench = Bench::start(start, Some(rate(600_000, 6, 6)), money);
        bench.forward_to = Some(plan(vec![step(&["d"], 20)]));
        let opened = !bench.finished;
        for (leg, what, status) in happenings {
            match what {
                0 => bench.leg(leg, LegEvent::Provisional { status: 180, sdp: None }),
                1 => bench.leg(leg, LegEvent::Provisional { status: 183, sdp: Some("early".into()) }),
                2 => bench.leg(leg, LegEvent::Accepted { sdp: Some("answer".into()) }),
                3 if status >= 300 => bench.leg(leg, LegEvent::Rejected { status }),
                4 => bench.leg(leg, LegEvent::Reoffer { sdp: "again".into() }),
                5 => bench.leg(leg, LegEvent::Reanswer { result: Ok("ok".into()) }),
                6 if status == 404 => bench.leg(leg, LegEvent::HungUp),
                7 if status == 404 => bench.leg(0, LegEvent::Cancelled),
                _ => bench.pass(Duration::from_millis(u64::from(status) * 20)),
            }
        }
        bench.tell(Input::End(Cause::Administrative));
        prop_assert!(bench.finished);
        prop_assert_eq!(bench.settled.len(), usize::from(opened));
        if let Some((_, end)) = bench.settled.first() {
            prop_assert!(end.state.is_final());
            prop_assert!(end.price.unwrap().micros <= bench.held_micros);
            prop_assert_eq!(end.answered_at.is_some(), end.state == CallState::Completed);
        }
        let finals = bench.states.iter().filter(|s| s.is_final()).count();
        prop_assert_eq!(finals, usize::from(opened));
    }
}
