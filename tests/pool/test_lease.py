"""A lease of many sources is shared out so that every idle item is as likely to be in it."""

from fractions import Fraction

from hypothesis import assume, given
from hypothesis import strategies as st

from hlrd.pool.lease import Source, What, Wish, apportion

shares = st.lists(st.tuples(st.integers(0, 50), st.integers(0, 50)), min_size=1, max_size=8)
chances = st.floats(0, 1, exclude_max=True)


def sources(parts: list[tuple[int, int]]) -> list[Source]:
    return [Source(What.NUMBERS, id, *part) for id, part in enumerate(parts)]


def counts(parts: list[tuple[int, int]], wishes: list[Wish]) -> list[int]:
    """Of each part of each source."""
    got = {wish.source_id: (wish.fresh, wish.recycled) for wish in wishes}
    return [count for id in range(len(parts)) for count in got.get(id, (0, 0))]


@given(parts=shares, count=st.integers(1, 200), chance=chances)
def test_a_lease_is_shared_out_in_proportion_and_in_full(
    parts: list[tuple[int, int]], count: int, chance: float
) -> None:
    remaining = [size for part in parts for size in part]
    total = sum(remaining)
    assume(total)

    got = counts(parts, apportion(sources(parts), count, chance))

    assert sum(got) == min(count, total)
    for share, size in zip(got, remaining, strict=True):
        assert 0 <= share <= size
        assert abs(share - Fraction(size * min(count, total), total)) < 1


@given(parts=shares, count=st.integers(1, 40))
def test_every_item_is_in_the_lease_with_the_same_probability(
    parts: list[tuple[int, int]], count: int
) -> None:
    """Over all the starts there are, each part gets exactly its share."""
    remaining = [size for part in parts for size in part]
    total = sum(remaining)
    assume(total)
    sums = [0] * len(remaining)

    for start in range(total):
        got = counts(parts, apportion(sources(parts), count, (start + 0.5) / total))
        sums = [a + b for a, b in zip(sums, got, strict=True)]

    assert sums == [size * min(count, total) for size in remaining]


@given(parts=shares, count=st.integers(1, 200), chance=chances)
def test_no_wish_is_for_nothing(parts: list[tuple[int, int]], count: int, chance: float) -> None:
    assume(any(map(sum, parts)))

    for wish in apportion(sources(parts), count, chance):
        assert wish.fresh + wish.recycled > 0
