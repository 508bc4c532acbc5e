"""Engines that break one rule each, to prove that the model would notice."""

from collections.abc import Callable
from itertools import count
from typing import Any, Final

from msgspec.structs import replace
from pytest import MonkeyPatch  # noqa: PT013

from hlrd.domain import batch, suspension, turn
from hlrd.domain.catalogue import OrderKind
from hlrd.domain.fallout import Act
from hlrd.domain.group import Enterprises
from hlrd.domain.operation import Cause
from hlrd.domain.orders import Resume
from hlrd.domain.plans import change, group, standing
from hlrd.domain.plans.stages import Stages
from hlrd.domain.suspension import NO_REASONS
from hlrd.engine import completion
from hlrd.engine.groups import Groups
from hlrd.ports import BindingEnd
from tests.model.steps import Crash, Desk, Down, Extra, Fate, Faults, Pause, Post, Sequence, Step
from tests.simulation.mutants import (
    counts_each_product_alone,
    forgets_what_was_applied,
    forgets_what_was_done,
    resends_after_silence,
    takes_silence_for_success,
)


def takes_back_stops_for_other_reasons(patch: MonkeyPatch) -> None:
    reason_of = turn._reason_of
    patch.setattr(turn, "_reason_of", lambda one: reason_of(one) and "ANY")


def clears_every_reason(patch: MonkeyPatch) -> None:
    clear = suspension.clear_reason

    def all_of_them(reasons: Any, reason: Any) -> Any:
        found = clear(reasons, reason)
        return suspension.Change(
            NO_REASONS, found.before, suspension.Level.NONE, found.is_no_change
        )

    patch.setattr(suspension, "clear_reason", all_of_them)


def frees_the_line_for_any_resume(patch: MonkeyPatch) -> None:
    """The reasons are right, and the network is not."""
    moved = standing.moved

    def early(before: Any, after: Any, ground: Any, cause: Cause, *marks: Any) -> Any:
        plan = moved(before, after, ground, cause, *marks)
        if cause is not Cause.RESUMED or not after.level:
            return plan
        freed = moved(before, replace(after, reasons=NO_REASONS), ground, cause)
        return replace(plan, stages=freed.stages)

    patch.setattr(standing, "moved", early)


def bars_what_is_barred(patch: MonkeyPatch) -> None:
    def always(before: Any, after: Any, ground: Any, cause: Cause, *marks: Any) -> Any:
        stages = Stages(before.binding, ground)
        stages.hlr(standing.Operation.SET_BARRING, cause, after.level)
        if suspension.Level.NONE in (before.level, after.level) and before.level != after.level:
            standing.tell_of_line(stages, after, ground, cause)
        return stages.leading_to(after, *marks)

    patch.setattr(standing, "moved", always)


def forgets_reasons_at_replacement(patch: MonkeyPatch) -> None:
    patch.setattr(change, "_without_lost", lambda user: NO_REASONS)


def gives_back_what_is_not_proven_clean(patch: MonkeyPatch) -> None:
    patch.setattr(completion, "_taken_back", lambda order: BindingEnd.ROLLED_BACK)


def serves_members_that_are_not_opened(patch: MonkeyPatch) -> None:
    patch.setattr(Groups, "_lack", lambda self, order, lane: "")


def opens_members_of_stopped_enterprises_free(patch: MonkeyPatch) -> None:
    patch.setattr(Enterprises, "stops_of", lambda self, ec_code: NO_REASONS)


def meets_members_twice(patch: MonkeyPatch) -> None:
    """A child that is handed in again after a restart is another order."""
    numbers, named = count(), batch.child_id
    patch.setattr(batch, "child_id", lambda id, row: f"{named(id, row)}-{next(numbers)}")


def takes_orders_of_the_pre_terminated(patch: MonkeyPatch) -> None:
    patch.setattr(OrderKind, "is_possible_for", lambda self, user: True)


def leaves_products_of_who_left(patch: MonkeyPatch) -> None:
    patch.setattr(group, "_held_of", lambda user, ec_code: [])


