"""A spooled file reads as it was written or says that it was damaged; none of it is in clear."""

import io
from itertools import count

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hlrd.pool.spool import SpoolDamaged, SpoolReader, SpoolWriter
from hlrd.pool.vault import KeyVault

KEKS = {"k1": bytes(range(32))}
blocks = st.lists(st.binary(max_size=60), max_size=8)


def a_vault() -> KeyVault:
    nonces = count(1)
    return KeyVault(KEKS, "k1", lambda size: next(nonces).to_bytes(size, "big"))


def spooled(parts: list[bytes], *, is_ended: bool = True) -> bytes:
    file = io.BytesIO()
    writer = SpoolWriter(file, a_vault())
    for part in parts:
        writer.write(part)
    if is_ended:
        writer.write(b"", is_last=True)
    return file.getvalue()


def lines_of(content: bytes, size: int = 1_000) -> list[bytes]:
    reader = SpoolReader(io.BytesIO(content), a_vault())
    return list(iter(lambda: reader.readline(size), b""))


@given(blocks, st.integers(1, 80))
def test_lines_are_those_of_the_file_however_it_was_cut(parts: list[bytes], size: int) -> None:
    plain = io.BytesIO(b"".join(parts))

    assert lines_of(spooled(parts), size) == list(iter(lambda: plain.readline(size), b""))


@given(st.lists(st.binary(min_size=1, max_size=60), min_size=1, max_size=5), st.data())
def test_a_bit_that_was_changed_is_noticed(parts: list[bytes], data: st.DataObject) -> None:
    content = bytearray(spooled(parts))
    place = data.draw(st.integers(0, len(content) - 1))
    content[place] ^= 1 << data.draw(st.integers(0, 7))

    with pytest.raises(SpoolDamaged):
        lines_of(bytes(content))


@given(st.lists(st.binary(min_size=1, max_size=60), min_size=1, max_size=5), st.data())
def test_a_file_that_is_cut_short_is_noticed(parts: list[bytes], data: st.DataObject) -> None:
    content = spooled(parts)

    with pytest.raises(SpoolDamaged):
        lines_of(content[: data.draw(st.integers(0, len(content) - 1))])


def test_blocks_that_change_places_are_noticed() -> None:
    first, second = spooled([b"a"], is_ended=False), spooled([b"a", b"b"], is_ended=False)

    with pytest.raises(SpoolDamaged):
        lines_of(second[len(first) :] + first)


def test_a_key_that_is_gone_is_named() -> None:
    reader = SpoolReader(io.BytesIO(spooled([b"a"])), KeyVault({"k2": bytes(32)}, "k2", bytes))

    with pytest.raises(SpoolDamaged, match="'k1', which is not in keys"):
        reader.readline(10)


def test_nothing_is_in_clear() -> None:
    assert b"89860499" not in spooled([b"89860499000000000017,460990000000001,A1B2"])
