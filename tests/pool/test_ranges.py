"""A range is checked before it is a range, and a refusal says which number or range is to blame."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hlrd.domain.errors import BadRequest, Conflict
from hlrd.domain.identity import parse_msisdn
from hlrd.domain.orders import NameText
from hlrd.pool.ranges import NAME_PATTERN, NumberRange, Order, Span, parse_range, refuse_overlap
from tests.pool.database import SECRET, a_range


def parsed(**more: str) -> Span:
    wanted = {
        "pool": "iot",
        "first": "1064900000000",
        "last": "1064900099999",
        "province": "200",
        "hlr": "hlr1",
    }
    return parse_range(**wanted | more)


def test_a_range_has_both_its_ends() -> None:
    span = parsed()

    assert (span.size, span.digits, str(span)) == (100_000, 13, "1064900000000-1064900099999")


@pytest.mark.parametrize(
    ("more", "code", "field"),
    [
        ({"first": "13900000000"}, "RANGE_LENGTHS_DIFFER", "last"),
        ({"first": "1064900100000"}, "RANGE_REVERSED", "last"),
        ({"first": "1000000000000"}, "MSISDN_INVALID", "first"),
        ({"last": "１０６４９０００９９９９９"}, "MSISDN_INVALID", "last"),
        ({"last": "1064900099999\n"}, "MSISDN_INVALID", "last"),
        ({"first": "8613900000000", "last": "13900000099"}, "MSISDN_INVALID", "first"),
        ({"last": "1440000000000"}, "RANGE_CROSSES_BLOCKS", "last"),
        ({"province": "999"}, "PROVINCE_UNKNOWN", "province"),
        ({"pool": "a b"}, "POOL_NAME_INVALID", "pool"),
        ({"pool": ""}, "POOL_NAME_INVALID", "pool"),
    ],
)
def test_a_range_that_cannot_be_is_refused_by_field(
    more: dict[str, str], code: str, field: str
) -> None:
    with pytest.raises(BadRequest) as refused:
        parsed(**more)

    assert (refused.value.code, refused.value.field) == (code, field)


@given(data=st.data())
def test_every_number_of_a_range_is_a_valid_number(data: st.DataObject) -> None:
    low, high = data.draw(
        st.sampled_from(
            [
                (13000000000, 19999999999),
                (1064000000000, 1064999999999),
                (1440000000000, 1449999999999),
            ]
        )
    )
    first = data.draw(st.integers(low, high))
    span = parsed(first=str(first), last=str(data.draw(st.integers(first, high))))

    number = str(data.draw(st.integers(span.first, span.last)))

    assert parse_msisdn(number) == number


def test_all_of_a_block_is_one_range() -> None:
    assert parsed(first="1440000000000", last="1449999999999").size == 10**10


@given(first=st.integers(0, 40), size=st.integers(1, 20))
def test_an_overlap_is_refused_and_the_other_range_named(first: int, size: int) -> None:
    others = [
        a_range(7, 1064900000010, size=5, pool="iot"),
        a_range(8, 1064900000020, size=5, pool="other"),
    ]
    span = parsed(first=str(1064900000000 + first), last=str(1064900000000 + first + size - 1))
    mine = range(span.first, span.last + 1)
    common = [set(mine) & set(range(other.first, other.last + 1)) for other in others]

    if not any(common):
        refuse_overlap(span, others)
        return
    with pytest.raises(Conflict) as refused:
        refuse_overlap(span, others)

    hit = 0 if common[0] else 1
    assert f"range {others[hit].id}, {others[hit]}" in refused.value.detail
    if common[hit] == set(mine):
        assert refused.value.detail.endswith("all of it is imported already")
    else:
        assert f"without {min(common[hit])}-{max(common[hit])}" in refused.value.detail


def test_a_pool_that_can_be_made_can_be_named_in_an_order() -> None:
    assert NameText.__metadata__[0].pattern == NAME_PATTERN


def test_the_order_of_a_range_holds_each_of_its_numbers_once() -> None:
    row: NumberRange = a_range(3, 1064900000500, size=1_000)

    numbers = Order(row, SECRET).numbers(0, 1_000)

    assert sorted(numbers) == list(range(1064900000500, 1064900001500))
    assert numbers != sorted(numbers)
