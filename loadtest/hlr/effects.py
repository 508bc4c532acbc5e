"""The state of an emulated HLR over a restart: the commands that took effect, in order.

A line is given to the kernel before its command is answered, so a `kill -9` loses nothing that was
answered. It is not flushed to the disk: the machine itself may not fail.
"""

import os
from pathlib import Path
from typing import Final

from hlrd.codec.mml import MMLCommand, parse_command
from hlrd.domain.errors import HlrdError
from loadtest.hlr.core import HLR

_UNPUSHED: Final = b"!"
"""In front of a command whose effect the serving node was not told."""


class StateFileDamaged(HlrdError):
    """The file does not replay; the text says where."""


class Effects:
    """Without a path nothing is kept. The file holds card keys and is its owner's alone."""

    def __init__(self, path: Path | None) -> None:
        self._path = path
        self._lines: list[bytes] = []
        self._fd = -1
        if path is not None:
            self._fd = os.open(path, os.O_RDWR | os.O_APPEND | os.O_CREAT, 0o600)

    def replay(self, hlr: HLR) -> int:
        """Bring an empty `hlr` to the state of the file; the number of effects."""
        if self._path is None:
            return 0
        content = self._path.read_bytes()
        whole = content.rfind(b"\n") + 1
        os.ftruncate(self._fd, whole)  # a line that a kill cut short was never answered
        lines = content[:whole].splitlines()
        for number, line in enumerate(lines, start=1):
            self._replay_line(hlr, line, number)
        return len(lines)

    def _replay_line(self, hlr: HLR, line: bytes, number: int) -> None:
        is_unpushed = line.startswith(_UNPUSHED)
        command = parse_command(line.removeprefix(_UNPUSHED))
        if not hlr.handle(command, is_unpushed=is_unpushed).changed:
            raise StateFileDamaged(
                f"{self._path}, line {number}: {command.name or 'no command'} changes nothing;"
                " remove the file to start empty"
            )

    def add(self, command: MMLCommand, *, is_unpushed: bool) -> None:
        """Kept at the next `flush`, which must come before the answer."""
        if self._fd >= 0:
            line = b" ".join(command.text.split(b"\n")).replace(b"\r", b" ")
            self._lines.append((_UNPUSHED if is_unpushed else b"") + line + b"\n")

    def flush(self) -> None:
        if self._lines:
            _write_all(self._fd, b"".join(self._lines))
            self._lines.clear()

    def close(self) -> None:
        self.flush()
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1


def _write_all(fd: int, data: bytes) -> None:
    while data:
        data = data[os.write(fd, data) :]
