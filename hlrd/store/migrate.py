"""Numbered SQL files, applied once each in order, with a checksum against silent edits."""

import hashlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.resources import files
from typing import Final

from hlrd.domain.errors import HlrdError
from hlrd.store.connection import Connection
from hlrd.store.errors import translated
from hlrd.store.queries import query

_FILE: Final = re.compile(r"\A([0-9]{4})_[a-z0-9_]+\.sql\Z")


class MigrationError(HlrdError):
    """The database does not fit this release; nothing was changed."""


@dataclass(frozen=True, slots=True)
class Migration:
    version: int
    name: str
    text: str

    @property
    def checksum(self) -> bytes:
        return hashlib.sha256(self.text.encode()).digest()


def shipped() -> list[Migration]:
    """The migrations of this release, in the order of their numbers."""
    folder = files("hlrd.store").joinpath("migrations")
    found = [
        Migration(int(match[1]), entry.name, entry.read_text("utf-8"))
        for entry in folder.iterdir()
        if (match := _FILE.match(entry.name))
    ]
    found.sort(key=lambda migration: migration.version)
    assert len({one.version for one in found}) == len(found), "two have the same number"
    return found


async def migrate(connection: Connection, migrations: Sequence[Migration] | None = None) -> int:
    """Bring the database up to this release; how many were applied.

    Each in a transaction of its own. Two daemons that start at once take turns.
    """
    wanted = shipped() if migrations is None else migrations
    with translated():
        await connection.execute(query("migrate_lock"))
        try:
            await connection.execute(query("migrate_table"))
            applied = {row["version"]: row for row in await connection.fetch(query("migrate_list"))}
            missing = _missing(wanted, applied)
            for migration in missing:
                await _apply(connection, migration)
        finally:
            await connection.execute(query("migrate_unlock"))
    return len(missing)


def _missing(wanted: Sequence[Migration], applied: Mapping[int, object]) -> list[Migration]:
    known = {migration.version for migration in wanted}
    if unknown := sorted(set(applied) - known):
        raise MigrationError(
            f"the database has migration {unknown[0]}, which this release does not know:"
            " it was made by a later one. Install that release, or restore an older backup."
        )
    for migration in wanted:
        row = applied.get(migration.version)
        if row is not None and row["checksum"] != migration.checksum:  # type: ignore[index]
            raise MigrationError(
                f"migration {migration.name} was edited after it was applied to this database."
                " Restore the file; a change of the schema belongs into a new migration."
            )
    return [migration for migration in wanted if migration.version not in applied]


async def _apply(connection: Connection, migration: Migration) -> None:
    async with connection.transaction():
        await connection.execute(migration.text)
        await connection.execute(
            query("migrate_record"), migration.version, migration.name, migration.checksum
        )
