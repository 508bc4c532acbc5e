"""What the flows between CRM, BOSS and hlrd run on (F01 to F16), and what they do again and again.

One hlrd, one M-HLR, a DSMP, a platform and an EOMS; CRM, BOSS and the central authentication. Three
provinces, one under each scheme of the state master, so that all flows share one site.
"""

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import asyncpg
import msgspec

from hlrd.domain.identity import COUNTRY_CODE
from hlrd.domain.orders import Source
from loadtest.business.message import Message, Party
from loadtest.business.northbound import ORDER, TAKEN
from loadtest.flow.daemon import Daemon
from loadtest.flow.flow import Run
from loadtest.flow.site import Site
from loadtest.process import StackError
from loadtest.record import Served
from loadtest.simlot import LOT_CARDS_MAX, Lot, NumberRange, Stock

BY_BOSS: Final = "200"
BY_CRM: Final = "210"
BY_BOTH: Final = "220"
MASTERS: Final[Mapping[str, str]] = {BY_BOSS: "BOSS", BY_CRM: "CRM", BY_BOTH: "backup"}
"""Who is master of user state, by province."""

OPERATOR: Final = "zhang3"
CHIEF: Final = "li4"
WATCHER: Final = "wang5"
PEOPLE: Final[Mapping[str, Sequence[str]]] = {
    OPERATOR: ["fallout.*", "order.cancel", "order.chase", "read"],
    CHIEF: ["*"],
    WATCHER: ["read"],
}
"""Staff, with the rights that it has."""

HLR: Final = "hlr1"
DSMP: Final = "dsmp1"
PLATFORM: Final = "video"
EOMS: Final = "eoms1"
ELEMENTS: Final = (HLR, DSMP, PLATFORM, EOMS)

PROVISIONING: Final = "开通类"
CLOSED: Final = "closed"
SUCCEEDED: Final = "succeeded"

READS: Final = ("LST ", "LGI", "LGO")
LOCK: Final = "MOD LCK"
LOCKS: Final = ("IC", "OC", "GPRSLOCK", "EPSLOCK")
LEVELS: Final[Mapping[str, int]] = {
    "IC=FALSE,OC=FALSE,GPRSLOCK=FALSE,EPSLOCK=FALSE": 0,
    "IC=FALSE,OC=TRUE,GPRSLOCK=FALSE,EPSLOCK=FALSE": 1,
    "IC=TRUE,OC=TRUE,GPRSLOCK=TRUE,EPSLOCK=TRUE": 2,
}
BARRINGS: Final = ("unbar", "bar1", "bar2")

HLR_REPLY_TIMEOUT_S: Final = 60.0
"""Longer than an HLR takes that is slowed to 30 s, which is no fault."""

HLR_SESSIONS: Final = 128
_SUB_ORDER: Final = re.compile(r"\S+-[BC]P\b")
_FIRST_USER: Final = 8_000_000
_LINES_PER_SIZE: Final = 8
"""Users that the flows of the family open for each of their size, together and per province."""

_LINES_MIN: Final = 600
_PASSWORD: Final = "SYSTEM_PASSWORD"
SPARE: Final = "crm-spare"
ACCOUNTS: Final[Mapping[str, Source]] = {
    "crm": Source.CRM,
    "boss": Source.BOSS,
    SPARE: Source.CRM,  # nobody's, to be locked
}
PASSWORDS: Final[Mapping[str, str]] = {name: f"{name}-Password-1" for name in (*ACCOUNTS, *PEOPLE)}
KEYS: Final = "sso.jwks.json"
SSO_TOKEN: Final = "token-of-hlrd-at-the-sso"
TABLE: Final = ("read", "fallout.resend", "fallout.cancel", "order.cancel", "order.chase")
"""What an operator may do by the UI of CRM and BOSS, by their own tables."""


@dataclass(frozen=True, slots=True)
class Line:
    """One user (用户): a subscription with its number and card."""

    user_id: str
    msisdn: str
    imsi: str
    iccid: str
    province: str
    account_id: str = ""


