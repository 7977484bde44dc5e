"""Every threat that receiver and models are guarded against has its proof: a table of both, whose tests are there."""

import ast
from pathlib import Path

import pytest

TESTS = Path(__file__).parents[1]
CROWDS, HOSTILE = "integration/test_crowds.py", "integration/test_hostile_peers.py"
INTAKE, FULL, TLS = "integration/test_intake.py", "integration/test_full_disks.py", "integration/test_intake_tls.py"
NETWORKS = "unit/ai/networks"
READING, SPOOL = "unit/jobs/test_reading.py", "unit/state/test_spool.py"

PROOFS: dict[str, tuple[str, ...]] = {
    # Load
    "1 a long association": (f"{CROWDS}::test_a_long_association_costs_no_memory",),
    "2 sixteen associations, one job for each study": (
        f"{CROWDS}::test_sixteen_senders_at_once_are_served_whole",
        "integration/test_kills.py::test_nothing_acknowledged_is_missing_and_nothing_is_done_twice",
    ),
    "3 fifty idle associations": (f"{CROWDS}::test_idle_associations_cost_no_processor_time",),
    "4 a burst of two hundred connections": (
        f"{CROWDS}::test_a_burst_beyond_the_limit_is_asked_to_come_back_and_then_served",
        f"{INTAKE}::test_receivers_of_one_home_share_the_limit",
    ),
    "5, 6 thousands of associations and probes": (
        f"{HOSTILE}::test_thousands_of_associations_and_probes_leave_nothing",
        f"{INTAKE}::test_connections_without_a_request_leave_nothing",
    ),
    "7 an instance of gigabytes, or without an end": (
        f"{INTAKE}::test_an_endless_instance_ends_the_association_at_the_limit",
    ),
    "8 a segmentation of 64 MB": (
        "integration/test_large_results.py::test_a_segmentation_of_64_mb_arrives_byte_for_byte_and_is_never_held_whole",
    ),
    # Disks
    "12 the control of durability": (
        "integration/test_durability.py::test_a_receiver_without_that_order_is_seen",
        "integration/test_durability.py::test_a_receiver_that_answers_before_it_keeps_is_seen",
        "contract/test_engine.py::test_without_the_compare_and_set_the_same_proof_fails",
    ),
    "13 a full disk": (
        f"{FULL}::test_a_full_disk_is_answered_a700_and_taken_up_again",
        f"{FULL}::test_a_disk_that_fills_while_an_instance_is_written_keeps_nothing_of_it",
        f"{FULL}::test_a_home_that_fills_while_a_stage_runs_costs_nothing",
    ),
    "14 a full database": (
        f"{FULL}::test_a_full_ledger_keeps_nobody_from_sending_and_goes_on_by_itself",
        f"{FULL}::test_a_full_tablespace_keeps_nobody_from_sending_and_goes_on_by_itself",
        f"{FULL}::test_a_database_that_is_gone_for_a_while_is_taken_up_again",
    ),
    "15 no inodes, a read-only disk, EIO": (
        f"{FULL}::test_a_disk_without_inodes_is_answered_a700_and_taken_up_again",
        f"{FULL}::test_a_read_only_disk_is_answered_a700_and_taken_up_again",
        f"{SPOOL}::test_a_disk_that_fails_is_told_and_nothing_partial_stays",
        f"{SPOOL}::test_a_failed_sync_of_a_folder_is_never_retried_as_a_success",
    ),
    "16 both marks of the reserve": (f"{FULL}::test_a_full_disk_is_answered_a700_and_taken_up_again",),
    # Who connects
    "31 silent connections": (
        f"{HOSTILE}::test_fifty_silent_connections_keep_nobody_waiting",
        f"{TLS}::test_fifty_silent_peers_keep_nobody_waiting",
        f"{CROWDS}::test_an_honest_sender_is_served_in_under_a_second_throughout_a_siege",
    ),
    "32 half a PDU, a byte now and then": (
        f"{INTAKE}::test_a_pdu_that_never_ends_is_given_up",
        f"{INTAKE}::test_a_peer_that_trickles_is_given_up",
    ),
    "33 a length of FFFFFFFF": (f"{INTAKE}::test_a_long_pdu_is_refused_unread",),
    "34, 35 unknown, unexpected and lying PDUs": (
        f"{HOSTILE}::test_what_is_no_association_request_is_aborted",
        f"{HOSTILE}::test_what_breaks_the_protocol_ends_the_association",
        f"{HOSTILE}::test_who_does_not_wait_for_the_acceptance_gets_none",
        f"{HOSTILE}::test_a_peer_that_asks_and_closes_gets_no_acceptance",
    ),
    "36 a request with everything in it": (f"{HOSTILE}::test_a_request_with_everything_in_it_is_answered_at_once",),
    "37 strangers, certificates, old TLS": (
        f"{INTAKE}::test_strangers_are_rejected_and_listed",
        f"{HOSTILE}::test_hostile_ae_titles_are_rejected_and_told_as_they_are",
        f"{TLS}::test_certificates_that_are_not_trusted_end_the_handshake",
        f"{TLS}::test_a_peer_is_who_its_certificate_says",
        f"{TLS}::test_old_versions_of_tls_are_refused",
    ),
    "38 user identity": (
        "integration/test_user_identity.py::test_others_are_rejected_and_the_list_says_why",
        "unit/core/test_admission.py::test_a_user_identity_is_enforced_where_it_is_asked_for",
    ),
    # Commands and data sets
    "39 garbled and unknown commands": (
        f"{HOSTILE}::test_what_breaks_the_protocol_ends_the_association",
        f"{HOSTILE}::test_a_service_that_was_not_negotiated_ends_the_association",
    ),
    "40 data on another context": (
        f"{INTAKE}::test_a_data_set_on_another_context_than_its_command_ends_the_association",
        f"{INTAKE}::test_nothing_is_stored_by_way_of_verification",
    ),
    "41 a command without its UIDs": (f"{INTAKE}::test_a_command_that_cannot_be_answered_ends_the_association",),
    "42 UIDs that are none": (
        f"{INTAKE}::test_a_command_whose_uid_is_none_is_refused",
        f"{SPOOL}::test_no_path_is_made_of_what_is_not_a_uid",
    ),
    "43, 44, 45, 46 mismatched, empty, foreign and truncated data sets": (
        f"{INTAKE}::test_bad_instances_are_refused_and_good_ones_go_on",
        f"{INTAKE}::test_a_command_of_another_class_than_its_context_is_refused",
        "property/test_identity_walk.py::test_what_is_cut_off_is_always_found",
    ),
    "47, 48 huge elements, deep nesting": (
        f"{HOSTILE}::test_hostile_elements_are_passed_over_or_refused",
        "unit/state/test_header.py::test_sequences_nested_without_end_are_unreadable",
        "unit/state/test_header.py::test_a_value_of_thousands_of_bytes_is_not_interpreted",
    ),
    "49 a deflate bomb": (f"{HOSTILE}::test_a_deflate_bomb_is_refused_and_costs_no_memory",),
    "50 pixels missing, short or long": (
        "unit/state/test_header.py::test_an_image_without_pixels_is_still_an_image_so_that_it_can_be_refused",
        f"{READING}::test_declarations_that_disagree_are_refused_before_anything_is_decoded",
        f"{READING}::test_padding_after_the_pixels_is_no_fault",
    ),
    "52 codestreams of garbage and of lies": (
        f"{READING}::test_what_is_no_codestream_is_an_error",
        f"{READING}::test_a_frame_larger_than_any_is_refused_before_it_is_decoded",
        f"{READING}::test_a_codestream_of_another_size_than_the_header_says_is_refused_before_it_is_decoded",
        "unit/jobs/test_confined.py::test_more_memory_than_allowed_is_refused_and_less_is_given",
    ),
    "54 names that mean something elsewhere": (
        "unit/results/test_results_shared.py::test_the_patients_name_keeps_its_bytes_in_every_object",
        "unit/state/test_header.py::test_text_is_decoded_by_its_character_set_and_never_raises",
        "unit/admin/test_pages.py::test_no_template_switches_escaping_off",
        f"{INTAKE}::test_nothing_of_the_patient_is_logged",
    ),
    "58 mutations": (
        f"{HOSTILE}::test_a_mutated_conversation_never_acknowledges_what_is_not_there",
        "property/test_identity_walk.py::test_noise_never_breaks_the_walk",
    ),
    "59 requests that do not wait": (
        f"{HOSTILE}::test_requests_that_do_not_wait_for_their_answers_are_served_in_turn",
    ),
    "60 private, retired and other classes": (
        "unit/intake/test_negotiation.py::test_what_is_no_storage_class_is_not_taken",
        f"{INTAKE}::test_new_and_retired_storage_classes_are_taken",
        "unit/state/test_header.py::test_the_kind_tells_images_from_what_only_has_a_pixel_matrix",
    ),
    # Models
    "26 memory ends, no numbers, a hang, a crash": (
        "integration/test_networks_in_a_node.py::test_what_fails_says_why",
        "integration/test_networks_in_a_node.py::test_the_worker_is_replaced_and_the_others_run",
        f"{NETWORKS}/test_memory_ends.py::test_batches_become_smaller_until_they_fit",
        f"{NETWORKS}/test_model.py::test_values_that_are_no_numbers_become_no_result",
    ),
    "56 a hostile model": (
        f"{NETWORKS}/test_archive.py::test_names_and_links_that_lead_out_are_refused",
        f"{NETWORKS}/test_archive.py::test_a_bomb_is_refused_before_it_unfolds",
        f"{NETWORKS}/test_archive.py::test_a_link_in_a_folder_is_refused",
        f"{NETWORKS}/test_opening.py::test_a_pickle_is_never_read",
        f"{NETWORKS}/test_opening.py::test_only_the_pinned_file_is_read",
        f"{NETWORKS}/test_opening.py::test_a_file_that_is_too_large_is_not_read",
        f"{NETWORKS}/test_checkpoint.py::test_a_pickle_that_calls_is_refused_and_calls_nothing",
        f"{NETWORKS}/test_bundle.py::test_hostile_expressions_are_refused_unevaluated",
        f"{NETWORKS}/test_bundle.py::test_targets_that_are_not_in_the_table_are_refused",
        f"{NETWORKS}/test_portable.py::test_what_reaches_beyond_the_file_is_not_opened",
        "unit/jobs/test_trusting.py::test_a_model_that_vouches_for_itself_is_installed_without_that",
        "unit/jobs/test_audited.py::test_a_model_that_is_not_opened_says_why",
        "integration/test_networks_in_a_node.py::test_model_workers_have_no_network",
    ),
}
"""By the threat, with its number in the list of them that the node was designed by."""


@pytest.mark.parametrize("threat", PROOFS)
def test_each_threat_has_its_proof(threat: str) -> None:
    for proof in PROOFS[threat]:
        path, name = proof.split("::")
        found = {
            one.name for one in ast.walk(ast.parse((TESTS / path).read_text())) if isinstance(one, ast.FunctionDef)
        }
        assert name in found, f"{proof} is gone: what proves now that {threat!r} does no harm?"
