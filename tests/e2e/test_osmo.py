"""The dialect on a real osmo-hlr: each task through the real driver, and at the end its own
database says what was intended, whatever befell in between.
"""

import asyncio
import socket
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any, Final

import pytest
import pytest_asyncio
from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.algorithms import AES
from cryptography.hazmat.primitives.ciphers.modes import ECB

from hlrd.codec import ipa
from hlrd.codec.ipa import CTRLCommands
from hlrd.domain.identity import CardKey
from hlrd.domain.operation import Operation
from hlrd.domain.outcome import Verdict
from hlrd.domain.suspension import Level
from hlrd.ports import Intent
from loadtest.osmo import core
from loadtest.osmo.real import RealHLR, Subscriber
from tests.adapters.conformance import a_binding, a_task
from tests.adapters.osmo_desk import (
    ADD_KEY,
    ADD_SUBSCRIBER,
    CLEAR_KI,
    NETWORK,
    OP,
    PATIENCE_S,
    REMOVE_KEY,
    REMOVE_SUBSCRIBER,
    SET_BARRING,
    TRANSPORT_KEY,
    Desk,
    of,
    open_subscriber,
)
from tests.adapters.test_osmo_hlr_transcript import PING, PONG, steps
from tests.faultproxy import FaultProxy
from tests.ne.rig import until

pytestmark = [pytest.mark.e2e, pytest.mark.osmo]

MakeDesk = Callable[..., Awaitable[Desk]]


@pytest_asyncio.fixture
async def hlr(tmp_path: Path) -> AsyncIterator[RealHLR]:
    real = RealHLR("hlr1", tmp_path)
    real.start()
    try:
        await real.ready()
        yield real
    finally:
        real.kill()


@pytest_asyncio.fixture
async def a_desk(hlr: RealHLR) -> AsyncIterator[MakeDesk]:
    async with AsyncExitStack() as stack:

        async def make(*, host: str = hlr.host, port: int = ipa.PORT, **changes: Any) -> Desk:
            desk = Desk(host, port, **changes)
            stack.push_async_callback(desk.driver.drain, 0.0)
            desk.driver.start()
            return desk

        yield make


def stored(hlr: RealHLR, number: int) -> Subscriber | None:
    found = [each for each in hlr.subscribers() if each.imsi == f"{NETWORK}{number:010d}"]
    return found[0] if found else None


# --- the life of a subscriber --------------------------------------------------------------------


async def test_a_subscriber_is_opened_barred_and_closed(hlr: RealHLR, a_desk: MakeDesk) -> None:
    desk = await a_desk()
    seen = []
    steps = [
        of(1, ADD_KEY),
        of(1, ADD_SUBSCRIBER),
        of(1, SET_BARRING, Level.ONE_WAY),
        of(1, SET_BARRING, Level.TWO_WAY),
        of(1, SET_BARRING),
        of(1, REMOVE_SUBSCRIBER),
        of(1, REMOVE_KEY),
    ]

    for task in steps:
        assert (await desk.ask(task)).verdict is Verdict.DONE
        row = stored(hlr, 1)
        seen.append(row and (row.msisdn, row.cs, row.ps, row.has_key))

    number = "861064900000001"
    assert seen == [
        (None, True, True, True),
        (number, True, True, True),
        (number, True, False, True),
        (number, False, False, True),
        (number, True, True, True),
        (None, False, False, True),
        None,
    ]


async def test_a_read_back_tells_what_is_there_at_each_step(a_desk: MakeDesk) -> None:
    desk = await a_desk()
    life = [ADD_SUBSCRIBER, SET_BARRING, REMOVE_SUBSCRIBER, REMOVE_KEY]
    await desk.carry_out(of(1, ADD_KEY))

    for operation in life:
        task = of(1, operation, Level.TWO_WAY if operation is SET_BARRING else Level.NONE)
        before = await desk.ask(task, Intent.READ_BACK)
        await desk.carry_out(task)
        after = await desk.ask(task, Intent.READ_BACK)
        assert (before.verdict, after.verdict) == (Verdict.ABSENT, Verdict.APPLIED), operation


