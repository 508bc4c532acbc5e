"""F02 and F03: staff by tokens of the central authentication; F04: systems on a kept channel."""

from typing import Final

from loadtest.flow.flow import Acts, Run
from loadtest.flow.layouts import empty
from loadtest.process import StackError


async def _unwritten(run: Run) -> None:
    raise StackError("this story is not written yet")


F02: Final = Acts(layout=empty, story=_unwritten, checks=(), faults=())
F03: Final = Acts(layout=empty, story=_unwritten, checks=(), faults=())
F04: Final = Acts(layout=empty, story=_unwritten, checks=(), faults=())
