"""What the dashboards are told of the desk."""

import asyncio

import pytest

from hlrd import limits
from hlrd.domain.fallout import Act
from hlrd.metrics import REGISTRY
from tests.runtime.fallout.rig import a_fall, a_rig

pytestmark = pytest.mark.postgres


def orders(ne: str, verdict: str = "permanent") -> float | None:
    return REGISTRY.get_sample_value("hlrd_fallout_orders", {"ne": ne, "class": verdict})


async def reads(ne: str, count: float) -> None:
    async with asyncio.timeout(30):
        while orders(ne) != count:  # noqa: ASYNC110 - counted in the background
            await asyncio.sleep(0.005)


async def test_the_gauges_say_how_many_wait_and_for_how_long(
    dsn: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "FALLOUT_GAUGE_S", 0.005)
    async with a_rig(dsn) as rig:
        for id in (1, 2):
            await rig.fall(id, a_fall(ne="gauged"))
        await reads("gauged", 2.0)
        age_s = REGISTRY.get_sample_value("hlrd_fallout_oldest_age_seconds", {"ne": "gauged"})
        for id in (1, 2):
            row = await rig.office.desk.get(id)
            await rig.office.desk.act(Act.RESEND, row, reason="mended", operator_id="op7")

        await reads("gauged", 0.0)

    assert age_s is not None
    assert 0 <= age_s < 60
    assert REGISTRY.get_sample_value("hlrd_fallout_oldest_age_seconds", {"ne": "gauged"}) == 0
