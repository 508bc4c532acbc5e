"""Users who go on with other cards and numbers, on the whole system: every part agrees in the end,
whatever reply is lost and whenever the daemon is killed.
"""

import asyncio
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Final

import asyncpg
import msgspec
import pytest

from hlrd.domain.orders import Source
from hlrd.store.proof import prove
from loadtest.faults import Chance, Fault, Latency, Once, Profile
from loadtest.generate import batches
from loadtest.process import beside, until
from loadtest.proof import Bound
from loadtest.settings import PROVINCE
from loadtest.stack import EMULATED_HLRS
from loadtest.workload import Book, Workload
from tests.e2e.flow import DEADLINE_S, SMALL, System, system

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(240)]

USERS: Final = 40
FAULTY: Final = Profile(
    latency=Latency(p50_s=0.005), chance=Chance(withhold=0.05, busy=0.02, cut_after=0.03)
)
LOST: Final = {"reason": "LOST", "level": 2}


def an_order(kind: str, user: str, bound: Bound, fields: Mapping[str, Any]) -> tuple[str, bytes]:
    order_id = f"{kind}-{user}"
    header = {"type": kind, "order_id": order_id, "province": PROVINCE, "operator_id": "op"}
    whose = {"user_id": user, "msisdn": bound.msisdn}
    return order_id, msgspec.json.encode({**header, **whose, **fields})


def a_workload(made: System, kind: str, users: Mapping[str, Bound], **fields: Any) -> Workload:
    orders = [an_order(kind, user, bound, fields) for user, bound in users.items()]
    return Workload(made.upstream(Source.OPS), batches(orders, size=10, orders_per_s=None, seed=1))


async def changed(workload: Workload, kind: str) -> dict[str, Bound]:
    """Every user as his receipt says that he goes on."""
    book = await workload.run(deadline_s=DEADLINE_S)
    assert book.trouble == {}
    found = {order.removeprefix(f"{kind}-"): bound for order, bound in book.receipts.items()}
    return {user: bound for user, bound in found.items() if bound is not None}


async def opened(made: System) -> tuple[Book, dict[str, Bound]]:
    book = await made.workload(USERS).run(deadline_s=DEADLINE_S)
    users = {order: bound for order, bound in book.receipts.items() if bound is not None}
    return book, {str(7_000_000 + int(order.rpartition("-")[2])): b for order, b in users.items()}


async def subscribers(made: System) -> dict[str, str]:
    """IMSI by number, of all HLRs."""
    found = {str(row.msisdn).removeprefix("86"): row.imsi for row in await real_subscribers(made)}
    for name in emulated(made):
        for row in await made.stack.control(name, "GET", "/dump"):
            if row["record"] == "subscriber":
                found[row["isdn"].removeprefix("86")] = row["imsi"]
    return found


async def keys(made: System) -> set[str]:
    real = {row.imsi for row in await real_subscribers(made) if row.has_key}
    dumps = [await made.stack.control(name, "GET", "/dump") for name in emulated(made)]
    return real | {row["imsi"] for dump in dumps for row in dump if row["record"] == "key"}


def emulated(made: System) -> list[str]:
    return [name for name in made.stack.shape.hlr_names if name not in made.stack.real_hlrs]


async def real_subscribers(made: System) -> list[Any]:
    hlrs = made.stack.real_hlrs.values()
    return [row for real in hlrs for row in await asyncio.to_thread(real.subscribers)]


async def relations(made: System) -> dict[str, str]:
    rows = await made.stack.control("dsmp1", "GET", "/dump")
    return {row["msisdn"]: row["state"] for row in rows if row["state"] != "closed"}


async def database_says(made: System) -> tuple[list[str], dict[str, int], dict[str, int]]:
    """What is wrong with it, and how many numbers and cards are in which hold."""
    connection = await asyncpg.connect(await made.stack.dsn())
    try:
        numbers = await connection.fetch("SELECT state, count(*) FROM number_hold GROUP BY state")
        cards = await connection.fetch("SELECT state, count(*) FROM card_hold GROUP BY state")
        return (await prove(connection)).faults(), dict(numbers), dict(cards)
    finally:
        await connection.close()


async def all_agree(made: System, users: Mapping[str, Bound]) -> None:
    """Receipts, HLRs and DSMP say the same, and no key or relation is left of before."""
    wanted = {bound.msisdn: bound.imsi for bound in users.values()}
    assert await subscribers(made) == wanted
    assert await keys(made) == set(wanted.values())
    assert await relations(made) == dict.fromkeys(wanted, "active")


