"""What CRM makes of a wish: which orders, in which order, and when it calls them closed."""

from typing import Any

import pytest

from loadtest.boss.rows import NewProduct as AtBoss
from loadtest.boss.rows import Tariffs
from loadtest.business.paper import Kind, Order, State
from loadtest.business.system import Declined
from loadtest.crm.rows import (
    Cancellation,
    NewCustomer,
    NewProduct,
    ProductState,
    Stop,
    Subscription,
    UserState,
)
from tests.loadtest.business.front_pair import Pair

WAITS: dict[str, Any] = {"operator_id": "zhang3"}


def kinds(order: Order) -> list[Kind]:
    return [sub.kind for sub in order.sub_orders]


def noted(pair: Pair, text: str) -> int:
    return sum(text in message.detail for _, message in pair.messages.after(0))


def test_a_customer_is_known_to_both_and_the_network_hears_nothing() -> None:
    pair = Pair()

    account_id = pair.account()

    assert account_id in pair.crm.accounts
    assert account_id in pair.boss.accounts
    assert pair.network.orders == []
    assert pair.waiting() == []


def test_a_customer_whom_boss_does_not_take_is_forgotten() -> None:
    pair = Pair()
    customer = pair.crm.open_customer(NewCustomer("zhang3", "客户"))

    pair.crm.drop_customer(customer)

    assert customer.customer_id not in pair.crm.customers
    assert customer.accounts[0] not in pair.crm.accounts


def test_a_known_customer_is_not_opened_again() -> None:
    pair = Pair()
    pair.crm.open_customer(NewCustomer("zhang3", "客户", customer_id="7"))

    with pytest.raises(Declined, match="CUSTOMER_EXISTS"):
        pair.crm.open_customer(NewCustomer("zhang3", "客户", customer_id="7"))


def test_boss_knows_the_user_before_the_network_does() -> None:
    pair = Pair()
    account_id = pair.account()

    order = pair.open_user(account_id)
    assert kinds(order) == [Kind.BOOKING, Kind.PROVISIONING]
    assert pair.waiting() == ["crm→BOSS"]

    pair.step("crm→BOSS")
    assert order.user_id in pair.boss.users
    assert pair.waiting() == ["crm→hlrd"]

    pair.step("crm→hlrd")
    assert (order.state, order.result) == (State.CLOSED, "succeeded")
    assert pair.crm.users.get(order.user_id).state is UserState.ACTIVE


def test_every_order_carries_its_operator_and_its_business_order() -> None:
    pair = Pair()
    order = pair.open_user(pair.account())
    pair.settle()

    _, posted = pair.network.orders[0]
    assert posted["operator_id"] == "zhang3"
    assert posted["root_order_id"] == order.order_id
    assert posted["type"] == "USER_OPEN"


def test_a_sync_order_tells_hlrd_how_long_the_person_waits() -> None:
    pair = Pair()
    pair.open_user(pair.account(), mode="sync", deadline_ms=5_000)
    pair.step("crm→BOSS")

    (parcel,) = pair.queues["crm→hlrd"]
    assert parcel.is_awaited
    assert (parcel.body["mode"], parcel.body["deadline_ms"]) == ("sync", 5_000)


def test_the_key_of_a_card_goes_to_hlrd_alone_and_is_kept_nowhere() -> None:
    pair = Pair()
    key = "0123456789ABCDEF0123456789ABCDEF"

    order = pair.open_user(pair.account(), ki=key, keyid=7)
    assert key not in str(pair.queues["crm→BOSS"])
    pair.settle()

    assert pair.network.orders[0][1]["ki"] == key
    kept = [pair.crm.users.get(order.user_id), order, *pair.messages.after(0)]
    assert not any(key in str(one) for one in kept)
    assert pair.crm._gated == {}


def test_an_opening_that_the_network_refuses_is_taken_back_at_boss() -> None:
    pair = Pair()
    account_id = pair.account()
    pair.network.judge = lambda order: {"code": "NUMBER_NOT_IDLE"}

    order = pair.open_user(account_id)
    pair.step("crm→BOSS")
    pair.step("crm→hlrd")
    assert order.state is State.REVERSING
    assert order.user_id in pair.boss.accounts.get(account_id).users

    pair.step("crm→BOSS")
    assert (order.state, order.result, order.code) == (
        State.CLOSED,
        "reversed",
        "NUMBER_NOT_IDLE",
    )
    assert pair.boss.accounts.get(account_id).users == []
    assert pair.crm.accounts.get(account_id).users == []
    assert pair.crm.users.get(order.user_id).state is UserState.VOID


def test_a_user_who_never_came_to_be_can_be_opened_again() -> None:
    pair = Pair()
    account_id = pair.account()
    pair.network.judge = lambda order: {"code": "NUMBER_NOT_IDLE"}
    pair.open_user(account_id, user_id="9001")
    pair.settle()
    pair.network.judge = lambda order: None

    order = pair.open_user(account_id, user_id="9001")
    pair.settle()

    assert order.result == "succeeded"
    assert pair.boss.accounts.get(account_id).users == ["9001"]


def test_a_user_of_an_account_that_boss_does_not_know_is_asked_of_nobody() -> None:
    pair = Pair()
    customer = pair.crm.open_customer(NewCustomer("zhang3", "客户"))

    order = pair.open_user(customer.accounts[0])
    pair.settle()

    assert (order.result, order.code) == ("failed", "ACCOUNT_UNKNOWN")
    assert pair.network.orders == []


