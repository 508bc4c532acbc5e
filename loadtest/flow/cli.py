"""`python -m loadtest flow …`: runs flows of the seed documents and proves them.

Exit code 0: every story ended and every check passed. 1: not so. 2: no such flow, or no
such file to write.
"""

from collections.abc import Sequence
from contextlib import aclosing
from pathlib import Path
from typing import Annotated, Final

import msgspec
import typer

from loadtest.flow import html, page
from loadtest.flow.catalogue import FLOWS, find
from loadtest.flow.flow import Flow
from loadtest.flow.runner import Played, Wish, play_all
from loadtest.flow.view import FlowView
from loadtest.owner import run_until_signal
from loadtest.process import StackError

SIZE_MAX: Final = 200_000
"""Stock for so many is made before anything runs, and cannot be stopped meanwhile."""


class NotProven(StackError):
    """A story did not end, or a check fails."""


def flow(
    names: Annotated[
        list[str] | None,
        typer.Argument(help="F10, a name such as arrears or 欠费停机, or all; none: the list."),
    ] = None,
    *,
    faults: Annotated[bool, typer.Option(help="Also what must hold when it fails.")] = False,
    size: Annotated[
        int | None,
        typer.Option(
            min=1, max=SIZE_MAX, help="How many, where the checks count; absent: each own."
        ),
    ] = None,
    small: Annotated[bool, typer.Option(help="The sizes of the tests.")] = False,
    seed: Annotated[int, typer.Option(help="Of all chance.")] = 1,
    one_process: Annotated[
        bool, typer.Option("--one-process", help="Province and headquarters in one hlrd.")
    ] = False,
    html_file: Annotated[
        Path | None, typer.Option("--html", help="Write sequences and checks as a page.")
    ] = None,
    json_file: Annotated[
        Path | None, typer.Option("--json", help="Write the same for programs.")
    ] = None,
    page_file: Annotated[
        Path | None, typer.Option("--page", help="Redraw these flows in docs/flows.md.")
    ] = None,
) -> None:
    """Tell the flows of the two seed documents, each on systems of its own, and prove them."""
    view = FlowView()
    for file in (html_file, json_file, page_file):
        if file is not None:
            _refuse_unwritable(file, view)
    if not names:
        view.listing(FLOWS)
        return
    wish = Wish(
        size=size,
        is_small=small,
        with_faults=faults,
        in_one_process=one_process,
        seed=seed,
    )
    played: list[Played] = []
    code = run_until_signal(_run(_chosen(names, view), wish, view, played), on_failure=view.fail)
    if html_file is not None:
        html_file.write_text(html.page(played), "utf-8")
    if json_file is not None:
        json_file.write_bytes(msgspec.json.encode([told(each) for each in played]))
    if page_file is not None and code == 0:
        page_file.write_text(redrawn(page_file, played), "utf-8")
    raise typer.Exit(code)


def _refuse_unwritable(file: Path, view: FlowView) -> None:
    """Before the flows have run for minutes, not after. What is there stays as it is."""
    is_new = not file.exists()
    try:
        with file.open("ab"):
            pass
    except OSError as error:
        view.fail(f"cannot write {file}: {error.strerror}")
        raise typer.Exit(2) from error
    if is_new:
        file.unlink()


def redrawn(file: Path, played: Sequence[Played]) -> str:
    """The page, with the diagrams of what was not played as they were."""
    kept = page.diagrams(file.read_text("utf-8")) if file.exists() else {}
    drawn = {each.flow.id: page.diagram(each.flow, each.messages) for each in played}
    return page.draw(kept | drawn)


def told(played: Played) -> dict[str, object]:
    """For programs."""
    return {
        "flow": played.flow.id,
        "size": played.size,
        "holds": played.holds,
        "error": played.error,
        "messages": played.messages,
        "checks": [
            {**msgspec.to_builtins(result), "holds": result.holds} for result in played.results
        ],
    }


async def _run(flows: list[Flow], wish: Wish, view: FlowView, played: list[Played]) -> None:
    async with aclosing(play_all(flows, wish)) as plays:
        async for each in plays:
            played.append(each)
            view.played(each)
    view.summary(played)
    if not all(each.holds for each in played):
        raise NotProven("what does not hold is marked FAIL above")


def _chosen(names: list[str], view: FlowView) -> list[Flow]:
    """Each once, in the order of the catalogue."""
    chosen: dict[str, Flow] = {}
    for name in names:
        found = find(name)
        if not found:
            view.listing(FLOWS)
            view.fail(f"no flow is called {name!r}; the list above has all of them")
            raise typer.Exit(2)
        chosen |= {flow.id: flow for flow in found}
    return [flow for flow in FLOWS if flow.id in chosen]
