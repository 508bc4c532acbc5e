"""The worked cases of combined suspensions, on the whole system: the exact commands in the log of
the HLR, the state that HLR and DSMP are left in, and the receipts.
"""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from itertools import count, permutations
from typing import Any, Final

import asyncpg
import pytest
import pytest_asyncio

from hlrd.domain.orders import Source
from tests.e2e.flow import DEADLINE_S, SMALL, System, system

pytestmark = [
    pytest.mark.e2e,
    pytest.mark.timeout(240),
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

    async def post_all(self, *orders: tuple[str, dict[str, Any]]) -> None:
        """In this order, without waiting in between; the receipts come as they come."""
        user = {"user_id": self.user_id, "msisdn": self.msisdn}
        answers = [await post(self.system, kind, **user, **fields) for kind, fields in orders]
        async with asyncio.timeout(DEADLINE_S):
            for answer in answers:
                self.receipts.append(await receipt_of(self.system, answer["id"]))

    @property
    def marks(self) -> list[str]:
        return [mark for receipt in self.receipts for mark in receipt.get("marks", [])]

    async def commands(self, *, of_its_own: bool = False) -> list[str]:
        """The HLR's log since the user was opened, but for what changes nothing; of all users, or
        of its own."""
        rows = await self.system.stack.control("hlr1", "GET", f"/log?after={self.opened}")
        rows = [row for row in rows if not of_its_own or self.imsi in row["command"]]
        assert {row["code"] for row in rows} <= {"0"}
        return [short(row["command"]) for row in rows if not row["command"].startswith(NO_CHANGE)]

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


NO_CHANGE: Final = ("LST ", "LGI", "LGO")
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


async def receipt_of(made: System, order: str) -> Mapping[str, Any]:
    while True:
        found: Mapping[str, Any] = await made.staff.get(f"/v1/work-orders/{order}")
        receipts: list[Mapping[str, Any]] = found["receipts"]
        if receipts:
            return receipts[-1]
        await asyncio.sleep(0.01)


@asynccontextmanager
async def kept_from(made: System, ne: str) -> AsyncIterator[None]:
    """Nothing is sent to the element meanwhile."""
    stack = made.stack
    url = f"{stack.url}/v1/network-elements/{ne}"
    headers = {"Authorization": f"Bearer {stack.token(Source.OPS)}", "Operator-Id": "li4"}

    async def say(verb: str, body: dict[str, str]) -> None:
        async with stack.http.post(f"{url}/{verb}", json=body, headers=headers) as response:
            assert response.status == 200, await response.text()

    await say("drain", {"cause": "the case wants its orders queued"})
    try:
        yield
    finally:
        await say("release", {})


async def number_and_card(made: System) -> dict[str, str]:
    """The last ones of the stock that nobody has."""
    numbers = made.stock.ranges[-1]
    for msisdn in range(int(numbers.last), int(numbers.first), -1):
        if await is_idle(made, f"/v1/numbers/{msisdn}"):
            break
    for row in reversed(made.stock.lots[-1].csv().decode().split()):
        iccid, imsi, _ = row.split(",")
        if await is_idle(made, f"/v1/sim-cards/{iccid}"):
            break
    return {"msisdn": str(msisdn), "imsi": imsi, "iccid": iccid}


async def is_idle(made: System, path: str) -> bool:
    found = await made.staff.get(path)
    return found is not None and found["state"] in {"idle", "inStock", "leased"}


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def made() -> AsyncIterator[System]:
    async with system(replace(SMALL, hlrs=1), orders=60) as found:
        yield found


@pytest_asyncio.fixture(loop_scope="module")
async def line(made: System) -> Line:
    return await opened(made)


async def opened(made: System, ec_code: str = "EC1") -> Line:
    user_id = str(next(_users))
    answer = await post(
        made, "MEMBER_ACTIVATE", source=Source.ESOP, wait_s=DEADLINE_S, user_id=user_id,
        ec_code=ec_code,
    )  # fmt: skip
    log = await made.stack.control("hlr1", "GET", "/log")
    return Line(made, user_id, answer["msisdn"], answer["imsi"], log[-1]["number"])


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
    assert line.marks == case.marks
    last = line.receipts[-1]
    assert (last["effective_level"], last["remaining_reasons"]) == (case.level, case.remaining)


async def test_case_9_a_stop_that_was_paid_for_before_it_was_sent_is_not_sent(line: Line) -> None:
    async with kept_from(line.system, "hlr1"):
        await line.post_all(A2, PAY)

    assert await line.commands() == []
    assert (await line.level(), await line.relation()) == (0, "active")
    assert [receipt["result"] for receipt in line.receipts] == ["succeeded", "succeeded"]
    assert line.marks == ["COALESCED", "COALESCED"]


async def test_case_10_who_has_paid_is_not_stopped_by_the_late_order_of_before(line: Line) -> None:
    await line.post("PAYMENT_RESUME", seq=12)

    await line.post("ARREARS_SUSPEND", seq=11, level=2)

    assert await line.commands() == []
    assert (await line.level(), await line.relation()) == (0, "active")
    assert [receipt["result"] for receipt in line.receipts] == ["succeeded", "succeeded"]
    assert line.marks == [NOT_SET, "SUPERSEDED"]


@pytest.mark.parametrize("posted", list(permutations(range(4))), ids=str)
async def test_whatever_order_they_are_posted_in_the_sequence_counts(
    line: Line, posted: tuple[int, ...]
) -> None:
    await line.post("VOLUNTARY_RESUME", seq=1)
    steps = enumerate([A2, V2, PAY, BACK], 2)
    numbered = [(kind, {**fields, "seq": seq}) for seq, (kind, fields) in steps]

    await line.post_all(*(numbered[n] for n in posted))

    assert await line.commands() in ([], ["bar2", "unbar"])
    assert (await line.level(), await line.relation()) == (0, "active")
    assert [receipt["result"] for receipt in line.receipts] == ["succeeded"] * 5


async def test_case_11_who_lost_his_card_is_free_on_the_new_one(line: Line) -> None:
    await line.post("OPERATOR_SUSPEND", reason="LOST", level=2)

    await line.post("SIM_REPLACE")

    assert await line.commands() == ["bar2", "ADD KI", "MOD IMSI", "unbar", "RMV KI"]
    assert (await line.level(), await line.relation()) == (0, "active")
    assert line.receipts[-1]["remaining_reasons"] == []
    assert line.receipts[-1]["imsi"] != line.imsi


async def test_case_12_who_owes_is_stopped_on_the_new_card_too(line: Line) -> None:
    await line.post("ARREARS_SUSPEND", level=2)

    await line.post("SIM_REPLACE")

    assert await line.commands() == ["bar2", "ADD KI", "MOD IMSI", "RMV KI"]
    assert (await line.level(), await line.relation()) == (2, "paused")
    assert line.receipts[-1]["remaining_reasons"] == ["ARREARS"]
    assert line.receipts[-1]["imsi"] != line.imsi


async def test_case_13_who_is_terminated_is_not_resumed_by_a_payment(line: Line) -> None:
    await line.post("ARREARS_SUSPEND", level=2)
    await line.post("USER_TERMINATE")

    paid = await line.post("PAYMENT_RESUME")

    assert paid["code"] == "USER_TERMINATED"
    assert await line.commands() == ["bar2", "RMV SUB", "RMV KI"]
    assert await line.level() is None
    assert await line.relation() == "closed"
    assert line.receipts[-1]["user_state"] == "terminated"


async def join(made: System, ec_code: str, *lines: Line) -> None:
    """As they would have with an enterprise that hlrd was told of."""
    connection = await asyncpg.connect(await made.stack.dsn())
    await connection.execute(
        "INSERT INTO ec_member (user_id, ec_code, route, product, order_id, since)"
        " SELECT user_id, $1, 'BOSS1', '', order_id, now() FROM binding WHERE user_id = ANY($2)",
        ec_code,
        [line.user_id for line in lines],
    )
    await connection.close()


async def test_case_14_a_member_with_a_reason_of_his_own_is_left_alone(made: System) -> None:
    one, other, own = [await opened(made, ec_code="EC14") for _ in range(3)]
    await join(made, "EC14", one, other, own)
    await own.post("VOLUNTARY_SUSPEND", level=2)

    for kind in ("EC_SUSPEND_ALL", "EC_RESUME_ALL"):
        answer = await post(made, kind, wait_s=DEADLINE_S, ec_code="EC14")
        assert answer["receipt"]["result"] == "succeeded"

    for line, commands in ((one, ["bar2", "unbar"]), (other, ["bar2", "unbar"]), (own, ["bar2"])):
        assert await line.commands(of_its_own=True) == commands
    assert [await line.level() for line in (one, other, own)] == [0, 0, 2]
    await own.post("VOLUNTARY_RESUME")
    assert (await own.level(), await own.relation()) == (0, "active")


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
    named = await number_and_card(made)
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
