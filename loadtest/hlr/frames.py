"""Results as the bytes of a reply, in either layout, in one packet or several."""

from typing import Final

from hlrd.codec import mml
from loadtest.hlr.core import Result

_ECHO_LENGTH_MAX: Final = 1_000
_CONTINUED: Final = "To be continued..."


class Frames:
    """`packet_lines` above 0 cuts a longer body into packets of that many lines."""

    def __init__(self, ne: str, *, is_old: bool = False, packet_lines: int = 0) -> None:
        self._ne = ne
        self._is_old = is_old
        self._packet_lines = packet_lines
        self._number = 0

    def reply(self, echo: bytes, result: Result, stamp: str) -> bytes:
        shown = _shown(echo)
        if not result.body:
            return self._block(shown, result, stamp, "").encode("ascii")
        packets = self._packets(result.body)
        blocks = (self._block(shown, result, stamp, _lines(packet)) for packet in packets)
        return "".join(blocks).encode("ascii")

    def _packets(self, body: tuple[str, ...]) -> list[tuple[str, ...]]:
        size = self._packet_lines or len(body)
        cut = [body[at : at + size] for at in range(0, len(body), size)]
        if len(cut) == 1:
            return cut
        return [
            *((*packet, _CONTINUED) for packet in cut[:-1]),
            (*cut[-1], f"There are together {len(cut)} reports"),
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


def _lines(packet: tuple[str, ...]) -> str:
    return "\r\n".join(packet) + "\r\n\r\n"


def _shown(echo: bytes) -> str:
    """The command as the NE read it: one line, the password masked."""
    text = echo.decode("ascii", errors="replace")
    if text.isascii() and text.isprintable() and text[:3].upper() != "LGI":
        return text
    printable = "".join(letter if "!" <= letter <= "~" else " " for letter in text)
    return mml.masked(" ".join(printable.split()))[:_ECHO_LENGTH_MAX]
