"""The open orders that wait in the journal because memory is full (parked), or a person must act.

Only ids are kept. An order whose user has anything parked is parked behind it, whatever room there
is: the order within a user comes first.
"""

from collections import Counter, deque
from typing import Final

from hlrd import limits
from hlrd.domain.identity import UserId

_WEIGHTS: Final = (64, 32, 16, 8, 4, 2)
"""Shares of a refill by priority. The urgent get most of it, and no priority ever nothing."""


class Parking:
    """What stands in line is taken by `take`; what is held waits for its user's `unblock`."""

    def __init__(self) -> None:
        self._lines: tuple[deque[int], ...] = tuple(deque() for _ in range(limits.PRIORITIES))
        self._counts = [0] * limits.PRIORITIES
        self._user_of: dict[int, UserId] = {}
        self._users: Counter[UserId] = Counter()
        self._held: dict[UserId, list[tuple[int, int]]] = {}

    def __len__(self) -> int:
        return len(self._user_of)

    def __contains__(self, order_id: int) -> bool:
        return order_id in self._user_of

    @property
    def has_line(self) -> bool:
        """Whether anything may be taken. Ids of orders that came in with others count as well."""
        return any(self._lines)

    def count(self, priority: int) -> int:
        return self._counts[priority]

    def has(self, user_id: UserId) -> bool:
        return user_id in self._users

    def count_of(self, user_id: UserId) -> int:
        return self._users.get(user_id, 0)

    def add(self, order_id: int, user_id: UserId, priority: int) -> None:
        self._user_of[order_id] = user_id
        self._counts[priority] += 1
        self._users[user_id] += 1
        self.put_back(order_id, user_id, priority)

    def put_back(self, order_id: int, user_id: UserId, priority: int) -> None:
        """Let an order that was taken, and could not run, stand in line again."""
        held = self._held.get(user_id)
        if held is None:
            self._lines[priority].append(order_id)
        else:
            held.append((order_id, priority))

    def remove(self, order_id: int, priority: int) -> None:
        """The order is in memory now, or open no longer. Its id may still stand in line."""
        user_id = self._user_of.pop(order_id)
        self._counts[priority] -= 1
        self._users[user_id] -= 1
        if not self._users[user_id]:
            del self._users[user_id]

    # A person must act first.

    def block(self, user_id: UserId) -> None:
        self._held.setdefault(user_id, [])

    def is_blocked(self, user_id: UserId) -> bool:
        return user_id in self._held

    def unblock(self, user_id: UserId) -> None:
        for order_id, priority in self._held.pop(user_id):
            self._lines[priority].append(order_id)

    # Reading back.

    def take(self, room: int) -> list[int]:
        """Ids to be read back, as many as bring about `room` orders: each comes with all of its
        user's, so at most `limits.USER_ORDERS_OPEN_MAX` more. They stay parked until removed.
        """
        waiting = [priority for priority, line in enumerate(self._lines) if line]
        total = sum(_WEIGHTS[priority] for priority in waiting)
        taken: list[int] = []
        users: set[UserId] = set()
        left = room
        for priority in waiting:
            share = max(1, room * _WEIGHTS[priority] // total)
            left -= self._take_of(priority, min(share, left), taken, users)
        for priority in waiting:
            left -= self._take_of(priority, left, taken, users)
        return taken

    def _take_of(self, priority: int, room: int, taken: list[int], users: set[UserId]) -> int:
        line = self._lines[priority]
        used = 0
        while line and used < room:
            order_id = line.popleft()
            user_id = self._user_of.get(order_id)
            if user_id is None:
                continue  # it came in with another order of its user
            if user_id in self._held:
                self._held[user_id].append((order_id, priority))
                continue
            taken.append(order_id)
            if user_id not in users:
                users.add(user_id)
                used += self._users[user_id]
        return used
