"""Which acts an order at the desk is open to, and what each decides."""

from typing import Final, Protocol

from hlrd.domain.catalogue import BY_NAME, Direction
from hlrd.domain.errors import Conflict, NotFound
from hlrd.domain.fallout import Act, way_of
from hlrd.store.fallout import Decision, FalloutRow


class Stuck(Protocol):
    """An order at the desk, however it was read."""

    @property
    def order_id(self) -> int: ...

    @property
    def kind(self) -> str: ...

    @property
    def step(self) -> str: ...

    @property
    def is_undo(self) -> bool: ...


NOT_THERE: Final = NotFound("NOT_IN_FALLOUT", "no order of that id waits for a person", "id")


def released() -> Conflict:
    return Conflict("FALLOUT_RELEASED", "a person has let this order go already", "id")


def refuse_unfit(act: Act, stuck: Stuck) -> None:
    """Raises what stands against doing `act` to this order."""
    if act is Act.CANCEL and not can_roll_back(stuck):
        text = f"this {stuck.kind} can only go forward by now; resend, skip or finish it"
        raise Conflict("CANNOT_ROLL_BACK", text, "id")
    if act is Act.SKIP and not stuck.step:
        text = "it is not known which step failed; resend it, and skip where it fails again"
        raise Conflict("STEP_UNKNOWN", text, "id")


def can_roll_back(stuck: Stuck) -> bool:
    """What is undone by its kind, and was on its way back: past its turning point it is not."""
    kind = BY_NAME.get(stuck.kind)
    return kind is not None and kind.direction is Direction.BACKWARD and stuck.is_undo


def acts_for(row: FalloutRow) -> list[Act]:
    """What a person may do with it now."""
    if row.way is not None:
        return []
    kind = BY_NAME.get(row.kind)
    closed = set() if kind is not None and kind.changeable else {Act.CHANGE}
    if not can_roll_back(row):
        closed.add(Act.CANCEL)
    if not row.step:
        closed.add(Act.SKIP)
    return [act for act in Act if act not in closed]


def decision(
    act: Act,
    stuck: Stuck,
    *,
    reason: str,
    operator_id: str,
    bulk_id: int | None = None,
    payload: bytes | None = None,
) -> Decision:
    return Decision(
        order_id=stuck.order_id,
        step=stuck.step,
        way=way_of(act, is_undo=stuck.is_undo),
        reason=reason,
        operator_id=operator_id,
        skipped=(stuck.step,) if act is Act.SKIP else (),
        bulk_id=bulk_id,
        payload=payload,
    )
