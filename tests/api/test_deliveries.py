"""Receipts on their way to endpoints: who may see and order what, and what comes back."""

from datetime import UTC, datetime, timedelta

import pytest

from hlrd.domain.lifecycle import DeliveryState
from hlrd.domain.orders import Source
from tests.api.client import Reply, World, a_member_activation
from tests.api.fake_deliveries import a_listed, a_receipt_row

ENDPOINT = "/v1/receipt-endpoints/main"


async def an_order(world: World, **fields: object) -> str:
    reply = await world.post_order(a_member_activation(**fields))
    assert reply.status == 202
    return str(reply.json["id"])


async def redeliver(world: World, json: object, **rest: object) -> Reply:
    rest.setdefault("source", Source.OPS)
    return await world.ask("POST", f"{ENDPOINT}/redeliver", json=json, **rest)  # type: ignore[arg-type]


async def test_staff_sees_every_endpoint_and_how_it_is(world: World) -> None:
    reply = await world.ask("GET", "/v1/receipt-endpoints", source=Source.OPS)

    (endpoint,) = reply.json["endpoints"]
    assert endpoint["name"] == "main"
    assert (endpoint["state"], endpoint["pending"], endpoint["dead"]) == ("away", 3, 1)
    assert endpoint["failing_since"] == "2026-11-21T20:00:00+08:00"
    assert endpoint["oldest_age_s"] == 7.25


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/v1/receipt-endpoints"),
        ("GET", ENDPOINT + "/deliveries"),
        ("POST", ENDPOINT + "/redeliver"),
    ],
)
async def test_endpoints_are_for_staff_only(world: World, method: str, path: str) -> None:
    body = {"operator_id": "op7", "dead": True} if method == "POST" else None

    reply = await world.ask(method, path, source=Source.ESOP, json=body)

    assert (reply.status, reply.json["code"]) == (403, "SOURCE_NOT_ALLOWED")
    assert world.deliveries.ordered == []


async def test_dead_deliveries_come_page_by_page(world: World) -> None:
    world.deliveries.dead = [a_listed(seq, DeliveryState.DEAD) for seq in (3, 5)]

    first = await world.ask("GET", ENDPOINT + "/deliveries?limit=1", source=Source.OPS)
    cursor = first.json["cursor"]
    second = await world.ask("GET", f"{ENDPOINT}/deliveries?after={cursor}", source=Source.OPS)
    third = await world.ask("GET", f"{ENDPOINT}/deliveries?state=pending", source=Source.OPS)

    assert [one["cursor"] for one in first.json["deliveries"]] == [3]
    assert first.json["deliveries"][0]["said"] == "answered 422"
    assert first.json["deliveries"][0]["due_at"] is None
    assert [one["cursor"] for one in second.json["deliveries"]] == [5]
    assert third.json == {"deliveries": [], "cursor": 0}


async def test_staff_sends_again_by_number_by_time_or_what_is_dead(world: World) -> None:
    since = datetime(2026, 11, 20, tzinfo=UTC)

    dead = await redeliver(world, {"operator_id": "op7", "dead": True})
    some = await redeliver(world, {"operator_id": "op7", "receipts": [4, 5]})
    day = await redeliver(
        world,
        {
            "operator_id": "op7",
            "since": since.isoformat(),
            "until": (since + timedelta(days=1)).isoformat(),
        },
    )

    assert [reply.status for reply in (dead, some, day)] == [202] * 3
    assert [reply.json["receipts"] for reply in (dead, some, day)] == [2, 2, 3]
    assert world.deliveries.ordered == [
        ("main", "dead"),
        ("main", [4, 5]),
        ("main", since, since + timedelta(days=1)),
    ]


@pytest.mark.parametrize(
    "wish",
    [
        {},
        {"dead": False},
        {"dead": True, "receipts": [1]},
        {"dead": True, "since": "2026-11-20T00:00:00Z"},
        {"until": "2026-11-20T00:00:00Z"},
        {"dead": True, "until": "2026-11-20T00:00:00Z"},
    ],
)
async def test_what_to_send_again_must_be_said_in_one_way(
    world: World, wish: dict[str, object]
) -> None:
    reply = await redeliver(world, {"operator_id": "op7", **wish})

    assert (reply.status, reply.json["code"]) == (400, "REDELIVERY_UNCLEAR")
    assert world.deliveries.ordered == []


async def test_an_endpoint_that_is_not_there_is_told(world: World) -> None:
    path = "/v1/receipt-endpoints/other/redeliver"
    reply = await world.ask(
        "POST", path, source=Source.OPS, json={"operator_id": "op7", "dead": True}
    )

    assert (reply.status, reply.json["code"]) == (404, "ENDPOINT_UNKNOWN")


async def test_a_source_sees_where_the_receipts_of_its_order_are(world: World) -> None:
    order = await an_order(world)
    world.deliveries.rows = [a_receipt_row(7, DeliveryState.PENDING), a_receipt_row(9)]

    reply = await world.ask("GET", f"/v1/receipts/{order}")

    assert reply.json["endpoint"] == "main"
    first, second = reply.json["receipts"]
    assert first["delivery"] == {
        "state": "pending",
        "failures": 4,
        "due_at": "2026-11-21T20:00:00+08:00",
        "said": "answered 422",
    }
    assert second["delivery"]["state"] == "delivered"
    assert second["receipt"] == {"id": "9"}


async def test_a_receipt_that_came_before_the_endpoint_or_without_one_is_no_delivery(
    world: World,
) -> None:
    order = await an_order(world)
    world.deliveries.rows, world.deliveries.delivered = [a_receipt_row(9)], None
    before = await world.ask("GET", f"/v1/receipts/{order}")
    world.deliveries.default = None
    without = await world.ask("GET", f"/v1/receipts/{order}")

    assert before.json["receipts"][0]["delivery"] is None
    assert (without.json["endpoint"], without.json["receipts"][0]["delivery"]) == (None, None)


async def test_a_source_gets_the_receipts_of_its_order_again(world: World) -> None:
    order = await an_order(world)
    world.deliveries.rows = [a_receipt_row(7, DeliveryState.DEAD), a_receipt_row(7)]

    reply = await world.ask("POST", f"/v1/receipts/{order}/redeliver", json={"operator_id": "op7"})

    assert (reply.status, reply.json) == (202, {"receipts": 1})
    assert world.deliveries.ordered == [("main", [7])]


async def test_receipts_that_nobody_gets_sent_cannot_be_sent_again(world: World) -> None:
    order = await an_order(world)
    world.deliveries.default = None

    reply = await world.ask("POST", f"/v1/receipts/{order}/redeliver", json={"operator_id": "op7"})

    assert (reply.status, reply.json["code"]) == (409, "ENDPOINT_MISSING")


@pytest.mark.parametrize("order", ["1", "x", "9" * 40])
async def test_receipts_of_an_order_of_another_source_or_of_none_are_unknown(
    world: World, order: str
) -> None:
    mine = await an_order(world)

    for id in (order, mine):
        reply = await world.ask("GET", f"/v1/receipts/{id}", source=Source.CRM)
        assert (reply.status, reply.json["code"]) == (404, "ORDER_UNKNOWN")
