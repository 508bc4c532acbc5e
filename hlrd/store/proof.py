"""The proof over the whole database: nothing lost, nothing twice, nothing leaked."""

from collections import Counter
from dataclasses import asdict, dataclass
from typing import Final

from hlrd.pool.lease import What
from hlrd.store import leasing
from hlrd.store.connection import Connection
from hlrd.store.errors import translated
from hlrd.store.leasing import LeaseRow, RangeSource
from hlrd.store.queries import query
from hlrd.store.stocktake import Stocktake

_COUNTS: Final = query("proof_counts")
_LEASES: Final = query("leases")
_SLICE: Final = 10_000


@dataclass(frozen=True, slots=True)
class Proof:
    orders: int
    final_receipts: int
    open_orders: int
    bindings: int
    pool_size: int
    numbers: dict[str, int]  #: by NumberState, over all pools; they sum up to pool_size
    receipts_without_order: int
    orders_twice: int
    receipts_twice: int
    identities_twice: int  #: numbers, IMSIs or ICCIDs bound more than once
    holds_stranded: int  #: recycled numbers or cards that name a lease that is no more
    reserved_stranded: int  #: numbers or cards kept for a reservation that is over, or for none
    claims_stranded: int  #: of changes of card or number that are closed
    fallouts_stranded: int  #: at the desk though closed, or fallen out and not at the desk
    numbers_leaked: int  #: passed by their range's counter, and nowhere
    cards_leaked: int  #: passed by their lot's counter, and nowhere

    def faults(self) -> list[str]:
        """What is wrong, in words; empty when the database is sound."""
        counts = asdict(self)
        faults = [f"{name}: {counts[name]}" for name in _MUST_BE_ZERO if counts[name]]
        total = sum(self.numbers.values())
        if total != self.pool_size or min(self.numbers.values(), default=0) < 0:
            faults.append(f"numbers by state sum up to {total} of {self.pool_size}: {self.numbers}")
        if self.orders - self.open_orders != self.final_receipts - self.receipts_without_order:
            faults.append(
                f"{self.orders - self.open_orders} closed orders, {self.final_receipts} receipts"
            )
        return faults


_MUST_BE_ZERO: Final = (
    "receipts_without_order",
    "orders_twice",
    "receipts_twice",
    "identities_twice",
    "holds_stranded",
    "reserved_stranded",
    "claims_stranded",
    "fallouts_stranded",
    "numbers_leaked",
    "cards_leaked",
)


async def prove(connection: Connection) -> Proof:
    """Reads everything: seconds for millions of numbers. For proofs, when no order is moving."""
    with translated():
        counts = await connection.fetchrow(_COUNTS)
        assert counts is not None
        ranges = await leasing.read_ranges(connection)
        numbers: Counter[str] = Counter()
        for pool in await Stocktake().pools(connection):
            numbers.update(pool.numbers)
        leaked = await _leaked_numbers(connection, ranges)
    return Proof(
        **dict(counts),
        pool_size=sum(item.range.size for item in ranges),
        numbers=dict(numbers),
        numbers_leaked=leaked,
    )


async def _leaked_numbers(connection: Connection, ranges: list[RangeSource]) -> int:
    leases = [
        (row["source_id"], row["start"], row["start"] + row["count"])
        for row in await connection.fetch(_LEASES)
        if row["what"] == What.NUMBERS
    ]
    leaked = 0
    for source in ranges:
        held = [(start, end) for of, start, end in leases if of == source.range.id]
        for start in range(0, source.range.counter, _SLICE):
            count = min(_SLICE, source.range.counter - start)
            leaked += await _leaked_in(connection, source, held, (start, count))
    return leaked


async def _leaked_in(
    connection: Connection,
    source: RangeSource,
    leased: list[tuple[int, int]],
    interval: tuple[int, int],
) -> int:
    """Numbers of an interval of the permutation that are not bound, held or leased."""
    first, count = interval
    passed = LeaseRow(0, What.NUMBERS, source.range.id, first, count)
    numbers = await leasing.numbers_of(passed, source.order)
    known = await leasing.unavailable(connection, numbers)
    return sum(
        number not in known and not any(start <= place < end for start, end in leased)
        for place, number in enumerate(numbers, first)
    )
