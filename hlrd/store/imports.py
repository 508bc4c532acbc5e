"""The imports of SIM lots, as the daemon keeps their book. The importer's half: `loading.py`."""

from collections.abc import Sequence
from typing import Final

from hlrd import limits
from hlrd.domain.errors import Conflict
from hlrd.domain.lifecycle import ImportState
from hlrd.store.connection import Connection, Pool, Record
from hlrd.store.errors import translated
from hlrd.store.queries import query
from hlrd.store.record import ImportRow, Upload

_ADD: Final = query("import_add")
_OF_FILE: Final = query("import_of_file")
_GET: Final = query("import_get")
_LIST: Final = query("import_list")
_OPEN: Final = query("import_open")
_WITHDRAW: Final = query("import_withdraw")
_HASHES: Final = query("import_hashes")


class ImportBook:
    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    async def add(self, upload: Upload) -> ImportRow:
        """An import that waits, or the one of this very file that goes on or is done already.

        Conflict if that one is for another home.
        """
        with translated():
            async with self._pool.acquire() as connection:
                found = await _add(connection, upload)
                row = await connection.fetchrow(_GET, found)
        assert row is not None
        return _import_of(row)

    async def get(self, id: int) -> ImportRow | None:
        with translated():
            row = await self._pool.fetchrow(_GET, id)
        return None if row is None else _import_of(row)

    async def newest(self) -> Sequence[ImportRow]:
        with translated():
            rows = await self._pool.fetch(_LIST, limits.SIM_IMPORTS_SHOWN_MAX)
        return [_import_of(row) for row in rows]

    async def open(self) -> Sequence[ImportRow]:
        """In the order that they are worked on."""
        with translated():
            return [_import_of(row) for row in await self._pool.fetch(_OPEN)]

    async def withdraw(self, id: int, *, code: str, cause: str) -> bool:
        """Have what was loaded of it removed; False if it is over, or being removed."""
        with translated():
            return await self._pool.fetchval(_WITHDRAW, id, code, cause) is not None

    async def hashes(self) -> set[bytes]:
        """Of the files that are still needed."""
        with translated():
            return {row["file_hash"] for row in await self._pool.fetch(_HASHES)}


async def _add(connection: Connection, upload: Upload) -> int:
    while True:
        added: int | None = await connection.fetchval(
            _ADD,
            upload.file_hash,
            upload.file_bytes,
            upload.province,
            upload.hlr,
            upload.operator_id,
        )
        if added is not None:
            return added
        known = await connection.fetchrow(_OF_FILE, upload.file_hash)
        if known is not None:  # else it has just been refused: try again
            _refuse_other_home(known, upload)
            return int(known["id"])


def _refuse_other_home(known: Record, upload: Upload) -> None:
    hlr = upload.hlr or known["hlr"]  # not named: wherever it went
    if (known["province"], known["hlr"]) != (upload.province, hlr):
        raise Conflict(
            "LOT_EXISTS",
            f"this file was imported before, for province {known['province']} and {known['hlr']}",
            "province" if known["province"] != upload.province else "hlr",
        )


def _import_of(row: Record) -> ImportRow:
    return ImportRow(**{**row, "state": ImportState(row["state"])})
