"""The DSMP dialect: what goes onto the wire for each kind of peer, and what each answer means."""

from collections.abc import Mapping
from itertools import product
from typing import Final

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters import dsmp
from adapters.dsmp import CLOSE, DSMP, NAMESPACE, OPEN, PAUSE, RESUME
from hlrd.codec import soap
from hlrd.codec.base import UnsafeValue
from hlrd.codec.http import HTTPReply, HTTPRequests
from hlrd.codec.soap import Message
from hlrd.domain.errors import ProtocolError
from hlrd.domain.operation import Details, Operation, Task
from hlrd.domain.outcome import Outcome, Verdict
from hlrd.ne.adapter import Account, AccountError
from tests.adapters.conformance import a_binding, a_task, the_replies

OPERATIONS: Final = (OPEN, PAUSE, RESUME, CLOSE)


def an_adapter(host: str = "ne1.example", **options: str) -> DSMP:
    return DSMP(Account(host, 8080, options=options), the_replies("dsmp"))


def sent(adapter: DSMP, task: Task) -> Message:
    [request] = HTTPRequests().feed(adapter.encode(task, None))
    return soap.parse(request.body, NAMESPACE)


def an_answer(hret: str, *, transaction: str = "1", name: str = dsmp.REPLY) -> HTTPReply:
    template = soap.Template(name, NAMESPACE, {"hRet": None}, {"TransactionID": None})
    return HTTPReply(200, template.fill((transaction, hret)))


def a_fault(code: str, text: str = "no") -> bytes:
    return (
        f'<s:Envelope xmlns:s="{soap.ENVELOPE}"><s:Body><s:Fault><faultcode>{code}</faultcode>'
        f"<faultstring>{text}</faultstring></s:Fault></s:Body></s:Envelope>"
    ).encode()


def judged(operation: Operation, hret: int | str, **options: str) -> Outcome:
    return an_adapter(**options).classify(a_task(operation), an_answer(str(hret)))


# What is sent.


def test_a_request_carries_every_field_of_the_interface() -> None:
    adapter = an_adapter(device_id="0023", sp_id="900002", sp_service_id="M2M")

    message = sent(adapter, a_task(OPEN, transaction="00230000000001"))

    assert message.header == {"TransactionID": "00230000000001"}
    assert message.name == "SyncOrderRelationReq"
    assert message.fields == {
        "Version": "1.5.0",
        "MsgType": "SyncOrderRelationReq",
        "Send_Address/DeviceType": "0",
        "Send_Address/DeviceID": "0023",
        "Dest_Address/DeviceType": "400",
        "Dest_Address/DeviceID": "0",
        "FeeUser_ID/UserIDType": "1",
        "FeeUser_ID/MSISDN": "1064900000001",
        "FeeUser_ID/PseudoCode": "",
        "DestUser_ID/UserIDType": "1",
        "DestUser_ID/MSISDN": "1064900000001",
        "DestUser_ID/PseudoCode": "",
        "LinkID": "",
        "ActionID": "1",
        "ActionReasonID": "1",
        "SPID": "900002",
        "SPServiceID": "M2M",
        "AccessMode": "1",
        "FeatureStr": "",
    }


@pytest.mark.parametrize(
    ("peer", "golden"),
    [
        ("misc", {OPEN: ("1", "1"), CLOSE: ("2", "6"), RESUME: ("3", "4"), PAUSE: ("4", "3")}),
        ("market", {OPEN: ("1", "1"), PAUSE: ("2", "2"), CLOSE: ("3", "2"), RESUME: ("4", "2")}),
        ("crm", {OPEN: ("1", "1"), CLOSE: ("2", "6"), PAUSE: ("3", "3"), RESUME: ("4", "4")}),
    ],
)
def test_each_kind_of_peer_numbers_the_actions_in_its_own_way(
    peer: str, golden: Mapping[Operation, tuple[str, str]]
) -> None:
    adapter = an_adapter(peer=peer)

    messages = {operation: sent(adapter, a_task(operation)).fields for operation in OPERATIONS}

    assert {
        operation: (fields["ActionID"], fields["ActionReasonID"])
        for operation, fields in messages.items()
    } == golden


def test_the_default_peer_is_misc() -> None:
    assert [sent(an_adapter(), a_task(each)).fields["ActionID"] for each in OPERATIONS] == [
        "1",
        "4",
        "3",
        "2",
    ]


def of_a_product(task: Task, **changes: str) -> Task:
    attributes = {"sp_id": "900002", "sp_service_id": "VIDEO01"} | changes
    details = Details(product="IOT.V-1", version=12, text="物联网视频 <1>", attributes=attributes)
    return msgspec.structs.replace(task, details=details)


