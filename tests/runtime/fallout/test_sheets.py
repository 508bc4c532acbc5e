"""Sheets at the EOMS: opened once, asked about until they are answered, and then closed."""

import asyncio

import pytest

from hlrd import limits
from hlrd.domain.errors import Conflict, Unavailable
from hlrd.domain.fallout import Act
from hlrd.domain.outcome import Outcome, Verdict
from hlrd.store.fallout import FalloutShown
from tests.runtime.fallout.rig import FakeEngine, Rig, a_fall, a_rig

pytestmark = pytest.mark.postgres

SHEET = "10001"  #: of order 1 as it fell out the first time


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "FALLOUT_LOOK_S", 0.005)
    monkeypatch.setattr(limits, "FALLOUT_SHEET_PATIENCE_S", 0.02)


async def hand_over(rig: Rig, id: int = 1) -> None:
    row = await rig.office.desk.get(id)
    await rig.office.desk.act(Act.TO_EOMS, row, reason="look", operator_id="op7")
    await rig.until(lambda: bool(rig.engine.sheets))


async def reaches(rig: Rig, state: str, id: int = 1) -> FalloutShown:
    async with asyncio.timeout(30):
        while True:
            shown = await rig.office.desk.show(id)
            if shown.sheets and shown.sheets[-1].state == state:
                return shown
            await asyncio.sleep(0.005)


@pytest.mark.parametrize(
    ("word", "way"), [("resend", "resend"), ("done", "finish"), ("cannotBeDone", None)]
)
async def test_what_people_answer_is_what_becomes_of_the_order(
    dsn: str, word: str, way: str | None
) -> None:
    async with a_rig(dsn) as rig:
        await rig.fall(1)
        await hand_over(rig)
        await reaches(rig, "open")

        rig.engine.answer(SHEET, word, "the profile is there")
        shown = await reaches(rig, "closed")

        assert shown.row.way == way
        assert rig.engine.released == ([1] if way else [])
        assert shown.sheets[-1].answer == "DONE"
        assert rig.engine.sent == [("openSheet", SHEET), ("closeSheet", f"{SHEET}c")]
        if way:
            assert shown.row.reason == "EOMS: the profile is there"
            (row,) = rig.trail.rows
            assert (row["actor"], row["order"]) == ("eoms", 1)


@pytest.mark.parametrize(("word", "way"), [("cancel", "cancel"), ("done", "cancel")])
async def test_an_order_on_its_way_back_is_never_made_one_that_was_carried_out(
    dsn: str, word: str, way: str
) -> None:
    async with a_rig(dsn) as rig:
        await rig.fall(1, a_fall(is_undo=True, step="101u"), kind="MEMBER_ACTIVATE")
        await hand_over(rig)

        rig.engine.answer(SHEET, word)
        shown = await reaches(rig, "closed")

    assert shown.row.way == way
    assert list(shown.row.skipped) == (["101u"] if word == "done" else [])


async def test_an_answer_that_the_order_is_not_open_to_leaves_it_at_the_desk(dsn: str) -> None:
    async with a_rig(dsn) as rig:
        await rig.fall(1)
        await hand_over(rig)

        rig.engine.answer(SHEET, "cancel")
        shown = await reaches(rig, "closed")

    assert shown.row.way is None


async def test_a_rule_hands_an_order_over_when_it_falls_out_and_each_fall_is_a_sheet(
    dsn: str,
) -> None:
    async with a_rig(dsn) as rig:
        await rig.fall(1, a_fall(to_eoms=True))
        await reaches(rig, "open")
        rig.engine.answer(SHEET, "resend")
        await reaches(rig, "closed")
        await rig.fall_again(1, a_fall(to_eoms=True))
        shown = await reaches(rig, "open")

    assert [sheet.transaction for sheet in shown.sheets] == [
        SHEET, "10002",
    ]  # fmt: skip
    assert shown.sheets[0].asked_by == "fallout.to_eoms"


