"""Receipts to endpoints over real HTTP and a real database."""

import base64
from collections.abc import AsyncIterator
from datetime import timedelta

import pytest
import structlog

from hlrd import metrics
from hlrd.codec.webhook import FALLOUT, Signer
from hlrd.domain.delivery import GIVE_UP_S
from hlrd.domain.errors import Conflict, NotFound
from hlrd.domain.lifecycle import DeliveryState
from hlrd.runtime.delivery.desk import DeliveryDesk
from hlrd.runtime.delivery.sender import Registration
from hlrd.store.connection import Connection
from loadtest.receiver.core import Mood
from loadtest.receiver.server import Server
from tests.runtime.delivery.rig import SECRET, Rig, a_registration, a_rig, a_server, until

pytestmark = pytest.mark.postgres


@pytest.fixture
async def rig(dsn: str, database: Connection) -> AsyncIterator[Rig]:
    async with a_rig(dsn, database) as rig:
        yield rig


@pytest.fixture
async def server() -> AsyncIterator[Server]:
    async with a_server() as server:
        yield server


def is_away() -> bool:
    """Whether `main` is left alone, as the metrics say."""
    return bool(metrics.ENDPOINT_AWAY.labels("main")._value.get())


async def some(rig: Rig, desk: DeliveryDesk, count: int, users: int = 3) -> None:
    for number in range(count):
        await rig.add(f"{number % users}")
    desk.arrived({"CRM"})


async def test_receipts_arrive_signed_once_and_in_order_and_cost_no_row(
    rig: Rig, server: Server
) -> None:
    receiver = server.receiver
    async with rig.a_desk(a_registration(server)) as desk:
        await some(rig, desk, 60)
        await until(lambda: len(receiver.received) == 60)
        await rig.settled(60)

    assert receiver.stats() == {
        "posts": 60, "received": 60, "repeats": 0, "unsigned": 0, "out_of_order": 0,
    }  # fmt: skip
    assert [one.data["id"] for one in receiver.of_user("1")] == [str(n) for n in range(2, 61, 3)]
    assert await rig.rows() == []


async def test_an_interim_receipt_goes_the_same_way(rig: Rig, server: Server) -> None:
    async with rig.a_desk(a_registration(server)) as desk:
        await rig.add("1", is_final=False)
        await rig.add("1")
        desk.arrived({"CRM"})
        await until(lambda: len(server.receiver.received) == 2)

    first, second = server.receiver.of_user("1")
    assert first.type == FALLOUT
    assert first.id != second.id


async def test_an_endpoint_gets_what_names_it_and_the_default_gets_what_names_none(
    rig: Rig, server: Server
) -> None:
    async with a_server() as other:
        named = a_registration(other, "named", is_default=False)
        async with rig.a_desk(a_registration(server), named) as desk:
            await rig.add("1")
            await rig.add("1", reply_to="named")
            await rig.add("1", reply_to="main")
            await rig.add("1", reply_to="gone")
            await rig.add("1", source="BOSS")
            desk.arrived({"CRM"})
            await until(lambda: len(server.receiver.received) == 2)
            await until(lambda: len(other.receiver.received) == 1)
            assert desk.endpoint_of("CRM", None) == "main"
            assert desk.endpoint_of("CRM", "named") == "named"
            assert desk.endpoint_of("BOSS", None) is None

        assert sorted(server.receiver.received) == ["1", "3"]
        assert sorted(other.receiver.received) == ["2"]
        assert rig.endpoints.knows("CRM", "named")


async def test_a_new_endpoint_gets_no_old_receipts(rig: Rig, server: Server) -> None:
    await rig.add("1")
    async with rig.a_desk(a_registration(server)) as desk:
        seq = await rig.add("1")
        desk.arrived({"CRM"})
        await until(lambda: len(server.receiver.received) == 1)

        assert list(server.receiver.received) == [str(seq)]
        assert desk.delivered_to("main", 1) is None


