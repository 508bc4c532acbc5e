"""Orders about products: published for all, subscribed to and unsubscribed by a user."""

from typing import Annotated

import msgspec
from msgspec import Meta

from hlrd import limits
from hlrd.domain.identity import MSISDNText
from hlrd.domain.orders.header import Header, NoteText, UserHeader
from hlrd.domain.product import (
    ElementText,
    LabelText,
    ParameterText,
    Product,
    ProductService,
    ProductText,
    ProductVersion,
    StoppedLine,
    ValueText,
)


class ProductPublish(Header, tag="PRODUCT_PUBLISH", kw_only=True, forbid_unknown_fields=True):
    """产品发布: one version of a product, and how its services are switched. Of no user."""

    product: ProductText
    product_version: ProductVersion
    name: LabelText
    services: Annotated[
        list[ProductService], Meta(min_length=1, max_length=limits.PRODUCT_SERVICES_MAX)
    ]
    platforms: Annotated[list[ElementText], Meta(max_length=limits.PRODUCT_TARGETS_MAX)] = (
        msgspec.field(default_factory=list)
    )
    on_stopped_line: StoppedLine = StoppedLine.BY_KIND

    def content(self) -> Product:
        return Product(
            self.product,
            self.product_version,
            self.name,
            self.services,
            self.platforms,
            self.on_stopped_line,
        )


class ProductSubscribe(
    UserHeader, tag="PRODUCT_SUBSCRIBE", kw_only=True, forbid_unknown_fields=True
):
    """产品定购."""

    msisdn: MSISDNText
    product: ProductText
    product_version: ProductVersion | None = None  #: absent: the active one when the order came
    attributes: Annotated[
        dict[ParameterText, ValueText],
        Meta(max_length=limits.PRODUCT_SERVICES_MAX * limits.PARAMETERS_MAX),
    ] = msgspec.field(default_factory=dict)


class ProductUnsubscribe(
    UserHeader, tag="PRODUCT_UNSUBSCRIBE", kw_only=True, forbid_unknown_fields=True
):
    """产品退订."""

    msisdn: MSISDNText
    product: ProductText
    cause: NoteText | None = None