async def test_what_a_rule_hands_over_is_an_act_of_the_daemon_and_told_once(dsn: str) -> None:
    engine = FakeEngine(is_mute=True)
    async with a_rig(dsn, engine=engine) as rig:
        await rig.fall(1, a_fall(to_eoms=True))
        await rig.until(lambda: len(engine.sent) > 1)

        (row,) = rig.trail.rows

    assert (row["actor"], row["action"], row["order"]) == ("hlrd", "fallout.to-eoms", 1)
    assert row["after"] == {"sheet": SHEET, "reason": "fallout.to_eoms"}


async def test_nothing_is_handed_over_while_the_audit_trail_cannot_be_written(dsn: str) -> None:
    tried: list[int | None] = []

    async def fail(order: int | None) -> None:
        tried.append(order)
        if len(tried) < 3:
            raise Unavailable("AUDIT_UNAVAILABLE", "the trail is away", 1.0)
        assert not rig.engine.sent

    async with a_rig(dsn) as rig:
        rig.trail.on_record = fail
        await rig.fall(1, a_fall(to_eoms=True))
        await reaches(rig, "open")

    assert tried == [1] * 3


async def test_a_sheet_is_closed_when_somebody_else_let_the_order_go(dsn: str) -> None:
    async with a_rig(dsn) as rig:
        await rig.fall(1)
        await hand_over(rig)
        await reaches(rig, "open")
        row = await rig.office.desk.get(1)
        await rig.office.desk.act(Act.RESEND, row, reason="mended", operator_id="op7")

        shown = await reaches(rig, "closed")

    assert shown.row.way == "resend"
    assert shown.row.operator_id == "op7"


async def test_an_eoms_that_says_nothing_is_asked_again(dsn: str) -> None:
    engine = FakeEngine(is_mute=True)
    async with a_rig(dsn, engine=engine) as rig:
        await rig.fall(1)
        row = await rig.office.desk.get(1)
        await rig.office.desk.act(Act.TO_EOMS, row, reason="look", operator_id="op7")
        await rig.until(lambda: len(engine.sent) > 1)
        engine.is_mute = False

        await reaches(rig, "open")

    assert set(engine.sent) == {("openSheet", SHEET)}


async def test_a_sheet_that_the_eoms_lost_is_opened_again(dsn: str) -> None:
    async with a_rig(dsn) as rig:
        await rig.fall(1)
        await hand_over(rig)
        await reaches(rig, "open")
        rig.engine.sheets.clear()

        await rig.until(lambda: SHEET in rig.engine.sheets)

    assert rig.engine.sent.count(("openSheet", SHEET)) == 2


async def test_a_sheet_that_the_eoms_does_not_take_leaves_the_order_at_the_desk(dsn: str) -> None:
    engine = FakeEngine(opening=Outcome(Verdict.PERMANENT, "MALFORMED", "no"))
    async with a_rig(dsn, engine=engine) as rig:
        await rig.fall(1, a_fall(to_eoms=True))
        shown = await reaches(rig, "refused")
        row = await rig.office.desk.get(1)

        with pytest.raises(Conflict) as refused:
            await rig.office.desk.act(Act.TO_EOMS, row, reason="again", operator_id="op7")

    assert (shown.row.way, shown.sheets[-1].answer) == (None, "MALFORMED")
    assert refused.value.code == "SHEET_EXISTS"


async def test_without_an_eoms_no_order_is_handed_over(dsn: str) -> None:
    async with a_rig(dsn, eoms="") as rig:
        await rig.fall(1)
        row = await rig.office.desk.get(1)

        with pytest.raises(Conflict) as refused:
            await rig.office.desk.act(Act.TO_EOMS, row, reason="look", operator_id="op7")

    assert refused.value.code == "NO_EOMS"


async def test_a_restart_goes_on_with_the_sheet_that_is_open(dsn: str) -> None:
    engine = FakeEngine()
    async with a_rig(dsn, engine=engine) as rig:
        await rig.fall(1)
        await hand_over(rig)
        await reaches(rig, "open")
    engine.answer(SHEET, "resend")

    async with a_rig(dsn, engine=engine) as rig:
        shown = await reaches(rig, "closed")

    assert shown.row.way == "resend"
    assert engine.released == [1]
