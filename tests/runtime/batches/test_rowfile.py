"""Batch files as they are read: columns, cells, bad lines, and what is never said of them."""

from io import BytesIO

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hlrd import limits
from hlrd.domain.batch import Format
from hlrd.pool.simheader import BadLine
from hlrd.runtime.batches.rowfile import HeaderRefused, Row, RowFile


def read(
    text: str, *, kind: str = "MEMBER_ACTIVATE", form: Format = Format.CSV, charset: str = "utf-8"
) -> list[Row | BadLine]:
    file = RowFile(BytesIO(text.encode(charset)), kind=kind, form=form, charset=charset)
    return list(file.rows())


def test_a_csv_row_has_the_fields_that_its_columns_name() -> None:
    rows = read("user_id, ec_code,services,digits\r\n1,EC1,GPRS;SMS,\r\n\r\n2,EC2,,11\r\n")

    assert rows == [
        Row(2, {"user_id": "1", "ec_code": "EC1", "services": ["GPRS", "SMS"]}),
        Row(4, {"user_id": "2", "ec_code": "EC2", "digits": "11"}),
    ]


def test_a_cell_that_is_an_object_is_json() -> None:
    text = 'user_id,msisdn,product,attributes\n1,1064800000001,P,"{""apn"":""iot""}"\n'

    assert read(text, kind="PRODUCT_SUBSCRIBE") == [
        Row(2, {"user_id": "1", "msisdn": "1064800000001", "product": "P",
                "attributes": {"apn": "iot"}}),
    ]  # fmt: skip


def test_a_json_row_is_an_object_a_line() -> None:
    rows = read('{"user_id":"1","digits":11}\n[1]\n{"user_id":\n', form=Format.NDJSON)

    assert rows == [
        Row(1, {"user_id": "1", "digits": 11}),
        BadLine(2, "", "not a JSON object"),
        BadLine(3, "", "not a JSON document"),
    ]


def test_gbk_is_read_as_gbk_and_utf_8_with_or_without_its_mark() -> None:
    text = "user_id,msisdn,cause\n1,1064800000001,欠费过久\n"

    for charset in ("gbk", "utf-8", "utf-8-sig"):
        file = RowFile(
            BytesIO(text.encode(charset)), kind="USER_TERMINATE", form=Format.CSV,
            charset=charset.removesuffix("-sig"),
        )  # fmt: skip
        (row,) = file.rows()
        assert isinstance(row, Row)
        assert row.fields["cause"] == "欠费过久"


@pytest.mark.parametrize(
    ("columns", "column", "reason"),
    [
        ("", "", "the first line names the columns"),
        ("user_id,", "", "the first line names the columns"),
        ("user_id,colour", "colour", "column 2: no such field for this kind"),
        ("user_id,order_id", "order_id", "column 2: the batch has this field, and no row"),
        ("1,0123456789ABCDEF0123456789ABCDEF", "", "column 1: no such field for this kind"),
        ("user_id,user_id", "user_id", "this column comes twice"),
        ('user_id,"', "", "the first line names the columns"),
    ],
)
def test_columns_that_are_of_no_use_refuse_the_file(columns: str, column: str, reason: str) -> None:
    with pytest.raises(HeaderRefused) as refused:
        read(columns + "\n1,2\n")

    assert refused.value.bad == BadLine(1, column, reason)


@pytest.mark.parametrize(
    ("line", "column", "reason"),
    [
        ("1", "", "2 columns are named, 1 found"),
        ('1,"EC', "", "quotes that do not match"),
        ("1," + "E" * limits.BATCH_LINE_BYTES_MAX, "", "longer than 4096 bytes"),
    ],
)
def test_a_bad_line_is_named_and_those_behind_it_are_read(
    line: str, column: str, reason: str
) -> None:
    assert read(f"user_id,ec_code\n{line}\n2,EC2\n") == [
        BadLine(2, column, reason),
        Row(3, {"user_id": "2", "ec_code": "EC2"}),
    ]


def test_bytes_of_another_character_set_are_told() -> None:
    file = RowFile(
        BytesIO(b"user_id,ec_code\n1,\xff\xfe\n"), kind="MEMBER_ACTIVATE", form=Format.CSV,
        charset="utf-8",
    )  # fmt: skip

    assert list(file.rows()) == [BadLine(2, "", "a character that is not UTF-8")]


def test_a_field_that_comes_twice_or_is_none_is_told_by_name() -> None:
    rows = read('{"user_id":"1","user_id":"2"}\n{"colour":1}\n', form=Format.NDJSON)

    assert rows == [
        BadLine(1, "", "a field comes twice"),
        BadLine(2, "colour", "no such field for this kind"),
    ]


def test_a_file_ends_one_row_behind_the_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "BATCH_ROWS_MAX", 2)

    rows = read("user_id\n1\n2\n3\n4\n")

    assert len(rows) == 3
    assert rows[-1] == BadLine(4, "", "more than 2 rows; split it")


@given(st.binary(max_size=200))
def test_whatever_a_file_holds_it_is_read_to_its_end_and_never_quoted(content: bytes) -> None:
    secret = b"S3CRET" + content.replace(b"\n", b"")
    file = RowFile(
        BytesIO(b"user_id,ki\n1," + secret + b"\n" + content), kind="USER_OPEN",
        form=Format.CSV, charset="utf-8",
    )  # fmt: skip

    for row in file.rows():
        assert isinstance(row, Row) or "S3CRET" not in row.column + row.reason


def test_a_file_of_blank_lines_is_not_read_to_its_end() -> None:
    source = BytesIO(b"user_id\n1\n" + b"\r\n" * (limits.BATCH_BLANK_LINES_MAX + 5_000) + b"2\n")
    file = RowFile(source, kind="MEMBER_ACTIVATE", form=Format.CSV, charset="utf-8")

    *_, last = file.rows()

    assert last == BadLine(limits.BATCH_BLANK_LINES_MAX + 3, "", "more than 10,000 blank lines")
    assert source.tell() < 4_096 + 2 * limits.BATCH_BLANK_LINES_MAX


def test_blank_lines_that_are_allowed_hide_no_row() -> None:
    blank = "\n" * limits.BATCH_BLANK_LINES_MAX

    assert [row.line for row in read(f"user_id\n1\n{blank}2\n")] == [
        2,
        limits.BATCH_BLANK_LINES_MAX + 3,
    ]
