"""Enterprises, what they have and their members, as the journal writes and readers read them."""

from collections.abc import AsyncIterator, Sequence

import pytest
from msgspec.structs import replace

from hlrd.domain.group import Membership, Partner, Scope, Standing, Subscription
from hlrd.domain.lifecycle import ECState, UserState
from hlrd.domain.product import Holding
from hlrd.domain.suspension import NO_REASONS, Level, Reason
from hlrd.domain.user import User
from hlrd.ports import Acceptance, BindingEnd, Closing, Wanted
from hlrd.store import facts
from hlrd.store.batch import Batch, Numbered, write, write_carefully
from hlrd.store.connection import Connection, connect, count_moments, open_pool, writing_as
from hlrd.store.groups import GroupStore
from tests.domain.products import a_function, a_product
from tests.runtime.records import a_binding, a_closing, an_acceptance

pytestmark = pytest.mark.postgres

TRACK = a_product("TRACK", a_function())
BINDINGS = [a_binding(n) for n in (1, 2, 3)]
MEMBER = Membership("EC1", "BOSS1", "TRACK")


def subscription(ec_code: str = "EC1", **changes: object) -> Subscription:
    fixed = {
        "ec_code": ec_code,
        "ec_name": f"集团 {ec_code}",
        "product": "TRACK",
        "version": 1,
        "product_class": 1,
        "scope": Scope.CROSS_PROVINCE,
        "route": "BBOSS",
        "lead_province": "200",
        "partner_provinces": ("280", "571"),
    }
    return Subscription(**fixed | changes)  # type: ignore[arg-type]


def ordered(id: int, standing: Standing) -> Acceptance:
    named = f"ec:{standing.subscription.ec_code}"
    return replace(an_acceptance(id, user_id=named), enterprise=standing)


def joined(id: int, member: Membership = MEMBER) -> Closing:
    return replace(a_closing(id, user_id=BINDINGS[id - 1].user_id), joins=member)


@pytest.fixture
async def writer(dsn: str, database: Connection) -> AsyncIterator[Connection]:
    await database.execute("INSERT INTO node (name, epoch) VALUES ('node1', 1)")
    connection = await connect(dsn, "test", **writing_as("node1", 1))
    await count_moments(connection)
    await put(
        connection,
        accepts=[
            an_acceptance(90, user_id="product:TRACK", product=TRACK),
            *(an_acceptance(n + 1, binding=binding) for n, binding in enumerate(BINDINGS)),
        ],
    )
    yield connection
    connection.terminate()


@pytest.fixture
async def groups(dsn: str) -> AsyncIterator[GroupStore]:
    pool = await open_pool(dsn, "test", 1)
    yield GroupStore(pool)
    await pool.close()


_SEQ = iter(range(1, 1_000))


async def put(
    connection: Connection,
    *,
    accepts: Sequence[Acceptance] = (),
    closings: Sequence[Closing] = (),
    carefully: bool = False,
) -> None:
    batch = Batch(
        accepts=list(accepts), closings=[Numbered(next(_SEQ), closing) for closing in closings]
    )
    await (write_carefully if carefully else write)(batch, 90, connection)


async def the_user(connection: Connection, user_id: str) -> User | None:
    (fact,) = await facts.resolve(connection, [Wanted(1, "CRM", "X", user_id)])  # type: ignore[arg-type]
    return fact.user


@pytest.mark.parametrize("carefully", [False, True])
async def test_what_an_enterprise_has_is_read_back_as_it_was_written(
    writer: Connection, groups: GroupStore, carefully: bool
) -> None:
    both = [subscription(), subscription("EC2", product_class=2, partner_provinces=())]
    pending = [ordered(10 + n, Standing(one, ECState.PENDING)) for n, one in enumerate(both)]

    await put(writer, accepts=pending, carefully=carefully)
    loaded = await groups.load()

    assert list(loaded) == [Standing(one, ECState.PENDING) for one in both]
    assert [row.code for row in await groups.page("", 10)] == ["EC1", "EC2"]
    assert [row.code for row in await groups.page("EC1", 1)] == ["EC2"]


