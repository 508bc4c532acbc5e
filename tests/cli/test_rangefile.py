"""A file of number segments is checked whole: every fault with its line, column and reason."""

import csv
from pathlib import Path
from typing import Any

import pytest

from hlrd.cli import rangefile
from hlrd.cli.client import CallFailed
from hlrd.cli.rangefile import Checked, Fault

HEAD = "first,last,province,hlr\n"
KNOWN: list[dict[str, Any]] = [
    {
        "name": "iot",
        "ranges": [
            {"first": "1064900000000", "last": "1064900000099", "province": "200", "hlr": "hlr1"}
        ],
    }
]


def check(tmp_path: Path, *lines: str, pool: str = "iot") -> Checked:
    file = tmp_path / "ranges.csv"
    file.write_text(HEAD + "".join(line + "\n" for line in lines), "utf-8-sig")
    return rangefile.check(file, pool, KNOWN, ["hlr1", "hlr2"])


def test_a_good_file_has_no_faults(tmp_path: Path) -> None:
    checked = check(
        tmp_path, "1064900001000,1064900001999,200,hlr1", "13900000000,13900000999,210,hlr2"
    )

    assert [(line.number, line.span.size) for line in checked.new] == [(2, 1_000), (3, 1_000)]
    assert (checked.present, checked.faults) == ([], [])


def test_what_is_there_exactly_alike_is_passed_over(tmp_path: Path) -> None:
    checked = check(
        tmp_path, "1064900000000,1064900000099,200,hlr1", "1064900001000,1064900001999,200,hlr1"
    )

    assert [line.number for line in checked.present] == [2]
    assert [line.number for line in checked.new] == [3]
    assert checked.faults == []


@pytest.mark.parametrize(
    ("line", "pool"),
    [
        ("1064900000000,1064900000099,210,hlr1", "iot"),
        ("1064900000000,1064900000099,200,hlr2", "iot"),
        ("1064900000000,1064900000099,200,hlr1", "other"),
        ("1064900000099,1064900000199,200,hlr1", "iot"),
        ("1064899999000,1064900000000,200,hlr1", "iot"),
        ("1064899999000,1064900009999,200,hlr1", "iot"),
        ("1064900000050,1064900000060,200,hlr1", "iot"),
    ],
)
def test_an_overlap_with_a_known_range_names_it(tmp_path: Path, line: str, pool: str) -> None:
    (fault,) = check(tmp_path, line, pool=pool).faults

    assert (fault.line, fault.column) == (2, "first")
    assert fault.reason == "overlaps 1064900000000-1064900000099 of pool iot"


def test_overlaps_within_the_file_name_the_earlier_line(tmp_path: Path) -> None:
    checked = check(
        tmp_path,
        "1064900005000,1064900005999,200,hlr1",
        "1064900001000,1064900001999,200,hlr1",
        "1064900005500,1064900006000,200,hlr1",
        "1064900001000,1064900001999,200,hlr1",
    )

    assert checked.faults == [
        Fault(4, "first", "overlaps line 2"),
        Fault(5, "first", "overlaps line 3"),
    ]


def test_every_bad_line_is_told_with_its_column(tmp_path: Path) -> None:
    checked = check(
        tmp_path,
        "1064900001999,1064900001000,200,hlr1",
        "1064900002000,1064900002999,999,hlr1",
        "1064900003000,1064900003999,200,hlr9",
        "1064900004000,1064900004999,200",
        "1064900005000,1064900005999,200,hlr1,more",
        "12,1064900005999,200,hlr1",
    )

    assert [(fault.line, fault.column) for fault in checked.faults] == [
        (2, "last"),
        (3, "province"),
        (4, "hlr"),
        (5, ""),
        (6, ""),
        (7, "first"),
    ]
    assert checked.new == []


def test_the_faults_go_into_a_file_beside_it(tmp_path: Path) -> None:
    written = rangefile.write_faults(tmp_path / "r.csv", [Fault(2, "last", 'a "reason", long')])

    assert written == tmp_path / "r.csv.errors.csv"
    assert list(csv.reader(written.read_text("utf-8").splitlines())) == [
        ["line", "column", "reason"],
        ["2", "last", 'a "reason", long'],
    ]


@pytest.mark.parametrize("content", [b"", b"first,last\n1,2\n", HEAD.encode(), b"\xff\xfe"])
def test_a_file_of_ranges_that_is_none_is_refused(tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "ranges.csv"
    file.write_bytes(content)

    with pytest.raises(CallFailed, match=r"ranges\.csv"):
        rangefile.check(file, "iot", [], [])
