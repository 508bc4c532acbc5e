"""Moves of segments by HTTP: who may, what is refused, and how far one is."""

from typing import Any

import pytest

from hlrd.domain.lifecycle import MoveState
from hlrd.domain.orders import Source
from hlrd.domain.routing import Identity, Rehoming, Route, Routing, Segment
from tests.api.client import World, a_member_activation

OPS = Source.OPS
PATH = "/v1/segment-moves"
WANTED = {"prefix": "106490", "from": "hlr1", "to": "hlr2", "operator_id": "op7"}


async def started(world: World, **changes: Any) -> Any:
    return await world.ask("POST", PATH, source=OPS, json=WANTED | changes)


async def ordered(world: World, verb: str, id: str = "1") -> Any:
    body = {"operator_id": "op7"}
    return await world.ask("POST", f"{PATH}/{id}/{verb}", source=OPS, json=body)


async def test_a_move_is_started_shown_and_listed(world: World) -> None:
    reply = await started(world, sample=50)

    rehoming = Rehoming(Segment(Identity.MSISDN, "106490"), "hlr1", "hlr2")
    assert world.moves.asked == [(rehoming, "op7", 50)]
    assert (reply.status, reply.headers["Location"]) == (201, f"{PATH}/1")
    told = {name: reply.json[name] for name in ("kind", "prefix", "from", "to", "state")}
    assert told == {
        "kind": "msisdn", "prefix": "106490", "from": "hlr1", "to": "hlr2", "state": "drained",
    }  # fmt: skip
    assert (reply.json["waiting"], reply.json["running"]) == (7, 1)
    assert (await world.ask("GET", f"{PATH}/1", source=OPS)).json == reply.json
    assert (await world.ask("GET", PATH, source=OPS)).json == {"moves": [reply.json]}


async def test_a_move_goes_from_state_to_state_as_it_is_told(world: World) -> None:
    await started(world, kind="imsi", prefix="46004")

    switched = await ordered(world, "switch")
    too_early = await ordered(world, "verify")
    row = world.moves.rows[1]
    world.moves.rows[1] = type(row)(
        row.id, row.rehoming, "op7", MoveState.UNPROVEN, None, 3, 3, 1, 1,
        [{"msisdn": "1064900000001", "cause": "gone"}], row.started_at, row.changed_at,
    )  # fmt: skip
    unproven = await world.ask("GET", f"{PATH}/1", source=OPS)
    returned = await ordered(world, "return")

    assert (switched.status, switched.json["state"]) == (202, "switching")
    assert (too_early.status, too_early.json["code"]) == (409, "MOVE_NOT_READY")
    assert unproven.json["verified"] == {
        "asked": 3, "missing": 1, "silent": 1,
        "examples": [{"msisdn": "1064900000001", "cause": "gone"}],
    }  # fmt: skip
    assert (returned.status, returned.json["state"]) == (202, "returning")


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"prefix": "10649x"}, "INVALID"),
        ({"prefix": ""}, "INVALID"),
        ({"prefix": "10649000000000"}, "PREFIX_INVALID"),
        ({"kind": "iccid"}, "INVALID"),
        ({"sample": 0}, "INVALID"),
        ({"more": 1}, "INVALID"),
    ],
)
async def test_what_is_no_segment_is_refused(
    world: World, changes: dict[str, Any], code: str
) -> None:
    reply = await started(world, **changes)

    assert reply.status == 400
    assert code in reply.json["code"] or code == "INVALID"
    assert world.moves.rows == {}


async def test_an_unknown_move_is_not_found(world: World) -> None:
    replies = [await ordered(world, "switch", id) for id in ("9", "x", "9" * 19)]

    assert {(reply.status, reply.json["code"]) for reply in replies} == {(404, "MOVE_UNKNOWN")}


async def test_only_staff_moves_segments(world: World) -> None:
    asked = [("GET", PATH), ("POST", PATH), ("GET", f"{PATH}/1"), ("POST", f"{PATH}/1/switch")]
    for method, path in asked:
        assert (await world.ask(method, path, source=Source.BOSS, json={})).status == 403


async def test_an_order_that_waits_for_a_move_says_why(world: World) -> None:
    order = (await world.post_order(a_member_activation())).json["id"]
    world.book.wait(int(order))
    world.book.live[int(order)]["state"] = "queued"
    free = await world.ask("GET", f"/v1/work-orders/{order}")
    world.book.held = {"reason": "segmentMoves", "move": "1"}

    held = await world.ask("GET", f"/v1/work-orders/{order}")

    assert free.json["waits"] is None
    assert held.json["waits"] == {"reason": "segmentMoves", "move": "1"}


# Homes by route.


async def add_range(world: World, first: str, last: str, **home: str) -> Any:
    body = {"first": first, "last": last, "province": "200", **home}
    return await world.ask("POST", "/v1/pools/iot/ranges", source=OPS, json=body)


async def test_a_range_has_the_home_of_its_route(world: World) -> None:
    await world.ask("POST", "/v1/pools", source=OPS, json={"name": "iot"})
    routes = [
        Route("106490", Identity.MSISDN, "hlr1", "[[route]] 1"),
        Route("106491", Identity.MSISDN, "hlr2", "[[route]] 2"),
    ]
    world.homes.configure(Routing(routes))

    added = await add_range(world, "1064900000000", "1064900000999")
    other = await add_range(world, "1064900001000", "1064900001999", hlr="hlr2")
    crossing = await add_range(world, "1064909999000", "1064910000999")
    unrouted = await add_range(world, "1064800000000", "1064800000999")
    named = await add_range(world, "1064800000000", "1064800000999", hlr="hlr1")

    assert (added.status, added.json["ranges"][0]["hlr"]) == (201, "hlr1")
    assert (other.status, other.json["code"]) == (400, "HLR_NOT_BY_ROUTE")
    assert (crossing.status, crossing.json["code"]) == (400, "RANGE_CROSSES_SEGMENTS")
    assert "1064910000000-1064910000999" in crossing.json["detail"]
    assert "[[route]] 2" in crossing.json["detail"]
    assert (unrouted.status, unrouted.json["code"]) == (400, "HLR_WANTED")
    assert named.status == 201
