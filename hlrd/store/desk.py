"""What staff does with single numbers, in the database: each a transaction of its own."""

from dataclasses import dataclass
from typing import Final

from hlrd.domain.errors import Conflict, NotFound, Refusal
from hlrd.domain.identity import MSISDN
from hlrd.domain.lifecycle import NUMBER, NumberEvent, NumberState, advance
from hlrd.store.connection import Connection, Record
from hlrd.store.queries import query
from hlrd.store.recycling import Due
from hlrd.store.rows import number_state_of

_BEGIN: Final = query("begin_fenced")
_HOLD: Final = query("desk_hold")
_NUMBER: Final = query("desk_number")
_LOCK: Final = query("desk_lock")
_UNLOCK: Final = query("desk_unlock")
_UNLOCK_BOUND: Final = query("desk_unlock_bound")
_NOTE: Final = query("desk_note")


@dataclass(frozen=True, slots=True)
class Work:
    """One thing that staff does with one number, and why."""

    msisdn: MSISDN
    operator_id: str
    cause: str


async def lock(connection: Connection, work: Work) -> None:
    """From any state but locked. NotFound for a number in no range."""
    await connection.execute(_BEGIN)
    row, state = await _read(connection, work.msisdn)
    if state is NumberState.LOCKED:
        raise await _refused(
            connection, Conflict("NUMBER_LOCKED", f"it is locked already: {row['cause']}", "msisdn")
        )
    advance(NUMBER, state, NumberEvent.LOCKED)
    await connection.execute(_LOCK, int(work.msisdn), row["range_id"], work.cause)
    await _note(connection, work, NumberEvent.LOCKED, row)


async def unlock(connection: Connection, work: Work) -> NumberState:
    """Idle, or in use where it is bound."""
    await connection.execute(_BEGIN)
    row, state = await _read(connection, work.msisdn)
    if state is not NumberState.LOCKED:
        raise await _refused(
            connection, Conflict("NUMBER_NOT_LOCKED", f"it is not locked but {state}", "msisdn")
        )
    is_bound = row["user_id"] is not None
    event = NumberEvent.UNLOCKED_BOUND if is_bound else NumberEvent.UNLOCKED
    after = advance(NUMBER, state, event)
    await connection.execute(_UNLOCK_BOUND if is_bound else _UNLOCK, int(work.msisdn))
    await _note(connection, work, event, row)
    return after


async def to_recycle(connection: Connection, msisdn: MSISDN, *, waives: bool) -> Due:
    """A quarantined number, whatever its date. Refuses what stands in the way of recycling it."""
    await connection.execute(_BEGIN)
    row, state = await _read(connection, msisdn)
    await connection.execute("COMMIT")
    if state is not NumberState.QUARANTINED:
        raise Conflict("NUMBER_NOT_QUARANTINED", f"it is not quarantined but {state}", "msisdn")
    if row["has_open_order"]:
        raise Conflict("ORDER_OPEN", "an order of its last user is open", "msisdn")
    if row["in_arrears"] and not waives:
        detail = f"its last user {row['last_user_id']} left in arrears; waive them to recycle it"
        raise Conflict("NUMBER_IN_ARREARS", detail, "waive_arrears")
    return Due(msisdn, row["hlr"], row["province"])


async def _read(connection: Connection, msisdn: MSISDN) -> tuple[Record, NumberState]:
    await connection.execute(_HOLD, int(msisdn))
    row = await connection.fetchrow(_NUMBER, int(msisdn))
    if row is None:
        raise await _refused(
            connection, NotFound("NUMBER_UNKNOWN", "this number is in no range of any pool")
        )
    return row, number_state_of(hold=row["state"], is_bound=row["user_id"] is not None)


async def _note(connection: Connection, work: Work, event: NumberEvent, row: Record) -> None:
    user_id = row["user_id"] or row["last_user_id"]
    await connection.execute(_NOTE, int(work.msisdn), event, user_id, work.operator_id, work.cause)
    await connection.execute("COMMIT")


async def _refused(connection: Connection, refusal: Refusal) -> Refusal:
    await connection.execute("ROLLBACK")
    return refusal
