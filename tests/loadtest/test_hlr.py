"""The emulated HLR over real sockets: sessions, logins, faults, and what outlives a kill."""

import asyncio
import os
import re
import signal
import socket
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import msgspec
import pytest

from hlrd.codec.mml import MMLReplies, MMLReply, parse_command
from hlrd.domain.operation import Operation
from hlrd.domain.outcome import Verdict
from loadtest import faults
from loadtest.control import ControlPort
from loadtest.hlr import presets
from loadtest.hlr.server import Logical, Server, Settings, StateFileDamaged
from loadtest.hlr.session import BAD_LOGINS_MAX
from tests.adapters.conformance import KEY, PASSWORD, a_task, an_adapter

KI = "A1B2C3D4E5F60718293A4B5C6D7E8F90"
LGI = 'LGI:HLRSN=1,OPNAME="hlrd",PWD="hlrd";'
WAIT_S = 30.0


def add_ki(number: int) -> str:
    return (
        f'ADD KI:IMSI="00101{number:010}",OPERTYPE=ADD,KIVALUE="{KI}",K4SNO=1,CARDTYPE=USIM,'
        "ALG=MILENAGE;"
    )


class Client:
    """One session, spoken by hand."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer
        self._decoder = MMLReplies()
        self._replies: list[MMLReply] = []

    def send(self, text: str) -> None:
        self._writer.write(text.encode())

    async def reply(self) -> MMLReply | None:
        """The next one; None when the session ended instead."""
        while not self._replies:
            try:
                data = await asyncio.wait_for(self._reader.read(65_536), WAIT_S)
            except ConnectionError:
                return None
            if not data:
                return None
            self._replies += self._decoder.feed(data)
        return self._replies.pop(0)

    async def ask(self, text: str) -> tuple[int, ...] | None:
        """The result codes; None when the session ended instead."""
        self.send(text)
        reply = await self.reply()
        return None if reply is None else reply.codes

    def abort(self) -> None:
        self._writer.transport.abort()


Connect = Callable[..., Any]


@asynccontextmanager
async def emulated(profile: str = "{}", **settings: Any) -> AsyncIterator[tuple[Server, Connect]]:
    server = Server(Settings(**settings), faults.decode(profile))
    await server.open("127.0.0.1", 0)
    clients: list[Client] = []

    async def connect(*, login: bool = True) -> Client:
        client = Client(*await asyncio.open_connection("127.0.0.1", server.port))
        clients.append(client)
        if login:
            assert await client.ask(LGI) == (0,)
        return client

    try:
        yield server, connect
    finally:
        for client in clients:
            client.abort()
        await server.close()


async def until(condition: Callable[[], bool]) -> None:
    for _ in range(2_000):
        if condition():
            return
        await asyncio.sleep(0.005)
    raise AssertionError("it did not come about within 10 s")


# --- sessions ------------------------------------------------------------------------------------


async def test_commands_before_the_login_are_refused() -> None:
    async with emulated() as (server, connect):
        client = await connect(login=False)

        assert await client.ask(add_ki(1)) == (5001,)
        assert server.hlr.keys == {}


async def test_glued_commands_are_answered_in_order() -> None:
    async with emulated() as (_, connect):
        client = await connect()

        client.send("\r\n".join(add_ki(number) for number in range(300)) + "no such;LGO:;")
        echoes = [await client.reply() for _ in range(302)]

        assert [reply.codes for reply in echoes] == [(0,)] * 300 + [(1001,), (0,)]
        assert [reply.echo for reply in echoes[:300]] == [add_ki(n).encode() for n in range(300)]
        assert await client.reply() is None


async def test_a_command_split_over_segments_is_one_command() -> None:
    async with emulated() as (server, connect):
        client = await connect()
        before, after = add_ki(1)[:40], add_ki(1)[40:]

        client.send(before)
        other = await connect()
        client.send(after)

        assert (await client.reply()).codes == (0,)
        assert server.stats()["keys"] == 1
        assert await other.ask("LGO:;") == (0,)


async def test_one_session_too_many_is_refused_and_closed_until_one_leaves() -> None:
    async with emulated(sessions_max=2) as (server, connect):
        first, _ = await connect(), await connect()
        third = await connect(login=False)

        assert await third.ask(LGI) == (5003,)
        assert await third.reply() is None

        assert await first.ask("LGO:;") == (0,)
        await until(lambda: server.stats()["sessions"] == 1)
        assert server.stats()["logins_refused"] == 1
        await connect()


async def test_a_login_again_on_the_same_session_takes_no_second_place() -> None:
    async with emulated(sessions_max=1) as (server, connect):
        client = await connect()

        assert await client.ask(LGI) == (0,)
        assert server.stats()["sessions"] == 1


async def test_five_bad_logins_end_the_connection() -> None:
    async with emulated() as (_, connect):
        client = await connect(login=False)

        answers = [await client.ask(LGI.replace('"hlrd";', '"no";')) for _ in range(BAD_LOGINS_MAX)]

        assert answers == [(5002,)] * BAD_LOGINS_MAX
        assert await client.reply() is None


async def test_a_login_is_echoed_without_its_password() -> None:
    async with emulated(password="s3cret-pw") as (server, connect):
        client = await connect(login=False)

        client.send(LGI.replace('PWD="hlrd"', 'PWD="s3cret-pw"'))
        reply = await client.reply()

        assert reply.codes == (0,)
        assert b"s3cret-pw" not in reply.echo
        assert "s3cret-pw" not in server.shown(server.record.log()[-1][1])


async def test_an_idle_session_is_closed() -> None:
    async with emulated(idle_close_s=0.2) as (server, connect):
        client = await connect()

        assert await client.reply() is None
        assert server.stats()["sessions"] == 0


async def test_an_endless_command_ends_its_session() -> None:
    async with emulated() as (_, connect):
        client = await connect()

        client.send("x" * 20_000)

        assert await client.reply() is None


async def test_a_client_that_does_not_read_is_not_served_beyond_its_buffers() -> None:
    async with emulated() as (server, connect):
        deaf = socket.create_connection(("127.0.0.1", server.port))
        with deaf:
            deaf.setblocking(False)
            wire = (LGI + 'LST SUB:IMSI="001010000000009";' * 200_000).encode()
            sending = asyncio.create_task(server._loop.sock_sendall(deaf, wire))

            await until(lambda: any(session._is_choked for session in server.connections))

            assert server.record.commands["LST SUB"] < 200_000
            assert await (await connect()).ask(add_ki(1)) == (0,)
            sending.cancel()


@pytest.mark.parametrize("is_old", [True, False])
async def test_both_layouts_and_several_packets_say_the_same(is_old: bool) -> None:
    async with emulated(is_old_layout=is_old, packet_lines=2) as (_, connect):
        client = await connect()
        await client.ask(add_ki(1))

        client.send('LST KI:IMSI="001010000000001";')
        reply = await client.reply()

        assert reply.codes == (0,)
        assert reply.values()["ALG"] == "MILENAGE"
        assert b"There are together" in reply.body


# --- faults --------------------------------------------------------------------------------------


async def test_a_withheld_reply_is_executed_and_the_session_lives_on() -> None:
    async with emulated('{"once": [{"fault": "withhold"}]}') as (server, connect):
        client = await connect()

        client.send(add_ki(1))

        assert await client.ask(add_ki(2)) == (0,)
        assert server.hlr.keys.keys() == {"001010000000001", "001010000000002"}


@pytest.mark.parametrize(("fault", "keys"), [("cutBefore", 0), ("cutAfter", 1)])
async def test_a_session_is_cut_before_or_after_the_command(fault: str, keys: int) -> None:
    async with emulated(f'{{"once": [{{"fault": "{fault}"}}]}}') as (server, connect):
        client = await connect()

        assert await client.ask(add_ki(1)) is None
        assert len(server.hlr.keys) == keys
        assert server.record.faults == {fault: 1}


async def test_a_hung_session_does_nothing_more_while_others_work() -> None:
    async with emulated('{"once": [{"fault": "hang"}]}') as (server, connect):
        hung, other = await connect(), await connect()

        hung.send(add_ki(1))
        await until(lambda: server.record.faults["hang"] == 1)
        hung.send(add_ki(1))

        assert await other.ask(add_ki(2)) == (0,)
        assert server.hlr.keys.keys() == {"001010000000002"}


async def test_a_dripping_reply_comes_whole_and_in_its_place() -> None:
    profile = '{"once": [{"fault": "drip"}], "drip_interval_s": 0.0, "drip_bytes": 5}'
    async with emulated(profile) as (_, connect):
        client = await connect()

        client.send(add_ki(1) + add_ki(1))

        assert [(await client.reply()).codes for _ in range(2)] == [(0,), (3006,)]


async def test_busy_is_answered_and_not_executed() -> None:
    async with emulated('{"chance": {"busy": 1.0}}') as (server, connect):
        client = await connect()

        assert await client.ask(add_ki(1)) == (4005,)
        assert server.hlr.keys == {}


async def test_a_wrong_echo_is_executed_and_looks_like_another_commands() -> None:
    async with emulated('{"once": [{"fault": "wrongEcho"}]}') as (server, connect):
        client = await connect()

        client.send(add_ki(1))
        reply = await client.reply()

        assert reply.echo != add_ki(1).encode()
        assert len(server.hlr.keys) == 1


async def test_a_refused_command_is_not_executed() -> None:
    async with emulated('{"once": [{"fault": "refuse"}]}') as (server, connect):
        client = await connect()

        assert await client.ask(add_ki(1)) == (1033,)
        assert not server.hlr.keys


async def test_maintenance_refuses_logins_and_a_one_shot_hangs_one() -> None:
    async with emulated('{"refuse_logins": true}') as (server, connect):
        client = await connect(login=False)
        assert await client.ask(LGI) == (5004,)

        server.faults.put(faults.decode('{"once": [{"fault": "cutBefore", "command": "LGI"}]}'))
        assert await client.ask(LGI) is None
        await connect()


async def test_latency_is_served_one_command_at_a_time() -> None:
    async with emulated('{"latency": {"p50_s": 0.05}}') as (server, connect):
        client = await connect()
        started = server._loop.time()

        client.send(add_ki(1) + add_ki(2) + add_ki(3))
        answers = [(await client.reply()).codes for _ in range(3)]

        assert answers == [(0,)] * 3
        assert server._loop.time() - started >= 0.15


async def test_a_command_in_service_is_executed_though_its_session_is_gone() -> None:
    async with emulated('{"latency": {"p50_s": 0.1}}') as (server, connect):
        client = await connect()

        client.send(add_ki(1) + add_ki(2))
        await until(lambda: server.record.commands["LGI"] == 1)
        await until(lambda: any(session._is_serving for session in server.connections))
        server.cut(None)
        assert server.hlr.keys == {}

        await until(lambda: len(server.hlr.keys) == 1)
        await connect()
        assert server.hlr.keys.keys() == {"001010000000001"}


async def test_sessions_can_be_cut_by_number() -> None:
    async with emulated() as (server, connect):
        clients = [await connect() for _ in range(3)]

        assert server.cut(2) == 2

        alive = [await client.ask('LST KI:IMSI="001010000000001";') for client in clients]
        assert alive == [None, None, (3048,)]


# --- control port --------------------------------------------------------------------------------


@asynccontextmanager
async def controlled(server: Server) -> AsyncIterator[aiohttp.ClientSession]:
    control = ControlPort(server)
    await control.open("127.0.0.1", 0)
    try:
        async with aiohttp.ClientSession(f"http://127.0.0.1:{control.port}") as http:
            yield http
    finally:
        await control.close()


async def ndjson(http: aiohttp.ClientSession, path: str) -> list[Any]:
    async with http.get(path) as response:
        assert response.status == 200
        return [msgspec.json.decode(line) for line in (await response.read()).splitlines()]


async def test_the_whole_state_can_be_dumped_without_a_key() -> None:
    async with emulated() as (server, connect), controlled(server) as http:
        client = await connect()
        for number in range(2_500):
            client.send(add_ki(number))
        for _ in range(2_500):
            await client.reply()

        rows = await ndjson(http, "/dump")

        assert len(rows) == 2_500
        assert rows[7] == {
            "record": "key",
            "imsi": "001010000000007",
            "k4sno": "1",
            "card_type": "USIM",
            "algorithm": "MILENAGE",
        }


async def test_the_log_shows_what_was_served_with_keys_masked() -> None:
    async with emulated() as (server, connect), controlled(server) as http:
        client = await connect()
        await client.ask(add_ki(1))

        login, served = await ndjson(http, "/log")

        assert login["command"] == 'LGI:HLRSN=1,OPNAME="hlrd",PWD="****";'
        assert served["command"] == add_ki(1).replace(KI, "****")
        assert served["code"] == "0"
        assert await ndjson(http, f"/log?after={login['number']}") == [served]


async def test_effects_are_counted_once_asked_for() -> None:
    async with emulated() as (server, connect), controlled(server) as http:
        client = await connect()
        await client.ask(add_ki(1))

        async with http.put("/effects", data='{"on": true}') as response:
            assert response.status == 200
        for text in (add_ki(2), 'RMV KI:IMSI="001010000000002";', add_ki(2), add_ki(2)):
            await client.ask(text)

        repeats = await ndjson(http, "/effects?above=1")
        counted = await ndjson(http, "/effects")
        assert repeats == [{"command": "ADD KI", "subject": "001010000000002", "count": 2}]
        assert len(counted) == 2


async def test_faults_can_be_set_and_read_while_it_runs() -> None:
    async with emulated() as (server, connect), controlled(server) as http:
        client = await connect()

        async with http.put("/faults", data='{"chance": {"busy": 1.0}}') as response:
            assert response.status == 200
        assert await client.ask(add_ki(1)) == (4005,)

        async with http.get("/faults") as response:
            assert (await response.json())["chance"]["busy"] == 1.0


async def test_wrong_faults_are_refused_by_field_and_the_old_ones_stay() -> None:
    profile = '{"chance": {"busy": 1.0}}'
    async with emulated(profile) as (server, _), controlled(server) as http:
        async with http.put("/faults", data='{"chance": {"bsy": 1}}') as response:
            assert response.status == 400
            assert "bsy" in await response.text()
        for nonsense in (b'{"\xff": 1}', b"[" * 20_000):
            for path in ("/faults", "/effects"):
                async with http.put(path, data=nonsense) as response:
                    assert response.status == 400

        assert server.faults.profile.chance.busy == 1.0


async def test_stats_count_sessions_commands_codes_and_faults() -> None:
    async with emulated('{"once": [{"fault": "busy"}]}') as (server, connect):
        async with controlled(server) as http:
            client = await connect()
            await client.ask(add_ki(1))
            await client.ask(add_ki(1))

            async with http.get("/stats") as response:
                stats = await response.json()

        assert stats["state"]["sessions"] == 1
        assert stats["commands"] == {"LGI": 1, "ADD KI": 2}
        assert stats["codes"] == {"0": 2, "4005": 1}
        assert (stats["faults"], stats["once_left"]) == ({"busy": 1}, 0)


async def test_sessions_can_be_cut_and_the_end_asked_for_from_outside() -> None:
    async with emulated() as (server, connect), controlled(server) as http:
        client = await connect()

        async with http.post("/cut?sessions=5") as response:
            assert await response.json() == {"cut": 1}
        assert await client.ask(add_ki(1)) is None

        async with http.post("/stop"):
            assert server.stopping.is_set()


# --- what is kept --------------------------------------------------------------------------------


async def test_what_was_answered_is_there_after_a_restart(tmp_path: Path) -> None:
    state_file = tmp_path / "hlr1.state"
    unpushed = '{"once": [{"fault": "unpushed", "command": "MOD LCK"}]}'
    async with emulated(unpushed, state_file=state_file) as (first, connect):
        client = await connect()
        for text in (
            add_ki(1),
            add_ki(1),
            'ADD TPLSUB:IMSI="001010000000001",\r\nISDN="861064900000001",TPLID=2;',
            'MOD LCK:IMSI="001010000000001",OC=TRUE;',
            add_ki(2),
            'RMV KI:IMSI="001010000000002";',
        ):
            await client.ask(text)
        before = first.dump()

    async with emulated(state_file=state_file) as (second, _):
        assert second.dump() == before
        assert second.hlr.cancel_pending == {"001010000000001"}
        assert second.hlr._key_values == {"001010000000001": KI}
    assert state_file.stat().st_mode & 0o077 == 0


async def test_a_line_cut_short_is_dropped_and_a_damaged_file_is_named(tmp_path: Path) -> None:
    state_file = tmp_path / "hlr1.state"
    state_file.write_text(f"{add_ki(1)}\n{add_ki(2)[:30]}")
    async with emulated(state_file=state_file) as (server, _):
        assert server.stats()["keys"] == 1

    state_file.write_text(f"{add_ki(1)}\n{add_ki(1)}\n")
    with pytest.raises(StateFileDamaged, match=r"hlr1\.state, line 2"):
        async with emulated(state_file=state_file):
            pass


# --- the process ---------------------------------------------------------------------------------


async def start(*arguments: str) -> tuple[asyncio.subprocess.Process, int]:
    """The process, and the port that its ready line names."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        *("-m", "loadtest.hlr", "--name", "hlr9", "--port", "0", "--control-port", "0"),
        *arguments,
        stdout=asyncio.subprocess.PIPE,
        env={**os.environ, "HLR_PASSWORD": "hlrd"},
    )
    assert process.stdout is not None
    async with asyncio.timeout(WAIT_S * 3):
        line = (await process.stdout.readline()).decode()
    ready, name, port, control = line.split()
    assert (ready, name) == ("ready", "hlr9")
    assert control.startswith("control=")
    return process, int(port.removeprefix("port="))


