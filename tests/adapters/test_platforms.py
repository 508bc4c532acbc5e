"""The dialects of the five platforms: what goes onto the wire, and what each answer means."""

import json
from typing import Any, Final

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from adapters import DIALECTS
from adapters.json_platform import Answer, Failure
from hlrd.codec import jsonhttp
from hlrd.codec.base import UnsafeValue
from hlrd.codec.http import HTTPReplies, HTTPReply, HTTPRequest, HTTPRequests
from hlrd.domain.errors import ProtocolError
from hlrd.domain.operation import Details, Operation, Task
from hlrd.domain.outcome import Outcome, Verdict
from hlrd.ne.adapter import Account, AccountError, Adapter
from tests.adapters.conformance import PLATFORMS, SUBSCRIPTION, a_binding, a_task, the_replies

CHAIN: Final = "province_management"
EC: Final = "/ecs/E1001/products/P100"
EACH: Final = pytest.mark.parametrize("dialect", PLATFORMS)

SUBSCRIBE_EC, UNSUBSCRIBE_EC = Operation.SUBSCRIBE_EC, Operation.UNSUBSCRIBE_EC
SUBSCRIBE, UNSUBSCRIBE = Operation.SUBSCRIBE_MEMBER, Operation.UNSUBSCRIBE_MEMBER
PAUSE, RESUME, PUBLISH = (
    Operation.PAUSE_RELATION,
    Operation.RESUME_RELATION,
    Operation.PUBLISH_PRODUCT,
)


def an_adapter(
    dialect: str = CHAIN, *, host: str = "ne1.example", password: str = "", **options: str
) -> Adapter[HTTPReply]:
    account = Account(host, 8080, password=password, options=options)
    return DIALECTS[dialect](account, the_replies(dialect))


def the_task(operation: Operation, **changes: Any) -> Task:
    return a_task(operation, details=replace(SUBSCRIPTION, **changes), transaction="77")


def sent(adapter: Adapter[HTTPReply], task: Task) -> HTTPRequest:
    [request] = HTTPRequests().feed(adapter.encode(task, None))
    return request


def reply(status: int, answer: Answer) -> HTTPReply:
    [heard] = HTTPReplies().feed(jsonhttp.answer(status, answer))
    return heard


# What is sent.


@pytest.mark.parametrize(
    ("operation", "method", "resource", "content"),
    [
        (
            PUBLISH,
            "PUT",
            "/products/P100",
            {
                "name": "示例产品",
                "version": 1,
                "attributes": {"apn": "example.iot"},
                "product_class": "2",
            },
        ),
        (
            SUBSCRIBE_EC,
            "PUT",
            EC,
            {
                "ec_name": "示例集团",
                "version": 1,
                "attributes": {"apn": "example.iot"},
                "product_class": "2",
            },
        ),
        (UNSUBSCRIBE_EC, "DELETE", EC, None),
        (
            SUBSCRIBE,
            "PUT",
            "/users/1064900000001/products/P100",
            {
                "user_id": "1001",
                "ec_code": "E1001",
                "version": 1,
                "attributes": {"apn": "example.iot"},
                "product_class": "2",
            },
        ),
        (UNSUBSCRIBE, "DELETE", "/users/1064900000001/products/P100", None),
        (
            PAUSE,
            "PUT",
            "/users/1064900000001/state",
            {"user_id": "1001", "state": "suspended"},
        ),
        (RESUME, "PUT", "/users/1064900000001/state", {"user_id": "1001", "state": "active"}),
    ],
)
def test_an_operation_is_a_resource_in_the_state_to_reach(
    operation: Operation, method: str, resource: str, content: dict[str, Any] | None
) -> None:
    request = sent(an_adapter(), the_task(operation))

    assert (request.method, request.target) == (method, "/management/v1" + resource)
    assert request.key == "77"
    assert (json.loads(request.body) if request.body else None) == content


