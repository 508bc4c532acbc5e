"""F01: a new product, from the desk of CRM to every target (新建产品发布)."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from hlrd.domain.orders import Source
from loadtest.business.message import Party
from loadtest.faults import Fault, Latency, Once, Profile
from loadtest.flow.desk import SUCCEEDED, asked, closed, opened, order_of, sub_order_of
from loadtest.flow.flow import Acts, Figure, Run, check, equal, none
from loadtest.flow.network import changes, logged, subscribers
from loadtest.flow.records import code_of, posted
from loadtest.flow.site import Site
from loadtest.flow.telecom import DSMP, HLR, OPERATOR, PLATFORM, Line, telecom

SWITCH: Final = "MOD GPRS_CONTEXT"
SCRIPT: Final = {
    "dialect": "huawei_hlr",
    "add": f'{SWITCH}:IMSI="{{imsi}}",PROV=ADDPDPCNTX,CNTXID={{context}},APN="{{apn}}"',
    "remove": f'{SWITCH}:IMSI="{{imsi}}",PROV=RMVPDPCNTX,CNTXID={{context}}',
}


GIVE: Final = "give the line a fixed address"
"""What people are asked for a line of a product that has a service by hand."""


def packet_data(*, apn: str = "cmiot.gd") -> dict[str, Any]:
    """功能: an APN at the HLR."""
    return {
        "name": "APN",
        "kind": "function",
        "parameters": {"context": ["7"], "apn": [apn]},
        "scripts": [SCRIPT],
    }


def content(service: str) -> dict[str, Any]:
    """内容: a relation at the DSMP."""
    relation = {"sp_id": "900001", "sp_service_id": service}
    return {"name": service, "kind": "content", "relation": relation}


def by_hand() -> dict[str, Any]:
    """资源: what people do, asked by a work sheet of the EOMS."""
    words = {"open": GIVE, "close": "take the fixed address back"}
    return {"name": "FIXED-IP", "kind": "resource", "manual": words}


def product(site: Site, *, version: int = 1, code: str = "", **more: Any) -> dict[str, Any]:
    """新建产品请求, of one with a function, a content and a platform."""
    code = code or f"VIDEO{site.fresh():04d}"
    return {
        "operator_id": OPERATOR,
        "product": code,
        "product_version": version,
        "name": "物联网视频",
        "services": [packet_data(), content(code)],
        "platforms": [PLATFORM],
        "description": "10元包月",
        **more,
    }


async def created(site: Site, body: Mapping[str, Any]) -> None:
    """At CRM and BOSS, tariffs and all; CRM then publishes it."""
    await asked(site, "crm", "POST", "/products", body)
    tariffs = {"operator_id": OPERATOR, "rating": "0.10元/MB", "billing": "10元/月"}
    await asked(site, "boss", "POST", f"/products/{body['product']}/tariffs", tariffs)


async def published(site: Site, body: Mapping[str, Any], *, state: str = "active") -> str:
    """Its name, once CRM has it in that state."""
    await created(site, body)
    await becomes(site, body["product"], state)
    return str(body["product"])


async def becomes(site: Site, name: str, state: str) -> None:
    async def look() -> bool:
        found = (await asked(site, "crm", "GET", f"/products/{name}"))["state"]
        return bool(found == state)

    await site.until(look, f"CRM has product {name} {state}")


async def versions(site: Site, name: str) -> dict[int, str]:
    """As hlrd has them: state by version."""
    shown = await site.hlrd.get(f"/v1/products/{name}")
    return {each["product_version"]: each["state"] for each in shown["versions"]}


async def subscribe(site: Site, line: Line, name: str, **more: Any) -> dict[str, Any]:
    """定购请求 at CRM; its order, closed."""
    body = {"operator_id": OPERATOR, "product": name, **more}
    order = await asked(site, "crm", "POST", f"/users/{line.user_id}/products", body)
    return await closed(site, "crm", order["order_id"])


async def unsubscribe(site: Site, line: Line, name: str) -> dict[str, Any]:
    path = f"/users/{line.user_id}/products/{name}/cancellation"
    order = await asked(site, "crm", "POST", path, {"operator_id": OPERATOR})
    return await closed(site, "crm", order["order_id"])


async def apns(site: Site, line: Line) -> list[str]:
    """At the HLR."""
    row = (await subscribers(site))[line.msisdn]
    return [context["APN"] for context in row.get("gprs", {}).values()]


async def story(run: Run) -> None:
    await published(run.site, product(run.site))


@check(
    "the DSMP answers an error: nobody can subscribe and the HLR hears nothing; it is well and the"
    " product published again: subscribing succeeds"
)
async def refused_until_every_target_knows_it(run: Run) -> Sequence[Figure]:
    site = run.site
    (line,) = await opened(site, 1)
    body = product(site)
    name = body["product"]
    await site.put_faults(DSMP, Profile(once=[Once(Fault.REFUSE, "PUBLISH")]))
    await published(site, body, state="failed")
    staged, start = await versions(site, name), await logged(site)
    refused = await subscribe(site, line, name)
    _, unknown = await posted(site, "PRODUCT_SUBSCRIBE", Source.CRM, line, product="NEVERMADE")
    heard = await changes(site, start)
    await asked(site, "crm", "POST", "/products", body)
    await becomes(site, name, "active")
    taken = await subscribe(site, line, name)
    return [
        equal("the version at hlrd", staged, {1: "staged"}),
        equal("an order of it", sub_order_of(refused)["code"], "PRODUCT_NOT_ACTIVE"),
        equal("an order of one that was never published", code_of(unknown), "PRODUCT_UNKNOWN"),
        none("commands at the HLR", heard),
        equal("an order once it is published", taken["result"], SUCCEEDED),
        equal("the function at the HLR", await apns(site, line), ["cmiot.gd"]),
    ]


@check("an order in flight on version 1 finishes on version 1 after version 2 is published")
async def in_flight_on_its_version(run: Run) -> Sequence[Figure]:
    site = run.site
    line, later = await opened(site, 2)
    body = product(site)
    name = await published(site, body)
    await site.put_faults(HLR, Profile(latency_by_command={SWITCH: Latency(p50_s=1.5)}))
    try:
        path = f"/users/{line.user_id}/products"
        asking = {"operator_id": OPERATOR, "product": name}
        order = await asked(site, "crm", "POST", path, asking)
        newer = [packet_data(apn="cmiot2.gd")]
        await published(site, product(site, version=2, code=name, services=newer))
        state = (await order_of(site, "crm", order["order_id"]))["state"]
        order = await closed(site, "crm", order["order_id"])
    finally:
        await site.put_faults(HLR)
    after = await subscribe(site, later, name)
    return [
        equal("the order when version 2 was active", state, "open"),
        equal("its result", order["result"], SUCCEEDED),
        equal("its function at the HLR", await apns(site, line), ["cmiot.gd"]),
        equal("versions", await versions(site, name), {1: "retired", 2: "active"}),
        equal("an order after it", after["result"], SUCCEEDED),
        equal("the function of that", await apns(site, later), ["cmiot2.gd"]),
    ]


@check("a platform refuses it: the version stays staged; sent again it is taken, and then no more")
async def sending_again_is_safe(run: Run) -> Sequence[Figure]:
    site = run.site
    body = product(site)
    name = body["product"]
    await site.put_faults(PLATFORM, Profile(once=[Once(Fault.REFUSE, "PUBLISH")]))
    await published(site, body, state="failed")
    staged = await versions(site, name)
    await asked(site, "crm", "POST", "/products", body)
    await becomes(site, name, "active")
    active = await versions(site, name)
    again = {
        "product": name,
        "product_version": 1,
        "name": body["name"],
        "services": body["services"],
        "platforms": body["platforms"],
    }
    _, answer = await posted(site, "PRODUCT_PUBLISH", Source.CRM, **again)
    return [
        equal("the version when the platform refused", staged, {1: "staged"}),
        equal("the version when it took it", active, {1: "active"}),
        equal("sent once more", answer.get("receipt", {}).get("marks"), ["NO_CHANGE"]),
    ]


LEGS: Final = (
    frozenset({"产品反馈", "请求响应"}),
    frozenset({Party.CRM, Party.HLRD, Party.DSMP, Party.PROVINCE_PLATFORM}),
)
"""CRM answers BOSS and publishes."""

F01: Final = Acts(
    layout=telecom,
    legs=LEGS,
    story=story,
    checks=(refused_until_every_target_knows_it, in_flight_on_its_version),
    faults=(sending_again_is_safe,),
)
