import re
from pathlib import Path

import hlrd
from hlrd.store.queries import STATEMENTS, parse

TREE = Path(hlrd.__file__).parent


def test_every_statement_says_what_it_does_and_is_used() -> None:
    used = {
        name
        for path in (*TREE.glob("store/*.py"), *TREE.glob("runtime/*.py"))
        for name in re.findall(r"""query\("([a-z_]+)"\)""", path.read_text())
    }

    assert set(STATEMENTS) == used
    for name, text in STATEMENTS.items():
        comment = " ".join(re.findall(r"^-- (.*)$", text, re.MULTILINE))
        assert re.match(r"[A-Z].*\.$", comment), name


def test_statements_are_cut_at_their_headers() -> None:
    text = "-- preface\n-- name: one\n-- Gives one.\nSELECT 1;\n\n-- name: two\nSELECT 2;\n"

    assert parse(text) == {"one": "-- Gives one.\nSELECT 1;", "two": "SELECT 2;"}
