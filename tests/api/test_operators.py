"""Operators act under their own names with the rights that they have; every act asks for one."""

from collections.abc import AsyncIterator
from typing import Any, NamedTuple

import orjson
import pytest

from hlrd import metrics
from hlrd.codec.token import Cause
from hlrd.domain.audit import Action
from hlrd.domain.master import Master, Mastery
from hlrd.domain.orders import Source
from hlrd.domain.rights import READ, RIGHTS
from tests.api.client import Reply, World, a_member_activation, a_world, password
from tests.api.fake_fallout import a_fallout_row
from tests.api.fake_operators import token_of
from tests.api.fakes import an_import_row
from tests.api.test_description import ROOT
from tests.api.test_elements import in_an_hour
from tests.api.test_pools import RANGE
from tests.api.test_sims import a_card, a_lot, iccid, post_lot

NUMBER, CARD = "1064900000007", iccid(0)
ANNA = {"operator_id": "anna"}
WHY = {**ANNA, "reason": "HLR is back"}
LOCK = {**ANNA, "cause": "complaint"}
RESERVATION = {**ANNA, "province": "200", "count": 2}
BATCH = "order_id=B9&operator_id=anna&province=200&child=MEMBER_ACTIVATE"
CSV, NDJSON = "text/csv", "application/x-ndjson"
ORDER = a_member_activation(operator_id="anna")


class Asked(NamedTuple):
    """How to ask for an act in good form: it is refused for nothing but a right that is missing."""

    right: str
    path: str
    body: Any = None
    media: str = "application/json"


