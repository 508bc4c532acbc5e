"""Sessions of source systems (系统之间的认证): who is logged in, and until when.

Times are monotonic seconds.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from hlrd.domain.orders import Source


class End(StrEnum):
    """Why a session is over."""

    LOGGED_OUT = "loggedOut"
    CLOSED = "closed"  #: by staff
    IDLE = "idle"
    EXPIRED = "expired"
    DISPLACED = "displaced"  #: its account logged in once more than it may be at once
    REVOKED = "revoked"  #: its account is gone, or has another password


@dataclass(frozen=True, slots=True)
class SessionRules:
    idle_close_s: float  #: not heard of for so long
    lifetime_s: float  #: from its login, whatever is heard
    per_account_max: int


@dataclass(slots=True, eq=False)
class Session:
    """A source system that is logged in."""

    id: str  #: names it to people; the token is another, and known to its holder alone
    digest: bytes = field(repr=False)  #: SHA-256 of the token
    user: str
    source: Source
    address: str  #: where the login came from
    since: float
    heard_at: float


@dataclass(frozen=True, slots=True)
class LoggedIn:
    """What a system is told, once."""

    id: str
    source: Source
    token: str = field(repr=False)
    expires_at: datetime
    heartbeat_s: float


@dataclass(frozen=True, slots=True)
class SessionView:
    """A session as staff may see it."""

    id: str
    user: str
    source: Source
    address: str
    since: datetime
    heard_at: datetime
    expires_at: datetime


@dataclass(frozen=True, slots=True)
class AccountView:
    user: str
    source: Source
    sessions: int  #: that are open
    locked_until: datetime | None  #: wrong passwords have locked it


class Sessions:
    """All that are open."""

    def __init__(self, rules: SessionRules) -> None:
        self._rules = rules
        self._by_digest: dict[bytes, Session] = {}
        self._by_id: dict[str, Session] = {}

    def open(self, session: Session) -> Sequence[Session]:
        """Take it in. Of an account that has all it may have, the one longest unheard ends: the
        holder of that one is most likely gone, and who logs in is there."""
        now = session.since
        live = [one for one in self.of(session.user) if self.end_of(one, now) is None]
        live.sort(key=lambda one: one.heard_at)
        displaced = live[: max(0, len(live) + 1 - self._rules.per_account_max)]
        for one in displaced:
            self.remove(one)
        self._by_digest[session.digest] = session
        self._by_id[session.id] = session
        return displaced

    def heard(self, digest: bytes, now: float) -> Session | None:
        """The open session of this token, which counts as heard of at `now`."""
        session = self._by_digest.get(digest)
        if session is None or self.end_of(session, now) is not None:
            return None
        session.heard_at = now
        return session

    def end_of(self, session: Session, now: float) -> End | None:
        if now - session.since >= self._rules.lifetime_s:
            return End.EXPIRED
        if now - session.heard_at >= self._rules.idle_close_s:
            return End.IDLE
        return None

    def due(self, now: float) -> Sequence[tuple[Session, End]]:
        """Those that are over by now; they are removed."""
        over = [(one, end) for one in self.all() if (end := self.end_of(one, now)) is not None]
        for session, _ in over:
            self.remove(session)
        return over

    def get(self, id: str) -> Session | None:
        return self._by_id.get(id)

    def of(self, user: str) -> list[Session]:
        return [session for session in self._by_id.values() if session.user == user]

    def all(self) -> Collection[Session]:
        return self._by_id.values()

    def remove(self, session: Session) -> None:
        del self._by_digest[session.digest]
        del self._by_id[session.id]
