"""Logins of source systems: how many are looked at, and when wrong passwords lock an account.

A name that no account has is counted and locked like any other, so that no answer tells which
names there are. Times are monotonic seconds.
"""

from collections import OrderedDict
from collections.abc import Collection
from dataclasses import dataclass
from typing import Final

_ROUNDING_S: Final = 1e-6
"""What many small sums of a large time may be off by."""


@dataclass(frozen=True, slots=True)
class LockRules:
    lock_after: int  #: wrong passwords in a row, none later than `lock_s` after the one before it
    lock_s: float


@dataclass(slots=True, eq=False)
class _Failures:
    count: int
    last_at: float


class Lockout:
    """Who knocks while it is locked neither prolongs that nor learns whether the password fits."""

    def __init__(self, rules: LockRules, *, names_max: int) -> None:
        self._rules = rules
        self._names_max = names_max
        self._failures: OrderedDict[str, _Failures] = OrderedDict()  #: the oldest first

    def locked_for_s(self, user: str, now: float) -> float:
        """0: it is not locked."""
        failures = self._failures.get(user)
        if failures is None or failures.count < self._rules.lock_after:
            return 0.0
        return max(0.0, failures.last_at + self._rules.lock_s - now)

    def failed(self, user: str, now: float) -> bool:
        """A wrong password for a name that is not locked. Whether it is locked from now on."""
        self._forget(now)
        failures = self._failures.setdefault(user, _Failures(0, now))
        failures.count += 1
        failures.last_at = now
        self._failures.move_to_end(user)
        if len(self._failures) > self._names_max:
            self._failures.popitem(last=False)
        return failures.count >= self._rules.lock_after

    def passed(self, user: str) -> None:
        """The right password, or staff: what was wrong before does not count any more."""
        self._failures.pop(user, None)

    def locked(self, users: Collection[str], now: float) -> dict[str, float]:
        """Of these, those that are locked, with the seconds that are left."""
        left = {user: self.locked_for_s(user, now) for user in users}
        return {user: seconds for user, seconds in left.items() if seconds > 0}

    def _forget(self, now: float) -> None:
        while self._failures:
            oldest = next(iter(self._failures.values()))
            if oldest.last_at + self._rules.lock_s > now:
                return
            self._failures.popitem(last=False)


class Throttle:
    """So many logins a second from one address, and of all addresses together; those above it are
    refused before anything is looked at. Token buckets, each kept as the time when it is full.
    """

    def __init__(self, *, one: "Bucket", all: "Bucket") -> None:
        self._one: Final = one
        self._all: Final = all
        self._full_at: OrderedDict[str, float] = OrderedDict()  #: by address, the last taken last
        self._all_full_at = 0.0

    def take(self, address: str, now: float) -> float:
        """0: go on; else seconds to wait, and nothing was taken."""
        self._forget(now)
        full_at = self._full_at.get(address, now)
        wait_s = max(self._one.wait_s(full_at, now), self._all.wait_s(self._all_full_at, now))
        if wait_s > 0:
            return wait_s
        self._full_at[address] = self._one.taken(full_at, now)
        self._full_at.move_to_end(address)
        self._all_full_at = self._all.taken(self._all_full_at, now)
        return 0.0

    def addresses(self) -> int:
        return len(self._full_at)

    def _forget(self, now: float) -> None:
        """Full buckets; a bucket is full soon after it was last taken from, so few are kept."""
        while self._full_at and next(iter(self._full_at.values())) <= now:
            self._full_at.popitem(last=False)


@dataclass(frozen=True, slots=True)
class Bucket:
    per_s: float
    burst: int

    def wait_s(self, full_at: float, now: float) -> float:
        """Until it has a whole token; 0 if it has."""
        wait_s = full_at - now - (self.burst - 1) / self.per_s
        return wait_s if wait_s > _ROUNDING_S else 0.0

    def taken(self, full_at: float, now: float) -> float:
        """When it is full again, one token less."""
        return max(full_at, now) + 1 / self.per_s
