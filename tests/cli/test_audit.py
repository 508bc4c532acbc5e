"""`hlrd audit` against a real API."""

from datetime import datetime, timedelta

from msgspec.structs import replace

from hlrd.cli.moment import moment
from hlrd.domain.orders import BEIJING
from tests.api.client import a_world
from tests.cli.test_commands import run, said


async def test_what_was_done_is_shown_with_who_did_it() -> None:
    async with a_world() as world:
        await run(world, "ne", "drain", "hlr1", "--cause=moves away", HLRD_OPERATOR="anna")
        await run(world, "pool", "create", "iot", HLRD_OPERATOR="bert")

        shown = await run(world, "audit", "show")
        annas = await run(world, "audit", "show", "--actor=anna", "--subject=ne:hlr1", "--since=2m")

    assert "anna OPS ne.drain ne:hlr1" in said(shown)
    assert "bert OPS pool.create pool:iot" in said(shown)
    assert "pool:iot" not in said(annas)
    assert [one.exit_code for one in (shown, annas)] == [0, 0]


async def test_a_whole_trail_is_said_to_be_whole_up_to_a_kept_head() -> None:
    async with a_world() as world:
        await run(world, "pool", "create", "iot")
        head = (await run(world, "audit", "head")).output.strip()
        await run(world, "pool", "create", "other")

        plain = await run(world, "audit", "verify")
        kept = await run(world, "audit", "verify", "--head", head)

    assert head.startswith("1:")
    assert "2 rows, each as it was written; head 2:" in said(plain)
    assert "goes on from the head that was kept" in said(kept)


async def test_a_broken_trail_ends_with_an_error_that_names_the_row() -> None:
    async with a_world() as world:
        for name in ("iot", "other"):
            await run(world, "pool", "create", name)
        rows = world.audit.rows_kept
        rows[1] = replace(rows[1], actor="nobody")

        broken = await run(world, "audit", "verify")

    assert broken.exit_code == 1
    assert "broken at row 2" in str(broken.exception)
    assert "The 1 rows before it are whole" in str(broken.exception)


def test_a_length_goes_back_from_now() -> None:
    now = datetime.now(BEIJING)

    ago = now - moment("2h", "--since", ahead=False)

    assert timedelta(hours=2) >= ago > timedelta(hours=1, minutes=59)
