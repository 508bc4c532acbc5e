"""The emulated HSS as a whole: the state of the emulated M-HLR behind a front of SOAP."""

import string
from collections.abc import Sequence
from dataclasses import dataclass
from random import Random
from typing import Final

from aiohttp import web

from adapters.hss_soap import BY_TOKEN, TOKEN_LENGTH
from loadtest.faults import Profile
from loadtest.hlr import server as hlr
from loadtest.hss.session import Session

_TOKEN_LETTERS: Final = string.ascii_letters + string.digits


@dataclass(frozen=True, slots=True)
class Settings(hlr.Settings):
    login: str = BY_TOKEN  #: or BY_HEADER
    path: str = "/"  #: of the commands, with BY_HEADER


class Server(hlr.Server):
    def __init__(self, settings: Settings, profile: Profile) -> None:
        super().__init__(settings, profile)
        self.settings = settings
        self._chance = Random(f"{settings.name} {settings.seed}")

    def connect(self) -> Session:
        return Session(self)

    def new_token(self) -> str:
        return "".join(self._chance.choices(_TOKEN_LETTERS, k=TOKEN_LENGTH))

    def location(self, token: str) -> str:
        return f"http://127.0.0.1:{self.port}/{token}"

    def routes(self) -> Sequence[web.RouteDef]:
        return (web.post("/expire", self._expire),)

    async def _expire(self, request: web.Request) -> web.Response:
        """Let every token die; the connections stay."""
        return web.json_response({"expired": self.expire()})

    def expire(self) -> int:
        sessions = [each for each in self.connections if isinstance(each, Session) and each.token]
        for session in sessions:
            session.token = ""
        return len(sessions)
