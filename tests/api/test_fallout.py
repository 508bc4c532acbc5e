"""The fallout desk over HTTP: who may look and act, and what is written down of it."""

from typing import Any

import orjson
import pytest

from hlrd.domain.fallout import Chosen
from hlrd.domain.orders import Source
from tests.api.client import Reply, World
from tests.api.fake_fallout import a_fallout_row

WHY = {"operator_id": "op7", "reason": "the profile is there now"}
MANY = {**WHY, "act": "resend", "filter": {"ne": "hlr1", "code": "3012"}}


async def ask(world: World, method: str, path: str, json: object = None) -> Reply:
    return await world.ask(method, f"/v1/fallout{path}", source=Source.OPS, json=json)


async def propose(world: World, **changes: Any) -> Reply:
    return await ask(world, "POST", "/acts", MANY | changes)


def facts(text: str | None) -> Any:
    assert text is not None
    return orjson.loads(text)


async def test_the_list_tells_where_each_is_stuck_and_how_many_wait_behind(world: World) -> None:
    world.fallout.put(a_fallout_row())
    query = "?ne=hlr1&code=3012&province=200&type=ARREARS_SUSPEND&older_than_s=60&limit=1"
    reply = await ask(world, "GET", query)

    (order,) = reply.json["orders"]
    assert (order["id"], order["ne"], order["ne_code"], order["waiting"]) == (
        "5", "hlr1", "3012", 2,
    )  # fmt: skip
    assert reply.json["next"] == "5"
    assert world.fallout.asked == [Chosen("hlr1", "3012", "200", "ARREARS_SUSPEND", 60.0)]


async def test_the_last_page_has_no_next(world: World) -> None:
    world.fallout.put(a_fallout_row())

    reply = await ask(world, "GET", "")

    assert reply.json["next"] is None


async def test_the_counts_are_shown_by_element_and_code(world: World) -> None:
    world.fallout.put(a_fallout_row())

    (count,) = (await ask(world, "GET", "/counts")).json["counts"]

    assert (count["ne"], count["ne_code"], count["orders"], count["waiting"]) == (
        "hlr1", "3012", 1, 2,
    )  # fmt: skip


async def test_one_order_is_shown_with_what_it_is_open_to(world: World) -> None:
    world.fallout.put(a_fallout_row())

    shown = (await ask(world, "GET", "/5")).json

    assert shown["acts"] == ["resend", "change", "skip", "finish", "toEoms"]
    assert shown["changeable"] == ["level"]
    assert shown["amendments"][0]["order"] == {"level": 1}
    assert shown["sheets"][0]["number"] == "F50001"


@pytest.mark.parametrize(
    ("path", "way"), [("resend", "resend"), ("skip", "resend"), ("finish", "finish")]
)
async def test_a_person_lets_an_order_go_and_it_is_written_down(
    world: World, path: str, way: str
) -> None:
    world.fallout.put(a_fallout_row())

    reply = await ask(world, "POST", f"/5/{path}", WHY)

    assert (reply.status, reply.json) == (202, {"id": "5", "act": path, "waiting": 2})
    assert world.fallout.rows[5].way == way
    (row,) = world.audit.rows_kept
    assert (row.action, row.subject, row.actor) == (f"fallout.{path}", "order:5", "op7")
    assert facts(row.after) == {"reason": WHY["reason"]}
    assert facts(row.before)["code"] == "3012"


async def test_a_change_names_the_fields_and_is_written_down(world: World) -> None:
    world.fallout.put(a_fallout_row())
    refused = await ask(world, "POST", "/5/change", {**WHY, "set": {"msisdn": "1"}})
    changed = await ask(world, "POST", "/5/change", {**WHY, "set": {"level": 1}})

    assert (refused.json["code"], refused.json["field"]) == ("FIELD_NOT_CHANGEABLE", "set.msisdn")
    assert changed.status == 202
    assert world.fallout.changed == {"level": 1}
    assert facts(world.audit.rows_kept[-1].after) == {
        "reason": WHY["reason"], "set": {"level": 1},
    }  # fmt: skip


