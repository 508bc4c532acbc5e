"""What can go wrong, sorted by the question the caller asks, not by the place it came from.

What a network element answers is a value (`outcome.Outcome`), never one of these. A bug of ours
is an `AssertionError`, caught nowhere.
"""

from typing import ClassVar


class HlrdError(Exception):
    """Base of every error hlrd raises on purpose."""


class Refusal(HlrdError):
    """A request that is not taken, before anything was reserved for it.

    `code` is stable and in the table of `docs/api.md`; `field` is the path of the offending value
    (`msisdn`, `[3].services[0]`), empty when no single field is to blame. The text never quotes a
    secret, and says what to do.
    """

    status: ClassVar[int] = 400

    def __init__(self, code: str, detail: str, field: str = "") -> None:
        super().__init__(detail)
        self.code = code
        self.detail = detail
        self.field = field

    def at(self, prefix: str) -> "Refusal":
        """The same refusal with its field's path below `prefix`, as in a batch."""
        joiner = "" if not self.field or self.field.startswith("[") else "."
        return type(self)(self.code, self.detail, f"{prefix}{joiner}{self.field}")


class BadRequest(Refusal):
    """The content is wrong; sending it again changes nothing."""


class Unauthorized(Refusal):
    """Nobody knows who asks."""

    status = 401


class NotAllowed(Refusal):
    """The source has no right to this."""

    status = 403


class NotFound(Refusal):
    status = 404


class Conflict(Refusal):
    """The content is well formed but disagrees with what hlrd holds."""

    status = 409


class Busy(Refusal):
    """Refused for load or drain, not for content; `retry_after_s` says when to come back."""

    status = 429

    def __init__(self, code: str, detail: str, retry_after_s: float, field: str = "") -> None:
        super().__init__(code, detail, field)
        self.retry_after_s = retry_after_s

    def at(self, prefix: str) -> "Refusal":
        return type(self)(self.code, self.detail, self.retry_after_s, prefix)


class Locked(Busy):
    """Refused whatever it says, until a time."""

    status = 423


class Unavailable(Busy):
    """The daemon cannot take any work now: it drains, or its journal is out of reach."""

    status = 503


class ProtocolError(HlrdError):
    """A peer broke its protocol; the session is closed and what it owed is in doubt."""


class Fenced(HlrdError):
    """Another node took over under a higher epoch; this one must stop at once."""