ACTS = {
    "POST /v1/work-orders": Asked("order.submit", "", ORDER),
    "POST /v1/work-orders/{id}/cancel": Asked("order.cancel", "/v1/work-orders/ORDER/cancel"),
    "POST /v1/work-orders/{id}/chase": Asked("order.chase", "/v1/work-orders/ORDER/chase"),
    "POST /v1/pools": Asked("pool.create", "", {"name": "new"}),
    "POST /v1/pools/{name}/ranges": Asked("pool.range", "/v1/pools/iot/ranges", RANGE),
    "PUT /v1/pools/{name}/low-water": Asked(
        "pool.low-water", "/v1/pools/iot/low-water", {"numbers": 5}
    ),
    "POST /v1/pools/{name}/shares": Asked(
        "pool.share", "/v1/pools/iot/shares", {**ANNA, "province": "200", "numbers": 10}
    ),
    "POST /v1/pools/{name}/shares/{first}/take-back": Asked(
        "pool.take-back", f"/v1/pools/iot/shares/{NUMBER}/take-back", ANNA
    ),
    "POST /v1/numbers/recycle": Asked("number.recycle-due", "", ANNA),
    "POST /v1/numbers/{msisdn}/lock": Asked("number.lock", f"/v1/numbers/{NUMBER}/lock", LOCK),
    "POST /v1/numbers/{msisdn}/unlock": Asked(
        "number.unlock", f"/v1/numbers/{NUMBER}/unlock", LOCK
    ),
    "POST /v1/numbers/{msisdn}/recycle": Asked(
        "number.recycle", f"/v1/numbers/{NUMBER}/recycle", ANNA
    ),
    "POST /v1/reservations": Asked("reservation.create", "", RESERVATION),
    "DELETE /v1/reservations/{id}": Asked("reservation.cancel", "/v1/reservations/1"),
    "POST /v1/reservations/{id}/extend": Asked(
        "reservation.extend", "/v1/reservations/1/extend", {"ttl_s": 60}
    ),
    "POST /v1/reservations/{id}/choose": Asked(
        "reservation.choose", "/v1/reservations/1/choose", {"numbers": [NUMBER]}
    ),
    "POST /v1/sim-cards/{iccid}/scrap": Asked("card.scrap", f"/v1/sim-cards/{CARD}/scrap", LOCK),
    "POST /v1/sim-lots": Asked(
        "import.start", "/v1/sim-lots?province=200&hlr=hlr1", b"", media=CSV
    ),
    "DELETE /v1/sim-imports/{id}": Asked("import.cancel", "/v1/sim-imports/7"),
    "POST /v1/batches": Asked("batch.post", f"/v1/batches?{BATCH}", b"user_id\n", media=CSV),
    "POST /v1/batches/{id}/pause": Asked("batch.pause", "/v1/batches/1/pause"),
    "POST /v1/batches/{id}/resume": Asked("batch.resume", "/v1/batches/1/resume"),
    "POST /v1/batches/{id}/cancel": Asked("batch.cancel", "/v1/batches/1/cancel"),
    "POST /v1/network-elements/{name}/hold": Asked(
        "ne.hold", "/v1/network-elements/hlr1/hold", {"until": in_an_hour(), "cause": "disk"}
    ),
    "POST /v1/network-elements/{name}/drain": Asked(
        "ne.drain", "/v1/network-elements/hlr1/drain", {"cause": "moves away"}
    ),
    "POST /v1/network-elements/{name}/release": Asked(
        "ne.release", "/v1/network-elements/hlr1/release"
    ),
    "POST /v1/segment-moves": Asked(
        "move.start", "", {**ANNA, "prefix": "106490", "from": "hlr1", "to": "hlr2"}
    ),
    "POST /v1/segment-moves/{id}/switch": Asked("move.switch", "/v1/segment-moves/1/switch", ANNA),
    "POST /v1/segment-moves/{id}/verify": Asked("move.verify", "/v1/segment-moves/1/verify", ANNA),
    "POST /v1/segment-moves/{id}/return": Asked("move.return", "/v1/segment-moves/1/return", ANNA),
    "POST /v1/fallout/{id}/resend": Asked("fallout.resend", "/v1/fallout/5/resend", WHY),
    "POST /v1/fallout/{id}/change": Asked(
        "fallout.change", "/v1/fallout/5/change", {**WHY, "set": {"services": ["SMS"]}}
    ),
    "POST /v1/fallout/{id}/skip": Asked("fallout.skip", "/v1/fallout/5/skip", WHY),
    "POST /v1/fallout/{id}/finish": Asked("fallout.finish", "/v1/fallout/5/finish", WHY),
    "POST /v1/fallout/{id}/cancel": Asked("fallout.cancel", "/v1/fallout/5/cancel", WHY),
    "POST /v1/fallout/{id}/to-eoms": Asked("fallout.to-eoms", "/v1/fallout/5/to-eoms", WHY),
    "POST /v1/fallout/acts": Asked(
        "fallout.propose", "", {**WHY, "act": "resend", "filter": {"ne": "hlr1"}}
    ),
    "POST /v1/fallout/acts/{id}/confirm": Asked(
        "fallout.confirm", "/v1/fallout/acts/1/confirm", ANNA
    ),
    "POST /v1/fallout/acts/{id}/stop": Asked("fallout.stop", "/v1/fallout/acts/1/stop", ANNA),
    "POST /v1/receipts/{id}/redeliver": Asked(
        "receipt.redeliver", "/v1/receipts/ORDER/redeliver", ANNA
    ),
    "POST /v1/receipt-endpoints/{name}/redeliver": Asked(
        "receipt.redeliver", "/v1/receipt-endpoints/main/redeliver", {**ANNA, "dead": True}
    ),
    "POST /v1/state-masters/{province}/switch": Asked(
        "master.drain", "/v1/state-masters/200/switch", {**ANNA, "master": "CRM"}
    ),
    "POST /v1/state-masters/{province}/cancel": Asked(
        "master.cancel", "/v1/state-masters/200/cancel", ANNA
    ),
    "POST /v1/state-masters/{province}/reconcile": Asked(
        "master.reconcile",
        "/v1/state-masters/200/reconcile?operator_id=anna&repair=yes",
        b"",
        media=NDJSON,
    ),
    "DELETE /v1/sessions/{id}": Asked("session.close", "/v1/sessions/CRM-7-1"),
    "POST /v1/accounts/{user}/unlock": Asked("account.unlock", "/v1/accounts/CRM/unlock"),
}

OF_SESSIONS = {
    "POST /v1/sessions",
    "POST /v1/sessions/current/heartbeat",
    "DELETE /v1/sessions/current",
}
"""Of source systems alone: they ask for a login, and keep and end what is their own."""


@pytest.fixture
async def world() -> AsyncIterator[World]:
    """One of everything that can be acted upon."""
    async with a_world() as world:
        for path, body in (("/v1/pools", {"name": "iot"}), ("/v1/pools/iot/ranges", RANGE)):
            await world.ask("POST", path, json=body, source=Source.OPS)
        await post_lot(world, a_lot(a_card(0)))
        world.imports.rows[7] = an_import_row(7)
        await world.post_order(ORDER)
        key = {"Idempotency-Key": "K1"}
        made = {**RESERVATION, "operator_id": "op"}
        await world.ask("POST", "/v1/reservations", json=made, headers=key)
        file = {"Content-Type": CSV}
        path = f"/v1/batches?{BATCH.replace('B9', 'B1')}"
        await world.ask("POST", path, data=b"user_id,ec_code\n1,EC1\n", headers=file)
        move = {"prefix": "106490", "from": "hlr1", "to": "hlr2", "operator_id": "op"}
        await world.ask("POST", "/v1/segment-moves", json=move, source=Source.OPS)
        world.fallout.put(a_fallout_row())
        world.masters.by_province["200"] = Mastery(Master.BOSS, Master.CRM)
        bulk = {"operator_id": "op", "reason": "x", "act": "resend", "filter": {"ne": "hlr1"}}
        await world.ask("POST", "/v1/fallout/acts", json=bulk, source=Source.OPS)
        await world.sessions.log_in("CRM", password(Source.CRM), "127.0.0.1")
        world.audit.rows_kept.clear()
        yield world


