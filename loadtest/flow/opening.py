"""F06 and F07: user opening, waited for and not (用户开户)."""

from typing import Final

from loadtest.flow.flow import Acts, Run
from loadtest.flow.layouts import empty
from loadtest.process import StackError


async def _unwritten(run: Run) -> None:
    raise StackError("this story is not written yet")


F06: Final = Acts(layout=empty, story=_unwritten, checks=(), faults=())
F07: Final = Acts(layout=empty, story=_unwritten, checks=(), faults=())
