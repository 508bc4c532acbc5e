"""The HTTP interface of the emulated SSO (统一认证).

For people:
GET  /login?return=URL   the page 登录界面; with a cookie that holds it goes back at once (303)
POST /login              a form of user, password, return: the cookie `sso`, and 303 back to
                         `return` (hosts that are allowed only), or a page; 401 and the page again.
                         As JSON {"user", "password"}: 200 {"operator", "cookie", "token",
                         "expires_at"} (seconds since 1970) with the cookie, 401 LOGIN_REFUSED
POST /logout             the cookie is of no use any more; 204

For systems, by `Authorization: Bearer …` where the SSO was given one to ask for (else 401
UNAUTHORIZED):
POST /cookies/verify {"cookie"}                      {"valid", "operator"}   cookie认证
POST /tokens         {"cookie"}                      {"operator", "token", "expires_at"}; a JWT for
                                                     the audiences; 401 LOGIN_REFUSED
POST /authorize      {"operator", "right", "subject"}  {"allowed"}           鉴权请求 / 鉴权结果
GET  /jwks           the public keys (RFC 7517), for everybody

The control port has beside that of every system:
GET  /people                                     without passwords
PUT  /people/NAME {"password", "rights"?}        somebody new, or anew
POST /rights      {"operator", "grant"?, "revoke"?}   lists of patterns with *
POST /keys/rotate {"keep"? (true)}               {"kid"}: a new key signs; false: the old are gone
PUT  /tokens      {"lifetime_s"}                 of those to come
PUT  /down        {"on", "how"? (away, hang, error, garbage)}   of the business port
"""

import asyncio
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from enum import StrEnum
from html import escape
from pathlib import Path
from typing import Any, Final

import msgspec
from aiohttp import hdrs, web
from aiohttp.typedefs import Handler
from msgspec import Struct, structs

from loadtest.business.message import Party
from loadtest.business.system import Declined, System, answer, body_of
from loadtest.sso.core import SSO, PeopleInvalid, Person, Settings

COOKIE: Final = "sso"

ASK: Final = "登录请求"
PAGE: Final = "登录界面"
LOG_IN: Final = "输入用户名/密码"
LOGGED_IN: Final = "认证通过，含cookie"
REFUSED: Final = "认证不通过"
AUTHORIZE: Final = "鉴权请求"
AUTHORIZED: Final = "鉴权结果"

