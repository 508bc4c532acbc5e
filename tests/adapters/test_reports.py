"""The dialects of the relays and the registry: what goes up, and that no key is seen."""

import json
from typing import Any

import pytest
from msgspec.structs import replace

from adapters import DIALECTS
from adapters.reports import (
    LEAD_PROVINCE,
    PARTNER_PROVINCES,
    PRODUCT_CLASS,
    REPORT,
    SUBSCRIBE,
    SUBSCRIBE_MEMBER,
)
from hlrd.codec.base import UnsafeValue
from hlrd.codec.http import HTTPReply, HTTPRequests
from hlrd.domain.identity import MSISDN, CardKey
from hlrd.domain.operation import Operation, Task
from hlrd.domain.outcome import Verdict
from hlrd.ne.adapter import Account, Adapter
from loadtest.relay.core import Role
from tests.adapters import conformance
from tests.adapters.conformance import KEY, KI, RELAYS, a_task, the_replies
from tests.adapters.headquarters import Headquarters

EACH = pytest.mark.parametrize("dialect", RELAYS)
PARTNERS = {LEAD_PROVINCE: "HB", PARTNER_PROVINCES: "GD,SC"}


def an_adapter(dialect: str) -> Adapter[Any]:
    return DIALECTS[dialect](Account("ne1.example", 8080), the_replies(dialect))


def report(**changes: Any) -> Task:
    return replace(a_task(REPORT, transaction="1", details=conformance.REPORT), **changes)


def subscription(attributes: dict[str, str]) -> Task:
    details = replace(conformance.REPORT, attributes=attributes)
    return a_task(SUBSCRIBE, transaction="2", details=details)


def content(wire: bytes) -> Any:
    [request] = HTTPRequests().feed(wire)
    return json.loads(request.body)


@EACH
def test_a_report_carries_the_key_as_its_maker_encrypted_it(dialect: str) -> None:
    told = content(an_adapter(dialect).encode(report(), KEY))

    assert told == {
        "user_id": "1001",
        "imsi": "001010000000001",
        "iccid": "89860000000000000001",
        "province": "HB",
        "ec_code": "E1001",
        "product": "P100",
        "services": ["GPRS", "SMS"],
        "product_class": 1,
        "key": {"value": KI, "index": 3, "algorithm": "MILENAGE", "card_type": "USIM"},
    }


@EACH
def test_one_that_is_reported_again_is_not_opened_again(dialect: str) -> None:
    details = replace(conformance.REPORT, attributes={})

    told = content(an_adapter(dialect).encode(report(details=details), KEY))

    assert not {"services", "product_class"} & told.keys()


@EACH
def test_a_members_product_names_its_user_and_what_was_chosen_and_not_its_class(
    dialect: str,
) -> None:
    task = a_task(SUBSCRIBE_MEMBER, transaction="3", details=conformance.REPORTED_PRODUCT)

    [request] = HTTPRequests().feed(an_adapter(dialect).encode(task, None))

    assert request.target.endswith("/members/1064900000001/products/P100")
    assert json.loads(request.body) == {
        "user_id": "1001",
        "ec_code": "E1001",
        "version": 1,
        "attributes": {"apn": "example.iot"},
    }


@pytest.mark.parametrize("named", ["", "4", "1\n"])
def test_a_class_that_there_is_not_is_never_sent(named: str) -> None:
    with pytest.raises(UnsafeValue):
        an_adapter("boss1_relay").encode(subscription({PRODUCT_CLASS: named}), None)


@EACH
@pytest.mark.parametrize(
    ("code", "verdict"),
    [
        ("NE_REFUSED", Verdict.PERMANENT),
        ("EC_NOT_READY", Verdict.PERMANENT),
        ("SERVICES_UNKNOWN", Verdict.PERMANENT),
        ("NUMBER_LOCKED", Verdict.DIFFERENT),
        ("NUMBER_NOT_IDLE", Verdict.DIFFERENT),
        ("CARD_NOT_IN_STOCK", Verdict.DIFFERENT),
        ("IMSI_IN_USE", Verdict.DIFFERENT),
        ("USER_EXISTS", Verdict.DIFFERENT),
    ],
)
def test_what_headquarters_says_of_a_report_is_known_and_locks_what_is_somebody_elses(
    dialect: str, code: str, verdict: Verdict
) -> None:
    failure = {"hop": "hlrd", "code": code, "text": "hlr1 3012 no such template"}
    task = report()
    body = {
        "resource": "/members/1064900000001", "code": "FOUND", "transaction": task.transaction,
        "state": "failed", "content": {}, "failure": failure,
    }  # fmt: skip

    found = an_adapter(dialect).compare(task, HTTPReply(200, json.dumps(body).encode()))

    assert (found.verdict, found.code, found.is_known) == (verdict, code, True)
    assert found.text == "hlrd: hlr1 3012 no such template"


