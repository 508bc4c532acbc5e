"""A user goes on with another card or under another number: what is held, sent, and left."""

from typing import Any

import msgspec
import pytest
from msgspec.structs import replace

from hlrd.domain.claim import card_of, number_of, target_of
from hlrd.domain.fallout import Release, Way
from hlrd.domain.identity import Binding
from hlrd.domain.lifecycle import NumberState, OrderState
from hlrd.domain.outcome import Outcome, Verdict
from hlrd.domain.routing import Identity, Segment
from hlrd.domain.suspension import NO_REASONS, Level, Reason, Reasons
from hlrd.domain.trail import Receipt, decode
from hlrd.pool.draw import Exhausted, Lack, Pending
from hlrd.ports import BindingEnd, Clash, Closing, NumberFact, ReservationFact
from tests.engine.stage import KI, Stage, card, user_of

REFUSED = Outcome(Verdict.PERMANENT, "3012", "no")
ABSENT, APPLIED = Verdict.ABSENT, Verdict.APPLIED
NUMBER = "1064700000001"
OTHER_NUMBER = "1064700100001"


def a_stage(reasons: Reasons = NO_REASONS) -> Stage:
    stage = Stage()
    stage.users["7"] = user_of(1, reasons)
    return stage


def operations(stage: Stage) -> list[str]:
    """Carry everything out, and name what was sent."""
    sent: list[str] = []
    while stage.hlr.sent or stage.dsmp.sent:
        sent.append(stage.reply().task.operation)
    return sent


def receipt(closing: Closing) -> Receipt:
    return msgspec.json.decode(closing.receipt, type=Receipt)


def the_end(stage: Stage) -> Closing:
    (closing,) = stage.close()
    return closing


def bound(stage: Stage) -> Binding:
    binding = stage.users["7"].binding
    assert binding is not None
    return binding


# --- from acceptance to the end ------------------------------------------------------------------


def test_a_drawn_card_is_held_from_the_accept_record_on_and_bound_by_the_close_record() -> None:
    stage = a_stage()
    before = bound(stage)

    stage.submit(stage.replace_card())
    stage.resolve()
    (record,) = stage.journal.accepts
    claim = record.binding
    assert claim is not None
    assert (number_of(claim), card_of(claim)) == (None, card(1_001).iccid)
    assert stage.allocator.held == [card(1_001).iccid]
    stage.accept()
    assert stage.allocator.held == []

    assert operations(stage) == ["addKey", "changeCard", "removeKey"]
    closing = the_end(stage)
    assert closing.claim_end is not None
    assert (closing.claim_end.claim, closing.claim_end.binding) == (claim, before)
    assert closing.claim_end.end is None
    assert bound(stage) == target_of(claim)
    assert bound(stage).msisdn == before.msisdn


def test_the_answer_names_the_card_that_was_drawn() -> None:
    stage = a_stage()

    (answer,) = stage.take(stage.replace_card())

    assert (answer.msisdn, answer.iccid) == (NUMBER, card(1_001).iccid)


def test_the_receipt_of_a_change_says_what_the_user_had_before() -> None:
    stage = a_stage()
    stage.take(stage.replace_card())
    operations(stage)
    changed = receipt(the_end(stage))
    stage.take(stage.change_number())
    operations(stage)
    renumbered = receipt(the_end(stage))

    assert (changed.iccid, changed.old_iccid) == (card(1_001).iccid, card(1).iccid)
    assert (changed.imsi, changed.old_imsi) == (card(1_001).imsi, card(1).imsi)
    assert changed.old_msisdn is None
    assert (renumbered.msisdn, renumbered.old_msisdn) == ("1064700100002", NUMBER)
    assert renumbered.old_iccid is None


def test_a_number_is_drawn_and_the_data_services_follow_it() -> None:
    stage = a_stage()

    stage.take(stage.change_number(quarantine_days=30))

    assert operations(stage) == ["changeNumber", "closeRelation", "openRelation"]
    closing = the_end(stage)
    assert closing.quarantine_days == 30
    assert bound(stage).msisdn == OTHER_NUMBER


def test_a_named_card_of_the_stock_is_taken_with_its_own_key() -> None:
    stage = a_stage()
    stage.facts["card"] = card(5)

    stage.take(stage.replace_card(iccid=card(5).iccid))
    operations(stage)
    the_end(stage)

    assert bound(stage).iccid == card(5).iccid


