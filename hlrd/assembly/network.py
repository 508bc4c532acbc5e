"""What the settings say of the network: where tasks go, and the dialect of each element."""

from collections.abc import Iterator, Sequence
from itertools import combinations
from typing import Any, Final

from adapters import DIALECTS, shipped_replies
from hlrd.config import ConfigError, NESettings, Settings
from hlrd.domain.group import GroupPlaces
from hlrd.domain.operation import Operation
from hlrd.domain.orders import Service
from hlrd.domain.plans.opening import services_key
from hlrd.domain.plans.plan import Routes
from hlrd.domain.policy import Policy
from hlrd.domain.role import Role
from hlrd.domain.routing import Routing
from hlrd.ne.adapter import Account, Adapter
from hlrd.ne.parts import group_places
from hlrd.ne.replies import Replies
from hlrd.ne.replies import read as read_replies
from hlrd.ne.routefile import routing

RELATIONS_DIALECT: Final = "dsmp"
ANY_SERVICES: Final = {
    services_key(list(chosen)): 0
    for count in range(1, len(Service) + 1)
    for chosen in combinations(sorted(Service), count)
}
"""Templates of an HLR at headquarters, which alone knows which there are."""


def routes(settings: Settings) -> Routes:
    """Where tasks go; refuses a configuration that would leave some nowhere to go."""
    dialects = {ne.name: ne.dialect for ne in settings.ne}
    relations = [name for name, dialect in dialects.items() if dialect == RELATIONS_DIALECT]
    hlrs = {ne.name: ne.templates for ne in _that_can(Operation.ADD_SUBSCRIBER, settings)}
    sheets = [ne.name for ne in _that_can(Operation.OPEN_SHEET, settings)]
    groups = group_places(settings)
    faults = list(_faults(settings, groups, hlrs=list(hlrs), relations=relations))
    if faults:
        raise ConfigError("\n  ".join(faults))
    if len(sheets) > 1:
        raise ConfigError(f"ne: one at most may take work sheets, and {', '.join(sheets)} do")
    if settings.fallout.to_eoms and not sheets:
        raise ConfigError("fallout.to_eoms: no network element takes work sheets")
    platforms = {ne.name for ne in _that_can(Operation.PUBLISH_PRODUCT, settings)}
    return Routes(
        dsmp=relations[0] if relations else "",
        templates=hlrs or dict.fromkeys(settings.groups.homes, ANY_SERVICES),
        dialects=dialects,
        platforms=frozenset(platforms.difference(relations)),
        sheets=sheets[0] if sheets else "",
        groups=groups,
        policy=Policy(
            settings.orders.voluntary_stop_in_arrears == "accept",
            settings.groups.ec_unknown,
            settings.groups.ec_not_ready,
        ),
    )


def _faults(
    settings: Settings, groups: GroupPlaces, *, hlrs: Sequence[str], relations: Sequence[str]
) -> Iterator[str]:
    """What the roles take that is not there, or is there and is another's."""
    if groups.role_missing is Role.HQ:
        yield from _faults_of_a_province(settings, groups, network=[*hlrs, *relations])
        return
    if settings.groups.homes:
        yield "groups.homes: a daemon with the role hq has HLRs of its own; leave it out"
    if len(relations) != 1:
        yield f"ne: exactly one must have dialect dsmp, and {len(relations)} have"
    if not hlrs:
        yield "ne: none is an HLR, so no number could have a home"
    if groups.role_missing is Role.PROVINCE and groups.relays:
        relays = ", ".join(sorted(groups.relays.values()))
        yield f"groups.roles: without the role province nothing is reported; {relays} is of no use"


def _faults_of_a_province(
    settings: Settings, groups: GroupPlaces, *, network: Sequence[str]
) -> Iterator[str]:
    """… alone. `network`: the HLRs and the DSMP that are configured."""
    if network:
        named = ", ".join(network)
        yield f"groups.roles: without the role hq no HLR or DSMP is commanded; leave out {named}"
    if not groups.relays:
        yield "groups.roles: a province alone reports its members; configure boss1 or bboss"
    if not settings.groups.homes:
        yield "groups.homes: name the HLRs of headquarters that numbers and cards belong to"
    taken = sorted({ne.name for ne in settings.ne}.intersection(settings.groups.homes))
    if taken:
        yield f"groups.homes: {', '.join(taken)} is a network element of this daemon's own"


def _that_can(operation: Operation, settings: Settings) -> list[NESettings]:
    """One of an unknown dialect can nothing; `adapter` refuses it."""
    known = [ne for ne in settings.ne if ne.dialect in DIALECTS]
    return [ne for ne in known if operation in DIALECTS[ne.dialect].operations]


def homes(settings: Settings) -> Routing:
    return routing(settings, routes(settings).templates)


def adapter(ne: NESettings) -> Adapter[Any]:
    dialect = DIALECTS.get(ne.dialect)
    if dialect is None:
        raise ConfigError(f"ne.{ne.name}.dialect: {ne.dialect!r} is none of {sorted(DIALECTS)}")
    password = ne.password.get_secret_value()
    secrets = {name: secret.get_secret_value() for name, secret in ne.secrets.items()}
    return dialect(Account(ne.host, ne.port, ne.user, password, ne.options, secrets), replies(ne))


def replies(ne: NESettings) -> Replies:
    """The shipped table of the dialect with the site's own laid over it."""
    shipped = read_replies(shipped_replies(ne.dialect), f"{ne.dialect}.toml")
    if ne.replies is None:
        return Replies(shipped)
    try:
        document = ne.replies.read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"ne.{ne.name}.replies: cannot read {ne.replies}: {error}") from error
    return Replies(shipped, read_replies(document, str(ne.replies)))
