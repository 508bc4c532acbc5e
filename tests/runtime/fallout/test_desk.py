"""Single acts on a real database: durable before the engine hears of them, and once."""

import orjson
import pytest

from hlrd.domain.errors import BadRequest, Conflict, NotFound
from hlrd.domain.fallout import Act, Chosen, Way
from hlrd.domain.orders import ArrearsSuspend
from hlrd.runtime.node import NodeLease, first_order_id
from hlrd.store import facts
from hlrd.store.connection import Connection
from hlrd.store.fallout import FalloutRow
from hlrd.store.migrate import migrate
from tests.runtime.fallout.rig import Rig, a_fall, a_rig
from tests.runtime.records import an_acceptance

pytestmark = pytest.mark.postgres

ANY = Chosen()


async def act(rig: Rig, act: Act, id: int, reason: str = "mended") -> None:
    row = await rig.office.desk.get(id)
    await rig.office.desk.act(act, row, reason=reason, operator_id="op7")


async def ids(rig: Rig, chosen: Chosen = ANY) -> list[int]:
    return [row.order_id for row in await rig.office.desk.page(chosen, 0, 10)]


async def test_an_order_is_on_the_desk_from_its_interim_receipt_to_its_final_one(dsn: str) -> None:
    async with a_rig(dsn) as rig:
        await rig.fall(1)
        row = await rig.office.desk.get(1)
        await rig.close(1)

        assert (row.ne, row.operation, row.code, row.falls) == ("hlr1", "setBarring", "3012", 1)
        assert (row.kind, row.province, row.way) == ("ARREARS_SUSPEND", "200", None)
        with pytest.raises(NotFound):
            await rig.office.desk.get(1)


async def test_whatever_an_element_says_is_kept_as_far_as_it_can_be(dsn: str) -> None:
    async with a_rig(dsn) as rig:
        await rig.fall(1, a_fall(code="a\0b", text="half \ud83d" + 5_000 * "x"))
        row = await rig.office.desk.get(1)

    assert (row.code, row.text[:8], len(row.text)) == ("a\ufffdb", "half ?xx", 2_000)


async def test_the_list_is_filtered_paged_and_tells_how_many_wait_behind(dsn: str) -> None:
    async with a_rig(dsn) as rig:
        await rig.fall(1, user="77")
        for id in (2, 3):
            rig.journal.accept(an_acceptance(id, user_id="77"))
        await rig.fall(4, a_fall(ne="hlr2"))
        await rig.fall(5, a_fall(code="9"), kind="PAYMENT_RESUME")

        rows = await rig.office.desk.page(ANY, 0, 10)
        behind = {row.order_id: row.waiting for row in rows}

        assert behind == {1: 2, 4: 0, 5: 0}
        assert await ids(rig, Chosen(ne="hlr2")) == [4]
        assert await ids(rig, Chosen(code="9")) == [5]
        assert await ids(rig, Chosen(kind="PAYMENT_RESUME")) == [5]
        assert await ids(rig, Chosen(province="100")) == []
        assert await ids(rig, Chosen(older_than_s=3_600.0 * 24 * 3_650)) == []
        assert [row.order_id for row in await rig.office.desk.page(ANY, 1, 1)] == [4]


async def test_the_counts_are_by_element_and_code(dsn: str) -> None:
    async with a_rig(dsn) as rig:
        for id in (1, 2):
            await rig.fall(id)
        await rig.fall(3, a_fall(ne="dsmp1", code="4"))
        await act(rig, Act.RESEND, 1)

        counts = await rig.office.desk.counts()

    assert [(row.ne, row.code, row.orders, row.idle) for row in counts] == [
        ("hlr1", "3012", 2, 1),
        ("dsmp1", "4", 1, 1),
    ]


