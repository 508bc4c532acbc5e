"""What staff see of a business system, and what they do by it (操作人员登陆): authentication is
central, by the SSO's cookie; authorization (鉴权) is local, by the system's own table (认证集中、
鉴权分散), or central too, by one question to the SSO for each operation (认证集中、鉴权集中).

An operation is carried out at hlrd's staff API, with the operator's own token.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import aiohttp
import msgspec
from aiohttp import hdrs, web
from msgspec import Struct
from yarl import URL

from loadtest.business.message import Messages, Party
from loadtest.business.neighbour import Neighbour, Words
from loadtest.business.system import Declined, answer, body_of

COOKIE: Final = "sso"

_JSON: Final = "application/json"
_TIMEOUT: Final = aiohttp.ClientTimeout(total=30, sock_connect=5)

OPERATIONS: Final[Mapping[str, tuple[str, str]]] = {
    "read": ("GET", "/v1/work-orders/{subject}"),
    "fallout.resend": ("POST", "/v1/fallout/{subject}/resend"),
    "fallout.cancel": ("POST", "/v1/fallout/{subject}/cancel"),
    "fallout.skip": ("POST", "/v1/fallout/{subject}/skip"),
    "fallout.finish": ("POST", "/v1/fallout/{subject}/finish"),
    "order.cancel": ("POST", "/v1/work-orders/{subject}/cancel"),
    "order.chase": ("POST", "/v1/work-orders/{subject}/chase"),
}
"""What the UI offers: the right that it takes, and the request to hlrd."""

_LOOK: Final = Words("cookie认证请求", "cookie认证结果")
_TOKEN: Final = Words("操作员令牌请求", "操作员令牌")
_AUTHORIZE: Final = Words("鉴权请求", "鉴权结果")
_ACT: Final = Words("操作指令执行", "返回操作结果")


@dataclass(frozen=True, slots=True)
class PortalSettings:
    sso: str = ""  #: URL; empty: there is no UI
    sso_token: str = field(default="", repr=False)  #: by which the SSO knows the system
    is_central: bool = False  #: rights are the SSO's to give (scheme 2), not the table's (scheme 1)
    rights: Mapping[str, frozenset[str]] = field(default_factory=dict)  #: by operator


class Who(Struct):
    valid: bool
    operator: str | None = None


class Issued(Struct):
    token: str


class Allowed(Struct):
    allowed: bool


class Asked(Struct):
    right: str
    subject: str
    body: dict[str, Any] | None = None


class Portal:
    def __init__(
        self,
        settings: PortalSettings,
        http: aiohttp.ClientSession,
        hlrd: str,
        messages: Messages,
        *,
        me: Party,
        ui: Party,
    ) -> None:
        self._settings = settings
        self._http = http
        self._hlrd = hlrd.rstrip("/")
        self._messages = messages
        self._me = me
        self._ui = ui
        self._sso = Neighbour(
            http, settings.sso, me=me, it=Party.SSO, messages=messages, token=settings.sso_token
        )

    def routes(self) -> Sequence[web.RouteDef]:
        if not self._settings.sso:
            return ()
        return (web.get("/ui", self._enter), web.post("/ui/operations", self._operate))

    async def _enter(self, request: web.Request) -> web.Response:
        """The page shows what the operator may do."""
        self._messages.note(self._ui, self._me, "输入URL", str(request.rel_url))
        operator = await self._operator(request)
        if operator is None:
            self._messages.note(self._me, self._ui, "重定向到SSO portal", is_answer=True)
            page = URL(f"{self._settings.sso}/login").with_query({"return": str(request.url)})
            raise web.HTTPFound(page)
        allowed = [right for right in OPERATIONS if await self._may(operator, right, "ui")]
        self._messages.note(
            self._me, self._ui, "返回可操作的业务界面", " ".join(allowed), is_answer=True
        )
        return answer({"operator": operator, "operations": allowed})

    async def _operate(self, request: web.Request) -> web.Response:
        asked = await body_of(request, Asked)
        if asked.right not in OPERATIONS:
            raise Declined(400, "OPERATION_UNKNOWN", f"one of {', '.join(OPERATIONS)}")
        self._messages.note(self._ui, self._me, "业务操作", f"{asked.right} {asked.subject}")
        try:
            operator = await self._operator(request)
            if operator is None:
                raise Declined(401, "COOKIE_INVALID", "log in at the SSO")
            if not await self._may(operator, asked.right, asked.subject):
                raise Declined(403, "RIGHT_MISSING", f"{operator} may not {asked.right}")
            status, content = await self._act(request, asked)
        except Declined as declined:
            self._show(declined.code)
            raise
        self._show(str(status))
        return answer({"status": status, "content": content})

    def _show(self, result: str) -> None:
        self._messages.note(self._me, self._ui, "返回操作结果", result, is_answer=True)

    async def _operator(self, request: web.Request) -> str | None:
        """None without a cookie that the SSO knows."""
        cookie = request.cookies.get(COOKIE)
        if cookie is None:
            return None
        said = await self._sso.ask("POST", "/cookies/verify", {"cookie": cookie}, words=_LOOK)
        who = msgspec.convert(said, Who)
        return who.operator if who.valid else None

    async def _may(self, operator: str, right: str, subject: str) -> bool:
        if not self._settings.is_central:
            may = right in self._settings.rights.get(operator, ())
            self._messages.note(self._me, self._me, "鉴权", f"{operator} {right} {may}")
            return may
        question = {"operator": operator, "right": right, "subject": subject}
        detail = f"{operator} {right}"
        said = await self._sso.ask("POST", "/authorize", question, words=_AUTHORIZE, detail=detail)
        return msgspec.convert(said, Allowed).allowed

    async def _act(self, request: web.Request, asked: Asked) -> tuple[int, Any]:
        method, template = OPERATIONS[asked.right]
        path = template.format(subject=asked.subject)
        cookie = {"cookie": request.cookies[COOKIE]}
        issued = await self._sso.ask("POST", "/tokens", cookie, words=_TOKEN)
        token = {
            hdrs.AUTHORIZATION: f"Bearer {msgspec.convert(issued, Issued).token}",
            hdrs.CONTENT_TYPE: _JSON,
        }
        self._messages.note(self._me, Party.HLRD, _ACT.request, f"{asked.right} {asked.subject}")
        data = None if asked.body is None else msgspec.json.encode(asked.body)
        try:
            async with self._http.request(
                method, self._hlrd + path, data=data, headers=token, timeout=_TIMEOUT
            ) as response:
                status, content = response.status, msgspec.json.decode(await response.read())
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise Declined(503, "PEER_AWAY", f"hlrd does not answer: {error}") from error
        code = content.get("code", "") if isinstance(content, dict) else ""
        detail = f"{asked.right} {status} {code}".strip()
        self._messages.note(Party.HLRD, self._me, _ACT.answer, detail, is_answer=True)
        return status, content


def rights_of(options: Sequence[str] | None) -> dict[str, frozenset[str]]:
    """The values of `--operator zhang3=fallout.resend,read`."""
    split = (option.partition("=") for option in options or ())
    return {operator: frozenset(rights.split(",")) for operator, _, rights in split}
