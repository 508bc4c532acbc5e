"""The upstream systems of a storm: each posts with patience, and follows its receipts."""

import asyncio
import time
from collections.abc import AsyncIterator, Iterable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager
from io import BytesIO
from itertools import islice
from random import Random
from typing import Any, Final

import aiohttp
from aiohttp import hdrs

from hlrd import limits
from hlrd.domain.orders import Source
from loadtest.client import Refused, Upstream
from loadtest.process import beside, until
from loadtest.stack import Stack
from loadtest.storm.book import Book
from loadtest.storm.orders import Posting, User

_TIMEOUT: Final = aiohttp.ClientTimeout(total=90, sock_connect=5)
_AGAIN_S: Final = 0.25
_REST_S_MAX: Final = 5.0
_JSON: Final = "application/json"
_BUSY: Final = frozenset({429, 500, 502, 503, 504})
_SOURCES: Final = (Source.CRM, Source.BOSS, Source.ESOP)


class Upstreams:
    def __init__(self, stack: Stack, seed: int) -> None:
        self.book = Book()
        self.users: dict[str, User] = {}
        self._stack = stack
        self._systems = {
            source: Upstream(stack.http, stack.url, stack.token(source), Random(f"{seed} {source}"))
            for source in _SOURCES
        }

    @asynccontextmanager
    async def following(self) -> AsyncIterator[None]:
        """Takes receipts while the block runs."""
        async with beside(*(each.follow(self._take) for each in self._systems.values())):
            yield

    async def read_again(self) -> None:
        """Every receipt from the first one on: nothing may be missing, and nothing different."""
        async with asyncio.TaskGroup() as tasks:
            for source in _SOURCES:
                tasks.create_task(self._read_again(source))

    async def _read_again(self, source: Source) -> None:
        system = Upstream(self._stack.http, self._stack.url, self._stack.token(source))
        count = limits.RECEIPTS_PAGE_MAX
        while count == limits.RECEIPTS_PAGE_MAX:
            system.cursor, page = await system.receipts(system.cursor)
            count = len(page)
            for receipt in page:
                self._take(receipt)

    def _take(self, receipt: Mapping[str, Any]) -> None:
        self.book.take(receipt, time.monotonic())
        user = self.users.get(receipt.get("user_id", ""))
        if user is not None and receipt.get("msisdn"):
            user.msisdn = receipt["msisdn"]

    async def post(self, postings: Sequence[Posting], due_s: Sequence[float] = ()) -> None:
        """Orders of one source in one POST, until each is taken; `due_s`: when each was meant to
        be posted, if not now."""
        now_s = time.monotonic()
        for posting, at_s in zip(postings, due_s or [now_s] * len(postings), strict=True):
            self.book.post(posting.order, at_s)
        system = self._systems[postings[0].order.source]
        lines = await system.post([(each.order.order_id, each.body) for each in postings])
        self.book.accept(lines, time.monotonic())
        for each in postings:
            number = lines[each.order.order_id].msisdn
            if number:
                self.users[each.order.user].msisdn = number

    async def post_one(self, posting: Posting, *, due_s: float) -> None:
        """One that somebody may wait for: in a request of its own."""
        order = posting.order
        self.book.post(order, due_s)
        await self.ask_until_known(order.source, "/v1/work-orders", posting.body)
        self.book.accept([order.order_id], time.monotonic())

    async def ask_until_known(
        self, source: Source, path: str, body: bytes, *, content_type: str = _JSON
    ) -> None:
        """The same again until it is known to be taken."""
        while True:
            if await self._ask(source, path, body, content_type):
                return
            await asyncio.sleep(_AGAIN_S)

    async def _ask(self, source: Source, path: str, body: bytes, content_type: str) -> bool:
        """False: not known, or told to wait. Raises for what is refused for good."""
        headers = {
            hdrs.AUTHORIZATION: f"Bearer {self._stack.token(source)}",
            hdrs.CONTENT_TYPE: content_type,
        }
        try:
            async with self._stack.http.post(
                self._stack.url + path, data=BytesIO(body), headers=headers, timeout=_TIMEOUT
            ) as response:
                content = await response.read()
        except (aiohttp.ClientError, TimeoutError, OSError):
            return False
        if response.status in _BUSY:
            await asyncio.sleep(min(float(response.headers.get(hdrs.RETRY_AFTER, 0)), _REST_S_MAX))
            return False
        if response.status >= 400:
            raise Refused(f"{path} was refused with {response.status}: {content[:300]!r}")
        return True

    async def post_all(
        self, postings: Iterable[Posting], *, size: int = 500, posters: int = 4
    ) -> None:
        """As fast as they are taken."""
        left = iter(postings)

        async def keep_on() -> None:
            while batch := _cut(left, size):
                await self.post(batch)

        async with asyncio.TaskGroup() as tasks:
            for _ in range(posters):
                tasks.create_task(keep_on())

    async def all_closed(self, *, deadline_s: float, what: str) -> None:
        book = self.book
        await until(lambda: len(book.told) >= len(book.posted_s), deadline_s=deadline_s, what=what)


def _cut(left: Iterator[Posting], size: int) -> list[Posting]:
    return list(islice(left, size))
