"""Asks every part of a stack what it knows: upstream's book, the journal by SQL, HLRs and DSMP by
their dumps, pool and stock by the API.
"""

import asyncio
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Final

import asyncpg

from hlrd.domain.identity import COUNTRY_CODE
from hlrd.domain.orders import Source
from loadtest.proof import Bound, Evidence
from loadtest.simlot import Stock
from loadtest.stack import Stack
from loadtest.stocking import Staff
from loadtest.workload import Book

_LOOK_S: Final = 0.2

_BINDINGS = """
    SELECT msisdn::text, lpad(imsi::text, 15, '0') AS imsi, iccid, hlr FROM binding
"""


async def gather(stack: Stack, stock: Stock, book: Book) -> Evidence:
    bindings = await _bindings(stack)
    subscribers, keys = await _hlrs(stack)
    numbers, cards = await stock_by_state(stack)
    return Evidence(
        posted=list(book.posted),
        accepted=book.accepted,
        receipts=book.receipts,
        bindings=bindings,
        subscribers=subscribers,
        keys=keys,
        relations=await _relations(stack),
        effects_repeated=await _effects_repeated(stack),
        number_home=_number_homes(stock, bindings),
        card_home=stock.homes_of_cards(),
        numbers=numbers,
        numbers_imported=stock.numbers,
        cards=cards,
        cards_imported=stock.cards,
    )


async def stock_by_state(
    stack: Stack, *, since: datetime | None = None
) -> tuple[dict[str, int], dict[str, int]]:
    """Numbers of the only pool, and cards of all lots, as counted after `since`, which is now
    unless it is given: a count that is dear is made only now and then, and when hlrd starts."""
    staff = Staff(stack.http, stack.url, stack.token(Source.OPS))
    asked_at = since or datetime.now(UTC)
    [pool] = await _counted(staff, "/v1/pools", "pools", asked_at)
    lots = await _counted(staff, "/v1/sim-lots", "lots", asked_at)
    return pool["numbers"], _sum(lot["cards"] for lot in lots)


async def _counted(staff: Staff, path: str, key: str, asked_at: datetime) -> Any:
    """The rows of what is counted by state."""
    while True:
        rows = (await staff.get(path))[key]
        if all(datetime.fromisoformat(row["counted_at"]) >= asked_at for row in rows):
            return rows
        await asyncio.sleep(_LOOK_S)


async def _bindings(stack: Stack) -> list[Bound]:
    connection = await asyncpg.connect(await stack.dsn())
    try:
        rows = await connection.fetch(_BINDINGS)
    finally:
        await connection.close()
    return [Bound(row["msisdn"], row["imsi"], row["iccid"], row["hlr"]) for row in rows]


async def _hlrs(stack: Stack) -> tuple[list[Bound], list[str]]:
    """Subscribers, and the IMSIs that have a card key."""
    subscribers: list[Bound] = []
    keys: list[str] = []
    for name, real in stack.real_hlrs.items():
        for row in await asyncio.to_thread(real.subscribers):
            subscribers.append(Bound(_national(row.msisdn or ""), row.imsi, hlr=name))
            keys += [row.imsi] if row.has_key else []
    for name in stack.shape.hlr_names if not stack.real_hlrs else ():
        for row in await stack.control(name, "GET", "/dump"):
            if row["record"] == "subscriber":
                subscribers.append(Bound(_national(row["isdn"]), row["imsi"], hlr=name))
            elif row["record"] == "key":
                keys.append(row["imsi"])
    return subscribers, keys


async def _relations(stack: Stack) -> list[str]:
    return [
        _national(row["msisdn"])
        for row in await stack.control("dsmp1", "GET", "/dump")
        if row["state"] == "active"
    ]


async def _effects_repeated(stack: Stack) -> list[str]:
    """What an NE did more than once; needs `Stack.count_effects` before the run."""
    return [
        f"{name}: {effect['command']} {effect['subject']} x{effect['count']}"
        for name in stack.control_ports
        for effect in await stack.control(name, "GET", "/effects?above=1")
    ]


def _national(number: str) -> str:
    return number.removeprefix(COUNTRY_CODE)


def _number_homes(stock: Stock, bindings: Sequence[Bound]) -> dict[str, str]:
    homes = ((bound.msisdn, stock.home_of_number(bound.msisdn)) for bound in bindings)
    return {msisdn: home for msisdn, home in homes if home is not None}


def _sum(counts: Iterable[Mapping[str, Any]]) -> dict[str, int]:
    total: Counter[str] = Counter()
    for each in counts:
        total.update(each)
    return dict(total)
