"""Whether an allocation costs the same whatever the size of the pool, and however full it is.

Each is a burst of 10,000 allocations by 1,024 requesters, out of a memory that the first lease has
filled: all that a pool of 10,000 has, and all that is left of one of ten million that is 99.9 %
in use. The numbers left in a full pool are those that came back: they are on the free list.

No checkpoint comes between the bursts, and the first of the full pool is thrown away: after a
checkpoint PostgreSQL writes the image of each page that is touched for the first time, and a burst
touches 10,000 pages of an index of ten million. At full speed that lasts a second or two in each
quarter of an hour.
"""

from collections.abc import AsyncIterator
from typing import Final

from hlrd.store.connection import Connection
from loadtest.poolbench import database, orders
from loadtest.poolbench.allocation import NODE
from loadtest.poolbench.orders import FIRST
from loadtest.process import StackError

BURST: Final = 10_000
BOUND: Final = 10_000_000
_STRIDE: Final = 1_001
FULL: Final = BOUND // (_STRIDE - 1) * _STRIDE
"""A pool of which every 1,001st number is idle."""

SIZES: Final = {"10^4": 10**4, "10^6": 10**6, "10^9": 10**9, "empty": FULL}
FULL_POOL: Final = "full"

_OWN_FIRST_ID: Final = 1 << 40
"""Orders of the cells' epochs begin here at the lowest; those of the full pool are below."""

_INDEXED: Final = ("work_order", "binding", "receipt")
_FILL: Final = {
    "work_order": f"""
        INSERT INTO work_order SELECT n, 'ESOP', 'FULL-' || n, 'MEMBER_ACTIVATE',
            (2000000000 + n)::text, 'loadtest', '200', 4, decode(md5(n::text), 'hex'),
            convert_to('{{"order_id":"FULL-' || n || '"}}', 'UTF8'), now()
        FROM generate_series(1, {BOUND}) AS n""",
    "binding": f"""
        INSERT INTO binding SELECT {FIRST} + n + (n - 1) / {_STRIDE - 1}, 460980000000000 + n,
            '898698' || lpad(n::text, 14, '0'), (2000000000 + n)::text, n, '{orders.HLR}', '200',
            'k1', decode(repeat(md5(n::text), 3), 'hex'), now()
        FROM generate_series(1, {BOUND}) AS n""",
    "receipt": f"""
        INSERT INTO receipt SELECT n, n, 'ESOP', (2000000000 + n)::text, true, 'SUCCEEDED',
            '{{}}', '{{}}', now()
        FROM generate_series(1, {BOUND}) AS n""",
}
_FREE: Final = f"""
INSERT INTO number_hold (msisdn, range_id, state, cause)
SELECT n, r.id, 'free', 'returned'
FROM number_range r, generate_series({FIRST}::bigint, {FIRST + FULL - 1}, {_STRIDE}) AS n"""

_OWN: Final = f"""
SELECT count(*), count(DISTINCT b.msisdn), count(w.id),
    (SELECT count(*) FROM work_order WHERE id >= {_OWN_FIRST_ID})
FROM binding b LEFT JOIN work_order w ON w.id = b.order_id
WHERE b.order_id >= {_OWN_FIRST_ID} AND (b.msisdn - {FIRST}) % {_STRIDE} = 0"""
_LEASE: Final = """
WITH own AS (INSERT INTO epoch (node) VALUES ($1) RETURNING number)
INSERT INTO lease (what, source_id, start, count, epoch)
SELECT 'numbers', r.id, 0, 8192, own.number FROM own, number_range r"""
_EMPTY_AGAIN: Final = f"""
DELETE FROM binding WHERE order_id >= {_OWN_FIRST_ID};
DELETE FROM work_order WHERE id >= {_OWN_FIRST_ID};
DELETE FROM lease;
DELETE FROM number_hold"""


async def fill(connection: Connection) -> None:
    """Ten million users with their orders and receipts; the indexes afterwards, since that takes
    half the time."""
    await database.reset_journal(connection, numbers=FULL)
    await connection.execute("UPDATE number_range SET counter = last - first + 1")
    await connection.execute("SET maintenance_work_mem = '512MB'")
    indexes = [statement async for statement in _take_indexes(connection)]
    for table in _INDEXED:
        await connection.execute(_FILL[table], timeout=300)
    for statement in indexes:
        await connection.execute(statement, timeout=120)
    await connection.execute("VACUUM (ANALYZE) work_order, binding, receipt", timeout=300)
    await connection.execute("CHECKPOINT", timeout=120)


async def _take_indexes(connection: Connection) -> AsyncIterator[str]:
    """Drop them, and give the statements that make them anew."""
    constraints = await connection.fetch(
        "SELECT conrelid::regclass::text AS at, conname, pg_get_constraintdef(oid) AS says"
        " FROM pg_constraint WHERE contype IN ('p', 'u') AND conrelid = ANY($1::regclass[])",
        _INDEXED,
    )
    for at, name, says in constraints:
        await connection.execute(f"ALTER TABLE {at} DROP CONSTRAINT {name}")
        yield f"ALTER TABLE {at} ADD CONSTRAINT {name} {says}"
    for name, says in await connection.fetch(
        "SELECT indexname, indexdef FROM pg_indexes WHERE tablename = ANY($1)", _INDEXED
    ):
        await connection.execute(f"DROP INDEX {name}")
        yield says


async def empty_again(connection: Connection) -> None:
    """As before any burst: 10,010 numbers on the free list, and no lease."""
    await connection.execute(_EMPTY_AGAIN)
    await connection.execute(_FREE)
    await connection.execute("VACUUM (ANALYZE) number_hold, lease")


async def check(connection: Connection) -> None:
    """Every allocation of the burst has its order and its binding, of numbers that were idle."""
    found = await connection.fetchrow(_OWN, timeout=60)
    if found is None or set(found) != {BURST}:
        raise StackError(f"full pool: {BURST:,} acknowledged, rows and distinct numbers {found}")


async def leave_lease(connection: Connection) -> None:
    """As a daemon killed with -9 leaves it; 8,192 numbers are to be read back by the next."""
    await empty_again(connection)
    await connection.execute(_LEASE, NODE)
    await connection.execute("UPDATE node SET low_water = $1", BOUND + 1)
