"""Single numbers: shown with their history, locked, unlocked, recycled."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final, TypeVar

from aiohttp import web
from msgspec import Struct

from hlrd.api import body
from hlrd.api.acting import acting
from hlrd.api.auth import demand
from hlrd.api.body import JSON, Bodies
from hlrd.api.seam import NumberDesk, NumberPools
from hlrd.api.shown import demand_reader, shown
from hlrd.api.typed import parse_json
from hlrd.domain import identity
from hlrd.domain.audit import Action, Facts
from hlrd.domain.errors import NotFound
from hlrd.domain.identity import MSISDN
from hlrd.domain.orders import NoteText, OperatorText, Source
from hlrd.store.desk import Work

_NUMBERS: Final = "/v1/numbers"
_NUMBER: Final = _NUMBERS + "/{msisdn}"

T = TypeVar("T")


class Lock(Struct, forbid_unknown_fields=True):
    """Also of an unlock."""

    cause: NoteText
    operator_id: OperatorText


class Recycle(Struct, forbid_unknown_fields=True):
    operator_id: OperatorText
    waive_arrears: bool = False


class RecycleDue(Struct, forbid_unknown_fields=True):
    operator_id: OperatorText


class NumberRoutes:
    def __init__(self, *, pools: NumberPools, numbers: NumberDesk, bodies: Bodies) -> None:
        self._pools = pools
        self._numbers = numbers
        self._bodies = bodies

    def routes(self) -> list[web.RouteDef]:
        return [
            web.post(_NUMBERS + "/recycle", self.recycle_due),
            web.get(_NUMBER, self.number, allow_head=False),
            web.get(_NUMBER + "/history", self.history, allow_head=False),
            web.post(_NUMBER + "/lock", self.lock),
            web.post(_NUMBER + "/unlock", self.unlock),
            web.post(_NUMBER + "/recycle", self.recycle),
        ]

    async def number(self, request: web.Request) -> web.Response:
        demand_reader(request)
        return await self._number(_msisdn(request))

    async def history(self, request: web.Request) -> web.Response:
        demand_reader(request)
        found = await self._pools.history(_msisdn(request))
        if found is None:
            raise _unknown()
        return shown(found)

    async def lock(self, request: web.Request) -> web.Response:
        work = await self._work(request)
        async with self._acting(request, Action.NUMBER_LOCK, work):
            await self._numbers.lock(work)
        return await self._number(work.msisdn)

    async def unlock(self, request: web.Request) -> web.Response:
        work = await self._work(request)
        async with self._acting(request, Action.NUMBER_UNLOCK, work):
            await self._numbers.unlock(work)
        return await self._number(work.msisdn)

    async def recycle(self, request: web.Request) -> web.Response:
        wanted = await self._read(request, Recycle)
        waives, msisdn = wanted.waive_arrears, _msisdn(request)
        async with acting(
            request,
            Action.NUMBER_RECYCLE,
            f"number:{msisdn}",
            actor=wanted.operator_id,
            before=await self._facts(msisdn),
            after={"waive_arrears": waives},
        ):
            return shown(await self._numbers.recycle(msisdn, wanted.operator_id, waives=waives))

    async def recycle_due(self, request: web.Request) -> web.Response:
        wanted = await self._read(request, RecycleDue)
        async with acting(
            request, Action.NUMBER_RECYCLE_DUE, "numbers:due", actor=wanted.operator_id
        ):
            return shown(await self._numbers.recycle_due(wanted.operator_id))

    async def _work(self, request: web.Request) -> Work:
        wanted = await self._read(request, Lock)
        return Work(_msisdn(request), wanted.operator_id, wanted.cause)

    @asynccontextmanager
    async def _acting(
        self, request: web.Request, action: Action, work: Work
    ) -> AsyncIterator[None]:
        async with acting(
            request,
            action,
            f"number:{work.msisdn}",
            actor=work.operator_id,
            before=await self._facts(work.msisdn),
            after={"cause": work.cause},
        ):
            yield

    async def _facts(self, msisdn: MSISDN) -> Facts | None:
        found = await self._pools.number(msisdn)
        return None if found is None else {"state": found.state, "user_id": found.user_id}

    async def _read(self, request: web.Request, shape: type[T]) -> T:
        demand(request, Source.OPS)
        body.media_type(request, JSON)
        async with self._bodies.read(request) as document:
            return parse_json(document, shape)

    async def _number(self, msisdn: MSISDN) -> web.Response:
        found = await self._pools.number(msisdn)
        if found is None:
            raise _unknown()
        return shown(found)


def _msisdn(request: web.Request) -> MSISDN:
    return identity.parse_msisdn(request.match_info["msisdn"])


def _unknown() -> NotFound:
    return NotFound("NUMBER_UNKNOWN", "this number is in no range of any pool")