@EACH
@pytest.mark.parametrize(
    ("known", "verdict"),
    [
        ({}, Verdict.APPLIED),
        ({"services": ["GPRS", "SMS"], "product_class": 1}, Verdict.APPLIED),
        ({"services": ["GPRS"], "product_class": 1}, Verdict.ABSENT),
        ({"imsi": "001010000000002"}, Verdict.ABSENT),
        ({"user_id": "1002"}, Verdict.DIFFERENT),
    ],
)
def test_a_report_that_went_up_before_it_named_services_is_there_all_the_same(
    dialect: str, known: dict[str, Any], verdict: Verdict
) -> None:
    before = {
        "user_id": "1001", "imsi": "001010000000001", "iccid": "89860000000000000001",
        "province": "HB", "ec_code": "E1001", "product": "P100", "key_index": 3,
    }  # fmt: skip
    body = {
        "resource": "/members/1064900000001", "code": "FOUND", "transaction": "1",
        "state": "confirmed", "content": {**before, **known},
    }  # fmt: skip

    found = an_adapter(dialect).compare(report(), HTTPReply(200, json.dumps(body).encode()))

    assert found.verdict is verdict


@EACH
@pytest.mark.parametrize(
    ("state", "verdict"),
    [("confirmed", Verdict.APPLIED), ("pending", Verdict.PENDING), ("failed", Verdict.PENDING)],
)
def test_a_number_that_is_on_its_way_is_not_forgotten(
    dialect: str, state: str, verdict: Verdict
) -> None:
    body = {
        "resource": "/members/1064900000001", "code": "FOUND", "transaction": "9", "state": state,
        "content": {"imsi": "001010000000001"},
    }  # fmt: skip

    found = an_adapter(dialect).compare(
        a_task(Operation.FIND_NUMBER), HTTPReply(200, json.dumps(body).encode())
    )

    assert found.verdict is verdict


@EACH
@pytest.mark.parametrize("key", [None, CardKey(KI, 0, "MILENAGE", "USIM")], ids=["none", "clear"])
def test_a_report_without_an_encrypted_key_is_never_sent(dialect: str, key: CardKey | None) -> None:
    with pytest.raises(UnsafeValue) as refused:
        an_adapter(dialect).encode(report(), key)

    assert KI not in str(refused.value)


@EACH
def test_a_report_that_people_see_has_no_key(dialect: str) -> None:
    shown = an_adapter(dialect).masked(report())

    assert "1064900000001" in shown
    assert "key" not in shown


def test_the_bboss_is_told_who_sold_and_who_are_partners() -> None:
    told = content(an_adapter("bboss_relay").encode(subscription(PARTNERS), None))

    assert told == {
        "ec_name": "示例集团",
        "version": 1,
        "lead_province": "HB",
        "partner_provinces": ["GD", "SC"],
    }


@pytest.mark.parametrize(
    ("dialect", "attributes"),
    [
        ("boss1_relay", PARTNERS),
        ("pboss_registry", PARTNERS),
        ("bboss_relay", {PARTNER_PROVINCES: "GD,"}),
        ("bboss_relay", {LEAD_PROVINCE: "H B"}),
    ],
)
def test_partners_are_named_to_the_bboss_alone_and_in_good_form(
    dialect: str, attributes: dict[str, str]
) -> None:
    with pytest.raises(UnsafeValue):
        an_adapter(dialect).encode(subscription(attributes), None)


@pytest.mark.parametrize("msisdn", ["", "1064900000001/../x", "106490000000"])
def test_what_is_no_number_is_never_named_in_a_path(msisdn: str) -> None:
    binding = replace(report().binding, msisdn=MSISDN(msisdn))

    with pytest.raises(UnsafeValue):
        an_adapter("boss1_relay").encode(report(binding=binding), KEY)


def test_a_relay_forgets_a_key_once_it_was_passed_on() -> None:
    headquarters = Headquarters(Role.BOSS1)
    adapter = an_adapter("boss1_relay")

    headquarters.exchange(adapter.encode(report(), KEY))
    held = dict(headquarters.system.sealed)
    headquarters.carry()

    assert [each["value"] for each in held.values()] == [KI]
    assert headquarters.system.sealed == headquarters.registry.sealed == {}
    assert KI not in repr(headquarters.system.records)


def test_a_key_that_is_not_encrypted_is_taken_by_no_relay() -> None:
    headquarters = Headquarters(Role.BOSS1)
    wire = an_adapter("boss1_relay").encode(report(), KEY).replace(b'"index":3', b'"index":0')

    answer = headquarters.exchange(wire)

    assert b"MALFORMED" in answer
    assert KI.encode() not in answer
    assert headquarters.system.records == headquarters.system.sealed == {}
