"""F15 and F16: voluntary suspension under each master (主动停机、申请停机)."""

import asyncio
from collections.abc import Mapping, Sequence
from itertools import permutations
from typing import Any, Final

from hlrd.domain.orders import Source
from loadtest.business.message import Party
from loadtest.faults import Fault, Latency, Once, Profile
from loadtest.flow.arrears import BY_CRM_LEGS, stopped
from loadtest.flow.desk import SUCCEEDED, asked, closed, opened, states_settled, user_of
from loadtest.flow.flow import Acts, Check, Figure, Run, check, equal, none, seeded
from loadtest.flow.network import LOCK, barrings, logged, not_at_level, relations
from loadtest.flow.records import fallouts, posted, results_of
from loadtest.flow.site import Site
from loadtest.flow.telecom import BY_BOSS, BY_CRM, DSMP, HLR, OPERATOR, Line, telecom

CAUSE: Final = "出国"
STEPS: Final[Sequence[tuple[str, Mapping[str, Any]]]] = (
    ("ARREARS_SUSPEND", {"level": 2}),
    ("VOLUNTARY_SUSPEND", {"level": 2}),
    ("PAYMENT_RESUME", {}),
    ("VOLUNTARY_RESUME", {}),
)
ONE_OF_EACH: Final = ["bar2", "unbar"]
COALESCED: Final[list[str]] = []
"""All four were there before the first was sent: they cancel out."""

BY_BOSS_LEGS: Final = (
    frozenset({"用户状态变更类订单响应", "CRM DB 修改用户状态信息"}),
    frozenset({Party.BOSS, Party.HLRD, Party.HLR, Party.DSMP}),
    frozenset({"停机响应"}),
    frozenset({"订单关闭"}),
)
"""BOSS answers CRM and orders of hlrd; at the end CRM answers its UI and BOSS."""

INTERLEAVINGS: Final = 24
ORDERS_OF_A_LINE: Final = 2 + len(STEPS)
"""Opened, its numbers begun, and the steps."""


async def asked_to_stop(site: Site, line: Line, **more: Any) -> dict[str, Any]:
    """停机请求 at CRM: its order, as it is answered."""
    body = {"operator_id": OPERATOR, "cause": CAUSE, "level": 2, **more}
    order: dict[str, Any] = await asked(site, "crm", "POST", f"/users/{line.user_id}/stop", body)
    return order


def story(province: str) -> Any:
    async def tell(run: Run) -> None:
        (line,) = await opened(run.site, 1, province)
        await run.begins()
        order = await asked_to_stop(run.site, line, mode="sync")
        await closed(run.site, "crm", order["order_id"])
        await states_settled(run.site, [line])

    return tell


def any_interleaving(province: str, master: Source) -> Check:
    @check(
        "欠费停机, 主动停机, 缴费开机, 报开 of the same sequence numbers, posted in {size} of their"
        " interleavings behind the first: exactly one bar and one unbar, end state normal"
    )
    async def prove(run: Run) -> Sequence[Figure]:
        chosen = seeded(run, list(permutations(range(1, len(STEPS)))) * 4)[: run.size]
        return await _interleaved(run.site, chosen, province, master, wanted=[ONE_OF_EACH])

    return prove


def any_interleaving_at_all(province: str, master: Source) -> Check:
    @check(
        "all four posted at once in {size} of their interleavings: one bar and one unbar, or"
        " neither where nothing had been sent, end state normal"
    )
    async def prove(run: Run) -> Sequence[Figure]:
        chosen = seeded(run, list(permutations(range(len(STEPS)))))[: run.size]
        wanted = [ONE_OF_EACH, COALESCED]
        return await _interleaved(run.site, chosen, province, master, wanted=wanted)

    return prove


async def _interleaved(
    site: Site,
    chosen: Sequence[Sequence[int]],
    province: str,
    master: Source,
    *,
    wanted: Sequence[list[str]],
) -> list[Figure]:
    lines = await opened(site, len(chosen), province)
    start = await logged(site)
    each = zip(lines, chosen, strict=True)
    await asyncio.gather(*(_post_in(site, line, order, master) for line, order in each))
    commands = [await barrings(site, start, line) for line in lines]
    results = await results_of(site, lines)
    return [
        none("users with other commands", [each for each in commands if each not in wanted]),
        none("users not normal in the end", await not_at_level(site, lines, 0)),
        none("relations not active", await _not_active(site, lines)),
        equal("receipts", len(results), len(lines) * ORDERS_OF_A_LINE),
        none("receipts of no success", [each for each in results if each != SUCCEEDED]),
    ]


