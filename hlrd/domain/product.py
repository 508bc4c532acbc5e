"""Products (产品) as CRM publishes them: services, and how each is switched on and off. Pure.

hlrd knows no price. A product's services are functions of the HLR (by scripts), relations at the
DSMP, a subscription at each platform, and work sheets for what only people can do.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from enum import StrEnum
from typing import Annotated, Final

from msgspec import Meta, Struct, field

from hlrd import limits
from hlrd.domain import script
from hlrd.domain.script import APN, IDENTITIES, PARAMETER_PATTERN

ProductText = Annotated[str, Meta(pattern=r"\A[A-Za-z0-9][A-Za-z0-9_.-]{0,31}\Z")]
ProductVersion = Annotated[int, Meta(ge=1, le=2**31 - 1)]
LabelText = Annotated[str, Meta(pattern=r"\A[^\x00-\x1f\x7f]{1,60}\Z")]
DialectText = Annotated[str, Meta(pattern=r"\A[a-z][a-z0-9_]{0,31}\Z")]
ElementText = Annotated[str, Meta(pattern=r"\A[a-z][a-z0-9_-]{0,31}\Z")]
ParameterText = Annotated[str, Meta(pattern=PARAMETER_PATTERN)]
ValueText = Annotated[str, Meta(pattern=script.VALUE_PATTERN)]
SPText = Annotated[str, Meta(pattern=r"\A[0-9]{6}\Z")]
SPServiceText = Annotated[str, Meta(pattern=r"\A[A-Za-z0-9]{1,10}\Z")]
ScriptText = Annotated[str, Meta(max_length=limits.SCRIPT_CHARS_MAX)]
WorkText = Annotated[str, Meta(pattern=r"\A[^\x00-\x1f\x7f]{1,200}\Z")]

Allowed = Annotated[list[ValueText], Meta(min_length=1, max_length=limits.PARAMETER_VALUES_MAX)]


class ServiceKind(StrEnum):
    RESOURCE = "resource"  #: 资源: a fixed IP address, an APN of one's own
    FUNCTION = "function"  #: 功能: packet data, roaming
    CONTENT = "content"  #: 内容: what a platform serves


class StoppedLine(StrEnum):
    """What becomes of an order for a product while the user's line is stopped."""

    BY_KIND = "byKind"  #: refused if the product has content, else taken
    TAKE = "take"  #: switched at once, behind the barring; relations are opened paused
    REFUSE = "refuse"


class Scripts(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """One function in one dialect; every text as `domain.script`."""

    dialect: DialectText
    add: ScriptText
    remove: ScriptText
    query: ScriptText = ""  #: reads the function back; empty: `add` and `remove` say "already so"
    shows: ScriptText = ""  #: what the answer to `query` holds while the function is on


class Relation(Struct, frozen=True, forbid_unknown_fields=True):
    """What the DSMP knows a service by."""

    sp_id: SPText
    sp_service_id: SPServiceText


class Sheet(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """What people are to do for a service that is marked manual."""

    open: WorkText
    close: WorkText = ""  #: empty: nothing is left to do when the user unsubscribes


class ProductService(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """The same name in two products means the same function of the user."""

    name: ProductText
    kind: ServiceKind
    parameters: Annotated[
        dict[ParameterText, Allowed], Meta(max_length=limits.PARAMETERS_MAX)
    ] = {}  #: with the values each may take
    scripts: Annotated[list[Scripts], Meta(max_length=limits.SCRIPTS_OF_SERVICE_MAX)] = field(
        default_factory=list
    )
    relation: Relation | None = None
    manual: Sheet | None = None

    def scripts_for(self, dialect: str) -> Scripts | None:
        return next((one for one in self.scripts if one.dialect == dialect), None)


class Product(Struct, frozen=True):
    """One version, which never changes."""

    id: str
    version: int
    name: str
    services: Sequence[ProductService]
    platforms: Sequence[str]  #: names of NEs that learn of the product and of its users
    on_stopped_line: StoppedLine = StoppedLine.BY_KIND

    @property
    def is_refused_on_stopped_line(self) -> bool:
        if self.on_stopped_line is StoppedLine.BY_KIND:
            return any(one.kind is ServiceKind.CONTENT for one in self.services)
        return self.on_stopped_line is StoppedLine.REFUSE


class Holding(Struct, frozen=True):
    """A product that a user has."""

    product: str
    version: int
    attributes: Mapping[str, str]  #: every parameter of the product, as chosen
    ec_code: str = ""  #: the user has it as a member of this enterprise
    product_class: int = 0  #: then 1, 2 or 3
    is_straight: bool = False  #: as `group.Subscription`


class Function(Struct, frozen=True):
    """A service of a user at its HLR. Two that differ in a value are two functions."""

    service: str
    values: tuple[tuple[str, str], ...]


def parameters_of(service: ProductService) -> set[str]:
    """What must be chosen for it, or is fixed."""
    return set(service.parameters) | _named(service)


def chosen(service: ProductService, attributes: Mapping[str, str]) -> dict[str, str]:
    """The part of `attributes`, which are complete, that is about this service."""
    return {name: attributes[name] for name in sorted(parameters_of(service))}


def function_of(service: ProductService, attributes: Mapping[str, str]) -> Function | None:
    """None for a service that no HLR is told of."""
    if not service.scripts:
        return None
    return Function(service.name, tuple(chosen(service, attributes).items()))


def default_of(product: Product, name: str) -> str | None:
    """The value of a parameter that may take one only."""
    for service in product.services:
        allowed = service.parameters.get(name)
        if allowed is not None and len(allowed) == 1:
            return allowed[0]
    return None


def allows(product: Product, name: str, value: str) -> bool:
    """Every service that has the parameter may have this value."""
    return script.fits(name, value) and all(
        value in service.parameters[name]
        for service in product.services
        if name in service.parameters
    )


def all_parameters(product: Product) -> set[str]:
    return {name for service in product.services for name in parameters_of(service)}


def _named(service: ProductService) -> set[str]:
    """`{apn}` needs no declaration: it is typed by itself."""
    return {APN} if any(APN in script.parse(text).names for text in _texts(service)) else set()


def _texts(service: ProductService) -> Iterator[str]:
    for one in service.scripts:
        yield from filter(None, (one.add, one.remove, one.query, one.shows))


def texts_of(one: Scripts) -> Iterable[tuple[str, str]]:
    """Each script with the name of its field."""
    return (("add", one.add), ("remove", one.remove), ("query", one.query), ("shows", one.shows))


RESERVED: Final = frozenset(IDENTITIES)
"""Names that no parameter may take: the user's own."""
