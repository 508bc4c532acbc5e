"""What the flows of group business run on (F17 to F25): headquarters and provinces, each with an
hlrd in its role, the relays between them, the platforms, and an ESOP a province.

`two_roles` is the real shape: number and card are drawn in a province, commands are sent from
headquarters. `one_process` is one hlrd with both roles; the relays stay, so the hops are real.
"""

import asyncio
import csv
from collections.abc import Mapping, Sequence
from io import StringIO
from typing import Any, Final

from hlrd.domain.identity import COUNTRY_CODE
from hlrd.domain.orders import Source
from loadtest.business.message import Party
from loadtest.flow.daemon import Daemon
from loadtest.flow.site import Caller, Site
from loadtest.process import StackError
from loadtest.record import Served
from loadtest.settings import POOL
from loadtest.simlot import Lot, NumberRange, Stock

LEAD: Final = "200"
PARTNER: Final = "280"
TRACK: Final = "TRACK"  #: of class 1
METER: Final = "METER"  #: of class 2
HLRS: Final = ("hlr1", "hlr2", "hlr3", "hlr4")

_APN: Final = {
    "name": "APN",
    "kind": "function",
    "parameters": {"context": ["7"], "apn": ["cmiot.gd"]},
    "scripts": [
        {
            "dialect": "huawei_hlr",
            "add": 'MOD GPRS_CONTEXT:IMSI="{imsi}",PROV=ADDPDPCNTX,CNTXID={context},APN="{apn}"',
            "remove": 'MOD GPRS_CONTEXT:IMSI="{imsi}",PROV=RMVPDPCNTX,CNTXID={context}',
        }
    ],
}

_PASSWORD: Final = "SYSTEM_PASSWORD"
_QUICK: Final = ("--hop-every-s", "0.05")
_AGAIN: Final = ("--again-s", "0.2")
"""Until the BBOSS tells a province again what it refused."""

_PROVINCE: Final = f"{Party.HLRD_PROVINCE} {{province}}"
_HQ: Final = "hlrd-hq"


async def two_roles(site: Site) -> None:
    """An hlrd at headquarters, one in the lead and one in a partner province."""
    hq = site.add_hlrd(_HQ)
    named = {code: _PROVINCE.replace("{province}", code) for code in (LEAD, PARTNER)}
    daemons = {code: site.add_hlrd(f"hlrd-{code}") for code in named}
    await _start_network(site, hq=Party.HLRD_HQ, province=named[LEAD])
    await _start_registry(site, "--hlrd", hq.url, "--hlrd-name", Party.HLRD_HQ, *_at("pboss"))
    provinces = [
        word for code, daemon in daemons.items() for word in ("--province", f"{code}={daemon.url}")
    ]
    await _start_relays(site, *provinces, *_at("bboss"), caller=_PROVINCE)
    _configure_hq(site, hq)
    for code, daemon in daemons.items():
        _configure_province(site, daemon, code)
    await asyncio.gather(*(daemon.start() for daemon in site.daemons.values()))
    await asyncio.gather(*(_start_esop(site, daemons[code], code, named[code]) for code in named))
    await _stock_up(site)
    for daemon in site.daemons.values():
        await _publish(daemon, TRACK, *(("nation", "class1") if daemon is hq else ()))
        await _publish(daemon, METER, *(() if daemon is hq else ("platform", "management")))


async def one_process(site: Site) -> None:
    """One hlrd with both roles; the partner province is told, and has none."""
    daemon = site.add_hlrd()
    await _start_network(site, hq=Party.HLRD, province=Party.HLRD)
    await asyncio.gather(
        _start_registry(site),
        _start_relay(site, "partner", "partner_province", Party.ESOP.of(PARTNER)),
    )
    partner = f"{PARTNER}={site.url('partner')}/province/v1"
    await _start_relays(site, "--partner", partner, caller=Party.HLRD)
    _drive_hq(site, daemon)
    _drive_province(site, daemon)
    _let_in(site, daemon, Source.ESOP, _esop(LEAD))
    await daemon.start()
    await _start_esop(site, daemon, LEAD, Party.HLRD)
    await _stock_up(site)
    await _publish(daemon, TRACK, "nation", "class1")
    await _publish(daemon, METER, "platform", "management")


def _configure_hq(site: Site, daemon: Daemon) -> None:
    daemon.put("groups", roles=["hq"])
    _drive_hq(site, daemon)
    _let_in(site, daemon, Source.PBOSS, "pboss")