async def test_a_subscription_goes_on_and_ends_with_its_orders(
    writer: Connection, groups: GroupStore
) -> None:
    one = subscription()
    await put(writer, accepts=[ordered(10, Standing(one, ECState.PENDING))])
    active = replace(a_closing(10, user_id="ec:EC1"), enterprise=Standing(one, ECState.ACTIVE))
    await put(writer, closings=[active])
    (row,) = await groups.subscriptions("EC1")
    assert (row.state, row.order_id) == (ECState.ACTIVE, 10)
    await put(writer, accepts=[ordered(11, Standing(one, ECState.ENDING))])
    (row,) = await groups.subscriptions("EC1")
    assert (row.state, row.order_id) == (ECState.ENDING, 11)

    gone = replace(a_closing(11, user_id="ec:EC1"), enterprise=Standing(one, None))
    await put(writer, closings=[gone])

    assert await groups.subscriptions("EC1") == []
    loaded = await groups.load()
    assert list(loaded) == []
    assert loaded.is_known("EC1")


async def test_members_are_listed_page_by_page_with_number_and_state(
    writer: Connection, groups: GroupStore
) -> None:
    await put(writer, accepts=[ordered(10, Standing(subscription(), ECState.ACTIVE))])
    await put(writer, closings=[joined(n) for n in (1, 2, 3)])
    stopped = User(UserState.ACTIVE, BINDINGS[1], {Reason.ARREARS: Level.TWO_WAY})
    await put(writer, closings=[a_closing(20, user_id=BINDINGS[1].user_id, user=stopped)])

    first = await groups.members("EC1", "", 2)
    rest = await groups.members("EC1", first[-1].user_id, 2)

    assert [row.msisdn for row in (*first, *rest)] == [one.msisdn for one in BINDINGS]
    assert [(row.state, row.reasons) for row in first] == [
        ("active", "{}"),
        ("active", '{"ARREARS": 2}'),
    ]
    ec = await groups.ec("EC1")
    assert ec is not None
    assert (ec.products, ec.members, ec.partners) == (1, 3, 0)
    assert await groups.ec("EC9") is None


async def test_a_user_is_known_with_its_enterprise_and_what_it_has_of_it(
    writer: Connection,
) -> None:
    held = Holding("TRACK", 1, {"apn": "cmiot"}, "EC1", 2, is_straight=True)
    user = User(UserState.ACTIVE, BINDINGS[0], NO_REASONS, (held,), member=MEMBER)
    await put(writer, closings=[joined(1)])

    await put(
        writer,
        closings=[a_closing(21, user_id=BINDINGS[0].user_id, user=user, products=(held,))],
    )

    assert await the_user(writer, BINDINGS[0].user_id) == user
    other = await the_user(writer, BINDINGS[1].user_id)
    assert other is not None
    assert other.member is None


async def test_who_leaves_or_is_terminated_is_a_member_no_more(
    writer: Connection, groups: GroupStore
) -> None:
    await put(writer, closings=[joined(1), joined(2)])

    leaves = replace(a_closing(30, user_id=BINDINGS[0].user_id), leaves_ec=True)
    ends = a_closing(31, binding=BINDINGS[1], binding_end=BindingEnd.TERMINATED)
    await put(writer, closings=[leaves, replace(ends, leaves_ec=True)])

    assert await groups.members("EC1", "", 10) == []
    user = await the_user(writer, BINDINGS[0].user_id)
    assert user is not None
    assert user.member is None


async def test_who_leaves_is_taken_off_the_list_of_the_lead_province(
    writer: Connection, groups: GroupStore
) -> None:
    """One hlrd may be of both provinces. Who is terminated has no number any more by then."""
    await put(writer, accepts=[ordered(10, Standing(subscription(), ECState.ACTIVE))])
    told = [Partner("EC1", binding.msisdn, "280") for binding in BINDINGS[:3]]
    listed = [replace(a_closing(40 + n), partner=one) for n, one in enumerate(told)]
    await put(writer, closings=[*listed, joined(1), joined(2)])

    leaves = replace(a_closing(30, user_id=BINDINGS[0].user_id), leaves_ec=True)
    ends = a_closing(31, binding=BINDINGS[1], binding_end=BindingEnd.TERMINATED)
    await put(writer, closings=[leaves, replace(ends, leaves_ec=True)])

    left = [row.msisdn for row in await groups.partners("EC1", 0, 10)]
    assert left == [BINDINGS[2].msisdn]


