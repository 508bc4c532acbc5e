"""Rows of PostgreSQL as values of the domain, and back."""

from collections.abc import Sequence
from typing import Any, Final

import orjson

from hlrd.domain.claim import claimant
from hlrd.domain.group import Membership
from hlrd.domain.identity import ICCID, IMSI, MSISDN, Binding, Card, SealedKey, UserId
from hlrd.domain.lifecycle import NumberState, UserState
from hlrd.domain.product import Holding
from hlrd.domain.suspension import NO_REASONS, Level, Reason, Reasons
from hlrd.domain.turn import Note
from hlrd.domain.user import User
from hlrd.ports import NumberFact, StoredOrder
from hlrd.store.connection import Record

_TEXT_MAX: Final = 2_000
"""Characters; the receipt has all of it."""

_HELD: Final = {
    "free": NumberState.IDLE,
    "reserved": NumberState.RESERVED,
    "quarantined": NumberState.QUARANTINED,
    "locked": NumberState.LOCKED,
}


def plain(text: str) -> str:
    """What a peer said, as PostgreSQL can keep it: no NUL, no half of a character, and not for
    ever."""
    kept = text[:_TEXT_MAX].replace("\0", "\ufffd")
    return kept.encode("utf-8", "replace").decode()


def imsi_of(number: int) -> IMSI:
    """With a minus in front where a claim has it (`domain.claim`)."""
    return IMSI(f"{number:015}" if number >= 0 else f"{number:016}")


def msisdn_of(number: int) -> MSISDN:
    return MSISDN(str(number))


def key_of(row: Record) -> SealedKey:
    return SealedKey(row["key_id"], row["sealed_key"])


def binding_of(row: Record) -> Binding | None:
    """None where a left join found no binding."""
    if row["msisdn"] is None:
        return None
    return Binding(
        user_id=UserId(row["user_id"]),
        msisdn=msisdn_of(row["msisdn"]),
        imsi=imsi_of(row["imsi"]),
        iccid=ICCID(row["iccid"]),
        hlr=row["hlr"],
        province=row["province"],
        key=key_of(row),
    )


def card_of(row: Record) -> Card | None:
    """None where a left join found no card."""
    if row["imsi"] is None:
        return None
    return Card(
        iccid=ICCID(row["iccid"]),
        imsi=imsi_of(row["imsi"]),
        hlr=row["hlr"],
        province=row["province"],
        key=key_of(row),
    )


def user_of(row: Record) -> User | None:
    """A user is what user_state says of it; without a row there, what its binding says."""
    binding, state = binding_of(row), row["state"]
    if state is None:
        if binding is None:
            return None
        state = UserState.ACTIVE if row["is_opened"] else UserState.PROVISIONING
    return User(
        state=UserState(state),
        binding=binding,
        reasons=NO_REASONS if row["state"] is None else reasons_of(row["reasons"]),
        products=_holdings_of(row["products"]),
        numbers_before=tuple(map(msisdn_of, row["numbers_before"])),
        member=_member_of(row["member"]),
    )


def _member_of(columns: Sequence[str] | None) -> Membership | None:
    return None if columns is None else Membership(*columns)


def _holdings_of(document: str | None) -> tuple[Holding, ...]:
    if document is None:
        return ()
    return tuple(Holding(*fields) for fields in orjson.loads(document))


def reasons_of(document: str) -> Reasons:
    found: dict[str, Any] = orjson.loads(document)
    return {Reason(reason): Level(level) for reason, level in found.items()}


def reasons_text(reasons: Reasons) -> str:
    return orjson.dumps({str(reason): int(level) for reason, level in reasons.items()}).decode()


def number_of(row: Record) -> NumberFact:
    state = NumberState.IN_USE if row["is_bound"] else _HELD[row["state"] or "free"]
    return NumberFact(
        hlr=row["hlr"],
        province=row["province"],
        state=state,
        reservation=row["reservation_id"] if state is NumberState.RESERVED else None,
    )


def stored_order_of(row: Record) -> StoredOrder:
    made = row["bound_by"] == row["id"]
    return StoredOrder(
        id=row["id"],
        source=row["source"],
        order_id=row["order_id"],
        kind=row["kind"],
        user_id=UserId(row["asked"]),
        priority=row["priority"],
        content_hash=row["content_hash"],
        payload=row["payload"],
        accepted_at=row["accepted_at"],
        binding=binding_of(row) if made else None,
        user=user_of(row),
        claim=_claim_of(row),
        turn=_note_of(row),
    )


def _note_of(row: Record) -> Note | None:
    """None where a left join found none."""
    if row["after"] is None:
        return None
    return Note(row["due_at"], row["after"], row["business_key"], place=row["place"])


def _claim_of(row: Record) -> Binding | None:
    if row["claim_msisdn"] is None:
        return None
    return Binding(
        user_id=claimant(UserId(row["asked"])),
        msisdn=msisdn_of(row["claim_msisdn"]),
        imsi=imsi_of(row["claim_imsi"]),
        iccid=ICCID(row["claim_iccid"]),
        hlr=row["claim_hlr"],
        province=row["claim_province"],
        key=SealedKey(row["claim_key_id"], row["claim_sealed_key"]),
    )


def number_state_of(*, hold: str | None, is_bound: bool, is_leased: bool = False) -> NumberState:
    """`hold`: what number_hold says. A lock holds beside a binding, any other hold does not."""
    if hold == "locked":
        return NumberState.LOCKED
    if is_bound:
        return NumberState.IN_USE
    if hold in (None, "free"):
        return NumberState.LEASED if is_leased else NumberState.IDLE
    return NumberState(hold)