@pytest.mark.parametrize(
    ("key", "column"),
    [
        (CardKey(CLEAR_KI, 0, "MILENAGE", "USIM"), "k"),
        (CardKey(CLEAR_KI, 0, "COMP128_1", "SIM"), "ki"),
        (CardKey(CLEAR_KI, 0, "COMP128_3", "SIM"), "ki"),
    ],
)
async def test_a_key_in_clear_is_loaded_as_it_is(
    hlr: RealHLR, a_desk: MakeDesk, key: CardKey, column: str
) -> None:
    desk = await a_desk()
    desk.vault.key = key  # type: ignore[attr-defined]

    assert (await desk.ask(of(1, ADD_KEY))).verdict is Verdict.DONE

    row = stored(hlr, 1)
    assert row is not None
    assert getattr(row, column) == CLEAR_KI
    assert row.op == (OP if column == "k" else None)


async def test_a_key_under_a_transport_key_is_decrypted_on_its_way(
    hlr: RealHLR, a_desk: MakeDesk
) -> None:
    desk = await a_desk()
    maker = Cipher(AES(bytes.fromhex(TRANSPORT_KEY)), ECB()).encryptor()
    delivered = maker.update(bytes.fromhex(CLEAR_KI)).hex()
    desk.vault.key = CardKey(delivered, 7, "MILENAGE", "USIM")  # type: ignore[attr-defined]

    assert (await desk.ask(of(1, ADD_KEY))).verdict is Verdict.DONE

    row = stored(hlr, 1)
    assert row is not None
    assert (row.k, delivered == CLEAR_KI) == (CLEAR_KI, False)


async def test_a_number_is_found_by_its_holder(a_desk: MakeDesk) -> None:
    desk = await a_desk()
    inquiry = of(1, Operation.FIND_NUMBER)
    before = await desk.ask(inquiry, Intent.READ_BACK)
    await open_subscriber(desk, 1)

    after = await desk.ask(inquiry, Intent.READ_BACK)

    assert before.verdict is Verdict.ABSENT
    assert (after.verdict, after.text) == (Verdict.APPLIED, f"IMSI {NETWORK}0000000001")


# --- repeats and strangers -----------------------------------------------------------------------


async def test_each_task_may_be_sent_twice(hlr: RealHLR, a_desk: MakeDesk) -> None:
    desk = await a_desk()

    for operation in (ADD_KEY, ADD_SUBSCRIBER, SET_BARRING, REMOVE_SUBSCRIBER, REMOVE_KEY):
        for _ in range(2):
            ended = await desk.carry_out(of(1, operation))
            assert ended.verdict in (Verdict.DONE, Verdict.NO_CHANGE), operation
        if operation is SET_BARRING:
            row = stored(hlr, 1)
            assert row is not None
            assert (row.msisdn, row.has_key, row.cs) == ("861064900000001", True, True)

    assert hlr.subscribers() == []


async def test_a_number_that_another_card_holds_is_different(
    hlr: RealHLR, a_desk: MakeDesk
) -> None:
    desk = await a_desk()
    await open_subscriber(desk, 1)
    await desk.carry_out(of(2, ADD_KEY))
    binding = a_binding(imsi=f"{NETWORK}0000000002", msisdn="1064900000001")

    outcome = await desk.carry_out(a_task(ADD_SUBSCRIBER, binding=binding))

    assert (outcome.verdict, outcome.code) == (Verdict.DIFFERENT, "Update MSISDN failed")
    assert {row.imsi: row.msisdn for row in hlr.subscribers()} == {
        f"{NETWORK}0000000001": "861064900000001",
        f"{NETWORK}0000000002": None,
    }


async def test_a_card_that_holds_another_number_is_different_and_keeps_it(
    hlr: RealHLR, a_desk: MakeDesk
) -> None:
    desk = await a_desk()
    await open_subscriber(desk, 1)
    binding = a_binding(imsi=f"{NETWORK}0000000001", msisdn="1064900000009")

    outcome = await desk.carry_out(a_task(ADD_KEY, binding=binding))

    assert outcome.verdict is Verdict.DIFFERENT
    row = stored(hlr, 1)
    assert row is not None
    assert (row.msisdn, row.cs, row.ps) == ("861064900000001", True, True)


async def test_an_unknown_card_is_told_from_a_fault(a_desk: MakeDesk) -> None:
    desk = await a_desk()

    barred = await desk.ask(of(1, SET_BARRING))
    added = await desk.ask(of(1, ADD_SUBSCRIBER))
    removed = await desk.ask(of(1, REMOVE_SUBSCRIBER))

    assert (barred.verdict, barred.code) == (Verdict.PERMANENT, "No such subscriber.")
    assert (added.verdict, added.then) == (Verdict.PREREQUISITE, ADD_KEY)
    assert removed.verdict is Verdict.NO_CHANGE


