"""The short form of `make torture-pool`: same clients, outages and checker, a hundredth as long."""

import pytest

from loadtest.torture import campaign
from loadtest.torture.campaign import Plan
from loadtest.view import View

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(240)]

SHORT = Plan(allocations=10_000, kills=2, pg_restarts=1, numbers=2_000, minutes_max=2.0)


async def test_nothing_is_given_twice_leaked_or_lost_through_kills_and_a_crashed_database() -> None:
    outcome = await campaign.run(SHORT, View())

    assert [check for check in outcome.checks if not check.holds] == []
    assert min(outcome.allocations, outcome.releases) >= SHORT.allocations
    assert (outcome.suffered.kills, outcome.suffered.restarts) == (2, 1)
