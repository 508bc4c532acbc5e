"""Plans of group business: which system is told what, in which order, and what is taken back."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from hlrd.domain.group import (
    Enterprises,
    GroupPlaces,
    Membership,
    Scope,
    Standing,
    Subscription,
)
from hlrd.domain.identity import IMSI, MSISDN
from hlrd.domain.lifecycle import ECEvent, ECState, UserState
from hlrd.domain.operation import Task
from hlrd.domain.orders import (
    ArrearsSuspend,
    MemberActivate,
    NumberChange,
    SIMReplace,
    UserTerminate,
    WorkOrder,
)
from hlrd.domain.orders.group import (
    ECProductCancel,
    ECProductSubscribe,
    MemberProductSubscribe,
    MemberProductUnsubscribe,
    MemberRemove,
    PartnerMemberImport,
    PartnerProductPublish,
)
from hlrd.domain.plans.plan import Ground, Impossible, Mark, Plan, Routes, undo
from hlrd.domain.policy import Policy
from hlrd.domain.product import Holding
from hlrd.domain.suspension import NO_REASONS, Level, Reason
from hlrd.domain.user import User
from tests.domain.planning import plan_of
from tests.domain.products import a_content, a_function, a_product, held, published
from tests.domain.test_plans import BINDING, HEADER, NEW

PLACES = GroupPlaces(
    nationwide="nation",
    class1="class1",
    gateway="gateway",
    province_platform="platform",
    province_management="management",
    relays={"BBOSS": "bboss", "BOSS1": "boss1"},
)
NO_WAY_UP = GroupPlaces(
    nationwide="nation",
    class1="class1",
    gateway="gateway",
    province_platform="platform",
    province_management="management",
)
NO_USER: dict[str, Any] = {name: value for name, value in HEADER.items() if name != "user_id"}
TRACK = a_product(
    "TRACK", a_function("GPRS"), a_content("MAP", "MAP01"), platforms=("nation", "video")
)
PRODUCTS = published(TRACK)
MEMBER = Membership("EC1", "BOSS1", "TRACK")


def routes(places: GroupPlaces = PLACES, **policy: Any) -> Routes:
    return Routes(
        "dsmp",
        {"hlr1": {"GPRS+SMS": 12}},
        dialects={"hlr1": "mml"},
        platforms=frozenset({"video", "nation"}),
        groups=places,
        policy=Policy(**policy),
    )


def subscription(product_class: int = 1, **changes: Any) -> Subscription:
    fixed: dict[str, Any] = {
        "ec_code": "EC1",
        "ec_name": "示例集团",
        "product": "TRACK",
        "version": 1,
        "product_class": product_class,
        "scope": Scope.IN_PROVINCE,
        "route": "BOSS1",
        "lead_province": "200",
    }
    return Subscription(**fixed | changes)


def having(*found: Subscription, state: ECState = ECState.ACTIVE) -> Enterprises:
    enterprises = Enterprises()
    for one in found:
        enterprises.put(Standing(one, state))
    return enterprises


def subscribe_ec(product_class: int = 1, **changes: Any) -> ECProductSubscribe:
    named: dict[str, Any] = {
        "ec_code": "EC1", "ec_name": "示例集团", "product": "TRACK", "product_version": 1,
    }  # fmt: skip
    return ECProductSubscribe(**NO_USER, **named | {"product_class": product_class} | changes)


def cancel_ec() -> ECProductCancel:
    return ECProductCancel(**NO_USER, ec_code="EC1", product="TRACK")


def subscribe() -> MemberProductSubscribe:
    return MemberProductSubscribe(**HEADER, ec_code="EC1", product="TRACK")


def activate(**changes: Any) -> MemberActivate:
    return MemberActivate(**HEADER, **{"ec_code": "EC1"} | changes)


def a_member(*products: Holding, **changes: Any) -> User:
    user = User(UserState.ACTIVE, BINDING, NO_REASONS, products, member=MEMBER)
    return replace(user, **changes)


def held_as(one: Subscription) -> Holding:
    return Holding("TRACK", 1, {}, one.ec_code, one.product_class, one.is_straight)


def found(
    order: WorkOrder,
    user: User | None = None,
    enterprises: Enterprises | None = None,
    places: GroupPlaces = PLACES,
    **policy: Any,
) -> Plan | Impossible:
    known = Enterprises() if enterprises is None else enterprises
    return plan_of(order, user, Ground(routes(places, **policy), PRODUCTS, "55", known))


def made(*about: Any, **more: Any) -> Plan:
    plan = found(*about, **more)
    assert isinstance(plan, Plan), plan
    return plan


def code(*about: Any, **more: Any) -> str:
    plan = found(*about, **more)
    assert isinstance(plan, Impossible), plan
    return plan.code


def steps(plan: Plan | tuple[tuple[Task, ...], ...]) -> list[str]:
    stages = plan.stages if isinstance(plan, Plan) else plan
    return [" ∥ ".join(f"{task.ne} {task.operation}" for task in stage) for stage in stages]


# What enterprises have.


def test_class_1_is_told_one_by_one_and_the_gateway_last() -> None:
    plan = made(subscribe_ec(), places=NO_WAY_UP)

    assert steps(plan) == ["nation subscribeEC", "class1 subscribeEC", "gateway subscribeEC"]


def test_headquarters_is_told_of_class_1_before_any_platform() -> None:
    partners = subscribe_ec(
        scope=Scope.CROSS_PROVINCE, route="BBOSS", partner_provinces=["280", "571"]
    )

    plan = made(partners)

    assert steps(plan)[0] == "bboss subscribeEC"
    assert "boss1" not in "".join(steps(plan))
    told = plan.stages[0][0].details
    assert told.attributes == {
        "product_class": "1",
        "lead_province": "200",
        "partner_provinces": "280,571",
    }
    assert plan.stages[1][0].details.attributes == {"product_class": "1"}


def test_by_route_boss1_the_bboss_is_told_nothing() -> None:
    plan = made(subscribe_ec())

    assert steps(plan)[0] == "boss1 subscribeEC"
    assert "bboss" not in "".join(steps(plan))


@pytest.mark.parametrize("product_class", [2, 3])
def test_class_2_and_3_go_two_legs_side_by_side(product_class: int) -> None:
    plan = made(subscribe_ec(product_class), places=NO_WAY_UP)

    assert steps(plan) == ["platform subscribeEC ∥ management subscribeEC"]
    classes = {task.details.attributes["product_class"] for task in plan.stages[0]}
    assert classes == {str(product_class)}


def test_headquarters_learns_of_class_2_beside_the_province() -> None:
    """It refuses members of an enterprise that it does not know."""
    plan = made(subscribe_ec(2))

    assert steps(plan) == ["boss1 subscribeEC ∥ platform subscribeEC ∥ management subscribeEC"]


def test_a_nationwide_platform_that_a_province_built_is_told_straight() -> None:
    plan = made(subscribe_ec(2, straight=True), places=NO_WAY_UP)

    assert steps(plan) == ["nation subscribeEC"]
    assert plan.stages[0][0].details.attributes == {"product_class": "2"}


def test_an_enterprise_that_has_the_product_already_costs_no_command() -> None:
    plan = made(subscribe_ec(), None, having(subscription()))

    assert (plan.stages, plan.marks) == ((), (Mark.NO_CHANGE,))


def test_a_platform_that_is_not_configured_makes_the_order_impossible() -> None:
    assert code(subscribe_ec(2), places=GroupPlaces(nationwide="nation")) == "EC_ROUTE_MISSING"


def test_a_province_without_platforms_of_class_1_leaves_them_to_headquarters() -> None:
    province = GroupPlaces(relays={"BOSS1": "boss1"})

    assert steps(made(subscribe_ec(), places=province)) == ["boss1 subscribeEC"]
    held_now = having(subscription(), state=ECState.ENDING)
    assert steps(made(cancel_ec(), None, held_now, places=province)) == ["boss1 unsubscribeEC"]
    assert code(subscribe_ec(route="BBOSS"), places=province) == "EC_ROUTE_MISSING"
    assert code(subscribe_ec(2), places=province) == "EC_ROUTE_MISSING"


def test_a_cancellation_closes_the_gateway_first_and_tells_headquarters_last() -> None:
    plan = made(cancel_ec(), None, having(subscription(), state=ECState.ENDING))

    assert steps(plan) == [
        "gateway unsubscribeEC",
        "class1 unsubscribeEC",
        "nation unsubscribeEC",
        "boss1 unsubscribeEC",
    ]


def test_what_was_told_is_taken_back_in_reverse() -> None:
    plan = made(subscribe_ec())
    done = [task for stage in plan.stages[:3] for task in stage]

    back = steps(undo(done))

    assert back == ["class1 unsubscribeEC", "nation unsubscribeEC", "boss1 unsubscribeEC"]


def test_what_partners_tell_is_a_record_and_no_command() -> None:
    publish = PartnerProductPublish(
        **NO_USER, ec_code="EC1", ec_name="n", product="TRACK", product_version=1,
        lead_province="280",
    )  # fmt: skip
    member = PartnerMemberImport(
        **NO_USER, ec_code="EC1", msisdn="1064700000001", partner_province="280"
    )

    assert made(publish) == Plan((), None)
    assert made(member, None, having(subscription())) == Plan((), None)
    assert code(member) == "EC_UNKNOWN"


# Members.


def test_a_member_is_reported_before_the_hlr_hears_of_it() -> None:
    plan = made(activate(), NEW, having(subscription()))

    assert steps(plan) == [
        "boss1 reportMember",
        "hlr1 addKey",
        "hlr1 addSubscriber",
        "dsmp openRelation",
    ]
    assert plan.stages[0][0].details.product == "TRACK"
    assert plan.user is not None
    assert plan.user.member == MEMBER


def test_without_group_business_an_activation_is_as_it_was() -> None:
    plan = made(activate(), NEW, places=GroupPlaces())

    assert steps(plan) == ["hlr1 addKey", "hlr1 addSubscriber", "dsmp openRelation"]
    assert plan.user is not None
    assert plan.user.member is None


def test_an_enterprise_without_a_product_of_the_class_has_no_members_of_it() -> None:
    assert code(activate(product_class=2), NEW, having(subscription())) == "EC_NOT_READY"
    pending = having(subscription(), state=ECState.PENDING)
    assert code(activate(), NEW, pending) == "EC_NOT_READY"
    assert code(activate(), NEW, ec_unknown="wait") == "EC_NOT_READY"


CLASS_1 = ["nation", "class1", "gateway"]


@pytest.mark.parametrize(
    ("one", "platforms"),
    [
        (subscription(), CLASS_1),
        (subscription(2), ["platform", "management"]),
        (subscription(3, is_straight=True), ["nation"]),
    ],
)
def test_a_members_product_goes_from_headquarters_by_the_hlr_and_its_class_to_the_gateway(
    one: Subscription, platforms: list[str]
) -> None:
    plan = made(subscribe(), a_member(), having(one))

    assert steps(plan) == [
        "boss1 subscribeMember",
        "hlr1 addFunction",
        "dsmp openRelation",
        "video subscribeMember",
        *(f"{ne} subscribeMember" for ne in platforms),
    ]
    last = plan.stages[-1][0].details
    assert (last.ec_code, last.attributes["product_class"]) == ("EC1", str(one.product_class))
    assert plan.user == a_member(held_as(one))


def test_what_a_refusal_takes_back_never_touches_the_base_capability() -> None:
    plan = made(subscribe(), a_member(), having(subscription()))
    done = [task for stage in plan.stages[:-1] for task in stage]

    back = steps(undo(done))

    assert back == [
        "class1 unsubscribeMember",
        "nation unsubscribeMember",
        "video unsubscribeMember",
        "dsmp closeRelation",
        "hlr1 removeFunction",
        "boss1 unsubscribeMember",
    ]


def test_a_product_goes_off_the_other_way_round() -> None:
    enterprises = having(subscription(2))
    order = MemberProductUnsubscribe(**HEADER, ec_code="EC1", product="TRACK")

    plan = made(order, a_member(held_as(subscription(2))), enterprises)

    assert steps(plan) == [
        "management unsubscribeMember",
        "platform unsubscribeMember",
        "video unsubscribeMember",
        "dsmp closeRelation",
        "hlr1 removeFunction",
        "boss1 unsubscribeMember",
    ]
    assert plan.user == a_member()


def test_a_product_of_a_member_stays_paused_while_its_line_is_stopped() -> None:
    order = ArrearsSuspend(**HEADER, msisdn=BINDING.msisdn, level=2)

    plan = made(order, a_member(held_as(subscription())), having(subscription()))

    paused = [step for step in steps(plan) if "pauseRelation" in step]
    assert paused == [f"{ne} pauseRelation" for ne in ("dsmp", "dsmp", "video", *CLASS_1)]


def test_products_are_for_members_of_an_enterprise_that_has_them() -> None:
    stranger = User(UserState.ACTIVE, BINDING, NO_REASONS)

    assert code(subscribe(), stranger, having(subscription())) == "NOT_A_MEMBER"
    assert code(subscribe(), a_member(), Enterprises()) == "EC_NOT_READY"
    assert code(subscribe(), None, having(subscription())) == "DEPENDENCY_FAILED"


def test_a_member_leaves_with_what_it_had_of_the_enterprise_and_nothing_else() -> None:
    own = a_product("OWN", a_function("VPN"))
    PRODUCTS.stage(own)
    user = a_member(held(own), held_as(subscription()))
    order = MemberRemove(**HEADER, ec_code="EC1")

    plan = made(order, user, having(subscription()))

    assert steps(plan)[0] == "gateway unsubscribeMember"
    last = ["hlr1 removeFunction", "boss1 unsubscribeMember", "boss1 cancelReport"]
    assert steps(plan)[-3:] == last
    assert plan.user == a_member(held(own), member=None)
    assert plan.leaves_ec


def test_a_member_may_leave_and_be_closed_by_one_order() -> None:
    order = MemberRemove(**HEADER, ec_code="EC1", terminate=True)
    closing = UserTerminate(**HEADER, msisdn=BINDING.msisdn)
    user, enterprises = a_member(held_as(subscription())), having(subscription())

    plan = made(order, user, enterprises)

    assert plan == made(closing, user, enterprises)
    assert steps(plan)[-3:] == ["hlr1 removeSubscriber", "hlr1 removeKey", "boss1 cancelReport"]
    assert plan.leaves_ec
    assert plan.user is not None
    assert plan.user.state is UserState.TERMINATED


@pytest.mark.parametrize(
    "order",
    [SIMReplace(**HEADER, msisdn=BINDING.msisdn), NumberChange(**HEADER, msisdn=BINDING.msisdn)],
)
def test_headquarters_learns_of_another_card_or_number(order: SIMReplace | NumberChange) -> None:
    new = replace(BINDING, imsi=IMSI("460040000000002"), msisdn=MSISDN("1064700000002"))
    ground = Ground(routes(), PRODUCTS, "55", target=new)

    plan = plan_of(order, a_member(), ground)

    assert isinstance(plan, Plan)
    told = [
        (task.operation, task.binding.msisdn, task.binding.imsi)
        for stage in plan.stages
        for task in stage
        if task.ne == "boss1"
    ]
    if isinstance(order, SIMReplace):
        assert told == [("reportMember", BINDING.msisdn, new.imsi)]
    else:
        assert told == [
            ("cancelReport", BINDING.msisdn, BINDING.imsi),
            ("reportMember", new.msisdn, BINDING.imsi),
        ]


def test_who_is_no_member_has_nothing_to_leave() -> None:
    order = MemberRemove(**HEADER, ec_code="EC1")
    stranger = User(UserState.ACTIVE, BINDING, NO_REASONS)

    assert made(order, stranger).marks == (Mark.NO_CHANGE,)
    assert code(MemberRemove(**HEADER, ec_code="EC2"), a_member()) == "NOT_A_MEMBER"


def test_a_stopped_member_gets_a_function_but_no_content() -> None:
    stopped = a_member(reasons={Reason.ARREARS: Level.TWO_WAY})

    assert code(subscribe(), stopped, having(subscription())) == "LINE_STOPPED"


# The registry.


@given(st.lists(st.tuples(st.sampled_from("AB"), st.sampled_from("PQ"), st.booleans())))
def test_the_registry_has_what_was_put_last_and_forgets_no_enterprise(
    moves: list[tuple[str, str, bool]],
) -> None:
    enterprises, model = Enterprises(), set[tuple[str, str]]()
    for ec_code, product, is_there in moves:
        one = subscription(ec_code=ec_code, product=product)
        enterprises.put(Standing(one, ECState.ACTIVE if is_there else None))
        (model.add if is_there else model.discard)((ec_code, product))

    assert {(one.ec_code, one.product) for one, _ in enterprises} == model
    for ec_code in "AB":
        assert enterprises.is_known(ec_code) == any(move[0] == ec_code for move in moves)
        has_any = any(key[0] == ec_code for key in model)
        assert (enterprises.active_of_class(ec_code, 1) is not None) == has_any


def test_a_subscription_goes_the_way_of_its_table() -> None:
    enterprises = Enterprises()
    one = subscription()

    enterprises.put(enterprises.after(one, None))
    assert enterprises.active("EC1", "TRACK") is None
    for event, is_active in (
        (ECEvent.CONFIRMED, True),
        (ECEvent.CANCEL_ORDERED, False),
        (ECEvent.CANCEL_REFUSED, True),
        (ECEvent.CANCEL_ORDERED, False),
    ):
        enterprises.put(enterprises.after(one, event))
        assert (enterprises.active("EC1", "TRACK") == one) == is_active
    enterprises.put(enterprises.after(one, ECEvent.CANCELLED))

    assert list(enterprises) == []
