//! The machines against the figures of RFC 3261 §17, on virtual time.

use super::*;
use std::time::Duration;

fn timing() -> Timing {
    Timing {
        t1: Duration::from_millis(500),
        t2: Duration::from_secs(4),
        t4: Duration::from_secs(5),
        trying_after: Duration::from_millis(200),
    }
}

/// Runs a machine through its deadlines until it ends or has none: when it acted, in ms from the start, and how.
macro_rules! run {
    ($machine:expr, $start:expr, $timeout:expr) => {{
        let mut log = vec![];
        while let Some(at) = $machine.deadline() {
            for action in $machine.handle(at, &timing(), $timeout) {
                log.push(((at - $start).as_millis(), action));
            }
            if $machine.is_terminated() {
                break;
            }
        }
        log
    }};
}

#[test]
fn rfc3261_17_1_1_2_an_unanswered_invite_is_sent_seven_times_over_udp_and_given_up_at_64_t1() {
    let start = Instant::now();
    let mut machine = InviteClient::start(start, &timing(), false);
    let log = run!(machine, start, invite_client::Input::Timeout);
    let resends: Vec<_> = log.iter().filter(|(_, a)| *a == ClientAction::Resend).map(|(at, _)| at / 500).collect();
    assert_eq!(resends, [1, 3, 7, 15, 31, 63]);
    assert_eq!(log.last(), Some(&(32_000, ClientAction::TimedOut)));
}

#[test]
fn rfc3261_17_1_1_2_a_reliable_transport_repeats_nothing() {
    let start = Instant::now();
    let mut invite = InviteClient::start(start, &timing(), true);
    assert_eq!(run!(invite, start, invite_client::Input::Timeout), [(32_000, ClientAction::TimedOut)]);
    let mut other = Client::start(start, &timing(), true);
    assert_eq!(run!(other, start, client::Input::Timeout), [(32_000, ClientAction::TimedOut)]);
}

#[test]
fn rfc3261_17_1_1_2_a_refusal_is_acknowledged_each_time_until_timer_d() {
    let start = Instant::now();
    let mut machine = InviteClient::start(start, &timing(), false);
    use {ClientAction as A, invite_client::Input as I};
    assert_eq!(machine.handle(start, &timing(), I::Response(180)).to_vec(), [A::Deliver]);
    assert!(machine.is_proceeding());
    assert_eq!(machine.handle(start, &timing(), I::Response(486)).to_vec(), [A::Acknowledge, A::Deliver]);
    assert_eq!(machine.handle(start, &timing(), I::Response(486)).to_vec(), [A::Acknowledge]);
    assert_eq!(machine.deadline().map(|at| at - start), Some(Duration::from_secs(32)));
    assert_eq!(run!(machine, start, I::Timeout), []);
    assert!(machine.is_terminated());
    let mut reliable = InviteClient::start(start, &timing(), true);
    assert_eq!(reliable.handle(start, &timing(), I::Response(486)).to_vec(), [A::Acknowledge, A::Deliver]);
    assert!(reliable.is_terminated(), "Timer D is zero over reliable transports");
}

#[test]
fn rfc6026_7_2_an_accepted_invite_hears_every_2xx_for_64_t1() {
    let start = Instant::now();
    use {ClientAction as A, invite_client::Input as I};
    let mut machine = InviteClient::start(start, &timing(), true);
    for _ in 0..3 {
        assert_eq!(machine.handle(start, &timing(), I::Response(200)).to_vec(), [A::Deliver]);
    }
    assert_eq!(machine.handle(start, &timing(), I::Response(500)).to_vec(), []);
    assert_eq!(machine.deadline().map(|at| at - start), Some(Duration::from_secs(32)));
}

#[test]
fn rfc3261_9_1_a_cancelled_invite_ends_64_t1_later_whatever_still_rings() {
    let start = Instant::now();
    use {ClientAction as A, invite_client::Input as I};
    let mut machine = InviteClient::start(start, &timing(), false);
    machine.handle(start, &timing(), I::Response(180));
    machine.handle(start, &timing(), I::Cancelled);
    machine.handle(start + Duration::from_secs(20), &timing(), I::Response(180));
    assert_eq!(run!(machine, start, I::Timeout), [(32_000, A::TimedOut)]);
}

#[test]
fn rfc3261_17_1_2_2_a_non_invite_request_backs_off_to_t2() {
    let start = Instant::now();
    use {ClientAction as A, client::Input as I};
    let mut machine = Client::start(start, &timing(), false);
    let log = run!(machine, start, I::Timeout);
    let resends: Vec<_> = log.iter().filter(|(_, a)| *a == A::Resend).map(|(at, _)| *at).collect();
    assert_eq!(resends, [500, 1500, 3500, 7500, 11_500, 15_500, 19_500, 23_500, 27_500, 31_500]);
    assert_eq!(log.last(), Some(&(32_000, A::TimedOut)));
    let mut answered = Client::start(start, &timing(), false);
    assert_eq!(answered.handle(start, &timing(), I::Response(200)).to_vec(), [A::Deliver]);
    assert_eq!(answered.handle(start, &timing(), I::Response(200)).to_vec(), [], "Completed absorbs");
    assert_eq!(answered.deadline().map(|at| at - start), Some(Duration::from_secs(5)), "Timer K");
}