@EACH
def test_the_class_of_a_product_is_told_only_where_changes_are_passed_on_by_it(
    dialect: str,
) -> None:
    content = json.loads(sent(an_adapter(dialect), the_task(SUBSCRIBE_EC)).body)

    is_told = dialect in ("province_management", "nationwide_management")
    assert content.get("product_class") == ("2" if is_told else None)
    assert content["attributes"] == {"apn": "example.iot"}


@pytest.mark.parametrize(
    ("dialect", "told"), [("province_management", "2"), ("nationwide_management", "1")]
)
def test_a_product_of_no_class_is_of_that_which_its_platform_is_for(
    dialect: str, told: str
) -> None:
    task = the_task(SUBSCRIBE_EC, attributes={})

    assert json.loads(sent(an_adapter(dialect), task).body)["product_class"] == told


@pytest.mark.parametrize("operation", [SUBSCRIBE_EC, SUBSCRIBE, PAUSE, UNSUBSCRIBE])
def test_a_resend_is_the_same_to_the_byte(operation: Operation) -> None:
    task = the_task(operation)

    assert an_adapter().encode(task, None) == an_adapter().encode(task, None)


@pytest.mark.parametrize(
    ("operation", "changes"),
    [
        (SUBSCRIBE_EC, {"product": ""}),
        (SUBSCRIBE_EC, {"product": "P/../X"}),
        (SUBSCRIBE_EC, {"product": ".."}),
        (SUBSCRIBE_EC, {"ec_code": "E 1"}),
        (UNSUBSCRIBE_EC, {"ec_code": ""}),
        (UNSUBSCRIBE, {"product": "P\r\nX: y"}),
        (SUBSCRIBE_EC, {"attributes": {"product_class": "4"}}),
    ],
    ids=repr,
)
def test_what_is_not_fit_for_the_wire_is_refused(
    operation: Operation, changes: dict[str, Any]
) -> None:
    with pytest.raises(UnsafeValue):
        an_adapter().encode(the_task(operation, **changes), None)


@pytest.mark.parametrize("msisdn", ["", "106490000000x", "1064900000001\n", "../products"])
def test_a_number_that_is_none_is_refused(msisdn: str) -> None:
    task = replace(the_task(SUBSCRIBE), binding=a_binding(msisdn=msisdn))

    with pytest.raises(UnsafeValue):
        an_adapter().encode(task, None)


@given(st.text(), st.dictionaries(st.text(), st.text(), max_size=4))
def test_whatever_a_product_says_it_stays_one_request_and_says_it(
    name: str, attributes: dict[str, str]
) -> None:
    attributes.pop("product_class", None)

    request = sent(an_adapter(), the_task(SUBSCRIBE_EC, ec_name=name, attributes=attributes))

    content = json.loads(request.body)
    assert (content["ec_name"], content["attributes"]) == (name, attributes)


def test_the_password_goes_as_the_bearer_and_is_shown_to_nobody() -> None:
    adapter = an_adapter(password="sesame-1")
    task = the_task(SUBSCRIBE)

    assert sent(adapter, task).authorization == "Bearer sesame-1"
    assert b"Bearer sesame-1" in adapter.keepalive()
    assert "sesame-1" not in adapter.masked(task) + repr(adapter.account)


def test_people_see_what_is_asked_for() -> None:
    shown = an_adapter().masked(the_task(UNSUBSCRIBE_EC))

    assert shown == "DELETE /management/v1/ecs/E1001/products/P100 77"


# What is answered.


def judged(operation: Operation, status: int, code: str, text: str = "") -> Outcome:
    answer = Answer(EC, code, "77", text)
    return an_adapter().classify(the_task(operation), reply(status, answer))


def test_a_code_of_no_table_is_permanent_and_counted() -> None:
    outcome = judged(SUBSCRIBE_EC, 409, "MOON_PHASE", "wait for the full one")

    assert outcome == Outcome(
        Verdict.PERMANENT, "MOON_PHASE", "wait for the full one", is_known=False
    )


def test_the_words_of_the_platform_come_before_ours_and_have_an_end() -> None:
    outcome = judged(SUBSCRIBE_EC, 403, "REFUSED", "n" * 5_000)

    assert (outcome.verdict, len(outcome.text)) == (Verdict.PERMANENT, 200)


