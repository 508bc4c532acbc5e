"""Orders that bring a network element back to what hlrd intends."""

from enum import StrEnum
from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from hlrd.domain.identity import IMSIText, MSISDNText
from hlrd.domain.orders.header import (
    NoteText,
    OperatorText,
    OrderIdText,
    Service,
    UserHeader,
    VersionNumber,
)
from hlrd.domain.orders.standing import LeveledReasons
from hlrd.domain.product import ElementText


class Subject(StrEnum):
    """What of a user's HLR record a repair looks at."""

    EXISTENCE = "existence"  #: key and record are there
    SERVICES = "services"  #: the functions of the user's products are on
    BARRING = "barring"  #: the level is that of the user's reasons


class NERepair(UserHeader, tag="NE_REPAIR", kw_only=True, forbid_unknown_fields=True):
    """稽核补发: read the HLR, and send what it lacks.

    Of a user who has no number any more, or never had, it removes the record of `imsi` at `hlr`:
    that takes a second person, `approved_by`.
    """

    msisdn: MSISDNText
    check: Annotated[list[Subject], Meta(min_length=1, max_length=len(Subject))] = msgspec.field(
        default_factory=lambda: list(Subject)
    )
    difference: OrderIdText | None = None  #: what the audit that found it calls it
    services: Annotated[list[Service], Meta(min_length=1, max_length=3)] | None = None
    """With which a record is made that is not there; absent: as the user was opened."""
    reasons: LeveledReasons | None = None  #: the state master's word, in the place of hlrd's own
    state_version: VersionNumber | None = None  #: of `reasons`
    said_by: Literal["BOSS", "CRM"] | None = None
    """Whose word `reasons` are: what that system has no right to clear stays. Absent: staff's."""
    imsi: IMSIText | None = None
    hlr: ElementText | None = None
    approved_by: OperatorText | None = None
    cause: NoteText | None = None
