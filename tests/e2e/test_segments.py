"""A segment moves to another HLR while orders run: its own wait and say why, the others go on, and
after the switch nothing of it goes to the old HLR."""

import asyncio
import os
import signal
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import orjson
import pytest

from hlrd.domain.orders import Source
from loadtest.generate import Batch
from loadtest.process import until
from loadtest.settings import PROVINCE
from loadtest.workload import Book, Workload
from tests.e2e.flow import DEADLINE_S, System, system

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(240)]

SEGMENT = "1064901"  #: of hlr1; those of hlr2 begin with 1064902
_PATH = "/v1/segment-moves"


@dataclass
class Staff:
    made: System

    async def post(self, path: str, body: dict[str, Any]) -> Any:
        stack = self.made.stack
        headers = {"Authorization": f"Bearer {stack.token(Source.OPS)}"}
        async with stack.http.post(stack.url + path, json=body, headers=headers) as response:
            assert response.status in (201, 202), await response.text()
            return await response.json()

    async def start(self) -> str:
        body = {"prefix": SEGMENT, "from": "hlr1", "to": "hlr2", "operator_id": "op7"}
        return str((await self.post(_PATH, body))["id"])

    async def order(self, move: str, verb: str) -> None:
        await self.post(f"{_PATH}/{move}/{verb}", {"operator_id": "op7"})

    async def reaches(self, move: str, *states: str) -> dict[str, Any]:
        async with asyncio.timeout(DEADLINE_S):
            while True:
                shown: dict[str, Any] = await self.made.staff.get(f"{_PATH}/{move}")
                if shown["state"] in states:
                    return shown
                await asyncio.sleep(0.05)

    async def copy_data(self) -> None:
        stack = self.made.stack
        dumped = await stack.control("hlr1", "GET", "/dump")
        lines = b"".join(line_of(record) for record in dumped)
        url = f"http://127.0.0.1:{stack.control_ports['hlr2']}/load"
        async with stack.http.post(url, data=lines) as response:
            response.raise_for_status()

    async def served_by_hlr1(self, after: int = 0) -> list[dict[str, Any]]:
        log = await self.made.stack.control("hlr1", "GET", f"/log?after={after}")
        return [entry for entry in log if "IMSI=" in entry["command"]]

    async def homes(self) -> set[str]:
        pool = await self.made.staff.get("/v1/pools/iot")
        return {row["hlr"] for row in pool["ranges"]}

    async def waits(self, book: Book) -> dict[str, Any]:
        """What the first says that waits for the move."""
        async with asyncio.timeout(DEADLINE_S):
            while True:
                for order_id in book.accepted - book.receipts.keys():
                    source = Source.BOSS if order_id.startswith("S") else Source.ESOP
                    path = f"/v1/work-orders?source={source}&order_id={order_id}"
                    order = await self.made.staff.get(path)
                    if order and order["waits"]:
                        why: dict[str, Any] = order["waits"]
                        return why
                await asyncio.sleep(0.05)


def line_of(record: dict[str, Any]) -> bytes:
    return orjson.dumps(record) + b"\n"


async def reached(holds: Callable[[], bool], what: str) -> None:
    await until(holds, deadline_s=DEADLINE_S, what=what)


async def test_a_segment_moves_while_orders_run_and_over_a_kill() -> None:
    async with system() as made:
        staff = Staff(made)
        before = await made.workload(200, run="A").run(deadline_s=DEADLINE_S)
        workload = made.workload(400, orders_per_s=100, run="B", first_user=8_000_000)
        book = workload.book
        moved: dict[str, Any] = {}

        async def move() -> None:
            await reached(lambda: len(book.accepted) >= 60, "orders run")
            id = await staff.start()
            assert (await staff.reaches(id, "drained"))["running"] == 0
            why = await staff.waits(book)
            assert (why["reason"], why["move"]) == ("segmentMoves", id)
            made.stack.daemon.kill()
            await made.stack.start_daemon()
            await staff.copy_data()
            moved["served"] = await staff.served_by_hlr1()
            await staff.order(id, "switch")
            moved.update(await staff.reaches(id, "done", "unproven"))

        await asyncio.gather(move(), workload.run(deadline_s=DEADLINE_S))

        assert moved["state"] == "done", moved
        assert moved["verified"]["asked"] > 0
        assert book.trouble == {}
        assert len(book.receipts) == 400
        assert await staff.homes() == {"hlr2"}
        last = moved["served"][-1]["number"]
        assert await staff.served_by_hlr1(last) == []
        in_segment = [one for one in before.receipts.values() if one and SEGMENT in one.msisdn]
        assert in_segment


async def test_routes_are_read_again_while_orders_run() -> None:
    async with system() as made:
        stack, staff = made.stack, Staff(made)
        workload = made.workload(200, orders_per_s=200)
        body = {"first": "1064903000000", "last": "1064903000999", "province": PROVINCE}

        async def reload() -> None:
            await reached(lambda: len(workload.book.accepted) >= 40, "orders run")
            config = stack.config.read_text()
            route = '[[route]]\nkind = "msisdn"\nprefix = "1064903"\nne = "hlr2"\n'
            stack.config.write_text(f"{config}\n{route}")
            os.kill(stack.daemon.pid, signal.SIGHUP)
            await reached(lambda: "settings_reloaded" in stack.daemon.tail(), "routes are read")
            await staff.post("/v1/pools/iot/ranges", body)

        await asyncio.gather(reload(), workload.run(deadline_s=DEADLINE_S))

        pool = await made.staff.get("/v1/pools/iot")
        assert pool["ranges"][-1]["hlr"] == "hlr2"
        assert (len(workload.book.receipts), workload.book.trouble) == (200, {})


async def test_an_hlr_without_the_data_proves_nothing_and_the_move_goes_back() -> None:
    async with system() as made:
        staff = Staff(made)
        before = await made.workload(100, run="A").run(deadline_s=DEADLINE_S)

        id = await staff.start()
        await staff.reaches(id, "drained")
        await staff.order(id, "switch")
        unproven = await staff.reaches(id, "unproven", "done")
        users = [number for number in range(100) if SEGMENT in msisdn_of(before, number)]
        stops = [suspension(number, msisdn_of(before, number)) for number in users]
        workload = Workload(made.upstream(Source.BOSS), [Batch(0.0, stops)])

        async def turn_back() -> None:
            await staff.waits(workload.book)
            await staff.order(id, "return")
            await staff.reaches(id, "returned")

        await asyncio.gather(turn_back(), workload.run(deadline_s=DEADLINE_S))

        found = unproven["verified"]
        assert unproven["state"] == "unproven"
        assert found["missing"] == found["asked"] == len(users) > 0
        assert found["examples"][0]["cause"] == "the HLR has no record of it"
        assert await staff.homes() == {"hlr1", "hlr2"}
        assert workload.book.trouble == {}
        locked = await made.stack.control("hlr1", "GET", "/dump")
        assert sum(record.get("oc", False) for record in locked) == len(users)


def msisdn_of(book: Book, number: int) -> str:
    bound = book.receipts[f"A-{number:08d}"]
    assert bound is not None
    return bound.msisdn


def suspension(number: int, msisdn: str) -> tuple[str, bytes]:
    order_id = f"S-{number:08d}"
    order = {
        "type": "ARREARS_SUSPEND",
        "order_id": order_id,
        "province": PROVINCE,
        "operator_id": "credit",
        "user_id": str(7_000_000 + number),
        "msisdn": msisdn,
        "level": 2,
    }
    return order_id, orjson.dumps(order)
