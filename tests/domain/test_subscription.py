"""Plans of products: what is counted over all products of a user, and the order of the steps."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from hlrd.domain import script
from hlrd.domain.lifecycle import UserState
from hlrd.domain.operation import Operation
from hlrd.domain.orders import (
    ArrearsSuspend,
    PaymentResume,
    ProductPublish,
    ProductSubscribe,
    ProductUnsubscribe,
    UserTerminate,
    WorkOrder,
)
from hlrd.domain.plans.plan import Ground, Impossible, Mark, Plan, Routes, undo
from hlrd.domain.product import Holding, Product, StoppedLine
from hlrd.domain.publication import Products
from hlrd.domain.suspension import NO_REASONS, Level, Reason, Reasons
from hlrd.domain.user import User
from tests.domain.planning import plan_of
from tests.domain.products import (
    a_content,
    a_function,
    a_manual,
    a_product,
    an_apn,
    held,
    published,
)
from tests.domain.test_plans import BINDING, HEADER

ROUTES = Routes(
    "dsmp", {}, dialects={"hlr1": "mml"}, platforms=frozenset({"p1", "p2"}), sheets="eoms"
)
STOPPED: Reasons = {Reason.ARREARS: Level.TWO_WAY}

A = a_product("A", a_function("GPRS"), a_function("VPN"), a_content("VIDEO", "V1"))
B = a_product("B", a_function("GPRS"), a_content("MUSIC", "V1"), a_content("NEWS", "V2"))
FULL = a_product(
    "F", a_function(), a_content(), a_manual(), platforms=("p1", "p2"),
)  # fmt: skip


def user_with(*products: Holding, reasons: Reasons = NO_REASONS) -> User:
    return User(UserState.ACTIVE, BINDING, reasons, products)


def subscribe(product: Product, **attributes: str) -> ProductSubscribe:
    return ProductSubscribe(
        **HEADER,
        msisdn=BINDING.msisdn,
        product=product.id,
        product_version=product.version,
        attributes=attributes,
    )


def unsubscribe(product: Product) -> ProductUnsubscribe:
    return ProductUnsubscribe(**HEADER, msisdn=BINDING.msisdn, product=product.id)


def publish(product: Product) -> ProductPublish:
    header = {name: value for name, value in HEADER.items() if name != "user_id"}
    return ProductPublish(
        **header,
        product=product.id,
        product_version=product.version,
        name=product.name,
        services=list(product.services),
        platforms=list(product.platforms),
    )


def made(order: WorkOrder, user: User | None, products: Products) -> Plan:
    found = plan_of(order, user, Ground(ROUTES, products, "55"))
    assert isinstance(found, Plan), found
    return found


def steps(found: Plan | tuple[Any, ...]) -> list[str]:
    stages = found.stages if isinstance(found, Plan) else found
    return [
        " ∥ ".join(f"{t.ne} {t.operation} {_about(t.details)}".strip() for t in stage)
        for stage in stages
    ]


def _about(details: Any) -> str:
    return details.attributes.get("sp_service_id") or details.service or ""


# One product.


def test_a_subscription_goes_from_the_hlr_outwards() -> None:
    found = made(subscribe(FULL), user_with(), published(FULL))

    assert steps(found) == [
        "hlr1 addFunction GPRS",
        "dsmp openRelation VIDEO01",
        "p1 subscribeMember",
        "p2 subscribeMember",
        "eoms openSheet IP",
    ]
    assert found.user == user_with(held(FULL))


def test_it_is_undone_from_the_outside_in_by_the_scripts_that_take_back() -> None:
    found = made(subscribe(FULL), user_with(), published(FULL))

    back = undo([task for stage in found.stages for task in stage])

    assert steps(back) == [
        "eoms withdrawSheet IP",
        "p2 unsubscribeMember",
        "p1 unsubscribeMember",
        "dsmp closeRelation VIDEO01",
        "hlr1 removeFunction GPRS",
    ]
    ((last,),) = back[-1:]
    assert (last.details.script, last.details.undo_script) == (
        "RMV GPRS:I={imsi}",
        "ADD GPRS:I={imsi}",
    )


def test_an_unsubscription_goes_from_the_outside_in() -> None:
    found = made(unsubscribe(FULL), user_with(held(FULL)), published(FULL))

    assert steps(found) == [
        "eoms openSheet IP",
        "p2 unsubscribeMember",
        "p1 unsubscribeMember",
        "dsmp closeRelation VIDEO01",
        "hlr1 removeFunction GPRS",
    ]
    assert found.user == user_with()


def test_a_sheet_is_left_out_where_nothing_is_to_be_taken_back() -> None:
    product = a_product("F", a_manual(close=""))

    assert steps(made(unsubscribe(product), user_with(held(product)), published(product))) == []


def test_what_a_script_names_comes_with_the_task() -> None:
    product = a_product("P", an_apn("cmiot", "cmmtm"))

    found = made(subscribe(product, apn="cmmtm"), user_with(), published(product))

    ((task,),) = found.stages
    values = script.values_of(task.binding, task.details.attributes)
    assert script.parse(task.details.script).fill(values) == f"ADD APN:I={BINDING.imsi},APN=cmmtm"


def test_the_same_again_changes_nothing_and_anything_else_is_impossible() -> None:
    v1, v2 = a_product("P", an_apn("a", "b")), a_product("P", an_apn("a", "b"), version=2)
    products = published(v1, v2)
    user = user_with(held(v1, apn="a"))

    again = made(subscribe(v1, apn="a"), user, products)
    others = [
        plan_of(order, user, Ground(ROUTES, products, "55"))
        for order in (subscribe(v1, apn="b"), subscribe(v2, apn="a"))
    ]

    assert (again.stages, again.marks, again.user) == ((), (Mark.NO_CHANGE,), user)
    assert [other.code for other in others if isinstance(other, Impossible)] == 2 * ["PRODUCT_HELD"]
    nothing = made(unsubscribe(v1), user_with(), products)
    assert (nothing.stages, nothing.marks) == ((), (Mark.NO_CHANGE,))


def test_a_home_without_a_script_for_it_cannot_have_the_function() -> None:
    elsewhere = Routes("dsmp", {}, dialects={"hlr1": "cai"})

    found = plan_of(subscribe(A), user_with(), Ground(elsewhere, published(A), "55"))

    assert isinstance(found, Impossible)
    assert found.code == "PRODUCT_NOT_ON_HLR"


# Several products.


def test_a_function_is_added_with_the_first_product_and_removed_with_the_last() -> None:
    products = published(A, B)
    both = user_with(held(A), held(B))

    assert steps(made(subscribe(B), user_with(held(A)), products)) == ["dsmp openRelation V2"]
    assert steps(made(unsubscribe(A), both, products)) == ["hlr1 removeFunction VPN"]
    assert steps(made(unsubscribe(B), user_with(held(B)), products)) == [
        "dsmp closeRelation V1",
        "dsmp closeRelation V2",
        "hlr1 removeFunction GPRS",
    ]


def test_two_values_are_two_functions() -> None:
    one, two = a_product("A", an_apn("a", "b")), a_product("B", an_apn("a", "b"))
    products = published(one, two)
    user = user_with(held(one, apn="a"))

    assert steps(made(subscribe(two, apn="a"), user, products)) == []
    assert steps(made(subscribe(two, apn="b"), user, products)) == ["hlr1 addFunction APN"]


SERVICES = ["GPRS", "VPN", "ROAM", "CSD"]


@given(
    st.lists(st.lists(st.sampled_from(SERVICES), min_size=1, unique=True), min_size=1, max_size=6),
    st.lists(st.integers(0, 5), max_size=20),
)
def test_the_hlr_has_just_the_functions_that_some_product_needs(
    contents: list[list[str]], moves: list[int]
) -> None:
    of = [a_product(f"P{n}", *map(a_function, names)) for n, names in enumerate(contents)]
    products = published(*of)
    user, on = user_with(), set[str]()
    for move in moves:
        product = of[move % len(of)]
        has = any(one.product == product.id for one in user.products)
        found = made((unsubscribe if has else subscribe)(product), user, products)
        for task in (task for stage in found.stages for task in stage):
            is_add = task.operation is Operation.ADD_FUNCTION
            assert (task.details.service in on) != is_add, "once on and once off"
            on ^= {task.details.service}
        assert found.user is not None
        user = found.user
        needed = {name for one in user.products for name in contents[int(one.product[1:])]}
        assert on == needed


# With the life of the user.


def test_a_termination_closes_every_relation_once_and_leaves_the_functions_to_the_record() -> None:
    order = UserTerminate(**HEADER, msisdn=BINDING.msisdn)

    found = made(order, user_with(held(A), held(B), held(FULL)), published(A, B, FULL))

    assert steps(found) == [
        "eoms openSheet IP",
        "p2 unsubscribeMember",
        "p1 unsubscribeMember",
        "dsmp closeRelation VIDEO01",
        "dsmp closeRelation V2",
        "dsmp closeRelation V1",
        "dsmp closeRelation",
        "hlr1 removeSubscriber",
        "hlr1 removeKey",
    ]
    assert found.user == User(UserState.TERMINATED, None, NO_REASONS)


def test_a_suspension_pauses_all_that_the_products_have_and_a_resume_resumes_it() -> None:
    products = published(A, B, FULL)
    suspend = ArrearsSuspend(**HEADER, msisdn=BINDING.msisdn, level=2)
    resume = PaymentResume(**HEADER, msisdn=BINDING.msisdn)

    stopped = made(suspend, user_with(held(A), held(B), held(FULL)), products)
    running = made(resume, user_with(held(A), held(B), held(FULL), reasons=STOPPED), products)

    for found, verb in ((stopped, "pause"), (running, "resume")):
        assert steps(found)[1:] == [
            *(f"dsmp {verb}Relation{of}" for of in ("", " V1", " V2", " VIDEO01")),
            f"p1 {verb}Relation",
            f"p2 {verb}Relation",
        ]


def test_a_stopped_line_is_given_functions_and_no_content() -> None:
    service = a_function("GPRS", relation=a_content().relation)
    plain = a_product("P", service, platforms=("p1",))
    products = published(plain, A)
    user = user_with(reasons=STOPPED)

    refused = plan_of(subscribe(A), user, Ground(ROUTES, products, "55"))

    assert isinstance(refused, Impossible)
    assert refused.code == "LINE_STOPPED"
    assert steps(made(subscribe(plain), user, products)) == [
        "hlr1 addFunction GPRS",
        "dsmp openRelation VIDEO01",
        "dsmp pauseRelation VIDEO01",
        "p1 subscribeMember",
        "p1 pauseRelation",
    ]


@pytest.mark.parametrize(
    ("said", "has_content", "is_taken"),
    [
        (StoppedLine.BY_KIND, False, True),
        (StoppedLine.BY_KIND, True, False),
        (StoppedLine.TAKE, True, True),
        (StoppedLine.REFUSE, False, False),
    ],
)
def test_a_product_may_say_what_becomes_of_it_on_a_stopped_line(
    said: StoppedLine, has_content: bool, is_taken: bool
) -> None:
    service = a_content() if has_content else a_function()
    product = replace(a_product("P", service), on_stopped_line=said)
    ground = Ground(ROUTES, published(product), "55")

    found = plan_of(subscribe(product), user_with(reasons=STOPPED), ground)
    on_a_free_line = plan_of(subscribe(product), user_with(), ground)

    assert isinstance(found, Plan) is is_taken
    assert isinstance(on_a_free_line, Plan)


def test_a_content_that_is_taken_on_a_stopped_line_is_opened_paused() -> None:
    product = replace(a_product("P", a_content()), on_stopped_line=StoppedLine.TAKE)

    found = made(subscribe(product), user_with(reasons=STOPPED), published(product))

    assert steps(found) == ["dsmp openRelation VIDEO01", "dsmp pauseRelation VIDEO01"]


# Publishing.


def test_a_publication_goes_to_the_dsmp_and_then_to_all_platforms_at_once() -> None:
    product = a_product(
        "P", a_function(), a_content(), a_content("N", "N1"), platforms=("p1", "p2")
    )

    found = made(publish(product), None, Products())

    assert steps(found) == [
        "dsmp publishProduct VIDEO01",
        "dsmp publishProduct N1",
        "p1 publishProduct ∥ p2 publishProduct",
    ]
    assert found.user is None
    names = [task.transaction for stage in found.stages for task in stage]
    assert names == ["5500", "5501", "5502", "5503"]


def test_an_active_version_again_costs_nothing_and_an_older_one_is_impossible() -> None:
    old, new = a_product("P", a_content()), a_product("P", a_content(), version=2)

    again = made(publish(new), None, published(old, new))
    late = plan_of(publish(old), None, Ground(ROUTES, published(new), "55"))

    assert (again.stages, again.marks) == ((), (Mark.NO_CHANGE,))
    assert isinstance(late, Impossible)


def test_many_tasks_of_one_order_have_as_many_transactions() -> None:
    held_ones = [
        a_product(f"P{n}", *(a_content(f"S{i}", f"N{n}X{i}") for i in range(30))) for n in range(4)
    ]
    order = UserTerminate(**HEADER, msisdn=BINDING.msisdn)

    found = made(order, user_with(*map(held, held_ones)), published(*held_ones))

    names = [task.transaction for stage in found.stages for task in stage]
    assert len(set(names)) == len(names) == 123
    assert all(name.isdigit() for name in names)
