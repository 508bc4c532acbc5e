"""The statements of `queries.sql` by name; a misspelt name fails at import, not at midnight."""

import re
from collections.abc import Mapping
from importlib.resources import files
from typing import Final

_HEADER: Final = re.compile(r"^-- name: ([a-z_]+)$", re.MULTILINE)


def parse(text: str) -> Mapping[str, str]:
    """Cut at the `-- name:` headers. Two statements of one name are a mistake."""
    parts = _HEADER.split(text)[1:]
    found: dict[str, str] = {}
    for name, body in zip(parts[::2], parts[1::2], strict=True):
        assert name not in found, f"two statements are named {name}"
        found[name] = body.strip()
    return found


STATEMENTS: Final = parse(files("hlrd.store").joinpath("queries.sql").read_text("utf-8"))


def query(name: str) -> str:
    return STATEMENTS[name]
