"""When an order closes, whatever order its answers come in, and however often."""

from itertools import permutations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loadtest.business.paper import (
    Answer,
    Full,
    Kind,
    Order,
    Orders,
    Result,
    State,
    SubState,
    To,
    answer_of,
    sub_orders,
)

DONE = Answer(True)
REFUSED = Answer(False, "NE_REFUSED", "no")
BOOKED = ((Kind.BOOKING, To.BOSS), (Kind.PROVISIONING, To.HLRD))
CHANGED = ((Kind.STATE, To.BOSS), (Kind.PROVISIONING, To.HLRD))

answers = st.sampled_from([DONE, REFUSED])


def an_order(parts: tuple[tuple[Kind, To], ...] = BOOKED, order_id: str = "C1") -> Order:
    subs = sub_orders(order_id, parts, side="C")
    return Order(order_id, "USER_OPEN", "zhang3", "9001", subs)


@pytest.mark.parametrize("parts", [BOOKED, CHANGED])
def test_an_order_closes_when_the_last_part_is_done_and_not_before(
    parts: tuple[tuple[Kind, To], ...],
) -> None:
    for arrival in permutations(kind for kind, _ in parts):
        order = an_order(parts)
        *early, last = arrival

        for kind in early:
            order.answer(kind, DONE, now=1.0)
        assert order.state is State.OPEN

        order.answer(last, DONE, now=2.0)
        assert (order.state, order.result, order.closed_at) == (
            State.CLOSED,
            Result.SUCCEEDED,
            2.0,
        )


def test_what_was_booked_is_taken_back_before_a_failed_order_closes() -> None:
    order = an_order()
    order.answer(Kind.BOOKING, DONE, now=1.0)

    order.answer(Kind.PROVISIONING, REFUSED, now=2.0)

    assert order.state is State.REVERSING
    assert order.reversed(now=3.0)
    assert (order.state, order.result, order.code) == (State.CLOSED, Result.REVERSED, "NE_REFUSED")
    assert order.sub_orders[0].state is SubState.REVERSED


def test_what_could_not_be_booked_is_asked_of_nobody_else() -> None:
    order = an_order()

    order.answer(Kind.BOOKING, Answer(False, "ACCOUNT_UNKNOWN"), now=1.0)

    assert (order.state, order.result, order.code) == (
        State.CLOSED,
        Result.FAILED,
        "ACCOUNT_UNKNOWN",
    )


def test_a_closed_order_takes_no_answer() -> None:
    order = an_order()
    order.answer(Kind.BOOKING, REFUSED, now=1.0)

    assert not order.answer(Kind.PROVISIONING, DONE, now=2.0)
    assert (order.result, order.closed_at) == (Result.FAILED, 1.0)


def test_a_change_of_state_is_never_taken_back() -> None:
    order = an_order(CHANGED)
    order.answer(Kind.STATE, DONE, now=1.0)

    order.answer(Kind.PROVISIONING, Answer(False, "NOT_STATE_MASTER"), now=2.0)

    assert (order.state, order.result, order.code) == (
        State.CLOSED,
        Result.FAILED,
        "NOT_STATE_MASTER",
    )
    assert not order.reversed(now=3.0)


@given(came=st.lists(st.tuples(st.sampled_from([Kind.BOOKING, Kind.PROVISIONING]), answers)))
def test_answers_that_come_again_change_nothing(came: list[tuple[Kind, Answer]]) -> None:
    order, once = an_order(), an_order()

    counted = [(kind, answer) for kind, answer in came if order.answer(kind, answer, now=1.0)]
    for kind, answer in counted:
        once.answer(kind, answer, now=1.0)

    assert len({kind for kind, _ in counted}) == len(counted)
    assert once == order


@given(st.data())
def test_an_order_that_closed_has_a_result_and_an_open_one_none(data: st.DataObject) -> None:
    order = an_order(data.draw(st.sampled_from([BOOKED, CHANGED])))
    for sub in data.draw(st.permutations(order.sub_orders)):
        order.answer(sub.kind, data.draw(answers), now=1.0)
    if order.state is State.REVERSING:
        assert order.result is Result.NONE
        order.reversed(now=2.0)

    assert order.state is State.CLOSED
    assert order.result is not Result.NONE
    failed = any(sub.state is SubState.FAILED for sub in order.sub_orders)
    assert failed == (order.result is not Result.SUCCEEDED)


def test_sub_orders_of_both_systems_have_ids_of_their_own_and_tell_their_order() -> None:
    orders = Orders()
    order = an_order(BOOKED, "C-7")
    orders.add(order)

    ids = {sub.order_id for sub in order.sub_orders}
    others = {sub.order_id for sub in sub_orders("C-7", BOOKED, side="B")}

    assert not ids & others
    for sub in order.sub_orders:
        assert orders.of(sub.order_id) == (order, sub.kind)
    assert orders.of("X-CP") is None
    assert orders.of("nonsense") is None


def test_the_oldest_closed_orders_make_room_and_open_ones_never_do() -> None:
    orders = Orders(rows_max=3)
    made = [an_order(order_id=f"C{number}") for number in range(4)]
    for order in made[:3]:
        orders.add(order)
    with pytest.raises(Full, match="3 orders are open"):
        orders.add(made[3])

    made[1].finish(now=1.0)
    orders.closed(made[1])
    orders.add(made[3])

    assert orders.get("C1") is None
    assert {order.order_id for order in orders} == {"C0", "C2", "C3"}
    assert (len(orders), orders.open_count, orders.results[Result.SUCCEEDED]) == (3, 3, 1)


@pytest.mark.parametrize(
    ("receipt", "answer"),
    [
        ({"result": "succeeded"}, DONE),
        ({"result": "succeeded", "marks": ["NO_CHANGE"]}, Answer(True, marks=("NO_CHANGE",))),
        (
            {"result": "failed", "code": "NE_REFUSED", "ne_text": "no such profile"},
            Answer(False, "NE_REFUSED", "no such profile"),
        ),
    ],
)
def test_a_receipt_is_the_answer_to_its_sub_order(
    receipt: dict[str, object], answer: Answer
) -> None:
    assert answer_of(receipt) == answer
