"""Imports of SIM lots: the file in, how far it is, what was wrong with it."""

import asyncio
import gzip
from collections.abc import AsyncIterator
from dataclasses import replace
from hashlib import sha256
from typing import Any

import pytest

from hlrd import limits
from hlrd.domain.lifecycle import ImportState
from hlrd.domain.orders import Source
from hlrd.store.record import ImportRow
from tests.api.client import Reply, World
from tests.api.fakes import an_import_row
from tests.api.test_sims import KI, a_card, a_lot, post_lot

HOME = "province=200&hlr=hlr1"


async def post(world: World, data: Any, **headers: str) -> Reply:
    return await world.ask(
        "POST",
        f"/v1/sim-lots?{HOME}",
        data=data,
        headers={"Content-Type": "text/csv", **headers},
        source=Source.OPS,
    )


async def see(world: World, path: str) -> Reply:
    return await world.ask("GET", path, source=Source.OPS)


async def test_a_small_file_is_imported_while_its_sender_waits(world: World) -> None:
    lot = a_lot(*(a_card(n, ki=f"{KI}1") for n in range(1_200)))

    reply = await post_lot(world, lot, f"{HOME}&operator_id=zhang3")
    shown = await see(world, "/v1/sim-imports/1")

    assert (reply.status, reply.json["quantity"]) == (201, 1_200)
    assert shown.json == {
        "id": "1", "state": "done", "lot": "L1", "province": "200", "hlr": "hlr1",
        "operator_id": "zhang3", "sha256": sha256(lot.encode()).hexdigest(), "bytes": len(lot),
        "rows": None, "checked": 0, "loaded": 1_200, "faults": 0, "left_s": None, "code": None,
        "cause": None, "started_at": "2026-11-21T12:00:00Z", "ended_at": "2026-11-21T12:00:00Z",
    }  # fmt: skip


async def test_a_large_file_is_answered_before_it_is_imported(world: World) -> None:
    world.imports.holds = True

    at_once = await post_lot(world, a_lot(a_card(1)), prefer="wait=0")
    listed = await see(world, "/v1/sim-imports")

    assert (at_once.status, at_once.json["state"]) == (202, "waiting")
    assert at_once.headers["Location"] == "/v1/sim-imports/1"
    assert listed.json == {"imports": [at_once.json]}


