"""What every planner builds with."""

from collections.abc import Iterable

from hlrd.domain.identity import Binding
from hlrd.domain.operation import NO_DETAILS, Cause, Details, Operation, Task
from hlrd.domain.plans.plan import Ground, Mark, Plan, Routes
from hlrd.domain.subscription import Places, Step
from hlrd.domain.suspension import Level
from hlrd.domain.user import User


class Stages:
    """Collects the stages, of one task each but where said otherwise, and numbers transactions."""

    def __init__(self, binding: Binding, ground: Ground) -> None:
        self._binding = binding
        self._routes = ground.routes
        self._transaction = ground.transaction
        self._stages: list[tuple[Task, ...]] = []
        self._count = 0

    @property
    def places(self) -> Places:
        return places_of(self._binding, self._routes)

    def __len__(self) -> int:
        return len(self._stages)

    def act_on(self, binding: Binding) -> None:
        """What is added from now on is about this card and number."""
        self._binding = binding

    def hlr(
        self,
        operation: Operation,
        cause: Cause,
        level: Level = Level.NONE,
        template: str = "",
        details: Details = NO_DETAILS,
    ) -> None:
        self._add(
            operation, self._binding.hlr, cause, level=level, template=template, details=details
        )

    def dsmp(self, operation: Operation, cause: Cause) -> None:
        self._add(operation, self._routes.dsmp, cause)

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
        self,
        operation: Operation,
        ne: str,
        cause: Cause,
        *,
        level: Level = Level.NONE,
        template: str = "",
        details: Details = NO_DETAILS,
    ) -> None:
        name = self._next_name()
        task = Task(operation, ne, self._binding, cause, level, template, name, details)
        self._stages.append((task,))

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
        number = f"{count:02d}" if count < 100 else f"{count:05d}"
        return self._transaction + number

    def leading_to(self, user: User | None, *marks: Mark, turning_point: int | None = None) -> Plan:
        return Plan(tuple(self._stages), user, marks, turning_point)


def places_of(binding: Binding, routes: Routes) -> Places:
    return Places(
        binding.hlr,
        routes.dialects.get(binding.hlr, ""),
        routes.dsmp,
        routes.sheets,
        routes.groups,
        routes.has_network,
    )
