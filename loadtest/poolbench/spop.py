"""(c): numbers as members of a Redis set; no order, no binding, no transaction."""

import asyncio
from time import perf_counter
from typing import Final

from redis.asyncio import Redis

from loadtest.poolbench.database import PEER_NUMBERS
from loadtest.poolbench.meter import Meter
from loadtest.poolbench.orders import FIRST

CLIENTS: Final = 64
_KEY: Final = "idle"
_ADDED_AT_ONCE: Final = 10_000


async def spop(address: str, meter: Meter, seconds: float, *, depth: int = 1) -> None:
    """`address`: a URL of redis-py. `depth`: numbers asked for in one pipeline."""
    await _fill(address)
    clients = [_client(address) for _ in range(CLIENTS)]
    work = _one_by_one if depth == 1 else _pipelined
    await asyncio.gather(meter.run(seconds), *(work(each, meter, depth) for each in clients))
    left = await clients[0].scard(_KEY)
    assert left == PEER_NUMBERS - len(meter.numbers), f"{left} are left in the set"
    for client in clients:
        await client.aclose()


async def _one_by_one(client: Redis, meter: Meter, _: int) -> None:
    while meter.is_on:
        started = perf_counter()
        number = await client.spop(_KEY)
        assert isinstance(number, bytes), "the set ran dry"
        meter.took(int(number), perf_counter() - started)


async def _pipelined(client: Redis, meter: Meter, depth: int) -> None:
    while meter.is_on:
        started = perf_counter()
        pipeline = client.pipeline(transaction=False)
        for _ in range(depth):
            pipeline.spop(_KEY)
        numbers = await pipeline.execute()
        took_s = perf_counter() - started
        for number in numbers:
            meter.took(int(number), took_s)


async def _fill(address: str) -> None:
    client = _client(address)
    await client.flushall()
    for start in range(FIRST, FIRST + PEER_NUMBERS, _ADDED_AT_ONCE):
        await client.sadd(_KEY, *range(start, start + _ADDED_AT_ONCE))
    await client.aclose()


def _client(address: str) -> Redis:
    return Redis.from_url(address, single_connection_client=True)
