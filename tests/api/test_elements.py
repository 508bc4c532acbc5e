"""Network elements for staff: shown, held, drained, released; and why a task waits."""

from datetime import UTC, datetime, timedelta

import pytest

from hlrd.domain.orders import Source
from hlrd.ne.halts import HaltKind
from tests.api.client import World, a_member_activation

OPS = Source.OPS
PATH = "/v1/network-elements/hlr1"


def in_an_hour() -> str:
    return (datetime.now(UTC) + timedelta(hours=1)).isoformat()


async def test_a_hold_is_kept_first_and_then_in_force(world: World) -> None:
    until = in_an_hour()

    reply = await world.ask(
        "POST", f"{PATH}/hold", source=OPS, json={"until": until, "cause": "disk swap"}
    )

    assert (reply.status, reply.json["name"], reply.json["state"]) == (200, "hlr1", "held")
    halt = world.element.standing
    assert halt is not None
    assert halt is world.halts.kept["hlr1"]
    assert (halt.kind, halt.cause) == (HaltKind.HOLD, "disk swap")
    assert halt.until == datetime.fromisoformat(until)


async def test_a_drain_has_no_end_and_takes_the_place_of_a_hold(world: World) -> None:
    body = {"until": in_an_hour(), "cause": "disk swap"}
    await world.ask("POST", f"{PATH}/hold", source=OPS, json=body)

    reply = await world.ask("POST", f"{PATH}/drain", source=OPS, json={"cause": "moves away"})

    assert reply.status == 200
    assert world.element.standing is not None
    assert (world.element.standing.kind, world.element.standing.until) == (HaltKind.DRAIN, None)
    assert list(world.halts.kept.values()) == [world.element.standing]


async def test_a_release_ends_either_and_a_repeat_changes_nothing(world: World) -> None:
    await world.ask("POST", f"{PATH}/drain", source=OPS, json={"cause": "moves away"})

    replies = [await world.ask("POST", f"{PATH}/release", source=OPS) for _ in range(2)]

    assert [reply.status for reply in replies] == [200, 200]
    assert (world.element.standing, world.halts.kept) == (None, {})


async def test_a_blackout_is_not_released_by_a_word(world: World) -> None:
    world.element.hinders = {"reason": "blackout", "cause": "new release"}

    reply = await world.ask("POST", f"{PATH}/release", source=OPS)

    assert (reply.status, reply.json["code"]) == (409, "BLACKOUT_PLANNED")


@pytest.mark.parametrize(
    ("verb", "body", "code", "field"),
    [
        ("hold", {"until": "2020-01-01T00:00:00+08:00", "cause": "x"}, "HOLD_OVER", "until"),
        ("hold", {"until": "2099-01-01T00:00:00", "cause": "x"}, "FIELD_INVALID", "until"),
        ("hold", {"until": "2099-01-01T00:00:00Z"}, "FIELD_MISSING", "cause"),
        ("drain", {"cause": ""}, "FIELD_INVALID", "cause"),
        ("drain", {"cause": "two\nlines"}, "FIELD_INVALID", "cause"),
        ("drain", {"cause": "x", "until": "2099-01-01T00:00:00Z"}, "FIELD_UNKNOWN", "until"),
    ],
)
async def test_a_hold_that_says_nothing_sensible_changes_nothing(
    world: World, verb: str, body: dict[str, str], code: str, field: str
) -> None:
    reply = await world.ask("POST", f"{PATH}/{verb}", source=OPS, json=body)

    assert (reply.status, reply.json["code"], reply.json.get("field")) == (400, code, field)
    assert (world.element.standing, world.halts.kept) == (None, {})


@pytest.mark.parametrize("verb", ["hold", "drain", "release"])
async def test_only_staff_keeps_from_an_element_and_only_from_one_there_is(
    world: World, verb: str
) -> None:
    body = {"until": in_an_hour(), "cause": "x"} if verb == "hold" else {"cause": "x"}

    stranger = await world.ask("POST", f"{PATH}/{verb}", source=Source.ESOP, json=body)
    nowhere = await world.ask("POST", f"/v1/network-elements/no/{verb}", source=OPS, json=body)

    assert (stranger.status, stranger.json["code"]) == (403, "SOURCE_NOT_ALLOWED")
    assert (nowhere.status, nowhere.json["code"]) == (404, "NE_UNKNOWN")


async def test_a_task_that_waits_says_why_and_one_that_is_sent_does_not(world: World) -> None:
    order = (await world.post_order(a_member_activation())).json["id"]
    why = {"reason": "hold", "cause": "disk swap", "until": "2026-12-01T03:00:00+08:00"}
    world.element.hinders = why

    sent = (await world.ask("GET", f"/v1/work-orders/{order}")).json["tasks"]
    world.book.wait(int(order))
    waiting = (await world.ask("GET", f"/v1/work-orders/{order}")).json["tasks"]
    world.element.hinders = None
    about_to_go = (await world.ask("GET", f"/v1/work-orders/{order}")).json["tasks"]

    assert [task.get("waits") for task in (*sent, *waiting, *about_to_go)] == [None, why, None]
