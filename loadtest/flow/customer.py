"""F05: customer opening (客户开户), of which hlrd hears nothing."""

from typing import Final

from loadtest.flow.flow import Acts, Run
from loadtest.flow.layouts import empty
from loadtest.process import StackError


async def _unwritten(run: Run) -> None:
    raise StackError("this story is not written yet")


F05: Final = Acts(layout=empty, story=_unwritten, checks=(), faults=())
