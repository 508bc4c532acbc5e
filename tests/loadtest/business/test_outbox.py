"""What waits for a neighbour: in order, whole, and bounded for who makes many."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from typing import Any

import pytest

from loadtest.business import outbox
from loadtest.business.outbox import Outbox, Parcel
from loadtest.business.paper import To
from loadtest.business.system import Declined
from loadtest.process import until

DEADLINE_S = 60.0


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(outbox, "_AGAIN_S", 0.001)


class Peer:
    def __init__(self) -> None:
        self.requests: list[tuple[str, list[int]]] = []
        self.declines: list[Declined] = []
        self.is_open = asyncio.Event()
        self.is_open.set()
        self.answered: list[tuple[int, Any]] = []

    async def deliver(self, path: str, parcels: Sequence[Parcel]) -> Sequence[Any]:
        await self.is_open.wait()
        if self.declines:
            raise self.declines.pop(0)
        self.requests.append((path, [parcel.body["number"] for parcel in parcels]))
        return [f"took {parcel.body['number']}" for parcel in parcels]

    def on_answer(self, parcel: Parcel, said: Any) -> None:
        self.answered.append((parcel.body["number"], said))


def parcel(number: int, path: str = "/a") -> Parcel:
    return Parcel(To.BOSS, path, {"number": number})


@asynccontextmanager
async def running(box: Outbox) -> AsyncIterator[None]:
    task = asyncio.create_task(box.run())
    try:
        yield
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


async def answers(peer: Peer, wanted: int) -> None:
    await until(lambda: len(peer.answered) >= wanted, deadline_s=DEADLINE_S, what="answers")


async def test_what_gathered_goes_together_and_in_order() -> None:
    peer = Peer()
    box = Outbox(peer.deliver, peer.on_answer)
    for number in range(5):
        box.put(parcel(number))

    async with running(box):
        await answers(peer, 5)

    assert peer.requests == [("/a", [0, 1, 2, 3, 4])]
    assert peer.answered == [(number, f"took {number}") for number in range(5)]
    assert (len(box), box.sent) == (0, 5)


async def test_a_request_is_cut_where_the_path_changes_and_at_its_bound(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(outbox, "BATCH_MAX", 2)
    peer = Peer()
    box = Outbox(peer.deliver, peer.on_answer)
    for number, path in enumerate(["/a", "/a", "/a", "/b", "/a"]):
        box.put(parcel(number, path))

    async with running(box):
        await answers(peer, 5)

    assert peer.requests == [("/a", [0, 1]), ("/a", [2]), ("/b", [3]), ("/a", [4])]


async def test_a_neighbour_that_is_away_is_told_when_it_is_back() -> None:
    peer = Peer()
    peer.declines = [Declined(503, "PEER_AWAY", "")] * 3
    away: list[int] = []
    box = Outbox(
        peer.deliver,
        peer.on_answer,
        on_away=lambda parcels: away.extend(one.body["number"] for one in parcels),
    )
    box.put(parcel(1))

    async with running(box):
        await answers(peer, 1)

    assert peer.requests == [("/a", [1])]
    assert box.tries_failed == 3
    assert away == [1, 1, 1]


async def test_what_a_neighbour_will_never_take_ends_it() -> None:
    peer = Peer()
    peer.declines = [Declined(400, "BODY_INVALID", "")]
    box = Outbox(peer.deliver, peer.on_answer)
    box.put(parcel(1))

    with pytest.raises(Declined, match="BODY_INVALID"):
        await box.run()


async def test_who_makes_many_waits_for_room(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(outbox, "ROOM_PARCELS", 3)
    peer = Peer()
    peer.is_open.clear()
    box = Outbox(peer.deliver, peer.on_answer)
    for number in range(3):
        box.put(parcel(number))
    waiting = asyncio.create_task(box.room())

    async with running(box):
        await asyncio.sleep(0)
        assert not waiting.done()

        peer.is_open.set()
        await asyncio.wait_for(waiting, DEADLINE_S)


async def test_what_comes_of_an_answer_goes_on_behind() -> None:
    peer = Peer()

    def follow(one: Parcel, said: Any) -> None:
        peer.on_answer(one, said)
        if one.body["number"] == 1:
            box.put(parcel(2))

    box = Outbox(peer.deliver, follow)
    box.put(parcel(1))

    async with running(box):
        await answers(peer, 2)

    assert [number for number, _ in peer.answered] == [1, 2]
