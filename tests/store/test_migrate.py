import pytest

from hlrd.store.connection import Connection
from hlrd.store.migrate import Migration, MigrationError, migrate, shipped

pytestmark = pytest.mark.postgres

FIRST = Migration(1, "0001_first.sql", "CREATE TABLE probe_first (x int)")
SECOND = Migration(2, "0002_second.sql", "CREATE TABLE probe_second (x int)")
BROKEN = Migration(2, "0002_broken.sql", "CREATE TABLE probe_second (x int); SELECT nonsense")


@pytest.fixture
async def empty(database: Connection) -> Connection:
    await database.execute("DROP TABLE migration")
    return database


async def has_table(connection: Connection, name: str) -> bool:
    found = await connection.fetchval("SELECT to_regclass($1)", name)
    return found is not None


async def test_only_what_is_missing_is_applied(empty: Connection) -> None:
    assert await migrate(empty, [FIRST]) == 1
    assert await migrate(empty, [FIRST, SECOND]) == 1
    assert await migrate(empty, [FIRST, SECOND]) == 0

    assert await has_table(empty, "probe_second")


async def test_the_shipped_migrations_fit_a_database_that_has_them(database: Connection) -> None:
    assert await migrate(database) == 0
    assert await database.fetchval("SELECT count(*) FROM migration") == len(shipped())


async def test_a_migration_edited_after_the_fact_is_refused_by_name(empty: Connection) -> None:
    await migrate(empty, [FIRST])

    edited = Migration(1, FIRST.name, FIRST.text + " -- really")
    with pytest.raises(MigrationError, match=r"0001_first\.sql was edited"):
        await migrate(empty, [edited, SECOND])

    assert not await has_table(empty, "probe_second")


async def test_a_database_of_a_later_release_is_refused(empty: Connection) -> None:
    await migrate(empty, [FIRST, SECOND])

    with pytest.raises(MigrationError, match="migration 2, which this release does not know"):
        await migrate(empty, [FIRST])


async def test_a_migration_that_fails_leaves_nothing_of_itself(empty: Connection) -> None:
    with pytest.raises(Exception, match="nonsense"):
        await migrate(empty, [FIRST, BROKEN])

    assert await has_table(empty, "probe_first")
    assert not await has_table(empty, "probe_second")
    assert await migrate(empty, [FIRST, SECOND]) == 1
