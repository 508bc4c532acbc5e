"""Documents and prose as lines of a page."""

import json
import textwrap
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Final

WIDTH: Final = 100


def filled(text: str) -> str:
    return textwrap.fill(text, WIDTH, break_long_words=False, break_on_hyphens=False) + "\n"


def code(language: str, lines: Iterable[str]) -> Iterator[str]:
    yield f"```{language}"
    yield from lines
    yield "```\n"


def flow(value: Any, *, indent: int = 0) -> Iterator[str]:
    """As JSON, with as much on a line as it has room for."""
    whole = json.dumps(value, ensure_ascii=False)
    if len(whole) + indent <= WIDTH or not isinstance(value, dict | list):
        yield whole
        return
    brackets = "{}" if isinstance(value, dict) else "[]"
    line = brackets[0]
    for item in _items(value, indent + 1):
        *upper, last = item
        if len(line) > 1 and (upper or len(line) + len(last) + indent > WIDTH):
            yield line.rstrip()
            line = " "
        for one in upper:
            yield line + one
            line = " "
        line += last + ", "
    yield line.removesuffix(", ") + brackets[1]


def _items(value: Mapping[str, Any] | Sequence[Any], indent: int) -> Iterator[Sequence[str]]:
    """The lines of each."""
    if not isinstance(value, Mapping):
        yield from (list(flow(one, indent=indent)) for one in value)
        return
    for name, one in value.items():
        head, *rest = flow(one, indent=indent)
        yield [f"{json.dumps(name)}: {head}", *rest]
