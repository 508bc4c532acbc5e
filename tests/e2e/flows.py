"""Flows in small form: every check of every one, and the page that shows their sequences."""

from difflib import unified_diff
from pathlib import Path
from typing import Final

from loadtest.flow import page
from loadtest.flow.catalogue import FLOWS
from loadtest.flow.flow import Flow
from loadtest.flow.runner import Played, Wish, play
from loadtest.flow.site import Site

PAGE: Final = Path(__file__).parents[2] / "docs/flows.md"
SMALL: Final = Wish(is_small=True, with_faults=True)


def ids_of(first: str, last: str) -> list[str]:
    return [flow.id for flow in FLOWS if first <= flow.id <= last]


def flow_of(id: str) -> Flow:
    return next(flow for flow in FLOWS if flow.id == id)


def size_of(ids: list[str]) -> int:
    """The largest of these flows, which their site must have the stock for."""
    return max(flow_of(id).acts.small for id in ids)


async def wrong_with(id: str, site: Site) -> list[str]:
    """A story that did not end, checks that do not hold, a page that shows it otherwise."""
    played = await play(flow_of(id), site, SMALL)
    site.is_kept |= not played.holds
    if played.error:
        return [played.error]
    return [*_unproven(played), *_drawn_otherwise(played)]


async def unproven(id: str, site: Site) -> list[str]:
    """As `wrong_with`, on a site that the page does not show."""
    played = await play(flow_of(id), site, SMALL)
    site.is_kept |= not played.holds
    return [played.error] if played.error else _unproven(played)


def _drawn_otherwise(played: Played) -> list[str]:
    shown = page.diagrams(PAGE.read_text("utf-8")).get(played.flow.id, "")
    drawn = page.diagram(played.flow, played.messages)
    return list(unified_diff(shown.splitlines(), drawn.splitlines(), str(PAGE), "the run", n=1))


def _unproven(played: Played) -> list[str]:
    failed = [result for result in played.results if not result.holds]
    figures = [
        f"{result.sentence}: {figure.what}: {figure.found}, wanted {figure.wanted}"
        for result in failed
        for figure in result.figures
        if not figure.holds
    ]
    return figures + [f"{result.sentence}: {result.error}" for result in failed if result.error]
