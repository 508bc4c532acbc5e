"""F17, F18 and F19: product subscription of an enterprise (集团产品订购)."""

from typing import Final

from loadtest.flow.flow import Acts, Run
from loadtest.flow.layouts import empty
from loadtest.process import StackError


async def _unwritten(run: Run) -> None:
    raise StackError("this story is not written yet")


F17: Final = Acts(layout=empty, story=_unwritten, checks=(), faults=())
F18: Final = Acts(layout=empty, story=_unwritten, checks=(), faults=())
F19: Final = Acts(layout=empty, story=_unwritten, checks=(), faults=())
