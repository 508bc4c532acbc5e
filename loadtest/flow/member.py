"""F20 and F21: the base capability of members (成员基础通信功能开通), by each relay."""

import asyncio
import re
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any, Final

from loadtest.business.message import Message, Party
from loadtest.faults import Chance, Fault, Once, Profile
from loadtest.flow.daemon import Daemon
from loadtest.flow.enterprise import ACROSS, sold
from loadtest.flow.flow import Acts, Check, Figure, Run, at_least, check, equal, none
from loadtest.flow.front import Front
from loadtest.flow.group import METER, TRACK, one_process, restarted, two_roles
from loadtest.flow.groupstock import home_of_imsi, home_of_number, import_pool
from loadtest.flow.holdings import (
    commands_about,
    count_effects,
    last_at_hlrs,
    numbers,
    repeated_effects,
    resources,
    rows_of,
    users_at_hlrs,
)
from loadtest.flow.provinces import HLRS, LEAD, headquarters, provinces
from loadtest.flow.site import Site

LOSSY: Final = Profile(chance=Chance(withhold=0.03, cut_after=0.02))
"""5 % of the commands are carried out and never answered."""

POOL_NUMBERS: Final = 3
"""Of a pool that is to be exhausted."""

TOO_MANY: Final = 5
_OPENING: Final = "ADD TPLSUB"
_UNDOING: Final = "RMV KI"
_KEY: Final = re.compile(r"(?<![0-9A-Fa-f])[0-9A-Fa-f]{32}(?![0-9A-Fa-f])")


class Way:
    """What tells these flows apart: what is sold, and which relay members are reported by."""

    def __init__(self, relay: str, party: str, product: str = TRACK, **wish: Any) -> None:
        self.relay = relay
        self.party = party
        self.product = product
        self._wish = wish

    async def sold(self, site: Site) -> str:
        return await sold(site, self.product, **self._wish)


BY_BBOSS: Final = Way("bboss", Party.BBOSS, **ACROSS)
BY_BOSS1: Final = Way("boss1", Party.BOSS1)
OF_CLASS_2: Final = Way("boss1", Party.BOSS1, METER)


async def add_one(run: Run, way: Way) -> None:
    """省支撑系统分配号码、选卡绑定、置在用、上报 → 中继 → 物联网PBOSS → M-HLR, 逐级反馈."""
    code = await way.sold(run.site)
    await run.site.recorded()  # that the enterprise exists is told by F17 to F19
    front = Front(run.site)
    await front.done(await front.add(code))


# What must hold of the whole site, whatever went on.


async def agreement(site: Site) -> list[Figure]:
    """Numbers in use, users of the HLRs, and successful receipts are the same; nothing twice."""
    users = await users_at_hlrs(site)
    live = {number for number, _, _ in users}
    used = await numbers(site, "inUse")
    told = {row["msisdn"] for row in await active_members(site)}
    strays = [
        number
        for number, imsi, hlr in users
        if not hlr == home_of_number(number) == home_of_imsi(imsi)
    ]
    return [
        none("numbers in use and not at an HLR, or there and not in use", sorted(live ^ used)),
        none("receipts without a user at an HLR, or the other way round", sorted(live ^ told)),
        equal("numbers and cards at HLRs, each once", len({one[1] for one in users}), len(users)),
        none("users whose number, card and HLR are not of one home", strays),
    ]


async def active_members(site: Site) -> list[dict[str, Any]]:
    """As the ESOPs have them by their receipts."""
    dumps = [await site.dump(Front(site, province).name) for province in provinces(site)]
    rows = [row for dump in dumps for row in dump if row["record"] == "member"]
    return [row for row in rows if row["standing"] in ("active", "leaving")]


def many_at_once(way: Way) -> Check:
    @check("{size} members opened in parallel over 4 HLRs, by a file: numbers in use = HLR users = "
           "successful receipts; no number or card twice; every number's HLR is its card's; "
           "nothing is left 预占")  # fmt: skip
    async def prove(run: Run) -> Sequence[Figure]:
        code = await way.sold(run.site)
        await front_done(run.site, code, run.size)
        return [*await _opened(run.site, way, code, run.size), *await agreement(run.site)]

    return prove


