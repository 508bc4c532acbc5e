"""`hlrd ne move` against a real API."""

from hlrd.domain.lifecycle import MoveState
from tests.api.client import World, a_world
from tests.cli.test_commands import run, said

START = ("ne", "move", "--prefix=106490", "--from=hlr1", "--to=hlr2", "--operator=op7")


def unproven(world: World) -> None:
    row = world.moves.rows[1]
    missing = [{"msisdn": "1064900000001", "cause": "the HLR has no record of it"}]
    world.moves.rows[1] = type(row)(
        1, row.rehoming, "op7", MoveState.UNPROVEN, None, 3, 3, 1, 1, missing,
        row.started_at, row.changed_at,
    )  # fmt: skip


async def test_a_move_is_started_listed_shown_and_switched() -> None:
    async with a_world() as world:
        started = await run(world, *START)
        listed = await run(world, "ne", "move", "list")
        world.moves.ends_in = MoveState.DONE
        switched = await run(world, "ne", "move", "switch", "1", "--operator=op7")
        unproven(world)
        shown = await run(world, "ne", "move", "show", "1")

    assert [one.exit_code for one in (started, listed, shown)] == [0] * 3
    assert "move its data, then hlrd ne move switch 1" in said(started)
    assert "1 msisdn 106490* hlr1 hlr2 drained" in said(listed)
    assert "its orders go on at hlr2" in said(switched)
    assert "1064900000001 the HLR has no record of it" in said(shown)
    assert "1 missing, 1 without a clear word" in said(shown)
    assert "hlr2 does not have all" in said(shown)


async def test_a_start_without_a_segment_says_what_is_wanted() -> None:
    async with a_world() as world:
        told = await run(world, "ne", "move", "--prefix=106490")
        refused = [await run(world, *START), await run(world, *START)]

    assert "--prefix, --from and --to are wanted" in str(told.exception)
    assert "another segment is being moved" in str(refused[1].exception)
