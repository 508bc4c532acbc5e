"""`hlrd pool reserve` and its like against a real API."""

from tests.api.client import World, a_world
from tests.cli.test_commands import run, said


async def reserved(world: World, *more: str) -> str:
    result = await run(world, "pool", "reserve", "--province", "200", *more)
    assert result.exit_code == 0, result.output
    return said(result)


async def test_numbers_are_reserved_listed_extended_and_cancelled() -> None:
    async with a_world() as world:
        made = await reserved(world, "--count", "250", "--cards", "--ttl", "60", "--key", "K")
        await reserved(world, "--count", "250", "--cards", "--ttl", "60", "--key", "K")
        listed = await run(world, "pool", "reservations")
        shown = await run(world, "pool", "reservations", "1")
        extended = await run(world, "pool", "extend", "1", "--ttl", "90")
        cancelled = await run(world, "pool", "cancel", "1")

        (asked,) = world.reservations.asked
        assert (asked.count, asked.with_cards, asked.ttl_s) == (250, True, 60)
        assert world.reservations.ttls == [90]
    assert "250 of 250" in made
    assert "1064900000000 hlr1" in made
    assert "and more than these 100" in said(shown)
    assert "open" in said(listed)
    assert extended.exit_code == 0
    assert "cancelled" in said(cancelled)


async def test_given_numbers_are_reserved() -> None:
    async with a_world() as world:
        await reserved(world, "--number", "1064900000001", "--number", "1064900000002")

        (asked,) = world.reservations.asked
        assert asked.numbers == ("1064900000001", "1064900000002")


async def test_a_customer_is_offered_ten_and_chooses_one() -> None:
    async with a_world() as world:
        offered = await run(world, "pool", "offer", "--province", "200", "--grade", "AAA")
        chosen = await run(world, "pool", "choose", "1", "1064900000004")

        (asked,) = world.reservations.asked
        assert (asked.count, asked.grade, asked.ttl_s) == (10, "AAA", 300)
        assert world.reservations.chosen == {1: ["1064900000004"]}
    assert offered.exit_code == chosen.exit_code == 0


async def test_the_operator_is_who_typed_it() -> None:
    async with a_world() as world:
        await run(world, "pool", "offer", "--province", "200", LOGNAME="bert")
        await run(world, "pool", "reserve", "--province", "200", "--count", "1", LOGNAME="carl")

        assert [asked.operator_id for asked in world.reservations.asked] == ["bert", "carl"]


async def test_a_refusal_is_said() -> None:
    async with a_world() as world:
        result = await run(world, "pool", "cancel", "7")

    assert "RESERVATION_UNKNOWN" in str(result.exception)
