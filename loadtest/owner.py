"""Runs the owner of a stack so that SIGINT and SIGTERM end it in good order, children included."""

import asyncio
import signal
from collections.abc import Callable, Coroutine
from typing import Any

from loadtest.client import Refused
from loadtest.process import StackError


def run_until_signal(main: Coroutine[Any, Any, None], *, on_failure: Callable[[str], None]) -> int:
    """The exit code: 0, 1 for a failure that is told, 130 when a signal ended it."""
    try:
        asyncio.run(_cancelled_by_sigterm(main))
    except (KeyboardInterrupt, asyncio.CancelledError):
        return 130
    except (StackError, Refused) as error:
        on_failure("\n".join([str(error), *getattr(error, "__notes__", [])]))
        return 1
    return 0


async def _cancelled_by_sigterm(main: Coroutine[Any, Any, None]) -> None:
    task = asyncio.current_task()
    assert task is not None
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)
    await main
