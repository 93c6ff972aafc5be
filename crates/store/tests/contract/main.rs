//! The store's contract, one text for both engines: every test runs on SQLite and on PostgreSQL.

#![allow(clippy::unwrap_used)]

mod money;
mod opening;
mod world;

/// Makes of each `async fn(World)` a test on SQLite and one on PostgreSQL.
macro_rules! on_both_engines {
    ($($module:ident: $($name:ident),+ $(,)?);+ $(;)?) => {
        mod sqlite { $(mod $module { $(
            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $name() { crate::$module::$name(crate::world::World::sqlite().await).await; }
        )+ })+ }
        mod postgres { $(mod $module { $(
            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $name() { crate::$module::$name(crate::world::World::postgres().await).await; }
        )+ })+ }
    };
}

on_both_engines! {
    opening:
        a_second_start_finds_everything_applied,
        changed_and_unknown_migrations_are_refused,
        another_master_key_is_refused,
        a_named_secret_is_made_once_and_kept_sealed,
        concurrent_starters_are_safe;
    money:
        b9_of_200_parallel_debits_with_money_for_100_exactly_100_succeed,
        b8_nobody_changes_or_deletes_what_was_posted,
        opening_a_call_twice_is_opening_it_once,
        a_refused_call_leaves_no_trace_until_it_is_settled,
        extending_takes_what_is_there_and_prolongs_even_when_refused,
        settling_charges_once_and_never_more_than_there_is,
        t25_a_record_passes_through_the_states_and_ends_in_one,
        b11_two_calls_share_the_money_and_never_overdraw,
        an_abandoned_call_is_settled_to_its_last_sign_of_life,
        an_uncharged_call_ends_when_its_process_is_gone,
        adjustments_are_done_once_per_key_and_keep_the_chain,
        a_credit_limit_lets_a_wallet_go_below_zero_so_far,
        t23_calls_are_listed_newest_first_with_filters_and_cursor,
        a_poisoned_request_does_not_take_its_batch_along,
        verify_finds_a_tampered_wallet;
}