async def _post_in(site: Site, line: Line, order: Sequence[int], master: Source) -> None:
    """The steps in that order, each with the sequence number that it really has; those that
    `order` leaves out come first, and are waited for."""
    await posted(site, "VOLUNTARY_RESUME", master, line, seq=1)  # the numbers begin here
    first = [step for step in range(len(STEPS)) if step not in order]
    for step in first:
        await _post_step(site, line, step, master)
    posts = []
    for step in order:
        posts.append(asyncio.create_task(_post_step(site, line, step, master)))
        await asyncio.sleep(0)
    await asyncio.gather(*posts)


async def _post_step(site: Site, line: Line, step: int, master: Source) -> None:
    kind, fields = STEPS[step]
    await posted(site, kind, master, line, seq=step + 2, **fields)


async def _not_active(site: Site, lines: Sequence[Line]) -> list[str]:
    states = {row["msisdn"]: row["state"] for row in await site.dump(DSMP)}
    return [line.msisdn for line in lines if states.get(line.msisdn) != "active"]


def by_its_reason(province: str) -> Check:
    @check("CRM and BOSS both keep the reason that the customer gave (停机原因)")
    async def prove(run: Run) -> Sequence[Figure]:
        site = run.site
        (line,) = await opened(site, 1, province)
        order = await asked_to_stop(site, line, mode="sync")
        await closed(site, "crm", order["order_id"])
        await states_settled(site, [line])
        causes = [(await user_of(site, system, line))["cause"] for system in ("crm", "boss")]
        return [
            equal("停机原因 at CRM and at BOSS", causes, [CAUSE, CAUSE]),
            none("users that the HLR has not stopped", await not_at_level(site, [line], 2)),
        ]

    return prove


def on_a_line_in_arrears(province: str) -> Check:
    @check("on a line stopped for arrears the reason is recorded: success, and no command")
    async def prove(run: Run) -> Sequence[Figure]:
        site = run.site
        (line,) = await opened(site, 1, province)
        await stopped(site, [line])
        start = await logged(site)
        order = await asked_to_stop(site, line)
        order = await closed(site, "crm", order["order_id"])
        await states_settled(site, [line])
        reasons = (await user_of(site, "crm", line))["reasons"]
        return [
            equal("the order of CRM", order["result"], SUCCEEDED),
            equal("reasons at CRM", sorted(reasons), ["ARREARS", "VOLUNTARY"]),
            none("commands at the HLR", await barrings(site, start, line)),
        ]

    return prove


def past_its_deadline(province: str) -> Check:
    @check("the HLR is slow: who waits is told 处理中 at the deadline, and the stop is carried out")
    async def prove(run: Run) -> Sequence[Figure]:
        site = run.site
        (line,) = await opened(site, 1, province)
        slow = Profile(latency_by_command={LOCK: Latency(p50_s=2.0)})
        await site.put_faults(HLR, slow)
        try:
            order = await asked_to_stop(site, line, mode="sync", deadline_ms=300)
        finally:
            await site.put_faults(HLR)
        ended = await closed(site, "crm", order["order_id"])
        await states_settled(site, [line])
        return [
            equal("the order at the deadline", order["state"], "open"),
            equal("its result", ended["result"], SUCCEEDED),
            none("users that the HLR has not stopped", await not_at_level(site, [line], 2)),
        ]

    return prove


def forward_only(province: str) -> Check:
    @check("the DSMP refuses for good: the HLR stays barred, and a person sends the order again")
    async def prove(run: Run) -> Sequence[Figure]:
        site = run.site
        (line,) = await opened(site, 1, province)
        start = await logged(site)
        await site.put_faults(DSMP, Profile(once=[Once(Fault.REFUSE, "PAUSE")]))
        order = await asked_to_stop(site, line)

        async def fell_out() -> list[dict[str, Any]]:
            return await fallouts(site, line)

        (fallout,) = await site.until(fell_out, "the order falls out")
        act = {"operator_id": "flow", "reason": "the DSMP is well again"}
        await site.hlrd.post(f"/v1/fallout/{fallout['id']}/resend", act)
        order = await closed(site, "crm", order["order_id"])
        await states_settled(site, [line])
        return [
            equal("the order of CRM", order["result"], SUCCEEDED),
            equal("commands at the HLR", await barrings(site, start, line), ["bar2"]),
            equal("at the DSMP", set((await relations(site, line)).values()), {"paused"}),
        ]

    return prove


def _acts(province: str, master: Source, legs: Any) -> Acts:
    return Acts(
        layout=telecom,
        story=story(province),
        checks=(
            any_interleaving(province, master),
            any_interleaving_at_all(province, master),
            by_its_reason(province),
        ),
        faults=(
            on_a_line_in_arrears(province),
            past_its_deadline(province),
            forward_only(province),
        ),
        size=INTERLEAVINGS,
        small=6,
        legs=legs,
    )


F15: Final = _acts(BY_BOSS, Source.BOSS, BY_BOSS_LEGS)
F16: Final = _acts(BY_CRM, Source.CRM, BY_CRM_LEGS)
