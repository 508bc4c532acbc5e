"""A driver over loopback with an engine's part recorded; builders with defaults."""

import time
from collections.abc import Callable
from datetime import UTC, datetime
from random import Random
from typing import Any

from hlrd.config import NESettings
from hlrd.domain.identity import (
    ICCID,
    IMSI,
    MSISDN,
    Binding,
    CardKey,
    SealedKey,
    UserId,
)
from hlrd.domain.operation import Cause, Operation, Task
from hlrd.domain.outcome import Outcome, Verdict
from hlrd.ne.adapter import Adapter
from hlrd.ne.driver import Driver
from hlrd.ports import Command, Intent
from tests.ne.lines import Lines, an_account
from tests.owntime import OwnTime

PATIENCE_S = 5.0


class RealClock:
    def monotonic(self) -> float:
        return time.monotonic()

    def wall(self) -> datetime:
        return datetime.now(UTC)


class GlassVault:
    """Opens what it is given, and remembers that it was asked."""

    def __init__(self) -> None:
        self.opened: list[IMSI] = []

    def seal(self, imsi: IMSI, key: CardKey) -> SealedKey:
        return SealedKey("test", key.value.encode())

    def open(self, imsi: IMSI, sealed: SealedKey) -> CardKey:
        self.opened.append(imsi)
        return CardKey(sealed.ciphertext.decode(), 1, "MILENAGE", "USIM")


KI = "0123456789abcdef" * 2


def a_task(
    number: int = 1,
    *,
    operation: Operation = Operation.SET_BARRING,
    sealed: str = KI,
    transaction: str | None = None,
) -> Task:
    binding = Binding(
        user_id=UserId(str(number)),
        msisdn=MSISDN("13900000001"),
        imsi=IMSI(f"00101{number:010d}"),
        iccid=ICCID("89860000000000000000"),
        hlr="x",
        province="GD",
        key=SealedKey("test", sealed.encode()),
    )
    if transaction is None:
        transaction = f"t{number}"
    return Task(operation, "x", binding, Cause.ORDERED, transaction=transaction)


def a_command(
    number: int = 1,
    *,
    intent: Intent = Intent.EXECUTE,
    operation: Operation = Operation.SET_BARRING,
    sealed: str = KI,
    transaction: str | None = None,
) -> Command:
    task = a_task(number, operation=operation, sealed=sealed, transaction=transaction)
    return Command(number, task, intent)


def some_settings(port: int, **changes: Any) -> NESettings:
    """Short times, so that a test of a time-out is short too."""
    values: dict[str, Any] = {
        "name": "x",
        "dialect": "lines",
        "host": "127.0.0.1",
        "port": port,
        "sessions_min": 1,
        "sessions_max": 4,
        "connect_timeout_s": 0.5,
        "reply_timeout_s": 0.2,
        "keepalive_s": 60.0,
        "breaker_failures": 5,
        "breaker_probe_s": 0.1,
        **changes,
    }
    return NESettings(**values)


class Rig:
    """The engine's side: what was answered, and how often it was told of free places."""

    def __init__(
        self,
        port: int,
        *,
        user: str = "hlrd",
        read_back: str = "query",
        adapter: Adapter[Any] | None = None,
        **changes: Any,
    ) -> None:
        self.answers: dict[int, list[Outcome]] = {}
        self.freed = 0
        self.is_in_execute = False
        self.backlog: list[Command] = []
        self.vault = GlassVault()
        self.driver = Driver(
            some_settings(port, **changes),
            adapter or Lines(an_account(port, user=user, read_back=read_back)),
            vault=self.vault,
            clock=RealClock(),
            chance=Random(1),
            on_outcome=self.on_outcome,
            on_free=self.on_free,
        )

    def on_outcome(self, command: Command, outcome: Outcome) -> None:
        assert not self.is_in_execute, "answered from within execute"
        self.answers.setdefault(command.id, []).append(outcome)
        self.pump()

    def on_free(self, name: str) -> None:
        assert not self.is_in_execute, "called back from within execute"
        self.freed += 1
        self.pump()

    def pump(self) -> None:
        """As the engine does: send what waits, and say how much is left."""
        free = self.driver.free()
        while free > 0 and self.backlog:
            self.execute(self.backlog.pop(0))
            free -= 1
        self.driver.wants(len(self.backlog))

    def execute(self, command: Command) -> None:
        self.is_in_execute = True
        self.driver.execute(command)
        self.is_in_execute = False

    def give(self, *commands: Command) -> None:
        self.backlog.extend(commands)
        self.pump()

    async def started(self) -> "Rig":
        """Running, with the first session open."""
        self.driver.start()
        await until(lambda: self.driver.free() > 0)
        return self

    async def outcome(self, command: Command) -> Outcome:
        await until(lambda: command.id in self.answers)
        (outcome,) = self.answers[command.id]
        return outcome

    async def asked(self, command: Command) -> Outcome:
        self.give(command)
        return await self.outcome(command)

    def verdicts(self) -> dict[Verdict, int]:
        counts: dict[Verdict, int] = {}
        for outcomes in self.answers.values():
            for outcome in outcomes:
                counts[outcome.verdict] = counts.get(outcome.verdict, 0) + 1
        return counts

    def sessions(self, state: str) -> int:
        count: int = self.driver.show()["sessions"][state]
        return count

    def ends(self, cause: str) -> int:
        count: int = self.driver.show()["session_ends"].get(cause, 0)
        return count


async def until(is_so: Callable[[], bool], *, within_s: float = PATIENCE_S) -> None:
    """Fails when it is not so in time, as this process has it."""
    own = OwnTime()
    while not is_so():
        assert own.s < within_s, f"not so after {own.s:.1f} s"
        await own.tick()
