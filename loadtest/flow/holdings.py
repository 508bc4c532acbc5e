"""What each system of group business has, and what it was told, as checks look at it."""

import asyncio
import csv
from collections.abc import Mapping
from io import StringIO
from typing import Final

from hlrd.domain.identity import COUNTRY_CODE
from hlrd.domain.orders import Source
from loadtest.flow.daemon import Daemon
from loadtest.flow.provinces import HLRS, PARTNER, provinces
from loadtest.flow.site import Site
from loadtest.record import Served
from loadtest.settings import POOL

_LOOKS: Final = ("GET ", "LST ", "LGI", "LGO")


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
