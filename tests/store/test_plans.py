"""What is asked for every order keeps one plan for good, so none may be made for small tables: it
would walk them whole for every order once they have grown. And no plan may be made by what the
statistics say of tables as they were when somebody looked last.
"""

import json
from collections import Counter
from collections.abc import AsyncIterator
from typing import Any, Final

import pytest

from hlrd.store.connection import BY_KEY, BY_PRESENT_SIZE, Connection, connect
from hlrd.store.queries import STATEMENTS, query
from tests.store.plans import ASKED_NOW_AND_THEN, EVERY_ORDER, LEFT_OUT, argument

pytestmark = pytest.mark.postgres

FEW: Final = 20
MANY: Final = 20_000
INTAKE: Final = {"stored_orders", *(name for name in EVERY_ORDER if name.startswith("facts_"))} - {
    "facts_users"  # it finds a member by way of all enterprises, two blocks for each
}
BLOCKS_MAX: Final = 80
"""8 KiB each. The smallest of the tables has 109 by then; one lookup by a key reads about four."""

OF_EVERY_USER: Final = {
    "work_order": "n, 'CRM', n::text, CASE n % 2 WHEN 0 THEN 'USER_OPEN' ELSE 'SUSPEND' END,"
    " n::text, 'op', '200', 2, '', repeat('{', 100)::bytea, now()",
    "binding": "n, n, n::text, n::text, n, 'hlr1', '200', 'k', '', now()",
    "receipt": "n, n, 'CRM', n::text, n % 100 <> 0, 'succeeded', repeat('{', 100)::bytea,"
    " '', now()",
    "sim_card": "1, n, n::text, n, 'k', ''",
    "batch_row": "1, n, n::text, 'succeeded'",
    "number_hold": "n, 1, 'quarantined', NULL, 'terminated'",
}
"""What one row of each table is, by its number."""
OF_SOME: Final = {
    "user_state": "n::text, 'active', '{\"ARREARS\": 2}', n, now()",
    "user_product": "n::text, 'p', 1, '{}', 1, n, now(), (n % 1000)::text",
    "user_sequence": "n::text, 'S', n",
    "renumbering": "n, n::text, n, now()",
    "ec_member": "n::text, (n % 1000)::text, 'r', 'p', n, now()",
    "ec_partner_member": "(n % 1000)::text, n, '200', n, now()",
    "card_hold": "n::text, 1, 'scrapped'",
    "number_past": "n, 'terminated', NULL, now(), n::text, NULL, n",
    "turn": "n, n::text, CASE n % 2 WHEN 0 THEN now() + n * interval '1 s' END, NULL,"
    " n % 4 = 0, 0, 'k'",
    "delivery": "1, n, n::text, 'pending', 1, now(), now(), ''",
    "fallout": "n, 'SUSPEND', n::text, '200', 'hlr1', 'o', 'v', 'c', 't', '', false, now(), now()",
    "order_amendment": "n, 1, '{}', 'op', 'r'",
    "fallout_sheet": "n::text, n, 'closed', 'op'",
}
FIXED: Final = """
INSERT INTO node VALUES ('7', 1);
INSERT INTO number_range (pool, first, last, digits, province, hlr)
VALUES ('p', 1, 10000000, 11, '200', 'hlr1');
INSERT INTO sim_lot (name, vendor, province, hlr, quantity, file_hash)
VALUES ('l', 'v', '200', 'hlr1', 10000000, '');
INSERT INTO receipt_endpoint (source, name, since_seq, seq) VALUES ('CRM', 'e', 0, 0);
"""


async def grow(connection: Connection, rows: dict[str, str], first: int, last: int) -> None:
    await connection.execute(
        "".join(
            f"INSERT INTO {table} SELECT {row} FROM generate_series({first}, {last}) n;"
            for table, row in rows.items()
        )
    )


