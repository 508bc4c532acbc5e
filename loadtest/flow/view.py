"""What a person sees of a flow: the sequence as it happened, then each check with its figures."""

from collections.abc import Sequence
from typing import Final

from rich.console import Console
from rich.markup import escape
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from loadtest.flow.flow import Flow
from loadtest.flow.runner import Played, Result
from loadtest.flow.sequence import fold
from loadtest.view import View

DETAIL_MAX: Final = 60
WIDTH_MAX: Final = 140
WIDE: Final = 120


class FlowView(View):
    def __init__(self, console: Console | None = None) -> None:
        super().__init__(console)
        width = self.console.size.width if self.console.is_terminal else WIDTH_MAX
        self.console.width = min(width, WIDTH_MAX)

    def listing(self, flows: Sequence[Flow]) -> None:
        """Two lines each, within 80 columns; where there is more room, the orders too."""
        is_wide = self.console.width >= WIDE
        columns = ["id", "name to run it by", "page", "flow", *(["orders"] if is_wide else [])]
        table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
        for column in columns:
            table.add_column(column, no_wrap=column != "flow")
        for flow in flows:
            names = Text(flow.chinese).append(f"\n{flow.english}", style="dim")
            row: list[str | Text] = [flow.id, flow.slug, flow.page, names]
            table.add_row(*row, *(["\n".join(flow.kinds) or "none"] if is_wide else []))
        self.console.print(table)
        self.console.print(
            "\npython -m loadtest flow F10        one; or by name: arrears, 欠费停机; or all"
            "\n  --faults  also when it fails     --html FILE  the sequence as a diagram",
            highlight=False,
        )

    def played(self, played: Played) -> None:
        self.headline(played.flow)
        self.sequence(played)
        for is_fault, title in ((False, "acceptance"), (True, "when it fails")):
            results = [each for each in played.results if each.is_fault is is_fault]
            if results:
                self.console.print(f"\n[bold]{title}[/]")
            for result in results:
                self.result(result)
        if played.error:
            self.fail(f"the story did not end: {played.error}")
        self.console.print()

    def headline(self, flow: Flow) -> None:
        self.console.rule(f"[bold]{flow.id}[/]  {flow.chinese}  {flow.english}", align="left")
        kinds = ", ".join(flow.kinds) or "no order of hlrd"
        self.console.print(f"[dim]{flow.page}   {kinds}[/]\n")

    def sequence(self, played: Played) -> None:
        """A line a message, however long its detail: what a terminal is too narrow for is left
        off."""
        table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
        table.add_column("ms", justify="right", no_wrap=True)
        for column in ("who", "", "to whom"):
            table.add_column(column, no_wrap=True)
        table.add_column("what")  # the only one to give way, as its cells are cut
        started_s = min((message.at for message in played.messages), default=0.0)
        for step in fold(played.messages):
            message = step.message
            style = "" if message.is_answer else "bold"
            shown = Text(message.name, style, no_wrap=True, overflow="ellipsis")
            shown.append(f" ×{step.times}" if step.times > 1 else "")
            shown.append(f"  {cut(message.detail)}", style="dim")
            at_ms = f"{(message.at - started_s) * 1_000:,.0f}"
            arrow = "<-" if message.is_answer else "->"
            table.add_row(at_ms, *sides(message.sender, arrow, message.receiver), shown)
        self.console.print(table)

    def result(self, result: Result) -> None:
        mark = "[green]pass[/]" if result.holds else "[bold red]FAIL[/]"
        told = Table.grid(padding=(0, 2, 0, 0))  # what is too long for a line goes on below itself
        told.add_row(f"  {mark}", f"{escape(result.sentence)}  [dim]{result.seconds:.1f} s[/]")
        self.console.print(told)
        for figure in result.figures:
            found = figure.found if figure.holds else f"{figure.found}, wanted {figure.wanted}"
            style = "dim" if figure.holds else "red"
            shown = f"[{style}]{escape(figure.what)}: {escape(found)}[/]"
            self.console.print(Padding(shown, (0, 0, 0, 8), expand=False))
        if result.error:
            self.console.print(Text(f"        {result.error}", style="red"), soft_wrap=True)

    def summary(self, all_played: Sequence[Played]) -> None:
        results = [result for played in all_played for result in played.results]
        failed = [played.flow.id for played in all_played if not played.holds]
        text = f"{_counted(len(all_played), 'flow')}, {_counted(len(results), 'check')}"
        if failed:
            self.fail(f"{text}; what fails: {', '.join(failed)}")
        else:
            self.proven(f"{text}, {'' if len(results) == 1 else 'every one '}passed")


def _counted(count: int, what: str) -> str:
    return f"{count} {what}" if count == 1 else f"{count} {what}s"


def cut(detail: str) -> str:
    return detail if len(detail) <= DETAIL_MAX else f"{detail[: DETAIL_MAX - 1]}…"


def sides(sender: str, arrow: str, receiver: str) -> tuple[str, str, str]:
    """An answer is read from right to left, so that a pair stands below itself."""
    return (receiver, arrow, sender) if arrow == "<-" else (sender, arrow, receiver)
