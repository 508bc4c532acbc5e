"""F12, F13 and F14: payment resume under each master, and in backup (缴费开机)."""

import asyncio
import time
from collections.abc import Sequence
from typing import Any, Final

from loadtest.flow.arrears import ASKED, BY_BOSS_LEGS, BY_CRM_LEGS, otherwise, stopped
from loadtest.flow.desk import SUCCEEDED, asked, new_account, opened_as, states_settled
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
from loadtest.flow.network import (
    LOCK,
    barrings,
    level_of,
    logged,
    not_at_level,
    relations,
    subscribers,
)
from loadtest.flow.records import orders_of, results_of
from loadtest.flow.site import Site
from loadtest.flow.telecom import (
    BY_BOSS,
    BY_BOTH,
    BY_CRM,
    DSMP,
    HLR,
    OPERATOR,
    Line,
    new_line,
    telecom,
)

PROMPT_S_MAX: Final = 300.0
"""5 分钟缴费开机: from payment to the HLR."""

STOPS_PER_PAYMENT: Final = 10
"""In the small storm that payments come into."""

PAID: Final = frozenset({"缴费请求", "缴费、销账请求", "服务调用响应", "缴费响应"})
BY_BOTH_LEGS: Final = (PAID, ASKED | {"BOSS DB 订单关闭"}, *BY_CRM_LEGS[1:])
"""BOSS has the word and is done when CRM has heard it; CRM has the paper."""

AMOUNT: Final = 100_00
"""In hundredths of a yuan."""


async def owing(site: Site, count: int, province: str) -> list[Line]:
    """Users with an account each, stopped for arrears."""
    accounts = [await new_account(site) for _ in range(count)]
    lines = await opened_as(site, [new_line(site, province, account) for account in accounts])
    bills = [{"account_id": account, "amount": AMOUNT} for account in accounts]
    await asked(site, "boss", "POST", "/bills", bills)
    await stopped(site, lines)
    return lines


async def paid(site: Site, line: Line) -> dict[str, Any]:
    """缴费请求 at CRM: done when it is answered, whatever the network does."""
    body = {"operator_id": OPERATOR, "account_id": line.account_id, "amount": AMOUNT}
    answer: dict[str, Any] = await asked(site, "crm", "POST", "/payments", body)
    return answer


def story(province: str) -> Any:
    async def tell(run: Run) -> None:
        (line,) = await owing(run.site, 1, province)
        await backup_sends(run.site, "CRM")
        await run.begins()
        await paid(run.site, line)
        await resumed(run.site, [line])
        await backup_sends(run.site, "BOSS")

    return tell


async def resumed(site: Site, lines: Sequence[Line]) -> None:
    async def is_so() -> bool:
        return not await not_at_level(site, lines, 0)

    await site.until(is_so, f"the HLR lets {len(lines)} users go")
    await states_settled(site, lines)


async def _stop_voluntarily(site: Site, lines: Sequence[Line]) -> None:
    body = {"operator_id": OPERATOR, "cause": "出国", "level": 2}
    paths = [f"/users/{line.user_id}/stop" for line in lines]
    await asyncio.gather(*(asked(site, "crm", "POST", path, body) for path in paths))
    await states_settled(site, lines)


def other_reasons_stay(province: str) -> Check:
    @check(
        "stopped for ARREARS and VOLUNTARY, {size} users pay: the HLR hears no unbar, and the"
        " receipt says success with VOLUNTARY remaining"
    )
    async def prove(run: Run) -> Sequence[Figure]:
        site = run.site
        lines = await owing(site, run.size, province)
        await _stop_voluntarily(site, lines)
        start = await logged(site)
        await asyncio.gather(*(paid(site, line) for line in lines))
        await site.until(lambda: _is_paid(site, lines), "BOSS takes ARREARS off")
        await states_settled(site, lines)
        receipts = [await _receipt_of_payment(site, line) for line in lines]
        return [
            none("commands at the HLR", await barrings(site, start)),
            equal("receipts of success", _count(receipts, "result", SUCCEEDED), run.size),
            equal(
                "of them with VOLUNTARY remaining",
                _count(receipts, "remaining_reasons", ["VOLUNTARY"]),
                run.size,
            ),
            none("users that CRM has otherwise", await otherwise(site, "crm", lines, "VOLUNTARY")),
            none("users that are not stopped", await not_at_level(site, lines, 2)),
        ]

    return prove


