"""How long the daemon takes from its process's start to readiness, on a database full of users."""

import time
from pathlib import Path
from typing import Final

from loadtest.settings import Credentials, Shape
from loadtest.stack import Stack, free_port

DSN_VARIABLE: Final = "HLRD_DATABASE__DSN"
_POLL_S: Final = 0.005
_READY_S: Final = 60.0


async def seconds_to_ready(dsn: str, folder: Path) -> float:
    """One start and one kill. No NE needs to be up for it."""
    stack = Stack(folder, Shape(), Credentials.random())
    try:
        stack.write_config({name: free_port() for name in (*stack.shape.hlr_names, "dsmp1")})
        stack.daemon.environment[DSN_VARIABLE] = dsn
        started = time.monotonic()
        stack.daemon.start()
        await stack.daemon_ready(_READY_S, poll_s=_POLL_S)
        return time.monotonic() - started
    finally:
        stack.daemon.kill()
        await stack.http.close()
