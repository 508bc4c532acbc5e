"""The emulated DSMP answers by the real state of each relation, and by the form of each request."""

from collections.abc import Mapping
from typing import Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters import dsmp
from adapters.dsmp import CLOSE, NAMESPACE, OPEN, PAUSE, RESUME
from hlrd.codec import soap
from hlrd.codec.http import HTTPReplies, HTTPRequest
from hlrd.codec.soap import Message, Template
from hlrd.domain.operation import Operation
from loadtest.dsmp import core
from loadtest.dsmp.core import OTHER, Platform, State

MSISDN: Final = "1064900000001"
OPERATIONS: Final = (OPEN, PAUSE, RESUME, CLOSE)
NUMBERS: Final = {OPEN: "1", CLOSE: "2", RESUME: "3", PAUSE: "4"}

FIELDS: Final = {
    "Version": "1.5.0",
    "MsgType": "SyncOrderRelationReq",
    "Send_Address/DeviceType": "0",
    "Send_Address/DeviceID": "0001",
    "Dest_Address/DeviceType": "400",
    "Dest_Address/DeviceID": "0",
    "FeeUser_ID/UserIDType": "1",
    "FeeUser_ID/MSISDN": MSISDN,
    "FeeUser_ID/PseudoCode": "",
    "DestUser_ID/UserIDType": "1",
    "DestUser_ID/MSISDN": MSISDN,
    "DestUser_ID/PseudoCode": "",
    "LinkID": "",
    "ActionID": "1",
    "ActionReasonID": "1",
    "SPID": "900001",
    "SPServiceID": "IOTBASE",
    "AccessMode": "1",
    "FeatureStr": "",
}


def a_request(
    transaction: str = "1", *, name: str = dsmp.REQUEST, without: str = "", **fields: str
) -> HTTPRequest:
    """`fields` by path, `__` for its `/`."""
    given = {path.replace("__", "/"): text for path, text in fields.items()}
    kept = {path: text for path, text in {**FIELDS, **given}.items() if path != without}
    body = Template(name, NAMESPACE, kept, {"TransactionID": transaction}).fill(())
    return HTTPRequest("POST", "/dsmp", body)


def an_alike_request(transaction: str, operation: Operation, msisdn: str = MSISDN) -> HTTPRequest:
    """As the adapter writes it."""
    template = dsmp.template(device_id="0001", sp_id="900001", sp_service_id="IOTBASE")
    values = (transaction, msisdn, msisdn, NUMBERS[operation], "1")
    return HTTPRequest("POST", "/dsmp", template.fill(values))


def answered(platform: Platform, request: HTTPRequest) -> Message:
    [reply] = HTTPReplies().feed(platform.handle(request).reply)
    assert reply.status == 200
    return soap.parse(reply.body, NAMESPACE)


def hret(platform: Platform, request: HTTPRequest) -> int:
    return int(answered(platform, request).fields["hRet"])


def test_an_answer_carries_every_field_of_the_interface() -> None:
    assert answered(Platform(), a_request("77")) == Message(
        "SyncOrderRelationResp",
        {"Version": "1.5.0", "MsgType": "SyncOrderRelationResp", "hRet": "0"},
        {"TransactionID": "77"},
    )


MOVES: Final[Mapping[State | None, Mapping[Operation, State | int]]] = {
    None: {OPEN: State.ACTIVE, PAUSE: 4013, RESUME: 4016, CLOSE: 4011},
    State.ACTIVE: {OPEN: 4007, PAUSE: State.PAUSED, RESUME: 4015, CLOSE: State.CLOSED},
    State.PAUSED: {OPEN: 4009, PAUSE: 4014, RESUME: State.ACTIVE, CLOSE: State.CLOSED},
    State.CLOSED: {OPEN: State.ACTIVE, PAUSE: 4013, RESUME: 4016, CLOSE: 4011},
}


@given(st.lists(st.tuples(st.sampled_from(OPERATIONS), st.sampled_from("123")), max_size=30))
def test_any_course_of_actions_ends_where_the_interface_says(
    actions: list[tuple[Operation, str]],
) -> None:
    platform = Platform()
    model: dict[str, State] = {}

    for number, (operation, last_digit) in enumerate(actions):
        msisdn = MSISDN[:-1] + last_digit
        code = hret(platform, an_alike_request(str(number), operation, msisdn))
        expected = MOVES[model.get(msisdn)][operation]
        if isinstance(expected, State):
            model[msisdn] = expected
            expected = 0
        assert code == expected

    assert platform.relations == {f"{msisdn} IOTBASE": state for msisdn, state in model.items()}
    counts = {state: list(model.values()).count(state) for state in State}
    assert {state: platform.counts[state] for state in State} == counts