@pytest.mark.parametrize("operation", OPERATIONS)
def test_a_relation_of_a_product_names_its_own_service(operation: Operation) -> None:
    adapter = an_adapter(sp_id="900001", sp_service_id="IOTBASE")

    base = sent(adapter, a_task(operation)).fields
    own = sent(adapter, of_a_product(a_task(operation))).fields

    named = {"SPID": "900002", "SPServiceID": "VIDEO01"}
    assert {name: own[name] for name in own if own[name] != base[name]} == named
    assert "SPServiceID=VIDEO01" in adapter.masked(of_a_product(a_task(operation)))
    assert sent(adapter, a_task(operation)).fields == base


def test_a_publication_names_service_and_product() -> None:
    message = sent(an_adapter(device_id="0023"), of_a_product(a_task(dsmp.PUBLISH)))

    assert message.name == "SyncServiceReq"
    assert message.fields == {
        "Version": "1.5.0",
        "MsgType": "SyncServiceReq",
        "Send_Address/DeviceType": "0",
        "Send_Address/DeviceID": "0023",
        "Dest_Address/DeviceType": "400",
        "Dest_Address/DeviceID": "0",
        "SPID": "900002",
        "SPServiceID": "VIDEO01",
        "ProductID": "IOT.V-1",
        "ProductVersion": "12",
        "ProductName": "物联网视频 <1>",
    }


@pytest.mark.parametrize("operation", [*OPERATIONS, dsmp.PUBLISH])
@pytest.mark.parametrize(
    "changes",
    [
        {"sp_id": "90000"},
        {"sp_id": "9000021"},
        {"sp_service_id": "a<b"},
        {"sp_service_id": "A" * 11},
    ],
)
def test_a_service_that_is_none_is_never_sent(
    operation: Operation, changes: dict[str, str]
) -> None:
    with pytest.raises(UnsafeValue):
        an_adapter().encode(of_a_product(a_task(operation), **changes), None)


def test_the_answer_to_a_publication_is_no_answer_to_anything_else() -> None:
    adapter = an_adapter()
    asked = {
        dsmp.REPLY: adapter.encode(a_task(OPEN, transaction="1"), None),
        dsmp.PUBLICATION_REPLY: adapter.encode(
            of_a_product(a_task(dsmp.PUBLISH, transaction="1")), None
        ),
    }

    for (name, request), told in product(asked.items(), asked):
        assert adapter.echoes(request, an_answer("0", name=told)) == (name == told)


@pytest.mark.parametrize("operation", OPERATIONS)
def test_a_resend_is_the_same_to_the_byte(operation: Operation) -> None:
    adapter = an_adapter()
    task = a_task(operation, transaction="77")

    assert adapter.encode(task, None) == adapter.encode(task, None)
    assert adapter.read_back(task) is None


TEMPTING: Final = st.one_of(
    st.text(max_size=20),
    st.from_regex(r"[0-9]{11}([0-9]{2})?[\n\r <&1]?", fullmatch=True),
    st.text("017a\n\r\0<>&\"'; １", max_size=13),
)


@given(TEMPTING, TEMPTING)
def test_a_task_is_refused_or_read_back_from_the_wire_as_it_was(
    transaction: str, msisdn: str
) -> None:
    adapter = an_adapter()
    task = a_task(OPEN, transaction=transaction or " ", binding=a_binding(msisdn=msisdn))

    try:
        wire = adapter.encode(task, None)
    except UnsafeValue:
        return

    [request] = HTTPRequests().feed(wire)
    message = soap.parse(request.body, NAMESPACE)
    assert message.header == {"TransactionID": transaction}
    assert message.fields["FeeUser_ID/MSISDN"] == message.fields["DestUser_ID/MSISDN"] == msisdn
    assert message.fields | {"FeeUser_ID/MSISDN": "", "DestUser_ID/MSISDN": ""} == {
        **sent(adapter, a_task(OPEN)).fields,
        "FeeUser_ID/MSISDN": "",
        "DestUser_ID/MSISDN": "",
    }


@pytest.mark.parametrize(
    "msisdn", ["", "1064900000001\n", "106490000000１", "10649000<001", "106490000000", "+8613800"]
)
def test_a_number_that_is_none_is_never_sent(msisdn: str) -> None:
    with pytest.raises(UnsafeValue):
        an_adapter().encode(a_task(OPEN, binding=a_binding(msisdn=msisdn)), None)


@pytest.mark.parametrize("transaction", ["1\n", "1\r\nX: y", "<a/>", "&amp;", "１", "x" * 65])
def test_a_transaction_that_is_no_token_is_never_sent(transaction: str) -> None:
    with pytest.raises(UnsafeValue):
        an_adapter().encode(a_task(OPEN, transaction=transaction), None)


def test_the_host_header_names_host_and_port() -> None:
    assert b"\r\nHost: ne1.example:8080\r\n" in an_adapter().keepalive()
    assert b"\r\nHost: [::1]:8080\r\n" in an_adapter(host="::1").keepalive()


