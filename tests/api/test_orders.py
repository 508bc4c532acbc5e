"""Work orders over a real socket: one, many, waited for, repeated, looked up."""

import asyncio
import gzip
from dataclasses import replace

import orjson
import pytest

from hlrd import limits
from hlrd.api.seam import Status
from hlrd.domain.errors import Busy, Conflict, Unavailable
from hlrd.domain.orders import Source
from tests.api.client import Reply, World, a_member_activation, until
from tests.api.fakes import a_trail, an_order_record


async def test_an_order_is_answered_202_with_its_place_and_its_resources(world: World) -> None:
    reply = await world.post_order(a_member_activation())

    order = world.book.id_of("ESOP", "A1")
    assert reply.status == 202
    assert reply.headers["Location"] == f"/v1/work-orders/{order}"
    assert reply.json == {
        "order_id": "A1",
        "id": str(order),
        "state": "queued",
        "msisdn": world.book.binding(order).msisdn,
        "imsi": world.book.binding(order).imsi,
        "iccid": world.book.binding(order).iccid,
    }


async def test_the_source_comes_from_the_token(world: World) -> None:
    await world.post_order(a_member_activation(), source=Source.PBOSS)

    assert [submission.source for submission in world.book.seen] == ["PBOSS"]


async def test_a_body_cannot_name_its_source(world: World) -> None:
    reply = await world.post_order(a_member_activation(source="OPS"))

    assert (reply.status, reply.json["code"], reply.json["field"]) == (
        400,
        "FIELD_UNKNOWN",
        "source",
    )


async def test_the_same_order_again_gives_the_stored_answer(world: World) -> None:
    first = await world.post_order(a_member_activation())
    again = await world.post_order(a_member_activation())

    assert again.status == 202
    assert again.json == {**first.json, "repeated": True}


async def test_the_same_order_again_after_its_close_gives_the_receipt(world: World) -> None:
    first = await world.post_order(a_member_activation())
    world.book.close(world.book.id_of("ESOP", "A1"))

    again = await world.post_order(a_member_activation())

    assert again.status == 200
    assert again.json["receipt"]["result"] == "succeeded"
    assert again.json["msisdn"] == first.json["msisdn"]


async def test_the_same_id_with_other_content_is_409(world: World) -> None:
    await world.post_order(a_member_activation())
    reply = await world.post_order(a_member_activation(ec_code="EC2"))

    assert (reply.status, reply.json["code"]) == (409, "DUPLICATE_CONFLICT")


async def test_a_single_refusal_is_a_problem_that_names_the_field(world: World) -> None:
    reply = await world.post_order(a_member_activation(province="2000"))

    assert reply.status == 400
    assert reply.headers["Content-Type"] == "application/problem+json"
    assert reply.json["type"] == "urn:hlrd:problem:field-invalid"
    assert reply.json["title"] == "Field invalid"
    assert reply.json["status"] == 400
    assert reply.json["field"] == "province"


@pytest.mark.parametrize(
    ("refusal", "status"),
    [(Busy("ADMISSION_FULL", "too much", 2.2), 429), (Unavailable("DRAINING", "bye", 5.0), 503)],
)
async def test_overload_says_when_to_come_back(world: World, refusal: Busy, status: int) -> None:
    world.book.refusal = refusal
    reply = await world.post_order(a_member_activation())

    assert reply.status == status
    assert int(reply.headers["Retry-After"]) >= refusal.retry_after_s
    assert reply.json["retry_after_s"] == refusal.retry_after_s


async def test_an_order_is_refused_at_once_while_the_journal_is_out_of_reach(world: World) -> None:
    world.status = Status(ready=False, reason="the database is out of reach")

    reply = await world.post_order(a_member_activation())

    assert (reply.status, reply.json["code"]) == (503, "NOT_READY")
    assert reply.headers["Retry-After"] == "1"
    assert not world.book.records


# Waiting


async def until_submitted(world: World) -> None:
    await asyncio.wait_for(world.book.submitted.wait(), 5)
    await asyncio.sleep(0)


async def close_when_taken(world: World) -> None:
    await until(lambda: bool(world.book.waiters))
    world.book.close(world.book.id_of("ESOP", "A1"))


