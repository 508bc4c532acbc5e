"""The emulators of each dialect on loopback: the one that is driven, and those behind it."""

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial
from typing import Any, Final

from adapters import DIALECTS
from adapters.json_platform import JSONPlatform
from adapters.pboss_registry import PBOSSRegistry
from loadtest.cai import server as cai
from loadtest.dsmp import server as dsmp
from loadtest.emulator import Emulator
from loadtest.eoms import server as eoms
from loadtest.faults import Profile
from loadtest.forward import Hop
from loadtest.hlr import server as hlr
from loadtest.hss import server as hss
from loadtest.osmo import server as osmo
from loadtest.platform import server as platform
from loadtest.platform.core import NEXT_HOP
from loadtest.relay import server as relay
from loadtest.relay.core import Role
from loadtest.relay.ways import Neighbours
from tests.adapters.conformance import PASSWORD, PLATFORMS, RELAYS

HOP_TIMEOUT_S: Final = 0.15
HOP_EVERY_S: Final = 0.02
DAY_S: Final = 0.02
"""Of the people behind an EOMS: they answer within a fifth of a second."""

Open = Callable[[Emulator], Awaitable[None]]
Start = Callable[[Open, int], Awaitable[list[Emulator]]]
"""Given how to open an emulator, and a seed: the one that is driven first."""


@asynccontextmanager
async def playing(dialect: str, seed: int) -> AsyncIterator[list[Emulator]]:
    async with AsyncExitStack() as stack:

        async def open_one(server: Emulator) -> None:
            server.record.count_effects(True)
            await server.open("127.0.0.1", 0)
            stack.push_async_callback(server.close)

        yield await PLAYED[dialect](open_one, seed)


async def _alone(
    build: Callable[..., Emulator], settings: Callable[..., Any], open_one: Open, seed: int
) -> list[Emulator]:
    server = build(settings(seed=seed), Profile())
    await open_one(server)
    return [server]


async def _platform(dialect: str, open_one: Open, seed: int) -> list[Emulator]:
    behind: list[Emulator] = []
    hop = None
    if dialect in NEXT_HOP:
        following = NEXT_HOP[dialect]
        behind = await _platform(following, open_one, seed + 1)
        hop = _hop(following, behind[0], _path(following))
    settings = platform.Settings(
        dialect, name=dialect, token=PASSWORD, hop=hop, hop_every_s=HOP_EVERY_S, seed=seed
    )
    server = platform.Server(settings, Profile())
    await open_one(server)
    return [server, *behind]


async def _relay(role: Role, open_one: Open, seed: int) -> list[Emulator]:
    behind: list[Emulator] = []
    hop = None
    if role is not Role.PBOSS:
        behind = await _relay(Role.PBOSS, open_one, seed + 1)
        hop = _hop(Role.PBOSS, behind[0], PBOSSRegistry.path)
    settings = relay.Settings(
        role,
        name=role,
        token=PASSWORD,
        neighbours=Neighbours(hop, every_s=HOP_EVERY_S),
        seed=seed,
    )
    server = relay.Server(settings, Profile())
    await open_one(server)
    return [server, *behind]


def _hop(name: str, server: Emulator, path: str) -> Hop:
    return Hop(name, f"http://127.0.0.1:{server.port}{path}", PASSWORD, timeout_s=HOP_TIMEOUT_S)


def _path(dialect: str) -> str:
    spoken = DIALECTS[dialect]
    assert issubclass(spoken, JSONPlatform)
    return spoken.path


PLAYED: Final[Mapping[str, Start]] = {
    "huawei_hlr": partial(_alone, hlr.Server, partial(hlr.Settings, password=PASSWORD)),
    "hss_soap": partial(_alone, hss.Server, partial(hss.Settings, password=PASSWORD)),
    "ericsson_cai": partial(_alone, cai.Server, partial(cai.Settings, password=PASSWORD)),
    "osmo_hlr": partial(_alone, osmo.Server, osmo.Settings),
    "dsmp": partial(_alone, dsmp.Server, dsmp.Settings),
    "eoms": partial(
        _alone, eoms.Server, partial(eoms.Settings, token=PASSWORD, day_s=DAY_S, done=1.0)
    ),
    **{dialect: partial(_platform, dialect) for dialect in PLATFORMS},
    **{dialect: partial(_relay, Role(dialect)) for dialect in RELAYS},
}
