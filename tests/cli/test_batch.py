"""`hlrd batch` against a real API: what staff types, what it shows, and what it leaves on disk."""

import asyncio
import os
from pathlib import Path
from typing import Any

import pytest

from hlrd.cli.client import CallFailed
from hlrd.domain.batch import Format, RowState
from hlrd.domain.lifecycle import BatchState
from hlrd.pool.simheader import BadLine
from hlrd.store.batches import Result
from tests.api.client import World, a_world, until
from tests.api.fake_batches import a_batch_row
from tests.cli.test_commands import run, said

OPTIONS = ("--child=MEMBER_ACTIVATE", "--province=200", "--operator=li4", "--order-id=B1")


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "members.csv"
    path.write_text("user_id\n1\n2\n")
    return path


def content(path: str) -> str:
    return Path(path).read_text()


def end(world: World, **changes: Any) -> None:
    world.batches.rows[1] = a_batch_row(**{"state": BatchState.DONE, "rows": 2, "ok": 2, **changes})


async def test_a_file_is_handed_in_and_followed_to_its_end(file: Path) -> None:
    async with a_world() as world:
        handing_in = asyncio.create_task(
            run(world, "batch", "submit", str(file), *OPTIONS, '--common={"ec_code":"EC1"}',
                "--partial", "--charset=gbk", "--iccids=89860420202400000019-89860821190000123452")
        )  # fmt: skip
        await until(lambda: bool(world.batches.rows))
        end(world, ok=1, failed=1, mark="CANCELLED")
        result = await handing_in

    posting = world.batches.posted[1]
    assert (posting.order_id, posting.operator_id, posting.is_partial) == ("B1", "li4", True)
    assert (posting.format, posting.charset) == (Format.CSV, "gbk")
    assert posting.cards == ("89860420202400000019", "89860821190000123452")
    assert said(result) == (
        "batch 1: 1 succeeded, 1 failed, 0 left (CANCELLED); hlrd batch results 1 fetches every row"
    )


async def test_a_file_that_is_refused_leaves_one_that_names_every_fault(file: Path) -> None:
    async with a_world() as world:
        handing_in = asyncio.create_task(run(world, "batch", "submit", str(file), *OPTIONS))
        await until(lambda: bool(world.batches.rows))
        world.batches.bad_lines = [BadLine(3, "user_id", "not digits")]
        await world.batches.until_checked(world.batches.rows[1])
        result = await handing_in

    assert isinstance(result.exception, CallFailed)
    assert "BATCH_INVALID" in str(result.exception)
    assert content(f"{file}.errors.csv") == "line,column,reason\n3,user_id,not digits\n"


async def test_a_file_of_another_name_is_not_guessed_at(tmp_path: Path) -> None:
    async with a_world() as world:
        result = await run(world, "batch", "submit", str(tmp_path / "members.xlsx"), *OPTIONS)

    assert "must be named .csv or .ndjson" in str(result.exception)


async def test_batches_are_listed_paused_resumed_and_cancelled() -> None:
    async with a_world() as world:
        end(world, state=BatchState.RUNNING, ok=1, sent=2)
        listed = await run(world, "batch", "list")
        acts = [
            await run(world, "batch", act, "1", "--operator=li4")
            for act in ("pause", "resume", "cancel")
        ]

    assert "1 BATCH B1 ESOP MEMBER_ACTIVATE running 2 2 1 0 0" in said(listed)
    assert [said(act) for act in acts] == [
        "batch 1 is paused",
        "batch 1 is running",
        "batch 1 is stopping",
    ]


async def test_results_are_written_to_a_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    async with a_world() as world:
        end(world)
        world.batches.made = [Result(2, "1", RowState.SUCCEEDED, 7, "1064800000001", "8986", None)]
        result = await run(world, "batch", "results", "1", "--ndjson")
        shown = await run(world, "batch", "show", "1")

    assert said(result) == "batch-1.results.ndjson has the results"
    assert '"msisdn":"1064800000001"' in content("batch-1.results.ndjson")
    assert os.listdir(tmp_path) == ["batch-1.results.ndjson"]
    assert "2 succeeded" in said(shown)
