"""The support system of a province: what it posts and when, and what it believes of its members."""

from collections.abc import Iterable, Mapping
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loadtest.esop.book import Refused
from loadtest.esop.core import Support
from loadtest.esop.kinds import OPENING, ORDERING, SELLING
from loadtest.esop.records import (
    Line,
    LineState,
    NewBusiness,
    NewCustomer,
    NewMember,
    NewMembers,
    NewProduct,
    Offer,
    Standing,
    Timing,
)


def a_province(*, product_class: int = 1) -> Support:
    core = Support("200", run="t")
    core.offer("TRACK", Offer("定位", product_class))
    core.meet(NewCustomer("EC1", "示例集团"))
    return core


def posted(core: Support) -> list[Line]:
    lines = list(core.ready)
    core.ready.clear()
    return lines


def kinds(lines: Iterable[Line]) -> list[str]:
    return [line.kind for line in lines]


def receipt(line: Line, result: str = "succeeded", **more: Any) -> dict[str, Any]:
    told = {"order_id": line.order_id, "type": line.kind, "id": "1", "result": result}
    return told | {"user_id": line.fields.get("user_id")} | more


def an_active_business(core: Support, **fields: Any) -> None:
    core.open_business("EC1", NewBusiness("TRACK", **fields))
    (line,) = posted(core)
    core.closed(receipt(line))


def ecs_code(action: Any) -> str:
    with pytest.raises(Refused) as refused:
        action()
    return refused.value.code


@pytest.mark.parametrize(
    ("partners", "route", "scope"),
    [(["280"], "BBOSS", "crossProvince"), ([], "BOSS1", "inProvince")],
)
def test_members_beyond_the_province_make_it_business_of_the_bboss(
    partners: list[str], route: str, scope: str
) -> None:
    core = a_province()
    core.open_business("EC1", NewBusiness("TRACK", partners))

    (line,) = posted(core)
    assert (line.kind, line.fields["route"], line.fields["scope"]) == (SELLING, route, scope)
    assert line.fields["partner_provinces"] == partners


def test_a_member_is_held_for_its_enterprise_and_its_product_for_the_member() -> None:
    core = a_province()
    sold = core.open_business("EC1", NewBusiness("TRACK"))
    added = core.add_member("EC1", NewMember(products=["TRACK"]))
    (selling,) = posted(core)
    assert selling.kind == SELLING

    core.closed(receipt(selling))
    assert sold.is_closed
    (opening,) = posted(core)
    assert opening.kind == OPENING
    core.taken(opening.order_id, {"id": "7", "msisdn": "1064900000001"})
    core.closed(receipt(opening, msisdn="1064900000001", imsi="460990000000001", iccid="8986"))
    (ordering,) = posted(core)
    assert ordering.kind == ORDERING
    assert not added.is_closed
    core.closed(receipt(ordering, product="TRACK"))

    assert added.is_closed
    (member,) = core.members_of("EC1")
    assert (member.standing, member.msisdn) == (Standing.ACTIVE, "1064900000001")
    assert member.products == {"TRACK": Standing.ACTIVE}


@pytest.mark.parametrize(
    ("timing", "wanted"),
    [(Timing.TOGETHER, [OPENING, ORDERING]), (Timing.PRODUCT_FIRST, [ORDERING, OPENING])],
)
def test_it_posts_both_at_once_when_told_to_even_before_the_business(
    timing: Timing, wanted: list[str]
) -> None:
    core = a_province()
    core.add_member("EC1", NewMember(products=["TRACK"], timing=timing))

    assert kinds(posted(core)) == wanted


def test_what_needs_a_failed_opening_is_never_posted() -> None:
    core = a_province()
    an_active_business(core)
    added = core.add_member("EC1", NewMember(products=["TRACK"]))
    (opening,) = posted(core)
    core.taken(opening.order_id, {"id": "7", "msisdn": "1064900000001"})
    core.closed(receipt(opening, "failed", code="NE_REFUSED", ne_code="EC_UNKNOWN"))

    assert posted(core) == []
    assert added.is_closed
    (member,) = core.members_of("EC1")
    assert (member.standing, member.code, member.msisdn) == (Standing.FAILED, "EC_UNKNOWN", "")
    assert member.products == {"TRACK": Standing.FAILED}
    states = [(core.lines[one].state, core.lines[one].code) for one in added.lines]
    assert states == [(LineState.FAILED, "EC_UNKNOWN"), (LineState.FAILED, "DEPENDENCY_FAILED")]


