"""Whatever is killed, cut or overtaken when: no number twice, none lost, and every one counted."""

from collections import Counter
from collections.abc import AsyncIterator

import pytest
from structlog.testing import capture_logs

from hlrd.domain.errors import HlrdError
from tests.pool.simulation.mutants import MUTANTS
from tests.pool.simulation.schedule import Schedule
from tests.pool.simulation.server import Server, open_server

pytestmark = pytest.mark.postgres

SEEDS = 100
CHUNKS = 4
SEEDS_FOR_A_MUTANT = 80
MANY = 0.06  # of all statements, and half of the commits


@pytest.fixture
async def server(dsn: str) -> AsyncIterator[Server]:
    server = await open_server(dsn)
    with capture_logs():
        yield server
    server.connection.terminate()


async def ran(seed: int, server: Server, *, faults: float | None = None) -> Schedule:
    schedule = Schedule(seed, server, faults=faults)
    try:
        await schedule.run()
    except Exception as error:
        error.add_note(f"again: python -m tests.pool.simulation --seed {seed}")
        raise
    return schedule


@pytest.mark.parametrize("chunk", range(CHUNKS))
async def test_every_promise_holds_under_every_schedule(chunk: int, server: Server) -> None:
    for seed in range(chunk, SEEDS, CHUNKS):
        await ran(seed, server)


@pytest.mark.parametrize("name", MUTANTS)
async def test_a_pool_with_a_fault_is_found_out(
    name: str, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    MUTANTS[name](monkeypatch)

    for seed in range(SEEDS_FOR_A_MUTANT):
        try:
            await Schedule(seed, server, faults=MANY if seed % 2 else None).run()
        except (AssertionError, HlrdError):
            return
        finally:
            await server.reset()
    pytest.fail(f"{name} passes {SEEDS_FOR_A_MUTANT} schedules")


async def test_one_seed_is_one_run(server: Server) -> None:
    first, second = await ran(11, server), await ran(11, server)

    assert first.seen == second.seen
    assert first.books.bindings == second.books.bindings
    assert first.books.leases == second.books.leases


async def test_the_schedules_meet_what_they_are_meant_to(server: Server) -> None:
    met: Counter[str] = sum([(await ran(seed, server)).seen for seed in range(40)], Counter())

    for event in ("bound", "named", "lock", "unlock", "recycle", "takeover", "fenced", "died",
                  "kill", "clock", "time", "range", "lot",
                  "reserve", "drawn reserved", "cancel"):  # fmt: skip
        assert met[event], f"{event} never happens"


async def test_without_cuts_and_kills_no_run_ends(server: Server) -> None:
    for seed in range(10):
        calm = await ran(seed, server, faults=0)
        assert calm.seen["died"] <= 1  # at the end, when another takes over
        assert not calm.seen["fenced"]
