"""The emulated osmo-hlr: every fault that can befall a command ends in what was intended."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from hlrd.codec import ipa
from hlrd.domain.outcome import Verdict
from loadtest import faults
from loadtest.faults import Fault, Once, Profile
from loadtest.osmo.core import Record
from loadtest.osmo.server import Server, Settings, StateFileDamaged
from tests.adapters.osmo_desk import (
    ADD_KEY,
    CLEAR_KI,
    NETWORK,
    REMOVE_KEY,
    REMOVE_SUBSCRIBER,
    SET_BARRING,
    Desk,
    of,
    open_subscriber,
)
from tests.ne.rig import until

SUBSCRIBER = f"subscriber.by-imsi-{NETWORK}0000000001"

COMMANDS = ["SET create", "GET msisdn", "SET aud3g", "SET msisdn", "SET cs-enabled", "SET delete"]


@pytest_asyncio.fixture
async def server() -> AsyncIterator[Server]:
    server = Server(Settings(), Profile(restart_s=0.05))
    await server.open("127.0.0.1", 0)
    yield server
    await server.close()


@pytest_asyncio.fixture
async def desk(server: Server) -> AsyncIterator[Desk]:
    changes = {"reply_timeout_s": 0.25, "connect_timeout_s": 0.5, "breaker_failures": 100}
    desk = Desk("127.0.0.1", server.port, **changes)
    desk.driver.start()
    await until(lambda: desk.driver.free() > 0)
    yield desk
    await desk.driver.drain(0.0)


def record(server: Server, user: int) -> Record | None:
    return server.hlr.records.get(f"{NETWORK}{user:010d}")


@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.parametrize("fault", [each for each in Fault if each is not Fault.REFUSE])
async def test_a_life_under_a_fault_ends_as_it_was_meant(
    server: Server, desk: Desk, fault: Fault, command: str
) -> None:
    server.faults.put(Profile(once=[Once(fault, command)], restart_s=0.05))

    opened = await open_subscriber(desk, 1)
    kept = await open_subscriber(desk, 2)
    for operation in (SET_BARRING, REMOVE_SUBSCRIBER, REMOVE_KEY):
        await desk.carry_out(of(1, operation))

    assert {*opened, *kept} <= {Verdict.DONE, Verdict.APPLIED, Verdict.NO_CHANGE}
    assert record(server, 1) is None
    left = record(server, 2)
    assert left is not None
    assert (left.msisdn, left.cs, left.ps, left.aud3g) == (
        "861064900000002",
        True,
        True,
        "milenage",
    )
    assert server.faults.once_left == []


async def test_a_refusal_ends_a_task_for_good(server: Server, desk: Desk) -> None:
    server.faults.put(faults.decode('{"once": [{"fault": "refuse", "command": "SET create"}]}'))

    outcome = await desk.carry_out(of(1, ADD_KEY))

    assert (outcome.verdict, outcome.is_known) == (Verdict.PERMANENT, True)


async def test_a_restart_loses_nothing_that_was_answered(tmp_path: Path) -> None:
    settings = Settings(state_file=tmp_path / "state")
    first = Server(settings, Profile())
    await first.open("127.0.0.1", 0)
    desk = Desk("127.0.0.1", first.port)
    desk.driver.start()
    for user in range(1, 6):
        await open_subscriber(desk, user)
    await desk.carry_out(of(3, REMOVE_KEY))
    await desk.driver.drain(1.0)
    held = first.dump()
    await first.close()

    second = Server(settings, Profile())
    await second.open("127.0.0.1", 0)
    await second.close()

    assert [each.imsi for each in second.dump()] == [each.imsi for each in held]
    assert {each.msisdn for each in second.dump()} == {each.msisdn for each in held}


async def test_a_damaged_state_file_is_told_by_its_line(tmp_path: Path) -> None:
    state_file = tmp_path / "state"
    state_file.write_text("SET 1 subscriber.create 001010000000001\nSET 2 nonsense 1\n")
    server = Server(Settings(state_file=state_file), Profile())

    with pytest.raises(StateFileDamaged, match="line 2"):
        await server.open("127.0.0.1", 0)
    await server.close()


async def test_its_record_shows_no_key(server: Server, desk: Desk) -> None:
    await open_subscriber(desk, 1)

    shown = [server.shown(entry[1]) for entry in server.record.log(0)]

    assert any(line.endswith(f"aud3g milenage,{ipa.MASK}") for line in shown)
    assert CLEAR_KI not in "".join(shown)
    assert CLEAR_KI not in repr(server.dump())


async def test_commands_of_one_connection_are_carried_out_in_order(server: Server) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
    lines = [f"SET {flag} {SUBSCRIBER}.cs-enabled {flag % 2}" for flag in range(1, 20)]
    create = f"SET 0 subscriber.create {NETWORK}0000000001"

    writer.write(b"".join(map(ipa.frame, [create, *lines])) + ipa.PING)
    said = b""
    while not said.endswith(ipa.PONG):
        said += await asyncio.wait_for(reader.read(65_536), 5.0)
    writer.close()

    numbers = [int(part.split(b" ")[1]) for part in said.split(b"_REPLY")[1:]]
    assert numbers == list(range(20))
    held = record(server, 1)
    assert held is not None
    assert held.cs is True
