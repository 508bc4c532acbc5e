"""The emulated HLRs behind CAI and SOAP: whatever befalls a command ends in what was intended."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Final, NamedTuple

import pytest
from msgspec.structs import replace

from adapters import DIALECTS
from hlrd.codec import cai
from hlrd.domain.identity import SealedKey
from hlrd.domain.operation import Operation, Task
from hlrd.domain.outcome import Verdict
from hlrd.domain.suspension import Level
from hlrd.ne.adapter import Account
from loadtest.cai import server as cai_server
from loadtest.emulator import Emulator
from loadtest.faults import Fault, Once, Profile
from loadtest.hss import server as hss_server
from tests.adapters.conformance import EMULATED, KI, a_binding, a_task, the_replies
from tests.adapters.desk import Desk
from tests.ne.rig import until

PASSWORD: Final = "fronts-51c0"
FINE: Final = {Verdict.DONE, Verdict.NO_CHANGE, Verdict.APPLIED}


class Front(NamedTuple):
    """One way to speak to an emulated HLR."""

    dialect: str
    server: Callable[..., Any]
    settings: Callable[..., Any]
    options: dict[str, str]
    commands: tuple[str, ...]  #: each of which the fault befalls once
    login: str = ""


FRONTS: Final = {
    "cai": Front(
        "ericsson_cai",
        cai_server.Server,
        cai_server.Settings,
        {},
        ("CREATE:AUCSUB", "CREATE:HLRSUB", "SET:HLRSUB", "DELETE:HLRSUB", "DELETE:AUCSUB"),
        "LOGIN",
    ),
    "cai with transactions": Front(
        "ericsson_cai",
        cai_server.Server,
        cai_server.Settings,
        {"transid": "on"},
        ("CREATE:AUCSUB", "CREATE:HLRSUB", "SET:HLRSUB", "DELETE:HLRSUB", "DELETE:AUCSUB"),
        "LOGIN",
    ),
    "soap by token": Front(
        "hss_soap",
        hss_server.Server,
        hss_server.Settings,
        {},
        ("ADD KI", "ADD TPLSUB", "MOD LCK", "RMV SUB", "RMV KI"),
        "LGI",
    ),
    "soap by header": Front(
        "hss_soap",
        hss_server.Server,
        lambda **settings: hss_server.Settings(login="header", path="/hss", **settings),
        {"login": "header", "path": "/hss"},
        ("ADD KI", "ADD TPLSUB", "MOD LCK", "RMV SUB", "RMV KI"),
    ),
}
each_front = pytest.mark.parametrize("front", FRONTS.values(), ids=FRONTS)


@asynccontextmanager
async def a_server(front: Front, profile: Profile, **settings: Any) -> AsyncIterator[Any]:
    server = front.server(front.settings(password=PASSWORD, **settings), profile)
    await server.open("127.0.0.1", 0)
    try:
        yield server
    finally:
        await server.close()


@asynccontextmanager
async def a_desk(front: Front, server: Emulator, **changes: Any) -> AsyncIterator[Desk]:
    account = Account("127.0.0.1", server.port, "hlrd", PASSWORD, front.options)
    adapter = DIALECTS[front.dialect](account, the_replies(front.dialect))
    patience = {"reply_timeout_s": 0.15, "connect_timeout_s": 0.5, "breaker_failures": 100}
    desk = Desk(server.port, adapter, **{**patience, **changes})
    try:
        yield await desk.open()
    finally:
        await desk.driver.drain(0.5)


def of(user: int, operation: Operation, dialect: str, level: Level = Level.NONE) -> Task:
    named = a_binding(imsi=f"00101{user:010d}", msisdn=f"1064900{user:06d}")
    binding = replace(named, key=SealedKey("test", KI.encode()))
    details = EMULATED[dialect].details.get(operation)
    name = f"{user}{operation.value}"
    return a_task(operation, binding=binding, level=level, details=details, transaction=name)


def opening(user: int, dialect: str) -> list[Task]:
    return [
        of(user, operation, dialect) for operation in (Operation.ADD_KEY, Operation.ADD_SUBSCRIBER)
    ]


def life(user: int, dialect: str) -> list[Task]:
    return [
        *opening(user, dialect),
        of(user, Operation.SET_BARRING, dialect, Level.TWO_WAY),
        of(user, Operation.ADD_FUNCTION, dialect),
        of(user, Operation.REMOVE_FUNCTION, dialect),
        of(user, Operation.REMOVE_SUBSCRIBER, dialect),
        of(user, Operation.REMOVE_KEY, dialect),
    ]


@each_front
@pytest.mark.parametrize("fault", [each for each in Fault if each is not Fault.REFUSE])
async def test_a_life_under_a_fault_ends_as_it_was_meant(front: Front, fault: Fault) -> None:
    once = [Once(fault, command) for command in front.commands]
    async with (
        a_server(front, Profile(once=once, restart_s=0.05, drip_bytes=64)) as server,
        a_desk(front, server) as desk,
    ):
        lived = await desk.carry_out_all([*life(1, front.dialect), *opening(2, front.dialect)])

        assert {outcome.verdict for outcome in lived} <= {*FINE, Verdict.FOLLOW_UP}
        assert server.faults.once_left == []
        assert list(server.hlr.subscribers) == list(server.hlr.keys) == ["001010000000002"]
        assert server.hlr.subscribers["001010000000002"].isdn == "861064900000002"


@each_front
async def test_a_refusal_ends_a_task_for_good(front: Front) -> None:
    async with (
        a_server(front, Profile(once=[Once(Fault.REFUSE, front.commands[0])])) as server,
        a_desk(front, server) as desk,
    ):
        outcome = await desk.carry_out(opening(1, front.dialect)[0])

    assert (outcome.verdict, outcome.is_known) == (Verdict.PERMANENT, True)


@each_front
async def test_a_restart_loses_nothing_that_was_answered(front: Front, tmp_path: Path) -> None:
    kept = tmp_path / "state"
    async with a_server(front, Profile(), state_file=kept) as server, a_desk(front, server) as desk:
        await desk.carry_out_all([*life(1, front.dialect), *opening(2, front.dialect)])
        held = server.dump()

    async with a_server(front, Profile(), state_file=kept) as server:
        assert server.dump() == held


@each_front
async def test_neither_its_record_nor_its_dump_shows_a_secret(front: Front) -> None:
    async with a_server(front, Profile()) as server, a_desk(front, server) as desk:
        await desk.carry_out_all(opening(1, front.dialect))
        shown = [server.shown(entry[1]) for entry in server.record.log(0)]

    told = "\n".join(shown) + repr(server.dump())
    assert "001010000000001" in told
    assert KI not in told.upper()
    assert PASSWORD not in told


@each_front
async def test_nothing_is_done_by_a_wrong_password(front: Front) -> None:
    async with a_server(front, Profile()) as server:
        account = Account("127.0.0.1", server.port, "hlrd", "wrong-one", front.options)
        desk = Desk(server.port, DIALECTS[front.dialect](account, the_replies(front.dialect)))
        desk.driver.start()
        await until(lambda: server.stats()["logins_refused"] > 0)
        await desk.driver.drain(0.0)

        assert server.stats()["sessions"] == 0


async def test_without_a_login_a_wrong_password_fails_no_task() -> None:
    front = FRONTS["soap by header"]
    async with a_server(front, Profile()) as server:
        account = Account("127.0.0.1", server.port, "hlrd", "wrong-one", front.options)
        desk = Desk(server.port, DIALECTS[front.dialect](account, the_replies(front.dialect)))
        await desk.open()
        outcome = await desk.ask(opening(1, front.dialect)[0])
        await until(lambda: desk.ends("login_void") == 1)
        await desk.driver.drain(0.0)

    assert (outcome.verdict, outcome.code) == (Verdict.SESSION, "5002")


async def test_the_path_of_a_login_may_die_and_work_goes_on() -> None:
    front = FRONTS["soap by token"]
    async with a_server(front, Profile()) as server, a_desk(front, server) as desk:
        await desk.carry_out_all(opening(1, front.dialect))
        assert server.expire() == 1

        lived = await desk.carry_out_all(life(1, front.dialect)[2:])

        assert [outcome.verdict for outcome in desk.waited] == [Verdict.SESSION]
        assert {outcome.verdict for outcome in lived} == {Verdict.DONE}
        assert server.record.commands["LGI"] == 2
        assert desk.driver.show()["session_ends"] == {}


@pytest.mark.parametrize("front", [FRONTS["cai"], FRONTS["soap by token"]], ids=["cai", "soap"])
async def test_one_session_more_than_allowed_waits(front: Front) -> None:
    async with (
        a_server(front, Profile(), sessions_max=1) as server,
        a_desk(front, server, sessions_max=2) as desk,
    ):
        done = await asyncio.gather(
            *(desk.carry_out(opening(user, front.dialect)[0]) for user in range(1, 20))
        )

        assert {outcome.verdict for outcome in done} == {Verdict.DONE}
        assert server.stats()["sessions"] == 1


@pytest.mark.parametrize("front", [FRONTS["cai"], FRONTS["soap by token"]], ids=["cai", "soap"])
@pytest.mark.parametrize("fault", [Fault.HANG, Fault.CUT_BEFORE])
async def test_a_login_that_is_lost_is_tried_again(front: Front, fault: Fault) -> None:
    profile = Profile(once=[Once(fault, front.login)])
    async with a_server(front, profile) as server, a_desk(front, server) as desk:
        assert (await desk.carry_out(opening(1, front.dialect)[0])).verdict is Verdict.DONE
        assert server.faults.once_left == []


async def test_a_damaged_state_file_is_told_by_its_line(tmp_path: Path) -> None:
    state_file = tmp_path / "state"
    state_file.write_text(f"CREATE:AUCSUB:IMSI,001010000000001:EKI,{KI}:KIND,1:A3A8IND,3;\nx;\n")
    server = cai_server.Server(cai_server.Settings(state_file=state_file), Profile())

    with pytest.raises(cai_server.StateFileDamaged, match="line 2"):
        await server.open("127.0.0.1", 0)
    await server.close()


async def test_cai_is_not_spoken_without_a_login() -> None:
    async with a_server(FRONTS["cai"], Profile()) as server:
        reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
        writer.write(b"GET:HLRSUB:IMSI,001010000000001;")
        said = await asyncio.wait_for(reader.readuntil(cai.answer(1001, {})), 5.0)
        writer.close()

    assert said.startswith(b"CONNECTED")
