"""How a receipt (回单) comes to its source's endpoint: states, answers, and when to try again.

Times are seconds of the epoch.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from typing import Final, NamedTuple

from hlrd.domain.lifecycle import DeliveryState

GIVE_UP_S: Final = 86_400.0
"""From the first try to the last."""

_DELAY_S: Final = 5.0
_DELAY_S_MAX: Final = 3_600.0

RETRY_AFTER_S_MAX: Final = 3_600.0
"""An endpoint that asks for more is tried after this all the same."""


class Reception(StrEnum):
    """What an answer of an endpoint means."""

    TAKEN = "taken"  #: 2xx
    REFUSED = "refused"  #: it objects to this receipt, and may well take others
    BUSY = "busy"  #: it says when to come back
    FAILED = "failed"  #: it is away, does not know us, or cannot do its work
    GONE = "gone"  #: it wants no more


_REFUSED: Final = frozenset({400, 409, 413, 415, 422})
_GONE: Final = 410


@dataclass(frozen=True, slots=True)
class Reply:
    """One try, as it ended."""

    reception: Reception
    said: str = ""  #: for people: a status, or why there was none; never a body
    retry_after_s: float = 0.0


def read_status(status: int, retry_after_s: float | None = None) -> Reply:
    """No redirect is followed, so one is a failure."""
    said = f"answered {status}"
    if 200 <= status < 300:
        return Reply(Reception.TAKEN)
    if status == _GONE:
        return Reply(Reception.GONE, said)
    if status in _REFUSED:
        return Reply(Reception.REFUSED, said)
    if retry_after_s is not None:
        return Reply(Reception.BUSY, said, min(max(retry_after_s, 0.0), RETRY_AFTER_S_MAX))
    return Reply(Reception.FAILED, said)


def delay_s(failures: int, chance: float) -> float:
    """How long to rest after so many failures: doubled each time up to an hour, and half of it by
    `chance` in [0, 1), so that receipts that failed together do not come back together.
    """
    longest = min(_DELAY_S_MAX, _DELAY_S * 2.0 ** min(failures - 1, 16))
    return longest * (0.5 + chance / 2)


def next_try(now: float, *, since: float, wait_s: float) -> float | None:
    """When to try again after a failure; the last try is `GIVE_UP_S` after the first.

    None: that was the last one. `since`: the first failure; `wait_s`: as `delay_s` says.
    """
    last = since + GIVE_UP_S
    return None if now >= last else min(now + wait_s, last)


class Content(NamedTuple):
    """What is sent of a receipt."""

    receipt: bytes
    is_final: bool
    closed_at: float


@dataclass(slots=True, eq=False)
class Outgoing:
    """One receipt on its way."""

    seq: int
    user_id: str
    closed_at: float
    content: Content | None = None  #: None: to be read again when it goes
    has_row: bool = False
    failures: int = 0
    since: float | None = None  #: its first failure
    due_at: float = 0.0


class Row(NamedTuple):
    """What is durable of a receipt that could not go at once."""

    seq: int
    user_id: str
    closed_at: float
    state: DeliveryState
    failures: int
    since: float | None
    due_at: float
    said: str


class Marks(NamedTuple):
    """What changed and must become durable in one transaction."""

    cursor: int  #: every receipt up to it is delivered, dead or has a row
    failing_since: float | None
    rows: list[Row]
    delivered: list[int]  #: their rows go


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Where a source wants its receipts. What is secret about it is not in here."""

    name: str
    source: str
    url: str
    is_default: bool = False  #: gets the receipts of orders that name none
    in_flight_max: int = 16
    timeout_s: float = 15.0


@dataclass(frozen=True, slots=True)
class EndpointView:
    """An endpoint as staff sees it: nothing secret."""

    name: str
    source: str
    url: str  #: without what follows the path
    is_default: bool
    state: str  #: open, away, paused or gone
    failing_since: float | None  #: seconds of the epoch
    pending: int
    dead: int
    oldest_age_s: float
    in_flight: int
    cursor: int


class Endpoints:
    """The registered ones, which a reload of the settings changes."""

    def __init__(self, endpoints: Iterable[Endpoint] = ()) -> None:
        self._by_name: dict[tuple[str, str], Endpoint] = {}
        self.configure(endpoints)

    def configure(self, endpoints: Iterable[Endpoint]) -> None:
        self._by_name = {(endpoint.source, endpoint.name): endpoint for endpoint in endpoints}

    def knows(self, source: str, name: str) -> bool:
        return (source, name) in self._by_name


NO_ENDPOINTS: Final = Endpoints()