def test_a_relation_is_of_one_service() -> None:
    platform = Platform()
    hret(platform, a_request("1", SPServiceID="ONE"))

    assert hret(platform, a_request("2", SPServiceID="TWO", ActionID="4")) == 4013
    assert hret(platform, a_request("3", SPServiceID="ONE", ActionID="4")) == 0


@pytest.mark.parametrize("operation", OPERATIONS)
def test_a_repeated_request_is_answered_as_it_was_and_changes_nothing(operation: Operation) -> None:
    platform = Platform()
    platform.put(f"{MSISDN} IOTBASE", State.PAUSED if operation is RESUME else State.ACTIVE)
    if operation is OPEN:
        platform.put(f"{MSISDN} IOTBASE", State.CLOSED)
    first = platform.handle(an_alike_request("9", operation))
    after = dict(platform.relations)

    again = platform.handle(an_alike_request("9", operation))

    assert first.state
    assert (again.reply, again.state) == (first.reply, None)
    assert platform.relations == after


def test_a_refused_request_may_succeed_when_it_is_sent_again() -> None:
    platform = Platform()
    assert hret(platform, an_alike_request("1", PAUSE)) == 4013
    hret(platform, an_alike_request("2", OPEN))

    assert hret(platform, an_alike_request("1", PAUSE)) == 0


def test_one_transaction_cannot_stand_for_two_requests() -> None:
    platform = Platform()
    hret(platform, an_alike_request("1", OPEN))

    assert hret(platform, an_alike_request("1", CLOSE)) == 9015
    assert platform.relations == {f"{MSISDN} IOTBASE": State.ACTIVE}


def test_what_it_remembers_of_repeats_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(core, "REPEATS_MAX", 2)
    platform = Platform()
    for number in (1, 2, 3):
        hret(platform, an_alike_request(str(number), OPEN, f"106490000000{number}"))

    assert hret(platform, an_alike_request("3", OPEN, "1064900000003")) == 0
    assert hret(platform, an_alike_request("1", OPEN, "1064900000001")) == 4007


