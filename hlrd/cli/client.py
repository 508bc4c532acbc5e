"""The HTTP API as the command line uses it: one request, its JSON, or the daemon's own words."""

import asyncio
import os
from collections.abc import Mapping
from typing import Annotated, Any, Final
from urllib.parse import quote

import aiohttp
import orjson
import typer
from aiohttp import hdrs

from hlrd.domain.errors import HlrdError

URL: Final = "http://127.0.0.1:8080"
URL_VARIABLE: Final = "HLRD_URL"
TOKEN_VARIABLE: Final = "HLRD_TOKEN"
OWNER: Final = f"Asks the daemon, with the token in {TOKEN_VARIABLE}."

_TIMEOUT: Final = aiohttp.ClientTimeout(total=120, sock_connect=5)

Url = Annotated[str, typer.Option("--url", envvar=URL_VARIABLE, help="Where the daemon listens.")]


def path_of(name: str) -> str:
    """As one part of a path, whatever was typed."""
    return quote(name, safe="")


class CallFailed(HlrdError):
    """The daemon refused, or could not be asked; the text is for the person at the keyboard."""


class Client:
    """Speaks for the owner of the token in HLRD_TOKEN; an option would show it to `ps`."""

    def __init__(self, url: str) -> None:
        token = os.environ.get(TOKEN_VARIABLE)
        if not token:
            raise CallFailed(f"set {TOKEN_VARIABLE} to a token of the daemon's configuration")
        self._url = url.rstrip("/")
        self._headers = {hdrs.AUTHORIZATION: f"Bearer {token}"}

    def get(self, path: str, query: Mapping[str, str] | None = None) -> Any:
        return asyncio.run(self._call("GET", path, query))

    def post(self, path: str, body: Mapping[str, str]) -> Any:
        document = orjson.dumps(body)
        return asyncio.run(self._call("POST", path, None, document, "application/json"))

    def post_csv(self, path: str, query: Mapping[str, str], document: bytes) -> Any:
        return asyncio.run(self._call("POST", path, query, document, "text/csv"))

    async def _call(
        self,
        method: str,
        path: str,
        query: Mapping[str, str] | None,
        body: bytes | None = None,
        content_type: str | None = None,
    ) -> Any:
        headers = {**self._headers, **({hdrs.CONTENT_TYPE: content_type} if content_type else {})}
        try:
            async with (
                aiohttp.ClientSession(timeout=_TIMEOUT) as http,
                http.request(
                    method, self._url + path, params=query, data=body, headers=headers
                ) as response,
            ):
                return _content(response.status, await response.read())
        except (aiohttp.ClientError, TimeoutError, ValueError) as error:
            raise CallFailed(f"no answer from {self._url}: {error}") from error


def _content(status: int, document: bytes) -> Any:
    try:
        content = orjson.loads(document)
    except orjson.JSONDecodeError:
        raise CallFailed(f"the answer ({status}) is not hlrd's; is --url right?") from None
    if status < 400:
        return content
    where = f" ({content['field']})" if content.get("field") else ""
    lines = [f"{content['code']}{where}: {content['detail']}"]
    lines += [f"  {fault['field']}: {fault['detail']}" for fault in content.get("errors", ())]
    raise CallFailed("\n".join(lines))
