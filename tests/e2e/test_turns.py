"""Orders dated ahead, called off, and sent by two systems, on the whole system and over kills."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from datetime import datetime, timedelta
from typing import Any

import pytest
import pytest_asyncio

from hlrd.domain.orders import BEIJING, Source
from tests.e2e.flow import DEADLINE_S, System, system

pytestmark = [
    pytest.mark.e2e,
    pytest.mark.timeout(240),
    pytest.mark.asyncio(loop_scope="module"),
]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def made() -> AsyncIterator[System]:
    async with system() as one:
        yield one


async def post(
    made: System,
    path: str,
    body: Mapping[str, Any],
    *,
    source: Source = Source.OPS,
    wait_s: int = 0,
) -> dict[str, Any]:
    stack = made.stack
    headers = {"Authorization": f"Bearer {stack.token(source)}", "Operator-Id": "li4"}
    if wait_s:
        headers["Prefer"] = f"wait={wait_s}"
    async with stack.http.post(f"{stack.url}{path}", json=body, headers=headers) as response:
        answer: dict[str, Any] = await response.json()
        return answer


async def order(
    made: System, kind: str, order_id: str, *, wait_s: int = 0, **fields: Any
) -> dict[str, Any]:
    body = {"type": kind, "order_id": order_id, "province": "200", "operator_id": "op"} | fields
    return await post(made, "/v1/work-orders", body, wait_s=wait_s)


async def opened(made: System, user: str) -> str:
    answer = await order(
        made, "MEMBER_ACTIVATE", f"open-{user}", wait_s=60, user_id=user, ec_code="EC1"
    )
    msisdn: str = answer["msisdn"]
    return msisdn


async def receipt(made: System, id: str) -> Mapping[str, Any]:
    async with asyncio.timeout(DEADLINE_S):
        while True:
            found = await made.staff.get(f"/v1/work-orders/{id}")
            if found["receipts"]:
                last: Mapping[str, Any] = found["receipts"][-1]
                return last
            await asyncio.sleep(0.02)


def in_seconds(seconds: float) -> str:
    return (datetime.now(BEIJING) + timedelta(seconds=seconds)).strftime("%Y%m%d%H%M%S")


async def test_a_date_is_kept_over_a_kill_and_what_was_called_off_never_happens(
    made: System,
) -> None:
    kept, other = await opened(made, "501"), await opened(made, "502")
    due = in_seconds(6)
    stop = {"level": 2, "effective_time": due}
    dated = await order(made, "ARREARS_SUSPEND", "D1", user_id="501", msisdn=kept, **stop)
    off = await order(made, "ARREARS_SUSPEND", "D2", user_id="502", msisdn=other, **stop)
    again = await order(made, "ARREARS_SUSPEND", "D1", user_id="501", msisdn=kept, **stop)
    assert (dated["state"], again["state"]) == ("scheduled", "scheduled")

    made.stack.daemon.kill()
    await made.stack.start_daemon()
    shown = await made.staff.get(f"/v1/work-orders/{dated['id']}")
    assert (shown["state"], shown["waits"]["reason"]) == ("scheduled", "EFFECTIVE_TIME")
    cancelled = await post(made, f"/v1/work-orders/{off['id']}/cancel", {})
    assert cancelled["state"] == "cancelled"

    told = await receipt(made, dated["id"])
    assert (told["result"], told["effective_level"]) == ("succeeded", 2)
    first = told["first_command_at"].replace("-", "").replace("T", "").replace(":", "")
    assert first[:14] >= due
    shown = await made.staff.get(f"/v1/work-orders/{off['id']}")
    assert shown["tasks"] == []
    assert (await receipt(made, off["id"]))["result"] == "cancelled"


async def test_an_opening_dated_ahead_takes_what_came_behind_it_along(made: System) -> None:
    opening = await order(
        made, "MEMBER_ACTIVATE", "O1", user_id="601", ec_code="EC1",
        effective_time=in_seconds(3),
    )  # fmt: skip
    behind = await order(
        made, "ARREARS_SUSPEND", "O2", user_id="601", msisdn=opening["msisdn"], level=2
    )
    assert (opening["state"], behind["state"]) == ("scheduled", "scheduled")

    assert (await receipt(made, opening["id"]))["result"] == "succeeded"
    told = await receipt(made, behind["id"])
    assert (told["result"], told["effective_level"]) == ("succeeded", 2)


async def test_two_systems_send_the_same_and_a_kill_between_changes_nothing(made: System) -> None:
    msisdn = await opened(made, "701")
    same = {"user_id": "701", "msisdn": msisdn, "level": 2, "root_order_id": "R-1"}
    first = await order(made, "ARREARS_SUSPEND", "B1", wait_s=60, **same)
    made.stack.daemon.kill()
    await made.stack.start_daemon()

    paid = {"user_id": "701", "msisdn": msisdn}
    await order(made, "PAYMENT_RESUME", "P1", wait_s=60, **paid)
    twin = await order(made, "ARREARS_SUSPEND", "C1", wait_s=60, **same)

    assert twin["receipt"]["marks"] == ["DUPLICATE_OF"]
    assert twin["receipt"]["duplicate_of"] == first["id"]
    assert twin["receipt"]["effective_level"] == 0, "who has paid is not stopped again"
