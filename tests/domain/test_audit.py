"""The chain of the audit trail: whatever is done to it later is found at the first bad row."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from hlrd import limits
from hlrd.domain.audit import ORIGIN, Act, Fault, Head, Row, Walk, hash_of, parse_head, text_of
from hlrd.domain.errors import BadRequest

NOON = datetime(2026, 11, 21, 12, tzinfo=UTC)
FACTS = st.none() | st.dictionaries(st.text(max_size=5), st.text(max_size=5) | st.integers())
ACTS = st.builds(
    Act,
    action=st.text(max_size=5),
    subject=st.text(max_size=5),
    actor=st.text(max_size=5),
    source=st.sampled_from(["OPS", "hlrd"]),
    order=st.none() | st.integers(0, 2**63 - 1),
    before=FACTS,
    after=FACTS,
)


def chained(acts: Sequence[Act]) -> list[Row]:
    head, rows = Head(), []
    for second, act in enumerate(acts):
        row = head.joined(act, NOON + timedelta(seconds=second))
        rows.append(row)
        head = Head(row.seq, row.hash)
    return rows


def walked(rows: Sequence[Row], kept: Head | None = None) -> Fault | None:
    walk = Walk(kept)
    return next((fault for row in rows if (fault := walk.step(row))), None) or walk.end()


def five() -> list[Row]:
    return chained([Act("number.lock", f"number:{n}", "anna", "OPS") for n in range(5)])


@given(st.lists(ACTS, max_size=8))
def test_a_chain_as_it_was_written_is_whole(acts: list[Act]) -> None:
    assert walked(chained(acts)) is None


@given(st.lists(ACTS, min_size=1, max_size=5), st.data())
def test_any_change_of_any_column_shows_at_its_row(acts: list[Act], data: st.DataObject) -> None:
    rows = chained(acts)
    place = data.draw(st.integers(0, len(rows) - 1))
    column = data.draw(
        st.sampled_from(["actor", "source", "action", "subject", "before", "after", "order", "at"])
    )
    old = getattr(rows[place], column)
    new = {"order": 2**63, "at": NOON - timedelta(days=1)}.get(column, f"{old}x")

    rows[place] = replace(rows[place], **{column: new})

    fault = walked(rows)
    assert fault is not None
    assert fault.seq == place + 1


@given(ACTS, ACTS)
def test_no_value_can_slip_from_one_column_into_the_next(one: Act, other: Act) -> None:
    first, second = Head().joined(one, NOON), Head().joined(other, NOON)

    same = replace(first, hash=b"") == replace(second, hash=b"")

    assert (first.hash == second.hash) == same


@pytest.mark.parametrize("place", range(4))
def test_a_row_left_out_is_missed_where_it_stood(place: int) -> None:
    rows = five()

    del rows[place]

    assert walked(rows) == Fault(
        place + 1, f"row {place + 1} is missing: row {place + 2} comes next"
    )


def test_rows_that_changed_places_show_even_when_they_are_numbered_anew() -> None:
    rows = five()

    rows[1], rows[2] = replace(rows[2], seq=2), replace(rows[1], seq=3)

    fault = walked(rows)
    assert fault is not None
    assert fault.seq == 2


def test_rows_cut_off_at_the_end_are_missed_by_a_kept_head_alone() -> None:
    rows = five()
    kept = parse_head(str(Head(rows[-1].seq, rows[-1].hash)))

    assert walked(rows[:3]) is None
    assert walked(rows[:3], kept) == Fault(4, "rows 4 to 5 are cut off at the end")


def test_a_chain_made_anew_is_told_by_a_kept_head_alone() -> None:
    kept = Head(3, five()[2].hash)
    forged = chained([Act("number.lock", f"number:{n}", "bert", "OPS") for n in range(5)])

    assert walked(forged) is None
    assert walked(forged, kept) == Fault(3, "row 3 is not the one whose head was kept")


def test_the_chain_goes_on_behind_a_kept_head() -> None:
    rows = five()

    assert walked(rows, Head(3, rows[2].hash)) is None


def test_a_moment_is_the_same_in_every_time_zone() -> None:
    row = five()[0]
    elsewhere = replace(row, at=row.at.astimezone(timezone(timedelta(hours=8))))

    assert hash_of(elsewhere, after=ORIGIN) == row.hash


def test_the_hash_is_what_the_documents_say() -> None:
    """So that anybody can compute it without this code (docs/audit.md)."""
    row = Head().joined(
        Act("number.lock", "number:1064800000001", "anna", "OPS", 7, {"b": 1, "a": "号"}, None),
        NOON,
    )

    assert row.before == r'{"a":"\u53f7","b":1}'
    assert row.hash.hex() == ("9cb83cad2e9403d1299b639a55f1bca6c3515d2589737ed7601b50604623bdde")


def test_what_is_too_much_for_a_row_is_kept_as_its_digest() -> None:
    text = text_of({"cause": "x" * limits.AUDIT_FACTS_CHARS_MAX})

    assert text is not None
    assert text.startswith('{"chars":')
    assert len(text) < 120


@pytest.mark.parametrize("text", ["", "5", "5:", "5:zz", f"5:{'0' * 63}", f"x:{'0' * 64}"])
def test_a_head_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(BadRequest):
        parse_head(text)
