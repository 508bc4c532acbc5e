"""F04: systems that log in and send orders on a kept channel (系统之间的认证)."""

import asyncio
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, Final

from hlrd.domain.orders import Source
from loadtest.business.message import Party
from loadtest.faults import Latency, Profile
from loadtest.flow.desk import (
    SUCCEEDED,
    all_closed,
    asked,
    closed,
    new_account,
    opening,
    sub_order_of,
)
from loadtest.flow.flow import Acts, Figure, Run, at_least, check, equal, none
from loadtest.flow.opening import ADD_USER
from loadtest.flow.records import are_taken, journal, receipts_of, results_of
from loadtest.flow.site import Site
from loadtest.flow.telecom import (
    HLR,
    OPERATOR,
    PASSWORDS,
    SPARE,
    Line,
    new_line,
    telecom,
)

SLOW_S: Final = 0.5
WRONG_TRIES: Final = 5
"""Wrong passwords in a row that lock an account: hlrd's own setting."""


async def channel_story(run: Run) -> None:
    """CRM logs in, keeps the channel, and sends an order on it."""
    site = run.site
    line = new_line(site, account_id=await new_account(site))
    await site.control("crm", "POST", "/channel/close")
    before = (await site.control("crm", "GET", "/channel"))["heartbeats"]
    await run.begins()
    await site.control("crm", "POST", "/channel/open")

    async def is_kept() -> bool:
        return bool((await site.control("crm", "GET", "/channel"))["heartbeats"] > before)

    await site.until(is_kept, "CRM keeps its channel")
    order = await asked(site, "crm", "POST", "/users", opening(line))
    await closed(site, "crm", order["order_id"])


def _activation(site: Site, line: Line, **more: Any) -> dict[str, Any]:
    body = {**opening(line, **more), "type": "USER_OPEN", "order_id": f"X-{site.fresh()}"}
    del body["account_id"]
    return body


@check(
    "an order without operator id is refused, also inside a batch; with it, every query shows it"
)
async def operator_ids_are_recorded(run: Run) -> Sequence[Figure]:
    site = run.site
    lines = [new_line(site) for _ in range(3)]
    orders = [_activation(site, line) for line in lines]
    del orders[0]["operator_id"], orders[1]["operator_id"]
    alone, refusal = await _post(site, orders[0])
    _, batch = await _post(site, orders[1:])
    (row,) = await journal(
        site, "SELECT operator_id FROM work_order WHERE order_id = $1", orders[2]["order_id"]
    )
    shown = await site.hlrd.get(f"/v1/work-orders/{batch['answers'][1]['id']}")
    _, named = await _post(site, {**orders[2], "order_id": "X-S", "source": "BOSS"})
    missing = ("FIELD_MISSING", "operator_id")
    return [
        equal("alone", (alone, refusal["code"]), (400, "FIELD_MISSING")),
        equal("in a batch: taken and refused", (batch["accepted"], batch["refused"]), (1, 1)),
        equal("the refusal there", _at(batch["answers"][0]["refusal"]), missing),
        equal("operator id in the journal", row["operator_id"], OPERATOR),
        equal("operator id and source in the query", _who(shown), (OPERATOR, "CRM")),
        equal("a source in the body", named["code"], "FIELD_UNKNOWN"),
    ]


def _at(refusal: Mapping[str, Any]) -> tuple[str, str]:
    field = str(refusal.get("field", "")) + str(refusal.get("detail", ""))
    return refusal["code"], "operator_id" if "operator_id" in field else field


def _who(shown: Mapping[str, Any]) -> tuple[str, str]:
    return shown["operator_id"], shown["source"]


async def _post(site: Site, body: Any) -> tuple[int, Any]:
    return await site.hlrd.ask("POST", "/v1/work-orders", body, source=Source.CRM)


