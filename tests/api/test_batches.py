"""Batch files over HTTP: who may post what, what is refused at the door, and what is shown."""

import asyncio
from urllib.parse import urlencode

import pytest

from hlrd.domain.batch import Format, RowState
from hlrd.domain.lifecycle import BatchState
from hlrd.domain.orders import Source
from hlrd.pool.simheader import BadLine
from hlrd.store.batches import Result
from tests.api.client import Reply, World, a_world
from tests.api.fake_batches import a_batch_row

CSV = {"Content-Type": "text/csv; charset=gbk"}
SAID = {"order_id": "B1", "operator_id": "op", "province": "200", "child": "MEMBER_ACTIVATE"}
FILE = b"user_id,ec_code\n1,EC1\n2,EC1\n"


async def post(
    world: World, *, source: Source = Source.ESOP, headers: dict[str, str] = CSV, **said: str
) -> Reply:
    query = urlencode(SAID | said)
    return await world.ask(
        "POST", f"/v1/batches?{query}", source=source, data=FILE, headers=headers
    )


async def test_a_batch_is_taken_and_followed_under_its_own_address(world: World) -> None:
    posted = await post(world, common='{"pool":"iot"}', partial="true", priority="3")

    assert posted.status == 202
    assert posted.headers["Location"] == "/v1/batches/1"
    posting = world.batches.posted[1]
    assert (posting.format, posting.charset, posting.common) == (
        Format.CSV, "gbk", {"pool": "iot"},
    )  # fmt: skip
    assert (posting.is_partial, posting.priority, posting.source) == (True, 3, Source.ESOP)
    shown = (await world.ask("GET", "/v1/batches/1")).json
    assert (shown["state"], shown["rows"], shown["order_id"]) == ("running", 2, "B1")
    assert (await world.ask("GET", "/v1/batches")).json["batches"] == [shown]


async def test_a_file_with_faults_is_refused_whole_and_each_is_named(world: World) -> None:
    world.batches.bad_lines = [BadLine(3, "msisdn", "not a number")]

    refused = await post(world)
    errors = await world.ask("GET", "/v1/batches/1/errors")

    assert (refused.status, refused.json["code"]) == (400, "BATCH_INVALID")
    assert refused.json["errors"] == [{"field": "[3].msisdn", "detail": "not a number"}]
    assert errors.body == b"line,column,reason\n3,msisdn,not a number\n"


async def test_a_file_that_takes_long_to_check_is_answered_before() -> None:
    async with a_world() as world:
        world.batches.holds = True
        posted = await asyncio.wait_for(post(world, headers=CSV | {"Prefer": "wait=0"}), 5)
        world.batches.release()

    assert (posted.status, posted.json["state"]) == (202, "waiting")


@pytest.mark.parametrize(
    ("said", "source", "status", "code"),
    [
        ({"child": "PRODUCT_PUBLISH"}, Source.CRM, 400, "KIND_UNKNOWN"),
        ({"child": "BATCH"}, Source.ESOP, 400, "KIND_UNKNOWN"),
        ({"child": "ARREARS_SUSPEND"}, Source.ESOP, 403, "SOURCE_NOT_ALLOWED"),
        ({}, Source.PBOSS, 403, "SOURCE_NOT_ALLOWED"),
        ({"province": "999"}, Source.ESOP, 400, "PROVINCE_UNKNOWN"),
        ({"common": "[1]"}, Source.ESOP, 400, "FIELD_INVALID"),
        ({"common": '{"surprise":1}'}, Source.ESOP, 400, "FIELD_UNKNOWN"),
        ({"common": '{"order_id":"x"}'}, Source.ESOP, 400, "FIELD_UNKNOWN"),
        ({"child": "USER_OPEN", "common": '{"ki":"00"}'}, Source.CRM, 400, "FIELD_UNKNOWN"),
        ({"iccid_first": "89860420202400000019"}, Source.ESOP, 400, "FIELD_MISSING"),
        (
            {"iccid_first": "89860821190000123452", "iccid_last": "89860420202400000019"},
            Source.ESOP, 400, "FIELD_INVALID",
        ),
        ({"priority": "6"}, Source.ESOP, 400, "FIELD_INVALID"),
        ({"surprise": "1"}, Source.ESOP, 400, "FIELD_UNKNOWN"),
    ],
)  # fmt: skip
async def test_what_is_wrong_at_the_door_is_refused_before_the_file(
    world: World, said: dict[str, str], source: Source, status: int, code: str
) -> None:
    refused = await post(world, source=source, **said)

    assert (refused.status, refused.json["code"]) == (status, code)
    assert world.batches.rows == {}


async def test_a_batch_of_another_source_is_as_unknown_as_none(world: World) -> None:
    world.batches.rows[1] = a_batch_row(source="CRM")

    assert (await world.ask("GET", "/v1/batches/1")).json["code"] == "BATCH_UNKNOWN"
    assert (await world.ask("GET", "/v1/batches/x")).json["code"] == "BATCH_UNKNOWN"
    assert (await world.ask("GET", "/v1/batches")).json["batches"] == []
    assert (await world.ask("GET", "/v1/batches/1", source=Source.OPS)).status == 200


async def test_a_batch_is_paused_resumed_and_cancelled_and_each_act_is_audited(
    world: World,
) -> None:
    world.batches.rows[1] = a_batch_row()

    states = [
        (await world.ask("POST", f"/v1/batches/1/{act}?operator_id=li4", source=Source.OPS)).json
        for act in ("pause", "resume", "cancel")
    ]
    too_late = await world.ask("POST", "/v1/batches/1/pause", source=Source.OPS)

    assert [one["state"] for one in states] == ["paused", "running", "stopping"]
    assert (too_late.status, too_late.json["code"]) == (409, "BATCH_NOT_READY")
    acts = [(row.actor, row.action) for row in world.audit.rows_kept]
    assert acts[:3] == [
        ("li4", "batch.pause"),
        ("li4", "batch.resume"),
        ("li4", "batch.cancel"),
    ]


async def test_results_are_a_table_or_a_line_of_json_each(world: World) -> None:
    world.batches.rows[1] = a_batch_row(state=BatchState.DONE)
    world.batches.made = [
        Result(2, "7", RowState.SUCCEEDED, 11, "1064800000001", "8986", None),
        Result(3, "8", RowState.FAILED, None, None, None, "USER_EXISTS"),
    ]

    table = await world.ask("GET", "/v1/batches/1/results")
    lines = await world.ask("GET", "/v1/batches/1/results?format=ndjson")

    assert table.body.decode().splitlines() == [
        "row,user_id,msisdn,iccid,result,code,order",
        "2,7,1064800000001,8986,succeeded,,11",
        "3,8,,,failed,USER_EXISTS,",
    ]
    assert lines.body.splitlines()[1] == (
        b'{"row":3,"user_id":"8","msisdn":null,"iccid":null,"result":"failed",'
        b'"code":"USER_EXISTS","order":null}'
    )
