"""A real osmo-hlr under the faults that a proxy and a kill can make: at the end its own database
says what was meant, and hlrd says so. `MATRIX_SEED=7` for other times of the faults.
"""

import asyncio
import os
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from random import Random
from typing import Final

import pytest

from adapters.osmo_hlr import OsmoHLR
from hlrd.codec import ipa
from hlrd.domain.identity import international
from hlrd.domain.lifecycle import OrderState
from hlrd.domain.operation import Operation
from hlrd.domain.outcome import Verdict
from hlrd.ne.adapter import Account
from loadtest.faults import Fault
from loadtest.osmo.real import RealHLR
from tests.adapters.conformance import EMULATED, KEY, the_replies
from tests.faultproxy import FaultProxy
from tests.loadtest.relay.rig import CardVault
from tests.matrix.floor import LATER, OPENING, Floor, a_floor
from tests.matrix.lives import life

pytestmark = [pytest.mark.e2e, pytest.mark.osmo]

SEED: Final = int(os.environ.get("MATRIX_SEED", "1"))
AT_ONCE: Final = 4
"""Users, one after the other for as long as faults come."""

BOUTS: Final = 3
BOUT_S: Final = 0.4

REPLY_TIMEOUT_S: Final = 0.2
DELAY_S: Final = 0.3
SETTINGS: Final = {"sessions_max": 1, "reply_timeout_s": REPLY_TIMEOUT_S, "settle_s": 0.3}


@dataclass(slots=True)
class Lived:
    users: list[int] = field(default_factory=list)
    states: list[OrderState] = field(default_factory=list)
    in_doubt: int = 0
    is_over: bool = False


Bout = Callable[[FaultProxy, RealHLR], AbstractAsyncContextManager[None]]


@asynccontextmanager
async def late(proxy: FaultProxy, hlr: RealHLR) -> AsyncIterator[None]:
    proxy.faults.down.delay_s = DELAY_S
    yield
    proxy.faults.down.delay_s = 0.0


@asynccontextmanager
async def unanswered(proxy: FaultProxy, hlr: RealHLR) -> AsyncIterator[None]:
    proxy.faults.down.is_swallowed = True
    yield
    proxy.faults.down.is_swallowed = False


@asynccontextmanager
async def cut_before(proxy: FaultProxy, hlr: RealHLR) -> AsyncIterator[None]:
    proxy.faults.up.is_swallowed = True
    yield
    proxy.reset_all()
    proxy.faults.up.is_swallowed = False


@asynccontextmanager
async def cut_after(proxy: FaultProxy, hlr: RealHLR) -> AsyncIterator[None]:
    proxy.faults.down.is_swallowed = True
    yield
    proxy.reset_all()
    proxy.faults.down.is_swallowed = False


@asynccontextmanager
async def stopped(proxy: FaultProxy, hlr: RealHLR) -> AsyncIterator[None]:
    hlr.stop()
    yield
    hlr.go_on()


@asynccontextmanager
async def dripping(proxy: FaultProxy, hlr: RealHLR) -> AsyncIterator[None]:
    proxy.faults.down.piece_bytes = 3
    yield
    proxy.faults.down.piece_bytes = None


@asynccontextmanager
async def garbled(proxy: FaultProxy, hlr: RealHLR) -> AsyncIterator[None]:
    proxy.faults.down.is_garbled = True
    yield
    proxy.faults.down.is_garbled = False


@asynccontextmanager
async def killed(proxy: FaultProxy, hlr: RealHLR) -> AsyncIterator[None]:
    hlr.kill()
    yield
    hlr.start()
    await hlr.ready()


BOUT_OF: Final[Mapping[Fault, Bout]] = {
    Fault.DELAY: late,
    Fault.WITHHOLD: unanswered,
    Fault.CUT_BEFORE: cut_before,
    Fault.CUT_AFTER: cut_after,
    Fault.HANG: stopped,
    Fault.DRIP: dripping,
    Fault.GARBAGE: garbled,
    Fault.RESTART: killed,
}
"""What it says itself is its own: busy, a refusal and another's echo are the emulator's part."""


@pytest.mark.parametrize("fault", list(BOUT_OF))
async def test_its_database_is_right_whatever_befalls(fault: Fault, tmp_path: Path) -> None:
    hlr = RealHLR("hlr1", tmp_path)
    hlr.start()
    try:
        await hlr.ready()
        async with FaultProxy(hlr.host, ipa.PORT) as proxy:
            lived = await _live(proxy, hlr, fault)
        held = {row.imsi: (row.msisdn, row.cs, row.ps, bool(row.k)) for row in hlr.subscribers()}
    finally:
        hlr.kill()

    told = f"MATRIX_SEED={SEED}"
    assert set(lived.states) == {OrderState.SUCCEEDED}, told
    wanted = {_imsi(user): _whole(user) for user in lived.users if not _leaves(user)}
    for user in filter(_leaves, lived.users):
        wanted |= _changed(user)
    assert held == wanted, told
    assert lived.in_doubt >= 1, told


async def _live(proxy: FaultProxy, hlr: RealHLR, fault: Fault) -> Lived:
    ne = EMULATED["osmo_hlr"]
    account = Account("127.0.0.1", proxy.port, options=ne.options, secrets=ne.secrets)
    adapter = OsmoHLR(account, the_replies("osmo_hlr"))
    lived, users, chance = Lived(), count(1), Random(SEED)
    async with a_floor(adapter, CardVault(KEY), seed=SEED, **SETTINGS) as floor:
        async with asyncio.TaskGroup() as group:
            for _ in range(AT_ONCE):
                group.create_task(_serve(floor, users, lived))
            bouts = 0
            while bouts < BOUTS or len(lived.users) <= AT_ONCE:
                bouts += 1
                await asyncio.sleep(chance.uniform(0.02, 0.1))
                async with BOUT_OF[fault](proxy, hlr):
                    await asyncio.sleep(BOUT_S)
            lived.is_over = True
        lived.in_doubt = floor.driver.show()["outcomes"].get(Verdict.IN_DOUBT, 0)
    return lived


async def _serve(floor: Floor, users: Iterator[int], lived: Lived) -> None:
    """Each user is opened; whoever has an odd number is barred, changed and closed again."""
    while not lived.is_over:
        user = next(users)
        lived.users.append(user)
        whole = life("osmo_hlr", user)
        lived.states.append(await floor.carry_out(whole.opening, OPENING))
        for task in whole.later if _leaves(user) else ():
            lived.states.append(await floor.carry_out([task], LATER))


def _leaves(user: int) -> bool:
    return user % 2 == 1


def _imsi(user: int) -> str:
    return life("osmo_hlr", user).opening[0].binding.imsi


Held = tuple[str | None, bool, bool, bool]
"""Number, both services, key."""


def _changed(user: int) -> Mapping[str, Held]:
    """Those who changed card, on a stopped line, or number. The old card has its key still."""
    found: dict[str, Held] = {}
    for task in life("osmo_hlr", user).later:
        target = task.details.target
        if target is not None:
            is_free = task.operation is Operation.CHANGE_NUMBER
            found[task.binding.imsi] = (None, True, True, True)
            found[target.imsi] = (international(target.msisdn), is_free, is_free, True)
    return found


def _whole(user: int) -> Held:
    return international(life("osmo_hlr", user).opening[0].binding.msisdn), True, True, True