async def telecom(site: Site) -> None:
    """The layout: staff is authorized centrally, by the SSO (F03)."""
    await _start(site, is_central=True)


async def telecom_local(site: Site) -> None:
    """The same, but that each system has its own table of who may do what (F02)."""
    await _start(site, is_central=False)


async def _start(site: Site, *, is_central: bool) -> None:
    people = [
        {"name": name, "password": PASSWORDS[name], "rights": list(rights)}
        for name, rights in PEOPLE.items()
    ]
    kept = site.secret("people.json", json.dumps(people))
    keys = site.folder / KEYS
    sso = ["--people", str(kept), "--jwks-file", str(keys)]
    await site.start("sso", "loadtest.sso", *sso, party=Party.SSO)
    await site.start_hlr(HLR, "--sessions-max", str(HLR_SESSIONS))
    await site.start_dsmp(DSMP)
    await site.start_platform(PLATFORM, "province_platform", party=Party.PROVINCE_PLATFORM)
    await site.start_eoms(EOMS)
    daemon = site.add_hlrd()
    configure(site, daemon)
    daemon.put("operators", **_operators(site, keys, is_central=is_central))
    await daemon.start()
    await site.import_stock(daemon, stock(site))
    masters = [option for pair in MASTERS.items() for option in ("--master", "=".join(pair))]
    table = [f"{name}={','.join(TABLE)}" for name in (OPERATOR, CHIEF)]
    portal = ["--sso", site.url("sso"), "--authorization", "central" if is_central else "local"]
    portal += [option for row in table for option in ("--operator", row)]
    beside = {"crm": ["--boss", site.url("boss")], "boss": ["--crm", site.url("crm")]}
    for name, party in (("boss", Party.BOSS), ("crm", Party.CRM)):
        run_id = f"R{site.seed:03d}x"  # of every order id
        account = ["--hlrd", daemon.url, "--account", name, "--password-env", _PASSWORD]
        await site.start(
            name,
            f"loadtest.{name}",
            *account,
            "--run",
            run_id,
            *masters,
            *beside[name],
            *portal,
            party=party,
            environment={_PASSWORD: PASSWORDS[name]},
        )


def _operators(site: Site, keys: Path, *, is_central: bool) -> dict[str, Any]:
    """hlrd's own section."""
    sso = {"issuer": "https://sso.example", "keys_file": str(keys)}
    if is_central:
        asking = {"authorize_url": f"{site.url('sso')}/authorize", "token": SSO_TOKEN}
        return {"check": "remote", **sso, **asking}
    roles = {name: list(rights) for name, rights in PEOPLE.items()}
    return {"check": "local", **sso, "roles": roles, "people": {name: [name] for name in PEOPLE}}


def configure(site: Site, daemon: Daemon) -> None:
    daemon.sections[""] += "\ngrades = []"  # every number of the stock is as good as any
    daemon.put("orders", state_masters=dict(MASTERS))
    daemon.put("sessions", heartbeat_s=1.0, idle_close_s=10.0)
    for name, source in ACCOUNTS.items():
        file = site.secret(f"{name}.password", PASSWORDS[name])
        daemon.add("accounts", source=source, user=name, password_file=str(file))
    patient = {"reply_timeout_s": HLR_REPLY_TIMEOUT_S, "sessions_max": HLR_SESSIONS}
    site.drive(daemon, HLR, "huawei_hlr", **patient)
    site.drive(daemon, DSMP, "dsmp")
    site.drive(daemon, PLATFORM, "province_platform")
    site.drive(daemon, EOMS, "eoms")


def stock(site: Site) -> Stock:
    """A range and lots for each province, enough for every flow of the family."""
    cards = _LINES_MIN + _LINES_PER_SIZE * site.size
    ranges = [
        NumberRange(
            f"{_block(province)}000000", f"{_block(province)}{cards - 1:06d}", HLR, province
        )
        for province in MASTERS
    ]
    lots = [
        Lot(f"lot-{province}-{first}", HLR, _prefix(province), first, quantity, 1, province)
        for province in MASTERS
        for first in range(0, cards, LOT_CARDS_MAX)
        for quantity in [min(LOT_CARDS_MAX, cards - first)]
    ]
    return Stock(ranges, lots)


