"""Accept and close records with defaults, and an engine that only remembers what it was told."""

import asyncio
from collections.abc import Callable, Sequence
from datetime import UTC, datetime

from hlrd.domain.identity import ICCID, IMSI, MSISDN, Binding, SealedKey, UserId
from hlrd.domain.product import Holding, Product
from hlrd.domain.user import User
from hlrd.ports import Acceptance, BindingEnd, Clash, Closing

NOW = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)


def a_binding(n: int, **changes: str) -> Binding:
    return Binding(
        user_id=UserId(changes.get("user_id", f"{n:010}")),
        msisdn=MSISDN(changes.get("msisdn", f"{1064800000000 + n}")),
        imsi=IMSI(changes.get("imsi", f"{460040000000000 + n}")),
        iccid=ICCID(changes.get("iccid", f"8986042020{n:09}")),
        hlr="hlr1",
        province="200",
        key=SealedKey("k1", b"sealed"),
    )


def an_acceptance(
    id: int,
    *,
    binding: Binding | None = None,
    user_id: str = "",
    order_id: str = "",
    product: Product | None = None,
) -> Acceptance:
    user = UserId(user_id or (binding.user_id if binding else f"{id:010}"))
    return Acceptance(
        id=id,
        source="CRM",
        order_id=order_id or f"order-{id}",
        kind="MEMBER_ACTIVATE" if binding else "ARREARS_SUSPEND",
        user_id=user,
        operator_id="op",
        province="200",
        priority=2,
        content_hash=bytes(16),
        payload=b"{}",
        accepted_at=NOW,
        session=None,
        binding=binding,
        product=product,
    )


def a_closing(
    order_id: int,
    *,
    user_id: str = "",
    is_final: bool = True,
    source: str = "CRM",
    user: User | None = None,
    binding_end: BindingEnd | None = None,
    binding: Binding | None = None,
    quarantine_days: int | None = None,
    products: tuple[Holding, ...] | None = None,
    activated: Product | None = None,
) -> Closing:
    return Closing(
        order_id=order_id,
        source=source,
        user_id=UserId(user_id or (binding.user_id if binding else f"{order_id:010}")),
        state="succeeded" if is_final else "fallout",
        receipt=b'{"of": %d}' % order_id,
        trail=b"[]",
        closed_at=NOW,
        is_final=is_final,
        user=user,
        binding_end=binding_end,
        binding=binding,
        quarantine_days=quarantine_days,
        products=products,
        activated=activated,
    )


class Told:
    """Stands in for the engine."""

    def __init__(self) -> None:
        self.accepted: list[int] = []
        self.closed: list[int] = []
        self.clashes: dict[int, Clash] = {}

    def on_accepted(self, order_ids: Sequence[int]) -> None:
        self.accepted += order_ids

    def on_closed(self, order_ids: Sequence[int]) -> None:
        self.closed += order_ids

    def on_clash(self, order_id: int, clash: Clash) -> None:
        self.clashes[order_id] = clash


async def until(condition: Callable[[], bool]) -> None:
    """Poll with a deadline."""
    async with asyncio.timeout(30):
        while not condition():  # noqa: ASYNC110 - the database is what is waited for
            await asyncio.sleep(0.005)
