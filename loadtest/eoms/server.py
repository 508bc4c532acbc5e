"""The emulated EOMS as a whole: its connections, its sheets, and the people who answer them.

PUT /sheets/{number}/acknowledgement   {"by": "…"}                        on the control port
PUT /sheets/{number}/reply             {"result": "done", "by": "…", "text": "…"}
"""

from asyncio import TimerHandle
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Final, TypeVar

import msgspec
from aiohttp import web
from msgspec import Struct

from adapters.eoms import EOMS
from hlrd.codec.http import HTTPRequest
from hlrd.domain.errors import HlrdError
from loadtest import jsonpeer
from loadtest.emulator import Emulator
from loadtest.eoms.core import WITH_PEOPLE, NotNow, Office, Sheet, Short, State, Word
from loadtest.eoms.people import People
from loadtest.faults import Faults, Profile
from loadtest.jsonpeer import JSONSession, Served, Work
from loadtest.kept import Kept

T = TypeVar("T")


class StateFileDamaged(HlrdError):
    """A line of the file is no sheet; the text says which."""


DONE: Final = Word("done", "people", "done")
NOT_DONE: Final = Word("cannotBeDone", "people", "no way to do it")


class Name(Struct, frozen=True, forbid_unknown_fields=True):
    by: Short


@dataclass(frozen=True, slots=True)
class Settings:
    name: str = "eoms1"
    path: str = EOMS.path
    token: str = ""  #: empty: everybody is let in
    idle_close_s: float = 300.0
    state_file: Path | None = None  #: None: nothing outlives the process
    day_s: float = 0.0  #: how long a day of the people's lasts; 0: they answer when told to
    done: float = 0.95  #: the share of sheets that can be done
    seed: int = 0


class Server(Emulator):
    def __init__(self, settings: Settings, profile: Profile) -> None:
        super().__init__(
            settings.name,
            faults=Faults(profile, seed=settings.seed),
            kept=Kept(settings.state_file),
            idle_close_s=settings.idle_close_s,
        )
        self.office = Office(self._changed, path=settings.path, token=settings.token)
        self._people = People(done=settings.done, seed=settings.seed)
        self._day_s = settings.day_s
        self._at_work: dict[str, TimerHandle] = {}  #: what people do next, by sheet

    def connect(self) -> JSONSession:
        return JSONSession(self)

    def read(self, request: HTTPRequest) -> Work | Served:
        return self.office.read(request)

    def execute(self, work: Work) -> Served:
        return self.office.execute(work)

    def restore(self, lines: Sequence[bytes]) -> None:
        """People begin anew with what was not answered."""
        for number, line in enumerate(lines, start=1):
            try:
                self.office.put(msgspec.json.decode(line, type=Sheet))
            except msgspec.DecodeError as error:
                raise StateFileDamaged(
                    f"{self._kept.path}, line {number}: not a sheet; remove the file to start empty"
                ) from error
        for sheet in self.office.sheets.values():
            if sheet.state in WITH_PEOPLE:
                self._hand_over(sheet)

    async def close(self) -> None:
        for timer in self._at_work.values():
            timer.cancel()
        await super().close()

    def stats(self) -> Mapping[str, int]:
        sheets = {f"sheets_{state}": self.office.counts[state] for state in State}
        return {"connections": len(self.connections), **sheets}

    def dump(self) -> Sequence[Sheet]:
        return list(self.office.sheets.values())

    def shown(self, command: Work | str) -> str:
        return jsonpeer.shown(command)

    def routes(self) -> Sequence[web.RouteDef]:
        return (
            web.put("/sheets/{number}/acknowledgement", self._put_acknowledgement),
            web.put("/sheets/{number}/reply", self._put_reply),
        )

    # --- people ------------------------------------------------------------------------------

    def _changed(self, sheet: Sheet) -> None:
        self._kept.add(msgspec.json.encode(sheet))
        if sheet.state not in WITH_PEOPLE:
            self._take_off(sheet.number)
        elif sheet.number not in self._at_work:
            self._hand_over(sheet)

    def _take_off(self, number: str) -> None:
        timer = self._at_work.pop(number, None)
        if timer is not None:
            timer.cancel()

    def _hand_over(self, sheet: Sheet) -> None:
        if not self._day_s:
            return
        plan = self._people.plan()
        reply = partial(self.office.reply, sheet.number, DONE if plan.is_done else NOT_DONE)
        wait_days = plan.replied_days - plan.acknowledged_days
        acknowledge = partial(self._acknowledge, sheet.number, wait_days, reply)
        self._later(sheet.number, plan.acknowledged_days, acknowledge)

    def _acknowledge(self, number: str, wait_days: float, reply: Callable[[], Sheet]) -> None:
        if self.office.sheets[number].state is State.OPEN:
            self.office.acknowledge(number, "people")
        self._later(number, wait_days, reply)

    def _later(self, number: str, days: float, act: Callable[[], object]) -> None:
        self._at_work[number] = self._loop.call_later(days * self._day_s, self._act, act)

    def _act(self, act: Callable[[], object]) -> None:
        act()
        self.keep()

    # --- the control port --------------------------------------------------------------------

    async def _put_acknowledgement(self, request: web.Request) -> web.Response:
        name = await _body(request, Name)
        return self._answer(lambda number: self.office.acknowledge(number, name.by), request)

    async def _put_reply(self, request: web.Request) -> web.Response:
        word = await _body(request, Word)
        return self._answer(lambda number: self.office.reply(number, word), request)

    def _answer(self, act: Callable[[str], Sheet], request: web.Request) -> web.Response:
        try:
            sheet = act(request.match_info["number"])
        except KeyError:
            raise web.HTTPNotFound(text="no such sheet\n") from None
        except NotNow as error:
            raise web.HTTPConflict(text=f"{error}\n") from None
        self.keep()
        return web.Response(body=msgspec.json.encode(sheet), content_type="application/json")


async def _body(request: web.Request, kind: type[T]) -> T:
    try:
        return msgspec.json.decode(await request.read(), type=kind)
    except (ValueError, RecursionError) as error:
        raise web.HTTPBadRequest(text=f"{error}\n") from error
