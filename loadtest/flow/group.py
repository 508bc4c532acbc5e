"""What the flows of group business run on (F17 to F25): headquarters and provinces, each with an
hlrd in its role, the relays between them, the platforms, and an ESOP a province.

`one_process` is one hlrd with both roles; the relays stay, so the hops are real.
"""

import asyncio
import csv
from collections import Counter
from io import StringIO
from typing import Any, Final

from hlrd.domain.identity import COUNTRY_CODE
from hlrd.domain.orders import Source
from loadtest.flow.daemon import Daemon
from loadtest.flow.site import Site
from loadtest.message import Party
from loadtest.record import Served
from loadtest.settings import POOL
from loadtest.simlot import Lot, NumberRange, Stock

LEAD: Final = "200"
PARTNER: Final = "280"
TRACK: Final = "TRACK"  #: of class 1
METER: Final = "METER"  #: of class 2
HLRS: Final = ("hlr1", "hlr2", "hlr3", "hlr4")
SMALL_POOL: Final = "small"
SMALL_POOL_NUMBERS: Final = 3

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

_PASSWORD: Final = "ESOP_PASSWORD"
_HOPPING: Final = ("--hop-every-s", "0.05")


async def one_process(site: Site) -> None:
    daemon = site.add_hlrd()
    await _start_network(site, hq=Party.HLRD, province=Party.HLRD)
    await _start_relays(site)
    for name in HLRS:
        site.drive(daemon, name, "huawei_hlr", sessions_max=8)
    site.drive(daemon, "dsmp1", "dsmp", sessions_max=8)
    for name, dialect in (*_OF_HQ, *_OF_PROVINCE, *_RELAYS):
        site.drive(daemon, name, dialect)
    await daemon.start()
    await _start_esop(site, daemon, LEAD)
    await stock_up(site, 200)
    await _publish(daemon, TRACK, "nation", "class1")
    await _publish(daemon, METER, "platform", "management")


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


async def commands_about(site: Site, *identities: str) -> list[str]:
    """What HLRs were asked about these numbers or IMSIs."""
    logs = await asyncio.gather(*(commands(site, name) for name in HLRS))
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
            file = await _file(site, daemon, f"/v1/pools/{pool['name']}/numbers.csv?state={state}")
            found |= {row["msisdn"] for row in csv.DictReader(StringIO(file))}
    return found


async def _file(site: Site, daemon: Daemon, path: str) -> str:
    headers = {"Authorization": f"Bearer {daemon.token(Source.OPS)}"}
    async with site.http.get(daemon.url + path, headers=headers) as response:
        response.raise_for_status()
        return await response.text()


_LOOKS: Final = ("GET ", "LST ", "LGI", "LGO")

two_roles = one_process


_OF_HQ: Final = (
    ("nation", "nationwide_management"),
    ("class1", "class1_platform"),
    ("gateway", "iot_gateway"),
)
_OF_PROVINCE: Final = (("platform", "province_platform"), ("management", "province_management"))
_RELAYS: Final = (("bboss", "bboss_relay"), ("boss1", "boss1_relay"))


async def _start_network(site: Site, *, hq: str, province: str) -> None:
    """HLRs, DSMP and the five platforms; a chain from its end."""

    def platform(name: str, dialect: str, party: str, caller: Any, hop: str = "") -> Any:
        hops = ("--hop", hop) if hop else ()
        return site.start_platform(name, dialect, *hops, party=party, caller=caller)

    await asyncio.gather(
        *(site.start_hlr(name, caller=hq) for name in HLRS),
        site.start_dsmp(caller=hq),
        platform("gateway", "iot_gateway", Party.GATEWAY, hq),
        platform("class1", "class1_platform", Party.CLASS1_PLATFORM, hq),
        platform("platform", "province_platform", Party.PROVINCE_PLATFORM, province),
    )
    gateway = site.url("gateway") + "/gateway/v1"
    await platform("nation", "nationwide_management", Party.NATIONAL_MANAGEMENT, hq, gateway)
    nation = site.url("nation") + "/nationwide/v1"
    await platform("management", "province_management", Party.PROVINCE_MANAGEMENT, province, nation)


