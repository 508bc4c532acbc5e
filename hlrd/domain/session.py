"""Sessions of source systems (系统之间的认证): who is logged in, and until when."""

from dataclasses import dataclass

from hlrd.domain.orders import Source


@dataclass(slots=True, eq=False)
class Session:
    """A source system that is logged in. Times are monotonic seconds."""

    id: str  #: names it to people; the token is another, and known to its holder alone
    user: str
    source: Source
    since: float
    ends_at: float
    heard_at: float
