"""Runs the owner of a stack so that SIGINT and SIGTERM end it in good order, children included."""

import asyncio
import signal
from collections.abc import Callable, Coroutine
from typing import Any

import uvloop

from loadtest.client import Refused
from loadtest.process import StackError


def run_until_signal(main: Coroutine[Any, Any, None], *, on_failure: Callable[[str], None]) -> int:
    """The exit code: 0, 1 for a failure that is told, 130 when a signal ended it."""
    try:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(_cancelled_by_sigterm(main))
    except (KeyboardInterrupt, asyncio.CancelledError):
        return 130
    except ExceptionGroup as group:
        first = group.exceptions[0]
        for note in getattr(group, "__notes__", []):
            first.add_note(note)
        return _told(first, on_failure)
    except (StackError, Refused) as error:
        return _told(error, on_failure)
    return 0


def _told(error: Exception, on_failure: Callable[[str], None]) -> int:
    """Failures of the system are told in words; a bug of ours keeps its traceback."""
    if not isinstance(error, StackError | Refused):
        raise error
    on_failure("\n".join([str(error), *getattr(error, "__notes__", [])]))
    return 1


async def _cancelled_by_sigterm(main: Coroutine[Any, Any, None]) -> None:
    task = asyncio.current_task()
    assert task is not None
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)
    await main