async def ask(world: World, method: str, path: str, *, name: str = "anna", **rest: Any) -> Reply:
    """As this operator."""
    sent = {"Authorization": f"Bearer {token_of(name)}", **rest.pop("headers", {})}
    return await world.ask(method, path, source=None, headers=sent, **rest)


async def act(world: World, route: str, **rest: Any) -> Reply:
    method, path = route.split()
    asked = ACTS[route]
    is_plain = asked.body is None or isinstance(asked.body, bytes)
    sent = {"Content-Type": asked.media, "Idempotency-Key": "K9", **rest.pop("headers", {})}
    data = asked.body if is_plain else orjson.dumps(asked.body)
    order = world.book.id_of(Source.ESOP, str(ORDER["order_id"]))
    path = (asked.path or path).replace("ORDER", str(order))
    return await ask(world, method, path, data=data, headers=sent, **rest)


def may(world: World, *rights: str, name: str = "anna") -> None:
    world.operators.rights[name] = set(rights)


def refused(right: str, code: str) -> int:
    return metrics.RIGHTS_REFUSED.labels(right, code).value


async def test_every_route_that_changes_anything_is_an_act_or_of_sessions(world: World) -> None:
    changing = {
        f"{route.method} {route.resource.canonical}"
        for route in world.app.router.routes()
        if route.resource is not None and route.method not in ("GET", "HEAD")
    }

    assert changing == ACTS.keys() | OF_SESSIONS
    assert {asked.right for asked in ACTS.values()} == RIGHTS - {READ}


# What is refused changes nothing, so one world does for all routes.


async def test_no_act_is_done_without_its_right(world: World) -> None:
    for route, (right, *_) in ACTS.items():
        world.audit.rows_kept.clear()
        may(world, *(RIGHTS - {right}))
        before = refused(right, "RIGHT_MISSING")

        reply = await act(world, route)

        assert (reply.status, reply.json["code"]) == (403, "RIGHT_MISSING"), route
        (row,) = world.audit.rows_kept
        assert (row.actor, row.source, row.action) == ("anna", "OPS", right)
        assert row.after == f'{{"refused":"RIGHT_MISSING","right":"{right}"}}'
        assert refused(right, "RIGHT_MISSING") == before + 1


async def test_no_act_is_done_while_nobody_can_say_who_may(world: World) -> None:
    may(world, *RIGHTS)
    world.operators.is_away = True
    for route in ACTS:
        world.audit.rows_kept.clear()

        reply = await act(world, route)

        assert (reply.status, reply.json["code"]) == (503, "AUTHORIZATION_UNAVAILABLE"), route
        (row,) = world.audit.rows_kept
        assert "AUTHORIZATION_UNAVAILABLE" in (row.after or "")


async def test_nobody_acts_under_another_name(world: World) -> None:
    may(world, *RIGHTS, name="mallory")
    for route in ACTS:
        world.audit.rows_kept.clear()

        reply = await act(world, route, name="mallory", headers={"Operator-Id": "anna"})

        assert (reply.status, reply.json["code"]) == (403, "OPERATOR_NOT_YOU"), route
        (row,) = world.audit.rows_kept
        assert row.actor == "mallory"


async def test_a_body_or_query_that_names_another_is_refused(world: World) -> None:
    may(world, *RIGHTS, name="mallory")
    naming = [route for route, asked in ACTS.items() if "operator_id" in f"{asked}"]
    assert len(naming) > 20

    for route in naming:
        reply = await act(world, route, name="mallory")

        assert (reply.status, reply.json["code"]) == (403, "OPERATOR_NOT_YOU"), route
    assert world.operators.asked == []


@pytest.mark.parametrize("route", ACTS)
async def test_with_its_right_alone_each_act_goes_on_under_the_operators_name(
    world: World, route: str
) -> None:
    right = ACTS[route].right
    may(world, right)

    reply = await act(world, route)

    assert reply.status < 500
    assert reply.status not in (401, 403), reply.json
    assert [(who, what) for who, what, _ in world.operators.asked] == [("anna", right)]
    rows = {(row.actor, row.action) for row in world.audit.rows_kept}
    assert rows == (set() if right == "order.submit" else {("anna", right)})


async def test_a_name_is_another_if_one_letter_is_large(world: World) -> None:
    may(world, *RIGHTS, name="Anna")

    reply = await act(world, "POST /v1/fallout/{id}/resend", name="Anna")

    assert reply.json["code"] == "OPERATOR_NOT_YOU"


