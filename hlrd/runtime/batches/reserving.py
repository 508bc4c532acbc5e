"""What a batch of openings needs is kept for it before its first row is handed in, or it is refused
as a whole: no half batch for lack of numbers.
"""

import asyncio
from collections.abc import Mapping, Sequence
from hashlib import blake2b
from typing import Final, Protocol

from hlrd import limits
from hlrd.domain.errors import Busy, Conflict, Refusal
from hlrd.domain.identity import ICCID, MSISDN
from hlrd.pool.reservation import Asked
from hlrd.runtime.batches.check import Wanted
from hlrd.runtime.batches.children import PART_NUMBERS, Need
from hlrd.store.batches import BatchRow
from hlrd.store.errors import StoreUnavailable
from hlrd.store.record import ReservationRow

NONE: Final = 0
"""In the place of a reservation that could not be made, where that is allowed."""


class Reservations(Protocol):
    """`runtime.reservations`, as far as it is needed here."""

    async def reserve(self, asked: Asked) -> tuple[ReservationRow, bool]: ...

    async def keep_cards(self, reservation: int, iccids: Sequence[ICCID]) -> Sequence[ICCID]:
        """Those that could not be kept."""
        ...

    async def cancel(self, reservation: int, source: str | None) -> ReservationRow: ...


class Reserving:
    """Once or twice is the same: every reservation has a key of its own."""

    def __init__(self, reservations: Reservations) -> None:
        self._reservations = reservations

    async def reserve(
        self, batch: BatchRow, wanted: Mapping[Need, Wanted]
    ) -> Mapping[str, Sequence[int]]:
        """Ids by need. Raises the Refusal of what is lacking; then nothing is kept."""
        made: dict[str, list[int]] = {}
        try:
            for need, want in wanted.items():
                ids = made.setdefault(need.key, [])
                for part in range(0, want.count, PART_NUMBERS):
                    ids.append(await self._one(batch, need, want, part))
        except Refusal:
            await self.let_go(made)
            raise
        return made

    async def let_go(self, reservations: Mapping[str, Sequence[int]]) -> None:
        """What no order has confirmed is idle again."""
        for ids in reservations.values():
            for id in ids:
                if id != NONE:
                    await self._patiently_cancel(id)

    async def _one(self, batch: BatchRow, need: Need, want: Wanted, part: int) -> int:
        asked = _asked(batch, need, want, part)
        try:
            id = await self._patiently_reserve(asked)
        except Refusal:
            if batch.is_partial:
                return NONE
            raise
        cards = [ICCID(iccid) for iccid in want.cards[part : part + PART_NUMBERS]]
        if cards and not need.with_cards:
            await self._keep(batch, id, cards)
        return id

    async def _keep(self, batch: BatchRow, id: int, cards: Sequence[ICCID]) -> None:
        lost = await self._reservations.keep_cards(id, cards)
        if lost and not batch.is_partial:
            await self._patiently_cancel(id)
            text = f"{len(lost)} cards were taken since the check, the first is {lost[0]}"
            raise Conflict("CARD_TAKEN", text, "iccid")

    async def _patiently_reserve(self, asked: Asked) -> int:
        """Busy, or still being filled: asked again."""
        while True:
            try:
                row, _ = await self._reservations.reserve(asked)
            except Busy as busy:
                await asyncio.sleep(busy.retry_after_s)
                continue
            if row.state != "open":
                raise Conflict("RESERVATION_ENDED", "what was reserved for it is gone again")
            return int(row.id)

    async def _patiently_cancel(self, id: int) -> None:
        while True:
            try:
                await self._reservations.cancel(id, None)
            except Conflict:
                return  # expired: it holds nothing any more
            except StoreUnavailable:
                await asyncio.sleep(limits.STORE_RETRY_DELAY_S_MAX)
            else:
                return


def _asked(batch: BatchRow, need: Need, want: Wanted, part: int) -> Asked:
    name = blake2b(need.key.encode(), digest_size=8).hexdigest()
    numbers = tuple(MSISDN(number) for number in want.numbers[part : part + PART_NUMBERS])
    return Asked(
        source=batch.source,
        key=f"batch-{batch.id}-{name}-{part // PART_NUMBERS}",
        content_hash=name.encode(),
        operator_id=batch.operator_id,
        pool=need.pool,
        province=need.province,
        digits=need.digits,
        count=min(PART_NUMBERS, want.count - part),
        ttl_s=limits.BATCH_RESERVATION_TTL_S,
        hlr=need.hlr,
        numbers=numbers,
        with_cards=need.with_cards,
        lot=need.lot,
        is_partial=batch.is_partial,
    )
