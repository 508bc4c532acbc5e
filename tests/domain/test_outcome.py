from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hlrd import limits
from hlrd.domain.operation import Operation
from hlrd.domain.outcome import Decision, Outcome, Step, Verdict, backoff_s, decide

LAST = limits.TASK_ATTEMPTS_MAX
CHANCES = st.floats(0, 1, exclude_max=True)


def decision(
    verdict: Verdict, *, then: Operation | None = Operation.ADD_KEY, **changes: Any
) -> Decision:
    situation: dict[str, Any] = {
        "attempt": 1, "is_read_back": False, "settle_s": 30.0, "poll_s": 5.0, "gives_up": True,
        "jitter": 0.5,
    }  # fmt: skip
    return decide(Outcome(verdict, then=then), **situation | changes)


@pytest.mark.parametrize(
    ("verdict", "step", "step_of_read_back"),
    [
        (Verdict.DONE, Step.DONE, Step.DONE),
        (Verdict.NO_CHANGE, Step.DONE, Step.DONE),
        (Verdict.FOLLOW_UP, Step.DONE_THEN, Step.DONE_THEN),
        (Verdict.PENDING, Step.AWAIT, Step.AWAIT),
        (Verdict.EXISTS, Step.READ_BACK, Step.READ_BACK),
        (Verdict.PREREQUISITE, Step.FIRST, Step.FIRST),
        (Verdict.BUSY, Step.RESEND, Step.READ_BACK),
        (Verdict.TRANSIENT, Step.RESEND, Step.READ_BACK),
        (Verdict.SESSION, Step.RESEND, Step.READ_BACK),
        (Verdict.NOT_SENT, Step.RESEND, Step.READ_BACK),
        (Verdict.IN_DOUBT, Step.READ_BACK, Step.READ_BACK),
        (Verdict.PERMANENT, Step.FAIL, Step.FAIL),
        (Verdict.APPLIED, Step.DONE_THEN, Step.DONE_THEN),
        (Verdict.ABSENT, Step.RESEND, Step.RESEND),
        (Verdict.DIFFERENT, Step.FAIL, Step.FAIL),
    ],
)
def test_each_verdict_has_its_step(verdict: Verdict, step: Step, step_of_read_back: Step) -> None:
    assert decision(verdict).step is step
    assert decision(verdict, is_read_back=True).step is step_of_read_back


def test_what_a_read_back_finds_owes_nothing_by_itself() -> None:
    assert decision(Verdict.APPLIED, then=None).step is Step.DONE


@given(st.integers(1, 10_000), st.booleans(), CHANCES)
def test_what_was_taken_is_asked_for_at_its_pace_and_never_given_up(
    attempt: int, is_read_back: bool, jitter: float
) -> None:
    made = decision(Verdict.PENDING, attempt=attempt, is_read_back=is_read_back, jitter=jitter)

    assert made == Decision(Step.AWAIT, delay_s=5.0)


@given(st.sampled_from(Verdict), st.integers(1, 50), st.booleans(), st.booleans(), CHANCES)
def test_silence_is_never_taken_for_an_answer(
    verdict: Verdict, attempt: int, is_read_back: bool, gives_up: bool, jitter: float
) -> None:
    made = decision(
        verdict, attempt=attempt, is_read_back=is_read_back, gives_up=gives_up, jitter=jitter
    )

    if verdict is Verdict.IN_DOUBT:
        assert made == Decision(Step.READ_BACK, delay_s=30.0)
    if is_read_back and made.step is Step.RESEND:
        assert verdict is Verdict.ABSENT


@pytest.mark.parametrize("verdict", [Verdict.TRANSIENT, Verdict.PREREQUISITE])
def test_only_what_may_be_given_up_is(verdict: Verdict) -> None:
    assert decision(verdict, attempt=LAST - 1).step is not Step.FAIL
    assert decision(verdict, attempt=LAST).step is Step.FAIL
    assert decision(verdict, attempt=10 * LAST, gives_up=False).step is not Step.FAIL
    assert decision(verdict, attempt=1).counts


@pytest.mark.parametrize(
    "verdict", [Verdict.BUSY, Verdict.SESSION, Verdict.NOT_SENT, Verdict.IN_DOUBT, Verdict.ABSENT]
)
def test_what_is_not_the_tasks_fault_does_not_count(verdict: Verdict) -> None:
    made = decision(verdict, attempt=10 * LAST)

    assert made.step is not Step.FAIL
    assert not made.counts


def test_a_prerequisite_missing_again_and_again_slows_down() -> None:
    assert decision(Verdict.PREREQUISITE).delay_s == 0
    assert decision(Verdict.PREREQUISITE, attempt=5, gives_up=False).delay_s > 0


@given(st.integers(1, 10_000), CHANCES)
def test_a_backoff_stays_between_its_bounds(attempt: int, jitter: float) -> None:
    assert limits.RETRY_DELAY_S_MIN <= backoff_s(attempt, jitter) <= limits.RETRY_DELAY_S_MAX
    assert backoff_s(attempt, 0.9) <= backoff_s(attempt + 1, 0.9)
