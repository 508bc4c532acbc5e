"""What goes to an endpoint and when, whatever the endpoint does and whenever hlrd is killed."""

from collections import defaultdict
from random import Random
from typing import Final

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hlrd import limits
from hlrd.domain.delivery import (
    GIVE_UP_S,
    Content,
    Endpoint,
    Marks,
    Outgoing,
    Reception,
    Reply,
    Row,
)
from hlrd.domain.lifecycle import DeliveryState
from hlrd.engine.outbox import Outbox

NOON: Final = 1_800_000_000.0
ENDPOINT: Final = Endpoint("main", "CRM", "http://crm", in_flight_max=4)

TAKEN: Final = Reply(Reception.TAKEN)
FAILED: Final = Reply(Reception.FAILED, "answered 500")
REFUSED: Final = Reply(Reception.REFUSED, "answered 422")
GONE: Final = Reply(Reception.GONE, "answered 410")


def a_receipt(seq: int, user_id: str = "", *, closed_at: float = NOON) -> Outgoing:
    return Outgoing(seq, user_id or f"u{seq}", closed_at, Content(b"{}", True, closed_at))


def an_outbox(*receipts: Outgoing) -> Outbox:
    outbox = Outbox(ENDPOINT, cursor=0, chance=lambda: 0.5)
    outbox.add_page(receipts, read_to=receipts[-1].seq if receipts else 0)
    return outbox


def seqs(receipts: list[Outgoing]) -> list[int]:
    return [receipt.seq for receipt in receipts]


class Durable:
    """What the database would hold."""

    def __init__(self) -> None:
        self.cursor = 0
        self.failing_since: float | None = None
        self.rows: dict[int, Row] = {}

    def write(self, marks: Marks | None) -> None:
        if marks is None:
            return
        assert marks.cursor >= self.cursor, "a cursor never goes back"
        self.cursor, self.failing_since = marks.cursor, marks.failing_since
        self.rows |= {row.seq: row for row in marks.rows}
        for seq in marks.delivered:
            self.rows.pop(seq, None)

    def waiting(self) -> list[Outgoing]:
        return [
            Outgoing(r.seq, r.user_id, r.closed_at, None, True, r.failures, r.since, r.due_at)
            for r in self.rows.values()
            if r.state is DeliveryState.PENDING
        ]


class World:
    """An endpoint with moods, a journal of receipts, and a daemon that may be killed."""

    def __init__(self, users: list[int], random: Random) -> None:
        self.users = [f"u{user}" for user in users]
        self.random = random
        self.now = NOON
        self.durable = Durable()
        self.arrived: defaultdict[str, list[int]] = defaultdict(list)
        self.start()

    def start(self) -> None:
        """Anew from what is durable."""
        durable = self.durable
        self.outbox = Outbox(
            ENDPOINT,
            cursor=durable.cursor,
            chance=self.random.random,
            failing_since=durable.failing_since,
        )
        self.outbox.skip(seq for seq in durable.rows if seq > durable.cursor)
        self.outbox.add_rows(durable.waiting())

    def read(self, most: int) -> None:
        start = self.outbox.read_to
        page = [
            a_receipt(seq, self.users[seq - 1], closed_at=self.now)
            for seq in range(start + 1, min(start + most, len(self.users)) + 1)
        ]
        if page:
            self.outbox.add_page(page, page[-1].seq)

    def turn(self, reply: Reply, most: int) -> None:
        for receipt in self.outbox.take(self.now, most):
            if reply.reception is Reception.TAKEN:
                self.arrived[receipt.user_id].append(receipt.seq)
            self.outbox.settle(receipt, reply, self.now)

    def finish(self) -> None:
        """A good endpoint for long enough."""
        for _ in range(10_000):
            self.read(50)
            self.turn(TAKEN, 10)
            if not self.outbox.waiting and self.outbox.read_to == len(self.users):
                return
            self.now += 60
        raise AssertionError("receipts are left")


