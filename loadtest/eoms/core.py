"""The sheets of an emulated EOMS and what becomes of them: no socket, clock or chance.

Whoever opened a sheet may withdraw it, and closes it in the end. People acknowledge it and reply to
it, by the control port or by themselves (`loadtest.eoms.people`). What they have done already only
they can take back, so its withdrawal waits for them as well.
"""

import re
from collections import Counter
from collections.abc import Callable
from enum import StrEnum
from typing import Annotated, Final, Literal

import msgspec
from msgspec import UNSET, Meta, Struct, UnsetType

from adapters.eoms import ABOUT_CHARACTERS_MAX, EOMS, TEXT_CHARACTERS_MAX
from adapters.json_platform import (
    DELETE,
    DONE,
    FOUND,
    HEALTH,
    NOT_FOUND,
    PENDING,
    PUT,
    UNCHANGED,
    Answer,
)
from hlrd.codec import jsonhttp
from hlrd.codec.http import HTTPRequest
from loadtest.jsonpeer import Served, Work, refusal

SHEETS_MAX: Final = 200_000
"""At about 1 kB each, 200 MB; beyond it the EOMS is full."""

_KEY: Final = re.compile(rf"{jsonhttp.KEY_PATTERN}\Z")
_SHEET: Final = re.compile(r"/sheets/(?P<number>[WF][0-9]{1,32})(?P<closing>/closing)?\Z")

Short = Annotated[str, Meta(min_length=1, max_length=ABOUT_CHARACTERS_MAX)]
Text = Annotated[str, Meta(max_length=TEXT_CHARACTERS_MAX)]


class State(StrEnum):
    OPEN = "open"
    ACKNOWLEDGED = "acknowledged"
    REPLIED = "replied"
    WITHDRAWING = "withdrawing"  #: it was done, and people are to take it back
    KEPT = "kept"  #: … and say that they cannot
    WITHDRAWN = "withdrawn"
    CLOSED = "closed"


class Result(StrEnum):
    DONE = "done"
    CANNOT_BE_DONE = "cannotBeDone"
    WITHDRAWN = "withdrawn"
    RESEND = "resend"  #: of a fallout: what is to become of its order
    CANCEL = "cancel"


WITH_PEOPLE: Final = frozenset({State.OPEN, State.ACKNOWLEDGED, State.WITHDRAWING})


class Content(Struct, frozen=True, omit_defaults=True, forbid_unknown_fields=True):
    """What a sheet says when it is opened."""

    kind: Literal["work", "fallout"]
    text: Text = ""
    user_id: Short | UnsetType = UNSET
    msisdn: Short | UnsetType = UNSET
    order: Short | UnsetType = UNSET
    ne: Short | UnsetType = UNSET
    code: Short | UnsetType = UNSET


class Nothing(Struct, frozen=True, forbid_unknown_fields=True):
    """What a closing says."""


class Sheet(Struct, omit_defaults=True):
    number: str
    content: Content
    opened_by: str  #: Idempotency-Key
    changed_by: str
    state: State = State.OPEN
    result: Result | None = None
    reply: str = ""  #: what people say
    by: str = ""  #: who said it, or is at it


class Word(Struct, frozen=True, forbid_unknown_fields=True):
    """What people answer."""

    result: Literal["done", "cannotBeDone", "resend", "cancel"]
    by: Short
    text: Text = ""


class NotNow(Exception):
    """People cannot do this with the sheet; the text says why."""


CONTENTS: Final = msgspec.json.Decoder(Content)
_NOTHING: Final = msgspec.json.Decoder(Nothing)


