"""What a province alone sends, and what headquarters alone does with what was reported to it."""

import dataclasses
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from hlrd.domain.catalogue import KINDS
from hlrd.domain.group import Enterprises, GroupPlaces, Membership, Standing
from hlrd.domain.lifecycle import ECState, UserState
from hlrd.domain.operation import Operation, Task
from hlrd.domain.orders import (
    MemberActivate,
    MemberOpen,
    ProductPublish,
    Source,
    UserTerminate,
    WorkOrder,
)
from hlrd.domain.orders.group import (
    MemberProductSubscribe,
    MemberProductUnsubscribe,
    MemberRemove,
)
from hlrd.domain.plans.plan import Ground, Impossible, Plan, Routes, undo
from hlrd.domain.product import Holding
from hlrd.domain.role import Role
from hlrd.domain.suspension import NO_REASONS, Level, Reason
from hlrd.domain.user import User
from tests.domain.planning import plan_of
from tests.domain.products import a_content, a_function, a_product, published
from tests.domain.test_group import cancel_ec, having, steps, subscribe_ec, subscription
from tests.domain.test_plans import BINDING, HEADER

PROVINCE = GroupPlaces(
    province_platform="platform",
    province_management="management",
    nationwide="nation",
    relays={"BOSS1": "boss1"},
    role_missing=Role.HQ,
)
HEADQUARTERS = GroupPlaces(
    nationwide="nation",
    class1="class1",
    gateway="gateway",
    registry="pboss",
    role_missing=Role.PROVINCE,
)
UPWARD = {"boss1"}
OWN = {"platform", "management", "nation"}

TRACK = a_product("TRACK", a_function("GPRS"), a_content("MAP", "MAP01"), platforms=("nation",))
PLAIN = replace(a_product("PLAIN"), platforms=())
PRODUCTS = published(TRACK, PLAIN)
MEMBER = Membership("EC1", "BOSS1", "TRACK")
CARD: dict[str, Any] = {
    "msisdn": BINDING.msisdn, "imsi": BINDING.imsi, "iccid": BINDING.iccid,
    "services": ["GPRS", "SMS"],
}  # fmt: skip


def routes(places: GroupPlaces) -> Routes:
    has_network = places.role_missing is not Role.HQ
    return Routes(
        "dsmp" if has_network else "",
        {"hlr1": {"GPRS+SMS": 12}},
        dialects={"hlr1": "mml"} if has_network else {},
        platforms=frozenset({"nation"}),
        groups=places,
    )


def found(
    order: WorkOrder,
    user: User | None,
    places: GroupPlaces,
    enterprises: Enterprises | None = None,
    source: str = Source.ESOP,
) -> Plan | Impossible:
    known = Enterprises() if enterprises is None else enterprises
    return plan_of(order, user, Ground(routes(places), PRODUCTS, "55", known, source))


def made(*about: Any, **more: Any) -> Plan:
    plan = found(*about, **more)
    assert isinstance(plan, Plan), plan
    return plan


def tasks(plan: Plan) -> list[Task]:
    return [task for stage in plan.stages for task in stage]


def activate(**changes: Any) -> MemberActivate:
    return MemberActivate(**HEADER, **{"ec_code": "EC1"} | changes)


def open_member(**changes: Any) -> MemberOpen:
    return MemberOpen(**HEADER, **CARD | {"ec_code": "EC1"} | changes)


def being_opened() -> User:
    return User(UserState.PROVISIONING, BINDING, NO_REASONS)


def a_member(*products: Holding) -> User:
    return User(UserState.ACTIVE, BINDING, NO_REASONS, products, member=MEMBER)


def holding(product_class: int, product: str = "TRACK") -> Holding:
    return Holding(product, 1, {}, "EC1", product_class)


def subscribed(product_class: int, product: str = "TRACK") -> Enterprises:
    return having(subscription(product_class, product=product))


def subscribe(product: str = "TRACK") -> MemberProductSubscribe:
    return MemberProductSubscribe(**HEADER, ec_code="EC1", product=product)


CLASSES = st.sampled_from([1, 2, 3])
LEAVING = st.sampled_from(
    [
        MemberProductUnsubscribe(**HEADER, ec_code="EC1", product="TRACK"),
        MemberRemove(**HEADER, ec_code="EC1"),
        MemberRemove(**HEADER, ec_code="EC1", terminate=True),
        UserTerminate(**HEADER, msisdn=BINDING.msisdn),
    ]
)


# A province alone.


