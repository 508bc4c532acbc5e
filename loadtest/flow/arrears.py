"""F10 and F11: arrears suspension under each master of user state (欠费停机)."""

from typing import Final

from loadtest.flow.flow import Acts, Run
from loadtest.flow.layouts import empty
from loadtest.process import StackError


async def _unwritten(run: Run) -> None:
    raise StackError("this story is not written yet")


F10: Final = Acts(layout=empty, story=_unwritten, checks=(), faults=())
F11: Final = Acts(layout=empty, story=_unwritten, checks=(), faults=())
