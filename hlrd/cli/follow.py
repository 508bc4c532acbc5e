"""Following what the daemon does. It goes on whatever becomes of the command that looks at it."""

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

from rich.console import Console

from hlrd.cli.client import CallFailed, Client

_LOOK_S: Final = 0.4

Shown = dict[str, Any]


def follow(
    one: Shown,
    look: Callable[[], Shown],
    *,
    is_over: Callable[[Shown], bool],
    tell: Callable[[Shown], None],
) -> Shown | None:
    """As it is when it is over; None: Ctrl-C ended the looking."""
    try:
        while not is_over(one):
            tell(one)
            time.sleep(_LOOK_S)
            one = look()
    except KeyboardInterrupt:
        return None
    return one


def follow_in_a_line(
    one: Shown,
    look: Callable[[], Shown],
    *,
    is_over: Callable[[Shown], bool],
    line: Callable[[Shown], str],
) -> Shown | None:
    """The same, with a line that says how far it is."""
    with Console().status("") as status:
        return follow(one, look, is_over=is_over, tell=lambda now: status.update(line(now)))


def fetch(client: Client, path: str, target: Path) -> None:
    """Into a file."""
    try:
        with target.open("wb") as content:
            client.download(path, content)
    except OSError as error:
        raise CallFailed(f"cannot write {target}: {error.strerror}") from error
