"""Claims: what a change holds until it closes, in the same keys that keep bindings apart."""

from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any, Final

import pytest
from msgspec.structs import replace

from hlrd.domain.claim import claim_of
from hlrd.domain.identity import ICCID, IMSI, MSISDN, Binding, SealedKey, UserId
from hlrd.domain.lifecycle import UserState
from hlrd.domain.suspension import NO_REASONS, Level, Reason
from hlrd.domain.user import User
from hlrd.ports import Acceptance, BindingEnd, ClaimEnd, Clash, Wanted
from hlrd.store.batch import Batch, Numbered, write, write_carefully
from hlrd.store.connection import Connection, connect, count_moments, writing_as
from hlrd.store.facts import read_stored, resolve
from hlrd.store.proof import prove
from tests.runtime.records import NOW, a_binding, a_closing, an_acceptance

pytestmark = pytest.mark.postgres

BOUND: Final = a_binding(1)
NEW_CARD: Final = replace(
    BOUND,
    imsi=IMSI("001010000000005"),
    iccid=ICCID("89860420200000000027"),
    key=SealedKey("k2", b"new"),
)
NEW_NUMBER: Final = replace(BOUND, msisdn=MSISDN("1064800000009"))
OF_CARD: Final = claim_of(BOUND, NEW_CARD)
OF_NUMBER: Final = claim_of(BOUND, NEW_NUMBER)


@pytest.fixture
async def writer(dsn: str, database: Connection) -> AsyncIterator[Connection]:
    await database.execute("INSERT INTO node (name, epoch) VALUES ('node1', 1)")
    connection = await connect(dsn, "test", **writing_as("node1", 1))
    await count_moments(connection)
    await write(Batch(accepts=[an_acceptance(1, binding=BOUND)]), 90, connection)
    await write(Batch(closings=[Numbered(1, a_closing(1, binding=BOUND))]), 90, connection)
    yield connection
    connection.terminate()


def a_change(id: int, claim: Binding) -> Acceptance:
    kind = "SIM_REPLACE" if claim.msisdn.startswith("-") else "NUMBER_CHANGE"
    return replace(an_acceptance(id, binding=claim), user_id=BOUND.user_id, kind=kind)


async def accept(writer: Connection, *records: Acceptance) -> None:
    await write(Batch(accepts=list(records)), 90, writer)


async def end(writer: Connection, claim: Binding, how: BindingEnd | None, **changes: Any) -> None:
    closing = replace(
        a_closing(2, user_id=BOUND.user_id), claim_end=ClaimEnd(claim, BOUND, how), **changes
    )
    await write(Batch(closings=[Numbered(2, closing)]), 90, writer)


async def bindings(database: Connection) -> list[tuple[str, int, int, str]]:
    rows = await database.fetch("SELECT user_id, msisdn, imsi, iccid FROM binding ORDER BY user_id")
    return [tuple(row) for row in rows]


def row_of(binding: Binding) -> tuple[str, int, int, str]:
    return binding.user_id, int(binding.msisdn), int(binding.imsi), binding.iccid


# --- while it is held ----------------------------------------------------------------------------


@pytest.mark.parametrize("claim", [OF_CARD, OF_NUMBER])
async def test_the_users_binding_stands_beside_the_claim(
    writer: Connection, database: Connection, claim: Binding
) -> None:
    await accept(writer, a_change(2, claim))

    assert await bindings(database) == sorted([row_of(BOUND), row_of(claim)])
    assert (await prove(database)).bindings == 1


@pytest.mark.parametrize(
    ("claim", "other", "clash"),
    [
        (OF_CARD, a_binding(7, iccid=NEW_CARD.iccid), Clash.CARD),
        (OF_CARD, a_binding(7, imsi=NEW_CARD.imsi), Clash.CARD),
        (OF_NUMBER, a_binding(7, msisdn=NEW_NUMBER.msisdn), Clash.NUMBER),
    ],
)
async def test_nobody_is_bound_to_what_is_claimed(
    writer: Connection, claim: Binding, other: Binding, clash: Clash
) -> None:
    await accept(writer, a_change(2, claim))

    batch = Batch(accepts=[an_acceptance(3, binding=other)])

    assert await write_carefully(batch, 90, writer) == [(3, clash)]


