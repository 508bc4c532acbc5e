"""CRM and BOSS together: however their messages cross, both and the network end up of one mind."""

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from loadtest.boss.rows import Bill, Payment
from loadtest.business.paper import State
from loadtest.business.standing import Sends
from loadtest.crm.rows import StateRequest, Stop
from tests.loadtest.business.front_pair import MASTERS, Pair

STOP = Stop(operator_id="zhang3", cause="customer away")

steps = st.sampled_from(["arrears1", "arrears2", "pay", "stop", "resume", "go on"])


def act(pair: Pair, what: str, user_id: str) -> None:
    account_id = pair.crm.users.get(user_id).account_id
    match what:
        case "arrears1" | "arrears2":
            pair.boss.bill([Bill(account_id, 10)])
            run = pair.boss.begin_run(1)
            level = int(what[-1])
            pair.boss.control(run, [user_id], level=level, bill_month="202512", operator_id="cc")
        case "pay":
            owed = max(1, -pair.boss.accounts.get(account_id).balance)
            number = len(pair.boss.accounts.get(account_id).payments)
            pair.boss.pay(Payment(account_id, owed, f"P{number}", "zhang3"))
        case "stop":
            pair.crm.stop(user_id, STOP)
        case "resume":
            pair.crm.resume(user_id, STOP)


def wanted(asked: list[str]) -> dict[str, int]:
    """The reasons that stand after these, done one after another."""
    reasons: dict[str, int] = {}
    for what in asked:
        match what:
            case "arrears1" | "arrears2":
                reasons["ARREARS"] = int(what[-1])
            case "pay":
                reasons.pop("ARREARS", None)
            case "stop":
                reasons["VOLUNTARY"] = 2
            case "resume":
                reasons.pop("VOLUNTARY", None)
    return reasons


@pytest.mark.parametrize("province", MASTERS)
@pytest.mark.parametrize("sends", Sends)
@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_all_three_agree_when_everything_has_arrived(
    province: str, sends: Sends, data: st.DataObject
) -> None:
    pair = Pair(sends=sends)
    user_id = pair.active_user(province)

    for what in data.draw(st.lists(steps, max_size=12)):
        act(pair, what, user_id)
        if what == "go on" and (waiting := pair.waiting()):
            pair.step(data.draw(st.sampled_from(waiting)))
    while waiting := pair.waiting():
        pair.step(data.draw(st.sampled_from(waiting)))

    crm, boss = pair.crm.users.get(user_id), pair.boss.users.get(user_id)
    assert crm.standing == boss.standing
    assert pair.network.of_user(user_id) == boss.standing.reasons
    assert pair.crm.orders.open_count == pair.boss.orders.open_count == 0
    assert all(order.state is State.CLOSED for order in [*pair.crm.orders, *pair.boss.orders])
    assert all(order.result == "succeeded" for order in pair.closed)


@pytest.mark.parametrize("province", MASTERS)
@settings(max_examples=40, deadline=None)
@given(asked=st.lists(steps, max_size=10))
def test_one_after_another_they_do_what_was_asked(province: str, asked: list[str]) -> None:
    pair = Pair()
    user_id = pair.active_user(province)

    for what in asked:
        act(pair, what, user_id)
        pair.settle()

    assert pair.crm.users.get(user_id).standing.reasons == wanted(asked)


@pytest.mark.parametrize(
    ("province", "sends", "senders"),
    [
        ("200", Sends.CRM, {"BOSS"}),
        ("210", Sends.BOSS, {"CRM"}),
        ("220", Sends.BOSS, {"BOSS"}),
        ("220", Sends.CRM, {"CRM"}),
        ("220", Sends.BOTH, {"BOSS", "CRM"}),
    ],
)
@pytest.mark.parametrize("what", ["arrears2", "stop"])
def test_only_whom_the_scheme_names_orders_of_the_network(
    province: str, sends: Sends, senders: set[str], what: str
) -> None:
    pair = Pair(sends=sends)
    user_id = pair.active_user(province)
    pair.network.orders.clear()

    act(pair, what, user_id)
    pair.settle()

    assert {source for source, _ in pair.network.orders} == senders
    words = [
        (order["root_order_id"], order["state_version"], order["reasons"])
        for _, order in pair.network.orders
    ]
    assert len({str(word) for word in words}) == 1
    assert len({order["order_id"] for _, order in pair.network.orders}) == len(senders)