# --- killed, stopped, cut ------------------------------------------------------------------------


async def test_a_kill_in_the_middle_loses_and_doubles_nothing(
    hlr: RealHLR, a_desk: MakeDesk
) -> None:
    desk = await a_desk(reply_timeout_s=1.0)
    users = range(1, 301)

    async with asyncio.TaskGroup() as group:
        lives = [group.create_task(open_subscriber(desk, user)) for user in users]
        await until(lambda: len(desk.answers) > 100, within_s=PATIENCE_S)
        hlr.kill()
        hlr.start()

    assert {tuple(life.result())[-1] for life in lives} <= {Verdict.DONE, Verdict.APPLIED}
    assert Verdict.IN_DOUBT in desk.verdicts()
    assert intended(hlr) == dict.fromkeys(users, True)


async def test_late_replies_of_a_stopped_one_are_dropped_on_the_same_connection(
    hlr: RealHLR, a_desk: MakeDesk
) -> None:
    desk = await a_desk(reply_timeout_s=1.0)
    await open_subscriber(desk, 1)
    users = range(2, 8)
    hlr.stop()
    started = time.monotonic()

    doubtful = await asyncio.gather(*(desk.ask(of(user, ADD_KEY)) for user in users))
    hlr.go_on()
    assert time.monotonic() - started < 1.9, "the sign of life was due before it went on"
    for user in users:
        await desk.carry_out(of(user, ADD_KEY), is_in_doubt=True)
        await desk.carry_out(of(user, ADD_SUBSCRIBER))

    assert [outcome.verdict for outcome in doubtful] == [Verdict.IN_DOUBT] * len(users)
    assert desk.driver.show()["late_replies"] == len(users)
    assert desk.driver.show()["session_ends"] == {}
    assert intended(hlr) == dict.fromkeys(range(1, 8), True)


async def test_a_connect_to_a_stopped_one_proves_nothing(hlr: RealHLR, a_desk: MakeDesk) -> None:
    hlr.stop()
    with socket.create_connection((hlr.host, ipa.PORT), 1.0):  # the kernel takes it
        desk = await a_desk(connect_timeout_s=0.3)
        await until(lambda: desk.ends("login_timeout") >= 1)
        assert desk.driver.free() == 0

        hlr.go_on()

        assert (await desk.carry_out(of(1, ADD_KEY))).verdict is Verdict.DONE


@pytest.mark.parametrize("way", ["up", "down"])
@pytest.mark.parametrize("bytes_passed", [30, 90, 400, 1_500, 5_000])
async def test_a_connection_cut_anywhere_leaves_what_was_intended(
    hlr: RealHLR, a_desk: MakeDesk, way: str, bytes_passed: int
) -> None:
    """Up: cut before a command arrives. Down: cut after it was carried out."""
    async with FaultProxy(hlr.host, ipa.PORT) as proxy:
        desk = await a_desk(host="127.0.0.1", port=proxy.port, breaker_failures=100)
        await until(lambda: desk.driver.free() > 0)
        direction = getattr(proxy.faults, way)
        direction.cut_after = bytes_passed
        users = range(1, 41)

        async with asyncio.TaskGroup() as group:
            lives = [group.create_task(open_subscriber(desk, user)) for user in users]
            await until(lambda: desk.ends("lost") > 0, within_s=PATIENCE_S)
            direction.cut_after = None
        await asyncio.gather(*(close_odd(desk, user) for user in users))

    assert len(lives) == len(users)
    assert intended(hlr) == {user: True for user in users if user % 2 == 0}


async def test_swallowed_replies_are_read_back_and_nothing_is_done_twice(
    hlr: RealHLR, a_desk: MakeDesk
) -> None:
    async with FaultProxy(hlr.host, ipa.PORT) as proxy:
        desk = await a_desk(host="127.0.0.1", port=proxy.port, reply_timeout_s=0.3)
        await until(lambda: desk.driver.free() > 0)
        proxy.faults.down.is_swallowed = True

        lost = await desk.ask(of(1, ADD_KEY))
        proxy.faults.down.is_swallowed = False
        ended = await desk.carry_out(of(1, ADD_KEY), is_in_doubt=True)
        await desk.carry_out(of(1, ADD_SUBSCRIBER))

    assert (lost.verdict, ended.verdict) == (Verdict.IN_DOUBT, Verdict.DONE)
    assert intended(hlr) == {1: True}


