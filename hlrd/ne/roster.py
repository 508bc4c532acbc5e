"""The sessions of one NE: opened and closed as planned, kept alive, judged by how they end.

What to do is decided synchronously, from counts, by `sessions.plan` and `breaker`; this shell acts.
"""

import asyncio
from collections.abc import Sequence
from random import Random
from typing import Final, Generic, Protocol, TypeVar

import structlog

from hlrd.config import NESettings
from hlrd.domain.outcome import Verdict
from hlrd.ne.adapter import Adapter
from hlrd.ne.breaker import Breaker
from hlrd.ne.meters import Meters
from hlrd.ne.pipeline import PipelinedSession
from hlrd.ne.rate import Rate
from hlrd.ne.session import FAULTS, OPENING, Cause, Session, SessionState
from hlrd.ne.sessions import Bounds, Counts, Hold, Setback, plan
from hlrd.ne.window import Window
from hlrd.ports import Clock, Command

R = TypeVar("R")

_log = structlog.get_logger(__name__)

_LOGIN_GONE: Final = Verdict.SESSION

_SWEEP_S_MIN: Final = 0.01
_SWEEP_S_MAX: Final = 0.1
_SWEEPS_PER_TIMEOUT: Final = 20
"""A time-out is noticed at most a twentieth of itself late."""

_SWEEPS_PER_PERIOD: Final = 5

_SETBACKS: Final = {
    Cause.LOGIN_REFUSED: Setback.REFUSED,
    Cause.LOGIN_VOID: Setback.TURNED_AWAY,
    Cause.SESSION_LIMIT: Setback.TURNED_AWAY,
    **dict.fromkeys(FAULTS, Setback.FAULT),
}
_ORDERLY: Final = frozenset({Cause.SURPLUS, Cause.BREAKER, Cause.DRAINED, Cause.HUNG_UP})


class Listener(Protocol[R]):
    """The driver, as its sessions see it."""

    def on_answer(self, session: Session[R], reply: R) -> None:
        """`session.command` is answered; give the session back by `Roster.reuse`, or end it."""
        ...

    def on_lost(self, command: Command, cause: Cause) -> None:
        """Written, and not answered any more."""
        ...

    def on_idle(self) -> None:
        """A session became idle, and not by an answer."""
        ...

    def on_sweep(self) -> None:
        """Time for the gauges."""
        ...