def new_line(site: Site, province: str = BY_BOSS, account_id: str = "") -> Line:
    """An idle number and card of the stock that no other flow was given."""
    card = site.notes[province] = site.notes.get(province, -1) + 1
    if card >= _LINES_MIN + _LINES_PER_SIZE * site.size:
        raise StackError(f"the stock of province {province} is used up; run fewer flows at once")
    lot = Lot("", HLR, _prefix(province), 0, 0, 1, province)
    user_id = str(_FIRST_USER + site.fresh())
    number = f"{_block(province)}{card:06d}"
    return Line(user_id, number, lot.imsi(card), lot.iccid(card), province, account_id)


def _prefix(province: str) -> str:
    return f"{list(MASTERS).index(province) + 1:02d}"


def _block(province: str) -> str:
    return f"10649{_prefix(province)}"


# What people ask CRM and BOSS for.


async def asked(site: Site, system: str, method: str, path: str, body: Any = None) -> Any:
    """The answer's JSON. Raises StackError if the system declines."""
    status, content = await site.ask(system, method, path, body)
    if status >= 400:
        raise StackError(f"{system}: {method} {path}: {status} {content}")
    return content


async def new_account(site: Site) -> str:
    """Of a new customer, opened at the desk of CRM."""
    body = {"operator_id": OPERATOR, "name": "示例客户"}
    customer = await asked(site, "crm", "POST", "/customers", body)
    return str(customer["account_id"])


def opening(line: Line, **more: Any) -> dict[str, Any]:
    """用户开户请求."""
    return {
        "operator_id": OPERATOR,
        "province": line.province,
        "account_id": line.account_id,
        "user_id": line.user_id,
        "msisdn": line.msisdn,
        "imsi": line.imsi,
        "iccid": line.iccid,
        "services": ["GPRS", "SMS"],
        **more,
    }


async def opened(site: Site, count: int, province: str = BY_BOSS) -> list[Line]:
    """That many active users of one account, through CRM, BOSS and hlrd."""
    account = await new_account(site)
    return await opened_as(site, [new_line(site, province, account) for _ in range(count)])


async def opened_as(site: Site, lines: list[Line]) -> list[Line]:
    """Themselves, active."""
    made = await asked(site, "crm", "POST", "/users", [opening(line) for line in lines])
    orders = await all_closed(site, "crm", [order["order_id"] for order in made])
    wrong = [order for order in orders if order["result"] != SUCCEEDED]
    if wrong:
        raise StackError(f"{len(wrong)} of {len(lines)} users could not be opened: {wrong[0]}")
    return lines


async def order_of(site: Site, system: str, order_id: str) -> dict[str, Any]:
    order: dict[str, Any] = await asked(site, system, "GET", f"/orders/{order_id}")
    return order


async def closed(site: Site, system: str, order_id: str) -> dict[str, Any]:
    """订单关闭: the order of CRM or BOSS, once it is."""

    async def look() -> dict[str, Any] | None:
        order = await order_of(site, system, order_id)
        return order if order["state"] == CLOSED else None

    found: dict[str, Any] = await site.until(look, f"{system} closes order {order_id}")
    return found


async def all_closed(site: Site, system: str, order_ids: Iterable[str]) -> list[dict[str, Any]]:
    """By their dump, as one by one takes long."""
    wanted = set(order_ids)

    async def look() -> list[dict[str, Any]]:
        rows = [row for row in await rows_of(site, system, "orders") if row["order_id"] in wanted]
        return rows if all(row["state"] == CLOSED for row in rows) else []

    if not wanted:
        return []
    found: list[dict[str, Any]] = await site.until(look, f"{system} closes {len(wanted)} orders")
    return found


