"""Leases of a dead run are taken over whole, whatever becomes of the answer."""

import pytest

from hlrd.pool.lease import What
from hlrd.store import leasing
from hlrd.store.connection import Connection

pytestmark = pytest.mark.postgres


async def test_a_takeover_whose_answer_was_lost_tells_the_same_again(database: Connection) -> None:
    """Otherwise its numbers would be in nobody's memory until the next start."""
    await database.execute(
        """
        INSERT INTO epoch (node) VALUES ('n'), ('another'), ('n');
        INSERT INTO node (name, epoch) VALUES ('n', 3);
        INSERT INTO lease (what, source_id, start, count, epoch)
            VALUES ('numbers', 1, 0, 5, 1), ('cards', 1, 0, 5, 1), ('numbers', 1, 5, 5, 2);
        SELECT set_config('hlrd.node', 'n', false), set_config('hlrd.epoch', '3', false)
        """
    )

    first = await leasing.inherit(database, "n", 3)
    again = await leasing.inherit(database, "n", 3)

    assert sorted(row.id for row in first) == sorted(row.id for row in again) == [1, 2]
    assert {row.what for row in again} == {What.NUMBERS, What.CARDS}
