"""F22, F24 and F25: products of members (成员业务订购), by each way to headquarters."""

import asyncio
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any, Final

from hlrd.domain.orders import Source
from loadtest.faults import Fault, Once, Profile
from loadtest.flow.flow import Acts, Check, Figure, Run, check, equal, none
from loadtest.flow.front import Front
from loadtest.flow.group import METER, TRACK, one_process, two_roles
from loadtest.flow.holdings import commands, last, resources, users_at_hlrs
from loadtest.flow.member import BY_BBOSS, BY_BOSS1, OF_CLASS_2, Way, agreement, heal
from loadtest.flow.provinces import HLRS
from loadtest.flow.site import Site

PLATFORMS: Final[Mapping[str, Sequence[str]]] = {
    TRACK: ("nation", "class1", "gateway"),
    METER: ("platform", "management", "nation", "gateway"),
}
"""That hold a member's product, by the product's name."""

REFUSING: Final[Mapping[str, str]] = {TRACK: "gateway", METER: "platform"}
"""The platform that is made to refuse: of class 1 the last that is told."""

BASE: Final = "MEMBER_ACTIVATE"
ORDERING: Final = "MEMBER_PRODUCT_SUBSCRIBE"
_REFUSALS: Final = 2
"""At each HLR."""


async def order_one(run: Run, way: Way) -> None:
    """完成基础通信功能开通后, 按照现有流程订购产品."""
    code, user = await _member(run.site, way)
    await run.site.recorded()  # how he became a member is told by F20 and F21
    front = Front(run.site)
    await front.done(await front.order_product(code, user, way.product))


async def _member(site: Site, way: Way) -> tuple[str, str]:
    """An enterprise and its one member, who has no product yet."""
    code = await way.sold(site)
    front = Front(site)
    await front.done(await front.add(code))
    (member,) = await front.members(code)
    return code, member["user_id"]


Both = Mapping[str, Mapping[str, Any]]
"""A member's final receipts, by kind."""


async def receipts_of(site: Site, code: str) -> dict[str, Both]:
    """Of every member of an enterprise, by user, as hlrd keeps them for the ESOP."""
    front, cursor = Front(site), 0
    found: dict[str, dict[str, Mapping[str, Any]]] = {
        row["user_id"]: {} for row in await front.members(code)
    }
    while True:
        path = f"/v1/receipts?after={cursor}&limit=1000"
        page = await front.hlrd.get(path, source=Source.ESOP)
        if not page["receipts"]:
            return {
                user: kinds for user, kinds in found.items() if kinds.keys() == {BASE, ORDERING}
            }
        cursor = page["cursor"]
        for receipt in page["receipts"]:
            kinds = found.get(receipt.get("user_id", ""))
            if kinds is not None and receipt["result"] != "fallout":
                kinds[receipt["type"]] = receipt


def product_first(way: Way) -> Check:
    @check("base capability and product of {size} members posted together, the product first: "
           "each product's first command is later than its base capability's success")  # fmt: skip
    async def prove(run: Run) -> Sequence[Figure]:
        site, front = run.site, Front(run.site)
        code = await way.sold(site)
        order = await front.add_many(
            code, run.size, products=[way.product], timing="productFirst", as_orders=True
        )
        await front.done(order, s=120 + run.size / 10)
        both = await receipts_of(site, code)
        return [
            equal("members with both", len(both), run.size),
            none("products that came too early", _too_early(both)),
            *await _at_platforms(site, way, code),
            *await agreement(site),
        ]

    return prove


def _too_early(both: Mapping[str, Both]) -> list[str]:
    """Users whose product's first command is not later than the base capability's success."""
    return [
        user
        for user, kinds in both.items()
        if not kinds[ORDERING].get("first_command_at", "") > kinds[BASE]["closed_at"]
    ]


async def _at_platforms(site: Site, way: Way, code: str) -> list[Figure]:
    members = await Front(site).members(code)
    wanted = {f"/users/{row['msisdn']}/products/{way.product}" for row in members}
    return [
        none(f"members' products missing at {name}", sorted(wanted - await resources(site, name)))
        for name in PLATFORMS[way.product]
    ]


def functions_first(way: Way) -> Check:
    @check("the functions at the HLR come first, and the gateway last")
    async def prove(run: Run) -> Sequence[Figure]:
        site, front = run.site, Front(run.site)
        code, user = await _member(site, way)
        names = (*HLRS, *PLATFORMS[way.product])
        before = {name: await last(site, name) for name in names}
        await front.done(await front.order_product(code, user, way.product))
        told = [
            (each.at, name) for name in names for each in await commands(site, name, before[name])
        ]
        order = list(dict.fromkeys(_role(name) for _, name in sorted(told)))
        return [
            equal("first", order[0], "HLR"),
            equal("last", order[-1], "gateway"),
            equal("told", sorted(order), sorted(["HLR", *PLATFORMS[way.product]])),
        ]

    return prove


