"""A batch of openings goes on over a killed daemon, and all members of an EC stop and go again."""

import asyncio
import csv
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from io import StringIO
from typing import Any

import asyncpg
import pytest

from hlrd.domain.orders import Source
from loadtest.faults import Latency, Profile
from loadtest.settings import PROVINCE
from tests.e2e.flow import DEADLINE_S, SMALL, System, system

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(240)]

EC = "ECBATCH"


class Caller:
    """One source that posts batches and orders."""

    def __init__(self, made: System, source: Source) -> None:
        self._made = made
        self._headers = {"Authorization": f"Bearer {made.stack.token(source)}"}

    async def ask(self, method: str, path: str, **sent: Any) -> tuple[int, Any]:
        headers = self._headers | sent.pop("headers", {})
        url = self._made.stack.url + path
        async with self._made.stack.http.request(method, url, headers=headers, **sent) as response:
            is_json = "json" in response.content_type and "ndjson" not in response.content_type
            return response.status, await (response.json() if is_json else response.text())

    async def post_file(self, order_id: str, rows: str, **said: str) -> tuple[int, Any]:
        query = {"order_id": order_id, "operator_id": "op", "province": PROVINCE, **said}
        return await self.ask(
            "POST",
            "/v1/batches",
            params={"child": "MEMBER_ACTIVATE"} | query,
            data=rows.encode(),
            headers={"Content-Type": "text/csv"},
        )

    async def until(self, batch: str, holds: Callable[[Any], bool]) -> Any:
        """Its state once that holds; the daemon may be away meanwhile."""
        async with asyncio.timeout(DEADLINE_S):
            while True:
                try:
                    _, shown = await self.ask("GET", f"/v1/batches/{batch}")
                    if holds(shown):
                        return shown
                except OSError:
                    pass
                await asyncio.sleep(0.05)


def rows_of(count: int, *, first: int = 9_000_000) -> str:
    return "user_id,ec_code\n" + "".join(f"{first + n},{EC}\n" for n in range(count))


async def results(caller: Caller, batch: str) -> list[dict[str, str]]:
    _, text = await caller.ask("GET", f"/v1/batches/{batch}/results")
    return list(csv.DictReader(StringIO(text)))


async def test_a_batch_of_openings_goes_on_over_a_killed_daemon_without_doubles() -> None:
    async with system(orders=3_000) as made:
        esop = Caller(made, Source.ESOP)
        status, batch = await esop.post_file("BATCH-1", rows_of(2_000))
        assert status == 202, batch
        await esop.until(batch["id"], lambda shown: shown["ok"] >= 500)

        made.stack.daemon.kill()
        await made.stack.start_daemon()
        over = await esop.until(batch["id"], lambda shown: shown["state"] == "done")

        assert (over["ok"], over["failed"], over["left"]) == (2_000, 0, 0)
        rows = await results(esop, batch["id"])
        assert [int(row["row"]) for row in rows] == list(range(2, 2_002))
        assert len({row["msisdn"] for row in rows}) == 2_000
        assert {row["result"] for row in rows} == {"succeeded"}
        connection = await asyncpg.connect(await made.stack.dsn())
        bound = await connection.fetch("SELECT msisdn, iccid FROM binding")
        kept = await connection.fetchval(
            "SELECT count(*) FROM number_hold h WHERE state = 'reserved'"
            " AND NOT EXISTS (SELECT FROM binding b WHERE b.msisdn = h.msisdn)"
        )
        await connection.close()
        assert {(row["msisdn"], row["iccid"]) for row in rows} == {
            (str(row["msisdn"]), row["iccid"]) for row in bound
        }
        assert kept == 0


async def reasons(made: System) -> Counter[str]:
    """Of the users that are not plainly active, the reasons as they stand."""
    connection = await asyncpg.connect(await made.stack.dsn())
    rows = await connection.fetch("SELECT reasons::text AS said FROM user_state")
    await connection.close()
    return Counter(row["said"] for row in rows)


async def open_members(made: System, count: int) -> list[dict[str, str]]:
    caller = Caller(made, Source.ESOP)
    status, batch = await caller.post_file("MEMBERS", rows_of(count))
    assert status == 202, batch
    over = await caller.until(batch["id"], lambda shown: shown["state"] == "done")
    assert over["ok"] == count, over
    connection = await asyncpg.connect(await made.stack.dsn())
    await connection.execute(  # as an enterprise's subscription would have had it
        "INSERT INTO ec_member (user_id, ec_code, route, product, order_id, since)"
        f" SELECT user_id, '{EC}', 'BOSS1', '', order_id, now() FROM binding"
    )
    await connection.close()
    return await results(caller, batch["id"])


async def post(caller: Caller, kind: str, order_id: str, **fields: object) -> str:
    """hlrd's id of the order, once it is accepted."""
    order = {"type": kind, "order_id": order_id, "province": PROVINCE, "operator_id": "op"}
    status, answer = await caller.ask("POST", "/v1/work-orders", json=order | fields)
    assert status == 202, answer
    return str(answer["id"])


