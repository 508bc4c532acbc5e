"""Orders called off and urged on over a real socket, and what is said of one that waits."""

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from hlrd.domain.orders import Source
from tests.api.client import Reply, World, a_member_activation
from tests.api.fakes import an_order_record


async def act(
    world: World, order: str, verb: str, *, source: Source = Source.ESOP, operator: str = "li4"
) -> Reply:
    path = f"/v1/work-orders/{order}/{verb}"
    return await world.ask("POST", path, source=source, headers={"Operator-Id": operator})


async def posted(world: World) -> str:
    reply = await world.post_order(a_member_activation())
    order: str = reply.json["id"]
    world.book.live.pop(int(order), None)
    return order


def audited(world: World) -> list[tuple[str, str, str, str]]:
    return [(row.actor, row.source, row.action, row.subject) for row in world.audit.rows_kept]


async def test_an_order_is_called_off_by_who_sent_it(world: World) -> None:
    order = await posted(world)

    reply = await act(world, order, "cancel")

    assert (reply.status, reply.json["state"]) == (200, "cancelled")
    assert audited(world) == [("li4", "ESOP", "order.cancel", f"order:{order}")]


async def test_staff_may_do_so_too_and_another_source_does_not_know_the_order(
    world: World,
) -> None:
    order = await posted(world)

    stranger = await act(world, order, "cancel", source=Source.CRM)
    staff = await act(world, order, "cancel", source=Source.OPS)

    assert (stranger.status, stranger.json["code"]) == (404, "ORDER_UNKNOWN")
    assert staff.status == 200


async def test_what_is_too_late_is_refused_and_the_trail_says_so(world: World) -> None:
    order = await posted(world)
    world.book.wait(int(order))

    reply = await act(world, order, "cancel")

    assert (reply.status, reply.json["code"]) == (409, "ORDER_BEGUN")
    assert [action for _, _, action, _ in audited(world)] == ["order.cancel", "order.cancel"]


async def test_an_open_order_is_urged_on(world: World) -> None:
    order = await posted(world)

    reply = await act(world, order, "chase")
    world.book.close(int(order))
    late = await act(world, order, "chase")

    assert (reply.status, reply.json["priority"]) == (202, 1)
    assert (late.status, late.json["code"]) == (409, "ORDER_NOT_OPEN")


async def test_an_order_that_waits_for_its_time_says_until_when(world: World) -> None:
    record = an_order_record(5, state="scheduled")
    due = datetime(2026, 11, 30, 16, tzinfo=UTC)
    world.book.records[5] = replace(record, scheduled_for=due)

    reply = await world.ask("GET", "/v1/work-orders/5", source=Source.OPS)

    assert reply.json["state"] == "scheduled"
    assert reply.json["waits"] == {"reason": "EFFECTIVE_TIME", "until": "2026-12-01T00:00:00+08:00"}


async def test_an_order_behind_another_says_which(world: World) -> None:
    order = await posted(world)
    waits = {"reason": "EARLIER_ORDER", "order": "7"}
    world.book.live[int(order)] = {"state": "queued", "waits": waits}

    reply = await world.ask("GET", f"/v1/work-orders/{order}", source=Source.OPS)

    assert reply.json["waits"] == waits


@pytest.mark.parametrize("state", ["parked", "queued"])
async def test_an_order_that_waits_in_the_journal_says_what_it_has_not(
    world: World, state: str
) -> None:
    order = await posted(world)
    world.book.live[int(order)] = {"state": state, "waits": None}
    world.book.lack = {"reason": "EC_NOT_READY"}

    reply = await world.ask("GET", f"/v1/work-orders/{order}", source=Source.OPS)

    assert reply.json["waits"] == (world.book.lack if state == "parked" else None)
