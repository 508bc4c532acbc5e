"""A connection on which several requests are under way at once, told apart by their numbers.

The NE repeats the number of a request in its reply, so a reply that comes too late harms nobody: it
is dropped by its number, and the connection goes on once it has shown a sign of life. A number is
never used twice on a connection.
"""

import math
from collections.abc import Sequence
from typing import Final, NamedTuple, TypeVar

from hlrd.ne.adapter import Adapter
from hlrd.ne.addresses import Address
from hlrd.ne.session import Cause, Owner, Session, SessionState
from hlrd.ports import Command

R = TypeVar("R")

_IDLE: Final = SessionState.IDLE  # a member costs ten times as much by way of its class
_BUSY: Final = SessionState.BUSY
_CHECKING: Final = SessionState.CHECKING


class _Exchange(NamedTuple):
    command: Command
    is_query: bool
    sent_at: float
    deadline: float
    request: bytes


class PipelinedSession(Session[R]):
    """While the owner is told of an answer, `command`, `is_query` and `sent_at` are those of it."""

    __slots__ = ("_exchanges", "_last_number", "_offered", "_reply_timeout_s")

    def __init__(
        self,
        owner: Owner[R],
        adapter: Adapter[R],
        address: Address,
        *,
        open_timeout_s: float,
        now: float,
    ) -> None:
        super().__init__(owner, adapter, address, open_timeout_s=open_timeout_s, now=now)
        self._exchanges: dict[int, _Exchange] = {}  #: the oldest first
        self._last_number = 0
        self._offered = 0  #: places that the owner holds
        self._reply_timeout_s = open_timeout_s

    def offer(self) -> int:
        if self.state not in (_IDLE, _BUSY):
            return 0
        more = self._adapter.depth - len(self._exchanges) - self._offered
        self._offered += more
        return more

    def withdraw(self) -> None:
        self._offered = 0

    def send(self, command: Command, request: bytes, now: float, timeout_s: float) -> bool:
        self._offered -= 1
        transport = self._transport
        if transport is None or transport.is_closing():
            return False
        self._last_number += 1
        number = self._last_number
        request = self._adapter.numbered(request, number)
        deadline = now + timeout_s
        self._exchanges[number] = _Exchange(command, self.is_query, now, deadline, request)
        if self.state is _IDLE:
            self.state = _BUSY
            self.deadline = deadline
        self._reply_timeout_s = timeout_s
        transport.write(request)
        return True

    def rest(self, now: float) -> None:
        """One command is answered; others may still be under way."""
        self.command = None
        self.used_at = self.heard_at = now
        if self.state is not _CHECKING:
            self._become_idle()

    def owed(self) -> Sequence[Command]:
        under_way = [exchange.command for exchange in self._exchanges.values()]
        self._exchanges.clear()
        return [*super().owed(), *under_way]

    def expire(self, now: float) -> None:
        """Give up what is overdue, and see whether the NE still lives."""
        if self.state is not _BUSY:
            super().expire(now)
            return
        overdue = [
            number for number, exchange in self._exchanges.items() if exchange.deadline <= now
        ]
        commands = [self._exchanges.pop(number).command for number in overdue]
        self.check(now, timeout_s=self._reply_timeout_s)
        self._owner.on_overdue(self, commands)

    def _heard(self, replies: list[R]) -> None:
        for reply in replies:
            number = self._adapter.number_of(reply)
            if number is not None:
                self._answered(number, reply)
            elif self.state is _BUSY:
                self.end(Cause.OUT_OF_STEP)
            else:
                super()._heard([reply])
            if self.state is SessionState.CLOSED:
                return

    def _answered(self, number: int, reply: R) -> None:
        exchange = self._exchanges.pop(number, None)
        if exchange is None:
            self._answered_before(number)
            return
        self.command = exchange.command
        if not self._adapter.echoes(exchange.request, reply):
            self.end(Cause.WRONG_ECHO)
            return
        self.is_query = exchange.is_query
        self.sent_at = exchange.sent_at
        self._owner.on_answer(self, reply)

    def _answered_before(self, number: int) -> None:
        if 0 < number <= self._last_number:
            self._owner.on_late(self)
        else:
            self.end(Cause.OUT_OF_STEP)

    def _become_idle(self) -> None:
        oldest = next(iter(self._exchanges.values()), None)
        self.state = _IDLE if oldest is None else _BUSY
        self.deadline = math.inf if oldest is None else oldest.deadline
