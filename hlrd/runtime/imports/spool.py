"""The folder where vendors' files wait for the importer, and where their error files stay.

A file is there under its hash, in sealed blocks, until its import is over.
"""

import asyncio
import hashlib
import os
import shutil
from collections.abc import AsyncIterator, Collection
from pathlib import Path
from secrets import token_hex
from typing import BinaryIO, Final

from hlrd import limits
from hlrd.domain.errors import HlrdError, Unavailable
from hlrd.pool import simfaults
from hlrd.pool.simheader import BadLine
from hlrd.pool.spool import SpoolWriter
from hlrd.pool.vault import KeyVault

_SPOOLED: Final = ".spool"
_DRAFT: Final = ".draft"
_ERRORS: Final = ".errors.csv"
_RETRY_AFTER_S: Final = 60.0


class SpoolUnusable(HlrdError):
    """The folder cannot be made or written to; the text says which one and why."""


class Draft:
    """A file that is being received. Its blocks are hashed, sealed and written beside the loop."""

    def __init__(self, path: Path, vault: KeyVault) -> None:
        self.path = path
        self.size = 0
        self._hash = hashlib.sha256()
        self._file: BinaryIO = open(path, "xb", opener=_private)  # noqa: SIM115 - it outlives this
        self._writer = SpoolWriter(self._file, vault)

    @property
    def file_hash(self) -> bytes:
        return self._hash.digest()

    def write(self, block: bytes) -> None:
        self._hash.update(block)
        self.size += len(block)
        self._writer.write(block)

    def seal(self) -> None:
        self._writer.write(b"", is_last=True)
        self._file.flush()
        os.fsync(self._file.fileno())
        self._file.close()

    def drop(self) -> None:
        self._file.close()
        self.path.unlink(missing_ok=True)


class Spool:
    def __init__(self, folder: Path, vault: KeyVault) -> None:
        """Makes the folder; raises SpoolUnusable."""
        self._folder = folder
        self._vault = vault
        try:
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        except OSError as error:
            raise SpoolUnusable(f"imports.folder {folder}: {error.strerror}") from error

    async def receive(self, parts: AsyncIterator[bytes], *, bytes_expected: int) -> Draft:
        """All of a body. Raises Unavailable if the disk has no room for it, and whatever `parts`
        raises; nothing is left then.
        """
        self._refuse_full(bytes_expected)
        draft = Draft(self._folder / f"{token_hex(8)}{_DRAFT}", self._vault)
        try:
            await self._fill(draft, parts)
            await asyncio.to_thread(draft.seal)
        except BaseException:
            draft.drop()
            raise
        return draft

    async def _fill(self, draft: Draft, parts: AsyncIterator[bytes]) -> None:
        block = bytearray()
        async for part in parts:
            block += part
            if len(block) >= limits.SPOOL_BLOCK_BYTES:
                self._refuse_full(len(block))
                await asyncio.to_thread(draft.write, bytes(block))
                block.clear()
        await asyncio.to_thread(draft.write, bytes(block))

    def _refuse_full(self, bytes_wanted: int) -> None:
        free = shutil.disk_usage(self._folder).free
        if free - bytes_wanted < limits.SPOOL_FREE_BYTES_MIN:
            raise Unavailable(
                "SPOOL_FULL",
                f"the disk of imports.folder has {free >> 20} MiB left; make room",
                _RETRY_AFTER_S,
            )

    def keep(self, draft: Draft) -> None:
        """From now on a file of its hash, also after a power cut."""
        draft.path.replace(self.path_of(draft.file_hash))
        folder = os.open(self._folder, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)

    def path_of(self, file_hash: bytes) -> Path:
        return self._folder / f"{file_hash.hex()}{_SPOOLED}"

    def errors_of(self, import_id: int) -> Path:
        return self._folder / f"{import_id}{_ERRORS}"

    def error_file(self, import_id: int) -> Path | None:
        """None: it has none, or is too old."""
        path = self.errors_of(import_id)
        return path if path.is_file() else None

    def faults_of(self, import_id: int, most: int) -> list[BadLine]:
        """The first of them, by line. Reads a file."""
        try:
            with self.errors_of(import_id).open(encoding="utf-8", newline="") as file:
                return simfaults.read(file, most)
        except FileNotFoundError:
            return []

    def sweep(self, *, needed: Collection[bytes], oldest_shown: int) -> None:
        """Remove files that no import needs, and the error files of imports before this one."""
        kept = {self.path_of(file_hash).name for file_hash in needed}
        for path in self._folder.glob(f"*{_SPOOLED}"):
            if path.name not in kept:
                path.unlink(missing_ok=True)
        for path in self._folder.glob(f"*{_ERRORS}"):
            if _id_of(path.name) < oldest_shown:
                path.unlink(missing_ok=True)

    def drop_drafts(self) -> None:
        """At start: of uploads that a killed daemon was receiving."""
        for path in self._folder.glob(f"*{_DRAFT}"):
            path.unlink(missing_ok=True)


def _id_of(name: str) -> int:
    number = name.removesuffix(_ERRORS)
    return int(number) if number.isdecimal() else 0


def _private(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)
