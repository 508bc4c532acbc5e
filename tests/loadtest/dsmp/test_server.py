"""The emulated DSMP over real sockets: order, faults, limits, and what it remembers."""

import asyncio
import contextlib
import json
import signal
import socket
import sys
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from adapters.dsmp import CLOSE, DSMP, OPEN, PAUSE, RESUME
from hlrd.codec.http import HTTPReplies, HTTPReply
from hlrd.domain.errors import ProtocolError
from hlrd.domain.operation import Operation, Task
from hlrd.domain.outcome import Outcome, Verdict
from hlrd.ne.adapter import Account
from loadtest import emulator, faults, process
from loadtest.control import ControlPort
from loadtest.dsmp.server import Server, Settings, StateFileDamaged
from loadtest.faults import Profile
from tests.adapters.conformance import a_binding, a_task, the_replies

DEADLINE_S = 60.0


def a_profile(**fields: Any) -> Profile:
    return faults.decode(json.dumps(fields))


def once(fault: str, command: str = "") -> Profile:
    return a_profile(once=[{"fault": fault, "command": command}])


@contextlib.asynccontextmanager
async def serving(profile: Profile | None = None, **settings: Any) -> AsyncIterator[Server]:
    server = Server(Settings(**settings), profile or Profile())
    await server.open("127.0.0.1", 0)
    try:
        yield server
    finally:
        await server.close()


class Client:
    """One connection, and the adapter that speaks on it."""

    def __init__(
        self, port: int, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        self.adapter = DSMP(Account("127.0.0.1", port), the_replies("dsmp"))
        self._reader = reader
        self._writer = writer
        self._decoder = HTTPReplies()

    def send(self, request: bytes) -> None:
        self._writer.write(request)

    async def drain(self) -> None:
        await self._writer.drain()

    async def heard(self, replies: int = 1) -> list[HTTPReply]:
        """That many replies. Raises EOFError when the connection ends before."""
        heard: list[HTTPReply] = []
        async with asyncio.timeout(DEADLINE_S):
            while len(heard) < replies:
                data = await self._reader.read(65536)
                if not data:
                    raise EOFError
                heard += self._decoder.feed(data)
        return heard

    async def execute(self, task: Task) -> Outcome:
        request = self.adapter.encode(task, None)
        self.send(request)
        [reply] = await self.heard()
        assert self.adapter.echoes(request, reply)
        return self.adapter.classify(task, reply)

    async def ended(self) -> bool:
        """Whether the server ends the connection, without one more reply."""
        try:
            await self.heard()
        except (EOFError, ConnectionResetError):
            return True
        return False


@contextlib.asynccontextmanager
async def connected(port: int, *, receive_bytes: int = 0) -> AsyncIterator[Client]:
    """`receive_bytes` bounds what the kernel takes for a client that does not read."""
    sock = socket.socket()
    if receive_bytes:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_bytes)
    sock.setblocking(False)
    await asyncio.get_running_loop().sock_connect(sock, ("127.0.0.1", port))
    reader, writer = await asyncio.open_connection(sock=sock)
    try:
        yield Client(port, reader, writer)
    finally:
        writer.close()
        with contextlib.suppress(ConnectionError):
            await writer.wait_closed()


def relations(server: Server) -> dict[str, str]:
    return {relation.msisdn: relation.state for relation in server.dump()}


async def until(holds: Callable[[], bool], what: str) -> None:
    await process.until(holds, deadline_s=DEADLINE_S, what=what, poll_s=0.001)


def a_numbered_task(number: int, operation: Operation = OPEN) -> Task:
    binding = a_binding(msisdn=f"10649{number:08d}")
    return a_task(operation, binding=binding, transaction=f"{number}{operation.value}")


async def test_a_life_of_one_relation() -> None:
    async with serving() as server, connected(server.port) as client:
        for operation, state in [
            (OPEN, "active"),
            (PAUSE, "paused"),
            (RESUME, "active"),
            (CLOSE, "closed"),
        ]:
            assert (await client.execute(a_task(operation))).verdict is Verdict.DONE
            assert relations(server) == {"1064900000001": state}


