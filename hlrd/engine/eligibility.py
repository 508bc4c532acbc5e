"""Whether an order may be taken, by what is known of its source, its user and its resources. Pure.

Every function returns nothing, or raises the Refusal that upstream is told; none reserves anything.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import datetime
from typing import Any, Final

from hlrd import limits
from hlrd.domain import orders
from hlrd.domain.authority import AUTHORITIES, may_clear, may_set
from hlrd.domain.catalogue import OrderKind
from hlrd.domain.conflict import RULINGS, Nature, Ruling
from hlrd.domain.delivery import Endpoints
from hlrd.domain.errors import BadRequest, Busy, Conflict, NotAllowed, NotFound
from hlrd.domain.lifecycle import NumberState, UserState
from hlrd.domain.master import Masters
from hlrd.domain.orders import (
    Change,
    MemberActivate,
    MemberOpen,
    NumberChange,
    OfUser,
    Opening,
    OpeningNamed,
    OperatorResume,
    OperatorSuspend,
    Service,
    Source,
    UserOpen,
    WorkOrder,
)
from hlrd.domain.orders.batch import ECResumeAll, ECSuspendAll
from hlrd.domain.orders.group import MemberRemove
from hlrd.domain.plans.opening import services_key
from hlrd.domain.plans.plan import PAY_FIRST, PRE_TERMINATED_USER, Routes
from hlrd.domain.plans.standing import must_pay_first
from hlrd.domain.policy import Policy
from hlrd.domain.role import Role
from hlrd.domain.routing import Identity, Routing
from hlrd.domain.user import User
from hlrd.engine.book import OpenOrder
from hlrd.pool.draw import Exhausted, Lack
from hlrd.ports import Facts, NumberFact, ReservationFact

_IDLE: Final = (NumberState.IDLE, NumberState.LEASED)
_ROLE_MISSING: Final = {
    Role.HQ: "the network is headquarters' (role hq), and this hlrd plays a province",
    Role.PROVINCE: "numbers and cards are drawn by a province, and this hlrd plays headquarters",
}


def check_source(kind: OrderKind, source: str, province: str, masters: Masters) -> None:
    if source not in kind.sources:
        raise NotAllowed("SOURCE_NOT_ALLOWED", f"{source} may not send {kind.name}", "type")
    if kind.is_state_change:
        masters.refuse(province, source)


def check_role(kind: OrderKind, order: WorkOrder, routes: Routes) -> None:
    """What it takes is done here, and not by the hlrd behind or before the relays."""
    missing = routes.groups.role_missing
    if missing is None:
        return
    if kind.role is missing:
        raise Conflict("ROLE_MISSING", _ROLE_MISSING[missing], "type")
    if missing is Role.PROVINCE and isinstance(order, Change):
        _refuse_draw(order)
    if missing is Role.HQ and isinstance(order, MemberActivate):
        _refuse_unreported(order, routes)


def _refuse_draw(order: Change) -> None:
    """The provinces draw, and know nothing of what would be drawn here."""
    field = "new_msisdn" if isinstance(order, NumberChange) else "iccid"
    if getattr(order, field) is None:
        raise Conflict("ROLE_MISSING", f"{_ROLE_MISSING[Role.PROVINCE]}; name it", field)


def _refuse_unreported(order: MemberActivate, routes: Routes) -> None:
    if order.reasons:
        text = f"{_ROLE_MISSING[Role.HQ]}: a report has no word for it"
        raise Conflict("ROLE_MISSING", text, "reasons")
    if not routes.groups.upward(order.route):
        raise Conflict("EC_ROUTE_MISSING", "no relay of this route is configured", "route")


def check_times(order: WorkOrder, now: datetime) -> None:
    if order.accept_time or order.effective_time:
        orders.refuse_bad_times(order, now)


def check_reply_to(order: WorkOrder, source: str, endpoints: Endpoints) -> None:
    if order.reply_to is not None and not endpoints.knows(source, order.reply_to):
        text = f"no receipt endpoint of that name is registered for {source}"
        raise BadRequest("REPLY_TO_UNKNOWN", text, "reply_to")


def check_in_flight(
    kind: OrderKind, ahead: Sequence[OpenOrder], parked: int, parked_natures: Collection[Nature]
) -> None:
    """`ahead`: the user's open orders in memory; `parked`: how many more are in the journal, and
    `parked_natures` what refuses others among them.
    """
    if len(ahead) + parked >= limits.USER_ORDERS_OPEN_MAX:
        raise Busy("USER_QUEUE_FULL", "too many orders of this user are open", 10.0, "user_id")
    for earlier in ahead:
        if RULINGS[earlier.kind.nature][kind.nature] is Ruling.REFUSE:
            raise Conflict(
                "CONFLICT_IN_FLIGHT",
                f"order {earlier.id} ({earlier.kind.name}) of this user is not closed",
                "user_id",
            )
    for nature in parked_natures:
        if RULINGS[nature][kind.nature] is Ruling.REFUSE:
            text = f"an order of this user ({nature}) waits and is not closed"
            raise Conflict("CONFLICT_IN_FLIGHT", text, "user_id")


def check_reasons(order: WorkOrder, source: str) -> None:
    """The source has the right to each reason that the order names."""
    check = _OF_REASONS.get(type(order))
    if check is not None:
        check(order, source)


def _check_reason(order: OperatorSuspend | OperatorResume, source: str) -> None:
    kinds = AUTHORITIES[order.reason].kinds
    if kinds:
        text = f"{order.reason} has orders of its own: {kinds}"
        raise BadRequest("REASON_OF_OTHER_KIND", text, "reason")
    is_suspend = isinstance(order, OperatorSuspend)
    may = may_set if is_suspend else may_clear
    if not may(source, order.reason):
        text = f"{source} may not {'set' if is_suspend else 'clear'} {order.reason}"
        raise NotAllowed("REASON_NOT_ALLOWED", text, "reason")


def _check_born_with(order: Opening, source: str) -> None:
    for place, one in enumerate(order.reasons):
        if not may_set(source, one.reason):
            text = f"{source} may not set {one.reason}"
            raise NotAllowed("REASON_NOT_ALLOWED", text, f"reasons[{place}].reason")


def _check_reason_of_all(order: ECSuspendAll | ECResumeAll, source: str) -> None:
    """Told once, and not by every child."""
    is_suspend = isinstance(order, ECSuspendAll)
    may = may_set if is_suspend else may_clear
    if not may(source, order.reason):
        text = f"{source} may not {'set' if is_suspend else 'clear'} {order.reason}"
        raise NotAllowed("REASON_NOT_ALLOWED", text, "reason")


_OF_REASONS: Final[Mapping[type, Callable[[Any, str], None]]] = {
    OperatorSuspend: _check_reason,
    OperatorResume: _check_reason,
    ECSuspendAll: _check_reason_of_all,
    ECResumeAll: _check_reason_of_all,
    MemberActivate: _check_born_with,
    MemberOpen: _check_born_with,
    UserOpen: _check_born_with,
}


def check_user(order: OfUser, user: User | None, ahead: Sequence[OpenOrder] = ()) -> None:
    """The user exists, and is the one that has the number: numbers are recycled."""
    assert type(order) is not MemberActivate
    if user is None:
        raise NotFound("USER_UNKNOWN", "no such user was opened here", "user_id")
    if user.state is UserState.TERMINATED:
        if not isinstance(order, orders.UserTerminate | MemberRemove):
            raise Conflict("USER_TERMINATED", "the user is terminated", "user_id")
        return
    if user.binding is None or order.msisdn in (None, user.binding.msisdn):
        return  # of a member upstream may not know the number yet
    if any(earlier.claim and earlier.claim.msisdn == order.msisdn for earlier in ahead):
        return  # the number that he is to have when its turn comes
    raise Conflict("USER_NUMBER_MISMATCH", "the user has another number", "msisdn")


def check_standing(kind: OrderKind, order: OfUser, user: User, policy: Policy) -> None:
    """Only for an order with none of its user before it, which would leave the user otherwise; of
    the others the plan says so when their turn comes."""
    if not kind.is_possible_for(user):
        raise Conflict("USER_PRE_TERMINATED", PRE_TERMINATED_USER.text, "user_id")
    if must_pay_first(order, user, policy):
        raise Conflict("ARREARS_PAY_FIRST", PAY_FIRST.text, "user_id")


def check_opening(
    order: Opening, user: User | None, facts: Facts, routes: Routes, source: str
) -> None:
    if user is not None:
        code = "USER_TERMINATED" if user.state is UserState.TERMINATED else "USER_EXISTS"
        raise Conflict(code, "an opening needs a user id that was never used", "user_id")
    if order.reservation is not None:
        _check_reserved(order, order.reservation, source, facts)
    if order.msisdn is not None:
        _check_number(order, facts)
    if type(order) is not MemberActivate:
        assert isinstance(order, OpeningNamed)
        _check_named(order, facts, routes)
    elif order.iccid is not None:
        _check_card(facts, order, routes)
        _check_same_home(facts)


def check_home_of_card(order: Opening, facts: Facts, routing: Routing) -> None:
    """A card that is not in stock belongs where its IMSI is routed to; what is in stock has the
    home that it came with."""
    if type(order) is MemberActivate or facts.card is not None or facts.number is None:
        return
    assert isinstance(order, OpeningNamed)
    check_home_of_imsi(order.imsi, facts.number.hlr, routing)


def check_home_of_imsi(imsi: str, hlr: str, routing: Routing) -> None:
    """`hlr`: where the number is."""
    route = routing.route(Identity.IMSI, imsi)
    if route is not None and route.hlr != hlr:
        text = f"the number is at {hlr}, and IMSI {route.prefix}* at {route.hlr}"
        raise BadRequest("HOME_HLR_DIFFERS", text, "imsi")


def check_services(hlr: str, services: list[Service], routes: Routes) -> None:
    if services_key(services) not in routes.templates.get(hlr, {}):
        text = f"{hlr} has no template for these services"
        raise BadRequest("SERVICES_UNKNOWN", text, "services")


def exhausted(drawn: Exhausted, order: MemberActivate) -> Conflict:
    where = f"{order.digits}-digit numbers of province {order.province}"
    match drawn.what:
        case Lack.POOL:
            return Conflict("POOL_UNKNOWN", f"there is no pool {order.pool}", "pool")
        case Lack.LOT:
            return Conflict("LOT_UNKNOWN", f"no lot of that name in {order.province}", "lot")
        case Lack.NUMBERS:
            text = f"pool {order.pool} has no idle {where}; import a range"
            return Conflict("POOL_EXHAUSTED", text, "pool")
        case Lack.CARDS:
            text = f"no card in stock whose home HLR has idle {where}; import a lot"
            return Conflict("STOCK_EXHAUSTED", text, "lot" if order.lot else "province")
        case Lack.CARD_TAKEN:
            return Conflict("CARD_TAKEN", "another order is opening with this card", "iccid")
        case Lack.NUMBER_TAKEN:
            return Conflict("NUMBER_TAKEN", "another order is opening with this number", "msisdn")
        case Lack.RESERVATION:
            text = "orders have used up what was reserved"
            return Conflict("RESERVATION_USED_UP", text, "reservation")


def _check_reserved(order: Opening, reservation: str, source: str, facts: Facts) -> None:
    """The reservation may be used, and has what the order names."""
    fact = check_reservation(facts.reservation, order.province, source)
    _check_has(order, int(reservation), facts, has_cards=fact.has_cards)


def check_reservation(fact: ReservationFact | None, province: str, source: str) -> ReservationFact:
    """It is this source's, of this province, and open."""
    if fact is None or fact.state == "filling":
        raise NotFound("RESERVATION_UNKNOWN", "there is no such reservation", "reservation")
    if source not in (fact.source, Source.OPS):
        text = "another source made the reservation"
        raise NotAllowed("RESERVATION_OF_OTHER_SOURCE", text, "reservation")
    if fact.state == "cancelled":
        raise Conflict("RESERVATION_CANCELLED", "the reservation was cancelled", "reservation")
    if fact.state == "expired":
        text = "the time of the reservation is over"
        raise Conflict("RESERVATION_EXPIRED", text, "reservation")
    if fact.province != province:
        text = "the reservation's province differs"
        raise BadRequest("RESERVATION_OF_OTHER_PROVINCE", text, "reservation")
    return fact


