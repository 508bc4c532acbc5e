"""Whether an order about a product may be taken: what it publishes, or what a user is offered."""

from collections.abc import Iterable, Mapping

from hlrd.domain import publication
from hlrd.domain.errors import BadRequest, Conflict, NotFound
from hlrd.domain.orders import ProductPublish, ProductSubscribe, ProductUnsubscribe
from hlrd.domain.plans.plan import Routes
from hlrd.domain.plans.product import refuse_unfit
from hlrd.domain.product import Holding, Product
from hlrd.domain.publication import Check, Products
from hlrd.domain.user import User
from hlrd.engine.book import OpenOrder


class ProductRules:
    """Refuses before anything is sent. `checks`: of each dialect, whether a script is one command.

    What only shows when an order's turn comes (the user has the product already) is the plan's.
    """

    def __init__(self, products: Products, routes: Routes, checks: Mapping[str, Check]) -> None:
        self.products = products
        self._routes = routes
        self._checks = checks

    def check_publication(self, order: ProductPublish, ahead: Iterable[OpenOrder]) -> None:
        product = order.content()
        for earlier in ahead:
            _refuse_other_content(product, earlier)
        self.products.refuse_publication(product)
        publication.refuse_faulty(product, self._checks)
        self._check_targets(product)

    def check_subscription(
        self, order: ProductSubscribe, user: User | None, *, is_first: bool
    ) -> None:
        """Fixes the version, so that the order ends with the one it began with. `is_first`: no
        order of the user is open, so the user is as it will be.
        """
        product = self.products.offered(order.product, order.product_version)
        chosen = publication.choose(product, order.attributes)
        new = Holding(product.id, product.version, chosen)
        if is_first and user is not None and new not in user.products:
            refuse_unfit(new, user, self._routes, self.products)
        order.product_version = product.version

    def check_unsubscription(self, order: ProductUnsubscribe) -> None:
        if not self.products.is_known(order.product):
            raise NotFound("PRODUCT_UNKNOWN", "no such product was published", "product")

    def _check_targets(self, product: Product) -> None:
        for place, ne in enumerate(product.platforms):
            field = f"platforms[{place}]"
            if ne not in self._routes.platforms:
                text = "no network element of this name takes products"
                raise BadRequest("PLATFORM_UNKNOWN", text, field)
            if ne in product.platforms[:place]:
                raise BadRequest("PRODUCT_INVALID", "this platform came before", field)
        for place, service in enumerate(product.services):
            if service.manual is not None and not self._routes.sheets:
                text = "no network element is configured that takes work sheets"
                raise BadRequest("PRODUCT_INVALID", text, f"services[{place}].manual")


def _refuse_other_content(product: Product, earlier: OpenOrder) -> None:
    """One that is not durable yet is not among the products."""
    other = earlier.order
    if not isinstance(other, ProductPublish) or other.product_version != product.version:
        return
    if other.content() != product:
        text = f"order {earlier.id} publishes this version with other content"
        raise Conflict("PRODUCT_VERSION_TAKEN", text, "product_version")