async def end(process: asyncio.subprocess.Process, number: int) -> int:
    process.send_signal(number)
    async with asyncio.timeout(WAIT_S):
        return await process.wait()


async def test_the_process_keeps_what_it_answered_when_it_is_killed(tmp_path: Path) -> None:
    arguments = ("--state-file", str(tmp_path / "state"), "--password-env", "HLR_PASSWORD")
    process, port = await start(*arguments)
    client = Client(*await asyncio.open_connection("127.0.0.1", port))
    assert await client.ask(LGI) == (0,)
    client.send("".join(add_ki(number) for number in range(500)))
    for _ in range(100):
        assert (await client.reply()).codes == (0,)

    assert await end(process, signal.SIGKILL) == -signal.SIGKILL
    client.abort()
    process, port = await start(*arguments)
    client = Client(*await asyncio.open_connection("127.0.0.1", port))
    assert await client.ask(LGI) == (0,)

    assert [await client.ask(add_ki(number)) for number in range(100)] == [(3006,)] * 100
    client.abort()
    assert await end(process, signal.SIGTERM) == 0


@pytest.mark.parametrize(
    ("arguments", "blamed"),
    [
        (("--faults", '{"bsy": 1}'), "bsy"),
        (("--password-env", "NO_SUCH_VARIABLE"), "NO_SUCH_VARIABLE"),
        (("--hlrsn", "one"), "--hlrsn"),
    ],
)
async def test_the_process_says_what_is_wrong_with_its_arguments(
    arguments: tuple[str, ...], blamed: str
) -> None:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "loadtest.hlr", *arguments), stderr=asyncio.subprocess.PIPE
    )

    _, errors = await asyncio.wait_for(process.communicate(), WAIT_S * 3)

    assert process.returncode == 2
    assert blamed in errors.decode()