STEPS = st.lists(
    st.tuples(
        st.sampled_from(["read", "taken", "failed", "refused", "busy", "mark", "kill", "wait"]),
        st.integers(1, 8),
    ),
    max_size=80,
)
REPLIES: Final = {
    "taken": TAKEN,
    "failed": FAILED,
    "refused": REFUSED,
    "busy": Reply(Reception.BUSY, "answered 503", 30.0),
}


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(st.integers(1, 4), min_size=1, max_size=30), STEPS, st.integers(0, 2**32))
def test_every_receipt_arrives_in_the_order_of_its_user_whatever_happens(
    users: list[int], steps: list[tuple[str, int]], seed: int
) -> None:
    world = World(users, Random(seed))
    for step, count in steps:
        if step == "read":
            world.read(count)
        elif step == "mark":
            world.durable.write(world.outbox.marks())
        elif step == "kill":
            world.start()
        elif step == "wait":
            world.now += count * 40
        else:
            world.turn(REPLIES[step], count)
    world.finish()

    for user, arrived in world.arrived.items():
        firsts = list(dict.fromkeys(arrived))
        assert firsts == [seq for seq, owner in enumerate(world.users, 1) if owner == user]
    world.durable.write(world.outbox.marks())
    assert world.durable.rows == {}
    assert world.durable.cursor == len(users)


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(st.integers(1, 4), min_size=1, max_size=30), STEPS, st.integers(0, 2**32))
def test_without_a_kill_no_receipt_arrives_twice(
    users: list[int], steps: list[tuple[str, int]], seed: int
) -> None:
    world = World(users, Random(seed))
    for step, count in steps:
        if step == "read":
            world.read(count)
        elif step == "mark":
            world.durable.write(world.outbox.marks())
        elif step == "wait":
            world.now += count * 40
        elif step != "kill":
            world.turn(REPLIES[step], count)
    world.finish()

    assert all(len(set(arrived)) == len(arrived) for arrived in world.arrived.values())


def test_users_do_not_wait_for_each_other_and_one_users_receipts_do() -> None:
    outbox = an_outbox(a_receipt(1, "a"), a_receipt(2, "a"), a_receipt(3, "b"))

    first = outbox.take(NOON)
    outbox.settle(first[0], REFUSED, NOON)
    outbox.settle(first[1], TAKEN, NOON)

    assert seqs(first) == [1, 3]
    assert outbox.take(NOON) == []
    assert outbox.cursor == 3
    (row, behind) = outbox.marks().rows  # type: ignore[union-attr]
    assert {row.seq: row.failures, behind.seq: behind.failures} == {1: 1, 2: 0}
    assert seqs(outbox.take(NOON + 5)) == [1]


def test_no_more_go_at_once_than_the_endpoint_takes() -> None:
    outbox = an_outbox(*map(a_receipt, range(1, 11)))

    taken = outbox.take(NOON)

    assert seqs(taken) == [1, 2, 3, 4]
    assert outbox.next_due(NOON) is None
    outbox.settle(taken[0], TAKEN, NOON)
    assert seqs(outbox.take(NOON)) == [5]


def test_what_goes_well_costs_no_row_and_the_cursor_stops_before_what_is_under_way() -> None:
    outbox = an_outbox(*map(a_receipt, range(1, 5)))
    taken = outbox.take(NOON)

    for receipt in (taken[0], taken[2], taken[3]):
        outbox.settle(receipt, TAKEN, NOON)
    first = outbox.marks()
    outbox.settle(taken[1], TAKEN, NOON)
    second = outbox.marks()

    assert first == Marks(1, None, [], [])
    assert second == Marks(4, None, [], [])
    assert outbox.marks() is None


def a_dead_endpoint(receipts: int) -> tuple[Outbox, float, int]:
    """After an hour away; and how many tries that cost."""
    outbox = an_outbox(*map(a_receipt, range(1, receipts + 1)))
    now, tries = NOON, 0
    while now < NOON + 3_600:
        for receipt in outbox.take(now):
            tries += 1
            outbox.settle(receipt, FAILED, now)
        now += 1
    return outbox, now, tries


def test_an_endpoint_that_is_away_costs_a_try_a_minute_and_hardly_a_row() -> None:
    outbox, now, tries = a_dead_endpoint(1_000)

    assert 60 <= tries <= 80
    assert outbox.state(now) == "away"
    assert outbox.waiting == 1_000


@pytest.mark.parametrize("receipts", [3, 30])
def test_all_that_waited_goes_as_soon_as_the_endpoint_is_back(receipts: int) -> None:
    outbox, now, _ = a_dead_endpoint(receipts)
    while not (probes := outbox.take(now)):
        now += 1

    arrived = []
    while probes:
        for receipt in probes:
            arrived.append(receipt.seq)
            outbox.settle(receipt, TAKEN, now)
        probes = outbox.take(now)

    assert sorted(arrived) == list(range(1, receipts + 1))
    assert outbox.failing_since is None
    assert outbox.oldest is None


def test_one_receipt_at_a_time_asks_whether_an_endpoint_is_back_however_slow_it_is() -> None:
    outbox, now, _ = a_dead_endpoint(30)
    while not (probes := outbox.take(now)):
        now += 1

    assert len(probes) == 1
    assert outbox.take(now + 3_600) == []


def test_a_receipt_that_comes_while_an_endpoint_is_away_has_its_day_from_then_on() -> None:
    outbox, _, _ = a_dead_endpoint(1)
    came, late = NOON + 1_800, NOON + GIVE_UP_S + 900
    outbox.add_page([a_receipt(2, closed_at=came), a_receipt(3, closed_at=late)], 3)

    def a_probe(now: float, reply: Reply) -> tuple[int, DeliveryState]:
        (receipt,) = outbox.take(now)
        return receipt.seq, outbox.settle(receipt, reply, now)

    assert a_probe(late, FAILED) == (2, DeliveryState.PENDING)
    assert a_probe(late + 120, FAILED) == (3, DeliveryState.PENDING)
    assert a_probe(late + 240, FAILED) == (1, DeliveryState.DEAD)
    assert a_probe(came + GIVE_UP_S, FAILED) == (2, DeliveryState.DEAD)


