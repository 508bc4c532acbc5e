"""Packed bodies: whatever they are cut into they unpack to the same, and none that is cut off or
broken passes for a whole one."""

import gzip
import zlib
from collections.abc import Callable, Mapping

import pytest
from aiohttp.test_utils import make_mocked_request
from hypothesis import given
from hypothesis import strategies as st

from hlrd.api import packing
from hlrd.api.packing import PackingBroken, Unpacker

PACKERS: Mapping[str, tuple[str, Callable[[bytes], bytes]]] = {
    "gzip": ("gzip", gzip.compress),
    "gzip of two": ("gzip", lambda data: gzip.compress(data[:7]) + gzip.compress(data[7:])),
    "deflate": ("deflate", zlib.compress),
    "deflate without a head": ("deflate", lambda data: zlib.compress(data)[2:-4]),
}

contents = st.one_of(st.binary(max_size=200), st.integers(0, 3_000_000).map(lambda n: b"\n" * n))


def unpack(how: str, packed: bytes, *, step: int) -> bytes:
    unpacker = Unpacker(how)
    parts = (packed[at : at + step] for at in range(0, len(packed), step))
    whole = b"".join(piece for part in parts for piece in unpacker.feed(part))
    unpacker.end()
    return whole


@pytest.mark.parametrize("packer", PACKERS)
@given(content=contents, step=st.integers(1, 5_000))
def test_a_body_unpacks_to_the_same_however_it_is_cut(
    packer: str, content: bytes, step: int
) -> None:
    how, pack = PACKERS[packer]

    assert unpack(how, pack(content), step=step) == content


@pytest.mark.parametrize("packer", PACKERS)
@given(content=contents, data=st.data())
def test_a_packed_body_that_is_cut_off_is_never_taken_for_a_whole_one(
    packer: str, content: bytes, data: st.DataObject
) -> None:
    how, pack = PACKERS[packer]
    packed = pack(content)
    whole_before = len(gzip.compress(content[:7])) if packer == "gzip of two" else 0
    at = data.draw(st.integers(1, len(packed) - 1).filter(lambda at: at != whole_before))

    with pytest.raises(PackingBroken):
        unpack(how, packed[:at], step=1_000)


def test_what_is_not_packed_as_it_says_is_broken() -> None:
    for how, packed in [
        ("gzip", b"abcd"),
        ("gzip", gzip.compress(b"rows") + b"more"),
        ("deflate", zlib.compress(b"rows") + b"more"),
        ("deflate", gzip.compress(b"rows")),
    ]:
        with pytest.raises(PackingBroken):
            unpack(how, packed, step=1_000)


def test_a_bomb_goes_off_in_pieces_that_are_small() -> None:
    bomb = gzip.compress(b"\n" * 50_000_000, 9)
    pieces = Unpacker("gzip").feed(bomb)

    first = next(pieces)

    assert len(bomb) < 100_000
    assert len(first) <= 256 * 2**10


def test_a_body_that_is_not_packed_goes_through_as_it_is() -> None:
    for headers in ({}, {"Content-Encoding": "identity"}):
        plain = packing.unpacker(make_mocked_request("POST", "/", headers=headers))
        assert list(plain.feed(b"\x1f\x8b")) == [b"\x1f\x8b"]
        plain.end()
