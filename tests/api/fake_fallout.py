"""The fallout desk in memory, with the real rules of who may do what."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Any

from hlrd.domain.errors import BadRequest, Conflict, NotFound
from hlrd.domain.fallout import Act, Chosen, way_of
from hlrd.domain.lifecycle import BulkState
from hlrd.runtime.fallout.acts import NOT_THERE, acts_for, refuse_unfit
from hlrd.runtime.fallout.bulk import refuse_same_person
from hlrd.runtime.fallout.desk import refuse_gone
from hlrd.store.bulk import BulkRow
from hlrd.store.fallout import AmendmentRow, CountRow, FalloutRow, FalloutShown, SheetRow
from tests.api.fakes import NOON


def a_fallout_row(order_id: int = 5, **changes: Any) -> FalloutRow:
    row = FalloutRow(
        order_id=order_id, source="BOSS", upstream_id=f"A{order_id}", kind="ARREARS_SUSPEND",
        user_id="1", province="200", priority=3, accepted_at=NOON, ne="hlr1",
        operation="setBarring", verdict="permanent", code="3012", text="no such profile",
        step=f"{order_id}00", is_undo=False, since=NOON, fell_at=NOON, falls=1, way=None,
        skipped=(), reason="", operator_id=None, bulk_id=None, waiting=2, sheet=None,
    )  # fmt: skip
    return replace(row, **changes)


@dataclass
class FakeFalloutDesk:
    rows: dict[int, FalloutRow] = field(default_factory=dict)
    asked: list[Chosen] = field(default_factory=list)
    changed: dict[str, object] = field(default_factory=dict)

    def put(self, row: FalloutRow) -> None:
        self.rows[row.order_id] = row

    async def page(self, chosen: Chosen, after: int, most: int) -> Sequence[FalloutRow]:
        self.asked.append(chosen)
        return [row for row in self.rows.values() if row.order_id > after][:most]

    async def counts(self) -> Sequence[CountRow]:
        return [
            CountRow(row.ne, row.code, row.verdict, 1, int(row.way is None), NOON, row.waiting)
            for row in self.rows.values()
        ]

    async def get(self, order_id: int) -> FalloutRow:
        if order_id not in self.rows:
            raise NOT_THERE
        return self.rows[order_id]

    async def show(self, order_id: int) -> FalloutShown:
        row = await self.get(order_id)
        sheets = [SheetRow(f"{order_id}0001", "open", "op7", "", "", NOON, NOON)]
        amended = [AmendmentRow(b'{"level":1}', "op7", "one-way", NOON)]
        return FalloutShown(row, acts_for(row), ["level"], amended, sheets)

    async def act(self, act: Act, row: FalloutRow, *, reason: str, operator_id: str) -> None:
        refuse_gone(row)
        refuse_unfit(act, row)
        if act is not Act.TO_EOMS:
            way = way_of(act, is_undo=row.is_undo)
            self.put(replace(row, way=way, reason=reason, operator_id=operator_id))

    async def change(
        self, row: FalloutRow, fields: Mapping[str, object], *, reason: str, operator_id: str
    ) -> None:
        if set(fields) != {"level"}:
            text = "of an ARREARS_SUSPEND a person may change: level"
            raise BadRequest("FIELD_NOT_CHANGEABLE", text, "set.msisdn")
        self.changed.update(fields)
        await self.act(Act.CHANGE, row, reason=reason, operator_id=operator_id)


@dataclass
class FakeBulks:
    rows: dict[int, BulkRow] = field(default_factory=dict)

    async def propose(self, act: Act, chosen: Chosen, *, reason: str, operator_id: str) -> BulkRow:
        id = len(self.rows) + 1
        sample = [{"id": "5", "ne": "hlr1", "code": "3012"}]
        self.rows[id] = BulkRow(
            id=id, act=act, chosen=chosen, reason=reason, state=BulkState.PROPOSED,
            proposed_by=operator_id, proposed_at=NOON, expires_at=NOON + timedelta(hours=1),
            count=40, sample=sample, confirmed_by=None, confirmed_at=None, next_id=0, released=0,
            refused=0, ended_by=None, ended_at=None, under_way=0, again=0,
        )  # fmt: skip
        return self.rows[id]

    async def confirm(self, bulk: BulkRow, operator_id: str) -> BulkRow:
        refuse_same_person(bulk, operator_id)
        if bulk.state is not BulkState.PROPOSED:
            raise Conflict("BULK_NOT_READY", f"the bulk act is {bulk.state}")
        now = {"confirmed_by": operator_id, "confirmed_at": NOON, "released": 40}
        return self._set(bulk, state=BulkState.DONE, ended_at=NOON, **now)

    async def stop(self, bulk: BulkRow, operator_id: str) -> BulkRow:
        return self._set(bulk, state=BulkState.STOPPED, ended_by=operator_id, ended_at=NOON)

    async def get(self, id: int) -> BulkRow:
        if id not in self.rows:
            raise NotFound("BULK_UNKNOWN", "no bulk act has this id")
        return self.rows[id]

    async def newest(self) -> Sequence[BulkRow]:
        return list(reversed(self.rows.values()))

    def _set(self, bulk: BulkRow, **changes: Any) -> BulkRow:
        self.rows[bulk.id] = replace(bulk, **changes)
        return self.rows[bulk.id]
