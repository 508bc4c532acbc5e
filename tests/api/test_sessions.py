"""Source systems log in, keep their session and lose it; staff sees and ends what there is."""

import asyncio
from dataclasses import replace
from typing import Any

import orjson
import pytest

from hlrd import limits, metrics
from hlrd.domain.errors import Unavailable
from hlrd.domain.orders import Source
from tests.api.client import Reply, World, a_member_activation, password, until
from tests.api.test_errors import assert_problem

SESSIONS = "/v1/sessions"
CURRENT = "/v1/sessions/current"
HEARTBEAT = "/v1/sessions/current/heartbeat"


async def log_in(
    world: World, source: Source = Source.ESOP, user: str | None = None, **rest: Any
) -> Reply:
    said = {"user": user or str(source), "password": rest.pop("password", password(source))}
    return await world.ask("POST", SESSIONS, source=None, json=said, **rest)


async def a_token(world: World, source: Source = Source.ESOP) -> dict[str, str]:
    """As a header."""
    return {"Authorization": f"Bearer {(await log_in(world, source)).json['token']}"}


async def ask(world: World, method: str, path: str, head: dict[str, str], **rest: Any) -> Reply:
    return await world.ask(method, path, source=None, headers={**head, **rest})


async def status(world: World, head: dict[str, str]) -> int:
    return (await ask(world, "POST", HEARTBEAT, head)).status


def acts(world: World) -> list[tuple[str, str, str, str]]:
    return [(row.actor, row.source, row.action, row.subject) for row in world.audit.rows_kept]


async def test_a_login_gives_a_token_that_speaks_for_the_source_of_its_account(
    world: World,
) -> None:
    reply = await log_in(world)

    assert reply.status == 201
    assert reply.headers["Cache-Control"] == "no-store"
    assert reply.json.keys() == {"session", "source", "token", "expires_at", "heartbeat_s"}
    assert (reply.json["session"], reply.json["source"]) == ("ESOP-7-1", "ESOP")
    assert reply.json["heartbeat_s"] == 60
    assert reply.json["expires_at"] == "2026-11-22T20:16:40+08:00"
    order = await ask(
        world,
        "GET",
        "/v1/work-orders?order_id=A1",
        {"Authorization": f"Bearer {reply.json['token']}"},
    )
    assert_problem(order, 404, "ORDER_UNKNOWN")


async def test_every_order_shows_the_session_it_came_by(world: World) -> None:
    head = await a_token(world)
    one = await world.post_order(a_member_activation(), source=None, headers=head)
    many = await world.ask(
        "POST",
        "/v1/work-orders",
        source=None,
        headers=head,
        json=[a_member_activation(order_id=name) for name in ("A2", "A3")],
    )
    await world.post_order(a_member_activation(order_id="A4"))

    assert (one.status, many.json["accepted"]) == (202, 2)
    assert [seen.session for seen in world.book.seen] == [*["ESOP-7-1"] * 3, None]
    assert {seen.source for seen in world.book.seen} == {"ESOP"}


async def test_an_order_without_its_operator_is_refused_and_not_stored(world: World) -> None:
    head = await a_token(world)
    nobodys = a_member_activation()
    del nobodys["operator_id"]

    one = await world.post_order(nobodys, source=None, headers=head)
    many = await world.post_order(
        [a_member_activation(order_id="A2"), nobodys], source=None, headers=head
    )

    assert_problem(one, 400, "FIELD_MISSING")
    assert one.json["field"] == "operator_id"
    assert [answer["state"] for answer in many.json["answers"]] == ["queued", "refused"]
    assert many.json["answers"][1]["refusal"]["field"] == "[1].operator_id"
    assert len(world.book.records) == 1


async def test_a_batch_file_without_its_operator_is_refused_and_not_stored(world: World) -> None:
    head = {**await a_token(world), "Content-Type": "text/csv"}
    query = "order_id=B1&province=200&child=MEMBER_ACTIVATE"

    refused = await world.ask(
        "POST", f"/v1/batches?{query}", source=None, headers=head, data=b"user_id,ec_code\n1,EC1\n"
    )
    taken = await world.ask(
        "POST",
        f"/v1/batches?{query}&operator_id=li4",
        source=None,
        headers=head,
        data=b"user_id,ec_code\n1,EC1\n",
    )

    assert_problem(refused, 400, "FIELD_MISSING")
    assert (taken.status, len(world.batches.posted)) == (202, 1)
    row = world.audit.rows_kept[-1]
    assert (row.action, row.actor, row.source) == ("batch.post", "li4", "ESOP")
    assert '"session":"ESOP-7-1"' in str(row.after)


async def test_no_body_names_another_source(world: World) -> None:
    head = await a_token(world)

    reply = await world.post_order(a_member_activation(source="CRM"), source=None, headers=head)

    assert_problem(reply, 400, "FIELD_UNKNOWN")


