"""F20, F21, F22, F24 and F25: members and their products (成员开通与业务订购)."""

from typing import Final

from loadtest.flow.flow import Acts, Run
from loadtest.flow.layouts import empty
from loadtest.process import StackError


async def _unwritten(run: Run) -> None:
    raise StackError("this story is not written yet")


F20: Final = Acts(layout=empty, story=_unwritten, checks=(), faults=())
F21: Final = Acts(layout=empty, story=_unwritten, checks=(), faults=())
F22: Final = Acts(layout=empty, story=_unwritten, checks=(), faults=())
F24: Final = Acts(layout=empty, story=_unwritten, checks=(), faults=())
F25: Final = Acts(layout=empty, story=_unwritten, checks=(), faults=())
