"""What the emulated M-HLR answers, before it is framed. Codes marked "ours" are invented."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final, NamedTuple

Record = Mapping[str, str]
NOTHING: Final[Record] = MappingProxyType({})


class Result(NamedTuple):
    """One answer. A query shows one `record`, and perhaps `rows` that belong to it."""

    code: int
    text: str
    changed: str = ""  #: the IMSI whose record is now another, if any
    record: Record = NOTHING
    rows: tuple[Record, ...] = ()


SUCCESS: Final = "SUCCESS0001:Operation is successful"
OK: Final = Result(0, SUCCESS)
NO_CHANGE: Final = Result(0, "SUCCESS0002:Operation is successful, but there is no data to update")
NOT_A_COMMAND: Final = Result(1001, "ERR1001:The command does not exist or is misspelt")  # ours
REFUSED: Final = Result(1033, "ERR1033:The number threshold is exceeded")
NOT_DEFINED: Final = Result(3001, "ERR3001:The subscriber is not defined")
ISDN_USED: Final = Result(3005, "ERR3005:The ISDN is used by another subscriber")  # ours
EXISTS: Final = Result(3006, "ERR3006:The record already exists")
NOT_PROVISIONED: Final = Result(3007, "ERR3007:The service or context is not provisioned")  # ours
KEY_NOT_LOADED: Final = Result(3048, "ERR3048:The Ki is not loaded")
KEY_USED: Final = Result(3049, "ERR3049:The Ki is used by a subscriber")  # ours
BUSY: Final = Result(4005, "ERR4005:The system is busy")  # ours
PARTLY: Final = "ERR4010:The batch is done in part"  # ours
NOT_LOGGED_IN: Final = Result(5001, "ERR5001:Not logged in")  # ours
WRONG_ACCOUNT: Final = Result(5002, "ERR5002:Wrong user name or password")  # ours
TOO_MANY_SESSIONS: Final = Result(5003, "ERR5003:Too many sessions")  # ours
IN_MAINTENANCE: Final = Result(5004, "ERR5004:The system is in maintenance")  # ours
UNPUSHED: Final = "ERR3037:Stored, but the serving node was not reached; send cancel location"


def wrong(name: str) -> Result:
    return Result(1002, f"ERR1002:Parameter {name} is missing or wrong")


def changed(imsi: str) -> Result:
    return Result(0, SUCCESS, imsi)


def shown(record: Record, rows: tuple[Record, ...] = ()) -> Result:
    return Result(0, SUCCESS, record=record, rows=rows)
