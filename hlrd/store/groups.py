"""Enterprises, what they have and their members: as the journal writes them, and as people read
them.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from hlrd.domain.group import Enterprises, Scope, Standing, Subscription
from hlrd.domain.identity import UserId
from hlrd.domain.lifecycle import ECState
from hlrd.domain.suspension import Level, Reason
from hlrd.ports import Acceptance, Closing
from hlrd.store.connection import Connection, Pool, Record
from hlrd.store.errors import translated
from hlrd.store.queries import query

_PUT_ECS: Final = query("journal_put_ecs")
_PUT_SUBSCRIPTIONS: Final = query("journal_put_ec_subscriptions")
_DROP_SUBSCRIPTIONS: Final = query("journal_drop_ec_subscriptions")
_JOIN: Final = query("journal_join_ecs")
_LEAVE: Final = query("journal_leave_ecs")
_PARTNERS: Final = query("journal_put_ec_partners")

_CODES: Final = query("ec_codes")
_SUBSCRIPTIONS: Final = query("ec_subscriptions")
_STOPS: Final = query("ec_stops")
_LIST: Final = query("ecs_after")
_EC: Final = query("ec")
_OF_EC: Final = query("ec_subscriptions_of")
_MEMBERS: Final = query("ec_members_after")
_PARTNERS_AFTER: Final = query("ec_partners_after")
_USED: Final = query("facts_ec_products_used")
_WITH_MEMBERS: Final = query("facts_ecs_with_members")

_Moved = tuple[Standing, int, datetime]
"""What stands otherwise now, by which order, since when."""


# Writing, in the journal's transaction.


async def stage(connection: Connection, accepts: Sequence[Acceptance]) -> None:
    """What was ordered for enterprises stands from its acceptance on."""
    moved = [(one.enterprise, one.id, one.accepted_at) for one in accepts if one.enterprise]
    await _put(connection, moved)


async def note(connection: Connection, closings: Sequence[Closing]) -> None:
    moved = [(one.enterprise, one.order_id, one.closed_at) for one in closings if one.enterprise]
    await _put(connection, moved)
    left = [_leaving(closing) for closing in closings if closing.leaves_ec]
    if left:
        await connection.execute(_LEAVE, *_columns(left))
    joined = [row for closing in closings if closing.joins for row in _joining(closing)]
    if joined:
        await connection.execute(_JOIN, *_columns(joined))
    partners = [row for closing in closings if closing.partner for row in _partners(closing)]
    if partners:
        await connection.execute(_PARTNERS, *_columns(partners))


async def _put(connection: Connection, moved: Sequence[_Moved]) -> None:
    """The last of each holds."""
    if not moved:
        return
    last = {(one[0].subscription.ec_code, one[0].subscription.product): one for one in moved}
    gone = [key for key, one in last.items() if one[0].state is None]
    if gone:
        await connection.execute(_DROP_SUBSCRIPTIONS, *_columns(gone))
    stands = [one for one in last.values() if one[0].state is not None]
    if stands:
        named = {one[0].subscription.ec_code: _ec_row(one) for one in stands}
        await connection.execute(_PUT_ECS, *_columns(list(named.values())))
        await connection.execute(_PUT_SUBSCRIPTIONS, *_columns([_row(one) for one in stands]))


def _ec_row(moved: _Moved) -> tuple[object, ...]:
    subscription = moved[0].subscription
    return subscription.ec_code, subscription.ec_name, subscription.lead_province, moved[2]


def _row(moved: _Moved) -> tuple[object, ...]:
    (one, state), order_id, at = moved
    return (
        one.ec_code,
        one.product,
        one.version,
        one.product_class,
        one.scope,
        one.route,
        one.lead_province,
        ",".join(one.partner_provinces),
        one.is_straight,
        state,
        order_id,
        at,
    )


def _leaving(closing: Closing) -> tuple[object, ...]:
    """With the number, where the user has it no more."""
    binding = closing.binding if closing.binding_end else None
    return closing.user_id, None if binding is None else int(binding.msisdn)


def _joining(closing: Closing) -> Iterable[tuple[object, ...]]:
    member = closing.joins
    if member is not None:
        told = member.ec_code, member.route, member.product
        yield (closing.user_id, *told, closing.order_id, closing.closed_at)


def _partners(closing: Closing) -> Iterable[tuple[object, ...]]:
    partner = closing.partner
    if partner is not None:
        told = partner.ec_code, int(partner.msisdn), partner.province
        yield (*told, closing.order_id, closing.closed_at)


def _columns(rows: Sequence[tuple[object, ...]]) -> list[list[object]]:
    return [list(column) for column in zip(*rows, strict=True)]


# Facts.


async def products_used(
    connection: Connection, asked: Sequence[tuple[str, str]]
) -> set[tuple[str, str]]:
    """Which of these products of enterprises members have, or were reported with."""
    rows = await connection.fetch(_USED, *_columns(asked)) if asked else ()
    return {(row["ec_code"], row["product"]) for row in rows}


async def with_members(connection: Connection, ec_codes: Sequence[str]) -> set[str]:
    """Which of these enterprises users are recorded as members of."""
    rows = await connection.fetch(_WITH_MEMBERS, ec_codes) if ec_codes else ()
    return {row["ec_code"] for row in rows}


# Reading.


@dataclass(frozen=True, slots=True)
class ECRow:
    code: str
    name: str
    province: str
    since: datetime
    products: int
    members: int | None = None  #: our own; counted for one enterprise only
    partners: int | None = None  #: members of partner provinces


@dataclass(frozen=True, slots=True)
class SubscriptionRow:
    subscription: Subscription
    state: ECState
    order_id: int
    since: datetime


@dataclass(frozen=True, slots=True)
class MemberRow:
    """One of our own; number and card are those of its user."""

    user_id: UserId
    msisdn: str
    province: str
    hlr: str
    state: str  #: UserState
    reasons: str  #: JSON: why it is stopped, if it is
    product: str
    since: datetime


@dataclass(frozen=True, slots=True)
class PartnerRow:
    msisdn: str
    province: str
    since: datetime


class GroupStore:
    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    async def load(self) -> Enterprises:
        """All that enterprises have, and what they are stopped for, for the engine's memory."""
        found = Enterprises()
        with translated():
            codes = await self._pool.fetch(_CODES)
            rows = await self._pool.fetch(_SUBSCRIPTIONS)
            stops = await self._pool.fetch(_STOPS)
        for code in codes:
            found.meet(code["code"])
        for row in map(_subscription_of, rows):
            found.put(Standing(row.subscription, row.state))
        for stop in stops:
            found.stop(stop["ec_code"], Reason(stop["reason"]), Level(stop["level"]))
        return found

    async def page(self, after: str, limit: int) -> Sequence[ECRow]:
        """By code."""
        with translated():
            rows = await self._pool.fetch(_LIST, after, limit)
        return [ECRow(**dict(row)) for row in rows]

    async def ec(self, code: str) -> ECRow | None:
        with translated():
            row = await self._pool.fetchrow(_EC, code)
        return None if row is None else ECRow(**dict(row))

    async def subscriptions(self, code: str) -> Sequence[SubscriptionRow]:
        with translated():
            return [_subscription_of(row) for row in await self._pool.fetch(_OF_EC, code)]

    async def members(self, code: str, after: str, limit: int) -> Sequence[MemberRow]:
        """By user id; of those that are there now."""
        with translated():
            rows = await self._pool.fetch(_MEMBERS, code, after, limit)
        return [MemberRow(**dict(row)) for row in rows]

    async def partners(self, code: str, after: int, limit: int) -> Sequence[PartnerRow]:
        """By number."""
        with translated():
            rows = await self._pool.fetch(_PARTNERS_AFTER, code, after, limit)
        return [PartnerRow(**dict(row)) for row in rows]


def _subscription_of(row: Record) -> SubscriptionRow:
    subscription = Subscription(
        ec_code=row["ec_code"],
        ec_name=row["name"],
        product=row["product"],
        version=row["version"],
        product_class=row["product_class"],
        scope=Scope(row["scope"]),
        route=row["route"],
        lead_province=row["lead_province"],
        partner_provinces=tuple(row["partner_provinces"]),
        is_straight=row["is_straight"],
    )
    return SubscriptionRow(subscription, ECState(row["state"]), row["order_id"], row["since"])
