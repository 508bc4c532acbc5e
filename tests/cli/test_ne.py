"""`hlrd ne` against a real API."""

from datetime import datetime, timedelta

import pytest

from hlrd.cli.client import CallFailed
from hlrd.cli.moment import moment
from hlrd.domain.orders import BEIJING
from hlrd.ne.halts import HaltKind
from tests.api.client import a_member_activation, a_world
from tests.cli.test_commands import run, said


async def test_an_element_is_listed_shown_held_drained_and_released() -> None:
    async with a_world() as world:
        listed = await run(world, "ne", "list")
        shown = await run(world, "ne", "show", "hlr1")
        held = await run(world, "ne", "hold", "hlr1", "--until=2h", "--cause=disk swap")
        hold = world.element.standing
        drained = await run(world, "ne", "drain", "hlr1", "--cause=moves away")
        drain = world.element.standing
        released = await run(world, "ne", "release", "hlr1")

    assert [one.exit_code for one in (listed, shown, held, drained, released)] == [0] * 5
    assert "hlr1 huawei_hlr 127.0.0.1:7776 sending 4/16 0 0 closed" in said(listed)
    assert "address 127.0.0.1:7776" in said(shown)
    assert "held 4/16 0 0 closed disk swap" in said(held)
    assert hold is not None
    assert hold.kind is HaltKind.HOLD
    assert "moves away" in said(drained)
    assert drain is not None
    assert drain.kind is HaltKind.DRAIN
    assert world.element.standing is None


async def test_an_order_that_waits_says_why() -> None:
    async with a_world() as world:
        order = (await world.post_order(a_member_activation())).json["id"]
        world.book.wait(int(order))
        world.element.hinders = {"reason": "hold", "cause": "disk swap"}

        shown = await run(world, "order", "show", order)

    assert "addKey waits: reason hold, cause disk swap" in said(shown)


def ahead(text: str) -> datetime:
    return moment(text, "--until", ahead=True)


def test_a_time_is_told_by_the_clock_of_beijing_or_by_its_offset_or_by_its_length() -> None:
    before = datetime.now(BEIJING)

    assert ahead("2026-12-01T03:00") == datetime(2026, 12, 1, 3, tzinfo=BEIJING)
    assert ahead("2026-12-01T03:00Z").utcoffset() == timedelta(0)
    assert timedelta(hours=2) <= ahead("2h") - before < timedelta(hours=2, minutes=1)


@pytest.mark.parametrize("text", ["", "m", "-5m", "soon", "5w", "2026-13-01"])
def test_what_is_no_time_is_refused(text: str) -> None:
    with pytest.raises(CallFailed, match="--until"):
        ahead(text)