async def front_done(site: Site, code: str, count: int) -> None:
    front = Front(site)
    await front.done(await front.add_many(code, count), s=120 + count / 20)


async def _opened(site: Site, way: Way, code: str, count: int) -> list[Figure]:
    members = await Front(site).members(code)
    told = {row["msisdn"] for row in members if row["standing"] == "active"}
    reported = {name.removeprefix("/members/") for name in await resources(site, way.relay)}
    registered = {name.removeprefix("/members/") for name in await resources(site, "pboss")}
    return [
        equal("members opened", len(told), count),
        none("members that the relay does not have", sorted(told - reported)),
        none("members that headquarters does not have", sorted(told - registered)),
        none("numbers still reserved", sorted(await numbers(site, "reserved"))),
    ]


def level_by_level(way: Way) -> Check:
    @check("the feedback comes level by level: M-HLR, 物联网PBOSS, relay, province")
    async def prove(run: Run) -> Sequence[Figure]:
        site, front = run.site, Front(run.site)
        code = await way.sold(site)
        await site.recorded()
        await front.done(await front.add(code))
        said = sorted(await site.recorded(), key=lambda each: each.at)
        levels = [
            _last(said, Party.HLR, ""),
            _last(said, Party.PBOSS, way.party),
            _last(said, way.party, Party.HLRD_PROVINCE),
            _last(said, Party.HLRD_PROVINCE, front.party),
        ]
        if len(site.daemons) == 1:  # hlrd drives the HLR itself, once headquarters has confirmed
            levels = [_last(said, way.party, Party.HLRD), _last(said, Party.HLRD, front.party)]
        return [
            none("levels that said nothing", [place for place in levels if place < 0]),
            equal("answers, from the network up, in this order", levels, sorted(levels)),
        ]

    return prove


def _last(said: Sequence[Message], sender: str, receiver: str) -> int:
    """Place of the last message between two, a province's own among them; -1: there is none."""
    found = [
        place
        for place, each in enumerate(said)
        if each.sender.startswith(sender) and each.receiver.startswith(receiver)
    ]
    return found[-1] if found else -1


def keys_are_secret(way: Way) -> Check:
    @check("no key of a card is in any log, dump or answer")
    async def prove(run: Run) -> Sequence[Figure]:
        site, front = run.site, Front(run.site)
        code = await way.sold(site)
        await front.done(await front.add(code))
        told = {path.name: path.read_text("utf-8", "replace") for path in site.folder.glob("*.log")}
        for name in (way.relay, "pboss"):
            told[f"dump of {name}"] = str(await site.dump(name))
        for name in (way.relay, "pboss", *HLRS):
            told[f"log of {name}"] = str(await site.log(name))
        told["ESOP"] = str([await site.dump(front.name), await front.members(code)])
        shown = [name for name, text in told.items() if _KEY.search(text)]
        return [at_least("places looked at", len(told), 8), none("places that show a key", shown)]

    return prove


# When it fails.


def pool_is_exhausted(way: Way) -> Check:
    @check(f"pool of {POOL_NUMBERS} numbers, {TOO_MANY} members: the rest are refused "
           "POOL_EXHAUSTED, and nothing is held for them")  # fmt: skip
    async def prove(run: Run) -> Sequence[Figure]:
        site, front = run.site, Front(run.site)
        code = await way.sold(site)
        pool = await import_pool(site, POOL_NUMBERS)
        before = len(await cards_taken(site))
        closed = await front.closed(await front.add_many(code, TOO_MANY, as_orders=True, pool=pool))
        refused = [line["code"] for line in closed["lines"] if line["state"] == "failed"]
        taken = len(await cards_taken(site)) - before
        return [
            equal("refusals", refused, ["POOL_EXHAUSTED"] * (TOO_MANY - POOL_NUMBERS)),
            equal("cards in use or held, more than before", taken, POOL_NUMBERS),
            none("numbers still reserved", sorted(await numbers(site, "reserved"))),
            *await agreement(site),
        ]

    return prove


