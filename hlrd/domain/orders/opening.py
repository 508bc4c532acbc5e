"""Orders that open a user: with number and card drawn, or with those that upstream names."""

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from hlrd.domain import identity
from hlrd.domain.identity import ICCIDText, IMSIText, KeyText, MSISDNText
from hlrd.domain.orders.header import (
    ECCodeText,
    NameText,
    ReservationText,
    Service,
    UserHeader,
)
from hlrd.domain.orders.standing import LeveledReasons


class MemberActivate(UserHeader, tag="MEMBER_ACTIVATE", kw_only=True, forbid_unknown_fields=True):
    """成员基础通信功能开通: number and card are drawn, unless the card is named."""

    ec_code: ECCodeText
    product_class: Annotated[int, Meta(ge=1, le=3)] = 1
    route: Literal["BBOSS", "BOSS1"] = "BOSS1"  #: the relay that the report goes up by
    pool: NameText = "iot"
    digits: Literal[11, 13] = 13
    iccid: ICCIDText | None = None  #: this very card
    lot: NameText | None = None  #: any card of this lot; neither: any card of the province
    msisdn: MSISDNText | None = None  #: the customer's choice: idle, or of the reservation
    reservation: ReservationText | None = None  #: gives number, pool, digits; cards if any
    services: Annotated[list[Service], Meta(min_length=1, max_length=3)] = msgspec.field(
        default_factory=lambda: [Service.GPRS, Service.SMS]
    )
    reasons: LeveledReasons = msgspec.field(default_factory=list)  #: as of USER_OPEN


class NamedHeader(UserHeader, kw_only=True, forbid_unknown_fields=True):
    """What names number and card; the key comes with the order or from the stock."""

    msisdn: MSISDNText
    imsi: IMSIText
    iccid: ICCIDText
    ki: KeyText | None = None  #: encrypted under transport key `keyid`; taken off before storing
    keyid: Annotated[int, Meta(ge=0, le=identity.K4SNO_MAX)] | None = None
    algorithm: Literal["COMP128_1", "COMP128_2", "COMP128_3", "MILENAGE"] = "MILENAGE"
    card_type: Literal["SIM", "USIM"] = "USIM"
    services: Annotated[list[Service], Meta(min_length=1, max_length=3)]
    reservation: ReservationText | None = None  #: that has the number, and the card if any
    reasons: LeveledReasons = msgspec.field(default_factory=list)  #: stopped from the first moment


class UserOpen(NamedHeader, tag="USER_OPEN", kw_only=True, forbid_unknown_fields=True):
    """用户开户: CRM names number and card."""


class MemberOpen(NamedHeader, tag="MEMBER_OPEN", kw_only=True, forbid_unknown_fields=True):
    """成员网元开通: a member that a province reported, with number and card bound there."""

    ec_code: ECCodeText
    product_class: Annotated[int, Meta(ge=1, le=3)] = 1
    route: Literal["BBOSS", "BOSS1"] = "BOSS1"  #: the relay that the report came by
