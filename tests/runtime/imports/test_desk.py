"""Files of card vendors on their way into the stock, by real importers on a real database."""

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from functools import partial
from pathlib import Path

import msgspec
import psutil
import pytest

from hlrd import limits
from hlrd.domain.errors import Busy, Conflict, Unavailable
from hlrd.domain.identity import IMSI, SealedKey
from hlrd.domain.lifecycle import CardState, ImportState
from hlrd.domain.routing import Identity, Route, RouteTable, Routing
from hlrd.pool.vault import KeyVault
from hlrd.runtime.imports import desk as desk_module
from hlrd.store import leasing
from hlrd.store.connection import Connection, Record
from loadtest.simlot import Lot
from tests.runtime.imports.rig import Rig, a_vault, importing
from tests.runtime.stock import a_card, stock_up

pytestmark = pytest.mark.postgres

SIZE = 12_000
CHUNK = limits.SIM_IMPORT_CHUNK_CARDS


def a_lot(size: int = SIZE, *, name: str = "lot1", first: int = 0) -> Lot:
    return Lot(name, "hlr1", "01", first, size, seed=1)


@pytest.fixture(autouse=True)
def busy_for_a_moment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(desk_module, "_BUSY_FOR_S", 0.05)
    monkeypatch.setattr(desk_module, "_LOOK_S", 0.02)


async def until(holds: Callable[[], Awaitable[bool]]) -> None:
    async with asyncio.timeout(30):
        while not await holds():  # noqa: ASYNC110 - another process is what is waited for
            await asyncio.sleep(0.005)


async def loaded(database: Connection) -> int:
    count: int = await database.fetchval("SELECT count(*) FROM sim_card")
    return count


def files_in(folder: Path) -> list[Path]:
    return list(folder.iterdir())


def kill_importer() -> None:
    """As the kernel does when memory is short."""
    for child in psutil.Process().children():
        if "hlrd.runtime.imports.process" in child.cmdline():
            os.kill(child.pid, signal.SIGKILL)


def is_importing() -> bool:
    children = psutil.Process().children()
    return any("hlrd.runtime.imports.process" in child.cmdline() for child in children)


# What comes of a file.


async def test_a_file_is_checked_and_loaded_whole_and_its_keys_open(
    dsn: str, tmp_path: Path, database: Connection
) -> None:
    lot = a_lot()
    async with importing(dsn, tmp_path) as rig:
        row = await rig.import_(lot.csv())
        [shown] = await rig.stock.lots()

    assert (row.state, row.lot, row.rows) == (ImportState.DONE, "lot1", SIZE)
    assert (row.checked, row.loaded, row.faults) == (SIZE, SIZE, 0)
    assert (shown.quantity, shown.cards["inStock"]) == (SIZE, SIZE)
    assert rig.imported == [1]
    rows = await database.fetch("SELECT row_no, iccid, imsi, key_id, sealed_key FROM sim_card")
    assert sorted((each["row_no"], each["iccid"]) for each in rows) == list(enumerate(lot.iccids()))
    expected = keys_of(lot)
    vault = a_vault()
    assert all(opened(vault, each) == expected[each["iccid"]] for each in rows[::997])
    assert files_in(tmp_path) == []


def keys_of(lot: Lot) -> dict[str, str]:
    lines = lot.csv().decode().splitlines()[7:]
    return {line.split(",")[0]: line.split(",")[2] for line in lines}


def opened(vault: KeyVault, row: Record) -> str:
    sealed = SealedKey(row["key_id"], row["sealed_key"])
    return vault.open(IMSI(f"{row['imsi']:015}"), sealed).value


async def test_the_same_file_again_is_the_same_import(dsn: str, tmp_path: Path) -> None:
    document = a_lot(50).csv()
    async with importing(dsn, tmp_path) as rig:
        first = await rig.import_(document)
        again = await rig.import_(document)
        with pytest.raises(Conflict, match="imported before, for province 200 and hlr1") as other:
            await rig.import_(document, hlr="hlr2")

    assert again == first
    assert other.value.code == "LOT_EXISTS"
    assert rig.imported == [1]