@pytest.mark.parametrize("body", [b"", b"<html>moved</html>", b"[]", b'{"state": "ok"}'])
def test_a_success_that_is_no_answer_breaks_the_protocol(body: bytes) -> None:
    with pytest.raises(ProtocolError):
        an_adapter().classify(the_task(SUBSCRIBE_EC), HTTPReply(200, body))


def test_what_http_says_by_itself_is_judged_by_its_status() -> None:
    adapter, task = an_adapter(), the_task(SUBSCRIBE_EC)

    outcomes = [
        adapter.classify(task, HTTPReply(status, b"<html/>", retry_after_s=wait))
        for status, wait in [(503, 7.0), (502, None), (404, None), (418, None)]
    ]

    assert [each.verdict for each in outcomes] == [
        Verdict.BUSY,
        Verdict.TRANSIENT,
        Verdict.PERMANENT,
        Verdict.PERMANENT,
    ]
    assert outcomes[0].text.endswith("back in 7 s")


# What a read-back finds.


def found(operation: Operation, *, transaction: str = "77", **fields: Any) -> Outcome:
    adapter, task = an_adapter(), the_task(operation)
    content = json.loads(sent(adapter, the_task(SUBSCRIBE_EC)).body)
    if operation is SUBSCRIBE:
        content = json.loads(sent(adapter, task).body)
    content |= fields.pop("content", {})
    answer = Answer("/x", "FOUND", transaction, content=content, **fields)
    return adapter.compare(task, reply(200, answer))


@pytest.mark.parametrize(
    ("operation", "verdict"),
    [(SUBSCRIBE_EC, Verdict.APPLIED), (UNSUBSCRIBE_EC, Verdict.ABSENT)],
)
def test_what_is_confirmed_is_there_whoever_asked_for_it(
    operation: Operation, verdict: Verdict
) -> None:
    assert found(operation, state="confirmed").verdict is verdict
    assert found(operation, state="confirmed", transaction="5").verdict is verdict


def test_another_version_is_not_the_one_that_was_asked_for() -> None:
    outcome = found(SUBSCRIBE_EC, state="confirmed", content={"version": 9})

    assert outcome.verdict is Verdict.ABSENT


def test_what_else_a_platform_tells_does_not_matter() -> None:
    outcome = found(SUBSCRIBE_EC, state="confirmed", content={"since": "2026-01-31"})

    assert outcome.verdict is Verdict.APPLIED


def test_a_number_of_another_user_is_different() -> None:
    outcome = found(SUBSCRIBE, state="confirmed", content={"user_id": "1002"})

    assert (outcome.verdict, outcome.text) == (Verdict.DIFFERENT, "of another user_id")


@pytest.mark.parametrize("operation", [SUBSCRIBE_EC, UNSUBSCRIBE_EC])
def test_our_own_change_on_its_way_is_pending_and_that_of_another_is_not_ours(
    operation: Operation,
) -> None:
    assert found(operation, state="pending").verdict is Verdict.PENDING
    assert found(operation, state="pending", transaction="5").verdict is Verdict.ABSENT


def test_our_own_failure_is_told_with_the_hop_and_its_code() -> None:
    failure = Failure("iot_gateway", "EC_UNKNOWN", "no such enterprise")

    outcome = found(SUBSCRIBE, state="failed", failure=failure)

    text = "iot_gateway: no such enterprise"
    assert outcome == Outcome(Verdict.PERMANENT, "EC_UNKNOWN", text, is_standing=True)


def test_the_failure_of_another_change_is_not_ours() -> None:
    failure = Failure("iot_gateway", "REFUSED")

    outcome = found(SUBSCRIBE_EC, state="failed", failure=failure, transaction="5")

    assert outcome.verdict is Verdict.ABSENT