def test_people_see_what_is_done_to_whom() -> None:
    shown = an_adapter().masked(a_task(PAUSE, transaction="77"))

    assert shown == (
        "SyncOrderRelationReq:TransactionID=77,MSISDN=1064900000001,"
        "ActionID=4,ActionReasonID=3,SPServiceID=IOTBASE"
    )


# What an answer means.

FOR_ANY: Final = {
    0: Verdict.DONE,
    1: Verdict.TRANSIENT,
    **dict.fromkeys(range(4000, 4007), Verdict.PERMANENT),
    **dict.fromkeys(range(9000, 9003), Verdict.TRANSIENT),
    **dict.fromkeys(range(9003, 9008), Verdict.BUSY),
    **dict.fromkeys(range(9008, 9010), Verdict.TRANSIENT),
    **dict.fromkeys(range(9010, 9016), Verdict.PERMANENT),
}
FOR_ONE: Final = {
    4007: (OPEN, Verdict.NO_CHANGE),
    4008: (OPEN, Verdict.TRANSIENT),
    4009: (OPEN, Verdict.PREREQUISITE),
    4010: (CLOSE, Verdict.TRANSIENT),
    4011: (CLOSE, Verdict.NO_CHANGE),
    4012: (PAUSE, Verdict.TRANSIENT),
    4013: (PAUSE, Verdict.PERMANENT),
    4014: (PAUSE, Verdict.NO_CHANGE),
    4015: (RESUME, Verdict.NO_CHANGE),
    4016: (RESUME, Verdict.PERMANENT),
    4017: (RESUME, Verdict.TRANSIENT),
}


def test_every_code_of_the_table_is_held_against_the_interface() -> None:
    codes = {row.code for row in the_replies("dsmp").rows}

    assert {int(code) for code in codes if code and code.isdigit()} == {*FOR_ANY, *FOR_ONE}


@pytest.mark.parametrize(("operation", "hret"), list(product(OPERATIONS, FOR_ANY)))
def test_a_code_for_any_action_says_what_to_do(operation: Operation, hret: int) -> None:
    outcome = judged(operation, hret)

    assert (outcome.verdict, outcome.code, outcome.is_known) == (FOR_ANY[hret], str(hret), True)
    assert outcome.text


@pytest.mark.parametrize(("operation", "hret"), list(product(OPERATIONS, FOR_ONE)))
def test_a_code_for_one_action_blames_the_peer_option_on_any_other(
    operation: Operation, hret: int
) -> None:
    fitting, verdict = FOR_ONE[hret]

    outcome = judged(operation, hret)

    if operation is fitting:
        assert (outcome.verdict, outcome.is_known) == (verdict, True)
    else:
        assert (outcome.verdict, outcome.is_known) == (Verdict.PERMANENT, False)
        assert "another operation" in outcome.text


def test_a_paused_relation_is_resumed_before_it_counts_as_open() -> None:
    assert judged(OPEN, 4009).then is RESUME


@given(st.integers(0, 999_999_999).filter(lambda code: code not in {*FOR_ANY, *FOR_ONE}))
def test_a_code_of_no_table_is_permanent_and_counted(hret: int) -> None:
    outcome = judged(OPEN, hret)

    assert (outcome.verdict, outcome.code, outcome.is_known) == (
        Verdict.PERMANENT,
        str(hret),
        False,
    )


@pytest.mark.parametrize("hret", ["0", " 0 ", "\n0\n", "0000"])
def test_an_hret_is_a_number_however_it_is_laid_out(hret: str) -> None:
    assert judged(OPEN, hret).verdict is Verdict.DONE


@pytest.mark.parametrize("hret", ["", "ok", "-1", "0x0", "０", "1e3", "1234567890"])
def test_an_hret_that_is_no_number_breaks_the_protocol(hret: str) -> None:
    with pytest.raises(ProtocolError):
        judged(OPEN, hret)


@pytest.mark.parametrize(
    ("status", "verdict"),
    [
        (429, Verdict.BUSY),
        (503, Verdict.BUSY),
        (500, Verdict.TRANSIENT),
        (502, Verdict.TRANSIENT),
        (504, Verdict.TRANSIENT),
        (408, Verdict.TRANSIENT),
        (301, Verdict.PERMANENT),
        (400, Verdict.PERMANENT),
        (401, Verdict.PERMANENT),
        (403, Verdict.PERMANENT),
        (404, Verdict.PERMANENT),
        (405, Verdict.PERMANENT),
    ],
)
def test_an_http_status_says_what_to_do(status: int, verdict: Verdict) -> None:
    outcome = an_adapter().classify(a_task(OPEN), HTTPReply(status, b"<html/>"))

    assert (outcome.verdict, outcome.code) == (verdict, f"HTTP {status}")


