"""Receipts by cursor and long poll, each source its own."""

import pytest

from hlrd import limits
from hlrd.domain.orders import Source
from tests.api.client import World


async def test_a_page_ends_with_the_cursor_of_the_next(world: World) -> None:
    world.receipts.by_source["ESOP"] = [(seq, b'{"id":"%d"}' % seq) for seq in (3, 4, 9)]

    first = await world.ask("GET", "/v1/receipts?after=0&limit=2")
    second = await world.ask("GET", f"/v1/receipts?after={first.json['cursor']}")

    assert first.json == {"receipts": [{"id": "3"}, {"id": "4"}], "cursor": 4}
    assert second.json == {"receipts": [{"id": "9"}], "cursor": 9}


async def test_an_empty_page_keeps_the_cursor(world: World) -> None:
    reply = await world.ask("GET", "/v1/receipts?after=7&wait=0.5")

    assert reply.json == {"receipts": [], "cursor": 7}
    assert world.receipts.waits == [0.5]


async def test_a_source_sees_its_own_receipts_only(world: World) -> None:
    world.receipts.by_source["ESOP"] = [(1, b"{}")]

    for source in set(Source) - {Source.ESOP}:
        reply = await world.ask("GET", "/v1/receipts", source=source)
        assert reply.json["receipts"] == []


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ("after=-1", "after"),
        (f"after={2**63}", "after"),
        ("after=1;", "after"),
        ("limit=0", "limit"),
        (f"limit={limits.RECEIPTS_PAGE_MAX + 1}", "limit"),
        ("wait=nan", "wait"),
        (f"wait={limits.LONG_POLL_S_MAX + 1}", "wait"),
        ("afer=1", "afer"),
    ],
)
async def test_a_parameter_beyond_its_bounds_is_refused(
    world: World, query: str, field: str
) -> None:
    reply = await world.ask("GET", f"/v1/receipts?{query}")

    assert (reply.status, reply.json["field"]) == (400, field)
    assert world.receipts.waits == []