async def test_a_waiting_client_gets_the_receipt(world: World) -> None:
    async with asyncio.TaskGroup() as group:
        waiting = group.create_task(
            world.post_order(a_member_activation(), headers={"Prefer": "wait=30"})
        )
        group.create_task(close_when_taken(world))

    reply = waiting.result()
    assert reply.status == 200
    assert reply.headers["Preference-Applied"] == "wait=30"
    assert reply.json["receipt"]["result"] == "succeeded"


async def test_a_synchronous_order_waits_by_itself(world: World) -> None:
    async with asyncio.TaskGroup() as group:
        waiting = group.create_task(
            world.post_order(a_member_activation(mode="sync", deadline_ms=30_000))
        )
        group.create_task(close_when_taken(world))

    assert waiting.result().status == 200
    assert "Preference-Applied" not in waiting.result().headers


async def test_at_the_deadline_the_order_is_processing_and_no_failure(world: World) -> None:
    reply = await world.post_order(a_member_activation(mode="sync", deadline_ms=1))

    order = world.book.id_of("ESOP", "A1")
    assert reply.status == 202
    assert reply.json["state"] == "executing"
    assert reply.json["id"] == str(order)
    assert reply.json["msisdn"] == world.book.binding(order).msisdn
    assert reply.headers["Location"] == f"/v1/work-orders/{order}"


async def test_the_deadline_does_not_promise_what_is_not_durable(world: World) -> None:
    world.book.holds = True

    async with asyncio.TaskGroup() as group:
        waiting = group.create_task(
            world.post_order(a_member_activation(mode="sync", deadline_ms=1))
        )
        await until_submitted(world)
        done, _ = await asyncio.wait([waiting], timeout=0.05)
        world.book.release()

    assert not done
    assert waiting.result().status == 202


async def test_a_failed_order_is_no_failed_request_and_keeps_no_number(world: World) -> None:
    async with asyncio.TaskGroup() as group:
        waiting = group.create_task(
            world.post_order(a_member_activation(), headers={"Prefer": "wait=30"})
        )
        await until_submitted(world)
        await until(lambda: bool(world.book.waiters))
        world.book.close(world.book.id_of("ESOP", "A1"), "failed")

    reply = waiting.result()
    assert (reply.status, reply.json["state"]) == (200, "failed")
    assert "msisdn" not in reply.json


async def test_nobody_is_called_back_after_the_deadline(world: World) -> None:
    await world.post_order(a_member_activation(mode="sync", deadline_ms=1))

    assert world.book.waiters == {}


async def test_a_repeat_of_an_open_order_waits_for_the_same_receipt(world: World) -> None:
    await world.post_order(a_member_activation())

    async with asyncio.TaskGroup() as group:
        waiting = group.create_task(
            world.post_order(a_member_activation(), headers={"Prefer": "wait=30"})
        )
        await until(lambda: bool(world.book.waiters))
        world.book.close(world.book.id_of("ESOP", "A1"))

    assert (waiting.result().status, waiting.result().json["repeated"]) == (200, True)


async def test_what_is_never_known_to_be_durable_is_503(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "SETTLE_TIMEOUT_S", 0.05)
    world.book.holds = True

    plain = await world.post_order(a_member_activation())
    waited = await world.post_order(a_member_activation(mode="sync", deadline_ms=1))

    assert (plain.status, plain.json["code"]) == (503, "UNSETTLED")
    assert (waited.status, waited.json["code"]) == (503, "UNSETTLED")


async def test_a_refused_order_does_not_wait(world: World) -> None:
    world.book.refusal = Conflict("USER_EXISTS", "the user is there")
    reply = await world.post_order(a_member_activation(), headers={"Prefer": "wait=60"})

    assert reply.status == 409


async def test_an_answer_for_a_client_that_left_is_dropped(world: World) -> None:
    world.book.holds = True
    posting = asyncio.create_task(world.post_order(a_member_activation()))
    await until_submitted(world)

    posting.cancel()
    await asyncio.wait([posting])
    world.book.release()

    assert (await world.post_order(a_member_activation())).json["repeated"] is True


# Batches


def some_orders(count: int) -> list[dict[str, object]]:
    return [
        a_member_activation(order_id=f"A{number}", user_id=str(number)) for number in range(count)
    ]


