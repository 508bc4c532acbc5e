"""What hlrd can ask of an NE, named independently of any dialect."""

from enum import StrEnum
from typing import Final

from msgspec import Struct

from hlrd.domain.identity import Binding
from hlrd.domain.suspension import Level


class Operation(StrEnum):
    """One absolute command: sending it twice leaves the NE as sending it once would."""

    ADD_KEY = "addKey"  #: load the card's key into the AuC
    REMOVE_KEY = "removeKey"
    ADD_SUBSCRIBER = "addSubscriber"  #: create the HLR record from its product template
    REMOVE_SUBSCRIBER = "removeSubscriber"
    SET_BARRING = "setBarring"  #: to the absolute level of `Task.level`
    CANCEL_LOCATION = "cancelLocation"  #: tell the serving node that the record changed
    OPEN_RELATION = "openRelation"  #: DSMP: the user's order relation is active
    PAUSE_RELATION = "pauseRelation"
    RESUME_RELATION = "resumeRelation"
    CLOSE_RELATION = "closeRelation"
    FIND_NUMBER = "findNumber"  #: has the HLR a record of this number? Only ever read back


UNDO: Final = {
    Operation.ADD_KEY: Operation.REMOVE_KEY,
    Operation.ADD_SUBSCRIBER: Operation.REMOVE_SUBSCRIBER,
    Operation.OPEN_RELATION: Operation.CLOSE_RELATION,
}
"""How an operation is taken back. One that is not here is never taken back."""


class Cause(StrEnum):
    """Why a relation or a record changes; some peers want it on the wire (DSMP ActionReasonID)."""

    ORDERED = "ordered"  #: opening on the customer's wish
    STOPPED = "stopped"  #: suspension by BOSS
    RESUMED = "resumed"  #: resume by BOSS
    CLOSED = "closed"  #: account closing


class Task(Struct, frozen=True, gc=False):
    """The part of an order for one NE (子工单): one operation with all that its command needs."""

    operation: Operation
    ne: str  #: name of the NE in the configuration
    binding: Binding
    cause: Cause
    level: Level = Level.NONE  #: SET_BARRING: the level to reach; ADD_SUBSCRIBER: to be born with
    template: str = ""  #: ADD_SUBSCRIBER: the product's template on that NE
    transaction: str = ""  #: the same over every resend, so that a peer can tell a repeat
