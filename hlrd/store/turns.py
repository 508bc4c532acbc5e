"""What the journal keeps of the turns of orders (`domain.turn`)."""

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime
from typing import Final, NamedTuple

from hlrd import limits
from hlrd.domain.identity import UserId
from hlrd.domain.turn import Applied
from hlrd.ports import Acceptance, Closing
from hlrd.store.connection import Connection
from hlrd.store.queries import query

_COLUMNS: Final = ("order_id", "user_id", "due_at", "after", "business_key")
_PUT_SEQUENCES: Final = query("journal_put_sequences")
_END_TURNS: Final = query("journal_end_turns")
_APPLIED: Final = query("facts_sequences")
_REPEATS: Final = query("facts_business_keys")
_OPENINGS: Final = query("facts_openings_due")
_SCHEDULED: Final = query("facts_scheduled")
_BEGIN: Final = query("begin_fenced")
_DUE: Final = query("turns_due")
_FALL_DUE: Final = query("turns_fall_due")
_WAITING: Final = query("turns_waiting")
_CHASE: Final = query("turn_chase")


class Due(NamedTuple):
    """An order that was dated ahead, and whose time has come."""

    id: int
    user_id: UserId
    priority: int
    kind: str


# With the group commit.


async def note_accepted(connection: Connection, accepts: Sequence[Acceptance]) -> None:
    noted = [(record, record.turn) for record in accepts if record.turn is not None]
    if not noted:
        return
    rows = [
        (record.id, record.user_id, note.due_at, note.after, note.business_key)
        for record, note in noted
    ]
    await connection.copy_records_to_table("turn", records=rows, columns=_COLUMNS)
    used = [
        (record.user_id, subject, seq) for record, note in noted for subject, seq in note.used_up
    ]
    await _put_sequences(connection, used)


async def note_closed(connection: Connection, closings: Sequence[Closing]) -> None:
    applied = [(c.user_id, subject, seq) for c in closings for subject, seq in c.applied]
    await _put_sequences(connection, applied)
    dated = [closing.order_id for closing in closings if closing.was_dated]
    if dated:
        await connection.execute(_END_TURNS, dated)


async def _put_sequences(connection: Connection, steps: Iterable[tuple[UserId, str, int]]) -> None:
    highest: dict[tuple[UserId, str], int] = {}
    for user_id, subject, seq in steps:
        highest[user_id, subject] = max(seq, highest.get((user_id, subject), seq))
    if highest:
        users, subjects = [key[0] for key in highest], [key[1] for key in highest]
        await connection.execute(_PUT_SEQUENCES, users, subjects, list(highest.values()))


# For intake and for what is read back.


async def read_applied(connection: Connection, users: Sequence[UserId]) -> Mapping[UserId, Applied]:
    """Nothing of users without a sequence."""
    found: defaultdict[UserId, dict[str, int]] = defaultdict(dict)
    for row in await connection.fetch(_APPLIED, users) if users else ():
        found[UserId(row["user_id"])][row["subject"]] = row["seq"]
    return found


async def read_repeats(
    connection: Connection, keys: Sequence[tuple[UserId, str]]
) -> Mapping[tuple[UserId, str | None], int]:
    """By user and business key, the order that did it first."""
    if not keys:
        return {}
    users, names = [key[0] for key in keys], [key[1] for key in keys]
    rows = await connection.fetch(_REPEATS, users, names)
    return {(UserId(row["user_id"]), row["business_key"]): row["order_id"] for row in rows}


async def read_openings_due(
    connection: Connection, users: Sequence[UserId]
) -> Mapping[UserId, datetime]:
    """When the openings of these users fall due, of those that are dated ahead."""
    if not users:
        return {}
    rows = await connection.fetch(_OPENINGS, users)
    return {UserId(row["user_id"]): row["due_at"] for row in rows}


async def count_scheduled(connection: Connection, users: Sequence[UserId]) -> Mapping[UserId, int]:
    """How many orders of these users wait for their time."""
    if not users:
        return {}
    rows = await connection.fetch(_SCHEDULED, users)
    return {UserId(row["user_id"]): row["orders"] for row in rows}


# Falling due.


async def fall_due(
    connection: Connection, *, now: datetime, most: int, next_id: Callable[[], int]
) -> list[Due]:
    """Give up to `most` orders whose time has come their place among their user's orders."""
    await connection.execute(_BEGIN)
    rows = await connection.fetch(_DUE, now, most)
    if rows:
        ids = [row["order_id"] for row in rows]
        await connection.execute(_FALL_DUE, ids, [next_id() for _ in ids])
    await connection.execute("COMMIT")
    return [Due(row["order_id"], row["user_id"], row["priority"], row["kind"]) for row in rows]


async def count_waiting(connection: Connection) -> int:
    """Orders whose time is to come, up to a bound."""
    waiting: int = await connection.fetchval(_WAITING, limits.SCHEDULED_COUNTED_MAX)
    return waiting


async def chase(connection: Connection, *, order_id: int) -> int:
    """Let the journal hold the order as urgent; its priority before."""
    await connection.execute(_BEGIN)
    before: int = await connection.fetchval(_CHASE, order_id, limits.PRIORITY_CHASED)
    await connection.execute("COMMIT")
    return before
