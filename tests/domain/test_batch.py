"""What a batch makes of its rows, and how many may be under way."""

import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hlrd import limits
from hlrd.domain.batch import Template, child_id, child_priority, kind_of, member_child, room
from hlrd.domain.errors import BadRequest
from hlrd.domain.identity import MSISDN, UserId
from hlrd.domain.orders import ArrearsSuspend, MemberActivate, OperatorResume, PaymentResume
from hlrd.domain.orders.batch import ECResumeAll, ECSuspendAll
from hlrd.domain.suspension import Reason

MEMBER = (UserId("77"), MSISDN("1064800000001"))


def template(kind: str = "MEMBER_ACTIVATE", **common: object) -> Template:
    return Template(
        batch=7, kind=kind, order_id="B-1", province="200", operator_id="op", priority=4,
        common=common,
    )  # fmt: skip


def test_a_child_is_named_by_its_batch_and_row_and_says_whose_it_is() -> None:
    child = template(ec_code="EC1").child(12, {"user_id": "77", "digits": "11"}, is_text=True)

    assert isinstance(child, MemberActivate)
    assert (child.order_id, child.root_order_id, child.priority) == ("B7-12", "B-1", 4)
    assert (child.user_id, child.ec_code, child.digits) == ("77", "EC1", 11)


def test_a_row_says_more_than_what_all_have_in_common() -> None:
    child = template(ec_code="EC1", pool="iot").child(
        1, {"user_id": "77", "ec_code": "EC2", "province": "210"}, is_text=False
    )

    assert isinstance(child, MemberActivate)
    assert (child.ec_code, child.pool, child.province) == ("EC2", "iot", "210")


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({}, "user_id"),
        ({"user_id": "x"}, "user_id"),
        ({"user_id": "1", "digits": "11"}, "digits"),  # of JSON, where text is no number
        ({"user_id": "1", "iccid": "89860420202400000018"}, "iccid"),
    ],
)
def test_what_is_wrong_with_a_row_is_named_by_its_field(
    fields: dict[str, object], field: str
) -> None:
    with pytest.raises(BadRequest) as refused:
        template(ec_code="EC1").child(1, fields, is_text=False)

    assert refused.value.field == field


@given(st.integers(1, 10**10 - 1), st.integers(0, 10**19 - 1), st.integers(0, 10**19 - 1))
def test_children_have_ids_that_differ_and_are_allowed(batch: int, one: int, other: int) -> None:
    name = child_id(batch, str(one))

    assert re.fullmatch(r"[A-Za-z0-9_-]{1,32}", name)
    assert (name == child_id(batch, str(other))) == (one == other)


def suspend_all(**fields: Any) -> ECSuspendAll:
    return ECSuspendAll(
        order_id="S1", province="200", operator_id="op", ec_code="EC1", seq=9, **fields
    )


def test_all_members_are_stopped_as_the_order_of_their_ec_says() -> None:
    child = member_child(suspend_all(level=1, bill_month="202601", state_version=4), 7, *MEMBER)

    assert isinstance(child, ArrearsSuspend)
    assert (child.order_id, child.root_order_id, child.priority) == ("B7-77", "S1", 3)
    assert (child.msisdn, child.level, child.bill_month, child.state_version) == (
        MEMBER[1], 1, "202601", 4,
    )  # fmt: skip
    assert child.seq is None, "the EC's sequence is not the user's"


def test_each_reason_goes_by_its_own_kind_of_order() -> None:
    paid = ECResumeAll(
        order_id="R1", province="200", operator_id="op", ec_code="EC1", payment_id="P"
    )
    freed = ECResumeAll(
        order_id="R2", province="200", operator_id="op", ec_code="EC1", reason=Reason.FRAUD
    )

    assert isinstance(member_child(paid, 7, *MEMBER), PaymentResume)
    child = member_child(freed, 7, *MEMBER)
    assert isinstance(child, OperatorResume)
    assert child.reason is Reason.FRAUD
    assert kind_of(suspend_all(reason=Reason.VOLUNTARY)) == "VOLUNTARY_SUSPEND"
    assert (child_priority(suspend_all()), child_priority(freed)) == (3, 1)


counts = st.integers(0, 3 * limits.BATCH_CHILDREN_OPEN_MAX)


@given(counts, counts, counts, st.booleans())
def test_the_window_is_never_exceeded_and_shrinks_with_other_work(
    young: int, old: int, others: int, is_urgent: bool
) -> None:
    given_ = room(young=young, open_=young + old, others=others, is_urgent=is_urgent)

    assert given_ >= 0
    assert given_ == 0 or young + given_ <= limits.BATCH_CHILDREN_MAX
    assert given_ == 0 or young + old + given_ <= limits.BATCH_CHILDREN_OPEN_MAX
    busier = room(young=young, open_=young + old, others=others + 1_000, is_urgent=is_urgent)
    assert busier <= given_


def test_bulk_gives_way_to_single_orders_and_an_ec_that_has_paid_does_not() -> None:
    busy = limits.BATCH_YIELDS_TO_ORDERS

    assert room(young=0, open_=0, others=busy, is_urgent=False) == limits.BATCH_CHILDREN_MIN
    assert room(young=0, open_=0, others=busy, is_urgent=True) == limits.BATCH_CHILDREN_MAX
    assert room(young=0, open_=0, others=0, is_urgent=False) == limits.BATCH_CHILDREN_MAX
