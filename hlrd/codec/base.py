"""What every codec is: bytes to replies and back, with no socket in sight."""

from typing import Protocol, TypeVar

from hlrd.domain.errors import HlrdError

R = TypeVar("R")


class UnsafeValue(HlrdError):
    """A value that could break out of its place in a message. Nothing was built; the text does not
    quote it, as it may be a secret.
    """


class Decoder(Protocol[R]):
    """One instance per session."""

    def feed(self, data: bytes) -> list[R]:
        """Take what arrived, however cut, and return the replies it completed.

        Raises ProtocolError when the peer broke the frame, or before a frame above
        limits.FRAME_BYTES_MAX would be buffered; the instance is of no use afterwards.
        """
        ...