def test_a_full_disk_takes_no_new_relation(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(core, "RELATIONS_MAX", 1)
    platform = Platform()
    hret(platform, an_alike_request("1", OPEN))

    assert hret(platform, an_alike_request("2", OPEN, "1064900000002")) == 9000
    assert hret(platform, an_alike_request("3", CLOSE)) == 0


@pytest.mark.parametrize(
    ("request_", "code"),
    [
        (a_request(name="SubscribeServiceReq"), 9013),
        (a_request(Version="1.4.0"), 9012),
        (a_request(MsgType="SyncOrderRelationResp"), 4000),
        (a_request(ActionID="5"), 4001),
        (a_request(ActionID="x"), 4001),
        (a_request(ActionReasonID="0"), 4002),
        (a_request(ActionReasonID="10"), 4002),
        (a_request(SPID="12"), 4003),
        (a_request(SPServiceID="longer than ten"), 9014),
        (a_request(SPServiceID="elevenchars"), 4004),
        (a_request(FeeUser_ID__PseudoCode="x"), 4005),
        (a_request(DestUser_ID__UserIDType="2"), 4005),
        (a_request(AccessMode="4"), 4006),
        (a_request(DestUser_ID__MSISDN="10649"), 9014),
        (a_request(FeeUser_ID__MSISDN="１0649000000001"), 9014),
        (a_request(""), 9014),
        (a_request(without="ActionID"), 9014),
        (a_request(without="SPServiceID"), 9014),
        (a_request(without="Send_Address/DeviceID"), 9014),
        (HTTPRequest("POST", "/dsmp", b"<a/>"), 9014),
        (HTTPRequest("POST", "/dsmp", b""), 9014),
    ],
)
def test_each_field_has_its_own_refusal(request_: HTTPRequest, code: int) -> None:
    platform = Platform()

    served = platform.handle(request_)

    assert (served.code, served.command, served.state) == (code, OTHER, None)
    assert hret(platform, request_) == code
    assert not platform.relations


@pytest.mark.parametrize("path", ["SPID", "AccessMode", "LinkID", "FeatureStr"])
def test_what_is_optional_may_be_left_out(path: str) -> None:
    assert hret(Platform(), a_request(without=path)) == 0


@pytest.mark.parametrize(
    ("request_", "status"),
    [
        (HTTPRequest("GET", "/dsmp", b""), 200),
        (HTTPRequest("GET", "/", b""), 404),
        (HTTPRequest("POST", "/other", b""), 404),
        (HTTPRequest("DELETE", "/dsmp", b""), 405),
    ],
)
def test_what_is_no_soap_request_is_answered_by_http(request_: HTTPRequest, status: int) -> None:
    [reply] = HTTPReplies().feed(Platform().handle(request_).reply)

    assert reply.status == status


@pytest.mark.parametrize(
    ("peer", "number", "state"),
    [
        ("misc", "2", State.CLOSED),
        ("misc", "4", State.PAUSED),
        ("market", "2", State.PAUSED),
        ("market", "3", State.CLOSED),
        ("crm", "2", State.CLOSED),
        ("crm", "3", State.PAUSED),
    ],
)
def test_the_same_number_is_another_action_to_another_peer(
    peer: str, number: str, state: State
) -> None:
    platform = Platform(peer=peer)
    hret(platform, a_request("1"))

    hret(platform, a_request("2", ActionID=number))

    assert platform.relations == {f"{MSISDN} IOTBASE": state}


def test_a_market_knows_four_reasons_only() -> None:
    assert hret(Platform(peer="market"), a_request(ActionReasonID="6")) == 4002


@given(
    st.sampled_from(["", "0", "1", "7", "１", "<", "&lt;", "\n"]),
    st.sampled_from([MSISDN, "10649", "13800000000", "", "x"]),
    st.sampled_from(["1", "2", "5", ""]),
    st.sampled_from(["1", "9", "0", "10"]),
)
def test_reading_by_likeness_gives_what_parsing_gives(
    transaction: str, msisdn: str, action: str, reason: str
) -> None:
    template = dsmp.template(device_id="0001", sp_id="900001", sp_service_id="IOTBASE")
    body = template.fill((transaction, msisdn, msisdn, action, reason))
    request = HTTPRequest("POST", "/dsmp", body)
    learned = Platform()
    learned.read(an_alike_request("0", OPEN))

    assert learned.read(request) == Platform().read(request)


def test_two_clients_with_services_of_their_own_are_both_understood() -> None:
    platform = Platform()
    one = dsmp.template(device_id="0001", sp_id="900001", sp_service_id="ONE")
    two = dsmp.template(device_id="0002", sp_id="900002", sp_service_id="TWO")

    for number, template in enumerate((one, one, two, two, one)):
        body = template.fill((str(number), MSISDN, MSISDN, "1", "1"))
        platform.handle(HTTPRequest("POST", "/dsmp", body))

    assert set(platform.relations) == {f"{MSISDN} ONE", f"{MSISDN} TWO"}


# Publications.


def a_publication(transaction: str = "1", **changes: str) -> HTTPRequest:
    named = {"sp_id": "900002", "service": "VIDEO01", "product": "P", "version": "1"} | changes
    template = dsmp.publication(device_id="0001")
    return HTTPRequest("POST", "/dsmp", template.fill((transaction, *named.values(), "视频")))


def test_a_service_is_of_the_product_that_was_published_last() -> None:
    platform = Platform()

    first = answered(platform, a_publication("1"))
    codes = [hret(platform, a_publication(*one)) for one in (("2",), ("3",))]
    codes.append(hret(platform, a_publication("4", version="2")))

    assert (first.name, first.fields["hRet"]) == (dsmp.PUBLICATION_REPLY, "0")
    assert codes == [0, 0, 0]
    assert platform.services == {"VIDEO01": "P/2"}


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"sp_id": "12"}, 4003),
        ({"service": ""}, 4004),
        ({"product": "-"}, 9014),
        ({"version": "0"}, 9014),
    ],
)
def test_a_publication_in_bad_form_changes_nothing(changes: dict[str, str], code: int) -> None:
    platform = Platform()

    assert hret(platform, a_publication(**changes)) == code
    assert platform.services == {}
