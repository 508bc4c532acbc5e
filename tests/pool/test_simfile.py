"""A vendor's file is taken whole or not at all; every bad line is named and none is quoted."""

import io
import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hlrd import limits
from hlrd.domain.identity import luhn_digit
from hlrd.pool.doubles import Doubles
from hlrd.pool.simfaults import Faults
from hlrd.pool.simfile import ReadCard, SIMFile
from hlrd.pool.simheader import HEADER_LINES_MAX, BadLine, SIMFileRefused

KI = "A1B2C3D4E5F60718293A4B5C6D7E8F90"
HEADER = {
    "VENDOR": "大唐微电子",
    "LOT": "GD-2026-11",
    "QUANTITY": None,
    "K4SNO": "3",
    "ALGORITHM": "MILENAGE",
    "CARD_TYPE": "USIM",
}


def iccid(number: int) -> str:
    body = f"89860499{number:011d}"
    return f"{body}{luhn_digit(body)}"


def imsi(number: int) -> str:
    return f"46099{number:010d}"


def a_row(number: int, *, ki: str = KI) -> str:
    return f"{iccid(number)},{imsi(number)},{ki}"


def a_file(
    rows: list[str],
    *,
    columns: str = "ICCID,IMSI,KI",
    encoding: str = "utf-8",
    newline: str = "\n",
    **header: str | None,
) -> bytes:
    fields = HEADER | {"QUANTITY": str(len(rows))} | header
    lines = [f"{name},{value}" for name, value in fields.items() if value is not None]
    return newline.join([*lines, "", columns, *rows, ""]).encode(encoding)


FIRST_ROW = len(HEADER) + 3
"""The line of the first card."""


def check(document: bytes) -> tuple[list[ReadCard], list[BadLine]]:
    """Cards and faults, as an import finds them."""
    try:
        file = SIMFile(io.BytesIO(document))
    except SIMFileRefused as refused:
        return [], list(refused.bad_lines)
    cards, faults, doubles = [], Faults(), Doubles()
    for each in file.cards():
        if isinstance(each, BadLine):
            faults.add(each)
        else:
            cards.append(each)
            doubles.add(each.line, each.iccid, each.imsi)
    faults.add_all(filter(None, [file.wrong_quantity()]))
    for line, first, column in doubles.found():
        faults.add_double(line, first, column)
    return cards, list(faults.by_line())


def read(document: bytes) -> list[ReadCard]:
    cards, faults = check(document)
    assert faults == []
    return cards


def faults(document: bytes) -> list[BadLine]:
    _, found = check(document)
    assert found
    return found


# Good files.


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "gbk"])
@pytest.mark.parametrize("newline", ["\n", "\r\n"])
def test_a_good_file_gives_every_card_whatever_its_encoding(encoding: str, newline: str) -> None:
    rows = [a_row(number) for number in range(5)]
    document = a_file(rows, encoding=encoding, newline=newline)

    assert SIMFile(io.BytesIO(document)).header.vendor == "大唐微电子"
    assert [(card.iccid, card.imsi) for card in read(document)] == [
        (iccid(number), imsi(number)) for number in range(5)
    ]


def test_the_header_block_holds_for_every_card() -> None:
    [card] = read(a_file([a_row(1)]))

    key = card.key
    assert (key.value, key.k4sno, key.algorithm, key.card_type) == (KI, 3, "MILENAGE", "USIM")


def test_the_other_columns_come_in_any_order_and_secrets_without_use_are_not_kept() -> None:
    row = f"{iccid(1)},1234,{KI},{imsi(1)},88887777"

    [card] = read(a_file([row], columns="ICCID,PIN1,KI,IMSI,PUK1"))

    assert (card.iccid, card.imsi) == (iccid(1), imsi(1))
    assert "88887777" not in repr(card)


def test_a_letter_in_an_iccid_is_taken_and_its_luhn_digit_is_not_asked_for() -> None:
    [card] = read(a_file([f"898604a9000000000017,{imsi(1)},{KI}"]))

    assert card.iccid == "898604A9000000000017"