def test_the_key_of_a_card_that_is_not_in_stock_is_sealed_and_never_stored() -> None:
    stage = a_stage()
    named: dict[str, Any] = {"iccid": card(5).iccid, "imsi": card(5).imsi, "ki": KI, "keyid": 1}

    stage.submit(stage.replace_card(**named))
    stage.resolve()

    (record,) = stage.journal.accepts
    assert KI.encode() not in record.payload
    assert record.binding is not None
    assert record.binding.imsi == card(5).imsi


def test_no_key_stands_in_the_trail_of_a_change() -> None:
    stage = a_stage()
    stage.take(stage.replace_card())
    operations(stage)

    closing = the_end(stage)

    tasks = decode(closing.trail)
    shown = [
        binding for task in tasks for binding in (task.binding, task.details.target) if binding
    ]
    assert len(shown) == len(tasks) + 1
    assert {binding.key.ciphertext for binding in shown} == {b""}


def test_the_trail_says_which_card_each_task_was_about() -> None:
    stage = a_stage()
    before = bound(stage)
    stage.take(stage.replace_card())
    operations(stage)

    tasks = decode(the_end(stage).trail)

    cards = [task.binding.iccid for task in tasks if task.binding]
    assert cards == [bound(stage).iccid, before.iccid, before.iccid]


# --- what is refused -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changes", "facts", "code"),
    [
        ({"iccid": card(1).iccid}, {}, "CARD_SAME"),
        ({"iccid": card(5).iccid}, {}, "CARD_UNKNOWN"),
        (
            {"iccid": card(5).iccid},
            {"card": card(5), "card_is_free": False},
            "CARD_NOT_IN_STOCK",
        ),
        ({"iccid": card(5).iccid}, {"card": card(5, "hlr2")}, "HOME_HLR_DIFFERS"),
        ({"iccid": card(5).iccid}, {"card": card(5), "card_reservation": 7}, "CARD_RESERVED"),
        (
            {"iccid": card(5).iccid, "imsi": card(6).imsi},
            {"card": card(5)},
            "IMSI_NOT_OF_CARD",
        ),
        (
            {"iccid": card(5).iccid},
            {"card": replace(card(5), province="210")},
            "CARD_OF_OTHER_PROVINCE",
        ),
        (
            {"iccid": card(5).iccid, "imsi": card(5).imsi, "ki": KI, "keyid": 1},
            {"imsi_is_free": False},
            "IMSI_IN_USE",
        ),
    ],
)
def test_a_card_that_cannot_be_had_is_refused_and_nothing_is_held(
    changes: dict[str, Any], facts: dict[str, Any], code: str
) -> None:
    stage = a_stage()
    stage.facts.update(facts)

    (answer,) = stage.take(stage.replace_card(**changes))

    assert answer.refusal is not None
    assert answer.refusal.code == code
    assert stage.allocator.held == []


@pytest.mark.parametrize(
    ("number", "code"),
    [
        (None, "NUMBER_UNKNOWN"),
        (NumberFact("hlr1", "200", NumberState.IN_USE), "NUMBER_NOT_IDLE"),
        (NumberFact("hlr1", "200", NumberState.RESERVED, 7), "NUMBER_RESERVED"),
        (NumberFact("hlr2", "200", NumberState.IDLE), "HOME_HLR_DIFFERS"),
        (NumberFact("hlr1", "210", NumberState.IDLE), "NUMBER_OF_OTHER_PROVINCE"),
    ],
)
def test_a_number_that_cannot_be_had_is_refused(number: NumberFact | None, code: str) -> None:
    stage = a_stage()
    stage.facts["number"] = number

    (answer,) = stage.take(stage.change_number(new_msisdn=OTHER_NUMBER))

    assert answer.refusal is not None
    assert (answer.refusal.code, stage.allocator.held) == (code, [])


@pytest.mark.parametrize(
    ("state", "code"),
    [("open", None), ("expired", "RESERVATION_EXPIRED"), ("cancelled", "RESERVATION_CANCELLED")],
)
def test_a_reserved_number_is_for_who_names_its_reservation_while_it_is_open(
    state: str, code: str | None
) -> None:
    stage = a_stage()
    stage.facts["number"] = NumberFact("hlr1", "200", NumberState.RESERVED, 7)
    stage.facts["reservation"] = ReservationFact("OPS", "200", has_cards=False, state=state)

    (answer,) = stage.take(stage.change_number(new_msisdn=OTHER_NUMBER, reservation="7"))

    assert (answer.refusal and answer.refusal.code) == code
    assert answer.msisdn == (None if code else OTHER_NUMBER)