# --- batches and logical HLRs --------------------------------------------------------------------


def lock(first: int, last: int) -> str:
    return f'BAT MOD LCK:IMSI="00101{first:010}",ENDIMSI="00101{last:010}",OC=TRUE;'


def open_all(server: Server, *numbers: int) -> None:
    for number in numbers:
        server.execute(parse_command(add_ki(number).encode()))
        text = f'ADD TPLSUB:IMSI="00101{number:010}",ISDN="8610649{number:08}",TPLID=1;'
        assert server.execute(parse_command(text.encode())).code == 0


@pytest.mark.parametrize("packet_lines", [0, 3])
@pytest.mark.parametrize("has_tables", [False, True])
async def test_a_batch_says_of_each_line_what_came_of_it(
    has_tables: bool, packet_lines: int
) -> None:
    async with emulated(has_tables=has_tables, packet_lines=packet_lines) as (server, connect):
        open_all(server, 1, 3)
        client = await connect()

        client.send(lock(1, 3) + lock(1, 1))
        partly, whole = await client.reply(), await client.reply()

        assert (partly.codes, whole.codes) == ((4010,), (0,))
        counts, *lines = partly.records()
        assert counts == {"DONE": "2", "FAILED": "1"}
        assert [(line["LINE"], line["IMSI"][-1], line["RETCODE"]) for line in lines] == [
            ("1", "1", "0"),
            ("2", "2", "3001"),
            ("3", "3", "0"),
        ]
        assert whole.values()["RESULT"] == "SUCCESS0002"