async def test_where_nobody_need_be_named_it_is_the_operator_of_the_token(world: World) -> None:
    may(world, "import.cancel", "batch.pause")

    await act(world, "DELETE /v1/sim-imports/{id}")
    await act(world, "POST /v1/batches/{id}/pause")

    assert [row.actor for row in world.audit.rows_kept] == ["anna", "anna"]


# Two people.


async def test_a_bulk_act_needs_two_tokens_of_two_people(world: World) -> None:
    may(world, "fallout.propose", "fallout.confirm")
    may(world, "fallout.confirm", name="bert")
    proposed = await act(world, "POST /v1/fallout/acts")
    path = f"/v1/fallout/acts/{proposed.json['id']}/confirm"

    same = await ask(world, "POST", path, json=ANNA)
    lent = await ask(world, "POST", path, json={"operator_id": "bert"})
    other = await ask(world, "POST", path, name="bert", json={"operator_id": "bert"})

    assert (same.status, same.json["code"]) == (409, "SECOND_PERSON_NEEDED")
    assert (lent.status, lent.json["code"]) == (403, "OPERATOR_NOT_YOU")
    assert (other.status, other.json["confirmed_by"]) == (202, "bert")


# Orders.


async def test_orders_of_a_batch_under_another_name_are_refused_alone(world: World) -> None:
    may(world, "order.submit")
    orders = [
        a_member_activation(order_id=f"C{n}", user_id=f"{n}", operator_id=who)
        for n, who in enumerate(["anna", "bert", "anna"], 1)
    ]

    reply = await ask(world, "POST", "/v1/work-orders", json=orders)

    assert [reply.json[name] for name in ("accepted", "refused")] == [2, 1]
    assert orjson.dumps(reply.json).count(b"OPERATOR_NOT_YOU") == 1
    assert world.operators.asked == [("anna", "order.submit", "orders:3")]


async def test_one_order_is_asked_for_by_its_name(world: World) -> None:
    may(world, "order.submit")

    reply = await ask(world, "POST", "/v1/work-orders", json={**ORDER, "order_id": "X1"})

    assert reply.status in (200, 202), reply.json
    assert world.operators.asked == [("anna", "order.submit", "order:X1")]


async def test_orders_of_systems_come_in_while_nobody_can_say_who_may(world: World) -> None:
    world.operators.is_away = True

    reply = await world.post_order({**ORDER, "order_id": "Y1"})

    assert reply.status == 202
    assert world.operators.asked == []


# Looking.


@pytest.mark.parametrize("path", ["/v1/fallout", "/v1/audit", "/v1/pools", "/v1/sessions"])
async def test_looking_needs_the_right_to(world: World, path: str) -> None:
    without = await ask(world, "GET", path)
    may(world, READ)
    granted = await ask(world, "GET", path)

    assert (without.status, without.json["code"]) == (403, "RIGHT_MISSING")
    assert granted.status == 200
    assert world.audit.rows_kept == []


async def test_comparing_with_a_state_master_is_looking(world: World) -> None:
    path = "/v1/state-masters/200/reconcile?operator_id=anna"
    sent = {"Content-Type": NDJSON}
    without = await ask(world, "POST", path, data=b"", headers=sent)
    may(world, READ)
    granted = await ask(world, "POST", path, data=b"", headers=sent)

    assert (without.status, granted.status) == (403, 200)


async def test_what_is_open_to_all_needs_no_right(world: World) -> None:
    assert (await ask(world, "GET", "/openapi.yaml")).status == 200


# Tokens.


@pytest.mark.parametrize("cause", Cause)
async def test_a_token_of_no_use_says_what_is_wrong_with_it(world: World, cause: Cause) -> None:
    world.operators.wrong = cause

    reply = await ask(world, "GET", "/v1/fallout")

    code = "TOKEN_EXPIRED" if cause is Cause.EXPIRED else "TOKEN_INVALID"
    assert (reply.status, reply.json["code"]) == (401, code)
    assert reply.headers["WWW-Authenticate"].startswith("Bearer")


async def test_an_operators_token_is_of_no_session(world: World) -> None:
    reply = await ask(world, "POST", "/v1/sessions/current/heartbeat")

    assert (reply.status, reply.json["code"]) == (403, "SESSION_NONE")


async def test_tokens_of_the_configuration_have_the_rights_of_their_source(world: World) -> None:
    asked = ACTS["POST /v1/fallout/{id}/resend"]

    reply = await world.ask("POST", asked.path, json=asked.body, source=Source.OPS)

    assert reply.status == 202
    assert world.operators.asked == []


def test_every_right_is_in_the_documents() -> None:
    table = (ROOT / "docs" / "operators.md").read_text("utf-8").split("\n## Rights\n")[1]
    table = table.split("\n## ")[0]

    told = {right for right in {*RIGHTS, *map(str, Action)} if f"`{right}`" in table}

    assert told == RIGHTS