@pytest.mark.parametrize(
    ("lack", "code"),
    [(Lack.CARDS, "STOCK_EXHAUSTED"), (Lack.LOT, "LOT_UNKNOWN")],
)
def test_where_nothing_is_left_to_draw_the_order_is_refused(lack: Lack, code: str) -> None:
    stage = a_stage()
    stage.allocator.script = [Exhausted(lack)]

    (answer,) = stage.take(stage.replace_card())

    assert answer.refusal is not None
    assert answer.refusal.code == code


def test_one_change_of_a_user_is_on_its_way_at_a_time() -> None:
    stage = a_stage()
    stage.take(stage.replace_card())

    (answer,) = stage.take(stage.change_number())

    assert answer.refusal is not None
    assert answer.refusal.code == "CONFLICT_IN_FLIGHT"


def test_of_a_user_whose_change_waits_in_the_journal_alone_the_next_is_refused_by_its_key() -> None:
    stage = a_stage()
    answers = stage.submit(stage.replace_card())
    stage.resolve()
    (record,) = stage.journal.accepts

    stage.engine.on_clash(record.id, Clash.USER)

    assert answers[0].refusal is not None
    assert answers[0].refusal.code == "CONFLICT_IN_FLIGHT"
    assert stage.allocator.held == []


def test_what_another_was_faster_to_bind_is_drawn_again() -> None:
    stage = a_stage()
    answers = stage.submit(stage.replace_card())
    stage.resolve()
    (record,) = stage.journal.accepts
    stage.journal.accepts.clear()

    stage.engine.on_clash(record.id, Clash.CARD)
    stage.resolve()
    stage.accept()

    assert stage.allocator.dropped == [card(1_001).iccid]
    assert answers[0].iccid == card(1_002).iccid


def test_a_change_waits_for_a_card_that_is_being_leased() -> None:
    stage = a_stage()
    stage.allocator.script = [Pending.PENDING]
    answers = stage.take(stage.replace_card())
    assert answers == []

    stage.engine.on_leased()
    stage.accept()

    assert answers[0].iccid is not None


# --- the number from before, and the number to come ----------------------------------------------


def test_orders_behind_a_change_of_number_may_name_either_number() -> None:
    stage = a_stage()
    stage.take(stage.change_number())

    answers = stage.take(stage.suspend(), stage.resume(msisdn=OTHER_NUMBER))
    assert [answer.refusal for answer in answers] == [None, None]
    stage.finish()

    assert [closing.state for closing in stage.journal.durable] == [OrderState.SUCCEEDED] * 3


def test_once_it_is_closed_the_old_number_is_not_the_users_any_more() -> None:
    stage = a_stage()
    stage.take(stage.change_number())
    stage.finish()

    (answer,) = stage.take(stage.suspend())

    assert answer.refusal is not None
    assert answer.refusal.code == "USER_NUMBER_MISMATCH"


# --- the turning point ---------------------------------------------------------------------------


def test_before_the_switch_a_refusal_is_undone_and_the_card_is_in_stock_again() -> None:
    stage = a_stage()
    stage.take(stage.replace_card())

    stage.reply()
    stage.reply(REFUSED)
    assert operations(stage) == ["removeKey"]
    closing = the_end(stage)

    assert closing.state is OrderState.FAILED
    assert closing.claim_end is not None
    assert closing.claim_end.end is BindingEnd.ROLLED_BACK
    assert bound(stage) == user_of(1).binding


def test_the_card_is_scrapped_where_the_hlr_holds_something_else() -> None:
    stage = a_stage()
    stage.take(stage.replace_card())

    stage.reply(Outcome(Verdict.DIFFERENT, text="the IMSI holds another number"))
    closing = the_end(stage)

    assert closing.claim_end is not None
    assert closing.claim_end.end is BindingEnd.UNPROVEN


def test_behind_the_switch_there_is_no_way_back() -> None:
    stage = a_stage()
    stage.take(stage.replace_card())

    stage.reply(), stage.reply()
    stage.reply(REFUSED)
    closing = the_end(stage)

    assert closing.state is OrderState.FALLOUT
    assert closing.claim_end is None
    assert stage.commands() == []


