"""The routes of pools and lots on the real store, so that the fake's manners are the store's."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from hlrd.domain.orders import Source
from hlrd.store.pools import NumberPools
from tests.api.client import World, a_world
from tests.api.test_pools import RANGE, post
from tests.api.test_sims import KI, a_card, a_lot, post_lot
from tests.runtime.imports.rig import importing

pytestmark = pytest.mark.postgres


@pytest.fixture
async def world(dsn: str, tmp_path: Path) -> AsyncIterator[World]:
    async with (
        importing(dsn, tmp_path) as rig,
        a_world(pools=NumberPools(rig.pool), stock=rig.stock, imports=rig.desk) as world,
    ):
        yield world


async def test_a_pool_with_a_range_counts_its_numbers(world: World) -> None:
    created = await post(world, "/v1/pools", {"name": "iot"})
    filled = await post(world, "/v1/pools/iot/ranges", RANGE)
    number = await world.ask("GET", "/v1/numbers/1064900000007", source=Source.OPS)
    outside = await world.ask("GET", "/v1/numbers/1064900000100", source=Source.OPS)

    assert (created.status, filled.status) == (201, 201)
    assert filled.json["ranges"] == [{**RANGE, "is_share": False}]
    assert filled.json["numbers"]["idle"] == 100
    assert (number.json["pool"], number.json["state"]) == ("iot", "idle")
    assert (outside.status, outside.json["code"]) == (404, "NUMBER_UNKNOWN")


async def test_what_is_there_already_is_409(world: World) -> None:
    await post(world, "/v1/pools", {"name": "iot"})
    await post(world, "/v1/pools/iot/ranges", RANGE)
    await post_lot(world, a_lot(a_card(1)))

    replies = [
        await post(world, "/v1/pools", {"name": "iot"}),
        await post(world, "/v1/pools/iot/ranges", {**RANGE, "last": "1064900000050"}),
        await post_lot(world, a_lot(a_card(2))),
        await post_lot(world, a_lot(a_card(1), LOT="L2")),
    ]

    assert [(reply.status, reply.json["code"]) for reply in replies] == [
        (409, "POOL_EXISTS"),
        (409, "RANGE_OVERLAPS"),
        (409, "LOT_EXISTS"),
        (409, "CARD_IN_STOCK"),
    ]
    assert not any(KI.encode() in reply.body for reply in replies)


async def test_the_same_lot_again_changes_nothing(world: World) -> None:
    first = await post_lot(world, a_lot(a_card(1), a_card(2)))
    again = await post_lot(world, a_lot(a_card(1), a_card(2)))

    assert (first.status, again.status) == (201, 201)
    assert {**again.json, "counted_at": ""} == {**first.json, "counted_at": ""}
    assert first.json["cards"]["inStock"] == 2


async def test_what_is_not_there_is_404(world: World) -> None:
    replies = [
        await post(world, "/v1/pools/none/ranges", RANGE),
        await world.ask("GET", "/v1/pools/none", source=Source.OPS),
        await world.ask("GET", "/v1/sim-lots/none", source=Source.OPS),
        await world.ask("GET", "/v1/sim-lots/a%00b", source=Source.OPS),
    ]

    assert [reply.status for reply in replies] == [404] * 4
