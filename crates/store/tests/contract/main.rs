//! The store's contract, one text for both engines: every test runs on SQLite and on PostgreSQL.

#![allow(clippy::unwrap_used)]

mod accounts;
mod money;
mod opening;
mod provisioning;
mod texts;
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
        a_refused_call_leaves_a_failed_record_and_no_hold,
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
    texts:
        m3_a_text_holds_its_price_and_captures_it_when_sent,
        m3_a_text_without_money_leaves_nothing,
        m3_a_rejected_text_is_released_and_a_half_sent_one_pays_its_half,
        m18_eight_workers_claim_every_part_once,
        m18_a_crash_between_any_two_steps_loses_nothing,
        a_part_goes_to_the_first_carrier_of_its_plan_that_is_there,
        a_throttled_part_keeps_its_lease_and_an_unclaimed_one_is_free_at_once,
        m6_a_receipt_matches_in_any_form_and_before_its_response,
        m3_an_undelivered_text_is_refunded_where_the_tenant_says_so,
        delivered_needs_all_parts_and_stays,
        m5_parts_are_joined_and_repetitions_known,
        a_text_past_its_validity_fails_and_is_released,
        a_text_between_our_own_numbers_is_delivered_once_without_a_carrier,
        m7_texts_are_listed_newest_first_with_filters_and_events;
    accounts:
        t1_credentials_carry_the_realm_and_the_strictest_status,
        a_change_in_another_process_shows_after_a_refresh,
        numbers_lead_to_their_owner_and_active_rules,
        t7_routes_follow_the_longest_prefix_and_the_tenants_own_first,
        b10_the_longest_prefix_in_force_is_the_price,
        d16_a_device_keeps_verifiers_and_shows_its_password_once,
        d11_logins_are_found_by_address_and_by_name,
        n8_illegal_steps_of_a_number_are_conflicts,
        w10_nothing_of_another_tenant_is_found,
        bindings_survive_a_restart_and_the_last_change_counts,
        carriers_read_back_their_sealed_password,
        pages_are_stable_and_complete;
    provisioning:
        everything_comes_once_and_the_second_time_nothing_changes,
        what_changes_is_said_field_by_field_and_what_leaves_goes,
        an_object_belongs_to_one_manifest_and_the_api_keeps_off,
        what_the_api_made_is_adopted_with_its_id_and_money,
        a_user_that_leaves_and_returns_keeps_its_wallet,
        an_opening_balance_that_comes_later_is_said_and_given_once,
        nothing_is_taken_from_another_tenant_or_user,
        a_mistake_changes_nothing_and_is_named,
        ten_thousand_users_come_in_seconds_and_then_nothing_changes;
}
