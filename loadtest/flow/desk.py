"""What people ask CRM and BOSS for in the flows, and what those two know of it."""

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

import msgspec

from loadtest.business.message import Message
from loadtest.business.northbound import ORDER, TAKEN
from loadtest.flow.site import Site
from loadtest.flow.telecom import BY_BOSS, OPERATOR, Line, new_line
from loadtest.process import StackError

PROVISIONING: Final = "开通类"
CLOSED: Final = "closed"
SUCCEEDED: Final = "succeeded"
_SUB_ORDER: Final = re.compile(r"\S+-[BC]P\b")


async def asked(site: Site, system: str, method: str, path: str, body: Any = None) -> Any:
    """The answer's JSON. Raises StackError if the system declines."""
    status, content = await site.ask(system, method, path, body)
    if status >= 400:
        raise StackError(f"{system}: {method} {path}: {status} {content}")
    return content


async def new_account(site: Site) -> str:
    """Of a new customer, opened at the desk of CRM."""
    body = {"operator_id": OPERATOR, "name": "示例客户"}
    customer = await asked(site, "crm", "POST", "/customers", body)
    return str(customer["account_id"])


def opening(line: Line, **more: Any) -> dict[str, Any]:
    """用户开户请求."""
    return {
        "operator_id": OPERATOR,
        "province": line.province,
        "account_id": line.account_id,
        "user_id": line.user_id,
        "msisdn": line.msisdn,
        "imsi": line.imsi,
        "iccid": line.iccid,
        "services": ["GPRS", "SMS"],
        **more,
    }


async def opened(site: Site, count: int, province: str = BY_BOSS) -> list[Line]:
    """That many active users of one account, through CRM, BOSS and hlrd."""
    account = await new_account(site)
    return await opened_as(site, [new_line(site, province, account) for _ in range(count)])


async def opened_as(site: Site, lines: list[Line]) -> list[Line]:
    """Themselves, active."""
    made = await asked(site, "crm", "POST", "/users", [opening(line) for line in lines])
    orders = await all_closed(site, "crm", [order["order_id"] for order in made])
    wrong = [order for order in orders if order["result"] != SUCCEEDED]
    if wrong:
        raise StackError(f"{len(wrong)} of {len(lines)} users could not be opened: {wrong[0]}")
    return lines


async def order_of(site: Site, system: str, order_id: str) -> dict[str, Any]:
    order: dict[str, Any] = await asked(site, system, "GET", f"/orders/{order_id}")
    return order


def sub_order_of(order: Mapping[str, Any], kind: str = PROVISIONING) -> dict[str, Any]:
    """Of an order of CRM or BOSS."""
    (found,) = (sub for sub in order["sub_orders"] if sub["kind"] == kind)
    return dict(found)


async def closed(site: Site, system: str, order_id: str) -> dict[str, Any]:
    """订单关闭: the order of CRM or BOSS, once it is."""

    async def look() -> dict[str, Any] | None:
        order = await order_of(site, system, order_id)
        return order if order["state"] == CLOSED else None

    found: dict[str, Any] = await site.until(look, f"{system} closes order {order_id}")
    return found


async def all_closed(site: Site, system: str, order_ids: Iterable[str]) -> list[dict[str, Any]]:
    """By their dump, as one by one takes long."""
    wanted = set(order_ids)

    async def look() -> list[dict[str, Any]]:
        rows = [row for row in await rows_of(site, system, "orders") if row["order_id"] in wanted]
        return rows if all(row["state"] == CLOSED for row in rows) else []

    if not wanted:
        return []
    found: list[dict[str, Any]] = await site.until(look, f"{system} closes {len(wanted)} orders")
    return found


async def states_settled(site: Site, lines: Sequence[Line]) -> None:
    """Until no order of CRM or BOSS about these users is open."""
    users = {line.user_id for line in lines}

    async def look() -> bool:
        for system in ("crm", "boss"):
            rows = await rows_of(site, system, "orders")
            if any(row["user_id"] in users and row["state"] != CLOSED for row in rows):
                return False
        return True

    await site.until(look, f"CRM and BOSS close every order of {len(lines)} users")


async def rows_of(site: Site, system: str, table: str) -> list[dict[str, Any]]:
    return [line["row"] for line in await site.dump(system) if line["table"] == table]


async def user_of(site: Site, system: str, line: Line) -> dict[str, Any]:
    user: dict[str, Any] = await asked(site, system, "GET", f"/users/{line.user_id}")
    return user


async def heard(site: Site, system: str, after: int = 0) -> list[tuple[int, Message]]:
    """What CRM or BOSS noted past a number, each with its own."""
    rows = await site.control(system, "GET", f"/messages?after={after}")
    return msgspec.convert(rows, list[tuple[int, Message]])


async def taken_s(site: Site, system: str, after: int) -> list[float]:
    """How long hlrd took to take each order of a system, or each lot of orders."""
    asked_at: dict[str, float] = {}
    took: list[float] = []
    for _, message in await heard(site, system, after):
        order_id = next(iter(_SUB_ORDER.findall(message.detail)), "")
        if message.name == ORDER:
            asked_at[order_id] = message.at
        elif message.name == TAKEN and order_id in asked_at:
            took.append(message.at - asked_at[order_id])
    return took
