"""Every fault of a file, in the order of its lines, however many there are."""

import io

from hypothesis import given
from hypothesis import strategies as st

from hlrd.pool import simfaults
from hlrd.pool.simfaults import Faults
from hlrd.pool.simheader import BadLine

bad_lines = st.builds(
    BadLine,
    st.integers(1, 2_000_000),
    st.sampled_from(["", "ICCID", "KI"]),
    st.sampled_from(["quotes that do not match", 'a, "b"', "a\nb"]),
)


@given(st.lists(bad_lines, max_size=30), st.integers(0, 40))
def test_an_error_file_reads_as_it_was_written(found: list[BadLine], most: int) -> None:
    faults = Faults()
    faults.add_all(found)
    file = io.StringIO(newline="")

    faults.write(file)

    file.seek(0)
    assert len(faults) == len(found)
    assert simfaults.read(file, most) == sorted(found, key=lambda bad: bad.line)[:most]


@given(st.lists(st.tuples(st.integers(1, 99), st.integers(1, 99)), min_size=1, max_size=20))
def test_a_double_names_the_line_before_it(pairs: list[tuple[int, int]]) -> None:
    faults = Faults()
    for line, first in pairs:
        faults.add_double(line, first, "IMSI")

    assert list(faults.by_line()) == [
        BadLine(line, "IMSI", f"the same as in line {first}")
        for line, first in sorted(pairs, key=lambda pair: pair[0])
    ]
