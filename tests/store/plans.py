"""Which statements must go by keys, and why the others need not."""

from collections.abc import Mapping
from typing import Final

_KEPT: Final = """
facts_repeats facts_users facts_opened_with facts_numbers facts_cards facts_imsis facts_reservations
facts_sequences facts_business_keys facts_openings_due facts_scheduled facts_ec_products_used
facts_ecs_with_members stored_orders fallout_releases turns_due turns_fall_due turns_waiting
turn_chase journal_end_turns journal_put_sequences journal_accepted journal_closed
journal_taken_orders journal_taken_keys journal_named journal_unbind journal_hold_numbers
journal_hold_cards journal_put_users journal_drop_users journal_drop_user_products
journal_put_user_products journal_put_ecs journal_put_ec_subscriptions journal_drop_ec_subscriptions
journal_join_ecs journal_leave_ecs journal_put_ec_partners change_drop_claims change_rebind
change_renumbered change_partners_renumbered change_card_noted change_hold_numbers change_hold_cards
fallout_put fallout_drop fallout_release fallout_decided fallout_released order_amend sheet_want
delivery_beyond delivery_put delivery_drop delivery_redeliver endpoint_advance batch_send
batch_cursor batch_end_rows batch_rows_sent batch_receipts batch_members batch_of_work_order
batch_work_order lease_pick_numbers lease_pick_cards lease_left_numbers lease_left_cards
lease_unavailable lease_held_numbers lease_cards lease_return_numbers lease_return_cards
lease_forget_numbers lease_forget_cards lease_free_numbers lease_free_cards recycle_due recycle_free
recycle_lock desk_number reservation_named reservation_left reservation_cards_left
reservation_hold_numbers reservation_hold_cards reservation_taken reservation_given
reservation_release_numbers reservation_release_cards cards_known cards_used audit_head node_mark
"""

EVERY_ORDER: Final = _KEPT.split()
"""Asked on connections that keep one plan for good (`BY_KEY`): once an order, a flush, a lease or a
page of one of the walks."""

_MADE_ANEW: Final = """
order_by_id order_by_key order_receipts receipts_after receipt_at delivery_page delivery_contents
delivery_rows delivery_of_order delivery_list fallout_get fallout_page bulk_page sheets_due
sheets_of order_amendments state_held batch_users_busy batch_card_homes batch_number_pools
batch_results batch_of_order number number_now number_past card reservation reservation_by_key
audit_page audit_after move_subscribers_by_number move_subscribers_by_card ec ec_members_after
ec_partners_after facts_repeats facts_users facts_opened_with facts_numbers facts_cards facts_imsis
facts_reservations facts_sequences facts_business_keys facts_openings_due facts_scheduled
facts_ec_products_used facts_ecs_with_members
"""

ASKED_NOW_AND_THEN: Final = _MADE_ANEW.split()
"""Asked by the pool of connections: by the API, for receipts, and by the check of batches."""

LEFT_OUT: Final[Mapping[str, str]] = {
    "once, at a start or a migration": """
        migrate_lock migrate_unlock migrate_table migrate_list migrate_record node_try_lock
        node_lock node_fence node_alone node_other node_next_epoch node_enter node_epoch
        highest_order_id last_seq open_orders open_resumes reservations_filling import_hashes
        batch_hashes lease_ranges lease_lots lease_inherit lease_unknown endpoint_register halt_list
        moves_done""",
    "a table of few rows, or one row by its primary key": """
        begin_fenced journal_stage_products journal_retire_product journal_activate_product products
        lease_take_range lease_take_lot lease_add lease_end leases grading grading_put grade_again
        reservation_add reservation_open reservation_drop reservation_extend reservation_cancel
        reservation_released reservation_homes receipt_cursors receipt_cursor_put pools pool_add
        pool_low_water ranges range_overlapping lots lot_by_name lot_add lot_ready lot_drop
        import_add import_of_file import_get import_list import_open import_withdraw import_start
        import_checked import_refuse import_load import_loaded import_finish import_removed
        card_scrap desk_hold desk_lock desk_unlock desk_unlock_bound halt_keep halt_drop
        share_shorten share_drop share_add day_add days move_add move_get move_open moves
        move_advance move_switched move_verified audit_hash_at bulk_propose bulk_open_count
        bulk_expire bulk_confirm bulk_end bulk_advance sheet_move sheets_rest batch_add batch_get
        batches_before batches_open batch_advance batch_checked batch_check_over batch_refuse
        batch_reserved batch_begin batch_begin_members batches_of_ec batch_stop batch_stop_rivals
        batch_close ec_codes ec_subscriptions ec_subscriptions_of ecs_after ec_stops state_masters
        state_master_put state_master_switch move_range_in_the_way""",
    "it is to count or to walk all there is": """
        statistics_renew
        product_versions range_counts lot_counts proof_counts receipts_pending delivery_unread
        delivery_counts fallout_counts fallout_gauges fallout_chosen bulk_get bulk_newest
        bulk_running batch_count_members state_orders_open state_stopped state_versions_forget
        recycle_blocked reservations_over export_numbers""",
    "staff asks for it now and then, for a whole range, lot or segment": """
        range_add range_adopt grade_numbers graded_after reservations_before reservation_numbers
        reservation_choose lot_cards lot_drop_cards desk_note share_sources share_at
        delivery_redeliver_dead batch_cards move_ranges move_lots move_numbers move_cards
        move_lot_in_the_way move_number_in_the_way move_card_in_the_way""",
}

_AN_ANSWER: Final = {
    "bigint": "7",
    "integer": "7",
    "smallint": "7",
    "double precision": "7",
    "text": "7",
    "boolean": "true",
    "timestamp with time zone": "2000-01-01",
    "jsonb": "{}",
    "bytea": "",
}
_SAID: Final = {
    ("batch_send", 4): "left",
    ("change_hold_cards", 2): "free",
    ("change_hold_numbers", 2): "free",
    ("change_renumbered", 3): "9000001",
    ("delivery_put", 4): "dead",
    ("journal_hold_cards", 2): "free",
    ("journal_hold_numbers", 2): "free",
    ("journal_put_ec_subscriptions", 10): "active",
}


def argument(statement: str, place: int, kind: str) -> str:
    """A literal: of everything that is asked for the seventh."""
    one = kind.removesuffix("[]")
    value = _SAID.get((statement, place)) or _AN_ANSWER[one]
    return (
        f"'{{\"{value or chr(92) * 2 + 'x'}\"}}'::{kind}" if one != kind else f"'{value}'::{kind}"
    )