async def test_a_file_that_comes_twice_at_once_is_one_import(dsn: str, tmp_path: Path) -> None:
    document = a_lot(50).csv()
    async with importing(dsn, tmp_path, starts=False) as rig:
        rows = await asyncio.gather(rig.receive(document), rig.receive(document))
        rig.start()
        ends = [await rig.desk.until_over(row) for row in rows]

    assert {row.id for row in rows} == {ends[0].id}
    assert {row.state for row in ends} == {ImportState.DONE}


async def test_every_fault_is_named_in_the_error_file_and_no_value_is(
    dsn: str, tmp_path: Path, database: Connection
) -> None:
    document = a_lot(5_000).csv().replace(b"8986", b"8987")
    async with importing(dsn, tmp_path) as rig:
        row = await rig.import_(document)
        errors = rig.desk.error_file(row)
        assert errors is not None
        lines = errors.read_text().splitlines()
        first = await rig.desk.faults(row, 3)

    assert (row.state, row.code, row.faults) == (ImportState.REFUSED, "LOT_INVALID", 5_000)
    assert lines[0] == "line,column,reason"
    assert [int(line.split(",")[0]) for line in lines[1:]] == list(range(8, 5_008))
    assert [bad.line for bad in first] == [8, 9, 10]
    assert not any(value in "".join(lines) for value in ("8987", "46099"))
    assert await loaded(database) == 0


async def test_what_hlrd_knows_already_is_found_by_line_and_column(
    dsn: str, tmp_path: Path, database: Connection
) -> None:
    lot = a_lot(5_000)
    await database.execute(
        "INSERT INTO binding VALUES (1, $1, '8986', 'u', 1, 'hlr1', '200', 'k1', '', now())",
        int(lot.imsi(4_321)),
    )
    await database.execute(
        "INSERT INTO card_hold (iccid, state) VALUES ($1, 'scrapped')", lot.iccid(1_234)
    )
    async with importing(dsn, tmp_path) as rig:
        await rig.import_(a_lot(10, name="lot0").csv())
        row = await rig.import_(lot.csv())
        found = await rig.desk.faults(row, 100)

    assert (row.code, row.faults) == ("CARD_IN_STOCK", 12)
    assert {bad.reason for bad in found[:10]} == {"in stock already, lot lot0"}
    assert [(bad.line, bad.column, bad.reason) for bad in found[10:]] == [
        (1_242, "ICCID", "was in use before, and is scrapped"),
        (4_329, "IMSI", "in use already, by another card"),
    ]
    assert await loaded(database) == 10


async def test_a_file_that_was_refused_may_come_again(dsn: str, tmp_path: Path) -> None:
    async with importing(dsn, tmp_path) as rig:
        first = await rig.import_(b"rubbish")
        again = await rig.import_(b"rubbish")

    assert (first.state, again.state) == (ImportState.REFUSED, ImportState.REFUSED)
    assert again.id > first.id
    assert "none of the first 64 lines names the columns" in (again.cause or "")


async def test_a_name_that_is_taken_is_refused(dsn: str, tmp_path: Path) -> None:
    async with importing(dsn, tmp_path) as rig:
        await rig.import_(a_lot(5).csv())
        row = await rig.import_(a_lot(5, first=100).csv())

    assert (row.code, row.cause) == (
        "LOT_EXISTS",
        "1 fault in the file, the first in line 2 LOT:"
        " a lot of this name came with another file before",
    )


# On disk.


async def test_no_key_is_on_disk_in_clear(dsn: str, tmp_path: Path) -> None:
    lot = a_lot(2_000)
    async with importing(dsn, tmp_path, starts=False) as rig:
        await rig.receive(lot.csv())
        [spooled] = files_in(tmp_path)
        content = spooled.read_bytes()

    assert not any(key.encode() in content for key in keys_of(lot).values())
    assert spooled.stat().st_mode & 0o077 == 0