async def test_the_lines_of_a_batch_are_kept_and_counted_each_for_itself(tmp_path: Path) -> None:
    state_file = tmp_path / "hlr1.state"
    async with emulated(state_file=state_file) as (first, connect):
        open_all(first, 1, 2)
        first.record.count_effects(True)
        client = await connect()
        assert await client.ask(lock(1, 3)) == (4010,)
        counted = {(effect.command, effect.count) for effect in first.record.effects()}
        before = first.dump()

    assert counted == {("MOD LCK", 1)}
    async with emulated(state_file=state_file) as (second, _):
        assert second.dump() == before


async def test_logical_hlrs_behind_one_address_hold_subscribers_of_their_own(
    tmp_path: Path,
) -> None:
    settings: dict[str, Any] = {"hlrsns": ("1", "2"), "state_file": tmp_path / "state"}
    async with emulated(**settings) as (server, connect):
        first, second = await connect(), await connect(login=False)
        assert await second.ask(LGI.replace("HLRSN=1", "HLRSN=2")) == (0,)

        assert await first.ask(add_ki(1)) == (0,)
        assert await second.ask(add_ki(1)) == (0,)
        assert await second.ask(add_ki(2)) == (0,)
        assert await first.ask(add_ki(3).replace("ADD KI:", "ADD KI:HLRSN=2,")) == (0,)
        assert await first.ask(add_ki(4).replace("ADD KI:", "ADD KI:HLRSN=9,")) == (1002,)
        before = msgspec.json.encode(server.dump())

        assert server.stats()["keys"] == 4
        assert server.hlrs["1"].keys.keys() == {"001010000000001"}
        assert [row.hlrsn for row in server.dump() if isinstance(row, Logical)] == ["1", "2"]
        third = await connect(login=False)
        assert await third.ask(LGI.replace("HLRSN=1", "HLRSN=9")) == (1002,)

    async with emulated(**settings) as (again, _):
        assert msgspec.json.encode(again.dump()) == before