def _configure_province(site: Site, daemon: Daemon, province: str) -> None:
    daemon.put("groups", roles=["province"], homes=list(HLRS))
    _drive_province(site, daemon)
    site.drive(daemon, "nation", "nationwide_management")  # for who built a nationwide platform
    _let_in(site, daemon, Source.ESOP, _esop(province))
    _let_in(site, daemon, Source.BBOSS, "bboss")


def _drive_hq(site: Site, daemon: Daemon) -> None:
    for name in HLRS:
        site.drive(daemon, name, "huawei_hlr", sessions_max=8, reply_timeout_s=_REPLY_S)
    site.drive(daemon, "dsmp1", "dsmp", sessions_max=8)
    for name, dialect in _OF_HQ.items():
        site.drive(daemon, name, dialect)


def _drive_province(site: Site, daemon: Daemon) -> None:
    for name, dialect in _OF_PROVINCE.items():
        site.drive(daemon, name, dialect)


_OF_HQ: Final = {
    "nation": "nationwide_management",
    "class1": "class1_platform",
    "gateway": "iot_gateway",
}
_OF_PROVINCE: Final = {
    "platform": "province_platform",
    "management": "province_management",
    "bboss": "bboss_relay",
    "boss1": "boss1_relay",
}
_REPLY_S: Final = 0.6
"""So that lost answers are noticed soon; these HLRs answer at once."""

_MEMBERS_MIN: Final = 200
_MEMBERS_PER_SIZE: Final = 8
"""Members that the flows open for each of their size, all flows of the family together."""


async def _start_network(site: Site, *, hq: str, province: str) -> None:
    """HLRs, DSMP and the five platforms; a chain from its end."""

    def platform(name: str, dialect: str, party: str, caller: Any, hop: str = "") -> Any:
        hops = ("--hop", hop) if hop else ()
        return site.start_platform(name, dialect, *hops, party=party, caller=caller)

    await asyncio.gather(
        *(site.start_hlr(name, caller=hq) for name in HLRS),
        site.start_dsmp(caller=hq),
        platform("gateway", "iot_gateway", Party.GATEWAY, _unless_passed_on(hq)),
        platform("class1", "class1_platform", Party.CLASS1_PLATFORM, hq),
        platform("platform", "province_platform", Party.PROVINCE_PLATFORM, province),
    )
    gateway = site.url("gateway") + "/gateway/v1"
    nation = site.url("nation") + "/nationwide/v1"
    await platform(
        "nation", "nationwide_management", Party.NATIONAL_MANAGEMENT, _by_class(hq), gateway
    )
    await platform("management", "province_management", Party.PROVINCE_MANAGEMENT, province, nation)


def _unless_passed_on(hq: str) -> Caller:
    """Who asked the gateway."""
    return lambda served: Party.NATIONAL_MANAGEMENT if METER in served.command else hq


def _by_class(hq: str) -> Caller:
    """Who asked nationwide management."""
    return lambda served: Party.PROVINCE_MANAGEMENT if METER in served.command else hq


async def _start_registry(site: Site, *options: str) -> None:
    await _start_relay(site, "pboss", "pboss_registry", Party.PBOSS, *options)


async def _start_relays(site: Site, *of_bboss: str, caller: str) -> None:
    up = ("--hop", site.url("pboss") + "/pboss/v1", "--caller", caller)
    await asyncio.gather(
        _start_relay(site, "boss1", "boss1_relay", Party.BOSS1, *up),
        _start_relay(site, "bboss", "bboss_relay", Party.BBOSS, *up, *_AGAIN, *of_bboss),
    )


async def _start_relay(site: Site, name: str, role: str, party: str, *options: str) -> None:
    kept = ("--state-file", str(site.folder / f"{name}.state"))
    await site.start(
        name,
        "loadtest.relay",
        *("--role", role, *kept, *_QUICK, *options),
        party=party,
        environment={_PASSWORD: _password(name)},
    )


def _at(account: str) -> Sequence[str]:
    return "--account", account, "--password-env", _PASSWORD


async def _start_esop(site: Site, daemon: Daemon, province: str, hlrd: str) -> None:
    name = _esop(province)
    await site.start(
        name,
        "loadtest.esop",
        *("--province", province, "--hlrd", daemon.url, "--hlrd-name", hlrd),
        *(*_at(name), "--pool", POOL),
        party=Party.ESOP.of(province),
        environment={_PASSWORD: _password(name)},
    )
    for product, product_class in ((TRACK, 1), (METER, 2)):
        offer = {"name": product, "product_class": product_class, "version": 1}
        await site.ask(name, "PUT", f"/products/{product}", offer)


def _esop(province: str) -> str:
    return f"esop{province}"


