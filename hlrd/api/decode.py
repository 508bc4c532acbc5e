"""Bodies to orders. Each order of a batch is judged on its own: one that is wrong spoils no other.

What JSON leaves open is refused here rather than guessed: a key that comes twice, a number that is
none, text that is not UTF-8.
"""

import json
from collections.abc import Iterator, Sequence
from typing import Final

import msgspec

from hlrd import limits
from hlrd.api.problem import TooLarge
from hlrd.domain import orders
from hlrd.domain.errors import BadRequest, Refusal
from hlrd.ports import Submission

_ELEMENTS: Final = msgspec.json.Decoder(list[msgspec.Raw])
_MEMBERS: Final = msgspec.json.Decoder(dict[str, msgspec.Raw])


def is_array(document: bytes) -> bool:
    return document.lstrip(b" \t\r\n").startswith(b"[")


def one(source: str, document: bytes, *, session: str | None = None) -> Submission:
    try:
        decoded = orders.decode(document)
        _refuse_repeated_keys(document)
    except Refusal as refusal:
        return Submission(source, None, refusal)
    return Submission(source, decoded, session=session)


def elements(document: bytes) -> list[bytes]:
    """The orders of a JSON array, each still encoded."""
    if document.count(b",") > limits.BATCH_COMMAS_MAX:
        raise _too_many()
    try:
        raws = _ELEMENTS.decode(document)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise BadRequest("JSON_INVALID", f"not a JSON array: {error}") from None
    return _counted([bytes(raw) for raw in raws])


def lines(document: bytes) -> list[bytes]:
    """The orders of an NDJSON body, each still encoded. Blank lines are nothing."""
    if document.count(b"\n") > 2 * limits.BATCH_ORDERS_MAX:
        raise _too_many()
    return _counted([line for line in document.split(b"\n") if line.strip()])


def slices(
    source: str, orders: Sequence[bytes], *, session: str | None = None
) -> Iterator[list[Submission]]:
    """All orders decoded, in pieces that each take little of the event loop's time."""
    for start in range(0, len(orders), limits.DECODE_SLICE_ORDERS):
        piece = orders[start : start + limits.DECODE_SLICE_ORDERS]
        yield [one(source, item, session=session) for item in piece]


def _counted(orders: list[bytes]) -> list[bytes]:
    if not orders:
        raise BadRequest("BATCH_EMPTY", "the batch has no order")
    if len(orders) > limits.BATCH_ORDERS_MAX:
        raise _too_many()
    return orders


def _too_many() -> TooLarge:
    return TooLarge("BATCH_TOO_LARGE", f"a batch is at most {limits.BATCH_ORDERS_MAX} orders")


def _refuse_repeated_keys(document: bytes) -> None:
    """msgspec takes the last of two members of one name, and upstream may have meant the first.

    Only for a document that `orders.decode` took, thus one object without objects in it. Every
    member brings a colon, so as many colons as names proves in a fraction of the time of a second
    parse that no name comes twice; only a text with a colon in it makes that parse necessary.
    """
    if document.count(b":") != len(_MEMBERS.decode(document)):
        json.loads(document, object_pairs_hook=refuse_repeated)


def refuse_repeated(members: list[tuple[str, object]]) -> None:
    names = [name for name, _ in members]
    if len(set(names)) != len(names):
        twice = next(name for name in names if names.count(name) > 1)
        raise BadRequest("FIELD_TWICE", "this field comes twice", twice)
