"""What is done for one user at an NE of each dialect, as orders."""

from typing import Final, NamedTuple

from msgspec.structs import replace

from hlrd.domain.identity import IMSI, MSISDN, Binding, UserId
from hlrd.domain.operation import NO_DETAILS, UNDO, Details, Operation, Task
from tests.adapters.conformance import EMULATED, ground, the_task

NE: Final = "ne1"
CHANGES: Final = frozenset({Operation.CHANGE_CARD, Operation.CHANGE_NUMBER})
"""Of a user who is open already."""

_IDENTITIES_PER_USER: Final = 100


class Life(NamedTuple):
    opening: tuple[Task, ...]  #: one order, which is undone when a task of it fails
    later: tuple[Task, ...]  #: each an order of its own, which only goes forward


def life(dialect: str, user: int) -> Life:
    """Every operation of the dialect, with its own identities for each user."""
    operations = EMULATED[dialect].life
    opening = [the_task(dialect, each) for each in operations if _opens(each)]
    later = [
        task
        for each in operations
        if not _opens(each)
        for task in (*ground(each), the_task(dialect, each))
    ]
    tasks = [_of(user, at, task) for at, task in enumerate([*opening, *later])]
    return Life(tuple(tasks[: len(opening)]), tuple(tasks[len(opening) :]))


def _opens(operation: Operation) -> bool:
    if operation in CHANGES:
        return False
    return operation in UNDO or operation is Operation.PUBLISH_PRODUCT


def _of(user: int, at: int, task: Task) -> Task:
    """The transactions of one user begin with the same number, as those of one sheet must."""
    return replace(
        task,
        ne=NE,
        binding=_binding(task.binding, user),
        details=_details(task.details, user),
        transaction=f"{user}x{at:02d}",
    )


def _binding(binding: Binding, user: int) -> Binding:
    shift = user * _IDENTITIES_PER_USER
    return replace(
        binding,
        user_id=UserId(str(user)),
        imsi=IMSI(f"{int(binding.imsi) + shift:015d}"),
        msisdn=MSISDN(str(int(binding.msisdn) + shift)),
    )


def _details(details: Details, user: int) -> Details:
    """Each user has a product, a service and an enterprise of his own."""
    if details == NO_DETAILS:
        return NO_DETAILS
    attributes = dict(details.attributes)
    if "sp_service_id" in attributes:
        attributes["sp_service_id"] = f"VIDEO{user:02d}"
    return replace(
        details,
        product=details.product and f"P{user}",
        ec_code=details.ec_code and f"E{user}",
        target=details.target and _binding(details.target, user),
        attributes=attributes,
    )
