"""Three emulated platforms over real sockets, driven by the real driver: a leg is done when its
last hop has confirmed it."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Final

import pytest
import pytest_asyncio
from msgspec.structs import replace

from adapters import DIALECTS
from adapters.subscriptions import SubscriptionPlatform
from hlrd.domain.operation import Operation, Task
from hlrd.domain.outcome import Verdict
from hlrd.ports import Intent
from loadtest.faults import Fault, Once, Profile
from loadtest.forward import Hop
from loadtest.platform.core import NEXT_HOP
from loadtest.platform.server import Server, Settings, StateFileDamaged
from loadtest.process import Process
from tests.adapters.conformance import SUBSCRIPTION, a_task
from tests.adapters.desk import Desk, a_desk
from tests.ne.rig import until

FIRST, MIDDLE, LAST = "province_management", "nationwide_management", "iot_gateway"
EC: Final = "/ecs/E1001/products/P100"
TOKEN: Final = "hop-5d1c"
LIFE: Final = (
    Operation.PUBLISH_PRODUCT,
    Operation.SUBSCRIBE_EC,
    Operation.SUBSCRIBE_MEMBER,
    Operation.PAUSE_RELATION,
    Operation.RESUME_RELATION,
    Operation.UNSUBSCRIBE_MEMBER,
    Operation.UNSUBSCRIBE_EC,
)
DONE: Final = {Verdict.DONE, Verdict.NO_CHANGE, Verdict.APPLIED}


def task(operation: Operation, *, product_class: str = "2") -> Task:
    details = replace(
        SUBSCRIPTION, attributes={**SUBSCRIPTION.attributes, "product_class": product_class}
    )
    return a_task(operation, details=details)


PUBLISH, SUBSCRIBE_EC, SUBSCRIBE, PAUSE, RESUME, UNSUBSCRIBE, UNSUBSCRIBE_EC = map(task, LIFE)


def url_of(dialect: str, port: int) -> str:
    spoken = DIALECTS[dialect]
    assert issubclass(spoken, SubscriptionPlatform)
    return f"http://127.0.0.1:{port}{spoken.path}"


class Hops:
    """The three, each of which can be stopped, and started again with what it kept."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._ports = {LAST: 0, MIDDLE: 0, FIRST: 0}
        self.servers: dict[str, Server] = {}

    async def start(self, dialect: str) -> Server:
        settings = Settings(
            dialect,
            name=dialect,
            token=TOKEN,
            hop=self._hop(dialect),
            hop_every_s=0.01,
            state_file=self._folder / dialect,
        )
        server = Server(settings, Profile(restart_s=0.05))
        await server.open("127.0.0.1", self._ports[dialect])
        self._ports[dialect] = server.port
        self.servers[dialect] = server
        return server

    async def stop(self, dialect: str) -> None:
        await self.servers.pop(dialect).close()

    def port(self, dialect: str) -> int:
        return self._ports[dialect]

    def held(self, dialect: str) -> dict[str, str]:
        return {each.resource: each.state for each in self.servers[dialect].dump()}

    def effects(self, dialect: str, command: str) -> int:
        return sum(
            each.count for each in self.servers[dialect].record.effects() if each.command == command
        )

    def _hop(self, dialect: str) -> Hop | None:
        following = NEXT_HOP.get(dialect)
        if following is None:
            return None
        return Hop(following, url_of(following, self._ports[following]), TOKEN, timeout_s=0.3)


@pytest_asyncio.fixture
async def hops(tmp_path: Path) -> AsyncIterator[Hops]:
    hops = Hops(tmp_path)
    for dialect in (LAST, MIDDLE, FIRST):
        (await hops.start(dialect)).record.count_effects(True)
    yield hops
    for dialect in list(hops.servers):
        await hops.stop(dialect)


@pytest_asyncio.fixture
async def desk(hops: Hops) -> AsyncIterator[Desk]:
    settings = {"reply_timeout_s": 0.4, "breaker_failures": 100}
    async with a_desk(FIRST, hops.port(FIRST), password=TOKEN, **settings) as desk:
        yield desk


async def test_a_leg_is_done_when_the_gateway_has_it(hops: Hops, desk: Desk) -> None:
    await desk.carry_out(PUBLISH)

    taken = await desk.ask(SUBSCRIBE_EC)
    outcome = await desk.carry_out(SUBSCRIBE_EC, is_in_doubt=True)

    assert (taken.verdict, outcome.verdict) == (Verdict.PENDING, Verdict.APPLIED)
    assert [hops.held(each).get(EC) for each in (FIRST, MIDDLE, LAST)] == ["confirmed"] * 3


async def test_a_whole_life_goes_down_the_chain_and_leaves_nothing(hops: Hops, desk: Desk) -> None:
    life = [task(operation) for operation in LIFE]

    outcomes = await desk.carry_out_all(life)

    assert {outcome.verdict for outcome in outcomes} <= DONE
    assert hops.held(LAST) == {}
    assert hops.held(FIRST) == hops.held(MIDDLE) == {"/products/P100": "confirmed"}
    for command in (
        "SUBSCRIBE_EC",
        "SUBSCRIBE",
        "PAUSE",
        "RESUME",
        "UNSUBSCRIBE",
        "UNSUBSCRIBE_EC",
    ):
        assert hops.effects(LAST, command) == 1