def refuses_what_a_stop_left(patch: MonkeyPatch) -> None:
    """A resume is a failure where there is nothing to resume."""
    plan = OrderKind.plan

    def stern(self: OrderKind, order: Any, user: Any, ground: Any) -> Any:
        made = plan(self, order, user, ground)
        is_idle = isinstance(order, Resume) and getattr(made, "marks", ())
        return group.NOT_A_MEMBER if is_idle else made

    patch.setattr(OrderKind, "plan", stern)


MUTANTS: Final[dict[str, Callable[[MonkeyPatch], None]]] = {
    mutant.__name__: mutant
    for mutant in (
        takes_back_stops_for_other_reasons,
        clears_every_reason,
        frees_the_line_for_any_resume,
        bars_what_is_barred,
        resends_after_silence,
        takes_silence_for_success,
        forgets_reasons_at_replacement,
        gives_back_what_is_not_proven_clean,
        forgets_what_was_applied,
        forgets_what_was_done,
        serves_members_that_are_not_opened,
        opens_members_of_stopped_enterprises_free,
        meets_members_twice,
        counts_each_product_alone,
        takes_orders_of_the_pre_terminated,
        leaves_products_of_who_left,
        refuses_what_a_stop_left,
    )
}


def _post(
    kind: str, user: int, a: int = 1, *, b: int = 0, extra: Extra = Extra.PLAIN, rests: bool = True
) -> Post:
    return Post(kind, user, a, b, extra, Pause.REST if rests else Pause.NONE)


def _after_furnishing(*steps: Step) -> Sequence:
    return Sequence(0, True, steps)


WITNESSES: Final[dict[str, tuple[Sequence, ...]]] = {
    takes_back_stops_for_other_reasons.__name__: (
        _after_furnishing(
            Down(0, 5),
            Down(1, 5),
            _post("ARREARS_SUSPEND", 0, rests=False),
            _post("VOLUNTARY_RESUME", 0),
        ),
    ),
    forgets_reasons_at_replacement.__name__: (
        _after_furnishing(_post("ARREARS_SUSPEND", 0), _post("SIM_REPLACE", 0)),
    ),
    gives_back_what_is_not_proven_clean.__name__: tuple(
        _after_furnishing(
            Faults(hlr, (Fate.OK, Fate.REFUSED, Fate.REFUSED)),
            _post("MEMBER_ACTIVATE", 3, 0),
            Desk(0, Act.SKIP, Pause.REST),
        )
        for hlr in (0, 1)
    ),
    counts_each_product_alone.__name__: (
        _after_furnishing(
            _post("PRODUCT_SUBSCRIBE", 2),
            _post("PRODUCT_SUBSCRIBE", 2, b=1),
            _post("PRODUCT_UNSUBSCRIBE", 2),
        ),
    ),
    meets_members_twice.__name__: tuple(
        Sequence(
            seed,
            True,
            (Post("EC_SUSPEND_ALL", 0, 0, 0, Extra.PLAIN, Pause.SOME), Crash(Pause.REST)),
        )
        for seed in range(12)
    ),
    forgets_what_was_applied.__name__: (
        _after_furnishing(
            _post("PAYMENT_RESUME", 0, extra=Extra.HELD_BACK),
            _post("ARREARS_SUSPEND", 0, extra=Extra.LATE),
        ),
    ),
    forgets_what_was_done.__name__: (
        _after_furnishing(
            _post("PAYMENT_RESUME", 0, extra=Extra.ROOT),
            _post("PAYMENT_RESUME", 0, extra=Extra.TWIN),
        ),
    ),
    serves_members_that_are_not_opened.__name__: (
        _after_furnishing(
            Post("MEMBER_PRODUCT_SUBSCRIBE", 3, 0, 0, Extra.NAMED, Pause.SOME),
            Post("MEMBER_PRODUCT_SUBSCRIBE", 4, 0, 0, Extra.NAMED, Pause.SOME),
            _post("MEMBER_ACTIVATE", 3, 0),
        ),
    ),
    opens_members_of_stopped_enterprises_free.__name__: (
        _after_furnishing(_post("EC_SUSPEND_ALL", 0, 0), _post("MEMBER_ACTIVATE", 3, 0)),
    ),
}
"""For those that chance would look for long: sequences of which one at least goes wrong."""