async def states_settled(site: Site, lines: Sequence[Line]) -> None:
    """Until no order of CRM or BOSS about these users is open."""
    users = {line.user_id for line in lines}

    async def look() -> bool:
        for system in ("crm", "boss"):
            rows = await rows_of(site, system, "orders")
            if any(row["user_id"] in users and row["state"] != CLOSED for row in rows):
                return False
        return True

    await site.until(look, f"CRM and BOSS close every order of {len(lines)} users")


async def rows_of(site: Site, system: str, table: str) -> list[dict[str, Any]]:
    return [line["row"] for line in await site.dump(system) if line["table"] == table]


async def user_of(site: Site, system: str, line: Line) -> dict[str, Any]:
    user: dict[str, Any] = await asked(site, system, "GET", f"/users/{line.user_id}")
    return user


# What hlrd and the network have.


async def posted(
    site: Site, kind: str, source: Source, line: Line | None = None, **fields: Any
) -> tuple[int, Any]:
    """An order past CRM and BOSS, as a stranger would post it; its answer, waited for."""
    about = {"user_id": line.user_id, "msisdn": line.msisdn} if line is not None else {}
    province = line.province if line is not None else "000"
    header = {"order_id": f"X-{site.fresh()}", "operator_id": OPERATOR, "province": province}
    return await site.hlrd.ask(
        "POST",
        "/v1/work-orders",
        {"type": kind, **header, **about, **fields},
        source=source,
        headers={"Prefer": "wait=30"},
    )


def code_of(answer: Any) -> str:
    """What came of a posted order: a refusal's code, or the result of its receipt."""
    receipt = answer.get("receipt", {})
    return str(answer.get("code") or receipt.get("code") or receipt.get("result", "open"))


async def subscribers(site: Site) -> dict[str, dict[str, Any]]:
    """The HLR's records by MSISDN, each with what is switched on for it."""
    rows = await site.dump(HLR)
    switched = {row["imsi"]: row for row in rows if row["record"] == "services"}
    return {
        row["isdn"].removeprefix(COUNTRY_CODE): {**switched.get(row["imsi"], {}), **row}
        for row in rows
        if row["record"] == "subscriber" and row["isdn"]
    }


def level_of(row: Mapping[str, Any]) -> int:
    """By the locks of a record at the HLR."""
    return LEVELS[",".join(f"{name}={str(row[name.lower()]).upper()}" for name in LOCKS)]


async def not_at_level(site: Site, lines: Sequence[Line], level: int) -> list[str]:
    """MSISDNs that the HLR has otherwise, or not at all."""
    found = await subscribers(site)
    return [
        line.msisdn
        for line in lines
        if line.msisdn not in found or level_of(found[line.msisdn]) != level
    ]


async def relations(site: Site, line: Line) -> dict[str, str]:
    """State at the DSMP by service."""
    rows = [row for row in await site.dump(DSMP) if row["msisdn"] == line.msisdn]
    return {row["sp_service_id"]: row["state"] for row in rows}


async def logged(site: Site, name: str = HLR) -> int:
    """Number of the last command that an element served."""
    served = await site.log(name)
    return served[-1].number if served else 0


async def changes(site: Site, after: int, line: Line | None = None) -> list[Served]:
    """What the HLR was told past a number of its log, of one user or of all, but for questions."""
    return [
        served
        for served in await site.log(HLR, after)
        if not served.command.startswith(READS) and (line is None or line.imsi in served.command)
    ]


async def barrings(site: Site, after: int, line: Line | None = None) -> list[str]:
    """Of those, what barred and unbarred: bar1, bar2, unbar."""
    told = await changes(site, after, line)
    return [_barring(served.command) for served in told if served.command.startswith(LOCK)]


def _barring(command: str) -> str:
    (found,) = (BARRINGS[level] for locks, level in LEVELS.items() if locks in command)
    return found


async def counted(site: Site, name: str = HLR) -> dict[str, int]:
    """Commands that an element served since it started, by verb; not bounded as its log is."""
    stats = await site.control(name, "GET", "/stats")
    return dict(stats["commands"])


