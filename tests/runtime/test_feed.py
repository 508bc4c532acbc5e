"""Receipts as they come, for followers fast and slow."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import aclosing

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hlrd import limits
from hlrd.runtime.feed import Numbered, ReceiptFeed


class Journal:
    """Receipts of CRM and the watermark; stands in for the reader, and counts its readings."""

    def __init__(self) -> None:
        self.seqs: list[int] = []
        self.mark = 0
        self.readings = 0
        self.told: dict[str, int] = {}

    def add(self, count: int, *, every: int = 1) -> None:
        """Receipts of CRM; between two of them are some of others."""
        for _ in range(count):
            self.mark += every
            self.seqs.append(self.mark)

    async def read(self, source: str, cursor: int, mark: int, limit: int) -> list[Numbered]:
        self.readings += 1
        await asyncio.sleep(0)
        return [(seq, b"%d" % seq) for seq in self.seqs if cursor < seq <= mark][:limit]

    def fetched(self, source: str, cursor: int) -> None:
        self.told[source] = max(cursor, self.told.get(source, 0))


@pytest.fixture
def journal() -> Journal:
    return Journal()


@pytest.fixture
def feed(journal: Journal, monkeypatch: pytest.MonkeyPatch) -> ReceiptFeed:
    monkeypatch.setattr(limits, "STREAM_GATHER_S", 0)
    return ReceiptFeed(journal, lambda: journal.mark)  # type: ignore[arg-type]


async def some(batches: AsyncIterator[Sequence[Numbered]], count: int) -> list[int]:
    """Numbers of the next receipts, no fewer than `count`."""
    seqs: list[int] = []
    async with asyncio.timeout(30):
        while len(seqs) < count:
            seqs += [seq for seq, _ in await anext(batches)]
    return seqs


async def test_a_follower_gets_what_was_there_and_what_comes(
    feed: ReceiptFeed, journal: Journal
) -> None:
    journal.add(5)
    async with aclosing(feed.follow("CRM", 2)) as batches:
        assert await some(batches, 3) == [3, 4, 5]
        waiting = asyncio.create_task(some(batches, 2))
        await asyncio.sleep(0)
        journal.add(2)
        feed.arrived({"CRM"})
        assert await waiting == [6, 7]


async def test_many_followers_cost_one_reading(feed: ReceiptFeed, journal: Journal) -> None:
    followers = [feed.follow("CRM", 0) for _ in range(50)]
    waiting = [asyncio.create_task(some(one, 100)) for one in followers]
    await asyncio.sleep(0.01)
    journal.add(100)
    before = journal.readings
    feed.arrived({"CRM"})

    assert await asyncio.gather(*waiting) == [list(range(1, 101))] * 50
    assert journal.readings == before + 1
    for one in followers:
        await one.aclose()
    assert feed._tails == {}


async def test_silence_is_told_now_and_then(
    feed: ReceiptFeed, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "STREAM_HEARTBEAT_S", 0.01)

    async with aclosing(feed.follow("CRM", 0)) as batches:
        assert list(await anext(batches)) == []


async def test_what_was_given_counts_as_fetched_when_more_is_asked_for(
    feed: ReceiptFeed, journal: Journal
) -> None:
    journal.add(2)
    async with aclosing(feed.follow("CRM", 0)) as batches:
        await some(batches, 2)
        assert journal.told == {}
        journal.add(1)
        await some(batches, 1)
        assert journal.told == {"CRM": 2}


async def test_a_cursor_that_never_was_hides_nothing_that_comes(
    feed: ReceiptFeed, journal: Journal
) -> None:
    journal.add(3)
    async with aclosing(feed.follow("CRM", 10**18)) as batches:
        waiting = asyncio.create_task(some(batches, 1))
        await asyncio.sleep(0)
        journal.add(1)
        feed.arrived({"CRM"})
        assert await waiting == [4]


@settings(
    max_examples=60,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(
    st.lists(st.tuples(st.integers(0, 2_500), st.booleans()), max_size=6),
    st.integers(0, 700),
    st.integers(1, 3),
)
async def test_every_follower_gets_everything_once_and_in_order_however_slow(
    feed: ReceiptFeed, bursts: list[tuple[int, bool]], start: int, every: int
) -> None:
    journal = Journal()
    feed = ReceiptFeed(journal, lambda: journal.mark)  # type: ignore[arg-type]
    journal.add(700, every=every)
    seen: dict[bool, list[int]] = {False: [], True: []}
    async with (
        aclosing(feed.follow("CRM", start)) as quick,
        aclosing(feed.follow("CRM", start)) as slow,
    ):
        for count, reads_both in bursts:
            journal.add(count, every=every)
            feed.arrived({"CRM"})
            for is_quick, batches in ((True, quick), (False, slow)):
                if count and (is_quick or reads_both):
                    seen[is_quick] += await some(batches, 1)
        wanted = [seq for seq in journal.seqs if seq > start]
        for is_quick, batches in ((True, quick), (False, slow)):
            seen[is_quick] += await some(batches, len(wanted) - len(seen[is_quick]))

    assert seen == {False: wanted, True: wanted}