async def close_odd(desk: Desk, user: int) -> None:
    if user % 2:
        await desk.carry_out(of(user, REMOVE_SUBSCRIBER))
        await desk.carry_out(of(user, REMOVE_KEY))


def intended(hlr: RealHLR) -> Mapping[int, bool]:
    """Of every record, whether it is whole: its own number, its key, full service."""
    return {
        int(row.imsi.removeprefix(NETWORK)): (
            row.msisdn == f"861064900{row.imsi[-6:]}" and row.k == CLEAR_KI and row.cs and row.ps
        )
        for row in hlr.subscribers()
    }


# --- the emulated one ----------------------------------------------------------------------------

TALK: Final = [
    "SET 1 subscriber.create 001010000000001",
    "SET 2 subscriber.create 001010000000001",
    "SET 3 subscriber.create 12",
    "SET 4 subscriber.create 001010000000002",
    "GET 5 subscriber.by-imsi-001010000000001.msisdn",
    "GET 6 subscriber.by-imsi-001010000000001.info",
    "SET 7 subscriber.by-imsi-001010000000001.msisdn 861064900000001",
    "SET 8 subscriber.by-imsi-001010000000002.msisdn 861064900000001",
    "SET 9 subscriber.by-imsi-001010000000002.msisdn none",
    "SET 10 subscriber.by-imsi-001010000000002.msisdn 86-1",
    "GET 11 subscriber.by-msisdn-861064900000001.imsi",
    "GET 12 subscriber.by-msisdn-861064900000002.imsi",
    f"SET 13 subscriber.by-imsi-001010000000001.aud3g milenage,{CLEAR_KI},OP,{OP}",
    f"SET 14 subscriber.by-imsi-001010000000001.aud3g milenage,{CLEAR_KI[:30]},OP,{OP}",
    f"SET 15 subscriber.by-imsi-001010000000009.aud3g milenage,{CLEAR_KI},OP,{OP}",
    f"SET 16 subscriber.by-imsi-001010000000001.aud2g comp128v1,{CLEAR_KI}",
    f"SET 17 subscriber.by-imsi-001010000000001.aud2g nonsense,{CLEAR_KI}",
    "SET 18 subscriber.by-imsi-001010000000001.cs-enabled 0",
    "SET 19 subscriber.by-imsi-001010000000001.ps-enabled 0",
    "SET 20 subscriber.by-imsi-001010000000001.ps-enabled 2",
    "SET 21 subscriber.by-imsi-001010000000009.ps-enabled 0",
    "GET 22 subscriber.by-imsi-001010000000009.ps-enabled",
    "GET 23 subscriber.by-imsi-001010000000001.info",
    "SET 24 subscriber.by-imsi-001010000000001.info 1",
    "GET 25 nonsense",
    "GET 26",
    "SET 27 subscriber.create",
    "SET x subscriber.create 001010000000003",
    "",
    "SET 28 subscriber.by-imsi-001010000000009.msisdn none",
    "SET 29 subscriber.delete 001010000000009",
    "SET 30 subscriber.delete 001010000000001",
    "SET 31 subscriber.delete 001010000000001",
    "GET 32 subscriber.by-id-2.imsi",
]


def real_talk(hlr: RealHLR, lines: Sequence[str]) -> Iterator[bytes]:
    with (
        socket.create_connection((hlr.host, ipa.PORT), 5.0) as link,
        link.makefile("rb") as replies,
    ):
        for line in lines:
            link.sendall(ipa.frame(line))
            head = replies.read(3)
            yield head + replies.read(int.from_bytes(head[:2], "big"))


def emulated_talk(lines: Sequence[str]) -> Iterator[bytes]:
    emulated = core.HLR()
    for line in lines:
        [command] = CTRLCommands().feed(ipa.frame(line))
        result = emulated.handle(command)
        if result.error:
            yield ipa.refusal(command, result.error)
        else:
            yield ipa.answer(command, result.value)


def test_the_emulated_one_has_the_words_of_the_real_one(hlr: RealHLR) -> None:
    said = dict(zip(TALK, real_talk(hlr, TALK), strict=True))

    assert dict(zip(TALK, emulated_talk(TALK), strict=True)) == said


def test_the_transcript_is_what_a_real_one_says(hlr: RealHLR) -> None:
    asked = [line for step in steps() for line in step.requests if line != PING]
    answered = [line for step in steps() for line in step.answers if line != PONG]

    assert list(real_talk(hlr, asked)) == [ipa.frame(line) for line in answered]
