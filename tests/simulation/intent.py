"""What the network must hold, by a model that shares nothing with the engine: the accepted orders
of each user in the order they ended, their results, and three rules of arithmetic.
"""

from collections.abc import Callable
from dataclasses import dataclass, field

import orjson
from msgspec import structs

from hlrd.domain.identity import Binding
from hlrd.domain.lifecycle import OrderState
from hlrd.domain.orders import (
    ArrearsSuspend,
    MemberActivate,
    NERepair,
    NumberChange,
    OperatorResume,
    OperatorSuspend,
    PaymentResume,
    PreTerminate,
    ProductPublish,
    ProductSubscribe,
    ProductUnsubscribe,
    Reinstate,
    Resume,
    SIMReplace,
    UserOpen,
    UserTerminate,
    VoluntaryResume,
    VoluntarySuspend,
    WorkOrder,
)
from hlrd.domain.product import Product, ProductService, ServiceKind
from tests.simulation.database import Database
from tests.simulation.turns import Progress, order_of_id, seq_of
from tests.simulation.world import promise

_KEPT = {"OPS": set[str](), "BOSS": {"LOST", "FRAUD"}, "CRM": {"FRAUD"}}
"""What a source has no right to clear."""


@dataclass(slots=True)
class Wanted:
    """One user as the closed orders leave it."""

    binding: Binding | None = None
    reasons: dict[str, int] = field(default_factory=dict)
    is_closing: bool = False  #: pre-terminated
    was_opened: bool = False
    numbers_before: set[str] = field(default_factory=set)
    products: dict[str, int] = field(default_factory=dict)  #: id to version
    progress: Progress = field(default_factory=Progress)

    @property
    def level(self) -> int:
        return 2 if self.is_closing else max(self.reasons.values(), default=0)

    def functions(self, database: Database) -> set[str]:
        return {service.name for service in self._services(database) if service.scripts}

    def relations(self, database: Database) -> set[str]:
        found = (service.relation for service in self._services(database))
        return {relation.sp_service_id for relation in found if relation is not None}

    def _services(self, database: Database) -> list[ProductService]:
        held = (database.products[key] for key in self.products.items())
        return [service for product in held for service in product.services]


def replay(database: Database, may_fail: Callable[[int], bool]) -> dict[str, Wanted]:
    """Also checks that no order has a result that its user's state does not allow. `may_fail`:
    whether the network gave reason enough for a failure.
    """
    users: dict[str, Wanted] = {}
    active: dict[str, int] = {}
    for order_id, closing in database.final.items():
        record = database.orders[order_id]
        if closing.state == OrderState.CANCELLED:
            continue
        published = record.product
        if published is not None:
            _publish(active, published, closing.state, may_fail(order_id))
            continue
        user = users.setdefault(record.user_id, Wanted())
        order = order_of_id(database, order_id)
        if closing.state == OrderState.SUCCEEDED:
            told = orjson.loads(closing.receipt)
            if user.progress.check(order_id, order, seq_of(database, order_id), told):
                continue
        if isinstance(order, MemberActivate | UserOpen):
            promise(user.binding is None and not user.was_opened, f"{order_id} opens twice")
            if closing.state == "succeeded":
                _open(user, order, record.binding)
        elif isinstance(order, SIMReplace | NumberChange | ProductSubscribe):
            is_possible = _is_possible(user, order) and _fits(user, order, database)
            is_done = closing.state == "succeeded"
            promise(is_possible or not is_done, f"{order_id} gives what cannot be had")
            is_due = is_possible and not may_fail(order_id)
            promise(is_done or not is_due, f"{order_id} is {closing.state} for nothing")
            if is_done and isinstance(order, ProductSubscribe):
                user.products[order.product] = order.product_version or 0
            elif is_done:
                _rebind(user, order, record.binding)
        elif _is_possible(user, order):
            promise(closing.state == "succeeded", f"{order_id} is {closing.state}, not done")
            _change(user, order, record.source)
        else:
            promise(closing.state == "failed", f"{order_id} is {closing.state} on a user without")
    return users


def _publish(active: dict[str, int], product: Product, state: str, may_fail: bool) -> None:
    before = active.get(product.id, 0)
    if state == "succeeded":
        promise(before <= product.version, f"{product.id} goes back from version {before}")
        active[product.id] = product.version
    else:
        is_late = product.version < before
        promise(is_late or may_fail, f"{product.id} {product.version} is {state} for nothing")


def _rebind(user: Wanted, order: WorkOrder, claim: Binding | None) -> None:
    assert user.binding is not None
    assert claim is not None, "what is new was held from acceptance on"
    if isinstance(order, NumberChange):
        user.numbers_before.add(user.binding.msisdn)
        user.binding = structs.replace(user.binding, msisdn=claim.msisdn)
        return
    user.binding = structs.replace(user.binding, imsi=claim.imsi, iccid=claim.iccid, key=claim.key)
    user.reasons.pop("LOST", None)


def _fits(user: Wanted, order: WorkOrder, database: Database) -> bool:
    if not isinstance(order, ProductSubscribe):
        return user.binding is not None
    version = order.product_version
    if order.product in user.products:
        return user.products[order.product] == version
    services = database.products[order.product, version or 0].services
    return not (user.level and any(one.kind is ServiceKind.CONTENT for one in services))


def _open(user: Wanted, order: MemberActivate | UserOpen, binding: Binding | None) -> None:
    user.binding, user.was_opened = binding, True
    user.reasons = {one.reason: one.level for one in order.reasons}


def _is_possible(user: Wanted, order: WorkOrder) -> bool:
    assert not isinstance(order, MemberActivate | ProductPublish)
    takes_closing = PreTerminate | Reinstate | UserTerminate | NERepair
    if user.is_closing and not isinstance(order, takes_closing):
        return False
    if user.binding is not None:
        return order.msisdn in {user.binding.msisdn, *user.numbers_before}
    return user.was_opened and not isinstance(
        order, Resume | Reinstate | ProductSubscribe | NERepair
    )


def _change(user: Wanted, order: WorkOrder, source: str) -> None:
    if user.binding is None:
        return
    said = getattr(order, "reasons", None)
    if said is not None:
        kept = {reason: user.reasons[reason] for reason in user.reasons if reason in _KEPT[source]}
        user.reasons = kept | {one.reason: one.level for one in said}
        return
    match order:
        case ArrearsSuspend() | VoluntarySuspend() | OperatorSuspend():
            user.reasons[order.reason] = max(user.reasons.get(order.reason, 0), order.level)
        case PaymentResume() | VoluntaryResume() | OperatorResume():
            user.reasons.pop(order.reason, None)
        case PreTerminate() | Reinstate():
            user.is_closing = isinstance(order, PreTerminate)
        case UserTerminate():
            user.binding, user.is_closing = None, False
            user.reasons.clear()
            user.products.clear()
        case ProductUnsubscribe():
            user.products.pop(order.product, None)
