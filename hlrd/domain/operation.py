"""What hlrd can ask of an NE, named independently of any dialect."""

from collections.abc import Mapping
from enum import StrEnum
from typing import Final

from msgspec import Struct

from hlrd.domain.identity import ICCID, IMSI, MSISDN, Binding, SealedKey, UserId
from hlrd.domain.suspension import Level


class Operation(StrEnum):
    """One absolute command: sending it twice leaves the NE as sending it once would."""

    ADD_KEY = "addKey"  #: load the card's key into the AuC
    REMOVE_KEY = "removeKey"
    ADD_SUBSCRIBER = "addSubscriber"  #: create the HLR record from its product template
    REMOVE_SUBSCRIBER = "removeSubscriber"
    SET_BARRING = "setBarring"  #: to the absolute level of `Task.level`
    CANCEL_LOCATION = "cancelLocation"  #: tell the serving node that the record changed
    CHANGE_CARD = "changeCard"  #: the record goes on under the IMSI of `Details.target`
    CHANGE_NUMBER = "changeNumber"  #: … under the MSISDN of `Details.target`
    ADD_FUNCTION = "addFunction"  #: switch a service on, by the command template of its product
    REMOVE_FUNCTION = "removeFunction"
    OPEN_RELATION = "openRelation"  #: DSMP: the user's order relation is active
    PAUSE_RELATION = "pauseRelation"
    RESUME_RELATION = "resumeRelation"
    CLOSE_RELATION = "closeRelation"
    PUBLISH_PRODUCT = "publishProduct"  #: DSMP and platforms: a product and what it consists of
    SUBSCRIBE_EC = "subscribeEC"  #: platforms: the enterprise has the product
    UNSUBSCRIBE_EC = "unsubscribeEC"
    SUBSCRIBE_MEMBER = "subscribeMember"  #: platforms: the user has the product
    UNSUBSCRIBE_MEMBER = "unsubscribeMember"
    REPORT_MEMBER = "reportMember"  #: relays: number and card of a new member, up to headquarters
    CANCEL_REPORT = "cancelReport"
    OPEN_SHEET = "openSheet"  #: EOMS: a work sheet that people answer
    WITHDRAW_SHEET = "withdrawSheet"
    CLOSE_SHEET = "closeSheet"  #: its answer was read, or what it was about is over
    FAN_OUT = "fanOut"  #: hlrd itself: hand in the children of the order `Details.text`
    FIND_NUMBER = "findNumber"  #: has the HLR a record of this number? Only ever read back


UNDO: Final = {
    Operation.ADD_KEY: Operation.REMOVE_KEY,
    Operation.ADD_SUBSCRIBER: Operation.REMOVE_SUBSCRIBER,
    Operation.CHANGE_CARD: Operation.CHANGE_CARD,
    Operation.CHANGE_NUMBER: Operation.CHANGE_NUMBER,
    Operation.OPEN_RELATION: Operation.CLOSE_RELATION,
    Operation.ADD_FUNCTION: Operation.REMOVE_FUNCTION,
    Operation.SUBSCRIBE_EC: Operation.UNSUBSCRIBE_EC,
    Operation.SUBSCRIBE_MEMBER: Operation.UNSUBSCRIBE_MEMBER,
    Operation.REPORT_MEMBER: Operation.CANCEL_REPORT,
    Operation.OPEN_SHEET: Operation.WITHDRAW_SHEET,
}
"""How an operation is taken back. One that is not here is never taken back."""


class Cause(StrEnum):
    """Why a relation or a record changes; some peers want it on the wire (DSMP ActionReasonID)."""

    ORDERED = "ordered"  #: opening on the customer's wish
    STOPPED = "stopped"  #: suspension by BOSS
    RESUMED = "resumed"  #: resume by BOSS
    CLOSED = "closed"  #: account closing
    RENUMBERED = "renumbered"  #: the user goes on under another number


NOBODY: Final = Binding(UserId(""), MSISDN(""), IMSI(""), ICCID(""), "", "", SealedKey("", b""))
"""The binding of a task that is about no user: a product, an enterprise."""


class Details(Struct, frozen=True, gc=False, omit_defaults=True):
    """What a task is about beside its user; each operation has use for a few."""

    product: str = ""
    version: int = 0
    service: str = ""
    ec_code: str = ""
    ec_name: str = ""
    script: str = ""  #: ADD_FUNCTION, REMOVE_FUNCTION: the command template, in the NE's dialect
    undo_script: str = ""  #: the one that takes it back
    query: str = ""  #: the script that reads the function back; empty: its command is its own query
    shows: str = ""  #: the script of what the answer to `query` holds while the function is on
    target: Binding | None = None  #: CHANGE_CARD, CHANGE_NUMBER: bound after it
    text: str = ""  #: OPEN_SHEET: what people are to do; PUBLISH_PRODUCT: the product's name
    attributes: Mapping[str, str] = {}  #: what scripts name beside the user's own (`domain.script`)


NO_DETAILS: Final = Details()


class Task(Struct, frozen=True, gc=False):
    """The part of an order for one NE (子工单): one operation with all that its command needs."""

    operation: Operation
    ne: str  #: name of the NE in the configuration
    binding: Binding
    cause: Cause
    level: Level = Level.NONE
    """SET_BARRING: to reach; ADD_SUBSCRIBER: to be born with; ADD_KEY, CHANGE_CARD: of the line."""

    template: str = ""  #: ADD_SUBSCRIBER: the product's template on that NE
    transaction: str = ""  #: the same over every resend, so that a peer can tell a repeat
    details: Details = NO_DETAILS
