"""EOMS (电子运维系统): work sheets that people answer, in their own time (docs/ne/eoms.md).

A sheet is taken, and then asked about until it was answered. What its state means is in
`adapters/replies/eoms.toml`.
"""

import re
from collections.abc import Mapping
from typing import Final

from adapters.json_platform import DELETE, FOUND, PUT, Answer, JSONPlatform, Request
from hlrd.codec.base import UnsafeValue
from hlrd.domain.operation import Operation, Task
from hlrd.domain.outcome import Outcome, Verdict
from hlrd.ne.replies import Asked

OPEN: Final = Operation.OPEN_SHEET
WITHDRAW: Final = Operation.WITHDRAW_SHEET
CLOSE: Final = Operation.CLOSE_SHEET

KIND: Final = "kind"
"""Of `Details.attributes`: WORK, unless it says FALLOUT."""

WORK: Final = "work"  #: something to do for an order
FALLOUT: Final = "fallout"  #: an order that failed and that a person must look at

ABOUT: Final = ("order", "ne", "code")
"""Of `Details.attributes`, for a fallout: what failed, where, and what was said there."""

TEXT_CHARACTERS_MAX: Final = 2_000
ABOUT_CHARACTERS_MAX: Final = 64

_LETTER: Final = {WORK: "W", FALLOUT: "F"}
_SERIAL: Final = re.compile(r"[0-9]{1,32}")


class EOMS(JSONPlatform):
    dialect = "eoms"
    operations = frozenset({OPEN, WITHDRAW, CLOSE})
    path = "/eoms/v1"

    def request(self, task: Task) -> Request:
        sheet = f"/sheets/{number(task)}"
        if task.operation is OPEN:
            return Request(PUT, sheet, content_of(task))
        if task.operation is WITHDRAW:
            return Request(DELETE, sheet)
        return Request(PUT, f"{sheet}/closing", {})

    def read_back(self, task: Task) -> bytes:
        return self._service.get(f"/sheets/{number(task)}")

    def compare_found(self, task: Task, found: Answer) -> Outcome:
        """By the table: where the sheet stands, and how it was answered if it was."""
        content = found.content
        if task.operation is OPEN and any(
            content.get(name) != value for name, value in content_of(task).items()
        ):
            return Outcome(Verdict.PERMANENT, FOUND, "a sheet of that number asks something else")
        state, result, text = (str(content.get(name, "")) for name in ("state", "result", "reply"))
        return self._judge(Asked.READ_BACK, task, f"{state} {result}".rstrip(), text)


def number(task: Task) -> str:
    """Of the task's sheet: the same when it is opened, withdrawn and closed, whose transactions
    differ in what follows their digits."""
    serial = _SERIAL.match(task.transaction)
    if serial is None:
        raise UnsafeValue("the transaction of a sheet begins with a number")
    return _LETTER[_kind(task)] + serial[0]


def _kind(task: Task) -> str:
    kind = task.details.attributes.get(KIND, WORK)
    if kind not in _LETTER:
        raise UnsafeValue(f"a sheet is of kind {' or '.join(_LETTER)}")
    return kind


def content_of(task: Task) -> Mapping[str, object]:
    """What is not said is left out."""
    details, binding = task.details, task.binding
    attributes = details.attributes
    said = {
        "user_id": binding.user_id,
        "msisdn": binding.msisdn,
        **{name: attributes.get(name, "") for name in ABOUT},
    }
    if any(len(value) > ABOUT_CHARACTERS_MAX for value in said.values()):
        raise UnsafeValue(f"a sheet is about what has {ABOUT_CHARACTERS_MAX} characters at most")
    if len(details.text) > TEXT_CHARACTERS_MAX:
        raise UnsafeValue(f"a sheet's text has {TEXT_CHARACTERS_MAX} characters at most")
    told = {name: value for name, value in said.items() if value}
    return {KIND: _kind(task), "text": details.text, **told}
