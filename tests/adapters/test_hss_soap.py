"""The SOAP dialect: the MML dialect's commands in envelopes, and a login that gives a path."""

from typing import Final

import pytest
from msgspec.structs import replace

from adapters.hss_soap import HSSSOAP, NO_LOCATION
from hlrd.codec import hss
from hlrd.codec.base import UnsafeValue
from hlrd.codec.http import HTTPReply, HTTPRequests
from hlrd.domain.errors import ProtocolError
from hlrd.domain.identity import IMSI
from hlrd.domain.operation import Operation
from hlrd.domain.outcome import Verdict
from hlrd.ne.adapter import Account, AccountError
from tests.adapters.conformance import (
    KEY,
    KI,
    PASSWORD,
    a_binding,
    a_task,
    an_adapter,
    the_replies,
    the_task,
)

DIALECT: Final = "hss_soap"
HEADER: Final = {"login": "header", "path": "/LTEProxy/LTESOAPEndPoint"}
TOKEN: Final = "01M1U6kBFFxv39uhbpNMyvRPcmC5yblhjKeJCCr88SfWZBIJBeNXGBVtvcUoUCP2"
ACCEPTED: Final = hss.answer("LGI", "0", "SUCCESS0001:Operation is successful")
BARRING: Final = a_task(Operation.SET_BARRING)


def adapter(**options: str) -> HSSSOAP:
    made = an_adapter(DIALECT, **options)
    assert isinstance(made, HSSSOAP)
    return made


def an_answer(name: str = "MOD_LCK", code: str = "0", text: str = "") -> HTTPReply:
    return HTTPReply(200, hss.answer(name, code, text))


# --- the login -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "location", [f"http://10.1.2.3:8002/{TOKEN}", f"/{TOKEN}", f"https://hss.example/{TOKEN}"]
)
def test_the_login_gives_the_path_and_the_address_stays(location: str) -> None:
    ours, reply = adapter(), HTTPReply(307, ACCEPTED, location=location)

    assert ours.classify_login(reply).verdict is Verdict.DONE
    assert ours.ticket(reply) == f"/{TOKEN}"


def test_every_command_goes_to_the_path_and_is_otherwise_the_same() -> None:
    ours = adapter()
    request = ours.encode(BARRING, None)

    sent = ours.ticketed(request, f"/{TOKEN}")

    [bare], [ticketed] = HTTPRequests().feed(request), HTTPRequests().feed(sent)
    assert (bare.target, ticketed.target) == ("/", f"/{TOKEN}")
    assert bare.body == ticketed.body
    assert ours.echoes(sent, an_answer())


@pytest.mark.parametrize(
    "location",
    ["", "http://10.1.2.3:8002/", "/a/b", "/a b", f"/{TOKEN}\r\nX: y", "/" + "x" * 200, "//evil"],
)
def test_a_login_that_leads_nowhere_is_no_login(location: str) -> None:
    ours, reply = adapter(), HTTPReply(307, ACCEPTED, location=location)

    outcome = ours.classify_login(reply)

    assert (outcome.verdict, outcome.code) == (Verdict.SESSION, NO_LOCATION)
    assert ours.ticket(reply) is None


@pytest.mark.parametrize(
    ("reply", "verdict"),
    [
        (HTTPReply(200, hss.answer("LGI", "5002", "ERR5002:wrong")), Verdict.PERMANENT),
        (HTTPReply(200, hss.answer("LGI", "5003", "ERR5003:full")), Verdict.BUSY),
        (HTTPReply(307, b""), Verdict.TRANSIENT),
        (HTTPReply(503, b""), Verdict.BUSY),
        (HTTPReply(401, b""), Verdict.PERMANENT),
        (HTTPReply(200, hss.fault("Server", "no")), Verdict.TRANSIENT),
    ],
)
def test_a_login_may_be_refused(reply: HTTPReply, verdict: Verdict) -> None:
    assert adapter().classify_login(reply).verdict is verdict


def test_a_path_that_died_asks_for_a_new_login() -> None:
    for dead in (HTTPReply(307, b""), HTTPReply(404, b""), an_answer(code="5001")):
        assert adapter().classify(BARRING, dead).verdict is Verdict.SESSION


