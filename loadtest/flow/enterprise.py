"""F17, F18 and F19: a product for an enterprise, by each of the three ways (集团产品订购)."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from loadtest.business.message import Party
from loadtest.faults import Fault, Once, Profile
from loadtest.flow.flow import Acts, Figure, Run, check, equal, none
from loadtest.flow.front import Front, Order
from loadtest.flow.group import METER, TRACK, one_process, two_roles
from loadtest.flow.holdings import (
    commands,
    commands_about,
    last,
    last_at_hlrs,
    publications,
    resources,
    standing_of,
)
from loadtest.flow.provinces import LEAD, PARTNER
from loadtest.flow.site import Site

CHAIN: Final = ("nation", "class1", "gateway")
"""Of class 1, in the order they are told: the gateway last, so that traffic opens when everything
behind it knows the enterprise."""

ACROSS: Final[Mapping[str, Any]] = {"partner_provinces": [PARTNER]}


def held(code: str, product: str = TRACK) -> str:
    return f"/ecs/{code}/products/{product}"


async def sold(site: Site, product: str = TRACK, **wish: Any) -> str:
    """A new enterprise that has the product, active."""
    front = Front(site)
    code = await front.customer()
    await front.done(await front.sell(code, product, **wish))
    return code


def of_province(code: str) -> frozenset[str]:
    """What is said between a province and the BBOSS, and in the province."""
    return frozenset({Party.BBOSS, f"{Party.HLRD_PROVINCE} {code}", Party.ESOP.of(code)})


_HERE: Final = f"{Party.HLRD_PROVINCE} {LEAD}"
CLASS_2_LEGS: Final = (
    frozenset({_HERE, Party.BOSS1, Party.PBOSS, Party.HLRD_HQ}),
    frozenset({_HERE, Party.PROVINCE_PLATFORM}),
    frozenset({_HERE, Party.PROVINCE_MANAGEMENT, Party.NATIONAL_MANAGEMENT, Party.GATEWAY}),
)
"""Headquarters, the province's platform, and the chain are told side by side."""


# F17 and F18.


async def _across(run: Run) -> None:
    """主办省集团客户业务开通 → 一级BBOSS → 物联网PBOSS → 平台, 并发布到配合省."""
    code = await sold(run.site, **ACROSS)
    await published(run.site, code)


async def _within(run: Run) -> None:
    """省支撑系统 → 一级BOSS → 物联网PBOSS → 平台."""
    await sold(run.site)


async def published(site: Site, code: str) -> None:
    async def is_told() -> bool:
        return await standing_of(site, PARTNER, code) == "active"

    await site.until(is_told, f"the partner province may sell to {code}")


async def _is_in_order(run: Run, **wish: Any) -> Sequence[Figure]:
    before = {name: await last(run.site, name) for name in CHAIN}
    code = await sold(run.site, **wish)
    told = []
    for name in CHAIN:
        found = await commands(run.site, name, before[name])
        told += [(each.at, name) for each in found if held(code) in each.command]
    return [
        equal("told, in this order", [name for _, name in sorted(told)], list(CHAIN)),
        equal("registered at headquarters", held(code) in await resources(run.site, "pboss"), True),
        equal("in the province", await standing_of(run.site, LEAD, code), "active"),
    ]


@check("headquarters registers it and tells the nationwide platform, the class-1 platform, and "
       "last the gateway; then it is active in the province")  # fmt: skip
async def _order_across(run: Run) -> Sequence[Figure]:
    return await _is_in_order(run, **ACROSS)


@check("headquarters registers it and tells the nationwide platform, the class-1 platform, and "
       "last the gateway; then it is active in the province")  # fmt: skip
async def _order_within(run: Run) -> Sequence[Figure]:
    return await _is_in_order(run)


@check("each partner province gets the publication exactly once")
async def _published_once(run: Run) -> Sequence[Figure]:
    code = await sold(run.site, **ACROSS)
    await published(run.site, code)
    return [equal("publications", await publications(run.site, code), 1)]


@check("the BBOSS sees nothing of business within one province")
async def _bboss_is_spared(run: Run) -> Sequence[Figure]:
    before = await last(run.site, "bboss")
    code = await sold(run.site)
    front = Front(run.site)
    await front.done(await front.add(code))
    heard = await commands(run.site, "bboss", before)
    return [none("commands at the BBOSS", [each.command for each in heard])]


async def _gateway_is_down(run: Run, **wish: Any) -> tuple[str, Sequence[Figure]]:
    """The enterprise pending, a member that was added meanwhile, and both once it is up again."""
    site, front = run.site, Front(run.site)
    before = await last_at_hlrs(site)
    site.kill("gateway")
    try:
        code = await front.customer()
        order = await front.sell(code, TRACK, **wish)
        await _has(site, "class1", held(code))
        member = await front.add(code, timing="together")
        await _waits(site, front, member)
        pending = await standing_of(site, LEAD, code)
        early = await commands_about(site, before, (await front.members(code))[0]["msisdn"])
    finally:
        await site.restart("gateway")
    await front.done(order)
    await front.done(member)
    return code, [
        equal("meanwhile the enterprise is", pending, "pending"),
        none("commands at the HLR meanwhile", early),
        equal("afterwards it is", await standing_of(site, LEAD, code), "active"),
        equal("at the gateway", held(code) in await resources(site, "gateway"), True),
        equal("members open", (await front.members(code))[0]["standing"], "active"),
    ]


