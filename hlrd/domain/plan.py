"""From an order and its user to the tasks that bring the network there. Pure.

A plan is a tuple of stages: the tasks of one stage may run side by side, the next stage starts when
all of them are done. It is made when the order is first within its user, so that it starts from
what every earlier order really left behind.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

from msgspec import Struct
from msgspec.structs import replace

from hlrd import limits
from hlrd.domain import publication, subscription, suspension
from hlrd.domain.errors import Conflict
from hlrd.domain.identity import Binding
from hlrd.domain.lifecycle import UserState
from hlrd.domain.operation import NOBODY, UNDO, Cause, Details, Operation, Task
from hlrd.domain.order import (
    ArrearsSuspend,
    Opening,
    PaymentResume,
    ProductPublish,
    ProductSubscribe,
    ProductUnsubscribe,
    Service,
    UserOpen,
    UserTerminate,
    WorkOrder,
)
from hlrd.domain.product import Holding, Product, ServiceKind
from hlrd.domain.publication import Products
from hlrd.domain.subscription import Places, Step
from hlrd.domain.suspension import Level, Reason, Reasons
from hlrd.domain.user import User


class Mark(StrEnum):
    """What a success receipt says beside "succeeded"."""

    NO_CHANGE = "NO_CHANGE"
    NOT_SUSPENDED_FOR_REASON = "NOT_SUSPENDED_FOR_REASON"


@dataclass(frozen=True, slots=True)
class Routes:
    """Where tasks go that the binding does not decide."""

    dsmp: str
    templates: Mapping[str, Mapping[str, int]]  #: HLR -> services joined by "+" -> template number
    dialects: Mapping[str, str] = field(default_factory=dict)  #: of every NE
    platforms: frozenset[str] = frozenset()  #: NEs, beside the DSMP, that take products
    sheets: str = ""  #: the NE that takes work sheets; empty: none does


class Plan(Struct, frozen=True, gc=False):
    stages: tuple[tuple[Task, ...], ...]
    user: User | None  #: the user once all stages are done; None for an order of no user
    marks: tuple[Mark, ...] = ()


@dataclass(frozen=True, slots=True)
class Impossible:
    """The order can no longer be carried out: what went before took its ground away."""

    code: str
    text: str


UNKNOWN_USER: Final = Impossible("USER_UNKNOWN", "the user was never opened, or its opening failed")
TERMINATED_USER: Final = Impossible("USER_TERMINATED", "the user is terminated")
OTHER_NUMBER: Final = Impossible("USER_NUMBER_MISMATCH", "the user has another number")


def services_key(services: list[Service]) -> str:
    """`services` sorted, as a decoded order has them."""
    return "+".join(services)


def plan(
    order: WorkOrder, user: User | None, routes: Routes, products: Products, transaction: str
) -> Plan | Impossible:
    """`transaction` names the order towards peers that recognise a repeat by it."""
    if isinstance(order, ProductPublish):
        return _publish(order.content(), routes, products, transaction)
    if user is None:
        return UNKNOWN_USER
    if isinstance(order, Opening):
        return _open(order, user, routes, transaction)
    if user.binding is not None and user.binding.msisdn != order.msisdn:
        return OTHER_NUMBER  # the opening it came behind was refused; this is somebody else's
    match order:
        case ArrearsSuspend():
            return _suspend(order, user, routes, products, transaction)
        case PaymentResume():
            return _resume(user, routes, products, transaction)
        case UserTerminate():
            return _terminate(user, routes, products, transaction)
        case ProductSubscribe():
            return _subscribe(order, user, routes, products, transaction)
        case ProductUnsubscribe():
            return _unsubscribe(order, user, routes, products, transaction)


def undo(done: list[Task]) -> tuple[tuple[Task, ...], ...]:
    """The stages that take back what was done, last first; what has no undo is left as it is."""
    return tuple(
        (
            replace(
                task,
                operation=UNDO[task.operation],
                cause=Cause.CLOSED,
                transaction=task.transaction + "u",
                details=_reversed(task.details),
            ),
        )
        for task in reversed(done)
        if task.operation in UNDO
    )


def _reversed(details: Details) -> Details:
    if not details.undo_script:
        return details
    return replace(details, script=details.undo_script, undo_script=details.script)


class _Stages:
    """Collects the stages, of one task each but where said otherwise, and numbers transactions."""

    def __init__(self, binding: Binding, routes: Routes, transaction: str) -> None:
        self._binding = binding
        self._routes = routes
        self._transaction = transaction
        self._stages: list[tuple[Task, ...]] = []
        self._count = 0

    @property
    def places(self) -> Places:
        return places_of(self._binding, self._routes)

    def hlr(
        self, operation: Operation, cause: Cause, level: Level = Level.NONE, template: str = ""
    ) -> None:
        self._add(operation, self._binding.hlr, cause, level, template)

    def dsmp(self, operation: Operation, cause: Cause) -> None:
        self._add(operation, self._routes.dsmp, cause, Level.NONE, "")

    def steps(self, steps: Iterable[Step], cause: Cause) -> None:
        """One after the other."""
        for step in steps:
            self._stages.append((self._task(step, cause),))

    def at_once(self, steps: Iterable[Step], cause: Cause) -> None:
        """Side by side, in one stage."""
        tasks = tuple(self._task(step, cause) for step in steps)
        if tasks:
            self._stages.append(tasks)

    def _add(
        self, operation: Operation, ne: str, cause: Cause, level: Level, template: str
    ) -> None:
        name = self._next_name()
        self._stages.append((Task(operation, ne, self._binding, cause, level, template, name),))

    def _task(self, step: Step, cause: Cause) -> Task:
        return Task(
            step.operation,
            step.ne,
            self._binding,
            cause,
            transaction=self._next_name(),
            details=step.details,
        )

    def _next_name(self) -> str:
        """Digits alone, as some peers number their records by them. Two orders never share one
        while both are remembered: ids that differ by a factor are years apart.
        """
        count, self._count = self._count, self._count + 1
        return f"{self._transaction}{count:0{2 if count < 100 else 5}d}"

    def leading_to(self, user: User | None, *marks: Mark) -> Plan:
        return Plan(tuple(self._stages), user, marks)


def places_of(binding: Binding, routes: Routes) -> Places:
    return Places(binding.hlr, routes.dialects.get(binding.hlr, ""), routes.dsmp, routes.sheets)


def _open(order: Opening, user: User, routes: Routes, transaction: str) -> Plan | Impossible:
    assert user.binding is not None, "an opening order always has its binding"
    reasons: Reasons = suspension.NO_REASONS
    if isinstance(order, UserOpen) and order.arrears_level is not None:
        reasons = {Reason.ARREARS: Level(order.arrears_level)}
    level = suspension.effective(reasons)
    template = routes.templates.get(user.binding.hlr, {}).get(services_key(order.services))
    if template is None:
        return Impossible("SERVICES_UNKNOWN", "the home HLR has no template for these services")
    stages = _Stages(user.binding, routes, transaction)
    stages.hlr(Operation.ADD_KEY, Cause.ORDERED)
    stages.hlr(Operation.ADD_SUBSCRIBER, Cause.ORDERED, level, str(template))
    if level:
        stages.hlr(Operation.SET_BARRING, Cause.STOPPED, level)
    stages.dsmp(Operation.OPEN_RELATION, Cause.ORDERED)
    if level:
        stages.dsmp(Operation.PAUSE_RELATION, Cause.STOPPED)
    return stages.leading_to(User(UserState.ACTIVE, user.binding, reasons))


def _suspend(
    order: ArrearsSuspend, user: User, routes: Routes, products: Products, transaction: str
) -> Plan:
    if user.binding is None:
        return Plan((), user, (Mark.NO_CHANGE,))
    change = suspension.set_reason(user.reasons, Reason.ARREARS, Level(order.level))
    stages = _Stages(user.binding, routes, transaction)
    if change.moves_level:
        stages.hlr(Operation.SET_BARRING, Cause.STOPPED, change.after)
    if change.before is Level.NONE and change.moves_level:
        stages.dsmp(Operation.PAUSE_RELATION, Cause.STOPPED)
        _relations(stages, user, products, Operation.PAUSE_RELATION, Cause.STOPPED)
    marks = (Mark.NO_CHANGE,) if change.is_no_change else ()
    return stages.leading_to(replace(user, reasons=change.reasons), *marks)


def _resume(user: User, routes: Routes, products: Products, transaction: str) -> Plan | Impossible:
    if user.binding is None:
        return TERMINATED_USER
    change = suspension.clear_reason(user.reasons, Reason.ARREARS)
    stages = _Stages(user.binding, routes, transaction)
    if change.moves_level:
        stages.hlr(Operation.SET_BARRING, Cause.RESUMED, change.after)
    if change.after is Level.NONE and change.moves_level:
        stages.dsmp(Operation.RESUME_RELATION, Cause.RESUMED)
        _relations(stages, user, products, Operation.RESUME_RELATION, Cause.RESUMED)
    marks = (Mark.NOT_SUSPENDED_FOR_REASON,) if change.is_no_change else ()
    return stages.leading_to(replace(user, reasons=change.reasons), *marks)


def _relations(
    stages: _Stages, user: User, products: Products, operation: Operation, cause: Cause
) -> None:
    """What the user's products have goes the way of the base relation."""
    if user.products:
        found = subscription.standing(user.products, products, stages.places, operation)
        stages.steps(found, cause)


