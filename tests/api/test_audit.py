"""Acts go into the audit trail before they are done, and the trail is read and proven by HTTP."""

import inspect
import re
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from hlrd.domain.audit import Action, Head
from hlrd.domain.errors import Unavailable
from hlrd.domain.orders import Source
from tests.api.client import Reply, World, a_world
from tests.api.test_elements import in_an_hour
from tests.api.test_pools import RANGE, post

OPS = Source.OPS
NUMBER = "1064900000007"
LOCK = f"/v1/numbers/{NUMBER}/lock"
OF_SESSIONS = (
    "POST /v1/sessions",
    "POST /v1/sessions/current/heartbeat",
    "DELETE /v1/sessions/current",
)
WORDS = {"cause": "complaint", "operator_id": "anna"}


@pytest.fixture
async def world() -> AsyncIterator[World]:
    async with a_world() as world:
        await post(world, "/v1/pools", {"name": "iot"})
        await post(world, "/v1/pools/iot/ranges", RANGE)
        yield world


async def ask(world: World, path: str, source: Source = OPS, **rest: Any) -> Reply:
    return await world.ask("GET", f"/v1/audit{path}", source=source, **rest)


async def act(world: World, method: str, path: str, json: object = None, **headers: str) -> Reply:
    sent = {name.replace("_", "-"): value for name, value in headers.items()}
    return await world.ask(method, path, source=OPS, json=json, headers=sent)


@pytest.mark.parametrize(
    ("route", "json", "action", "subject"),
    [
        ("POST /v1/pools", {"name": "new"}, "pool.create", "pool:new"),
        ("POST /v1/pools/iot/ranges", RANGE, "pool.range", "pool:iot"),
        ("PUT /v1/pools/iot/low-water", {"numbers": 5}, "pool.low-water", "pool:iot"),
        (
            "POST /v1/pools/iot/shares",
            {"province": "200", "numbers": 10, "operator_id": "anna"},
            "pool.share",
            "pool:iot",
        ),
        (
            f"POST /v1/pools/iot/shares/{NUMBER}/take-back",
            {"operator_id": "anna"},
            "pool.take-back",
            "pool:iot",
        ),
        (f"POST {LOCK}", WORDS, "number.lock", f"number:{NUMBER}"),
        (f"POST /v1/numbers/{NUMBER}/unlock", WORDS, "number.unlock", f"number:{NUMBER}"),
        (
            f"POST /v1/numbers/{NUMBER}/recycle",
            {"operator_id": "anna"},
            "number.recycle",
            f"number:{NUMBER}",
        ),
        (
            "POST /v1/numbers/recycle",
            {"operator_id": "anna"},
            "number.recycle-due",
            "numbers:due",
        ),
        (
            "POST /v1/network-elements/hlr1/drain",
            {"cause": "moves away"},
            "ne.drain",
            "ne:hlr1",
        ),
        ("POST /v1/network-elements/hlr1/release", None, "ne.release", "ne:hlr1"),
        (
            "POST /v1/segment-moves",
            {"prefix": "106490", "from": "hlr1", "to": "hlr2", "operator_id": "anna"},
            "move.start",
            "segment:msisdn 106490",
        ),
        (
            "POST /v1/sim-cards/89860420202400000019/scrap",
            WORDS,
            "card.scrap",
            "card:89860420202400000019",
        ),
    ],
)
async def test_an_act_has_its_row(
    world: World, route: str, json: Any, action: str, subject: str
) -> None:
    world.audit.rows_kept.clear()

    method, path = route.split()
    await act(world, method, path, json)

    row = world.audit.rows_kept[0]
    assert (row.action, row.subject, row.source) == (action, subject, "OPS")
    assert row.actor == ("anna" if "operator_id" in (json or {}) else "unnamed")


async def test_a_hold_names_whoever_the_header_names(world: World) -> None:
    await act(
        world,
        "POST",
        "/v1/network-elements/hlr1/hold",
        {"until": in_an_hour(), "cause": "disk swap"},
        Operator_Id="bert",
    )

    row = world.audit.rows_kept[-1]
    assert (row.action, row.actor, row.before) == ("ne.hold", "bert", '{"halt":null}')
    assert "disk swap" in (row.after or "")


@pytest.mark.parametrize("name", ["", "a b", "x" * 21, "\xe9"])
async def test_a_name_that_is_none_is_refused(world: World, name: str) -> None:
    path = "/v1/network-elements/hlr1/release"

    reply = await act(world, "POST", path, Operator_Id=name)

    assert (reply.status, reply.json["code"]) == (400, "OPERATOR_INVALID")


async def test_what_cannot_be_written_down_is_not_done(world: World) -> None:
    world.audit.refusal = Unavailable("AUDIT_UNAVAILABLE", "no", 5.0)

    reply = await act(world, "POST", LOCK, WORDS)

    assert (reply.status, reply.json["code"]) == (503, "AUDIT_UNAVAILABLE")
    assert world.numbers.done == []