async def test_an_upload_that_breaks_off_leaves_nothing(dsn: str, tmp_path: Path) -> None:
    async def broken() -> AsyncIterator[bytes]:
        yield b"x" * (limits.SPOOL_BLOCK_BYTES + 1)
        raise ConnectionResetError

    async with importing(dsn, tmp_path) as rig:
        with pytest.raises(ConnectionResetError):
            await rig.desk.receive(
                broken(), bytes_expected=1, province="200", hlr="hlr1", operator_id="op1"
            )
        assert await rig.desk.newest() == []

    assert files_in(tmp_path) == []


async def test_a_disk_that_is_full_is_told_before_anything_is_received(
    dsn: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "SPOOL_FREE_BYTES_MIN", 2**60)
    async with importing(dsn, tmp_path) as rig:
        with pytest.raises(Unavailable, match="MiB left; make room"):
            await rig.receive(b"x")


async def test_more_imports_than_may_wait_are_refused(
    dsn: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "SIM_IMPORTS_OPEN_MAX", 1)
    async with importing(dsn, tmp_path, starts=False) as rig:
        await rig.receive(b"x")
        with pytest.raises(Busy, match="too many imports wait"):
            await rig.receive(b"y")


async def test_an_altered_file_is_not_imported(dsn: str, tmp_path: Path) -> None:
    async with importing(dsn, tmp_path, starts=False) as rig:
        row = await rig.receive(a_lot(100).csv())
        [spooled] = files_in(tmp_path)
        content = bytearray(spooled.read_bytes())
        content[len(content) // 2] ^= 1
        spooled.write_bytes(content)
        rig.start()
        row = await rig.desk.until_over(row)

    assert (row.state, row.code) == (ImportState.REFUSED, "IMPORT_FILE_LOST")


# Kills.


async def test_a_killed_importer_goes_on_behind_the_last_chunk(
    dsn: str, tmp_path: Path, database: Connection
) -> None:
    lot = a_lot()
    kills = []
    async with importing(dsn, tmp_path) as rig:
        rig.is_busy = True
        row = await rig.receive(lot.csv())
        for chunks in (0, 1, 3):
            await until(partial(has_loaded, database, chunks * CHUNK))
            kill_importer()
            kills.append(await loaded(database))
        rig.is_busy = False
        async with asyncio.timeout(60):
            row = await rig.desk.until_over(row)

    assert (row.state, row.loaded) == (ImportState.DONE, SIZE)
    assert kills[1] > 0
    rows = await database.fetch("SELECT row_no, iccid FROM sim_card ORDER BY row_no")
    assert [tuple(each) for each in rows] == list(enumerate(lot.iccids()))


async def has_loaded(database: Connection, cards: int) -> bool:
    return await loaded(database) >= cards and is_importing()


async def test_a_killed_daemon_takes_its_importer_along_and_the_next_one_goes_on(
    dsn: str, tmp_path: Path, database: Connection
) -> None:
    lot = a_lot()
    async with importing(dsn, tmp_path) as rig:
        rig.is_busy = True
        row = await rig.receive(lot.csv())
        await until(lambda: has_loaded(database, CHUNK))
    assert not is_importing()
    before = await loaded(database)
    (tmp_path / "of-a-killed-upload.draft").touch()

    async with importing(dsn, tmp_path) as rig:
        row = await rig.desk.get(row.id) or row
        assert (row.state, row.loaded) == (ImportState.LOADING, before)
        row = await rig.desk.until_over(row)

    assert 0 < before < SIZE
    assert (row.state, row.loaded, await loaded(database)) == (ImportState.DONE, SIZE, SIZE)
    assert files_in(tmp_path) == []


async def test_an_importer_ends_when_its_pipe_does(dsn: str, tmp_path: Path) -> None:
    """So that a daemon that was killed leaves none behind."""
    async with importing(dsn, tmp_path, starts=False) as rig:
        row = await rig.receive(a_lot().csv())
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "hlrd.runtime.imports.process",
            stdin=asyncio.subprocess.PIPE,
        )  # fmt: skip
        assert process.stdin is not None
        assignment = msgspec.json.encode(rig.desk._assignment(row))
        process.stdin.write(assignment + b"\n")
        await process.stdin.drain()
        process.stdin.close()

        async with asyncio.timeout(10):
            assert await process.wait() == 1


