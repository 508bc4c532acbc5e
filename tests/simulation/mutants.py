"""Engines with one fault each, to prove that the promises are watched."""

from collections.abc import Callable
from typing import Any, Final

from msgspec.structs import replace
from pytest import MonkeyPatch  # noqa: PT013

from hlrd.domain import subscription, turn
from hlrd.domain.catalogue import Direction, OrderKind
from hlrd.domain.lifecycle import OrderState, ProductState, TaskState
from hlrd.domain.operation import Operation
from hlrd.domain.orders import ArrearsSuspend, UserTerminate, WorkOrder
from hlrd.domain.outcome import Decision, Step, Verdict, decide
from hlrd.domain.plans import change
from hlrd.domain.plans.plan import Ground, Plan
from hlrd.domain.product import Product
from hlrd.domain.publication import Products
from hlrd.domain.user import User
from hlrd.engine import completion, execution, turns, wayback
from hlrd.engine.engine import Engine
from hlrd.engine.execution import Execution
from hlrd.engine.hand import Hand
from hlrd.engine.intake import Intake
from hlrd.engine.overflow import Overflow
from hlrd.engine.parking import Parking
from hlrd.ports import ClaimEnd


def resends_after_silence(patch: MonkeyPatch) -> None:
    def hasty(outcome: Any, **rest: Any) -> Decision:
        if outcome.verdict is Verdict.IN_DOUBT and not rest["is_read_back"]:
            return Decision(Step.RESEND, delay_s=1.0)
        return decide(outcome, **rest)

    patch.setattr(execution, "decide", hasty)


def reads_back_at_once(patch: MonkeyPatch) -> None:
    patch.setattr(
        execution, "decide", lambda outcome, **rest: decide(outcome, **rest | {"settle_s": 0.0})
    )


def takes_silence_for_success(patch: MonkeyPatch) -> None:
    def hopeful(outcome: Any, **rest: Any) -> Decision:
        if outcome.verdict is Verdict.IN_DOUBT:
            return Decision(Step.DONE)
        return decide(outcome, **rest)

    patch.setattr(execution, "decide", hopeful)


def forgets_to_put_back(patch: MonkeyPatch) -> None:
    def forget(self: Hand, entry: Any, clash: Any) -> None:
        entry.binding, entry.claim, entry.is_in_hand = None, None, False

    patch.setattr(Hand, "let_go", forget)


def closes_twice(patch: MonkeyPatch) -> None:
    end = Engine._end

    def twice(self: Engine, order: Any) -> None:
        end(self, order)
        if order.id % 7 == 0:
            self._journal.close(execution_closing(self, order))

    def execution_closing(self: Engine, order: Any) -> Any:
        from hlrd.engine import completion

        return completion.closing(order, self._clock.wall())

    patch.setattr(Engine, "_end", twice)


def runs_before_parked_orders(patch: MonkeyPatch) -> None:
    patch.setattr(Overflow, "must_park", lambda self, order: len(self._book) > 6)


def never_parks(patch: MonkeyPatch) -> None:
    patch.setattr(Overflow, "must_park", lambda self, order: self._parking.has(order.user_id))


def never_reads_parked_orders(patch: MonkeyPatch) -> None:
    patch.setattr(Parking, "take", lambda self, room: [])


def skips_compensation(patch: MonkeyPatch) -> None:
    patch.setattr(execution, "undo", lambda done: ())


def undoes_only_what_it_saw_done(patch: MonkeyPatch) -> None:
    patch.setattr(wayback, "_may_stand", lambda task: task.state is TaskState.DONE)


def trusts_the_run_before(patch: MonkeyPatch) -> None:
    start = Execution.start

    def trusting(self: Execution, lane: Any) -> None:
        for order in lane.queue:
            order.is_doubted = False
        start(self, lane)

    patch.setattr(Execution, "start", trusting)


def believes_an_old_read(patch: MonkeyPatch) -> None:
    may_load = Overflow._may_load

    def trusting(self: Overflow, item: Any, reading: Any) -> bool:
        reading.outdated.clear()
        return may_load(self, item, reading)

    patch.setattr(Overflow, "_may_load", trusting)


def loads_what_was_closed_meanwhile(patch: MonkeyPatch) -> None:
    def may_load(self: Overflow, item: Any, reading: Any) -> bool:
        return item.id not in self._book.orders

    remove = Parking.remove
    patch.setattr(Overflow, "_may_load", may_load)
    patch.setattr(
        Parking, "remove", lambda self, order, p: remove(self, order, p) if order in self else None
    )


def runs_as_it_came(patch: MonkeyPatch) -> None:
    patch.setattr(execution, "in_order", lambda queue: queue)


def forgets_what_was_applied(patch: MonkeyPatch) -> None:
    patch.setattr(turn, "_is_late", lambda one, applied: False)


