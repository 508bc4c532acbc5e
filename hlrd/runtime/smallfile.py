"""Files that the settings name beside themselves: keys and secrets, of a few lines each.

They are read again at SIGHUP by the loop that carries orders, so nothing may make it wait: no pipe
that nobody writes to, no device, nothing without an end.
"""

import errno
import os
import stat
from pathlib import Path


def read_small(file: Path, bytes_max: int) -> bytes:
    """The whole file. Raises OSError, of one that is larger or no file at all too."""
    with open(file, "rb", opener=_without_waiting) as content:
        if not stat.S_ISREG(os.fstat(content.fileno()).st_mode):
            raise OSError(errno.EINVAL, "it is a pipe or device, not a file")
        text = content.read(bytes_max + 1)
    if len(text) > bytes_max:
        raise OSError(errno.EFBIG, f"it is above {bytes_max >> 10} KiB")
    return text


def _without_waiting(path: str, flags: int) -> int:
    return os.open(path, flags | os.O_NONBLOCK)
