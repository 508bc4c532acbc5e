"""What only the composition decides."""

from pathlib import Path
from unittest.mock import AsyncMock, Mock

import structlog

from hlrd.app import Daemon
from hlrd.config import Settings, load
from hlrd.engine.engine import Engine
from hlrd.runtime.journal import JournalWriter

EXAMPLE = Path(__file__).parent.parent / "hlrd.example.toml"


def settings(*, drain_s: float) -> Settings:
    read = load(EXAMPLE)
    return read.model_copy(update={"orders": read.orders.model_copy(update={"drain_s": drain_s})})


async def test_a_drain_ends_in_time_also_when_the_database_stays_away() -> None:
    journal = JournalWriter("", node="n", epoch=1, last_seq=0, quarantine_days=0)
    journal.close(Mock())  # never written: nothing runs it
    engine = Mock(Engine, is_quiet=Mock(return_value=False), open_orders=Mock(return_value=1))
    driver = AsyncMock()

    with structlog.testing.capture_logs() as logs:
        await Daemon(settings(drain_s=0.01), "")._drain(engine, journal, [driver])

    driver.drain.assert_awaited_once()
    assert logs[-1] == {
        "event": "drained", "log_level": "info", "open_orders": 1, "unwritten": 1,
    }  # fmt: skip