@pytest.mark.parametrize("province", MASTERS)
def test_who_pays_before_the_stop_has_gone_out_is_not_left_stopped(province: str) -> None:
    pair = Pair()
    user_id = pair.active_user(province)

    act(pair, "arrears2", user_id)
    act(pair, "pay", user_id)
    pair.settle()

    assert pair.network.of_user(user_id) == {}
    assert pair.crm.users.get(user_id).standing.reasons == {}


def test_the_reason_of_a_stop_is_stored_on_both_sides() -> None:
    for province in MASTERS:
        pair = Pair()
        user_id = pair.active_user(province)

        pair.crm.stop(user_id, STOP)
        pair.settle()

        assert pair.crm.users.get(user_id).standing.cause == "customer away"
        assert pair.boss.users.get(user_id).standing.cause == "customer away"


def test_an_order_of_crm_that_boss_carries_out_closes_when_the_network_has_answered() -> None:
    pair = Pair()
    user_id = pair.active_user("200")

    order = pair.crm.stop(user_id, STOP)
    pair.step("crm→BOSS")
    assert order.state is State.OPEN
    assert pair.boss.orders.open_count == 1

    pair.step("boss→hlrd")
    pair.step("boss→CRM")
    assert (order.state, order.result) == (State.CLOSED, "succeeded")


def test_a_refusal_of_the_network_is_shown_in_the_orders_of_both() -> None:
    pair = Pair()
    user_id = pair.active_user("200")
    pair.network.judge = lambda order: {"code": "NOT_STATE_MASTER"}

    order = pair.crm.stop(user_id, STOP)
    pair.settle()

    assert (order.result, order.code) == ("failed", "NOT_STATE_MASTER")
    carried = pair.boss.orders.get(order.order_id)
    assert carried is not None
    assert (carried.result, carried.code) == ("failed", "NOT_STATE_MASTER")


def test_boss_stands_in_for_crm_that_is_away_as_a_backup_and_only_then() -> None:
    for province, stands_in in (("200", False), ("210", False), ("220", True)):
        pair = Pair(sends=Sends.CRM)
        user_id = pair.active_user(province)
        act(pair, "arrears2", user_id)
        act(pair, "pay", user_id)
        pair.queues["boss→hlrd"].clear()

        for parcel in [*pair.queues["boss→CRM"], *pair.queues["boss→CRM"]]:
            pair.boss.stand_in(parcel.body)

        sent = [(p.body["type"], p.body["state_version"]) for p in pair.queues["boss→hlrd"]]
        wanted = [("ARREARS_SUSPEND", 1), ("PAYMENT_RESUME", 2)] if stands_in else []
        assert sent == wanted


def test_what_both_sent_after_a_fault_is_one_change() -> None:
    pair = Pair(sends=Sends.CRM)
    user_id = pair.active_user("220")
    pair.network.orders.clear()
    act(pair, "arrears2", user_id)
    (parcel,) = pair.queues["boss→CRM"]
    pair.boss.stand_in(parcel.body)

    pair.settle()

    assert {source for source, _ in pair.network.orders} == {"BOSS", "CRM"}
    keys = {(order["root_order_id"], order["state_version"]) for _, order in pair.network.orders}
    assert len(keys) == 1
    assert pair.crm.orders.open_count == pair.boss.orders.open_count == 0
    assert pair.network.of_user(user_id) == {"ARREARS": 2}


@pytest.mark.parametrize("province", ["200", "210"])
def test_a_word_that_waits_stays_what_it_was_when_it_was_said(province: str) -> None:
    pair = Pair()
    user_id = pair.active_user(province)
    who = "boss" if province == "200" else "crm"
    if who == "boss":
        act(pair, "arrears2", user_id)
        act(pair, "pay", user_id)
    else:
        act(pair, "stop", user_id)
        act(pair, "resume", user_id)

    queue = pair.queues["boss→CRM" if who == "boss" else "crm→BOSS"]
    assert [parcel.body["standing"].state_version for parcel in queue] == [1, 2]


def test_a_request_that_comes_again_is_the_same_order() -> None:
    pair = Pair()
    user_id = pair.active_user("210")
    act(pair, "arrears2", user_id)
    (parcel,) = pair.queues["boss→CRM"]
    request = msgspec.convert(msgspec.to_builtins(parcel.body), StateRequest)

    first, again = pair.crm.requested(request), pair.crm.requested(request)

    assert first is not None
    assert again is first
    assert pair.crm.users.get(user_id).standing.state_version == 1
    assert len(pair.queues["crm→hlrd"]) == 1
