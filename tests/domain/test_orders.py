from datetime import datetime, timedelta
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hlrd import limits
from hlrd.domain import orders
from hlrd.domain.errors import BadRequest
from hlrd.domain.orders import BEIJING, UserOpen
from tests.domain.orders import GOOD, KI

NOW = datetime(2026, 1, 1, 12, tzinfo=BEIJING)


def decoded(document: dict[str, Any]) -> orders.WorkOrder:
    return orders.decode(msgspec.json.encode(document))


def refusal(document: dict[str, Any]) -> BadRequest:
    with pytest.raises(BadRequest) as refused:
        decoded(document)
    return refused.value


@pytest.mark.parametrize("kind", GOOD)
def test_a_good_document_of_each_kind_is_taken_and_stored_as_it_is(kind: str) -> None:
    order = decoded(GOOD[kind])

    assert orders.decode_stored(orders.encode(order)) == order


def test_an_open_order_with_a_key_can_be_read_back_once_its_ki_is_off() -> None:
    order = decoded({**GOOD["USER_OPEN"], "ki": KI, "keyid": 3})
    assert isinstance(order, UserOpen)
    with pytest.raises(AssertionError, match="in clear"):
        orders.encode(order)
    order.ki = None

    payload = orders.encode(order)

    assert orders.decode_stored(payload) == order
    assert KI.encode() not in payload


@pytest.mark.parametrize(
    ("kind", "change", "code", "field"),
    [
        ("MEMBER_ACTIVATE", {"type": "NOTHING"}, "KIND_UNKNOWN", "type"),
        ("MEMBER_ACTIVATE", {"order_id": None}, "FIELD_INVALID", "order_id"),
        ("MEMBER_ACTIVATE", {"order_id": "a\n"}, "FIELD_INVALID", "order_id"),
        ("MEMBER_ACTIVATE", {"order_id": "a" * 33}, "FIELD_INVALID", "order_id"),
        ("MEMBER_ACTIVATE", {"province": "999"}, "PROVINCE_UNKNOWN", "province"),
        ("MEMBER_ACTIVATE", {"operator_id": ""}, "FIELD_INVALID", "operator_id"),
        ("MEMBER_ACTIVATE", {"user_id": "1" * 20}, "FIELD_INVALID", "user_id"),
        ("MEMBER_ACTIVATE", {"version": 2}, "FIELD_INVALID", "version"),
        ("MEMBER_ACTIVATE", {"priority": 6}, "FIELD_INVALID", "priority"),
        ("MEMBER_ACTIVATE", {"mode": "later"}, "FIELD_INVALID", "mode"),
        ("MEMBER_ACTIVATE", {"deadline_ms": 60_001}, "FIELD_INVALID", "deadline_ms"),
        ("MEMBER_ACTIVATE", {"surprise": 1}, "FIELD_UNKNOWN", "surprise"),
        ("MEMBER_ACTIVATE", {"digits": 12}, "FIELD_INVALID", "digits"),
        ("MEMBER_ACTIVATE", {"services": ["SMS", "FAX"]}, "FIELD_INVALID", "services[1]"),
        ("MEMBER_ACTIVATE", {"services": ["SMS", "SMS"]}, "SERVICE_TWICE", "services"),
        ("MEMBER_ACTIVATE", {"services": []}, "FIELD_INVALID", "services"),
        ("MEMBER_ACTIVATE", {"iccid": "89860420202400000018"}, "ICCID_CHECK_DIGIT", "iccid"),
        ("USER_OPEN", {"msisdn": "8612800000001"}, "MSISDN_INVALID", "msisdn"),
        ("USER_OPEN", {"msisdn": "22800000001"}, "FIELD_INVALID", "msisdn"),
        ("USER_OPEN", {"imsi": "450040000000001"}, "FIELD_INVALID", "imsi"),
        ("USER_OPEN", {"ki": KI}, "KEY_INCOMPLETE", "keyid"),
        ("USER_OPEN", {"keyid": 1}, "KEY_INCOMPLETE", "keyid"),
        ("USER_OPEN", {"ki": "0" * 32, "keyid": 1}, "KI_TRIVIAL", "ki"),
        ("USER_OPEN", {"ki": KI, "keyid": 256}, "FIELD_INVALID", "keyid"),
        (
            "USER_OPEN",
            {"reasons": [{"reason": "ARREARS", "level": 3}]},
            "FIELD_INVALID",
            "reasons[0].level",
        ),
        (
            "USER_OPEN",
            {"reasons": [{"reason": "LOST", "level": 1}, {"reason": "LOST", "level": 2}]},
            "REASON_TWICE",
            "reasons",
        ),
        ("OPERATOR_SUSPEND", {"reason": "WHIM"}, "FIELD_INVALID", "reason"),
        ("VOLUNTARY_SUSPEND", {"reason": "FRAUD"}, "FIELD_UNKNOWN", "reason"),
        ("ARREARS_SUSPEND", {"level": 0}, "FIELD_INVALID", "level"),
        ("ARREARS_SUSPEND", {"bill_month": "202513"}, "FIELD_INVALID", "bill_month"),
        ("PAYMENT_RESUME", {"state_version": -1}, "FIELD_INVALID", "state_version"),
        ("USER_TERMINATE", {"quarantine_days": 366}, "FIELD_INVALID", "quarantine_days"),
        ("USER_TERMINATE", {"cause": "a\0"}, "FIELD_INVALID", "cause"),
    ],
)
def test_what_is_wrong_is_named_by_code_and_path(
    kind: str, change: dict[str, Any], code: str, field: str
) -> None:
    refused = refusal({**GOOD[kind], **change})

    assert (refused.code, refused.field) == (code, field)