async def cards_taken(site: Site) -> set[str]:
    """Of the lead province: those that no new member can get."""
    daemon, found = provinces(site)[LEAD], set[str]()
    for lot in (await daemon.get("/v1/sim-lots"))["lots"]:
        rows = await rows_of(site, daemon, f"/v1/sim-lots/{lot['name']}/cards.csv")
        found |= {row["iccid"] for row in rows if row["state"] not in ("inStock", "leased")}
    return found


def report_is_refused(way: Way) -> Check:
    @check("report refused (EC unknown): number idle again, card in stock, no HLR command ever")
    async def prove(run: Run) -> Sequence[Figure]:
        front, before = Front(run.site), await last_at_hlrs(run.site)
        code = await front.customer()
        line = await _failed(front, code)
        asked = await commands_about(run.site, before, *identities(line))
        return [
            equal("the order failed with", line["code"], "EC_UNKNOWN"),
            none("HLR commands", asked),
            *await _given_back(front, line),
        ]

    return prove


async def _failed(front: Front, code: str) -> dict[str, Any]:
    """The line of a member who could not be opened."""
    closed = await front.closed(await front.add(code, timing="together"))
    line: dict[str, Any] = closed["lines"][0]
    return line


def identities(line: Mapping[str, Any]) -> tuple[str, str, str]:
    """Number, IMSI and ICCID that an opening was given."""
    given = line["given"]
    return given["msisdn"], given["imsi"], given["iccid"]


async def _given_back(front: Front, line: Mapping[str, Any]) -> list[Figure]:
    msisdn, _, iccid = identities(line)
    number = await front.hlrd.get(f"/v1/numbers/{msisdn}")
    card = await front.hlrd.get(f"/v1/sim-cards/{iccid}")
    return [
        Figure("the number", number["state"], "idle", number["state"] in ("idle", "leased")),
        Figure("the card", card["state"], "inStock", card["state"] in ("inStock", "leased")),
    ]


def hlr_refuses(way: Way) -> Check:
    @check("HLR permanent error: taken off the HLR, fed back level by level, number idle as the "
           "HLR is proven clean")  # fmt: skip
    async def prove(run: Run) -> Sequence[Figure]:
        site, front = run.site, Front(run.site)
        code = await way.sold(site)
        await refuse(site, _OPENING)
        line = await _failed(front, code)
        await heal(site)
        msisdn, imsi, _ = identities(line)
        return [
            equal("the order", line["state"], "failed"),
            none("records at HLRs", await _left_at_hlrs(site, imsi)),
            none("relay and registry that have the member", await _who_has(site, way, msisdn)),
            *await _given_back(front, line),
            *await agreement(site),
        ]

    return prove


def hlr_is_not_clean(way: Way) -> Check:
    @check("HLR permanent error, and not proven clean: a fallout; once a person has let it go, "
           "the number is 封存 and the card scrapped")  # fmt: skip
    async def prove(run: Run) -> Sequence[Figure]:
        site, front = run.site, Front(run.site)
        code = await way.sold(site)
        await refuse(site, _OPENING, _UNDOING)
        order = await front.add(code, timing="together")
        fallen = await _fallen_out(site)
        await heal(site)
        await _skip(headquarters(site), fallen["id"])
        line = (await front.closed(order))["lines"][0]
        msisdn, imsi, iccid = identities(line)
        number = await front.hlrd.get(f"/v1/numbers/{msisdn}")
        card = await front.hlrd.get(f"/v1/sim-cards/{iccid}")
        left = await _left_at_hlrs(site, imsi)
        return [
            equal("a person was asked about", fallen["operation"], "removeKey"),
            equal("the order", line["state"], "failed"),
            equal("records at HLRs that the number is locked for", len(left), 1),
            equal("the number", number["state"], "locked"),
            equal("the card", card["state"], "scrapped"),
            none("relay and registry that have the member", await _who_has(site, way, msisdn)),
        ]

    return prove


