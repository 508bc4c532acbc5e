"""F08 and F09: product ordering, waited for and not (产品定购)."""

from typing import Final

from loadtest.flow.flow import Acts, Run
from loadtest.flow.layouts import empty
from loadtest.process import StackError


async def _unwritten(run: Run) -> None:
    raise StackError("this story is not written yet")


F08: Final = Acts(layout=empty, story=_unwritten, checks=(), faults=())
F09: Final = Acts(layout=empty, story=_unwritten, checks=(), faults=())
