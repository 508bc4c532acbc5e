"""One logged-in connection to an NE, and the one exchange that may be outstanding on it.

A reply belongs to the request before it, since nothing else is on the way: a session that falls
out of step in any manner (no reply in time, a wrong echo, one reply too many) is closed, never
used again. No task and no timer per command: the owner sweeps `deadline`.
"""

import asyncio
import math
import socket
from collections.abc import Sequence
from enum import StrEnum
from typing import Any, Final, Generic, Protocol, TypeVar, cast

from hlrd.codec.base import Decoder
from hlrd.domain.errors import ProtocolError
from hlrd.domain.outcome import Verdict
from hlrd.ne.adapter import Adapter
from hlrd.ne.addresses import Address
from hlrd.ports import Command

R = TypeVar("R")

LOGOUT_S: Final = 1.0
"""Longest wait for the answer to a logout. It is only a courtesy."""


class SessionState(StrEnum):
    CONNECTING = "connecting"
    LOGGING_IN = "loggingIn"
    PROVING = "proving"  #: logged in, and asked for a sign of life before it is used
    IDLE = "idle"
    BUSY = "busy"  #: a command is outstanding
    CHECKING = "checking"  #: the keep-alive of an idle session is outstanding
    LOGGING_OUT = "loggingOut"
    CLOSED = "closed"


_IDLE: Final = SessionState.IDLE  # a member costs ten times as much by way of its class
_BUSY: Final = SessionState.BUSY

OPENING: Final = frozenset({SessionState.CONNECTING, SessionState.LOGGING_IN, SessionState.PROVING})


class Cause(StrEnum):
    """Why a session ended; the label of `hlrd_ne_session_ends_total`."""

    CONNECT_FAILED = "connect_failed"  #: refused, unreachable, or no such name
    CONNECT_TIMEOUT = "connect_timeout"
    LOGIN_TIMEOUT = "login_timeout"
    LOGIN_LOST = "login_lost"  #: the NE hung up during the login
    LOGIN_FAILED = "login_failed"  #: the NE could not log us in just now
    LOGIN_REFUSED = "login_refused"  #: wrong account, or an account without rights
    LOGIN_VOID = "login_void"  #: the NE took the login and forgot it before the first command
    LOGIN_STOLEN = "login_stolen"  #: it forgot the login again, or hung up, soon after it
    SESSION_LIMIT = "session_limit"
    REPLY_TIMEOUT = "reply_timeout"
    LOST = "lost"  #: the connection broke under a command
    WRONG_ECHO = "wrong_echo"
    OUT_OF_STEP = "out_of_step"  #: a reply that nothing had asked for
    PROTOCOL_ERROR = "protocol_error"  #: garbage, or a reply above limits.FRAME_BYTES_MAX
    HUNG_UP = "hung_up"  #: the NE closed an idle session, or said that it will
    SURPLUS = "surplus"  #: idle for long, closed by hlrd
    BREAKER = "breaker"  #: the breaker opened; nothing idle is trusted any more
    RENEWED = "renewed"  #: another address or account is in use; a new session takes its place
    HALTED = "halted"  #: a hold, a drain or a blackout of the NE
    DRAINED = "drained"


FAULTS: Final = frozenset(
    {
        Cause.CONNECT_FAILED,
        Cause.CONNECT_TIMEOUT,
        Cause.LOGIN_TIMEOUT,
        Cause.LOGIN_LOST,
        Cause.LOGIN_FAILED,
        Cause.REPLY_TIMEOUT,
        Cause.LOST,
        Cause.WRONG_ECHO,
        Cause.OUT_OF_STEP,
        Cause.PROTOCOL_ERROR,
    }
)
"""Ends that say the NE is not well. They count for the breaker."""

_ON_EXPIRY: Final = {
    SessionState.CONNECTING: Cause.CONNECT_TIMEOUT,
    SessionState.LOGGING_IN: Cause.LOGIN_TIMEOUT,
    SessionState.PROVING: Cause.LOGIN_TIMEOUT,
    SessionState.BUSY: Cause.REPLY_TIMEOUT,
    SessionState.CHECKING: Cause.REPLY_TIMEOUT,
}
_ON_HANG_UP: Final = {
    SessionState.LOGGING_IN: Cause.LOGIN_LOST,
    SessionState.PROVING: Cause.LOGIN_LOST,
    SessionState.IDLE: Cause.HUNG_UP,
    SessionState.BUSY: Cause.LOST,
    SessionState.CHECKING: Cause.LOST,
}
_EXPECTS_NOTHING: Final = frozenset(
    {SessionState.IDLE, SessionState.LOGGING_OUT, SessionState.CLOSED}
)
"""States in which a reply is not looked into: it is one too many, or does not matter any more."""

