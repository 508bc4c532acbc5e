"""The control port that every emulator has, beside the port it is an NE on.

GET  /faults            the profile in force         PUT  /faults   replace it (loadtest.faults)
GET  /stats             counters                     GET  /dump     the whole state, NDJSON
GET  /log?after=N       commands served, NDJSON      POST /cut      reset all sessions, or
GET  /effects?above=N   effects counted, NDJSON                     ?sessions=N of them
PUT  /effects           {"on": true}: count anew     POST /stop     end, as by SIGTERM
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final, Protocol

import msgspec
from aiohttp import web
from msgspec import Struct

from loadtest import faults
from loadtest.faults import Faults
from loadtest.record import Record, Served

_LINES_PER_WRITE: Final = 2_000
_NDJSON: Final = "application/x-ndjson"
_ENCODER: Final = msgspec.json.Encoder()


class Emulator(Protocol):
    """What the control port needs of an emulator."""

    name: str
    faults: Faults
    record: Record

    def stats(self) -> Mapping[str, int]:
        """Its own counters, such as sessions and subscribers."""
        ...

    def dump(self) -> Sequence[Any]:
        """Every record it holds, without any key. msgspec must know how to encode one."""
        ...

    def shown(self, command: Any) -> str:
        """A command as people may see it."""
        ...

    def cut(self, sessions: int | None) -> int:
        """Reset that many sessions, None for all; the number that was there to reset."""
        ...

    def stop(self) -> None: ...

    def routes(self) -> Sequence[web.RouteDef]:
        """What only this emulator has."""
        ...


class Stats(Struct, frozen=True):
    name: str
    state: Mapping[str, int]
    commands: Mapping[str, int]
    codes: Mapping[str, int]
    faults: Mapping[str, int]
    held_s: float
    once_left: int
    effects_left_out: int


class Switch(Struct, frozen=True, forbid_unknown_fields=True):
    on: bool


class ControlPort:
    """`open`, then `close`. `port` is the one in use, also when 0 was asked for."""

    def __init__(self, emulator: Emulator) -> None:
        self._emulator = emulator
        self.port = 0
        app = web.Application(client_max_size=4 * 2**20)
        app.add_routes(
            [
                web.get("/faults", self._get_faults),
                web.put("/faults", self._put_faults),
                web.get("/stats", self._get_stats),
                web.get("/dump", self._get_dump),
                web.get("/log", self._get_log),
                web.get("/effects", self._get_effects),
                web.put("/effects", self._put_effects),
                web.post("/cut", self._cut),
                web.post("/stop", self._stop),
                *emulator.routes(),
            ]
        )
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=1.0)

    async def open(self, host: str, port: int) -> None:
        await self._runner.setup()
        await web.TCPSite(self._runner, host, port).start()
        self.port = self._runner.addresses[0][1]

    async def close(self) -> None:
        await self._runner.cleanup()

    async def _get_faults(self, request: web.Request) -> web.Response:
        return _json(self._emulator.faults.profile)

    async def _put_faults(self, request: web.Request) -> web.Response:
        try:
            profile = faults.decode(await request.read())
        except (ValueError, RecursionError) as error:
            raise web.HTTPBadRequest(text=f"faults not changed: {error}\n") from error
        self._emulator.faults.put(profile)
        return _json(profile)

    async def _get_stats(self, request: web.Request) -> web.Response:
        emulator = self._emulator
        record = emulator.record
        return _json(
            Stats(
                name=emulator.name,
                state=emulator.stats(),
                commands=record.commands,
                codes=record.codes,
                faults=record.faults,
                held_s=record.held_s,
                once_left=len(emulator.faults.once_left),
                effects_left_out=record.effects_left_out,
            )
        )

    async def _get_dump(self, request: web.Request) -> web.StreamResponse:
        return await stream(request, self._emulator.dump())

    async def _get_log(self, request: web.Request) -> web.StreamResponse:
        served = [
            Served(number, self._emulator.shown(command), code, fault, at)
            for number, command, code, fault, at in self._emulator.record.log(
                number_of(request, "after")
            )
        ]
        return await stream(request, served)

    async def _get_effects(self, request: web.Request) -> web.StreamResponse:
        above = number_of(request, "above")
        return await stream(request, list(self._emulator.record.effects(above)))

    async def _put_effects(self, request: web.Request) -> web.Response:
        try:
            switch = msgspec.json.decode(await request.read(), type=Switch)
        except (ValueError, RecursionError) as error:
            raise web.HTTPBadRequest(text=f'want {{"on": true}}: {error}\n') from error
        self._emulator.record.count_effects(switch.on)
        return _json(switch)

    async def _cut(self, request: web.Request) -> web.Response:
        wanted = number_of(request, "sessions") if "sessions" in request.query else None
        return _json({"cut": self._emulator.cut(wanted)})

    async def _stop(self, request: web.Request) -> web.Response:
        self._emulator.stop()
        return _json({"stopping": True})


def number_of(request: web.Request, name: str) -> int:
    text = request.query.get(name, "0")
    if not (text.isascii() and text.isdigit()):
        raise web.HTTPBadRequest(text=f"{name} is a whole number, not {text!r}\n")
    return int(text)


def _json(value: object) -> web.Response:
    return web.Response(body=_ENCODER.encode(value), content_type="application/json")


async def stream(request: web.Request, rows: Sequence[Any]) -> web.StreamResponse:
    """In pieces, so that a dump of a million records does not stop the emulator."""
    response = web.StreamResponse(headers={"Content-Type": _NDJSON})
    await response.prepare(request)
    for lines in _pieces(rows):
        await response.write(_ENCODER.encode_lines(lines))
    await response.write_eof()
    return response


def _pieces(rows: Sequence[Any]) -> Iterable[Sequence[Any]]:
    return (rows[at : at + _LINES_PER_WRITE] for at in range(0, len(rows), _LINES_PER_WRITE))
