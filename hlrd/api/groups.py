"""Enterprises, what they have and who is a member, for reading. They come and go by work orders."""

from collections.abc import Sequence
from datetime import datetime
from typing import Annotated, Any, Final

import msgspec
from aiohttp import web
from msgspec import Meta, Struct

from hlrd import limits
from hlrd.api.auth import demand
from hlrd.api.seam import GroupShelf
from hlrd.api.typed import as_json, parse
from hlrd.domain.errors import BadRequest, NotFound
from hlrd.domain.orders import BEIJING, ECCodeText, Source
from hlrd.store.groups import ECRow, MemberRow, PartnerRow, SubscriptionRow
from hlrd.store.rows import reasons_of

_PATH: Final = "/v1/ecs"
_READERS: Final = (Source.ESOP, Source.BBOSS, Source.BOSS1, Source.PBOSS, Source.OPS)
_PAGE: Final = 100
_OWN: Final = "own"
_PARTNER: Final = "partner"

Limit = Annotated[int, Meta(ge=1, le=limits.GROUP_PAGE_MAX)]
Cursor = Annotated[str, Meta(pattern=r"\A(?:own|partner):[0-9]{0,19}\Z")]


class ListQuery(Struct, forbid_unknown_fields=True):
    after: ECCodeText | None = None  #: `next` of the page before
    limit: Limit = _PAGE


class MembersQuery(Struct, forbid_unknown_fields=True):
    """Own members first, by user, then those of partner provinces, by number."""

    after: Cursor = f"{_OWN}:"  #: `next` of the page before
    limit: Limit = _PAGE


class Held(Struct):
    """A product of an enterprise."""

    product: str
    product_version: int
    product_class: int
    scope: str
    route: str
    lead_province: str
    partner_provinces: Sequence[str]
    straight: bool
    state: str
    order: str
    since: datetime


class Member(Struct, omit_defaults=True):
    origin: str
    msisdn: str
    province: str
    since: datetime
    user_id: str | None = None  #: None: of a partner province, which alone knows it
    hlr: str | None = None
    state: str | None = None
    reasons: Sequence[str] = ()  #: why it is stopped
    product: str | None = None  #: that it was reported with


class GroupRoutes:
    def __init__(self, groups: GroupShelf) -> None:
        self._groups = groups

    def routes(self) -> list[web.RouteDef]:
        return [
            web.get(_PATH, self.page, allow_head=False),
            web.get(_PATH + "/{code}", self.get, allow_head=False),
            web.get(_PATH + "/{code}/members", self.members, allow_head=False),
        ]

    async def page(self, request: web.Request) -> web.Response:
        demand(request, *_READERS)
        query = parse(request, ListQuery)
        rows = await self._groups.page(query.after or "", query.limit)
        shown: dict[str, Any] = {"ecs": [_ec(row) for row in rows]}
        if len(rows) == query.limit:
            shown["next"] = rows[-1].code
        return as_json(msgspec.json.encode(shown))

    async def get(self, request: web.Request) -> web.Response:
        demand(request, *_READERS)
        row = await self._ec(request)
        held = await self._groups.subscriptions(row.code)
        shown = _ec(row) | {"products": [_held(one) for one in held]}
        return as_json(msgspec.json.encode(shown))

    async def members(self, request: web.Request) -> web.Response:
        demand(request, *_READERS)
        query = parse(request, MembersQuery)
        code = (await self._ec(request)).code
        members = await self._members(code, query)
        shown: dict[str, Any] = {"members": members}
        if len(members) == query.limit:
            last = members[-1]
            key = last.user_id if last.origin == _OWN else last.msisdn
            shown["next"] = f"{last.origin}:{key}"
        return as_json(msgspec.json.encode(shown))

    async def _members(self, code: str, query: MembersQuery) -> list[Member]:
        origin, _, after = query.after.partition(":")
        found: list[Member] = []
        if origin == _OWN:
            rows = await self._groups.members(code, after, query.limit)
            found = [_own(row) for row in rows]
            after = ""
        if len(found) < query.limit:
            left = query.limit - len(found)
            partners = await self._groups.partners(code, int(after or 0), left)
            found += [_partner(row) for row in partners]
        return found

    async def _ec(self, request: web.Request) -> ECRow:
        code = request.match_info["code"]
        try:
            row = await self._groups.ec(msgspec.convert(code, ECCodeText))
        except msgspec.ValidationError:
            raise BadRequest("FIELD_INVALID", "not the code of an enterprise", "code") from None
        if row is None:
            raise NotFound("EC_UNKNOWN", "hlrd was told of no such enterprise", "code")
        return row


def _ec(row: ECRow) -> dict[str, Any]:
    shown = {
        "code": row.code,
        "name": row.name,
        "lead_province": row.province,
        "since": row.since.astimezone(BEIJING),
        "products": row.products,
    }
    if row.members is not None:
        shown |= {"members": row.members, "partner_members": row.partners}
    return shown


def _held(row: SubscriptionRow) -> Held:
    one = row.subscription
    return Held(
        product=one.product,
        product_version=one.version,
        product_class=one.product_class,
        scope=one.scope,
        route=one.route,
        lead_province=one.lead_province,
        partner_provinces=one.partner_provinces,
        straight=one.is_straight,
        state=row.state,
        order=str(row.order_id),
        since=row.since.astimezone(BEIJING),
    )


def _own(row: MemberRow) -> Member:
    return Member(
        origin=_OWN,
        msisdn=row.msisdn,
        province=row.province,
        since=row.since.astimezone(BEIJING),
        user_id=row.user_id,
        hlr=row.hlr,
        state=row.state,
        reasons=sorted(reasons_of(row.reasons)),
        product=row.product or None,
    )


def _partner(row: PartnerRow) -> Member:
    return Member(_PARTNER, row.msisdn, row.province, row.since.astimezone(BEIJING))
