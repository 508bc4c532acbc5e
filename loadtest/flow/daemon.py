"""One hlrd of a site: its settings, its database, its tokens. A site may have several."""

import asyncio
import json
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

import aiohttp

from hlrd.config import Database
from hlrd.domain.orders import Source
from hlrd.store import embedded
from loadtest.process import Process, StackError
from loadtest.settings import Credentials
from loadtest.stack import DAEMON_READY_S, DRAIN_S, free_port

_LOOK: Final = aiohttp.ClientTimeout(total=2)
_LOOK_EVERY_S: Final = 0.05


class Daemon:
    """`sections` is its configuration by name of the table, in TOML; `put` before `start`, or
    `restart` after it."""

    def __init__(self, name: str, folder: Path, http: aiohttp.ClientSession) -> None:
        self.name = name
        self.http = http
        self.credentials = Credentials.random()
        self.config = folder / f"{name}.toml"
        self.data_dir = folder / f"{name}.postgres"
        self.port, self.admin_port = free_port(), free_port()
        self.process = Process(name, ["hlrd", "serve", "--config", str(self.config)], folder)
        self.sections: dict[str, str] = {}
        self._put_own()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def admin_url(self) -> str:
        return f"http://127.0.0.1:{self.admin_port}"

    def token(self, source: Source) -> str:
        return self.credentials.tokens[source]

    def put(self, table: str, **settings: Any) -> None:
        """A table of the configuration, whole. JSON's strings, numbers and lists are TOML's; a
        mapping becomes an inline table."""
        self.sections[table] = f"[{table}]\n{lines(settings)}"

    def add(self, table: str, **settings: Any) -> None:
        """One more of an array of tables, such as `ne` or `accounts`; told apart by its name."""
        name = settings.get("name") or settings.get("user") or len(self.sections)
        self.sections[f"{table} {name}"] = f"[[{table}]]\n{lines(settings)}"

    async def start(self) -> None:
        self.config.touch(mode=0o600)
        self.config.write_text("\n\n".join(self.sections.values()) + "\n")
        self.process.start()
        await self.ready()

    async def restart(self) -> None:
        """Killed, and started with what is configured by then."""
        self.process.kill()
        await self.start()

    async def ready(self) -> None:
        ends_at = asyncio.get_running_loop().time() + DAEMON_READY_S
        while not await self._is_ready():
            self.process.refuse_if_ended()
            if asyncio.get_running_loop().time() > ends_at:
                raise StackError(f"{self.name} is not ready:\n{self.process.tail()}")
            await asyncio.sleep(_LOOK_EVERY_S)

    async def end(self) -> None:
        await self.process.end(deadline_s=DRAIN_S)
        await asyncio.to_thread(self.stop_postgres)

    def kill(self) -> None:
        self.process.kill()
        self.stop_postgres()

    def stop_postgres(self) -> None:
        """The daemon does so itself unless it was killed."""
        if self.data_dir.exists():
            embedded.Server(dsn="", data_dir=self.data_dir.resolve()).stop()

    async def dsn(self) -> str:
        """Of its database, for looking at the journal itself."""
        server = await asyncio.to_thread(embedded.start, Database(data_dir=self.data_dir))
        return server.dsn

    # What staff asks and does.

    async def get(self, path: str, *, source: Source = Source.OPS) -> Any:
        """The answer's JSON; None where there is no such thing. Raises StackError if refused."""
        status, content = await self.ask("GET", path, source=source)
        if status == 404:
            return None
        if status >= 400:
            raise StackError(f"{self.name}: GET {path}: {status} {content}")
        return content

    async def post(self, path: str, body: Any = None, *, source: Source = Source.OPS) -> Any:
        """The answer's JSON. Raises StackError if refused."""
        status, content = await self.ask("POST", path, body, source=source)
        if status >= 400:
            raise StackError(f"{self.name}: POST {path}: {status} {content}")
        return content

    async def ask(
        self,
        method: str,
        path: str,
        body: Any = None,
        *,
        source: Source = Source.OPS,
        token: str | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> tuple[int, Any]:
        """Status and JSON of the answer, whatever it says."""
        bearer = {"Authorization": f"Bearer {token or self.token(source)}"}
        sent = {**bearer, "Operator-Id": "flow", **(headers or {})}
        async with self.http.request(method, self.url + path, json=body, headers=sent) as response:
            content = await response.read()
        return response.status, json.loads(content) if content else None

    async def _is_ready(self) -> bool:
        with suppress(aiohttp.ClientError, TimeoutError):
            async with self.http.get(f"{self.admin_url}/readyz", timeout=_LOOK) as response:
                return response.status == 200
        return False

    def _put_own(self) -> None:
        self.sections[""] = 'log_level = "info"'
        self.put("database", data_dir=str(self.data_dir))
        self.put("imports", folder=str(self.data_dir.with_suffix(".imports")))
        self.put("http", port=self.port, admin_port=self.admin_port)
        self.put("keys", current="k1", keys={"k1": self.credentials.key})
        for source, token in self.credentials.tokens.items():
            self.sections[f"tokens {source}"] = "[[tokens]]\n" + lines(
                {"source": source, "token": token}
            )


def lines(settings: Mapping[str, Any]) -> str:
    return "\n".join(f"{name} = {_toml(value)}" for name, value in settings.items())


def _toml(value: Any) -> str:
    if isinstance(value, Mapping):
        pairs = [f"{json.dumps(str(name))} = {_toml(each)}" for name, each in value.items()]
        return f"{{ {', '.join(pairs)} }}" if pairs else "{}"
    return json.dumps(value, ensure_ascii=False)
