"""A stored card key opens for its own card only, and shows itself nowhere else."""

import traceback
from itertools import count

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hlrd.domain.identity import ALGORITHMS, CARD_TYPES, IMSI, CardKey, SealedKey
from hlrd.pool.vault import NONCE_BYTES, KeyUnreadable, KeyVault
from hlrd.ports import Vault

KI = "00112233445566778899AABBCCDDEEF0"
KEY = CardKey(KI, 7, "MILENAGE", "USIM")
CARD, OTHER = IMSI("460990000000001"), IMSI("460990000000002")
KEKS = {"2025": bytes(range(32)), "2026": bytes(range(32, 64))}

imsis = st.integers(0, 10**12 - 1).map(lambda n: IMSI(f"460{n:012d}"))
kis = st.integers(1, 2**128 - 2).map(lambda n: f"{n:032X}")
card_keys = st.builds(
    CardKey, kis, st.integers(0, 255), st.sampled_from(ALGORITHMS), st.sampled_from(CARD_TYPES)
)


def a_vault(current: str = "2026", **keks: bytes) -> KeyVault:
    nonces = count(1)
    return KeyVault(keks or KEKS, current, lambda size: next(nonces).to_bytes(size, "big"))


@given(imsi=imsis, key=card_keys)
def test_what_is_sealed_opens_again(imsi: IMSI, key: CardKey) -> None:
    vault: Vault = a_vault()

    assert vault.open(imsi, vault.seal(imsi, key)) == key


def test_the_digits_of_a_ki_come_back_as_capitals() -> None:
    vault = a_vault()
    small = CardKey(KI.lower(), 7, "MILENAGE", "USIM")

    assert vault.open(CARD, vault.seal(CARD, small)) == KEY


@given(imsi=imsis, other=imsis)
def test_a_key_does_not_open_for_another_card(imsi: IMSI, other: IMSI) -> None:
    vault = a_vault()
    sealed = vault.seal(imsi, KEY)

    if imsi != other:
        with pytest.raises(KeyUnreadable):
            vault.open(other, sealed)


def test_a_key_does_not_open_under_another_id_even_of_the_same_bytes() -> None:
    vault = a_vault("a", a=KEKS["2025"], b=KEKS["2025"])
    sealed = vault.seal(CARD, KEY)

    with pytest.raises(KeyUnreadable):
        vault.open(CARD, SealedKey("b", sealed.ciphertext))


def test_a_key_under_an_id_that_is_gone_says_which() -> None:
    sealed = a_vault("2025").seal(CARD, KEY)

    with pytest.raises(KeyUnreadable, match="'2025'"):
        a_vault("2026", **{"2026": KEKS["2026"]}).open(CARD, sealed)


@given(place=st.integers(0, 46), bit=st.integers(0, 7))
def test_one_bit_changed_is_noticed(place: int, bit: int) -> None:
    vault = a_vault()
    sealed = vault.seal(CARD, KEY)
    altered = bytearray(sealed.ciphertext)
    altered[place] ^= 1 << bit

    with pytest.raises(KeyUnreadable):
        vault.open(CARD, SealedKey(sealed.key_id, bytes(altered)))


@given(kept=st.integers(0, 46))
def test_a_key_cut_short_is_noticed(kept: int) -> None:
    vault = a_vault()
    sealed = vault.seal(CARD, KEY)

    with pytest.raises(KeyUnreadable):
        vault.open(CARD, SealedKey(sealed.key_id, sealed.ciphertext[:kept]))


def test_a_sealed_key_is_small_and_differs_each_time() -> None:
    vault = a_vault()

    sealed = [vault.seal(CARD, KEY).ciphertext for _ in range(3)]

    assert {len(one) for one in sealed} == {NONCE_BYTES + 19 + 16}
    assert len(set(sealed)) == 3


def test_a_rotation_moves_a_key_to_the_current_id_once() -> None:
    old = a_vault("2025").seal(CARD, KEY)
    vault = a_vault("2026")

    new = vault.reseal(CARD, old)

    assert new.key_id == "2026"
    assert vault.open(CARD, new) == KEY
    assert vault.reseal(CARD, new) is new


def test_a_rotation_does_not_move_a_key_to_another_card() -> None:
    old = a_vault("2025").seal(CARD, KEY)

    with pytest.raises(KeyUnreadable):
        a_vault("2026").reseal(OTHER, old)


def test_no_repr_and_no_error_shows_a_key() -> None:
    vault = a_vault()
    sealed = vault.seal(CARD, KEY)
    with pytest.raises(KeyUnreadable) as refused:
        vault.open(OTHER, sealed)

    shown = "".join(
        [
            repr(vault),
            str(vault),
            repr(KEY),
            repr(sealed),
            *traceback.format_exception(refused.value),
        ]
    ).lower()

    secrets = [KI, *(kek.hex() for kek in KEKS.values()), sealed.ciphertext.hex()]
    assert all(secret.lower() not in shown for secret in secrets)
    assert all(repr(kek).lower() not in shown for kek in KEKS.values())
    assert refused.value.__cause__ is None


@pytest.mark.parametrize(("keks", "current"), [(KEKS, "2024"), ({"2026": b"short"}, "2026")])
def test_keys_that_cannot_work_are_a_bug_of_the_caller(
    keks: dict[str, bytes], current: str
) -> None:
    with pytest.raises(AssertionError):
        KeyVault(keks, current, bytes)
