"""Headquarters on loopback: relays, the registry behind them, partner provinces, and a driver."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any, Final

from msgspec.structs import replace

from adapters.pboss_registry import PBOSSRegistry
from adapters.reports import (
    CANCEL,
    PARTNER_PROVINCES,
    REPORT,
    SUBSCRIBE,
    SUBSCRIBE_MEMBER,
    UNSUBSCRIBE,
    UNSUBSCRIBE_MEMBER,
)
from hlrd.domain.identity import IMSI, CardKey, SealedKey
from hlrd.domain.operation import Details, Operation, Task
from hlrd.ports import Vault
from loadtest.faults import Profile
from loadtest.forward import Hop
from loadtest.relay.core import PARTNER_PATH, Role
from loadtest.relay.onward import HLRD
from loadtest.relay.server import Server, Settings
from loadtest.relay.ways import Neighbours
from tests.adapters.conformance import KEY, a_binding, a_task
from tests.adapters.desk import Desk, a_desk

HOP_EVERY_S: Final = 0.02
PARTNERS: Final = ("GD", "SC")
ALONE: Final = Details(
    product="P100",
    version=1,
    ec_code="E1001",
    ec_name="示例集团",
    attributes={"product_class": "1"},
)
WITH_PARTNERS: Final = Details(
    product="P100",
    version=1,
    ec_code="E1001",
    ec_name="示例集团",
    attributes={"lead_province": "HB", PARTNER_PROVINCES: ",".join(PARTNERS)},
)


class CardVault(Vault):
    """One key for all cards, as its maker delivered it."""

    def __init__(self, key: CardKey) -> None:
        self._key = key

    def seal(self, imsi: IMSI, key: CardKey) -> SealedKey:
        raise NotImplementedError

    def open(self, imsi: IMSI, sealed: SealedKey) -> CardKey:
        return self._key


@asynccontextmanager
async def serving(
    role: Role,
    profile: Profile | None = None,
    *,
    port: int = 0,
    hop: Hop | None = None,
    partners: Mapping[str, Hop] | None = None,
    hlrd: HLRD | None = None,
    provinces: Mapping[str, HLRD] | None = None,
    **settings: Any,
) -> AsyncIterator[Server]:
    near = Neighbours(hop, hlrd, partners or {}, provinces or {}, HOP_EVERY_S, HOP_EVERY_S)
    server = Server(Settings(role, neighbours=near, **settings), profile or Profile(restart_s=0.05))
    server.record.count_effects(True)
    await server.open("127.0.0.1", port)
    try:
        yield server
    finally:
        await server.close()


def hop_to(registry: Server | int) -> Hop:
    return _hop(Role.PBOSS, registry, PBOSSRegistry.path)


def partner_hops(partners: Mapping[str, Server | int]) -> dict[str, Hop]:
    return {name: _hop(Role.PARTNER, at, PARTNER_PATH) for name, at in partners.items()}


def _hop(role: Role, at: Server | int, path: str) -> Hop:
    port = at if isinstance(at, int) else at.port
    return Hop(role, f"http://127.0.0.1:{port}{path}", timeout_s=0.25)


@asynccontextmanager
async def driving(server: Server, *, key: CardKey = KEY, **changes: Any) -> AsyncIterator[Desk]:
    settings = {"reply_timeout_s": 0.25, "breaker_failures": 100, "sessions_max": 4, **changes}
    dialect = server.system.role.value
    async with a_desk(dialect, server.port, **settings) as desk:
        desk.driver._vault = CardVault(key)
        yield desk


def subscribe(details: Details = ALONE, operation: Operation = SUBSCRIBE) -> Task:
    return a_task(operation, transaction=f"1{operation.value}", details=details)


def unsubscribe(details: Details = ALONE) -> Task:
    return subscribe(details, UNSUBSCRIBE)


def report(
    number: int = 1,
    operation: Operation = REPORT,
    *,
    province: str = "HB",
    details: Details = ALONE,
) -> Task:
    imsi, msisdn = f"00101{number:010d}", f"1064900{number:06d}"
    binding = replace(a_binding(imsi=imsi, msisdn=msisdn), province=province)
    transaction = f"2{number:06d}{operation.value}"
    return a_task(operation, binding=binding, transaction=transaction, details=details)


def subscribe_member(number: int = 1, operation: Operation = SUBSCRIBE_MEMBER) -> Task:
    return report(number, operation)


def unsubscribe_member(number: int = 1) -> Task:
    return report(number, UNSUBSCRIBE_MEMBER)


def cancel(number: int = 1) -> Task:
    return report(number, CANCEL)


def effects(server: Server) -> dict[tuple[str, str], int]:
    return {(each.command, each.subject): each.count for each in server.record.effects()}


def members(server: Server) -> list[str]:
    return sorted(
        name.rpartition("/")[2] for name in server.system.records if name.startswith("/members/")
    )
