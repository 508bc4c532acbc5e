"""`hlrd fallout` against a real API."""

from tests.api.client import a_world
from tests.api.fake_fallout import a_fallout_row
from tests.cli.test_commands import run, said

WHY = ("--operator=op7", "--reason=the profile is there now")


async def test_orders_are_listed_counted_and_shown() -> None:
    async with a_world() as world:
        world.fallout.put(a_fallout_row())
        listed = await run(world, "fallout", "list", "--ne=hlr1", "--older-than-s=60")
        counted = await run(world, "fallout", "list", "--counts")
        shown = await run(world, "fallout", "show", "5")

    assert [one.exit_code for one in (listed, counted, shown)] == [0] * 3
    assert "5 ARREARS_SUSPEND 1 hlr1 setBarring 3012" in said(listed)
    assert "hlr1 permanent 3012 1 1 2" in said(counted)
    assert "acts resend, change, skip, finish, toEoms" in said(shown)
    assert "sheet F50001 open" in said(shown)


async def test_one_order_is_let_go_by_each_act() -> None:
    async with a_world() as world:
        for id, verb in enumerate(("resend", "skip", "finish", "cancel", "to-eoms"), start=5):
            is_undo = verb == "cancel"
            kind = "MEMBER_ACTIVATE" if is_undo else "ARREARS_SUSPEND"
            world.fallout.put(a_fallout_row(id, kind=kind, is_undo=is_undo))
            done = await run(world, "fallout", verb, str(id), *WHY)
            assert f"order {id}:" in said(done)
            assert "2 orders behind it" in said(done)

        ways = [world.fallout.rows[id].way for id in range(5, 10)]

    assert ways == ["resend", "resend", "finish", "cancel", None]


async def test_a_change_is_given_as_fields_and_values() -> None:
    async with a_world() as world:
        world.fallout.put(a_fallout_row())
        unfit = await run(world, "fallout", "change", "5", "--set=level", *WHY)
        done = await run(world, "fallout", "change", "5", "--set=level=1", *WHY)

    assert "wanted is field=value" in str(unfit.exception)
    assert done.exit_code == 0
    assert world.fallout.changed == {"level": 1}


async def test_many_are_proposed_by_one_and_confirmed_by_another() -> None:
    async with a_world() as world:
        proposed = await run(world, "fallout", "resend-all", "--code=3012", *WHY)
        same = await run(world, "fallout", "confirm", "1", "--operator=op7")
        other = await run(world, "fallout", "confirm", "1", "--operator=op8")
        listed = await run(world, "fallout", "acts")

    assert "hlrd fallout confirm 1" in said(proposed)
    assert "SECOND_PERSON_NEEDED" in str(same.exception)
    assert "40 of 40 let go" in said(other)
    assert "1 resend code=3012 done 40 40 op7 op8" in said(listed)


async def test_a_proposal_is_withdrawn() -> None:
    async with a_world() as world:
        await run(world, "fallout", "propose", "finish", "--ne=hlr1", *WHY)
        stopped = await run(world, "fallout", "stop", "1", "--operator=op9")

    assert "act 1 (finish) stopped" in said(stopped)
