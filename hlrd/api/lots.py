"""A SIM lot as the card vendor delivers it: CSV, one card a line, the Ki under a transport key.

Every bad line is named and none is quoted, since a line holds a Ki. Values are plain tokens, so
there is no quoting to undo.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Final

from hlrd.api.problem import Fault
from hlrd.api.seam import NewCard
from hlrd.domain import identity
from hlrd.domain.errors import BadRequest, Refusal

COLUMNS: Final = ("iccid", "imsi", "ki", "keyid", "algorithm", "card_type")


def parse(document: bytes) -> Iterator[NewCard | Fault]:
    """Card after card, a Fault in the place of each bad line; lazy, so that a large lot need not
    hold up the event loop. Raises BadRequest for a header without all COLUMNS."""
    lines = enumerate(_text(document).split("\n"), 1)
    columns = _columns(next(lines)[1])
    seen: dict[str, int] = {}
    for number, line in lines:
        if line.strip():
            yield _card_or_fault(number, line, columns, seen)


def _text(document: bytes) -> str:
    try:
        return document.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise BadRequest("CSV_INVALID", "the lot is not UTF-8 text") from None


def _columns(header: str) -> Sequence[str]:
    columns = [name.strip().lower() for name in header.split(",")]
    if sorted(columns) != sorted(COLUMNS):
        raise BadRequest("CSV_INVALID", f"the first line must name {','.join(COLUMNS)}", "[1]")
    return columns


def _card_or_fault(
    number: int, line: str, columns: Sequence[str], seen: dict[str, int]
) -> NewCard | Fault:
    try:
        values = [value.strip() for value in line.split(",")]
        if len(values) != len(columns):
            raise BadRequest("CSV_INVALID", f"{len(columns)} values wanted, {len(values)} found")
        card = _card(dict(zip(columns, values, strict=True)))
        _refuse_repeat(number, card, seen)
    except Refusal as refusal:
        at = refusal.at(f"[{number}]")
        return Fault(field=at.field, code=at.code, detail=at.detail)
    return card


def _card(row: Mapping[str, str]) -> NewCard:
    if row["algorithm"] not in identity.ALGORITHMS:
        raise BadRequest("CARD_INVALID", f"one of {', '.join(identity.ALGORITHMS)}", "algorithm")
    if row["card_type"] not in identity.CARD_TYPES:
        raise BadRequest("CARD_INVALID", f"one of {', '.join(identity.CARD_TYPES)}", "card_type")
    return NewCard(
        iccid=identity.parse_iccid(row["iccid"]),
        imsi=identity.parse_imsi(row["imsi"]),
        key=identity.CardKey(
            row["ki"], _key_index(row["keyid"]), row["algorithm"], row["card_type"]
        ),
    )


def _key_index(text: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) <= 3):
        raise BadRequest("CARD_INVALID", "the index of the transport key, a number", "keyid")
    if int(text) > identity.K4SNO_MAX:
        raise BadRequest("CARD_INVALID", f"at most {identity.K4SNO_MAX}", "keyid")
    return int(text)


def _refuse_repeat(number: int, card: NewCard, seen: dict[str, int]) -> None:
    for field, value in (("iccid", card.iccid), ("imsi", card.imsi)):
        first = seen.setdefault(value, number)
        if first != number:
            raise BadRequest("CARD_TWICE", f"line {first} has the same {field}", field)
