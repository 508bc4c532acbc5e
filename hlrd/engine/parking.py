"""The open orders that wait in the journal because memory is full (parked), or a person must act.

Only ids are kept, by priority, and how many each user has. An order whose user has anything parked
is parked behind it, whatever room there is: the order within a user comes first.
"""

from collections import Counter, deque
from typing import Final

from hlrd import limits
from hlrd.domain.identity import UserId

_WEIGHTS: Final = (64, 32, 16, 8, 4, 2)
"""Shares of a refill by priority. The urgent get most of it, and no priority ever nothing."""


class Parking:
    def __init__(self) -> None:
        self._ids: tuple[deque[int], ...] = tuple(deque() for _ in range(limits.PRIORITIES))
        self._counts = [0] * limits.PRIORITIES
        self._users: Counter[UserId] = Counter()

    def __len__(self) -> int:
        return sum(self._counts)

    def count(self, priority: int) -> int:
        return self._counts[priority]

    def has(self, user_id: UserId) -> bool:
        return user_id in self._users

    def count_of(self, user_id: UserId) -> int:
        return self._users.get(user_id, 0)

    def add(self, order_id: int, user_id: UserId, priority: int) -> None:
        self._ids[priority].append(order_id)
        self._counts[priority] += 1
        self._users[user_id] += 1

    def hold(self, user_id: UserId, priority: int) -> None:
        """Count an order that is not to be taken by itself: its user waits for a person."""
        self._counts[priority] += 1
        self._users[user_id] += 1

    def take(self, count: int) -> list[int]:
        """Up to `count` ids to be read back. They stay counted until `loaded`."""
        waiting = [(p, ids) for p, ids in enumerate(self._ids) if ids]
        total = sum(_WEIGHTS[priority] for priority, _ in waiting)
        taken: list[int] = []
        for priority, ids in waiting:
            share = max(1, count * _WEIGHTS[priority] // total)
            taken.extend(ids.popleft() for _ in range(min(share, len(ids), count - len(taken))))
        for _, ids in waiting:
            taken.extend(ids.popleft() for _ in range(min(len(ids), count - len(taken))))
        return taken

    def give_back(self, order_id: int, priority: int) -> None:
        """An id that was taken and cannot run yet."""
        self._ids[priority].append(order_id)

    def loaded(self, user_id: UserId, priority: int) -> None:
        """An order of the user is in memory now. Its id may still stand in line; it is skipped."""
        self._counts[priority] -= 1
        self._users[user_id] -= 1
        if self._users[user_id] <= 0:
            del self._users[user_id]