@pytest.mark.parametrize("stopped", [MIDDLE, LAST])
async def test_a_stopped_hop_leaves_the_leg_pending_and_a_started_one_lets_it_through(
    hops: Hops, desk: Desk, stopped: str
) -> None:
    await desk.carry_out(PUBLISH)
    await hops.stop(stopped)

    leg = asyncio.create_task(desk.carry_out(SUBSCRIBE_EC))
    await until(lambda: sum(each.verdict is Verdict.PENDING for each in desk.waited) > 3)
    is_done_before = leg.done()
    await hops.start(stopped)
    outcome = await leg

    assert not is_done_before
    assert outcome.verdict is Verdict.APPLIED
    assert hops.held(LAST) == {EC: "confirmed"}


async def test_a_first_hop_that_is_killed_goes_on_with_what_it_had_taken(
    hops: Hops, desk: Desk
) -> None:
    await desk.carry_out(PUBLISH)
    await hops.stop(MIDDLE)
    assert (await desk.ask(SUBSCRIBE_EC)).verdict is Verdict.PENDING
    await hops.stop(FIRST)

    await hops.start(FIRST)
    await hops.start(MIDDLE)
    outcome = await desk.carry_out(SUBSCRIBE_EC, is_in_doubt=True)

    assert outcome.verdict is Verdict.APPLIED
    assert hops.effects(LAST, "SUBSCRIBE_EC") == 1


async def test_a_refusal_of_the_gateway_travels_back_and_fails_the_leg(
    hops: Hops, desk: Desk
) -> None:
    await desk.carry_out(PUBLISH)
    hops.servers[LAST].faults.put(Profile(once=[Once(Fault.REFUSE, "SUBSCRIBE_EC")]))

    refused = await desk.carry_out(SUBSCRIBE_EC)

    assert (refused.verdict, refused.code, refused.is_known) == (Verdict.PERMANENT, "REFUSED", True)
    assert refused.text.startswith("iot_gateway: ")
    undone = await desk.carry_out(replace(UNSUBSCRIBE_EC, transaction="1subscribeECu"))
    assert undone.verdict in DONE
    assert EC not in hops.held(FIRST) | hops.held(MIDDLE) | hops.held(LAST)


async def test_a_leg_that_was_refused_can_be_sent_again_as_it_was(hops: Hops, desk: Desk) -> None:
    await desk.carry_out(PUBLISH)
    hops.servers[LAST].faults.put(Profile(once=[Once(Fault.REFUSE, "SUBSCRIBE_EC")]))
    await desk.carry_out(SUBSCRIBE_EC)

    assert (await desk.carry_out(SUBSCRIBE_EC)).verdict is Verdict.APPLIED
    assert hops.held(LAST) == {EC: "confirmed"}


async def test_a_resend_after_a_cut_is_carried_out_once(hops: Hops, desk: Desk) -> None:
    await desk.carry_out(PUBLISH)
    hops.servers[FIRST].faults.put(Profile(once=[Once(Fault.CUT_AFTER, "SUBSCRIBE_EC")]))

    lost = await desk.ask(SUBSCRIBE_EC)
    again = await desk.ask(SUBSCRIBE_EC)
    outcome = await desk.carry_out(SUBSCRIBE_EC, is_in_doubt=True)

    assert lost.verdict is Verdict.IN_DOUBT
    assert again.verdict in {Verdict.PENDING, Verdict.DONE}
    assert outcome.verdict is Verdict.APPLIED
    for hop in (FIRST, MIDDLE, LAST):
        assert hops.effects(hop, "SUBSCRIBE_EC") == 1


FAULTS: Final = [each for each in Fault if each is not Fault.REFUSE]


@pytest.mark.parametrize("where", [FIRST, MIDDLE, LAST])
@pytest.mark.parametrize("fault", FAULTS)
async def test_a_fault_of_any_hop_delays_and_changes_nothing(
    hops: Hops, desk: Desk, fault: Fault, where: str
) -> None:
    await desk.carry_out(PUBLISH)
    once = [Once(fault, command) for command in ("SUBSCRIBE_EC", "SUBSCRIBE", "PAUSE")]
    hops.servers[where].faults.put(Profile(once=once, restart_s=0.05, drip_interval_s=0.001))

    outcomes = await desk.carry_out_all([SUBSCRIBE_EC, SUBSCRIBE, PAUSE])

    assert {outcome.verdict for outcome in outcomes} <= DONE
    assert hops.servers[where].faults.once_left == []
    held = hops.servers[LAST].platform.records
    assert {each.state for each in held.values()} == {"confirmed"}
    assert held["/users/1064900000001/state"].content["state"] == "suspended"
    assert held.keys() == {EC, "/users/1064900000001/products/P100", "/users/1064900000001/state"}