@pytest.mark.parametrize(
    ("claim", "changes", "clash"),
    [
        (OF_CARD, {"iccid": NEW_CARD.iccid}, Clash.CARD),
        (OF_CARD, {"imsi": NEW_CARD.imsi}, Clash.CARD),
        (OF_NUMBER, {"msisdn": NEW_NUMBER.msisdn}, Clash.NUMBER),
    ],
)
async def test_nobody_claims_what_is_bound(
    writer: Connection, claim: Binding, changes: dict[str, str], clash: Clash
) -> None:
    await accept(writer, an_acceptance(7, binding=a_binding(7, **changes)))

    batch = Batch(accepts=[a_change(8, claim)])

    assert await write_carefully(batch, 90, writer) == [(8, clash)]


async def test_a_user_has_one_claim_at_a_time(writer: Connection) -> None:
    await accept(writer, a_change(2, OF_CARD))

    batch = Batch(accepts=[a_change(3, OF_NUMBER)])

    assert await write_carefully(batch, 90, writer) == [(3, Clash.USER)]


@pytest.mark.parametrize("claim", [OF_CARD, OF_NUMBER])
async def test_an_order_is_read_back_with_its_claim(writer: Connection, claim: Binding) -> None:
    await accept(writer, a_change(2, claim), an_acceptance(3, user_id=BOUND.user_id))

    change, other = await read_stored(writer, [2], [])

    assert (change.claim, change.binding) == (claim, None)
    assert change.user is not None
    assert change.user.binding == BOUND
    assert other.claim is None


@pytest.mark.parametrize(("claim", "target"), [(OF_CARD, NEW_CARD), (OF_NUMBER, NEW_NUMBER)])
async def test_a_repeat_is_answered_with_what_is_held(
    writer: Connection, claim: Binding, target: Binding
) -> None:
    await accept(writer, a_change(2, claim))

    (facts,) = await resolve(writer, [Wanted(9, "CRM", "order-2", BOUND.user_id)])

    assert facts.repeat is not None
    assert facts.repeat.binding == target


# --- when it is made -----------------------------------------------------------------------------


async def test_the_user_has_the_new_card_and_the_old_one_is_scrapped(
    writer: Connection, database: Connection
) -> None:
    await accept(writer, a_change(2, OF_CARD))

    await end(writer, OF_CARD, None)

    row = await database.fetchrow("SELECT * FROM binding")
    assert row is not None
    assert row_of(NEW_CARD) == (row["user_id"], row["msisdn"], row["imsi"], row["iccid"])
    assert (row["key_id"], row["sealed_key"], row["order_id"]) == ("k2", b"new", 1)
    held = await database.fetchrow("SELECT iccid, state, cause FROM card_hold")
    assert held is not None
    assert tuple(held) == (BOUND.iccid, "scrapped", "replaced")
    past = await database.fetchrow("SELECT msisdn, event, iccid, order_id FROM number_past")
    assert past is not None
    assert tuple(past) == (int(BOUND.msisdn), "cardChanged", BOUND.iccid, 2)


async def test_the_user_has_the_new_number_and_the_old_one_rests(
    writer: Connection, database: Connection
) -> None:
    await accept(writer, a_change(2, OF_NUMBER))

    await end(writer, OF_NUMBER, None, quarantine_days=30)

    assert await bindings(database) == [row_of(NEW_NUMBER)]
    held = await database.fetchrow("SELECT * FROM number_hold")
    assert held is not None
    assert (held["msisdn"], held["state"]) == (int(BOUND.msisdn), "quarantined")
    assert (held["until"], held["in_arrears"]) == (NOW + timedelta(days=30), False)
    past = await database.fetchrow("SELECT * FROM number_past")
    assert past is not None
    assert (past["event"], past["user_id"], past["order_id"]) == ("renumbered", BOUND.user_id, 1)


async def test_the_new_number_is_listed_where_the_old_one_was_a_partners(
    writer: Connection,
) -> None:
    await writer.execute(
        "INSERT INTO ec VALUES ('EC1', 'n', '200', now()), ('EC2', 'n', '200', now())"
    )
    await writer.execute(
        "INSERT INTO ec_member SELECT $1, 'EC1', 'BBOSS', '', 1, now()", BOUND.user_id
    )
    await writer.execute(
        "INSERT INTO ec_partner_member SELECT code, $1, '280', 1, now() FROM ec", int(BOUND.msisdn)
    )
    await accept(writer, a_change(2, OF_NUMBER))

    await end(writer, OF_NUMBER, None)

    listed = await writer.fetch("SELECT ec_code, msisdn::text FROM ec_partner_member ORDER BY 1")
    assert [tuple(row) for row in listed] == [
        ("EC1", NEW_NUMBER.msisdn),
        ("EC2", BOUND.msisdn),  # he is no member of that one
    ]