async def test_a_partners_member_told_twice_is_one(writer: Connection, groups: GroupStore) -> None:
    await put(writer, accepts=[ordered(10, Standing(subscription(), ECState.ACTIVE))])
    told = [Partner("EC1", f"10647000000{n:02}", "280") for n in (1, 2, 1)]

    await put(
        writer,
        closings=[replace(a_closing(40 + n), partner=one) for n, one in enumerate(told)],
    )
    again = replace(a_closing(50), partner=Partner("EC1", "1064700000002", "571"))
    await put(writer, closings=[again])

    rows = await groups.partners("EC1", 0, 10)
    assert [(row.msisdn, row.province) for row in rows] == [
        ("1064700000001", "280"),
        ("1064700000002", "571"),
    ]
    assert await groups.partners("EC1", 1_064_700_000_001, 10) == list(rows[1:])


@pytest.mark.parametrize("is_used", [True, False])
async def test_whether_members_have_a_product_is_known_before_it_is_cancelled(
    writer: Connection, is_used: bool
) -> None:
    held = Holding("TRACK", 1, {}, "EC1" if is_used else "EC2", 1)
    user = User(UserState.ACTIVE, BINDINGS[0], NO_REASONS, (held,))
    closing = a_closing(60, user_id=BINDINGS[0].user_id, user=user, products=(held,))
    await put(writer, closings=[closing])

    wanted = Wanted(1, "ESOP", "X", "ec:EC1", ec_product=("EC1", "TRACK"))  # type: ignore[arg-type]
    (fact,) = await facts.resolve(writer, [wanted])

    assert fact.ec_product_used == is_used


async def test_whether_an_enterprise_has_members_is_known_before_all_of_them_are_stopped(
    writer: Connection,
) -> None:
    await put(writer, closings=[joined(1)])

    wanted = [Wanted(n, "BOSS", "X", f"ec:EC{n}", members_of=f"EC{n}") for n in (1, 2)]  # type: ignore[arg-type]
    found = await facts.resolve(writer, wanted)

    assert [fact.has_members for fact in found] == [True, False]


async def test_what_all_members_are_stopped_for_is_what_the_last_order_about_them_said(
    writer: Connection, groups: GroupStore
) -> None:
    said = [
        ("EC1", "ARREARS", "EC_SUSPEND_ALL", 2, ""),
        ("EC1", "ARREARS", "EC_SUSPEND_ALL", 1, ""),
        ("EC1", "FRAUD", "EC_SUSPEND_ALL", 2, ""),
        ("EC1", "LOST", "EC_SUSPEND_ALL", 2, ""),
        ("EC1", "LOST", "EC_RESUME_ALL", None, ""),
        ("EC1", "LOST", "EC_SUSPEND_ALL", 2, "SUPERSEDED"),
        ("EC2", "ARREARS", "EC_RESUME_ALL", None, ""),
    ]
    for number, (ec, reason, kind, level, mark) in enumerate(said, 700):
        payload = b'{"level": %d}' % level if level else b"{}"
        await put(writer, accepts=[replace(an_acceptance(number, user_id="b"), payload=payload)])
        await writer.execute(
            "INSERT INTO batch (kind, source, order_id, work_order, operator_id, province,"
            " priority, state, ec_code, reason, mark)"
            " VALUES ($1, 'BOSS', $2, $3, 'op', '200', 3, 'done', $4, $5, $6)",
            kind, str(number), number, ec, reason, mark,
        )  # fmt: skip

    loaded = await groups.load()

    assert loaded.stops_of("EC1") == {Reason.ARREARS: Level.ONE_WAY, Reason.FRAUD: Level.TWO_WAY}
    assert loaded.stops_of("EC2") == {}