def _let_in(site: Site, daemon: Daemon, source: Source, account: str) -> None:
    """A system that will post there."""
    file = site.secret(f"{daemon.name}-{account}.password", _password(account))
    daemon.add("accounts", source=source, user=account, password_file=str(file))


def _password(account: str) -> str:
    return f"{account}-Password-1"


async def _publish(daemon: Daemon, product: str, *platforms: str) -> None:
    order = {
        "type": "PRODUCT_PUBLISH", "order_id": f"P-{product}", "province": "000",
        "operator_id": "li4", "product": product, "product_version": 1, "name": product,
        "services": [_APN], "platforms": platforms, "mode": "sync", "deadline_ms": 30_000,
    }  # fmt: skip
    closed = await daemon.post("/v1/work-orders", order)
    if closed["state"] != "succeeded":
        raise StackError(f"{daemon.name}: {product} could not be published: {closed}")


# What each system has.


async def resources(site: Site, name: str) -> set[str]:
    """That stand at a platform, a relay or the registry."""
    return {row["resource"] for row in await site.dump(name) if row["state"] != "failed"}


async def commands(site: Site, name: str, after: int = 0) -> list[Served]:
    """What a system was asked to change."""
    return [each for each in await site.log(name, after) if not each.command.startswith(_LOOKS)]


async def last(site: Site, name: str) -> int:
    """Number of the last command that it served."""
    served = await site.log(name)
    return served[-1].number if served else 0


async def users_at_hlrs(site: Site) -> list[tuple[str, str, str]]:
    """Number, IMSI and HLR of every subscriber."""
    dumps = await asyncio.gather(*(site.dump(name) for name in HLRS))
    return [
        (row["isdn"].removeprefix(COUNTRY_CODE), row["imsi"], hlr)
        for hlr, dump in zip(HLRS, dumps, strict=True)
        for row in dump
        if row["record"] == "subscriber" and row["isdn"]
    ]


async def last_at_hlrs(site: Site) -> dict[str, int]:
    numbers = await asyncio.gather(*(last(site, name) for name in HLRS))
    return dict(zip(HLRS, numbers, strict=True))


async def commands_about(site: Site, after: Mapping[str, int], *identities: str) -> list[str]:
    """What HLRs were asked about these numbers or IMSIs since `last_at_hlrs`: what an order gave
    back, another may have been given before it."""
    logs = await asyncio.gather(*(commands(site, name, after[name]) for name in HLRS))
    told = (each.command for log in logs for each in log)
    return [command for command in told if any(one and one in command for one in identities)]


async def standing_of(site: Site, province: str, code: str) -> str:
    """Of an enterprise's product, as a province's hlrd has it; a partner that is a mere emulator
    has it or not."""
    if province not in provinces(site):
        has = any(name.startswith(f"/ecs/{code}/") for name in await resources(site, "partner"))
        return "active" if has else ""
    shown = await provinces(site)[province].get(f"/v1/ecs/{code}")
    return "" if shown is None else str(shown["products"][0]["state"])


async def publications(site: Site, code: str) -> int:
    """How often the BBOSS has published a product of this enterprise to a partner."""
    told = [each.command for each in await site.log("bboss")]
    return sum(command.startswith(f"{PARTNER} /ecs/{code}/") for command in told)


async def numbers(site: Site, state: str) -> set[str]:
    """In that state, of every province and pool."""
    found = set[str]()
    for daemon in provinces(site).values():
        for pool in (await daemon.get("/v1/pools"))["pools"]:
            path = f"/v1/pools/{pool['name']}/numbers.csv?state={state}"
            found |= {row["msisdn"] for row in await rows_of(site, daemon, path)}
    return found


async def numbers_of(site: Site, province: str) -> set[str]:
    """That are not idle, with their states."""
    daemon = provinces(site)[province]
    found = set[str]()
    for state in ("inUse", "reserved", "quarantined", "locked"):
        path = f"/v1/pools/{POOL}/numbers.csv?state={state}"
        found |= {f"{row['msisdn']} {state}" for row in await rows_of(site, daemon, path)}
    return found


async def rows_of(site: Site, daemon: Daemon, path: str) -> list[dict[str, str]]:
    """A CSV file that staff may have."""
    headers = {"Authorization": f"Bearer {daemon.token(Source.OPS)}"}
    async with site.http.get(daemon.url + path, headers=headers) as response:
        response.raise_for_status()
        return list(csv.DictReader(StringIO(await response.text())))


async def count_effects(site: Site) -> None:
    """From now on."""
    for name in (*HLRS, "dsmp1"):
        await site.control(name, "PUT", "/effects", {"on": True})


