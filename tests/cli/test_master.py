"""`hlrd master` against a real API."""

from pathlib import Path

import orjson
import pytest

from hlrd.cli import master
from hlrd.domain.master import Master, Mastery
from tests.api.client import a_world
from tests.cli.test_commands import run, said

LINE = {"user_id": "7", "reasons": [{"reason": "ARREARS", "level": 2}], "state_version": 3}


async def test_masters_are_shown_switched_and_kept() -> None:
    async with a_world() as world:
        world.masters.by_province["100"] = Mastery(Master.CRM)
        shown = await run(world, "master", "show")
        switched = await run(world, "master", "switch", "200", "CRM", "--detach")
        cancelled = await run(world, "master", "cancel", "200", "--operator=anna")
        one = await run(world, "master", "show", "200")

    assert [each.exit_code for each in (shown, switched, cancelled, one)] == [0] * 4
    assert "100 北京 CRM backup" in said(shown)
    assert "every other province: backup" in said(shown)
    assert "200 广东 backup CRM backup 3 3" in said(switched)
    assert "200 广东 backup backup" in said(cancelled)
    assert "200 广东 backup backup" in said(one)


@pytest.mark.parametrize(("option", "repairs"), [((), False), (("--repair",), True)])
async def test_a_list_of_the_master_is_compared(
    tmp_path: Path, option: tuple[str, ...], repairs: bool
) -> None:
    file = tmp_path / "users.ndjson"
    file.write_bytes(orjson.dumps(LINE) + b"\n")

    async with a_world() as world:
        compared = await run(
            world, "master", "reconcile", "200", str(file), "--operator=anna", *option
        )
        (asked,) = world.masters.asked

    assert (asked[0], asked[2], asked[3]) == ("200", "anna", repairs)
    assert "7 none ARREARS:2" in said(compared)
    assert "1 compared, 0 equal, 1 different" in said(compared)
    assert "1 unlisted: stopped here, and not in the list: 8" in said(compared)


async def test_who_is_stopped_is_listed_in_the_form_that_is_compared() -> None:
    async with a_world() as world:
        listed = await run(world, "master", "export", "200")

    (line,) = listed.output.splitlines()
    assert orjson.loads(line) == {
        "user_id": "8",
        "reasons": [{"reason": "ARREARS", "level": 2}],
        "state_version": 7,
    }


def test_a_long_list_is_sent_in_parts_that_lose_no_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(master, "_PART_BYTES", 100)
    file = tmp_path / "users.ndjson"
    lines = [b"%d\n" % number for number in range(200)]
    file.write_bytes(b"".join(lines))

    parts = list(master._parts(file))

    assert b"".join(parts) == b"".join(lines)
    assert max(map(len, parts)) <= 100
