"""F15 and F16: voluntary suspension under each master (主动停机)."""

from typing import Final

from loadtest.flow.flow import Acts, Run
from loadtest.flow.layouts import empty
from loadtest.process import StackError


async def _unwritten(run: Run) -> None:
    raise StackError("this story is not written yet")


F15: Final = Acts(layout=empty, story=_unwritten, checks=(), faults=())
F16: Final = Acts(layout=empty, story=_unwritten, checks=(), faults=())