async def test_a_resend_is_durable_before_the_engine_hears_of_it(
    dsn: str, database: Connection
) -> None:
    async with a_rig(dsn) as rig:
        await rig.fall(1)
        await act(rig, Act.RESEND, 1)

        assert rig.engine.released == [1]
        row = await rig.office.desk.get(1)
        assert (row.way, row.operator_id, row.reason) == ("resend", "op7", "mended")
        (stored,) = await facts.read_stored(database, [1], [])
        assert stored.release is not None
        assert stored.release.way is Way.RESEND


async def test_after_a_kill_an_order_that_was_let_go_waits_for_nobody(dsn: str) -> None:
    first = first_order_id(1)
    async with a_rig(dsn) as rig:
        await rig.fall(first)
        await rig.fall(first + 1)
        await act(rig, Act.RESEND, first)

    lease = NodeLease(dsn, "node1")
    await lease.take()
    opened = [order async for page in lease.open_orders() for order in page]
    lease.close()

    assert [(order.id, order.in_fallout) for order in opened] == [
        (first, False), (first + 1, True),
    ]  # fmt: skip


async def test_an_order_that_falls_out_again_waits_again_and_its_skips_still_count(
    dsn: str,
) -> None:
    async with a_rig(dsn) as rig:
        await rig.fall(1)
        await act(rig, Act.SKIP, 1)
        await rig.fall_again(1, a_fall(ne="dsmp1", step="101"))
        row = await rig.office.desk.get(1)
        await act(rig, Act.SKIP, 1)

        assert (row.way, row.falls, row.ne, list(row.skipped)) == (None, 2, "dsmp1", ["100"])
        assert list((await rig.office.desk.get(1)).skipped) == ["100", "101"]
        assert rig.engine.released == [1, 1]


async def test_two_persons_do_not_both_let_an_order_go(dsn: str) -> None:
    async with a_rig(dsn) as rig:
        await rig.fall(1)
        seen = await rig.office.desk.get(1)
        await act(rig, Act.FINISH, 1)

        with pytest.raises(Conflict) as refused:
            await rig.office.desk.act(Act.RESEND, seen, reason="no", operator_id="op8")

        assert refused.value.code == "FALLOUT_RELEASED"
        assert (await rig.office.desk.get(1)).way == "finish"


async def test_what_a_person_did_not_see_is_not_decided(dsn: str) -> None:
    async with a_rig(dsn) as rig:
        await rig.fall(1)
        seen = await rig.office.desk.get(1)
        await act(rig, Act.RESEND, 1)
        await rig.fall_again(1, a_fall(step="101"))

        with pytest.raises(Conflict):
            await rig.office.desk.act(Act.SKIP, seen, reason="no", operator_id="op7")


async def test_a_decision_whose_answer_was_lost_is_not_refused_the_second_time(dsn: str) -> None:
    async with a_rig(dsn) as rig:
        await rig.fall(1)
        seen = await rig.office.desk.get(1)
        for _ in range(2):
            await rig.office.desk.act(Act.RESEND, seen, reason="again", operator_id="op7")

        assert set(rig.engine.released) == {1}


@pytest.mark.parametrize(
    ("kind", "is_undo", "may"),
    [
        ("MEMBER_ACTIVATE", True, True),
        ("PRODUCT_SUBSCRIBE", True, True),
        ("MEMBER_ACTIVATE", False, False),
        ("ARREARS_SUSPEND", False, False),
        ("USER_TERMINATE", False, False),
    ],
)
async def test_only_what_is_undone_by_its_kind_is_rolled_back(
    dsn: str, kind: str, is_undo: bool, may: bool
) -> None:
    async with a_rig(dsn) as rig:
        await rig.fall(1, a_fall(is_undo=is_undo), kind=kind)
        shown = await rig.office.desk.show(1)

        assert (Act.CANCEL in shown.acts) == may
        if may:
            await act(rig, Act.CANCEL, 1)
            assert (await rig.office.desk.get(1)).way == "cancel"
        else:
            with pytest.raises(Conflict, match="can only go forward"):
                await act(rig, Act.CANCEL, 1)


