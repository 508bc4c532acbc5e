"""The worked cases of combined suspensions, on the whole system: the exact commands in the log of
the HLR, the state that HLR and DSMP are left in, and the receipts.
"""

from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field, replace
from itertools import count
from typing import Any, Final

import pytest
import pytest_asyncio

from hlrd.domain.orders import Source
from tests.e2e.flow import DEADLINE_S, SMALL, System, system

pytestmark = [
    pytest.mark.e2e,
    pytest.mark.timeout(180),
    pytest.mark.asyncio(loop_scope="module"),
]

BARRINGS: Final = {
    "IC=FALSE,OC=FALSE,GPRSLOCK=FALSE,EPSLOCK=FALSE": "unbar",
    "IC=FALSE,OC=TRUE,GPRSLOCK=FALSE,EPSLOCK=FALSE": "bar1",
    "IC=TRUE,OC=TRUE,GPRSLOCK=TRUE,EPSLOCK=TRUE": "bar2",
}
LEVELS: Final = {"unbar": 0, "bar1": 1, "bar2": 2}

Step = tuple[str, dict[str, Any]]
A1: Final[Step] = ("ARREARS_SUSPEND", {"level": 1})
A2: Final[Step] = ("ARREARS_SUSPEND", {"level": 2})
PAY: Final[Step] = ("PAYMENT_RESUME", {})
V2: Final[Step] = ("VOLUNTARY_SUSPEND", {"level": 2})
BACK: Final[Step] = ("VOLUNTARY_RESUME", {})  # 报开
O2: Final[Step] = ("OPERATOR_SUSPEND", {"reason": "OPERATOR", "level": 2})
V1: Final[Step] = ("VOLUNTARY_SUSPEND", {"level": 1})
SAME: Final = "NO_CHANGE"
NOT_SET: Final = "NOT_SUSPENDED_FOR_REASON"

_users: Final = count(901)
_orders: Final = count(1)


@dataclass(slots=True)
class Line:
    """One active user: what is ordered for it, and what the network says of it."""

    system: System
    user_id: str
    msisdn: str
    imsi: str
    opened: int  #: number of the last command in the HLR's log by then
    receipts: list[Mapping[str, Any]] = field(default_factory=list)

    async def post(self, kind: str, **fields: Any) -> dict[str, Any]:
        """The answer with its receipt; or the refusal."""
        user = {"user_id": self.user_id, "msisdn": self.msisdn}
        answer = await post(self.system, kind, wait_s=DEADLINE_S, **user, **fields)
        if "receipt" in answer:
            self.receipts.append(answer["receipt"])
        return answer

    async def commands(self) -> list[str]:
        """The HLR's log since the user was opened, without queries."""
        rows = await self.system.stack.control("hlr1", "GET", f"/log?after={self.opened}")
        assert {row["code"] for row in rows} <= {"0"}
        return [short(row["command"]) for row in rows if not row["command"].startswith("LST ")]

    async def level(self) -> int | None:
        """By the locks of the record at the HLR; None if it has none."""
        rows = await self.system.stack.control("hlr1", "GET", "/dump")
        for row in rows:
            if row["record"] == "subscriber" and row["isdn"].endswith(self.msisdn):
                locks = ",".join(f"{name}={str(row[name.lower()]).upper()}" for name in LOCKS)
                return LEVELS[BARRINGS[locks]]
        return None

    async def relation(self) -> str:
        """At the DSMP."""
        rows = await self.system.stack.control("dsmp1", "GET", "/dump")
        (state,) = {row["state"] for row in rows if row["msisdn"] == self.msisdn}
        return str(state)


LOCKS: Final = ("IC", "OC", "GPRSLOCK", "EPSLOCK")


def short(command: str) -> str:
    name, _, parameters = command.rstrip(";").partition(":")
    return next((word for flags, word in BARRINGS.items() if flags in parameters), name)


async def post(
    made: System, kind: str, *, source: Source = Source.OPS, wait_s: float = 0.0, **fields: Any
) -> dict[str, Any]:
    stack = made.stack
    header = {"order_id": f"W-{next(_orders)}", "province": "200", "operator_id": "op"}
    headers = {"Authorization": f"Bearer {stack.token(source)}"}
    if wait_s:
        headers["Prefer"] = f"wait={wait_s:.0f}"
    url = f"{stack.url}/v1/work-orders"
    body = {"type": kind, **header, **fields}
    async with stack.http.post(url, json=body, headers=headers) as response:
        answer: dict[str, Any] = await response.json()
        return answer


def number_and_card(made: System) -> dict[str, str]:
    """Of the stock, the last of all: what is drawn is hardly ever these."""
    iccid, imsi, _ = made.stock.lots[-1].csv().decode().split()[-1].split(",")
    return {"msisdn": made.stock.ranges[-1].last, "imsi": imsi, "iccid": iccid}


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def made() -> AsyncIterator[System]:
    async with system(replace(SMALL, hlrs=1), orders=60) as found:
        yield found


