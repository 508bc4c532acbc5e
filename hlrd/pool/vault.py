"""Card keys at rest: AES-256-GCM, bound to their IMSI and to the id of the key they are under.

What is stored cannot be moved to another card, nor be passed off as sealed under another key: both
are associated data. No error, repr or log of this module carries key material.
"""

from collections.abc import Callable, Iterable, Mapping
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from hlrd.domain.errors import HlrdError
from hlrd.domain.identity import ALGORITHMS, CARD_TYPES, IMSI, CardKey, SealedKey

KEY_BYTES: Final = 32
NONCE_BYTES: Final = 12
"""96 random bits: safe for 2^32 seals under one key (NIST SP 800-38D)."""

_KI_BYTES: Final = 16


class KeyUnreadable(HlrdError):
    """A stored card key does not open: it was altered, is another card's, or its key is gone."""


class KeyVault:
    """`ports.Vault`. New keys are sealed under `current`; the others still open."""

    __slots__ = ("_ciphers", "_current", "_random_bytes")

    def __init__(
        self, keys: Mapping[str, bytes], current: str, random_bytes: Callable[[int], bytes]
    ) -> None:
        """`random_bytes`: as `os.urandom`; nothing weaker will do."""
        assert current in keys, "the current key is none of the keys"
        assert all(len(key) == KEY_BYTES for key in keys.values()), "a key is not 256 bits"
        self._ciphers = {key_id: AESGCM(key) for key_id, key in keys.items()}
        self._current = current
        self._random_bytes = random_bytes

    def __repr__(self) -> str:
        return f"KeyVault(current={self._current!r}, keys={sorted(self._ciphers)})"

    def seal(self, imsi: IMSI, key: CardKey) -> SealedKey:
        """The Ki's hex digits come back as capitals."""
        nonce = self._random_bytes(NONCE_BYTES)
        about = _associated_data(imsi, self._current)
        ciphertext = self._ciphers[self._current].encrypt(nonce, _pack(key), about)
        return SealedKey(self._current, nonce + ciphertext)

    def seal_all(self, cards: Iterable[tuple[IMSI, CardKey]]) -> list[bytes]:
        """The ciphertexts of many, under the current key; one draw of random bytes for all."""
        given = list(cards)
        nonces = self._random_bytes(NONCE_BYTES * len(given))
        encrypt, current = self._ciphers[self._current].encrypt, self._current
        sealed = []
        for at, (imsi, key) in zip(range(0, len(nonces), NONCE_BYTES), given, strict=True):
            nonce = nonces[at : at + NONCE_BYTES]
            sealed.append(nonce + encrypt(nonce, _pack(key), _associated_data(imsi, current)))
        return sealed

    @property
    def current(self) -> str:
        """The id that new keys are sealed under."""
        return self._current

    def seal_block(self, block: bytes, about: bytes) -> SealedKey:
        """Anything else that may hold keys; `about` says what it is, and opens it again."""
        nonce = self._random_bytes(NONCE_BYTES)
        ciphertext = self._ciphers[self._current].encrypt(nonce, block, about)
        return SealedKey(self._current, nonce + ciphertext)

    def open_block(self, key_id: str, ciphertext: bytes, about: bytes) -> bytes:
        """Raises KeyUnreadable."""
        nonce = ciphertext[:NONCE_BYTES]
        try:
            return self._cipher(key_id).decrypt(nonce, ciphertext[NONCE_BYTES:], about)
        except (InvalidTag, ValueError):
            raise KeyUnreadable(f"what is sealed under {key_id!r} does not open") from None

    def _cipher(self, key_id: str) -> AESGCM:
        cipher = self._ciphers.get(key_id)
        if cipher is None:
            raise KeyUnreadable(
                f"a card key is sealed under {key_id!r}, which is not in keys.keys; add it"
            )
        return cipher

    def open(self, imsi: IMSI, sealed: SealedKey) -> CardKey:
        """Raises KeyUnreadable."""
        cipher = self._cipher(sealed.key_id)
        nonce, ciphertext = sealed.ciphertext[:NONCE_BYTES], sealed.ciphertext[NONCE_BYTES:]
        try:
            packed = cipher.decrypt(nonce, ciphertext, _associated_data(imsi, sealed.key_id))
        except (InvalidTag, ValueError):
            raise KeyUnreadable(
                f"a card key under {sealed.key_id!r} does not open: it was altered, belongs to "
                "another IMSI, or keys.keys holds another key under that id"
            ) from None
        return _unpack(packed)

    def reseal(self, imsi: IMSI, sealed: SealedKey) -> SealedKey:
        """For a rotation: the same key under the current id. Unchanged if it is already."""
        if sealed.key_id == self._current:
            return sealed
        return self.seal(imsi, self.open(imsi, sealed))


def _associated_data(imsi: IMSI, key_id: str) -> bytes:
    """An IMSI has no colon, so no two pairs give the same bytes."""
    return f"{imsi}:{key_id}".encode()


def _pack(key: CardKey) -> bytes:
    """19 bytes: Ki, transport key index, algorithm, card type."""
    algorithm, card_type = ALGORITHMS.index(key.algorithm), CARD_TYPES.index(key.card_type)
    return bytes.fromhex(key.value) + bytes((key.k4sno, algorithm, card_type))


def _unpack(packed: bytes) -> CardKey:
    k4sno, algorithm, card_type = packed[_KI_BYTES:]
    value = packed[:_KI_BYTES].hex().upper()
    return CardKey(value, k4sno, ALGORITHMS[algorithm], CARD_TYPES[card_type])
