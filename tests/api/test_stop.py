"""What a client gets that waits while the daemon stops."""

import asyncio

from tests.api.client import World, a_member_activation, until


async def test_a_long_poll_ends_with_an_empty_page(world: World) -> None:
    world.receipts.hangs = True

    async with asyncio.timeout(30), asyncio.TaskGroup() as group:
        polling = group.create_task(world.ask("GET", "/v1/receipts?after=7&wait=60"))
        await until(lambda: bool(world.receipts.waits))
        await world.stop()

    assert (polling.result().status, polling.result().json["cursor"]) == (200, 7)


async def test_a_waiting_order_is_answered_as_it_stands(world: World) -> None:
    async with asyncio.timeout(30), asyncio.TaskGroup() as group:
        waiting = group.create_task(
            world.post_order(a_member_activation(), headers={"Prefer": "wait=60"})
        )
        await until(lambda: bool(world.book.waiters))
        await world.stop()

    assert (waiting.result().status, waiting.result().json["state"]) == (202, "executing")
    assert world.book.waiters == {}


async def test_whoever_comes_too_late_is_not_kept_either(world: World) -> None:
    await world.app.shutdown()

    async with asyncio.timeout(30):
        reply = await world.post_order(a_member_activation(), headers={"Prefer": "wait=60"})

    assert reply.status == 202
