"""A daemon with the platforms and relays of group business around it, each a process of its own."""

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from itertools import count
from typing import Any, Final

from hlrd.domain.orders import Source
from loadtest.faults import Profile
from loadtest.process import until
from tests.e2e.flow import DEADLINE_S, SMALL, System, system

LEAD: Final = "200"
PARTNER: Final = "280"
APN: Final = {
    "name": "APN",
    "kind": "function",
    "parameters": {"context": ["7"], "apn": ["cmiot.gd"]},
    "scripts": [
        {
            "dialect": "huawei_hlr",
            "add": 'MOD GPRS_CONTEXT:IMSI="{imsi}",PROV=ADDPDPCNTX,CNTXID={context},APN="{apn}"',
            "remove": 'MOD GPRS_CONTEXT:IMSI="{imsi}",PROV=RMVPDPCNTX,CNTXID={context}',
        }
    ],
}

PLATFORMS: Final[Mapping[str, tuple[str, str]]] = {
    "gateway": ("iot_gateway", ""),
    "nation": ("nationwide_management", "gateway"),
    "class1": ("class1_platform", ""),
    "platform": ("province_platform", ""),
    "management": ("province_management", "nation"),
}
"""Dialect, and who is told next, of each that can be wanted."""

_PATHS: Final = {"gateway": "/gateway/v1", "nation": "/nationwide/v1", "pboss": "/pboss/v1"}