async def counted_since(site: Site, before: Mapping[str, int], verb: str) -> int:
    return (await counted(site)).get(verb, 0) - before.get(verb, 0)


async def journal(site: Site, sql: str, *values: object) -> list[Any]:
    """hlrd's own tables, as they are."""
    connection = await asyncpg.connect(await site.hlrd.dsn())
    try:
        return list(await connection.fetch(sql, *values))
    finally:
        await connection.close()


async def orders_taken(site: Site) -> int:
    """Rows of hlrd's order table."""
    (row,) = await journal(site, "SELECT count(*) FROM work_order")
    return int(row[0])


async def receipts_of(site: Site, source: Source, order_ids: Iterable[str]) -> list[str]:
    """Order ids of all the final receipts that hlrd has for these orders of a source."""
    wanted, found, cursor = set(order_ids), list[str](), "0"
    while True:
        path = f"/v1/receipts?after={cursor}&limit=1000"
        page = await site.hlrd.get(path, source=source)
        if not page["receipts"]:
            return found
        final = [each for each in page["receipts"] if each["result"] != "fallout"]
        found += [each["order_id"] for each in final if each["order_id"] in wanted]
        cursor = page["cursor"]


async def heard(site: Site, system: str, after: int = 0) -> list[tuple[int, Message]]:
    """What CRM or BOSS noted past a number, each with its own."""
    rows = await site.control(system, "GET", f"/messages?after={after}")
    return msgspec.convert(rows, list[tuple[int, Message]])


async def taken_s(site: Site, system: str, after: int) -> list[float]:
    """How long hlrd took to take each order of a system, or each lot of orders."""
    asked_at: dict[str, float] = {}
    took: list[float] = []
    for _, message in await heard(site, system, after):
        order_id = next(iter(_SUB_ORDER.findall(message.detail)), "")
        if message.name == ORDER:
            asked_at[order_id] = message.at
        elif message.name == TAKEN and order_id in asked_at:
            took.append(message.at - asked_at[order_id])
    return took


async def are_taken(site: Site, lines: Sequence[Line]) -> bool:
    """Whether hlrd has an order of each."""
    sql = "SELECT count(DISTINCT user_id) FROM work_order WHERE user_id = ANY($1)"
    (row,) = await journal(site, sql, [line.user_id for line in lines])
    return int(row[0]) == len(lines)


async def orders_of(site: Site, line: Line, kind: str) -> list[dict[str, Any]]:
    """hlrd's orders of a user of one kind, oldest first, as it shows each."""
    sql = "SELECT id FROM work_order WHERE user_id = $1 AND kind = $2 ORDER BY id"
    rows = await journal(site, sql, line.user_id, kind)
    return [await site.hlrd.get(f"/v1/work-orders/{row['id']}") for row in rows]


async def results_of(site: Site, lines: Sequence[Line], kind: str = "%") -> list[str]:
    """Of the final receipts of the orders of these users at hlrd; of one kind, or of all."""
    sql = """
        SELECT receipt.state FROM work_order JOIN receipt ON receipt.order_id = work_order.id
        WHERE work_order.user_id = ANY($1) AND work_order.kind LIKE $2 AND receipt.is_final
    """
    rows = await journal(site, sql, [line.user_id for line in lines], kind)
    return [row["state"] for row in rows]


def sub_order_of(order: Mapping[str, Any], kind: str = PROVISIONING) -> dict[str, Any]:
    """Of an order of CRM or BOSS."""
    (found,) = (sub for sub in order["sub_orders"] if sub["kind"] == kind)
    return dict(found)


async def fallouts(site: Site, line: Line) -> list[dict[str, Any]]:
    """Orders of a user that wait for a person."""
    found = await site.hlrd.get("/v1/fallout")
    return [row for row in found["orders"] if row["user_id"] == line.user_id]


def seeded(run: Run, values: Sequence[Any]) -> list[Any]:
    """In an order that the run's seed draws."""
    shuffled = list(values)
    run.random.shuffle(shuffled)
    return shuffled
