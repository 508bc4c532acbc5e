"""The products that were published, by version, and what a publication must keep to. Pure."""

from collections.abc import Callable, Iterator, Mapping
from typing import Final, NamedTuple

from hlrd import limits
from hlrd.domain import script
from hlrd.domain.errors import BadRequest, Busy, Conflict, HlrdError, NotFound, Refusal
from hlrd.domain.lifecycle import PRODUCT, ProductEvent, ProductState, advance
from hlrd.domain.product import (
    RESERVED,
    Product,
    ProductService,
    Scripts,
    ServiceKind,
    all_parameters,
    allows,
    default_of,
    texts_of,
)
from hlrd.domain.script import Script, ScriptError

Check = Callable[[Script], None]
"""A dialect's own: raises ScriptError unless it is exactly one command (`Adapter.check_script`)."""


class Published(NamedTuple):
    product: Product
    state: ProductState


class Products:
    """Every version that was ever taken; users have old ones. The journal holds the same."""

    def __init__(self) -> None:
        self._versions: dict[tuple[str, int], Published] = {}
        self._active: dict[str, int] = {}

    def __iter__(self) -> Iterator[Published]:
        return iter(self._versions.values())

    def __len__(self) -> int:
        return len(self._versions)

    def load(self, product: Product, state: ProductState) -> None:
        self._versions[product.id, product.version] = Published(product, state)
        if state is ProductState.ACTIVE:
            self._active[product.id] = product.version

    def find(self, id: str, version: int) -> Published | None:
        return self._versions.get((id, version))

    def get(self, id: str, version: int) -> Product:
        return self._versions[id, version].product

    def active(self, id: str) -> Product | None:
        version = self._active.get(id)
        return None if version is None else self.get(id, version)

    def is_known(self, id: str) -> bool:
        return id in self._active or any(product == id for product, _ in self._versions)

    def stage(self, product: Product) -> None:
        """Taken, and not yet known to its targets; once or again is the same."""
        if (product.id, product.version) not in self._versions:
            self.load(product, ProductState.STAGED)

    def activate(self, id: str, version: int) -> None:
        """Its targets know it. What was active before is not offered any more."""
        published = self._versions[id, version]
        if published.state is ProductState.ACTIVE:
            return
        before = self._active.get(id)
        if before is not None:
            self._move(id, before, ProductEvent.SUPERSEDED)
        self._move(id, version, ProductEvent.PUBLISHED)
        self._active[id] = version

    def _move(self, id: str, version: int, event: ProductEvent) -> None:
        product, state = self._versions[id, version]
        self._versions[id, version] = Published(product, advance(PRODUCT, state, event))

    # What orders name.

    def refuse_publication(self, product: Product) -> None:
        """A version keeps its content, and none comes behind a later one."""
        known = self.find(product.id, product.version)
        if known is not None:
            if known.product != product:
                text = f"version {product.version} was published with other content; raise it"
                raise Conflict("PRODUCT_VERSION_TAKEN", text, "product_version")
            if known.state is ProductState.ACTIVE:
                return
        active = self._active.get(product.id, 0)
        if active >= product.version:
            text = f"version {active} is active; a publication goes up"
            raise Conflict("PRODUCT_VERSION_OLD", text, "product_version")
        if known is None and len(self) >= limits.PRODUCT_VERSIONS_MAX:
            text = f"{limits.PRODUCT_VERSIONS_MAX} versions are published"
            raise Busy("PRODUCTS_FULL", text, limits.RETRY_AFTER_S_MAX, "product")

    def offered(self, id: str, version: int | None) -> Product:
        """What a user may subscribe to: the active version, whether the order names it or not."""
        active = self.active(id)
        if active is not None and version in (None, active.version):
            return active
        if version is None or self.find(id, version) is None:
            if version is None and self.is_known(id):
                raise Conflict("PRODUCT_NOT_ACTIVE", "no version of it is active yet", "product")
            raise NotFound("PRODUCT_UNKNOWN", "no such product was published", "product")
        said = f"version {active.version} is" if active else "none is yet"
        text = f"version {version} is not active; {said}"
        raise Conflict("PRODUCT_NOT_ACTIVE", text, "product_version")