def test_a_resent_change_finds_the_switch_done_and_goes_on_behind_it() -> None:
    stage = a_stage()
    stage.submit(stage.replace_card())
    stage.resolve()
    records = list(stage.journal.accepts)
    (order_id,) = stage.accept()
    stage.reply(), stage.reply()
    stage.reply(REFUSED)
    the_end(stage)

    stage.releases[order_id] = Release(Way.RESEND)
    stage.engine.release(order_id)
    stage.unpark(records)
    stage.wait(11)
    stage.reply(APPLIED), stage.reply(APPLIED)
    stage.reply(ABSENT)
    assert operations(stage) == ["removeKey"]

    closing = the_end(stage)
    assert closing.state is OrderState.SUCCEEDED
    assert closing.claim_end is not None
    assert closing.claim_end.end is None


def doubted() -> Stage:
    """With a change of card that a run before this one may have sent any part of."""
    first = a_stage()
    first.submit(first.replace_card())
    first.resolve()
    (record,) = first.journal.accepts
    stage = Stage(first_own_id=record.id + 1)
    stage.users["7"] = user_of(1)
    stage.engine.recover([(record.id, record.user_id, record.priority, False, record.kind)])
    stage.unpark([record])
    stage.wait(11)
    return stage


def test_after_a_restart_what_is_proven_not_to_be_switched_is_undone() -> None:
    stage = doubted()

    stage.reply(ABSENT)
    stage.reply(REFUSED)
    assert [command.intent for command in stage.hlr.sent] == ["readBack"]
    stage.reply(APPLIED)  # the number leads to the old card

    assert the_end(stage).state is OrderState.FAILED


def test_after_a_restart_what_may_be_switched_is_never_undone() -> None:
    stage = doubted()

    stage.reply(REFUSED)  # even the question for the key

    assert the_end(stage).state is OrderState.FALLOUT
    assert stage.commands() == []


# --- suspended lines (domain rules 4 and 8) ------------------------------------------------------


def test_a_replaced_card_ends_the_stop_for_its_loss() -> None:
    stage = a_stage({Reason.LOST: Level.TWO_WAY})
    stage.take(stage.replace_card())

    sent = operations(stage)
    closing = the_end(stage)

    assert sent == ["addKey", "changeCard", "setBarring", "removeKey", "resumeRelation"]
    assert receipt(closing).remaining_reasons == []
    assert closing.user is not None
    assert closing.user.reasons == {}


def test_a_line_in_arrears_stays_stopped_on_its_new_card() -> None:
    stage = a_stage({Reason.ARREARS: Level.TWO_WAY})
    stage.take(stage.replace_card())

    assert operations(stage) == ["addKey", "changeCard", "removeKey"]
    assert receipt(the_end(stage)).remaining_reasons == ["ARREARS"]


def test_a_change_behind_an_opening_takes_what_the_opening_left() -> None:
    stage = Stage()
    stage.take(stage.open(1), stage.replace_card())

    stage.finish()

    last = stage.journal.durable[-1]
    assert last.claim_end is not None
    assert last.claim_end.binding is not None
    assert last.claim_end.binding.iccid == card(1).iccid
    assert bound(stage) == target_of(last.claim_end.claim)


def test_a_change_behind_an_opening_that_fails_lets_its_card_go() -> None:
    stage = Stage()
    stage.take(stage.open(1), stage.replace_card())

    stage.reply(REFUSED)
    stage.close()
    closings = stage.close()

    assert [closing.state for closing in closings] == [OrderState.FAILED]
    assert closings[0].claim_end is not None
    assert closings[0].claim_end.end is BindingEnd.ROLLED_BACK


# --- segments on their way to another HLR --------------------------------------------------------


def test_a_change_to_a_number_of_a_segment_that_moves_waits_for_the_move() -> None:
    stage = a_stage()
    stage.engine.segments.hold(Segment(Identity.MSISDN, OTHER_NUMBER[:8]), {"code": "MOVE"})

    stage.take(stage.change_number())
    assert stage.commands() == []
    assert stage.engine.segments.waiting() == 1
    stage.engine.release_segment()

    assert stage.commands() == ["execute changeNumber"]


def test_a_move_waits_for_a_change_to_a_number_of_its_segment_that_has_begun() -> None:
    stage = a_stage()
    stage.take(stage.change_number())

    stage.engine.segments.hold(Segment(Identity.MSISDN, OTHER_NUMBER[:8]), {"code": "MOVE"})

    assert stage.engine.segments.running() == 1
