"""The dialect of the EOMS: which sheet a task is about, and what is never sent."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from adapters.eoms import ABOUT_CHARACTERS_MAX, CLOSE, EOMS, FALLOUT, KIND, OPEN, WITHDRAW, number
from hlrd.codec.base import UnsafeValue
from hlrd.codec.http import HTTPRequest, HTTPRequests
from hlrd.domain.operation import NOBODY, Details, Operation, Task
from hlrd.domain.plans.plan import undo
from hlrd.ne.adapter import Account
from tests.adapters.conformance import SHEET, a_task, the_replies

FALLEN = Details(attributes={KIND: FALLOUT, "order": "17", "ne": "hlr1", "code": "3012"})


def an_adapter() -> EOMS:
    return EOMS(Account("ne1.example", 8080), the_replies("eoms"))


def sheet_task(operation: Operation = OPEN, details: Details = SHEET, **changes: Any) -> Task:
    return replace(a_task(operation, transaction="1701", details=details), **changes)


def sent(task: Task) -> HTTPRequest:
    [request] = HTTPRequests().feed(an_adapter().encode(task, None))
    return request


@given(st.from_regex(r"[1-9][0-9]{0,18}[0-9]{2}", fullmatch=True))
def test_what_undoes_a_sheet_and_what_follows_it_are_about_the_same_sheet(serial: str) -> None:
    opened = sheet_task(transaction=serial)
    ((undone,),) = undo([opened])
    closed = sheet_task(CLOSE, transaction=f"{serial}p", details=Details())

    assert undone.operation is WITHDRAW
    assert {number(task) for task in (opened, undone, closed)} == {f"W{serial}"}


def test_a_fallout_has_a_sheet_beside_those_of_the_order() -> None:
    assert number(sheet_task(details=FALLEN)) == "F1701"


def test_a_sheet_says_what_is_known_and_leaves_out_the_rest() -> None:
    work, fallout = sent(sheet_task()), sent(sheet_task(details=FALLEN, binding=NOBODY))

    assert json.loads(work.body) == {
        "kind": "work",
        "text": SHEET.text,
        "user_id": "1001",
        "msisdn": "1064900000001",
        "order": "17",
    }
    assert json.loads(fallout.body) == {
        "kind": "fallout",
        "text": "",
        "order": "17",
        "ne": "hlr1",
        "code": "3012",
    }


def test_a_sheet_is_withdrawn_and_closed_by_resources_of_its_own() -> None:
    asked = [sent(sheet_task(operation)) for operation in (WITHDRAW, CLOSE)]

    assert [(each.method, each.target) for each in asked] == [
        ("DELETE", "/eoms/v1/sheets/W1701"),
        ("PUT", "/eoms/v1/sheets/W1701/closing"),
    ]


@pytest.mark.parametrize(
    "task",
    [
        sheet_task(transaction="x1"),
        sheet_task(details=Details(attributes={KIND: "wish"})),
        sheet_task(details=Details(attributes={"ne": "x" * (ABOUT_CHARACTERS_MAX + 1)})),
        sheet_task(details=Details(text="x" * 2_001)),
    ],
    ids=["no number", "no kind", "too long a name", "too long a text"],
)
def test_what_is_fit_for_no_sheet_is_never_sent(task: Task) -> None:
    with pytest.raises(UnsafeValue):
        an_adapter().encode(task, None)