async def _is_paid(site: Site, lines: Sequence[Line]) -> bool:
    return not await otherwise(site, "boss", lines, "VOLUNTARY")


async def _receipt_of_payment(site: Site, line: Line) -> dict[str, Any]:
    """The last that hlrd gave for the user."""
    found = await orders_of(site, line, "PAYMENT_RESUME")
    receipt: dict[str, Any] = found[-1]["receipts"][-1]
    return receipt


def _count(receipts: Sequence[dict[str, Any]], name: str, value: object) -> int:
    return sum(receipt[name] == value for receipt in receipts)


def prompt_in_a_storm(province: str) -> Check:
    @check(
        "{size} users pay while ten times as many are being stopped: p99 from payment to the HLR"
        " is under 5 minutes"
    )
    async def prove(run: Run) -> Sequence[Figure]:
        site = run.site
        lines = await owing(site, run.size, province)
        account = await new_account(site)
        others = [new_line(site, province, account) for _ in range(run.size * STOPS_PER_PAYMENT)]
        await opened_as(site, others)
        start = await logged(site)
        asking = {"users": [line.user_id for line in others], "level": 2}
        await asked(site, "boss", "POST", "/credit-control", asking)
        paid_at = {}
        for line in lines:
            paid_at[line.imsi] = time.monotonic()
            await paid(site, line)
        await resumed(site, lines)
        await states_settled(site, others)
        at = await _unbarred_at(site, start)
        took_s = [at[line.imsi] - paid_at[line.imsi] for line in lines if line.imsi in at]
        return [
            equal("users let go at the HLR", len(took_s), run.size),
            at_most("payment to HLR, p99", percentile(took_s, 0.99), PROMPT_S_MAX, unit="s"),
            none("of the others, not stopped in the end", await not_at_level(site, others, 2)),
        ]

    return prove


async def _unbarred_at(site: Site, after: int) -> dict[str, float]:
    """When each IMSI was let go."""
    return {
        served.command.partition('IMSI="')[2].partition('"')[0]: served.at
        for served in await site.log(HLR, after)
        if served.command.startswith(LOCK) and "OC=FALSE" in served.command
    }


async def backup_sends(site: Site, sends: str) -> None:
    for system in ("crm", "boss"):
        await site.control(system, "PUT", "/backup", {"sends": sends})


@check(
    "in backup {size} resumes are posted by BOSS and by CRM, each under an order id of its own:"
    " one set of commands, two receipts"
)
async def twins_are_one(run: Run) -> Sequence[Figure]:
    site = run.site
    lines = await owing(site, run.size, BY_BOTH)
    start = await logged(site)
    await backup_sends(site, "both")
    try:
        await asyncio.gather(*(paid(site, line) for line in lines))
        await resumed(site, lines)
        await site.until(lambda: _have_twins(site, lines), "both have posted, and have receipts")
    finally:
        await backup_sends(site, "BOSS")
    found = [await orders_of(site, line, "PAYMENT_RESUME") for line in lines]
    sources = [sorted(order["source"] for order in orders) for orders in found]
    wrong = [
        order["order_id"]
        for orders in found
        for order in orders
        if [receipt["result"] for receipt in order["receipts"]] != [SUCCEEDED]
    ]
    commands = [await barrings(site, start, line) for line in lines]
    return [
        none("users not ordered by both", [each for each in sources if each != ["BOSS", "CRM"]]),
        none("orders without their one receipt of success", wrong),
        none("users not let go by one command", [each for each in commands if each != ["unbar"]]),
    ]


