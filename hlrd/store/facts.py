"""What intake asks of the database, for many orders at once."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Final, NamedTuple

from hlrd.domain.claim import target_of
from hlrd.domain.fallout import Release
from hlrd.domain.identity import UserId
from hlrd.domain.lifecycle import OrderState
from hlrd.domain.orders import Opening, Service, decode_stored
from hlrd.domain.turn import NONE_APPLIED, Applied
from hlrd.domain.user import User
from hlrd.ports import Facts, NumberFact, Repeat, ReservationFact, StoredOrder, Wanted
from hlrd.store import fallout, groups, turns
from hlrd.store.connection import Connection, Record
from hlrd.store.queries import query
from hlrd.store.rows import binding_of, card_of, number_of, stored_order_of, user_of

_REPEATS: Final = query("facts_repeats")
_USERS: Final = query("facts_users")
_NUMBERS: Final = query("facts_numbers")
_CARDS: Final = query("facts_cards")
_IMSIS: Final = query("facts_imsis")
_RESERVATIONS: Final = query("facts_reservations")
_OPENED_WITH: Final = query("facts_opened_with")
_STORED: Final = query("stored_orders")


async def resolve(connection: Connection, wanted: Sequence[Wanted], as_of: int = 0) -> list[Facts]:
    """The facts of each, in order. `as_of`: as in `Facts`."""
    repeats = await _read_repeats(connection, wanted)
    users = await _read_users(connection, wanted)
    numbers = await _read_numbers(connection, wanted)
    cards = await _read_cards(connection, wanted)
    imsis_taken = await _read_taken_imsis(connection, wanted)
    reservations = await _read_reservations(connection, wanted)
    ec_products = [one.ec_product for one in wanted if one.ec_product is not None]
    ec_products_used = await groups.products_used(connection, ec_products)
    ecs = [one.members_of for one in wanted if one.members_of is not None]
    ecs_with_members = await groups.with_members(connection, ecs)
    said = await _read_turns(connection, wanted)
    services = await _read_services(connection, wanted)
    of_ecs = ec_products_used or ecs_with_members
    if not (repeats or users or numbers or cards or reservations or of_ecs or said):
        return [Facts(one.token, None, None, None, None, as_of=as_of) for one in wanted]
    return [
        Facts(  # beyond 30, with keywords counted twice, CPython packs arguments: 2 us a call
            one.token,
            repeats.get(place),
            users.get(one.user_id),
            numbers.get(place),
            card_of(cards[place]) if place in cards else None,
            card_is_free=place in cards and cards[place]["is_free"],
            imsi_is_free=place not in imsis_taken,
            card_reservation=cards[place]["reservation_id"] if place in cards else None,
            reservation=reservations.get(one.reservation),
            ec_product_used=one.ec_product in ec_products_used,
            has_members=one.members_of in ecs_with_members,
            applied=said.applied.get(one.user_id, NONE_APPLIED) if said else NONE_APPLIED,
            repeat_of=said.repeats.get((one.user_id, one.business_key)) if said else None,
            opens_at=said.openings.get(one.user_id) if said else None,
            scheduled=said.scheduled.get(one.user_id, 0) if said else 0,
            opened_with=services.get(one.user_id),
            as_of=as_of,
        )
        for place, one in enumerate(wanted)
    ]


async def read_stored(
    connection: Connection,
    order_ids: Sequence[int],
    users: Sequence[UserId],
    *,
    also_dated: bool = False,
) -> list[StoredOrder]:
    """These orders and every other open order of their users and of `users`, in order of id.
    `also_dated`: those too that are dated ahead and wait for their time.
    """
    rows = await connection.fetch(_STORED, order_ids, users, also_dated)
    stored = [stored_order_of(row) for row in rows]
    released = await fallout.releases(connection, [one.id for one in stored])
    stored = [_as_released(one, *released.get(one.id, (None, None))) for one in stored]
    return await _with_turns(connection, stored)


async def _with_turns(connection: Connection, stored: Sequence[StoredOrder]) -> list[StoredOrder]:
    applied = await turns.read_applied(connection, list({one.user_id for one in stored}))
    keys = [(one.user_id, key) for one in stored if (key := _business_key(one)) is not None]
    repeats = await turns.read_repeats(connection, keys)
    if not (applied or repeats):
        return list(stored)
    return [
        replace(
            one,
            applied=applied.get(one.user_id, NONE_APPLIED),
            repeat_of=repeats.get((one.user_id, _business_key(one))),
        )
        for one in stored
    ]


def _business_key(stored: StoredOrder) -> str | None:
    return None if stored.turn is None else stored.turn.business_key


def _as_released(
    stored: StoredOrder, release: Release | None, payload: bytes | None
) -> StoredOrder:
    """As a person changed it, if one did."""
    if release is None:
        return stored
    return amended(replace(stored, release=release), payload)


def amended(stored: StoredOrder, payload: bytes | None) -> StoredOrder:
    """With the content that a person gave it, if one did."""
    return stored if payload is None else replace(stored, payload=payload)


async def _read_repeats(connection: Connection, wanted: Sequence[Wanted]) -> Mapping[int, Repeat]:
    sources = [one.source for one in wanted]
    order_ids = [one.order_id for one in wanted]
    rows = await connection.fetch(_REPEATS, sources, order_ids)
    return {row["n"] - 1: _repeat_of(row) for row in rows}


def _open_state(row: Record) -> OrderState:
    return OrderState.SCHEDULED if row["is_scheduled"] else OrderState.QUEUED


def _repeat_of(row: Record) -> Repeat:
    binding = binding_of(row)
    return Repeat(
        id=row["id"],
        content_hash=row["content_hash"],
        state=row["receipt_state"] or _open_state(row),
        binding=None if binding is None else target_of(binding),
        receipt=row["body"],
    )


class _Turns(NamedTuple):
    applied: Mapping[UserId, Applied]
    repeats: Mapping[tuple[UserId, str | None], int]
    openings: Mapping[UserId, datetime]
    scheduled: Mapping[UserId, int]


async def _read_turns(connection: Connection, wanted: Sequence[Wanted]) -> _Turns | None:
    """Nothing unless an order needs it: most say nothing of their turn."""
    users = list({one.user_id for one in wanted if one.has_seq})
    keys = [(one.user_id, one.business_key) for one in wanted if one.business_key is not None]
    dated = list({one.user_id for one in wanted if one.is_dated})
    if not (users or keys or dated):
        return None
    return _Turns(
        await turns.read_applied(connection, users),
        await turns.read_repeats(connection, keys),
        await turns.read_openings_due(connection, dated),
        await turns.count_scheduled(connection, dated),
    )


async def _read_users(connection: Connection, wanted: Sequence[Wanted]) -> Mapping[UserId, User]:
    rows = await connection.fetch(_USERS, list({one.user_id for one in wanted}))
    return {row["asked"]: user for row in rows if (user := user_of(row))}


async def _read_services(
    connection: Connection, wanted: Sequence[Wanted]
) -> Mapping[UserId, tuple[Service, ...]]:
    """With which these users were opened; nothing unless an order asks for it."""
    users = list({one.user_id for one in wanted if one.opened_with})
    if not users:
        return {}
    rows = await connection.fetch(_OPENED_WITH, users)
    return {row["user_id"]: tuple(_services_of(row["payload"])) for row in rows}


def _services_of(payload: bytes) -> list[Service]:
    opening = decode_stored(payload)
    assert isinstance(opening, Opening), "only openings are read"
    return opening.services


async def _read_numbers(
    connection: Connection, wanted: Sequence[Wanted]
) -> Mapping[int, NumberFact]:
    places = [place for place, one in enumerate(wanted) if one.msisdn]
    if not places:
        return {}
    asked = [int(wanted[place].msisdn or 0) for place in places]
    rows = await connection.fetch(_NUMBERS, asked)
    return {places[row["n"] - 1]: number_of(row) for row in rows}


async def _read_cards(connection: Connection, wanted: Sequence[Wanted]) -> Mapping[int, Record]:
    places = [place for place, one in enumerate(wanted) if one.iccid]
    if not places:
        return {}
    rows = await connection.fetch(_CARDS, [wanted[place].iccid for place in places])
    return {places[row["n"] - 1]: row for row in rows}


async def _read_reservations(
    connection: Connection, wanted: Sequence[Wanted]
) -> Mapping[int | None, ReservationFact]:
    asked = {one.reservation for one in wanted if one.reservation is not None}
    if not asked:
        return {}
    return {
        row["id"]: ReservationFact(row["source"], row["province"], row["with_cards"], row["state"])
        for row in await connection.fetch(_RESERVATIONS, list(asked))
    }


async def _read_taken_imsis(connection: Connection, wanted: Sequence[Wanted]) -> set[int]:
    places = [place for place, one in enumerate(wanted) if one.imsi]
    if not places:
        return set()
    imsis = [int(wanted[place].imsi or 0) for place in places]
    rows = await connection.fetch(_IMSIS, imsis, [wanted[place].iccid or "" for place in places])
    return {places[row["n"] - 1] for row in rows}
