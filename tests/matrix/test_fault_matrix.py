"""Every dialect under every fault: the peer holds what was meant, each effect took place once, and
hlrd says so.

All pairs run side by side in one event loop, and each is told by its own test. The dice are seeded:
`MATRIX_SEED=7 pytest tests/matrix -k 'eoms and hang'` runs one pair by another seed.
"""

import asyncio
import os
from collections.abc import Callable, Coroutine, Mapping, Sequence
from typing import Any, Final
from zlib import crc32

import pytest

from adapters import DIALECTS
from hlrd.domain.lifecycle import OrderState
from loadtest.faults import Fault
from tests.matrix.lives import life
from tests.matrix.peers import PLAYED
from tests.matrix.stories import (
    LOGINS,
    USERS,
    Effects,
    Ending,
    Name,
    lived,
    named,
    profile_of,
    refused,
    refused_later,
    undone_calmly,
)

SEED: Final = int(os.environ.get("MATRIX_SEED", "1"))

pytestmark = pytest.mark.timeout(240)

AT_ONCE: Final = 24
PAIR_S: Final = 120.0
"""One pair takes a few seconds, on a loaded machine a few tens; one that is stuck is told by
name."""

Pair = tuple[str, Fault]
Names = tuple[Sequence[Name], Sequence[Name]]


class Measure:
    """What the stories of a dialect come to when nothing befalls them. Each is lived once."""

    def __init__(self, dialect: str) -> None:
        self.dialect = dialect
        self._told: dict[Any, asyncio.Task[Any]] = {}

    async def lived(self) -> Ending:
        ending: Ending = await self._once("lived", lambda: lived(self.dialect, SEED))
        assert set(ending.states) == {OrderState.SUCCEEDED}
        return ending

    async def undone(self, done: int) -> Ending:
        ending: Ending = await self._once(done, lambda: undone_calmly(self.dialect, SEED, done))
        assert set(ending.states) <= {OrderState.SUCCEEDED}
        return ending

    async def names(self) -> Names:
        names: Names = await self._once("names", lambda: named(self.dialect, SEED))
        assert all(names)
        return names

    async def _once(self, name: Any, story: Callable[[], Coroutine[Any, Any, Any]]) -> Any:
        if name not in self._told:
            self._told[name] = asyncio.create_task(story())
        return await self._told[name]


async def under(measure: Measure, fault: Fault) -> None:
    """Raises AssertionError when one side is not as it should be."""
    seed = SEED * 1_000_003 + crc32(f"{measure.dialect} {fault}".encode())
    try:
        async with asyncio.timeout(PAIR_S):
            if fault is Fault.REFUSE:
                await _under_refusals(measure, seed)
            else:
                await _under_what_passes(measure, fault, seed)
    except (AssertionError, TimeoutError) as error:
        error.add_note(f"MATRIX_SEED={SEED}")
        raise


async def _under_what_passes(measure: Measure, fault: Fault, seed: int) -> None:
    opening, later = await measure.names()
    servers = 1 + max(name.server for name in opening)
    profiles = [
        profile_of(
            fault, dict.fromkeys(name.command for name in (*opening, *later) if name.server == at)
        )
        for at in range(servers)
    ]
    ending, _ = await asyncio.gather(
        lived(measure.dialect, seed, profiles),
        _nobody_is_opened(measure, opening[-1], fault, seed),
    )
    assert [once for once in ending.once_left if once.command not in LOGINS] == []
    assert ending.befell[fault] >= len({name[:2] for name in (*opening, *later)})
    _is_as(await measure.lived(), ending)


async def _under_refusals(measure: Measure, seed: int) -> None:
    """Each command that has an effect is refused, at each system of a chain."""
    opening, later = await measure.names()
    await asyncio.gather(
        *(_nobody_is_opened(measure, name, Fault.REFUSE, seed) for name in opening),
        *(_people_help(measure, name, seed) for name in later),
    )


async def _nobody_is_opened(measure: Measure, name: Name, fault: Fault, seed: int) -> None:
    """Refused at `name`: what was done before it is undone, also under `fault`."""
    ending = await refused(measure.dialect, seed, name, profile_of(fault))
    clean = await measure.undone(name.done_before)
    whole = await measure.undone(len(life(measure.dialect, USERS[0]).opening))
    assert set(ending.states) == {OrderState.FAILED}, name
    assert ending.held == clean.held, name
    effects = _effects_at(list(clean.held)[name.server :], ending)
    assert {key: count for key, count in effects.items() if count > whole.effects.get(key, 0)} == {}
    assert ending.unknown_codes == 0, name


async def _people_help(measure: Measure, name: Name, seed: int) -> None:
    """Refused at `name`: the order waits for a person, who sends it again."""
    ending = await refused_later(measure.dialect, seed, name)
    assert OrderState.FALLOUT in ending.states, name
    _is_as(await measure.lived(), ending, at=name.server)


def _is_as(wanted: Ending, ending: Ending, *, at: int = 0) -> None:
    """Systems before `at` were asked twice for what that one refused the first time."""
    done = [state for state in ending.states if state is not OrderState.FALLOUT]
    assert done == wanted.states
    assert ending.held == wanted.held
    servers = list(wanted.held)[at:]
    assert _effects_at(servers, ending) == _effects_at(servers, wanted)
    assert ending.unknown_codes == 0


def _effects_at(servers: Sequence[str], ending: Ending) -> Effects:
    return {key: count for key, count in ending.effects.items() if key[0] in servers}


async def _all(pairs: Sequence[Pair]) -> Mapping[Pair, BaseException | None]:
    places = asyncio.Semaphore(AT_ONCE)
    measures = {dialect: Measure(dialect) for dialect in dict.fromkeys(pair[0] for pair in pairs)}

    async def run(dialect: str, fault: Fault) -> None:
        async with places:
            await under(measures[dialect], fault)

    endings = await asyncio.gather(*(run(*pair) for pair in pairs), return_exceptions=True)
    return dict(zip(pairs, endings, strict=True))


@pytest.fixture(scope="module")
def told(request: pytest.FixtureRequest) -> Mapping[Pair, BaseException | None]:
    """Of the pairs that were chosen: what was wrong, if anything."""
    items: list[Any] = request.session.items
    mine = [item for item in items if item.module is request.module and hasattr(item, "callspec")]
    chosen = [item.callspec.params for item in mine]
    return asyncio.run(_all([(each["dialect"], each["fault"]) for each in chosen]))


@pytest.mark.parametrize("fault", list(Fault))
@pytest.mark.parametrize("dialect", list(DIALECTS))
def test_both_sides_are_right_whatever_befalls(
    told: Mapping[Pair, BaseException | None], dialect: str, fault: Fault
) -> None:
    wrong = told[dialect, fault]
    if wrong is not None:
        raise wrong


def test_every_dialect_is_played() -> None:
    assert set(PLAYED) == set(DIALECTS)
