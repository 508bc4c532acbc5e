"""F10 and F11: arrears suspension under each master of user state (欠费停机)."""

from collections.abc import Sequence
from typing import Any, Final

from hlrd.domain.orders import Source
from loadtest.business.message import Party
from loadtest.faults import Fault, Once, Profile
from loadtest.flow.desk import asked, opened, rows_of, states_settled, user_of
from loadtest.flow.flow import Acts, Check, Figure, Run, check, equal, none
from loadtest.flow.network import (
    LOCK,
    barrings,
    counted,
    counted_since,
    logged,
    not_at_level,
    relations,
)
from loadtest.flow.records import code_of, fallouts, posted
from loadtest.flow.site import Site
from loadtest.flow.telecom import BY_BOSS, BY_CRM, DSMP, Line, telecom

BY_BOSS_LEGS: Final = (
    frozenset({"用户状态变更请求", "用户状态变更反馈", "CRM DB 修改用户状态信息"}),
    frozenset({Party.BOSS, Party.HLRD, Party.HLR, Party.DSMP}),
)
"""Under scheme 1 BOSS tells CRM and hlrd side by side."""

ASKED: Final = frozenset({"用户状态变更请求", "用户状态变更反馈"})
ORDERED: Final = frozenset(
    {
        "用户状态变更类订单请求",
        "用户状态变更类订单响应",
        "BOSS DB 修改用户状态信息、停机原因",
        "CRM DB 修改用户状态信息",
    }
)
BY_CRM_LEGS: Final = (ASKED, ORDERED, frozenset({Party.CRM, Party.HLRD, Party.HLR, Party.DSMP}))
"""Under scheme 2 CRM does."""


async def stopped(site: Site, lines: Sequence[Line], *, level: int = 2) -> None:
    """信用控制 finds them in arrears; awaited until every order of it is closed."""
    asking = {"users": [line.user_id for line in lines], "level": level}
    run = await asked(site, "boss", "POST", "/credit-control", asking)

    async def is_over() -> bool:
        return bool((await asked(site, "boss", "GET", f"/credit-control/{run['run']}"))["is_over"])

    await site.until(is_over, f"credit control is done with {len(lines)} users")
    await states_settled(site, lines)


def story(province: str) -> Any:
    async def tell(run: Run) -> None:
        lines = await opened(run.site, 1, province)
        await run.begins()
        await stopped(run.site, lines)

    return tell


def all_are_stopped(province: str, master: str) -> Check:
    @check(
        f"credit control stops {{size}} users under {master} as master: the HLR bars each once, and"
        " CRM and BOSS know it"
    )
    async def prove(run: Run) -> Sequence[Figure]:
        site = run.site
        lines = await opened(site, run.size, province)
        before = await counted(site)
        await stopped(site, lines)
        return [
            none("users that the HLR has not stopped", await not_at_level(site, lines, 2)),
            equal("barring commands", await counted_since(site, before, LOCK), run.size),
            none("users that BOSS has otherwise", await otherwise(site, "boss", lines, "ARREARS")),
            none("users that CRM has otherwise", await otherwise(site, "crm", lines, "ARREARS")),
            none("users that the DSMP has not paused", await _not_paused(site, lines)),
        ]

    return prove


async def otherwise(site: Site, system: str, lines: Sequence[Line], *reasons: str) -> list[str]:
    """Users whom CRM or BOSS has as stopped for other reasons."""
    users = {row["user_id"]: row for row in await rows_of(site, system, "users")}
    return [
        line.user_id
        for line in lines
        if sorted(users[line.user_id]["standing"]["reasons"]) != sorted(reasons)
    ]


async def _not_paused(site: Site, lines: Sequence[Line]) -> list[str]:
    states = {row["msisdn"]: row["state"] for row in await site.dump(DSMP)}
    return [line.msisdn for line in lines if states.get(line.msisdn) != "paused"]