def _terminate(user: User, routes: Routes, products: Products, transaction: str) -> Plan:
    """The products' functions go with the record of the HLR."""
    if user.binding is None:
        return Plan((), user, (Mark.NO_CHANGE,))
    stages = _Stages(user.binding, routes, transaction)
    held = list(user.products)
    while held:
        old = held.pop()
        stages.steps(subscription.closing(old, held, products, stages.places), Cause.CLOSED)
    stages.dsmp(Operation.CLOSE_RELATION, Cause.CLOSED)
    stages.hlr(Operation.REMOVE_SUBSCRIBER, Cause.CLOSED)
    stages.hlr(Operation.REMOVE_KEY, Cause.CLOSED)
    return stages.leading_to(User(UserState.TERMINATED, None, suspension.NO_REASONS))


def _publish(
    product: Product, routes: Routes, products: Products, transaction: str
) -> Plan | Impossible:
    """To the DSMP, then to the platforms side by side; every target takes a repeat as such."""
    active = products.active(product.id)
    if active is not None and active.version >= product.version:
        if active.version == product.version:
            return Plan((), None, (Mark.NO_CHANGE,))
        return Impossible("PRODUCT_VERSION_OLD", f"version {active.version} is active by now")
    stages = _Stages(NOBODY, routes, transaction)
    stages.steps(subscription.relations_published(product, routes.dsmp), Cause.ORDERED)
    stages.at_once(subscription.platforms_published(product), Cause.ORDERED)
    return stages.leading_to(None)