@given(CLASSES, st.sampled_from([["GPRS", "SMS"], ["GPRS"]]))
def test_a_province_opens_a_member_by_its_report_and_nothing_else(
    product_class: int, services: list[Any]
) -> None:
    order = activate(product_class=product_class, services=services)

    plan = made(order, being_opened(), PROVINCE, subscribed(product_class))

    [report] = tasks(plan)
    assert (report.ne, report.operation) == ("boss1", Operation.REPORT_MEMBER)
    told = {"product_class": str(product_class), "services": ",".join(services)}
    assert report.details.attributes == told
    assert steps(undo([report])) == ["boss1 cancelReport"]
    assert plan.user == a_member()


def test_a_member_by_a_route_without_a_relay_cannot_be_opened() -> None:
    found_so = found(activate(route="BBOSS"), being_opened(), PROVINCE, subscribed(1))

    assert isinstance(found_so, Impossible)
    assert found_so.code == "EC_ROUTE_MISSING"


def test_class_1_is_all_headquarters_business() -> None:
    plan = made(subscribe(), a_member(), PROVINCE, subscribed(1))

    assert steps(plan) == ["boss1 subscribeMember"]


@pytest.mark.parametrize("product_class", [2, 3])
def test_of_class_2_and_3_headquarters_is_told_first_what_its_network_must_know(
    product_class: int,
) -> None:
    with_function = made(subscribe(), a_member(), PROVINCE, subscribed(product_class))
    without = made(subscribe("PLAIN"), a_member(), PROVINCE, subscribed(product_class, "PLAIN"))

    own = ["platform subscribeMember", "management subscribeMember"]
    assert steps(with_function) == ["boss1 subscribeMember", *own]
    assert steps(without) == own


@given(CLASSES, LEAVING)
def test_what_a_province_sends_goes_to_its_relay_and_its_own_platforms_alone(
    product_class: int, leaving: WorkOrder
) -> None:
    enterprises, user = subscribed(product_class), a_member(holding(product_class))
    plans = [
        made(activate(product_class=product_class), being_opened(), PROVINCE, enterprises),
        made(subscribe(), a_member(), PROVINCE, enterprises),
        made(leaving, user, PROVINCE, enterprises),
        made(subscribe_ec(product_class), None, PROVINCE, Enterprises()),
    ]

    for plan in plans:
        assert {task.ne for task in tasks(plan)} <= UPWARD | OWN


@given(CLASSES, LEAVING)
def test_what_went_up_comes_down_again_and_the_report_last(
    product_class: int, leaving: WorkOrder
) -> None:
    plan = made(leaving, a_member(holding(product_class)), PROVINCE, subscribed(product_class))

    upward = [str(task.operation) for task in tasks(plan) if task.ne == "boss1"]
    stays = isinstance(leaving, MemberProductUnsubscribe)
    assert upward == ["unsubscribeMember"] + ([] if stays else ["cancelReport"])
    assert stays or tasks(plan)[-1].operation is Operation.CANCEL_REPORT


def test_whoever_leaves_a_province_is_closed_as_headquarters_closes_him() -> None:
    user, enterprises = a_member(holding(1)), subscribed(1)
    closing = UserTerminate(**HEADER, msisdn=BINDING.msisdn)

    plan = made(MemberRemove(**HEADER, ec_code="EC1"), user, PROVINCE, enterprises)

    assert plan == made(closing, user, PROVINCE, enterprises)
    assert plan.user is not None
    assert (plan.user.state, plan.user.binding) == (UserState.TERMINATED, None)


def test_a_province_tells_of_an_enterprise_upward_and_its_own_platforms() -> None:
    by_class = {number: steps(made(subscribe_ec(number), None, PROVINCE)) for number in (1, 2)}

    assert by_class[1] == ["boss1 subscribeEC"]
    [side_by_side] = by_class[2]
    assert set(side_by_side.split(" ∥ ")) == {
        f"{ne} subscribeEC" for ne in ("boss1", "platform", "management")
    }


@pytest.mark.parametrize("product_class", [1, 2])
def test_an_enterprise_by_a_route_without_a_relay_is_refused(product_class: int) -> None:
    order = subscribe_ec(product_class, route="BBOSS")

    found_so = found(order, None, PROVINCE)

    assert isinstance(found_so, Impossible)
    assert found_so.code == "EC_ROUTE_MISSING"


def test_a_province_publishes_to_its_own_platforms_and_no_dsmp() -> None:
    header = {name: value for name, value in HEADER.items() if name != "user_id"}
    order = ProductPublish(
        **header, product="NEW", product_version=1, name="新",
        services=[a_content("NEWS", "N1")], platforms=["nation"],
    )  # fmt: skip

    assert steps(made(order, None, PROVINCE)) == ["nation publishProduct"]


# Headquarters alone.