async def test_glued_requests_are_answered_in_order() -> None:
    tasks = [a_numbered_task(number) for number in range(50)]
    async with serving() as server, connected(server.port) as client:
        requests = [client.adapter.encode(task, None) for task in tasks]

        client.send(b"".join(requests))
        replies = await client.heard(len(tasks))

        assert all(map(client.adapter.echoes, requests, replies))
        assert len(relations(server)) == 50


async def test_glued_requests_are_answered_in_order_when_each_takes_its_time() -> None:
    slow = a_profile(latency={"p50_s": 0.002, "p99_s": 0.01})
    tasks = [a_numbered_task(number) for number in range(10)]
    async with serving(slow) as server, connected(server.port) as client:
        requests = [client.adapter.encode(task, None) for task in tasks]

        client.send(b"".join(requests))
        replies = await client.heard(len(tasks))

        assert all(map(client.adapter.echoes, requests, replies))


async def test_a_request_may_come_byte_by_byte() -> None:
    async with serving() as server, connected(server.port) as client:
        request = client.adapter.encode(a_task(OPEN), None)

        for at in range(len(request)):
            client.send(request[at : at + 1])
            await client.drain()
        [reply] = await client.heard()

        assert client.adapter.classify(a_task(OPEN), reply).verdict is Verdict.DONE


async def test_a_client_that_does_not_read_is_not_read_from() -> None:
    tasks = [a_numbered_task(number) for number in range(20_000)]
    async with serving() as server, connected(server.port, receive_bytes=4096) as client:
        await until(lambda: bool(server.connections), "the connection is accepted")
        [connection] = server.connections

        client.send(b"".join(client.adapter.encode(task, None) for task in tasks))
        await until(lambda: not connection.is_reading, "the server stops reading")

        assert len(relations(server)) < len(tasks)
        assert len(await client.heard(len(tasks))) == len(tasks)


async def test_a_keepalive_is_answered_and_leaves_no_trace() -> None:
    async with serving() as server, connected(server.port) as client:
        client.send(client.adapter.keepalive())
        [reply] = await client.heard()

        assert reply.status == 200
        assert relations(server) == {}


@pytest.mark.parametrize(
    ("fault", "executed"),
    [("cutBefore", False), ("cutAfter", True), ("withhold", True), ("hang", False)],
)
async def test_a_lost_answer_may_or_may_not_have_been_executed(fault: str, executed: bool) -> None:
    async with serving(once(fault)) as server, connected(server.port) as client:
        client.send(client.adapter.encode(a_task(OPEN), None))
        await until(lambda: server.record.faults[fault] == 1, "the fault struck")

        assert bool(relations(server)) is executed


async def test_a_lost_answer_is_found_by_sending_the_request_again() -> None:
    async with serving(once("cutAfter")) as server:
        async with connected(server.port) as client:
            client.send(client.adapter.encode(a_task(OPEN), None))
            assert await client.ended()
        server.record.count_effects(True)
        async with connected(server.port) as client:
            again = await client.execute(a_task(OPEN))

        assert again.verdict is Verdict.DONE
        assert list(server.record.effects()) == []


async def test_a_cut_connection_is_reset_and_the_next_one_served() -> None:
    async with serving(once("cutBefore", "OPEN")) as server:
        async with connected(server.port) as client:
            client.send(client.adapter.encode(a_task(OPEN), None))
            assert await client.ended()
        async with connected(server.port) as client:
            assert (await client.execute(a_task(OPEN))).verdict is Verdict.DONE


async def test_behind_a_withheld_answer_the_next_one_comes() -> None:
    async with serving(once("withhold")) as server, connected(server.port) as client:
        client.send(client.adapter.encode(a_numbered_task(1), None))
        outcome = await client.execute(a_numbered_task(2))

        assert outcome.verdict is Verdict.DONE
        assert len(relations(server)) == 2


async def test_a_hung_connection_answers_no_more() -> None:
    async with serving(once("hang")) as server, connected(server.port) as client:
        client.send(client.adapter.encode(a_numbered_task(1), None))
        await until(lambda: server.record.faults["hang"] == 1, "it hangs")
        client.send(client.adapter.encode(a_numbered_task(2), None))
        async with connected(server.port) as other:
            await other.execute(a_numbered_task(3))

        assert set(relations(server)) == {"1064900000003"}


