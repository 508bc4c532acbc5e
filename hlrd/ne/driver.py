"""One NE as the engine sees it: what it can take now, a command sent, its answer.

Every command is answered exactly once, whatever happens, and never from within `execute`.
"""

import asyncio
from collections.abc import Callable, Mapping
from random import Random
from typing import Any, Final, Generic, TypeVar

import structlog

from hlrd.config import NESettings
from hlrd.domain.errors import HlrdError, ProtocolError
from hlrd.domain.operation import Operation, Task
from hlrd.domain.orders import BEIJING
from hlrd.domain.outcome import Outcome, Verdict
from hlrd.ne.adapter import Adapter
from hlrd.ne.halts import Halt, HaltKind, Halts
from hlrd.ne.meters import READ_BACK, Meters
from hlrd.ne.rate import Rate
from hlrd.ne.roster import Roster
from hlrd.ne.session import LOGOUT_S, Cause, Session
from hlrd.ne.sessions import Setback
from hlrd.ne.window import Window
from hlrd.ports import Clock, Command, Intent, Vault

R = TypeVar("R")

_log = structlog.get_logger(__name__)

_ADD_KEY: Final = Operation.ADD_KEY  # a member costs ten times as much by way of its class
_REPORT: Final = Operation.REPORT_MEMBER
_READ_BACK: Final = Intent.READ_BACK
_BUSY: Final = Verdict.BUSY

_WAKE_S_MIN: Final = 0.001
"""Tokens that fall due within one tick of the loop are offered together."""

_NOT_SENT: Final = Outcome(Verdict.NOT_SENT, text="the session was gone before the write")


