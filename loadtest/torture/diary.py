"""What one client did and was told, as it happened: one JSON object a line, only ever appended to.

    {"at": 811.204, "event": "sent", "act": "reserve", "id": "c07-000012", "ttl_s": 3600.0}
    {"at": 811.297, "event": "answered", "act": "reserve", "id": "c07-000012", "status": 201,
     "reservation": "41", "numbers": ["1064901000017", …]}

A line is given to the kernel before the client goes on, so a diary is whole even if its client is
killed. Times are of the machine's monotonic clock, which all clients share.
"""

import os
import time
from collections.abc import Iterator, Sequence
from enum import StrEnum
from pathlib import Path

import msgspec
from msgspec import Struct


class Act(StrEnum):
    RESERVE = "reserve"
    CHOOSE = "choose"  #: of a reservation: these are kept, the others let go
    EXTEND = "extend"
    CANCEL = "cancel"
    OPEN = "open"
    TERMINATE = "terminate"


class Event(StrEnum):
    SENT = "sent"
    ANSWERED = "answered"  #: it is done, or will be whatever happens
    REFUSED = "refused"  #: it is not done and will not be
    LOST = "lost"  #: no answer, or one that does not tell: the same is asked again
    RECEIPT = "receipt"  #: the final one of an order


class Entry(Struct, omit_defaults=True, frozen=True):
    at: float
    event: Event
    act: Act
    id: str  #: the client's own: idempotency key, or order id
    status: int = 0  #: of the answer
    code: str = ""  #: of the refusal
    reservation: str = ""  #: the server's id: of what is asked, or as answered
    numbers: Sequence[str] = ()  #: given; of a choice, those kept
    ttl_s: float = 0.0
    user: str = ""
    msisdn: str = ""
    iccid: str = ""
    result: str = ""  #: of a receipt


_ENCODER = msgspec.json.Encoder()
_DECODER = msgspec.json.Decoder(Entry)


class Diary:
    """Whose `write` fills in the time."""

    def __init__(self, path: Path) -> None:
        self._fd = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)

    def write(self, event: Event, act: Act, ids: Sequence[str], **more: object) -> float:
        """One entry for each id, alike but for that; the time they carry."""
        at = time.monotonic()
        self.add([Entry(at, event, act, each, **more) for each in ids])  # type: ignore[arg-type]
        return at

    def add(self, entries: Sequence[Entry]) -> None:
        data = _ENCODER.encode_lines(entries)
        while data:
            data = data[os.write(self._fd, data) :]

    def close(self) -> None:
        os.close(self._fd)


def read(path: Path) -> Iterator[Entry]:
    """Raises msgspec.DecodeError or ValidationError for a line that is no entry."""
    with path.open("rb") as lines:
        for line in lines:
            yield _DECODER.decode(line)