# Staying logged in


async def test_a_heartbeat_keeps_a_session_and_silence_ends_it(world: World) -> None:
    head = await a_token(world)
    for _ in range(5):
        world.clock.now += 179
        assert await status(world, head) == 204

    world.clock.now += 180

    reply = await ask(world, "POST", HEARTBEAT, head)
    assert_problem(reply, 401, "TOKEN_UNKNOWN")
    assert reply.headers["WWW-Authenticate"].startswith("Bearer")


async def test_any_request_is_heard(world: World) -> None:
    head = await a_token(world)
    world.clock.now += 179
    await ask(world, "GET", "/v1/receipts", head)
    world.clock.now += 179

    assert await status(world, head) == 204


async def test_a_session_is_over_after_its_lifetime_however_often_it_was_heard_of(
    world: World,
) -> None:
    head = await a_token(world)
    end = world.clock.now + 86_400
    while world.clock.now + 170 < end:
        world.clock.now += 170
        assert await status(world, head) == 204

    world.clock.now = end

    assert await status(world, head) == 401


async def test_who_logs_out_is_out(world: World) -> None:
    head, other = await a_token(world), await a_token(world)

    reply = await ask(world, "DELETE", CURRENT, head)

    assert reply.status == 204
    assert (await status(world, head), await status(world, other)) == (401, 204)


@pytest.mark.parametrize(("method", "path"), [("POST", HEARTBEAT), ("DELETE", CURRENT)])
async def test_a_token_of_the_configuration_is_of_no_session(
    world: World, method: str, path: str
) -> None:
    assert_problem(await world.ask(method, path), 403, "SESSION_NONE")


async def test_one_login_more_than_an_account_may_have_ends_the_one_longest_unheard_of(
    world: World,
) -> None:
    heads = [await a_token(world) for _ in range(8)]
    world.clock.now += 1
    for head in heads[1:]:
        await status(world, head)

    await a_token(world)

    assert [await status(world, head) for head in heads] == [401, *[204] * 7]


async def test_a_long_poll_ends_with_its_session_and_the_next_is_401(world: World) -> None:
    world.receipts.hangs = True
    head = await a_token(world)
    async with asyncio.timeout(30), asyncio.TaskGroup() as group:
        polling = group.create_task(ask(world, "GET", "/v1/receipts?after=7&wait=60", head))
        await until(lambda: bool(world.receipts.waits))
        world.sessions.close("ESOP-7-1")

    assert (polling.result().status, polling.result().json["cursor"]) == (200, 7)
    assert (await ask(world, "GET", "/v1/receipts", head)).status == 401


async def test_a_stream_ends_with_its_session(world: World) -> None:
    assert world.http is not None
    head = await a_token(world)
    url = f"http://127.0.0.1:{world.port}/v1/receipts/stream"
    async with asyncio.timeout(30), world.http.get(url, headers=head) as response:
        assert await response.content.readuntil(b"\n\n") == b"retry: 2000\n\n"
        world.clock.now += 180
        world.sessions.look()

        assert await response.content.read() == b""
    async with world.http.get(url, headers=head) as response:
        assert response.status == 401


async def test_a_wait_that_begins_after_its_session_ended_is_none(world: World) -> None:
    """Between its token and its wait a request may have a body to read."""
    head = await a_token(world)
    body = asyncio.Event()

    async def slow() -> Any:
        yield orjson.dumps(a_member_activation())[:10]
        await body.wait()
        yield orjson.dumps(a_member_activation())[10:]

    async with asyncio.timeout(30), asyncio.TaskGroup() as group:
        posting = group.create_task(
            world.ask(
                "POST",
                "/v1/work-orders",
                source=None,
                data=slow(),
                headers={**head, "Prefer": "wait=60"},
            )
        )
        await until(lambda: world.bodies._bytes_held > 0)
        world.sessions.close("ESOP-7-1")
        body.set()

    assert posting.result().status == 202


async def test_an_order_that_waits_is_answered_as_it_stands_and_goes_on(world: World) -> None:
    head = await a_token(world)
    async with asyncio.timeout(30), asyncio.TaskGroup() as group:
        waiting = group.create_task(
            world.post_order(
                a_member_activation(), source=None, headers={**head, "Prefer": "wait=60"}
            )
        )
        await until(lambda: bool(world.book.waiters))
        world.sessions.close("ESOP-7-1")

    assert (waiting.result().status, waiting.result().json["state"]) == (202, "executing")
    assert len(world.book.records) == 1


