"""Carries tasks out on an osmo-hlr, real or emulated, by the real driver and adapter."""

from typing import Any, Final

from adapters.osmo_hlr import OsmoHLR
from hlrd.domain.identity import IMSI, CardKey, SealedKey
from hlrd.domain.operation import Operation, Task
from hlrd.domain.outcome import Verdict
from hlrd.domain.suspension import Level
from hlrd.ne.adapter import Account
from tests.adapters import desk
from tests.adapters.conformance import a_binding, a_task, the_replies

OP: Final = "00112233445566778899aabbccddeeff"
TRANSPORT_KEY: Final = "0f" * 16
CLEAR_KI: Final = "a1b2c3d4e5f60718293a4b5c6d7e8f90"
PATIENCE_S: Final = desk.PATIENCE_S
NETWORK: Final = "00101"

ADD_KEY, ADD_SUBSCRIBER = Operation.ADD_KEY, Operation.ADD_SUBSCRIBER
REMOVE_SUBSCRIBER, REMOVE_KEY = Operation.REMOVE_SUBSCRIBER, Operation.REMOVE_KEY
SET_BARRING = Operation.SET_BARRING


class CardVault:
    """One key for all cards, as its maker delivered it."""

    key = CardKey(CLEAR_KI, 0, "MILENAGE", "USIM")

    def seal(self, imsi: IMSI, key: CardKey) -> SealedKey:
        raise NotImplementedError

    def open(self, imsi: IMSI, sealed: SealedKey) -> CardKey:
        return self.key


class Desk(desk.Desk):
    def __init__(self, host: str, port: int, **changes: Any) -> None:
        secrets = {"op": OP, "k4.7": TRANSPORT_KEY}
        account = Account(host, port, secrets=secrets)
        super().__init__(port, OsmoHLR(account, the_replies("osmo_hlr")), host=host, **changes)
        self.vault = self.driver._vault = CardVault()  # type: ignore[assignment]


def of(number: int, operation: Operation, level: Level = Level.NONE) -> Task:
    binding = a_binding(imsi=f"{NETWORK}{number:010d}", msisdn=f"1064900{number:06d}")
    return a_task(operation, binding=binding, level=level)


async def open_subscriber(at: Desk, number: int) -> list[Verdict]:
    return [
        (await at.carry_out(of(number, operation))).verdict
        for operation in (ADD_KEY, ADD_SUBSCRIBER)
    ]