_ON_LOGIN: Final = {
    Verdict.PERMANENT: Cause.LOGIN_REFUSED,
    Verdict.BUSY: Cause.SESSION_LIMIT,
}


class Owner(Protocol[R]):
    """Who has the sessions. None of these is called from within `send`."""

    def needs_proof(self, session: "Session[R]") -> bool:
        """Whether it must show a sign of life before it is used: one request more."""
        ...

    def on_open(self, session: "Session[R]") -> None:
        """Logged in, and proven if that was asked; idle."""
        ...

    def on_checked(self, session: "Session[R]") -> None:
        """The keep-alive was answered; idle."""
        ...

    def on_answer(self, session: "Session[R]", reply: R) -> None:
        """`session.command` is answered. Call `rest`, or `end`."""
        ...

    def on_overdue(self, session: "Session[R]", commands: Sequence[Command]) -> None:
        """Not answered in time; the session goes on, and is asked for a sign of life."""
        ...

    def on_late(self, session: "Session[R]") -> None:
        """A reply to a command that was overdue. It is dropped."""
        ...

    def on_end(self, session: "Session[R]", ended: SessionState) -> None:
        """Once for every session. It was in `ended`; `owed` are the commands it leaves behind."""
        ...


class Session(asyncio.Protocol, Generic[R]):
    """`now` is monotonic seconds throughout; the owner gives it."""

    __slots__ = (
        "_adapter",
        "_connecting",
        "_decoder",
        "_open_timeout_s",
        "_owner",
        "_request",
        "_ticket",
        "_transport",
        "address",
        "cause",
        "command",
        "deadline",
        "error",
        "heard_at",
        "is_again",
        "is_query",
        "is_trusted",
        "logged_in_at",
        "quiet_s",
        "sent_at",
        "spent",
        "state",
        "used_at",
    )

    def __init__(
        self,
        owner: Owner[R],
        adapter: Adapter[R],
        address: Address,
        *,
        open_timeout_s: float,
        now: float,
    ) -> None:
        self.address = address
        self.state = SessionState.CONNECTING
        self.deadline = now + open_timeout_s  #: of what is under way; infinite while idle
        self.command: Command | None = None  #: outstanding
        self.is_query = False  #: `command` went out as the adapter's read-back query
        self.sent_at = now  #: when `command` was written
        self.used_at = now  #: end of the last command
        self.heard_at = now  #: last sign of life
        self.logged_in_at = now
        self.is_again = False  #: logged in more than once
        self.quiet_s = math.inf  #: silence after which it must prove its life
        self.is_trusted = False  #: a command was answered since the last login
        self.spent: Cause | None = None  #: why it must end with the answer to its command
        self.cause: Cause | None = None  #: why it ended, or will
        self.error = ""  #: of the system or the NE's code, for the log
        self._owner = owner
        self._adapter = adapter
        self._open_timeout_s = open_timeout_s
        self._decoder: Decoder[R] = adapter.decoder()
        self._request = b""  #: the last one, for its echo
        self._ticket: str | None = None  #: of the last login, for every later request
        self._transport: asyncio.Transport | None = None  #: None until connected
        self._connecting: asyncio.Task[None] | None = None

    # --- what the owner asks for -------------------------------------------------------------

    def open(self, loop: asyncio.AbstractEventLoop) -> None:
        self._connecting = loop.create_task(self._connect(loop))

    def send(self, command: Command, request: bytes, now: float, timeout_s: float) -> bool:
        """Write `request` for `command`. False: the connection is gone, nothing was written."""
        transport = self._transport
        if transport is None or transport.is_closing():
            return False
        self.state = _BUSY
        self.command = command
        self.sent_at = now
        self.deadline = now + timeout_s
        if self._ticket is not None:
            request = self._adapter.ticketed(request, self._ticket)
        self._request = request
        transport.write(request)
        return True

    def rest(self, now: float) -> None:
        """Its command is answered: idle again."""
        self.state = _IDLE
        self.command = None
        self.deadline = math.inf
        self.used_at = self.heard_at = now

    def check(self, now: float, *, timeout_s: float) -> None:
        """Make an idle session prove its life."""
        self._ask(SessionState.CHECKING, self._adapter.keepalive(), now + timeout_s)

    def log_in_again(self, now: float) -> None:
        """The NE forgot our login but kept the connection."""
        self.state = SessionState.LOGGING_IN
        self.is_trusted = False
        self.logged_in_at = now
        self.is_again = True
        self._ticket = None
        request = self._adapter.login()
        if request is None:
            self.end(Cause.LOGIN_VOID)
        else:
            self._ask(SessionState.LOGGING_IN, request, now + self._open_timeout_s)

    def log_out(self, cause: Cause, now: float) -> None:
        """End in good order."""
        self.state = SessionState.LOGGING_OUT
        self.cause = cause
        request = self._adapter.logout()
        if request is None:
            self.end(cause)
        else:
            self._ask(SessionState.LOGGING_OUT, request, now + LOGOUT_S)

    def owed(self) -> Sequence[Command]:
        """Written and not answered, when it has ended."""
        return () if self.command is None else (self.command,)

    def offer(self) -> int:
        """Commands it can be given now and that were not on offer before."""
        return 1

    def withdraw(self) -> None:
        """Nothing of it is on offer any more."""

    def expire(self, now: float) -> None:
        """Its deadline has passed."""
        self.end(_ON_EXPIRY.get(self.state, self.cause or Cause.DRAINED))

    def end(self, cause: Cause) -> None:
        """Close at once. What the NE still sends is not heard any more."""
        if self.state is SessionState.CLOSED:
            return
        ended, self.state = self.state, SessionState.CLOSED
        self.cause = cause
        self.deadline = math.inf
        if self._connecting is not None:
            self._connecting.cancel()
        if self._transport is not None:
            self._transport.abort()
        self._owner.on_end(self, ended)

    # --- what the loop calls -----------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self._connecting = None
        if self.state is SessionState.CLOSED:
            transport.close()
            return
        _tune(transport.get_extra_info("socket"))
        request = self._adapter.login()
        if request is None:
            self._logged_in()
        else:
            self._ask(SessionState.LOGGING_IN, request, self.deadline)

    def data_received(self, data: bytes) -> None:
        try:
            replies = self._decoder.feed(data)
            if replies:
                self._heard(replies)
        except ProtocolError as error:
            self.error = str(error)
            self.end(Cause.PROTOCOL_ERROR)

    def connection_lost(self, exc: Exception | None) -> None:
        if exc is not None:
            self.error = _said(exc)
        self.end(_ON_HANG_UP.get(self.state, self.cause or Cause.DRAINED))

    # --- the exchange ------------------------------------------------------------------------

    async def _connect(self, loop: asyncio.AbstractEventLoop) -> None:
        host, port = self.address
        try:
            await loop.create_connection(lambda: self, host, port)
        except OSError as error:
            self._connecting = None
            self.error = _said(error)
            self.end(Cause.CONNECT_FAILED)

    def _ask(self, state: SessionState, request: bytes, deadline: float) -> None:
        assert self._transport is not None
        self.state = state
        self.deadline = deadline
        if self._ticket is not None:
            request = self._adapter.ticketed(request, self._ticket)
        self._request = request
        self._transport.write(request)

    def _heard(self, replies: list[R]) -> None:
        state = self.state
        if state in _EXPECTS_NOTHING:
            self._overheard(state)
            return
        reply = replies[0]
        if not self._adapter.echoes(self._request, reply):
            self.end(Cause.WRONG_ECHO)
            return
        if len(replies) > 1:
            self.spent = Cause.OUT_OF_STEP
        elif self._adapter.is_last(reply):
            self.spent = Cause.HUNG_UP
        if state is _BUSY:
            self._owner.on_answer(self, reply)
        else:
            self._on_own(state, reply)

    def _overheard(self, state: SessionState) -> None:
        if state is SessionState.IDLE:
            self.end(Cause.OUT_OF_STEP)
        elif state is SessionState.LOGGING_OUT:
            self.end(self.cause or Cause.DRAINED)

    def _on_own(self, state: SessionState, reply: R) -> None:
        """The answer to what the session asked for itself."""
        if self.spent is not None:
            self.end(self.spent)
        elif state is SessionState.LOGGING_IN:
            self._on_login(reply)
        else:
            self._on_sign_of_life(state)

    def _on_login(self, reply: R) -> None:
        outcome = self._adapter.classify_login(reply)
        if outcome.verdict in (Verdict.DONE, Verdict.NO_CHANGE):
            self._ticket = self._adapter.ticket(reply)
            self._logged_in()
        else:
            self.error = outcome.code
            self.end(_ON_LOGIN.get(outcome.verdict, Cause.LOGIN_FAILED))

    def _logged_in(self) -> None:
        if self._owner.needs_proof(self):
            self._ask(SessionState.PROVING, self._adapter.keepalive(), self.deadline)
        else:
            self._become_idle()
            self._owner.on_open(self)

    def _on_sign_of_life(self, state: SessionState) -> None:
        self._become_idle()
        if state is SessionState.PROVING:
            self._owner.on_open(self)
        else:
            self._owner.on_checked(self)

    def _become_idle(self) -> None:
        self.state = SessionState.IDLE
        self.deadline = math.inf


def _tune(sock: Any) -> None:
    """A command must not wait for an acknowledgement, and a dead peer must be found out."""
    if sock is not None:
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)


def _said(error: Exception) -> str:
    """The system's words for the log. An errno has a fixed text; anything else is only named."""
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return type(error).__name__
