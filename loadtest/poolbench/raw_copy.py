"""(d): the very rows that (e) writes, made beforehand, by nothing but COPY."""

import asyncio
from collections.abc import Iterator
from random import sample
from time import perf_counter
from typing import Final, NamedTuple

from hlrd.domain.identity import MSISDN
from hlrd.store.batch import BINDING_COLUMNS, ORDER_COLUMNS, binding_rows, order_row
from hlrd.store.connection import BY_KEY, Connection, connect, count_moments
from loadtest.poolbench import orders
from loadtest.poolbench.database import PEER_NUMBERS
from loadtest.poolbench.meter import WARM_UP_S, Meter
from loadtest.poolbench.orders import FIRST

CONNECTIONS: Final = 2
BATCH_ROWS: Final = 1_000
_ROWS_PER_S_MAX: Final = 100_000
_FIRST_ID: Final = 1 << 40


class _Batch(NamedTuple):
    orders: list[tuple[object, ...]]
    bindings: list[tuple[object, ...]]
    numbers: list[int]


async def raw_copy(dsn: str, meter: Meter, seconds: float) -> None:
    left = iter(list(_batches(round(_ROWS_PER_S_MAX * (seconds + WARM_UP_S)))))
    connections = [await connect(dsn, "bench", **BY_KEY) for _ in range(CONNECTIONS)]
    for connection in connections:
        await count_moments(connection)
    await asyncio.gather(
        meter.run(seconds),
        *(_copy(connection, left, meter) for connection in connections),
    )


async def _copy(connection: Connection, left: Iterator[_Batch], meter: Meter) -> None:
    while meter.is_on and (batch := next(left, None)):
        started = perf_counter()
        async with connection.transaction():
            await connection.copy_records_to_table(
                "work_order", records=batch.orders, columns=ORDER_COLUMNS
            )
            await connection.copy_records_to_table(
                "binding", records=batch.bindings, columns=BINDING_COLUMNS
            )
        took_s = perf_counter() - started
        for number in batch.numbers:
            meter.took(number, took_s)
    meter.end()


def _batches(rows: int) -> Iterator[_Batch]:
    at = orders.now()
    numbers = sample(range(FIRST, FIRST + PEER_NUMBERS), rows)
    made = orders.make(_FIRST_ID, rows)
    for start in range(0, rows, BATCH_ROWS):
        cut = numbers[start : start + BATCH_ROWS]
        records = [
            orders.acceptance(order, MSISDN(str(number)), at)
            for number, order in zip(cut, made, strict=False)
        ]
        yield _Batch(list(map(order_row, records)), list(binding_rows(records)), cut)
