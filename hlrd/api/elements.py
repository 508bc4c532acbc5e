"""The network elements as their drivers see them, for staff."""

from collections.abc import Collection, Iterable, Mapping
from datetime import UTC, datetime
from typing import Annotated, Final

import msgspec
from aiohttp import web
from msgspec import Meta, Struct

from hlrd.api import body
from hlrd.api.acting import acting
from hlrd.api.auth import demand
from hlrd.api.body import JSON, Bodies
from hlrd.api.seam import Element, Halts
from hlrd.api.typed import as_json, parse_json
from hlrd.domain.audit import Action, Facts
from hlrd.domain.errors import BadRequest, Conflict, NotFound
from hlrd.domain.operation import Task
from hlrd.domain.orders import Source
from hlrd.ne.halts import Halt, HaltKind

ElementText = Annotated[str, Meta(pattern=r"\A[a-z][a-z0-9_-]{0,31}\Z")]


CauseText = Annotated[str, Meta(min_length=1, max_length=200, pattern=r"\A[^\x00-\x1f]+\Z")]
MomentText = Annotated[datetime, Meta(tz=True)]

_PATH: Final = "/v1/network-elements"


class Hold(Struct, forbid_unknown_fields=True):
    until: MomentText
    cause: CauseText


class Drain(Struct, forbid_unknown_fields=True):
    cause: CauseText


class Elements:
    def __init__(
        self,
        elements: Iterable[Element],
        *,
        halts: Halts,
        bodies: Bodies,
        homes: Collection[str] = (),
    ) -> None:
        """`homes`: HLRs that numbers and cards belong to, though another daemon drives them."""
        self._halts = halts
        self._homes = homes
        self._bodies = bodies
        self._by_name: Mapping[str, Element] = {element.name: element for element in elements}

    def refuse_unknown_hlr(self, name: str) -> None:
        if name not in self._by_name and name not in self._homes:
            raise BadRequest("HLR_UNKNOWN", "no network element has this name", "hlr")

    def masked(self, task: Task) -> str | None:
        """The task's command without secrets; None if its NE is no longer configured."""
        element = self._by_name.get(task.ne)
        return None if element is None else element.masked(task)

    def obstacle(self, ne: str) -> Mapping[str, object] | None:
        """Why what waits for the NE is not sent now."""
        element = self._by_name.get(ne)
        return {"reason": "notConfigured"} if element is None else element.obstacle()

    def routes(self) -> list[web.RouteDef]:
        return [
            web.get(_PATH, self.list, allow_head=False),
            web.get(_PATH + "/{name}", self.get, allow_head=False),
            web.post(_PATH + "/{name}/hold", self.hold),
            web.post(_PATH + "/{name}/drain", self.drain),
            web.post(_PATH + "/{name}/release", self.release),
        ]

    async def list(self, request: web.Request) -> web.Response:
        demand(request, Source.OPS)
        shown = [_shown(element) for element in self._by_name.values()]
        homes = sorted({*self._homes} - self._by_name.keys())
        return as_json(msgspec.json.encode({"network_elements": shown, "homes": homes}))

    async def get(self, request: web.Request) -> web.Response:
        return as_json(msgspec.json.encode(_shown(self._element(request))))

    async def hold(self, request: web.Request) -> web.Response:
        element = self._element(request)
        body.media_type(request, JSON)
        async with self._bodies.read(request) as document:
            wanted = parse_json(document, Hold)
        now = datetime.now(UTC)
        if wanted.until <= now:
            raise BadRequest("HOLD_OVER", "this time has passed", "until")
        halt = Halt(HaltKind.HOLD, wanted.cause, now, wanted.until)
        return await self._halt(request, Action.NE_HOLD, element, halt)

    async def drain(self, request: web.Request) -> web.Response:
        element = self._element(request)
        body.media_type(request, JSON)
        async with self._bodies.read(request) as document:
            wanted = parse_json(document, Drain)
        halt = Halt(HaltKind.DRAIN, wanted.cause, datetime.now(UTC))
        return await self._halt(request, Action.NE_DRAIN, element, halt)

    async def release(self, request: web.Request) -> web.Response:
        """Once for each hold: a repeat changes nothing. A blackout is ended in the settings."""
        element = self._element(request)
        async with acting(
            request, Action.NE_RELEASE, f"ne:{element.name}", before=_halt_of(element)
        ):
            await self._halts.drop(element.name)
            element.halt(None)
        hinders = element.obstacle()
        if hinders is not None and hinders["reason"] == HaltKind.BLACKOUT:
            raise Conflict("BLACKOUT_PLANNED", "planned in the configuration: end it there")
        return as_json(msgspec.json.encode(_shown(element)))

    async def _halt(
        self, request: web.Request, action: Action, element: Element, halt: Halt
    ) -> web.Response:
        """Kept first: what was answered holds after a restart too."""
        async with acting(
            request,
            action,
            f"ne:{element.name}",
            before=_halt_of(element),
            after={"cause": halt.cause, "until": halt.until and halt.until.isoformat()},
        ):
            await self._halts.keep(element.name, halt)
            element.halt(halt)
        return as_json(msgspec.json.encode(_shown(element)))

    def _element(self, request: web.Request) -> Element:
        demand(request, Source.OPS)
        element = self._by_name.get(request.match_info["name"])
        if element is None:
            raise NotFound("NE_UNKNOWN", "no network element has this name")
        return element


def _halt_of(element: Element) -> Facts:
    return {"halt": element.show().get("halt")}


def _shown(element: Element) -> Mapping[str, object]:
    return {"name": element.name, **element.show()}