def _check_has(order: Opening, reservation: int, facts: Facts, *, has_cards: bool) -> None:
    if not has_cards:
        return
    if isinstance(order, MemberActivate) and order.lot is not None:
        text = "the cards come from the reservation; name no lot"
        raise BadRequest("RESERVATION_HAS_CARDS", text, "lot")
    if order.iccid is not None and facts.card_reservation != reservation and facts.card_is_free:
        text = "the card is not, or no more, of this reservation"
        raise Conflict("CARD_NOT_OF_RESERVATION", text, "iccid")


def check_number(number: NumberFact | None, reservation: str | None, field: str) -> NumberFact:
    """The number that `field` names is idle, or of the reservation that the order names."""
    if number is None:
        raise BadRequest("NUMBER_UNKNOWN", "the number is in no imported range", field)
    if number.state is NumberState.RESERVED:
        if reservation is None or number.reservation != int(reservation):
            text = "the number is reserved; name its reservation if it is yours"
            raise Conflict("NUMBER_RESERVED", text, field)
    elif number.state not in _IDLE:
        raise Conflict("NUMBER_NOT_IDLE", f"the number is {number.state}", field)
    elif reservation is not None:
        text = "the number is not, or no more, of this reservation"
        raise Conflict("NUMBER_NOT_OF_RESERVATION", text, field)
    return number