async def test_an_importer_of_an_older_epoch_writes_no_more(
    dsn: str, tmp_path: Path, database: Connection
) -> None:
    async with importing(dsn, tmp_path, starts=False) as rig:
        row = await rig.receive(a_lot(100).csv())
        await database.execute("UPDATE node SET epoch = epoch + 1")
        code = await rig.desk._have_done(row)

    assert code == 1
    assert await loaded(database) == 0


async def test_an_importer_that_never_gets_on_is_given_up(
    dsn: str, tmp_path: Path, database: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "RETRY_DELAY_S_MAX", 0.01)
    monkeypatch.setattr(limits, "SIM_IMPORT_FAILURES_MAX", 2)
    async with importing(dsn, tmp_path, starts=False) as rig:
        good = rig.desk._means
        rig.desk._means = desk_module.Means(dsn, "n1", good.epoch, {}, "k1", "info")
        row = await rig.receive(a_lot(100).csv())
        await rig.desk._work_on(row, 1)
        rig.desk._means = good
        rig.start()
        row = await rig.desk.until_over(row)

    assert (row.state, row.code) == (ImportState.REFUSED, "IMPORT_FAILED")


# Half a lot is nobody's.


async def test_no_card_is_drawn_or_shown_before_all_are_in(
    dsn: str, tmp_path: Path, database: Connection
) -> None:
    await stock_up(database, 10, name="half", is_ready=False)
    async with importing(dsn, tmp_path) as rig:
        assert await leasing.read_lots(database) == []
        assert await rig.stock.lots() == []
        assert await rig.stock.lot("half") is None
        assert await rig.stock.card(a_card(1).iccid) is None
        assert await rig.stock.cards("half") is None


async def test_a_cancelled_import_leaves_nothing_behind(
    dsn: str, tmp_path: Path, database: Connection
) -> None:
    lot = a_lot()
    async with importing(dsn, tmp_path) as rig:
        rig.is_busy = True
        row = await rig.receive(lot.csv())
        await until(lambda: has_loaded(database, 2 * CHUNK))
        cancelled = await rig.desk.cancel(row.id, "zhang3")
        rig.is_busy = False
        row = await rig.desk.until_over(cancelled)
        with pytest.raises(Conflict, match="nothing is left to cancel"):
            await rig.desk.cancel(row.id, "zhang3")

        assert (row.state, row.code, row.cause) == (
            ImportState.REFUSED, "IMPORT_CANCELLED", "cancelled by zhang3",
        )  # fmt: skip
        assert await loaded(database) == 0
        assert await database.fetchval("SELECT count(*) FROM sim_lot") == 0
        assert (await rig.import_(lot.csv())).state is ImportState.DONE


async def test_a_card_that_comes_into_use_behind_the_check_takes_the_whole_lot_back(
    dsn: str, tmp_path: Path, database: Connection
) -> None:
    lot = a_lot()
    async with importing(dsn, tmp_path) as rig:
        rig.is_busy = True
        row = await rig.receive(lot.csv())
        await until(lambda: has_loaded(database, CHUNK))
        await database.execute(
            "INSERT INTO binding VALUES (1, 1, $1, 'u', 1, 'hlr1', '200', 'k1', '', now())",
            lot.iccid(SIZE - 1),
        )
        rig.is_busy = False
        row = await rig.desk.until_over(row)

    assert (row.state, row.code) == (ImportState.REFUSED, "CARD_IN_STOCK")
    assert row.cause == "nothing was imported: 1 cards of the file have come into use meanwhile"
    assert await loaded(database) == 0


async def test_a_removal_that_is_killed_goes_on(
    dsn: str, tmp_path: Path, database: Connection
) -> None:
    async with importing(dsn, tmp_path) as rig:
        rig.is_busy = True
        row = await rig.receive(a_lot().csv())
        await until(lambda: has_loaded(database, 4 * CHUNK))
        most = await loaded(database)
        await rig.desk.cancel(row.id, "zhang3")
        await until(lambda: has_lost(database, most))
        kill_importer()
        row = await rig.desk.until_over(row)

    assert row.state is ImportState.REFUSED
    assert await loaded(database) == 0


