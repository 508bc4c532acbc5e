"""Every kind of work that can be asked for, as the catalogue has it."""

from collections.abc import Mapping
from typing import Final

import msgspec
from aiohttp import web

from hlrd.api.typed import as_json
from hlrd.domain.catalogue import KINDS, OrderKind
from hlrd.domain.imports import IMPORTS, ImportKind

_PATH: Final = "/v1/order-kinds"
_ORDERS: Final = "POST /v1/work-orders"


def routes() -> list[web.RouteDef]:
    return [web.get(_PATH, _list, allow_head=False)]


async def _list(_: web.Request) -> web.Response:
    return as_json(_DOCUMENT)


def _order(kind: OrderKind) -> Mapping[str, object]:
    return {
        "kind": kind.name,
        "chinese": kind.chinese,
        "route": _ORDERS,
        "sources": sorted(kind.sources),
        "priority": kind.priority,
        "nature": kind.nature,
        "direction": kind.direction,
        "state_master_only": kind.is_state_change,
        "role": kind.role,
        "fields": list(kind.shape.__struct_fields__),
    }


def _import(kind: ImportKind) -> Mapping[str, object]:
    return {
        "kind": kind.name,
        "chinese": kind.chinese,
        "route": kind.route,
        "sources": sorted(kind.sources),
        "priority": kind.priority,
        "nature": "import",
        "direction": "backward",  # whole or not at all
        "state_master_only": False,
        "role": None,
        "fields": [],
    }


_DOCUMENT: Final = msgspec.json.encode({"kinds": [*map(_order, KINDS), *map(_import, IMPORTS)]})