class Asker:
    """A connection with a plan for each statement, made as soon as it is there."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._calls: dict[str, str] = {}

    async def prepare(self, statements: list[str]) -> "Asker":
        for name in statements:
            await self._connection.execute(f"PREPARE kept_{name} AS {query(name)}")
        kinds = await self._connection.fetch(
            "SELECT name, parameter_types::text[] AS kinds FROM pg_prepared_statements"
            " WHERE name LIKE 'kept_%'"
        )
        for row in kinds:
            name = row["name"].removeprefix("kept_")
            given = [argument(name, place, kind) for place, kind in enumerate(row["kinds"], 1)]
            self._calls[name] = f"EXECUTE kept_{name}" + (f"({', '.join(given)})" if given else "")
            await self._connection.fetch(f"EXPLAIN {self._calls[name]}")
        return self

    async def walks(self) -> dict[str, str]:
        """The statements that read more than keys lead to, each with its plan."""
        plans = {name: await self._executed(call) for name, call in self._calls.items()}
        return {
            name: json.dumps(plan, indent=1)
            for name, plan in plans.items()
            if plan["Shared Hit Blocks"] + plan["Shared Read Blocks"] > BLOCKS_MAX
        }

    async def close(self) -> None:
        await self._connection.close()

    async def _executed(self, call: str) -> dict[str, Any]:
        turn = self._connection.transaction()
        await turn.start()
        try:
            said = await self._connection.fetchval(
                f"EXPLAIN (ANALYZE, BUFFERS, TIMING OFF, FORMAT JSON) {call}"
            )
        finally:
            await turn.rollback()
        plan: dict[str, Any] = json.loads(said)[0]["Plan"]
        return plan


async def kept(dsn: str) -> Asker:
    connection = await connect(dsn, "test", session_replication_role="replica", **BY_KEY)
    return await Asker(connection).prepare(EVERY_ORDER)


async def made_anew(dsn: str) -> Asker:
    connection = await connect(dsn, "test", **BY_PRESENT_SIZE)
    return await Asker(connection).prepare(ASKED_NOW_AND_THEN)


async def assert_by_keys(*askers: Asker) -> None:
    for asker in askers:
        walks = await asker.walks()
        await asker.close()
        assert not walks, "\n".join(f"{name}: {plan}" for name, plan in walks.items())


@pytest.fixture
async def tables(dsn: str) -> AsyncIterator[Connection]:
    """Without foreign keys, and without anybody who looks at them unasked."""
    connection = await connect(dsn, "test", session_replication_role="replica")
    for table in (*OF_EVERY_USER, *OF_SOME):
        await connection.execute(f"ALTER TABLE {table} SET (autovacuum_enabled = off)")
    await connection.execute(FIXED)
    yield connection
    connection.terminate()


async def test_plans_made_in_an_empty_database_hold_when_it_is_large(
    dsn: str, tables: Connection
) -> None:
    of_the_start = await kept(dsn)

    await grow(tables, OF_EVERY_USER | OF_SOME, 1, MANY)

    await assert_by_keys(of_the_start, await kept(dsn), await made_anew(dsn))
    await tables.execute("ANALYZE")
    await assert_by_keys(await kept(dsn), await made_anew(dsn))


async def test_plans_hold_however_few_rows_there_were_when_they_were_analyzed(
    dsn: str, tables: Connection
) -> None:
    await grow(tables, OF_EVERY_USER | OF_SOME, 1, FEW)
    await tables.execute("ANALYZE")
    of_then = await kept(dsn)

    await grow(tables, OF_EVERY_USER | OF_SOME, FEW + 1, MANY)

    await assert_by_keys(of_then, await kept(dsn), await made_anew(dsn))


async def test_plans_of_tables_that_were_analyzed_when_empty_are_mended_soon(
    dsn: str, tables: Connection
) -> None:
    await tables.execute("ANALYZE")
    of_then = await kept(dsn)
    await grow(tables, OF_EVERY_USER | OF_SOME, 1, MANY)
    walks = await of_then.walks()
    assert walks  # to walk an empty table by any index costs nothing
    assert not walks.keys() & INTAKE  # its lookups end at their first row, so the key wins

    await tables.execute(query("statistics_renew"))

    await assert_by_keys(of_then, await kept(dsn), await made_anew(dsn))


async def test_statistics_are_renewed_of_tables_that_have_outgrown_theirs(
    tables: Connection,
) -> None:
    await grow(tables, OF_EVERY_USER, 1, MANY)
    await tables.execute("ANALYZE")
    await grow(tables, {"user_state": OF_SOME["user_state"]}, 1, MANY)

    await tables.execute(query("statistics_renew"))

    renewed = await tables.fetch(
        "SELECT relname FROM pg_stat_user_tables WHERE analyze_count = 2 ORDER BY relname"
    )
    assert [row["relname"] for row in renewed] == ["user_state"]


async def test_plans_hold_when_few_of_many_users_had_anything_and_then_all_have(
    dsn: str, tables: Connection
) -> None:
    await grow(tables, OF_EVERY_USER, 1, MANY)
    await grow(tables, OF_SOME, 1, FEW)
    await tables.execute("ANALYZE")
    of_then = await kept(dsn)

    await grow(tables, OF_SOME, FEW + 1, MANY)

    await assert_by_keys(of_then, await kept(dsn), await made_anew(dsn))


def test_each_statement_goes_by_keys_or_is_left_out_for_a_reason() -> None:
    left_out = Counter(name for names in LEFT_OUT.values() for name in names.split())

    assert set(left_out.values()) == {1}
    assert not left_out.keys() & {*EVERY_ORDER, *ASKED_NOW_AND_THEN}
    assert left_out.keys() | {*EVERY_ORDER, *ASKED_NOW_AND_THEN} == STATEMENTS.keys()
