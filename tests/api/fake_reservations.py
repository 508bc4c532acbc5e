"""Reservations in a dictionary, for tests that ask the API about other things."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime

from hlrd.domain.errors import NotFound
from hlrd.domain.identity import MSISDN
from hlrd.pool.reservation import Asked
from hlrd.store.record import ReservationRow, ReservedNumber

NOON = datetime(2026, 11, 21, 12, tzinfo=UTC)
FIRST = 1064900000000


@dataclass
class FakeReservations:
    asked: list[Asked] = field(default_factory=list)
    rows: dict[int, ReservationRow] = field(default_factory=dict)
    chosen: dict[int, Sequence[MSISDN]] = field(default_factory=dict)
    ttls: list[int] = field(default_factory=list)

    async def reserve(self, asked: Asked) -> tuple[ReservationRow, bool]:
        for row in self.rows.values():
            if (row.source, row.key) == (asked.source, asked.key):
                return row, True
        self.asked.append(asked)
        number = len(self.rows) + 1
        row = ReservationRow(
            str(number), asked.source, asked.key, "open", asked.operator_id, asked.pool,
            asked.province, asked.digits, asked.hlr, asked.grade, asked.with_cards,
            asked.count, asked.count, 0, NOON, NOON,
        )  # fmt: skip
        self.rows[number] = row
        return row, False

    async def read(self, reservation: int, source: str | None) -> ReservationRow:
        row = self.rows.get(reservation)
        if row is None or source not in (None, row.source):
            raise NotFound("RESERVATION_UNKNOWN", "no reservation of yours has this id")
        return row

    async def page(self, source: str | None, before: int, limit: int) -> list[ReservationRow]:
        found = [row for number, row in self.rows.items() if number < before]
        return [row for row in reversed(found) if source in (None, row.source)][:limit]

    async def numbers(self, reservation: int, after: int, limit: int) -> list[ReservedNumber]:
        count = self.rows[reservation].granted or 0
        numbers = range(max(FIRST, after + 1), FIRST + count)
        return [ReservedNumber(str(number), "hlr1") for number in numbers[:limit]]

    async def extend(self, reservation: int, source: str | None, ttl_s: int) -> ReservationRow:
        self.ttls.append(ttl_s)
        return await self.read(reservation, source)

    async def cancel(self, reservation: int, source: str | None) -> ReservationRow:
        row = replace(await self.read(reservation, source), state="cancelled")
        self.rows[reservation] = row
        return row

    async def choose(
        self, reservation: int, source: str | None, numbers: Sequence[MSISDN], ttl_s: int
    ) -> ReservationRow:
        row = replace(await self.read(reservation, source), granted=len(numbers))
        self.rows[reservation], self.chosen[reservation] = row, numbers
        self.ttls.append(ttl_s)
        return row