_DOWN: Final = (
    "gateway down: the enterprise is pending and MEMBER_ACTIVATE waits for it; gateway up: the "
    "enterprise is active and the member is opened"
)


@check(_DOWN)
async def _down_across(run: Run) -> Sequence[Figure]:
    _, figures = await _gateway_is_down(run, **ACROSS)
    return figures


@check("over that fault too the partner province got the publication exactly once")
async def _once_over_a_fault(run: Run) -> Sequence[Figure]:
    code, _ = await _gateway_is_down(run, **ACROSS)
    await published(run.site, code)
    return [equal("publications", await publications(run.site, code), 1)]


@check(_DOWN)
async def _down_within(run: Run) -> Sequence[Figure]:
    before = await last(run.site, "bboss")
    _, figures = await _gateway_is_down(run)
    heard = await commands(run.site, "bboss", before)
    return [*figures, none("commands at the BBOSS", [each.command for each in heard])]


async def _has(site: Site, name: str, resource: str) -> None:
    async def is_there() -> bool:
        return resource in await resources(site, name)

    await site.until(is_there, f"{name} has {resource}")


async def _waits(site: Site, front: Front, order: Order) -> None:
    """hlrd has taken it, and says what it waits for."""

    async def is_waiting() -> bool:
        lines = (await front.shown(order))["lines"]
        if not all(line["id"] for line in lines):
            return False
        shown = await front.hlrd.get(f"/v1/work-orders/{lines[0]['id']}")
        return (shown["waits"] or {}).get("reason") == "EC_NOT_READY"

    await site.until(is_waiting, "the member's order waits with EC_NOT_READY")


# F19.


async def _class_2(run: Run) -> None:
    """省内业务平台 ∥ 省物联网运营管理平台 → 物联网全网运营管理平台 → 物联网业务网关."""
    await sold(run.site, METER)


@check("the province's platform has it, and the chain passes it on to the gateway")
async def _both_legs(run: Run) -> Sequence[Figure]:
    code = await sold(run.site, METER)
    names = ("platform", "management", "nation", "gateway")
    return [
        equal(f"at {name}", held(code, METER) in await resources(run.site, name), True)
        for name in names
    ]


@check("with the exception flag, of a province that built a nationwide platform, the province's "
       "platforms see nothing")  # fmt: skip
async def _straight(run: Run) -> Sequence[Figure]:
    names = ("platform", "management")
    before = {name: await last(run.site, name) for name in names}
    code = await sold(run.site, METER, straight=True)
    heard = [
        each.command for name in names for each in await commands(run.site, name, before[name])
    ]
    return [
        equal("at the gateway", held(code, METER) in await resources(run.site, "gateway"), True),
        none("commands at the province's platforms", [each for log in heard for each in log]),
    ]


@check("nationwide platform stopped: leg 1 done, leg 2 waiting, order not closed; started: the "
       "gateway has the enterprise, the order closes")  # fmt: skip
async def _chain_is_cut(run: Run) -> Sequence[Figure]:
    site, front = run.site, Front(run.site)
    site.kill("nation")
    try:
        code = await front.customer()
        order = await front.sell(code, METER)
        await _has(site, "platform", held(code, METER))
        await _has(site, "management", held(code, METER))
        standing = await standing_of(site, LEAD, code)
        is_closed = (await front.shown(order))["is_closed"]
        early = held(code, METER) in await resources(site, "gateway")
    finally:
        await site.restart("nation")
    await front.done(order)
    return [
        equal("leg 1 done, the enterprise", standing, "pending"),
        equal("order closed meanwhile", is_closed, False),
        equal("at the gateway meanwhile", early, False),
        equal("at the gateway afterwards", held(code, METER) in await resources(site, "gateway"),
              True),
        equal("the enterprise afterwards", await standing_of(site, LEAD, code), "active"),
    ]  # fmt: skip


@check("one leg refused for good: the other is taken back, and the order fails")
async def _leg_is_refused(run: Run) -> Sequence[Figure]:
    site, front = run.site, Front(run.site)
    code = await front.customer()
    await site.put_faults("management", Profile(once=[Once(Fault.REFUSE, "SUBSCRIBE_EC")]))
    closed = await front.closed(await front.sell(code, METER))
    await site.put_faults("management")
    names = ("platform", "management", "nation", "gateway", "pboss")
    left = [name for name in names if held(code, METER) in await resources(site, name)]
    return [
        equal("the order", closed["lines"][0]["state"], "failed"),
        none("systems that have it still", left),
    ]


F17: Final = Acts(
    layout=two_roles,
    one_process=one_process,
    story=_across,
    checks=(_order_across, _published_once),
    faults=(_down_across, _once_over_a_fault),
    legs=(of_province(LEAD), of_province(PARTNER)),
)
F18: Final = Acts(
    layout=two_roles,
    one_process=one_process,
    story=_within,
    checks=(_order_within, _bboss_is_spared),
    faults=(_down_within,),
)
F19: Final = Acts(
    layout=two_roles,
    one_process=one_process,
    story=_class_2,
    checks=(_both_legs, _straight),
    faults=(_chain_is_cut, _leg_is_refused),
    legs=CLASS_2_LEGS,
)