async def _start_relays(site: Site) -> None:
    async def relay(name: str, role: str, party: str, *options: str) -> None:
        kept = ("--state-file", str(site.folder / f"{name}.state"))
        await site.start(
            name, "loadtest.relay", "--role", role, *kept, *options, party=party, caller=Party.HLRD
        )

    await asyncio.gather(
        relay("pboss", "pboss_registry", Party.PBOSS),
        relay("partner", "partner_province", Party.ESOP.of(PARTNER)),
    )
    hop = ("--hop", site.url("pboss") + "/pboss/v1", *_HOPPING)
    partner = f"{PARTNER}={site.url('partner')}/province/v1"
    await asyncio.gather(
        relay("boss1", "boss1_relay", Party.BOSS1, *hop),
        relay("bboss", "bboss_relay", Party.BBOSS, *hop, "--partner", partner),
    )


async def _start_esop(site: Site, daemon: Daemon, province: str, hlrd: str = Party.HLRD) -> None:
    name = f"esop{province}"
    await site.start(
        name,
        "loadtest.esop",
        *("--province", province, "--hlrd", daemon.url, "--hlrd-name", hlrd),
        *("--account", name, "--password-env", _PASSWORD, "--pool", POOL),
        party=Party.ESOP.of(province),
        environment={_PASSWORD: daemon.token(Source.ESOP)},
    )
    for product, product_class in ((TRACK, 1), (METER, 2)):
        offer = {"name": product, "product_class": product_class, "version": 1}
        await site.ask(name, "PUT", f"/products/{product}", offer)


async def _publish(daemon: Daemon, product: str, *platforms: str) -> None:
    order = {
        "type": "PRODUCT_PUBLISH", "order_id": f"P-{product}", "province": "000",
        "operator_id": "li4", "product": product, "product_version": 1, "name": product,
        "services": [_APN], "platforms": list(platforms), "mode": "sync", "deadline_ms": 30_000,
    }  # fmt: skip
    closed = await daemon.post("/v1/work-orders", order)
    assert closed["state"] == "succeeded", closed


async def stock_up(site: Site, members: int) -> None:
    """Numbers and cards for so many more members of each province, whichever HLRs they fall on."""
    cards = members // len(HLRS) * 3 // 2 + _SPARE_CARDS
    for province, daemon in provinces(site).items():
        first = site.notes.setdefault("cards", Counter())[province]
        site.notes["cards"][province] += cards
        await site.import_stock(daemon, _stock(province, first, cards))


def provinces(site: Site) -> dict[str, Daemon]:
    """The hlrd of each province."""
    named = {code: site.daemons.get(f"hlrd-{code}") for code in (LEAD, PARTNER)}
    found = {code: daemon for code, daemon in named.items() if daemon is not None}
    return found or {LEAD: site.hlrd}


def headquarters(site: Site) -> Daemon:
    """The hlrd that drives the HLRs."""
    return site.daemons.get("hlrd-hq", site.hlrd)


def _stock(province: str, first: int, cards: int) -> Stock:
    """The next so many cards of each HLR, and twice as many numbers."""
    ranges, lots = [], []
    for place, hlr in enumerate(HLRS, 1):
        block = f"{_BLOCKS[province] + place:02d}"
        numbers = f"10649{block}"
        low, high = 2 * first, 2 * (first + cards) - 1
        ranges.append(NumberRange(f"{numbers}{low:06d}", f"{numbers}{high:06d}", hlr, province))
        lots.append(Lot(f"{province}-{hlr}-{first}", hlr, block, first, cards, 1, province))
    return Stock(ranges, lots)


_BLOCKS: Final = {LEAD: 0, PARTNER: 10}
_SPARE_CARDS: Final = 30