class Office:
    """All sheets. `on_change` is told of each sheet that changed, before it is answered."""

    def __init__(
        self, on_change: Callable[[Sheet], None], *, path: str = EOMS.path, token: str = ""
    ) -> None:
        self._base = path
        self._authorization = f"Bearer {token}" if token else ""
        self._on_change = on_change
        self.sheets: dict[str, Sheet] = {}
        self.counts: Counter[State] = Counter()

    def read(self, request: HTTPRequest) -> Work | Served:
        resource = request.target.removeprefix(self._base)
        if resource == request.target:
            return refusal(request.target, request.key, 404, "NO_SUCH_RESOURCE")
        if self._authorization and request.authorization != self._authorization:
            return refusal(resource, request.key, 401, "UNAUTHORIZED")
        if resource == HEALTH and request.method == "GET":
            return Served(200, Answer(HEALTH, DONE))
        named = _SHEET.match(resource)
        if named is None:
            return refusal(resource, request.key, 404, "NO_SUCH_RESOURCE")
        if request.method == "GET" and not named["closing"]:
            return self._find(named["number"], resource)
        return _change(request, resource, is_closing=bool(named["closing"]))

    def execute(self, work: Work) -> Served:
        number = work.resource.split("/")[2]
        sheet = self.sheets.get(number)
        if work.command == "OPEN":
            return self._open(work, number, sheet)
        if sheet is None:
            return refusal(work.resource, work.key, 404, NOT_FOUND)
        return self._withdraw(work, sheet) if work.command == "WITHDRAW" else self._end(work, sheet)

    def put(self, sheet: Sheet) -> None:
        """As an earlier run kept it."""
        before = self.sheets.get(sheet.number)
        if before is not None:
            self.counts[before.state] -= 1
        self.counts[sheet.state] += 1
        self.sheets[sheet.number] = sheet

    def acknowledge(self, number: str, by: str) -> Sheet:
        """Raises KeyError for a sheet that is not there, or NotNow."""
        sheet = self._with_people(number)
        sheet.by = by
        is_new = sheet.state is State.OPEN
        return self._move(sheet, State.ACKNOWLEDGED if is_new else sheet.state)

    def reply(self, number: str, word: Word) -> Sheet:
        """Raises as `acknowledge` does."""
        sheet = self._with_people(number)
        if word.result in (Result.RESEND, Result.CANCEL) and sheet.content.kind != "fallout":
            raise NotNow(f"sheet {number} is about no order that fell out")
        sheet.by, sheet.reply = word.by, word.text
        if sheet.state is not State.WITHDRAWING:
            sheet.result = Result(word.result)
            return self._move(sheet, State.REPLIED)
        if word.result == "cannotBeDone":
            return self._move(sheet, State.KEPT)
        sheet.result = Result.WITHDRAWN
        return self._move(sheet, State.WITHDRAWN)

    def _with_people(self, number: str) -> Sheet:
        sheet = self.sheets[number]
        if sheet.state not in WITH_PEOPLE:
            raise NotNow(f"sheet {number} is {sheet.state}")
        return sheet

    def _find(self, number: str, resource: str) -> Served:
        sheet = self.sheets.get(number)
        if sheet is None:
            return refusal(resource, "", 404, NOT_FOUND)
        answer = Answer(
            resource, FOUND, sheet.changed_by, state="confirmed", content=_content(sheet)
        )
        return Served(200, answer)

    def _open(self, work: Work, number: str, sheet: Sheet | None) -> Served:
        content = CONTENTS.decode(work.body)
        if sheet is not None:
            return self._open_again(work, sheet, content)
        if len(self.sheets) >= SHEETS_MAX:
            return _told(work, 507, "FULL")
        opened = Sheet(number, content, work.key, work.key)
        self.counts[State.OPEN] += 1
        self.sheets[number] = opened
        self._on_change(opened)
        return _told(work, 202, PENDING, has_effect=True)

    def _open_again(self, work: Work, sheet: Sheet, content: Content) -> Served:
        if sheet.opened_by != work.key:
            return _told(work, 409, "SHEET_DIFFERENT")
        is_same = sheet.content == content
        return _told(work, 202, PENDING) if is_same else _told(work, 422, "KEY_REUSED")

    def _withdraw(self, work: Work, sheet: Sheet) -> Served:
        if sheet.state is State.WITHDRAWING:
            return _told(work, 202, PENDING)
        if sheet.state is State.KEPT:
            return _told(work, 409, "SHEET_DONE")
        if sheet.state is State.WITHDRAWN or (
            sheet.state is State.CLOSED and sheet.result is not Result.DONE
        ):
            return _told(work, 200, UNCHANGED)
        if sheet.result is Result.DONE:
            sheet.reply = sheet.by = ""
            self._move(sheet, State.WITHDRAWING, work.key)
            return _told(work, 202, PENDING, has_effect=True)
        sheet.result = sheet.result or Result.WITHDRAWN
        self._move(sheet, State.WITHDRAWN, work.key)
        return _told(work, 200, DONE, has_effect=True)

    def _end(self, work: Work, sheet: Sheet) -> Served:
        """A fallout may be over before anybody looked at it; work must have been answered."""
        if sheet.state is State.CLOSED:
            return _told(work, 200, UNCHANGED)
        is_fallout = sheet.content.kind == "fallout" and sheet.state is not State.WITHDRAWING
        if sheet.state in WITH_PEOPLE and not is_fallout:
            return _told(work, 409, "SHEET_OPEN")
        self._move(sheet, State.CLOSED, work.key)
        return _told(work, 200, DONE, has_effect=True)

    def _move(self, sheet: Sheet, state: State, key: str = "") -> Sheet:
        self.counts[sheet.state] -= 1
        self.counts[state] += 1
        sheet.state = state
        sheet.changed_by = key or sheet.changed_by
        self._on_change(sheet)
        return sheet


def _change(request: HTTPRequest, resource: str, *, is_closing: bool) -> Work | Served:
    method, key, body = request.method, request.key, request.body
    command = "CLOSE" if is_closing else {PUT: "OPEN", DELETE: "WITHDRAW"}.get(method, "")
    if not command or (is_closing and method != PUT):
        return refusal(resource, key, 405, "MALFORMED")
    if not _KEY.match(key):
        return refusal(resource, key, 400, "KEY_MISSING")
    if method == DELETE and body:
        return refusal(resource, key, 400, "MALFORMED")
    try:
        content = None if method == DELETE else _read(body, is_closing=is_closing)
    except (ValueError, RecursionError) as error:
        return refusal(resource, key, 400, "MALFORMED", str(error))
    return Work(command, method, resource, content, key, body)


def _read(body: bytes, *, is_closing: bool) -> dict[str, object]:
    content: dict[str, object] = msgspec.to_builtins(
        (_NOTHING if is_closing else CONTENTS).decode(body)
    )
    return content


def _told(work: Work, status: int, code: str, *, has_effect: bool = False) -> Served:
    return Served(status, Answer(work.resource, code, work.key), has_effect)


def _content(sheet: Sheet) -> dict[str, object]:
    """As it was opened, and how it stands."""
    stands = {"result": sheet.result, "reply": sheet.reply, "by": sheet.by}
    told = {name: value for name, value in stands.items() if value}
    return {**msgspec.to_builtins(sheet.content), "state": sheet.state, **told}