async def test_a_receipt_below_the_watermark_only_is_delivered(rig: Rig, server: Server) -> None:
    async with rig.a_desk(a_registration(server)) as desk:
        await rig.add("1")
        await rig.add("2")
        rig.mark = 1
        desk.arrived({"CRM"})
        await until(lambda: len(server.receiver.received) == 1)
        assert desk.delivered_to("main", 2) is DeliveryState.PENDING
        rig.mark = 2
        desk.arrived({"CRM"})
        await until(lambda: len(server.receiver.received) == 2)


async def test_after_a_kill_between_delivery_and_mark_a_receipt_comes_twice_and_none_is_lost(
    rig: Rig, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("hlrd.limits.DELIVERIES_MARK_S", 3_600)
    async with rig.a_desk(a_registration(server)) as desk:
        await some(rig, desk, 20)
        await until(lambda: len(server.receiver.received) == 20)
    assert await rig.cursor() == 0

    async with rig.a_desk(a_registration(server)) as desk:
        await some(rig, desk, 5)
        await until(lambda: len(server.receiver.received) == 25)
        await desk.drain(1)

    assert server.receiver.repeats == 20
    assert server.receiver.out_of_order == []
    assert await rig.cursor() == 25


async def test_kills_at_any_time_lose_nothing_and_keep_the_order(rig: Rig, server: Server) -> None:
    server.receiver.mood = Mood(503, share=0.2)
    for _ in range(6):
        async with rig.a_desk(a_registration(server)) as desk:
            seen = server.receiver.posts
            await some(rig, desk, 30, users=5)
            await until(lambda seen=seen: server.receiver.posts > seen + 10)  # type: ignore[misc]
    server.receiver.mood = Mood()

    async with rig.a_desk(a_registration(server)) as desk:
        rig.clock.ahead_s += 3_600
        await until(lambda: len(server.receiver.received) == 180)
        await desk.drain(1)

    assert server.receiver.out_of_order == []
    assert server.receiver.unsigned == 0
    assert (await rig.rows(), await rig.cursor()) == ([], 180)


async def test_a_refused_receipt_holds_up_its_user_and_nobody_else(
    rig: Rig, server: Server
) -> None:
    receiver = server.receiver
    async with rig.a_desk(a_registration(server)) as desk:
        receiver.mood = Mood(422)
        await rig.add("1")
        desk.arrived({"CRM"})
        await until(lambda: receiver.posts == 1)
        receiver.mood = Mood()
        for user_id in ("1", "2", "3"):
            await rig.add(user_id)
        desk.arrived({"CRM"})
        await until(lambda: len(receiver.received) == 2)
        await rig.settled(4)
        assert await rig.rows() == [(1, "pending", 1), (2, "pending", 0)]

        rig.clock.ahead_s += 60
        await until(lambda: len(receiver.received) == 4)
        await desk.drain(1)

    assert receiver.out_of_order == []
    assert await rig.rows() == []


async def test_a_slow_endpoint_holds_up_no_other(rig: Rig, server: Server) -> None:
    server.receiver.mood = Mood(hangs=True)
    async with a_server() as quick:
        slow = a_registration(server, "slow", is_default=True)
        good = a_registration(quick, "good", source="BOSS")
        async with rig.a_desk(slow, good) as desk:
            for number in range(40):
                await rig.add(str(number))
                await rig.add(str(number), source="BOSS")
            desk.arrived({"CRM", "BOSS"})
            await until(lambda: len(quick.receiver.received) == 40)

            assert server.receiver.posts <= 16
            views = {view.name: view for view in await desk.endpoints()}
            assert views["slow"].in_flight == 16
            assert views["good"].pending == 0


async def test_an_answer_that_never_comes_is_a_failure_after_its_time(
    rig: Rig, server: Server
) -> None:
    server.receiver.mood = Mood(hangs=True, keeps=True)
    async with rig.a_desk(a_registration(server, timeout_s=0.05)) as desk:
        await rig.add("1")
        desk.arrived({"CRM"})
        await rig.until_rows(bool)
        said = await rig.database.fetchval("SELECT said FROM delivery")
        server.receiver.mood = Mood()
        rig.clock.ahead_s += 60
        await until(lambda: server.receiver.repeats == 1)

    assert said == "no answer in 0.05 s"


async def test_an_endpoint_that_is_down_is_left_alone_and_gets_all_when_it_is_back(
    rig: Rig, server: Server
) -> None:
    await server.close()
    with structlog.testing.capture_logs() as logs:
        async with rig.a_desk(a_registration(server)) as desk:
            await some(rig, desk, 100, users=100)
            await until(is_away)
            (view,) = await desk.endpoints()
            assert (view.state, view.pending) == ("away", 100)
            assert view.failing_since is not None

            await server.open(port=server.port)
            await until(lambda: len(server.receiver.received) == 100)
            await desk.drain(1)
            (view,) = await desk.endpoints()
            assert (view.state, view.pending, view.failing_since) == ("open", 0, None)

    told = [log for log in logs if log["event"] == "receipt_endpoint"]
    assert [log["state"] for log in told] == ["away", "open"]
    assert told[0]["said"].startswith("not reached")
    assert await rig.rows() == []


async def test_what_is_not_taken_for_a_day_is_dead_and_staff_sends_it_again(
    rig: Rig, server: Server
) -> None:
    server.receiver.mood = Mood(422)
    dead = metrics.DELIVERIES.labels("main", "dead")
    before = dead.value
    async with rig.a_desk(a_registration(server)) as desk:
        await some(rig, desk, 3)
        await rig.until_rows(lambda rows: len(rows) == 3)
        rig.clock.ahead_s += GIVE_UP_S
        await until(lambda: dead.value == before + 3)
        await desk.drain(1)
        assert [row[1] for row in await rig.rows()] == ["dead"] * 3
    server.receiver.mood = Mood()

    async with rig.a_desk(a_registration(server)) as desk:
        assert await desk.redeliver_dead("main") == 3
        await until(lambda: len(server.receiver.received) == 3)
        assert await desk.redeliver_dead("main") == 0
        await desk.drain(1)

    assert await rig.rows() == []


async def test_an_endpoint_away_for_a_day_costs_its_receipts_and_a_restart_does_not_save_them(
    rig: Rig, server: Server
) -> None:
    await server.close()
    async with rig.a_desk(a_registration(server)) as desk:
        await some(rig, desk, 50, users=50)
        await until(lambda: desk._posts["CRM", "main"].outbox.state(0) == "away")
        await desk.drain(1)
    rig.clock.ahead_s += GIVE_UP_S + 60
    late = await rig.add("late")

    async with rig.a_desk(a_registration(server)) as desk:
        await rig.settled(50)
        await rig.until_rows(lambda rows: sum(row[1] == "dead" for row in rows) == 50)
        await server.open(port=server.port)
        await until(lambda: list(server.receiver.received) == [str(late)])


async def test_gone_is_final_until_a_reload(rig: Rig, server: Server) -> None:
    server.receiver.mood = Mood(410)
    async with rig.a_desk(a_registration(server)) as desk:
        await rig.add("1")
        desk.arrived({"CRM"})
        await until(is_away)
        rig.clock.ahead_s += 3_600
        await rig.add("2")
        desk.arrived({"CRM"})
        (view,) = await desk.endpoints()
        assert view.state == "gone"
        assert server.receiver.posts == 1

        server.receiver.mood = Mood()
        desk.adopt([a_registration(server)])
        await until(lambda: len(server.receiver.received) == 2)


async def test_a_pause_is_kept_and_then_all_goes_on(rig: Rig, server: Server) -> None:
    server.receiver.mood = Mood(429, retry_after="120")
    async with rig.a_desk(a_registration(server, in_flight_max=1)) as desk:
        await some(rig, desk, 3)
        await until(is_away)
        server.receiver.mood = Mood()
        rig.clock.ahead_s += 110
        (view,) = await desk.endpoints()
        assert (view.state, server.receiver.posts) == ("paused", 1)
        rig.clock.ahead_s += 20
        await until(lambda: len(server.receiver.received) == 3)


async def test_no_redirect_is_followed(rig: Rig, server: Server) -> None:
    moved = server.url.replace("/receipts", "/moved")
    async with rig.a_desk(a_registration(server, url=moved)) as desk:
        await rig.add("1")
        desk.arrived({"CRM"})
        await rig.until_rows(bool)

    assert server.receiver.posts == 0
    assert await rig.database.fetchval("SELECT said FROM delivery") == "answered 307"


async def test_a_changed_secret_is_used_at_once_and_both_are_good_meanwhile(
    rig: Rig, server: Server
) -> None:
    new = "whsec_" + base64.b64encode(b"\x06" * 32).decode()
    both = a_registration(server)
    async with rig.a_desk(both) as desk:
        desk.adopt([Registration(both.endpoint, Signer([new, SECRET]))])
        await desk.ready()
        await rig.add("1")
        desk.arrived({"CRM"})
        await until(lambda: len(server.receiver.received) == 1)
        server.receiver.secrets = [new]
        await rig.add("1")
        desk.arrived({"CRM"})
        await until(lambda: len(server.receiver.received) == 2)

    assert server.receiver.unsigned == 0


async def test_a_removed_endpoint_stops_and_one_that_comes_back_goes_on_from_there(
    rig: Rig, server: Server
) -> None:
    async with rig.a_desk(a_registration(server)) as desk:
        await some(rig, desk, 2)
        await until(lambda: len(server.receiver.received) == 2)
        desk.adopt([])
        await desk.ready()
        assert not rig.endpoints.knows("CRM", "main")
        await rig.add("1")
        desk.arrived({"CRM"})
        with pytest.raises(NotFound):
            await desk.redeliver_dead("main")

        desk.adopt([a_registration(server)])
        await until(lambda: len(server.receiver.received) == 3)

    assert server.receiver.repeats == 0


async def test_receipts_of_a_time_are_sent_again_and_too_many_are_refused(
    rig: Rig, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    noon = rig.clock.wall().replace(microsecond=0)
    async with rig.a_desk(a_registration(server)) as desk:
        for minute in range(10):
            await rig.add(str(minute), at=noon + timedelta(minutes=minute))
        desk.arrived({"CRM"})
        await until(lambda: len(server.receiver.received) == 10)
        await rig.settled(10)

        since, until_ = noon + timedelta(minutes=3), noon + timedelta(minutes=6)
        assert await desk.redeliver_span("main", since, until_) == 3
        await until(lambda: server.receiver.repeats == 3)
        assert await desk.redeliver_span("main", noon - timedelta(days=1), noon) == 0

        monkeypatch.setattr("hlrd.limits.REDELIVERY_RECEIPTS_MAX", 5)
        with pytest.raises(Conflict, match="more than 5 receipts"):
            await desk.redeliver_span("main", noon, noon + timedelta(days=1))


async def test_one_receipt_is_sent_again_whatever_became_of_it(rig: Rig, server: Server) -> None:
    receiver = server.receiver
    async with rig.a_desk(a_registration(server)) as desk:
        await some(rig, desk, 2)
        await until(lambda: len(receiver.received) == 2)
        await rig.settled(2)
        receiver.mood = Mood(422)
        await rig.add("9")
        desk.arrived({"CRM"})
        await rig.until_rows(bool)
        receiver.mood = Mood()

        assert await desk.redeliver("main", [1, 3]) == 2
        await until(lambda: receiver.repeats == 1 and len(receiver.received) == 3)
        assert await desk.redeliver("main", [77]) == 0


async def test_what_an_order_left_is_told_with_its_delivery(rig: Rig, server: Server) -> None:
    server.receiver.mood = Mood(422)
    async with rig.a_desk(a_registration(server)) as desk:
        seq = await rig.add("1")
        desk.arrived({"CRM"})
        await until(lambda: server.receiver.posts == 1)
        await desk.drain(1)
        (row,) = await desk.receipts_of(seq)

    assert (row.seq, row.state, row.failures) == (seq, DeliveryState.PENDING, 1)
    assert row.said == "answered 422"