@pytest.mark.parametrize("kind", GOOD)
def test_every_mandatory_field_is_missed_by_name(kind: str) -> None:
    mandatory = {"order_id", "province", "operator_id", "user_id"}
    for name in mandatory & GOOD[kind].keys():
        refused = refusal({key: value for key, value in GOOD[kind].items() if key != name})

        assert (refused.code, refused.field) == ("FIELD_MISSING", name)


@given(st.text(min_size=4), st.sampled_from(["order_id", "user_id", "operator_id", "ec_code"]))
def test_a_refusal_never_quotes_the_value(text: str, field: str) -> None:
    secret = f"\n{text}S3CRET"

    assert "S3CRET" not in str(refusal({**GOOD["MEMBER_ACTIVATE"], field: secret}))


@pytest.mark.parametrize("document", [b"", b"{", b"[]", b"\xff", b"[" * 100_000, b"null"])
def test_what_is_no_order_is_refused_whatever_it_is(document: bytes) -> None:
    with pytest.raises(BadRequest):
        orders.decode(document[: limits.ORDER_BYTES_MAX])


def test_an_order_has_a_size() -> None:
    with pytest.raises(BadRequest) as refused:
        orders.decode(b" " * (limits.ORDER_BYTES_MAX + 1))

    assert refused.value.code == "ORDER_TOO_LARGE"


@pytest.mark.parametrize(
    ("change", "form"),
    [
        ({"ec_code": "E-1"}, "[A-Za-z0-9]{1,20}"),
        ({"operator_id": ""}, r"[\x21-\x7e]{1,20}"),
    ],
)
def test_the_form_that_a_text_must_have_is_told_as_one_writes_it(
    change: dict[str, Any], form: str
) -> None:
    with pytest.raises(BadRequest) as refused:
        decoded({**GOOD["MEMBER_ACTIVATE"], **change})

    assert refused.value.detail == f"not text of the form {form}"


def test_the_hash_is_of_the_content_and_not_of_its_spelling() -> None:
    plain = decoded(GOOD["MEMBER_ACTIVATE"])
    backwards = dict(reversed(GOOD["MEMBER_ACTIVATE"].items()))

    for same in (
        backwards,
        {**backwards, "digits": 13, "services": ["SMS", "GPRS"]},
        {**backwards, "mode": "sync", "deadline_ms": 500},
    ):
        assert orders.content_hash(decoded(same)) == orders.content_hash(plain)


@pytest.mark.parametrize(
    "change", [{"ec_code": "EC2"}, {"operator_id": "op8"}, {"user_id": "12"}, {"seq": 1}]
)
def test_another_content_has_another_hash(change: dict[str, Any]) -> None:
    plain, other = GOOD["MEMBER_ACTIVATE"], {**GOOD["MEMBER_ACTIVATE"], **change}

    assert orders.content_hash(decoded(plain)) != orders.content_hash(decoded(other))


@pytest.mark.parametrize(
    ("field", "ahead_s", "code"),
    [
        ("accept_time", 599, None),
        ("accept_time", 601, "ACCEPT_TIME_IN_FUTURE"),
        ("accept_time", -86_400, None),
        ("effective_time", 0, None),
        ("effective_time", 62 * 86_400, None),
        ("effective_time", 62 * 86_400 + 1, "EFFECTIVE_TIME_TOO_FAR"),
    ],
)
def test_times_are_of_beijing_and_not_too_far_ahead(
    field: str, ahead_s: int, code: str | None
) -> None:
    text = (NOW + timedelta(seconds=ahead_s)).strftime("%Y%m%d%H%M%S")
    order = decoded({**GOOD["PAYMENT_RESUME"], field: text})

    if code is None:
        orders.refuse_bad_times(order, NOW)
        return
    with pytest.raises(BadRequest) as refused:
        orders.refuse_bad_times(order, NOW)
    assert (refused.value.code, refused.value.field) == (code, field)


def test_a_day_that_does_not_exist_is_no_time() -> None:
    order = decoded({**GOOD["PAYMENT_RESUME"], "accept_time": "20260230000000"})

    with pytest.raises(BadRequest) as refused:
        orders.refuse_bad_times(order, NOW)
    assert refused.value.code == "TIME_INVALID"
