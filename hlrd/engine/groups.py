"""Group business as the engine sees it: what enterprises have, and the members' orders that wait
for it.

Whatever the order of arrival, the enterprise goes first, then the member's base capability, then
its products. A wait is bounded: when its time is over the plan finds the ground missing, and
the order ends without a command.
"""

from collections.abc import Iterator, Sequence
from typing import Final, TypeAlias, get_args

from hlrd import limits, metrics
from hlrd.domain import orders, publication
from hlrd.domain.errors import Busy, Conflict, NotFound
from hlrd.domain.group import Enterprises, GroupPlaces, Standing
from hlrd.domain.identity import Binding, UserId
from hlrd.domain.lifecycle import ECEvent, ECState, OrderState, UserState
from hlrd.domain.orders.batch import ECFanOut
from hlrd.domain.orders.group import (
    ECProductCancel,
    ECProductSubscribe,
    MemberProductSubscribe,
    MemberRemove,
    OfEnterprise,
    OfMember,
    PartnerMemberImport,
    PartnerProductPublish,
)
from hlrd.domain.orders.work_order import OpeningMember, WorkOrder
from hlrd.domain.plans.group import EC_UNKNOWN, NOT_A_MEMBER, lacks_way
from hlrd.domain.plans.membership import lacks_ground
from hlrd.domain.plans.plan import EC_NOT_READY, EC_ROUTE_MISSING, Routes
from hlrd.domain.publication import Products
from hlrd.domain.suspension import Level, Reason
from hlrd.domain.turn import Wait
from hlrd.domain.user import User
from hlrd.engine.book import Book, Lane, OpenOrder
from hlrd.engine.dispatch import memory_share
from hlrd.engine.parking import Parking
from hlrd.ports import Clock, Facts, StoredOrder

MEMBER_NOT_OPENED: Final = "MEMBER_NOT_OPENED"

_ENTERPRISE: Final = " enterprise "
_OPENING: Final = "~ an opening"
"""Where orders are parked that wait for an enterprise, or for the opening of their user. No NE has
such a name. What brings both lines the orders of one user goes by the first: an enterprise that is
not ready keeps all of them away, and an opening that has come takes those along that wait for it.
"""

_Waiting: TypeAlias = OpeningMember | MemberProductSubscribe
_OPENINGS: Final = frozenset(get_args(OpeningMember))
_WAITING: Final = frozenset(get_args(_Waiting))
_WAITING_KINDS: Final = frozenset({"MEMBER_ACTIVATE", "MEMBER_OPEN", "MEMBER_PRODUCT_SUBSCRIBE"})

_BEGUN: Final = frozenset({OrderState.EXECUTING, OrderState.SUCCEEDED})

_ENDED: Final = {
    (ECState.PENDING, True): ECEvent.CONFIRMED,
    (ECState.PENDING, False): ECEvent.REFUSED,
    (ECState.ENDING, True): ECEvent.CANCELLED,
    (ECState.ENDING, False): ECEvent.CANCEL_REFUSED,
}


