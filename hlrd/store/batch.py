"""One group commit: what it writes, in which order, and what it does when a unique key objects.

Written optimistically by COPY, which knows no ON CONFLICT. When a key objects, or when nobody knows
whether an earlier try was committed, the batch is written carefully: first it is read which of its
records stand already and which clash with others, then the rest goes by COPY as before.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final, NamedTuple, TypeAlias, TypeVar

from msgspec import json, structs

from hlrd.domain.identity import ICCID, IMSI, MSISDN, UserId
from hlrd.domain.lifecycle import NumberEvent, UserState
from hlrd.ports import Acceptance, BindingEnd, Clash, Closing
from hlrd.store import changes, fallout, groups, turns
from hlrd.store.connection import Connection
from hlrd.store.queries import query
from hlrd.store.rows import imsi_of, msisdn_of, reasons_text

_BEGIN: Final = query("begin_fenced")
_ACCEPTED: Final = query("journal_accepted")
_CLOSED: Final = query("journal_closed")
_TAKEN_ORDERS: Final = query("journal_taken_orders")
_TAKEN_KEYS: Final = query("journal_taken_keys")
_NAMED: Final = query("journal_named")
_UNBIND: Final = query("journal_unbind")
_HOLD_NUMBERS: Final = query("journal_hold_numbers")
_HOLD_CARDS: Final = query("journal_hold_cards")
_PUT_USERS: Final = query("journal_put_users")
_DROP_USERS: Final = query("journal_drop_users")
_STAGE_PRODUCTS: Final = query("journal_stage_products")
_RETIRE_PRODUCT: Final = query("journal_retire_product")
_ACTIVATE_PRODUCT: Final = query("journal_activate_product")
_PUT_PRODUCTS: Final = query("journal_put_user_products")
_DROP_PRODUCTS: Final = query("journal_drop_user_products")

ORDER_COLUMNS: Final = (
    "id",
    "source",
    "order_id",
    "kind",
    "user_id",
    "operator_id",
    "province",
    "priority",
    "content_hash",
    "payload",
    "accepted_at",
    "session",
)
_ORDER_WIDTH: Final = len(ORDER_COLUMNS)
assert Acceptance.__struct_fields__[:_ORDER_WIDTH] == ORDER_COLUMNS, "a row is the record's head"
BINDING_COLUMNS: Final = (
    "msisdn",
    "imsi",
    "iccid",
    "user_id",
    "order_id",
    "hlr",
    "province",
    "key_id",
    "sealed_key",
    "since",
)
_RECEIPT_COLUMNS: Final = (
    "seq",
    "order_id",
    "source",
    "user_id",
    "is_final",
    "state",
    "body",
    "trail",
    "at",
)

_EVENT: Final = {
    BindingEnd.ROLLED_BACK: NumberEvent.ROLLED_BACK,
    BindingEnd.UNPROVEN: NumberEvent.ROLL_BACK_UNPROVEN,
    BindingEnd.TERMINATED: NumberEvent.TERMINATED,
}
_NUMBER_AFTER: Final = {
    BindingEnd.ROLLED_BACK: "free",
    BindingEnd.UNPROVEN: "locked",
    BindingEnd.TERMINATED: "quarantined",
}
_CARD_AFTER: Final = {
    BindingEnd.ROLLED_BACK: "free",
    BindingEnd.UNPROVEN: "scrapped",
    BindingEnd.TERMINATED: "scrapped",
}

T = TypeVar("T")


class Numbered(NamedTuple):
    """A close record with its receipt's number, which its source's cursor runs over."""

    seq: int
    closing: Closing

    @property
    def user_id(self) -> UserId:
        return self.closing.user_id


@dataclass(slots=True, eq=False)
class Batch:
    """The records of one transaction, each user's in the order they came."""

    accepts: list[Acceptance] = field(default_factory=list)
    closings: list[Numbered] = field(default_factory=list)
    users: set[UserId] = field(default_factory=set)

    def __len__(self) -> int:
        return len(self.accepts) + len(self.closings)


Clashes: TypeAlias = Sequence[tuple[int, Clash]]
"""Orders that were not written, and why."""


async def write(batch: Batch, quarantine_days: int, connection: Connection) -> Clashes:
    """All of it or nothing; no clashes. Raises asyncpg's errors.

    Ends come before beginnings: a number set free here may be bound again here.
    """
    await connection.execute(_BEGIN)
    await _take_effect(connection, [item.closing for item in batch.closings], quarantine_days)
    await _insert(connection, batch.accepts, batch.closings)
    await connection.execute("COMMIT")
    return ()


async def write_carefully(batch: Batch, quarantine_days: int, connection: Connection) -> Clashes:
    """Write what does not stand yet and clashes with nothing."""
    if connection.is_in_transaction():
        await connection.execute("ROLLBACK")
    await connection.execute(_BEGIN)
    closings = await _not_closed(connection, batch.closings)
    await _take_effect(connection, [item.closing for item in closings], quarantine_days)
    accepts, clashes = await _without_clashes(
        connection, await _not_accepted(connection, batch.accepts)
    )
    await _insert(connection, accepts, closings)
    await connection.execute("COMMIT")
    return clashes


