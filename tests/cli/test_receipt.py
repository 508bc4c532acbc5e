"""`hlrd receipt` against a real API."""

from datetime import UTC, datetime, timedelta

from hlrd.domain.lifecycle import DeliveryState
from tests.api.client import a_member_activation, a_world
from tests.api.fake_deliveries import a_listed, a_receipt_row
from tests.cli.test_commands import run, said

BY = "--operator=op7"


async def test_endpoints_and_what_they_did_not_take_are_shown() -> None:
    async with a_world() as world:
        world.deliveries.dead = [a_listed(412, DeliveryState.DEAD)]
        shown = await run(world, "receipt", "endpoints")
        dead = await run(world, "receipt", "list", "--endpoint=main")
        pending = await run(world, "receipt", "list", "--endpoint=main", "--pending")

    assert "main (default) ESOP https://esop.example/receipts away" in said(shown)
    assert "412 4611686018427387904 A1 MEMBER_ACTIVATE 1" in said(dead)
    assert "answered 422" in said(dead)
    assert "412" not in said(pending)


async def test_the_receipts_of_an_order_are_shown_and_sent_again() -> None:
    async with a_world() as world:
        order = (await world.post_order(a_member_activation())).json["id"]
        world.deliveries.rows = [a_receipt_row(7, DeliveryState.PENDING), a_receipt_row(9)]
        shown = await run(world, "receipt", "show", order)
        again = await run(world, "receipt", "redeliver", order, BY)

    assert "endpoint: main" in said(shown)
    assert "pending after 4 failures (answered 422), next try 2026-11-21T20:00:00+08:00" in said(
        shown
    )
    assert "delivered:" in said(shown)
    assert said(again) == "2 receipts go again"
    assert world.deliveries.ordered == [("main", [7, 9])]


async def test_receipts_of_an_endpoint_are_sent_again_by_cursor_by_death_and_by_time() -> None:
    at = "--endpoint=main"
    async with a_world() as world:
        await run(world, "receipt", "redeliver", at, "--cursor=3", "--cursor=5", BY)
        await run(world, "receipt", "redeliver", at, "--dead", BY)
        await run(world, "receipt", "redeliver", at, "--since=2h", BY)

    assert world.deliveries.ordered[:2] == [("main", [3, 5]), ("main", "dead")]
    name, since, until = world.deliveries.ordered[2]
    assert name == "main"
    assert isinstance(since, datetime)
    assert isinstance(until, datetime)
    assert until - since >= timedelta(hours=2)
    assert datetime.now(UTC) - until < timedelta(minutes=1)


async def test_what_is_to_be_sent_again_must_be_clear() -> None:
    async with a_world() as world:
        neither = await run(world, "receipt", "redeliver", BY)
        both = await run(world, "receipt", "redeliver", "1", "--endpoint=main", BY)
        mixed = await run(world, "receipt", "redeliver", "1", "--dead", BY)
        nothing = await run(world, "receipt", "redeliver", "--endpoint=main", BY)
        other = await run(world, "receipt", "redeliver", "--endpoint=other", "--dead", BY)

    for told in (neither, both):
        assert "give the id of an order, or --endpoint, and not both" in str(told.exception)
    assert "go with --endpoint" in str(mixed.exception)
    assert "REDELIVERY_UNCLEAR" in str(nothing.exception)
    assert "ENDPOINT_UNKNOWN" in str(other.exception)
    assert world.deliveries.ordered == []