def refuse_unfit(new: Holding, user: User, routes: Routes, products: Products) -> None:
    """Raises Conflict when this user cannot have the product now."""
    if user.binding is None:
        raise Conflict("USER_TERMINATED", "the user is terminated", "user_id")
    held = next((one for one in user.products if one.product == new.product), None)
    if held is not None and held != new:
        text = f"the user has version {held.version} otherwise; unsubscribe it first"
        raise Conflict("PRODUCT_HELD", text, "product")
    if held is None and len(user.products) >= limits.USER_PRODUCTS_MAX:
        text = f"the user has {limits.USER_PRODUCTS_MAX} products"
        raise Conflict("PRODUCTS_OF_USER_FULL", text, "product")
    product = products.get(new.product, new.version)
    if user.reasons and any(one.kind is ServiceKind.CONTENT for one in product.services):
        text = "the line is stopped, and the product has content; subscribe when it is resumed"
        raise Conflict("LINE_STOPPED", text, "product")
    dialect = routes.dialects.get(user.binding.hlr, "")
    missing = subscription.scripts_missing(product, dialect)
    if missing is not None:
        text = f"service {missing.name} has no script for {user.binding.hlr} ({dialect})"
        raise Conflict("PRODUCT_NOT_ON_HLR", text, "product")


def _subscribe(
    order: ProductSubscribe, user: User, routes: Routes, products: Products, transaction: str
) -> Plan | Impossible:
    assert order.product_version is not None, "fixed when the order was taken"
    product = products.get(order.product, order.product_version)
    new = Holding(product.id, product.version, publication.choose(product, order.attributes))
    if new in user.products:
        return Plan((), user, (Mark.NO_CHANGE,))
    try:
        refuse_unfit(new, user, routes, products)
    except Conflict as refusal:
        return Impossible(refusal.code, refusal.detail)
    assert user.binding is not None, "a terminated user is unfit"
    stages = _Stages(user.binding, routes, transaction)
    for step in subscription.joining(new, user.products, products, stages.places):
        stages.steps([step], Cause.ORDERED)
        pause = subscription.paused(step) if user.reasons else None
        if pause is not None:
            stages.steps([pause], Cause.STOPPED)
    return stages.leading_to(replace(user, products=(*user.products, new)))


def _unsubscribe(
    order: ProductUnsubscribe, user: User, routes: Routes, products: Products, transaction: str
) -> Plan:
    old = next((one for one in user.products if one.product == order.product), None)
    if old is None or user.binding is None:
        return Plan((), user, (Mark.NO_CHANGE,))
    others = tuple(one for one in user.products if one is not old)
    stages = _Stages(user.binding, routes, transaction)
    stages.steps(subscription.leaving(old, others, products, stages.places), Cause.CLOSED)
    return stages.leading_to(replace(user, products=others))
