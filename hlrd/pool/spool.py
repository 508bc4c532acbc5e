"""A vendor's file on its way to the importer: on disk in sealed blocks, since its Ki may be clear.

Each block is bound to the file's place for it, so a file that was cut, mixed or altered is told.
"""

import struct
from typing import BinaryIO, Final

from hlrd.domain.errors import HlrdError
from hlrd.pool.vault import KeyUnreadable, KeyVault

_HEAD: Final = struct.Struct(">BBI")  # 1 for the last, bytes of the key id, of the block
_BLOCK_BYTES_MAX: Final = 2**26


class SpoolDamaged(HlrdError):
    """A spooled file is not as it was written, or the key that it is sealed under is gone."""


class SpoolWriter:
    def __init__(self, file: BinaryIO, vault: KeyVault) -> None:
        self._file = file
        self._vault = vault
        self._blocks = 0

    def write(self, block: bytes, *, is_last: bool = False) -> None:
        """`is_last`: exactly once; an empty block will do."""
        sealed = self._vault.seal_block(block, _place(self._blocks, is_last=int(is_last)))
        key_id = sealed.key_id.encode()
        self._file.write(_HEAD.pack(is_last, len(key_id), len(sealed.ciphertext)))
        self._file.write(key_id)
        self._file.write(sealed.ciphertext)
        self._blocks += 1


class SpoolReader:
    """Reads lines, as `SIMFile` wants them. Raises SpoolDamaged."""

    def __init__(self, file: BinaryIO, vault: KeyVault) -> None:
        self._file = file
        self._vault = vault
        self._blocks = 0
        self._is_over = False
        self._block = b""
        self._at = 0

    def readline(self, size: int, /) -> bytes:
        parts: list[bytes] = []
        wanted = size
        while wanted:
            if self._at == len(self._block) and not self._next():
                break
            end = self._block.find(b"\n", self._at, self._at + wanted) + 1
            part = self._block[self._at : end or self._at + wanted]
            self._at += len(part)
            wanted -= len(part)
            parts.append(part)
            if end:
                break
        return parts[0] if len(parts) == 1 else b"".join(parts)

    def _next(self) -> bool:
        """The next block with anything in it; False at the end."""
        while not self._is_over and self._at == len(self._block):
            self._block, self._at = self._read(), 0
        return self._at < len(self._block)

    def _read(self) -> bytes:
        try:
            is_last, key_bytes, block_bytes = _HEAD.unpack(self._exactly(_HEAD.size))
            key_id = self._exactly(key_bytes).decode("utf-8", "replace")
            ciphertext = self._exactly(min(block_bytes, _BLOCK_BYTES_MAX))
            block = self._vault.open_block(
                key_id, ciphertext, _place(self._blocks, is_last=is_last)
            )
        except KeyUnreadable as error:
            raise SpoolDamaged(f"block {self._blocks} of the spooled file: {error}") from error
        self._blocks += 1
        self._is_over = bool(is_last)
        return block

    def _exactly(self, size: int) -> bytes:
        try:
            content = self._file.read(size)
        except OSError as error:
            raise SpoolDamaged(f"the spooled file cannot be read: {error.strerror}") from error
        if len(content) < size:
            raise SpoolDamaged("the spooled file is cut off")
        return content


def _place(block: int, *, is_last: int) -> bytes:
    return f"spool:{block}:{is_last}".encode()
