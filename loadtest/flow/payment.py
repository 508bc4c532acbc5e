"""F12, F13 and F14: payment resume under each master, and in backup (缴费开机)."""

from typing import Final

from loadtest.flow.flow import Acts, Run
from loadtest.flow.layouts import empty
from loadtest.process import StackError


async def _unwritten(run: Run) -> None:
    raise StackError("this story is not written yet")


F12: Final = Acts(layout=empty, story=_unwritten, checks=(), faults=())
F13: Final = Acts(layout=empty, story=_unwritten, checks=(), faults=())
F14: Final = Acts(layout=empty, story=_unwritten, checks=(), faults=())