def test_without_a_login_each_request_has_the_credentials() -> None:
    ours = adapter(**HEADER)

    assert ours.login() is ours.logout() is None
    for request in (ours.keepalive(), ours.encode(BARRING, None)):
        [asked] = HTTPRequests().feed(request)
        told = hss.read_request(asked.body)
        assert asked.target == HEADER["path"]
        assert (told.user, told.password) == ("hlrd", PASSWORD)


def test_with_a_login_no_command_has_the_password() -> None:
    assert PASSWORD.encode() not in adapter().encode(BARRING, None)


# --- commands and answers ------------------------------------------------------------------------


@pytest.mark.parametrize("operation", sorted(HSSSOAP.operations))
def test_a_command_is_that_of_the_mml_dialect(operation: Operation) -> None:
    ours, mml = adapter(), an_adapter("huawei_hlr")
    task = the_task(DIALECT, operation)
    key = KEY if operation is Operation.ADD_KEY else None

    [asked] = HTTPRequests().feed(ours.encode(task, key))

    command = hss.read_request(asked.body).command
    assert command.text == mml.encode(task, key)
    assert ours.masked(task) == mml.masked(task)


def test_several_codes_and_wrapped_ones_are_judged_as_in_mml() -> None:
    ours, gone = adapter(), a_task(Operation.REMOVE_KEY)
    wrapped = an_answer("RMV_KI", "10010505", "the NE said: ResultCode=3048;")

    assert ours.classify(gone, an_answer("RMV_KI", "[3001, 3048]")).verdict is Verdict.NO_CHANGE
    assert ours.classify(gone, wrapped).verdict is Verdict.NO_CHANGE


def test_an_answer_to_another_command_or_about_another_card_is_out_of_step() -> None:
    ours = adapter()
    request = ours.encode(BARRING, None)
    query = ours.read_back(BARRING)
    assert query is not None
    shown = HTTPReply(200, hss.answer("LST_LCK", "0", "", [{"IMSI": "001010000000009"}]))

    assert not ours.echoes(request, an_answer("RMV_SUB"))
    assert not ours.echoes(request, HTTPReply(200, b"<html/>"))
    assert not ours.echoes(query, shown)
    assert ours.echoes(request, HTTPReply(502, b"<html/>"))


def test_what_is_no_answer_breaks_the_protocol() -> None:
    with pytest.raises(ProtocolError):
        adapter().classify(BARRING, HTTPReply(200, b"fine"))


def test_a_fault_is_judged_by_its_code_and_quotes_no_secret() -> None:
    reply = HTTPReply(500, hss.fault("Client", f'PWD="{PASSWORD}" and KIVALUE="{KI}"'))

    outcome = adapter().classify(BARRING, reply)

    assert (outcome.verdict, outcome.code) == (Verdict.PERMANENT, "Fault Client")
    assert PASSWORD not in outcome.text
    assert KI not in outcome.text


def test_an_answer_said_again_is_read_once() -> None:
    ours = adapter()
    for _ in range(3):
        assert ours.classify(BARRING, an_answer()).verdict is Verdict.DONE

    assert ours._remembered.cache_info()[:2] == (2, 1)


@pytest.mark.parametrize("imsi", ["", "1<2", '1";RMV SUB', "0010100000000012345"])
def test_no_value_reaches_the_wire_unchecked(imsi: str) -> None:
    task = replace(BARRING, binding=replace(a_binding(), imsi=IMSI(imsi)))

    with pytest.raises(UnsafeValue):
        adapter().encode(task, None)


@pytest.mark.parametrize(
    "options",
    [{"login": "cookie"}, {"path": "/x"}, {"login": "header", "path": "x"}, {"hlrsn": "1;"}],
)
def test_an_option_of_no_use_stops_the_start(options: dict[str, str]) -> None:
    with pytest.raises(AccountError):
        adapter(**options)


def test_options_of_the_mml_dialect_hold_here_too() -> None:
    ours = HSSSOAP(Account("::1", 8002, "hlrd", "p", {"hlrsn": "5"}), the_replies(DIALECT))

    [asked] = HTTPRequests().feed(ours.encode(BARRING, None))
    assert hss.read_request(asked.body).command.params["HLRSN"] == "5"
