"""The lines that an emulator remembers over a restart.

A line is given to the kernel before its command is answered, so a `kill -9` loses nothing that was
answered. It is not flushed to the disk: the machine itself may not fail.
"""

import os
from collections.abc import Iterable, Iterator
from pathlib import Path


class Kept:
    """Without a path nothing is kept. The file is its owner's alone."""

    def __init__(self, path: Path | None) -> None:
        self.path = path
        self._lines: list[bytes] = []
        self._fd = -1
        if path is not None:
            self._fd = os.open(path, os.O_RDWR | os.O_APPEND | os.O_CREAT, 0o600)

    def lines(self) -> Iterator[bytes]:
        """Those of earlier runs, in order; one that a kill cut short was never answered."""
        if self.path is None:
            return iter(())
        content = self.path.read_bytes()
        whole = content.rfind(b"\n") + 1
        os.ftruncate(self._fd, whole)
        return iter(content[:whole].splitlines())

    def rewrite(self, lines: Iterable[bytes]) -> None:
        """Have these in the place of all that were kept; a kill leaves the one or the other."""
        if self.path is None:
            return
        fresh = self.path.with_name(f"{self.path.name}.new")
        fd = os.open(fresh, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_TRUNC, 0o600)
        _write_all(fd, b"".join(line + b"\n" for line in lines))
        os.replace(fresh, self.path)
        os.close(self._fd)
        self._fd = fd

    def add(self, line: bytes) -> None:
        """Kept at the next `flush`, which must come before the answer."""
        if self._fd >= 0:
            self._lines.append(line + b"\n")

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
