"""The HTTP API as the command line uses it: one request, its JSON, or the daemon's own words."""

import asyncio
import io
import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any, BinaryIO, Final
from urllib.parse import quote

import aiohttp
import orjson
import typer
from aiohttp import hdrs

from hlrd.cli.person import TOKEN_VARIABLE, person
from hlrd.domain.errors import HlrdError

URL: Final = "http://127.0.0.1:8080"
URL_VARIABLE: Final = "HLRD_URL"
OWNER: Final = f"Asks the daemon, with the token in {TOKEN_VARIABLE}."

_TIMEOUT: Final = aiohttp.ClientTimeout(total=120, sock_connect=5)
_LARGE: Final = aiohttp.ClientTimeout(total=None, sock_connect=5, sock_read=300)
_PART_BYTES: Final = 65_536

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
            raise CallFailed(
                f"set {TOKEN_VARIABLE} to your token, or one of the daemon's configuration"
            )
        self._url = url.rstrip("/")
        self._headers: dict[str, str] = {hdrs.AUTHORIZATION: f"Bearer {token}"}
        if operator := person():
            self._headers["Operator-Id"] = operator

    def get(self, path: str, query: Mapping[str, str] | None = None) -> Any:
        return asyncio.run(self._call("GET", path, query))

    def post(
        self, path: str, body: Mapping[str, Any], headers: Mapping[str, str] | None = None
    ) -> Any:
        return self._send("POST", path, body, headers)

    def post_once(self, path: str, body: Mapping[str, Any], key: str) -> Any:
        """POST what the daemon does once per key, however often it is asked."""
        headers: dict[str, str] = {hdrs.CONTENT_TYPE: "application/json", "Idempotency-Key": key}
        return asyncio.run(self._call("POST", path, body=_json(body), headers=headers))

    def post_lines(self, path: str, query: Mapping[str, str], lines: bytes) -> Any:
        """POST NDJSON."""
        headers: dict[str, str] = {hdrs.CONTENT_TYPE: "application/x-ndjson"}
        return asyncio.run(self._call("POST", path, query, body=lines, headers=headers))

    def put(self, path: str, body: Mapping[str, Any]) -> Any:
        return self._send("PUT", path, body)

    def _send(
        self,
        method: str,
        path: str,
        body: Mapping[str, Any],
        headers: Mapping[str, str] | None = None,
    ) -> Any:
        sent: dict[str, str] = {**(headers or {}), hdrs.CONTENT_TYPE: "application/json"}
        return asyncio.run(self._call(method, path, body=_json(body), headers=sent))

    def delete(self, path: str, query: Mapping[str, str] | None = None) -> Any:
        return asyncio.run(self._call("DELETE", path, query))

    def upload(
        self,
        path: str,
        query: Mapping[str, str],
        file: Path,
        on_sent: Callable[[int], None],
        *,
        content_type: str = "text/csv",
    ) -> Any:
        """POST a file of any size, without waiting for what comes of it. `on_sent`: bytes so
        far."""
        headers: dict[str, str] = {hdrs.CONTENT_TYPE: content_type, "Prefer": "wait=0"}
        try:
            with _Watched(file, on_sent) as content:
                return asyncio.run(
                    self._call("POST", path, query, body=content, headers=headers, bounds=_LARGE)
                )
        except OSError as error:
            raise CallFailed(f"cannot read {file}: {error.strerror}") from error

    def download(self, path: str, file: BinaryIO) -> None:
        """An answer of any size."""
        asyncio.run(self._download(path, file))

    async def _call(
        self,
        method: str,
        path: str,
        query: Mapping[str, str] | None = None,
        *,
        body: "bytes | _Watched | None" = None,
        headers: Mapping[str, str] | None = None,
        bounds: aiohttp.ClientTimeout = _TIMEOUT,
    ) -> Any:
        sent: dict[str, str] = {**self._headers, **(headers or {})}
        with _failures_of(self._url):
            async with (
                aiohttp.ClientSession(timeout=bounds) as http,
                http.request(
                    method, self._url + path, params=query, data=body, headers=sent
                ) as response,
            ):
                return _content(response.status, await response.read())

    async def _download(self, path: str, file: BinaryIO) -> None:
        with _failures_of(self._url):
            async with (
                aiohttp.ClientSession(timeout=_LARGE) as http,
                http.get(self._url + path, headers=self._headers) as response,
            ):
                if response.status >= 400:
                    _content(response.status, await response.read())
                async for part in response.content.iter_chunked(_PART_BYTES):
                    file.write(part)


class _Watched(io.BufferedReader):
    """A file that tells how far it was read."""

    def __init__(self, path: Path, on_read: Callable[[int], None]) -> None:
        super().__init__(io.FileIO(path))
        self._on_read = on_read

    def read(self, size: int | None = -1, /) -> bytes:
        content = super().read(size)
        self._on_read(self.tell())
        return content


@contextmanager
def _failures_of(url: str) -> Iterator[None]:
    try:
        yield
    except (aiohttp.ClientError, TimeoutError, ValueError) as error:
        raise CallFailed(f"no answer from {url}: {error}") from error


def _json(body: Mapping[str, Any]) -> bytes:
    try:
        return orjson.dumps(body)
    except TypeError as error:  # a number or a text that JSON has no place for
        raise CallFailed(f"this cannot be sent: {error}") from error


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