def test_a_business_that_failed_takes_those_who_waited_for_it_along() -> None:
    core = a_province()
    core.open_business("EC1", NewBusiness("TRACK"))
    core.add_members("EC1", NewMembers(count=2, products=["TRACK"]))
    (selling,) = posted(core)
    core.refused(selling.order_id, "PRODUCT_NOT_ACTIVE", "no")

    assert posted(core) == []
    assert {one.standing for one in core.members_of("EC1")} == {Standing.FAILED}
    assert all(order.is_closed for order in core.orders.values())
    core.open_business("EC1", NewBusiness("TRACK"))
    assert kinds(posted(core)) == [SELLING], "it may be sold anew"


def test_a_fallout_closes_nothing_and_can_still_succeed() -> None:
    core = a_province()
    order = core.open_business("EC1", NewBusiness("TRACK"))
    (line,) = posted(core)
    core.closed(receipt(line, "fallout", code="NE_FAILED"))

    assert (line.state, order.is_closed) == (LineState.FALLOUT, False)
    core.closed(receipt(line))
    assert order.is_closed
    assert core.businesses["EC1", "TRACK"].standing is Standing.ACTIVE


def test_a_file_of_products_has_only_those_who_were_opened() -> None:
    core = a_province()
    an_active_business(core)
    order = core.add_members("EC1", NewMembers(count=3, products=["TRACK"]))
    (file,) = posted(core)
    first, second, third = file.users

    core.taken(file.order_id, {"id": "5"})
    core.closed({"order_id": "B5-2", "type": OPENING, "result": "succeeded", "user_id": first,
                 "ec_code": "EC1", "msisdn": "1064900000001"})  # fmt: skip
    core.rows(
        file.order_id,
        [
            {"user_id": first, "result": "succeeded", "code": None, "msisdn": "1064900000001"},
            {"user_id": second, "result": "failed", "code": "ROW_FAULTY", "msisdn": None},
            {"user_id": third, "result": "left", "code": None, "msisdn": None},
        ],
    )
    core.closed(receipt(file, rows_ok=1))

    (products,) = posted(core)
    assert (products.kind, list(products.users)) == (ORDERING, [first])
    assert [core.members[one].code for one in (second, third)] == ["ROW_FAULTY", "LEFT"]
    core.rows(products.order_id, [{"user_id": first, "result": "succeeded", "code": None}])
    core.closed(receipt(products))
    assert order.is_closed
    assert core.members[first].products == {"TRACK": Standing.ACTIVE}


def test_the_files_of_products_go_first_when_told_to() -> None:
    core = a_province()
    an_active_business(core)
    core.add_members("EC1", NewMembers(count=2, products=["TRACK"], timing=Timing.PRODUCT_FIRST))

    lines = posted(core)
    assert kinds(lines) == [ORDERING, OPENING]
    assert all(line.is_file for line in lines)


def test_a_product_leaves_and_a_member_leaves_with_its_receipt() -> None:
    core = a_province()
    an_active_business(core)
    core.add_member("EC1", NewMember(user_id="901", products=["TRACK"]))
    for _ in range(2):
        (line,) = posted(core)
        core.closed(receipt(line, product="TRACK"))

    core.drop_product("EC1", "901", "TRACK")
    (line,) = posted(core)
    core.closed(receipt(line, product="TRACK"))
    assert core.members["901"].products == {"TRACK": Standing.GONE}
    core.order_product("EC1", "901", NewProduct("TRACK"))
    assert kinds(posted(core)) == [ORDERING]
    core.remove_member("EC1", "901", terminate=True)
    (line,) = posted(core)
    assert line.fields["terminate"] is True
    core.closed(receipt(line))
    assert core.members["901"].standing is Standing.GONE
    assert ecs_code(lambda: core.remove_member("EC1", "901")) == "MEMBER_UNKNOWN"


def test_what_another_province_sold_is_orderable_here_as_hlrd_shows_it() -> None:
    core = Support("280", run="t")
    assert ecs_code(lambda: core.add_member("EC1", NewMember())) == "CUSTOMER_UNKNOWN"
    held = {"product": "TRACK", "product_class": 1, "route": "BBOSS", "lead_province": "200",
            "partner_provinces": [], "straight": False, "state": "active"}  # fmt: skip
    core.saw({"code": "EC1", "name": "示例集团", "lead_province": "200", "products": [held]})

    core.add_member("EC1", NewMember())
    (line,) = posted(core)
    assert (line.fields["route"], line.fields["product_class"]) == ("BBOSS", 1)
    assert ecs_code(lambda: core.open_business("EC1", NewBusiness("TRACK"))) == "PRODUCT_UNKNOWN"
    assert ecs_code(lambda: core.cancel_business("EC1", "TRACK")) == "OTHER_LEAD"


