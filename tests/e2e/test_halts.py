"""An element that staff keeps from: its orders wait and say why, the others' go on, and a killed
daemon does not forget it."""

import asyncio

import pytest

from hlrd.domain.orders import Source
from loadtest.process import beside, until
from tests.e2e.flow import DEADLINE_S, System, system

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(240)]


async def said(made: System, verb: str, body: dict[str, str]) -> None:
    stack = made.stack
    url = f"{stack.url}/v1/network-elements/hlr1/{verb}"
    headers = {"Authorization": f"Bearer {stack.token(Source.OPS)}"}
    async with stack.http.post(url, json=body, headers=headers) as response:
        assert response.status == 200


async def state(made: System) -> str:
    return str((await made.staff.get("/v1/network-elements/hlr1"))["state"])


async def test_a_drained_hlr_is_still_drained_after_a_kill_and_its_orders_say_why() -> None:
    async with system() as made:
        await said(made, "drain", {"cause": "moves away"})
        workload = made.workload(200, orders_per_s=200)
        book = workload.book

        async def kill_look_and_release() -> None:
            await until(
                lambda: len(book.accepted) == 200 and len(book.receipts) >= 60,
                deadline_s=DEADLINE_S,
                what="the orders of the other HLR are done",
            )
            made.stack.daemon.kill()
            await made.stack.start_daemon()
            assert await state(made) == "drained"
            assert await reasons(made) == {("drain", "moves away")}
            await said(made, "release", {})

        async with beside(kill_look_and_release()):
            await workload.run(deadline_s=DEADLINE_S)

        assert await state(made) == "sending"
        assert await made.wrong(book) == []


async def reasons(made: System) -> set[tuple[str, str]]:
    """Why the open orders wait, once each is read back from the journal."""
    async with asyncio.timeout(DEADLINE_S):
        while True:
            if found := await _reasons(made):
                return found
            await asyncio.sleep(0.05)


async def _reasons(made: System) -> set[tuple[str, str]]:
    found = set()
    for number in range(200):
        order = await made.staff.get(f"/v1/work-orders?source=ESOP&order_id=E-{number:08d}")
        for task in order["tasks"]:
            if task["ne"] == "hlr1" and "waits" in task:
                found.add((task["waits"]["reason"], task["waits"]["cause"]))
    return found
