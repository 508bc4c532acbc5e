"""Statements of the hot path keep one plan for good, so none may be made for small tables: it would
walk them whole for every order once they have grown.
"""

import re

import pytest

from hlrd.store.connection import BY_KEY, Connection, connect
from hlrd.store.queries import query

pytestmark = pytest.mark.postgres

EVERY_ORDER = ("facts_repeats", "facts_users", "facts_business_keys", "stored_orders")
_PARAMETER = re.compile(r"\$(\d+)")
_WHOLE = re.compile(r"Materialize|Join Filter|Seq Scan|Recheck Cond: is_final$", re.MULTILINE)


async def plan_of(connection: Connection, statement: str) -> str:
    text = query(statement)
    count = max(int(number) for number in _PARAMETER.findall(text))
    await connection.execute(f"PREPARE looked_at AS {text}")
    rows = await connection.fetch(f"EXPLAIN EXECUTE looked_at({', '.join(['NULL'] * count)})")
    return "\n".join(row[0] for row in rows)


@pytest.mark.parametrize("statement", EVERY_ORDER)
@pytest.mark.parametrize("is_analyzed", [False, True])
async def test_what_is_asked_for_every_order_goes_by_keys_whatever_the_tables_were(
    dsn: str, statement: str, is_analyzed: bool
) -> None:
    connection = await connect(dsn, "test", **BY_KEY)
    try:
        if is_analyzed:
            await connection.execute("ANALYZE")
        plan = await plan_of(connection, statement)
    finally:
        await connection.close()

    assert not _WHOLE.search(plan), plan