async def test_two_elements_of_the_settings_may_share_an_address() -> None:
    """Each with the sessions of its own HLRSN, whoever logs in first."""
    adapters = [an_adapter("huawei_hlr", hlrsn=hlrsn) for hlrsn in ("2", "1")]
    removal = a_task(Operation.REMOVE_KEY)
    found = []
    async with emulated(hlrsns=("1", "2"), password=PASSWORD) as (_, connect):
        for adapter in adapters:
            client = await connect(login=False)

            async def ask(request: bytes | None, client: Client = client) -> MMLReply:
                assert request is not None
                client.send(request.decode())
                reply = await client.reply()
                assert reply is not None
                return reply

            assert (await ask(adapter.login())).codes == (0,)
            await ask(adapter.encode(a_task(Operation.ADD_KEY), KEY))
            found.append(adapter.compare(removal, await ask(adapter.read_back(removal))).verdict)
            await ask(adapter.encode(removal, None))
            found.append(adapter.compare(removal, await ask(adapter.read_back(removal))).verdict)

    assert found == [Verdict.ABSENT, Verdict.APPLIED] * 2


@pytest.mark.parametrize(
    ("preset", "command", "latency_s"),
    [
        ("huawei", "MOD LCK", 0.018),
        ("nokia", "ADD TPLSUB", 0.033),
        ("ericsson", "LST SUB", 0.154),
        ("tas", "ADD KI", 0.238),
        ("mixed", "MOD LCK", 0.018),
        ("mixed", "ADD KI", 0.033),
        ("mixed", "ADD TPLSUB", 0.154),
        ("mixed", "MOD EPS_CONTEXT", 0.238),
    ],
)
def test_a_preset_has_the_latencies_that_were_measured(
    preset: str, command: str, latency_s: float
) -> None:
    ours = faults.decode('{"latency": {"p50_s": 9.0}, "chance": {"busy": 0.5}}')

    laid = presets.laid_under(preset, ours)

    assert faults.Faults(laid).latency_s(command) == latency_s
    assert laid.chance.busy == 0.5


async def test_the_process_may_be_two_hlrs_that_answer_in_tables_and_take_their_time() -> None:
    process, port = await start("--hlrsn", "1", "--hlrsn", "2", "--tables", "--preset", "huawei")
    client = Client(*await asyncio.open_connection("127.0.0.1", port))
    assert await client.ask(LGI.replace("HLRSN=1", "HLRSN=2")) == (0,)
    assert await client.ask(add_ki(1)) == (0,)
    started = asyncio.get_running_loop().time()

    client.send('LST KI:IMSI="001010000000001";')
    reply = await client.reply()

    assert reply is not None
    assert re.search(rb"IMSI +KIVALUE +K4SNO", reply.body)
    assert reply.values()["ALG"] == "MILENAGE"
    assert asyncio.get_running_loop().time() - started >= 0.018
    assert await client.ask('LST KI:HLRSN=1,IMSI="001010000000001";') == (3048,)
    client.abort()
    assert await end(process, signal.SIGTERM) == 0
