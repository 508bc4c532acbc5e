"""What the daemon tells an importer, by the pipe that is the importer's standard input."""

from typing import Final

from msgspec import Struct

from hlrd.domain.routing import Route
from hlrd.store.record import ImportRow

BUSY: Final = b"b"
IDLE: Final = b"i"
"""Said again and again, a byte each, behind the line of the assignment."""

OUT_OF_REACH: Final = 75
"""Exit code (EX_TEMPFAIL): the database was out of reach, which is no fault of the importer."""


class Assignment(Struct):
    """One line of JSON. Not on a command line nor in an environment, which would show the keys."""

    row: ImportRow
    dsn: str
    node: str
    epoch: int
    keys: dict[str, bytes]
    current: str  #: the id of the key to seal under
    spooled: str  #: path of the vendor's file
    routes: list[Route]  #: of IMSIs
    errors: str  #: path of the error file to write
    log_level: str

    def __repr__(self) -> str:
        return f"Assignment(row={self.row.id})"
