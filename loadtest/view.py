"""What a person sees of a run. Plain lines where the output is no terminal."""

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Final

from rich import box
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from loadtest.client import Counters
from loadtest.proof import Check
from loadtest.workload import Book

WIDTH_MAX: Final = 100
_PLAIN_EVERY_S: Final = 2.0


class View:
    def __init__(self, console: Console | None = None) -> None:
        terminal = console or Console(highlight=False)
        self.console = terminal
        terminal.width = min(terminal.width, WIDTH_MAX) if terminal.is_terminal else WIDTH_MAX
        self._started_s = time.monotonic()

    def say(self, text: str) -> None:
        """One step, with the time since the start before it."""
        self.console.print(f"[dim]{time.monotonic() - self._started_s:6.1f} s[/]  {text}")

    def proven(self, text: str) -> None:
        self.console.print(f"[bold green]proven[/]  {text}")

    def fail(self, text: str) -> None:
        self.console.print("[bold red]failed[/]", end="  ")
        self.console.print(text, markup=False, soft_wrap=True)

    @contextmanager
    def progress(self, orders: int) -> Iterator[Callable[[Book], None]]:
        """Give the callback to `Workload.run`."""
        if self.console.is_terminal:
            with _bars(self.console) as bars:
                accepted = bars.add_task("orders accepted", total=orders)
                closed = bars.add_task("receipts", total=orders)

                def show(book: Book) -> None:
                    bars.update(accepted, completed=len(book.accepted))
                    bars.update(closed, completed=len(book.receipts))

                yield show
        else:
            yield self._lines(orders)

    def _lines(self, orders: int) -> Callable[[Book], None]:
        said_at_s = 0.0

        def show(book: Book) -> None:
            nonlocal said_at_s
            is_done = len(book.receipts) >= orders
            if is_done or time.monotonic() - said_at_s >= _PLAIN_EVERY_S:
                said_at_s = time.monotonic()
                self.say(f"{len(book.accepted):,} accepted, {len(book.receipts):,} receipts")

        return show

    def proof(self, checks: Sequence[Check]) -> None:
        table = Table(box=box.ROUNDED if self.console.is_terminal else None, title="the proof")
        table.add_column("what")
        table.add_column("found", justify="right")
        table.add_column("wanted", justify="right")
        table.add_column("")
        for check in checks:
            mark = "[green]ok[/]" if check.holds else "[bold red]WRONG[/]"
            table.add_row(check.what, f"{check.found:,}", f"{check.wanted:,}", mark)
        self.console.print(table)
        for check in checks:
            if not check.holds and check.examples:
                self.console.print(f"  {check.what}: {', '.join(check.examples)}", markup=False)

    def figures(self, book: Book, counters: Counters) -> None:
        latency = book.latency.summary_ms()
        shown = "  ".join(f"{name} {_seconds(ms)}" for name, ms in latency.items())
        rate = len(book.receipts) / max(book.elapsed_s, 1e-9)
        ran = f"{len(book.receipts):,} orders in {book.elapsed_s:.1f} s"
        self.console.print(f"{ran}: [bold]{rate:,.0f} orders/s[/]")
        self.console.print(f"from post to receipt: {shown}")
        if counters.posts_lost or counters.posts_busy or book.receipts_repeated:
            self.console.print(
                f"upstream lived through {counters.posts_lost} posts without an answer,"
                f" {counters.posts_busy} told to wait;\n{counters.orders_repeated} orders posted"
                f" again got the stored answer, {book.receipts_repeated} receipts came twice"
            )


def _bars(console: Console) -> Progress:
    return Progress(
        TextColumn("{task.description:>16}"),
        BarColumn(bar_width=40),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        console=console,
    )


def _seconds(ms: float) -> str:
    return f"{ms:.1f} ms" if ms < 1_000 else f"{ms / 1_000:.2f} s"