def _check_number(order: Opening, facts: Facts) -> None:
    number = check_number(facts.number, order.reservation, "msisdn")
    if number.province != order.province:
        raise BadRequest("NUMBER_OF_OTHER_PROVINCE", "the number's province differs", "msisdn")


def _check_same_home(facts: Facts) -> None:
    number, card = facts.number, facts.card
    if number is not None and card is not None and card.hlr != number.hlr:
        raise BadRequest("HOME_HLR_DIFFERS", "number and card differ in home HLR", "iccid")


def _check_named(order: OpeningNamed, facts: Facts, routes: Routes) -> None:
    """The card that the order names may be bound, and belongs to the number."""
    assert facts.number is not None, "checked before"
    if facts.card is not None:
        _check_card(facts, order, routes)
        if facts.card.imsi != order.imsi:
            raise BadRequest("IMSI_NOT_OF_CARD", "the card in stock has another IMSI", "imsi")
        _check_same_home(facts)
    elif order.keyid is None:
        raise BadRequest("CARD_UNKNOWN", "the card is not in stock; send ki and keyid", "iccid")
    elif not facts.card_is_free:
        raise Conflict("CARD_NOT_IN_STOCK", "the card is in use or scrapped", "iccid")
    elif not facts.imsi_is_free:
        raise Conflict("IMSI_IN_USE", "the IMSI is bound to another card", "imsi")
    check_services(facts.number.hlr, order.services, routes)


def _check_card(facts: Facts, order: Opening, routes: Routes) -> None:
    card = facts.card
    if card is None:
        raise BadRequest("CARD_UNKNOWN", "no such card in stock", "iccid")
    if not facts.card_is_free:
        raise Conflict("CARD_NOT_IN_STOCK", "the card is in use or scrapped", "iccid")
    kept_for = facts.card_reservation
    if kept_for is not None and (order.reservation is None or kept_for != int(order.reservation)):
        text = "the card is reserved; name its reservation if it is yours"
        raise Conflict("CARD_RESERVED", text, "iccid")
    if card.province != order.province:
        raise BadRequest("CARD_OF_OTHER_PROVINCE", "the card's province differs", "iccid")
    check_services(card.hlr, order.services, routes)
