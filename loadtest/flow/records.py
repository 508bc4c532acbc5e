"""What hlrd has of the orders, and what it answers one that comes past CRM and BOSS."""

from collections.abc import Iterable, Sequence
from typing import Any

import asyncpg

from hlrd.domain.orders import Source
from loadtest.flow.site import Site
from loadtest.flow.telecom import OPERATOR, Line


async def posted(
    site: Site, kind: str, source: Source, line: Line | None = None, **fields: Any
) -> tuple[int, Any]:
    """An order past CRM and BOSS, as a stranger would post it; its answer, waited for."""
    about = {"user_id": line.user_id, "msisdn": line.msisdn} if line is not None else {}
    province = line.province if line is not None else "000"
    header = {"order_id": f"X-{site.fresh()}", "operator_id": OPERATOR, "province": province}
    return await site.hlrd.ask(
        "POST",
        "/v1/work-orders",
        {"type": kind, **header, **about, **fields},
        source=source,
        headers={"Prefer": "wait=30"},
    )


def code_of(answer: Any) -> str:
    """What came of a posted order: a refusal's code, or the result of its receipt."""
    receipt = answer.get("receipt", {})
    return str(answer.get("code") or receipt.get("code") or receipt.get("result", "open"))


async def journal(site: Site, sql: str, *values: object) -> list[Any]:
    """hlrd's own tables, as they are."""
    connection = await asyncpg.connect(await site.hlrd.dsn())
    try:
        return list(await connection.fetch(sql, *values))
    finally:
        await connection.close()


async def orders_taken(site: Site) -> int:
    """Rows of hlrd's order table."""
    (row,) = await journal(site, "SELECT count(*) FROM work_order")
    return int(row[0])


async def are_taken(site: Site, lines: Sequence[Line]) -> bool:
    """Whether hlrd has an order of each."""
    sql = "SELECT count(DISTINCT user_id) FROM work_order WHERE user_id = ANY($1)"
    (row,) = await journal(site, sql, [line.user_id for line in lines])
    return int(row[0]) == len(lines)


async def orders_of(site: Site, line: Line, kind: str) -> list[dict[str, Any]]:
    """hlrd's orders of a user of one kind, oldest first, as it shows each."""
    sql = "SELECT id FROM work_order WHERE user_id = $1 AND kind = $2 ORDER BY id"
    rows = await journal(site, sql, line.user_id, kind)
    return [await site.hlrd.get(f"/v1/work-orders/{row['id']}") for row in rows]


async def results_of(site: Site, lines: Sequence[Line], kind: str = "%") -> list[str]:
    """Of the final receipts of the orders of these users at hlrd; of one kind, or of all."""
    sql = """
        SELECT receipt.state FROM work_order JOIN receipt ON receipt.order_id = work_order.id
        WHERE work_order.user_id = ANY($1) AND work_order.kind LIKE $2 AND receipt.is_final
    """
    rows = await journal(site, sql, [line.user_id for line in lines], kind)
    return [row["state"] for row in rows]


async def receipts_of(site: Site, source: Source, order_ids: Iterable[str]) -> list[str]:
    """Order ids of all the final receipts that hlrd has for these orders of a source."""
    wanted, found, cursor = set(order_ids), list[str](), "0"
    while True:
        path = f"/v1/receipts?after={cursor}&limit=1000"
        page = await site.hlrd.get(path, source=source)
        if not page["receipts"]:
            return found
        final = [each for each in page["receipts"] if each["result"] != "fallout"]
        found += [each["order_id"] for each in final if each["order_id"] in wanted]
        cursor = page["cursor"]


async def fallouts(site: Site, line: Line) -> list[dict[str, Any]]:
    """Orders of a user that wait for a person."""
    found = await site.hlrd.get("/v1/fallout")
    return [row for row in found["orders"] if row["user_id"] == line.user_id]