@check("wrong passwords lock an account, for the right one too, until staff unlocks it")
async def wrong_passwords_lock(run: Run) -> Sequence[Figure]:
    site = run.site
    tries = [await _log_in(site, SPARE, "not-it-at-all") for _ in range(WRONG_TRIES)]
    locked = await _log_in(site, SPARE, PASSWORDS[SPARE])
    await site.hlrd.post(f"/v1/accounts/{SPARE}/unlock")
    unlocked = await _log_in(site, SPARE, PASSWORDS[SPARE])
    return [
        equal("wrong passwords", tries, [401] * (WRONG_TRIES - 1) + [423]),
        equal("then the right one", locked, 423),
        equal("after it is unlocked", unlocked, 201),
    ]


async def _log_in(site: Site, user: str, password: str) -> int:
    url = f"{site.hlrd.url}/v1/sessions"
    async with site.http.post(url, json={"user": user, "password": password}) as response:
        return response.status


@check(
    "the channel is lost after {size} orders: all are carried out meanwhile, and each has one"
    " receipt when CRM is back"
)
async def orders_outlive_the_channel(run: Run) -> Sequence[Figure]:
    return await _outlived(run, is_killed=False)


@check("hlrd is killed too: CRM logs in anew, nothing is lost and nothing is done twice")
async def orders_outlive_hlrd(run: Run) -> Sequence[Figure]:
    return await _outlived(run, is_killed=True)


async def _outlived(run: Run, *, is_killed: bool) -> list[Figure]:
    site = run.site
    account = await new_account(site)
    lines = [new_line(site, account_id=account) for _ in range(run.size)]
    logins, of_boss = await _logins(site, "crm"), await _logins(site, "boss")
    slow = {ADD_USER: Latency(p50_s=SLOW_S)}  # so that the channel is lost before they are done
    await site.put_faults(HLR, Profile(latency_by_command=slow))
    made = await asked(site, "crm", "POST", "/users", [opening(line) for line in lines])
    await site.until(lambda: are_taken(site, lines), "hlrd takes every order")
    await site.control("crm", "POST", "/channel/lose")
    if is_killed:
        await site.hlrd.restart()
        await site.until(lambda: _has_come_back(site, "boss", of_boss), "BOSS logs in anew")
    await site.put_faults(HLR)
    await site.until(lambda: _carried_out(site, lines), "hlrd closes every order")
    waiting = [order["order_id"] for order in made]
    known = len(waiting) - await _open_at_crm(site, waiting)
    await site.control("crm", "POST", "/channel/open")
    orders = await all_closed(site, "crm", waiting)
    wanted = [sub_order_of(order)["order_id"] for order in orders]
    receipts = Counter(await receipts_of(site, Source.CRM, wanted))
    again = await _logins(site, "crm") - logins
    return [
        equal("closed at hlrd without a channel", len(lines), run.size),
        equal("of them known to CRM meanwhile", known, 0),
        at_least("logins of CRM afterwards", again, 1),
        equal("succeeded at CRM", sum(each["result"] == SUCCEEDED for each in orders), run.size),
        none("orders with not just one receipt", [each for each in wanted if receipts[each] != 1]),
    ]


async def _logins(site: Site, name: str) -> int:
    made: int = (await site.control(name, "GET", "/channel"))["logins"]
    return made


async def _has_come_back(site: Site, name: str, logins: int) -> bool:
    return await _logins(site, name) > logins


async def _carried_out(site: Site, lines: Sequence[Line]) -> bool:
    return len(await results_of(site, lines)) == len(lines)


async def _open_at_crm(site: Site, order_ids: Sequence[str]) -> int:
    orders = await asyncio.gather(
        *(asked(site, "crm", "GET", f"/orders/{order_id}") for order_id in order_ids)
    )
    return sum(order["state"] == "open" for order in orders)


F04: Final = Acts(
    layout=telecom,
    story=channel_story,
    kept_by=Party.CRM,
    checks=(operator_ids_are_recorded, wrong_passwords_lock, orders_outlive_the_channel),
    faults=(orders_outlive_hlrd,),
    size=100,
    small=10,
)
