"""F05: customer opening (客户开户), of which hlrd hears nothing."""

import asyncio
from collections.abc import Sequence
from typing import Any, Final

from loadtest.flow.flow import Acts, Figure, Run, check, equal, none
from loadtest.flow.site import Site
from loadtest.flow.telecom import ELEMENTS, OPERATOR, asked, counted, orders_taken, telecom

AT_ONCE: Final = 20
SESSIONS: Final = frozenset({"LGI", "LGO"})
"""What an element hears while nobody orders anything."""


async def story(run: Run) -> None:
    await _open(run.site)


async def _open(site: Site) -> dict[str, Any]:
    body = {"operator_id": OPERATOR, "name": "示例客户"}
    customer: dict[str, Any] = await asked(site, "crm", "POST", "/customers", body)
    return customer


async def _heard(site: Site) -> dict[str, int]:
    """Orders at hlrd, and commands at each element, so far."""
    heard = {"hlrd": await orders_taken(site)}
    for name in ELEMENTS:
        commands = await counted(site, name)
        heard[name] = sum(n for verb, n in commands.items() if verb not in SESSIONS)
    return heard


@check("CRM and BOSS open {size} customers; hlrd takes no order and no element a command")
async def nothing_is_heard(run: Run) -> Sequence[Figure]:
    before = await _heard(run.site)
    customers = []
    for first in range(0, run.size, AT_ONCE):
        some = range(first, min(first + AT_ONCE, run.size))
        customers += await asyncio.gather(*(_open(run.site) for _ in some))
    after = await _heard(run.site)
    return [
        equal("customers opened", len(customers), run.size),
        none("customers that BOSS has otherwise", await _strangers(run.site, customers)),
        *(equal(f"more than before at {name}", after[name] - before[name], 0) for name in before),
    ]


async def _strangers(site: Site, customers: Sequence[dict[str, Any]]) -> list[str]:
    """Customers, of the last few, whom BOSS does not know with the account that CRM gave them."""
    wrong = []
    for customer in customers[-AT_ONCE:]:
        status, _ = await site.ask("boss", "GET", f"/customers/{customer['customer_id']}")
        account, _ = await site.ask("boss", "GET", f"/accounts/{customer['account_id']}")
        wrong += [] if (status, account) == (200, 200) else [customer["customer_id"]]
    return wrong


@check("a customer that is known already is declined, and hlrd hears nothing of that either")
async def a_known_one_is_declined(run: Run) -> Sequence[Figure]:
    known = await _open(run.site)
    before = await _heard(run.site)
    body = {"operator_id": OPERATOR, "name": "重复", "customer_id": known["customer_id"]}
    status, declined = await run.site.ask("crm", "POST", "/customers", body)
    return [
        equal("answer of CRM", (status, declined.get("code")), (409, "CUSTOMER_EXISTS")),
        equal("heard by hlrd and the network", await _heard(run.site), before),
    ]


F05: Final = Acts(
    layout=telecom,
    story=story,
    checks=(nothing_is_heard,),
    faults=(a_known_one_is_declined,),
    size=1_000,
    small=40,
)