def choose(product: Product, attributes: Mapping[str, str]) -> dict[str, str]:
    """Every parameter of the product with its value: given, or the only one there is."""
    parameters = all_parameters(product)
    for name in sorted(attributes):
        if name not in parameters:
            raise BadRequest("ATTRIBUTE_UNKNOWN", "the product has no such parameter", _at(name))
        if not allows(product, name, attributes[name]):
            text = "not one of the values that the product allows"
            raise BadRequest("ATTRIBUTE_INVALID", text, _at(name))
    found: dict[str, str] = {}
    for name in sorted(parameters):
        value = attributes.get(name) or default_of(product, name)
        if value is None:
            raise BadRequest("ATTRIBUTE_MISSING", "the product asks for this value", _at(name))
        if not allows(product, name, value):
            text = "two services of the product fix it to different values; name one"
            raise BadRequest("ATTRIBUTE_MISSING", text, _at(name))
        found[name] = value
    return found


def refuse_faulty(product: Product, checks: Mapping[str, Check]) -> None:
    """`checks` by dialect. The refusal's field is the exact place, its text the column in it."""
    names = [service.name for service in product.services]
    for place, service in enumerate(product.services):
        where = f"services[{place}]"
        if names.index(service.name) != place:
            raise BadRequest("PRODUCT_INVALID", "a service of this name came before", where)
        _refuse_faulty_service(service, where, checks)


def _refuse_faulty_service(
    service: ProductService, where: str, checks: Mapping[str, Check]
) -> None:
    _refuse_faulty_parameters(service, where)
    dialects = [one.dialect for one in service.scripts]
    if service.kind is ServiceKind.FUNCTION and not (dialects or service.manual):
        text = "a function has a script for the HLR, or is manual"
        raise BadRequest("PRODUCT_INVALID", text, f"{where}.scripts")
    if service.kind is ServiceKind.CONTENT and dialects:
        text = "a content is nothing that an HLR is told of"
        raise BadRequest("PRODUCT_INVALID", text, f"{where}.scripts")
    for place, one in enumerate(service.scripts):
        at = f"{where}.scripts[{place}]"
        if dialects.index(one.dialect) != place:
            raise BadRequest("PRODUCT_INVALID", "this dialect came before", f"{at}.dialect")
        if one.dialect not in checks:
            text = f"none of the dialects {', '.join(sorted(checks))}"
            raise BadRequest("PRODUCT_INVALID", text, f"{at}.dialect")
        _refuse_faulty_scripts(service, one, at, checks[one.dialect])


def _refuse_faulty_parameters(service: ProductService, where: str) -> None:
    for name, values in service.parameters.items():
        at = f"{where}.parameters.{name}"
        if name in RESERVED:
            raise BadRequest("PRODUCT_INVALID", "the user's own; choose another name", at)
        if len(set(values)) != len(values):
            raise BadRequest("PRODUCT_INVALID", "a value comes twice", at)
        if not all(script.fits(name, value) for value in values):
            raise BadRequest("PRODUCT_INVALID", "a value that is no APN", at)


def _refuse_faulty_scripts(service: ProductService, one: Scripts, at: str, check: Check) -> None:
    if bool(one.query) != bool(one.shows):
        text = "query and shows come together or not at all"
        raise BadRequest("PRODUCT_INVALID", text, at)
    for name, text in texts_of(one):
        if not text and name in _OPTIONAL:
            continue
        try:
            parsed = script.parse(text)
            parsed.refuse_unknown(service.parameters)
            if name != "shows":
                check(parsed)
        except ScriptError as error:
            raise _script_invalid(error, service, one, f"{at}.{name}") from error


def _script_invalid(error: HlrdError, service: ProductService, one: Scripts, at: str) -> Refusal:
    text = f"service {service.name}, dialect {one.dialect}, {error}"
    return BadRequest("SCRIPT_INVALID", text, at)


_OPTIONAL: Final = frozenset({"query", "shows"})


def _at(name: str) -> str:
    return f"attributes.{name}"
