"""A Redis that writes down every command before it answers: of the system, or of build/tools."""

import asyncio
import os
import shutil
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from loadtest.process import until
from loadtest.report import ROOT
from loadtest.stack import free_port

TOOLS: Final = ROOT / "build" / "tools"
SETTINGS: Final = {
    "save": "",
    "appendonly": "yes",
    "appendfsync": "always",
    "auto-aof-rewrite-percentage": "0",
}
_PROGRAM: Final = "redis-check-rdb"
"""Debian's redis-server is this very file under another name."""


@dataclass(frozen=True, slots=True)
class RedisServer:
    address: str  #: over TCP, as redis-py is used by default
    socket: str  #: … over a Unix socket
    pid: int


@asynccontextmanager
async def running(folder: Path) -> AsyncIterator[RedisServer | None]:
    """None where there is no Redis. `folder` is empty and there."""
    program = _program()
    if program is None:
        yield None
        return
    socket = folder / "redis.sock"
    arguments = ["redis-server", "--dir", str(folder), "--unixsocket", str(socket)]
    port = free_port()
    for name, value in {"port": str(port), "bind": "127.0.0.1", **SETTINGS}.items():
        arguments += [f"--{name}", value]
    with (folder / "redis.log").open("wb") as log:
        child = subprocess.Popen(  # noqa: ASYNC220
            arguments, executable=program, env=_environment(), stdout=log, stderr=log
        )
    try:
        await until(socket.exists, deadline_s=10, what=f"redis-server listens at {socket}")
        yield RedisServer(f"redis://127.0.0.1:{port}", f"unix://{socket}", child.pid)
    finally:
        child.terminate()
        await asyncio.to_thread(child.wait)


def version() -> str | None:
    program = _program()
    if program is None:
        return None
    said = subprocess.run(
        ["redis-server", "--version"],
        executable=program,
        env=_environment(),
        capture_output=True,
        check=True,
    )
    return said.stdout.decode().split("v=")[1].split()[0]


def _program() -> str | None:
    unpacked = TOOLS / "usr" / "bin" / _PROGRAM
    return shutil.which("redis-server") or (str(unpacked) if unpacked.exists() else None)


def _environment() -> dict[str, str]:
    libraries = ":".join(map(str, (TOOLS / "usr" / "lib").glob("*-linux-gnu*")))
    return {**os.environ, "LD_LIBRARY_PATH": libraries}