async def _have_twins(site: Site, lines: Sequence[Line]) -> bool:
    return len(await results_of(site, lines, "PAYMENT_RESUME")) == 2 * len(lines)


def paid_whatever_the_network_does(province: str) -> Check:
    @check(
        "the HLR is down: the payment is answered at once, the resume is neither given up nor"
        " undone, and it is carried out when the HLR is back"
    )
    async def prove(run: Run) -> Sequence[Figure]:
        site = run.site
        (line,) = await owing(site, 1, province)
        site.kill(HLR)
        try:
            asked_at = time.monotonic()
            answer = await paid(site, line)
            answered_s = time.monotonic() - asked_at

            async def is_ordered() -> bool:
                return bool(await orders_of(site, line, "PAYMENT_RESUME"))

            await site.until(is_ordered, "hlrd has the resume")
            (order,) = await orders_of(site, line, "PAYMENT_RESUME")
        finally:
            await site.restart(HLR)
        await resumed(site, [line])
        row = (await subscribers(site))[line.msisdn]
        return [
            equal("the account by the answer", answer["account_state"], "normal"),
            at_most("answer of CRM", answered_s, run.patient(0.5), unit="s"),
            none("receipts while the HLR was down", order["receipts"]),
            equal("level at the HLR in the end", level_of(row), 0),
        ]

    return prove


@check("the DSMP is away: the user can call at once, and the order closes when it is back")
async def forward_past_the_hlr(run: Run) -> Sequence[Figure]:
    site = run.site
    (line,) = await owing(site, 1, BY_CRM)
    site.kill(DSMP)
    try:
        await paid(site, line)

        async def is_free() -> bool:
            return not await not_at_level(site, [line], 0)

        await site.until(is_free, "the HLR lets the user go")
        (order,) = await orders_of(site, line, "PAYMENT_RESUME")
    finally:
        await site.restart(DSMP)
    await states_settled(site, [line])
    (ended,) = await orders_of(site, line, "PAYMENT_RESUME")
    return [
        none("final receipts while the DSMP was away", order["receipts"]),
        equal("its result in the end", ended["receipts"][-1]["result"], SUCCEEDED),
        equal("at the DSMP", set((await relations(site, line)).values()), {"active"}),
    ]


@check("one of the two is lost: the other alone lets the user go")
async def either_is_enough(run: Run) -> Sequence[Figure]:
    site = run.site
    figures = []
    for sends in ("CRM", "BOSS"):
        (line,) = await owing(site, 1, BY_BOTH)
        await backup_sends(site, sends)
        try:
            await paid(site, line)
            await resumed(site, [line])
        finally:
            await backup_sends(site, "BOSS")
        orders = await orders_of(site, line, "PAYMENT_RESUME")
        sources = [order["source"] for order in orders]
        figures.append(equal(f"orders when {sends} alone sends", sources, [sends]))
    return figures


F12: Final = Acts(
    layout=telecom,
    story=story(BY_BOSS),
    checks=(other_reasons_stay(BY_BOSS), prompt_in_a_storm(BY_BOSS)),
    faults=(paid_whatever_the_network_does(BY_BOSS),),
    size=100,
    small=4,
    legs=(PAID, *BY_BOSS_LEGS),
)
F13: Final = Acts(
    layout=telecom,
    story=story(BY_CRM),
    checks=(other_reasons_stay(BY_CRM), prompt_in_a_storm(BY_CRM)),
    faults=(paid_whatever_the_network_does(BY_CRM), forward_past_the_hlr),
    size=100,
    small=4,
    legs=(PAID, *BY_CRM_LEGS),
)
F14: Final = Acts(
    layout=telecom,
    story=story(BY_BOTH),
    checks=(twins_are_one,),
    faults=(either_is_enough,),
    size=100,
    small=4,
    legs=BY_BOTH_LEGS,
)