async def repeated_effects(site: Site) -> list[str]:
    return [
        f"{name}: {effect['command']} {effect['subject']} x{effect['count']}"
        for name in (*HLRS, "dsmp1")
        for effect in await site.control(name, "GET", "/effects?above=1")
    ]


async def restarted(site: Site) -> None:
    """kill -9 of each hlrd in turn, in the middle of whatever goes on."""
    for daemon in {id(one): one for one in site.daemons.values()}.values():
        await daemon.restart()


_LOOKS: Final = ("GET ", "LST ", "LGI", "LGO")


async def _stock_up(site: Site) -> None:
    """Numbers and cards of each province for all flows of the family, whichever HLRs they fall on.

    Cards of one HLR are more than its share, as numbers are drawn at random.
    """
    members = _MEMBERS_MIN + _MEMBERS_PER_SIZE * site.size
    cards = members // len(HLRS) * 3 // 2
    await asyncio.gather(
        *(_lay_in(site, one, _stock(code, cards)) for code, one in provinces(site).items())
    )


async def _lay_in(site: Site, daemon: Daemon, stock: Stock, pool: str = POOL) -> None:
    """Headquarters must know where a number is at home; cards are the province's."""
    for each in {daemon.name: daemon, headquarters(site).name: headquarters(site)}.values():
        await _add_ranges(each, stock.ranges, pool)
    for lot in stock.lots:
        await _import(site, daemon, lot)


async def _import(site: Site, daemon: Daemon, lot: Lot) -> None:
    """Posted again, the same file is the same import, and its end is waited for once more."""
    path = f"/v1/sim-lots?province={lot.province}&hlr={lot.hlr}"
    bearer = {"Authorization": f"Bearer {daemon.token(Source.OPS)}"}
    headers = {**bearer, "Prefer": "wait=60", "Content-Type": "text/csv"}
    status = 202
    while status == 202:
        async with site.http.post(daemon.url + path, data=lot.csv(), headers=headers) as response:
            status, said = response.status, await response.text()
    if status != 201:
        raise StackError(f"{daemon.name}: {path}: {status} {said}")


async def _add_ranges(daemon: Daemon, ranges: Sequence[NumberRange], pool: str) -> None:
    await daemon.ask("POST", "/v1/pools", {"name": pool})  # it may be there
    for each in ranges:
        ends = {"first": each.first, "last": each.last}
        home = {"province": each.province, "hlr": each.hlr}
        await daemon.post(f"/v1/pools/{pool}/ranges", {**ends, **home})


def provinces(site: Site) -> dict[str, Daemon]:
    """The hlrd of each province."""
    named = {code: site.daemons.get(f"hlrd-{code}") for code in (LEAD, PARTNER)}
    found = {code: daemon for code, daemon in named.items() if daemon is not None}
    return found or {LEAD: site.hlrd}


def headquarters(site: Site) -> Daemon:
    """The hlrd that drives the HLRs."""
    return site.daemons.get(_HQ, site.hlrd)


async def import_pool(site: Site, size: int) -> str:
    """A new pool of the lead province, of one HLR and with so many numbers."""
    name = f"pool{site.fresh()}"
    first = site.notes["small"] = site.notes.get("small", 0) + size
    last_one = first + size - 1
    one = NumberRange(f"{_SMALL}{first:06d}", f"{_SMALL}{last_one:06d}", HLRS[0], LEAD)
    await _lay_in(site, provinces(site)[LEAD], Stock([one], []), name)
    return name


def home_of_number(msisdn: str) -> str:
    return HLRS[0] if msisdn.startswith(_SMALL) else HLRS[int(msisdn[5:7]) % 10 - 1]


def home_province(msisdn: str) -> str:
    return PARTNER if msisdn[5:7] > f"{_BLOCKS[PARTNER]}" else LEAD


def home_of_imsi(imsi: str) -> str:
    return HLRS[int(imsi[5:7]) % 10 - 1]


def _stock(province: str, cards: int) -> Stock:
    """So many cards of each HLR, and twice as many numbers."""
    ranges, lots = [], []
    for place, hlr in enumerate(HLRS, 1):
        block = f"{_BLOCKS[province] + place:02d}"
        numbers = f"10649{block}"
        last_one = f"{numbers}{2 * cards - 1:06d}"
        ranges.append(NumberRange(f"{numbers}000000", last_one, hlr, province))
        lots.append(Lot(f"{province}-{hlr}", hlr, block, 0, cards, 1, province))
    return Stock(ranges, lots)


_BLOCKS: Final = {LEAD: 0, PARTNER: 10}
_SMALL: Final = "1064999"
