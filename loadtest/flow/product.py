"""F01: a new product, from the desk of CRM to every target (新建产品发布)."""

from typing import Final

from loadtest.flow.flow import Acts, Run
from loadtest.flow.layouts import empty
from loadtest.process import StackError


async def _unwritten(run: Run) -> None:
    raise StackError("this story is not written yet")


F01: Final = Acts(layout=empty, story=_unwritten, checks=(), faults=())
