"""The order of a range: every number once, another order for every key, the same for ever."""

from collections import Counter
from itertools import pairwise
from math import isqrt

import pytest
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from hypothesis import example, given
from hypothesis import strategies as st

from hlrd.pool.permutation import SIZE_MAX, Permutation, order_key

keys = st.binary(min_size=32, max_size=32)
KEY = bytes(range(32))
KNOWN_10 = [7, 3, 9, 1, 0, 2, 5, 6, 8, 4]
KNOWN_BILLION = [58549073, 335435969, 416889186, 276513755]
KNOWN_KEY = "0d2b1f8b0183bd57ebef8967f50b6ce662da51fc9ec7e0dc2e3e98c95a32845f"


@given(key=keys, size=st.integers(1, 3_000))
def test_every_value_comes_exactly_once(key: bytes, size: int) -> None:
    order = Permutation(key, size).interval(0, size)

    assert sorted(order) == list(range(size))


@given(key=keys, size=st.integers(1, SIZE_MAX), data=st.data())
def test_an_interval_of_any_size_stays_inside_and_repeats_nothing(
    key: bytes, size: int, data: st.DataObject
) -> None:
    start = data.draw(st.integers(0, size))
    count = data.draw(st.integers(0, min(200, size - start)))

    values = Permutation(key, size).interval(start, count)

    assert len(set(values)) == len(values) == count
    assert all(0 <= value < size for value in values)


@given(key=keys, size=st.integers(1, SIZE_MAX), data=st.data())
@example(key=KEY, size=1, data=None)
@example(key=KEY, size=2, data=None)
@example(key=KEY, size=SIZE_MAX, data=None)
def test_every_value_leads_back_to_its_position(
    key: bytes, size: int, data: st.DataObject | None
) -> None:
    """A bijection of any size, also of those that nobody can count through."""
    permutation = Permutation(key, size)
    position = data.draw(st.integers(0, size - 1)) if data else size - 1

    (value,) = permutation.interval(position, 1)

    assert position_of(permutation, key, value) == position


@given(key=keys, size=st.integers(1, SIZE_MAX))
def test_the_last_positions_are_as_good_as_the_first(key: bytes, size: int) -> None:
    permutation, count = Permutation(key, size), min(size, 50)

    ends = {*permutation.interval(0, count), *permutation.interval(size - count, count)}

    assert len(ends) == min(size, 2 * count)


def position_of(permutation: Permutation, key: bytes, value: int) -> int:
    """The network backwards, written anew, and walked until it falls inside."""
    side = isqrt(permutation.size - 1) + 1
    cipher = Cipher(algorithms.AES(key), modes.ECB()).encryptor()
    while True:
        left, right = divmod(value, side)
        for turn in reversed(range(10)):
            block = left.to_bytes(8, "little") + turn.to_bytes(8, "little")
            noise = int.from_bytes(cipher.update(block)[:8], "little")
            left, right = (right - noise) % side, left
        value = left * side + right
        if value < permutation.size:
            return value


@given(key=keys, size=st.integers(2, 10**9), cut=st.integers(0, 64))
def test_an_interval_is_the_same_however_it_is_cut(key: bytes, size: int, cut: int) -> None:
    permutation = Permutation(key, size)
    count = min(size, 64)
    cut = min(cut, count)

    whole = permutation.interval(0, count)

    assert permutation.interval(0, cut) + permutation.interval(cut, count - cut) == whole


def test_the_order_of_a_live_range_never_changes() -> None:
    """Known values: if they change, every number leased so far would be leased again."""
    assert Permutation(KEY, 10).interval(0, 10) == KNOWN_10
    assert Permutation(KEY, 10**9).interval(123_456_789, 4) == KNOWN_BILLION
    assert order_key(KEY, 7).hex() == KNOWN_KEY


def test_another_key_gives_another_order() -> None:
    one = Permutation(KEY, 10_000).interval(0, 10_000)
    other = Permutation(KEY[::-1], 10_000).interval(0, 10_000)

    places_in_common = sum(a == b for a, b in zip(one, other, strict=True))

    assert places_in_common < 10  # 1 is expected of two orders that do not know each other


def test_every_range_and_every_pool_has_a_key_of_its_own() -> None:
    keys = {order_key(secret, id) for secret in (KEY, KEY[::-1]) for id in range(100)}

    assert len(keys) == 200


def test_neighbours_in_the_order_are_strangers() -> None:
    """The step from one number to the next is as any other: who sees one cannot guess the next."""
    size = 100_000
    order = Permutation(KEY, size).interval(0, size)

    steps = Counter((b - a) % size * 100 // size for a, b in pairwise(order))

    assert chi_square(steps, cells=100, total=size - 1) < CHI_SQUARE_99_CELLS


def test_the_first_tenth_of_the_order_is_spread_over_the_whole_range() -> None:
    size = 1_000_000
    order = Permutation(KEY, size).interval(0, size // 10)

    cells = Counter(value * 100 // size for value in order)

    assert chi_square(cells, cells=100, total=size // 10) < CHI_SQUARE_99_CELLS


@pytest.mark.parametrize(("start", "count"), [(-1, 1), (0, 11), (10, 1), (5, -1)])
def test_an_interval_beyond_the_range_is_a_bug_of_ours(start: int, count: int) -> None:
    with pytest.raises(AssertionError):
        Permutation(KEY, 10).interval(start, count)


CHI_SQUARE_99_CELLS = 148.2
"""99 degrees of freedom, p = 0.001."""


def chi_square(counts: Counter[int], *, cells: int, total: int) -> float:
    expected = total / cells
    return sum((counts[cell] - expected) ** 2 / expected for cell in range(cells))
