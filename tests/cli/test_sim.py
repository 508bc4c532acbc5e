"""`hlrd sim` against a real API: what staff types, what it shows, and what it leaves on disk."""

import asyncio
from collections.abc import Callable
from pathlib import Path

import pytest

from hlrd.cli.client import CallFailed
from tests.api.client import World, a_world
from tests.api.test_sims import KI, a_card, a_lot, iccid
from tests.cli.test_commands import run, said

HOME = ("--province=200", "--hlr=hlr1", "--operator=zhang3")


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "lot.csv"
    path.write_text(a_lot(*(a_card(number) for number in range(5))))
    return path


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(30):
        while not condition():  # noqa: ASYNC110 - another thread is what is waited for
            await asyncio.sleep(0.005)


async def test_a_lot_is_imported_and_followed_to_its_end(file: Path) -> None:
    async with a_world() as world:
        world.imports.holds = True
        importing = asyncio.create_task(run(world, "sim", "import", str(file), *HOME))
        await until(lambda: bool(world.imports.rows))
        await over(world)
        imported = await importing
        again = await run(world, "sim", "imports")
        listed = await run(world, "sim", "list")

    assert said(imported) == "lot L1: 5 cards are in stock"
    assert "1 done L1 200 hlr1" in said(again)
    assert "L1 Test 200 hlr1 5 0 0 0 0" in said(listed)
    assert world.imports.rows[1].operator_id == "zhang3"
    assert KI not in imported.output + again.output + listed.output


@pytest.fixture
def bad_file(file: Path) -> Path:
    file.write_text(a_lot(a_card(1), a_card(2, ki=KI)))
    return file


async def test_a_bad_lot_leaves_a_file_that_names_every_fault(bad_file: Path) -> None:
    async with a_world() as world:
        world.imports.holds = True
        importing = asyncio.create_task(run(world, "sim", "import", str(bad_file), *HOME))
        await until(lambda: bool(world.imports.rows))
        await over(world)
        result = await importing

    errors = bad_file.with_name("lot.csv.errors.csv")
    assert isinstance(result.exception, CallFailed)
    assert f"{errors} names every fault" in str(result.exception)
    assert errors.read_text() == "line,column,reason\n9,KI,a Ki is 32 hexadecimal digits\n"


async def test_who_does_not_follow_is_told_how_to_look_again(file: Path) -> None:
    async with a_world() as world:
        world.imports.holds = True
        result = await run(world, "sim", "import", str(file), *HOME, "--detach")

    assert said(result) == "import 1 goes on; hlrd sim imports 1 shows how far it is"


async def test_who_looks_away_leaves_the_import_running(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupt(_: float) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("hlrd.cli.follow.time.sleep", interrupt)
    async with a_world() as world:
        world.imports.holds = True
        result = await run(world, "sim", "import", str(file), *HOME)

    assert said(result) == "import 1 goes on; hlrd sim imports 1 shows how far it is"
    assert not world.imports.rows[1].is_over


async def test_an_import_is_taken_back(file: Path) -> None:
    async with a_world() as world:
        world.imports.holds = True
        await run(world, "sim", "import", str(file), *HOME, "--detach")
        cancelled = await run(world, "sim", "cancel", "1", "--operator=li4")
        followed = await run(world, "sim", "imports", "1")

    assert cancelled.exit_code == 0
    assert str(followed.exception) == "nothing was imported: cancelled by li4"


async def test_a_card_is_shown_scrapped_and_exported(file: Path, tmp_path: Path) -> None:
    exported = tmp_path / "out.csv"
    async with a_world() as world:
        await stocked(world, file)
        shown = await run(world, "sim", "show", iccid(1))
        scrapped = await run(world, "sim", "scrap", iccid(1), "--cause=bent", "--operator=zhang3")
        await run(world, "sim", "export", "L1", f"--to={exported}")
        printed = await run(world, "sim", "export", "L1")

    assert f"iccid {iccid(1)}" in said(shown)
    assert "state inStock" in said(shown)
    assert "cause bent (zhang3)" in said(scrapped)
    lines = exported.read_text().splitlines()
    assert lines[0] == "iccid,imsi,state,msisdn"
    assert f"{iccid(1)},460990000000001,scrapped," in lines
    assert len(lines) == 6
    assert printed.output == exported.read_text()


async def test_what_cannot_be_read_is_said(tmp_path: Path) -> None:
    empty = tmp_path / "empty.csv"
    empty.touch()
    async with a_world() as world:
        absent = await run(world, "sim", "import", str(tmp_path / "none.csv"), *HOME)
        nothing = await run(world, "sim", "import", str(empty), *HOME)
        unknown = await run(world, "sim", "export", "L9")

    assert "cannot read" in str(absent.exception)
    assert "is empty" in str(nothing.exception)
    assert str(unknown.exception).startswith("LOT_UNKNOWN: ")


async def over(world: World) -> None:
    world.imports.release()
    await world.imports.until_over(world.imports.rows[1])


async def stocked(world: World, file: Path) -> None:
    await run(world, "sim", "import", str(file), *HOME, "--detach")
    await over(world)
