"""The SQL of the checker sees each kind of row that it asks for; one that sees nothing would find
nothing.
"""

import pytest

from hlrd.store.connection import Connection
from loadtest.torture import witness
from loadtest.torture.checker import Binding, Tables

pytestmark = pytest.mark.postgres

STOCK = """
    INSERT INTO node (name, epoch) VALUES ('hlrd', 2);
    INSERT INTO pool (name, secret) VALUES ('iot', ''), ('spare', '');
    INSERT INTO number_range (pool, first, last, digits, province, hlr) VALUES
        ('iot', 1064900000000, 1064900000005, 13, '200', 'hlr1'),
        ('spare', 1064800000000, 1064800000001, 13, '200', 'hlr1');
    INSERT INTO sim_lot (name, vendor, province, hlr, quantity, file_hash)
        VALUES ('lot', 'Invented', '200', 'hlr1', 2, '');
    INSERT INTO sim_card VALUES (1, 0, 'k0', 1, '', ''), (1, 1, 'k1', 2, '', '');
    INSERT INTO reservation (source, key, content_hash, operator_id, pool, province, digits,
            with_cards, asked, granted, state, created_at, expires_at) VALUES
        ('ESOP', 'open', '', 'o', 'iot', '200', 13, false, 2, 2, 'open', now(), now() + '1 h'),
        ('ESOP', 'over', '', 'o', 'iot', '200', 13, false, 1, 1, 'cancelled', now(), now());
    INSERT INTO binding VALUES (1064900000001, 1, 'k0', 'u1', 7, 'hlr1', '200', '', '', now());
    INSERT INTO number_hold (msisdn, range_id, state, cause, reservation_id) VALUES
        (1064900000000, 1, 'reserved', '', 1), (1064900000001, 1, 'reserved', '', 1);
    INSERT INTO work_order VALUES
        (7, 'ESOP', 'o7', '', 'u1', '', '', 0, '', '', now()),
        (8, 'ESOP', 'o8', '', 'u2', '', '', 0, '', '', now());
    INSERT INTO receipt VALUES
        (1, 7, 'ESOP', 'u1', true, 'succeeded', '', '', now()),
        (2, 8, 'ESOP', 'u2', false, 'fallout', '', '', now());
"""


@pytest.fixture(autouse=True)
async def stock(database: Connection) -> None:
    await database.execute(STOCK)


async def read(database: Connection) -> Tables:
    return await witness.read(database, "iot", frozenset())


async def test_the_tables_are_read_as_they_are(database: Connection) -> None:
    found = await read(database)

    assert found.numbers == {f"106490000000{number}" for number in range(6)}
    assert found.numbers_elsewhere == {"1064800000000", "1064800000001"}
    assert found.bindings == [Binding("1064900000001", "k0", "u1")]
    assert found.orders == {"o7": True, "o8": False}
    assert found.reservations == {"open": "1", "over": "2"}
    assert found.cards == {"k0", "k1"}
    assert not found.locked | found.graded | found.scrapped
    assert found.stranded == 0


async def test_a_number_of_a_reservation_that_is_bound_is_reserved_no_more(
    database: Connection,
) -> None:
    assert (await read(database)).reserved == [("1064900000000", "1")]


async def test_what_is_locked_and_what_is_of_a_grade_are_seen(database: Connection) -> None:
    await database.execute(
        "INSERT INTO number_hold (msisdn, range_id, state, cause, grade) VALUES"
        " (1064900000002, 1, 'locked', '', NULL), (1064900000003, 1, 'free', '', 'AAAA')"
    )

    found = await read(database)

    assert (found.locked, found.graded) == ({"1064900000002"}, {"1064900000003"})


async def test_a_recycled_number_and_card_are_nobodys(database: Connection) -> None:
    await database.execute(
        "INSERT INTO number_hold (msisdn, range_id, state, cause)"
        " VALUES (1064900000002, 1, 'free', '');"
        "INSERT INTO card_hold (iccid, lot_id, state) VALUES ('k1', 1, 'free')"
    )

    found = await read(database)

    assert not found.locked | found.graded | found.scrapped


async def test_a_scrapped_card_is_seen(database: Connection) -> None:
    await database.execute("INSERT INTO card_hold VALUES ('k1', 1, 'scrapped')")

    assert (await read(database)).scrapped == {"k1"}


@pytest.mark.parametrize(
    "damage",
    [
        "UPDATE number_hold SET lease_id = 9 WHERE msisdn = 1064900000000",
        "INSERT INTO card_hold (iccid, lot_id, state, lease_id) VALUES ('k1', 1, 'free', 9)",
        "UPDATE reservation SET state = 'filling' WHERE id = 1",
        "INSERT INTO lease (what, source_id, start, count, epoch) VALUES ('numbers', 1, 0, 3, 1)",
    ],
)
async def test_what_waits_for_nothing_is_counted(database: Connection, damage: str) -> None:
    await database.execute(damage)

    assert (await read(database)).stranded == 1


async def test_a_sound_database_is_quiet(database: Connection) -> None:
    assert await witness.count_unquiet(database) == 0


@pytest.mark.parametrize(
    "change",
    [
        "INSERT INTO number_hold (msisdn, range_id, state, cause, until)"
        " VALUES (1064900000002, 1, 'quarantined', '', now())",
        "UPDATE reservation SET expires_at = now() WHERE id = 1",
        "UPDATE number_hold SET reservation_id = 2 WHERE msisdn = 1064900000000",
    ],
)
async def test_what_is_over_and_still_held_is_not_quiet(database: Connection, change: str) -> None:
    await database.execute(change)

    assert await witness.count_unquiet(database) == 1
