from datetime import timedelta

import pytest

from hlrd import limits, metrics
from hlrd.domain.outcome import Verdict
from hlrd.domain.suspension import Level, Reason
from tests.engine.stage import Stage, user_of

LATE_S = limits.PAYMENT_RESUME_DUE_S + 1


@pytest.fixture
def stage() -> Stage:
    """User 7 is stopped for arrears."""
    made = Stage()
    made.users["7"] = user_of(1, {Reason.ARREARS: Level.TWO_WAY})
    return made


def late(stage: Stage) -> int:
    stage.engine.observe()
    return int(metrics.PAYMENT_RESUMES_LATE._value.get())


def measured() -> tuple[float, float]:
    """How many resumes of province 200, and their seconds."""
    samples = {
        sample.name.rpartition("_")[2]: sample.value
        for family in metrics.PAYMENT_RESUME_DURATION.collect()
        for sample in family.samples
        if sample.labels == {"province": "200"}
    }
    return samples.get("count", 0.0), samples.get("sum", 0.0)


def test_a_resume_that_the_hlr_does_not_take_is_late_after_five_minutes(
    stage: Stage, capsys: pytest.CaptureFixture[str]
) -> None:
    stage.take(stage.resume())
    assert late(stage) == 0

    stage.wait(LATE_S)

    assert [late(stage), late(stage)] == [1, 1]
    assert capsys.readouterr().out.count("payment_resume_late") == 1
    stage.finish()
    assert late(stage) == 0


def test_a_line_that_is_free_is_not_late_while_the_dsmp_is_away(stage: Stage) -> None:
    stage.take(stage.resume())
    stage.reply()

    stage.wait(LATE_S)

    assert stage.dsmp.sent
    assert late(stage) == 0


def test_a_resume_in_fallout_is_late_too(stage: Stage) -> None:
    stage.take(stage.resume())
    stage.reply(Verdict.PERMANENT)
    stage.close()

    stage.wait(LATE_S)

    assert late(stage) == 1


def test_a_suspension_is_never_late(stage: Stage) -> None:
    stage.users["7"] = user_of(1)
    stage.take(stage.suspend())

    stage.wait(LATE_S)

    assert late(stage) == 0


def test_a_start_knows_how_old_those_are_that_it_takes_over(stage: Stage) -> None:
    now = stage.clock.wall()
    old, young = now - timedelta(seconds=LATE_S), now - timedelta(seconds=1)

    stage.engine.recover_resumes([(1, old), (2, young)])

    assert late(stage) == 1


def test_what_is_measured_ends_with_the_word_of_the_hlr(stage: Stage) -> None:
    count, seconds = measured()
    stage.take(stage.resume())
    stage.wait(7.0)
    stage.reply()
    stage.wait(60.0)
    stage.finish()

    assert measured() == (count + 1, pytest.approx(seconds + 7.0))


def test_a_resume_without_a_command_is_not_measured(stage: Stage) -> None:
    stage.users["7"] = user_of(1, {Reason.FRAUD: Level.TWO_WAY})
    before = measured()

    stage.take(stage.resume())
    stage.finish()

    assert measured() == before
