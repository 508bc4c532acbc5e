"""Who goes first: by priority between users, never within one; and the parking lot."""

import pytest
from msgspec import structs

from hlrd import limits
from hlrd.domain.identity import UserId
from hlrd.domain.outcome import Verdict
from hlrd.engine.parking import Parking
from hlrd.engine.timers import Timers
from hlrd.ports import Clash
from tests.engine.stage import Stage, user_of


def busy_stage(**users: int) -> Stage:
    """No NE takes anything; each user (`u7=3`) has sent an order of that priority."""
    stage = Stage()
    stage.hlr.places = 0
    for name, priority in users.items():
        user = name[1:]
        stage.users[user] = user_of(int(user), user_id=user)
        stage.take(stage.suspend(int(user), user=user, priority=priority))
    return stage


def open_one_place(stage: Stage) -> str:
    """The user whose task goes next."""
    stage.hlr.places = len(stage.hlr.sent) + 1
    stage.engine.on_free("hlr1")
    stage.hlr.places = 0
    return stage.hlr.sent.pop().task.binding.user_id


def test_the_urgent_go_first_and_the_rest_as_they_came() -> None:
    stage = busy_stage(u1=4, u2=3, u3=1, u4=3)

    assert [open_one_place(stage) for _ in range(4)] == ["3", "2", "4", "1"]


def test_waiting_lifts_a_task_by_a_class_at_a_time() -> None:
    stage = busy_stage(u1=4)
    stage.clock.now += 3 * limits.LANE_AGEING_S + 1
    stage.users["2"] = user_of(2, user_id="2")
    stage.take(stage.suspend(2, user="2", priority=2))

    assert open_one_place(stage) == "1"


def test_the_last_place_of_a_large_window_is_kept_for_the_urgent() -> None:
    stage = busy_stage(u1=4, u2=4)
    stage.hlr.places = limits.RESERVED_SESSIONS_FROM
    stage.hlr.sent = [None] * (limits.RESERVED_SESSIONS_FROM - 2)  # type: ignore[list-item]

    stage.engine.on_free("hlr1")
    assert [c.task.binding.user_id for c in stage.hlr.sent if c] == ["1"]
    stage.users["3"] = user_of(3, user_id="3")
    stage.take(stage.suspend(3, user="3", priority=1))

    assert [c.task.binding.user_id for c in stage.hlr.sent if c] == ["1", "3"]
    assert stage.hlr.wanted == 1


def test_a_small_window_has_no_reserve() -> None:
    stage = busy_stage(u1=4)
    stage.hlr.places = 1

    stage.engine.on_free("hlr1")

    assert len(stage.hlr.sent) == 1


def test_an_urgent_order_lends_its_urgency_to_those_it_must_wait_for() -> None:
    stage = busy_stage(u1=3, u2=4)
    stage.take(stage.terminate(2, user="2", priority=0))

    assert open_one_place(stage) == "2"
    assert open_one_place(stage) == "1"


def test_one_user_never_has_two_orders_under_way() -> None:
    stage = Stage()
    stage.users["7"] = user_of(1)
    stage.take(stage.suspend(), stage.resume(priority=0))

    assert stage.commands() == ["execute setBarring"]
    stage.reply()
    stage.reply()
    assert not stage.commands(), "the suspension is not durably closed"
    stage.close()
    assert stage.commands() == ["execute setBarring"]


# Parking.


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "ORDERS_IN_MEMORY_MAX", 4)
    monkeypatch.setattr(limits, "UNPARK_ORDERS", 2)


@pytest.mark.usefixtures("small")
def test_what_does_not_fit_waits_in_the_journal_and_comes_back_in_order() -> None:
    stage = Stage()
    records = []
    for n in range(1, 8):
        stage.users[str(n)] = user_of(n, user_id=str(n))
        stage.submit(stage.suspend(n, user=str(n)))
        stage.resolve()
        records += stage.journal.accepts
        stage.accept()
    assert len(stage.engine._book) == 4
    assert stage.engine.open_orders() == 7

    stage.finish()
    while stage.lookup.unparking:
        wanted = stage.lookup.unparking[0][0]
        stage.unpark([record for record in records if record.id in wanted])
        stage.finish()

    assert stage.engine.open_orders() == 0
    assert [int(receipt["id"]) for receipt in stage.receipts()] == [r.id for r in records]


@pytest.mark.usefixtures("small")
def test_an_order_whose_user_is_parked_is_parked_behind_whatever_room_there_is() -> None:
    stage = Stage()
    stage.users["7"] = user_of(1)
    stage.engine.recover([(900, UserId("7"), 3, False, "ARREARS_SUSPEND")])

    stage.take(stage.suspend())

    assert not stage.commands()
    assert not stage.engine._book.orders


def test_a_read_that_was_overtaken_by_a_closing_is_done_again() -> None:
    stage = Stage()
    stage.users["7"] = user_of(1)
    stage.submit(stage.suspend(), stage.resume())
    stage.resolve()
    first, second = stage.journal.accepts
    stage.journal.accepts = []
    stage.engine.on_accepted([first.id])
    limit = pytest.MonkeyPatch()
    limit.setattr(limits, "ORDERS_IN_MEMORY_MAX", 0)
    stage.engine.on_accepted([second.id])
    limit.undo()
    stage.engine.refill()
    old = [stage.stored(first), stage.stored(second)]
    stage.finish()

    stage.lookup.unparking.pop()
    stage.engine.on_unparked(old)

    assert not stage.commands(), "neither the closed order nor the other by an old state"
    stage.unpark([second])
    stage.finish()
    assert [receipt["result"] for receipt in stage.receipts()] == ["succeeded", "succeeded"]
    assert stage.receipts()[1]["effective_level"] == 0
    assert "marks" not in stage.receipts()[1]


