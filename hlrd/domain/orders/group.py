"""Orders of group business (集团业务): what an enterprise has, what its members have, and what
other provinces tell of theirs.
"""

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from hlrd import limits
from hlrd.domain import identity
from hlrd.domain.errors import BadRequest
from hlrd.domain.group import Partner, Scope, Subscription
from hlrd.domain.identity import MSISDNText
from hlrd.domain.orders.header import (
    PROVINCES,
    ECCodeText,
    Header,
    NoteText,
    ProvinceText,
    UserHeader,
)
from hlrd.domain.product import LabelText, ParameterText, ProductText, ProductVersion, ValueText

ClassNumber = Annotated[int, Meta(ge=1, le=3)]
RouteName = Literal["BBOSS", "BOSS1"]
Partners = Annotated[list[ProvinceText], Meta(max_length=limits.PARTNER_PROVINCES_MAX)]


class ECHeader(Header, kw_only=True, forbid_unknown_fields=True):
    """What every order about one product of one enterprise carries."""

    ec_code: ECCodeText
    product: ProductText


class ECProductSubscribe(
    ECHeader, tag="EC_PRODUCT_SUBSCRIBE", kw_only=True, forbid_unknown_fields=True
):
    """集团产品订购: the enterprise has the product on every platform of its class."""

    ec_name: LabelText
    product_class: ClassNumber
    scope: Scope = Scope.IN_PROVINCE
    route: RouteName = "BOSS1"  #: the relay that headquarters is told by
    lead_province: ProvinceText | None = None  #: absent: the order's own
    partner_provinces: Partners = msgspec.field(default_factory=list)
    straight: bool = False  #: its province built a nationwide platform: no province leg
    product_version: ProductVersion | None = None  #: absent: the active one when the order came

    def content(self) -> Subscription:
        """Its version is fixed when the order is taken."""
        return Subscription(
            ec_code=self.ec_code,
            ec_name=self.ec_name,
            product=self.product,
            version=self.product_version or 0,
            product_class=self.product_class,
            scope=self.scope,
            route=self.route,
            lead_province=self.lead_province or self.province,
            partner_provinces=tuple(self.partner_provinces),
            is_straight=self.straight,
        )


class ECProductCancel(ECHeader, tag="EC_PRODUCT_CANCEL", kw_only=True, forbid_unknown_fields=True):
    """集团产品退订: once no member has it any more."""

    cause: NoteText | None = None


class PartnerProductPublish(
    ECHeader, tag="PARTNER_PRODUCT_PUBLISH", kw_only=True, forbid_unknown_fields=True
):
    """发布到配合省: the lead province sold it; members may be opened here. A record."""

    ec_name: LabelText
    lead_province: ProvinceText
    product_class: ClassNumber = 1
    route: RouteName = "BBOSS"
    product_version: ProductVersion | None = None

    def content(self) -> Subscription:
        return Subscription(
            ec_code=self.ec_code,
            ec_name=self.ec_name,
            product=self.product,
            version=self.product_version or 0,
            product_class=self.product_class,
            scope=Scope.CROSS_PROVINCE,
            route=self.route,
            lead_province=self.lead_province,
        )


class PartnerMemberImport(
    Header, tag="PARTNER_MEMBER_IMPORT", kw_only=True, forbid_unknown_fields=True
):
    """配合省成员纳入: a member that a partner province opened. A record, and no command."""

    ec_code: ECCodeText
    msisdn: MSISDNText
    partner_province: ProvinceText

    def content(self) -> Partner:
        return Partner(self.ec_code, self.msisdn, self.partner_province)


class MemberProductSubscribe(
    UserHeader, tag="MEMBER_PRODUCT_SUBSCRIBE", kw_only=True, forbid_unknown_fields=True
):
    """成员产品订购: a product of the member's enterprise. May come before its MEMBER_ACTIVATE."""

    ec_code: ECCodeText
    product: ProductText
    msisdn: MSISDNText | None = None  #: unknown to upstream while the opening is not answered
    attributes: Annotated[
        dict[ParameterText, ValueText],
        Meta(max_length=limits.PRODUCT_SERVICES_MAX * limits.PARAMETERS_MAX),
    ] = msgspec.field(default_factory=dict)


class MemberProductUnsubscribe(
    UserHeader, tag="MEMBER_PRODUCT_UNSUBSCRIBE", kw_only=True, forbid_unknown_fields=True
):
    """成员产品退订."""

    ec_code: ECCodeText
    product: ProductText
    msisdn: MSISDNText | None = None
    cause: NoteText | None = None


class MemberRemove(UserHeader, tag="MEMBER_REMOVE", kw_only=True, forbid_unknown_fields=True):
    """成员退出: leaves the enterprise with all it had of it."""

    ec_code: ECCodeText
    msisdn: MSISDNText | None = None
    terminate: bool = False  #: and is closed (销户) by the same order
    quarantine_days: Annotated[int, Meta(ge=0, le=365)] | None = None  #: absent: the pool's own
    cause: NoteText | None = None


OfEnterprise = ECProductSubscribe | ECProductCancel | PartnerProductPublish
"""Run one after the other for one enterprise."""

OfMember = MemberProductSubscribe | MemberProductUnsubscribe | MemberRemove


def normalize_group(order: OfEnterprise | PartnerMemberImport) -> None:
    """Refuses what contradicts itself."""
    if isinstance(order, PartnerMemberImport):
        order.msisdn = identity.parse_msisdn(order.msisdn)
        _refuse_unknown(order.partner_province, "partner_province")
    elif not isinstance(order, ECProductCancel):
        _refuse_unknown(order.lead_province or order.province, "lead_province")
    if isinstance(order, ECProductSubscribe):
        _refuse_bad_partners(order)
        if order.straight and order.product_class == 1:
            text = "class 1 has no province leg to be spared"
            raise BadRequest("STRAIGHT_OF_CLASS_1", text, "straight")


def _refuse_bad_partners(order: ECProductSubscribe) -> None:
    """Partners are for class 1 across provinces, which goes by the BBOSS and nothing else does."""
    partners, is_cross = order.partner_provinces, order.scope is Scope.CROSS_PROVINCE
    if is_cross and (order.product_class != 1 or order.route != "BBOSS"):
        text = "business across provinces is of class 1 and goes by BBOSS"
        raise BadRequest("SCOPE_NOT_BY_ROUTE", text, "scope")
    if partners and not is_cross:
        text = "partners are for the scope crossProvince"
        raise BadRequest("SCOPE_NOT_BY_ROUTE", text, "partner_provinces")
    for place, province in enumerate(partners):
        _refuse_unknown(province, f"partner_provinces[{place}]")
    if len(set(partners)) != len(partners) or order.content().lead_province in partners:
        text = "a province comes twice, or is the lead's own"
        raise BadRequest("PARTNER_TWICE", text, "partner_provinces")


def _refuse_unknown(province: str, field: str) -> None:
    if province not in PROVINCES:
        raise BadRequest("PROVINCE_UNKNOWN", "not a company code (docs/api.md)", field)
