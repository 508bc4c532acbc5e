"""The table of times of a storm, and the bound of each row with its reason. Pure."""

from collections.abc import Sequence
from typing import Final

from loadtest.storm import promptness
from loadtest.storm.book import Kind
from loadtest.storm.promptness import Absence, Row, Urgent
from loadtest.storm.sickness import SLOW

PAYMENT_S: Final = 300.0
"""缴费开机及时率: a payment frees the line within five minutes."""

CALM_FACTOR: Final = 10.0
"""An urgent order in the storm may take so many times what it takes in the calm, but for a command
that is not answered: of three exchanges with 0.5 % each that is more than one order in a hundred,
so its wait belongs to the p99."""

_CALM_S_MIN: Final = 0.1
"""What a calm counts for at least: below, it is the noise of two cores that everything shares."""

_NAMES: Final = {
    Kind.OPEN: "openings at the counter",
    Kind.REPLACE: "replaced cards",
    Kind.PAY: "payments",
}


def rows(
    calm: Sequence[Urgent],
    storm: Sequence[Urgent],
    absences: Sequence[Absence],
    *,
    unanswered_s: float,
    slow_factor: float,
) -> list[Row]:
    """`slow_factor`: of SLOW, 1 if none is."""
    before = promptness.row("in the calm: all", calm, (), bound_s=PAYMENT_S)
    own_s = max(before.p99_s, _CALM_S_MIN) * CALM_FACTOR
    usual_s, slow_s = unanswered_s + own_s, unanswered_s + own_s * slow_factor
    away = {each.hlr for each in absences if each.hlr}
    is_slow = slow_factor > 1.0
    well = [each for each in storm if each.hlr not in away and not (is_slow and each.hlr == SLOW)]
    made = [before]
    made += [
        promptness.row(
            f"in the storm: {name}",
            [each for each in well if each.kind is kind],
            absences,
            bound_s=usual_s,
        )
        for kind, name in _NAMES.items()
    ]
    if is_slow:
        made.append(_of_hlr(SLOW, f"at {SLOW}, which is slow", storm, absences, slow_s))
    for absence in sorted(absences, key=lambda each: each.hlr):
        if absence.hlr:
            what = f"at {absence.hlr}, from its return"
            catching_up_s = absence.end_s - absence.start_s
            made.append(_of_hlr(absence.hlr, what, storm, absences, usual_s + catching_up_s))
    paid = [each for each in storm if each.kind is Kind.PAY]
    made.append(promptness.row("all payments", paid, absences, bound_s=PAYMENT_S))
    return [row for row in made if row.orders]


def _of_hlr(
    hlr: str, what: str, storm: Sequence[Urgent], absences: Sequence[Absence], bound_s: float
) -> Row:
    own = [each for each in storm if each.hlr == hlr]
    return promptness.row(what, own, absences, bound_s=bound_s)