class Office:
    """Posts orders, and looks at what every system holds afterwards."""

    def __init__(self, made: System) -> None:
        self.stack = made.stack
        self.ports: dict[str, int] = {}
        self._ids = count(1)

    # Orders.

    def order(self, kind: str, **fields: Any) -> dict[str, Any]:
        header = {"order_id": f"G-{next(self._ids)}", "province": LEAD, "operator_id": "op"}
        return {"type": kind, **header, **fields}

    async def post(
        self, kind: str, source: Source = Source.ESOP, *, wait: bool = True, **fields: Any
    ) -> dict[str, Any]:
        """The answer; with its receipt if waited for."""
        headers = {"Authorization": f"Bearer {self.stack.token(source)}"}
        if wait:
            headers["Prefer"] = f"wait={DEADLINE_S:.0f}"
        url = f"{self.stack.url}/v1/work-orders"
        async with self.stack.http.post(
            url, json=self.order(kind, **fields), headers=headers
        ) as response:
            answer: dict[str, Any] = await response.json()
            return answer

    async def post_all(self, orders: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
        headers = {"Authorization": f"Bearer {self.stack.token(Source.ESOP)}"}
        url = f"{self.stack.url}/v1/work-orders"
        async with self.stack.http.post(url, json=list(orders), headers=headers) as response:
            answer = await response.json()
            assert answer["refused"] == 0, answer
            return list(answer["answers"])

    async def result(self, kind: str, source: Source = Source.ESOP, **fields: Any) -> str:
        """`succeeded`, or the code of what went wrong."""
        answer = await self.post(kind, source, **fields)
        if "receipt" not in answer:
            return str(answer["code"])
        receipt = answer["receipt"]
        return str(receipt.get("code", receipt["result"]))

    async def publish(self, *platforms: str) -> None:
        told = {"product": "TRACK", "product_version": 1, "name": "定位", "services": [APN]}
        named = {**told, "platforms": list(platforms)}
        assert await self.result("PRODUCT_PUBLISH", Source.OPS, **named) == "succeeded"

    def about_ec(self, code: str = "EC1", **fields: Any) -> dict[str, Any]:
        named = {"ec_code": code, "ec_name": "示例集团", "product": "TRACK", "product_class": 1}
        return {**named, **fields}

    async def ask(self, path: str, source: Source = Source.OPS) -> dict[str, Any]:
        headers = {"Authorization": f"Bearer {self.stack.token(source)}"}
        async with self.stack.http.get(f"{self.stack.url}{path}", headers=headers) as response:
            found: dict[str, Any] = await response.json()
            return found

    async def closed(self, id: str) -> dict[str, Any]:
        """The order's final receipt."""
        async with asyncio.timeout(DEADLINE_S):
            while True:
                shown = await self.ask(f"/v1/work-orders/{id}")
                if shown["closed_at"] is not None:
                    receipt: dict[str, Any] = shown["receipts"][-1]
                    return receipt
                await asyncio.sleep(0.1)

    async def all_closed(self, answers: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
        """The final receipts of orders of ESOP, fetched as upstream does."""
        left, found, cursor = {answer["id"] for answer in answers}, [], 0
        async with asyncio.timeout(2 * DEADLINE_S):
            while left:
                path = f"/v1/receipts?after={cursor}&limit=1000&wait=5"
                page = await self.ask(path, Source.ESOP)
                cursor = page["cursor"]
                for receipt in page["receipts"]:
                    if receipt["id"] in left and receipt["result"] != "fallout":
                        left.remove(receipt["id"])
                        found.append(receipt)
        return found

    # Systems.

    async def dump(self, name: str, path: str = "/dump") -> list[dict[str, Any]]:
        rows: list[dict[str, Any]] = await self.stack.control(name, "GET", path)
        return rows

    async def resources(self, name: str) -> list[str]:
        return sorted(row["resource"] for row in await self.dump(name))

    async def served(self, name: str) -> list[str]:
        """What it was asked, but for keep-alives."""
        return [row["command"] for row in await self.dump(name, "/log")]

    async def effects(self, name: str) -> list[tuple[str, str, int]]:
        rows = await self.dump(name, "/effects")
        return [(row["command"], row["subject"], row["count"]) for row in rows]

    async def users_at_hlr(self) -> list[str]:
        """IMSIs that have a subscriber, whatever else the HLR keeps."""
        return [row["imsi"] for row in await self.dump("hlr1") if row.get("isdn")]

    async def hlr_log(self, *verbs: str) -> list[dict[str, Any]]:
        log = await self.dump("hlr1", "/log")
        return [row for row in log if row["command"].startswith(verbs)]

    async def become(self, name: str, resource: str, *, there: bool = True) -> None:
        async with asyncio.timeout(DEADLINE_S):
            while (resource in await self.resources(name)) != there:  # noqa: ASYNC110 - the emulator
                await asyncio.sleep(0.1)

    async def become_more(self, name: str, *, than: int) -> None:
        """Records of a system."""
        async with asyncio.timeout(DEADLINE_S):
            while len(await self.dump(name)) <= than:  # noqa: ASYNC110 - the emulator
                await asyncio.sleep(0.05)

    # Building.

    async def start(self, name: str, module: str, dialect: str, *options: str) -> None:
        self.stack._start_element(name, module, Profile(), 1, [*options])
        ports = await self.stack.elements[name].ready()
        self.ports[name] = ports["port"]
        self.stack.control_ports[name] = ports["control"]
        if dialect:
            with self.stack.config.open("a") as config:
                config.write(
                    f'\n[[ne]]\nname = "{name}"\ndialect = "{dialect}"\nhost = "127.0.0.1"\n'
                    f"port = {self.ports[name]}\nsettle_s = 0.1\npoll_s = 0.1\n"
                    "reply_timeout_s = 2.0\nbreaker_probe_s = 0.1\n"
                )

    async def start_platform(self, name: str) -> None:
        dialect, hop = PLATFORMS[name]
        options = ["--dialect", dialect, "--hop-every-s", "0.05"]
        if hop:
            options += ["--hop", self.url(hop)]
        await self.start(name, "loadtest.platform", dialect, *options)

    async def start_headquarters(self) -> None:
        """The registry, both relays, and one partner province."""
        relay = "loadtest.relay"
        await self.start("pboss", relay, "", "--role", "pboss_registry")
        await self.start("partner", relay, "", "--role", "partner_province")
        partner = f"{PARTNER}=http://127.0.0.1:{self.ports['partner']}/province/v1"
        hop = ["--hop", self.url("pboss"), "--hop-every-s", "0.05"]
        bboss = ["--role", "bboss_relay", *hop, "--partner", partner]
        await self.start("bboss", relay, "bboss_relay", *bboss)
        await self.start("boss1", relay, "boss1_relay", "--role", "boss1_relay", *hop)

    def url(self, name: str) -> str:
        return f"http://127.0.0.1:{self.ports[name]}{_PATHS[name]}"

    async def restart_daemon(self) -> None:
        self.stack.daemon.kill()
        await self.stack.start_daemon()

    async def shut(self, name: str) -> None:
        """Killed, with what it knew kept."""
        self.stack.elements[name].kill()
        await until(
            lambda: not self.stack.elements[name].is_running(), deadline_s=5, what=f"{name} ends"
        )


@asynccontextmanager
async def an_office(
    *platforms: str, headquarters: bool = False, settings: str = "", orders: int = 50
) -> AsyncIterator[Office]:
    """`platforms`: of PLATFORMS, each behind the one it tells; `settings`: of `[groups]`."""
    shape = replace(SMALL, hlrs=1, remembers=True)
    async with system(shape, orders=orders) as made:
        office = Office(made)
        if settings:
            with made.stack.config.open("a") as config:
                config.write(f"\n[groups]\n{settings}\n")
        for name in platforms:
            await office.start_platform(name)
        if headquarters:
            await office.start_headquarters()
        await made.stack.count_effects()
        await office.restart_daemon()
        yield office
