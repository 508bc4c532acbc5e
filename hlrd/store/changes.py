"""The end of a change of card or number: what its claim held is the user's, or anybody's again.

A claim is a row of `binding` with a minus before what the user has already (`domain.claim`).
"""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Final, TypeVar

from hlrd.domain.claim import card_of, number_of, target_of
from hlrd.domain.identity import Binding
from hlrd.domain.lifecycle import NumberEvent
from hlrd.ports import BindingEnd, Closing
from hlrd.store.connection import Connection
from hlrd.store.queries import query

_DROP_CLAIMS: Final = query("change_drop_claims")
_REBIND: Final = query("change_rebind")
_RENUMBERED: Final = query("change_renumbered")
_PARTNERS_RENUMBERED: Final = query("change_partners_renumbered")
_CARD_NOTED: Final = query("change_card_noted")
_HOLD_NUMBERS: Final = query("change_hold_numbers")
_HOLD_CARDS: Final = query("change_hold_cards")

_EVENT: Final = {
    BindingEnd.ROLLED_BACK: NumberEvent.ROLLED_BACK,
    BindingEnd.UNPROVEN: NumberEvent.ROLL_BACK_UNPROVEN,
}
_NUMBER_AFTER: Final = {BindingEnd.ROLLED_BACK: "free", BindingEnd.UNPROVEN: "locked"}
_CARD_AFTER: Final = {BindingEnd.ROLLED_BACK: "free", BindingEnd.UNPROVEN: "scrapped"}
_REPLACED: Final = "replaced"
_CHANGE_FAILED: Final = "changeFailed"

T = TypeVar("T")


async def end_claims(
    connection: Connection, closings: Sequence[Closing], quarantine_days: int
) -> None:
    """Of these close records, each with its `claim_end`: in one transaction with their receipts."""
    claimants = [closing.claim_end.claim.user_id for closing in closings if closing.claim_end]
    await connection.execute(_DROP_CLAIMS, claimants)
    made = [closing for closing in closings if closing.claim_end and closing.claim_end.end is None]
    if made:
        await _rebind(connection, made, quarantine_days)
    failed = [closing for closing in closings if closing.claim_end and closing.claim_end.end]
    if failed:
        await _let_go(connection, failed)


async def _rebind(
    connection: Connection, closings: Sequence[Closing], quarantine_days: int
) -> None:
    """The user's binding is another one; his old number rests, his old card is of no use."""
    targets, numbers, listed, cards, past = [], [], [], [], []
    for closing in closings:
        claim, old = _ends_of(closing)
        targets.append(_target_row(closing, claim))
        order_id, at = closing.order_id, closing.closed_at
        if number_of(claim) is not None:
            until = _until(closing, quarantine_days)
            numbers.append((int(old.msisdn), old.user_id, order_id, at, until))
            listed.append((old.user_id, int(old.msisdn), int(target_of(claim).msisdn)))
        else:
            cards.append((old.iccid, "scrapped", _REPLACED))
            event = NumberEvent.CARD_CHANGED
            past.append((int(old.msisdn), event, at, old.user_id, old.iccid, order_id))
    if numbers:
        await connection.execute(_RENUMBERED, *_columns(numbers))
        await connection.execute(_PARTNERS_RENUMBERED, *_columns(listed))
    await connection.execute(_REBIND, *_columns(targets))
    if cards:
        await connection.execute(_HOLD_CARDS, *_columns(cards))
        await connection.execute(_CARD_NOTED, *_columns(past))


def _target_row(closing: Closing, claim: Binding) -> tuple[object, ...]:
    target = target_of(claim)
    is_other_number = number_of(claim) is not None
    return (
        target.user_id,
        int(target.msisdn) if is_other_number else None,
        None if is_other_number else int(target.imsi),
        None if is_other_number else target.iccid,
        None if is_other_number else target.key.key_id,
        None if is_other_number else target.key.ciphertext,
        closing.order_id,
        closing.closed_at,
    )


async def _let_go(connection: Connection, closings: Sequence[Closing]) -> None:
    """What was held is as before the claim; or kept back, where the HLR may have it."""
    numbers, cards = [], []
    for closing in closings:
        assert closing.claim_end is not None
        claim, end = closing.claim_end.claim, closing.claim_end.end
        assert end is not None
        msisdn, iccid = number_of(claim), card_of(claim)
        if msisdn is not None:
            by = target_of(claim).user_id, closing.order_id, closing.closed_at
            numbers.append((int(msisdn), _NUMBER_AFTER[end], _EVENT[end], *by))
        if iccid is not None:
            cards.append((iccid, _CARD_AFTER[end], _CHANGE_FAILED))
    if numbers:
        await connection.execute(_HOLD_NUMBERS, *_columns(numbers))
    if cards:
        await connection.execute(_HOLD_CARDS, *_columns(cards))


def _ends_of(closing: Closing) -> tuple[Binding, Binding]:
    assert closing.claim_end is not None
    binding = closing.claim_end.binding
    assert binding is not None, "a change that was made is of a bound user"
    return closing.claim_end.claim, binding


def _until(closing: Closing, default_days: int) -> datetime:
    days = closing.quarantine_days
    return closing.closed_at + timedelta(days=default_days if days is None else days)


def _columns(rows: Sequence[tuple[T, ...]]) -> list[list[T]]:
    return [list(column) for column in zip(*rows, strict=True)]
