"""The fallout desk on the whole system: an HLR that refuses for good and is mended, an EOMS whose
people answer, and a daemon that is killed in between.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import replace
from itertools import count
from typing import Any

import pytest
import pytest_asyncio

from hlrd.domain.orders import Source
from loadtest.faults import Fault, Once, Profile
from tests.e2e.flow import DEADLINE_S, SMALL, System, system

pytestmark = [
    pytest.mark.e2e,
    pytest.mark.timeout(240),
    pytest.mark.asyncio(loop_scope="module"),
]

WHY = {"operator_id": "op7", "reason": "mended"}
BARRING, REMOVAL = "MOD LCK", "RMV SUB"


class Office:
    """Staff at the desk, and what they see."""

    def __init__(self, made: System) -> None:
        self.stack = made.stack
        self._ids = count(1)
        self._users = count(901)

    async def ask(
        self, method: str, path: str, body: object = None, source: Source = Source.OPS
    ) -> Any:
        async with self.stack.http.request(
            method,
            f"{self.stack.url}{path}",
            json=body,
            headers={"Authorization": f"Bearer {self.stack.token(source)}"},
        ) as response:
            return await response.json()

    async def post(self, kind: str, **fields: Any) -> dict[str, Any]:
        header = {"order_id": f"F-{next(self._ids)}", "province": "000", "operator_id": "op"}
        answer: dict[str, Any] = await self.ask(
            "POST", "/v1/work-orders", {"type": kind, **header, **fields}
        )
        return answer

    async def order(self, id: str) -> dict[str, Any]:
        found: dict[str, Any] = await self.ask("GET", f"/v1/work-orders/{id}")
        return found

    async def closes(self, id: str) -> Mapping[str, Any]:
        """Its final receipt."""
        shown = await self._until(lambda: self.order(id), lambda one: one["closed_at"] is not None)
        receipt: Mapping[str, Any] = shown["receipts"][-1]
        return receipt

    async def falls_out(self, id: str) -> Mapping[str, Any]:
        return await self._until(
            lambda: self.ask("GET", f"/v1/fallout/{id}"), lambda one: one.get("ne") is not None
        )

    async def act(self, id: str, verb: str, **more: Any) -> Any:
        return await self.ask("POST", f"/v1/fallout/{id}/{verb}", WHY | more)

    async def _until(
        self, ask: Callable[[], Any], holds: Callable[[Any], bool]
    ) -> Mapping[str, Any]:
        async with asyncio.timeout(DEADLINE_S):
            while not holds(found := await ask()):  # noqa: ASYNC110 - over HTTP
                await asyncio.sleep(0.05)
        result: Mapping[str, Any] = found
        return result

    async def refuses(self, ne: str, *commands: str) -> None:
        once = [Once(Fault.REFUSE, command) for command in commands]
        await self.stack.control(ne, "PUT", "/faults", Profile(once=once))

    async def user(self) -> dict[str, str]:
        user_id = str(next(self._users))
        answer = await self.post("MEMBER_ACTIVATE", user_id=user_id, ec_code="EC1", province="200")
        await self.closes(answer["id"])
        return {"user_id": user_id, "msisdn": answer["msisdn"]}

    async def barrings(self) -> int:
        """How often the HLR was told to bar or unbar, by its own log."""
        rows = await self.stack.control("hlr1", "GET", "/log")
        return sum(row["command"].startswith(BARRING) for row in rows)

    async def sheet_of(self, id: str) -> Mapping[str, Any]:
        """The one that the EOMS has of an order."""
        sheets = await self.stack.control("eoms1", "GET", "/dump")
        (sheet,) = [each for each in sheets if each["content"]["order"] == id]
        found: Mapping[str, Any] = sheet
        return found

    async def restart(self) -> None:
        self.stack.daemon.kill()
        await self.stack.start_daemon()


@asynccontextmanager
async def an_office(config: str = "", *, eoms: bool = False) -> AsyncIterator[Office]:
    async with system(replace(SMALL, hlrs=1), orders=40) as made:
        stack = made.stack
        if eoms:
            stack._start_element("eoms1", "loadtest.eoms", Profile(), 1, [])
            ports = await stack.elements["eoms1"].ready()
            stack.control_ports["eoms1"] = ports["control"]
            config += (
                '\n[[ne]]\nname = "eoms1"\ndialect = "eoms"\nhost = "127.0.0.1"\n'
                f"port = {ports['port']}\npoll_s = 0.1\nsettle_s = 0.1\n"
            )
        office = Office(made)
        if config:
            with stack.config.open("a") as file:
                file.write(config)
            await office.restart()
        yield office


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def office() -> AsyncIterator[Office]:
    """Each who uses it leaves nothing in fallout."""
    async with an_office("\n[fallout]\nbulk_rate = 4.0\n") as made:
        yield made


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def with_eoms() -> AsyncIterator[Office]:
    async with an_office('\n[fallout]\nto_eoms = ["hlr*:*"]\n', eoms=True) as made:
        yield made


async def test_a_refused_suspension_is_mended_and_resent_over_a_kill(office: Office) -> None:
    user, before = await office.user(), await office.barrings()
    await office.refuses("hlr1", BARRING)
    stop = await office.post("ARREARS_SUSPEND", level=2, **user)
    fallen = await office.falls_out(stop["id"])
    resume = await office.post("PAYMENT_RESUME", **user)
    behind = await office._until(
        lambda: office.falls_out(stop["id"]), lambda one: one["waiting"] == 1
    )
    await office.restart()

    done = await office.act(stop["id"], "resend")
    first, second = await office.closes(stop["id"]), await office.closes(resume["id"])
    left = await office.ask("GET", f"/v1/fallout/{stop['id']}")

    assert (fallen["ne"], fallen["operation"]) == ("hlr1", "setBarring")
    assert behind["acts"] == ["resend", "change", "skip", "finish"]
    assert (done["act"], done["waiting"]) == ("resend", 1)
    assert (first["result"], second["result"]) == ("succeeded", "succeeded")
    assert left["code"] == "NOT_IN_FALLOUT"
    assert await office.barrings() == before + 3  # refused, barred, unbarred


async def test_each_act_leaves_what_it_says_in_receipt_and_trail(office: Office) -> None:
    users = [await office.user() for _ in range(3)]
    await office.refuses("hlr1", *[BARRING] * 3)
    ids = [(await office.post("ARREARS_SUSPEND", level=2, **user))["id"] for user in users]
    for id in ids:
        await office.falls_out(id)

    refused = await office.act(ids[0], "cancel")
    await office.act(ids[0], "skip")
    await office.act(ids[1], "finish")
    await office.act(ids[2], "change", set={"level": 1})
    skipped, forced, changed = [await office.closes(id) for id in ids]
    trail = await office.ask("GET", f"/v1/audit?order={ids[2]}")
    shown = await office.order(ids[2])

    assert refused["code"] == "CANNOT_ROLL_BACK"
    assert (skipped["result"], skipped["marks"]) == ("succeeded", ["STEP_SKIPPED"])
    assert (forced["result"], forced["marks"]) == ("succeeded", ["FORCED"])
    assert [one["operation"] for one in forced["not_done"]] == ["setBarring", "pauseRelation"]
    assert (changed["result"], changed["effective_level"]) == ("succeeded", 1)
    assert shown["order"]["level"] == 2
    assert [row["action"] for row in trail["rows"]] == ["fallout.change"]


async def test_an_opening_that_cannot_be_undone_is_cancelled_when_the_hlr_is_mended(
    office: Office,
) -> None:
    before = await office.stack.control("hlr1", "GET", "/dump")
    await office.refuses("dsmp1", "OPEN")
    await office.refuses("hlr1", REMOVAL)
    opened = await office.post("MEMBER_ACTIVATE", user_id="1001", ec_code="E", province="200")
    fallen = await office.falls_out(opened["id"])

    await office.act(opened["id"], "cancel")
    receipt = await office.closes(opened["id"])
    number = await office.ask("GET", f"/v1/numbers/{opened['msisdn']}")

    assert (fallen["is_undo"], "cancel" in fallen["acts"]) == (True, True)
    assert (receipt["result"], receipt["code"]) == ("failed", "CANCELLED_BY_STAFF")
    assert number["state"] in ("idle", "leased")  # idle, perhaps in memory again by now
    assert await office.stack.control("hlr1", "GET", "/dump") == before


async def test_two_persons_resend_all_with_a_code_and_a_kill_in_between_loses_none(
    office: Office,
) -> None:
    users = [await office.user() for _ in range(6)]
    before = await office.barrings()
    await office.refuses("hlr1", *[BARRING] * 6)
    ids = [(await office.post("ARREARS_SUSPEND", level=2, **user))["id"] for user in users]
    falls = [await office.falls_out(id) for id in ids]
    meant = {"ne": "hlr1", "code": falls[0]["ne_code"]}
    proposed = await office.ask(
        "POST", "/v1/fallout/acts", {**WHY, "act": "resend", "filter": meant}
    )
    path = f"/v1/fallout/acts/{proposed['id']}"

    same = await office.ask("POST", f"{path}/confirm", {"operator_id": "op7"})
    await office.ask("POST", f"{path}/confirm", {"operator_id": "op8"})
    await office._until(lambda: office.ask("GET", path), lambda one: one["released"] >= 1)
    await office.restart()
    done = await office._until(lambda: office.ask("GET", path), lambda one: one["state"] == "done")
    results = [(await office.closes(id))["result"] for id in ids]

    assert proposed["count"] == 6
    assert same["code"] == "SECOND_PERSON_NEEDED"
    assert (done["released"], done["again"]) == (6, 0)
    assert results == ["succeeded"] * 6
    assert await office.barrings() == before + 12
    verified = await office.ask("GET", "/v1/audit/verify")
    assert verified["fault"] is None


@pytest.mark.parametrize(("word", "mark"), [("resend", []), ("done", ["FORCED"])])
async def test_what_the_eoms_answers_becomes_of_the_order(
    with_eoms: Office, word: str, mark: list[str]
) -> None:
    office = with_eoms
    user = await office.user()
    await office.refuses("hlr1", BARRING)
    stop = await office.post("ARREARS_SUSPEND", level=2, **user)
    fallen = await office._until(
        lambda: office.falls_out(stop["id"]), lambda one: one["sheet"] == "open"
    )
    sheet = await office.sheet_of(stop["id"])
    await office.restart()

    said = {"result": word, "by": "li.si", "text": "profile is there"}
    await office.stack.control("eoms1", "PUT", f"/sheets/{sheet['number']}/reply", said)
    receipt = await office.closes(stop["id"])
    closed = await office._until(
        lambda: office.sheet_of(stop["id"]), lambda one: one["state"] == "closed"
    )

    assert fallen["sheets"][0]["number"] == sheet["number"]
    assert (receipt["result"], receipt.get("marks", [])) == ("succeeded", mark)
    assert closed["result"] == word
