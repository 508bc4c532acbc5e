"""Both schemes of the state master on the whole system, and what is done when the HLR has it
otherwise: switched while running, repaired by reading first, and all of it in the audit trail."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from dataclasses import replace
from itertools import count
from typing import Any, Final

import msgspec
import pytest
import pytest_asyncio

from hlrd.domain.orders import Source
from tests.e2e.flow import DEADLINE_S, SMALL, System, system
from tests.e2e.test_worked_cases import BARRINGS, LEVELS, LOCKS, post, receipt_of, short

pytestmark = [
    pytest.mark.e2e,
    pytest.mark.timeout(240),
    pytest.mark.asyncio(loop_scope="module"),
]

USERS: Final = 200
_users: Final = count(5_001)
User = tuple[str, str]


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def made() -> AsyncIterator[System]:
    async with system(replace(SMALL, hlrs=1), orders=500) as found:
        yield found


async def opened(made: System, users: int) -> list[User]:
    """Active users: id and number."""
    ids = [str(next(_users)) for _ in range(users)]
    answers = await batch(
        made, Source.ESOP, [("MEMBER_ACTIVATE", {"user_id": id, "ec_code": "EC1"}) for id in ids]
    )
    await closed(made, answers)
    return [(id, answer["msisdn"]) for id, answer in zip(ids, answers, strict=True)]


async def batch(
    made: System, source: Source, orders: Sequence[tuple[str, dict[str, Any]]]
) -> list[dict[str, Any]]:
    """The answers, each in its place."""
    header = {"province": "200", "operator_id": "op"}
    body = [
        {"type": kind, "order_id": f"S-{next(_users)}", **header, **fields}
        for kind, fields in orders
    ]
    answers: list[dict[str, Any]] = (await ask(made, "/v1/work-orders", body, source))["answers"]
    return answers


async def ask(made: System, path: str, body: Any, source: Source = Source.OPS) -> Any:
    headers = {"Authorization": f"Bearer {made.stack.token(source)}", "Operator-Id": "anna"}
    url = made.stack.url + path
    async with made.stack.http.post(url, json=body, headers=headers) as response:
        return await response.json()


async def closed(made: System, answers: Sequence[dict[str, Any]]) -> list[Any]:
    async with asyncio.timeout(DEADLINE_S):
        return [await receipt_of(made, answer["id"]) for answer in answers]


async def switched(made: System, master: str) -> None:
    path = "/v1/state-masters/200"
    await ask(made, f"{path}/switch", {"master": master, "operator_id": "anna"})
    async with asyncio.timeout(DEADLINE_S):
        while True:
            shown = await made.staff.get(path)
            if shown["next"] is None:
                break
            await asyncio.sleep(0.05)
    assert shown["master"] == master


async def levels(made: System, users: Sequence[User]) -> list[int]:
    """As the records of the HLR have it."""
    rows = await made.stack.control("hlr1", "GET", "/dump")
    numbers = {f"86{msisdn}" for _, msisdn in users}
    return [
        level_of(row) for row in rows if row["record"] == "subscriber" and row["isdn"] in numbers
    ]


def level_of(row: dict[str, Any]) -> int:
    return LEVELS[BARRINGS[",".join(f"{name}={str(row[name.lower()]).upper()}" for name in LOCKS)]]


async def suspended(made: System, master: Source, other: Source) -> list[int]:
    """What the HLR is left with by the master's stops, after the same from the other system."""
    users = await opened(made, USERS)
    orders = [
        ("ARREARS_SUSPEND", {"user_id": id, "msisdn": msisdn, "level": 2}) for id, msisdn in users
    ]
    refused = await batch(made, other, orders)
    assert {answer["refusal"]["code"] for answer in refused} == {"NOT_STATE_MASTER"}
    receipts = await closed(made, await batch(made, master, orders))
    assert {receipt["result"] for receipt in receipts} == {"succeeded"}
    return await levels(made, users)


async def test_either_scheme_leaves_the_hlr_the_same_and_refuses_the_other_system(
    made: System,
) -> None:
    await switched(made, "BOSS")
    by_boss = await suspended(made, Source.BOSS, Source.CRM)
    await switched(made, "CRM")
    by_crm = await suspended(made, Source.CRM, Source.BOSS)

    assert by_boss == by_crm == [2] * USERS


