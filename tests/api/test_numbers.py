"""Staff's work on single numbers, as HTTP says it."""

from collections.abc import AsyncIterator
from typing import Any

import pytest

from hlrd.domain.identity import MSISDN
from hlrd.domain.orders import Source
from hlrd.store.desk import Work
from tests.api.client import Reply, World, a_world
from tests.api.test_pools import RANGE, post

NUMBER = MSISDN("1064900000007")
WORDS = {"cause": "投诉 17", "operator_id": "anna"}


@pytest.fixture
async def world() -> AsyncIterator[World]:
    async with a_world() as world:
        await post(world, "/v1/pools", {"name": "iot"})
        await post(world, "/v1/pools/iot/ranges", RANGE)
        yield world


async def ask(world: World, path: str, json: Any, source: Source = Source.OPS) -> Reply:
    return await world.ask("POST", f"/v1/numbers/{path}", source=source, json=json)


async def test_lock_and_unlock_carry_cause_and_operator(world: World) -> None:
    replies = [await ask(world, f"{NUMBER}/{what}", WORDS) for what in ("lock", "unlock")]

    work = Work(NUMBER, "anna", "投诉 17")
    assert world.numbers.done == [("lock", work), ("unlock", work)]
    assert [reply.status for reply in replies] == [200, 200]
    assert replies[0].json["msisdn"] == NUMBER


async def test_a_number_is_named_with_or_without_the_country_code(world: World) -> None:
    await ask(world, f"86{NUMBER}/lock", WORDS)

    assert world.numbers.done == [("lock", Work(NUMBER, "anna", "投诉 17"))]


@pytest.mark.parametrize("waives", [True, False])
async def test_recycling_one_number_says_what_became_of_it(world: World, waives: bool) -> None:
    given = {"operator_id": "anna", "waive_arrears": waives}

    reply = await ask(world, f"{NUMBER}/recycle", given)

    assert reply.json == {"msisdn": NUMBER, "found": "recycled", "detail": ""}
    assert world.numbers.done == [("recycle", NUMBER, "anna", waives)]


async def test_the_job_is_run_at_once(world: World) -> None:
    reply = await ask(world, "recycle", {"operator_id": "anna"})

    assert reply.json["counts"] == {"recycled": 1}
    assert world.numbers.done == [("recycleDue", "anna")]


@pytest.mark.parametrize("missing", ["cause", "operator_id"])
async def test_nothing_is_done_without_a_name_and_a_reason(world: World, missing: str) -> None:
    given = {name: value for name, value in WORDS.items() if name != missing}

    reply = await ask(world, f"{NUMBER}/lock", given)

    assert (reply.status, world.numbers.done) == (400, [])


@pytest.mark.parametrize("source", [Source.ESOP, Source.CRM])
async def test_only_staff_changes_numbers(world: World, source: Source) -> None:
    replies = [
        await ask(world, f"{NUMBER}/{what}", WORDS, source)
        for what in ("lock", "unlock", "recycle")
    ]

    assert {reply.status for reply in replies} == {403}
    assert world.numbers.done == []


async def test_the_history_of_a_number_is_shown(world: World) -> None:
    reply = await world.ask("GET", f"/v1/numbers/{NUMBER}/history", source=Source.OPS)
    outside = await world.ask("GET", "/v1/numbers/13900000000/history", source=Source.OPS)

    assert reply.json["number"]["state"] == "idle"
    assert reply.json["past"] == []
    assert (outside.status, outside.json["code"]) == (404, "NUMBER_UNKNOWN")
