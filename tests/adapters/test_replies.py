"""Every row of every dialect's table of replies, through its adapter."""

from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final

import msgspec
import pytest

from adapters import DIALECTS
from adapters.dsmp import NAMESPACE, REPLY
from adapters.eoms import content_of
from adapters.hss_soap import NO_LOCATION, TOKEN_LENGTH
from hlrd.codec import hss, soap
from hlrd.codec.cai import CAIReply
from hlrd.codec.http import HTTPReply
from hlrd.codec.ipa import Answer, CTRLReply
from hlrd.codec.mml import MMLReply
from hlrd.domain.operation import Operation
from hlrd.domain.outcome import Outcome, Verdict
from hlrd.ne.adapter import Account, Adapter
from hlrd.ne.replies import Asked, Row
from tests.adapters.conformance import (
    EMULATED,
    PLATFORMS,
    RELAYS,
    an_adapter,
    the_replies,
    the_task,
)


def _mml(sample: str) -> MMLReply:
    if sample.startswith("SUCCESS"):
        return MMLReply(b"", (0,), sample, "", b"")
    return MMLReply(b"", (int(sample),), "", "", b"")


def _dsmp(sample: str) -> HTTPReply:
    kind, _, rest = sample.partition(" ")
    if kind == "HTTP":
        return HTTPReply(int(rest), b"")
    if kind == "Fault":
        fault = f"<s:Fault><faultcode>s:{rest}</faultcode><faultstring>no</faultstring></s:Fault>"
        envelope = f'<s:Envelope xmlns:s="{soap.ENVELOPE}"><s:Body>{fault}</s:Body></s:Envelope>'
        return HTTPReply(500, envelope.encode())
    template = soap.Template(REPLY, NAMESPACE, {"hRet": None}, {"TransactionID": None})
    return HTTPReply(200, template.fill(("1", sample)))


def _hss(sample: str) -> HTTPReply:
    kind, _, rest = sample.partition(" ")
    if kind == "HTTP":
        return HTTPReply(int(rest), b"")
    if kind == "Fault":
        return HTTPReply(500, hss.fault(rest, "no"))
    is_number = sample.isdigit()
    body = hss.answer("LGI", sample if is_number else "0", "" if is_number else f"{sample}: so")
    location = "" if sample == NO_LOCATION else f"http://127.0.0.1:8002/{'t' * TOKEN_LENGTH}"
    return HTTPReply(200, body, location=location)


def _cai(sample: str) -> CAIReply:
    return CAIReply(sample, "")


def _osmo(sample: str) -> CTRLReply:
    return CTRLReply(1, (Answer("", "", sample),))


def _json(sample: str) -> HTTPReply:
    kind, _, rest = sample.partition(" ")
    if kind == "HTTP":
        return HTTPReply(int(rest), b"<html/>")
    return HTTPReply(200, msgspec.json.encode({"resource": "/x", "code": sample}))


def _eoms(sample: str) -> HTTPReply:
    """A sheet's state is told by what it holds, all else by a code."""
    state, _, result = sample.partition(" ")
    if not state.islower():
        return _json(sample)
    content = {**content_of(the_task("eoms", Operation.OPEN_SHEET)), "state": state}
    if result:
        content["result"] = result
    found = {"resource": "/x", "code": "FOUND", "state": "confirmed", "content": content}
    return HTTPReply(200, msgspec.json.encode(found))


SAID: Final[Mapping[str, Callable[[str], Any]]] = {
    "huawei_hlr": _mml,
    "hss_soap": _hss,
    "ericsson_cai": _cai,
    "osmo_hlr": _osmo,
    "dsmp": _dsmp,
    **dict.fromkeys((*PLATFORMS, *RELAYS), _json),
    "eoms": _eoms,
}
"""A reply of the dialect that says what a row's sample says."""


def cases() -> Iterator[Any]:
    for dialect in DIALECTS:
        replies = the_replies(dialect)
        for place, row in enumerate(replies.rows, 1):
            for asked, operation in asked_about(dialect, row):
                if replies.ruling(asked, operation, *spoken(row)) == row.ruling():
                    name = f"{dialect}-{place}-{row.sample()}-{asked}-{operation}"
                    yield pytest.param(dialect, row, asked, operation, id=name)


def asked_about(dialect: str, row: Row) -> Iterator[tuple[Asked, Operation | None]]:
    adapter = an_adapter(dialect)
    if row.asked is Asked.LOGIN:
        yield Asked.LOGIN, None
        return
    for operation in sorted(row.operations or adapter.operations):
        for asked in (Asked.COMMAND, Asked.READ_BACK) if row.asked is None else (row.asked,):
            if (
                asked is Asked.COMMAND
                or adapter.read_back(the_task(dialect, operation)) is not None
            ):
                yield asked, operation


def spoken(row: Row) -> tuple[str, str]:
    if row.code is not None:
        return row.code, ""
    code, _, text = row.example.rpartition(" ") if row.example[:1] == " " else (row.example, "", "")
    return code.strip(), text


def judged(adapter: Adapter[Any], asked: Asked, operation: Operation | None, reply: Any) -> Outcome:
    if operation is None:
        return adapter.classify_login(reply)
    if asked is Asked.READ_BACK:
        return adapter.compare(the_task(adapter.dialect, operation), reply)
    return adapter.classify(the_task(adapter.dialect, operation), reply)


CASES: Final = list(cases())


@pytest.mark.parametrize(("dialect", "row", "asked", "operation"), CASES)
def test_a_row_means_what_it_says(
    dialect: str, row: Row, asked: Asked, operation: Operation | None
) -> None:
    outcome = judged(an_adapter(dialect), asked, operation, SAID[dialect](row.sample()))

    if asked is Asked.READ_BACK and row.means in (Verdict.DONE, Verdict.NO_CHANGE):
        return  # the query was answered: what it found is compared, not looked up
    assert (outcome.verdict, outcome.then, outcome.is_known) == (row.means, row.then, True)


@pytest.mark.parametrize("dialect", list(DIALECTS))
def test_no_row_is_dead(dialect: str) -> None:
    lived = {case.values[1] for case in CASES if case.values[0] == dialect}

    assert set(the_replies(dialect).rows) == lived


@pytest.mark.parametrize("dialect", list(DIALECTS))
def test_a_sites_file_is_heeded_by_the_dialect(dialect: str) -> None:
    operation = EMULATED[dialect].life[0]
    site = the_replies(dialect, '[[reply]]\ncode = "4711"\nmeans = "busy"')
    ours = DIALECTS[dialect](
        Account("127.0.0.1", 7776, "hlrd", "secret-1", EMULATED[dialect].options), site
    )

    assert (
        ours.classify(the_task(dialect, operation), SAID[dialect]("4711")).verdict is Verdict.BUSY
    )