def test_what_cannot_be_is_refused_before_anything_is_posted() -> None:
    core = a_province()

    assert ecs_code(lambda: core.open_business("EC9", NewBusiness("TRACK"))) == "CUSTOMER_UNKNOWN"
    assert ecs_code(lambda: core.open_business("EC1", NewBusiness("NONE"))) == "PRODUCT_UNKNOWN"
    assert ecs_code(lambda: core.add_member("EC1", NewMember())) == "BUSINESS_NOT_ACTIVE"
    assert ecs_code(lambda: core.meet(NewCustomer("EC1", "其他"))) == "CUSTOMER_EXISTS"
    an_active_business(core)
    assert ecs_code(lambda: core.open_business("EC1", NewBusiness("TRACK"))) == "BUSINESS_EXISTS"
    core.add_member("EC1", NewMember(user_id="901"))
    posted(core)
    assert ecs_code(lambda: core.add_member("EC1", NewMember(user_id="901"))) == "MEMBER_EXISTS"
    assert posted(core) == []


def test_the_receipts_of_another_provinces_members_change_nothing_here() -> None:
    core = a_province()
    before = len(core.members)

    core.closed({"order_id": "E280-1-1", "type": OPENING, "result": "succeeded", "user_id": "5"})
    core.closed({"order_id": "E280-2-1", "type": SELLING, "result": "succeeded",
                 "ec_code": "EC1", "product": "OTHER"})  # fmt: skip

    assert (len(core.members), dict(core.businesses)) == (before, {})


FATES = st.sampled_from(["succeeded", "failed", "refused", "twice"])


@given(
    timings=st.lists(st.sampled_from(list(Timing)), max_size=6),
    as_files=st.booleans(),
    fates=st.lists(FATES, min_size=40, max_size=40),
    picks=st.lists(st.integers(0, 50), min_size=40, max_size=40),
)
def test_whatever_becomes_of_orders_each_ends_and_in_sequence_means_so(
    timings: list[Timing], as_files: bool, fates: list[str], picks: list[int]
) -> None:
    """Receipts come in any order; nothing is posted before what it is held for has succeeded."""
    core = a_province()
    core.open_business("EC1", NewBusiness("TRACK"))
    for timing in timings:
        core.add_members(
            "EC1",
            NewMembers(count=2, products=["TRACK"], timing=timing, as_orders=not as_files),
        )
    added = list(core.orders)[1:]
    timing_of = dict(zip(added, timings, strict=True))
    under_way = posted(core)

    for fate, pick in zip(fates, picks, strict=True):
        if not under_way:
            break
        line = under_way.pop(pick % len(under_way))
        meet(core, line, fate)
        fresh = posted(core)
        for new in fresh:
            if timing_of.get(new.root) is Timing.IN_SEQUENCE:
                assert_has_what_it_needs(core, new)
        under_way += fresh

    while under_way:
        meet(core, under_way.pop(), "succeeded")
        under_way += posted(core)
    assert all(order.is_closed for order in core.orders.values())
    assert {one.standing for one in core.members.values()} <= {Standing.ACTIVE, Standing.FAILED}


def meet(core: Support, line: Line, fate: str) -> None:
    if fate == "refused":
        core.refused(line.order_id, "NO", "no")
        return
    result = "failed" if fate == "failed" else "succeeded"
    core.taken(line.order_id, {"id": "1"})
    core.rows(line.order_id, [row(user, result) for user in line.users])
    for _ in range(2 if fate == "twice" else 1):
        core.closed(receipt(line, result, product=line.fields.get("product")))


def row(user: str, result: str) -> Mapping[str, Any]:
    return {"user_id": user, "result": result, "code": None if result == "succeeded" else "NO"}


def assert_has_what_it_needs(core: Support, line: Line) -> None:
    assert core.businesses["EC1", "TRACK"].standing is Standing.ACTIVE
    if line.kind == ORDERING:
        users = line.users or [line.fields["user_id"]]
        assert {core.members[user].standing for user in users} == {Standing.ACTIVE}
