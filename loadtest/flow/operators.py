"""F02 and F03: staff that logs in at the central authentication (操作员登录), authorized locally or
centrally."""

from collections.abc import Sequence
from contextlib import asynccontextmanager
from typing import Any, Final
from urllib.parse import parse_qs, urlsplit

from aiohttp import hdrs

from loadtest.business.message import Party
from loadtest.faults import Fault, Once, Profile
from loadtest.flow.desk import (
    SUCCEEDED,
    asked,
    closed,
    new_account,
    opened,
    opening,
    states_settled,
)
from loadtest.flow.flow import Acts, Figure, Run, check, equal
from loadtest.flow.records import fallouts
from loadtest.flow.site import Site
from loadtest.flow.telecom import (
    CHIEF,
    DSMP,
    OPERATOR,
    PASSWORDS,
    WATCHER,
    Line,
    new_line,
    telecom,
    telecom_local,
)

RESEND: Final = "fallout.resend"


class Browser:
    """A person's: follows redirects by hand, keeps one cookie for all that is asked."""

    def __init__(self, site: Site, person: str) -> None:
        self.site = site
        self.person = person
        self.cookie = ""

    async def get(self, url: str) -> tuple[int, str, Any]:
        """Status, where to go, and the JSON of the answer if it has one."""
        return await self._ask("GET", url)

    async def log_in(self, url: str, *, password: str | None = None) -> int:
        """输入URL, 重定向, 登录界面, 用户名和密码, and back to the page that was wanted."""
        _, portal, _ = await self.get(url)
        await self.get(portal)
        back = parse_qs(urlsplit(portal).query)["return"][0]
        form = {"user": self.person, "password": password or PASSWORDS[self.person], "return": back}
        status, page, _ = await self._ask("POST", f"{self.site.url('sso')}/login", data=form)
        if page:
            status, _, _ = await self.get(page)
        return status

    async def operate(self, system: str, right: str, subject: str, **body: Any) -> tuple[int, Any]:
        """业务操作 by the UI of a system: status and content of hlrd, or of what declined it."""
        wanted = {"right": right, "subject": subject, "body": body}
        url = f"{self.site.url(system)}/ui/operations"
        status, _, answer = await self._ask("POST", url, json=wanted)
        if status == 200:
            return answer["status"], answer["content"]
        return status, answer

    async def _ask(self, method: str, url: str, **body: Any) -> tuple[int, str, Any]:
        cookie = {hdrs.COOKIE: f"sso={self.cookie}"} if self.cookie else {}
        async with self.site.http.request(
            method, url, headers=cookie, allow_redirects=False, **body
        ) as response:
            if (given := response.cookies.get("sso")) is not None:
                self.cookie = given.value
            is_json = response.content_type.endswith("json")
            content = await response.json(content_type=None) if is_json else None
        return response.status, response.headers.get(hdrs.LOCATION, ""), content


async def token_of(site: Site, person: str) -> str:
    """Of the SSO, as the command line would ask for it."""
    wanted = {"user": person, "password": PASSWORDS[person]}
    answer = await asked(site, "sso", "POST", "/login", wanted)
    return str(answer["token"])


async def fallen_out(site: Site) -> tuple[Line, str]:
    """A user with an order that waits for a person, and the order's id at hlrd."""
    (line,) = await opened(site, 1)
    await site.put_faults(DSMP, Profile(once=[Once(Fault.REFUSE, "PAUSE")]))
    await asked(site, "boss", "POST", "/credit-control", {"users": [line.user_id], "level": 2})

    async def look() -> list[dict[str, Any]]:
        return await fallouts(site, line)

    (fallout,) = await site.until(look, "the order falls out")
    return line, str(fallout["id"])


REASON: Final = {"operator_id": OPERATOR, "reason": "the DSMP is well again"}


async def story(run: Run) -> None:
    """To CRM and to BOSS by one login; an order that fell out is sent again from the UI of CRM."""
    line, order = await fallen_out(run.site)
    await run.begins()
    browser = Browser(run.site, OPERATOR)
    await browser.log_in(f"{run.site.url('crm')}/ui")
    await browser.operate("crm", RESEND, order, **REASON)
    await states_settled(run.site, [line])
    await browser.get(f"{run.site.url('boss')}/ui")


async def _resend(site: Site, order: str, token: str, person: str = OPERATOR) -> tuple[int, Any]:
    body = {**REASON, "operator_id": person}
    headers = {"Operator-Id": person}
    path = f"/v1/fallout/{order}/resend"
    return await site.hlrd.ask("POST", path, body, token=token, headers=headers)


@asynccontextmanager
async def sso_down(site: Site) -> Any:
    await site.control("sso", "PUT", "/down", {"on": True})
    try:
        yield
    finally:
        await site.control("sso", "PUT", "/down", {"on": False})


async def _refusals(site: Site, person: str, order: str) -> int:
    """Acts of a person about an order that the audit trail has as refused."""
    found = await site.hlrd.get(f"/v1/audit?actor={person}&limit=100")
    about = [row for row in found["rows"] if order in str(row["subject"])]
    return sum("RIGHT_MISSING" in str(row) for row in about)


