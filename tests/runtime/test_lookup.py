import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

import pytest

from hlrd.domain.identity import ICCID, IMSI, MSISDN, UserId
from hlrd.domain.lifecycle import NumberState, UserState
from hlrd.domain.suspension import Level, Reason
from hlrd.ports import Facts, StoredOrder, Wanted
from hlrd.runtime.lookup import LookupReader
from hlrd.store.connection import Connection
from tests.runtime.proxy import proxied
from tests.runtime.records import a_binding

pytestmark = pytest.mark.postgres

FACTS_OF_A_STRANGER = Facts(token=7, repeat=None, user=None, number=None, card=None)


class Told:
    def __init__(self) -> None:
        self.facts: list[Facts] = []
        self.stored: list[StoredOrder] = []
        self.order: list[str] = []
        self.changed = asyncio.Event()

    def on_resolved(self, facts: Sequence[Facts]) -> None:
        self.facts += facts
        self.order += ["facts"] * len(facts)
        self.changed.set()

    def on_unparked(self, stored: Sequence[StoredOrder]) -> None:
        self.stored += stored
        self.order.append("stored")
        self.changed.set()

    async def answers(self, count: int) -> None:
        async with asyncio.timeout(30):
            while len(self.order) < count:
                self.changed.clear()
                await self.changed.wait()


@asynccontextmanager
async def a_lookup(dsn: str) -> AsyncIterator[tuple[LookupReader, Told]]:
    told = Told()
    lookup = LookupReader(dsn)
    lookup.attach(told)
    running = asyncio.create_task(lookup.run())
    try:
        yield lookup, told
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)


def wanted(token: int = 7, **changes: str) -> Wanted:
    msisdn, imsi, iccid = (changes.get(key) for key in ("msisdn", "imsi", "iccid"))
    return Wanted(
        token=token,
        source=changes.get("source", "CRM"),
        order_id=changes.get("order_id", "new"),
        user_id=UserId(changes.get("user_id", "999")),
        msisdn=MSISDN(msisdn) if msisdn else None,
        imsi=IMSI(imsi) if imsi else None,
        iccid=ICCID(iccid) if iccid else None,
    )


async def ask(dsn: str, *questions: Wanted) -> list[Facts]:
    async with a_lookup(dsn) as (lookup, told):
        for question in questions:
            lookup.resolve(question)
        await told.answers(len(questions))
    return told.facts


async def add_order(
    database: Connection, id: int, *, user: int, closed: str | None = None, binds: bool = False
) -> None:
    binding = a_binding(user)
    await database.execute(
        "INSERT INTO work_order VALUES"
        " ($1, 'CRM', $3, 'K', $2, 'op', '200', 2, '\\x01', '{}', now())",
        id,
        binding.user_id,
        f"order-{id}",
    )
    if binds:
        await database.execute(
            "INSERT INTO binding VALUES ($1, $2, $3, $4, $5, 'hlr1', '200', 'k1', $6, now())",
            int(binding.msisdn),
            int(binding.imsi),
            binding.iccid,
            binding.user_id,
            id,
            b"sealed",
        )
    if closed:
        await database.execute(
            "INSERT INTO receipt VALUES ($1, $1, 'CRM', $2, true, $3, '{}', '', now())",
            id,
            binding.user_id,
            closed,
        )


async def test_of_a_stranger_nothing_is_known(dsn: str) -> None:
    assert await ask(dsn, wanted()) == [FACTS_OF_A_STRANGER]


async def test_a_repeat_brings_the_stored_answer_and_its_number(
    dsn: str, database: Connection
) -> None:
    await add_order(database, 1, user=1, binds=True)
    await add_order(database, 2, user=2, binds=True, closed="succeeded")

    still_open, closed = await ask(dsn, wanted(order_id="order-1"), wanted(order_id="order-2"))

    assert still_open.repeat is not None
    assert (still_open.repeat.id, still_open.repeat.state) == (1, "queued")
    assert still_open.repeat.receipt is None
    assert still_open.repeat.binding == a_binding(1)
    assert closed.repeat is not None
    assert (closed.repeat.state, closed.repeat.receipt) == ("succeeded", b"{}")
    assert closed.repeat.content_hash == b"\x01"


async def test_a_user_is_provisioning_until_the_opening_closes_and_then_active(
    dsn: str, database: Connection
) -> None:
    await add_order(database, 1, user=1, binds=True)
    await add_order(database, 2, user=2, binds=True, closed="succeeded")
    await add_order(database, 3, user=3, binds=True, closed="succeeded")
    await database.execute(
        "INSERT INTO user_state VALUES ($1, 'active', '{\"ARREARS\": 2}', 3, now()),"
        " ('77', 'terminated', '{}', 3, now())",
        a_binding(3).user_id,
    )

    users = [
        facts.user
        for facts in await ask(
            dsn, *(wanted(user_id=a_binding(n).user_id) for n in (1, 2, 3)), wanted(user_id="77")
        )
    ]

    assert [user and user.state for user in users] == [
        UserState.PROVISIONING,
        UserState.ACTIVE,
        UserState.ACTIVE,
        UserState.TERMINATED,
    ]
    assert [user and user.binding for user in users] == [*map(a_binding, (1, 2, 3)), None]
    assert users[2]
    assert users[2].reasons == {Reason.ARREARS: Level.TWO_WAY}