class Groups:
    """`enterprises` as the journal holds them, but for what was ordered a moment ago: that counts
    here as soon as it is taken, so that its members, which came with it, wait."""

    def __init__(
        self,
        enterprises: Enterprises,
        *,
        routes: Routes,
        products: Products,
        book: Book,
        parking: Parking,
        clock: Clock,
        wait_s: float,
    ) -> None:
        """`wait_s`: how long a member's order waits for its enterprise or its opening."""
        self.enterprises = enterprises
        self._places: GroupPlaces = routes.groups
        self._policy = routes.policy
        self._is_strict = routes.policy.ec_unknown != "accept"
        self._products = products
        self._book = book
        self._parking = parking
        self._clock = clock
        self._wait_s = wait_s
        self._before: dict[int, Standing] = {}  #: by order that is not durable yet
        self._for_enterprise: dict[str, dict[UserId, None]] = {}
        self._enterprise_of: dict[UserId, str] = {}  #: the same by user
        self._for_opening: dict[UserId, None] = {}

    # Judging.

    def check(
        self, order: WorkOrder, user: User | None, facts: Facts, ahead: Sequence[OpenOrder]
    ) -> None:
        """Refuses what cannot become possible by waiting."""
        if isinstance(order, OpeningMember):
            self._check_ready(order)
        elif isinstance(order, ECProductSubscribe | PartnerProductPublish):
            self._check_subscription(order)
        elif isinstance(order, ECProductCancel):
            self._check_cancel(order, facts)
        elif isinstance(order, PartnerMemberImport):
            if not self.enterprises.is_known(order.ec_code):
                raise NotFound("EC_UNKNOWN", EC_UNKNOWN.text, "ec_code")
        elif isinstance(order, OfMember):
            self.check_member(order, user, is_first=not ahead)

    def _check_subscription(self, order: ECProductSubscribe | PartnerProductPublish) -> None:
        """Fixes the version, so that the order ends with the one it began with."""
        order.product_version = self._products.offered(order.product, order.product_version).version
        wanted = order.content()
        if isinstance(order, ECProductSubscribe) and lacks_way(wanted, self._places):
            raise Conflict("EC_ROUTE_MISSING", EC_ROUTE_MISSING.text, "product_class")
        found = self.enterprises.find(order.ec_code, order.product)
        if found is not None:
            _refuse_open(found)
            if found.subscription != wanted:
                text = "the enterprise has it otherwise; cancel that first"
                raise Conflict("EC_PRODUCT_HELD", text, "product")
        elif len(self.enterprises) >= limits.EC_SUBSCRIPTIONS_MAX:
            text = f"enterprises have {limits.EC_SUBSCRIPTIONS_MAX} products"
            raise Busy("ECS_FULL", text, limits.RETRY_AFTER_S_MAX, "ec_code")

    def _check_cancel(self, order: ECProductCancel, facts: Facts) -> None:
        found = self.enterprises.find(order.ec_code, order.product)
        if found is None:
            return
        _refuse_open(found)
        if facts.ec_product_used:
            text = "members have the product; it goes when they have left"
            raise Conflict("EC_HAS_MEMBERS", text, "product")

    def _check_ready(self, order: _Waiting) -> None:
        if not self.enterprises.is_known(order.ec_code):
            if self._policy.ec_unknown == "refuse":
                raise NotFound("EC_UNKNOWN", EC_UNKNOWN.text, "ec_code")
        elif self._policy.ec_not_ready == "refuse" and not self._is_ready(order):
            raise Conflict("EC_NOT_READY", EC_NOT_READY.text, "ec_code")

    def check_member(self, order: OfMember, user: User | None, *, is_first: bool) -> None:
        if isinstance(order, MemberProductSubscribe):
            self._check_ready(order)
            self._check_attributes(order)
        if user is None or user.state is UserState.TERMINATED:
            return
        is_member = user.member is not None and user.member.ec_code == order.ec_code
        has_left = isinstance(order, MemberRemove) and user.member is None
        if is_first and user.state is not UserState.PROVISIONING and not (is_member or has_left):
            raise Conflict("NOT_A_MEMBER", NOT_A_MEMBER.text, "ec_code")

    def check_members(self, order: ECFanOut, facts: Facts) -> None:
        """Members of an enterprise that hlrd was told nothing of may be open and not recorded."""
        if self.enterprises.is_known(order.ec_code) or facts.has_members:
            return
        if not self.enterprises.stops_of(order.ec_code):
            text = "hlrd was never told of it and has no member of it; post its own order first"
            raise NotFound("EC_UNKNOWN", text, "ec_code")

    def _check_attributes(self, order: MemberProductSubscribe) -> None:
        if not self._products.is_known(order.product):
            raise NotFound("PRODUCT_UNKNOWN", "no such product was published", "product")
        held = self.enterprises.active(order.ec_code, order.product)
        if held is not None:
            publication.choose(self._products.get(held.product, held.version), order.attributes)

    def _is_ready(self, order: _Waiting) -> bool:
        if isinstance(order, OpeningMember):
            return not lacks_ground(order, self.enterprises, self._policy)
        return self.enterprises.active(order.ec_code, order.product) is not None

    # Stopped as a whole.

    def stop(self, ec_code: str, reason: Reason, level: Level) -> list[Binding]:
        """All members of the enterprise are stopped, or go on if there is no level. Gives those
        whose opening began before: it leaves them as it was planned, and they are no members yet.
        """
        self.enterprises.stop(ec_code, reason, level)
        return [
            entry.binding
            for entry in self._book
            if isinstance(entry.order, OpeningMember)
            and entry.order.ec_code == ec_code
            and entry.state in _BEGUN
            and entry.binding is not None
        ]

    # What is ordered, and how it ends.

    def order(self, entry: OpenOrder) -> Standing | None:
        """The order was taken: how what it is about stands from now on, if otherwise."""
        standing = self._ordered(entry.order) if entry.kind.is_of_enterprise else None
        if standing is None:
            return None
        subscription = standing.subscription
        before = self.enterprises.find(subscription.ec_code, subscription.product)
        self._before[entry.id] = before or Standing(subscription, None)
        self.enterprises.put(standing)
        return standing

    def _ordered(self, order: WorkOrder) -> Standing | None:
        assert isinstance(order, OfEnterprise), "every order about one of them"
        found = self.enterprises.find(order.ec_code, order.product)
        if isinstance(order, ECProductCancel):
            if found is None:
                return None
            return self.enterprises.after(found.subscription, ECEvent.CANCEL_ORDERED)
        return None if found else Standing(order.content(), ECState.PENDING)

    def accepted(self, order_id: int) -> None:
        self._before.pop(order_id, None)

    def refused(self, order_id: int) -> None:
        """The journal did not take it: what it is about stands as before."""
        before = self._before.pop(order_id, None)
        if before is not None:
            self.enterprises.put(before)

    def after(self, entry: OpenOrder) -> Standing | None:
        """How what the order was about stands once it is closed, if otherwise."""
        order = entry.order
        if not isinstance(order, OfEnterprise):
            return None
        found = self.enterprises.find(order.ec_code, order.product)
        if found is None and entry.state is OrderState.SUCCEEDED:
            return _had_again(order)
        begun = ECState.ENDING if isinstance(order, ECProductCancel) else ECState.PENDING
        if found is None or found.state is not begun:
            return None  # it changed nothing, or another order goes on with it
        event = _ENDED[begun, entry.state is OrderState.SUCCEEDED]
        standing = self.enterprises.after(found.subscription, event)
        if not isinstance(order, ECProductCancel) and standing.state is not None:
            return standing._replace(subscription=order.content())  # staff may have changed it
        return standing

    def closed(self, entry: OpenOrder) -> Iterator[Lane]:
        """It is durable. The lanes that waited for it, of which each is to be started."""
        standing = self.after(entry)
        if standing is None:
            return
        self.enterprises.put(standing)
        for user_id in self._for_enterprise.pop(standing.subscription.ec_code, ()):
            self._enterprise_of.pop(user_id, None)
            lane = self._book.lanes.get(user_id)
            if lane is not None:
                yield lane

    # Waiting.

    def gate(self, entry: OpenOrder, lane: Lane) -> Wait | None:
        """Why the order whose turn it is does not begin; None once the wait is too long."""
        order = entry.order
        if type(order) in _OPENINGS:
            assert isinstance(order, OpeningMember)
            if not (self._is_strict or self.enterprises.is_known(order.ec_code)):
                return None  # as it is at every site that has no group business
        elif type(order) is not MemberProductSubscribe:
            return None
        now, until = self._clock.monotonic(), entry.received + self._wait_s
        if now >= until and self._parking.has(lane.user_id):
            until = now + self._wait_s  # what it waits for may be parked itself
        code = "" if now >= until else self._lack(order, lane)
        self._note(order.ec_code, lane.user_id, code)
        return Wait(code, until) if code else None

    def _lack(self, order: _Waiting, lane: Lane) -> str:
        if isinstance(order, MemberProductSubscribe):
            if lane.user is None:
                return "" if lane.opening_failed else MEMBER_NOT_OPENED
            if lane.user.member is None:
                return ""  # no enterprise can help
        return "" if self._is_ready(order) else EC_NOT_READY.code

    def _note(self, ec_code: str, user_id: UserId, code: str) -> None:
        if self._enterprise_of.get(user_id, ec_code) != ec_code:
            self._forget(user_id)
        if code == EC_NOT_READY.code:
            self._for_enterprise.setdefault(ec_code, {})[user_id] = None
            self._enterprise_of[user_id] = ec_code
        elif user_id in self._enterprise_of:
            self._forget(user_id)
        if code == MEMBER_NOT_OPENED:
            self._for_opening[user_id] = None
        elif self._for_opening:
            self._for_opening.pop(user_id, None)

    def _forget(self, user_id: UserId) -> None:
        ec_code = self._enterprise_of.pop(user_id)
        del self._for_enterprise[ec_code][user_id]
        if not self._for_enterprise[ec_code]:
            del self._for_enterprise[ec_code]

    def observe(self) -> None:
        """Forget those who left the line by another way, and tell how many wait."""
        lanes = self._book.lanes
        for user_id in [one for one in self._enterprise_of if one not in lanes]:
            self._forget(user_id)
        self._for_opening = {user: None for user in self._for_opening if user in lanes}
        metrics.MEMBERS_WAITING.labels(EC_NOT_READY.code).set(len(self._enterprise_of))
        metrics.MEMBERS_WAITING.labels(MEMBER_NOT_OPENED).set(len(self._for_opening))

    # Parking.

    def line(self, order: WorkOrder, user: User | None) -> str:
        """Where an order is parked that would only wait here; empty for any other."""
        if type(order) not in _WAITING:
            return ""
        assert isinstance(order, _Waiting)
        if type(order) is MemberProductSubscribe and user is None:
            return _OPENING
        return "" if self._is_ready(order) else f"{_ENTERPRISE}{order.ec_code}"

    def line_of(self, stored: StoredOrder) -> str:
        if stored.kind not in _WAITING_KINDS:
            return ""
        return self.line(orders.decode_stored(stored.payload), stored.user)

    def lack_of(self, kind: str, payload: bytes, *, is_bound: bool) -> str:
        """What keeps a parked order in the journal, as far as that is known here; or nothing."""
        if kind not in _WAITING_KINDS:
            return ""
        order = orders.decode_stored(payload)
        assert isinstance(order, _Waiting), "as its kind says"
        if isinstance(order, MemberProductSubscribe) and not is_bound:
            return MEMBER_NOT_OPENED
        return "" if self._is_ready(order) else EC_NOT_READY.code

    def is_crowded(self, line: str) -> bool:
        """Whether so many wait in memory that the others need the rest."""
        if line == _OPENING:
            return len(self._for_opening) > memory_share()
        standings = self.enterprises.of(line.removeprefix(_ENTERPRISE))
        if any(standing.state is ECState.ACTIVE for standing in standings):
            return False
        return len(self._enterprise_of) > memory_share()


def _had_again(order: OfEnterprise) -> Standing | None:
    """It was held when the order, dated ahead, was taken, and cancelled before its turn."""
    if isinstance(order, ECProductCancel):
        return None
    return Standing(order.content(), ECState.ACTIVE)


def is_group_line(home: str) -> bool:
    return home == _OPENING or home.startswith(_ENTERPRISE)


def _refuse_open(found: Standing) -> None:
    if found.state is not ECState.ACTIVE:
        text = f"an order about it is open; it is {found.state}"
        raise Conflict("EC_PRODUCT_OPEN", text, "product")