async def test_waits_of_others_go_on(world: World) -> None:
    world.receipts.hangs = True
    head = await a_token(world)
    await a_token(world)
    async with asyncio.timeout(30), asyncio.TaskGroup() as group:
        polling = group.create_task(ask(world, "GET", "/v1/receipts?wait=60", head))
        await until(lambda: bool(world.receipts.waits))
        world.sessions.close("ESOP-7-2")
        await status(world, head)

        assert not polling.done()
        world.sessions.close("ESOP-7-1")


# Wrong passwords


async def test_a_wrong_password_and_a_user_that_is_none_are_answered_alike(world: World) -> None:
    wrong = await log_in(world, password="not the password")
    nobody = await log_in(world, user="nobody")

    assert_problem(wrong, 401, "LOGIN_REFUSED")
    assert wrong.headers["WWW-Authenticate"].startswith("Bearer")
    assert (nobody.status, nobody.body) == (wrong.status, wrong.body)
    assert acts(world) == [
        ("hlrd", "hlrd", "session.refuse", "account:ESOP"),
        ("hlrd", "hlrd", "session.refuse", "account:?"),
    ]


@pytest.mark.parametrize("user", ["ESOP", "nobody"])
async def test_wrong_passwords_in_a_row_lock_whoever_it_is(world: World, user: str) -> None:
    wrong = [await log_in(world, user=user, password=f"guess number {n}") for n in range(5)]
    right = await log_in(world, user=user)
    world.clock.now += 299
    still = await log_in(world, user=user)
    world.clock.now += 1
    after = await log_in(world, user=user)

    assert [reply.status for reply in wrong] == [401, 401, 401, 401, 423]
    assert_problem(right, 423, "LOGIN_LOCKED")
    assert right.headers["Retry-After"] == "300"
    assert still.headers["Retry-After"] == "1"
    assert after.status == (201 if user == "ESOP" else 401)
    assert [row.action for row in world.audit.rows_kept].count("account.lock") == 1


async def test_sessions_that_are_open_outlive_the_lock_of_their_account(world: World) -> None:
    head = await a_token(world)

    for _ in range(5):
        await log_in(world, password="not the password")

    assert await status(world, head) == 204


async def test_a_login_in_between_starts_the_count_anew(world: World) -> None:
    for said in ["wrong password"] * 4 + [password(Source.ESOP)] + ["wrong password"] * 4:
        reply = await log_in(world, password=said)

    assert reply.status == 401
    assert (await log_in(world)).status == 201


async def test_a_flood_of_logins_is_refused_before_anything_is_looked_at(world: World) -> None:
    replies = [
        await log_in(world, user=f"nobody{number}")
        for number in range(limits.LOGINS_OF_ADDRESS_BURST + 5)
    ]

    assert [reply.status for reply in replies[-5:]] == [429] * 5
    assert_problem(replies[-1], 429, "LOGINS_FULL")
    assert replies[-1].headers["Retry-After"] == "1"
    assert len(world.audit.rows_kept) == limits.LOGINS_OF_ADDRESS_BURST
    world.clock.now += 1
    assert (await log_in(world)).status == 201


@pytest.mark.parametrize(
    ("said", "code"),
    [
        ({}, "FIELD_MISSING"),
        ({"user": "ESOP"}, "FIELD_MISSING"),
        ({"user": "ESOP", "password": ""}, "FIELD_INVALID"),
        ({"user": "ESOP", "password": 12345678}, "FIELD_INVALID"),
        ({"user": "ESOP", "password": "x" * 257}, "FIELD_INVALID"),
        ({"user": "ESOP", "password": "secret-word", "source": "OPS"}, "FIELD_UNKNOWN"),
        ([], "FIELD_INVALID"),
    ],
)
async def test_a_login_of_another_shape_is_refused_and_not_quoted(
    world: World, said: object, code: str
) -> None:
    reply = await world.ask("POST", SESSIONS, source=None, json=said)

    assert_problem(reply, 400, code)
    assert b"12345678" not in reply.body
    assert b"secret-word" not in reply.body


async def test_the_body_of_a_login_is_small(world: World) -> None:
    async def endless() -> Any:
        while True:
            yield b" " * 1_024

    told = await log_in(world, password="x" * limits.LOGIN_BYTES_MAX)
    untold = await world.ask("POST", SESSIONS, source=None, data=endless())

    assert_problem(told, 413, "BODY_TOO_LARGE")
    assert_problem(untold, 413, "BODY_TOO_LARGE")


async def test_nobody_is_logged_in_while_the_audit_trail_cannot_be_written(world: World) -> None:
    world.audit.refusal = Unavailable("AUDIT_UNAVAILABLE", "later", 5.0)

    reply = await log_in(world)

    assert_problem(reply, 503, "AUDIT_UNAVAILABLE")
    assert world.sessions.shown() == []


# What staff sees and does


