"""What people said of network elements outlives the daemon."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta

import pytest

from hlrd.ne.halts import Halt, HaltKind
from hlrd.store.connection import open_pool
from hlrd.store.halts import HaltStore

pytestmark = pytest.mark.postgres

NOW = datetime.now(UTC)
HOLD = Halt(HaltKind.HOLD, "disk swap", NOW, NOW + timedelta(hours=1))
OVER = Halt(HaltKind.HOLD, "disk swap", NOW - timedelta(hours=2), NOW - timedelta(hours=1))
DRAIN = Halt(HaltKind.DRAIN, "moves away", NOW)


@pytest.fixture
async def halts(dsn: str) -> AsyncIterator[HaltStore]:
    pool = await open_pool(dsn, "test", 1)
    yield HaltStore(pool)
    await pool.close()


async def test_what_stands_is_found_again_and_what_is_over_is_not(halts: HaltStore) -> None:
    await halts.keep("hlr1", HOLD)
    await halts.keep("hlr2", OVER)
    await halts.keep("dsmp1", DRAIN)

    assert await halts.standing() == {"hlr1": HOLD, "dsmp1": DRAIN}


async def test_the_later_word_takes_the_place_of_the_one_before(halts: HaltStore) -> None:
    await halts.keep("hlr1", HOLD)
    await halts.keep("hlr1", DRAIN)

    assert await halts.standing() == {"hlr1": DRAIN}


async def test_a_released_element_is_forgotten(halts: HaltStore) -> None:
    await halts.keep("hlr1", HOLD)

    await halts.drop("hlr1")
    await halts.drop("hlr1")

    assert await halts.standing() == {}
