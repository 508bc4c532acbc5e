"""Orders by which a user goes on with another card, or under another number."""

from typing import Annotated, Literal

from msgspec import Meta

from hlrd.domain import identity
from hlrd.domain.errors import BadRequest
from hlrd.domain.identity import ICCIDText, IMSIText, KeyText, MSISDNText
from hlrd.domain.orders.header import NameText, NoteText, ReservationText, UserHeader


class SIMReplace(UserHeader, tag="SIM_REPLACE", kw_only=True, forbid_unknown_fields=True):
    """补换卡: with the card that is named, or one drawn from the stock of the number's home."""

    msisdn: MSISDNText
    iccid: ICCIDText | None = None  #: this very card
    imsi: IMSIText | None = None  #: of the named card; needed for one that is not in stock
    ki: KeyText | None = None  #: encrypted under transport key `keyid`; taken off before storing
    keyid: Annotated[int, Meta(ge=0, le=identity.K4SNO_MAX)] | None = None
    algorithm: Literal["COMP128_1", "COMP128_2", "COMP128_3", "MILENAGE"] = "MILENAGE"
    card_type: Literal["SIM", "USIM"] = "USIM"
    lot: NameText | None = None  #: any card of this lot; neither: any card of the province
    cause: NoteText | None = None


class NumberChange(UserHeader, tag="NUMBER_CHANGE", kw_only=True, forbid_unknown_fields=True):
    """改号: under the number that is named, or one drawn from the pool; at the same home HLR."""

    msisdn: MSISDNText
    new_msisdn: MSISDNText | None = None  #: idle, or of the reservation
    reservation: ReservationText | None = None  #: that has `new_msisdn`
    pool: NameText = "iot"
    digits: Literal[11, 13] | None = None  #: of the number to be drawn; absent: as many as now
    quarantine_days: Annotated[int, Meta(ge=0, le=365)] | None = None  #: of the old number
    cause: NoteText | None = None


Change = SIMReplace | NumberChange


def normalize_card(order: SIMReplace) -> None:
    """Raises BadRequest where what it says of the card is not all of it, or too much."""
    if order.iccid is None and (order.imsi or order.ki or order.keyid is not None):
        text = "a card that is named by IMSI or key is named by ICCID too"
        raise BadRequest("CARD_INCOMPLETE", text, "iccid")
    if order.iccid is not None:
        order.iccid = identity.parse_iccid(order.iccid)
        if order.lot is not None:
            raise BadRequest("CARD_AND_LOT", "name a card or a lot, not both", "lot")
    if order.ki is not None and order.imsi is None:
        raise BadRequest("CARD_INCOMPLETE", "a card that brings its key needs its IMSI", "imsi")


def normalize_number(order: NumberChange) -> None:
    """Raises BadRequest where the new number is not one, or is the old one."""
    if order.new_msisdn is None:
        if order.reservation is not None:
            text = "name the number of the reservation that the user is to have"
            raise BadRequest("NUMBER_NOT_NAMED", text, "new_msisdn")
        return
    order.new_msisdn = identity.parse_msisdn(order.new_msisdn, "new_msisdn")
    if order.new_msisdn == order.msisdn:
        raise BadRequest("NUMBER_SAME", "the user has this number already", "new_msisdn")
