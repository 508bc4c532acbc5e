"""Results as the bytes of a reply: in either layout, records as lines or as tables, in one packet
or several.
"""

from collections.abc import Iterator, Sequence
from typing import Final

from hlrd.codec import mml
from loadtest.hlr.results import Record, Result

_ECHO_LENGTH_MAX: Final = 1_000
_CONTINUED: Final = "To be continued..."
_TITLE: Final = "The result is as follows"


class Frames:
    """`packet_lines` above 0 cuts a longer body into packets of that many lines."""

    def __init__(
        self, ne: str, *, is_old: bool = False, has_tables: bool = False, packet_lines: int = 0
    ) -> None:
        self._ne = ne
        self._is_old = is_old
        self._has_tables = has_tables
        self._packet_lines = packet_lines
        self._number = 0

    def reply(self, echo: bytes, result: Result, stamp: str) -> bytes:
        shown = _shown(echo)
        if not result.record:
            return self._block(shown, result, stamp, "").encode("ascii")
        packets = self._packets(list(self._body(result)))
        blocks = (self._block(shown, result, stamp, _lines(packet)) for packet in packets)
        return "".join(blocks).encode("ascii")

    def _body(self, result: Result) -> Iterator[str]:
        yield from self._section([result.record])
        if result.rows:
            yield ""
            yield from self._section(result.rows)

    def _section(self, records: Sequence[Record]) -> Iterator[str]:
        yield _TITLE
        yield "-" * len(_TITLE)
        yield from mml.columns(records) if self._has_tables else mml.lines(records)
        yield f"(Number of results = {len(records)})"

    def _packets(self, body: list[str]) -> list[list[str]]:
        size = self._packet_lines or len(body)
        cut = [body[at : at + size] for at in range(0, len(body), size)]
        if len(cut) == 1:
            return cut
        return [
            *([*packet, _CONTINUED] for packet in cut[:-1]),
            [*cut[-1], f"There are together {len(cut)} reports"],
        ]

    def _block(self, echo: str, result: Result, stamp: str, body: str) -> str:
        self._number += 1
        return mml.block(
            ne=self._ne,
            stamp=stamp,
            number=self._number,
            echo=echo,
            retcode="" if self._is_old else str(result.code),
            result=result.text,
            body=body,
        )


def _lines(packet: Sequence[str]) -> str:
    return "\r\n".join(packet) + "\r\n\r\n"


def _shown(echo: bytes) -> str:
    """The command as the NE read it: one line, the password masked."""
    text = echo.decode("ascii", errors="replace")
    if text.isascii() and text.isprintable() and text[:3].upper() != "LGI":
        return text
    printable = "".join(letter if "!" <= letter <= "~" else " " for letter in text)
    return mml.masked(" ".join(printable.split()))[:_ECHO_LENGTH_MAX]