async def test_a_new_master_that_has_it_otherwise_is_followed(made: System) -> None:
    ((free, _), (stopped, number)) = users = await opened(made, 2)
    await post(made, "ARREARS_SUSPEND", user_id=stopped, msisdn=number, level=2, wait_s=DEADLINE_S)
    said = [
        {"user_id": free, "reasons": [{"reason": "VOLUNTARY", "level": 1}], "state_version": 1},
        {"user_id": stopped, "reasons": [], "state_version": 1},
    ]
    path = "/v1/state-masters/200/reconcile?operator_id=anna&repair=yes"
    headers = {
        "Authorization": f"Bearer {made.stack.token(Source.OPS)}",
        "Content-Type": "application/x-ndjson",
    }
    lines = b"\n".join(msgspec.json.encode(one) for one in said)

    async with made.stack.http.post(made.stack.url + path, data=lines, headers=headers) as reply:
        found = await reply.json()

    assert (found["different"], found["repairs"]) == (2, 2)
    async with asyncio.timeout(DEADLINE_S):
        while True:
            if sorted(await levels(made, users)) == [0, 1]:
                break
            await asyncio.sleep(0.05)


async def test_what_the_hlr_has_otherwise_is_mended_and_what_it_has_right_is_left(
    made: System,
) -> None:
    ((user, msisdn),) = users = await opened(made, 1)
    repair: dict[str, Any] = {"user_id": user, "msisdn": msisdn, "wait_s": DEADLINE_S}
    at = await log_end(made)

    right = await post(made, "NE_REPAIR", **repair)
    (row,) = [row for row in await records(made) if row["isdn"] == f"86{msisdn}"]
    await load(made, row | {name.lower(): True for name in LOCKS})
    assert await levels(made, users) == [2]
    mended = await post(made, "NE_REPAIR", **repair)

    assert right["receipt"]["marks"] == ["NO_CHANGE"]
    assert await sent_since(made, at, row["imsi"]) == ["unbar"]
    assert "marks" not in mended["receipt"]
    assert await levels(made, users) == [0]


async def test_a_record_of_nobody_is_removed_when_a_second_person_agrees(made: System) -> None:
    ((user, msisdn),) = users = await opened(made, 1)
    (row,) = [row for row in await records(made) if row["isdn"] == f"86{msisdn}"]
    await post(made, "USER_TERMINATE", user_id=user, msisdn=msisdn, wait_s=DEADLINE_S)
    await load(made, row)
    removal: dict[str, Any] = {
        "user_id": user,
        "msisdn": msisdn,
        "imsi": row["imsi"],
        "hlr": "hlr1",
    }
    at = await log_end(made)

    alone = await post(made, "NE_REPAIR", **removal)
    agreed = await post(made, "NE_REPAIR", **removal, approved_by="li4", wait_s=DEADLINE_S)

    assert alone["code"] == "APPROVAL_MISSING"
    assert agreed["receipt"]["result"] == "succeeded"
    assert await sent_since(made, at, row["imsi"]) == ["RMV SUB"], "the key was gone already"
    assert await levels(made, users) == []


async def test_the_trail_has_it_all_and_is_whole(made: System) -> None:
    found = await made.staff.get("/v1/audit?subject=province:200")
    proof = await made.staff.get("/v1/audit/verify")

    actions = {row["action"] for row in found["rows"]}
    assert {"master.drain", "master.switch"} <= actions
    assert {row["actor"] for row in found["rows"]} == {"anna", "hlrd"}
    assert proof["fault"] is None
    assert proof["rows"] >= len(found["rows"])


async def records(made: System) -> list[dict[str, Any]]:
    rows = await made.stack.control("hlr1", "GET", "/dump")
    return [row for row in rows if row["record"] == "subscriber"]


async def load(made: System, row: dict[str, Any]) -> None:
    """What nobody told hlrd of."""
    url = f"http://127.0.0.1:{made.stack.control_ports['hlr1']}/load"
    async with made.stack.http.post(url, data=msgspec.json.encode(row)) as response:
        response.raise_for_status()


async def log_end(made: System) -> int:
    log = await made.stack.control("hlr1", "GET", "/log")
    return int(log[-1]["number"])


async def sent_since(made: System, at: int, imsi: str) -> list[str]:
    """Commands that changed something of this card, in their order."""
    rows = await made.stack.control("hlr1", "GET", f"/log?after={at}")
    commands = [row["command"] for row in rows if imsi in row["command"]]
    return [short(command) for command in commands if not command.startswith("LST ")]
