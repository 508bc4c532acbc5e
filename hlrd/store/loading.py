"""What the importer of a SIM lot writes: how far it is, and the cards, chunk by chunk.

Every write of progress finds the import in the state it should be in, or raises `Withdrawn`: staff
may cancel at any time. The transactions are fenced, so an importer that outlived its daemon and the
start of the next one writes no more.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from hlrd.domain.errors import HlrdError
from hlrd.domain.identity import ICCID, IMSI
from hlrd.pool.simheader import Header
from hlrd.store.connection import Connection, Record
from hlrd.store.errors import KeyTaken, translated
from hlrd.store.queries import query
from hlrd.store.record import ImportRow

_BEGIN: Final = query("begin_fenced")
_START: Final = query("import_start")
_CHECKED: Final = query("import_checked")
_REFUSE: Final = query("import_refuse")
_LOAD: Final = query("import_load")
_LOADED: Final = query("import_loaded")
_FINISH: Final = query("import_finish")
_WITHDRAW: Final = query("import_withdraw")
_REMOVED: Final = query("import_removed")
_ADD_LOT: Final = query("lot_add")
_LOT_BY_NAME: Final = query("lot_by_name")
_READY: Final = query("lot_ready")
_DROP_CARDS: Final = query("lot_drop_cards")
_DROP: Final = query("lot_drop")
_KNOWN: Final = query("cards_known")
_USED: Final = query("cards_used")

_COLUMNS: Final = ("lot_id", "row_no", "iccid", "imsi", "key_id", "sealed_key")
_TIMEOUT_S: Final = 60.0


class Withdrawn(HlrdError):
    """The import is no longer in the state that this work belongs to."""


class Clashed(HlrdError):
    """A card of the chunk came into the stock, or into use, behind the check."""


@dataclass(frozen=True, slots=True)
class Known:
    """A card of a chunk that hlrd knows already."""

    place: int  #: in the chunk, from 0
    column: str
    how: str


@dataclass(frozen=True, slots=True)
class SealedCard:
    iccid: ICCID
    imsi: IMSI
    sealed_key: bytes


class Loader:
    """One import, on a connection of its own with the node's fence (`writing_as`)."""

    def __init__(self, connection: Connection, row: ImportRow) -> None:
        self._connection = connection
        self._row = row

    # The check.

    async def start(self, header: Header | None) -> None:
        """From the first line; None: its header block is not usable."""
        lot, quantity = (header.lot, header.quantity) if header else (None, None)
        await self._move(_START, lot, quantity)

    async def is_name_free(self, name: str) -> bool:
        return await self._value(_LOT_BY_NAME, name) is None

    async def known(self, iccids: Sequence[ICCID], imsis: Sequence[IMSI]) -> list[Known]:
        rows = await self._rows(_KNOWN, list(iccids), [int(imsi) for imsi in imsis])
        return [Known(row["n"] - 1, row["field"], row["how"]) for row in rows]

    async def checked(self, cards: int, *, faults: int, left_s: float | None) -> None:
        await self._move(_CHECKED, cards, faults, left_s)

    async def refuse(self, code: str, cause: str, *, checked: int, faults: int) -> None:
        await self._move(_REFUSE, code, cause, checked, faults)

    # The load.

    async def create_lot(self, header: Header, hlr: str) -> int:
        """A lot that nobody draws from yet; Clashed if its name was taken since the check."""
        row = self._row
        async with _Fenced(self._connection):
            lot_id: int | None = await self._value(
                _ADD_LOT,
                header.lot,
                header.vendor,
                row.province,
                hlr,
                header.quantity,
                row.file_hash,
            )
            if lot_id is None:
                raise Clashed(f"lot {header.lot} came with another file")
            await self._move(_LOAD, lot_id, hlr)
        return lot_id

    async def load(
        self,
        lot_id: int,
        first_row: int,
        cards: Sequence[SealedCard],
        *,
        key_id: str,
        left_s: float | None,
    ) -> None:
        """One chunk and the progress, in one transaction. Raises Clashed, and nothing of the
        chunk stands.
        """
        rows = [
            (lot_id, row_no, card.iccid, int(card.imsi), key_id, card.sealed_key)
            for row_no, card in enumerate(cards, first_row)
        ]
        try:
            async with _Fenced(self._connection):
                await self._refuse_used(cards)
                with translated():
                    await self._connection.copy_records_to_table(
                        "sim_card", records=rows, columns=_COLUMNS, timeout=_TIMEOUT_S
                    )
                await self._move(_LOADED, first_row + len(cards), left_s)
        except KeyTaken as error:
            raise Clashed("one of the cards has come into the stock meanwhile") from error

    async def finish(self, lot_id: int) -> None:
        async with _Fenced(self._connection):
            await self._execute(_READY, lot_id)
            await self._move(_FINISH)

    async def withdraw(self, code: str, cause: str) -> None:
        await self._move(_WITHDRAW, code, cause)

    # Taking it out again.

    async def drop_cards(self, from_row: int) -> None:
        async with _Fenced(self._connection):
            await self._execute(_DROP_CARDS, self._row.lot_id, from_row)

    async def removed(self) -> None:
        async with _Fenced(self._connection):
            await self._move(_REMOVED)
            if self._row.lot_id is not None:
                await self._execute(_DROP, self._row.lot_id)

    async def _refuse_used(self, cards: Sequence[SealedCard]) -> None:
        imsis = [int(card.imsi) for card in cards]
        used = await self._rows(_USED, [card.iccid for card in cards], imsis)
        if used:
            raise Clashed(f"{len(used)} cards of the file have come into use meanwhile")

    async def _move(self, statement: str, *values: object) -> None:
        if await self._value(statement, self._row.id, *values) is None:
            raise Withdrawn(f"import {self._row.id} was cancelled")

    async def _value(self, statement: str, *values: object) -> Any:
        with translated():
            return await self._connection.fetchval(statement, *values, timeout=_TIMEOUT_S)

    async def _rows(self, statement: str, *values: object) -> list[Record]:
        with translated():
            return await self._connection.fetch(statement, *values, timeout=_TIMEOUT_S)

    async def _execute(self, statement: str, *values: object) -> None:
        with translated():
            await self._connection.execute(statement, *values, timeout=_TIMEOUT_S)


class _Fenced:
    """A transaction that only the owner of the node's epoch may write in."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    async def __aenter__(self) -> None:
        with translated():
            await self._connection.execute(_BEGIN, timeout=_TIMEOUT_S)

    async def __aexit__(self, kind: type[BaseException] | None, *_: object) -> None:
        with translated():
            await self._connection.execute("ROLLBACK" if kind else "COMMIT", timeout=_TIMEOUT_S)