async def test_a_skip_on_the_way_back_goes_on_back(dsn: str) -> None:
    async with a_rig(dsn) as rig:
        await rig.fall(1, a_fall(is_undo=True, step="101u"), kind="MEMBER_ACTIVATE")
        await act(rig, Act.SKIP, 1)

        row = await rig.office.desk.get(1)

    assert (row.way, list(row.skipped)) == ("cancel", ["101u"])


async def test_a_change_is_judged_anew_and_both_forms_stay(dsn: str, database: Connection) -> None:
    async with a_rig(dsn) as rig:
        await rig.fall(1)
        row = await rig.office.desk.get(1)
        await rig.office.desk.change(row, {"level": 1}, reason="one-way", operator_id="op7")

        (judged,) = rig.engine.judged
        assert isinstance(judged, ArrearsSuspend)
        assert judged.level == 1
        (stored,) = await facts.read_stored(database, [1], [])
        assert orjson.loads(stored.payload)["level"] == 1
        original = await database.fetchval("SELECT payload FROM work_order WHERE id = 1")
        assert orjson.loads(original)["level"] == 2
        (amended,) = (await rig.office.desk.show(1)).amendments
        assert (amended.operator_id, amended.reason) == ("op7", "one-way")


@pytest.mark.parametrize(
    ("fields", "code", "field"),
    [
        ({"msisdn": "1064800000002"}, "FIELD_NOT_CHANGEABLE", "set.msisdn"),
        ({"level": 3}, "FIELD_INVALID", "set.level"),
        ({"level": None}, "FIELD_MISSING", "set.level"),
    ],
)
async def test_what_no_person_may_change_leaves_everything_as_it_was(
    dsn: str, fields: dict[str, object], code: str, field: str
) -> None:
    async with a_rig(dsn) as rig:
        await rig.fall(1)
        row = await rig.office.desk.get(1)

        with pytest.raises(BadRequest) as refused:
            await rig.office.desk.change(row, fields, reason="no", operator_id="op7")

        assert (refused.value.code, refused.value.field) == (code, field)
        assert (await rig.office.desk.get(1)).way is None
        assert rig.engine.released == []


async def test_a_change_that_a_new_order_would_be_refused_for_is_refused(dsn: str) -> None:
    async with a_rig(dsn) as rig:
        rig.engine.refuses = BadRequest("SERVICES_UNKNOWN", "no template", "services")
        await rig.fall(1)
        row = await rig.office.desk.get(1)

        with pytest.raises(BadRequest) as refused:
            await rig.office.desk.change(row, {"level": 1}, reason="no", operator_id="op7")

    assert (refused.value.code, refused.value.field) == ("SERVICES_UNKNOWN", "set.services")


async def test_fallouts_of_before_this_release_come_to_the_desk(
    dsn: str, database: Connection
) -> None:
    async with a_rig(dsn) as rig:
        await rig.fall(1, kind="MEMBER_ACTIVATE")
        await rig.fall(2)
        await rig.close(2)
    body = (
        rb'{"ne":"hlr1","operation":"setBarring","ne_class":"permanent","ne_code":"3012",'
        rb'"ne_text":"a\u0000b"}'
    )
    await database.execute("UPDATE receipt SET body = $1", body)
    await database.execute(
        "DROP TABLE fallout, order_amendment, fallout_bulk, fallout_sheet;"
        " DELETE FROM migration WHERE name = '0012_fallout.sql'"
    )

    assert await migrate(database) == 1
    rows: list[FalloutRow] = [
        FalloutRow(**row, source="", upstream_id="", priority=0, accepted_at=row["since"],
                   waiting=0, sheet=None)
        for row in await database.fetch("SELECT * FROM fallout")
    ]  # fmt: skip

    assert [(row.order_id, row.ne, row.code, row.text, row.is_undo) for row in rows] == [
        (1, "hlr1", "3012", "a\ufffdb", True)
    ]
