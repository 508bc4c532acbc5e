"""F23: the partner province (配合省) opens members of another province's enterprise."""

from collections.abc import Sequence
from typing import Any, Final

from hlrd.domain.orders import Source
from loadtest.flow.enterprise import ACROSS, of_province, published, sold
from loadtest.flow.flow import Acts, Figure, Run, check, equal, none
from loadtest.flow.front import Front
from loadtest.flow.group import two_roles
from loadtest.flow.groupstock import home_province
from loadtest.flow.holdings import numbers_of, users_at_hlrs
from loadtest.flow.member import agreement
from loadtest.flow.provinces import HLRS, LEAD, PARTNER, provinces
from loadtest.flow.site import Site

OPENING: Final = "ADD TPLSUB"
_PARTNER: Final = "partner"


async def sold_to_partners(site: Site) -> str:
    """An enterprise of the lead, whose product the partner province may sell."""
    code = await sold(site, **ACROSS)
    await published(site, code)
    return code


async def add_in_partner(run: Run) -> None:
    """配合省添加成员 → 一级BBOSS → 物联网PBOSS → M-HLR; 一级BBOSS 下发配合省成员 → 主办省."""
    code = await sold_to_partners(run.site)
    await run.site.recorded()  # how the product came to the partner is told by F17
    partner = Front(run.site, PARTNER)
    await partner.done(await partner.add(code))
    await _listed(run.site, code, 1)


async def _listed(site: Site, code: str, count: int) -> list[dict[str, Any]]:
    """The partner's members on the lead's list, once there are so many."""

    async def look() -> list[dict[str, Any]]:
        rows = [row for row in await Front(site).members(code) if row["origin"] == _PARTNER]
        return rows if len(rows) >= count else []

    found: list[dict[str, Any]] = await site.until(look, f"{count} partner members listed")
    return found


async def _openings(site: Site) -> int:
    """How often HLRs were told to add a subscriber."""
    stats = [await site.control(name, "GET", "/stats") for name in HLRS]
    return sum(one["commands"].get(OPENING, 0) for one in stats)


async def _opened(site: Site, code: str, count: int) -> set[str]:
    """Numbers of new members of the partner province."""
    partner = Front(site, PARTNER)
    await partner.done(await partner.add_many(code, count), s=120 + count / 10)
    return {row["msisdn"] for row in await partner.members(code) if row["origin"] == "own"}


@check("partner opens {size} members: the lead's list of the enterprise grows by {size}, its pool "
       "is unchanged, and the HLRs got {size} ADD TPLSUB, not twice as many")  # fmt: skip
async def _grows(run: Run) -> Sequence[Figure]:
    site = run.site
    code = await sold_to_partners(site)
    pool, openings = await numbers_of(site, LEAD), await _openings(site)
    opened = await _opened(site, code, run.size)
    listed = {row["msisdn"] for row in await _listed(site, code, run.size)}
    changed = sorted(pool ^ await numbers_of(site, LEAD))
    strangers = [number for number in opened if home_province(number) != PARTNER]
    return [
        equal("listed by the lead", len(listed), run.size),
        none("listed and not opened, or opened and not listed", sorted(listed ^ opened)),
        none("numbers of the lead's pool that changed", changed),
        none("members with a number that is not the partner's", strangers),
        equal("ADD TPLSUB", await _openings(site) - openings, run.size),
        *await agreement(site),
    ]


@check("redelivery of all of them changes nothing")
async def _again(run: Run) -> Sequence[Figure]:
    site = run.site
    code = await sold_to_partners(site)
    opened = await _opened(site, code, run.size)
    await _listed(site, code, run.size)
    openings, users = await _openings(site), sorted(await users_at_hlrs(site))
    results = [await _redelivered(site, code, number) for number in sorted(opened)]
    listed = await _listed(site, code, run.size)
    return [
        none("redeliveries that were not taken", [one for one in results if one != "succeeded"]),
        equal("listed by the lead", len(listed), run.size),
        equal("ADD TPLSUB more", await _openings(site) - openings, 0),
        equal("users at HLRs as they were", sorted(await users_at_hlrs(site)) == users, True),
    ]


async def _redelivered(site: Site, code: str, number: str) -> str:
    """By the BBOSS, as if it had not heard the answer, under another id."""
    order = {
        "type": "PARTNER_MEMBER_IMPORT", "order_id": f"R-{site.fresh()}", "province": LEAD,
        "operator_id": "bboss", "ec_code": code, "msisdn": number, "partner_province": PARTNER,
    }  # fmt: skip
    daemon = provinces(site)[LEAD]
    wait = {"Prefer": "wait=30"}
    _, answer = await daemon.ask(
        "POST", "/v1/work-orders", order, source=Source.BBOSS, headers=wait
    )
    return str(answer.get("receipt", answer).get("result", answer))


@check("lead's hlrd down: the partner's members are at the HLRs meanwhile; up: the BBOSS tells the "
       "lead again, and each is listed once")  # fmt: skip
async def _lead_is_down(run: Run) -> Sequence[Figure]:
    site = run.site
    code = await sold_to_partners(site)
    lead = provinces(site)[LEAD]
    lead.process.kill()
    try:
        opened = await _opened(site, code, run.size)
        live = {number for number, _, _ in await users_at_hlrs(site)}
    finally:
        await lead.start()
    listed = [row["msisdn"] for row in await _listed(site, code, run.size)]
    return [
        none("members who were not at an HLR meanwhile", sorted(opened - live)),
        none("members not listed afterwards", sorted(opened - set(listed))),
        equal("listed, each once", len(listed), run.size),
    ]


@check("BBOSS killed while members are opened: each is opened once and listed once")
async def _bboss_is_killed(run: Run) -> Sequence[Figure]:
    site, partner = run.site, Front(run.site, PARTNER)
    code = await sold_to_partners(site)
    openings = await _openings(site)
    order = await partner.add_many(code, run.size)
    site.kill("bboss")
    await site.restart("bboss")
    await partner.done(order, s=120 + run.size / 10)
    listed = [row["msisdn"] for row in await _listed(site, code, run.size)]
    return [
        equal("listed, each once", [len(listed), len(set(listed))], [run.size] * 2),
        equal("ADD TPLSUB", await _openings(site) - openings, run.size),
        *await agreement(site),
    ]


F23: Final = Acts(
    layout=two_roles,
    story=add_in_partner,
    checks=(_grows, _again),
    faults=(_lead_is_down, _bboss_is_killed),
    size=100,
    small=15,
    legs=(of_province(PARTNER), of_province(LEAD)),
)
