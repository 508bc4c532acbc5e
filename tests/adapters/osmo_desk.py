"""Carries tasks out on an osmo-hlr, real or emulated, by the real driver and adapter."""

import asyncio
from typing import Any, Final

from adapters.osmo_hlr import OsmoHLR
from hlrd.domain.identity import IMSI, CardKey, SealedKey
from hlrd.domain.operation import Operation, Task
from hlrd.domain.outcome import Outcome, Step, Verdict, decide
from hlrd.domain.suspension import Level
from hlrd.ne.adapter import Account
from hlrd.ports import Command, Intent
from tests.adapters.conformance import a_binding, a_task, the_replies
from tests.ne.rig import Rig, until

OP: Final = "00112233445566778899aabbccddeeff"
TRANSPORT_KEY: Final = "0f" * 16
CLEAR_KI: Final = "a1b2c3d4e5f60718293a4b5c6d7e8f90"
PATIENCE_S: Final = 20.0
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


class Desk(Rig):
    """Carries tasks out to their end, as the engine does."""

    def __init__(self, host: str, port: int, **changes: Any) -> None:
        secrets = {"op": OP, "k4.7": TRANSPORT_KEY}
        account = Account(host, port, secrets=secrets)
        adapter = OsmoHLR(account, the_replies("osmo_hlr"))
        settings = {"sessions_max": 1, "reply_timeout_s": 5.0, "connect_timeout_s": 2.0, **changes}
        super().__init__(port, adapter=adapter, host=host, **settings)
        self.vault = self.driver._vault = CardVault()  # type: ignore[assignment]
        self._last_id = 0

    async def ask(self, task: Task, intent: Intent = Intent.EXECUTE) -> Outcome:
        self._last_id += 1
        command = Command(self._last_id, task, intent)
        self.give(command)
        await until(lambda: command.id in self.answers, within_s=PATIENCE_S)
        (outcome,) = self.answers[command.id]
        return outcome

    async def carry_out(self, task: Task, *, is_in_doubt: bool = False) -> Outcome:
        """The outcome that ends it."""
        is_read_back, attempt = is_in_doubt, 1
        while True:
            outcome = await self.ask(task, Intent.READ_BACK if is_read_back else Intent.EXECUTE)
            decision = decide(
                outcome,
                attempt=attempt,
                is_read_back=is_read_back,
                settle_s=0.05,
                poll_s=1.0,
                gives_up=True,
                jitter=0.0,
            )
            if decision.step in (Step.DONE, Step.DONE_THEN, Step.FAIL):
                return outcome
            attempt += decision.counts
            is_read_back = decision.step is Step.READ_BACK
            await asyncio.sleep(decision.delay_s)


def of(number: int, operation: Operation, level: Level = Level.NONE) -> Task:
    binding = a_binding(imsi=f"{NETWORK}{number:010d}", msisdn=f"1064900{number:06d}")
    return a_task(operation, binding=binding, level=level)


async def open_subscriber(desk: Desk, number: int) -> list[Verdict]:
    return [
        (await desk.carry_out(of(number, operation))).verdict
        for operation in (ADD_KEY, ADD_SUBSCRIBER)
    ]
