"""A new card, or a new number, for a user: whether he may have it, and taking it. No I/O."""

from collections.abc import Callable
from typing import Final

from msgspec.structs import replace

from hlrd import metrics
from hlrd.domain.claim import claim_of
from hlrd.domain.errors import BadRequest, Conflict
from hlrd.domain.identity import ICCID, IMSI, MSISDN, Binding, Card, SealedKey
from hlrd.domain.orders.change import Change, NumberChange, SIMReplace
from hlrd.domain.routing import Routing
from hlrd.domain.user import User
from hlrd.engine import eligibility
from hlrd.engine.book import OpenOrder
from hlrd.pool.allocator import Allocator
from hlrd.pool.draw import Exhausted, Lack, Pending
from hlrd.ports import Facts

Seal = Callable[[IMSI], SealedKey]
"""Seals the key that came with the order."""

OF_THE_CARD: Final = "iccid"
OF_THE_NUMBER: Final = "new_msisdn"


def check(entry: OpenOrder, order: Change, user: User, facts: Facts, routing: Routing) -> None:
    """Raises the Refusal that upstream is told."""
    if user.binding is None:
        raise Conflict("USER_TERMINATED", "the user is terminated", "user_id")
    if isinstance(order, SIMReplace):
        if order.iccid is not None:
            _check_card(order, user.binding, facts, routing)
    elif order.new_msisdn is not None:
        _check_number(order, user.binding, facts, entry.source)


def claim(
    order: Change, now: Binding, facts: Facts, allocator: Allocator, seal: Seal
) -> Binding | Pending:
    """What the order is to hold, in hand. Raises Conflict where there is none to have."""
    if isinstance(order, NumberChange):
        number = _take_number(order, now, allocator)
        if isinstance(number, Pending):
            return number
        return claim_of(now, replace(now, msisdn=number))
    card = _take_card(order, now, facts, allocator, seal)
    if isinstance(card, Pending):
        return card
    return claim_of(now, replace(now, imsi=card.imsi, iccid=card.iccid, key=card.key))


def _check_card(order: SIMReplace, now: Binding, facts: Facts, routing: Routing) -> None:
    if order.iccid == now.iccid:
        raise Conflict("CARD_SAME", "the user has this card already", OF_THE_CARD)
    if facts.card is None:
        _check_unknown_card(order, now, facts, routing)
        return
    if not facts.card_is_free:
        raise Conflict("CARD_NOT_IN_STOCK", "the card is in use or scrapped", OF_THE_CARD)
    if facts.card_reservation is not None:
        text = "the card is reserved for the opening of a user"
        raise Conflict("CARD_RESERVED", text, OF_THE_CARD)
    if order.imsi is not None and order.imsi != facts.card.imsi:
        raise BadRequest("IMSI_NOT_OF_CARD", "the card in stock has another IMSI", "imsi")
    if facts.card.province != now.province:
        text = "the card's province is not the number's"
        raise BadRequest("CARD_OF_OTHER_PROVINCE", text, OF_THE_CARD)
    _refuse_other_home(now, facts.card.hlr, OF_THE_CARD)


def _check_unknown_card(order: SIMReplace, now: Binding, facts: Facts, routing: Routing) -> None:
    """One that is not in stock, and so brings its key; it belongs where its IMSI is routed to."""
    if order.imsi is None or order.keyid is None:
        text = "the card is not in stock; send imsi, ki and keyid"
        raise BadRequest("CARD_UNKNOWN", text, OF_THE_CARD)
    if not facts.card_is_free:
        raise Conflict("CARD_NOT_IN_STOCK", "the card is in use or scrapped", OF_THE_CARD)
    if not facts.imsi_is_free:
        raise Conflict("IMSI_IN_USE", "the IMSI is bound to another card", "imsi")
    eligibility.check_home_of_imsi(order.imsi, now.hlr, routing)


def _check_number(order: NumberChange, now: Binding, facts: Facts, source: str) -> None:
    if order.reservation is not None:
        eligibility.check_reservation(facts.reservation, now.province, source)
    number = eligibility.check_number(facts.number, order.reservation, OF_THE_NUMBER)
    if number.province != now.province:
        text = "the new number's province is not the old one's"
        raise BadRequest("NUMBER_OF_OTHER_PROVINCE", text, OF_THE_NUMBER)
    _refuse_other_home(now, number.hlr, OF_THE_NUMBER)


def _refuse_other_home(now: Binding, hlr: str, field: str) -> None:
    if hlr != now.hlr:
        raise BadRequest("HOME_HLR_DIFFERS", f"the user is at {now.hlr}, this at {hlr}", field)


def _take_card(
    order: SIMReplace, now: Binding, facts: Facts, allocator: Allocator, seal: Seal
) -> Card | Pending:
    if order.iccid is None:
        drawn = allocator.draw_card(now.province, now.hlr, order.lot)
        if isinstance(drawn, Exhausted):
            raise _lacking(drawn, now)
        return drawn
    if not allocator.take(iccid=ICCID(order.iccid)):
        raise Conflict("CARD_TAKEN", "another order has this card in hand", OF_THE_CARD)
    if facts.card is not None:
        return facts.card
    assert order.imsi is not None, "checked before"
    imsi = IMSI(order.imsi)
    return Card(ICCID(order.iccid), imsi, now.hlr, now.province, seal(imsi))


def _take_number(order: NumberChange, now: Binding, allocator: Allocator) -> MSISDN | Pending:
    if order.new_msisdn is None:
        digits = order.digits or len(now.msisdn)
        drawn = allocator.draw_number(
            pool=order.pool, province=now.province, digits=digits, hlr=now.hlr
        )
        if isinstance(drawn, Exhausted):
            raise _lacking(drawn, now)
        return drawn
    msisdn = MSISDN(order.new_msisdn)
    if not allocator.take(msisdn=msisdn):
        raise Conflict("NUMBER_TAKEN", "another order has this number in hand", OF_THE_NUMBER)
    return msisdn


def _lacking(drawn: Exhausted, now: Binding) -> Conflict:
    metrics.POOL_EXHAUSTED.labels(drawn.what).inc()
    where = f"of province {now.province} at {now.hlr}"
    match drawn.what:
        case Lack.POOL:
            return Conflict("POOL_UNKNOWN", "there is no pool of that name", "pool")
        case Lack.LOT:
            return Conflict("LOT_UNKNOWN", "no lot of that name has such cards", "lot")
        case Lack.CARDS:
            return Conflict("STOCK_EXHAUSTED", f"no card in stock {where}; import a lot", "lot")
        case _:
            return Conflict("POOL_EXHAUSTED", f"no idle number {where}; import a range", "pool")
