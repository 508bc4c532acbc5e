"""Imports, which are no orders: ranges and card files, judged by what judges them in hlrd."""

from collections.abc import Callable, Iterator, Mapping
from io import BytesIO
from typing import Final, NamedTuple

from hlrd.domain.errors import Refusal
from hlrd.domain.imports import NUMBER_SEGMENT, SIM_LOT
from hlrd.domain.routing import Routing
from hlrd.pool.ranges import NumberRange, home_of_range, parse_range, refuse_overlap
from hlrd.pool.simfile import SIMFile
from hlrd.pool.simheader import BadLine, SIMFileRefused
from tests.adapters.conformance import KI
from tests.orders_page.bench import card

RANGE: Final[Mapping[str, str]] = {
    "first": "1064900000000",
    "last": "1064900099999",
    "province": "200",
    "hlr": "hlr1",
}
_THERE: Final = NumberRange("iot", 1064900500000, 1064900599999, 13, "200", "hlr1", 3, 0)


class Tried(NamedTuple):
    when: str
    said: str


def ranges() -> Iterator[Tried]:
    """The example, and what is refused."""
    yield Tried("it is as above", _range())
    yield Tried("`last` is below `first`", _range(last="1064899999999"))
    yield Tried("`first` and `last` differ in length", _range(last="13900000000"))
    yield Tried("numbers in between do not exist", _range(last="1440000000000"))
    yield Tried("a number of it is in another range", _range(last="1064900500000"))
    yield Tried("no route is about it, and `hlr` is not named", _range(hlr=""))
    yield Tried("the province has no such code", _range(province="999"))


def _range(**changes: str) -> str:
    try:
        span = parse_range(pool="iot", **{**RANGE, **changes})
        home_of_range(span, Routing())
        refuse_overlap(span, [_THERE])
    except Refusal as refusal:
        return refusal.code
    return f"201, {span.size:,} numbers idle"


def lots() -> Iterator[Tried]:
    yield Tried("it is as announced", _lot())
    yield Tried("a check digit is wrong", _lot(iccid=_other_digit(card(1).iccid)))
    yield Tried("an IMSI is of no known network", _lot(imsi="999990000000001"))
    yield Tried("a Ki is not one", _lot(ki="XYZ"))
    yield Tried("there are fewer cards than announced", _lot(quantity="3"))
    yield Tried("the header does not say under which transport key", _lot(key=""))


def _lot(
    *,
    iccid: str = card(1).iccid,
    imsi: str = card(1).imsi,
    ki: str = KI,
    quantity: str = "2",
    key: str = "K4SNO,3\n",
) -> str:
    """Of two cards, the first as named."""
    head = f"VENDOR,v\nLOT,L1\nQUANTITY,{quantity}\n{key}ALGORITHM,MILENAGE\nCARD_TYPE,USIM\n\n"
    rows = f"ICCID,IMSI,KI\n{iccid},{imsi},{ki}\n{card(2).iccid},{card(2).imsi},{KI}\n"
    try:
        file = SIMFile(BytesIO((head + rows).encode()))
    except SIMFileRefused as refused:
        return _shown(refused.bad_lines[0])
    found = list(file.cards())
    wrong = file.wrong_quantity()
    bad = [one for one in (*found, wrong) if isinstance(one, BadLine)]
    return _shown(bad[0]) if bad else f"201, {len(found)} cards inStock"


def _shown(bad: BadLine) -> str:
    return f"LOT_INVALID, line {bad.line}{f', {bad.column}' if bad.column else ''}: {bad.reason}"


def _other_digit(iccid: str) -> str:
    return f"{iccid[:-1]}{(int(iccid[-1]) + 1) % 10}"


TRIED: Final[Mapping[str, Callable[[], Iterator[Tried]]]] = {
    NUMBER_SEGMENT.name: ranges,
    SIM_LOT.name: lots,
}
