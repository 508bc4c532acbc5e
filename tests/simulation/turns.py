"""Which of two orders of a user goes first, and which need not go, told apart from the engine."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

from hlrd.domain import orders
from hlrd.domain.orders import MemberActivate, UserOpen, WorkOrder
from tests.simulation.database import Database
from tests.simulation.world import promise

NEEDLESS = {"SUPERSEDED", "COALESCED", "DUPLICATE_OF"}

_decoded = lru_cache(maxsize=4_096)(orders.decode_stored)


def order_of_id(database: Database, order_id: int) -> WorkOrder:
    return _decoded(database.orders[order_id].payload)


def seq_of(database: Database, order_id: int) -> int | None:
    return None if database.is_dated(order_id) else order_of_id(database, order_id).seq


def must_precede(database: Database, one_id: int, other_id: int) -> bool:
    """Whether the rules say that the one goes before the other."""
    opens, other_opens = (
        isinstance(order_of_id(database, id), MemberActivate | UserOpen)
        for id in (one_id, other_id)
    )
    if opens != other_opens:
        return opens
    places = _place(database, one_id), _place(database, other_id)
    barriers = _after(database, one_id), _after(database, other_id)
    if places[0] <= max(barriers) or places[1] <= max(barriers):
        # One of them may have begun when another came that upstream has before it.
        return False
    seqs = seq_of(database, one_id), seq_of(database, other_id)
    if seqs[0] is not None and seqs[1] is not None:
        return (seqs[0], places[0]) < (seqs[1], places[1])
    return seqs == (None, None) and places[0] < places[1]


def _opens(order: WorkOrder) -> bool:
    return isinstance(order, MemberActivate | UserOpen)


def _place(database: Database, order_id: int) -> int:
    return database.places.get(order_id, order_id)


def _after(database: Database, order_id: int) -> int:
    turn = database.orders[order_id].turn
    return 0 if turn is None else turn.after


@dataclass(slots=True)
class Progress:
    """What was applied of one user's orders, and what was done in upstream's business."""

    applied: dict[object, int] = field(default_factory=dict)
    done: dict[object, int] = field(default_factory=dict)

    def check(
        self, order_id: int, order: WorkOrder, seq: int | None, told: Mapping[str, Any]
    ) -> bool:
        """Whether the order that succeeded had no effect; and that it had to have or not."""
        marks = set(told.get("marks", ()))
        key, subject = _key(order), _subject(order)
        first = self.done.get(key)
        latest = self.applied.get(subject, -1)
        version = getattr(order, "state_version", None)
        is_late = seq is not None and subject is not None and latest > seq
        is_late = is_late or (version is not None and self.applied.get("state", version) > version)
        is_repeat = key is not None and first is not None and "COALESCED" not in marks
        promise(is_repeat == ("DUPLICATE_OF" in marks), f"{order_id} of {first}: {marks}")
        promise(is_repeat or is_late == ("SUPERSEDED" in marks), f"{order_id}, {latest}: {marks}")
        if is_repeat:
            promise(told["duplicate_of"] == str(first), f"{order_id} names not {first}")
        if seq is not None and subject is not None:
            self.applied[subject] = max(seq, latest)
        if version is not None:
            self.applied["state"] = max(version, self.applied.get("state", version))
        if key is not None:
            self.done.setdefault(key, order_id)
        return is_repeat or is_late


def _subject(order: WorkOrder) -> object:
    return getattr(order, "reason", None) or getattr(order, "product", None)


def _key(order: WorkOrder) -> object:
    subject, version = _subject(order), getattr(order, "state_version", None)
    if subject is None or (version is None and order.root_order_id is None):
        return None
    named = ("root", order.root_order_id) if version is None else ("version", version)
    return type(order), subject, getattr(order, "level", None), named
