"""Switches the master of user state of a province: drain, switch, and the new one's word counts.

From the start of a switch nobody's change of state is taken in the province (`MASTER_SWITCHING`).
When those taken before are carried out the new master is durably the master. A restart goes on
where it was.
"""

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Final, Protocol

import structlog

from hlrd import limits
from hlrd.domain.audit import DAEMON, Action
from hlrd.domain.catalogue import KINDS
from hlrd.domain.errors import BadRequest, Conflict, Unavailable
from hlrd.domain.master import Master, Masters, Mastery
from hlrd.domain.orders import PROVINCES
from hlrd.domain.orders.batch import FanOut
from hlrd.domain.reconciliation import Stopped
from hlrd.engine.state_orders import StateOrders
from hlrd.runtime.audit import AuditWriter
from hlrd.store.errors import StoreUnavailable
from hlrd.store.masters import MasterBook, MasterRow, MasterView

_log: Final = structlog.get_logger(__name__)

_STATE_KINDS: Final = tuple(kind.name for kind in KINDS if kind.is_state_change)
_FAN_OUTS: Final = tuple(
    kind.name for kind in KINDS if kind.is_state_change and issubclass(kind.shape, FanOut)
)
"""Their children would be refused while the province drains, and they never end."""


class Engine(Protocol):
    @property
    def state_orders(self) -> StateOrders: ...


class StateMasters:
    """`recover` before the first order is taken, then keep `run` running."""

    def __init__(
        self, book: MasterBook, *, masters: Masters, engine: Engine, trail: AuditWriter
    ) -> None:
        self._book = book
        self._masters = masters
        self._configured = {name: masters.of(name).master for name in PROVINCES}
        self._engine = engine
        self._trail = trail
        self._rows: dict[str, MasterRow] = {}
        self._has_work = asyncio.Event()

    async def recover(self) -> None:
        for row in await self._book.rows():
            self._take_up(row)
            if row.mastery.master is not self._configured.get(row.province):
                _log.warning(
                    "state_master_not_as_configured",
                    province=row.province,
                    master=row.mastery.master,
                )

    @property
    def usual(self) -> Master:
        return self._masters.usual

    # Asked by staff.

    async def switch(self, province: str, master: Master, operator_id: str) -> MasterView:
        """Conflict: it is the master, or another switch goes on, or in the way is an order for all
        members of an enterprise."""
        now = self._known(province)
        if now.next is not None:
            text = f"the province goes over to {now.next}; cancel that first"
            raise Conflict("MASTER_SWITCH_OPEN", text, "master")
        if now.master is master:
            raise Conflict("MASTER_ALREADY", f"{master} is the master", "master")
        await self._refuse_fan_outs(province)
        row = await self._book.put(province, Mastery(now.master, master), operator_id)
        _log.warning("state_master_drains", province=province, to=str(master), operator=operator_id)
        self._take_up(row)
        return await self.view(province)

    async def cancel(self, province: str, operator_id: str) -> MasterView:
        """The master stays. Conflict once it is switched."""
        now = self._known(province)
        if now.next is None:
            raise Conflict("MASTER_NOT_SWITCHING", "the province does not change its master")
        self._take_up(await self._book.put(province, Mastery(now.master), operator_id))
        _log.warning("state_master_stays", province=province, operator=operator_id)
        return await self.view(province)

    async def view(self, province: str) -> MasterView:
        mastery = self._known(province)
        row = self._rows.get(province)
        found = None
        if mastery.next is not None:
            found = await self._book.open_orders(province, _STATE_KINDS)
        return MasterView(
            province=province,
            name=PROVINCES[province],
            master=mastery.master,
            next=mastery.next,
            configured=self._configured[province],
            open=None if found is None else found.waiting + found.fallout,
            fallout=None if found is None else found.fallout,
            operator_id=None if row is None else row.operator_id,
            since=None if row is None else row.since,
        )

    async def views(self) -> Sequence[MasterView]:
        """Of every province that something was said of."""
        return [await self.view(province) for province in self._masters.provinces()]

    def stopped(self, province: str) -> AsyncIterator[Sequence[Stopped]]:
        """Every user of the province that hlrd has reasons for."""
        self._known(province)
        return self._book.stopped(province)

    # Going on.

    async def run(self) -> None:
        """For ever. Ends by being cancelled."""
        while True:
            await self._has_work.wait()
            for row in list(self._rows.values()):
                if row.mastery.next is not None:
                    await self._go_on(row)
            self._has_work.clear()
            if any(row.mastery.next for row in self._rows.values()):
                self._has_work.set()
                await asyncio.sleep(limits.MASTER_LOOK_S)

    async def _go_on(self, row: MasterRow) -> None:
        try:
            if await self._is_drained(row.province):
                await self._switch(row)
        except (StoreUnavailable, Unavailable) as error:
            _log.warning("state_master_waits", province=row.province, error=str(error))

    async def _is_drained(self, province: str) -> bool:
        """Memory first: what it parks from now on, the journal has."""
        if self._engine.state_orders.open_of(province):
            return False
        found = await self._book.open_orders(province, _STATE_KINDS)
        return not (found.waiting or found.fallout)

    async def _switch(self, row: MasterRow) -> None:
        province, before, after = row.province, row.mastery.master, row.mastery.next
        assert after is not None, "it drains for somebody"
        if self._rows[province] is not row:
            return  # cancelled meanwhile
        await self._trail.record(
            actor=DAEMON,
            source=DAEMON,
            action=Action.MASTER_SWITCH,
            subject=f"province:{province}",
            before={"master": before},
            after={"master": after, "operator_id": row.operator_id},
        )
        if self._rows[province] is not row:
            return
        await self._book.switch(province)
        self._engine.state_orders.forget_versions(province)
        self._take_up(MasterRow(province, Mastery(after), row.operator_id, row.since))
        _log.warning("state_master_switched", province=province, master=str(after))

    def _take_up(self, row: MasterRow) -> None:
        self._rows[row.province] = row
        self._masters.put(row.province, row.mastery)
        if row.mastery.next is not None:
            self._has_work.set()

    def _known(self, province: str) -> Mastery:
        if province not in PROVINCES:
            raise BadRequest("PROVINCE_UNKNOWN", "not a company code (docs/api.md)", "province")
        return self._masters.of(province)

    async def _refuse_fan_outs(self, province: str) -> None:
        found = await self._book.open_orders(province, _FAN_OUTS)
        if found.waiting or found.fallout:
            text = "an order for all members of an enterprise is open; wait for it, or stop it"
            raise Conflict("MASTER_FAN_OUT_OPEN", text, "province")


def masters_of(usual: str, named: Mapping[str, str]) -> Masters:
    """As the settings have them."""
    return Masters(Master(usual), {province: Master(name) for province, name in named.items()})