def test_a_fallout_keeps_its_order_open_until_the_final_receipt() -> None:
    pair = Pair()
    order = pair.open_user(pair.account())
    pair.step("crm→BOSS")
    sub = order.sub_orders[1].order_id

    pair.crm.receipt_of(sub, {"result": "fallout", "code": "NE_REFUSED"})
    assert order.state is State.OPEN
    assert order.notes == ["fallout NE_REFUSED"]

    pair.crm.receipt_of(sub, {"result": "succeeded", "marks": ["STEP_SKIPPED"]})
    pair.crm.receipt_of(sub, {"result": "succeeded", "marks": ["STEP_SKIPPED"]})
    assert (order.state, order.result) == (State.CLOSED, "succeeded")
    assert order.sub_orders[1].marks == ("STEP_SKIPPED",)
    assert (pair.crm.orders.open_count, pair.crm.repeats) == (0, 1)


def test_a_receipt_of_another_start_is_nobodys() -> None:
    pair = Pair()

    pair.crm.receipt_of("Cold9-CP", {"result": "succeeded"})

    assert len(pair.crm.orders) == 0


def test_a_subscription_is_held_when_the_network_has_it_and_gone_when_it_is_cancelled() -> None:
    pair = Pair()
    user_id = pair.active_user()
    published(pair)

    pair.crm.subscribe(Subscription(product="VIDEO", user_id=user_id, **WAITS))
    pair.settle()
    assert pair.crm.users.get(user_id).products == {"VIDEO": 1}
    assert pair.boss.users.get(user_id).products == ["VIDEO"]

    pair.crm.cancel(user_id, "VIDEO", Cancellation(**WAITS))
    pair.settle()
    assert pair.crm.users.get(user_id).products == {}
    assert pair.boss.users.get(user_id).products == []


@pytest.mark.parametrize("refused", ["PRODUCT_SUBSCRIBE", "PRODUCT_UNSUBSCRIBE"])
def test_what_the_network_refuses_of_a_product_is_as_before_at_boss(refused: str) -> None:
    pair = Pair()
    user_id = pair.active_user()
    published(pair)
    if refused == "PRODUCT_UNSUBSCRIBE":
        pair.crm.subscribe(Subscription(product="VIDEO", user_id=user_id, **WAITS))
        pair.settle()
    before = list(pair.boss.users.get(user_id).products)
    pair.network.judge = lambda order: {"code": "PRODUCT_UNKNOWN"}

    if refused == "PRODUCT_UNSUBSCRIBE":
        order = pair.crm.cancel(user_id, "VIDEO", Cancellation(**WAITS))
    else:
        order = pair.crm.subscribe(Subscription(product="VIDEO", user_id=user_id, **WAITS))
    pair.settle()

    assert (order.result, order.code) == ("reversed", "PRODUCT_UNKNOWN")
    assert pair.boss.users.get(user_id).products == before


def published(pair: Pair) -> Order:
    asked = NewProduct("zhang3", "VIDEO", 1, "物联网视频", [{"name": "VIDEO", "kind": "content"}])
    product = pair.crm.create_product(asked)
    pair.boss.create_product(new_at_boss("VIDEO"))
    order = pair.crm.publish(product.product, "zhang3")
    pair.settle()
    return order


def new_at_boss(name: str) -> AtBoss:
    return AtBoss(name, name, ["VIDEO"])


def test_a_product_is_active_when_the_network_knows_it_and_can_be_published_again() -> None:
    pair = Pair()
    pair.network.judge = lambda order: {"code": "NE_REFUSED"}
    failed = published(pair)
    assert pair.crm.products.get("VIDEO").state is ProductState.FAILED

    pair.network.judge = lambda order: None
    again = pair.crm.publish("VIDEO", "zhang3")
    pair.settle()

    assert (failed.result, again.result) == ("failed", "succeeded")
    assert failed.order_id != again.order_id
    assert pair.crm.products.get("VIDEO").state is ProductState.ACTIVE
    assert [kind for _, kind in pair.network.kinds()] == ["PRODUCT_PUBLISH"] * 2


def test_boss_gives_a_product_its_number_and_staff_its_tariffs() -> None:
    pair = Pair()
    first = pair.boss.create_product(new_at_boss("A"))
    second = pair.boss.create_product(new_at_boss("B"))
    assert (first.number, second.number, first.tariffs) == (1, 2, None)

    pair.boss.configure("A", Tariffs("1分/KB", "月租5元", "wang5"))

    (feedback,) = pair.queues["boss→CRM"]
    assert feedback.body == {"product": "A", "number": 1}
    assert pair.boss.create_product(new_at_boss("A")) is first


def test_a_change_that_boss_cannot_take_is_asked_of_no_network() -> None:
    pair = Pair()
    user_id = pair.active_user("220")
    pair.boss.users.drop(user_id)
    pair.network.orders.clear()

    order = pair.crm.stop(user_id, Stop(**WAITS))
    pair.settle()

    assert (order.state, order.result, order.code) == (State.CLOSED, "failed", "USER_UNKNOWN")
    assert pair.network.orders == []


def test_each_access_to_the_database_is_noted_with_its_answer() -> None:
    pair = Pair()
    order = pair.open_user(pair.account())
    pair.settle()

    for what in (
        "创建用户及附加信息A",
        "创建订单并分解",
        "创建用户及附加信息B",
        f"订单关闭 {order.order_id}",
    ):
        assert noted(pair, what) == 2
