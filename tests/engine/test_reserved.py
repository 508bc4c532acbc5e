"""Orders that name a number or a reservation: who may have it, and what is in hand when."""

from typing import Any

import pytest

from hlrd.domain.lifecycle import NumberState
from hlrd.pool.draw import Exhausted, Lack, Pending
from hlrd.ports import Clash, NumberFact, ReservationFact
from tests.engine.stage import Stage, card, refusal

IDLE = NumberFact("hlr1", "200", NumberState.IDLE)
RESERVED = NumberFact("hlr1", "200", NumberState.RESERVED, reservation=7)
CHOSEN = "1064700099999"


def a_reservation(**changes: Any) -> ReservationFact:
    fixed: dict[str, Any] = {"source": "ESOP", "province": "200", "has_cards": False}
    return ReservationFact(**fixed | {"state": "open"} | changes)


@pytest.mark.parametrize(
    ("order", "facts", "code"),
    [
        ({"msisdn": CHOSEN}, {"number": None}, "NUMBER_UNKNOWN"),
        ({"msisdn": CHOSEN}, {"number": RESERVED}, "NUMBER_RESERVED"),
        (
            {"msisdn": CHOSEN},
            {"number": NumberFact("hlr1", "200", NumberState.QUARANTINED)},
            "NUMBER_NOT_IDLE",
        ),
        (
            {"msisdn": CHOSEN},
            {"number": NumberFact("hlr1", "100", NumberState.IDLE)},
            "NUMBER_OF_OTHER_PROVINCE",
        ),
        (
            {"msisdn": CHOSEN, "iccid": card(1).iccid},
            {"number": NumberFact("hlr2", "200", NumberState.IDLE), "card": card(1)},
            "HOME_HLR_DIFFERS",
        ),
        ({"msisdn": CHOSEN, "reservation": "8"}, {"number": RESERVED}, "NUMBER_RESERVED"),
        ({"msisdn": CHOSEN, "reservation": "7"}, {"number": IDLE}, "NUMBER_NOT_OF_RESERVATION"),
        ({"reservation": "7"}, {"reservation": None}, "RESERVATION_UNKNOWN"),
        (
            {"reservation": "7"},
            {"reservation": a_reservation(state="filling")},
            "RESERVATION_UNKNOWN",
        ),
        (
            {"reservation": "7"},
            {"reservation": a_reservation(source="CRM")},
            "RESERVATION_OF_OTHER_SOURCE",
        ),
        (
            {"reservation": "7"},
            {"reservation": a_reservation(province="100")},
            "RESERVATION_OF_OTHER_PROVINCE",
        ),
        (
            {"reservation": "7"},
            {"reservation": a_reservation(state="expired")},
            "RESERVATION_EXPIRED",
        ),
        (
            {"reservation": "7"},
            {"reservation": a_reservation(state="cancelled")},
            "RESERVATION_CANCELLED",
        ),
        (
            {"reservation": "7", "lot": "L1"},
            {"reservation": a_reservation(has_cards=True)},
            "RESERVATION_HAS_CARDS",
        ),
        (
            {"reservation": "7", "iccid": card(1).iccid},
            {"reservation": a_reservation(has_cards=True), "card": card(1)},
            "CARD_NOT_OF_RESERVATION",
        ),
        (
            {"iccid": card(1).iccid},
            {"card": card(1), "card_reservation": 9},
            "CARD_RESERVED",
        ),
    ],
)
def test_what_is_refused_holds_nothing(
    order: dict[str, Any], facts: dict[str, Any], code: str
) -> None:
    stage = Stage()
    stage.facts = {"reservation": a_reservation()} | facts

    answers = stage.submit(stage.activate(**order), source="ESOP")
    stage.resolve()

    assert refusal(answers) == code
    assert not stage.allocator.held


@pytest.mark.parametrize(
    ("order", "facts"),
    [
        ({"msisdn": CHOSEN}, {"number": IDLE}),
        ({"msisdn": CHOSEN, "iccid": card(1).iccid}, {"number": IDLE, "card": card(1)}),
        ({"msisdn": CHOSEN, "reservation": "7"}, {"number": RESERVED}),
        ({"reservation": "7"}, {}),
        ({"reservation": "7", "iccid": card(1).iccid}, {"card": card(1)}),
        (
            {"reservation": "7", "iccid": card(1).iccid},
            {
                "card": card(1),
                "card_reservation": 7,
                "reservation": a_reservation(has_cards=True),
            },
        ),
    ],
)
def test_what_fits_is_bound(order: dict[str, Any], facts: dict[str, Any]) -> None:
    stage = Stage()
    stage.facts = {"reservation": a_reservation()} | facts

    (answer,) = stage.take(stage.activate(**order), source="ESOP")

    assert answer.refusal is None
    assert answer.msisdn == order.get("msisdn", answer.msisdn)
    assert answer.iccid == order.get("iccid", answer.iccid)
    assert not stage.allocator.held


def test_staff_confirms_the_reservations_of_others() -> None:
    stage = Stage()
    stage.facts = {"reservation": a_reservation()}

    (answer,) = stage.take(stage.activate(reservation="7"), source="OPS")

    assert answer.refusal is None


def test_a_used_up_reservation_is_told_as_such() -> None:
    stage = Stage()
    stage.facts = {"reservation": a_reservation()}
    stage.allocator.script = [Exhausted(Lack.RESERVATION)]

    answers = stage.submit(stage.activate(reservation="7"), source="ESOP")
    stage.resolve()

    assert refusal(answers) == "RESERVATION_USED_UP"


def test_an_order_waits_until_its_reservation_is_read() -> None:
    stage = Stage()
    stage.facts = {"reservation": a_reservation()}
    stage.allocator.script = [Pending.PENDING]

    answers = stage.submit(stage.activate(reservation="7"), source="ESOP")
    stage.resolve()
    assert not answers
    stage.engine.on_leased()
    stage.accept()

    assert answers[0].refusal is None


def test_a_number_that_came_to_be_held_after_it_was_read_is_read_again() -> None:
    stage = Stage()
    stage.facts = {"number": IDLE, "as_of": 0}
    answers = stage.submit(stage.activate(msisdn=CHOSEN), stage.suspend(1))
    stage.allocator.holds_made = 1  # a reservation took it between the reading and the judgement

    stage.resolve()

    assert not answers
    assert not stage.allocator.held
    stage.facts = {"number": RESERVED, "as_of": 1}
    stage.resolve()
    codes = [answer.refusal.code for answer in answers if answer.refusal]
    assert codes == ["NUMBER_RESERVED", "USER_UNKNOWN"]
    assert not stage.allocator.held


@pytest.mark.parametrize(
    ("clash", "is_drawn_again"), [(Clash.NUMBER, False), (Clash.CARD, True), (Clash.USER, False)]
)
def test_what_was_drawn_is_drawn_again_and_what_was_named_is_not(
    clash: Clash, is_drawn_again: bool
) -> None:
    stage = Stage()
    stage.facts = {"number": IDLE}
    answers = stage.submit(stage.activate(msisdn=CHOSEN))
    stage.resolve()

    stage.engine.on_clash(stage.journal.accepts.pop().id, clash)
    stage.resolve()
    stage.accept()

    assert (answers[0].refusal is None) == is_drawn_again
    assert not stage.allocator.held