async def test_a_dripped_answer_is_whole_in_the_end() -> None:
    drip = a_profile(once=[{"fault": "drip"}], drip_interval_s=0.0, drip_bytes=7)
    async with serving(drip) as server, connected(server.port) as client:
        client.send(client.adapter.encode(a_numbered_task(1), None))
        client.send(client.adapter.encode(a_numbered_task(2), None))
        replies = await client.heard(2)

        assert [reply.status for reply in replies] == [200, 200]
        assert len(relations(server)) == 2


async def test_a_wrong_echo_is_told_by_its_transaction() -> None:
    async with serving(once("wrongEcho")) as server, connected(server.port) as client:
        request = client.adapter.encode(a_task(OPEN), None)
        client.send(request)
        [reply] = await client.heard()

        assert not client.adapter.echoes(request, reply)
        assert relations(server)


async def test_a_refused_request_is_not_executed() -> None:
    async with serving(once("refuse")) as server, connected(server.port) as client:
        assert (await client.execute(a_task(OPEN))).verdict is Verdict.PERMANENT
        assert not relations(server)


async def test_garbage_answers_what_was_executed() -> None:
    async with serving(once("garbage")) as server, connected(server.port) as client:
        client.send(client.adapter.encode(a_task(OPEN), None))
        with pytest.raises(ProtocolError):
            await client.heard()

        assert relations(server)


async def test_a_restart_ends_every_connection_and_keeps_the_port_and_the_state() -> None:
    profile = a_profile(once=[{"fault": "restart"}], restart_s=0.05)
    async with serving(profile) as server, connected(server.port) as client:
        async with connected(server.port) as other:
            client.send(client.adapter.encode(a_task(OPEN), None))
            assert await client.ended()
            assert await other.ended()

        assert not server.is_listening
        await until(lambda: server.is_listening, "it is back")

        async with connected(server.port) as again:
            assert (await again.execute(a_task(PAUSE))).verdict is Verdict.DONE
        assert relations(server) == {"1064900000001": "paused"}


async def test_a_busy_dsmp_does_nothing_and_says_whose_queue_is_full() -> None:
    busy = a_profile(chance={"busy": 1.0})
    async with serving(busy) as server, connected(server.port) as client:
        outcomes = [await client.execute(a_task(OPEN)) for _ in range(3)]

        assert [outcome.code for outcome in outcomes] == ["9004", "9006", "9004"]
        assert {outcome.verdict for outcome in outcomes} == {Verdict.BUSY}
        assert relations(server) == {}


async def test_above_the_agreed_rate_it_asks_to_slow_down() -> None:
    async with (
        serving(a_profile(commands_per_s=2.0)) as server,
        connected(server.port) as client,
    ):
        codes = [(await client.execute(a_numbered_task(number))).code for number in range(10)]

        assert codes[:2] == ["0", "0"]
        assert "9007" in codes


async def test_in_maintenance_a_new_connection_is_told_when_to_come_back() -> None:
    async with serving(a_profile(refuse_logins=True)) as server, connected(server.port) as client:
        client.send(client.adapter.encode(a_task(OPEN), None))
        [reply] = await client.heard()

        assert (reply.status, reply.retry_after_s, reply.keep_alive) == (503, 1.0, False)
        assert await client.ended()


async def test_the_profile_may_change_while_it_runs() -> None:
    async with serving() as server, connected(server.port) as client:
        await client.execute(a_numbered_task(1))
        server.faults.put(once("busy", "CLOSE"))

        opened = await client.execute(a_numbered_task(2))
        closed = await client.execute(a_numbered_task(1, CLOSE))

        assert (opened.verdict, closed.verdict) == (Verdict.DONE, Verdict.BUSY)


async def test_an_http_1_0_client_is_answered_and_sent_away() -> None:
    async with serving() as server, connected(server.port) as client:
        client.send(b"GET /dsmp HTTP/1.0\r\n\r\n")
        [reply] = await client.heard()

        assert reply.status == 200
        assert await client.ended()


