"""What goes on between the support system of a province and hlrd: orders and files out, receipts
and result files in, and enterprises as hlrd shows them.
"""

import asyncio
from collections.abc import Coroutine, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Final

import aiohttp
import msgspec
from aiohttp import hdrs

from loadtest.business.message import Messages, Party
from loadtest.business.northbound import Account, Channel
from loadtest.business.system import Declined
from loadtest.esop import kinds
from loadtest.esop.core import Support
from loadtest.esop.records import MEMBERS_MAX, Line, Order, file_of, header_of

POSTED_AT_ONCE: Final = 500
"""Orders in one request; hlrd takes more, and answers the first ones later."""

_NAMES: Final = {
    kinds.SELLING: "产品订购信息",
    kinds.CANCELLING: "产品退订信息",
    kinds.OPENING: "成员基础通信功能开通",
    kinds.ORDERING: "成员业务订购",
    kinds.DROPPING: "成员业务退订",
    kinds.REMOVING: "成员退出",
}
_FILE: Final = {kinds.OPENING: "批量开户", kinds.ORDERING: "批量业务订购"}
_FILE_TAKEN: Final = "批量受理"
_RESULTS: Final = "批量结果文件"
_LATER: Final = frozenset({0, 401, 429, 503})
_RETRY_S: Final = 0.25
_PAGE: Final = 1_000
_TIMEOUT: Final = aiohttp.ClientTimeout(total=90, sock_connect=5)
_CSV: Final = {hdrs.CONTENT_TYPE: "text/csv", "Prefer": "wait=60"}


@dataclass(frozen=True, slots=True)
class Settings:
    name: str
    province: str
    hlrd: str  #: its URL
    account: Account
    hlrd_party: str = Party.HLRD  #: what messages call it
    run: str = ""
    first_user: int = 0  #: 0: of the province
    pool: str = "iot"