def test_an_earlier_order_that_was_parked_during_the_read_goes_first() -> None:
    """Its number clashed, so that it was durable after the one behind it."""
    stage = Stage()
    stage.submit(stage.activate())
    stage.resolve()
    opening = stage.journal.accepts.pop()
    stage.engine.on_clash(opening.id, Clash.NUMBER)
    stage.resolve()
    (again,) = stage.journal.accepts
    stage.engine._parking.add(again.id + 1, UserId("7"), 3)
    stage.engine.refill()
    stage.accept()
    assert len(stage.engine._parking) == 2

    behind = stage.stored(again)
    behind = type(behind)(
        **{name: getattr(behind, name) for name in behind.__slots__}
        | {"id": again.id + 1, "order_id": "B", "binding": None}
    )
    stage.lookup.unparking.pop(0)
    stage.engine.on_unparked([behind])

    assert not stage.commands()
    assert stage.lookup.unparking


@pytest.mark.usefixtures("small")
def test_room_that_a_fallout_leaves_is_filled() -> None:
    stage = Stage()
    stage.users["7"] = user_of(1)
    stage.take(stage.suspend())
    limit = pytest.MonkeyPatch()
    limit.setattr(limits, "ORDERS_IN_MEMORY_MAX", 1)
    stage.engine.recover([(900, UserId("8"), 3, False, "ARREARS_SUSPEND")])
    assert not stage.lookup.unparking
    limit.undo()

    stage.reply(Verdict.PERMANENT)

    assert stage.lookup.unparking == [([900], [])]


@pytest.fixture
def shared(monkeypatch: pytest.MonkeyPatch) -> None:
    """Room for twenty, of which four may wait for one NE."""
    monkeypatch.setattr(limits, "ORDERS_IN_MEMORY_MAX", 20)
    monkeypatch.setattr(limits, "UNPARK_ORDERS", 2)


@pytest.mark.usefixtures("shared")
def test_an_ne_that_is_away_leaves_the_memory_to_the_orders_of_the_others() -> None:
    stage = busy_stage(**{f"u{n}": 3 for n in range(1, 31)})
    assert stage.hlr.wanted == len(stage.engine._book) == 5
    assert not stage.lookup.unparking, "they would only wait in memory instead"

    stage.hlr.places = 20
    stage.engine.on_free("hlr1")
    stage.reply()
    stage.close()

    assert [len(ids) for ids, _ in stage.lookup.unparking] == [2]


@pytest.mark.usefixtures("shared")
def test_the_urgent_come_to_an_ne_where_many_wait_that_are_not() -> None:
    stage = busy_stage(**{f"u{n}": 3 for n in range(1, 31)})
    stage.users["99"] = user_of(99, user_id="99")

    stage.take(stage.suspend(99, user="99", priority=0))

    assert open_one_place(stage) == "99"


@pytest.mark.usefixtures("shared")
def test_what_only_the_journal_knew_to_wait_there_goes_back_to_its_line() -> None:
    stage = busy_stage(**{f"u{n}": 3 for n in range(1, 11)})
    waiting, parked = len(stage.engine._book), len(stage.engine._parking)
    before = Stage()
    before.users["77"] = stage.users["77"] = user_of(77, user_id="77")
    before.submit(before.suspend(77, user="77"))
    before.resolve()
    (record,) = before.journal.accepts

    stage.engine.recover([(10_000, UserId("77"), 3, False, "ARREARS_SUSPEND")])
    assert stage.lookup.unparking == [([10_000], [])]
    stage.unpark([structs.replace(record, id=10_000)])

    assert len(stage.engine._book) == waiting
    assert len(stage.engine._parking) == parked + 1
    assert not stage.lookup.unparking, "it is not read again and again"


def test_lines_of_crowded_homes_are_left_alone_and_the_others_share_the_room() -> None:
    parking = Parking()
    for order_id in range(30):
        parking.add(order_id, UserId(str(order_id)), 2, f"hlr{order_id % 3}")

    taken = parking.take(10, lambda home, priority: home == "hlr0")

    assert sorted(order_id % 3 for order_id in taken) == [1] * 5 + [2] * 5


def test_a_take_is_bounded_by_the_orders_that_come_with_it() -> None:
    parking = Parking()
    for order_id in range(100):
        parking.add(order_id, UserId(str(order_id % 5)), 2)

    taken = parking.take(30)

    assert taken == [0, 1], "each brings the twenty of its user"
    assert len(parking) == 100


def test_no_priority_is_left_out_of_a_take() -> None:
    parking = Parking()
    for order_id in range(600):
        parking.add(order_id, UserId(str(order_id)), order_id % limits.PRIORITIES)

    shares = [0] * limits.PRIORITIES
    for order_id in parking.take(60):
        shares[order_id % limits.PRIORITIES] += 1

    assert sum(shares) == 60
    assert min(shares) >= 1
    assert shares == sorted(shares, reverse=True)


def test_what_is_held_for_a_person_stands_in_line_again_afterwards() -> None:
    parking = Parking()
    parking.add(1, UserId("7"), 2)
    parking.block(UserId("7"))
    parking.add(2, UserId("7"), 2)
    parking.add(3, UserId("8"), 2)

    assert parking.take(10) == [3]
    parking.unblock(UserId("7"))
    assert parking.take(10) == [2, 1]


def test_timers_fire_in_order_and_not_early() -> None:
    timers: Timers[str] = Timers()
    for due, name in ((3.0, "c"), (1.0, "a"), (2.0, "b"), (2.0, "b2")):
        timers.add(due, name)

    assert timers.next_due() == 1.0
    assert timers.take_due(2.0) == ["a", "b", "b2"]
    assert timers.next_due() == 3.0
