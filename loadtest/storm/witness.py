"""Asks the database by plain SQL, the elements by their dumps, and the files in which the HLRs keep
what they did, whatever killed them.
"""

import asyncio
import json
from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any, Final

import asyncpg

from hlrd.domain.identity import COUNTRY_CODE
from loadtest.evidence import stock_by_state
from loadtest.proof import Bound
from loadtest.simlot import Stock
from loadtest.stack import Stack
from loadtest.storm import mml
from loadtest.storm.checker import Line, Network, Tables
from loadtest.storm.orders import CONTEXT

_BASE: Final = "IOTBASE"
_ORDERS: Final = "SELECT id, order_id FROM work_order"
_FINALS: Final = "SELECT order_id, count(*) FROM receipt WHERE is_final GROUP BY order_id"
_BINDINGS: Final = """
    SELECT user_id, msisdn::text, lpad(imsi::text, 15, '0') AS imsi, iccid, hlr FROM binding
"""
_REASONS: Final = "SELECT user_id, reasons FROM user_state"


async def tables(stack: Stack, stock: Stock, *, setup: Sequence[str], since: datetime) -> Tables:
    """`setup`: orders of no user, which are not looked for; `since`: when all was over."""
    connection = await asyncpg.connect(await stack.dsn())
    try:
        orders = await connection.fetch(_ORDERS)
        finals = await connection.fetch(_FINALS)
        bindings = await connection.fetch(_BINDINGS)
        reasons = await connection.fetch(_REASONS)
    finally:
        await connection.close()
    numbers, cards = await stock_by_state(stack, since=since)
    return Tables(
        orders={
            row["order_id"]: row["id"]
            for row in orders
            if not _is_child(row["order_id"]) and row["order_id"] not in setup
        },
        finals={row["order_id"]: row["count"] for row in finals},
        bindings=[
            (row["user_id"], Bound(row["msisdn"], row["imsi"], row["iccid"], row["hlr"]))
            for row in bindings
        ],
        reasons={row["user_id"]: _levels(row["reasons"]) for row in reasons},
        children=sum(_is_child(row["order_id"]) for row in orders),
        numbers=numbers,
        numbers_imported=stock.numbers,
        cards=cards,
        cards_imported=stock.cards,
    )


async def network(stack: Stack) -> Network:
    lines: list[Line] = []
    keys: list[str] = []
    effects = mml.Effects()
    for name in stack.shape.hlr_names:
        rows = await stack.control(name, "GET", "/dump")
        keys += [row["imsi"] for row in rows if row["record"] == "key"]
        lines += _lines(name, rows)
        await asyncio.to_thread(effects.take, history(stack.folder / f"{name}.state"))
    return Network(
        lines=lines,
        keys=keys,
        relations=await _relations(stack),
        once=effects.once,
        levels=effects.levels,
        contexts=effects.contexts,
    )


def history(path: Path) -> list[str]:
    """Every command that took effect at an HLR. Some hold the keys of invented cards."""
    return path.read_text("latin-1").splitlines()


async def hlr_faults(stack: Stack) -> dict[str, int]:
    """What the HLRs did wrong, by their own count since each was started."""
    faults: Counter[str] = Counter()
    for name in stack.shape.hlr_names:
        faults.update((await stack.control(name, "GET", "/stats"))["faults"])
    return dict(sorted(faults.items()))


def _lines(hlr: str, rows: Sequence[Mapping[str, Any]]) -> list[Line]:
    contexts = {row["imsi"]: row.get("gprs", {}) for row in rows if row["record"] == "services"}
    return [
        Line(
            hlr,
            row["imsi"],
            _national(row["isdn"]),
            _level(row),
            CONTEXT in contexts.get(row["imsi"], {}),
        )
        for row in rows
        if row["record"] == "subscriber"
    ]


def _level(row: Mapping[str, Any]) -> int:
    flags = (row["ic"], row["oc"], row["gprslock"], row["epslock"])
    return mml.level(str(flag).upper() for flag in flags)


async def _relations(stack: Stack) -> dict[str, str]:
    return {
        _national(row["msisdn"]): row["state"]
        for row in await stack.control("dsmp1", "GET", "/dump")
        if row["sp_service_id"] == _BASE and row["state"] != "closed"
    }


def _levels(reasons: str) -> dict[str, int]:
    return {str(reason): int(level) for reason, level in json.loads(reasons).items()}


def _is_child(order_id: str) -> bool:
    return order_id.startswith("B")


def _national(number: str) -> str:
    return number.removeprefix(COUNTRY_CODE)
