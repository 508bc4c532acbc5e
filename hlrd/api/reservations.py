"""Reservations of numbers: made once per key, shown, extended, chosen from, cancelled."""

import hashlib
import re
from typing import Annotated, Any, Final, Literal, TypeVar

import msgspec
from aiohttp import hdrs, web
from msgspec import Meta, Struct

from hlrd import limits
from hlrd.api import body
from hlrd.api.acting import acting_as_staff
from hlrd.api.auth import SOURCE, demand
from hlrd.api.body import JSON, Bodies
from hlrd.api.elements import Elements, ElementText
from hlrd.api.seam import Reservations
from hlrd.api.typed import as_json, parse, parse_json
from hlrd.domain import identity
from hlrd.domain.audit import Action
from hlrd.domain.errors import BadRequest, NotFound
from hlrd.domain.identity import MSISDN, MSISDNText
from hlrd.domain.orders import PROVINCES, NameText, OperatorText, ProvinceText, Source
from hlrd.pool.reservation import Asked
from hlrd.store.record import ReservationRow, ReservedNumber

_PATH: Final = "/v1/reservations"
_ID: Final = re.compile(r"\A[1-9][0-9]{0,17}\Z")
_KEY: Final = re.compile(r"\A[\x21-\x7e]{1,64}\Z")
_KEY_HEADER: Final = "Idempotency-Key"
_PAGE: Final = 100

T = TypeVar("T")
Seconds = Annotated[int, Meta(ge=1, le=limits.RESERVATION_TTL_S_MAX)]
Named = Annotated[list[MSISDNText], Meta(min_length=1, max_length=limits.RESERVATION_NAMED_MAX)]
Limit = Annotated[int, Meta(ge=1, le=limits.RESERVATION_PAGE_MAX)]
Cursor = Annotated[int, Meta(ge=0, le=10**18)]


class NewReservation(Struct, kw_only=True, forbid_unknown_fields=True):
    operator_id: OperatorText
    province: ProvinceText
    pool: NameText = "iot"
    count: Annotated[int, Meta(ge=1, le=limits.RESERVATION_NUMBERS_MAX)] | None = None
    numbers: Named | None = None  #: these very numbers, instead of `count` random ones
    digits: Literal[11, 13] = 13
    hlr: ElementText | None = None  #: absent: of any home HLR
    grade: NameText | None = None  #: absent: plain numbers
    with_cards: bool = False  #: a card of the same home HLR for each number
    lot: NameText | None = None  #: that the cards come from
    ttl_s: Seconds = limits.RESERVATION_TTL_S
    partial: bool = False  #: fewer are better than none


class Extension(Struct, forbid_unknown_fields=True):
    ttl_s: Seconds  #: from now on; an end that is later already stays


class Choice(Struct, forbid_unknown_fields=True):
    numbers: Named
    ttl_s: Seconds = limits.RESERVATION_TTL_S


class NumbersQuery(Struct, forbid_unknown_fields=True):
    after: Cursor = 0
    limit: Limit = _PAGE


class ListQuery(Struct, forbid_unknown_fields=True):
    before: Cursor = 10**18  #: the newest ones first; `next` of the page before
    limit: Limit = _PAGE


