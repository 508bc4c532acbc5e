"""F05: customer opening (客户开户), of which hlrd hears nothing."""

import asyncio
from collections.abc import Sequence
from typing import Any, Final

from loadtest.flow.desk import asked
from loadtest.flow.flow import Acts, Figure, Run, check, equal, none
from loadtest.flow.network import counted
from loadtest.flow.records import orders_taken
from loadtest.flow.site import Site
from loadtest.flow.telecom import ELEMENTS, OPERATOR, telecom

AT_ONCE: Final = 20
FEW: Final = 5
_FIRST_ID: Final = 70_000_000
"""Of customers that are not named by CRM."""

SESSIONS: Final = frozenset({"LGI", "LGO"})
"""What an element hears while nobody orders anything."""


async def story(run: Run) -> None:
    await _open(run.site)


async def _open(site: Site, **more: str) -> dict[str, Any]:
    customer: dict[str, Any] = await asked(site, "crm", "POST", "/customers", _asking(**more))
    return customer


def _asking(**more: str) -> dict[str, str]:
    return {"operator_id": OPERATOR, "name": "示例客户", **more}


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


@check(
    "BOSS is away: CRM declines every customer and keeps none; it is back: the same are opened, and"
    " hlrd and the network hear nothing throughout"
)
async def declined_while_boss_is_away(run: Run) -> Sequence[Figure]:
    site, before = run.site, await _heard(run.site)
    ids = [str(_FIRST_ID + site.fresh()) for _ in range(FEW)]
    async with site.cut_off("boss"):
        answers = [
            await site.ask("crm", "POST", "/customers", _asking(customer_id=id)) for id in ids
        ]
    codes = {(status, declined["code"]) for status, declined in answers}
    kept = [id for id in ids for system in ("crm", "boss") if await _is_known(site, system, id)]
    customers = [await _open(site, customer_id=id) for id in ids]
    return [
        equal("answers of CRM", codes, {(503, "PEER_AWAY")}),
        none("customers that CRM or BOSS kept", kept),
        equal("customers opened when BOSS was back", len(customers), len(ids)),
        none("customers that BOSS has otherwise", await _strangers(site, customers)),
        equal("heard by hlrd and the network", await _heard(site), before),
    ]


async def _is_known(site: Site, system: str, customer_id: str) -> bool:
    status, _ = await site.ask(system, "GET", f"/customers/{customer_id}")
    return status == 200


@check("a customer that is known already is declined, and hlrd hears nothing of that either")
async def a_known_one_is_declined(run: Run) -> Sequence[Figure]:
    known = await _open(run.site)
    before = await _heard(run.site)
    again = _asking(customer_id=known["customer_id"])
    status, declined = await run.site.ask("crm", "POST", "/customers", again)
    return [
        equal("answer of CRM", (status, declined.get("code")), (409, "CUSTOMER_EXISTS")),
        equal("heard by hlrd and the network", await _heard(run.site), before),
    ]


F05: Final = Acts(
    layout=telecom,
    story=story,
    checks=(nothing_is_heard,),
    faults=(declined_while_boss_is_away, a_known_one_is_declined),
    size=1_000,
    small=40,
)