async def batch_of(caller: Caller, order: str) -> str:
    """The batch that carries out this order, once it has its turn."""
    async with asyncio.timeout(DEADLINE_S):
        while True:
            _, listed = await caller.ask("GET", "/v1/batches")
            for shown in listed["batches"]:
                if shown["order"] == order:
                    return str(shown["id"])
            await asyncio.sleep(0.02)


async def closed(caller: Caller, order: str) -> Any:
    """Its final receipt."""
    async with asyncio.timeout(DEADLINE_S):
        while True:
            _, shown = await caller.ask("GET", f"/v1/work-orders/{order}")
            if shown["closed_at"] is not None:
                return shown["receipts"][-1]
            await asyncio.sleep(0.05)


async def test_an_ec_is_stopped_and_resumed_and_a_reason_of_a_members_own_stays() -> None:
    async with system(orders=600) as made:
        boss = Caller(made, Source.BOSS)
        members = await open_members(made, 300)
        own = members[7]
        await closed(
            boss,
            await post(
                boss, "VOLUNTARY_SUSPEND", "OWN", user_id=own["user_id"], msisdn=own["msisdn"]
            ),
        )

        stopped = await closed(boss, await post(boss, "EC_SUSPEND_ALL", "STOP", ec_code=EC))
        while_stopped = await reasons(made)
        resumed = await closed(boss, await post(boss, "EC_RESUME_ALL", "GO", ec_code=EC))

        assert (stopped["rows_ok"], stopped["rows_failed"], stopped["rows_left"]) == (300, 0, 0)
        assert while_stopped == {
            '{"ARREARS": 2}': 299,
            '{"ARREARS": 2, "VOLUNTARY": 2}': 1,
        }
        assert (resumed["rows_ok"], resumed["rows_failed"], resumed["rows_left"]) == (300, 0, 0)
        assert await reasons(made) == {'{"VOLUNTARY": 2}': 1}


async def test_who_pays_goes_before_the_stop_of_an_ec_and_the_ec_that_pays_takes_it_back() -> None:
    slow = Profile(latency=Latency(p50_s=0.02))
    async with system(replace(SMALL, hlr_sessions=2, hlr_faults=slow), orders=600) as made:
        boss = Caller(made, Source.BOSS)
        members = await open_members(made, 400)
        stop = await post(boss, "EC_SUSPEND_ALL", "STOP", ec_code=EC, priority=4)
        batch = await batch_of(boss, stop)
        await boss.until(batch, lambda shown: shown["ok"] >= 20)

        paid = members[399]
        urgent = await closed(
            boss,
            await post(
                boss, "PAYMENT_RESUME", "PAID", user_id=paid["user_id"], msisdn=paid["msisdn"]
            ),
        )
        _, meanwhile = await boss.ask("GET", f"/v1/batches/{batch}")
        go = await closed(boss, await post(boss, "EC_RESUME_ALL", "GO", ec_code=EC))
        stopped = await closed(boss, stop)

        assert urgent["result"] == "succeeded"
        assert meanwhile["ok"] < 380, "the urgent order has gone before the others' stops"
        assert go["rows_ok"] == 400
        assert stopped["marks"] == ["OVERTAKEN"]
        assert stopped["rows_ok"] + stopped["rows_left"] == 400
        assert await reasons(made) == {}


async def test_rows_get_the_cards_of_a_range_and_the_numbers_they_name() -> None:
    async with system(orders=400) as made:
        esop, ops = Caller(made, Source.ESOP), Caller(made, Source.OPS)
        _, listed = await ops.ask("GET", "/v1/sim-lots")
        lot = listed["lots"][0]
        _, text = await ops.ask("GET", f"/v1/sim-lots/{lot['name']}/cards.csv")
        cards = sorted(row["iccid"] for row in csv.DictReader(StringIO(text)))[10:40]
        span = next(one for one in made.stock.ranges if one.hlr == lot["hlr"])
        named = [str(int(span.first) + n) for n in range(30)]

        status, ranged = await esop.post_file(
            "RANGE", rows_of(30), iccid_first=cards[0], iccid_last=cards[-1]
        )
        assert status == 202, ranged
        over = await esop.until(ranged["id"], lambda shown: shown["state"] in ("done", "refused"))
        assert over["ok"] == 30, over
        by_range = await results(esop, ranged["id"])
        taken = {row["msisdn"] for row in by_range}
        free = [number for number in named if number not in taken]
        _, posted = await esop.post_file("NAMED", members_with(free, first=9_500_000))
        done = await esop.until(posted["id"], lambda shown: shown["state"] in ("done", "refused"))
        _, refused = await esop.post_file("TAKEN", members_with(free, first=9_600_000))

        assert [row["iccid"] for row in by_range] == cards
        assert done["ok"] == len(free), done
        assert [row["msisdn"] for row in await results(esop, posted["id"])] == free
        assert refused["code"] == "BATCH_INVALID"
        assert len(refused["errors"]) == len(free)


def members_with(numbers: list[str], *, first: int) -> str:
    return "user_id,ec_code,msisdn\n" + "".join(
        f"{first + n},{EC},{number}\n" for n, number in enumerate(numbers)
    )
