"""Products for tests, of two services that other products share."""

from typing import Any

from hlrd.domain.product import (
    Holding,
    Product,
    ProductService,
    Relation,
    Scripts,
    ServiceKind,
    Sheet,
)
from hlrd.domain.publication import Products


def scripts(name: str, dialect: str = "mml", **more: str) -> Scripts:
    return Scripts(dialect, f"ADD {name}:I={{imsi}}", f"RMV {name}:I={{imsi}}", **more)


def a_function(name: str = "GPRS", **changes: Any) -> ProductService:
    return ProductService(
        **{"name": name, "kind": ServiceKind.FUNCTION, "scripts": [scripts(name)]} | changes
    )


def an_apn(*values: str) -> ProductService:
    """A function with a parameter that its scripts name."""
    parameters = {"apn": list(values)} if values else {}
    one = Scripts("mml", "ADD APN:I={imsi},APN={apn}", "RMV APN:I={imsi},APN={apn}")
    return a_function("APN", scripts=[one], parameters=parameters)


def a_content(name: str = "VIDEO", service: str = "VIDEO01") -> ProductService:
    return ProductService(name, ServiceKind.CONTENT, relation=Relation("900001", service))


def a_manual(close: str = "take it back") -> ProductService:
    return ProductService("IP", ServiceKind.RESOURCE, manual=Sheet("give an address", close))


def a_product(
    id: str, *services: ProductService, version: int = 1, platforms: tuple[str, ...] = ()
) -> Product:
    return Product(id, version, f"product {id}", list(services), list(platforms))


def published(*products: Product) -> Products:
    """All of them active; of several versions the last."""
    found = Products()
    for product in products:
        found.stage(product)
        found.activate(product.id, product.version)
    return found


def held(product: Product, **attributes: str) -> Holding:
    return Holding(product.id, product.version, attributes)
