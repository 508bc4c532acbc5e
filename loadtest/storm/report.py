"""What a storm came to: a table for people, and all of it as JSON."""

import json
import platform
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import psutil
from rich.table import Table

from loadtest.storm.promptness import Row
from loadtest.storm.verdict import Outcome
from loadtest.view import View

FOLDER: Final = Path("build/storm")
_GOOD, _BAD = "[green]ok[/]", "[bold red]WRONG[/]"


def show(outcome: Outcome, view: View) -> None:
    view.proof(outcome.checks)
    view.console.print(_times(outcome))
    for row in outcome.rows:
        if not row.holds:
            view.console.print(f"  {row.what}: {', '.join(row.late)}", markup=False)
    view.console.print(_figures(outcome))


def _times(outcome: Outcome) -> Table:
    table = Table(box=None, title="urgent orders: from upstream's post to the HLR's deed")
    table.add_column("which")
    for name in ("orders", "p50", "p99", "max", "p99 bound"):
        table.add_column(name, justify="right")
    table.add_column("")
    for row in outcome.rows:
        seconds = (_seconds(each) for each in (row.p50_s, row.p99_s, row.max_s, row.bound_s))
        table.add_row(row.what, f"{row.orders:,}", *seconds, _GOOD if row.holds else _BAD)
    return table


def _figures(outcome: Outcome) -> Table:
    memory, figures = outcome.memory, outcome.figures
    table = Table(box=None, show_header=False, title="figures")
    table.add_column()
    table.add_column()
    held = f"{memory.peak:,.0f} MiB, bound {memory.bound:,.0f}, {memory.calm:,.0f} in the calm"
    table.add_row("memory of the daemon, peak", f"{held} {_GOOD if memory.holds else _BAD}")
    for name, value in figures.items():
        table.add_row(name.replace("_", " "), _told(value))
    return table


def _told(value: Any) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{name} {_told(each)}" for name, each in value.items()) or "none"
    return f"{value:,}" if isinstance(value, int | float) else str(value)


def _seconds(seconds: float) -> str:
    return f"{seconds * 1e3:,.0f} ms" if seconds < 1.0 else f"{seconds:,.2f} s"


def write(outcome: Outcome) -> Path:
    FOLDER.mkdir(parents=True, exist_ok=True)
    path = FOLDER / f"{outcome.name}.json"
    path.write_text(json.dumps(document(outcome), indent=2, ensure_ascii=False) + "\n")
    return path


def document(outcome: Outcome) -> dict[str, Any]:
    return {
        "storm": outcome.name,
        "at": datetime.now(UTC).isoformat(timespec="seconds"),
        "holds": outcome.holds,
        "options": asdict(outcome.options),
        "machine": {
            "cores": psutil.cpu_count(),
            "memory_gib": round(psutil.virtual_memory().total / 2**30),
            "system": platform.platform(),
            "python": platform.python_version(),
        },
        "checks": [
            {**asdict(check), "examples": list(check.examples), "holds": check.holds}
            for check in outcome.checks
        ],
        "times": [_row(row) for row in outcome.rows],
        "memory_mib": {**asdict(outcome.memory), "holds": outcome.memory.holds},
        "figures": outcome.figures,
    }


def _row(row: Row) -> dict[str, Any]:
    return {**row._asdict(), "late": list(row.late), "holds": row.holds}
