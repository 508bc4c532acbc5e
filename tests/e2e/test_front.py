"""CRM and BOSS over a whole system, while hlrd is killed: they and the HLR are of one mind in the
end, under each scheme of the state master."""

from collections.abc import AsyncIterator
from typing import Any, Final

import pytest
import pytest_asyncio

from loadtest.flow.desk import (
    asked,
    closed,
    new_account,
    opened_as,
    opening,
    states_settled,
    user_of,
)
from loadtest.flow.network import not_at_level
from loadtest.flow.site import Site, standing
from loadtest.flow.telecom import MASTERS, Line, new_line, telecom

pytestmark = [
    pytest.mark.e2e,
    pytest.mark.timeout(240),
    pytest.mark.asyncio(loop_scope="module"),
]

USERS: Final = 20
OPERATOR: Final = {"operator_id": "zhang3"}
PRODUCT: Final = {
    **OPERATOR,
    "product": "TRACK",
    "product_version": 1,
    "name": "车辆定位",
    "services": [
        {
            "name": "TRACK",
            "kind": "content",
            "relation": {"sp_id": "900002", "sp_service_id": "TRACK01"},
        }
    ],
}


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def site() -> AsyncIterator[Site]:
    async with standing(telecom, size=USERS) as found:
        yield found


async def lines_of(site: Site, province: str) -> list[Line]:
    account = await new_account(site)
    return [new_line(site, province, account) for _ in range(USERS)]


async def arrears(site: Site, lines: list[Line]) -> None:
    accounts = sorted({line.account_id for line in lines})
    bills = [{"account_id": account, "amount": 100} for account in accounts]
    await asked(site, "boss", "POST", "/bills", bills)
    body = {"accounts": accounts, "bill_month": "202511"}
    run = await asked(site, "boss", "POST", "/credit-control", body)
    assert run["users"] == len(lines)


async def pay(site: Site, account_id: str) -> Any:
    body = {**OPERATOR, "account_id": account_id, "amount": 100}
    return await asked(site, "crm", "POST", "/payments", body)


async def states(site: Site, lines: list[Line]) -> list[Any]:
    """What CRM and BOSS hold of each user; they must not differ."""
    found = []
    for line in lines:
        crm, boss = await user_of(site, "crm", line), await user_of(site, "boss", line)
        for name in ("reasons", "state_version", "cause"):
            assert crm[name] == boss[name], (line, name)
        found.append(crm["reasons"])
    return found


async def test_users_are_opened_stopped_and_resumed_whatever_becomes_of_hlrd(site: Site) -> None:
    lines = [line for province in MASTERS for line in await lines_of(site, province)]
    for system in ("crm", "boss"):
        await site.control(system, "PUT", "/backup", {"sends": "both"})

    bodies = [opening(line) for line in lines]
    orders = await asked(site, "crm", "POST", "/users", bodies)
    await site.hlrd.restart()
    for order in orders:
        assert (await closed(site, "crm", order["order_id"]))["result"] == "succeeded"
    assert await not_at_level(site, lines, 0) == []

    await arrears(site, lines)
    await states_settled(site, lines)
    assert await not_at_level(site, lines, 2) == []
    assert await states(site, lines) == [{"ARREARS": 2}] * len(lines)

    site.hlrd.process.kill()
    for account_id in sorted({line.account_id for line in lines}):
        assert (await pay(site, account_id))["account_state"] == "normal"
    await site.hlrd.start()
    await states_settled(site, lines)
    assert await not_at_level(site, lines, 0) == []
    assert await states(site, lines) == [{}] * len(lines)


async def test_who_stops_in_arrears_and_pays_stays_stopped_as_he_wished(site: Site) -> None:
    for province in MASTERS:
        line = new_line(site, province, await new_account(site))
        await opened_as(site, [line])
        await arrears(site, [line])
        await states_settled(site, [line])
        path = f"/users/{line.user_id}"
        stop = {**OPERATOR, "cause": "出差", "mode": "sync"}
        assert (await asked(site, "crm", "POST", f"{path}/stop", stop))["result"] == "succeeded"

        await pay(site, line.account_id)
        await states_settled(site, [line])
        assert await states(site, [line]) == [{"VOLUNTARY": 2}]
        assert await not_at_level(site, [line], 2) == []

        await asked(site, "crm", "POST", f"{path}/resume", {**OPERATOR, "mode": "sync"})
        assert await states(site, [line]) == [{}]
        assert await not_at_level(site, [line], 0) == []


async def test_a_product_is_ordered_when_its_tariffs_are_known_and_not_before(site: Site) -> None:
    line = new_line(site, "200", await new_account(site))
    await opened_as(site, [line])
    path, wish = f"/users/{line.user_id}/products", {**OPERATOR, "product": "TRACK", "mode": "sync"}

    assert (await asked(site, "crm", "POST", "/products", PRODUCT))["state"] == "created"
    refused = await asked(site, "crm", "POST", path, wish)
    assert (refused["result"], refused["code"]) == ("reversed", "PRODUCT_UNKNOWN")
    assert (await user_of(site, "boss", line))["products"] == []

    tariffs = {**OPERATOR, "rating": "1分/KB", "billing": "月租5元"}
    await asked(site, "boss", "POST", "/products/TRACK/tariffs", tariffs)
    await site.until(lambda: is_active(site), "the product is published")
    assert (await asked(site, "crm", "POST", path, wish))["result"] == "succeeded"
    assert (await user_of(site, "crm", line))["products"] == {"TRACK": 1}
    assert (await user_of(site, "boss", line))["products"] == ["TRACK"]


async def is_active(site: Site) -> bool:
    found = await asked(site, "crm", "GET", "/products/TRACK")
    return bool(found["state"] == "active")