def _role(name: str) -> str:
    return "HLR" if name in HLRS else name


# When it fails.


def base_fails(way: Way) -> Check:
    @check("base capability refused by the HLR: its product order ends DEPENDENCY_FAILED without "
           "a single command, and the others are carried out")  # fmt: skip
    async def prove(run: Run) -> Sequence[Figure]:
        site, front = run.site, Front(run.site)
        code = await way.sold(site)
        profile = Profile(once=[Once(Fault.REFUSE, "ADD TPLSUB")] * _REFUSALS)
        await asyncio.gather(*(site.put_faults(name, profile) for name in HLRS))
        order = await front.add_many(
            code, run.size, products=[way.product], timing="productFirst", as_orders=True
        )
        await front.closed(order, s=120 + run.size / 10)
        await heal(site)
        both = await receipts_of(site, code)
        failed = {user: kinds for user, kinds in both.items() if kinds[BASE]["result"] == "failed"}
        good = {user: kinds for user, kinds in both.items() if user not in failed}
        products = [kinds[ORDERING] for kinds in failed.values()]
        unlike = [one["code"] for one in products if one.get("code") != "DEPENDENCY_FAILED"]
        return [
            equal("members whose base capability failed", len(failed), len(HLRS) * _REFUSALS),
            none("their products that did not end DEPENDENCY_FAILED", unlike),
            none("their products with a command", _commanded(products)),
            none("products of the others that came too early", _too_early(good)),
            none("products of the others that failed", _unsuccessful(good)),
            *await agreement(site),
        ]

    return prove


def _commanded(receipts: Sequence[Mapping[str, Any]]) -> list[str]:
    return [receipt["user_id"] for receipt in receipts if "first_command_at" in receipt]


def _unsuccessful(both: Mapping[str, Both]) -> list[str]:
    return [user for user, kinds in both.items() if kinds[ORDERING]["result"] != "succeeded"]


def hop_is_down(way: Way) -> Check:
    @check("a platform of the chain down: the order waits and is tried again, the base capability "
           "untouched; up: it is carried out")  # fmt: skip
    async def prove(run: Run) -> Sequence[Figure]:
        site, front = run.site, Front(run.site)
        code, user = await _member(site, way)
        users = sorted(await users_at_hlrs(site))
        site.kill("nation")
        try:
            order = await front.order_product(code, user, way.product)
            await _is_with_hlrd(front, order)
            waiting = (await front.shown(order))["is_closed"]
            meanwhile = (await front.members(code))[0]
        finally:
            await site.restart("nation")
        await front.done(order)
        return [
            equal("order closed meanwhile", waiting, False),
            equal("the member meanwhile", meanwhile["standing"], "active"),
            equal("users at HLRs changed", sorted(await users_at_hlrs(site)) != users, False),
            *await _at_platforms(site, way, code),
        ]

    return prove


async def _is_with_hlrd(front: Front, order: Mapping[str, Any]) -> None:
    """It has begun: some of its commands were sent."""

    async def has_begun() -> bool:
        line = (await front.shown(dict(order)))["lines"][0]
        if not line["id"]:
            return False
        shown = await front.hlrd.get(f"/v1/work-orders/{line['id']}")
        return any(task["commands"] for task in shown["tasks"])

    await front.site.until(has_begun, "the product's order has begun")


def platform_refuses(way: Way) -> Check:
    @check("refused for good by a platform: undone in reverse, the base capability untouched; "
           "ordered again it succeeds")  # fmt: skip
    async def prove(run: Run) -> Sequence[Figure]:
        site, front = run.site, Front(run.site)
        code, user = await _member(site, way)
        users = sorted(await users_at_hlrs(site))
        name = REFUSING[way.product]
        await site.put_faults(name, Profile(once=[Once(Fault.REFUSE, "SUBSCRIBE")]))
        closed = await front.closed(await front.order_product(code, user, way.product))
        await site.put_faults(name)
        (member,) = await front.members(code)
        relation = f"/users/{member['msisdn']}/products/{way.product}"
        left = [one for one in PLATFORMS[way.product] if relation in await resources(site, one)]
        untouched = sorted(await users_at_hlrs(site)) == users
        await front.done(await front.order_product(code, user, way.product))
        return [
            equal("the order", closed["lines"][0]["state"], "failed"),
            none("platforms that have the product still", left),
            equal("the member", member["standing"], "active"),
            equal("users at HLRs as they were", untouched, True),
            *await _at_platforms(site, way, code),
        ]

    return prove


def _acts(way: Way) -> Acts:
    return Acts(
        layout=two_roles,
        one_process=one_process,
        story=partial(order_one, way=way),
        checks=(product_first(way), functions_first(way)),
        faults=(base_fails(way), hop_is_down(way), platform_refuses(way)),
        size=5_000,
        small=40,
    )


F22: Final = _acts(BY_BBOSS)
F24: Final = _acts(BY_BOSS1)
F25: Final = _acts(OF_CLASS_2)