async def test_a_batch_is_answered_in_order_and_each_on_its_own(world: World) -> None:
    orders: list[object] = [*some_orders(5)]
    orders[1] = a_member_activation(order_id="bad", province="999")
    orders[3] = 7
    await world.post_order(a_member_activation(order_id="A4", user_id="4"))

    reply = await world.post_order(orders)

    assert reply.status == 200
    assert [reply.json[name] for name in ("accepted", "repeated", "refused")] == [2, 1, 2]
    answers = reply.json["answers"]
    assert [answer["order_id"] for answer in answers] == ["A0", None, "A2", None, "A4"]
    assert [answer["state"] for answer in answers] == [
        "queued",
        "refused",
        "queued",
        "refused",
        "queued",
    ]
    assert answers[1]["refusal"]["field"] == "[1].province"
    assert answers[3]["refusal"]["field"] == "[3]"
    assert answers[4]["repeated"] is True


async def test_a_batch_larger_than_a_slice_keeps_its_order(world: World) -> None:
    orders = some_orders(2 * limits.DECODE_SLICE_ORDERS + 1)
    reply = await world.post_order(orders)

    assert [answer["order_id"] for answer in reply.json["answers"]] == [
        order["order_id"] for order in orders
    ]


async def test_ndjson_is_answered_line_by_line(world: World) -> None:
    lines = [orjson.dumps(order) for order in some_orders(3)]
    lines.insert(1, b'{"broken":')
    reply = await world.ask(
        "POST",
        "/v1/work-orders",
        data=b"\n".join([*lines, b"", b""]),
        headers={"Content-Type": "application/x-ndjson"},
    )

    assert reply.status == 200
    assert reply.headers["Content-Type"] == "application/x-ndjson"
    answers = [orjson.loads(line) for line in reply.body.splitlines()]
    assert [answer["order_id"] for answer in answers] == ["A0", None, "A1", "A2"]
    assert answers[1]["refusal"]["code"] == "JSON_INVALID"


async def test_a_batch_refused_whole_for_load_is_a_problem_with_the_longest_wait(
    world: World,
) -> None:
    world.book.refusal = Busy("ADMISSION_FULL", "too much", 3.0)
    reply = await world.post_order(some_orders(3))

    assert (reply.status, reply.json["code"]) == (429, "ADMISSION_FULL")
    assert reply.headers["Retry-After"] == "3"


async def test_a_packed_body_is_unpacked(world: World) -> None:
    reply = await world.ask(
        "POST",
        "/v1/work-orders",
        data=gzip.compress(orjson.dumps(some_orders(3))),
        headers={"Content-Encoding": "gzip"},
    )

    assert reply.json["accepted"] == 3


async def test_of_a_packed_body_that_is_cut_off_nothing_is_taken(world: World) -> None:
    lines = b"\n".join(orjson.dumps(order) for order in some_orders(50))
    packed = gzip.compress(lines)

    reply = await world.ask(
        "POST",
        "/v1/work-orders",
        data=packed[:-20],
        headers={"Content-Encoding": "gzip", "Content-Type": "application/x-ndjson"},
    )

    assert (reply.status, reply.json["code"]) == (400, "BODY_BROKEN")


async def test_a_bomb_is_refused_as_any_body_above_the_limit(world: World) -> None:
    reply = await world.ask(
        "POST",
        "/v1/work-orders",
        data=gzip.compress(b" " * (limits.BODY_BYTES_MAX + 1)),
        headers={"Content-Encoding": "gzip"},
    )

    assert (reply.status, reply.json["code"]) == (413, "BODY_TOO_LARGE")


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        (b"[]", 400, "BATCH_EMPTY"),
        (b"[1,2", 400, "JSON_INVALID"),
        (b"[" * 100_000, 400, "JSON_INVALID"),
        (b"[" + b"1," * limits.BATCH_ORDERS_MAX + b"1]", 413, "BATCH_TOO_LARGE"),
        (b"[" + b"1," * limits.BATCH_COMMAS_MAX + b"1,1]", 413, "BATCH_TOO_LARGE"),
        (b" \n[{}] x", 400, "JSON_INVALID"),
    ],
)
async def test_a_batch_that_is_none_is_refused_whole(
    world: World, body: bytes, status: int, code: str
) -> None:
    reply = await world.ask("POST", "/v1/work-orders", data=body)

    assert (reply.status, reply.json["code"]) == (status, code)
    assert world.book.seen == []


