"""Staff's commands for pools and numbers, against a real API."""

from pathlib import Path

import pytest

from hlrd.cli.client import CallFailed
from hlrd.store.desk import Work
from tests.api.client import World, a_world
from tests.cli.test_commands import RANGES, run, said

NUMBER = "1064900000007"


async def filled(world: World, tmp_path: Path) -> Path:
    file = tmp_path / "ranges.csv"
    file.write_text(RANGES)
    await run(world, "pool", "create", "iot")
    result = await run(world, "pool", "import", "iot", str(file))
    assert result.exit_code == 0, result.exception
    return file


async def test_an_import_can_be_run_again(tmp_path: Path) -> None:
    async with a_world() as world:
        file = await filled(world, tmp_path)
        again = await run(world, "pool", "import", "iot", str(file))

    assert "ranges added: 0, there already: 1" in said(again)
    assert "iot 2,000" in said(again)


async def test_a_province_imports_ranges_of_the_hlrs_that_headquarters_drives(
    tmp_path: Path,
) -> None:
    file = tmp_path / "ranges.csv"
    file.write_text(RANGES.replace("hlr1", "hlr7"))

    async with a_world() as world:
        world.hlrs_away.append("hlr7")
        await run(world, "pool", "create", "iot")
        result = await run(world, "pool", "import", "iot", str(file))

    assert "ranges added: 1, there already: 0" in said(result)


async def test_nothing_is_imported_while_a_line_is_bad(tmp_path: Path) -> None:
    file = tmp_path / "ranges.csv"
    file.write_text(RANGES + "1064900002999,1064900002000,200,hlr1\n")

    async with a_world() as world:
        await run(world, "pool", "create", "iot")
        result = await run(world, "pool", "import", "iot", str(file))

    assert world.pools.ranges == {"iot": []}
    assert "nothing was imported: 1 fault, " in str(result.exception)
    assert "3,last," in (tmp_path / "ranges.csv.errors.csv").read_text()


async def test_a_number_is_locked_unlocked_and_looked_at(tmp_path: Path) -> None:
    words = ("--cause", "complaint 17", "--operator", "anna")
    async with a_world() as world:
        await filled(world, tmp_path)
        locked = await run(world, "pool", "lock", NUMBER, *words)
        await run(world, "pool", "unlock", NUMBER, *words)
        history = await run(world, "pool", "history", NUMBER)

    work = Work(NUMBER, "anna", "complaint 17")  # type: ignore[arg-type]
    assert world.numbers.done == [("lock", work), ("unlock", work)]
    assert f"{NUMBER}: idle" in said(locked)
    assert "state: idle" in said(history)


@pytest.mark.parametrize("user", ["bert", "carl"])
async def test_the_operator_is_who_typed_it(tmp_path: Path, user: str) -> None:
    async with a_world() as world:
        await filled(world, tmp_path)
        await run(world, "pool", "lock", NUMBER, "--cause", "x", LOGNAME=user)

    ((_, work),) = world.numbers.done
    assert isinstance(work, Work)
    assert work.operator_id == user


async def test_recycling_says_what_became_of_each(tmp_path: Path) -> None:
    async with a_world() as world:
        one = await run(
            world, "pool", "recycle", "--number", NUMBER, "--waive-arrears", "--operator", "anna"
        )
        due = await run(world, "pool", "recycle", "--operator", "anna")
        neither = await run(world, "pool", "recycle", "--waive-arrears", "--operator", "anna")

    assert world.numbers.done == [("recycle", NUMBER, "anna", True), ("recycleDue", "anna")]
    assert f"{NUMBER} recycled" in said(one)
    assert "recycled: 1" in said(due)
    assert "--waive-arrears is of one --number" in str(neither.exception)


async def test_report_forecast_and_marks(tmp_path: Path) -> None:
    async with a_world() as world:
        await filled(world, tmp_path)
        report = await run(world, "pool", "report")
        table = await run(world, "pool", "report", "iot", "--csv")
        forecast = await run(world, "pool", "forecast", "iot")
        await run(world, "pool", "low-water", "iot", "500")

    assert "iot 200 hlr1 13 2,000 0 0 0 0" in said(report)
    assert table.output.splitlines() == [
        "pool,province,hlr,digits,idle,reserved,inUse,quarantined,locked",
        "iot,200,hlr1,13,2000,0,0,0,0",
    ]
    assert "iot 200 10 1 2 4.0 2.5 20 LOW" in said(forecast)
    assert world.pools.low_waters == {"iot": 500}


async def test_shares_are_given_listed_and_taken_back(tmp_path: Path) -> None:
    wanted = ("--province", "200", "--numbers", "10", "--operator", "anna")
    async with a_world() as world:
        await filled(world, tmp_path)
        given = await run(world, "pool", "share", "iot", *wanted)
        back = await run(world, "pool", "unshare", "iot", "1064800000000", "--operator", "anna")
        listed = await run(world, "pool", "shares", "iot")

    assert "1064800000000 1064800000009 200 hlr1 share" in said(given)
    assert "1064800000000 1064800000000 000 hlr1" in said(back)
    assert listed.exit_code == 0


async def test_an_export_is_written_to_a_file(tmp_path: Path) -> None:
    file = tmp_path / "numbers.csv"
    async with a_world() as world:
        await filled(world, tmp_path)
        await run(world, "pool", "export", "iot", str(file), "--state", "locked")

    lines = file.read_text().splitlines()
    assert lines[0].startswith("msisdn,state,province,hlr")
    assert [line.split(",")[1] for line in lines[1:]] == ["locked"]


async def test_an_export_that_is_refused_leaves_what_was_there(tmp_path: Path) -> None:
    file, folder = tmp_path / "numbers.csv", tmp_path / "none" / "numbers.csv"
    file.write_text("of last month")
    async with a_world() as world:
        await filled(world, tmp_path)
        refused = await run(world, "pool", "export", "other", str(file))
        nowhere = await run(world, "pool", "export", "iot", str(folder))

    assert "POOL_UNKNOWN" in str(refused.exception)
    assert "cannot write" in str(nowhere.exception)
    assert file.read_text() == "of last month"
    assert not (tmp_path / "numbers.csv.part").exists()


async def test_numbers_are_shown_whole_on_a_narrow_screen(tmp_path: Path) -> None:
    async with a_world() as world:
        await filled(world, tmp_path)
        shown = await run(world, "pool", "show", "iot", COLUMNS="20")

    assert "iot 2,000 0 0 0 0 0" in said(shown)
    assert "1064900000000 1064900001999 200 hlr1" in said(shown)


async def test_what_json_has_no_place_for_is_said(tmp_path: Path) -> None:
    async with a_world() as world:
        await filled(world, tmp_path)
        result = await run(world, "pool", "low-water", "iot", str(2**65))

    assert isinstance(result.exception, CallFailed)


async def test_faults_of_an_earlier_try_are_removed_when_the_file_is_right(tmp_path: Path) -> None:
    async with a_world() as world:
        file = await filled(world, tmp_path)
        file.write_text(RANGES.replace(",200,", ",999,"))
        await run(world, "pool", "import", "iot", str(file))
        assert (tmp_path / "ranges.csv.errors.csv").exists()
        file.write_text(RANGES)
        await run(world, "pool", "import", "iot", str(file))

    assert not (tmp_path / "ranges.csv.errors.csv").exists()
