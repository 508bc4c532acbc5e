"""What the flows of group business run on (F17 to F25): headquarters and provinces, each with an
hlrd in its role, the relays between them, the platforms, and an ESOP a province.

`two_roles` is the real shape: number and card are drawn in a province, commands are sent from
headquarters. `one_process` is one hlrd with both roles; the relays stay, so the hops are real.
"""

import asyncio
from collections.abc import Sequence
from typing import Any, Final

from hlrd.domain.orders import Source
from loadtest.business.message import Party
from loadtest.flow.daemon import Daemon
from loadtest.flow.groupstock import stock_up
from loadtest.flow.provinces import HLRS, HQ, LEAD, PARTNER
from loadtest.flow.site import Caller, Site
from loadtest.process import StackError
from loadtest.settings import POOL

TRACK: Final = "TRACK"  #: of class 1
METER: Final = "METER"  #: of class 2
_APN: Final = {
    "name": "APN",
    "kind": "function",
    "parameters": {"context": ["7"], "apn": ["cmiot.gd"]},
    "scripts": [
        {
            "dialect": "huawei_hlr",
            "add": 'MOD GPRS_CONTEXT:IMSI="{imsi}",PROV=ADDPDPCNTX,CNTXID={context},APN="{apn}"',
            "remove": 'MOD GPRS_CONTEXT:IMSI="{imsi}",PROV=RMVPDPCNTX,CNTXID={context}',
        }
    ],
}
_PASSWORD: Final = "SYSTEM_PASSWORD"
_QUICK: Final = ("--hop-every-s", "0.05")
_AGAIN: Final = ("--again-s", "0.2")
"""Until the BBOSS tells a province again what it refused."""

_PROVINCE: Final = f"{Party.HLRD_PROVINCE} {{province}}"


async def two_roles(site: Site) -> None:
    """An hlrd at headquarters, one in the lead and one in a partner province."""
    hq = site.add_hlrd(HQ)
    named = {code: _PROVINCE.replace("{province}", code) for code in (LEAD, PARTNER)}
    daemons = {code: site.add_hlrd(f"hlrd-{code}") for code in named}
    await _start_network(site, hq=Party.HLRD_HQ, province=named[LEAD])
    await _start_registry(site, "--hlrd", hq.url, "--hlrd-name", Party.HLRD_HQ, *_at("pboss"))
    provinces = [
        word for code, daemon in daemons.items() for word in ("--province", f"{code}={daemon.url}")
    ]
    await _start_relays(site, *provinces, *_at("bboss"), caller=_PROVINCE)
    _configure_hq(site, hq)
    for code, daemon in daemons.items():
        _configure_province(site, daemon, code)
    await asyncio.gather(*(daemon.start() for daemon in site.daemons.values()))
    await asyncio.gather(*(_start_esop(site, daemons[code], code, named[code]) for code in named))
    await stock_up(site)
    for daemon in site.daemons.values():
        await _publish(daemon, TRACK, *(("nation", "class1") if daemon is hq else ()))
        await _publish(daemon, METER, *(() if daemon is hq else ("platform", "management")))


async def one_process(site: Site) -> None:
    """One hlrd with both roles; the partner province is told, and has none."""
    daemon = site.add_hlrd()
    await _start_network(site, hq=Party.HLRD, province=Party.HLRD)
    await asyncio.gather(
        _start_registry(site),
        _start_relay(site, "partner", "partner_province", Party.ESOP.of(PARTNER)),
    )
    partner = f"{PARTNER}={site.url('partner')}/province/v1"
    await _start_relays(site, "--partner", partner, caller=Party.HLRD)
    _drive_hq(site, daemon)
    _drive_province(site, daemon)
    _let_in(site, daemon, Source.ESOP, _esop(LEAD))
    await daemon.start()
    await _start_esop(site, daemon, LEAD, Party.HLRD)
    await stock_up(site)
    await _publish(daemon, TRACK, "nation", "class1")
    await _publish(daemon, METER, "platform", "management")


def _configure_hq(site: Site, daemon: Daemon) -> None:
    daemon.put("groups", roles=["hq"])
    _drive_hq(site, daemon)
    _let_in(site, daemon, Source.PBOSS, "pboss")


def _configure_province(site: Site, daemon: Daemon, province: str) -> None:
    daemon.put("groups", roles=["province"], homes=list(HLRS))
    _drive_province(site, daemon)
    site.drive(daemon, "nation", "nationwide_management")  # for who built a nationwide platform
    _let_in(site, daemon, Source.ESOP, _esop(province))
    _let_in(site, daemon, Source.BBOSS, "bboss")


def _drive_hq(site: Site, daemon: Daemon) -> None:
    for name in HLRS:
        site.drive(daemon, name, "huawei_hlr", sessions_max=8, reply_timeout_s=_REPLY_S)
    site.drive(daemon, "dsmp1", "dsmp", sessions_max=8)
    for name, dialect in _OF_HQ.items():
        site.drive(daemon, name, dialect)


