"""Acts on many orders at once: by two persons, at a bounded rate, and over a kill."""

import asyncio

import pytest

from hlrd import limits
from hlrd.domain.errors import BadRequest, Conflict, Refusal
from hlrd.domain.fallout import Act, Chosen
from hlrd.domain.lifecycle import BulkState
from hlrd.store.bulk import BulkRow
from hlrd.store.connection import Connection
from tests.runtime.fallout.rig import FakeEngine, Rig, a_fall, a_rig

pytestmark = pytest.mark.postgres

HLR1 = Chosen(ne="hlr1", code="3012")


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "FALLOUT_LOOK_S", 0.005)
    monkeypatch.setattr(limits, "FALLOUT_BULK_SLICE", 3)


async def propose(rig: Rig, act: Act = Act.RESEND, chosen: Chosen = HLR1) -> BulkRow:
    return await rig.office.bulks.propose(act, chosen, reason="profile is there", operator_id="a")


async def confirmed(rig: Rig, act: Act = Act.RESEND, chosen: Chosen = HLR1) -> BulkRow:
    return await rig.office.bulks.confirm(await propose(rig, act, chosen), "b")


async def ended(rig: Rig, id: int) -> BulkRow:
    async with asyncio.timeout(10):
        while True:
            bulk = await rig.office.bulks.get(id)
            if bulk.ended_at is not None:
                return bulk
            await asyncio.sleep(0.005)


async def test_a_proposal_says_what_would_be_done_and_does_nothing(dsn: str) -> None:
    async with a_rig(dsn) as rig:
        for id in range(1, 9):
            await rig.fall(id)
        await rig.fall(9, a_fall(code="9"))

        bulk = await propose(rig)

        assert (bulk.state, bulk.count, bulk.released) == (BulkState.PROPOSED, 8, 0)
        assert [one["id"] for one in bulk.sample] == ["1", "2", "3", "4", "5"]
        assert rig.engine.released == []


@pytest.mark.parametrize("operator_id", ["a", "A"])
async def test_who_proposed_it_cannot_confirm_it(dsn: str, operator_id: str) -> None:
    async with a_rig(dsn) as rig:
        await rig.fall(1)
        bulk = await propose(rig)

        with pytest.raises(Conflict) as refused:
            await rig.office.bulks.confirm(bulk, operator_id)

        assert refused.value.code == "SECOND_PERSON_NEEDED"
        assert rig.engine.released == []


async def test_all_that_are_meant_are_let_go_once_and_in_order(dsn: str) -> None:
    async with a_rig(dsn) as rig:
        for id in range(1, 9):
            await rig.fall(id)
        await rig.fall(9, a_fall(code="9"))

        bulk = await ended(rig, (await confirmed(rig)).id)

        assert (bulk.state, bulk.released, bulk.refused) == (BulkState.DONE, 8, 0)
        assert rig.engine.released == list(range(1, 9))
        assert (bulk.under_way, bulk.again) == (8, 0)
        row = await rig.office.desk.get(1)
        assert (row.operator_id, row.reason, row.bulk_id) == ("b", "profile is there", bulk.id)
        assert [one["order"] for one in rig.trail.rows] == list(range(1, 9))
        assert {one["action"] for one in rig.trail.rows} == {"fallout.resend"}
        assert {one["actor"] for one in rig.trail.rows} == {"b"}


async def test_what_cannot_be_rolled_back_is_passed_over_and_counted(dsn: str) -> None:
    async with a_rig(dsn) as rig:
        await rig.fall(1)
        await rig.fall(2, a_fall(is_undo=True), kind="MEMBER_ACTIVATE")

        bulk = await ended(rig, (await confirmed(rig, Act.CANCEL)).id)

        assert (bulk.released, bulk.refused) == (1, 1)
        assert rig.engine.released == [2]
        assert (await rig.office.desk.get(1)).way is None


async def test_what_falls_out_again_meanwhile_is_not_let_go_again(dsn: str) -> None:
    async with a_rig(dsn, rate_per_s=30.0) as rig:
        for id in range(1, 7):
            await rig.fall(id)
        bulk = await confirmed(rig)
        await rig.until(lambda: 1 in rig.engine.released)
        await rig.fall_again(1)
        await rig.fall(7)

        bulk = await ended(rig, bulk.id)

        assert sorted(rig.engine.released) == list(range(1, 7))
        assert bulk.again == 1


async def test_no_more_orders_are_let_go_in_a_second_than_the_rate_says(dsn: str) -> None:
    async with a_rig(dsn, rate_per_s=40.0) as rig:
        for id in range(1, 13):
            await rig.fall(id)
        started = asyncio.get_running_loop().time()

        await ended(rig, (await confirmed(rig)).id)

        assert asyncio.get_running_loop().time() - started >= 12 / 40.0 * 0.9


