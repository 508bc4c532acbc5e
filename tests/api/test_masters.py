"""The state master of a province, as staff sees and switches it."""

from typing import Any

import orjson
import pytest

from hlrd.domain.master import Master, Mastery
from hlrd.domain.orders import Source
from hlrd.domain.orders.standing import LeveledReason
from hlrd.domain.reconciliation import Said
from hlrd.domain.suspension import Reason
from tests.api.client import Reply, World

OPS = Source.OPS
PATH = "/v1/state-masters"
CRM = {"master": "CRM", "operator_id": "anna"}
WORD = {"user_id": "7", "reasons": [{"reason": "ARREARS", "level": 2}], "state_version": 3}


async def post(world: World, path: str, json: Any, source: Source = OPS) -> Reply:
    return await world.ask("POST", f"{PATH}/{path}", source=source, json=json)


async def compare(world: World, *lines: Any, query: str = "operator_id=anna") -> Reply:
    document = b"\n".join(line if isinstance(line, bytes) else orjson.dumps(line) for line in lines)
    path = f"{PATH}/200/reconcile?{query}"
    kind = {"Content-Type": "application/x-ndjson"}
    return await world.ask("POST", path, source=OPS, data=document, headers=kind)


async def test_the_usual_master_and_every_other_is_listed(world: World) -> None:
    world.masters.by_province["200"] = Mastery(Master.BOSS, Master.CRM)

    reply = await world.ask("GET", PATH, source=OPS)

    assert reply.json["usual"] == "backup"
    (province,) = reply.json["provinces"]
    assert (province["province"], province["name"]) == ("200", "广东")
    assert (province["master"], province["next"], province["open"]) == ("BOSS", "CRM", 3)


async def test_a_switch_is_written_down_with_who_wanted_it(world: World) -> None:
    reply = await post(world, "200/switch", CRM)

    assert (reply.status, reply.json["next"]) == (200, "CRM")
    row = world.audit.rows_kept[-1]
    assert (row.action, row.subject, row.actor) == ("master.drain", "province:200", "anna")
    assert (row.before, row.after) == ('{"master":"backup"}', '{"master":"CRM"}')


async def test_a_switch_can_be_called_off(world: World) -> None:
    await post(world, "200/switch", CRM)

    reply = await post(world, "200/cancel", {"operator_id": "bert"})

    assert (reply.json["master"], reply.json["next"]) == ("backup", None)
    assert world.audit.rows_kept[-1].action == "master.cancel"


async def test_a_list_is_compared_and_nothing_is_done_unless_it_is_asked_for(world: World) -> None:
    reply = await compare(world, WORD, b"")

    said = Said("7", [LeveledReason(Reason.ARREARS, 2)], 3)
    assert world.masters.asked == [("200", [said], "anna", False)]
    assert reply.json["different"] == 1
    assert reply.json["differences"][0]["master"] == [{"reason": "ARREARS", "level": 2}]
    assert world.audit.rows_kept == []


async def test_a_repair_of_what_differs_is_an_act(world: World) -> None:
    await compare(world, WORD, query="operator_id=anna&repair=yes")

    assert world.masters.asked[0][-1] is True
    assert world.audit.rows_kept[-1].action == "master.reconcile"


@pytest.mark.parametrize(
    ("line", "code", "field"),
    [
        (b"{", "JSON_INVALID", "[1]"),
        ({"user_id": "7", "reasons": []}, "FIELD_MISSING", "[1].state_version"),
        (
            WORD | {"reasons": [{"reason": "X", "level": 2}]},
            "FIELD_INVALID",
            "[1].reasons[0].reason",
        ),
    ],
)
async def test_a_line_that_makes_no_sense_is_named(
    world: World, line: Any, code: str, field: str
) -> None:
    reply = await compare(world, WORD, line)

    assert (reply.status, reply.json["code"], reply.json["field"]) == (400, code, field)


@pytest.mark.parametrize(
    ("path", "json", "status", "code"),
    [
        ("999/switch", CRM, 404, "PROVINCE_UNKNOWN"),
        ("200/switch", CRM | {"master": "backup"}, 409, "MASTER_ALREADY"),
        ("200/switch", CRM | {"master": "ESOP"}, 400, "FIELD_INVALID"),
        ("200/switch", {"master": "CRM"}, 400, "FIELD_MISSING"),
    ],
)
async def test_a_switch_that_makes_no_sense_is_refused(
    world: World, path: str, json: Any, status: int, code: str
) -> None:
    reply = await post(world, path, json)

    assert (reply.status, reply.json["code"]) == (status, code)


async def test_masters_are_for_staff_alone(world: World) -> None:
    replies = [
        await world.ask("GET", PATH, source=Source.BOSS),
        await world.ask("GET", f"{PATH}/200", source=Source.BOSS),
        await post(world, "200/switch", CRM, Source.CRM),
    ]

    assert {reply.json["code"] for reply in replies} == {"SOURCE_NOT_ALLOWED"}
