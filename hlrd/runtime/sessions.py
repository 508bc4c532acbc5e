"""Keeps the sessions of source systems, in memory alone: after a restart they log in anew. What was
posted is in the journal, and needs no session any more."""

import asyncio
import hashlib
from base64 import urlsafe_b64encode
from collections.abc import Callable, Iterable, Sequence
from datetime import datetime, timedelta
from typing import Final

import structlog

from hlrd import config, limits, metrics
from hlrd.domain.audit import DAEMON, Action
from hlrd.domain.errors import Unavailable
from hlrd.domain.login import LockRules
from hlrd.domain.session import (
    AccountView,
    End,
    LoggedIn,
    Session,
    SessionRules,
    Sessions,
    SessionView,
)
from hlrd.ports import Clock
from hlrd.runtime.accounts import Credential
from hlrd.runtime.logins import Account, Logins, Notes

_TOKEN_BYTES: Final = 32

_log: Final = structlog.get_logger(__name__)


class SessionDesk:
    def __init__(
        self,
        accounts: Iterable[Credential],
        settings: config.Sessions,
        *,
        epoch: int,
        clock: Clock,
        entropy: Callable[[int], bytes],
        trail: Notes,
    ) -> None:
        """`epoch`: so that no session of any start has the id of another."""
        self._settings = settings
        self._epoch = epoch
        self._clock = clock
        self._entropy = entropy
        self._trail = trail
        self._logins = Logins(
            accounts,
            LockRules(settings.lock_after, settings.lock_s),
            clock=clock,
            entropy=entropy,
            trail=trail,
        )
        self._sessions = Sessions(
            SessionRules(settings.idle_close_s, settings.lifetime_s, settings.per_account_max)
        )
        self._opened = 0
        self._on_end: Callable[[str], None] = _nothing

    def heard(self, digest: bytes, /) -> Session | None:
        return self._sessions.heard(digest, self._clock.monotonic())

    def knock(self, address: str, /) -> None:
        self._logins.knock(address)

    async def log_in(self, user: str, password: str, address: str, /) -> LoggedIn:
        account = self._logins.check(user, password, address)
        self._opened += 1
        id = f"{account.user}-{self._epoch}-{self._opened}"
        await self._audit(account, id, address)
        if not self._logins.holds(account):  # the settings were read again meanwhile
            raise self._logins.refused(account, address)
        self._logins.count(account, "opened")
        return self._open(account, id, address)

    async def _audit(self, account: Account, id: str, address: str) -> None:
        expires_at = self._clock.wall() + timedelta(seconds=self._settings.lifetime_s)
        try:
            await self._trail.record(
                actor=account.user,
                source=account.source,
                action=Action.SESSION_OPEN,
                subject=f"session:{id}",
                after={"address": address, "expires_at": expires_at},
            )
        except Unavailable:
            self._logins.count(account, "unaudited")
            raise

    def _open(self, account: Account, id: str, address: str) -> LoggedIn:
        now = self._clock.monotonic()
        token = urlsafe_b64encode(self._entropy(_TOKEN_BYTES)).rstrip(b"=")
        digest = hashlib.sha256(token).digest()
        session = Session(id, digest, account.user, account.source, address, now, now)
        for displaced in self._sessions.open(session):
            self._ended(displaced, End.DISPLACED)
        metrics.SESSIONS_OPEN.labels(session.source).inc()
        _log.info("session_opened", session=id, source=session.source, address=address)
        return LoggedIn(
            id=id,
            source=session.source,
            token=token.decode(),
            expires_at=self._ends_at(session, now),
            heartbeat_s=self._settings.heartbeat_s,
        )

    def on_end(self, call: Callable[[str], None], /) -> None:
        self._on_end = call

    def log_out(self, id: str, /) -> None:
        self._end(id, End.LOGGED_OUT)

    def close(self, id: str, /) -> None:
        self._end(id, End.CLOSED)

    def unlock(self, user: str, /) -> None:
        self._logins.unlock(user)

    def adopt(self, accounts: Iterable[Credential]) -> None:
        """Go on by these. Who logged in by what holds no more is logged out."""
        for account in self._logins.adopt(accounts):
            for session in self._sessions.of(account.user):
                self._end(session.id, End.REVOKED)

    async def run(self) -> None:
        """Close what is over, for ever."""
        while True:
            await asyncio.sleep(limits.SESSIONS_LOOK_S)
            self.look()

    def look(self) -> None:
        for session, end in self._sessions.due(self._clock.monotonic()):
            self._ended(session, end)
        self._logins.show_locked()

    def _end(self, id: str, end: End) -> None:
        session = self._sessions.get(id)
        if session is not None:
            self._sessions.remove(session)
            self._ended(session, end)

    def _ended(self, session: Session, end: End) -> None:
        metrics.SESSIONS_OPEN.labels(session.source).dec()
        metrics.SESSIONS_ENDED.labels(session.source, end).inc()
        _log.info("session_ended", session=session.id, source=session.source, cause=end)
        self._on_end(session.id)
        if end is End.CLOSED:  # its row was written before
            return
        is_its_own = end is End.LOGGED_OUT
        self._logins.note(
            Action.SESSION_CLOSE,
            f"session:{session.id}",
            actor=session.user if is_its_own else DAEMON,
            source=session.source if is_its_own else DAEMON,
            after={"cause": end},
        )

    def is_open(self, id: str, /) -> bool:
        return self._sessions.get(id) is not None

    def shown(self) -> Sequence[SessionView]:
        now = self._clock.monotonic()
        live = [one for one in self._sessions.all() if self._sessions.end_of(one, now) is None]
        return [self._view(session, now) for session in live]

    def get(self, id: str, /) -> SessionView | None:
        return next((view for view in self.shown() if view.id == id), None)

    def accounts(self) -> Sequence[AccountView]:
        locked, users = self._logins.locked(), [view.user for view in self.shown()]
        return [
            AccountView(one.user, one.source, users.count(one.user), locked.get(one.user))
            for one in self._logins.all()
        ]

    def _view(self, session: Session, now: float) -> SessionView:
        wall = self._clock.wall()
        return SessionView(
            id=session.id,
            user=session.user,
            source=session.source,
            address=session.address,
            since=wall + timedelta(seconds=session.since - now),
            heard_at=wall + timedelta(seconds=session.heard_at - now),
            expires_at=self._ends_at(session, now),
        )

    def _ends_at(self, session: Session, now: float) -> datetime:
        left_s = session.since + self._settings.lifetime_s - now
        return self._clock.wall() + timedelta(seconds=left_s)


def _nothing(_: str) -> None:
    """Nobody waits for the end of a session yet."""
