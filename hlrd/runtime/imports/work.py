"""The work of an import: check the whole file, then load it by chunks, or take it out again.

Nothing of a file is loaded before all of it was checked, and nobody draws from its lot until the
last card is in. After a crash a check begins again, and a load goes on behind the last chunk that
was committed.
"""

from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from time import monotonic
from typing import BinaryIO, Final, Protocol

import structlog

from hlrd import limits
from hlrd.domain.identity import IMSI, CardKey
from hlrd.domain.lifecycle import ImportState
from hlrd.pool.doubles import Doubles
from hlrd.pool.simfaults import Faults
from hlrd.pool.simfile import ReadCard, SIMFile
from hlrd.pool.simheader import BadLine, SIMFileRefused, summary
from hlrd.pool.spool import SpoolDamaged, SpoolReader
from hlrd.pool.vault import KeyVault
from hlrd.runtime.imports.home import LotHome
from hlrd.store.loading import Clashed, Loader, SealedCard
from hlrd.store.record import ImportRow

_CHECK_SHARE: Final = 0.4  # of the whole work, for the first estimate of what is left

_log: Final = structlog.get_logger(__name__)


class Pace(Protocol):
    async def rest(self) -> None:
        """After each chunk."""
        ...


class Estimate:
    """Seconds left, from the pace of this run."""

    def __init__(self, *, done: int, total: int) -> None:
        self._began = monotonic()
        self._done = done
        self._total = total

    def left_s(self, done: int) -> float | None:
        if done <= self._done:
            return None
        passed_s = monotonic() - self._began
        return max(0.0, passed_s * (self._total - done) / (done - self._done))


