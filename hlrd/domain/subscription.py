"""What a user's products ask of the network, and what changes when one comes or goes. Pure.

Functions at the HLR and relations at the DSMP are counted over all products of the user: the first
product that needs one switches it on, the last one that had it switches it off.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple, TypeVar

from hlrd.domain.group import NO_GROUPS, PRODUCT_CLASS, GroupPlaces
from hlrd.domain.operation import NO_DETAILS, Details, Operation
from hlrd.domain.product import (
    Function,
    Holding,
    Product,
    ProductService,
    Relation,
    Scripts,
    chosen,
    function_of,
)
from hlrd.domain.publication import Products

K = TypeVar("K", Function, Relation)


@dataclass(frozen=True, slots=True)
class Places:
    """The NEs that have something of one user."""

    hlr: str
    dialect: str  #: of the HLR
    dsmp: str
    sheets: str  #: that takes work sheets; empty where none is configured
    groups: GroupPlaces = NO_GROUPS
    has_network: bool = True  #: HLR and DSMP are told here; else by headquarters


class Step(NamedTuple):
    operation: Operation
    ne: str
    details: Details


class _Part(NamedTuple):
    """One service of one product that the user has."""

    product: Product
    service: ProductService
    attributes: Mapping[str, str]  #: of this service


def joining(
    new: Holding, others: Sequence[Holding], products: Products, places: Places
) -> list[Step]:
    """The steps that switch on what `new` brings and none of `others` has: HLR, DSMP, platforms,
    people."""
    parts, standing = list(_parts([new], products)), list(_parts(others, products))
    functions = _functions_changed(parts, standing, places)
    relations = _relations_changed(parts, standing, places)
    return [
        *(_function(part, places, Operation.ADD_FUNCTION) for part in functions),
        *(_relation(part, places, Operation.OPEN_RELATION) for part in relations),
        *_platforms(new, products, places, Operation.SUBSCRIBE_MEMBER),
        *(_sheet(part, places, part.service.manual.open) for part in parts if part.service.manual),
    ]


def leaving(
    old: Holding, others: Sequence[Holding], products: Products, places: Places
) -> list[Step]:
    """The way back: people, platforms, DSMP, HLR."""
    parts, standing = list(_parts([old], products)), list(_parts(others, products))
    functions = _functions_changed(parts, standing, places)
    return [
        *closing(old, others, products, places),
        *(_function(part, places, Operation.REMOVE_FUNCTION) for part in functions),
    ]


def closing(
    old: Holding, others: Sequence[Holding], products: Products, places: Places
) -> list[Step]:
    """As `leaving`, up to the HLR: what goes before its whole record does."""
    parts, standing = list(_parts([old], products)), list(_parts(others, products))
    relations = _relations_changed(parts, standing, places)
    return [
        *(
            _sheet(part, places, part.service.manual.close)
            for part in parts
            if part.service.manual and part.service.manual.close
        ),
        *_platforms(old, products, places, Operation.UNSUBSCRIBE_MEMBER),
        *(_relation(part, places, Operation.CLOSE_RELATION) for part in relations),
    ]


def standing(
    held: Sequence[Holding], products: Products, places: Places, operation: Operation
) -> list[Step]:
    """PAUSE_RELATION or RESUME_RELATION for each relation of the user's products, and each platform
    that knows the user.
    """
    found = _first(_relations(_parts(held, products)), ())
    platforms = dict.fromkeys(ne for one in held for ne in platforms_of(one, products, places))
    return [
        *(_relation(part, places, operation) for part in found),
        *(Step(operation, ne, NO_DETAILS) for ne in platforms),
    ]


def under_number_ended(held: Sequence[Holding], products: Products, places: Places) -> list[Step]:
    """What knows the user by a number that he gives up, last first. His functions stay with his
    record at the HLR, and what people did stays done.
    """
    relations = _first(_relations(_parts(held, products)), ())
    return [
        *(
            step
            for one in reversed(held)
            for step in _platforms(one, products, places, Operation.UNSUBSCRIBE_MEMBER)
        ),
        *(_relation(part, places, Operation.CLOSE_RELATION) for part in reversed(relations)),
    ]


def under_number_begun(held: Sequence[Holding], products: Products, places: Places) -> list[Step]:
    """The same under the number that he has instead."""
    relations = _first(_relations(_parts(held, products)), ())
    return [
        *(_relation(part, places, Operation.OPEN_RELATION) for part in relations),
        *(
            step
            for one in held
            for step in _platforms(one, products, places, Operation.SUBSCRIBE_MEMBER)
        ),
    ]


def paused(step: Step) -> Step | None:
    """What follows `step` while the line is stopped."""
    if step.operation is Operation.OPEN_RELATION:
        return step._replace(operation=Operation.PAUSE_RELATION)
    if step.operation is Operation.SUBSCRIBE_MEMBER:
        return Step(Operation.PAUSE_RELATION, step.ne, NO_DETAILS)
    return None


def needs_network(held: Holding, products: Products) -> bool:
    """Whether HLR or DSMP have something of it."""
    services = products.get(held.product, held.version).services
    return any(one.scripts or one.relation is not None for one in services)


def relations_published(product: Product, dsmp: str) -> list[Step]:
    """What the DSMP must know before a user has it: each service that it keeps relations of."""
    return [
        Step(
            Operation.PUBLISH_PRODUCT,
            dsmp,
            Details(
                product=product.id,
                version=product.version,
                service=service.name,
                text=product.name,
                attributes=_names(service.relation),
            ),
        )
        for service in product.services
        if service.relation is not None
    ]


def platforms_published(product: Product) -> list[Step]:
    details = Details(
        product=product.id,
        version=product.version,
        text=product.name,
        attributes={service.name: service.kind for service in product.services},
    )
    return [Step(Operation.PUBLISH_PRODUCT, ne, details) for ne in product.platforms]


def scripts_missing(product: Product, dialect: str) -> ProductService | None:
    """A service that HLRs of this dialect cannot be told of."""
    for service in product.services:
        if service.scripts and service.scripts_for(dialect) is None:
            return service
    return None


def _functions_changed(
    parts: Sequence[_Part], standing: Sequence[_Part], places: Places
) -> list[_Part]:
    return _first(_functions(parts), _functions(standing)) if places.has_network else []


def _relations_changed(
    parts: Sequence[_Part], standing: Sequence[_Part], places: Places
) -> list[_Part]:
    return _first(_relations(parts), _relations(standing)) if places.has_network else []


def _parts(held: Iterable[Holding], products: Products) -> Iterator[_Part]:
    for holding in held:
        product = products.get(holding.product, holding.version)
        for service in product.services:
            yield _Part(product, service, chosen(service, holding.attributes))


def _functions(parts: Iterable[_Part]) -> Iterator[tuple[Function, _Part]]:
    for part in parts:
        function = function_of(part.service, part.attributes)
        if function is not None:
            yield function, part


def _relations(parts: Iterable[_Part]) -> Iterator[tuple[Relation, _Part]]:
    for part in parts:
        if part.service.relation is not None:
            yield part.service.relation, part


def _first(wanted: Iterable[tuple[K, _Part]], standing: Iterable[tuple[K, _Part]]) -> list[_Part]:
    """One part for each key that nothing standing has, in order."""
    seen = {key for key, _ in standing}
    found: list[_Part] = []
    for key, part in wanted:
        if key not in seen:
            seen.add(key)
            found.append(part)
    return found


def _function(part: _Part, places: Places, operation: Operation) -> Step:
    scripts = part.service.scripts_for(places.dialect)
    assert scripts is not None, "the product was checked for the home HLR's dialect"
    forward, back = _both_ways(scripts, operation)
    details = Details(
        product=part.product.id,
        version=part.product.version,
        service=part.service.name,
        script=forward,
        undo_script=back,
        query=scripts.query,
        shows=scripts.shows,
        attributes=part.attributes,
    )
    return Step(operation, places.hlr, details)


def _both_ways(scripts: Scripts, operation: Operation) -> tuple[str, str]:
    ways = scripts.add, scripts.remove
    return ways if operation is Operation.ADD_FUNCTION else ways[::-1]


def _relation(part: _Part, places: Places, operation: Operation) -> Step:
    relation = part.service.relation
    assert relation is not None
    details = Details(
        product=part.product.id,
        version=part.product.version,
        service=part.service.name,
        attributes=_names(relation),
    )
    return Step(operation, places.dsmp, details)


def _names(relation: Relation) -> dict[str, str]:
    return {"sp_id": relation.sp_id, "sp_service_id": relation.sp_service_id}


def platforms_of(holding: Holding, products: Products, places: Places) -> list[str]:
    """Who knows a user by this product, in the order they are told. What a member has of its
    enterprise's goes the way of its class, behind whatever else takes the product.
    """
    named = products.get(holding.product, holding.version).platforms
    if not holding.ec_code:
        return list(named)
    legs = places.groups.legs(holding.product_class, is_straight=holding.is_straight)
    if holding.product_class == 1 and not places.has_network:
        return []  # all of it is headquarters' business
    others = [ne for ne in named if ne not in places.groups.platforms()]
    return [*others, *(ne for leg in legs for ne in leg if ne)]


def _platforms(
    holding: Holding, products: Products, places: Places, operation: Operation
) -> Iterator[Step]:
    attributes = dict(holding.attributes)
    if holding.ec_code:
        attributes[PRODUCT_CLASS] = str(holding.product_class)
    details = Details(
        product=holding.product,
        version=holding.version,
        ec_code=holding.ec_code,
        attributes=attributes,
    )
    platforms = platforms_of(holding, products, places)
    if operation is Operation.UNSUBSCRIBE_MEMBER:
        platforms = platforms[::-1]
    return (Step(operation, ne, details) for ne in platforms)


def _sheet(part: _Part, places: Places, text: str) -> Step:
    """With what the order chose, as people can read it."""
    chosen_ones = ", ".join(f"{name} {value}" for name, value in part.attributes.items())
    details = Details(
        product=part.product.id,
        version=part.product.version,
        service=part.service.name,
        text=f"{text} ({chosen_ones})" if chosen_ones else text,
    )
    return Step(Operation.OPEN_SHEET, places.sheets, details)
