"""A keyed random order of 0 … size-1 that is computed, never stored.

A Feistel network over pairs (a, b) with a, b below ceil(sqrt(size)), as FF1 of NIST SP 800-38G: ten
rounds, AES as round function, addition modulo the side instead of XOR. Its domain, the square of
the side, is larger than `size` by at most 2·sqrt(size); a value that falls outside is sent through
again until it falls inside (cycle walking), which keeps it a bijection.

The order of a range must never change while the range lives: `tests/pool/test_permutation.py` holds
known values.
"""

import sys
from array import array
from collections.abc import Iterable
from math import isqrt
from typing import Final

from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

ROUNDS: Final = 10
"""As FF1. Fewer are known to be weak on small domains."""

SIZE_MAX: Final = 10**10
"""Numbers of one range: the widest block there is, all of 144xx with 13 digits."""

_KEY_BYTES: Final = 32


def order_key(pool_secret: bytes, range_id: int) -> bytes:
    """The key of one range's order: knowing one range's tells nothing about another's."""
    assert len(pool_secret) >= _KEY_BYTES, "a pool's secret is at least 32 random bytes"
    info = b"hlrd number order, range %d" % range_id
    return HKDF(algorithm=SHA256(), length=_KEY_BYTES, salt=None, info=info).derive(pool_secret)


class Permutation:
    """Works on whole intervals: each round is one AES call over all values of the interval."""

    __slots__ = ("_encrypt", "_side", "size")

    def __init__(self, key: bytes, size: int) -> None:
        assert 1 <= size <= SIZE_MAX, "a range has at least one number and at most SIZE_MAX"
        # ECB as a bare block cipher: each block is one (value, round) pair, never a message.
        self._encrypt = Cipher(algorithms.AES(key), modes.ECB()).encryptor().update
        self._side = isqrt(size - 1) + 1
        self.size = size

    def interval(self, start: int, count: int) -> list[int]:
        """The values at positions start … start+count-1; about 1 us each."""
        assert 0 <= start <= start + count <= self.size, "the interval leaves the permutation"
        values = self._cross(range(start, start + count))
        outside = [position for position, value in enumerate(values) if value >= self.size]
        while outside:
            again = self._cross([values[position] for position in outside])
            for position, value in zip(outside, again, strict=True):
                values[position] = value
            outside = [position for position in outside if values[position] >= self.size]
        return values

    def _cross(self, values: Iterable[int]) -> list[int]:
        """Once through the network."""
        side = self._side
        left, right = [], []
        for value in values:
            a, b = divmod(value, side)
            left.append(a)
            right.append(b)
        blocks = array("Q", bytes(16 * len(right)))
        for turn in range(ROUNDS):
            blocks[0::2] = array("Q", right)
            blocks[1::2] = array("Q", [turn]) * len(right)
            noise = self._noise(blocks)
            left, right = right, [(a + f) % side for a, f in zip(left, noise, strict=True)]
        return [a * side + b for a, b in zip(left, right, strict=True)]

    def _noise(self, blocks: "array[int]") -> "array[int]":
        """64 pseudo-random bits for each block of 128."""
        noise = array("Q")
        noise.frombytes(self._encrypt(_little_endian(blocks).tobytes()))
        return _little_endian(noise)[0::2]


def _little_endian(words: "array[int]") -> "array[int]":
    """The order must be the same on every machine."""
    if sys.byteorder == "little":
        return words
    swapped = words[:]
    swapped.byteswap()
    return swapped
