"""Who knows the configuration and every number drawn so far does not know the next one.

The order of a range is keyed by the pool's secret, which is random, in the database, and nowhere
else; and without the key the order cannot be told from chance.
"""

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from hashlib import sha256
from itertools import islice, pairwise
from random import Random
from typing import Final

import pytest
from hypothesis import given
from hypothesis import strategies as st
from structlog.testing import capture_logs

from hlrd.domain.identity import MSISDN
from hlrd.pool.permutation import Permutation, order_key
from hlrd.pool.ranges import Order
from hlrd.store import leasing
from hlrd.store.connection import Connection, open_pool
from hlrd.store.pools import NumberPools
from hlrd.store.queries import STATEMENTS
from tests.pool.database import a_lot, a_range
from tests.pool.drawing import BLOCK, Shell
from tests.pool.evenness import ALPHA, Finding, chi_square, findings
from tests.runtime.stock import a_span

SECRET: Final = bytes(range(32))
SIZE: Final = 10**9
SEEN: Final = 20_000
secrets = st.binary(min_size=32, max_size=32)


# The secret itself.


@pytest.mark.postgres
async def test_a_pool_has_a_secret_of_its_own_and_tells_it_to_nobody(
    dsn: str, database: Connection
) -> None:
    """Two pools made alike; whatever is told of them holds none of their secrets."""
    connections = await open_pool(dsn, "test", 2)
    pools = NumberPools(connections)
    with capture_logs() as logs:
        for place, name in enumerate(("one", "two")):
            await pools.create_pool(name)
            await pools.add_range(a_span(100, pool=name, first=BLOCK + 1_000 * place))
        told = [
            logs,
            await pools.pools(),
            await pools.count(),
            await pools.report(),
            await pools.number(MSISDN(str(BLOCK))),
            await pools.history(MSISDN(str(BLOCK))),
            [page async for page in pools.export("one", None)],
            await leasing.read_ranges(database),  # what memory holds, if anybody should print it
        ]
    await connections.close()

    one, two = [row["secret"] for row in await database.fetch("SELECT secret FROM pool")]
    assert one != two
    assert len(one) == len(two) == 32
    for secret in (one, two):
        for shown in (secret.hex(), repr(secret)[2:-1], str(list(secret))):
            assert shown not in repr(told)


def test_only_leasing_reads_the_secret() -> None:
    """No statement for an answer, a report or an export names it."""
    reading = {name for name, text in STATEMENTS.items() if re.search(r"\bsecret\b", _code(text))}

    assert reading == {"lease_ranges", "pool_add"}


def _code(statement: str) -> str:
    return re.sub(r"^\s*--.*$", "", statement, flags=re.MULTILINE)


@given(secret=secrets, bit=st.integers(0, 255), range_id=st.integers(1, 10**6))
def test_each_bit_of_the_secret_changes_half_of_the_key(
    secret: bytes, bit: int, range_id: int
) -> None:
    other = (int.from_bytes(secret) ^ 1 << bit).to_bytes(32)

    keys = [int.from_bytes(order_key(each, range_id)) for each in (secret, other)]

    assert 64 < (keys[0] ^ keys[1]).bit_count() < 192  # 128 ± 8 standard deviations


@given(secret=secrets, ids=st.tuples(st.integers(1, 10**6), st.integers(1, 10**6)))
def test_the_key_of_one_range_says_nothing_of_another(secret: bytes, ids: tuple[int, int]) -> None:
    one, other = (order_key(secret, id) for id in ids)

    assert (one == other) == (ids[0] == ids[1])


@given(secret=secrets, first=st.integers(0, 10**8), name=st.sampled_from(["iot", "other"]))
def test_nothing_of_the_configuration_is_in_the_order_but_the_ranges_id_and_size(
    secret: bytes, first: int, name: str
) -> None:
    """So whoever guesses the configuration has guessed nothing."""
    row = a_range(7, BLOCK, size=1_000)
    elsewhere = replace(row, pool=name, hlr="hlr9", first=row.first + first, last=row.last + first)

    numbers, others = (Order(each, secret).numbers(0, 20) for each in (row, elsewhere))

    assert [number + first for number in numbers] == others


# What is drawn.