async def test_a_file_that_is_not_done_in_time_is_told_as_it_stands_by_then(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def begun(row: ImportRow) -> ImportRow:
        world.imports.rows[row.id] = replace(row, state=ImportState.CHECKING)
        await asyncio.Event().wait()
        return row

    monkeypatch.setattr(world.imports, "until_over", begun)

    reply = await post_lot(world, a_lot(a_card(1)), prefer="wait=0")

    assert (reply.status, reply.json["state"]) == (202, "checking")


async def test_whoever_prefers_to_wait_is_told_the_end(world: World) -> None:
    world.imports.holds = True
    waiting = asyncio.create_task(post_lot(world, a_lot(a_card(1)), prefer="wait=30"))
    async with asyncio.timeout(30):
        while not world.imports.rows:  # noqa: ASYNC110 - the other side of a socket
            await asyncio.sleep(0.005)
    world.imports.release()

    assert (await waiting).status == 201


async def test_every_bad_line_is_named_and_none_is_quoted(world: World) -> None:
    bad = a_lot(a_card(1), a_card(2, iccid="8986"), a_card(3, ki=KI), quantity=4)

    reply = await post_lot(world, bad)
    errors = await see(world, "/v1/sim-imports/1/errors")

    assert (reply.status, reply.json["code"]) == (400, "LOT_INVALID")
    assert [error["field"] for error in reply.json["errors"]] == [
        "[3].QUANTITY",
        "[9].ICCID",
        "[10].KI",
    ]
    assert errors.headers["Content-Type"] == "text/csv"
    assert errors.body.decode().splitlines() == [
        "line,column,reason",
        '3,QUANTITY,"4 cards announced, 3 found"',
        "9,ICCID,an ICCID is 19 or 20 characters that start with 8986",
        "10,KI,a Ki is 32 hexadecimal digits",
    ]
    assert KI.encode() not in reply.body + errors.body
    assert world.stock.lot_rows == {}


async def test_the_answer_names_the_first_faults_and_the_error_file_all(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "SIM_FILE_FAULTS_MAX", 10)

    reply = await post_lot(world, a_lot(*["rubbish"] * 50))
    errors = await see(world, "/v1/sim-imports/1/errors")

    assert len(reply.json["errors"]) == 10
    assert reply.json["detail"].startswith("50 faults in the file")
    assert len(errors.body.splitlines()) == 51


async def test_a_file_without_faults_has_an_error_file_without_lines(world: World) -> None:
    await post_lot(world, a_lot(a_card(1)))

    assert (await see(world, "/v1/sim-imports/1/errors")).body == b"line,column,reason\n"


@pytest.mark.parametrize(
    ("code", "status"),
    [
        ("LOT_EXISTS", 409),
        ("CARD_IN_STOCK", 409),
        ("IMPORT_CANCELLED", 409),
        ("IMPORT_FAILED", 409),
        ("IMPORT_FILE_LOST", 409),
    ],
)
async def test_why_nothing_was_imported_is_told(world: World, code: str, status: int) -> None:
    world.imports.holds = True
    posting = asyncio.create_task(post_lot(world, a_lot(a_card(1)), prefer="wait=30"))
    async with asyncio.timeout(30):
        while not world.imports.rows:  # noqa: ASYNC110 - the other side of a socket
            await asyncio.sleep(0.005)
    world.imports.rows[1] = an_import_row(
        1, state=ImportState.REFUSED, code=code, cause="that is why"
    )
    world.imports.release()

    reply = await posting
    told = code if not code.startswith("IMPORT") else "IMPORT_ENDED"
    assert (reply.status, reply.json["code"]) == (status, told)
    assert "that is why" in reply.json["detail"]


async def test_an_import_is_cancelled_by_somebody_and_only_while_it_goes_on(world: World) -> None:
    world.imports.rows[1] = an_import_row(1)

    cancelled = await world.ask("DELETE", "/v1/sim-imports/1?operator_id=li4", source=Source.OPS)
    again = await world.ask("DELETE", "/v1/sim-imports/1", source=Source.OPS)
    unknown = await world.ask("DELETE", "/v1/sim-imports/2", source=Source.OPS)

    assert (cancelled.status, cancelled.json["cause"]) == (202, "cancelled by li4")
    assert (again.status, again.json["code"]) == (409, "IMPORT_OVER")
    assert (unknown.status, unknown.json["code"]) == (404, "IMPORT_UNKNOWN")


@pytest.mark.parametrize("id", ["2", "x", "-1", "9" * 19, "%D9%A1"])
async def test_an_import_that_never_was_is_404(world: World, id: str) -> None:
    for path in (f"/v1/sim-imports/{id}", f"/v1/sim-imports/{id}/errors"):
        assert (await see(world, path)).json["code"] == "IMPORT_UNKNOWN"


async def test_a_file_larger_than_a_body_of_orders_is_received(world: World) -> None:
    filler = "x" * 200
    many = [f"{filler},{filler},{filler}"] * (limits.BODY_BYTES_MAX // 600)
    lot = a_lot(*many, filler)

    reply = await post_lot(world, lot)

    assert len(lot) > limits.BODY_BYTES_MAX
    assert reply.json["detail"].startswith(f"{len(many) + 1} faults")


async def test_a_packed_file_is_unpacked_on_its_way(world: World) -> None:
    reply = await post(
        world, gzip.compress(a_lot(a_card(1)).encode()), **{"Content-Encoding": "gzip"}
    )

    assert reply.status == 201


async def test_a_file_in_gbk_may_say_so(world: World) -> None:
    lot = a_lot(a_card(1), VENDOR="大唐微电子").encode("gbk")

    reply = await post(world, lot, **{"Content-Type": "text/csv; charset=gbk"})

    assert (reply.status, reply.json["vendor"]) == (201, "大唐微电子")


async def test_a_file_above_the_bound_is_refused_however_it_is_sent(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "SIM_FILE_BYTES_MAX", 1_000)
    lot = a_lot(*(a_card(n) for n in range(9))).encode() + b"\n" * 1_000

    async def chunks() -> AsyncIterator[bytes]:
        yield lot

    for body in (lot, chunks()):
        reply = await post(world, body)
        assert (reply.status, reply.json["code"]) == (413, "BODY_TOO_LARGE")
    assert world.imports.rows == {}


@pytest.mark.parametrize(
    ("lot", "query", "code"),
    [
        ("x", HOME, "LOT_INVALID"),
        (a_lot(), HOME, "LOT_INVALID"),
        (a_lot(a_card(), LOT="a b"), HOME, "LOT_INVALID"),
        (a_lot(a_card()), "province=999&hlr=hlr1", "PROVINCE_UNKNOWN"),
        (a_lot(a_card()), "province=200&hlr=hlr9", "HLR_UNKNOWN"),
        (a_lot(a_card()), "hlr=hlr1", "FIELD_MISSING"),
        (a_lot(a_card()), f"{HOME}&operator_id=a%20b", "FIELD_INVALID"),
    ],
)
async def test_a_lot_that_is_none_is_refused(world: World, lot: str, query: str, code: str) -> None:
    reply = await post_lot(world, lot, query)

    assert (reply.status, reply.json["code"]) == (400, code)
    assert world.stock.lot_rows == {}


@pytest.mark.parametrize("source", list(Source))
async def test_who_may_see_and_who_may_make_imports(world: World, source: Source) -> None:
    for path in ("/v1/sim-imports", "/v1/sim-imports/1", "/v1/sim-imports/1/errors"):
        reply = await world.ask("GET", path, source=source)
        assert (reply.status == 403) == (source not in (Source.OPS, Source.ESOP))
    for method, path in (("POST", f"/v1/sim-lots?{HOME}"), ("DELETE", "/v1/sim-imports/1")):
        reply = await world.ask(method, path, source=source, data=b"")
        assert (reply.status == 403) == (source is not Source.OPS)
