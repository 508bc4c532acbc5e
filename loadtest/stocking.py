"""Imports a pool and its cards by the API, as staff would."""

import json
from io import BytesIO
from typing import Any, Final
from urllib.parse import urlencode

import aiohttp
from aiohttp import hdrs

from loadtest.process import StackError
from loadtest.settings import POOL
from loadtest.simlot import Stock

_TIMEOUT: Final = aiohttp.ClientTimeout(total=120)
_PATIENT: Final[dict[str, str]] = {hdrs.CONTENT_TYPE: "text/csv", "Prefer": "wait=60"}


class Staff:
    """The API as operations staff uses it; `token` is one of source OPS."""

    def __init__(self, http: aiohttp.ClientSession, url: str, token: str) -> None:
        self._http = http
        self._url = url
        self._headers: dict[str, str] = {hdrs.AUTHORIZATION: f"Bearer {token}"}

    async def get(self, path: str) -> Any:
        """The answer's JSON; None where there is no such thing."""
        async with self._http.get(
            self._url + path, headers=self._headers, timeout=_TIMEOUT
        ) as response:
            if response.status == 404:
                return None
            return json.loads(await _content(response))

    async def import_stock(self, stock: Stock, *, pool: str = POOL) -> None:
        await self._post("/v1/pools", {"name": pool})
        for each in stock.ranges:
            ends = {"first": each.first, "last": each.last}
            home = {"province": each.province, "hlr": each.hlr}
            await self._post(f"/v1/pools/{pool}/ranges", {**ends, **home})
        for lot in stock.lots:
            query = urlencode({"province": lot.province, "hlr": lot.hlr})
            await self._import(f"/v1/sim-lots?{query}", lot.csv())

    async def _import(self, path: str, file: bytes) -> None:
        """Posted again, the same file is the same import, and its end is waited for once more."""
        status = 202
        while status == 202:
            status = await self._send(path, file, _PATIENT)

    async def _post(self, path: str, body: dict[str, str]) -> None:
        content = json.dumps(body).encode()
        await self._send(path, content, {hdrs.CONTENT_TYPE: "application/json"})

    async def _send(self, path: str, content: bytes, headers: dict[str, str]) -> int:
        sent: dict[str, str] = {**self._headers, **headers}
        async with self._http.post(
            self._url + path, data=BytesIO(content), headers=sent, timeout=_TIMEOUT
        ) as response:
            await _content(response)
            return response.status


async def _content(response: aiohttp.ClientResponse) -> bytes:
    """Raises StackError with the daemon's own words."""
    content = await response.read()
    if response.status >= 400:
        said = content.decode("utf-8", "replace")
        raise StackError(f"{response.method} {response.url.path}: {response.status} {said}")
    return content