async def _insert(
    connection: Connection, accepts: Sequence[Acceptance], closings: Sequence[Numbered]
) -> None:
    await _copy(connection, "work_order", ORDER_COLUMNS, list(map(order_row, accepts)))
    await _copy(connection, "binding", BINDING_COLUMNS, list(binding_rows(accepts)))
    await _note_named(connection, accepts)
    await _stage_products(connection, accepts)
    await groups.stage(connection, accepts)
    await turns.note_accepted(connection, accepts)
    await _copy(connection, "receipt", _RECEIPT_COLUMNS, list(map(_receipt_row, closings)))


async def _copy(
    connection: Connection, table: str, columns: Sequence[str], rows: Sequence[tuple[object, ...]]
) -> None:
    if rows:
        await connection.copy_records_to_table(table, records=rows, columns=columns)


def order_row(record: Acceptance) -> tuple[object, ...]:
    return structs.astuple(record)[:_ORDER_WIDTH]


def binding_rows(accepts: Iterable[Acceptance]) -> Iterator[tuple[object, ...]]:
    for record in accepts:
        binding = record.binding
        if binding is not None:
            yield (
                int(binding.msisdn),
                int(binding.imsi),
                binding.iccid,
                binding.user_id,
                record.id,
                binding.hlr,
                binding.province,
                binding.key.key_id,
                binding.key.ciphertext,
                record.accepted_at,
            )


def _receipt_row(item: Numbered) -> tuple[object, ...]:
    closing = item.closing
    return (
        item.seq,
        closing.order_id,
        closing.source,
        closing.user_id,
        closing.is_final,
        closing.state,
        closing.receipt,
        closing.trail,
        closing.closed_at,
    )


# What a close record does to its user, number and card.


async def _take_effect(
    connection: Connection, closings: Sequence[Closing], quarantine_days: int
) -> None:
    ended = [closing for closing in closings if closing.binding_end and closing.binding]
    if ended:
        await _end_bindings(connection, ended, quarantine_days)
    claiming = [closing for closing in closings if closing.claim_end]
    if claiming:
        await changes.end_claims(connection, claiming, quarantine_days)
    await _change_users(connection, [closing for closing in closings if closing.user])
    await _change_products(connection, [c for c in closings if c.products is not None])
    await fallout.note(connection, closings)
    await groups.note(connection, closings)
    await turns.note_closed(connection, closings)
    for closing in closings:
        if closing.activated is not None:
            named = closing.activated.id, closing.activated.version
            await connection.execute(_RETIRE_PRODUCT, *named)
            await connection.execute(_ACTIVATE_PRODUCT, *named)


async def _note_named(connection: Connection, accepts: Sequence[Acceptance]) -> None:
    """Their places in the order of their range are still to come: a lease must look for them."""
    named = [int(one.binding.msisdn) for one in accepts if one.is_named and one.binding]
    if named:
        await connection.execute(_NAMED, named)


async def _stage_products(connection: Connection, accepts: Sequence[Acceptance]) -> None:
    rows = [
        (record.product.id, record.product.version, json.encode(record.product), record.id,
         record.accepted_at)
        for record in accepts
        if record.product is not None
    ]  # fmt: skip
    if rows:
        await connection.execute(_STAGE_PRODUCTS, *_columns(rows))


async def _change_products(connection: Connection, closings: Sequence[Closing]) -> None:
    """Each record says all that its user has; the last one holds."""
    if not closings:
        return
    last = {closing.user_id: closing for closing in closings}
    rows = [row for closing in last.values() for row in _product_rows(closing)]
    users, products = [row[0] for row in rows], [row[1] for row in rows]
    await connection.execute(_DROP_PRODUCTS, list(last), users, products)
    if rows:
        await connection.execute(_PUT_PRODUCTS, *_columns(rows))


def _product_rows(closing: Closing) -> Iterator[tuple[object, ...]]:
    for place, holding in enumerate(closing.products or ()):
        attributes = json.encode(holding.attributes).decode()
        yield (
            closing.user_id,
            holding.product,
            holding.version,
            attributes,
            place,
            closing.order_id,
            closing.closed_at,
            holding.ec_code,
            holding.product_class,
            holding.is_straight,
        )


async def _change_users(connection: Connection, closings: Sequence[Closing]) -> None:
    if not closings:
        return
    last = {closing.user_id: closing for closing in closings}
    plain = [user_id for user_id, closing in last.items() if _is_plain(closing)]
    if plain:
        await connection.execute(_DROP_USERS, plain)
    rows = [_user_row(closing) for closing in last.values() if not _is_plain(closing)]
    if rows:
        await connection.execute(_PUT_USERS, *_columns(rows))


