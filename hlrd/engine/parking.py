"""The open orders that wait in the journal because memory is full (parked), or a person must act.

Only ids are kept, in lines by home: an NE that is away holds up nobody else's. An order whose user
has anything parked is parked behind it, whatever room there is: the order within a user comes
first.
"""

from collections import Counter, defaultdict, deque
from collections.abc import Callable, Collection
from typing import Final

from hlrd import limits
from hlrd.domain.conflict import STERN, Nature
from hlrd.domain.identity import UserId

_WEIGHTS: Final = (64, 32, 16, 8, 4, 2)
"""Shares of a refill by priority. The urgent get most of it, and no priority ever nothing."""


_Lines = tuple[deque[int], ...]  #: by priority


def _no_lines() -> _Lines:
    return tuple(deque() for _ in range(limits.PRIORITIES))


def _never(home: str, priority: int) -> bool:
    return False


class Parking:
    """What stands in line is taken by `take`; what is held waits for its user's `unblock`."""

    def __init__(self) -> None:
        self._lines: defaultdict[str, _Lines] = defaultdict(_no_lines)  #: by home, "" for unknown
        self._counts = [0] * limits.PRIORITIES
        self._user_of: dict[int, UserId] = {}
        self._users: Counter[UserId] = Counter()
        self._held: dict[UserId, list[tuple[int, int]]] = {}
        self._stern: dict[UserId, dict[int, Nature]] = {}  #: of those that refuse others
        self._lifted: dict[int, int] = {}  #: priorities of those that were chased

    def __len__(self) -> int:
        return len(self._user_of)

    def __contains__(self, order_id: int) -> bool:
        return order_id in self._user_of

    @property
    def has_line(self) -> bool:
        """Whether anything may be taken. Ids of orders that came in with others count as well."""
        return any(any(lines) for lines in self._lines.values())

    def count(self, priority: int) -> int:
        return self._counts[priority]

    def has(self, user_id: UserId) -> bool:
        return user_id in self._users

    def count_of(self, user_id: UserId) -> int:
        return self._users.get(user_id, 0)

    def user_of(self, order_id: int) -> UserId:
        return self._user_of[order_id]

    def natures_of(self, user_id: UserId) -> Collection[Nature]:
        """Of the user's orders, those that refuse others while they are in flight."""
        return set(self._stern[user_id].values()) if user_id in self._stern else ()

    def add(
        self,
        order_id: int,
        user_id: UserId,
        priority: int,
        home: str = "",
        nature: Nature | None = None,
    ) -> None:
        if nature in STERN:
            self._stern.setdefault(user_id, {})[order_id] = nature
        self._user_of[order_id] = user_id
        self._counts[priority] += 1
        self._users[user_id] += 1
        self.put_back(order_id, user_id, priority, home)

    def put_back(self, order_id: int, user_id: UserId, priority: int, home: str = "") -> None:
        """Let an order that was taken, and could not run, stand in line again."""
        held = self._held.get(user_id)
        if held is None:
            self._lines[home][priority].append(order_id)
        else:
            held.append((order_id, priority))

    def remove(self, order_id: int, priority: int) -> None:
        """The order is in memory now, or open no longer. Its id may still stand in line."""
        user_id = self._user_of.pop(order_id)
        self._counts[self._lifted.pop(order_id, priority)] -= 1
        stern = self._stern.get(user_id)
        if stern is not None:
            stern.pop(order_id, None)
            if not stern:
                del self._stern[user_id]
        self._users[user_id] -= 1
        if not self._users[user_id]:
            del self._users[user_id]

    def lift(self, order_id: int, before: int, priority: int) -> None:
        """Let an order stand in the line of a more urgent priority too."""
        before = self._lifted.get(order_id, before)
        if priority < before:
            self._lifted[order_id] = priority
            self._counts[before] -= 1
            self._counts[priority] += 1
            self.put_back(order_id, self._user_of[order_id], priority)

    # A person must act first.

    def block(self, user_id: UserId) -> None:
        self._held.setdefault(user_id, [])

    def is_blocked(self, user_id: UserId) -> bool:
        return user_id in self._held

    def unblock(self, user_id: UserId) -> None:
        for order_id, priority in self._held.pop(user_id):
            self._lines[""][priority].append(order_id)

    # Reading back.

    def take(self, room: int, is_crowded: Callable[[str, int], bool] = _never) -> list[int]:
        """Ids to be read back, as many as bring about `room` orders: each comes with all of its
        user's, so at most `limits.USER_ORDERS_OPEN_MAX` more. They stay parked until removed.
        """
        lines = self._open_lines(is_crowded)
        waiting = [priority for priority, those in enumerate(lines) if those]
        total = sum(_WEIGHTS[priority] for priority in waiting)
        taken: dict[int, None] = {}
        users: set[UserId] = set()
        left = room
        for priority in waiting:
            share = max(1, room * _WEIGHTS[priority] // total)
            left -= self._take_of(priority, lines[priority], min(share, left), taken, users)
        for priority in waiting:
            left -= self._take_of(priority, lines[priority], left, taken, users)
        self._forget_empty()
        return list(taken)

    def _forget_empty(self) -> None:
        for home in [home for home, lines in self._lines.items() if not any(lines)]:
            del self._lines[home]

    def _open_lines(self, is_crowded: Callable[[str, int], bool]) -> list[list[deque[int]]]:
        """By priority, those that stand and whose home is not crowded."""
        return [
            [
                lines[priority]
                for home, lines in self._lines.items()
                if lines[priority] and not is_crowded(home, priority)
            ]
            for priority in range(limits.PRIORITIES)
        ]

    def _take_of(
        self,
        priority: int,
        lines: list[deque[int]],
        room: int,
        taken: dict[int, None],
        users: set[UserId],
    ) -> int:
        """The room is shared by the homes; what one does not use goes to those after it."""
        used = 0
        for place, line in enumerate(lines):
            share = (room - used) // (len(lines) - place)
            used += self._take_of_line(line, priority, share, taken, users)
        return used

    def _take_of_line(
        self,
        line: deque[int],
        priority: int,
        room: int,
        taken: dict[int, None],
        users: set[UserId],
    ) -> int:
        used = 0
        while line and used < room:
            order_id = line.popleft()
            user_id = self._user_of.get(order_id)
            if user_id is None or order_id in taken:
                continue  # it came in with another order of its user, or stood in two lines
            if user_id in self._held:
                self._held[user_id].append((order_id, priority))
                continue
            taken[order_id] = None
            if user_id not in users:
                users.add(user_id)
                used += self._users[user_id]
        return used