async def test_a_nationwide_platform_of_a_province_is_reached_past_the_first_hop(
    hops: Hops,
) -> None:
    async with a_desk(MIDDLE, hops.port(MIDDLE), password=TOKEN) as straight:
        outcomes = await straight.carry_out_all([PUBLISH, SUBSCRIBE_EC, SUBSCRIBE])

    assert {outcome.verdict for outcome in outcomes} <= DONE
    assert EC in hops.held(LAST)
    assert hops.held(FIRST) == {}


async def test_class_1_is_told_to_each_platform_by_itself(hops: Hops) -> None:
    class1 = [task(operation, product_class="1") for operation in LIFE[:3]]

    async with a_desk(MIDDLE, hops.port(MIDDLE), password=TOKEN) as nationwide:
        outcomes = await nationwide.carry_out_all(class1)

    assert [outcome.verdict for outcome in outcomes] == [Verdict.DONE] * 3
    assert hops.held(LAST) == {}


async def test_a_wrong_token_loses_no_task_and_a_mended_one_lets_it_through(hops: Hops) -> None:
    async with a_desk(LAST, hops.port(LAST), password="wrong") as desk:
        outcomes = [await desk.ask(SUBSCRIBE_EC) for _ in range(2)]

    assert [outcome.verdict for outcome in outcomes] == [Verdict.BUSY] * 2
    assert TOKEN not in repr(outcomes)


async def test_a_leg_in_doubt_is_read_back_by_what_it_asks_for(hops: Hops, desk: Desk) -> None:
    await desk.carry_out(PUBLISH)

    before = await desk.ask(SUBSCRIBE_EC, Intent.READ_BACK)
    await desk.carry_out(SUBSCRIBE_EC)
    after = await desk.ask(SUBSCRIBE_EC, Intent.READ_BACK)
    still_there = await desk.ask(UNSUBSCRIBE_EC, Intent.READ_BACK)

    assert [each.verdict for each in (before, after, still_there)] == [
        Verdict.ABSENT,
        Verdict.APPLIED,
        Verdict.ABSENT,
    ]


async def test_a_restart_keeps_what_was_answered(hops: Hops, desk: Desk) -> None:
    await desk.carry_out_all([PUBLISH, SUBSCRIBE_EC, SUBSCRIBE, PAUSE, RESUME, UNSUBSCRIBE])
    held = {each: hops.held(each) for each in (FIRST, MIDDLE, LAST)}

    for dialect in (LAST, MIDDLE, FIRST):
        await hops.stop(dialect)
        await hops.start(dialect)

    assert {each: hops.held(each) for each in (FIRST, MIDDLE, LAST)} == held
    assert held[LAST] == {EC: "confirmed"}


@pytest.mark.e2e
async def test_three_processes_are_a_chain(tmp_path: Path) -> None:
    """The middle one is killed with a leg on its way, and started again."""
    ports = {LAST: 0, MIDDLE: 0, FIRST: 0}
    processes: dict[str, Process] = {}
    async with AsyncExitStack() as stack:
        for dialect in ports:
            processes[dialect] = a_process(dialect, ports, tmp_path)
            stack.callback(processes[dialect].kill)
            processes[dialect].start()
            ports[dialect] = (await processes[dialect].ready())["port"]
        desk = await stack.enter_async_context(a_desk(FIRST, ports[FIRST]))
        assert (await desk.carry_out(PUBLISH)).verdict in DONE
        processes[MIDDLE].kill()
        leg = asyncio.create_task(desk.carry_out(SUBSCRIBE_EC))
        await until(lambda: any(each.verdict is Verdict.PENDING for each in desk.waited))
        processes[MIDDLE] = a_process(MIDDLE, ports, tmp_path)
        stack.callback(processes[MIDDLE].kill)
        processes[MIDDLE].start()

        assert (await leg).verdict is Verdict.APPLIED
        async with a_desk(LAST, ports[LAST]) as last:
            found = await last.ask(SUBSCRIBE_EC, Intent.READ_BACK)
        assert found.verdict is Verdict.APPLIED


def a_process(dialect: str, ports: dict[str, int], folder: Path) -> Process:
    arguments = ["loadtest.platform", "--dialect", dialect, "--port", str(ports[dialect])]
    arguments += ["--control-port", "0", "--state-file", str(folder / f"{dialect}.state")]
    if dialect in NEXT_HOP:
        following = NEXT_HOP[dialect]
        url = url_of(following, ports[following])
        arguments += ["--hop", url, "--hop-every-s", "0.02"]
    return Process(dialect, arguments, folder)


async def test_a_damaged_state_file_is_told_by_its_line(tmp_path: Path) -> None:
    state_file = tmp_path / "state"
    state_file.write_text(
        '{"resource":"/ecs/E/products/P","content":{},"state":"confirmed",'
        '"transaction":"1"}\nnonsense\n'
    )
    server = Server(Settings(LAST, state_file=state_file), Profile())

    async with AsyncExitStack() as stack:
        stack.push_async_callback(server.close)
        with pytest.raises(StateFileDamaged, match="line 2"):
            await server.open("127.0.0.1", 0)
