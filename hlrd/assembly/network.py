"""What the settings say of the network: where tasks go, and the dialect of each element."""

from typing import Any, Final

from adapters import DIALECTS, shipped_replies
from hlrd.config import ConfigError, NESettings, Settings
from hlrd.domain.operation import Operation
from hlrd.domain.plans.plan import Routes
from hlrd.domain.policy import Policy
from hlrd.domain.routing import Routing
from hlrd.ne.adapter import Account, Adapter
from hlrd.ne.parts import group_places
from hlrd.ne.replies import Replies
from hlrd.ne.replies import read as read_replies
from hlrd.ne.routefile import routing

RELATIONS_DIALECT: Final = "dsmp"


def routes(settings: Settings) -> Routes:
    """Where tasks go; refuses a configuration that would leave some nowhere to go."""
    dialects = {ne.name: ne.dialect for ne in settings.ne}
    relations = [name for name, dialect in dialects.items() if dialect == RELATIONS_DIALECT]
    homes = {ne.name: ne.templates for ne in _that_can(Operation.ADD_SUBSCRIBER, settings)}
    sheets = [ne.name for ne in _that_can(Operation.OPEN_SHEET, settings)]
    if len(relations) != 1:
        raise ConfigError(f"ne: exactly one must have dialect dsmp, and {len(relations)} have")
    if not homes:
        raise ConfigError("ne: none is an HLR, so no number could have a home")
    if len(sheets) > 1:
        raise ConfigError(f"ne: one at most may take work sheets, and {', '.join(sheets)} do")
    if settings.fallout.to_eoms and not sheets:
        raise ConfigError("fallout.to_eoms: no network element takes work sheets")
    platforms = {ne.name for ne in _that_can(Operation.PUBLISH_PRODUCT, settings)}
    return Routes(
        dsmp=relations[0],
        templates=homes,
        dialects=dialects,
        platforms=frozenset(platforms - {relations[0]}),
        sheets=sheets[0] if sheets else "",
        groups=group_places(settings),
        policy=Policy(
            settings.orders.voluntary_stop_in_arrears == "accept",
            settings.groups.ec_unknown,
            settings.groups.ec_not_ready,
        ),
    )


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
