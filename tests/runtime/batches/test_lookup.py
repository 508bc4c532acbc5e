"""What a batch looks up is waited for while the database is away."""

from typing import Any

import pytest

from hlrd import limits
from hlrd.domain.plans.plan import Routes
from hlrd.domain.routing import RouteTable
from hlrd.runtime.batches.lookup import BatchLookup
from hlrd.runtime.master import masters_of
from hlrd.store.batches import BatchBook


class FlakyPool:
    """Away for two questions."""

    def __init__(self) -> None:
        self.asked = 0

    async def fetch(self, *_: object) -> list[dict[str, str]]:
        self.asked += 1
        if self.asked < 3:
            raise ConnectionResetError("gone")
        return [{"iccid": "8986", "hlr": "hlr1"}]


async def test_a_walk_waits_for_the_homes_of_its_cards(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "STORE_RETRY_DELAY_S_MAX", 0.0)
    pool: Any = FlakyPool()
    lookup = BatchLookup(
        pool,
        BatchBook(pool),
        routes=Routes("dsmp", {}),
        homes=RouteTable(),
        masters=masters_of("BOSS", {}),
    )

    assert await lookup.homes(["8986"]) == {"8986": "hlr1"}
    assert pool.asked == 3
