//! The real binary with the real components, one file a scenario. `support` and `folder` have what they share.

mod a_bad_plugin_file_is_refused_and_named;
mod a_bad_version_leaves_the_last_good_one;
mod a_batch_is_answered_line_by_line;
mod a_broken_configuration_names_its_keys;
mod a_channel_comes_alive_with_its_plugin;
// It looks for processes where Linux shows them.
#[cfg(target_os = "linux")]
mod a_compile_bomb_costs_only_its_compiler;
mod a_converter_is_swapped_by_its_file;
mod a_crash_loses_nothing;
mod a_faulty_hook_hurts_only_its_message;
mod a_message_id_is_accepted_once;
mod a_message_waits_and_expires;
mod a_new_folder_delivers_its_first_message;
mod a_plugin_is_checked_without_a_host;
mod a_post_event_hook_never_holds_up_a_delivery;
mod a_removed_plugin_goes_on;
mod a_retry_sends_the_same_wire_form;
mod a_stop_drains_what_is_in_flight;
mod a_token_opens_what_its_scopes_say;
mod a_torn_copy_counts_when_it_is_whole;
mod a_version_that_wants_more_is_held;
mod an_attempt_enriches_converts_and_sends;
mod an_endpoint_is_reached_only_if_granted;
mod an_error_says_what_to_try;
mod an_idempotency_key_makes_one_message;
mod bad_input_is_refused_by_field;
mod every_channel_signs_with_its_own_secret;
mod every_outcome_is_stored_as_it_is;
mod every_problem_has_a_page;
mod folder;
mod only_the_token_opens_the_api;
mod plugins_are_swapped_under_load;
mod retries_follow_the_schedule;
mod routes_decide_where_a_message_goes;
mod support;
mod the_command_line_tells_what_happened;
mod the_json_form_keeps_every_byte;
mod the_plugin_folder_is_found_again;
