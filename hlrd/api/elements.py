"""The network elements as their drivers see them, for staff."""

from collections.abc import Iterable, Mapping
from typing import Annotated

import msgspec
from aiohttp import web
from msgspec import Meta

from hlrd.api.auth import demand
from hlrd.api.seam import Element
from hlrd.api.typed import as_json
from hlrd.domain.errors import BadRequest, NotFound
from hlrd.domain.operation import Task
from hlrd.domain.order import Source

ElementText = Annotated[str, Meta(pattern=r"\A[a-z][a-z0-9_-]{0,31}\Z")]


class Elements:
    def __init__(self, elements: Iterable[Element]) -> None:
        self._by_name: Mapping[str, Element] = {element.name: element for element in elements}

    def refuse_unknown_hlr(self, name: str) -> None:
        if name not in self._by_name:
            raise BadRequest("HLR_UNKNOWN", "no network element has this name", "hlr")

    def masked(self, task: Task) -> str | None:
        """The task's command without secrets; None if its NE is no longer configured."""
        element = self._by_name.get(task.ne)
        return None if element is None else element.masked(task)

    def routes(self) -> list[web.RouteDef]:
        return [
            web.get("/v1/network-elements", self.list, allow_head=False),
            web.get("/v1/network-elements/{name}", self.get, allow_head=False),
        ]

    async def list(self, request: web.Request) -> web.Response:
        demand(request, Source.OPS)
        shown = [_shown(element) for element in self._by_name.values()]
        return as_json(msgspec.json.encode({"network_elements": shown}))

    async def get(self, request: web.Request) -> web.Response:
        demand(request, Source.OPS)
        element = self._by_name.get(request.match_info["name"])
        if element is None:
            raise NotFound("NE_UNKNOWN", "no network element has this name")
        return as_json(msgspec.json.encode(_shown(element)))


def _shown(element: Element) -> Mapping[str, object]:
    return {"name": element.name, **element.show()}
