"""The halves of hlrd.ne that decide know no loop, no socket, no clock and no chance."""

import ast
from pathlib import Path

import pytest

import hlrd.ne

FORBIDDEN = {"asyncio", "socket", "time", "random", "datetime", "uvloop", "structlog"}


@pytest.mark.parametrize(
    "module", ["adapter", "addresses", "breaker", "rate", "sessions", "window"]
)
def test_a_deciding_module_imports_nothing_that_acts(module: str) -> None:
    tree = ast.parse((Path(hlrd.ne.__path__[0]) / f"{module}.py").read_text())

    imported = {
        name.partition(".")[0]
        for node in ast.walk(tree)
        for name in (
            [alias.name for alias in node.names]
            if isinstance(node, ast.Import)
            else [node.module or ""]
            if isinstance(node, ast.ImportFrom)
            else []
        )
    }

    assert imported
    assert not imported & FORBIDDEN