#[test]
fn rfc3261_17_2_1_a_refused_invite_is_answered_until_its_ack() {
    let start = Instant::now();
    use {ServerAction as A, invite_server::Input as I};
    let mut machine = InviteServer::start(start, &timing(), false);
    machine.handle(start, &timing(), I::Respond(486));
    let log = run!(machine, start, I::Timeout);
    let sends: Vec<_> = log.iter().map(|(at, _)| *at).collect();
    assert_eq!(
        sends,
        [500, 1500, 3500, 7500, 11_500, 15_500, 19_500, 23_500, 27_500, 31_500],
        "Timer G to T2, ended by Timer H"
    );
    assert!(log.iter().all(|(_, action)| *action == A::Send));
    let mut acknowledged = InviteServer::start(start, &timing(), false);
    acknowledged.handle(start, &timing(), I::Respond(486));
    assert_eq!(acknowledged.handle(start, &timing(), I::Ack).to_vec(), []);
    assert_eq!(acknowledged.handle(start, &timing(), I::Retransmission).to_vec(), [], "Confirmed absorbs");
    assert_eq!(acknowledged.deadline().map(|at| at - start), Some(Duration::from_secs(5)), "Timer I");
    let mut reliable = InviteServer::start(start, &timing(), true);
    reliable.handle(start, &timing(), I::Respond(486));
    assert_eq!(run!(reliable, start, I::Timeout), [], "no Timer G over reliable transports");
}

#[test]
fn rfc3261_13_3_1_4_a_2xx_is_sent_again_until_its_ack_or_64_t1() {
    let start = Instant::now();
    use {ServerAction as A, invite_server::Input as I};
    let mut machine = InviteServer::start(start, &timing(), true);
    machine.handle(start, &timing(), I::Respond(200));
    let log = run!(machine, start, I::Timeout);
    assert_eq!(log.iter().filter(|(_, action)| *action == A::Send).count(), 10);
    assert_eq!(log.last(), Some(&(32_000, A::AckMissing)));
    let mut acknowledged = InviteServer::start(start, &timing(), true);
    acknowledged.handle(start, &timing(), I::Respond(200));
    assert_eq!(acknowledged.handle(start, &timing(), I::Ack).to_vec(), [A::DeliverAck]);
    assert_eq!(acknowledged.handle(start, &timing(), I::Ack).to_vec(), [], "an ACK that comes again is absorbed");
    assert_eq!(acknowledged.handle(start, &timing(), I::Retransmission).to_vec(), [], "RFC 6026 §7.1");
    assert_eq!(run!(acknowledged, start, I::Timeout), []);
}

#[test]
fn rfc3261_17_2_1_an_invite_gets_100_after_200_ms_or_when_it_comes_again() {
    let start = Instant::now();
    use {ServerAction as A, invite_server::Input as I};
    let mut slow = InviteServer::start(start, &timing(), false);
    assert_eq!(run!(slow, start, I::Timeout), [(200, A::SendTrying)]);
    let mut again = InviteServer::start(start, &timing(), false);
    assert_eq!(again.handle(start, &timing(), I::Retransmission).to_vec(), [A::SendTrying]);
    assert_eq!(again.handle(start, &timing(), I::Retransmission).to_vec(), [A::Send]);
}

#[test]
fn rfc4320_4_1_a_non_invite_request_gets_100_when_timer_e_reaches_t2_and_silence_in_the_end() {
    let start = Instant::now();
    use {ServerAction as A, server::Input as I};
    let mut machine = Server::start(start, &timing(), false);
    assert_eq!(machine.handle(start, &timing(), I::Retransmission).to_vec(), [], "nothing to send before");
    assert_eq!(machine.handle(start, &timing(), I::Respond(180)).to_vec(), []);
    assert_eq!(run!(machine, start, I::Timeout), [(3500, A::SendTrying)]);
    assert!(machine.is_terminated(), "the client has given up, a late response must not be sent");
}

#[test]
fn rfc4320_4_2_a_non_invite_request_never_gets_408() {
    let start = Instant::now();
    let mut machine = Server::start(start, &timing(), false);
    assert_eq!(machine.handle(start, &timing(), server::Input::Respond(408)).to_vec(), []);
    assert!(machine.is_terminated());
}

#[test]
fn rfc3261_17_2_2_a_final_response_is_repeated_on_demand_for_64_t1() {
    let start = Instant::now();
    use {ServerAction as A, server::Input as I};
    let mut machine = Server::start(start, &timing(), false);
    assert_eq!(machine.handle(start, &timing(), I::Respond(200)).to_vec(), [A::Send]);
    assert_eq!(machine.handle(start, &timing(), I::Retransmission).to_vec(), [A::Send]);
    assert_eq!(machine.deadline().map(|at| at - start), Some(Duration::from_secs(32)), "Timer J");
    let mut reliable = Server::start(start, &timing(), true);
    reliable.handle(start, &timing(), I::Respond(200));
    assert!(reliable.is_terminated());
}
