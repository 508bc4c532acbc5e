"""What the clients do with numbers: reserve, choose, open, terminate, cancel, let expire."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import Final

from loadtest.torture.client import Client

SHORT_TTL_S: Final = 2
_NAMED_MAX: Final = 3
_PAUSE_S: Final = 0.05
"""After a refusal: others must let go first."""


async def reserve_and_cancel(client: Client) -> None:
    made = await client.reserve(client.random.randint(10, 100))
    if made is not None:
        await client.cancel(made, holds=len(made.numbers))


async def reserve_many(client: Client) -> None:
    """More than a slice, and than a page; refused whole where the pool has not as many."""
    made = await client.reserve(client.random.randint(500, 1_500))
    if made is not None:
        await client.cancel(made, holds=len(made.numbers))


async def reserve_and_extend(client: Client) -> None:
    """In the last moment, or too late."""
    made = await client.reserve(client.random.randint(10, 50), ttl_s=SHORT_TTL_S)
    if made is None:
        return
    await asyncio.sleep(client.random.uniform(SHORT_TTL_S - 1, SHORT_TTL_S + 0.2))
    if await client.extend(made):
        await client.cancel(made, holds=len(made.numbers))


async def offer_and_choose(client: Client) -> None:
    """The page of numbers that a customer chooses from."""
    made = await client.reserve(client.random.randint(10, 50))
    if made is None:
        return
    kept = client.random.sample(list(made.numbers), client.random.randint(1, 5))
    await client.choose(made, kept)
    await client.cancel(made, holds=len(kept))


async def reserve_and_forget(client: Client) -> None:
    made = await client.reserve(client.random.randint(10, 50), ttl_s=SHORT_TTL_S)
    if made is None:
        return
    await asyncio.sleep(SHORT_TTL_S)
    await client.outlive(made)


async def reserve_and_open(client: Client) -> None:
    """Some of the numbers get users, who leave; the rest is let go while they are in service."""
    made = await client.reserve(client.random.randint(10, 40))
    if made is None:
        return
    wanted = client.random.randint(1, len(made.numbers))
    opened = await client.open(wanted, fails=client.random.random() < 0.5, reservation=made.id)
    await client.cancel(made, holds=len(made.numbers) - wanted)
    await client.terminate(opened)


async def reserve_by_name(client: Client) -> None:
    """What others had a moment ago, or have still: then it is refused."""
    if len(client.tally.seen) < _NAMED_MAX:
        return
    names = client.random.sample(client.tally.seen, client.random.randint(1, _NAMED_MAX))
    made = await client.reserve_named(sorted(set(names)))
    if made is not None:
        await client.cancel(made, holds=len(made.numbers))


async def open_by_name(client: Client) -> None:
    if client.tally.seen:
        name = client.random.choice(client.tally.seen)
        await client.terminate(await client.open(1, msisdn=name))


async def open_and_terminate(client: Client) -> None:
    await client.terminate(await client.open(client.random.randint(5, 30)))


async def open_in_vain(client: Client) -> None:
    """The HLR refuses, and what was drawn goes back."""
    await client.open(client.random.randint(5, 30), fails=True)


ACTS: Final[Mapping[Callable[[Client], Awaitable[None]], float]] = {
    reserve_and_cancel: 0.61,
    reserve_many: 0.02,
    reserve_and_extend: 0.02,
    offer_and_choose: 0.08,
    reserve_and_forget: 0.03,
    reserve_and_open: 0.07,
    reserve_by_name: 0.05,
    open_by_name: 0.03,
    open_and_terminate: 0.05,
    open_in_vain: 0.05,
}
"""By how often. Opening costs three exchanges with network elements, and most of it a card."""


async def keep_on(client: Client, *, is_over: Callable[[], bool]) -> None:
    """One act after another, then leave something standing for the checker to find."""
    acts, weights = list(ACTS), list(ACTS.values())
    while not is_over():
        before = client.tally.refused.total()
        (act,) = client.random.choices(acts, weights)
        await act(client)
        if client.tally.refused.total() > before:
            await asyncio.sleep(client.random.uniform(0, _PAUSE_S))
    await leave_standing(client)


async def leave_standing(client: Client) -> None:
    """Users in service, of a reservation and of the pool, and a reservation with numbers left."""
    made = await client.reserve(20, partial=True)
    if made is not None:
        await client.open(5, reservation=made.id)
    await client.open(5)
