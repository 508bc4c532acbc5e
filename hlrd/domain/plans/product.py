"""Publishing a product, subscribing a user to it, and taking it off."""

from msgspec.structs import replace

from hlrd import limits
from hlrd.domain import publication, subscription
from hlrd.domain.errors import Conflict
from hlrd.domain.operation import NOBODY, Cause
from hlrd.domain.orders import ProductPublish, ProductSubscribe, ProductUnsubscribe
from hlrd.domain.plans import membership
from hlrd.domain.plans.plan import Ground, Impossible, Mark, Plan, Routes
from hlrd.domain.plans.stages import Stages
from hlrd.domain.product import Holding
from hlrd.domain.publication import Products
from hlrd.domain.user import User


def publish(order: ProductPublish, user: User | None, ground: Ground) -> Plan | Impossible:
    """To the DSMP, then to the platforms side by side; every target takes a repeat as such."""
    product = order.content()
    active = ground.products.active(product.id)
    if active is not None and active.version >= product.version:
        if active.version == product.version:
            return Plan((), None, (Mark.NO_CHANGE,))
        return Impossible("PRODUCT_VERSION_OLD", f"version {active.version} is active by now")
    stages = Stages(NOBODY, ground)
    if ground.routes.has_network:
        stages.steps(subscription.relations_published(product, ground.routes.dsmp), Cause.ORDERED)
    stages.at_once(subscription.platforms_published(product), Cause.ORDERED)
    return stages.leading_to(None)


def refuse_unfit(new: Holding, user: User, routes: Routes, products: Products) -> None:
    """Raises Conflict when this user cannot have the product now."""
    if user.binding is None:
        raise Conflict("USER_TERMINATED", "the user is terminated", "user_id")
    held = next((one for one in user.products if one.product == new.product), None)
    if held is not None and held != new:
        text = f"the user has version {held.version} otherwise; unsubscribe it first"
        raise Conflict("PRODUCT_HELD", text, "product")
    if held is None and len(user.products) >= limits.USER_PRODUCTS_MAX:
        text = f"the user has {limits.USER_PRODUCTS_MAX} products"
        raise Conflict("PRODUCTS_OF_USER_FULL", text, "product")
    if not routes.has_network:
        return  # headquarters judges the rest
    product = products.get(new.product, new.version)
    if user.level and product.is_refused_on_stopped_line:
        text = "the product is not given to a stopped line; subscribe when it is resumed"
        raise Conflict("LINE_STOPPED", text, "product")
    dialect = routes.dialects.get(user.binding.hlr, "")
    missing = subscription.scripts_missing(product, dialect)
    if missing is not None:
        text = f"service {missing.name} has no script for {user.binding.hlr} ({dialect})"
        raise Conflict("PRODUCT_NOT_ON_HLR", text, "product")


def subscribe(order: ProductSubscribe, user: User, ground: Ground) -> Plan | Impossible:
    assert order.product_version is not None, "fixed when the order was taken"
    product = ground.products.get(order.product, order.product_version)
    new = Holding(product.id, product.version, publication.choose(product, order.attributes))
    return take_on(new, user, ground)


def take_on(new: Holding, user: User, ground: Ground) -> Plan | Impossible:
    """Headquarters first, if it is told; then switch on what it brings, paused where the line is
    stopped."""
    if new in user.products:
        return Plan((), user, (Mark.NO_CHANGE,))
    try:
        refuse_unfit(new, user, ground.routes, ground.products)
    except Conflict as refusal:
        return Impossible(refusal.code, refusal.detail)
    assert user.binding is not None, "a terminated user is unfit"
    stages = Stages(user.binding, ground)
    membership.subscribe(new, user.member, stages, ground)
    for step in subscription.joining(new, user.products, ground.products, stages.places):
        stages.steps([step], Cause.ORDERED)
        pause = subscription.paused(step) if user.level else None
        if pause is not None:
            stages.steps([pause], Cause.STOPPED)
    return stages.leading_to(replace(user, products=(*user.products, new)))


def unsubscribe(order: ProductUnsubscribe, user: User, ground: Ground) -> Plan:
    old = next((one for one in user.products if one.product == order.product), None)
    return give_up(old, user, ground)


def give_up(old: Holding | None, user: User, ground: Ground) -> Plan:
    """Switch off what nothing else of the user needs."""
    if old is None or user.binding is None:
        return Plan((), user, (Mark.NO_CHANGE,))
    others = tuple(one for one in user.products if one is not old)
    stages = Stages(user.binding, ground)
    stages.steps(subscription.leaving(old, others, ground.products, stages.places), Cause.CLOSED)
    membership.unsubscribe(old, user.member, stages, ground)
    return stages.leading_to(replace(user, products=others))
