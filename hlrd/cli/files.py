"""The files that staff imports and exports."""

from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO

from hlrd.cli.client import CallFailed


def read(path: Path) -> bytes:
    try:
        content = path.read_bytes()
    except OSError as error:
        raise CallFailed(f"cannot read {path}: {error.strerror}") from error
    if not content.strip():
        raise CallFailed(f"{path} is empty")
    return content


def write(path: Path, fill: Callable[[BinaryIO], None]) -> None:
    """Whole or not at all: what was there before stays until all of it has come."""
    is_stream = path.is_symlink() or (path.exists() and not path.is_file())  # /dev/stdout
    part = path if is_stream else path.with_name(f"{path.name}.part")
    try:
        with part.open("wb") as content:
            fill(content)
        if not is_stream:
            part.replace(path)
    except OSError as error:
        raise CallFailed(f"cannot write {path}: {error.strerror}") from error
    finally:
        if not is_stream:
            with suppress(OSError):
                part.unlink()