async def test_every_part_agrees_through_lost_replies_cuts_and_a_killed_daemon() -> None:
    async with system(SMALL) as made:
        _, users = await opened(made)
        await made.stack.put_faults(FAULTY)
        replacing = a_workload(made, "SIM_REPLACE", users)

        async def kill_the_daemon() -> None:
            await until(
                lambda: len(replacing.book.receipts) >= USERS // 4,
                deadline_s=DEADLINE_S,
                what="some",
            )
            made.stack.daemon.kill()
            await made.stack.start_daemon()

        async with beside(kill_the_daemon()):
            on_new_cards = await changed(replacing, "SIM_REPLACE")
        renumbering = a_workload(made, "NUMBER_CHANGE", on_new_cards)
        under_new_numbers = await changed(renumbering, "NUMBER_CHANGE")
        await made.stack.put_faults(Profile())

        assert {on_new_cards[user].msisdn for user in users} == {
            bound.msisdn for bound in users.values()
        }
        assert {bound.iccid for bound in on_new_cards.values()}.isdisjoint(
            bound.iccid for bound in users.values()
        )
        await all_agree(made, under_new_numbers)
        faults, numbers, cards = await database_says(made)
        assert faults == []
        assert (numbers.get("quarantined"), cards.get("scrapped")) == (USERS, USERS)
        again = [each for each in await repeated(made) if not each.startswith("SND CANCELC")]
        assert again == []


async def repeated(made: System) -> list[str]:
    """What an HLR did more than once for a card."""
    return [
        effect["command"]
        for name in made.stack.shape.hlr_names
        for effect in await made.stack.control(name, "GET", "/effects?above=1")
    ]


STEPS: Final[Mapping[str, list[str]]] = {
    "hlr1": ["ADD KI", "MOD IMSI", "MOD LCK", "RMV KI", "MOD ISDN"],
    "dsmp1": ["RESUME", "CLOSE", "OPEN"],
}


async def test_a_kill_while_the_replies_to_all_steps_are_lost_costs_nothing() -> None:
    """Each step of a change is done and not answered for one user when the daemon is killed. Those
    who change card have lost theirs.
    """
    async with system(replace(SMALL, hlrs=1, reply_timeout_s=10.0), orders=60) as made:
        _, users = await opened(made)
        losers = dict(list(users.items())[: USERS // 2])
        movers = {user: bound for user, bound in users.items() if user not in losers}
        await changed(a_workload(made, "OPERATOR_SUSPEND", losers, **LOST), "OPERATOR_SUSPEND")
        for ne, commands in STEPS.items():
            once = [Once(Fault.WITHHOLD, command) for command in commands]
            await made.stack.put_faults(Profile(once=once), elements=[ne])

        async with beside(kill_when_all_befell(made)):
            replaced, renumbered = await asyncio.gather(
                changed(a_workload(made, "SIM_REPLACE", losers), "SIM_REPLACE"),
                changed(a_workload(made, "NUMBER_CHANGE", movers), "NUMBER_CHANGE"),
            )

        await all_agree(made, replaced | renumbered)
        faults, _, _ = await database_says(made)
        assert faults == []
        assert [each for each in await repeated(made) if each != "SND CANCELC"] == []


async def kill_when_all_befell(made: System) -> None:
    async with asyncio.timeout(DEADLINE_S):
        for ne in STEPS:
            while (await made.stack.control(ne, "GET", "/faults"))["once"]:  # noqa: ASYNC110
                await asyncio.sleep(0.005)
    made.stack.daemon.kill()
    await made.stack.start_daemon()


async def test_a_switch_that_is_refused_leaves_the_user_as_he_was() -> None:
    async with system(replace(SMALL, hlrs=1), orders=60) as made:
        _, users = await opened(made)
        user, bound = next(iter(users.items()))
        refusing = [Once(Fault.REFUSE, "MOD IMSI"), Once(Fault.REFUSE, "MOD ISDN")]
        await made.stack.put_faults(Profile(once=refusing))

        for kind in ("SIM_REPLACE", "NUMBER_CHANGE"):
            book = await a_workload(made, kind, {user: bound}).run(deadline_s=DEADLINE_S)
            assert book.receipts == {f"{kind}-{user}": None}
            assert book.trouble[f"{kind}-{user}"]["result"] == "failed"

        await all_agree(made, users)
        faults, _, cards = await database_says(made)
        assert (faults, cards.get("scrapped")) == ([], None)


@pytest.mark.parametrize(
    "dialect",
    [
        *(each for each in EMULATED_HLRS if each != "huawei_hlr"),
        pytest.param("osmo_hlr", marks=pytest.mark.osmo),  # a real one
    ],
)
async def test_every_dialect_gives_its_users_other_cards_and_numbers(dialect: str) -> None:
    async with system(replace(SMALL, hlr_dialect=dialect), orders=200) as made:
        _, users = await opened(made)

        on_new_cards = await changed(a_workload(made, "SIM_REPLACE", users), "SIM_REPLACE")
        renumbering = a_workload(made, "NUMBER_CHANGE", on_new_cards)

        await all_agree(made, await changed(renumbering, "NUMBER_CHANGE"))