@given(CLASSES)
def test_headquarters_opens_what_was_reported_and_tells_nobody(product_class: int) -> None:
    order = open_member(product_class=product_class)

    plan = made(order, being_opened(), HEADQUARTERS, subscribed(product_class), source=Source.PBOSS)

    assert steps(plan) == ["hlr1 addKey", "hlr1 addSubscriber", "dsmp openRelation"]
    assert steps(undo(tasks(plan))) == [
        "dsmp closeRelation", "hlr1 removeSubscriber", "hlr1 removeKey",
    ]  # fmt: skip
    assert plan.user == a_member()


def test_a_member_of_a_stopped_enterprise_is_opened_stopped() -> None:
    enterprises = subscribed(1)
    enterprises.stop("EC1", Reason.ARREARS, Level.TWO_WAY)

    plan = made(open_member(), being_opened(), HEADQUARTERS, enterprises)

    assert "hlr1 setBarring" in steps(plan)
    assert plan.user is not None
    assert plan.user.reasons == {Reason.ARREARS: Level.TWO_WAY}


def test_a_member_of_an_enterprise_without_his_class_is_not_opened() -> None:
    found_so = found(open_member(product_class=2), being_opened(), HEADQUARTERS, subscribed(1))

    assert isinstance(found_so, Impossible)
    assert found_so.code == "EC_NOT_READY"


@pytest.mark.parametrize("product_class", [2, 3])
def test_class_2_and_3_are_told_by_the_province(product_class: int) -> None:
    enterprise = made(subscribe_ec(product_class), None, HEADQUARTERS, source=Source.PBOSS)
    member = made(
        subscribe(), a_member(), HEADQUARTERS, subscribed(product_class), source=Source.PBOSS
    )

    assert steps(enterprise) == []
    assert steps(member) == ["hlr1 addFunction", "dsmp openRelation"]


@pytest.mark.parametrize(
    "order", [subscribe_ec(), cancel_ec(), MemberRemove(**HEADER, ec_code="EC1")]
)
def test_pboss_is_not_told_what_it_said(order: WorkOrder) -> None:
    active = having(subscription())
    if order == cancel_ec():
        active.put(ending(active))
    user = a_member(holding(1)) if isinstance(order, MemberRemove) else None
    known = Enterprises() if order == subscribe_ec() else active

    by_pboss = made(order, user, HEADQUARTERS, known, source=Source.PBOSS)
    by_staff = made(order, user, HEADQUARTERS, known, source=Source.OPS)

    assert "pboss" not in {task.ne for task in tasks(by_pboss)}
    rest = [step for step in steps(by_staff) if not step.startswith("pboss")]
    assert rest == steps(by_pboss) != steps(by_staff)


def ending(enterprises: Enterprises) -> Standing:
    """On its way out, as it is when a cancellation has its turn."""
    [standing] = enterprises
    return standing._replace(state=ECState.ENDING)


# Both.


def test_a_daemon_of_both_roles_without_platforms_of_class_1_leaves_them_to_headquarters() -> None:
    places = GroupPlaces(relays={"BOSS1": "boss1"})

    plan = made(subscribe("TRACK"), a_member(), places, subscribed(1))

    assert steps(plan) == [
        "boss1 subscribeMember", "hlr1 addFunction", "dsmp openRelation", "nation subscribeMember",
    ]  # fmt: skip


def test_each_kind_is_taken_by_one_role_at_least() -> None:
    needs = {kind.name: kind.role for kind in KINDS}

    assert needs["MEMBER_ACTIVATE"] is Role.PROVINCE
    assert needs["MEMBER_OPEN"] is Role.HQ
    assert [name for name, role in needs.items() if role is None] == [
        "USER_TERMINATE", "PRODUCT_PUBLISH", "BATCH",
        "EC_PRODUCT_SUBSCRIBE", "EC_PRODUCT_CANCEL",
        "PARTNER_PRODUCT_PUBLISH", "PARTNER_MEMBER_IMPORT",
        "MEMBER_PRODUCT_SUBSCRIBE", "MEMBER_PRODUCT_UNSUBSCRIBE", "MEMBER_REMOVE",
    ]  # fmt: skip


def test_what_both_roles_do_apart_is_what_one_daemon_does_alone() -> None:
    """The report by the province, then the rest by headquarters."""
    both = with_both_roles(HEADQUARTERS, relays={"BOSS1": "boss1"})
    enterprises: Enterprises = subscribed(1)

    reported = made(activate(), being_opened(), PROVINCE, enterprises)
    opened = made(open_member(), being_opened(), HEADQUARTERS, enterprises, source=Source.PBOSS)
    alone = made(activate(), being_opened(), both, enterprises)

    assert steps(alone) == steps(reported) + steps(opened)
    assert alone.user == reported.user == opened.user


def with_both_roles(places: GroupPlaces, **changes: Any) -> GroupPlaces:
    return dataclasses.replace(places, role_missing=None, **changes)