class ReservationRoutes:
    def __init__(self, *, reservations: Reservations, elements: Elements, bodies: Bodies) -> None:
        self._reservations = reservations
        self._elements = elements
        self._bodies = bodies

    def routes(self) -> list[web.RouteDef]:
        return [
            web.post(_PATH, self.reserve),
            web.get(_PATH, self.page, allow_head=False),
            web.get(_PATH + "/{id}", self.get, allow_head=False),
            web.delete(_PATH + "/{id}", self.cancel),
            web.post(_PATH + "/{id}/extend", self.extend),
            web.post(_PATH + "/{id}/choose", self.choose),
        ]

    async def reserve(self, request: web.Request) -> web.Response:
        _demand_owner(request)
        key = request.headers.get(_KEY_HEADER, "")
        if not _KEY.match(key):
            text = f"send a header {_KEY_HEADER} of 1 to 64 printable characters"
            raise BadRequest("KEY_INVALID", text, _KEY_HEADER)
        wanted = await self._read(request, NewReservation)
        if wanted.hlr is not None:
            self._elements.refuse_unknown_hlr(wanted.hlr)
        asked = _asked(wanted, request[SOURCE], key)
        async with acting_as_staff(
            request,
            Action.RESERVATION_CREATE,
            f"pool:{asked.pool}",
            actor=asked.operator_id,
            after={"key": key, "count": asked.count, "ttl_s": asked.ttl_s},
        ):
            row, is_repeat = await self._reservations.reserve(asked)
        return await self._shown(row, status=200 if is_repeat else 201)

    async def page(self, request: web.Request) -> web.Response:
        _demand_owner(request)
        query = parse(request, ListQuery)
        rows = await self._reservations.page(_whose(request), query.before, query.limit)
        shown: dict[str, Any] = {"reservations": rows}
        if len(rows) == query.limit:
            shown["next"] = rows[-1].id
        return as_json(msgspec.json.encode(shown))

    async def get(self, request: web.Request) -> web.Response:
        _demand_owner(request)
        query = parse(request, NumbersQuery)
        row = await self._reservations.read(_id(request), _whose(request))
        return await self._shown(row, query)

    async def cancel(self, request: web.Request) -> web.Response:
        _demand_owner(request)
        id = _id(request)
        async with acting_as_staff(request, Action.RESERVATION_CANCEL, f"reservation:{id}"):
            row = await self._reservations.cancel(id, _whose(request))
        return await self._shown(row)

    async def extend(self, request: web.Request) -> web.Response:
        _demand_owner(request)
        wanted = await self._read(request, Extension)
        id = _id(request)
        async with acting_as_staff(
            request, Action.RESERVATION_EXTEND, f"reservation:{id}", after={"ttl_s": wanted.ttl_s}
        ):
            row = await self._reservations.extend(id, _whose(request), wanted.ttl_s)
        return await self._shown(row)

    async def choose(self, request: web.Request) -> web.Response:
        _demand_owner(request)
        wanted = await self._read(request, Choice)
        numbers = _numbers(wanted.numbers)
        id = _id(request)
        async with acting_as_staff(
            request,
            Action.RESERVATION_CHOOSE,
            f"reservation:{id}",
            after={"numbers": len(numbers), "ttl_s": wanted.ttl_s},
        ):
            row = await self._reservations.choose(id, _whose(request), numbers, wanted.ttl_s)
        return await self._shown(row)

    async def _read(self, request: web.Request, shape: type[T]) -> T:
        body.media_type(request, JSON)
        async with self._bodies.read(request) as document:
            return parse_json(document, shape)

    async def _shown(
        self, row: ReservationRow, query: NumbersQuery | None = None, *, status: int = 200
    ) -> web.Response:
        query = query or NumbersQuery()
        numbers = await self._reservations.numbers(int(row.id), query.after, query.limit)
        headers: dict[str, str] = {hdrs.LOCATION: f"{_PATH}/{row.id}"} if status == 201 else {}
        return as_json(_page(row, numbers, query.limit), status=status, headers=headers)


def _page(row: ReservationRow, numbers: list[ReservedNumber], limit: int) -> bytes:
    shown = msgspec.to_builtins(row) | {"numbers": numbers}
    if len(numbers) == limit:
        shown["next"] = numbers[-1].msisdn
    return msgspec.json.encode(shown)


def _asked(wanted: NewReservation, source: Source, key: str) -> Asked:
    numbers = _numbers(wanted.numbers or [])
    _refuse_contradictions(wanted, numbers)
    if wanted.province not in PROVINCES:
        raise BadRequest("PROVINCE_UNKNOWN", "not a company code (docs/api.md)", "province")
    content = msgspec.structs.replace(wanted, numbers=sorted(numbers) or None)
    return Asked(
        source=source,
        key=key,
        content_hash=hashlib.blake2b(msgspec.json.encode(content), digest_size=16).digest(),
        operator_id=wanted.operator_id,
        pool=wanted.pool,
        province=wanted.province,
        digits=len(numbers[0]) if numbers else wanted.digits,
        count=wanted.count or len(numbers),
        ttl_s=wanted.ttl_s,
        hlr=wanted.hlr,
        grade=wanted.grade,
        numbers=tuple(numbers),
        with_cards=wanted.with_cards,
        lot=wanted.lot,
        is_partial=wanted.partial,
    )


def _refuse_contradictions(wanted: NewReservation, numbers: list[MSISDN]) -> None:
    if (wanted.count is None) == (wanted.numbers is None):
        raise BadRequest("RESERVATION_UNCLEAR", "send either count or numbers", "count")
    if numbers and wanted.grade is not None:
        raise BadRequest("RESERVATION_UNCLEAR", "numbers have the grade they have", "grade")
    if len({len(number) for number in numbers}) > 1:
        raise BadRequest("RESERVATION_UNCLEAR", "the numbers differ in length", "numbers")
    if wanted.lot is not None and not wanted.with_cards:
        raise BadRequest("RESERVATION_UNCLEAR", "a lot is for with_cards", "lot")


def _numbers(texts: list[str]) -> list[MSISDN]:
    numbers = [identity.parse_msisdn(text, f"numbers[{place}]") for place, text in enumerate(texts)]
    if len(set(numbers)) != len(numbers):
        raise BadRequest("NUMBER_TWICE", "a number comes twice", "numbers")
    return numbers


def _demand_owner(request: web.Request) -> None:
    demand(request, Source.CRM, Source.ESOP, Source.OPS)


def _whose(request: web.Request) -> str | None:
    """Another source's reservation is as unknown as one that never was; staff sees all."""
    source = request[SOURCE]
    return None if source is Source.OPS else str(source)


def _id(request: web.Request) -> int:
    text = request.match_info["id"]
    if not _ID.match(text):
        raise NotFound("RESERVATION_UNKNOWN", "no reservation of yours has this id")
    return int(text)