def _is_plain(closing: Closing) -> bool:
    user = closing.user
    return user is not None and user.state is UserState.ACTIVE and not user.reasons


def _user_row(closing: Closing) -> tuple[object, ...]:
    assert closing.user is not None
    reasons = reasons_text(closing.user.reasons)
    return closing.user_id, closing.user.state, reasons, closing.order_id, closing.closed_at


async def _end_bindings(
    connection: Connection, closings: Sequence[Closing], quarantine_days: int
) -> None:
    bindings, numbers, cards = [], [], []
    for closing in closings:
        binding, end = closing.binding, closing.binding_end
        assert binding is not None
        assert end is not None
        until = _quarantined_until(closing, quarantine_days)
        by = f"order {closing.order_id}"
        bindings.append((int(binding.msisdn), binding.user_id, _EVENT[end], closing.closed_at, by))
        numbers.append((int(binding.msisdn), _NUMBER_AFTER[end], until, end, binding.user_id))
        cards.append((binding.iccid, _CARD_AFTER[end]))
    await connection.execute(_UNBIND, *_columns(bindings))
    await connection.execute(_HOLD_NUMBERS, *_columns(numbers))
    await connection.execute(_HOLD_CARDS, *_columns(cards))


def _quarantined_until(closing: Closing, default_days: int) -> datetime | None:
    if closing.binding_end is not BindingEnd.TERMINATED:
        return None
    days = closing.quarantine_days
    return closing.closed_at + timedelta(days=default_days if days is None else days)


def _columns(rows: Sequence[tuple[T, ...]]) -> list[list[T]]:
    return [list(column) for column in zip(*rows, strict=True)]


# Finding out what stands already, and what clashes.


async def _not_accepted(
    connection: Connection, accepts: Sequence[Acceptance]
) -> Sequence[Acceptance]:
    if not accepts:
        return accepts
    rows = await connection.fetch(_ACCEPTED, [record.id for record in accepts])
    standing = {row["id"] for row in rows}
    return [record for record in accepts if record.id not in standing]


async def _not_closed(connection: Connection, closings: Sequence[Numbered]) -> Sequence[Numbered]:
    if not closings:
        return closings
    orders = [item.closing.order_id for item in closings]
    rows = await connection.fetch(_CLOSED, [item.seq for item in closings], orders)
    seqs = {row["seq"] for row in rows}
    closed = {row["order_id"] for row in rows if row["is_final"]}
    return [
        item
        for item in closings
        if item.seq not in seqs and not (item.closing.is_final and item.closing.order_id in closed)
    ]


@dataclass(slots=True)
class _Taken:
    """Keys that are in use, in the database or by an earlier record of the batch."""

    orders: set[tuple[str, str]] = field(default_factory=set)
    users: set[UserId] = field(default_factory=set)
    msisdns: set[MSISDN] = field(default_factory=set)
    cards: set[IMSI | ICCID] = field(default_factory=set)

    def refuses(self, record: Acceptance) -> Clash | None:
        binding = record.binding
        if (record.source, record.order_id) in self.orders:
            return Clash.ORDER
        if binding is None:
            return None
        if binding.user_id in self.users:
            return Clash.USER
        if binding.msisdn in self.msisdns:
            return Clash.NUMBER
        if binding.imsi in self.cards or binding.iccid in self.cards:
            return Clash.CARD
        return None

    def add(self, record: Acceptance) -> None:
        self.orders.add((record.source, record.order_id))
        if record.binding is not None:
            self.users.add(record.binding.user_id)
            self.msisdns.add(record.binding.msisdn)
            self.cards.update((record.binding.imsi, record.binding.iccid))


async def _without_clashes(
    connection: Connection, accepts: Sequence[Acceptance]
) -> tuple[list[Acceptance], list[tuple[int, Clash]]]:
    """What may be written, and what may not; of two that clash with each other the first may."""
    taken = await _read_taken(connection, accepts) if accepts else _Taken()
    free, clashes = [], []
    for record in accepts:
        clash = taken.refuses(record)
        if clash is None:
            taken.add(record)
            free.append(record)
        else:
            clashes.append((record.id, clash))
    return free, clashes


async def _read_taken(connection: Connection, accepts: Sequence[Acceptance]) -> _Taken:
    taken = _Taken()
    sources, order_ids = _columns([(record.source, record.order_id) for record in accepts])
    for row in await connection.fetch(_TAKEN_ORDERS, sources, order_ids):
        taken.orders.add((row["source"], row["order_id"]))
    keys = [
        (binding.user_id, int(binding.msisdn), int(binding.imsi), binding.iccid)
        for record in accepts
        if (binding := record.binding) is not None
    ]
    for row in await connection.fetch(_TAKEN_KEYS, *_columns(keys)) if keys else ():
        taken.users.add(UserId(row["user_id"]))
        taken.msisdns.add(msisdn_of(row["msisdn"]))
        taken.cards.update((imsi_of(row["imsi"]), ICCID(row["iccid"])))
    return taken