class Driver(Generic[R]):
    """Implements `ports.NE`. For the thread of the loop that it is started in."""

    def __init__(
        self,
        settings: NESettings,
        adapter: Adapter[R],
        *,
        vault: Vault,
        clock: Clock,
        chance: Random,
        on_outcome: Callable[[Command, Outcome], None],
        on_free: Callable[[str], None],
    ) -> None:
        self.name = settings.name
        self.settle_s = settings.settle_s
        self.poll_s = settings.poll_s
        self._settings = settings
        self._reply_timeout_s = settings.reply_timeout_s
        self._adapter = adapter
        self._vault = vault
        self._now = clock.monotonic
        self._wall = clock.wall
        self._on_outcome = on_outcome
        self._on_free = on_free
        self._rate = _rate(settings)
        self._depth = adapter.depth
        self._window = Window(size_max=1)
        self._bound_window(settings)
        self._halts = Halts(_blackouts(settings))
        self._halt: Halt | None = None  #: in force
        self._meters = Meters(settings.name)
        self._roster: Roster[R] = Roster(
            settings,
            adapter,
            listener=self,
            clock=clock,
            chance=chance,
            window=self._window,
            rate=self._rate,
            meters=self._meters,
        )
        self._idle = self._roster.idle
        self._breaker = self._roster.breaker
        self._in_flight = 0  #: commands taken and not answered
        self._is_running = False
        self._is_draining = False  #: the daemon stops
        self._is_shut = False  #: draining or halted: takes nothing
        self._is_owing = True  #: `free` gave 0 last, so the engine is to be told when it is more
        self._is_offering = False
        self._wake: asyncio.TimerHandle | None = None  #: at the next token, or the end of a hold
        self._loop: asyncio.AbstractEventLoop  #: from `start` on

    # --- the port ----------------------------------------------------------------------------

    def free(self) -> int:
        window = self._window
        idle, places = len(self._idle), window.size - self._in_flight
        free = idle if idle < places else places
        if free > 0 and (self._rate is not None or window.rests_until):
            free = self._free_by_time(free)
        if free <= 0 or self._is_shut:
            self._is_owing = True
            return 0
        self._is_owing = False
        return free

    def window(self) -> int:
        window = min(self._roster.usable * self._depth, self._window.size)
        return window if self._rate is None else min(window, self._rate.burst)

    def wants(self, waiting: int) -> None:
        before, self._roster.waiting = self._roster.waiting, waiting
        if waiting and not before and not self._idle:
            self._roster.plan_soon()

    def execute(self, command: Command) -> None:
        self._in_flight += 1
        self._meters.commands += 1
        task = command.task
        try:
            query = self._adapter.read_back(task) if command.intent is _READ_BACK else None
            request = self._encode(task) if query is None else query
        except Exception as error:  # each adapter refuses a value in its own way
            self._loop.call_soon(self._answer, command, self._refusal(command, error))
            return
        if self._is_shut or not self._write(command, request, query is not None):
            self._loop.call_soon(self._answer, command, _NOT_SENT)

    # --- life --------------------------------------------------------------------------------

    def start(self) -> None:
        """Open the first sessions. To be called in the running loop."""
        self._loop = asyncio.get_running_loop()
        self._is_running = True
        self._heed_halts()
        self._roster.start()

    async def drain(self, timeout_s: float) -> None:
        """Take nothing more, wait for what is in flight, log out, close.

        What is unanswered after `timeout_s` is answered as in doubt. Logouts may take
        `session.LOGOUT_S` more.
        """
        self._is_draining = self._is_shut = True
        self._roster.leave(Cause.DRAINED)
        await self._until(lambda: not self._in_flight, timeout_s)
        self._roster.log_out_idle()
        if not self._in_flight:
            await self._until(lambda: not len(self._roster), LOGOUT_S)
        self._roster.stop()
        self._is_running = False
        if self._wake is not None:
            self._wake.cancel()
        self.on_sweep()

    def halt(self, halt: Halt | None) -> None:
        """Keep from the NE by a person's word, or by none any more."""
        self._halts.standing = halt
        self._heed_halts()

    def adopt(self, settings: NESettings, adapter: Adapter[R]) -> None:
        """Go on by other settings of the same NE and dialect."""
        assert (settings.name, settings.dialect) == (self.name, self._settings.dialect)
        if settings.commands_per_s != self._settings.commands_per_s:
            self._rate = _rate(settings)
        self.settle_s = settings.settle_s
        self.poll_s = settings.poll_s
        self._reply_timeout_s = settings.reply_timeout_s
        self._settings, self._adapter, self._depth = settings, adapter, adapter.depth
        self._bound_window(settings)
        standing, self._halts = self._halts.standing, Halts(_blackouts(settings))
        self._halts.standing = standing
        self._roster.adopt(settings, adapter, self._rate)
        self._heed_halts()

    def obstacle(self) -> dict[str, Any] | None:
        """Why a task that waits for this NE is not sent now; None when it is about to be."""
        now = self._now()
        backoff = self._roster.backoff
        if self._halt is not None:
            return _halt_shown(self._halt)
        if self._is_draining:
            return {"reason": "stopping"}
        if not self._breaker.is_closed:
            return {"reason": "breakerOpen"}
        if self._is_refused():
            return {"reason": "loginRefused"}
        if not self._roster.usable:
            return {"reason": "noSession", "opens_again_in_s": _left(backoff.until, now)}
        if now < self._window.rests_until:
            return {"reason": "busy", "rests_s": _left(self._window.rests_until, now)}
        if self._rate is not None and not self._rate.free(now):
            return {"reason": "rate", "commands_per_s": self._settings.commands_per_s}
        return {"reason": "queue", "waiting": self._roster.waiting} if self.free() <= 0 else None

    def show(self) -> dict[str, Any]:
        """As it stands, for people."""
        now = self._now()
        roster, window, meters = self._roster, self._window, self._meters
        return {
            "name": self.name,
            "dialect": self._settings.dialect,
            "address": str(roster.addresses.current),
            "standby": None if roster.addresses.standby is None else str(roster.addresses.standby),
            "is_on_standby": roster.addresses.current is roster.addresses.standby,
            "state": self._state(),
            "halt": None if self._halt is None else _halt_shown(self._halt),
            "blackouts": [_halt_shown(halt) for halt in self._halts.blackouts],
            "sessions": roster.counts(),
            "sessions_max": self._settings.sessions_max,
            "opens_again_in_s": _left(roster.backoff.until, now),
            "in_flight": self._in_flight,
            "waiting": roster.waiting,
            "window": self.window(),
            "window_size": window.size,
            "rests_s": _left(window.rests_until, now),
            "commands_per_s": self._settings.commands_per_s,
            "tokens": None if self._rate is None else self._rate.free(now),
            "breaker": {"state": roster.breaker.state.value, "faults": roster.breaker.faults},
            "commands": meters.commands,
            "outcomes": _happened(meters.outcomes),
            "unknown_codes": meters.unknown_codes,
            "late_replies": meters.late_replies,
            "session_ends": _happened(meters.session_ends),
        }

    # --- a command and its answer ------------------------------------------------------------

    def masked(self, task: Task) -> str:
        """The task's command as people may see it."""
        return self._adapter.masked(task)

    def _encode(self, task: Task) -> bytes:
        operation = task.operation
        if operation is not _ADD_KEY and operation is not _REPORT:
            return self._adapter.encode(task, None)
        binding = task.binding
        return self._adapter.encode(task, self._vault.open(binding.imsi, binding.key))

    def _refusal(self, command: Command, error: Exception) -> Outcome:
        """Only our own errors are quoted: the text of another may hold the value it refuses."""
        text = str(error) if isinstance(error, HlrdError) else type(error).__name__
        operation = command.task.operation.value
        _log.error("ne_command_not_encodable", ne=self.name, operation=operation, error=text)
        return Outcome(Verdict.PERMANENT, "NOT_ENCODABLE", f"not fit for this NE: {text}")

    def _write(self, command: Command, request: bytes, is_query: bool) -> bool:
        if not self._idle:
            return False
        now = self._now()
        if self._rate is not None:
            self._rate.take(now)
        session = self._idle.pop()
        session.is_query = is_query
        return session.send(command, request, now, self._reply_timeout_s)

    def on_answer(self, session: Session[R], reply: R) -> None:
        command = session.command
        assert command is not None
        task = command.task
        try:
            if session.is_query:
                outcome = self._adapter.compare(task, reply)
            else:
                outcome = self._adapter.classify(task, reply)
        except ProtocolError as error:
            session.error = str(error)
            session.end(Cause.PROTOCOL_ERROR)
            return
        now = self._now()
        label = READ_BACK if session.is_query else task.operation
        self._meters.answered(label, now - session.sent_at)
        verdict = outcome.verdict
        self._heed(verdict, session.sent_at, now)
        self._roster.reuse(session, verdict, now)
        self._answer(command, outcome)

    def on_lost(self, command: Command, cause: Cause) -> None:
        if cause is Cause.REPLY_TIMEOUT:  # silence is how an NE that is overrun says busy
            self._window.busy(self._now(), sent_at=self._now() - self._reply_timeout_s)
        text = "written and not answered; the NE must be read back"
        self._answer(command, Outcome(Verdict.IN_DOUBT, cause.value, text))

    def _heed(self, verdict: Verdict, sent_at: float, now: float) -> None:
        """What an answer says about the NE as a whole."""
        if verdict is _BUSY:
            self._window.busy(now, sent_at=sent_at)
        elif not self._window.is_full_size:
            self._window.answered()
        if self._breaker.faults:
            self._roster.alive()

    def _answer(self, command: Command, outcome: Outcome) -> None:
        self._in_flight -= 1
        self._meters.outcome(outcome)
        if self._is_draining:
            self._roster.changed.set()
        self._on_outcome(command, outcome)
        if self._is_owing and self._idle:
            self._offer_soon()

    # --- telling the engine ------------------------------------------------------------------

    def on_idle(self) -> None:
        if self._is_owing or self._roster.waiting:
            self._offer_soon()

    def on_sweep(self) -> None:
        self._heed_halts()
        self._meters.in_flight.set(self._in_flight)
        self._meters.window.set(self.window())
        self._meters.show_sessions(self._roster.counts())

    def _offer_soon(self) -> None:
        """One `on_free` for all that became free in this turn of the loop."""
        if not self._is_offering:
            self._is_offering = True
            self._loop.call_soon(self._offer)

    def _offer(self) -> None:
        self._is_offering = False
        if (self._is_owing or self._roster.waiting) and self.free() > 0:
            self._on_free(self.name)

    def _free_by_time(self, free: int) -> int:
        """Of `free` places, those that rate and hold allow; tells the engine when it is more."""
        now = self._now()
        rests_s = self._window.rests_until - now
        if rests_s > 0:
            self._wake_in(rests_s)
            return 0
        if self._rate is None:
            return free
        tokens = self._rate.free(now)
        if tokens < min(free, self._rate.burst):
            self._wake_in(self._rate.grows_in_s(now))
        return min(free, tokens)

    def _wake_in(self, delay_s: float) -> None:
        if self._wake is None and not self._is_shut:
            self._wake = self._loop.call_later(max(_WAKE_S_MIN, delay_s), self._awake)

    def _awake(self) -> None:
        self._wake = None
        self._offer()

    async def _until(self, is_so: Callable[[], bool], timeout_s: float) -> None:
        changed = self._roster.changed
        try:
            async with asyncio.timeout(timeout_s):
                while not is_so():
                    changed.clear()
                    await changed.wait()
        except TimeoutError:
            return

    def _state(self) -> str:
        if not self._is_running:
            return "stopped"
        if self._is_draining:
            return "draining"
        if self._halt is not None:
            return self._state_of_halt(self._halt)
        if not self._breaker.is_closed:
            return "broken"
        return "refused" if self._is_refused() else "sending"

    def _state_of_halt(self, halt: Halt) -> str:
        if halt.kind is not HaltKind.DRAIN:
            return "held"
        return "draining" if self._in_flight or len(self._roster) else "drained"

    def _is_refused(self) -> bool:
        return self._roster.backoff.last is Setback.REFUSED and not self._roster.usable

    # --- keeping from the NE -----------------------------------------------------------------

    def _heed_halts(self) -> None:
        if self._is_draining or not self._is_running:
            return
        before, self._halt = self._halt, self._halts.at(self._wall())
        if before is self._halt:
            return
        self._is_shut = self._halt is not None
        self._meters.halted.set(self._is_shut)
        if self._halt is None:
            _log.info("ne_released", ne=self.name)
            self._roster.come_back()
        else:
            _log.warning("ne_halted", ne=self.name, **_halt_shown(self._halt))
            self._roster.leave(Cause.HALTED)

    def _bound_window(self, settings: NESettings) -> None:
        most = settings.sessions_max * self._depth
        size_max = min(most, settings.in_flight_max or most)
        self._window.bound(size_min=min(settings.in_flight_min, size_max), size_max=size_max)


def _rate(settings: NESettings) -> Rate | None:
    return None if settings.commands_per_s is None else Rate(settings.commands_per_s)


def _blackouts(settings: NESettings) -> list[Halt]:
    return [
        Halt(HaltKind.BLACKOUT, planned.cause, planned.since, planned.until)
        for planned in settings.blackouts
    ]


def _halt_shown(halt: Halt) -> dict[str, Any]:
    return {
        "reason": halt.kind.value,
        "cause": halt.cause,
        "since": halt.since.astimezone(BEIJING).isoformat(timespec="seconds"),
        "until": halt.until and halt.until.astimezone(BEIJING).isoformat(timespec="seconds"),
    }


def _left(until: float, now: float) -> float:
    return round(max(0.0, until - now), 3)


def _happened(counts: Mapping[Any, int]) -> dict[str, int]:
    return {key.value: count for key, count in counts.items() if count}
