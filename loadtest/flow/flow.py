"""What a flow is: a story that is recorded, checks that prove it, and what must hold when it fails.

A family of flows (loadtest.flow.arrears and the like) writes one `Acts` a flow; the catalogue puts
its names and its page beside.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from random import Random
from typing import Any, Final

from loadtest.flow.site import Site

QUIET_S: Final = 0.15
"""Nobody has anything more to say who has said nothing for so long."""

SMALL_PATIENCE: Final = 60.0
"""An answer in 6 s instead of 100 ms: late enough for any machine, and still no answer of somebody
who waits for what is down, which would be none."""

SHOWN_MAX: Final = 3
"""Examples of what is wrong, for a person to start from."""


@dataclass(frozen=True, slots=True)
class Figure:
    """One thing that a check looked at."""

    what: str
    found: str
    wanted: str
    holds: bool


@dataclass(slots=True)
class Run:
    """One flow on its site. `size` is how many of what its acceptance sentences count."""

    site: Site
    size: int
    seed: int
    is_small: bool = False  #: a test among others: times say little
    random: Random = field(init=False)

    def __post_init__(self) -> None:
        self.random = Random(self.seed)

    def patient(self, limit: float) -> float:
        """A limit of time as it holds here: a small run shares its machine with other tests."""
        return limit * SMALL_PATIENCE if self.is_small else limit

    async def begins(self) -> None:
        """What was said so far made ready for the story, and is no part of it."""
        while await self.site.recorded():  # noqa: ASYNC110 - of other processes
            await asyncio.sleep(QUIET_S)


@dataclass(frozen=True, slots=True)
class Check:
    """An acceptance sentence, and how it is proven. `{size}` in the sentence is the run's size."""

    sentence: str
    prove: Callable[[Run], Awaitable[Sequence[Figure]]]

    def told(self, size: int) -> str:
        return self.sentence.format(size=f"{size:,}")


def check(sentence: str) -> Callable[[Callable[[Run], Awaitable[Sequence[Figure]]]], Check]:
    """Decorates an async function of a Run: `@check("all {size} members are at the HLR")`."""
    return lambda prove: Check(sentence, prove)


Layout = Callable[[Site], Awaitable[None]]
"""Starts everything that the flows of a family need. Flows of one layout share a site."""

Legs = Sequence[frozenset[str]]
"""What runs side by side, so that messages of two legs may swap from run to run. A leg holds names
of messages (`用户状态变更请求`), accesses by database (`CRM DB 修改用户状态信息`) and participants:
what two of those say to each other is on it. The first leg that fits counts."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Acts:
    """What a flow does.

    `story` is one instance from its first message to its last, awaited: it is recorded, printed and
    drawn. `checks` are the acceptance sentences, `faults` the failure path with checks of its own;
    each leaves the site as healthy as it found it. `size` is the number that the seeds' reference
    asks for, `small` the one of the tests.
    """

    layout: Layout
    story: Callable[[Run], Awaitable[None]]
    checks: Sequence[Check]
    faults: Sequence[Check]
    size: int = 1
    small: int = 1
    legs: Legs = ()
    one_process: Layout | None = None  #: with all roles in one hlrd, where that is another
    kept_by: str = ""  #: whose first heartbeat on its channel is part of the story


@dataclass(frozen=True, slots=True, kw_only=True)
class Flow:
    """A row of the catalogue."""

    id: str
    slug: str  #: English, as typed on the command line
    english: str
    chinese: str
    page: str  #: of the seed documents: "S1 p21", "S2 (7)"
    kinds: Sequence[str]  #: of hlrd's orders
    systems: Sequence[str]  #: that take part, beside hlrd
    acts: Acts

    @property
    def command(self) -> str:
        return f"python -m loadtest flow {self.id}"


def seeded(run: Run, values: Sequence[Any]) -> list[Any]:
    """In an order that the run's seed draws."""
    shuffled = list(values)
    run.random.shuffle(shuffled)
    return shuffled


# Figures, as checks make them.


def equal(what: str, found: Any, wanted: Any) -> Figure:
    return Figure(what, _shown(found), _shown(wanted), found == wanted)


def at_most(what: str, found: float, limit: float, *, unit: str = "") -> Figure:
    return Figure(what, _measured(found, unit), f"<= {_measured(limit, unit)}", found <= limit)


def at_least(what: str, found: float, limit: float, *, unit: str = "") -> Figure:
    return Figure(what, _measured(found, unit), f">= {_measured(limit, unit)}", found >= limit)


def none(what: str, wrong: Sequence[Any]) -> Figure:
    """Nothing is wrong; or how many, with a few of them."""
    few = ", ".join(_nested(each) for each in wrong[:SHOWN_MAX])
    found = f"{len(wrong):,}: {few}" if wrong else "none"
    return Figure(what, found, "none", not wrong)


def percentile(values: Sequence[float], rank: float) -> float:
    """Nearest rank; 0.0 of nothing."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(rank * len(ordered)))] if ordered else 0.0


def _shown(value: Any) -> str:
    """As a person writes it, to any depth."""
    match value:
        case None | "":
            return "nothing"
        case bool():
            return "yes" if value else "no"
        case int():
            return f"{value:,}"
        case dict():
            return ", ".join(f"{_shown(key)}: {_nested(it)}" for key, it in value.items()) or "none"
        case list() | tuple():
            return ", ".join(_nested(each) for each in value) or "none"
        case set() | frozenset():
            return ", ".join(sorted(_nested(each) for each in value)) or "none"
        case _:
            return str(value)


def _nested(value: Any) -> str:
    is_many = isinstance(value, dict | list | tuple | set | frozenset)
    return f"({_shown(value)})" if is_many else _shown(value)


def _measured(value: float, unit: str) -> str:
    text = f"{value:,.0f}" if abs(value) >= 100 or value == int(value) else f"{value:,.2f}"
    return f"{text} {unit}".rstrip()
