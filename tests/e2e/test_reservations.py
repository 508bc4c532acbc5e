"""A batch opening that reserves all its numbers up front, and is refused whole or opened whole."""

from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio

from hlrd.domain.orders import Source
from loadtest.generate import batches
from loadtest.settings import PROVINCE
from loadtest.workload import Workload
from tests.e2e.flow import DEADLINE_S, System, system

pytestmark = [
    pytest.mark.e2e,
    pytest.mark.timeout(240),
    pytest.mark.asyncio(loop_scope="module"),
]

MEMBERS = 2_000


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def made() -> AsyncIterator[System]:
    async with system(orders=2 * MEMBERS) as made:
        yield made


async def ask(
    made: System, method: str, path: str, content: Any = None, *, key: str = ""
) -> tuple[int, Any]:
    headers = {"Authorization": f"Bearer {made.stack.token(Source.ESOP)}"}
    if key:
        headers["Idempotency-Key"] = key
    async with made.stack.http.request(
        method, made.stack.url + path, json=content, headers=headers
    ) as response:
        return response.status, await response.json()


async def reserve(made: System, key: str, count: int, **more: Any) -> tuple[int, Any]:
    wanted = {"operator_id": "op", "province": PROVINCE, "count": count, "with_cards": True}
    return await ask(made, "POST", "/v1/reservations", wanted | more, key=key)


def members(count: int, reservation: str) -> list[tuple[str, bytes]]:
    return [
        (
            f"R-{number:08d}",
            f'{{"type":"MEMBER_ACTIVATE","order_id":"R-{number:08d}","province":"{PROVINCE}",'
            f'"operator_id":"op","user_id":"{8_000_000 + number}","ec_code":"EC",'
            f'"reservation":"{reservation}"}}'.encode(),
        )
        for number in range(count)
    ]


async def test_more_members_than_there_are_cards_are_refused_whole(made: System) -> None:
    status, problem = await reserve(made, "too-many", made.stock.cards + 1)

    assert (status, problem["code"]) == (409, "STOCK_EXHAUSTED")
    pools = await made.staff.get("/v1/pools")
    assert pools["pools"][0]["numbers"]["reserved"] == 0


async def test_a_batch_opens_on_its_reservation_and_on_nothing_else(made: System) -> None:
    status, reservation = await reserve(made, "batch", MEMBERS)
    assert (status, reservation["granted"]) == (201, MEMBERS)
    reserved = set()
    after = "0"
    while after:
        path = f"/v1/reservations/{reservation['id']}?limit=1000&after={after}"
        _, page = await ask(made, "GET", path)
        reserved |= {one["msisdn"] for one in page["numbers"]}
        after = page.get("next", "")
    assert len(reserved) == MEMBERS

    posted = batches(members(MEMBERS, reservation["id"]), size=200, orders_per_s=None, seed=1)
    book = await Workload(made.upstream(), posted, posters=4).run(deadline_s=DEADLINE_S)

    assert {bound.msisdn for bound in book.receipts.values() if bound} == reserved
    assert await made.wrong(book) == []
    _, after_all = await ask(made, "GET", f"/v1/reservations/{reservation['id']}?limit=1")
    assert after_all["confirmed"] == MEMBERS
    one_more = members(MEMBERS + 1, reservation["id"])[-1][1]
    async with made.stack.http.post(
        f"{made.stack.url}/v1/work-orders",
        data=one_more,
        headers={
            "Authorization": f"Bearer {made.stack.token(Source.ESOP)}",
            "Content-Type": "application/json",
        },
    ) as response:
        assert (response.status, (await response.json())["code"]) == (409, "RESERVATION_USED_UP")