class Importer:
    def __init__(
        self,
        row: ImportRow,
        loader: Loader,
        vault: KeyVault,
        pace: Pace,
        *,
        home: LotHome,
        errors: Path,
    ) -> None:
        self._row = row
        self._loader = loader
        self._vault = vault
        self._pace = pace
        self._home = home
        self._errors = errors

    async def run(self, spooled: Path) -> None:
        """Check it, or go on loading it. Raises Withdrawn if it was cancelled meanwhile."""
        try:
            with spooled.open("rb") as file:
                await self._import(file)
        except (SpoolDamaged, FileNotFoundError) as error:
            _log.error("sim_import_file_lost", id=self._row.id, error=str(error))
            await self._loader.withdraw(
                "IMPORT_FILE_LOST", "the spooled file cannot be read any more; post it again"
            )
        except Clashed as error:
            await self._loader.withdraw("CARD_IN_STOCK", f"nothing was imported: {error}")

    async def _import(self, spooled: BinaryIO) -> None:
        if self._row.state is ImportState.LOADING:
            assert self._row.lot_id is not None
            return await self._load(self._read(spooled), self._row.lot_id, self._row.loaded)
        try:
            file = self._read(spooled)
        except SIMFileRefused as refused:
            await self._loader.start(None)
            faults = Faults()
            faults.add_all(refused.bad_lines)
            return await self._refuse("LOT_INVALID", faults, checked=0)
        if not await self._check(file):
            return None
        lot_id = await self._loader.create_lot(file.header, self._home.hlr)
        spooled.seek(0)
        return await self._load(self._read(spooled), lot_id, 0)

    def _read(self, spooled: BinaryIO) -> SIMFile:
        return SIMFile(SpoolReader(spooled, self._vault))

    # The check.

    async def _check(self, file: SIMFile) -> bool:
        """Whether every line is good; if not, the import is refused and the error file written."""
        header, faults, doubles = file.header, Faults(), Doubles()
        await self._loader.start(header)
        is_name_free = await self._loader.is_name_free(header.lot)
        if not is_name_free:
            reason = "a lot of this name came with another file before"
            faults.add(BadLine(header.lot_line, "LOT", reason))
        known = await self._check_cards(file, faults, doubles)
        if wrong := file.wrong_quantity():
            faults.add(wrong)
        for line, first, column in doubles.found():
            faults.add_double(line, first, column)
        if not faults:
            return True
        in_file = len(faults) - known - (not is_name_free)
        code = "LOT_INVALID" if in_file else "CARD_IN_STOCK" if known else "LOT_EXISTS"
        await self._refuse(code, faults, checked=file.rows)
        return False

    async def _check_cards(self, file: SIMFile, faults: Faults, doubles: Doubles) -> int:
        """How many cards hlrd knows already."""
        estimate = Estimate(done=0, total=round(file.header.quantity / _CHECK_SHARE))
        known = 0
        for chunk in _chunks(file):
            cards = []
            for each in chunk:
                if isinstance(each, BadLine):
                    faults.add(each)
                else:
                    doubles.add(each.line, each.iccid, each.imsi)
                    cards.append(each)
                    if wrong := self._home.fault_of(each.imsi):
                        faults.add(BadLine(each.line, "IMSI", wrong))
            known += await self._find_known(cards, faults)
            await self._loader.checked(
                file.rows, faults=len(faults), left_s=estimate.left_s(file.rows)
            )
            await self._pace.rest()
        return known

    async def _find_known(self, cards: list[ReadCard], faults: Faults) -> int:
        found = await self._loader.known(
            [card.iccid for card in cards], [card.imsi for card in cards]
        )
        for each in found:
            faults.add(BadLine(cards[each.place].line, each.column, each.how))
        return len(found)

    async def _refuse(self, code: str, faults: Faults, *, checked: int) -> None:
        draft = self._errors.with_suffix(".draft")
        with draft.open("w", encoding="utf-8") as file:
            faults.write(file)
        draft.replace(self._errors)
        cause = summary(len(faults), next(faults.by_line()))
        await self._loader.refuse(code, cause, checked=checked, faults=len(faults))

    # The load.

    async def _load(self, file: SIMFile, lot_id: int, done: int) -> None:
        estimate = Estimate(done=done, total=file.header.quantity)
        cards = _good(file)
        for _ in islice(cards, done):  # what is committed already
            pass
        while chunk := list(islice(cards, limits.SIM_IMPORT_CHUNK_CARDS)):
            after = done + len(chunk)
            await self._loader.load(
                lot_id,
                done,
                self._seal(chunk),
                key_id=self._vault.current,
                left_s=estimate.left_s(after),
            )
            done = after
            await self._pace.rest()
        if done != file.header.quantity:
            raise SpoolDamaged(f"{done} cards of {file.header.quantity}")
        await self._loader.finish(lot_id)

    def _seal(self, chunk: list[ReadCard]) -> list[SealedCard]:
        keys: list[tuple[IMSI, CardKey]] = [(card.imsi, card.key) for card in chunk]
        return [
            SealedCard(card.iccid, card.imsi, sealed)
            for card, sealed in zip(chunk, self._vault.seal_all(keys), strict=True)
        ]

    async def remove(self) -> None:
        """From the last card on, so that what a kill leaves is the start of the lot."""
        chunk = limits.SIM_IMPORT_CHUNK_CARDS
        if self._row.lot_id is not None:
            for first in range((self._row.loaded // chunk) * chunk, -1, -chunk):
                await self._loader.drop_cards(first)
                await self._pace.rest()
        await self._loader.removed()


def _chunks(file: SIMFile) -> Iterator[list[ReadCard | BadLine]]:
    cards = file.cards()
    while chunk := list(islice(cards, limits.SIM_IMPORT_CHUNK_CARDS)):
        yield chunk


def _good(file: SIMFile) -> Iterator[ReadCard]:
    """Of a file that was checked and is the same since, so every line is good."""
    for card in file.cards():
        if isinstance(card, BadLine):
            raise SpoolDamaged("the spooled file is not the one that was checked")
        yield card