def test_blank_lines_and_quotes_do_no_harm() -> None:
    quoted = ",".join(f'"{value}"' for value in a_row(1).split(","))

    assert len(read(a_file([quoted, "", "  ", a_row(2)], QUANTITY="2"))) == 2


def test_what_else_a_vendor_writes_into_the_header_block_is_passed_over() -> None:
    document = a_file([a_row(1)], CUSTOMER="CMIOT", ADDRESS="a,b,c")

    assert len(read(document)) == 1


def test_the_file_that_the_documents_show_is_good() -> None:
    page = (Path(__file__).parents[2] / "docs/pool.md").read_text("utf-8")
    [shown] = re.findall(r"```csv\n(.*?)```", page, re.DOTALL)

    assert len(read(shown.encode())) == 3


# Bad lines.


@pytest.mark.parametrize(
    ("row", "column"),
    [
        (f"{iccid(1)[:-1]}{(int(iccid(1)[-1]) + 1) % 10},{imsi(1)},{KI}", "ICCID"),
        (f"1{iccid(1)},{imsi(1)},{KI}", "ICCID"),
        (f"{iccid(1)},46099000000000,{KI}", "IMSI"),
        (f"{iccid(1)},{imsi(1)};,{KI}", "IMSI"),
        (f"{iccid(1)},{imsi(1)},{KI[:-1]}", "KI"),
        (f"{iccid(1)},{imsi(1)},{KI[:-1]}G", "KI"),
        (f"{iccid(1)},{imsi(1)},{'0' * 32}", "KI"),
        (f"{iccid(1)},{imsi(1)}", ""),
        (f"{iccid(1)},{imsi(1)},{KI},1", ""),
        (f'{iccid(1)},{imsi(1)},"{KI}', ""),
        (f"{iccid(1)},{imsi(1)},{KI}１", ""),
        (f"{iccid(1)},{imsi(1)},{KI}{' ' * limits.SIM_FILE_LINE_BYTES_MAX}", ""),
    ],
)
def test_a_bad_line_is_named_by_line_and_column(row: str, column: str) -> None:
    rows = [a_row(10), row, a_row(11)]

    [bad] = faults(a_file(rows))

    assert (bad.line, bad.column) == (FIRST_ROW + 1, column)


def test_every_bad_line_is_reported_and_not_only_the_first() -> None:
    rows = [a_row(number) if number % 3 else "rubbish" for number in range(30)]

    assert [bad.line - FIRST_ROW for bad in faults(a_file(rows))] == list(range(0, 30, 3))


def test_a_stray_quote_does_not_swallow_the_lines_behind_it() -> None:
    rows = [a_row(1), f'"{a_row(2)}', a_row(3), "rubbish"]

    assert [bad.line - FIRST_ROW for bad in faults(a_file(rows))] == [1, 3]


@pytest.mark.parametrize(
    ("second", "column"),
    [(f"{iccid(1)},{imsi(2)},{KI}", "ICCID"), (f"{iccid(2)},{imsi(1)},{KI}", "IMSI")],
)
def test_an_identity_that_comes_twice_names_both_lines(second: str, column: str) -> None:
    rows = [a_row(1), a_row(7), second]

    [bad] = faults(a_file(rows))

    assert (bad.line, bad.column) == (FIRST_ROW + 2, column)
    assert f"line {FIRST_ROW}" in bad.reason


def test_an_iccid_of_19_and_one_of_20_characters_are_two() -> None:
    rows = [f"898604A900000000001,{imsi(1)},{KI}", f"8986004A900000000001,{imsi(2)},{KI}"]

    assert len(read(a_file(rows))) == 2


@pytest.mark.parametrize("announced", [1, 3])
def test_a_file_that_is_cut_short_or_too_long_is_refused(announced: int) -> None:
    [bad] = faults(a_file([a_row(1), a_row(2)], QUANTITY=str(announced)))

    assert (bad.line, bad.column) == (3, "QUANTITY")
    assert bad.reason == f"{announced} cards announced, 2 found"


def test_a_file_of_too_many_cards_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    file = SIMFile(io.BytesIO(a_file([a_row(number) for number in range(9)])))
    monkeypatch.setattr(limits, "SIM_FILE_ROWS_MAX", 5)

    *cards, bad = file.cards()

    assert len(cards) == 5
    assert isinstance(bad, BadLine)
    assert (bad.line, bad.reason) == (FIRST_ROW + 5, "more than 5 cards; split it")