class Roster(Generic[R]):
    def __init__(
        self,
        settings: NESettings,
        adapter: Adapter[R],
        *,
        listener: Listener[R],
        clock: Clock,
        chance: Random,
        window: Window,
        rate: Rate | None,
        meters: Meters,
    ) -> None:
        self.breaker: Final = Breaker(
            faults_max=settings.breaker_failures, probe_s=settings.breaker_probe_s
        )
        self.hold: Final = Hold()
        self.idle: Final[list[Session[R]]] = []  #: the longest idle first; the last is used next.
        #: A session that takes several commands at once stands there once for each it can take
        self.waiting = 0  #: tasks, as the engine last said
        self.changed: Final = asyncio.Event()  #: a session ended, or a command was answered
        self._settings = settings
        self._adapter = adapter
        self._listener = listener
        self.on_answer: Final = listener.on_answer  #: sessions answer straight to the driver
        self._now = clock.monotonic
        self._chance = chance
        self._window = window
        self._rate = rate
        self._meters = meters
        self._depth = adapter.depth
        self._session: type[Session[R]] = Session if adapter.depth == 1 else PipelinedSession
        self._bounds = Bounds(settings.sessions_min, settings.sessions_max, settings.idle_close_s)
        self._sessions: set[Session[R]] = set()
        self._opening = 0
        self._closing = 0
        self._is_closing = False  #: for good
        self._is_planning = False
        self._sweep_s = _sweep_s(settings)
        self._sweeping: asyncio.TimerHandle | None = None
        self._loop: asyncio.AbstractEventLoop  #: from `start` on

    # --- what the driver asks for ------------------------------------------------------------

    def __len__(self) -> int:
        return len(self._sessions)

    @property
    def usable(self) -> int:
        """Logged in and not leaving."""
        return len(self._sessions) - self._opening - self._closing

    def counts(self) -> dict[str, int]:
        """By the labels of `hlrd_ne_sessions`."""
        busy = sum(session.state is SessionState.BUSY for session in self._sessions)
        idle = len(self._resting())
        return {
            "opening": self._opening,
            "idle": idle,
            "busy": busy,
            "checking": self.usable - idle - busy,
            "closing": self._closing,
        }

    def start(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._sweep()

    def stop(self) -> None:
        """End what is left, at once."""
        for session in tuple(self._sessions):
            session.end(Cause.DRAINED)
        if self._sweeping is not None:
            self._sweeping.cancel()
            self._sweeping = None

    def stop_opening(self) -> None:
        self._is_closing = True
        for session in [s for s in self._sessions if s.state in OPENING]:
            session.end(Cause.DRAINED)

    def log_out_idle(self) -> None:
        for session in self._resting():
            self._log_out(session, Cause.DRAINED)

    def plan_soon(self) -> None:
        if not self._is_planning and self._sweeping is not None:
            self._is_planning = True
            self._loop.call_soon(self._plan)

    def alive(self) -> None:
        """The NE answered something."""
        if self.breaker.answered():
            _log.info("ne_breaker_closed", ne=self._settings.name)
            self._meters.breaker_open.set(0)
            self.plan_soon()

    def reuse(self, session: Session[R], verdict: Verdict, now: float) -> None:
        """Its command was answered by `verdict`; what becomes of it."""
        session.rest(now)
        is_logged_in = verdict is not _LOGIN_GONE
        if is_logged_in and not session.is_trusted:
            session.is_trusted = True
            self.hold.proved()
        if session.spent is not None:
            session.end(session.spent)
        elif not is_logged_in:
            self._log_in_again(session, now)
        elif self._is_closing:
            self._log_out_if_idle(session)
        elif self._depth == 1:
            self.idle.append(session)
        else:
            self._offer(session)

    # --- what sessions tell ------------------------------------------------------------------

    def needs_proof(self) -> bool:
        return not self.breaker.is_closed

    def on_open(self, session: Session[R]) -> None:
        self._opening -= 1
        session.used_at = session.heard_at = self._now()
        session.quiet_s = self._settings.keepalive_s * (0.75 + 0.25 * self._chance.random())
        if not self.breaker.is_closed:
            self.hold.proved()
            self.alive()
        _log.debug("ne_session_open", ne=self._settings.name)
        self._offer(session)
        self.plan_soon()
        self._listener.on_idle()

    def on_checked(self, session: Session[R]) -> None:
        session.heard_at = self._now()
        self.hold.proved()
        if self.breaker.faults:
            self.alive()
        if self._is_closing:
            self._log_out_if_idle(session)
            return
        self.idle[:0] = [session] * session.offer()  # not used: it stays the first to be closed
        self._listener.on_idle()

    def on_overdue(self, session: Session[R], commands: Sequence[Command]) -> None:
        self._withdraw(session)
        _log.warning("ne_replies_overdue", ne=self._settings.name, commands=len(commands))
        self._faulted(self._now())
        for command in commands:
            self._listener.on_lost(command, Cause.REPLY_TIMEOUT)

    def on_late(self, session: Session[R]) -> None:
        session.heard_at = self._now()
        self._meters.late()

    def on_end(self, session: Session[R], ended: SessionState) -> None:
        cause = session.cause
        assert cause is not None
        self._sessions.discard(session)
        self._uncount(session, ended)
        self._meters.session_ended(cause)
        self._tell_end(session, cause)
        self._judge(session, cause, was_opening=ended in OPENING)
        self.changed.set()
        self.plan_soon()
        for command in session.owed():
            self._listener.on_lost(command, cause)

    def _uncount(self, session: Session[R], ended: SessionState) -> None:
        if ended in OPENING:
            self._opening -= 1
        elif ended is SessionState.LOGGING_OUT:
            self._closing -= 1
        else:
            self._withdraw(session)

    def _offer(self, session: Session[R]) -> None:
        self.idle.extend([session] * session.offer())

    def _withdraw(self, session: Session[R]) -> None:
        session.withdraw()
        while session in self.idle:
            self.idle.remove(session)

    def _resting(self) -> list[Session[R]]:
        """Those with nothing under way, the longest idle first."""
        if self._depth == 1:
            return self.idle.copy()
        return [s for s in dict.fromkeys(self.idle) if s.state is SessionState.IDLE]

    def _judge(self, session: Session[R], cause: Cause, *, was_opening: bool) -> None:
        """What the end of a session says about the NE, and about opening the next."""
        now = self._now()
        setback = _SETBACKS.get(cause)
        if cause is Cause.HUNG_UP and not session.is_trusted:
            setback = Setback.FAULT  # else an NE that hangs up on us is called again at once
        elif setback is Setback.FAULT and not was_opening:
            setback = None
        if setback is not None:
            self.hold.set_back(setback, now, jitter=self._chance.random())
        if cause in FAULTS:
            self._faulted(now)
        elif was_opening and cause is not Cause.DRAINED:
            self.alive()  # it answered, if only to refuse

    def _faulted(self, now: float) -> None:
        if not self.breaker.faulted(now):
            return
        _log.warning("ne_breaker_open", ne=self._settings.name, faults=self.breaker.faults)
        self._meters.breaker_open.set(1)
        for session in self._resting():
            session.end(Cause.BREAKER)

    def _tell_end(self, session: Session[R], cause: Cause) -> None:
        """Loud once: a breaker that is open has told of the rest."""
        log = _log.warning
        if cause is Cause.LOGIN_REFUSED:
            log = _log.error
        elif cause in _ORDERLY or not self.breaker.is_closed:
            log = _log.debug
        log("ne_session_end", ne=self._settings.name, cause=cause.value, error=session.error)

    # --- opening and closing -----------------------------------------------------------------

    def _sweep(self) -> None:
        """The one timer of all sessions."""
        self._sweeping = self._loop.call_later(self._sweep_s, self._sweep)
        now = self._now()
        for session in [s for s in self._sessions if now >= s.deadline]:
            session.expire(now)
        for session in [s for s in self._resting() if now - s.heard_at >= s.quiet_s]:
            self._check(session, now)
        self._plan()
        self._listener.on_sweep()

    def _plan(self) -> None:
        self._is_planning = False
        if self._is_closing:
            return
        now = self._now()
        if self.breaker.is_closed:
            self._follow(now)
        elif not self._opening and self.breaker.probe_is_due(now):
            self.breaker.probed(now)
            self._open(now)

    def _follow(self, now: float) -> None:
        resting = self._resting()
        counts = Counts(
            idle_since=[session.used_at for session in resting],
            busy=len(self._sessions) - len(resting) - self._opening,
            opening=self._opening,
            waiting=-(-self.waiting // self._depth),
        )
        window = -(-self._window.size // self._depth)
        wanted = plan(counts, self._bounds, window=window, hold=self.hold, now=now)
        allowed = wanted.open if self._rate is None else min(wanted.open, self._rate.free(now))
        for _ in range(allowed):
            self._open(now)
        for session in resting[: wanted.close]:
            self._log_out(session, Cause.SURPLUS)

    def _open(self, now: float) -> None:
        timeout_s = self._settings.connect_timeout_s
        session = self._session(self, self._adapter, open_timeout_s=timeout_s, now=now)
        self._sessions.add(session)
        self._opening += 1
        if self._rate is not None:
            self._rate.take(now)  # a login is a command too
        session.open(self._loop)

    def _log_in_again(self, session: Session[R], now: float) -> None:
        """A login that is void at once would go round for ever, so it takes a new session."""
        if self._is_closing:
            session.end(Cause.DRAINED)
        elif not session.is_trusted or self._depth > 1:
            session.end(Cause.LOGIN_VOID)
        else:
            self._opening += 1
            session.log_in_again(now)

    def _log_out_if_idle(self, session: Session[R]) -> None:
        if session.state is SessionState.IDLE:
            self._log_out(session, Cause.DRAINED)

    def _log_out(self, session: Session[R], cause: Cause) -> None:
        self._withdraw(session)
        self._closing += 1
        session.log_out(cause, self._now())

    def _check(self, session: Session[R], now: float) -> None:
        if self._is_closing or (self._rate is not None and not self._rate.free(now)):
            return
        if self._rate is not None:
            self._rate.take(now)
        self._withdraw(session)
        session.check(now, timeout_s=self._settings.reply_timeout_s)


def _sweep_s(settings: NESettings) -> float:
    timeout_s = min(settings.reply_timeout_s, settings.connect_timeout_s)
    period_s = min(settings.breaker_probe_s, settings.keepalive_s, settings.idle_close_s)
    wanted_s = min(timeout_s / _SWEEPS_PER_TIMEOUT, period_s / _SWEEPS_PER_PERIOD)
    return min(_SWEEP_S_MAX, max(_SWEEP_S_MIN, wanted_s))