def test_what_is_dead_beyond_the_cursor_is_not_sent_again_after_a_restart() -> None:
    outbox = an_outbox()
    outbox.skip([2])

    outbox.add_page([a_receipt(1), a_receipt(2), a_receipt(3)], 3)

    assert seqs(outbox.take(NOON)) == [1, 3]


@pytest.mark.parametrize("ending", [TAKEN, REFUSED])
def test_what_was_settled_after_it_was_read_again_is_not_taken_again(ending: Reply) -> None:
    outbox = an_outbox()
    row = a_receipt(1)
    row.since = NOON - GIVE_UP_S
    outbox.add_rows([row])
    (receipt,) = outbox.take(NOON)
    outbox.settle(receipt, ending, NOON)

    outbox.add_rows([a_receipt(1)])

    assert outbox.waiting == 0


def test_what_cannot_be_tried_for_a_day_is_dead_and_its_user_goes_on() -> None:
    outbox, now, _ = a_dead_endpoint(10)
    late = NOON + GIVE_UP_S + 3_600
    outbox.add_page([a_receipt(11, "u1", closed_at=late)], 11)

    assert outbox.expire(now) == 0
    assert outbox.expire(late) == 10

    marks = outbox.marks()
    assert marks is not None
    assert marks.cursor == 11
    dead = sorted(row.seq for row in marks.rows if row.state is DeliveryState.DEAD)
    assert dead == list(range(1, 11))
    assert seqs(outbox.take(late)) == [11]


def test_a_pause_that_the_endpoint_asks_for_is_kept_to_the_second() -> None:
    outbox = an_outbox(a_receipt(1), a_receipt(2))
    (receipt,) = outbox.take(NOON, 1)

    outbox.settle(receipt, Reply(Reception.BUSY, "answered 429", 90.0), NOON)

    assert outbox.state(NOON) == "paused"
    assert outbox.next_due(NOON) == NOON + 90
    assert outbox.take(NOON + 89.9) == []
    assert seqs(outbox.take(NOON + 90)) == [2, 1]


def test_an_endpoint_that_wants_no_more_gets_none_until_a_reload() -> None:
    outbox = an_outbox(a_receipt(1), a_receipt(2))
    (receipt,) = outbox.take(NOON, 1)

    outbox.settle(receipt, GONE, NOON)
    later = NOON + 3_600

    assert (outbox.state(later), outbox.take(later)) == ("gone", [])
    assert outbox.next_due(later) is None
    outbox.reopen(ENDPOINT)
    assert seqs(outbox.take(later)) == [2, 1]


def test_receipts_that_it_refuses_do_not_bar_an_endpoint() -> None:
    outbox = an_outbox(*map(a_receipt, range(1, 31)))

    for _ in range(10):
        for receipt in outbox.take(NOON):
            outbox.settle(receipt, REFUSED, NOON)

    assert outbox.state(NOON) == "open"
    assert outbox.failing_since is None


def test_an_older_receipt_that_is_sent_again_goes_before_those_that_wait() -> None:
    outbox = an_outbox(a_receipt(5, "a"), a_receipt(6, "a"))
    (five,) = outbox.take(NOON)

    again = a_receipt(2, "a")
    outbox.add_rows([again])
    outbox.settle(five, TAKEN, NOON)

    assert seqs(outbox.take(NOON)) == [2]
    outbox.settle(again, TAKEN, NOON)
    assert seqs(outbox.take(NOON)) == [6]
    assert outbox.marks().delivered == [2]  # type: ignore[union-attr]


def test_a_receipt_that_waits_is_due_at_once_when_it_is_ordered_again() -> None:
    outbox = an_outbox(a_receipt(1))
    (receipt,) = outbox.take(NOON)
    outbox.settle(receipt, REFUSED, NOON)
    assert outbox.take(NOON + 1) == []

    again = a_receipt(1)
    again.due_at = NOON
    outbox.add_rows([again])

    assert outbox.take(NOON + 1) == [receipt]
    assert outbox.waiting == 1


@pytest.mark.parametrize("held", [limits.DELIVERIES_HELD_MAX - 1, limits.DELIVERIES_HELD_MAX])
def test_memory_is_bounded_by_reading_nothing_new(held: int) -> None:
    outbox = an_outbox()
    rows = [a_receipt(seq) for seq in range(1, held + 1)]

    outbox.add_rows(rows)

    is_full = held == limits.DELIVERIES_HELD_MAX
    assert outbox.room == (0 if is_full else limits.DELIVERIES_FRESH_MAX)