# The header block.


@pytest.mark.parametrize(
    ("header", "name"),
    [
        ({"VENDOR": None}, "VENDOR"),
        ({"VENDOR": "a\0b"}, "VENDOR"),
        ({"VENDOR": "\x1b[31m"}, "VENDOR"),
        ({"LOT": None}, "LOT"),
        ({"LOT": "no such/name"}, "LOT"),
        ({"QUANTITY": "0"}, "QUANTITY"),
        ({"QUANTITY": "９"}, "QUANTITY"),
        ({"QUANTITY": "9999999999999"}, "QUANTITY"),
        ({"K4SNO": "256"}, "K4SNO"),
        ({"K4SNO": "-1"}, "K4SNO"),
        ({"K4SNO": "3,4"}, "K4SNO"),
        ({"ALGORITHM": "XOR"}, "ALGORITHM"),
        ({"CARD_TYPE": ""}, "CARD_TYPE"),
    ],
)
def test_a_bad_header_block_is_refused_by_name(header: dict[str, str | None], name: str) -> None:
    found = faults(a_file([a_row(1)], **header))

    assert name in [bad.column for bad in found]


def test_all_faults_of_the_header_block_are_reported_at_once() -> None:
    found = faults(a_file([a_row(1)], columns="ICCID,KI,COLOUR", K4SNO="x", CARD_TYPE="x"))

    assert [bad.column for bad in found] == ["K4SNO", "CARD_TYPE", "", "IMSI"]


def test_a_header_field_given_twice_is_refused() -> None:
    [bad] = faults(b"LOT,another\n" + a_file([a_row(1)]))

    assert (bad.line, bad.column) == (3, "LOT")


@pytest.mark.parametrize(
    "document",
    [
        b"",
        b"\x00" * 100,
        b"VENDOR,x\nLOT,y\n",
        b"\n" * HEADER_LINES_MAX + a_file([a_row(1)]),
        b"VENDOR,\xff\xff\nICCID,IMSI,KI\n",
        b"VENDOR," + b"x" * 5_000 + b"\nICCID,IMSI,KI\n",
    ],
)
def test_what_is_no_card_file_is_refused_and_not_read_to_the_end(document: bytes) -> None:
    with pytest.raises(SIMFileRefused):
        SIMFile(io.BytesIO(document))


# Whatever a file holds.


@given(document=st.binary(max_size=300))
def test_any_bytes_behind_a_header_give_a_refusal_and_no_other_error(document: bytes) -> None:
    assert faults(a_file([], QUANTITY="400") + document)


@given(
    place=st.integers(0, len(a_row(1)) - 1),
    character=st.characters(codec="utf-8", exclude_characters="\n"),
)
def test_no_fault_ever_quotes_a_ki(place: int, character: str) -> None:
    row = a_row(1)
    broken = row[:place] + character + row[place + 1 :]
    shown = repr(faults(a_file([broken, f"{KI},{KI},{KI}"]))).upper()

    assert not re.search(KI[4:12], shown)
    assert not re.search(KI[20:28], shown)


@given(
    good=st.lists(st.booleans(), min_size=1, max_size=30),
    doubles=st.lists(st.tuples(st.integers(0, 29), st.integers(0, 29)), max_size=3),
)
def test_faults_are_exactly_the_bad_lines(good: list[bool], doubles: list[tuple[int, int]]) -> None:
    numbers = list(range(len(good)))
    for place, other in doubles:
        numbers[place % len(good)] = other % len(good)
    rows = [a_row(n) if ok else "x" for n, ok in zip(numbers, good, strict=True)]
    seen: set[int] = set()
    bad = set()
    for line, (number, ok) in enumerate(zip(numbers, good, strict=True), FIRST_ROW):
        if not ok or number in seen:
            bad.add(line)
        if ok:
            seen.add(number)

    document = a_file(rows)

    if bad:
        assert {fault.line for fault in faults(document)} == bad
    else:
        assert len(read(document)) == len(good)
