"""`hlrd session`, against a real API."""

from hlrd.domain.orders import Source
from tests.api.client import World, a_world, password
from tests.cli.test_commands import run, said


async def log_in(world: World, said: str) -> int:
    body = {"user": "ESOP", "password": said}
    return (await world.ask("POST", "/v1/sessions", source=None, json=body)).status


async def test_staff_lists_and_closes_sessions() -> None:
    async with a_world() as world:
        await log_in(world, password(Source.ESOP))
        listed = await run(world, "session", "list")
        closed = await run(world, "session", "close", "ESOP-7-1")
        again = await run(world, "session", "close", "ESOP-7-1")

    assert "ESOP-7-1 ESOP 127.0.0.1 2026-11-21T20:16:40+08:00" in said(listed)
    assert "ESOP ESOP 1" in said(listed)
    assert said(closed).endswith("ESOP-7-1 is closed")
    assert str(again.exception).startswith("SESSION_UNKNOWN: ")


async def test_staff_unlocks_an_account() -> None:
    async with a_world() as world:
        locked = [await log_in(world, "not the password") for _ in range(5)]
        listed = await run(world, "session", "list")
        unlocked = await run(world, "session", "unlock", "ESOP")
        status = await log_in(world, password(Source.ESOP))

    assert locked[-1] == 423
    assert "ESOP ESOP 0 2026-11-21T20:21:40+08:00" in said(listed)
    assert said(unlocked).endswith("ESOP ESOP 0 └─────────┴────────┴──────────┴──────────────┘")
    assert status == 201