async def test_a_named_number_is_told_with_its_range_and_state(
    dsn: str, database: Connection
) -> None:
    await database.execute("INSERT INTO pool VALUES ('iot', '\\x00')")
    await database.execute(
        "INSERT INTO number_range (pool, first, last, digits, province, hlr)"
        " VALUES ('iot', 1064800000000, 1064800000009, 13, '200', 'hlr1')"
    )
    await add_order(database, 1, user=1, binds=True)
    await database.execute(
        "INSERT INTO number_hold (msisdn, range_id, state, cause) VALUES"
        " (1064800000001, 1, 'free', ''), (1064800000002, 1, 'quarantined', ''),"
        " (1064800000003, 1, 'locked', ''), (1064800000004, 1, 'free', '')"
    )

    told = [
        facts.number
        for facts in await ask(dsn, *(wanted(msisdn=f"106480000000{n}") for n in range(6)))
    ]
    elsewhere = await ask(dsn, wanted(msisdn="1064900000000"))

    assert [number and number.state for number in told] == [
        NumberState.IDLE,
        NumberState.IN_USE,
        NumberState.QUARANTINED,
        NumberState.LOCKED,
        NumberState.IDLE,
        NumberState.IDLE,
    ]
    assert told[0]
    assert (told[0].hlr, told[0].province) == ("hlr1", "200")
    assert elsewhere[0].number is None


async def test_a_named_card_is_told_and_whether_it_may_be_bound(
    dsn: str, database: Connection
) -> None:
    await database.execute(
        "INSERT INTO sim_lot (name, vendor, province, hlr, quantity, file_hash)"
        " VALUES ('lot1', 'v', '200', 'hlr1', 3, '\\x00')"
    )
    for row, n in enumerate((1, 2, 3)):
        card = a_binding(n)
        await database.execute(
            "INSERT INTO sim_card VALUES (1, $1, $2, $3, 'k1', 'sealed')",
            row,
            card.iccid,
            int(card.imsi),
        )
    await add_order(database, 1, user=1, binds=True)
    await database.execute("INSERT INTO card_hold VALUES ($1, 1, 'scrapped')", a_binding(2).iccid)

    asked = [wanted(iccid=a_binding(n).iccid, imsi=a_binding(n).imsi) for n in (1, 2, 3, 4)]
    stranger = wanted(iccid=a_binding(5).iccid, imsi=a_binding(3).imsi)
    used, scrapped, idle, unknown, borrowed = await ask(dsn, *asked, stranger)

    assert (used.card_is_free, scrapped.card_is_free, idle.card_is_free) == (False, False, True)
    assert idle.card is not None
    assert (idle.card.imsi, idle.card.hlr) == (a_binding(3).imsi, "hlr1")
    assert (unknown.card, unknown.card_is_free) == (None, True)
    assert [facts.imsi_is_free for facts in (used, idle, unknown)] == [False, True, True]
    assert not borrowed.imsi_is_free  # of another card in stock


async def test_unparking_brings_every_open_order_of_the_users_in_order_of_id(
    dsn: str, database: Connection
) -> None:
    await add_order(database, 1, user=1, binds=True, closed="succeeded")
    await add_order(database, 5, user=1)
    await add_order(database, 3, user=1)
    await add_order(database, 4, user=2, binds=True)
    await add_order(database, 6, user=3)

    async with a_lookup(dsn) as (lookup, told):
        lookup.unpark([5], [a_binding(2).user_id])
        await told.answers(1)

    assert [order.id for order in told.stored] == [3, 4, 5]
    suspension, opening, _ = told.stored
    assert suspension.binding is None
    assert suspension.user
    assert suspension.user.state is UserState.ACTIVE
    assert suspension.user.binding == a_binding(1)
    assert opening.binding == a_binding(2)


async def test_answers_keep_the_order_of_asking_over_a_lost_connection(dsn: str) -> None:
    async with proxied(dsn) as (proxy, through), a_lookup(through) as (lookup, told):
        lookup.resolve(wanted(1))
        await told.answers(1)
        proxy.go_down()
        lookup.resolve(wanted(2))
        lookup.unpark([], [])
        lookup.resolve(wanted(3))
        await asyncio.sleep(0)
        proxy.is_down = False
        await told.answers(4)

    assert [facts.token for facts in told.facts] == [1, 2, 3]


async def test_an_order_that_comes_now_does_not_wait_for_those_that_come_back(
    dsn: str, database: Connection
) -> None:
    async with a_lookup(dsn) as (lookup, told):
        async with database.transaction():
            await database.execute("LOCK TABLE fallout")  # only what comes back is looked for there
            lookup.unpark([], [])
            await until_blocked(database)
            lookup.resolve(wanted(1))
            await told.answers(1)
            assert told.order == ["facts"]
        await told.answers(2)

    assert told.order == ["facts", "stored"]


async def until_blocked(database: Connection) -> None:
    blocked = (
        "SELECT count(*) FROM pg_sleep(0.01), pg_locks JOIN pg_database d ON d.oid = database"
        " WHERE NOT granted AND datname = current_database()"
    )
    async with asyncio.timeout(5):
        while not await database.fetchval(blocked):
            pass
