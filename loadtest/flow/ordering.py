"""F08 and F09: product ordering, waited for and not (产品定购)."""

import asyncio
import time
from collections.abc import Sequence
from typing import Any, Final

from loadtest.faults import Fault, Once, Profile
from loadtest.flow.desk import (
    SUCCEEDED,
    all_closed,
    asked,
    closed,
    opened,
    order_of,
    sub_order_of,
    user_of,
)
from loadtest.flow.flow import (
    Acts,
    Check,
    Figure,
    Run,
    at_most,
    check,
    equal,
    none,
    percentile,
)
from loadtest.flow.network import relations, subscribers
from loadtest.flow.product import (
    GIVE,
    apns,
    by_hand,
    packet_data,
    product,
    published,
    subscribe,
    unsubscribe,
)
from loadtest.flow.sheets import answered, sheet_closed, sheet_of
from loadtest.flow.site import Site
from loadtest.flow.telecom import HLR, OPERATOR, PLATFORM, Line, telecom

ANSWER_MS_MAX: Final = 100.0
WAIT_MS: Final = 1_000
"""How long a caller waits for an order that people have a part in."""


async def sync_story(run: Run) -> None:
    (line,) = await opened(run.site, 1)
    name = await published(run.site, product(run.site))
    await run.begins()
    await subscribe(run.site, line, name, mode="sync")


async def async_story(run: Run) -> None:
    """One with a service that people give, so that the order waits for them."""
    (line,) = await opened(run.site, 1)
    name = await _published_with_work(run.site)
    await run.begins()
    order = await _asked_for(run.site, line, name)
    await answered(run.site, await sheet_of(run.site, line), "done", "10.64.0.7")
    await closed(run.site, "crm", order["order_id"])
    await sheet_closed(run.site, line)


async def _published_with_work(site: Site) -> str:
    body = product(site)
    return await published(site, {**body, "services": [*body["services"], by_hand()]})


async def _asked_for(site: Site, line: Line, name: str, **more: Any) -> dict[str, Any]:
    """定购请求; the order as CRM answers it."""
    body = {"operator_id": OPERATOR, "product": name, **more}
    order: dict[str, Any] = await asked(
        site, "crm", "POST", f"/users/{line.user_id}/products", body
    )
    return order


async def _two_products(site: Site) -> tuple[str, str]:
    """Both need the same function; each has a content of its own."""
    first = await published(site, product(site))
    second = await published(site, product(site))
    return first, second


@check(
    "{size} users have products A and B that both need GPRS: A unsubscribed, the HLR has it still;"
    " B unsubscribed, it is removed"
)
async def functions_are_counted(run: Run) -> Sequence[Figure]:
    site = run.site
    lines = await opened(site, run.size)
    first, second = await _two_products(site)
    for name in (first, second):
        await asyncio.gather(*(subscribe(site, line, name, mode="sync") for line in lines))
    both = await _without_function(site, lines)
    await asyncio.gather(*(unsubscribe(site, line, first) for line in lines))
    one = await _without_function(site, lines)
    await asyncio.gather(*(unsubscribe(site, line, second) for line in lines))
    none_left = await _without_function(site, lines)
    active = [
        line.msisdn
        for line in lines
        for service, state in (await relations(site, line)).items()
        if service in (first, second) and state == "active"
    ]
    return [
        none("users without the function under A and B", both),
        none("users without it under B alone", one),
        equal("users without it under neither", len(none_left), len(lines)),
        none("relations left at the DSMP", active),
    ]


async def _without_function(site: Site, lines: Sequence[Line]) -> list[str]:
    found = await subscribers(site)
    return [line.msisdn for line in lines if not found[line.msisdn].get("gprs")]


@check(
    "one service is for people to give: who waits for the order is told 处理中, and it closes when"
    " its sheet is answered, not before"
)
async def people_take_their_time(run: Run) -> Sequence[Figure]:
    site = run.site
    (line,) = await opened(site, 1)
    name = await _published_with_work(site)
    order = await _asked_for(site, line, name, mode="sync", deadline_ms=WAIT_MS)
    sheet = await sheet_of(site, line)
    machines = (await apns(site, line), (await relations(site, line)).get(name))
    before = await order_of(site, "crm", order["order_id"])
    await answered(site, sheet, "done", "10.64.0.7")
    after = await closed(site, "crm", order["order_id"])
    return [
        equal("the answer to who waited", order["state"], "open"),
        equal("what machines do, while people are at it", machines, (["cmiot.gd"], "active")),
        equal("the sheet says", sheet["content"]["text"], GIVE),
        equal("the order until they answered", before["state"], "open"),
        equal("its result then", after["result"], SUCCEEDED),
        equal("the sheet in the end", (await sheet_closed(site, line))["result"], "done"),
    ]


