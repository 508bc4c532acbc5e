"""How an emulated peer passes changes on to the next one, and learns how they ended there.

Each change is sent until the next hop takes or refuses it, and asked about until it has ended: a
hop that is away is tried again for ever. Confirmation and refusal come back in the same way.
"""

import asyncio
import contextlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import Enum, auto
from typing import Any, Final, NamedTuple

import aiohttp

from adapters.json_platform import ANSWERS, DELETE, FOUND, NOT_FOUND, PENDING, Answer, Failure
from hlrd.codec import jsonhttp
from hlrd.domain.errors import ProtocolError

AT_ONCE_MAX: Final = 32
"""Requests to the next hop at the same time."""

_PAUSE_MAX_S: Final = 5.0
"""Between two tries of one change, however many are on their way."""

_LATER: Final = frozenset({401, 408, 429})
_LATER_CODES: Final = frozenset({"CHANGE_PENDING", "EC_PENDING"})


class Passed(NamedTuple):
    """A change on its way."""

    method: str
    resource: str
    content: Mapping[str, Any] | None
    key: str


class Next(Enum):
    """What to do about a change that has not ended."""

    SEND = auto()
    ASK = auto()


Ending = Failure | None
"""None: confirmed."""

Settle = Callable[[str, str, Ending], object]
"""Resource, key, ending."""


@dataclass(frozen=True, slots=True)
class Hop:
    """The peer that changes are passed on to."""

    name: str  #: its dialect; what refusals name
    url: str  #: with the path of its service
    token: str = ""
    timeout_s: float = 5.0


def sent(hop: str, status: int, answer: Answer | None) -> Next | Ending:
    """After the change was sent, and answered so. None for `answer`: by no word of the hop's."""
    if answer is None or status in _LATER or status >= 500 or answer.code in _LATER_CODES:
        return Next.SEND
    if answer.code == PENDING:
        return Next.ASK
    return None if status < 300 else Failure(hop, answer.code, answer.text)


def asked(passed: Passed, answer: Answer | None) -> Next | Ending:
    """After it was asked about, and answered so."""
    if answer is not None and answer.code == NOT_FOUND:
        return None if passed.method == DELETE else Next.SEND
    if answer is None or answer.code != FOUND:
        return Next.ASK
    if answer.transaction != passed.key:
        return Next.SEND
    if answer.failure is not None:
        return answer.failure
    return Next.ASK if answer.state == "pending" else None


class Forwarder:
    """`start`, `add` as often as there are changes, `close`."""

    def __init__(self, hop: Hop, settle: Settle, *, every_s: float) -> None:
        """`every_s`: how long to wait before the hop is tried, or asked, again, while few changes
        are on their way."""
        self._hop = hop
        self._settle = settle
        self._every_s = every_s
        self._places = asyncio.Semaphore(AT_ONCE_MAX)
        self._ways: dict[str, asyncio.Task[None]] = {}  #: by resource
        self._http: aiohttp.ClientSession | None = None

    def start(self) -> None:
        headers = {"Authorization": f"Bearer {self._hop.token}"} if self._hop.token else {}
        timeout = aiohttp.ClientTimeout(total=self._hop.timeout_s)
        self._http = aiohttp.ClientSession(headers=headers, timeout=timeout)

    def add(self, passed: Passed) -> None:
        """One for each resource at a time; the peer bounds how many there are."""
        assert passed.resource not in self._ways, passed.resource
        way = asyncio.get_running_loop().create_task(self._accompany(passed))
        self._ways[passed.resource] = way

    async def close(self) -> None:
        """What is on its way stays where it is."""
        for way in self._ways.values():
            way.cancel()
        await asyncio.gather(*self._ways.values(), return_exceptions=True)
        self._ways.clear()
        if self._http is not None:
            await self._http.close()

    async def _accompany(self, passed: Passed) -> None:
        step: Next | Ending = Next.SEND
        while isinstance(step, Next):
            before = step
            async with self._places:
                step = await self._take(step, passed)
            if isinstance(step, Next) and (step, before) != (Next.ASK, Next.SEND):
                await asyncio.sleep(self._pause_s())
        del self._ways[passed.resource]
        self._settle(passed.resource, passed.key, step)

    def _pause_s(self) -> float:
        """The longer the more there are, so that those who ask do not stand in the way of those
        who are sent."""
        crowded_s = self._every_s * (1 + len(self._ways) // AT_ONCE_MAX)
        return max(self._every_s, min(crowded_s, _PAUSE_MAX_S))

    async def _take(self, step: Next, passed: Passed) -> Next | Ending:
        if step is Next.ASK:
            _, answer = await self._exchange("GET", passed)
            return asked(passed, answer)
        status, answer = await self._exchange(passed.method, passed)
        return sent(self._hop.name, status, answer)

    async def _exchange(self, method: str, passed: Passed) -> tuple[int, Answer | None]:
        assert self._http is not None, "not started"
        is_query = method == "GET"
        content = None if is_query else passed.content
        headers = {} if is_query else {"Idempotency-Key": passed.key}
        url = self._hop.url + passed.resource
        with contextlib.suppress(aiohttp.ClientError, TimeoutError, ProtocolError):
            async with self._http.request(method, url, json=content, headers=headers) as reply:
                answer = jsonhttp.read(await reply.read(), ANSWERS)
                return reply.status, answer if answer.resource == passed.resource else None
        return 0, None