@pytest_asyncio.fixture(loop_scope="module")
async def line(made: System) -> Line:
    user_id = str(next(_users))
    opened = await post(
        made, "MEMBER_ACTIVATE", source=Source.ESOP, wait_s=DEADLINE_S, user_id=user_id,
        ec_code="EC1",
    )  # fmt: skip
    log = await made.stack.control("hlr1", "GET", "/log")
    return Line(made, user_id, opened["msisdn"], opened["imsi"], log[-1]["number"])


@dataclass(frozen=True, slots=True)
class Case:
    name: str
    steps: list[Step]
    commands: list[str]
    level: int = 0
    remaining: list[str] = field(default_factory=list)
    marks: list[str] = field(default_factory=list)  #: of all receipts


CASES: Final = [
    Case("1", [A2, PAY], ["bar2", "unbar"]),
    Case("2", [A1, A2, PAY], ["bar1", "bar2", "unbar"]),
    Case("3", [A2, A2], ["bar2"], 2, ["ARREARS"], [SAME]),
    Case("4", [V2, A2, PAY], ["bar2"], 2, ["VOLUNTARY"]),
    Case("5", [A2, V2, BACK], ["bar2"], 2, ["ARREARS"]),
    Case("6", [V2, A1, BACK], ["bar2", "bar1"], 1, ["ARREARS"]),
    Case("7", [O2, PAY, BACK], ["bar2"], 2, ["OPERATOR"], [NOT_SET, NOT_SET]),
    Case("8", [PAY], [], marks=[NOT_SET]),
    Case("F15 after F10", [A2, V2, PAY, BACK], ["bar2", "unbar"]),
    Case(
        "a stop may be lowered by none but a resume", [V2, V1], ["bar2"], 2, ["VOLUNTARY"], [SAME]
    ),
]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
async def test_the_hlr_is_sent_the_changes_of_the_effective_level(line: Line, case: Case) -> None:
    for kind, fields in case.steps:
        await line.post(kind, **fields)

    assert await line.commands() == case.commands
    assert await line.level() == case.level
    assert await line.relation() == ("paused" if case.level else "active")
    assert [receipt["result"] for receipt in line.receipts] == ["succeeded"] * len(case.steps)
    assert [mark for receipt in line.receipts for mark in receipt.get("marks", [])] == case.marks
    last = line.receipts[-1]
    assert (last["effective_level"], last["remaining_reasons"]) == (case.level, case.remaining)


async def test_case_13_who_is_terminated_is_not_resumed_by_a_payment(line: Line) -> None:
    await line.post("ARREARS_SUSPEND", level=2)
    await line.post("USER_TERMINATE")

    paid = await line.post("PAYMENT_RESUME")

    assert paid["code"] == "USER_TERMINATED"
    assert await line.commands() == ["bar2", "RMV SUB", "RMV KI"]
    assert await line.level() is None
    assert await line.relation() == "closed"
    assert line.receipts[-1]["user_state"] == "terminated"


async def test_a_pre_terminated_user_comes_back_to_what_the_reasons_demand(line: Line) -> None:
    await line.post("ARREARS_SUSPEND", level=1)
    await line.post("PRE_TERMINATE", cause="owes for 90 days")
    assert (await line.level(), await line.relation()) == (2, "paused")

    paid = await line.post("PAYMENT_RESUME")
    await line.post("REINSTATE")

    assert paid["code"] == "USER_PRE_TERMINATED"
    assert await line.commands() == ["bar1", "bar2", "bar1"]
    assert [receipt["user_state"] for receipt in line.receipts] == [
        "active", "preTerminated", "active",
    ]  # fmt: skip
    assert line.receipts[-1]["remaining_reasons"] == ["ARREARS"]
    await line.post("PAYMENT_RESUME")
    assert (await line.level(), await line.relation()) == (0, "active")


async def test_a_user_who_is_opened_stopped_is_barred_before_any_service_is_opened(
    made: System,
) -> None:
    named = number_and_card(made)
    log = await made.stack.control("hlr1", "GET", "/log")
    user_id = str(next(_users))

    opened = await post(
        made, "USER_OPEN", source=Source.CRM, wait_s=DEADLINE_S, user_id=user_id,
        services=["GPRS", "SMS"], reasons=[{"reason": "ARREARS", "level": 2}], **named,
    )  # fmt: skip

    line = Line(made, user_id, named["msisdn"], named["imsi"], log[-1]["number"])
    assert await line.commands() == ["ADD KI", "ADD TPLSUB", "bar2"]
    assert (await line.level(), await line.relation()) == (2, "paused")
    receipt = opened["receipt"]
    assert (receipt["effective_level"], receipt["remaining_reasons"]) == (2, ["ARREARS"])
    await line.post("PAYMENT_RESUME")
    assert (await line.level(), await line.relation()) == (0, "active")
