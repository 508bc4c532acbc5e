"""F06 and F07: user opening (用户开户), waited for and not."""

import asyncio
import time
from collections import Counter
from collections.abc import Sequence
from contextlib import asynccontextmanager
from typing import Any, Final

from hlrd.domain.orders import Source
from loadtest.faults import Fault, Latency, Once, Profile
from loadtest.flow.desk import (
    SUCCEEDED,
    all_closed,
    asked,
    closed,
    heard,
    new_account,
    opened,
    opening,
    sub_order_of,
    taken_s,
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
from loadtest.flow.network import level_of, logged, relations, subscribers
from loadtest.flow.records import are_taken, receipts_of
from loadtest.flow.site import Site
from loadtest.flow.telecom import BY_BOSS, DSMP, HLR, Line, new_line, telecom

AT_ONCE: Final = 20
ANSWER_MS_MAX: Final = 100.0
ADD_USER: Final = "ADD TPLSUB"
GPRS_AND_SMS: Final = "1"
"""The template of what is ordered here."""

SLOW_S: Final = 30.0
DEADLINE_S: Final = 5.0
LATE_S_MAX: Final = 1.0
"""Of an answer after its deadline."""


async def _story(run: Run, mode: str) -> None:
    line = new_line(run.site, BY_BOSS, await new_account(run.site))
    await run.begins()
    order = await asked(run.site, "crm", "POST", "/users", opening(line, mode=mode))
    await closed(run.site, "crm", order["order_id"])


async def sync_story(run: Run) -> None:
    await _story(run, "sync")


async def async_story(run: Run) -> None:
    await _story(run, "async")


async def _new_lines(run: Run) -> list[Line]:
    account = await new_account(run.site)
    return [new_line(run.site, BY_BOSS, account) for _ in range(run.size)]


async def _open(site: Site, line: Line, **more: Any) -> tuple[dict[str, Any], float, float]:
    """The answer of CRM; when it came, and how long that took."""
    asked_at = time.monotonic()
    order = await asked(site, "crm", "POST", "/users", opening(line, **more))
    answered_at = time.monotonic()
    return order, answered_at, answered_at - asked_at


@check("{size} users are opened while people wait; each is at the HLR before its answer")
async def there_before_the_answer(run: Run) -> Sequence[Figure]:
    lines = await _new_lines(run)
    late: list[str] = []
    results: Counter[str] = Counter()
    for first in range(0, len(lines), AT_ONCE):
        some, start = lines[first : first + AT_ONCE], await logged(run.site)
        answers = await asyncio.gather(*(_open(run.site, line, mode="sync") for line in some))
        added = await _added_at(run.site, start)
        for line, (order, answered_at, _) in zip(some, answers, strict=True):
            results[order["result"]] += 1
            late += [line.msisdn] if added.get(line.imsi, answered_at + 1) > answered_at else []
    return [
        equal("orders that succeeded by their answer", results[SUCCEEDED], run.size),
        none("users at the HLR after their answer, or never", late),
        none("users that the HLR has otherwise", await _otherwise(run.site, lines)),
    ]


async def _added_at(site: Site, after: int) -> dict[str, float]:
    """When each IMSI got its subscriber."""
    served = [each for each in await site.log(HLR, after) if each.command.startswith(ADD_USER)]
    return {imsi_of(each.command): each.at for each in served}


def imsi_of(command: str) -> str:
    return command.partition('IMSI="')[2].partition('"')[0]


async def _otherwise(site: Site, lines: Sequence[Line]) -> list[str]:
    """Lines without the record that was ordered: number, card and services together."""
    found = await subscribers(site)
    return [
        line.msisdn
        for line in lines
        if (row := found.get(line.msisdn)) is None
        or (row["imsi"], _template(row)) != (line.imsi, GPRS_AND_SMS)
    ]


def _template(row: dict[str, Any]) -> str:
    """Its services by their template, if nothing is barred."""
    return "" if level_of(row) else str(row["template"])


@check(
    "{size} users are opened on an HLR slowed to 30 s while people wait for 5 s: each is told"
    " 处理中 in time, is opened once, and has one receipt"
)
async def a_slow_hlr_is_no_failure(run: Run) -> Sequence[Figure]:
    """30 s and 5 s; in small form a tenth of each."""
    pace = 0.1 if run.is_small else 1.0
    slow_s, deadline_s = SLOW_S * pace, DEADLINE_S * pace
    lines = await _new_lines(run)
    start = await logged(run.site)
    slow = {ADD_USER: Latency(p50_s=slow_s)}
    await run.site.put_faults(HLR, Profile(latency_by_command=slow))
    try:
        waited = {"mode": "sync", "deadline_ms": round(deadline_s * 1_000)}
        answers = await asyncio.gather(*(_open(run.site, line, **waited) for line in lines))
    finally:
        await run.site.put_faults(HLR)
    states = Counter(order["state"] for order, _, _ in answers)
    slowest_s = max(took_s for _, _, took_s in answers)
    orders = await all_closed(run.site, "crm", [order["order_id"] for order, _, _ in answers])
    added = Counter(
        imsi_of(each.command)
        for each in await run.site.log(HLR, start)
        if each.command.startswith(ADD_USER)
    )
    wanted = [sub_order_of(order)["order_id"] for order in orders]
    receipts = await receipts_of(run.site, Source.CRM, wanted)
    return [
        equal("callers told that it is in process", states["open"], run.size),
        at_most("slowest answer", slowest_s, deadline_s + run.patient(LATE_S_MAX), unit="s"),
        equal("orders that succeeded in the end", _succeeded(orders), run.size),
        none(
            f"users with not just one {ADD_USER}", _not_once([line.imsi for line in lines], added)
        ),
        none("orders with not just one receipt", _not_once(wanted, Counter(receipts))),
    ]


def _succeeded(orders: Sequence[dict[str, Any]]) -> int:
    return sum(order["result"] == SUCCEEDED for order in orders)


def _not_once(wanted: Sequence[str], found: Counter[str]) -> list[str]:
    return [f"{each} {found[each]} times" for each in wanted if found[each] != 1]


@check("the HLR is down: {size} openings are answered in under 100 ms, and all close when it is up")
async def an_answer_does_not_wait(run: Run) -> Sequence[Figure]:
    await opened(run.site, AT_ONCE)  # statements are prepared and caches warm, as on any day
    lines = await _new_lines(run)
    start = max((number for number, _ in await heard(run.site, "crm")), default=0)
    async with _down(run.site, HLR):
        answers = [await _open(run.site, line) for line in lines]
        await run.site.until(lambda: are_taken(run.site, lines), "hlrd takes every order")
        states = Counter(order["state"] for order, _, _ in answers)
        hlrd_ms = percentile(await taken_s(run.site, "crm", start), 0.99) * 1_000
    orders = await all_closed(run.site, "crm", [order["order_id"] for order, _, _ in answers])
    p99_ms = percentile([took_s for _, _, took_s in answers], 0.99) * 1_000
    return [
        equal("orders still open when the HLR came back", states["open"], run.size),
        at_most("answer of CRM, p99", p99_ms, run.patient(ANSWER_MS_MAX), unit="ms"),
        at_most("answer of hlrd, p99", hlrd_ms, run.patient(ANSWER_MS_MAX), unit="ms"),
        equal("orders that succeeded in the end", _succeeded(orders), run.size),
        none("users that the HLR has otherwise", await _otherwise(run.site, lines)),
    ]


@asynccontextmanager
async def _down(site: Site, name: str) -> Any:
    """Killed, and started again as it was."""
    site.kill(name)
    try:
        yield
    finally:
        await site.restart(name)


def refused_for_good(mode: str) -> Check:
    @check(
        "the HLR refuses the user for good: its key is taken back, CRM is told the HLR's code and"
        " reverses what BOSS booked"
    )
    async def prove(run: Run) -> Sequence[Figure]:
        line = new_line(run.site, BY_BOSS, await new_account(run.site))
        start = await logged(run.site)
        await run.site.put_faults(HLR, Profile(once=[Once(Fault.REFUSE, ADD_USER)]))
        order = await asked(run.site, "crm", "POST", "/users", opening(line, mode=mode))
        order = await closed(run.site, "crm", order["order_id"])
        verbs = [
            each.command.partition(":")[0]
            for each in await run.site.log(HLR, start)
            if line.imsi in each.command and not each.command.startswith("LST")
        ]
        keys = [row for row in await run.site.dump(HLR) if row.get("imsi") == line.imsi]
        return [
            equal("result of the order of CRM", order["result"], "reversed"),
            equal("code of its sub-order", sub_order_of(order)["code"], "NE_REFUSED"),
            equal("commands at the HLR", verbs, ["ADD KI", ADD_USER, "RMV KI"]),
            none("records left at the HLR", keys),
            equal("relations at the DSMP", await relations(run.site, line), {}),
        ]

    return prove


@check("the DSMP is away behind the HLR: the user keeps its phone, and the order closes later")
async def forward_past_the_hlr(run: Run) -> Sequence[Figure]:
    line = new_line(run.site, BY_BOSS, await new_account(run.site))
    start = await logged(run.site)
    async with _down(run.site, DSMP):
        order = await asked(run.site, "crm", "POST", "/users", opening(line))

        async def is_there() -> bool:
            return line.msisdn in await subscribers(run.site)

        await run.site.until(is_there, "the HLR has the user")
        state = (await asked(run.site, "crm", "GET", f"/orders/{order['order_id']}"))["state"]
    order = await closed(run.site, "crm", order["order_id"])
    removed = [each for each in await run.site.log(HLR, start) if each.command.startswith("RMV")]
    return [
        equal("the order while the DSMP is away", state, "open"),
        equal("its result in the end", order["result"], SUCCEEDED),
        none("removals at the HLR", removed),
        equal("relations at the DSMP", set((await relations(run.site, line)).values()), {"active"}),
    ]


F06: Final = Acts(
    layout=telecom,
    story=sync_story,
    checks=(there_before_the_answer, a_slow_hlr_is_no_failure),
    faults=(refused_for_good("sync"), forward_past_the_hlr),
    size=200,
    small=8,
)
F07: Final = Acts(
    layout=telecom,
    story=async_story,
    checks=(an_answer_does_not_wait,),
    faults=(refused_for_good("async"),),
    size=200,
    small=8,
)