def test_two_pools_configured_alike_have_unrelated_orders() -> None:
    """Side by side they are as two independent draws, over pairs and in correlation."""
    one, other = (
        Permutation(order_key(secret, 1), SIZE).interval(0, SEEN)
        for secret in (SECRET, SECRET[::-1])
    )

    pairs = (a * 20 // SIZE * 20 + b * 20 // SIZE for a, b in zip(one, other, strict=True))
    steps = ((a - b) % SIZE * 400 // SIZE for a, b in zip(one, other, strict=True))
    found = [chi_square("pairs", pairs, cells_count=400)]
    found.append(chi_square("steps", steps, cells_count=400))
    assert not [str(one) for one in found if one.is_suspicious]
    assert len(set(one) & set(other)) < 10  # 0.4 is expected


Guess = Callable[[Sequence[int]], int]


def _secrets_that_one_might_try() -> Iterator[bytes]:
    yield from (bytes(32), b"\xff" * 32)
    for text in ("", "iot", "hlrd", f"iot {BLOCK}", f"{BLOCK}-{BLOCK + SIZE - 1}", "200", "hlr1"):
        yield sha256(text.encode()).digest()
        yield text.encode().ljust(32, b"\0")


GUESSES: Final[Sequence[Guess]] = (
    lambda seen: (seen[-1] + 1) % SIZE,
    lambda seen: (2 * seen[-1] - seen[-2]) % SIZE,
    lambda seen: (seen[-1] + seen[-2]) % SIZE,
    lambda seen: (seen[-1] ^ seen[-2] ^ seen[-3]) % SIZE,
    lambda seen: sum(seen[-10:]) // 10,
    lambda seen: SIZE - 1 - seen[-1],
    lambda seen: SIZE // 2,
)


@pytest.mark.parametrize("guess", GUESSES)
def test_a_guess_from_what_was_drawn_is_no_better_than_chance(guess: Guess) -> None:
    """It may lie within a hundredth of the pool: one in fifty does by chance."""
    shell = Shell(
        [a_range(1, BLOCK, size=SIZE)],
        [a_lot(1, SIZE)],
        secret=SECRET,
        chance=Random(3).random,
        keeps_cards=True,
    )
    seen = [number - BLOCK for number in islice(shell.draws(), 10_000)]
    reach = SIZE // 100

    near = sum(
        abs(seen[place] - guess(seen[place - 10 : place])) <= reach
        for place in range(10, len(seen))
    )

    edges = 0.5 * reach / SIZE  # a guess at the edge has half as many neighbours
    tries = len(seen) - 10
    expected, spread = tries * 2 * reach / SIZE, (tries * 0.02) ** 0.5
    assert near < expected + 5 * spread + edges * tries


def test_no_secret_that_one_might_try_gives_the_order() -> None:
    numbers = Order(a_range(1, BLOCK, size=SIZE), SECRET).numbers(0, 100)

    for secret in _secrets_that_one_might_try():
        tried = Order(a_range(1, BLOCK, size=SIZE), secret).numbers(0, 100)
        assert len(set(tried) & set(numbers)) <= 1


# The permutation cannot be told from chance, and one with too few rounds can.


def distinguished(permutation: Permutation) -> list[str]:
    """By counter, in order; and by positions that agree in one half, whose values would agree or
    differ by a constant, were there one or two rounds."""
    side = permutation._side
    values = permutation.interval(0, SEEN)
    found = findings(values[:SEEN], SIZE)
    found.append(_differences(permutation, "same right half", step=side))
    found.append(_differences(permutation, "same left half", step=1))
    halves = ((a // side - b // side) % side * 100 // side for a, b in pairwise(values))
    found.append(chi_square("halves", halves, cells_count=100))
    return [str(one) for one in found if one.is_suspicious]


def _differences(permutation: Permutation, test: str, *, step: int) -> Finding:
    side = permutation._side
    starts = range(0, SIZE - step, SIZE // 2_000)
    first = [permutation.interval(start, 1)[0] for start in starts]
    second = [permutation.interval(start + step, 1)[0] for start in starts]
    halves = (
        (a // side - b // side) % side * 100 // side for a, b in zip(first, second, strict=True)
    )
    return chi_square(test, halves, cells_count=100)


def test_the_order_cannot_be_told_from_chance() -> None:
    for secret in (SECRET, bytes(32)):
        found = distinguished(Permutation(order_key(secret, 1), SIZE))
        assert found == [], f"alpha {ALPHA} each"


@pytest.mark.parametrize("rounds", [1, 2])
def test_an_order_of_too_few_rounds_is_told_from_chance(
    rounds: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("hlrd.pool.permutation.ROUNDS", rounds)

    assert distinguished(Permutation(order_key(SECRET, 1), SIZE))