async def test_an_act_that_is_refused_has_a_second_row_that_says_so(world: World) -> None:
    await act(world, "POST", "/v1/pools", {"name": "iot"})

    asked, said = world.audit.rows_kept[-2:]
    assert (said.action, said.subject) == (asked.action, asked.subject)
    assert said.after == f'{{"refused":"POOL_EXISTS","row":{asked.seq}}}'


async def test_a_request_that_makes_no_sense_is_no_act(world: World) -> None:
    before = len(world.audit.rows_kept)

    await act(world, "POST", LOCK, {"cause": "complaint"})

    assert len(world.audit.rows_kept) == before


async def test_what_upstream_reserves_is_no_act_of_staff(world: World) -> None:
    before = len(world.audit.rows_kept)
    json = {"operator_id": "anna", "province": "200", "count": 2}

    for source in (Source.ESOP, OPS):
        await world.ask(
            "POST",
            "/v1/reservations",
            source=source,
            json=json,
            headers={"Idempotency-Key": f"k-{source}"},
        )

    assert [row.source for row in world.audit.rows_kept[before:]] == ["OPS"]


async def test_rows_are_shown_newest_first_and_by_what_is_asked(world: World) -> None:
    await act(world, "POST", LOCK, WORDS)
    await act(world, "POST", f"/v1/numbers/{NUMBER}/unlock", WORDS)

    reply = await ask(world, f"?subject=number:{NUMBER}&actor=anna")

    rows = reply.json["rows"]
    assert [row["action"] for row in rows] == ["number.unlock", "number.lock"]
    assert rows[1]["before"] == {"state": "idle", "user_id": None}
    assert rows[1]["after"] == {"cause": "complaint"}
    page = await ask(world, f"?limit=1&before={rows[0]['row']}&action=number.lock")
    assert [row["row"] for row in page.json["rows"]] == [rows[1]["row"]]


async def test_a_whole_trail_is_proven_up_to_its_head(world: World) -> None:
    head = (await ask(world, "/head")).json["head"]

    reply = await ask(world, f"/verify?head={head}")

    assert reply.json == {"rows": 2, "head": head, "fault": None}


async def test_the_first_row_that_was_changed_is_named(world: World) -> None:
    kept = world.audit.rows_kept
    await act(world, "POST", LOCK, WORDS)
    kept[1] = replace(kept[1], actor="bert")

    reply = await ask(world, "/verify")

    assert reply.json["rows"] == 1
    assert reply.json["fault"]["row"] == 2


async def test_rows_cut_off_show_against_a_head_that_was_kept(world: World) -> None:
    kept = world.audit.rows_kept
    head = Head(kept[-1].seq, kept[-1].hash)
    kept.pop()

    reply = await ask(world, f"/verify?head={head}")

    assert reply.json["fault"] == {"row": 2, "text": "rows 2 to 2 are cut off at the end"}


@pytest.mark.parametrize("path", ["", "/head", "/verify"])
async def test_the_trail_is_for_staff_alone(world: World, path: str) -> None:
    reply = await ask(world, path, source=Source.ESOP)

    assert (reply.status, reply.json["code"]) == (403, "SOURCE_NOT_ALLOWED")


@pytest.mark.parametrize(
    ("path", "code"),
    [
        ("/verify?head=5", "HEAD_INVALID"),
        ("?limit=0", "FIELD_INVALID"),
        ("?who=x", "FIELD_UNKNOWN"),
    ],
)
async def test_a_question_that_makes_no_sense_is_refused(
    world: World, path: str, code: str
) -> None:
    reply = await ask(world, path)

    assert (reply.status, reply.json["code"]) == (400, code)


def writes_down(handler: Any) -> bool:
    """Whether the handler of a route, or a method of its own that it calls, goes by `acting`."""
    cls, looked = type(handler.__self__), set[str]()
    left = [handler.__name__]
    while left:
        name = left.pop()
        looked.add(name)
        source = inspect.getsource(getattr(cls, name))
        if re.search(r"\bacting(_as_staff)?\(", source):
            return True
        called = set(re.findall(r"self\.(_?\w+)\(", source)) - looked
        left += [each for each in called if inspect.isfunction(getattr(cls, each, None))]
    return False


async def test_no_route_that_changes_something_is_forgotten(world: World) -> None:
    """But for orders themselves, which the journal has, and for what systems do about their own
    session, which the desk of sessions writes down."""
    changing = [route for route in world.app.router.routes() if route.method not in ("GET", "HEAD")]

    forgotten = [
        f"{route.method} {route.resource and route.resource.canonical}"
        for route in changing
        if not writes_down(route.handler)
    ]

    assert len(changing) > 20
    assert forgotten == ["POST /v1/work-orders", *OF_SESSIONS]


def test_every_action_is_in_the_documents() -> None:
    page = (Path(__file__).parents[2] / "docs" / "audit.md").read_text("utf-8")

    assert [action for action in Action if f"`{action}`" not in page] == []
