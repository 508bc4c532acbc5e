"""From an order and its user to the tasks that bring the network there. Pure.

A plan is a tuple of stages: the tasks of one stage may run side by side, the next stage starts when
all of them are done. It is made when the order is first within its user, so that it starts from
what every earlier order really left behind.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from hlrd.domain.fallout import UNDOES
from hlrd.domain.group import NO_GROUPS, Enterprises, GroupPlaces
from hlrd.domain.identity import Binding
from hlrd.domain.operation import UNDO, Cause, Details, Task
from hlrd.domain.policy import USUAL_POLICY, Policy
from hlrd.domain.publication import Products
from hlrd.domain.role import Role
from hlrd.domain.user import User


class Mark(StrEnum):
    """What a success receipt says beside "succeeded"."""

    NO_CHANGE = "NO_CHANGE"
    NOT_SUSPENDED_FOR_REASON = "NOT_SUSPENDED_FOR_REASON"
    SUPERSEDED = "SUPERSEDED"  #: a later order about the same was applied before
    COALESCED = "COALESCED"  #: stop and resume took each other back before any command
    DUPLICATE_OF = "DUPLICATE_OF"  #: another order did the same already; `duplicate_of` names it
    STATE_MISMATCH = "STATE_MISMATCH"  #: the master's word differed from what hlrd had worked out
    PREDECESSOR_MISSING = "PREDECESSOR_MISSING"  #: the order before it in sequence never came


@dataclass(frozen=True, slots=True)
class Routes:
    """What the site says for every plan: where tasks go that the binding does not decide, and which
    rules it chose."""

    dsmp: str  #: empty where headquarters has it
    templates: Mapping[str, Mapping[str, int]]
    """HLR -> services joined by "+" -> template number; any services of one at headquarters."""
    dialects: Mapping[str, str] = field(default_factory=dict)  #: of every NE
    platforms: frozenset[str] = frozenset()  #: NEs, beside the DSMP, that take products
    sheets: str = ""  #: the NE that takes work sheets; empty: none does
    groups: GroupPlaces = NO_GROUPS
    policy: Policy = USUAL_POLICY
    has_network: bool = field(init=False)  #: HLRs and DSMP are commanded here; asked every order

    def __post_init__(self) -> None:
        object.__setattr__(self, "has_network", self.groups.role_missing is not Role.HQ)


class Plan(Struct, frozen=True, gc=False):
    stages: tuple[tuple[Task, ...], ...]
    user: User | None  #: the user once all stages are done; None for an order of no user
    marks: tuple[Mark, ...] = ()
    turning_point: int | None = None
    """The stage that cannot be undone once it is done: behind it, the order only goes forward."""
    leaves_ec: bool = False  #: the user is a member no more


@dataclass(frozen=True, slots=True)
class Impossible:
    """The order can no longer be carried out: what went before took its ground away."""

    code: str
    text: str


UNKNOWN_USER: Final = Impossible("USER_UNKNOWN", "the user was never opened, or its opening failed")
EC_NOT_READY: Final = Impossible("EC_NOT_READY", "the enterprise has no such product, or not yet")
EC_ROUTE_MISSING: Final = Impossible(
    "EC_ROUTE_MISSING", "a platform or relay that it takes is not configured; see [groups]"
)
NO_MEMBER: Final = Impossible("DEPENDENCY_FAILED", "the member's opening failed, or never came")
TERMINATED_USER: Final = Impossible("USER_TERMINATED", "the user is terminated")
PRE_TERMINATED_USER: Final = Impossible(
    "USER_PRE_TERMINATED", "the user is pre-terminated; reinstate or terminate it"
)
PAY_FIRST: Final = Impossible(
    "ARREARS_PAY_FIRST", "the line is stopped for arrears; the customer pays first"
)
OTHER_NUMBER: Final = Impossible("USER_NUMBER_MISMATCH", "the user has another number")


class Ground(Struct, frozen=True, gc=False):
    """What a plan is made from, beside the order and its user."""

    routes: Routes
    products: Products
    transaction: str  #: names the order towards peers that recognise a repeat by it
    enterprises: Enterprises = msgspec.field(default_factory=Enterprises)
    source: str = ""  #: who sent the order
    target: Binding | None = None  #: what the order holds to be bound, of a change (`domain.claim`)


def undo(done: list[Task]) -> tuple[tuple[Task, ...], ...]:
    """The stages that take back what was done, last first; what has no undo is left as it is."""
    return tuple(
        (
            replace(
                task,
                operation=UNDO[task.operation],
                binding=task.details.target or task.binding,
                cause=Cause.CLOSED,
                transaction=task.transaction + UNDOES,
                details=_reversed(task),
            ),
        )
        for task in reversed(done)
        if task.operation in UNDO
    )


def _reversed(task: Task) -> Details:
    details = task.details
    if details.target is not None:
        return replace(details, target=task.binding)
    if not details.undo_script:
        return details
    return replace(details, script=details.undo_script, undo_script=details.script)
