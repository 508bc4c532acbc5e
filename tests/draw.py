"""Draws docs/states.md, docs/metrics.md and docs/orders.md from the code: `make docs`.

`tests/test_house.py` fails while a drawn page differs from what the code says.
"""

import ast
import re
from collections.abc import Callable, Iterator, Mapping
from enum import StrEnum
from pathlib import Path
from typing import Any, Final

from hlrd.domain import lifecycle
from tests.orders_page import page

ROOT: Final = Path(__file__).parents[1]

_MEANING: Final = re.compile(r"^ {4}([A-Z_]+) = \"[^\"]+\"  #: (.+)$", re.MULTILINE)
_HEAD: Final = "<!-- Drawn by `make docs` from {source}; do not edit by hand. -->\n"
_MACHINES: Final[tuple[tuple[str, str, Mapping[Any, Any]], ...]] = (
    ("Order", "OrderState", lifecycle.ORDER),
    ("Task", "TaskState", lifecycle.TASK),
    ("User", "UserState", lifecycle.USER),
    ("Number", "NumberState", lifecycle.NUMBER),
    ("Card", "CardState", lifecycle.CARD),
    ("Import of a SIM lot", "ImportState", lifecycle.IMPORT),
    ("Version of a product", "ProductState", lifecycle.PRODUCT),
    ("Product of an enterprise", "ECState", lifecycle.EC),
    ("Batch", "BatchState", lifecycle.BATCH),
    ("Move of a segment", "MoveState", lifecycle.MOVE),
    ("Bulk act of the fallout desk", "BulkState", lifecycle.BULK),
    ("Sheet about a fallout", "SheetState", lifecycle.SHEET),
    ("Delivery of a receipt", "DeliveryState", lifecycle.DELIVERY),
)


def states() -> str:
    source = Path(lifecycle.__file__).read_text("utf-8")
    parts = [
        _HEAD.format(source="hlrd/domain/lifecycle.py"),
        "# States\n",
        "Every state and every move between states; what is not drawn here is a bug and ends the",
        "process. Names are spelled as on the wire and in the database.\n",
    ]
    for title, enum_name, table in _MACHINES:
        enum: type[StrEnum] = getattr(lifecycle, enum_name)
        event: type[StrEnum] = type(next(iter(table))[1])
        parts += [f"## {title}\n", _diagram(enum, table), *_meanings(source, enum, "state")]
        parts += _meanings(source, event, "event")
    return "\n".join(parts)


def metrics() -> str:
    parts = [
        _HEAD.format(source="hlrd/metrics.py"),
        "# Metrics\n",
        "Served as `/metrics` on the admin port, in base units. Labels come from closed sets only:",
        "no number, card, user or order is ever one. What to alert on, and what to do then, is in",
        "[operations.md](operations.md).\n",
        "| metric | kind | labels | meaning |",
        "| --- | --- | --- | --- |",
    ]
    for kind, name, text, labels in declared_metrics():
        shown = ", ".join(f"`{label}`" for label in labels)
        parts.append(f"| `{name}` | {kind} | {shown} | {text} |")
    return "\n".join(parts) + "\n"


def orders() -> str:
    return _HEAD.format(source="hlrd/domain/catalogue.py and tests/orders_page") + page.draw()


def declared_metrics() -> Iterator[tuple[str, str, str, list[str]]]:
    """Kind, name, meaning and labels of each metric, in the order of the file."""
    module = ast.parse((ROOT / "hlrd/metrics.py").read_text("utf-8"))
    for node in module.body:
        if not (isinstance(node, ast.AnnAssign) and isinstance(node.value, ast.Call)):
            continue
        call = node.value
        if isinstance(call.func, ast.Name) and call.func.id in ("Counter", "Gauge", "Histogram"):
            name, text, *rest = (ast.literal_eval(argument) for argument in call.args)
            yield call.func.id.lower(), name, text, rest[0] if rest else []


PAGES: Final[Mapping[Path, Callable[[], str]]] = {
    ROOT / "docs/states.md": states,
    ROOT / "docs/metrics.md": metrics,
    ROOT / "docs/orders.md": orders,
}


def _diagram(enum: type[StrEnum], table: Mapping[Any, Any]) -> str:
    first = next(iter(enum))
    lines = ["```mermaid", "stateDiagram-v2", f"    [*] --> {first}"]
    for (state, event), after in table.items():
        lines.append(f"    {state} --> {after or '[*]'}: {event}")
    leaving = {state for state, _ in table}
    lines += [f"    {state} --> [*]" for state in enum if state not in leaving]
    return "\n".join([*lines, "```\n"])


def _meanings(source: str, enum: type[StrEnum], word: str) -> list[str]:
    found = dict(_MEANING.findall(_body(source, enum.__name__)))
    rows = [f"| `{member}` | {found[member.name]} |" for member in enum if member.name in found]
    return [f"| {word} | meaning |", "| --- | --- |", *rows, ""] if rows else []


def _body(source: str, class_name: str) -> str:
    start = source.index(f"class {class_name}(")
    return source[start : source.find("\nclass ", start + 1)]


def main() -> None:
    for path, draw in PAGES.items():
        path.write_text(draw(), "utf-8")
        print(f"wrote {path.relative_to(ROOT)}")


if __name__ == "__main__":
    main()