async def _fallen_out(site: Site) -> Mapping[str, Any]:
    """The one order that waits for a person at the hlrd that drives the HLRs."""

    async def look() -> Mapping[str, Any] | None:
        rows = (await headquarters(site).get("/v1/fallout"))["orders"]
        return rows[0] if rows else None

    found: Mapping[str, Any] = await site.until(look, "an order waits for a person")
    return found


async def _skip(daemon: Daemon, order: str) -> None:
    """强制通过: a person says that the step counts as done."""
    why = {"operator_id": "op7", "reason": "the HLR cannot be cleaned now"}
    await daemon.post(f"/v1/fallout/{order}/skip", why)


async def refuse(site: Site, *commands: str) -> None:
    """Every HLR refuses the next command of each of these names for good."""
    profile = Profile(once=[Once(Fault.REFUSE, command) for command in commands])
    await asyncio.gather(*(site.put_faults(name, profile) for name in HLRS))


async def heal(site: Site) -> None:
    await asyncio.gather(*(site.put_faults(name) for name in HLRS))


async def _left_at_hlrs(site: Site, imsi: str) -> list[str]:
    """Records about a card."""
    dumps = await asyncio.gather(*(site.dump(name) for name in HLRS))
    return [row["record"] for dump in dumps for row in dump if row.get("imsi") == imsi]


async def _who_has(site: Site, way: Way, msisdn: str) -> list[str]:
    member = f"/members/{msisdn}"
    return [name for name in (way.relay, "pboss") if member in await resources(site, name)]


def lossy_and_killed(way: Way) -> Check:
    @check("5 % injected timeouts and one kill -9 of each hlrd, {size} members: each is read back "
           "and none is given a second number; numbers in use = HLR users = successful receipts; "
           "each command took effect once")  # fmt: skip
    async def prove(run: Run) -> Sequence[Figure]:
        site, front = run.site, Front(run.site)
        code = await way.sold(site)
        await count_effects(site)
        await asyncio.gather(*(site.put_faults(name, LOSSY) for name in (*HLRS, way.relay)))
        before = len(await users_at_hlrs(site))
        order = await front.add_many(code, run.size, as_orders=True)
        await _more_users(site, before + run.size // 4)
        given = await front.members(code)
        await restarted(site)
        await front.done(order, s=120 + run.size / 10)
        await asyncio.gather(*(site.put_faults(name) for name in (*HLRS, way.relay)))
        figures = await _opened(site, way, code, run.size)
        changed = _changed(given, await front.members(code))
        return [
            *figures,
            none("members whose number became another", changed),
            none("commands that took effect twice", await repeated_effects(site)),
            *await agreement(site),
        ]

    return prove


def _changed(before: Sequence[Mapping[str, Any]], after: Sequence[Mapping[str, Any]]) -> list[str]:
    now = {row["user_id"]: row["msisdn"] for row in after}
    return [row["user_id"] for row in before if row["msisdn"] not in ("", now[row["user_id"]])]


async def _more_users(site: Site, count: int) -> None:
    async def are_more() -> bool:
        return len(await users_at_hlrs(site)) >= count

    await site.until(are_more, f"{count} users at the HLRs")


def _checks(way: Way) -> Sequence[Check]:
    return (many_at_once(way), level_by_level(way), keys_are_secret(way))


def _faults(way: Way) -> Sequence[Check]:
    return (
        pool_is_exhausted(way),
        report_is_refused(way),
        hlr_refuses(way),
        hlr_is_not_clean(way),
        lossy_and_killed(way),
    )


def _acts(way: Way) -> Acts:
    return Acts(
        layout=two_roles,
        one_process=one_process,
        story=partial(add_one, way=way),
        checks=_checks(way),
        faults=_faults(way),
        size=10_000,
        small=60,
    )


F20: Final = _acts(BY_BBOSS)
F21: Final = _acts(BY_BOSS1)
