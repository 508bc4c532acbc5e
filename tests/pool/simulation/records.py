"""The journal's records of an order that opens a user, and of the end of its binding."""

from datetime import datetime

from hlrd.domain.identity import Binding, UserId
from hlrd.ports import Acceptance, BindingEnd, Closing
from hlrd.store.batch import Numbered
from tests.pool.simulation.run import Opening


def an_acceptance(opening: Opening, *, at: datetime) -> Acceptance:
    return Acceptance(
        id=opening.order_id,
        source="CRM",
        order_id=f"order {opening.order_id}",
        kind="MEMBER_ACTIVATE",
        user_id=UserId(opening.user_id),
        operator_id="op",
        province="200",
        priority=2,
        content_hash=b"",
        payload=b"{}",
        accepted_at=at,
        session=None,
        binding=_binding(opening),
        is_named=not opening.is_drawn,
    )


def a_closing(
    opening: Opening, order_id: int, *, at: datetime, end: BindingEnd | None, seq: int
) -> Numbered:
    closing = Closing(
        order_id=order_id,
        source="CRM",
        user_id=UserId(opening.user_id),
        state="succeeded",
        receipt=b"{}",
        trail=b"[]",
        closed_at=at,
        binding_end=end,
        binding=_binding(opening) if end else None,
    )
    return Numbered(seq, closing)


def _binding(opening: Opening) -> Binding:
    card, user = opening.card, UserId(opening.user_id)
    return Binding(user, opening.msisdn, card.imsi, card.iccid, card.hlr, card.province, card.key)