async def test_noise_ends_the_connection_and_nothing_else() -> None:
    async with serving() as server:
        async with connected(server.port) as client:
            client.send(b"\x00\xff nonsense\r\n\r\n")
            assert await client.ended()
        async with connected(server.port) as client:
            assert (await client.execute(a_task(OPEN))).verdict is Verdict.DONE


async def test_an_idle_connection_is_closed() -> None:
    async with serving(idle_close_s=0.05) as server, connected(server.port) as client:
        assert await client.ended()
        assert server.stats()["connections"] == 0


async def test_one_connection_too_many_is_reset(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(emulator, "CONNECTIONS_MAX", 1)
    async with serving() as server, connected(server.port) as first:
        await first.execute(a_numbered_task(1))
        async with connected(server.port) as second:
            assert await second.ended()

        assert (await first.execute(a_numbered_task(2))).verdict is Verdict.DONE


async def test_what_it_answered_it_remembers_over_a_restart(tmp_path: Path) -> None:
    state_file = tmp_path / "dsmp1.state"
    async with serving(state_file=state_file) as server, connected(server.port) as client:
        await client.execute(a_numbered_task(1))
        await client.execute(a_numbered_task(2))
        await client.execute(a_numbered_task(2, PAUSE))
        before = relations(server)
        on_disk = state_file.read_bytes()  # not closed yet: a kill would find this much

    state_file.write_bytes(on_disk + b"1064900000003 IOTB")
    async with serving(state_file=state_file) as server:
        assert relations(server) == before == {"1064900000001": "active", "1064900000002": "paused"}
    async with serving(state_file=state_file) as server:
        assert relations(server) == before


async def test_a_state_file_that_is_none_stops_the_start(tmp_path: Path) -> None:
    state_file = tmp_path / "dsmp1.state"
    state_file.write_bytes(b"1064900000001 IOTBASE active\n1064900000002 IOTBASE asleep\n")

    with pytest.raises(StateFileDamaged, match="line 2"):
        async with serving(state_file=state_file):
            pass


async def test_the_control_port_shows_and_steers_it() -> None:
    async with serving() as server, connected(server.port) as client:
        control = ControlPort(server)
        await control.open("127.0.0.1", 0)
        try:
            async with aiohttp.ClientSession(f"http://127.0.0.1:{control.port}") as http:
                await client.execute(a_task(OPEN))
                stats = await (await http.get("/stats")).json()
                [row] = (await (await http.get("/dump")).text()).splitlines()
                [logged] = (await (await http.get("/log")).text()).splitlines()
                cut = await (await http.post("/cut")).json()
        finally:
            await control.close()

        assert stats["state"] == {
            "connections": 1,
            "relations_active": 1,
            "relations_paused": 0,
            "relations_closed": 0,
            "services_published": 0,
        }
        assert (stats["commands"], stats["codes"]) == ({"OPEN": 1}, {"0": 1})
        assert json.loads(row) == {
            "msisdn": "1064900000001",
            "sp_service_id": "IOTBASE",
            "state": "active",
        }
        assert "1064900000001" in json.loads(logged)["command"]
        assert cut == {"cut": 1}
        assert await client.ended()


@pytest.mark.e2e
async def test_the_process_says_when_it_is_ready_and_ends_in_good_order(tmp_path: Path) -> None:
    arguments = ["--name", "dsmp9", "--port", "0", "--control-port", "0", "--peer", "crm"]
    child = await asyncio.create_subprocess_exec(
        *[sys.executable, "-m", "loadtest.dsmp", *arguments, "--faults", "{}", "--seed", "7"],
        stdout=asyncio.subprocess.PIPE,
    )
    try:
        assert child.stdout is not None
        async with asyncio.timeout(DEADLINE_S):
            line = (await child.stdout.readline()).decode().split()
        ports = dict(pair.split("=") for pair in line[2:])

        assert line[:2] == ["ready", "dsmp9"]
        assert set(ports) == {"port", "control"}
        async with connected(int(ports["port"])) as client:
            assert (await client.execute(a_task(OPEN))).verdict is Verdict.DONE
        child.send_signal(signal.SIGTERM)
        async with asyncio.timeout(DEADLINE_S):
            assert await child.wait() == 0
    finally:
        if child.returncode is None:
            child.kill()
            await child.wait()
