"""F23: the partner province of a class-1 product (配合省)."""

from typing import Final

from loadtest.flow.flow import Acts, Run
from loadtest.flow.layouts import empty
from loadtest.process import StackError


async def _unwritten(run: Run) -> None:
    raise StackError("this story is not written yet")


F23: Final = Acts(layout=empty, story=_unwritten, checks=(), faults=())