@check("the central authentication is down: a token that is valid still works until it expires")
async def works_without_the_sso(run: Run) -> Sequence[Figure]:
    site = run.site
    line, order = await fallen_out(site)
    token = await token_of(site, OPERATOR)
    async with sso_down(site):
        status, _ = await _resend(site, order, token)
        await states_settled(site, [line])
    await site.control("sso", "PUT", "/tokens", {"lifetime_s": 1.0})
    brief = await token_of(site, OPERATOR)
    await site.control("sso", "PUT", "/tokens", {"lifetime_s": 3600.0})

    async def refused() -> int:
        said, _ = await site.hlrd.ask("GET", f"/v1/work-orders/{order}", token=brief)
        return said if said != 200 else 0

    expired = await site.until(refused, "a token of one second is over")
    return [
        equal("a resend while the SSO is down", status, 202),
        equal("answer to a token of one second, later", expired, 401),
    ]


@check("hlrd's own roles decide: who only watches is refused RIGHT_MISSING, and it is audited")
async def roles_decide(run: Run) -> Sequence[Figure]:
    site = run.site
    line, order = await fallen_out(site)
    token = await token_of(site, WATCHER)
    looked, _ = await site.hlrd.ask("GET", f"/v1/work-orders/{order}", token=token)
    refused, answer = await _resend(site, order, token, WATCHER)
    allowed, _ = await _resend(site, order, await token_of(site, OPERATOR))
    await states_settled(site, [line])
    return [
        equal("what he looks at", looked, 200),
        equal("what he sends again", (refused, answer["code"]), (403, "RIGHT_MISSING")),
        equal("sent again by who may", allowed, 202),
        equal("in the audit trail of him", await _refusals(site, WATCHER, order), 1),
    ]


@check("a wrong password opens nothing, and nobody acts under another's name")
async def nobody_else(run: Run) -> Sequence[Figure]:
    site = run.site
    line, order = await fallen_out(site)
    stranger = Browser(site, OPERATOR)
    status = await stranger.log_in(f"{site.url('crm')}/ui", password="not-it-at-all")
    operated, _ = await stranger.operate("crm", RESEND, order, **REASON)
    token = await token_of(site, OPERATOR)
    refused, answer = await _resend(site, order, token, CHIEF)
    await _resend(site, order, token)
    await states_settled(site, [line])
    return [
        equal("the login page", status, 401),
        equal("an operation without a cookie", operated, 401),
        equal("in the name of another", (refused, answer["code"]), (403, "OPERATOR_NOT_YOU")),
    ]


@check("the right to send again is taken away between two calls: the second is refused and audited")
async def revoked_between_two_calls(run: Run) -> Sequence[Figure]:
    site = run.site
    first, second = await fallen_out(site), await fallen_out(site)
    token = await token_of(site, OPERATOR)
    before, _ = await _resend(site, first[1], token)
    await site.control("sso", "POST", "/rights", {"operator": OPERATOR, "revoke": ["fallout.*"]})
    after, answer = await _resend(site, second[1], token)
    await site.control("sso", "POST", "/rights", {"operator": OPERATOR, "grant": ["fallout.*"]})
    refusals = await _refusals(site, OPERATOR, second[1])
    again, _ = await _resend(site, second[1], token)
    await states_settled(site, [first[0], second[0]])
    return [
        equal("the first call", before, 202),
        equal("the second call", (after, answer["code"]), (403, "RIGHT_MISSING")),
        equal("the second in the audit trail", refusals, 1),
        equal("a third, with the right", again, 202),
    ]


@check(
    "the central authentication is down: acts are refused, who was looking goes on looking, and"
    " orders on the channels come in"
)
async def fails_closed(run: Run) -> Sequence[Figure]:
    site = run.site
    line, order = await fallen_out(site)
    token = await token_of(site, OPERATOR)
    path = f"/v1/work-orders/{order}"
    await site.hlrd.ask("GET", path, token=token)
    account = await new_account(site)
    newcomer = new_line(site, account_id=account)
    async with sso_down(site):
        acted, answer = await _resend(site, order, token)
        looked, _ = await site.hlrd.ask("GET", path, token=token)
        made = await asked(site, "crm", "POST", "/users", opening(newcomer))
        taken = await closed(site, "crm", made["order_id"])
    again, _ = await _resend(site, order, token)
    await states_settled(site, [line])
    return [
        equal("an act", (acted, answer["code"]), (503, "AUTHORIZATION_UNAVAILABLE")),
        equal("a look by who had looked before", looked, 200),
        equal("an order of CRM", taken["result"], SUCCEEDED),
        equal("the act when it is up", again, 202),
    ]


LEGS: Final = (
    frozenset({"返回操作结果"}),
    frozenset({Party.BOSS, Party.HLRD, Party.HLR, Party.DSMP}),
)
"""An act is answered while it is carried out."""

F02: Final = Acts(
    layout=telecom_local,
    story=story,
    legs=LEGS,
    checks=(works_without_the_sso, roles_decide),
    faults=(nobody_else,),
)
F03: Final = Acts(
    layout=telecom,
    story=story,
    legs=LEGS,
    checks=(revoked_between_two_calls,),
    faults=(fails_closed, nobody_else),
)
