"""What BOSS does about money: who owes is stopped, who has paid goes on, a repeat costs nothing."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loadtest.boss import core
from loadtest.boss.rows import AccountState, Action, Bill, Booking, Payment, Run, StateOrder
from loadtest.business.standing import Change, Reason
from loadtest.business.system import Declined
from tests.loadtest.business.front_pair import MASTERS, Pair


def pay(pair: Pair, account_id: str, amount: int, payment_id: str = "P1") -> int:
    return pair.boss.pay(Payment(account_id, amount, payment_id, "zhang3"))


def control(pair: Pair, *, level: int = 2, **whom: list[str]) -> Run:
    asked = {"users": None, "accounts": None} | whom
    suspects = pair.boss.suspects(users=asked["users"], accounts=asked["accounts"])
    run = pair.boss.begin_run(len(suspects))
    pair.boss.control(run, suspects, level=level, bill_month="202512", operator_id="credit")
    return run


@given(amounts=st.lists(st.integers(-50, 50).filter(bool), max_size=20))
def test_an_account_is_in_arrears_while_it_is_below_zero(amounts: list[int]) -> None:
    pair = Pair()
    account_id = pair.account()

    for number, amount in enumerate(amounts):
        if amount < 0:
            pair.boss.bill([Bill(account_id, -amount)])
        else:
            assert pay(pair, account_id, amount, f"P{number}") == sum(amounts[: number + 1])

    account = pair.boss.accounts.get(account_id)
    assert account.balance == sum(amounts)
    assert (account.state is AccountState.ARREARS) == (sum(amounts) < 0)


def test_a_payment_that_comes_again_is_answered_as_before() -> None:
    pair = Pair()
    account_id = pair.account()

    assert pay(pair, account_id, 30) == 30
    assert pay(pair, account_id, 30) == 30
    assert pair.boss.accounts.get(account_id).balance == 30


def test_payments_remembered_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(core, "PAYMENTS_MAX", 3)
    pair = Pair()
    account_id = pair.account()

    for number in range(10):
        pay(pair, account_id, 1, f"P{number}")

    assert list(pair.boss.accounts.get(account_id).payments) == ["P7", "P8", "P9"]


def test_who_has_not_paid_all_stays_stopped() -> None:
    pair = Pair()
    account_id = pair.account()
    user_id = pair.active_user("200", account_id)
    pair.boss.bill([Bill(account_id, 100)])
    control(pair)
    pair.settle()

    pay(pair, account_id, 99, "P1")
    pair.settle()
    assert pair.network.of_user(user_id) == {"ARREARS": 2}

    pay(pair, account_id, 1, "P2")
    pair.settle()
    assert pair.network.of_user(user_id) == {}


@pytest.mark.parametrize("province", MASTERS)
def test_a_payment_resumes_each_user_of_the_account_once(province: str) -> None:
    pair = Pair()
    account_id = pair.account()
    for _ in range(3):
        pair.active_user(province, account_id)
    pair.boss.bill([Bill(account_id, 10)])
    control(pair)
    pair.settle()
    pair.network.orders.clear()

    pay(pair, account_id, 10, "P1")
    pay(pair, account_id, 10, "P2")
    pair.settle()

    assert [kind for _, kind in pair.network.kinds()] == ["PAYMENT_RESUME"] * 3
    assert {order["payment_id"] for _, order in pair.network.orders} == {"P1"}


def test_credit_control_looks_at_whom_it_is_told_or_at_all_who_owe() -> None:
    pair = Pair()
    owing, solvent = pair.account(), pair.account()
    debtor = pair.active_user("200", owing)
    other = pair.active_user("200", solvent)
    pair.boss.bill([Bill(owing, 1)])

    assert pair.boss.suspects(users=None, accounts=None) == [debtor]
    assert pair.boss.suspects(users=None, accounts=[solvent]) == [other]
    assert pair.boss.suspects(users=[other, debtor], accounts=None) == [other, debtor]
    with pytest.raises(Declined, match="USER_UNKNOWN"):
        pair.boss.suspects(users=["404"], accounts=None)


@pytest.mark.parametrize("province", MASTERS)
def test_a_run_is_over_when_every_user_has_been_dealt_with(province: str) -> None:
    pair = Pair()
    account_id = pair.account()
    for _ in range(5):
        pair.active_user(province, account_id)

    run = control(pair, accounts=[account_id])
    assert run.row()["ordered"] == 5
    assert not run.row()["is_over"]

    pair.settle()
    assert run.row() == {
        "run": run.run,
        "users": 5,
        "ordered": 5,
        "closed": 5,
        "failed": 0,
        "is_over": True,
    }


def test_an_arrears_stop_says_for_which_account_and_month() -> None:
    pair = Pair()
    user_id = pair.active_user()
    account_id = pair.boss.users.get(user_id).account_id

    control(pair, users=[user_id], level=1)
    pair.settle()

    _, order = pair.network.orders[-1]
    assert order["type"] == "ARREARS_SUSPEND"
    assert (order["level"], order["bill_month"], order["account_id"]) == (1, "202512", account_id)
    assert order["reasons"] == [{"reason": "ARREARS", "level": 1}]


def test_a_booking_that_comes_again_is_the_same_booking() -> None:
    pair = Pair()
    account_id = pair.account()
    booking = Booking("C9", "9001", "zhang3", Action.OPEN, account_id, "200", "13900000001")

    answers = pair.boss.book([booking]) + pair.boss.book([booking])

    assert [answer.is_done for answer in answers] == [True, True]
    assert pair.boss.accounts.get(account_id).users == ["9001"]


def test_a_state_order_that_comes_again_is_not_decided_again() -> None:
    pair = Pair()
    user_id = pair.active_user("200")
    order = StateOrder("C9", user_id, Change(Reason.VOLUNTARY, 2), "zhang3")

    first = pair.boss.state_ordered([order])[0]
    again = pair.boss.state_ordered([order])[0]

    assert first.standing is not None
    assert again.standing is not None
    assert first.standing.state_version == again.standing.state_version == 1
    assert len(pair.queues["boss→hlrd"]) == 1


def test_bills_of_an_unknown_account_change_nothing() -> None:
    pair = Pair()
    account_id = pair.account()

    with pytest.raises(Declined, match="ACCOUNT_UNKNOWN"):
        pair.boss.bill([Bill(account_id, 10), Bill("404", 10)])

    assert pair.boss.accounts.get(account_id).balance == 0


def test_runs_remembered_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(core, "RUNS_MAX", 2)
    pair = Pair()

    runs = [pair.boss.begin_run(0).run for _ in range(5)]

    assert list(pair.boss.runs) == runs[-2:]


def test_each_state_order_of_a_batch_is_answered_with_its_own_version() -> None:
    pair = Pair()
    user_id = pair.active_user("220")
    stop = StateOrder("C8", user_id, Change(Reason.VOLUNTARY, 2), "zhang3")
    resume = StateOrder("C9", user_id, Change(Reason.VOLUNTARY, 0), "zhang3")

    answers = pair.boss.state_ordered([stop, resume])

    words = [answer.standing.word() for answer in answers if answer.standing is not None]
    assert [(word["state_version"], len(word["reasons"])) for word in words] == [(1, 1), (2, 0)]