@pytest.mark.parametrize("lines", [b"{}\n" * (limits.BATCH_ORDERS_MAX + 1), b"\n" * 30_000])
async def test_too_many_lines_are_refused_whole(world: World, lines: bytes) -> None:
    reply = await world.ask(
        "POST", "/v1/work-orders", data=lines, headers={"Content-Type": "application/x-ndjson"}
    )

    assert (reply.status, reply.json["code"]) == (413, "BATCH_TOO_LARGE")


# Looking up


async def find(world: World, source: Source, order: int) -> list[Reply]:
    return [
        await world.ask("GET", f"/v1/work-orders/{order}", source=source),
        await world.ask("GET", "/v1/work-orders?order_id=A1&source=ESOP", source=source),
    ]


async def test_an_order_is_shown_to_its_source_and_to_staff(world: World) -> None:
    await world.post_order(a_member_activation())
    order = world.book.id_of("ESOP", "A1")

    replies = await find(world, Source.ESOP, order) + await find(world, Source.OPS, order)

    assert [reply.status for reply in replies] == [200] * 4
    shown = replies[0].json
    assert shown["id"] == str(order)
    assert shown["state"] == "executing"
    binding = world.book.binding(order)
    (task,) = shown["tasks"]
    assert (task["operation"], task["ne"], task["state"]) == ("addKey", "hlr1", "sent")
    assert task["request"] == f"ADD KI:IMSI={binding.imsi};"
    assert task["commands"] == [
        {
            "intent": "execute",
            "at": "2026-11-21T20:00:00.000+08:00",
            "elapsed_ms": 12.0,
            "verdict": "done",
            "code": "0",
            "text": "SUCCESS0001",
        }
    ]
    assert shown["order"]["ec_code"] == "EC1"
    assert shown["resources"]["hlr"] == "hlr1"
    assert all(reply.json == shown for reply in replies)


async def test_a_closed_order_is_shown_with_receipt_and_trail(world: World) -> None:
    await world.post_order(a_member_activation())
    order = world.book.id_of("ESOP", "A1")
    world.book.close(order)

    shown = (await world.ask("GET", f"/v1/work-orders/{order}")).json

    assert shown["state"] == "succeeded"
    assert [receipt["result"] for receipt in shown["receipts"]] == ["succeeded"]
    assert [task["state"] for task in shown["tasks"]] == ["done"]


async def test_a_fallout_order_is_shown_with_what_led_to_it(world: World) -> None:
    record = an_order_record(5, state="fallout")
    world.book.records[5] = replace(record, trail=a_trail("failed"))
    world.book.live[5] = {"state": "fallout"}

    shown = (await world.ask("GET", "/v1/work-orders/5")).json

    assert shown["state"] == "fallout"
    assert [task["state"] for task in shown["tasks"]] == ["failed"]
    assert shown["accepted_at"].endswith("+08:00")


async def test_another_sources_order_is_unknown(world: World) -> None:
    await world.post_order(a_member_activation())

    replies = await find(world, Source.BOSS, world.book.id_of("ESOP", "A1"))

    assert [(reply.status, reply.json["code"]) for reply in replies] == [(404, "ORDER_UNKNOWN")] * 2


@pytest.mark.parametrize("id", ["1", "0", "-1", "x", "9" * 19, "9" * 20, "１", "%00", "1%0A"])
async def test_an_id_that_is_none_is_unknown(world: World, id: str) -> None:
    reply = await world.ask("GET", f"/v1/work-orders/{id}")

    assert (reply.status, reply.json["code"]) == (404, "ORDER_UNKNOWN")


async def test_no_key_comes_back(world: World) -> None:
    ki = "0123456789ABCDEF0123456789ABCDEF"
    order = {
        "type": "USER_OPEN", "order_id": "A1", "province": "200", "operator_id": "op1",
        "user_id": "1", "msisdn": "13800138000", "imsi": "460001234567890",
        "iccid": "8986011234567890123", "services": ["SMS"], "ki": ki, "keyid": 1,
    }  # fmt: skip
    posted = await world.post_order(order)
    shown = await world.ask("GET", f"/v1/work-orders/{posted.json['id']}")

    assert (posted.status, shown.status) == (202, 200)
    assert ki.encode() not in posted.body + shown.body
