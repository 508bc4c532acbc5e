"""What the flows between CRM, BOSS and hlrd run on (F01 to F16), and what they do again and again.

One hlrd, one M-HLR, a DSMP, a platform and an EOMS; CRM, BOSS and the central authentication. Three
provinces, one under each scheme of the state master, so that all flows share one site.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from hlrd.domain.orders import Source
from loadtest.business.message import Party
from loadtest.flow.daemon import Daemon
from loadtest.flow.site import Site
from loadtest.process import StackError
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
HLR_REPLY_TIMEOUT_S: Final = 60.0
"""Longer than an HLR takes that is slowed to 30 s, which is no fault."""

HLR_SESSIONS: Final = 128
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