def only_the_master(province: str, other: Source) -> Check:
    @check(f"an identical order from {other} is refused NOT_STATE_MASTER, and nothing is sent")
    async def prove(run: Run) -> Sequence[Figure]:
        site = run.site
        (line,) = await opened(site, 1, province)
        start = await logged(site)
        status, answer = await posted(site, "ARREARS_SUSPEND", other, line, level=2)
        return [
            equal("answer of hlrd", (status, code_of(answer)), (403, "NOT_STATE_MASTER")),
            none("commands at the HLR", await barrings(site, start, line)),
            none("users that are stopped", await not_at_level(site, [line], 0)),
        ]

    return prove


def forward_only(province: str) -> Check:
    @check(
        "the DSMP refuses the stop for good: the HLR stays barred, the order waits for a person,"
        " and sent again it closes"
    )
    async def prove(run: Run) -> Sequence[Figure]:
        site = run.site
        (line,) = await opened(site, 1, province)
        start = await logged(site)
        await site.put_faults(DSMP, Profile(once=[Once(Fault.REFUSE, "PAUSE")]))
        asking = {"users": [line.user_id], "level": 2}
        await asked(site, "boss", "POST", "/credit-control", asking)

        async def fell_out() -> list[dict[str, Any]]:
            return await fallouts(site, line)

        (fallout,) = await site.until(fell_out, "the order falls out")
        meanwhile = await barrings(site, start, line)
        act = {"operator_id": "flow", "reason": "the DSMP is well again"}
        await site.hlrd.post(f"/v1/fallout/{fallout['id']}/resend", act)
        await states_settled(site, [line])
        return [
            equal("commands at the HLR while it waited", meanwhile, ["bar2"]),
            equal("commands in the end", await barrings(site, start, line), ["bar2"]),
            none("users that the HLR has not stopped", await not_at_level(site, [line], 2)),
            equal("at the DSMP", set((await relations(site, line)).values()), {"paused"}),
        ]

    return prove


@check("stopped again at the same level: success without a change, and no command")
async def again_is_no_change(run: Run) -> Sequence[Figure]:
    site = run.site
    (line,) = await opened(site, 1, BY_BOSS)
    await stopped(site, [line])
    start = await logged(site)
    _, answer = await posted(site, "ARREARS_SUSPEND", Source.BOSS, line, level=2)
    return [
        equal("its receipt", code_of(answer), "succeeded"),
        equal("marked", answer["receipt"].get("marks"), ["NO_CHANGE"]),
        none("commands at the HLR", await barrings(site, start, line)),
    ]


@check("CRM is away when credit control asks it: the stop is late and not lost")
async def crm_is_away(run: Run) -> Sequence[Figure]:
    site = run.site
    (line,) = await opened(site, 1, BY_CRM)
    start = await logged(site)
    with site.away("crm"):
        asking = {"users": [line.user_id], "level": 2}
        asked_for = await asked(site, "boss", "POST", "/credit-control", asking)
        meanwhile = await barrings(site, start, line)

    async def is_stopped() -> bool:
        return not await not_at_level(site, [line], 2)

    await site.until(is_stopped, "the HLR has stopped the user")
    await states_settled(site, [line])
    return [
        equal("users that credit control asked for", asked_for["users"], 1),
        none("commands while CRM was away", meanwhile),
        equal("commands in the end", await barrings(site, start, line), ["bar2"]),
        equal("level at CRM", (await user_of(site, "crm", line))["level"], 2),
    ]


F10: Final = Acts(
    layout=telecom,
    story=story(BY_BOSS),
    checks=(all_are_stopped(BY_BOSS, "BOSS"), only_the_master(BY_BOSS, Source.CRM)),
    faults=(forward_only(BY_BOSS), again_is_no_change),
    size=1_000,
    small=20,
    legs=BY_BOSS_LEGS,
)
F11: Final = Acts(
    layout=telecom,
    story=story(BY_CRM),
    checks=(all_are_stopped(BY_CRM, "CRM"), only_the_master(BY_CRM, Source.BOSS)),
    faults=(forward_only(BY_CRM), crm_is_away),
    size=1_000,
    small=20,
    legs=BY_CRM_LEGS,
)
