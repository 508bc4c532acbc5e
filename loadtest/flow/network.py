"""What the network has, and was told: the HLR and the DSMP as checks look at them."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from hlrd.domain.identity import COUNTRY_CODE
from loadtest.flow.site import Site
from loadtest.flow.telecom import DSMP, HLR, Line
from loadtest.record import Served

READS: Final = ("LST ", "LGI", "LGO")
LOCK: Final = "MOD LCK"
LOCKS: Final = ("IC", "OC", "GPRSLOCK", "EPSLOCK")
LEVELS: Final[Mapping[str, int]] = {
    "IC=FALSE,OC=FALSE,GPRSLOCK=FALSE,EPSLOCK=FALSE": 0,
    "IC=FALSE,OC=TRUE,GPRSLOCK=FALSE,EPSLOCK=FALSE": 1,
    "IC=TRUE,OC=TRUE,GPRSLOCK=TRUE,EPSLOCK=TRUE": 2,
}
BARRINGS: Final = ("unbar", "bar1", "bar2")


async def subscribers(site: Site) -> dict[str, dict[str, Any]]:
    """The HLR's records by MSISDN, each with what is switched on for it."""
    rows = await site.dump(HLR)
    switched = {row["imsi"]: row for row in rows if row["record"] == "services"}
    return {
        row["isdn"].removeprefix(COUNTRY_CODE): {**switched.get(row["imsi"], {}), **row}
        for row in rows
        if row["record"] == "subscriber" and row["isdn"]
    }


def level_of(row: Mapping[str, Any]) -> int:
    """By the locks of a record at the HLR."""
    return LEVELS[",".join(f"{name}={str(row[name.lower()]).upper()}" for name in LOCKS)]


async def not_at_level(site: Site, lines: Sequence[Line], level: int) -> list[str]:
    """MSISDNs that the HLR has otherwise, or not at all."""
    found = await subscribers(site)
    return [
        line.msisdn
        for line in lines
        if line.msisdn not in found or level_of(found[line.msisdn]) != level
    ]


async def relations(site: Site, line: Line) -> dict[str, str]:
    """State at the DSMP by service."""
    rows = [row for row in await site.dump(DSMP) if row["msisdn"] == line.msisdn]
    return {row["sp_service_id"]: row["state"] for row in rows}


async def logged(site: Site, name: str = HLR) -> int:
    """Number of the last command that an element served."""
    served = await site.log(name)
    return served[-1].number if served else 0


async def changes(site: Site, after: int, line: Line | None = None) -> list[Served]:
    """What the HLR was told past a number of its log, of one user or of all, but for questions."""
    return [
        served
        for served in await site.log(HLR, after)
        if not served.command.startswith(READS) and (line is None or line.imsi in served.command)
    ]


async def barrings(site: Site, after: int, line: Line | None = None) -> list[str]:
    """Of those, what barred and unbarred: bar1, bar2, unbar."""
    told = await changes(site, after, line)
    return [_barring(served.command) for served in told if served.command.startswith(LOCK)]


def _barring(command: str) -> str:
    (found,) = (BARRINGS[level] for locks, level in LEVELS.items() if locks in command)
    return found


async def counted(site: Site, name: str = HLR) -> dict[str, int]:
    """Commands that an element served since it started, by verb; not bounded as its log is."""
    stats = await site.control(name, "GET", "/stats")
    return dict(stats["commands"])


async def counted_since(site: Site, before: Mapping[str, int], verb: str) -> int:
    return (await counted(site)).get(verb, 0) - before.get(verb, 0)