async def test_what_only_goes_forward_is_not_cancelled_and_the_refusal_is_written_down(
    world: World,
) -> None:
    world.fallout.put(a_fallout_row())
    world.fallout.put(a_fallout_row(6, kind="MEMBER_ACTIVATE", is_undo=True))

    refused = await ask(world, "POST", "/5/cancel", WHY)
    cancelled = await ask(world, "POST", "/6/cancel", WHY)

    assert (refused.status, refused.json["code"]) == (409, "CANNOT_ROLL_BACK")
    assert cancelled.status == 202
    assert facts(world.audit.rows_kept[1].after) == {"refused": "CANNOT_ROLL_BACK", "row": 1}


async def test_an_order_is_handed_to_the_eoms_and_let_go_once(world: World) -> None:
    world.fallout.put(a_fallout_row())

    handed = await ask(world, "POST", "/5/to-eoms", WHY)
    sent = await ask(world, "POST", "/5/resend", WHY)
    again = await ask(world, "POST", "/5/finish", WHY)

    assert (handed.status, sent.status) == (202, 202)
    assert (again.status, again.json["code"]) == (409, "FALLOUT_RELEASED")


async def test_no_act_goes_without_a_person_and_a_reason(world: World) -> None:
    world.fallout.put(a_fallout_row())

    silent = await ask(world, "POST", "/5/resend", {"operator_id": "op7"})
    nobody = await ask(world, "POST", "/5/resend", {"reason": "mended"})

    assert [reply.json["field"] for reply in (silent, nobody)] == ["reason", "operator_id"]
    assert world.fallout.rows[5].way is None
    assert world.audit.rows_kept == []


@pytest.mark.parametrize("path", ["/7", "/x", "/99999999999999999999"])
async def test_what_is_not_at_the_desk_is_unknown(world: World, path: str) -> None:
    reply = await ask(world, "GET", path)

    assert (reply.status, reply.json["code"]) == (404, "NOT_IN_FALLOUT")


async def test_the_desk_is_for_staff_alone(world: World) -> None:
    world.fallout.put(a_fallout_row())
    asked = [
        await world.ask(method, f"/v1/fallout{path}", source=Source.CRM, json=body)
        for method, path, body in (
            ("GET", "", None),
            ("GET", "/counts", None),
            ("GET", "/5", None),
            ("POST", "/5/resend", WHY),
            ("POST", "/5/change", {**WHY, "set": {"level": 1}}),
            ("GET", "/acts", None),
            ("GET", "/acts/1", None),
            ("POST", "/acts", MANY),
            ("POST", "/acts/1/confirm", {"operator_id": "op7"}),
        )
    ]

    assert {reply.json["code"] for reply in asked} == {"SOURCE_NOT_ALLOWED"}


async def test_many_want_a_second_person_and_both_are_written_down(world: World) -> None:
    proposed = await propose(world)
    same = await ask(world, "POST", "/acts/1/confirm", {"operator_id": "op7"})
    other = await ask(world, "POST", "/acts/1/confirm", {"operator_id": "op8"})
    shown = await ask(world, "GET", "/acts/1")
    listed = await ask(world, "GET", "/acts")

    assert (proposed.status, proposed.headers["Location"]) == (201, "/v1/fallout/acts/1")
    assert (proposed.json["state"], proposed.json["count"]) == ("proposed", 40)
    assert proposed.json["filter"] == {"ne": "hlr1", "code": "3012"}
    assert (same.status, same.json["code"]) == (409, "SECOND_PERSON_NEEDED")
    assert (other.status, other.json["confirmed_by"]) == (202, "op8")
    assert shown.json["released"] == 40
    assert [one["id"] for one in listed.json["acts"]] == ["1"]
    told = [(str(row.action), row.actor) for row in world.audit.rows_kept]
    assert told == [
        ("fallout.propose", "op7"), ("fallout.confirm", "op7"), ("fallout.confirm", "op7"),
        ("fallout.confirm", "op8"),
    ]  # fmt: skip
    assert facts(world.audit.rows_kept[2].after) == {"refused": "SECOND_PERSON_NEEDED", "row": 2}


async def test_a_bulk_act_is_stopped_by_anybody(world: World) -> None:
    await propose(world, act="finish")

    stopped = await ask(world, "POST", "/acts/1/stop", {"operator_id": "op7"})

    assert (stopped.json["state"], stopped.json["ended_by"]) == ("stopped", "op7")


async def test_a_bulk_act_that_never_was_is_unknown(world: World) -> None:
    reply = await ask(world, "POST", "/acts/9/confirm", {"operator_id": "op8"})

    assert (reply.status, reply.json["code"]) == (404, "BULK_UNKNOWN")