def forgets_what_was_done(patch: MonkeyPatch) -> None:
    patch.setattr(turn, "business_key", lambda kind, order: None)
    patch.setattr(turns, "business_key", lambda kind, order: None)


def coalesces_with_what_stood_before(patch: MonkeyPatch) -> None:
    coalescing = turn.coalescing

    def careless(line: Any, user: Any, applied: Any) -> Any:
        return coalescing(line, replace(user, reasons={}), applied)

    patch.setattr(turn, "coalescing", careless)


def coalesces_what_was_sent(patch: MonkeyPatch) -> None:
    def is_unsent(order: Any) -> bool:
        return order.state is OrderState.EXECUTING and order.release is None

    patch.setattr(Execution, "is_unsent", staticmethod(is_unsent))


def takes_up_what_is_not_due(patch: MonkeyPatch) -> None:
    patch.setattr(Engine, "_put_off", lambda self, order: None)


def does_not_block_behind_fallout(patch: MonkeyPatch) -> None:
    patch.setattr(Parking, "is_blocked", lambda self, user: False)
    patch.setattr(Parking, "block", lambda self, user: None)
    patch.setattr(Parking, "unblock", lambda self, user: None)


def forgets_the_relation(patch: MonkeyPatch) -> None:
    plan = OrderKind.plan

    def partial(self: OrderKind, order: WorkOrder, user: User | None, ground: Ground) -> Any:
        made = plan(self, order, user, ground)
        if not isinstance(order, UserTerminate):
            return made
        kept = [s for s in made.stages if s[0].operation is not Operation.CLOSE_RELATION]
        return replace(made, stages=tuple(kept))

    patch.setattr(OrderKind, "plan", partial)


def lifts_every_reason(patch: MonkeyPatch) -> None:
    """Bars, and says that nothing changed."""
    plan = OrderKind.plan

    def idle(self: OrderKind, order: WorkOrder, user: User | None, ground: Ground) -> Any:
        if isinstance(order, ArrearsSuspend):
            return Plan((), user)
        return plan(self, order, user, ground)

    patch.setattr(OrderKind, "plan", idle)


def keeps_the_waiting_waiting(patch: MonkeyPatch) -> None:
    patch.setattr(Intake, "on_leased", lambda self: None)


def counts_each_product_alone(patch: MonkeyPatch) -> None:
    first = subscription._first
    patch.setattr(subscription, "_first", lambda wanted, standing: first(wanted, ()))


def offers_what_is_staged(patch: MonkeyPatch) -> None:
    def at_once(self: Products, product: Product) -> None:
        self.load(product, ProductState.ACTIVE)

    patch.setattr(Products, "stage", at_once)


def turns_back_behind_the_switch(patch: MonkeyPatch) -> None:
    def always(task: Any) -> bool:
        return task.order.kind.direction is Direction.BACKWARD

    patch.setattr(execution, "goes_back", always)
    patch.setattr(wayback, "goes_back", always)


def leaves_the_lost_stopped(patch: MonkeyPatch) -> None:
    patch.setattr(change, "_without_lost", lambda user: user.reasons)


def forgets_what_a_change_held(patch: MonkeyPatch) -> None:
    ends = completion._claim_end

    def only_if_made(order: Any) -> ClaimEnd | None:
        found = ends(order)
        return found if found is None or found.end is None else None

    patch.setattr(completion, "_claim_end", only_if_made)


def forgets_the_version(patch: MonkeyPatch) -> None:
    get = Products.get

    def newest(self: Products, id: str, version: int) -> Product:
        return self.active(id) or get(self, id, version)

    def active(self: Products, id: str) -> Product | None:
        return self._versions[id, self._active[id]].product if id in self._active else None

    patch.setattr(Products, "get", newest)
    patch.setattr(Products, "active", active)


MUTANTS: Final[dict[str, Callable[[MonkeyPatch], None]]] = {
    mutant.__name__: mutant
    for mutant in (
        resends_after_silence,
        reads_back_at_once,
        takes_silence_for_success,
        forgets_to_put_back,
        closes_twice,
        runs_before_parked_orders,
        never_parks,
        never_reads_parked_orders,
        skips_compensation,
        undoes_only_what_it_saw_done,
        trusts_the_run_before,
        believes_an_old_read,
        loads_what_was_closed_meanwhile,
        runs_as_it_came,
        forgets_what_was_applied,
        forgets_what_was_done,
        coalesces_with_what_stood_before,
        coalesces_what_was_sent,
        takes_up_what_is_not_due,
        does_not_block_behind_fallout,
        forgets_the_relation,
        lifts_every_reason,
        keeps_the_waiting_waiting,
        counts_each_product_alone,
        offers_what_is_staged,
        turns_back_behind_the_switch,
        leaves_the_lost_stopped,
        forgets_what_a_change_held,
        forgets_the_version,
    )
}
