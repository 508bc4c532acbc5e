import asyncio

import pytest

from hlrd.runtime.statistics import keep_statistics
from hlrd.store.connection import Connection, open_pool
from tests.runtime.proxy import proxied

pytestmark = pytest.mark.postgres


async def test_a_table_that_grew_is_analyzed_even_when_the_database_was_away(
    dsn: str, database: Connection
) -> None:
    async with proxied(dsn) as (proxy, through):
        proxy.go_down()
        pool = await open_pool(through, "test", 1)
        keeping = asyncio.create_task(keep_statistics(pool, look_s=0.01))
        try:
            await database.execute(
                "INSERT INTO user_sequence SELECT n::text, 'S', n FROM generate_series(1, 30000) n"
            )
            async with asyncio.timeout(5):
                while not proxy.refused:
                    await database.execute("SELECT pg_sleep(0.01)")
                proxy.is_down = False
                while await believed(database) < 30_000:
                    await database.execute("SELECT pg_sleep(0.01)")
        finally:
            keeping.cancel()
            await asyncio.gather(keeping, return_exceptions=True)
            await pool.close()


async def believed(database: Connection) -> float:
    rows: float = await database.fetchval(
        "SELECT reltuples FROM pg_class WHERE oid = 'user_sequence'::regclass"
    )
    return rows
