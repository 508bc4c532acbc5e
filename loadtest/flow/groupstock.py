"""The numbers and cards of group business: laid in before its flows, and whose they are."""

import asyncio
from collections.abc import Sequence
from typing import Final

from hlrd.domain.orders import Source
from loadtest.flow.daemon import Daemon
from loadtest.flow.provinces import HLRS, LEAD, PARTNER, headquarters, provinces
from loadtest.flow.site import Site
from loadtest.process import StackError
from loadtest.settings import POOL
from loadtest.simlot import Lot, NumberRange, Stock

_MEMBERS_MIN: Final = 200
_MEMBERS_PER_SIZE: Final = 8
"""Members that the flows open for each of their size, all flows of the family together."""

_BLOCKS: Final = {LEAD: 0, PARTNER: 10}
_SMALL: Final = "1064999"


async def stock_up(site: Site) -> None:
    """Numbers and cards of each province for all flows of the family, whichever HLRs they fall on.

    Cards of one HLR are more than its share, as numbers are drawn at random.
    """
    members = _MEMBERS_MIN + _MEMBERS_PER_SIZE * site.size
    cards = members // len(HLRS) * 3 // 2
    await asyncio.gather(
        *(_lay_in(site, one, _stock(code, cards)) for code, one in provinces(site).items())
    )


async def import_pool(site: Site, size: int) -> str:
    """A new pool of the lead province, of one HLR and with so many numbers."""
    name = f"pool{site.fresh()}"
    first = site.notes["small"] = site.notes.get("small", 0) + size
    last_one = first + size - 1
    one = NumberRange(f"{_SMALL}{first:06d}", f"{_SMALL}{last_one:06d}", HLRS[0], LEAD)
    await _lay_in(site, provinces(site)[LEAD], Stock([one], []), name)
    return name


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


def home_of_number(msisdn: str) -> str:
    return HLRS[0] if msisdn.startswith(_SMALL) else HLRS[int(msisdn[5:7]) % 10 - 1]


def home_province(msisdn: str) -> str:
    return PARTNER if msisdn[5:7] > f"{_BLOCKS[PARTNER]}" else LEAD


def home_of_imsi(imsi: str) -> str:
    return HLRS[int(imsi[5:7]) % 10 - 1]
