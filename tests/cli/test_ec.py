"""`hlrd ec` against a real API."""

from datetime import UTC, datetime

from hlrd.domain.group import Scope, Subscription
from hlrd.domain.identity import UserId
from hlrd.domain.lifecycle import ECState
from hlrd.store.groups import ECRow, MemberRow, PartnerRow, SubscriptionRow
from tests.api.client import World, a_world
from tests.cli.test_commands import run, said

NOON = datetime(2026, 11, 21, 4, tzinfo=UTC)
TRACK = Subscription(
    "EC1", "示例集团", "TRACK", 1, 1, Scope.CROSS_PROVINCE, "BBOSS", "200", ("280", "571")
)


def fill(world: World) -> None:
    world.groups.ecs += [ECRow(f"EC{n}", "示例集团", "200", NOON, 1) for n in (1, 2)]
    world.groups.held.append(SubscriptionRow(TRACK, ECState.PENDING, 17, NOON))
    world.groups.own += [
        MemberRow(UserId(f"90{n}"), f"106470000000{n}", "200", "hlr1", "active",
                  '{"ARREARS": 2}', "TRACK", NOON)
        for n in (1, 2, 3)
    ]  # fmt: skip
    world.groups.others.append(PartnerRow("1064800000001", "280", NOON))


async def test_enterprises_are_listed_and_shown() -> None:
    async with a_world() as world:
        fill(world)
        listed = await run(world, "ec", "list")
        shown = await run(world, "ec", "show", "EC1")

    assert "EC2 示例集团 200" in said(listed)
    assert "EC1 示例集团: 2 members" in said(shown)
    assert "TRACK 1 1 pending crossProvince BBOSS 280, 571" in said(shown)


async def test_members_are_listed_over_pages_and_no_more_than_wanted() -> None:
    async with a_world() as world:
        fill(world)
        everybody = await run(world, "ec", "members", "EC1")
        few = await run(world, "ec", "members", "EC1", "--most", "2")

    assert "own 1064700000003 200 903 active ARREARS" in said(everybody)
    assert "partner 1064800000001 280" in said(everybody)
    assert "1064700000002" in said(few)
    assert "1064700000003" not in said(few)
