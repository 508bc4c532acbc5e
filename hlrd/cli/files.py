"""The files that staff imports."""

from pathlib import Path

from hlrd.cli.client import CallFailed


def read(path: Path) -> bytes:
    try:
        content = path.read_bytes()
    except OSError as error:
        raise CallFailed(f"cannot read {path}: {error.strerror}") from error
    if not content.strip():
        raise CallFailed(f"{path} is empty")
    return content
