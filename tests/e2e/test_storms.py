"""The storms of `python -m loadtest storm`, small: same processes, faults and checker."""

import pytest

from loadtest.storm import elements, enterprise, month
from loadtest.storm.sickness import Sickness
from loadtest.storm.storm import Options
from loadtest.storm.verdict import Outcome
from loadtest.view import View

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(240)]

SMALL = Options(
    users=200,
    singles_per_s=15.0,
    calm_s=1.5,
    sickness=Sickness(down_after_s=0.5, down_s=2.0),
    singles_max_s=20.0,
    minutes_max=2.0,
)


def wrong(outcome: Outcome) -> list[object]:
    """Urgent orders of a machine that runs other tests beside are not timed here."""
    checks: list[object] = [check for check in outcome.checks if not check.holds]
    return checks if outcome.memory.holds else [*checks, outcome.memory]


async def test_the_first_of_the_month_leaves_every_line_as_upstream_means() -> None:
    outcome = await month.run(month.Plan(SMALL, resumes_s=2.0, overtaken_s=3.0), View())

    assert wrong(outcome) == []
    assert {"hlr3", "hlr4"} == set(outcome.figures["absences_s"])
    assert {"SUPERSEDED", "COALESCED"} & set(outcome.figures["marks"])


async def test_an_enterprise_is_stopped_and_goes_on_beside_single_orders() -> None:
    outcome = await enterprise.run(SMALL, View())

    assert wrong(outcome) == []
    assert outcome.figures["children"] == 3 * SMALL.users


async def test_steady_business_survives_sick_elements_and_a_killed_daemon() -> None:
    outcome = await elements.run(elements.Plan(SMALL, users_per_s=60.0, gap_s=0.4), View())

    assert wrong(outcome) == []
    assert "hlrd" in outcome.figures["absences_s"]