def _drive_province(site: Site, daemon: Daemon) -> None:
    for name, dialect in _OF_PROVINCE.items():
        site.drive(daemon, name, dialect)


_OF_HQ: Final = {
    "nation": "nationwide_management",
    "class1": "class1_platform",
    "gateway": "iot_gateway",
}
_OF_PROVINCE: Final = {
    "platform": "province_platform",
    "management": "province_management",
    "bboss": "bboss_relay",
    "boss1": "boss1_relay",
}
_REPLY_S: Final = 0.6
"""So that lost answers are noticed soon; these HLRs answer at once."""


async def _start_network(site: Site, *, hq: str, province: str) -> None:
    """HLRs, DSMP and the five platforms; a chain from its end."""

    def platform(name: str, dialect: str, party: str, caller: Any, hop: str = "") -> Any:
        hops = ("--hop", hop) if hop else ()
        return site.start_platform(name, dialect, *hops, party=party, caller=caller)

    await asyncio.gather(
        *(site.start_hlr(name, caller=hq) for name in HLRS),
        site.start_dsmp(caller=hq),
        platform("gateway", "iot_gateway", Party.GATEWAY, _unless_passed_on(hq)),
        platform("class1", "class1_platform", Party.CLASS1_PLATFORM, hq),
        platform("platform", "province_platform", Party.PROVINCE_PLATFORM, province),
    )
    gateway = site.url("gateway") + "/gateway/v1"
    nation = site.url("nation") + "/nationwide/v1"
    await platform(
        "nation", "nationwide_management", Party.NATIONAL_MANAGEMENT, _by_class(hq), gateway
    )
    await platform("management", "province_management", Party.PROVINCE_MANAGEMENT, province, nation)


def _unless_passed_on(hq: str) -> Caller:
    """Who asked the gateway."""
    return lambda served: Party.NATIONAL_MANAGEMENT if METER in served.command else hq


def _by_class(hq: str) -> Caller:
    """Who asked nationwide management."""
    return lambda served: Party.PROVINCE_MANAGEMENT if METER in served.command else hq


async def _start_registry(site: Site, *options: str) -> None:
    await _start_relay(site, "pboss", "pboss_registry", Party.PBOSS, *options)


async def _start_relays(site: Site, *of_bboss: str, caller: str) -> None:
    up = ("--hop", site.url("pboss") + "/pboss/v1", "--caller", caller)
    await asyncio.gather(
        _start_relay(site, "boss1", "boss1_relay", Party.BOSS1, *up),
        _start_relay(site, "bboss", "bboss_relay", Party.BBOSS, *up, *_AGAIN, *of_bboss),
    )


async def _start_relay(site: Site, name: str, role: str, party: str, *options: str) -> None:
    kept = ("--state-file", str(site.folder / f"{name}.state"))
    await site.start(
        name,
        "loadtest.relay",
        *("--role", role, *kept, *_QUICK, *options),
        party=party,
        environment={_PASSWORD: _password(name)},
    )


def _at(account: str) -> Sequence[str]:
    return "--account", account, "--password-env", _PASSWORD


async def _start_esop(site: Site, daemon: Daemon, province: str, hlrd: str) -> None:
    name = _esop(province)
    await site.start(
        name,
        "loadtest.esop",
        *("--province", province, "--hlrd", daemon.url, "--hlrd-name", hlrd),
        *(*_at(name), "--pool", POOL),
        party=Party.ESOP.of(province),
        environment={_PASSWORD: _password(name)},
    )
    for product, product_class in ((TRACK, 1), (METER, 2)):
        offer = {"name": product, "product_class": product_class, "version": 1}
        await site.ask(name, "PUT", f"/products/{product}", offer)


def _esop(province: str) -> str:
    return f"esop{province}"


def _let_in(site: Site, daemon: Daemon, source: Source, account: str) -> None:
    """A system that will post there."""
    file = site.secret(f"{daemon.name}-{account}.password", _password(account))
    daemon.add("accounts", source=source, user=account, password_file=str(file))


def _password(account: str) -> str:
    return f"{account}-Password-1"


async def _publish(daemon: Daemon, product: str, *platforms: str) -> None:
    order = {
        "type": "PRODUCT_PUBLISH", "order_id": f"P-{product}", "province": "000",
        "operator_id": "li4", "product": product, "product_version": 1, "name": product,
        "services": [_APN], "platforms": platforms, "mode": "sync", "deadline_ms": 30_000,
    }  # fmt: skip
    closed = await daemon.post("/v1/work-orders", order)
    if closed["state"] != "succeeded":
        raise StackError(f"{daemon.name}: {product} could not be published: {closed}")


async def restarted(site: Site) -> None:
    """kill -9 of each hlrd in turn, in the middle of whatever goes on."""
    for daemon in {id(one): one for one in site.daemons.values()}.values():
        await daemon.restart()