async def test_staff_sees_who_is_logged_in_and_never_a_token(world: World) -> None:
    opened = await log_in(world)
    world.clock.now += 30
    await log_in(world, password="not the password")

    reply = await world.ask("GET", SESSIONS, source=Source.OPS)

    assert reply.json["sessions"] == [
        {
            "session": "ESOP-7-1",
            "user": "ESOP",
            "source": "ESOP",
            "address": "127.0.0.1",
            "since": "2026-11-21T20:16:40+08:00",
            "heard_at": "2026-11-21T20:16:40+08:00",
            "expires_at": "2026-11-22T20:16:40+08:00",
        }
    ]
    esop = next(one for one in reply.json["accounts"] if one["user"] == "ESOP")
    assert esop == {"user": "ESOP", "source": "ESOP", "sessions": 1, "locked_until": None}
    assert len(reply.json["accounts"]) == len(Source)
    for secret in (opened.json["token"], password(Source.ESOP)):
        assert secret.encode() not in reply.body


async def test_staff_closes_a_session(world: World) -> None:
    head = await a_token(world)

    reply = await world.ask("DELETE", f"{SESSIONS}/ESOP-7-1", source=Source.OPS)
    again = await world.ask("DELETE", f"{SESSIONS}/ESOP-7-1", source=Source.OPS)

    assert (reply.status, reply.json["session"]) == (200, "ESOP-7-1")
    assert_problem(again, 404, "SESSION_UNKNOWN")
    assert await status(world, head) == 401
    assert acts(world)[-1] == ("unnamed", "OPS", "session.close", "session:ESOP-7-1")


async def test_staff_unlocks_an_account(world: World) -> None:
    for _ in range(5):
        await log_in(world, password="not the password")
    locked = await world.ask("GET", SESSIONS, source=Source.OPS)

    reply = await world.ask("POST", "/v1/accounts/ESOP/unlock", source=Source.OPS)
    nobody = await world.ask("POST", "/v1/accounts/nobody/unlock", source=Source.OPS)

    until_when = next(one for one in locked.json["accounts"] if one["user"] == "ESOP")
    assert until_when["locked_until"] == "2026-11-21T20:21:40+08:00"
    assert (reply.status, reply.json["locked_until"]) == (200, None)
    assert_problem(nobody, 404, "ACCOUNT_UNKNOWN")
    assert (await log_in(world)).status == 201
    assert ("unnamed", "OPS", "account.unlock", "account:ESOP") in acts(world)


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", SESSIONS),
        ("DELETE", f"{SESSIONS}/ESOP-7-1"),
        ("POST", "/v1/accounts/ESOP/unlock"),
    ],
)
async def test_all_that_is_for_staff_alone(world: World, method: str, path: str) -> None:
    head = await a_token(world)

    assert_problem(await ask(world, method, path, head), 403, "SOURCE_NOT_ALLOWED")
    assert await status(world, head) == 204


async def test_the_trail_and_the_metrics_tell_of_each_session(world: World) -> None:
    opened = metrics.LOGINS.labels("ESOP", "opened")
    logged_out = metrics.SESSIONS_ENDED.labels("ESOP", "loggedOut")
    before = opened.value, logged_out.value
    head = await a_token(world)
    await a_token(world, Source.CRM)
    await ask(world, "DELETE", CURRENT, head)
    world.clock.now += 180
    world.sessions.look()

    assert acts(world) == [
        ("ESOP", "ESOP", "session.open", "session:ESOP-7-1"),
        ("CRM", "CRM", "session.open", "session:CRM-7-2"),
        ("ESOP", "ESOP", "session.close", "session:ESOP-7-1"),
        ("hlrd", "hlrd", "session.close", "session:CRM-7-2"),
    ]
    assert [row.after for row in world.audit.rows_kept[2:]] == [
        '{"cause":"loggedOut"}',
        '{"cause":"idle"}',
    ]
    assert (opened.value, logged_out.value) == (before[0] + 1, before[1] + 1)


async def test_the_trail_of_an_order_begins_with_who_posted_it(world: World) -> None:
    head = await a_token(world)
    order = (await world.post_order(a_member_activation(), source=None, headers=head)).json["id"]
    world.book.records[int(order)] = replace(world.book.records[int(order)], session="ESOP-7-1")

    found = await world.ask("GET", f"/v1/audit?order={order}", source=Source.OPS)
    nothing = await world.ask("GET", "/v1/audit?order=7", source=Source.OPS)
    shown = await world.ask("GET", f"/v1/work-orders/{order}", source=Source.OPS)

    assert found.json["posted"] == {
        "at": "2026-11-21T20:00:00+08:00",
        "type": "MEMBER_ACTIVATE",
        "order_id": "A1",
        "source": "ESOP",
        "operator_id": "op1",
        "session": "ESOP-7-1",
    }
    assert nothing.json["posted"] is None
    assert shown.json["session"] == "ESOP-7-1"