async def test_a_user_in_arrears_takes_his_debt_to_his_new_number(
    writer: Connection, database: Connection
) -> None:
    user = User(UserState.ACTIVE, BOUND, {Reason.ARREARS: Level.TWO_WAY})
    suspended = a_closing(5, user_id=BOUND.user_id, user=user)
    await write(Batch(closings=[Numbered(9, suspended)]), 90, writer)
    await accept(writer, a_change(2, OF_NUMBER))

    await end(writer, OF_NUMBER, None)

    assert await database.fetchval("SELECT in_arrears FROM number_hold") is False
    (facts,) = await resolve(writer, [Wanted(9, "CRM", "x", BOUND.user_id)])
    assert facts.user is not None
    assert facts.user.reasons == {Reason.ARREARS: Level.TWO_WAY}


async def test_a_number_that_staff_locked_stays_locked_when_it_is_given_up(
    writer: Connection, database: Connection
) -> None:
    await database.execute(
        "INSERT INTO number_hold (msisdn, state, cause) VALUES ($1, 'locked', 'complaint')",
        int(BOUND.msisdn),
    )
    await accept(writer, a_change(2, OF_NUMBER))

    await end(writer, OF_NUMBER, None)

    held = await database.fetchrow("SELECT state, cause, until FROM number_hold")
    assert held is not None
    assert tuple(held) == ("locked", "complaint", None)


async def test_the_number_from_before_is_known_for_the_orders_that_name_it(
    writer: Connection,
) -> None:
    await accept(writer, a_change(2, OF_NUMBER), an_acceptance(3, user_id=BOUND.user_id))

    await end(writer, OF_NUMBER, None)

    (stored,) = await read_stored(writer, [3], [])
    assert stored.user == User(
        UserState.ACTIVE, NEW_NUMBER, NO_REASONS, numbers_before=(BOUND.msisdn,)
    )


# --- when it comes to nothing --------------------------------------------------------------------


@pytest.mark.parametrize(
    ("how", "number", "card"),
    [(BindingEnd.ROLLED_BACK, "free", "free"), (BindingEnd.UNPROVEN, "locked", "scrapped")],
)
async def test_what_was_held_goes_back_or_is_kept_back(
    writer: Connection, database: Connection, how: BindingEnd, number: str, card: str
) -> None:
    await accept(writer, a_change(2, OF_CARD))
    await end(writer, OF_CARD, how)
    await accept(writer, a_change(3, OF_NUMBER))
    closing = a_closing(3, user_id=BOUND.user_id)
    ended = replace(closing, claim_end=ClaimEnd(OF_NUMBER, BOUND, how))
    await write(Batch(closings=[Numbered(3, ended)]), 90, writer)

    assert await bindings(database) == [row_of(BOUND)]
    assert await database.fetchval("SELECT state FROM number_hold") == number
    assert await database.fetchval("SELECT state FROM card_hold") == card
    assert (await prove(database)).faults() == []


async def test_a_claim_whose_user_never_was_is_let_go(
    writer: Connection, database: Connection
) -> None:
    await accept(writer, a_change(2, OF_CARD))
    closing = a_closing(2, user_id=BOUND.user_id)
    ended = replace(closing, claim_end=ClaimEnd(OF_CARD, None, BindingEnd.ROLLED_BACK))

    await write(Batch(closings=[Numbered(2, ended)]), 90, writer)

    assert await database.fetchval("SELECT state FROM card_hold") == "free"


async def test_what_is_let_go_may_be_bound_in_the_same_commit(
    writer: Connection, database: Connection
) -> None:
    await accept(writer, a_change(2, OF_CARD))
    closing = a_closing(2, user_id=BOUND.user_id)
    ended = replace(closing, claim_end=ClaimEnd(OF_CARD, BOUND, BindingEnd.ROLLED_BACK))
    other = a_binding(7, iccid=NEW_CARD.iccid, imsi=NEW_CARD.imsi)

    batch = Batch(accepts=[an_acceptance(7, binding=other)], closings=[Numbered(2, ended)])
    await write(batch, 90, writer)

    assert row_of(other) in await bindings(database)


async def test_a_claim_that_outlives_its_order_is_found(
    writer: Connection, database: Connection
) -> None:
    await accept(writer, a_change(2, OF_CARD))
    await write(Batch(closings=[Numbered(2, a_closing(2, user_id=BOUND.user_id))]), 90, writer)

    assert "claims_stranded: 1" in (await prove(database)).faults()


def test_no_users_id_is_that_of_a_claimant() -> None:
    assert not UserId(OF_CARD.user_id).isdigit()
