"""The rules of combined suspension reasons, and the worked cases that need no other order kind."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hlrd.domain.suspension import (
    NO_REASONS,
    Level,
    Reason,
    Reasons,
    clear_reason,
    effective,
    set_reason,
)

A, V, OP = Reason.ARREARS, Reason.VOLUNTARY, Reason.OPERATOR
ONE, TWO = Level.ONE_WAY, Level.TWO_WAY
SETS = st.dictionaries(st.sampled_from(Reason), st.sampled_from([ONE, TWO]))
Step = tuple[Reason, Level]


@pytest.mark.parametrize(
    ("steps", "commands", "end"),
    [
        ([(A, TWO), (A, Level.NONE)], [2, 0], {}),  # 1
        ([(A, ONE), (A, TWO), (A, Level.NONE)], [1, 2, 0], {}),  # 2
        ([(A, TWO), (A, TWO)], [2], {A: TWO}),  # 3
        ([(V, TWO), (A, TWO), (A, Level.NONE)], [2], {V: TWO}),  # 4
        ([(A, TWO), (V, TWO), (V, Level.NONE)], [2], {A: TWO}),  # 5
        ([(V, TWO), (A, ONE), (V, Level.NONE)], [2, 1], {A: ONE}),  # 6
        ([(OP, TWO), (A, Level.NONE), (V, Level.NONE)], [2], {OP: TWO}),  # 7
        ([(A, Level.NONE)], [], {}),  # 8
    ],
)
def test_worked_cases(steps: list[Step], commands: list[int], end: Reasons) -> None:
    reasons: Reasons = NO_REASONS
    sent = []
    for reason, level in steps:
        change = set_reason(reasons, reason, level) if level else clear_reason(reasons, reason)
        reasons = change.reasons
        if change.moves_level:
            sent.append(int(change.after))

    assert (sent, dict(reasons)) == (commands, end)


@given(SETS, st.sampled_from(Reason), st.sampled_from([ONE, TWO]))
def test_setting_touches_its_own_reason_alone_and_never_lowers(
    reasons: Reasons, reason: Reason, level: Level
) -> None:
    change = set_reason(reasons, reason, level)

    assert change.reasons[reason] == max(level, reasons.get(reason, Level.NONE))
    assert {**change.reasons, reason: TWO} == {**reasons, reason: TWO}
    assert change.after == effective(change.reasons) >= change.before == effective(reasons)
    assert change.is_no_change == (change.reasons == reasons)


@given(SETS, st.sampled_from(Reason))
def test_clearing_touches_its_own_reason_alone(reasons: Reasons, reason: Reason) -> None:
    change = clear_reason(reasons, reason)

    assert {**change.reasons, reason: TWO} == {**reasons, reason: TWO}
    assert reason not in change.reasons
    assert change.after == effective(change.reasons) <= change.before
    assert change.is_no_change == (reason not in reasons)
    assert clear_reason(change.reasons, reason).is_no_change


@given(SETS)
def test_the_effective_level_is_the_highest(reasons: Reasons) -> None:
    assert effective(reasons) == max([*reasons.values(), Level.NONE])
