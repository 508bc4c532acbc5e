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
from hlrd.ne.addresses import Address, Addresses
from hlrd.ne.breaker import Breaker
from hlrd.ne.meters import Meters
from hlrd.ne.pipeline import PipelinedSession
from hlrd.ne.rate import Rate
from hlrd.ne.session import FAULTS, OPENING, Cause, Session, SessionState
from hlrd.ne.sessions import FORGIVEN_S, Backoff, Bounds, Counts, Setback, plan
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
    Cause.LOGIN_STOLEN: Setback.STOLEN,
    Cause.SESSION_LIMIT: Setback.TURNED_AWAY,
    **dict.fromkeys(FAULTS, Setback.FAULT),
}
_ORDERLY: Final = frozenset(
    {
        Cause.SURPLUS,
        Cause.BREAKER,
        Cause.DRAINED,
        Cause.HALTED,
        Cause.RENEWED,
        Cause.HUNG_UP,
    }
)
_OURS: Final = _ORDERLY - {Cause.HUNG_UP}
"""Ends that say nothing of the NE."""


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
        self.backoff: Final = Backoff()
        self.addresses = addresses_of(settings)
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
        self._leaving: Cause | None = None  #: why sessions are to end and none is to open
        self._is_renewing = False  #: the settings ask for new sessions, and none is open yet
        self._is_one_shot = False  #: the NE closes each connection behind its first answer
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

    def leave(self, cause: Cause) -> None:
        """Open no more, and log out each session once it is idle."""
        self._leaving = cause
        for session in [s for s in self._sessions if s.state in OPENING]:
            session.end(cause)
        self.log_out_idle()

    def come_back(self) -> None:
        self._leaving = None
        self.backoff.start_over()
        self.plan_soon()

    def log_out_idle(self) -> None:
        cause = self._leaving or Cause.DRAINED
        for session in self._resting():
            self._log_out(session, cause)

    def adopt(self, settings: NESettings, adapter: Adapter[R], rate: Rate | None) -> None:
        """Go on by these. Where they change who we are to the NE, or where it is, the sessions
        there are stay until a new one is open, so that a mistake takes nothing away."""
        old, self._settings = self._settings, settings
        self._adapter, self._rate = adapter, rate
        self._bounds = Bounds(settings.sessions_min, settings.sessions_max, settings.idle_close_s)
        self._sweep_s = _sweep_s(settings)
        self.breaker.set(faults_max=settings.breaker_failures, probe_s=settings.breaker_probe_s)
        if _is_elsewhere(old, settings):
            self.addresses = addresses_of(settings)
            self._meters.on_standby.set(0)
        has_other_depth, self._depth = adapter.depth != self._depth, adapter.depth
        if _is_elsewhere(old, settings) or _is_somebody_else(old, settings) or has_other_depth:
            self._is_renewing = True
            self.backoff.start_over()
        self.plan_soon()

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
            self.backoff.proved(now)
        if session.spent is not None:
            self._part(session, session.spent)
        elif not is_logged_in:
            self._log_in_again(session, now)
        elif self._leaving is not None:
            self._log_out_if_idle(session)
        elif self._depth == 1:
            self.idle.append(session)
        else:
            self._offer(session)

    # --- what sessions tell ------------------------------------------------------------------

    def needs_proof(self, session: Session[R]) -> bool:
        """A connect proves nothing: a stopped process accepts as well. A login does, unless it is
        the breaker that asks, or the primary that may be back."""
        is_doubted = not self.breaker.is_closed or session.address is not self.addresses.current
        has_login = self._adapter.login() is not None
        if is_doubted and has_login and self._rate is not None:
            self._rate.take(self._now())  # the login had its own
        return is_doubted or not (has_login or self._is_one_shot)

    def on_open(self, session: Session[R]) -> None:
        self._opening -= 1
        now = session.used_at = session.heard_at = self._now()
        session.quiet_s = self._settings.keepalive_s * (0.75 + 0.25 * self._chance.random())
        if not self.breaker.is_closed:
            self.backoff.proved(now)
            self.alive()
        _log.debug("ne_session_open", ne=self._settings.name, address=str(session.address))
        if not self._settle(session, now):
            return
        self._offer(session)
        self.plan_soon()
        self._listener.on_idle()

    def on_checked(self, session: Session[R]) -> None:
        now = session.heard_at = self._now()
        self.backoff.proved(now)
        if self.breaker.faults:
            self.alive()
        if self._leaving is not None:
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
        if session.address is not self.addresses.current and self.usable:
            return  # a look at the primary, which is no worse than was known
        setback = self._setback(session, cause, now, was_opening=was_opening)
        if setback is not None:
            jitter = self._chance.random()
            self.backoff.set_back(setback, now, jitter=jitter, began=session.logged_in_at)
        if cause in FAULTS:
            self._faulted(now)
            self._look_elsewhere(session, now)
        elif was_opening and cause not in _OURS:
            self.alive()  # it answered, if only to refuse

    def _setback(
        self, session: Session[R], cause: Cause, now: float, *, was_opening: bool
    ) -> Setback | None:
        setback = _SETBACKS.get(cause)
        if cause is Cause.HUNG_UP and not session.is_trusted:
            self._is_one_shot |= was_opening and session.spent is not None
            return Setback.FAULT  # else an NE that hangs up on us is called again at once
        if cause is Cause.HUNG_UP and session.spent is None and self._is_young(session, now):
            return Setback.STOLEN
        return None if setback is Setback.FAULT and not was_opening else setback

    def _is_young(self, session: Session[R], now: float) -> bool:
        return now - session.logged_in_at < FORGIVEN_S and self._adapter.login() is not None

    def _look_elsewhere(self, session: Session[R], now: float) -> None:
        if not self.usable and self.addresses.failed(session.address, now):
            self._tell_address()
            self.backoff.start_over()

    def _settle(self, session: Session[R], now: float) -> bool:
        """Whether a session that has just opened is kept; others may have to go for it."""
        is_only = self.usable == 1
        if self.addresses.opened(session.address, now, is_only=is_only):
            self._tell_address()
            self._is_renewing = True
        elif session.address is not self.addresses.current:
            self._log_out(session, Cause.SURPLUS)
            return False
        if self._is_renewing:
            self._is_renewing = False
            self._renew(beside=session)
        return True

    def _renew(self, *, beside: Session[R]) -> None:
        """The sessions there were go, as soon as their commands are answered."""
        resting = self._resting()
        for session in self._sessions - {beside}:
            if session in resting:
                self._log_out(session, Cause.RENEWED)
            elif session.state in OPENING:
                session.end(Cause.RENEWED)
            elif session.state is not SessionState.LOGGING_OUT:
                self._withdraw(session)
                session.spent = Cause.RENEWED

    def _tell_address(self) -> None:
        address = self.addresses.current
        is_standby = address is self.addresses.standby
        self._meters.on_standby.set(is_standby)
        _log.warning(
            "ne_address", ne=self._settings.name, address=str(address), is_standby=is_standby
        )

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
        if self._leaving is not None:
            self.log_out_idle()
        elif self.breaker.is_closed and self._may_ask(now) and self.addresses.looks_back(now):
            self._open(now, self.addresses.primary)
        self._plan()
        self._listener.on_sweep()

    def _plan(self) -> None:
        self._is_planning = False
        if self._leaving is not None:
            return
        now = self._now()
        if not self.breaker.is_closed:
            self._probe(now)
        elif self._is_renewing:
            self._open_anew(now)
        else:
            self._follow(now)

    def _probe(self, now: float) -> None:
        """One at a time, at each address. One that is not even connected when the next is due gives
        way to it: its first packet was lost, and would be sent again only seconds later."""
        if not self.breaker.probe_is_due(now):
            return
        opening = [session for session in self._sessions if session.state in OPENING]
        if any(session.state is not SessionState.CONNECTING for session in opening):
            return
        for session in opening:
            session.end(Cause.CONNECT_TIMEOUT)
        if self._rate is not None and self._rate.free(now) < min(2, self._rate.burst):
            return
        self.breaker.probed(now)
        self._open(now)
        if self.addresses.other is not None:
            self._open(now, self.addresses.other)

    def _open_anew(self, now: float) -> None:
        """The first session by new settings; at the NE's limit an old one makes room for it."""
        if self._opening or now < self.backoff.until or not self._may_ask(now):
            return
        if len(self._sessions) < self._bounds.sessions_max:
            self._open(now)
        elif not self._closing:
            for session in self._resting()[:1]:
                self._log_out(session, Cause.RENEWED)

    def _follow(self, now: float) -> None:
        resting = self._resting()
        counts = Counts(
            idle_since=[session.used_at for session in resting],
            busy=len(self._sessions) - len(resting) - self._opening,
            opening=self._opening,
            waiting=-(-self.waiting // self._depth),
        )
        window = -(-self._window.size // self._depth)
        wanted = plan(counts, self._bounds, window=window, backoff=self.backoff, now=now)
        allowed = wanted.open if self._rate is None else min(wanted.open, self._rate.free(now))
        for _ in range(allowed):
            self._open(now)
        for session in resting[: wanted.close]:
            self._log_out(session, Cause.SURPLUS)

    def _open(self, now: float, address: Address | None = None) -> None:
        session = self._session(
            self,
            self._adapter,
            address or self.addresses.current,
            open_timeout_s=self._settings.connect_timeout_s,
            now=now,
        )
        self._sessions.add(session)
        self._opening += 1
        if self._rate is not None:
            self._rate.take(now)  # a login is a command too
        session.open(self._loop)

    def _log_in_again(self, session: Session[R], now: float) -> None:
        """A login that is void at once would go round for ever, so it takes a new session; and one
        that is gone again soon is somebody else's now, who would be thrown out by another."""
        if self._leaving is not None:
            session.end(self._leaving)
        elif not session.is_trusted or self._depth > 1:
            session.end(Cause.LOGIN_VOID)
        elif session.is_again and self._is_young(session, now):
            session.end(Cause.LOGIN_STOLEN)
        else:
            self._opening += 1
            session.log_in_again(now)

    def _log_out_if_idle(self, session: Session[R]) -> None:
        if session.state is SessionState.IDLE:
            self._log_out(session, self._leaving or Cause.DRAINED)

    def _may_ask(self, now: float) -> bool:
        """Whether the rate has a command left for what no task asks for."""
        return self._rate is None or self._rate.free(now) > 0

    def _part(self, session: Session[R], cause: Cause) -> None:
        if cause is not Cause.RENEWED:
            session.end(cause)
        elif session.state is SessionState.IDLE:
            self._log_out(session, cause)

    def _log_out(self, session: Session[R], cause: Cause) -> None:
        """By a command where the rate has one left, else by hanging up."""
        now = self._now()
        if not self._may_ask(now):
            session.end(cause)
            return
        if self._rate is not None:
            self._rate.take(now)
        self._withdraw(session)
        self._closing += 1
        session.log_out(cause, now)

    def _check(self, session: Session[R], now: float) -> None:
        if self._leaving is not None or not self._may_ask(now):
            return
        if self._rate is not None:
            self._rate.take(now)
        self._withdraw(session)
        session.check(now, timeout_s=self._settings.reply_timeout_s)


def addresses_of(settings: NESettings) -> Addresses:
    standby = settings.standby_host
    return Addresses(
        Address(settings.host, settings.port),
        None if standby is None else Address(standby, settings.standby_port or settings.port),
        failback_s=settings.failback_s,
    )


def _is_elsewhere(old: NESettings, new: NESettings) -> bool:
    return addresses_of(old).places != addresses_of(new).places


def _is_somebody_else(old: NESettings, new: NESettings) -> bool:
    return (old.user, old.password, old.options) != (new.user, new.password, new.options)


def _sweep_s(settings: NESettings) -> float:
    timeout_s = min(settings.reply_timeout_s, settings.connect_timeout_s)
    period_s = min(settings.breaker_probe_s, settings.keepalive_s, settings.idle_close_s)
    wanted_s = min(timeout_s / _SWEEPS_PER_TIMEOUT, period_s / _SWEEPS_PER_PERIOD)
    return min(_SWEEP_S_MAX, max(_SWEEP_S_MIN, wanted_s))
