"""Source systems log in, keep their session, and log out; staff sees who is there."""

from datetime import datetime
from typing import Annotated, Final

import msgspec
from aiohttp import hdrs, web
from msgspec import Meta, Struct

from hlrd import limits
from hlrd.api import body
from hlrd.api.acting import acting
from hlrd.api.auth import CALLER, LOGIN, demand
from hlrd.api.body import JSON
from hlrd.api.seam import Sessions
from hlrd.api.typed import as_json, parse_json
from hlrd.domain.audit import Action
from hlrd.domain.errors import NotAllowed, NotFound
from hlrd.domain.orders import BEIJING, Source
from hlrd.domain.session import AccountView, LoggedIn, SessionView

_PATH: Final = LOGIN
_NO_STORE: Final[dict[str, str]] = {hdrs.CACHE_CONTROL: "no-store"}


class Credentials(Struct, forbid_unknown_fields=True):
    """Body of a login."""

    user: Annotated[str, Meta(min_length=1, max_length=64)]
    password: Annotated[str, Meta(min_length=1, max_length=limits.PASSWORD_CHARS_MAX)]

    def __repr__(self) -> str:
        return "Credentials()"


class Opened(Struct):
    session: str
    source: str
    token: str
    expires_at: datetime
    heartbeat_s: float

    def __repr__(self) -> str:
        return f"Opened(session={self.session!r})"


class Shown(Struct):
    session: str
    user: str
    source: str
    address: str
    since: datetime
    heard_at: datetime
    expires_at: datetime


class ShownAccount(Struct):
    user: str
    source: str
    sessions: int
    locked_until: datetime | None


class SessionRoutes:
    def __init__(self, sessions: Sessions) -> None:
        self._sessions = sessions

    def routes(self) -> list[web.RouteDef]:
        return [
            web.post(_PATH, self.log_in),
            web.get(_PATH, self.list, allow_head=False),
            web.post(_PATH + "/current/heartbeat", self.heartbeat),
            web.delete(_PATH + "/current", self.log_out),
            web.delete(_PATH + "/{id}", self.close),
            web.post("/v1/accounts/{user}/unlock", self.unlock),
        ]

    async def log_in(self, request: web.Request) -> web.Response:
        address = request.remote or ""
        self._sessions.knock(address)
        body.media_type(request, JSON)
        body.expected_bytes(request, limits.LOGIN_BYTES_MAX)
        parts = body.stream(request, limits.LOGIN_BYTES_MAX)
        said = parse_json(b"".join([part async for part in parts]), Credentials)
        opened = await self._sessions.log_in(said.user, said.password, address)
        return as_json(_opened(opened), status=201, headers=_NO_STORE)

    async def heartbeat(self, request: web.Request) -> web.Response:
        """That it came was heard with its token."""
        _own(request)
        return web.Response(status=204)

    async def log_out(self, request: web.Request) -> web.Response:
        self._sessions.log_out(_own(request))
        return web.Response(status=204)

    async def list(self, request: web.Request) -> web.Response:
        demand(request, Source.OPS)
        sessions = [_shown(one) for one in self._sessions.shown()]
        accounts = [_account(one) for one in self._sessions.accounts()]
        return as_json(msgspec.json.encode({"sessions": sessions, "accounts": accounts}))

    async def close(self, request: web.Request) -> web.Response:
        demand(request, Source.OPS)
        session = self._sessions.get(request.match_info["id"])
        if session is None:
            raise NotFound("SESSION_UNKNOWN", "no open session has this id")
        async with acting(request, Action.SESSION_CLOSE, f"session:{session.id}"):
            self._sessions.close(session.id)
        return as_json(msgspec.json.encode(_shown(session)))

    async def unlock(self, request: web.Request) -> web.Response:
        demand(request, Source.OPS)
        account = self._account(request.match_info["user"])
        before = {"locked_until": account.locked_until}
        subject = f"account:{account.user}"
        async with acting(request, Action.ACCOUNT_UNLOCK, subject, before=before):
            self._sessions.unlock(account.user)
        return as_json(msgspec.json.encode(_account(self._account(account.user))))

    def _account(self, user: str) -> AccountView:
        for account in self._sessions.accounts():
            if account.user == user:
                return account
        raise NotFound("ACCOUNT_UNKNOWN", "no account has this user")


def _own(request: web.Request) -> str:
    session = request[CALLER].session
    if session is None:
        raise NotAllowed("SESSION_NONE", "this token is of no session; there is nothing to keep")
    return session


def _opened(opened: LoggedIn) -> bytes:
    answer = Opened(
        session=opened.id,
        source=opened.source,
        token=opened.token,
        expires_at=opened.expires_at.astimezone(BEIJING),
        heartbeat_s=opened.heartbeat_s,
    )
    return msgspec.json.encode(answer)


def _shown(view: SessionView) -> Shown:
    return Shown(
        session=view.id,
        user=view.user,
        source=view.source,
        address=view.address,
        since=view.since.astimezone(BEIJING),
        heard_at=view.heard_at.astimezone(BEIJING),
        expires_at=view.expires_at.astimezone(BEIJING),
    )


def _account(view: AccountView) -> ShownAccount:
    until = view.locked_until
    return ShownAccount(
        user=view.user,
        source=view.source,
        sessions=view.sessions,
        locked_until=until and until.astimezone(BEIJING),
    )