async def has_lost(database: Connection, most: int) -> bool:
    row = await database.fetchrow("SELECT state FROM sim_import")
    assert row is not None
    return row["state"] == "removing" and await loaded(database) < most


async def test_the_states_of_an_export_are_those_of_the_cards(
    dsn: str, tmp_path: Path, database: Connection
) -> None:
    lot_id = await stock_up(database, 6)
    await database.execute("UPDATE sim_lot SET counter = 5")
    await database.execute(
        "INSERT INTO lease (what, source_id, start, count, epoch) VALUES ('cards', $1, 3, 2, 1)",
        lot_id,
    )
    await database.execute(
        "INSERT INTO binding VALUES (1064800000001, $1, $2, 'u', 1, 'hlr1', '200', 'k', '', now())",
        int(a_card(0).imsi),
        a_card(0).iccid,
    )
    for n, state in ((1, "scrapped"), (2, "reserved")):
        await database.execute(
            "INSERT INTO card_hold (iccid, lot_id, state) VALUES ($1, $2, $3)",
            a_card(n).iccid,
            lot_id,
            state,
        )
    async with importing(dsn, tmp_path) as rig:
        cards = await everything(rig)
        shown = [await rig.stock.card(a_card(n).iccid) for n in range(6)]
        [lot] = await rig.stock.count()

    states = ["inUse", "scrapped", "reserved", "leased", "leased", "inStock"]
    assert [state for state, _ in cards] == states
    assert [card and card.state for card in shown] == states
    assert cards[0][1] == "1064800000001"
    assert lot.cards == {state: states.count(state) for state in map(str, CardState)}


async def everything(rig: Rig) -> list[tuple[str, str | None]]:
    pages = await rig.stock.cards("lot1")
    assert pages is not None
    return [(card.state, card.msisdn) async for page in pages for card in page]


# Its home.


def routed(*hlrs: str) -> RouteTable:
    """The cards of a lot, by their last but fourth digit, to these HLRs in turn."""
    prefixes = ["4609901", *(f"46099010000{place}" for place in range(1, len(hlrs)))]
    pairs = zip(prefixes, hlrs, strict=True)
    return RouteTable(
        Routing(Route(prefix, Identity.IMSI, hlr, f"route {hlr}") for prefix, hlr in pairs)
    )


async def test_a_lot_has_the_home_of_its_route(dsn: str, tmp_path: Path) -> None:
    async with importing(dsn, tmp_path, homes=routed("hlr7")) as rig:
        row = await rig.import_(a_lot(10).csv(), hlr="")
        again = await rig.import_(a_lot(10).csv(), hlr="")
        [lot] = await rig.stock.lots()

    assert (row.state, row.hlr, lot.hlr) == (ImportState.DONE, "hlr7", "hlr7")
    assert again.id == row.id


async def test_a_lot_of_two_homes_is_refused_with_each_line(dsn: str, tmp_path: Path) -> None:
    async with importing(dsn, tmp_path, homes=routed("hlr7", "hlr8")) as rig:
        row = await rig.import_(a_lot(1_010).csv(), hlr="")
        faults = await rig.desk.faults(row, 3)

    assert (row.state, row.code, row.faults) == (ImportState.REFUSED, "LOT_INVALID", 10)
    assert (faults[0].line, faults[0].column) == (1_008, "IMSI")
    assert faults[0].reason == "the lot is of hlr7, and route hlr8 gives this card to hlr8"


@pytest.mark.parametrize(
    ("homes", "hlr", "said"),
    [
        (RouteTable(), "", "no route is about it, so hlr must be named"),
        (routed("hlr7"), "hlr1", "the lot is of hlr1, and route hlr7 gives this card to hlr7"),
    ],
)
async def test_a_home_that_is_not_said_or_said_otherwise_is_refused(
    dsn: str, tmp_path: Path, homes: RouteTable, hlr: str, said: str
) -> None:
    async with importing(dsn, tmp_path, homes=homes) as rig:
        row = await rig.import_(a_lot(2).csv(), hlr=hlr)
        faults = await rig.desk.faults(row, 3)

    assert (row.state, row.faults) == (ImportState.REFUSED, 2)
    assert {fault.reason for fault in faults} == {said}
