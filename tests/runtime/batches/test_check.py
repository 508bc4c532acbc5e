"""The check of a batch file beside everything else that the daemon does."""

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from io import BytesIO
from threading import Event

from hlrd.domain.batch import Format
from hlrd.domain.errors import Refusal
from hlrd.domain.orders import WorkOrder
from hlrd.runtime.batches.check import Check
from tests.api.fake_batches import a_batch_row
from tests.runtime.batches.test_filerows import FakeStock

PATIENCE_S = 10.0


class Book(FakeStock):
    """Finds nothing wrong."""

    async def checked(self, id: int, rows: int, *, faults: int) -> bool:
        return True

    async def faults_of(self, source: str, orders: Sequence[WorkOrder]) -> Sequence[Refusal | None]:
        return [None] * len(orders)


class SlowFile:
    """Whose second line is at its end only once something else went on."""

    def __init__(self, went_on: Event) -> None:
        self._lines = BytesIO(b"user_id\n1\n2\n")
        self._went_on = went_on
        self.was_alone = False

    def readline(self, size: int, /) -> bytes:
        if self._lines.tell():
            self.was_alone = self.was_alone or not self._went_on.wait(PATIENCE_S)
        return self._lines.readline(size)


async def test_other_work_goes_on_while_a_line_is_read_to_its_end() -> None:
    batch = replace(a_batch_row(common={"ec_code": "EC1"}), format=Format.CSV)
    went_on = Event()
    file = SlowFile(went_on)
    check = asyncio.create_task(Check(batch, Book(), is_busy=lambda: False).run(file))
    await asyncio.sleep(0)  # the check begins

    went_on.set()
    checked = await check

    assert not file.was_alone
    assert (checked.rows, checked.good) == (2, 2)
