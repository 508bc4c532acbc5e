"""Plays flows: each on a site of its layout, its story recorded, its checks proven."""

import asyncio
import time
from collections.abc import AsyncGenerator, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from typing import Final

import aiohttp

from loadtest.business.message import Message
from loadtest.business.northbound import LoginRefused
from loadtest.client import Refused
from loadtest.flow.flow import QUIET_S, Check, Figure, Flow, Layout, Run
from loadtest.flow.sequence import merge
from loadtest.flow.site import Site, standing
from loadtest.process import StackError

FAILURES: Final = (StackError, Refused, LoginRefused, aiohttp.ClientError, OSError, TimeoutError)
"""Of the system under test; anything else is a bug of the flow and is raised."""


@dataclass(frozen=True, slots=True)
class Result:
    """What came of a check."""

    sentence: str
    figures: Sequence[Figure]
    seconds: float
    is_fault: bool
    error: str = ""

    @property
    def holds(self) -> bool:
        return not self.error and all(figure.holds for figure in self.figures)


@dataclass(slots=True)
class Played:
    """What came of a flow. `messages` are its story, in the order of time."""

    flow: Flow
    size: int
    messages: Sequence[Message] = ()
    results: list[Result] = field(default_factory=list)
    error: str = ""  #: that ended the story

    @property
    def holds(self) -> bool:
        return not self.error and all(result.holds for result in self.results)


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """How flows are to be played."""

    size: int | None = None  #: None: each flow's own
    is_small: bool = False  #: their sizes of the tests
    with_checks: bool = True
    with_faults: bool = False
    in_one_process: bool = False  #: all roles in one hlrd, where a flow can be told so
    seed: int = 1

    def layout_of(self, flow: Flow) -> Layout:
        acts = flow.acts
        return acts.one_process if self.in_one_process and acts.one_process else acts.layout

    def size_of(self, flow: Flow) -> int:
        if self.size is not None:
            return self.size
        return flow.acts.small if self.is_small else flow.acts.size


async def play_all(flows: Sequence[Flow], wish: Wish) -> AsyncGenerator[Played, None]:
    """In their order; those of one layout that follow one another share a site."""
    for layout, grouped in groupby(flows, key=wish.layout_of):
        group = list(grouped)
        largest = max(wish.size_of(flow) for flow in group)
        async with standing(layout, seed=wish.seed, size=largest) as site:
            for flow in group:
                played = await play(flow, site, wish)
                site.is_kept |= not played.holds
                yield played


async def play(flow: Flow, site: Site, wish: Wish) -> Played:
    played = Played(flow, wish.size_of(flow))
    run = Run(site, played.size, wish.seed, is_small=wish.is_small)
    try:
        played.messages = await record(flow, run)
    except FAILURES as error:
        played.error = _told(error)
        return played
    wanted = [(check, False) for check in flow.acts.checks if wish.with_checks]
    wanted += [(check, True) for check in flow.acts.faults if wish.with_faults]
    for check, is_fault in wanted:
        played.results.append(await _proven(check, run, is_fault=is_fault))
    return played


async def record(flow: Flow, run: Run) -> list[Message]:
    """One story, from its first message to the last that came of it; what the flow before it left
    to be said is said by then."""
    while merge(await run.site.recorded()):  # noqa: ASYNC110 - other processes speak
        await asyncio.sleep(QUIET_S)
    await flow.acts.story(run)
    said: list[Message] = []
    while True:
        more = await run.site.recorded()
        if said and not merge(more):
            return merge(said, kept_by=flow.acts.kept_by)
        said += more
        await asyncio.sleep(QUIET_S)


async def _proven(check: Check, run: Run, *, is_fault: bool) -> Result:
    started_s, error, figures = time.monotonic(), "", list[Figure]()
    try:
        figures = list(await check.prove(run))
    except FAILURES as failure:
        error = _told(failure)
    seconds = time.monotonic() - started_s
    return Result(check.told(run.size), figures, seconds, is_fault, error)


def _told(error: BaseException) -> str:
    return "\n".join([str(error) or type(error).__name__, *getattr(error, "__notes__", [])])
