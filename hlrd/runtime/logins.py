"""Checks who logs in: accounts, passwords, the locks that wrong ones bring, and the flood bound."""

import hmac
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final, Protocol

import structlog

from hlrd import limits, metrics
from hlrd.domain.audit import DAEMON, Action, Facts, Trail
from hlrd.domain.errors import Busy, Locked, Unauthorized, Unavailable
from hlrd.domain.login import Bucket, Lockout, LockRules, Throttle
from hlrd.domain.orders import Source
from hlrd.ports import Clock
from hlrd.runtime.accounts import Credential

_NOBODY: Final = "?"
"""Stands for every name that no account has: people type passwords there."""

_log: Final = structlog.get_logger(__name__)


class Notes(Trail, Protocol):
    def note(
        self,
        action: Action,
        subject: str,
        *,
        actor: str = DAEMON,
        source: str = DAEMON,
        after: Facts,
    ) -> None:
        """The row follows. Unavailable: too many wait."""
        ...


@dataclass(frozen=True, slots=True, eq=False)
class Account:
    user: str
    source: Source
    digest: bytes = field(repr=False)  #: of its password, keyed by what this process alone knows


class Logins:
    def __init__(
        self,
        accounts: Iterable[Credential],
        rules: LockRules,
        *,
        clock: Clock,
        entropy: Callable[[int], bytes],
        trail: Notes,
    ) -> None:
        self._rules = rules
        self._clock = clock
        self._trail = trail
        self._key = entropy(32)
        self._nobody = Account(_NOBODY, Source.OPS, entropy(32))
        self._accounts: dict[str, Account] = {}
        self._lockout = Lockout(rules, names_max=limits.LOGIN_NAMES_MAX)
        self._throttle = Throttle(
            one=Bucket(limits.LOGINS_OF_ADDRESS_PER_S, limits.LOGINS_OF_ADDRESS_BURST),
            all=Bucket(limits.LOGINS_PER_S, limits.LOGINS_BURST),
        )
        self.adopt(accounts)

    def adopt(self, accounts: Iterable[Credential]) -> Sequence[Account]:
        """Go on by these. Those that hold no more: gone, or with another password or source."""
        before = self._accounts
        self._accounts = {one.user: self._account(one) for one in accounts}
        return [one for one in before.values() if not self.holds(one)]

    def holds(self, account: Account) -> bool:
        return self._accounts.get(account.user) is account

    def all(self) -> Iterable[Account]:
        return self._accounts.values()

    def knock(self, address: str) -> None:
        wait_s = self._throttle.take(address, self._clock.monotonic())
        if wait_s > 0:
            metrics.LOGINS.labels("none", "throttled").inc()
            raise Busy("LOGINS_FULL", "too many logins; keep the session that you have", wait_s)

    def check(self, user: str, password: str, address: str) -> Account:
        """Raises Unauthorized or Locked. A name that nobody has goes the very same way, and so
        takes the same time."""
        now = self._clock.monotonic()
        account = self._accounts.get(user, self._nobody)
        left_s = self._lockout.locked_for_s(user, now)
        if left_s > 0:
            self.count(account, "locked")
            raise _locked(left_s)
        if not hmac.compare_digest(account.digest, self._digest(password)):
            raise self._wrong(user, account, address, now)
        self._lockout.passed(user)
        return account

    def refused(self, account: Account, address: str) -> Unauthorized:
        self.count(account, "refused")
        self.note(Action.SESSION_REFUSE, f"account:{account.user}", after={"address": address})
        return Unauthorized("LOGIN_REFUSED", "user or password is wrong")

    def unlock(self, user: str) -> None:
        self._lockout.passed(user)
        self.show_locked()
        _log.info("account_unlocked", account=user)

    def locked(self) -> dict[str, datetime]:
        """Until when, by user; of accounts alone."""
        now, wall = self._clock.monotonic(), self._clock.wall()
        left = self._lockout.locked(self._accounts, now)
        return {user: wall + timedelta(seconds=seconds) for user, seconds in left.items()}

    def show_locked(self) -> None:
        sources = [self._accounts[user].source for user in self.locked()]
        for source in Source:
            metrics.ACCOUNTS_LOCKED.labels(source).set(sources.count(source))

    def count(self, account: Account, result: str) -> None:
        source = "none" if account is self._nobody else account.source
        metrics.LOGINS.labels(source, result).inc()

    def note(
        self,
        action: Action,
        subject: str,
        *,
        actor: str = DAEMON,
        source: str = DAEMON,
        after: Facts,
    ) -> None:
        """What is not put off, and done, although its row cannot be written now."""
        try:
            self._trail.note(action, subject, actor=actor, source=source, after=after)
        except Unavailable as error:
            _log.warning("act_not_audited", action=action, subject=subject, error=str(error))

    def _wrong(
        self, user: str, account: Account, address: str, now: float
    ) -> Unauthorized | Locked:
        refusal = self.refused(account, address)
        if not self._lockout.failed(user, now):
            return refusal
        lock_s = self._rules.lock_s
        until = self._clock.wall() + timedelta(seconds=lock_s)
        _log.warning("account_locked", account=account.user, address=address, until=str(until))
        after = {"address": address, "until": until}
        self.note(Action.ACCOUNT_LOCK, f"account:{account.user}", after=after)
        return _locked(lock_s)

    def _account(self, one: Credential) -> Account:
        """One that is as it was stays the very same object."""
        before, digest = self._accounts.get(one.user), self._digest(one.password)
        if before is not None and before.source is one.source and before.digest == digest:
            return before
        return Account(one.user, one.source, digest)

    def _digest(self, password: str) -> bytes:
        return hmac.digest(self._key, password.encode("utf-8", "surrogatepass"), "sha256")


def _locked(left_s: float) -> Locked:
    text = "too many wrong passwords for this user; wait, or ask staff to unlock it"
    return Locked("LOGIN_LOCKED", text, left_s)