def test_people_are_told_when_a_busy_peer_wants_to_be_asked_again() -> None:
    reply = HTTPReply(503, b"", retry_after_s=7.0)

    assert "7 s" in an_adapter().classify(a_task(OPEN), reply).text


@pytest.mark.parametrize("status", [200, 500])
@pytest.mark.parametrize(
    ("code", "verdict"),
    [
        ("s:Server", Verdict.TRANSIENT),
        ("Server", Verdict.TRANSIENT),
        ("s:Client", Verdict.PERMANENT),
        ("Client.Authentication", Verdict.PERMANENT),
        ("s:VersionMismatch", Verdict.PERMANENT),
        ("s:MustUnderstand", Verdict.PERMANENT),
        ("", Verdict.TRANSIENT),
    ],
)
def test_a_soap_fault_blames_the_peer_or_the_message(
    status: int, code: str, verdict: Verdict
) -> None:
    outcome = an_adapter().classify(a_task(OPEN), HTTPReply(status, a_fault(code, "why")))

    assert (outcome.verdict, outcome.text) == (verdict, "why")


@pytest.mark.parametrize(
    "body",
    [b"", b"OK", b"<html><body>it works</body></html>", an_answer("0", name="Other").body],
    ids=["empty", "text", "html", "another message"],
)
def test_a_200_that_is_no_answer_is_a_session_out_of_step(body: bytes) -> None:
    adapter = an_adapter()
    request = adapter.encode(a_task(OPEN, transaction="1"), None)
    reply = HTTPReply(200, body)

    assert not adapter.echoes(request, reply)
    with pytest.raises(ProtocolError):
        adapter.classify(a_task(OPEN, transaction="1"), reply)


# Which request an answer answers.


@pytest.mark.parametrize(
    ("header", "field", "is_ours"),
    [
        ("77", None, True),
        (None, "77", True),
        ("77", "77", True),
        (" 77 ", None, True),
        ("78", None, False),
        ("77", "78", False),
        (None, None, False),
        ("", None, False),
    ],
)
def test_an_answer_names_the_transaction_that_it_answers(
    header: str | None, field: str | None, is_ours: bool
) -> None:
    adapter = an_adapter()
    request = adapter.encode(a_task(OPEN, transaction="77"), None)
    in_header = {} if header is None else {"TransactionID": header}
    in_body = {} if field is None else {"TransactionID": field}
    template = soap.Template(dsmp.REPLY, NAMESPACE, {"hRet": "0", **in_body}, in_header)

    assert adapter.echoes(request, HTTPReply(200, template.fill(()))) is is_ours


@pytest.mark.parametrize(
    "reply",
    [HTTPReply(503, b""), HTTPReply(500, a_fault("s:Server")), HTTPReply(200, a_fault("s:Server"))],
    ids=["busy", "fault", "fault by 200"],
)
def test_what_is_not_the_dsmp_speaking_names_no_transaction(reply: HTTPReply) -> None:
    adapter = an_adapter()

    assert adapter.echoes(adapter.encode(a_task(OPEN), None), reply)


def test_any_answer_to_a_keepalive_proves_life() -> None:
    adapter = an_adapter()

    for reply in (HTTPReply(200, b"<html/>"), HTTPReply(405, b""), HTTPReply(200, b"")):
        assert adapter.echoes(adapter.keepalive(), reply)


def test_a_reply_says_when_the_connection_ends_behind_it() -> None:
    adapter = an_adapter()

    assert adapter.is_last(HTTPReply(200, b"", keep_alive=False))
    assert not adapter.is_last(HTTPReply(200, b""))


def test_there_is_no_login() -> None:
    assert an_adapter().login() is None
    assert an_adapter().logout() is None


# Settings.


@pytest.mark.parametrize(
    "options",
    [
        {"peer": "province"},
        {"peer": ""},
        {"path": "dsmp"},
        {"path": "/a b"},
        {"path": "/a\r\nX: y"},
        {"sp_id": ""},
        {"sp_id": "9\n"},
        {"sp_service_id": "\ue000"},
        {"device_id": "x" * 65},
        {"devise_id": "1"},
        {"code.4711": "noChange"},
    ],
    ids=repr,
)
def test_settings_of_no_use_are_refused_when_the_adapter_is_built(options: dict[str, str]) -> None:
    with pytest.raises(AccountError):
        an_adapter(**options)


def test_an_unknown_peer_is_answered_by_those_there_are() -> None:
    with pytest.raises(AccountError, match=r"'province'.*crm.*market.*misc"):
        an_adapter(peer="province")


def test_a_host_that_is_none_is_refused_when_the_adapter_is_built() -> None:
    with pytest.raises(AccountError):
        an_adapter(host="ne1\r\nX: y")
