"""What intake must know of an order before it can judge it, and what may be drawn instead. Pure."""

from collections.abc import Callable, Mapping
from typing import Any, Final, get_args

from msgspec import structs

from hlrd.domain.identity import ICCID, IMSI, MSISDN
from hlrd.domain.orders import (
    Change,
    MemberActivate,
    MemberOpen,
    NumberChange,
    Opening,
    OpeningNamed,
    SIMReplace,
    UserOpen,
    WorkOrder,
)
from hlrd.domain.orders.batch import ECFanOut
from hlrd.domain.orders.group import ECProductCancel
from hlrd.domain.orders.repair import NERepair
from hlrd.engine.book import OpenOrder
from hlrd.ports import Clash, Wanted


def wanted(entry: OpenOrder) -> Wanted:
    order = entry.order
    of_its_own = _OF_ITS_OWN.get(type(order))
    if of_its_own is not None:
        return of_its_own(entry, order)
    return Wanted(entry.id, entry.source, order.order_id, entry.user_id)


def _for_opening(entry: OpenOrder, order: OpeningNamed) -> Wanted:
    return Wanted(
        entry.id, entry.source, order.order_id, entry.user_id,
        MSISDN(order.msisdn), IMSI(order.imsi), ICCID(order.iccid), _reservation_of(order),
    )  # fmt: skip


def _for_member(entry: OpenOrder, order: MemberActivate) -> Wanted:
    if not (order.iccid or order.msisdn or order.reservation):
        return Wanted(entry.id, entry.source, order.order_id, entry.user_id)
    return Wanted(
        entry.id,
        entry.source,
        order.order_id,
        entry.user_id,
        msisdn=MSISDN(order.msisdn) if order.msisdn else None,
        iccid=ICCID(order.iccid) if order.iccid else None,
        reservation=_reservation_of(order),
    )


def _for_cancel(entry: OpenOrder, order: ECProductCancel) -> Wanted:
    return Wanted(
        entry.id,
        entry.source,
        order.order_id,
        entry.user_id,
        ec_product=(order.ec_code, order.product),
    )


def _for_fan_out(entry: OpenOrder, order: ECFanOut) -> Wanted:
    plain = Wanted(entry.id, entry.source, order.order_id, entry.user_id)
    return structs.replace(plain, members_of=order.ec_code)


def _for_repair(entry: OpenOrder, order: NERepair) -> Wanted:
    return Wanted(
        entry.id,
        entry.source,
        order.order_id,
        entry.user_id,
        msisdn=MSISDN(order.msisdn),
        imsi=None if order.imsi is None else IMSI(order.imsi),
        opened_with=order.services is None,
    )


def _for_change(entry: OpenOrder, order: Change) -> Wanted:
    plain = Wanted(entry.id, entry.source, order.order_id, entry.user_id)
    if isinstance(order, NumberChange):
        msisdn = MSISDN(order.new_msisdn) if order.new_msisdn else None
        return structs.replace(plain, msisdn=msisdn, reservation=_reservation_of(order))
    imsi = IMSI(order.imsi) if order.imsi else None
    return structs.replace(plain, imsi=imsi, iccid=ICCID(order.iccid) if order.iccid else None)


_OF_ITS_OWN: Final[Mapping[type, Callable[[OpenOrder, Any], Wanted]]] = {
    UserOpen: _for_opening,
    MemberOpen: _for_opening,
    MemberActivate: _for_member,
    SIMReplace: _for_change,
    NumberChange: _for_change,
    NERepair: _for_repair,
    ECProductCancel: _for_cancel,
    **dict.fromkeys(get_args(ECFanOut), _for_fan_out),
}


def _reservation_of(order: Opening | NumberChange) -> int | None:
    return None if order.reservation is None else int(order.reservation)


def was_drawn(clash: Clash, order: WorkOrder) -> bool:
    """What another has, so that it may be drawn again."""
    if isinstance(order, NumberChange):
        return clash is Clash.NUMBER and order.new_msisdn is None
    if not isinstance(order, MemberActivate | SIMReplace):
        return False
    if clash is Clash.NUMBER:
        return order.msisdn is None
    return clash is Clash.CARD and order.iccid is None


def names_what_may_be_held(order: WorkOrder) -> bool:
    """Number or card: a reservation or a lock may be younger than the facts. What is drawn from
    memory is safe, since whoever holds it takes it from there first.
    """
    if isinstance(order, Opening):
        return order.msisdn is not None or order.iccid is not None
    if isinstance(order, NumberChange):
        return order.new_msisdn is not None
    return isinstance(order, SIMReplace) and order.iccid is not None


def names_a_number(order: WorkOrder) -> bool:
    """Whether the number that it takes, if any, is not drawn from a lease."""
    if type(order) is MemberActivate:
        return order.msisdn is not None or order.reservation is not None
    if type(order) is NumberChange:
        return order.new_msisdn is not None
    return type(order) is UserOpen or type(order) is MemberOpen