@check(
    "people cannot do their part: the relation at the DSMP is closed, the HLR's function removed,"
    " and CRM takes back what BOSS booked"
)
async def people_cannot(run: Run) -> Sequence[Figure]:
    site = run.site
    (line,) = await opened(site, 1)
    name = await _published_with_work(site)
    order = await _asked_for(site, line, name)
    await answered(site, await sheet_of(site, line), "cannotBeDone", "no address is left")
    order = await closed(site, "crm", order["order_id"])
    return [
        equal("the order of CRM", order["result"], "reversed"),
        equal("the relation at the DSMP", (await relations(site, line))[name], "closed"),
        equal("functions at the HLR", await apns(site, line), []),
        equal("products at BOSS", list((await user_of(site, "boss", line))["products"]), []),
    ]


@check("{size} orders are answered at once and close by themselves, the HLR being down at first")
async def an_answer_does_not_wait(run: Run) -> Sequence[Figure]:
    site = run.site
    lines = await opened(site, run.size)
    name = await published(site, product(site))
    took_s, orders = [], []
    site.kill(HLR)
    try:
        for line in lines:
            asked_at = time.monotonic()
            orders.append(await _asked_for(site, line, name))
            took_s.append(time.monotonic() - asked_at)
        still_open = sum(order["state"] == "open" for order in orders)
    finally:
        await site.restart(HLR)
    done = await all_closed(site, "crm", [order["order_id"] for order in orders])
    p99_ms = percentile(took_s, 0.99) * 1_000
    return [
        at_most("answer, p99", p99_ms, run.patient(ANSWER_MS_MAX), unit="ms"),
        equal("orders that were not closed by their answer", still_open, run.size),
        equal("succeeded", sum(order["result"] == SUCCEEDED for order in done), run.size),
        none("users without the function", await _without_function(site, lines)),
    ]


def refused_by_the_platform(mode: str) -> Check:
    @check(
        "the platform refuses for good: the DSMP has no active relation, the HLR no function more,"
        " and CRM takes back what BOSS booked"
    )
    async def prove(run: Run) -> Sequence[Figure]:
        site = run.site
        (line,) = await opened(site, 1)
        name = await published(site, product(site))
        await site.put_faults(PLATFORM, Profile(once=[Once(Fault.REFUSE, "SUBSCRIBE")]))
        order = await subscribe(site, line, name, mode=mode)
        return [
            equal("the order of CRM", order["result"], "reversed"),
            equal("code of its sub-order", sub_order_of(order)["code"], "NE_REFUSED"),
            equal("the relation at the DSMP", (await relations(site, line))[name], "closed"),
            equal("functions at the HLR", await apns(site, line), []),
            equal("products at BOSS", list((await user_of(site, "boss", line))["products"]), []),
        ]

    return prove


@check("a function that another product needs stays when the platform refuses this one")
async def undoing_counts_too(run: Run) -> Sequence[Figure]:
    site = run.site
    (line,) = await opened(site, 1)
    plain = product(site, services=[packet_data()], platforms=[])
    await subscribe(site, line, await published(site, plain))
    name = await published(site, product(site))
    await site.put_faults(PLATFORM, Profile(once=[Once(Fault.REFUSE, "SUBSCRIBE")]))
    order = await subscribe(site, line, name)
    return [
        equal("the order of CRM", order["result"], "reversed"),
        equal("functions at the HLR", await apns(site, line), ["cmiot.gd"]),
    ]


@check("the platform is away: the order waits for it, and closes when it is back")
async def forward_while_away(run: Run) -> Sequence[Figure]:
    site = run.site
    (line,) = await opened(site, 1)
    name = await published(site, product(site))
    site.kill(PLATFORM)
    try:
        order = await _asked_for(site, line, name)

        async def has_relation() -> bool:
            return (await relations(site, line)).get(name) == "active"

        await site.until(has_relation, "the DSMP has the relation")
        state = (await order_of(site, "crm", order["order_id"]))["state"]
    finally:
        await site.restart(PLATFORM)
    order = await closed(site, "crm", order["order_id"])
    return [
        equal("the order meanwhile", state, "open"),
        equal("its result", order["result"], SUCCEEDED),
        equal("the relation at the DSMP", (await relations(site, line))[name], "active"),
    ]


F08: Final = Acts(
    layout=telecom,
    story=sync_story,
    checks=(functions_are_counted, people_take_their_time),
    faults=(refused_by_the_platform("sync"), undoing_counts_too),
    size=100,
    small=5,
)
F09: Final = Acts(
    layout=telecom,
    story=async_story,
    checks=(an_answer_does_not_wait,),
    faults=(refused_by_the_platform("async"), forward_while_away, people_cannot),
    size=100,
    small=5,
)
