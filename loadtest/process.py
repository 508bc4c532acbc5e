"""Child processes that end when their owner does.

Each runs in a process group of its own, so that Ctrl-C reaches the owner alone and the owner ends
its children in order. Its output goes to a file in the stack's folder.
"""

import asyncio
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable, Coroutine, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any, Final

_READY: Final = re.compile(rb"^ready (\S+)((?: \w+=\d+)*)\s*$", re.MULTILINE)
_POLL_S: Final = 0.02
_TAIL_LINES: Final = 20


class StackError(Exception):
    """A process of the stack did not do what it must; the text names its log."""


async def until(
    holds: Callable[[], bool], *, deadline_s: float, what: str, poll_s: float = _POLL_S
) -> None:
    """Wait for a condition, or raise StackError that says what was waited for."""
    ends_at = time.monotonic() + deadline_s
    while not holds():
        if time.monotonic() > ends_at:
            raise StackError(f"not within {deadline_s:.0f} s: {what}")
        await asyncio.sleep(poll_s)


@asynccontextmanager
async def beside(*work: Coroutine[Any, Any, None]) -> AsyncIterator[None]:
    """Do `work` while the block runs, and cancel it at its end. An error of either ends both, and
    is raised as it is."""
    try:
        async with asyncio.TaskGroup() as tasks:
            started = [tasks.create_task(each) for each in work]
            yield
            for task in started:
                task.cancel()
    except BaseExceptionGroup as group:
        raise group.exceptions[0] from None


class Process:
    """One `python -m …`, or another program, with its log.

    `start` again after it ended starts it anew.
    """

    def __init__(
        self,
        name: str,
        arguments: Sequence[str],
        folder: Path,
        *,
        environment: Mapping[str, str] | None = None,
        program: Sequence[str] = (sys.executable, "-m"),
    ) -> None:
        self.name = name
        self.program = list(program)
        self.arguments = list(arguments)
        self.environment = {**(environment or {}), "PYTHONUNBUFFERED": "1"}
        self.log = folder / f"{name}.log"
        self._child: subprocess.Popen[bytes] | None = None
        self._log_starts_at = 0  #: of the run that is on

    @property
    def pid(self) -> int:
        assert self._child is not None, f"{self.name} was never started"
        return self._child.pid

    @property
    def exit_code(self) -> int | None:
        """None while it runs."""
        return self._child.poll() if self._child is not None else None

    def is_running(self) -> bool:
        return self._child is not None and self._child.poll() is None

    def start(self) -> None:
        assert not self.is_running(), f"{self.name} runs already"
        with self.log.open("ab") as output:
            self._log_starts_at = output.tell()
            self._child = subprocess.Popen(
                [*self.program, *self.arguments],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                process_group=0,
                env={**os.environ, **self.environment},
            )

    async def ready(self, *, deadline_s: float = 60.0) -> Mapping[str, int]:
        """The ports of its `ready <name> port=… control=…` line."""
        await until(
            lambda: self._ports() is not None,
            deadline_s=deadline_s,
            what=f"{self.name} says ready; its log is {self.log}",
        )
        ports = self._ports()
        assert ports is not None
        return ports

    def kill(self) -> None:
        """SIGKILL, and wait until it is gone."""
        if self._child is not None:
            self._child.kill()
            self._child.wait()

    async def end(self, *, deadline_s: float) -> int:
        """SIGTERM, then its exit code; SIGKILL past the deadline, which then is the exit code."""
        if self._child is None:
            return 0
        with suppress(ProcessLookupError):
            self._child.send_signal(signal.SIGTERM)
        try:
            await until(
                lambda: not self.is_running(), deadline_s=deadline_s, what=f"{self.name} ends"
            )
        except StackError:
            self.kill()
        return self._child.wait()

    def tail(self) -> str:
        """The last lines of its log, for a message."""
        lines = self.log.read_text("utf-8", "replace").splitlines()
        return "\n".join(f"  {self.name}| {line}" for line in lines[-_TAIL_LINES:])

    def refuse_if_ended(self) -> None:
        if self.exit_code is not None:
            raise StackError(f"{self.name} ended with {self.exit_code}:\n{self.tail()}")

    def _ports(self) -> Mapping[str, int] | None:
        self.refuse_if_ended()
        with self.log.open("rb") as log:
            log.seek(self._log_starts_at)
            found = _READY.search(log.read())
        if found is None:
            return None
        pairs = (pair.split("=") for pair in found[2].decode().split())
        return {name: int(port) for name, port in pairs}