class Desk:
    """Run `works` beside everything else."""

    def __init__(
        self,
        core: Support,
        settings: Settings,
        http: aiohttp.ClientSession,
        messages: Messages,
    ) -> None:
        self.channel = Channel(
            http,
            settings.hlrd,
            party=Party.ESOP.of(settings.province),
            account=settings.account,
            messages=messages,
            hlrd=settings.hlrd_party,
            names=_NAMES,
        )
        self._core = core
        self._http = http
        self._party = Party.ESOP.of(settings.province)
        self._hlrd = settings.hlrd_party
        self._messages = messages
        self._wanted = asyncio.Event()
        self._news = asyncio.Event()  #: replaced whenever an order may have closed
        self._over: asyncio.Queue[Mapping[str, Any]] = asyncio.Queue()  #: a file each, few

    def works(self) -> Sequence[Coroutine[Any, Any, None]]:
        return (self.channel.run(self._take), self._post(), self._finish_files())

    async def close(self) -> None:
        await self.channel.close()

    def wake(self) -> None:
        """There may be something to post, or to tell."""
        self._wanted.set()
        self._news.set()
        self._news = asyncio.Event()

    async def until_closed(self, order: Order, wait_s: float) -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(wait_s):
                while not order.is_closed:
                    await self._news.wait()

    # --- out ---------------------------------------------------------------------------------

    async def _post(self) -> None:
        """One request after the other, so that orders come in the order they were made."""
        while True:
            await self._wanted.wait()
            self._wanted.clear()
            while self._core.ready:
                if self._core.ready[0].is_file:
                    await self._post_file(self._core.ready.popleft())
                else:
                    await self._post_orders(self._next_orders())
                self.wake()

    def _next_orders(self) -> list[Line]:
        ready, chosen = self._core.ready, list[Line]()
        while ready and not ready[0].is_file and len(chosen) < POSTED_AT_ONCE:
            chosen.append(ready.popleft())
        return chosen

    async def _post_orders(self, chosen: Sequence[Line]) -> None:
        orders = [{**header_of(line, self._core.province), **line.fields} for line in chosen]
        answers = await self.channel.post(orders)
        for order_id, answered in answers.items():
            if answered.refusal is None:
                self._core.taken(order_id, msgspec.structs.asdict(answered))
            else:
                self._core.refused(order_id, answered.refusal.code, answered.refusal.detail)

    async def _post_file(self, line: Line) -> None:
        name = f"{line.order_id} {len(line.users):,} rows"
        self._messages.note(self._party, self._hlrd, _FILE.get(line.kind, line.kind), name)
        query = {
            "order_id": line.order_id,
            "operator_id": line.operator,
            "province": self._core.province,
            "child": line.kind,
            "common": msgspec.json.encode(line.fields).decode(),
            **line.said,
        }
        status, shown = await self.ask(
            "POST", "/v1/batches", params=query, data=file_of(line), headers=_CSV
        )
        said = shown["state"] if status < 300 else shown["code"]
        self._messages.note(
            self._hlrd, self._party, _FILE_TAKEN, f"{line.order_id} {said}", is_answer=True
        )
        if status < 300:
            self._core.taken(line.order_id, shown)
        else:
            self._core.refused(line.order_id, shown["code"], shown.get("detail", ""))

    # --- in ----------------------------------------------------------------------------------

    def _take(self, receipt: Mapping[str, Any]) -> None:
        line = self._core.lines.get(receipt["order_id"])
        if line is not None and line.is_file and receipt["result"] != "fallout":
            self._over.put_nowait(receipt)
            return
        self._core.closed(receipt)
        self.wake()

    async def _finish_files(self) -> None:
        """The rows of a batch, and then its receipt."""
        while True:
            receipt = await self._over.get()
            line = self._core.lines[receipt["order_id"]]
            self._core.rows(line.order_id, await self.results(line))
            self._core.closed(receipt)
            self.wake()

    async def results(self, line: Line) -> list[dict[str, Any]]:
        self._messages.note(self._party, self._hlrd, _RESULTS, line.order_id)
        _, rows = await self.ask("GET", f"/v1/batches/{line.id}/results?format=ndjson")
        self._messages.note(
            self._hlrd, self._party, _RESULTS, f"{line.order_id} {len(rows):,} rows", is_answer=True
        )
        found: list[dict[str, Any]] = rows
        return found

    async def steer(self, line: Line, what: str) -> Any:
        """Pause, resume or cancel a batch, as its sender may."""
        path = f"/v1/batches/{line.id}/{what}?operator_id={line.operator}"
        status, shown = await self.ask("POST", path)
        if status >= 400:
            raise Declined(status, shown["code"], shown.get("detail", ""))
        return shown

    # --- looking -----------------------------------------------------------------------------

    async def learn(self, code: str) -> Any:
        """What hlrd shows of an enterprise; None if it was told nothing."""
        status, shown = await self.ask("GET", f"/v1/ecs/{code}")
        if status != 200:
            return None
        self._core.saw(shown)
        self.wake()
        return shown

    async def listed(self, code: str) -> list[Mapping[str, Any]]:
        """Every member as hlrd lists them; none of an enterprise that it was not told of."""
        found: list[Mapping[str, Any]] = []
        after = ""
        while len(found) < MEMBERS_MAX:
            params = {"limit": str(_PAGE), **({"after": after} if after else {})}
            status, page = await self.ask("GET", f"/v1/ecs/{code}/members", params=params)
            if status != 200:
                return found
            found += page["members"]
            after = page.get("next", "")
            if not after:
                return found
        return found

    async def ask(self, method: str, path: str, **sent: Any) -> tuple[int, Any]:
        """By the token of the channel, again until hlrd answers; status and content, or the problem
        that it names."""
        while True:
            status, content = await self._try(method, path, **sent)
            if status not in _LATER:
                return status, content
            await asyncio.sleep(_RETRY_S)  # the channel logs in anew meanwhile, if need be

    async def _try(self, method: str, path: str, **sent: Any) -> tuple[int, Any]:
        upstream = self.channel.upstream
        bearer = {hdrs.AUTHORIZATION: f"Bearer {upstream.token}"}
        headers = {**bearer, **sent.pop("headers", {})}
        try:
            async with self._http.request(
                method, upstream.url + path, headers=headers, timeout=_TIMEOUT, **sent
            ) as response:
                content = await response.read()
        except (aiohttp.ClientError, TimeoutError, OSError):
            return 0, None
        if response.content_type == "application/x-ndjson":
            return response.status, [msgspec.json.decode(row) for row in content.splitlines()]
        return response.status, msgspec.json.decode(content) if content else None