@pytest.mark.parametrize(
    ("operation", "verdict"),
    [
        (SUBSCRIBE_EC, Verdict.ABSENT),
        (SUBSCRIBE, Verdict.ABSENT),
        (PAUSE, Verdict.ABSENT),
        (UNSUBSCRIBE_EC, Verdict.APPLIED),
        (UNSUBSCRIBE, Verdict.APPLIED),
    ],
)
def test_what_is_not_found_was_not_put_or_is_gone(operation: Operation, verdict: Verdict) -> None:
    answer = reply(404, Answer("/x", "NOT_FOUND"))

    assert an_adapter().compare(the_task(operation), answer).verdict is verdict


# Echoes.


def test_an_answer_names_what_was_asked_and_under_which_key() -> None:
    adapter = an_adapter()
    request = adapter.encode(the_task(SUBSCRIBE_EC), None)

    assert adapter.echoes(request, reply(200, Answer(EC, "DONE", "77")))
    assert not adapter.echoes(request, reply(200, Answer(EC, "DONE", "78")))
    assert not adapter.echoes(request, reply(200, Answer("/ecs/E2/products/P1", "DONE", "77")))
    assert not adapter.echoes(request, HTTPReply(200, b"<html/>"))


def test_a_query_is_echoed_by_its_resource_alone() -> None:
    adapter = an_adapter()
    query = adapter.read_back(the_task(SUBSCRIBE_EC))
    assert query is not None

    assert adapter.echoes(query, reply(200, Answer(EC, "FOUND", "5", state="confirmed")))
    assert not adapter.echoes(query, reply(404, Answer("/ecs/E2/products/P1", "NOT_FOUND")))


def test_what_is_not_the_platform_speaking_names_nothing() -> None:
    adapter = an_adapter()

    assert adapter.echoes(adapter.encode(the_task(PAUSE), None), HTTPReply(502, b"<html/>"))


def test_any_answer_to_a_keepalive_proves_life() -> None:
    adapter = an_adapter()

    for heard in (
        HTTPReply(200, b"ok"),
        HTTPReply(404, b""),
        reply(200, Answer("/health", "DONE")),
    ):
        assert adapter.echoes(adapter.keepalive(), heard)


def test_a_reply_says_when_the_connection_ends_behind_it() -> None:
    assert an_adapter().is_last(HTTPReply(503, b"", keep_alive=False))
    assert not an_adapter().is_last(HTTPReply(200, b""))


# Settings.


def test_the_platform_of_a_province_is_told_apart_by_the_class_of_its_ne() -> None:
    adapter = an_adapter("nationwide_management", product_class="2")

    content = json.loads(sent(adapter, the_task(SUBSCRIBE, attributes={})).body)

    assert content["product_class"] == "2"


@pytest.mark.parametrize(
    ("dialect", "options"),
    [
        ("nationwide_management", {"product_class": "4"}),
        ("nationwide_management", {"product_class": ""}),
        ("iot_gateway", {"product_class": "1"}),
        ("province_platform", {"code.4711": "busy"}),
    ],
)
def test_an_option_of_no_use_stops_the_start(dialect: str, options: dict[str, str]) -> None:
    with pytest.raises(AccountError):
        an_adapter(dialect, **options)


def test_another_path_is_asked_for_there() -> None:
    adapter = an_adapter(path="/behind/proxy/v1")

    assert sent(adapter, the_task(UNSUBSCRIBE_EC)).target == "/behind/proxy/v1" + EC


def test_an_ipv6_host_is_named_in_brackets() -> None:
    assert b"\r\nHost: [::1]:8080\r\n" in an_adapter(host="::1").keepalive()


@pytest.mark.parametrize("path", ["v1", "/a b", "/a/../b", "/a\r\nX: y", "/a/"])
def test_a_path_of_no_use_stops_the_start(path: str) -> None:
    with pytest.raises(AccountError):
        an_adapter(path=path)


def test_a_password_that_is_no_bearer_stops_the_start_unquoted() -> None:
    with pytest.raises(AccountError) as refused:
        an_adapter(password="two words\r\n")

    assert "two words" not in str(refused.value)


def test_a_suspension_needs_no_product() -> None:
    task = a_task(PAUSE, details=Details(), transaction="77")

    assert sent(an_adapter(), task).target == "/management/v1/users/1064900000001/state"