_HLRD: Final = "hlrd/"  #: how its User-Agent begins
_PAGE: Final = """<!doctype html>
<html lang="zh"><head><meta charset="utf-8"><title>统一认证</title></head>
<body><h1>统一认证</h1><p role="alert">{said}</p>
<form method="post" action="/login">
<label>用户名 <input name="user" autocomplete="username" required></label>
<label>密码 <input name="password" type="password" autocomplete="current-password" required></label>
<input type="hidden" name="return" value="{back}">
<button>登录</button>
</form></body></html>
"""
_PAGE_HEADERS: Final = {
    hdrs.CACHE_CONTROL: "no-store",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'; base-uri 'none'",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}


class How(StrEnum):
    """In which way it is down."""

    AWAY = "away"  #: the connection ends without an answer
    HANG = "hang"  #: no answer, until it is up again
    ERROR = "error"  #: 500
    GARBAGE = "garbage"  #: 200, and nonsense


class Credentials(Struct, forbid_unknown_fields=True):
    user: str
    password: str

    def __repr__(self) -> str:
        return f"Credentials({self.user!r})"


class Cookie(Struct, forbid_unknown_fields=True):
    cookie: str


class Question(Struct, forbid_unknown_fields=True):
    operator: str
    right: str
    subject: str


class Change(Struct, forbid_unknown_fields=True):
    operator: str
    grant: list[str] = []
    revoke: list[str] = []


class Profile(Struct, forbid_unknown_fields=True):
    password: str
    rights: list[str] = []


class Rotation(Struct, forbid_unknown_fields=True):
    keep: bool = True


class Lifetime(Struct, forbid_unknown_fields=True):
    lifetime_s: float


class Down(Struct, forbid_unknown_fields=True):
    on: bool
    how: How = How.AWAY


class Server(System):
    def __init__(
        self, settings: Settings, people: Sequence[Person], *, jwks_file: Path | None = None
    ) -> None:
        super().__init__(settings.name)
        self.sso = SSO(settings, people)
        self.down = Down(on=False)
        self._is_up = asyncio.Event()
        self._is_up.set()
        self._jwks_file = jwks_file
        self._publish()

    def routes(self) -> Sequence[web.RouteDef]:
        return [
            web.get("/login", self._guarded(self._page)),
            web.post("/login", self._guarded(self._log_in)),
            web.post("/logout", self._guarded(self._log_out)),
            web.post("/cookies/verify", self._guarded(self._verify)),
            web.post("/tokens", self._guarded(self._token)),
            web.post("/authorize", self._guarded(self._authorize)),
            web.get("/jwks", self._guarded(self._jwks)),
        ]

    def control_routes(self) -> Sequence[web.RouteDef]:
        return [
            web.get("/people", self._people),
            web.put("/people/{name}", self._put_person),
            web.post("/rights", self._change),
            web.post("/keys/rotate", self._rotate),
            web.put("/tokens", self._set_lifetime),
            web.put("/down", self._set_down),
        ]

    def rotate(self, *, keep: bool) -> str:
        """The id of the key that signs from now on."""
        kid = self.sso.rotate(keep=keep)
        self._publish()
        return kid

    def fall(self, down: Down) -> None:
        """Or rise again."""
        self.down = down
        if down.on:
            self._is_up.clear()
        else:
            self._is_up.set()

    def stats(self) -> Mapping[str, Any]:
        return {**asdict(self.sso.counters), "down": self.down.how if self.down.on else ""}

    def dump(self) -> Sequence[Any]:
        return self.sso.people()

    def _guarded(self, handler: Handler) -> Handler:
        """Nothing of it works while it is down."""

        async def guarded(request: web.Request) -> web.StreamResponse:
            if not self.down.on:
                return await handler(request)
            match self.down.how:
                case How.HANG:
                    await self._is_up.wait()
                case How.ERROR:
                    raise Declined(500, "INTERNAL", "down")
                case How.GARBAGE:
                    return web.Response(text="<html>maintenance</html>", content_type="text/html")
            if request.transport is not None:
                request.transport.abort()
            return web.Response(status=503)

        return guarded

    # For people.

    async def _page(self, request: web.Request) -> web.Response:
        back = request.query.get("return", "")
        self._refuse_elsewhere(back)
        self._ui(ASK)
        operator = self.sso.person_of(request.cookies.get(COOKIE, ""), time.time())
        if operator is not None and back:
            self._ui(LOGGED_IN, operator, is_answer=True)
            return web.Response(status=303, headers={hdrs.LOCATION: back, **_PAGE_HEADERS})
        self._ui(PAGE, is_answer=True)
        return _page(back)

    async def _log_in(self, request: web.Request) -> web.Response:
        is_form = request.content_type == "application/x-www-form-urlencoded"
        if not is_form and request.content_type != "application/json":
            raise Declined(415, "MEDIA_TYPE", "a form or JSON")
        back = ""
        if is_form:
            form = await request.post()
            back = str(form.get("return", ""))
            self._refuse_elsewhere(back)
            wanted = Credentials(str(form.get("user", "")), str(form.get("password", "")))
        else:
            wanted = await body_of(request, Credentials)
        self._ui(LOG_IN, wanted.user[:20])
        cookie = self.sso.log_in(wanted.user, wanted.password, time.time())
        if cookie is None:
            self._ui(REFUSED, wanted.user[:20], is_answer=True)
            if not is_form:
                raise _refused()
            return _page(back, "用户名或密码错误", 401)
        self._ui(LOGGED_IN, wanted.user, is_answer=True)
        response = self._let_in(wanted.user, cookie, back, is_form=is_form)
        response.set_cookie(
            COOKIE, cookie, httponly=True, samesite="Lax", max_age=int(self.sso.settings.cookie_s)
        )
        return response

    def _let_in(self, operator: str, cookie: str, back: str, *, is_form: bool) -> web.Response:
        if is_form and back:
            return web.Response(status=303, headers={hdrs.LOCATION: back, **_PAGE_HEADERS})
        if is_form:
            return _page("", f"{operator} 已登录")
        return answer({"cookie": cookie, **self._issued(operator)})

    async def _log_out(self, request: web.Request) -> web.Response:
        self.sso.log_out(request.cookies.get(COOKIE, ""))
        response = web.Response(status=204)
        response.del_cookie(COOKIE)
        return response

    # For systems.

    async def _verify(self, request: web.Request) -> web.Response:
        self._refuse_stranger(request)
        wanted = await body_of(request, Cookie)
        operator = self.sso.person_of(wanted.cookie, time.time())
        return answer({"valid": operator is not None, "operator": operator or ""})

    async def _token(self, request: web.Request) -> web.Response:
        self._refuse_stranger(request)
        wanted = await body_of(request, Cookie)
        operator = self.sso.person_of(wanted.cookie, time.time())
        if operator is None:
            raise _refused()
        return answer(self._issued(operator))

    async def _authorize(self, request: web.Request) -> web.Response:
        self._refuse_stranger(request)
        asked = await body_of(request, Question)
        allowed = self.sso.may(asked.operator, asked.right)
        if request.headers.get(hdrs.USER_AGENT, "").startswith(_HLRD):  # which notes nothing itself
            detail = f"{asked.operator} {asked.right} {asked.subject}"
            self.messages.note(Party.HLRD, Party.SSO, AUTHORIZE, detail)
            said = f"{asked.operator} {asked.right} {'允许' if allowed else '不允许'}"
            self.messages.note(Party.SSO, Party.HLRD, AUTHORIZED, said, is_answer=True)
        return answer({"allowed": allowed})

    async def _jwks(self, _: web.Request) -> web.Response:
        return answer(self.sso.jwks())

    # For who watches.

    async def _people(self, _: web.Request) -> web.Response:
        return answer(self.sso.people())

    async def _put_person(self, request: web.Request) -> web.Response:
        wanted = await body_of(request, Profile)
        person = Person(request.match_info["name"], **structs.asdict(wanted))
        try:
            self.sso.put(person)
        except PeopleInvalid as error:
            raise Declined(400, "PERSON_INVALID", str(error)) from None
        return answer({"name": person.name, "rights": person.rights})

    async def _change(self, request: web.Request) -> web.Response:
        wanted = await body_of(request, Change)
        try:
            return answer(
                self.sso.change(wanted.operator, grant=wanted.grant, revoke=wanted.revoke)
            )
        except KeyError:
            raise Declined(404, "PERSON_UNKNOWN", "nobody has this name") from None
        except PeopleInvalid as error:
            raise Declined(400, "PERSON_INVALID", str(error)) from None

    async def _rotate(self, request: web.Request) -> web.Response:
        return answer({"kid": self.rotate(keep=(await body_of(request, Rotation)).keep)})

    async def _set_lifetime(self, request: web.Request) -> web.Response:
        wanted = await body_of(request, Lifetime)
        if not 0 < wanted.lifetime_s <= 86_400:
            raise Declined(400, "BODY_INVALID", "lifetime_s is above 0 and at most a day")
        self.sso.token_s = wanted.lifetime_s
        return answer(wanted)

    async def _set_down(self, request: web.Request) -> web.Response:
        self.fall(await body_of(request, Down))
        return answer(self.down)

    async def end(self) -> None:
        self._is_up.set()

    def _issued(self, operator: str) -> Mapping[str, Any]:
        token, expires_at = self.sso.token(operator, time.time())
        return {"operator": operator, "token": token, "expires_at": expires_at}

    def _publish(self) -> None:
        """Into the file that hlrd has its keys from."""
        if self._jwks_file is not None:
            self._jwks_file.write_bytes(msgspec.json.encode(self.sso.jwks()))

    def _ui(self, name: str, detail: str = "", *, is_answer: bool = False) -> None:
        """What a browser says and is told is noted here: it has no record of its own."""
        ends = (Party.SSO, Party.CRM_UI) if is_answer else (Party.CRM_UI, Party.SSO)
        self.messages.note(*ends, name, detail, is_answer=is_answer)

    def _refuse_stranger(self, request: web.Request) -> None:
        bearer = self.sso.settings.bearer
        if bearer and request.headers.get(hdrs.AUTHORIZATION) != f"Bearer {bearer}":
            raise Declined(401, "UNAUTHORIZED", "this is for the systems that the SSO knows")

    def _refuse_elsewhere(self, back: str) -> None:
        if back and not self.sso.may_return(back):
            raise Declined(400, "RETURN_REFUSED", "a login does not go back to that address")


def _page(back: str, said: str = "", status: int = 200) -> web.Response:
    text = _PAGE.format(said=escape(said), back=escape(back))
    return web.Response(text=text, status=status, content_type="text/html", headers=_PAGE_HEADERS)


def _refused() -> Declined:
    return Declined(401, "LOGIN_REFUSED", "log in")
