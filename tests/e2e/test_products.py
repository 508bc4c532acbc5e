"""F01 and F08 on the whole system: daemon, HLR, DSMP and a platform, and what each holds."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import replace
from itertools import count
from typing import Any

import pytest

from hlrd.domain.orders import Source
from loadtest.faults import Fault, Once, Profile
from tests.e2e.flow import DEADLINE_S, SMALL, System, system

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(240)]

CONTEXT = {
    "dialect": "huawei_hlr",
    "add": 'MOD GPRS_CONTEXT:IMSI="{imsi}",PROV=ADDPDPCNTX,CNTXID={context},APN="{apn}"',
    "remove": 'MOD GPRS_CONTEXT:IMSI="{imsi}",PROV=RMVPDPCNTX,CNTXID={context}',
}
APN = {
    "name": "APN",
    "kind": "function",
    "parameters": {"context": ["7"], "apn": ["cmiot.gd"]},
    "scripts": [CONTEXT],
}


def content(name: str, service: str) -> Mapping[str, Any]:
    relation = {"sp_id": "900001", "sp_service_id": service}
    return {"name": name, "kind": "content", "relation": relation}


VIDEO = {"product": "VIDEO", "services": [APN, content("VIDEO", "VIDEO01")], "platforms": ["video"]}
MUSIC = {"product": "MUSIC", "services": [APN, content("MUSIC", "MUSIC01")]}


class Desk:
    """Orders one by one, each awaited, and what the network holds afterwards."""

    def __init__(self, made: System) -> None:
        self.stack = made.stack
        self._ids = count(1)
        self.user: dict[str, Any] = {}

    async def post(self, source: Source, kind: str, **fields: Any) -> dict[str, Any]:
        """The answer with its receipt; or the refusal."""
        header = {"order_id": f"P-{next(self._ids)}", "province": "000", "operator_id": "op"}
        async with self.stack.http.post(
            f"{self.stack.url}/v1/work-orders",
            json={"type": kind, **header, **fields},
            headers={
                "Authorization": f"Bearer {self.stack.token(source)}",
                "Prefer": f"wait={DEADLINE_S:.0f}",
            },
        ) as response:
            answer: dict[str, Any] = await response.json()
            return answer

    async def result(self, kind: str, source: Source = Source.OPS, **fields: Any) -> str:
        """`succeeded`, `failed`, or the code of the refusal; a mark behind a blank."""
        answer = await self.post(source, kind, **fields)
        if "receipt" not in answer:
            return str(answer["code"])
        receipt = answer["receipt"]
        return " ".join([receipt["result"], *receipt.get("marks", [])])

    async def publish(self, product: Mapping[str, Any], version: int = 1) -> str:
        return await self.result("PRODUCT_PUBLISH", product_version=version, name="产品", **product)

    async def activate(self) -> None:
        answer = await self.post(
            Source.ESOP, "MEMBER_ACTIVATE", user_id="901", ec_code="EC1", province="200"
        )
        self.user = {"user_id": "901", "msisdn": answer["msisdn"]}

    async def subscribe(self, product: str) -> str:
        return await self.result("PRODUCT_SUBSCRIBE", product=product, **self.user)

    async def unsubscribe(self, product: str) -> str:
        return await self.result("PRODUCT_UNSUBSCRIBE", product=product, **self.user)

    async def refuses(self, ne: str, command: str) -> None:
        fault = Profile(once=[Once(Fault.REFUSE, command)])
        await self.stack.control(ne, "PUT", "/faults", fault)

    async def apns(self) -> list[str]:
        """At the HLR."""
        rows = await self.stack.control("hlr1", "GET", "/dump")
        return [context["APN"] for row in rows for context in row.get("gprs", {}).values()]

    async def relations(self) -> dict[str, str]:
        """At the DSMP, by service."""
        rows = await self.stack.control("dsmp1", "GET", "/dump")
        return {row["sp_service_id"]: row["state"] for row in rows}

    async def products_of_users(self) -> list[str]:
        """At the platform."""
        rows = await self.stack.control("video", "GET", "/dump")
        return [row["resource"] for row in rows if row["resource"].startswith("/users/")]

    async def switched(self) -> list[str]:
        """What the HLR was asked, by its own log."""
        rows = await self.stack.control("hlr1", "GET", "/log")
        return [row["command"] for row in rows if "GPRS_CONTEXT" in row["command"]]


@asynccontextmanager
async def a_desk() -> AsyncIterator[Desk]:
    """One active user, and a platform beside HLR and DSMP."""
    async with system(replace(SMALL, hlrs=1), orders=20) as made:
        stack = made.stack
        options = ["--dialect", "province_platform"]
        stack._start_element("video", "loadtest.platform", Profile(), 1, options)
        ports = await stack.elements["video"].ready()
        stack.control_ports["video"] = ports["control"]
        with stack.config.open("a") as config:
            config.write(
                '\n[[ne]]\nname = "video"\ndialect = "province_platform"\n'
                f'host = "127.0.0.1"\nport = {ports["port"]}\nsettle_s = 0.1\n'
            )
        await restart(made)
        desk = Desk(made)
        await desk.activate()
        yield desk


async def restart(made: System | Desk) -> None:
    made.stack.daemon.kill()
    await made.stack.start_daemon()


async def test_a_product_is_offered_when_all_its_targets_know_it_and_not_before() -> None:
    async with a_desk() as desk:
        await desk.refuses("dsmp1", "PUBLISH")

        assert await desk.publish(VIDEO) == "failed"
        assert await desk.subscribe("VIDEO") == "PRODUCT_NOT_ACTIVE"
        await restart(desk)
        assert await desk.subscribe("VIDEO") == "PRODUCT_NOT_ACTIVE"
        assert await desk.subscribe("NEWS") == "PRODUCT_UNKNOWN"
        assert await desk.switched() == []

        assert await desk.publish(VIDEO) == "succeeded"
        assert await desk.publish(VIDEO) == "succeeded NO_CHANGE"
        other = {**VIDEO, "services": [APN]}
        assert await desk.publish(other) == "PRODUCT_VERSION_TAKEN"
        assert await desk.subscribe("VIDEO") == "succeeded"

        assert len(await desk.switched()) == 1
        assert await desk.apns() == ["cmiot.gd"]
        assert (await desk.relations())["VIDEO01"] == "active"
        assert len(await desk.products_of_users()) == 1


async def test_a_function_stays_while_a_product_needs_it_over_a_kill_of_the_daemon() -> None:
    async with a_desk() as desk:
        for product in (VIDEO, MUSIC):
            assert await desk.publish(product) == "succeeded"
            assert await desk.subscribe(str(product["product"])) == "succeeded"
        assert len(await desk.switched()) == 1
        await restart(desk)
        assert await desk.subscribe("MUSIC") == "succeeded NO_CHANGE"

        assert await desk.unsubscribe("VIDEO") == "succeeded"
        assert await desk.apns() == ["cmiot.gd"]
        assert await desk.products_of_users() == []
        assert await desk.unsubscribe("MUSIC") == "succeeded"
        assert await desk.apns() == []
        relations = await desk.relations()
        assert [relations[service] for service in ("VIDEO01", "MUSIC01")] == ["closed", "closed"]


async def test_what_a_platform_refuses_leaves_nothing_that_is_charged() -> None:
    async with a_desk() as desk:
        assert await desk.publish(VIDEO) == "succeeded"
        await desk.refuses("video", "SUBSCRIBE")

        assert await desk.subscribe("VIDEO") == "failed"

        assert await desk.apns() == []
        assert (await desk.relations())["VIDEO01"] == "closed"
        assert await desk.products_of_users() == []


async def test_a_terminated_user_leaves_no_relation_and_no_product() -> None:
    async with a_desk() as desk:
        assert await desk.publish(VIDEO) == "succeeded"
        assert await desk.subscribe("VIDEO") == "succeeded"
        assert await desk.result("ARREARS_SUSPEND", level=2, **desk.user) == "succeeded"
        assert (await desk.relations())["VIDEO01"] == "paused"

        assert await desk.result("USER_TERMINATE", **desk.user) == "succeeded"

        assert set((await desk.relations()).values()) == {"closed"}
        assert await desk.products_of_users() == []
        assert await desk.apns() == []