async def test_while_enough_are_under_way_no_more_are_let_go(
    dsn: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "FALLOUT_BULK_UNDER_WAY_MAX", 2)
    async with a_rig(dsn) as rig:
        for id in range(1, 6):
            await rig.fall(id)
        bulk = await confirmed(rig)
        await rig.until(lambda: len(rig.engine.released) == 2)
        held = list(rig.engine.released)
        for id in (1, 2):
            await rig.close(id)
        await rig.until(lambda: len(rig.engine.released) == 4)
        for id in (3, 4):
            await rig.close(id)

        await ended(rig, bulk.id)

        assert held == [1, 2]
        assert rig.engine.released == [1, 2, 3, 4, 5]


async def test_a_bulk_act_is_stopped_and_what_was_let_go_goes_on(dsn: str) -> None:
    async with a_rig(dsn, rate_per_s=10.0) as rig:
        for id in range(1, 20):
            await rig.fall(id)
        bulk = await confirmed(rig)
        await rig.until(lambda: bool(rig.engine.released))

        stopped = await rig.office.bulks.stop(bulk, "c")

        assert (stopped.state, stopped.ended_by) == (BulkState.STOPPED, "c")
        assert 0 < stopped.released < 19
        with pytest.raises(Conflict, match="stopped"):
            await rig.office.bulks.confirm(stopped, "d")


async def test_a_bulk_act_goes_on_after_a_kill_where_it_was(dsn: str) -> None:
    engine = FakeEngine()
    async with a_rig(dsn, rate_per_s=10.0, engine=engine) as rig:
        for id in range(1, 10):
            await rig.fall(id)
        bulk = await confirmed(rig)
        await rig.until(lambda: bool(engine.released))

    async with a_rig(dsn, engine=engine) as rig:
        done = await ended(rig, bulk.id)

    assert (done.state, done.released) == (BulkState.DONE, 9)
    assert sorted(engine.released) == list(range(1, 10))


async def test_a_proposal_that_nobody_confirms_in_time_is_over(
    dsn: str, database: Connection
) -> None:
    async with a_rig(dsn) as rig:
        await rig.fall(1)
        bulk = await propose(rig)
        await database.execute("UPDATE fallout_bulk SET expires_at = now()")

        with pytest.raises(Conflict, match="expired"):
            await rig.office.bulks.confirm(bulk, "b")

        assert (await rig.office.bulks.get(bulk.id)).state is BulkState.EXPIRED


@pytest.mark.parametrize(
    ("act", "chosen", "code"),
    [
        (Act.CHANGE, HLR1, "ACT_NOT_FOR_MANY"),
        (Act.RESEND, Chosen(province="200"), "FILTER_TOO_WIDE"),
        (Act.RESEND, Chosen(ne="hlr1", kind="NO_SUCH"), "KIND_UNKNOWN"),
        (Act.RESEND, Chosen(ne="hlr9"), "NOTHING_CHOSEN"),
        (Act.TO_EOMS, HLR1, "NO_EOMS"),
    ],
)
async def test_what_two_persons_together_may_not_do(
    dsn: str, act: Act, chosen: Chosen, code: str
) -> None:
    async with a_rig(dsn, eoms="") as rig:
        await rig.fall(1)
        with pytest.raises(Refusal) as refused:
            await propose(rig, act, chosen)

    assert refused.value.code == code
    assert isinstance(refused.value, BadRequest | Conflict)


async def test_an_order_that_somebody_lets_go_first_is_told_as_not_done(dsn: str) -> None:
    async with a_rig(dsn) as rig:
        for id in (1, 2):
            await rig.fall(id)

        async def somebody_is_faster(order: int | None) -> None:
            row = await rig.office.desk.get(2)
            if order == 2 and row.way is None:
                await rig.office.desk.act(Act.FINISH, row, reason="by hand", operator_id="c")

        rig.trail.on_record = somebody_is_faster
        bulk = await ended(rig, (await confirmed(rig)).id)

        row = await rig.office.desk.get(2)
        assert (row.way, row.operator_id) == ("finish", "c")
        assert bulk.released == 1
        assert rig.trail.rows[2]["after"] == {"refused": "FALLOUT_RELEASED", "row": 2}


async def test_many_go_to_the_eoms_together(dsn: str) -> None:
    async with a_rig(dsn) as rig:
        for id in (1, 2):
            await rig.fall(id)

        bulk = await ended(rig, (await confirmed(rig, Act.TO_EOMS)).id)
        await rig.until(lambda: len(rig.engine.sheets) == 2)

        assert bulk.released == 2
        assert rig.engine.released == []
