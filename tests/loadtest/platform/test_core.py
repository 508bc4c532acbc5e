"""The core of an emulated platform: keys, rules, and changes that others carry to their end."""

import json
from typing import Any

import pytest

from adapters import DIALECTS
from adapters.json_platform import Answer, Failure
from adapters.subscriptions import SubscriptionPlatform
from hlrd.codec.http import HTTPRequest
from loadtest.forward import Next, Passed, asked, sent
from loadtest.jsonpeer import Served
from loadtest.platform.core import Platform
from tests.adapters.conformance import PLATFORMS

PRODUCT = {"version": 1, "attributes": {}}
EC = "/ecs/E1001/products/P100"
USER = "/users/1064900000001/products/P100"
STATE = "/users/1064900000001/state"


class Asking:
    """A platform and who asks it."""

    def __init__(self, dialect: str = "class1_platform", token: str = "") -> None:
        self.platform = Platform(dialect, token=token)
        spoken = DIALECTS[dialect]
        assert issubclass(spoken, SubscriptionPlatform)
        self._path = spoken.path
        self._class = {"product_class": "2"} if spoken.class_default else {}
        self._last_key = 0

    def put(self, resource: str, key: str = "", **content: Any) -> Served:
        described = {} if resource == STATE else {**PRODUCT, **self._class}
        if resource.startswith("/products"):
            described["name"] = "P"
        body = json.dumps({**described, **content}).encode()
        return self._ask("PUT", resource, body, key)

    def delete(self, resource: str, key: str = "") -> Served:
        return self._ask("DELETE", resource, b"", key)

    def get(self, resource: str) -> Served:
        return self.platform.handle(HTTPRequest("GET", self._path + resource, b""))

    def _ask(self, method: str, resource: str, body: bytes, key: str) -> Served:
        self._last_key += 1
        request = HTTPRequest(method, self._path + resource, body, key=key or f"k{self._last_key}")
        return self.platform.handle(request)

    def publish(self, version: int = 1) -> Served:
        return self.put("/products/P100", version=version)

    def subscribe_ec(self, key: str = "") -> Served:
        return self.put(EC, key, ec_name="E")

    def subscribe(self, key: str = "", user_id: str = "1001", ec_code: str = "E1001") -> Served:
        return self.put(USER, key, user_id=user_id, ec_code=ec_code)


def code(served: Served) -> tuple[int, str]:
    return served.status, served.answer.code


def test_the_same_key_with_the_same_content_is_executed_once() -> None:
    asking = Asking()
    asking.publish()

    answers = [asking.subscribe_ec("7") for _ in range(3)]

    assert [code(each) for each in answers] == [(200, "DONE")] * 3
    assert [each.has_effect for each in answers] == [True, False, False]


def test_the_same_key_with_other_content_is_a_conflict() -> None:
    asking = Asking()
    asking.publish()
    asking.subscribe_ec("7")

    assert code(asking.put(EC, "7", ec_name="other")) == (422, "KEY_REUSED")
    assert code(asking.delete(EC, "7")) == (422, "KEY_REUSED")
    assert asking.get(EC).answer.content["ec_name"] == "E"


def test_a_repeat_that_comes_late_undoes_nothing_that_came_after_it() -> None:
    asking = Asking()
    asking.publish()
    asking.subscribe_ec("7")
    asking.delete(EC, "8")

    assert code(asking.subscribe_ec("7")) == (200, "DONE")
    assert asking.get(EC).status == 404


def test_what_was_refused_may_be_sent_again_under_its_key() -> None:
    asking = Asking()
    assert code(asking.subscribe_ec("7")) == (409, "PRODUCT_UNKNOWN")
    asking.publish()

    assert code(asking.subscribe_ec("7")) == (200, "DONE")


def test_only_a_version_that_was_published_can_be_had() -> None:
    asking = Asking()
    asking.publish(version=2)

    assert code(asking.put(EC, ec_name="E", version=3)) == (409, "PRODUCT_UNKNOWN")
    assert code(asking.put(EC, ec_name="E", version=1)) == (200, "DONE")


def test_a_member_needs_its_enterprise_and_a_user_of_none_needs_none() -> None:
    asking = Asking("iot_gateway")

    assert code(asking.subscribe()) == (409, "EC_UNKNOWN")
    assert code(asking.subscribe(ec_code="")) == (200, "DONE")


def test_a_number_is_not_handed_from_one_user_to_another() -> None:
    asking = Asking("iot_gateway")
    asking.subscribe(ec_code="")

    assert code(asking.subscribe(user_id="1002", ec_code="")) == (409, "OTHER_USER")
    assert code(asking.put(STATE, user_id="1002", state="active")) == (409, "OTHER_USER")


def test_an_enterprise_keeps_its_product_while_a_member_has_it() -> None:
    asking = Asking("iot_gateway")
    asking.subscribe_ec()
    asking.subscribe()

    assert code(asking.delete(EC)) == (409, "EC_HAS_USERS")
    asking.delete(USER)
    assert code(asking.delete(EC)) == (200, "DONE")


def test_a_user_is_active_until_stopped_and_unknown_without_a_product() -> None:
    asking = Asking("iot_gateway")
    assert code(asking.put(STATE, user_id="1001", state="suspended")) == (409, "USER_UNKNOWN")
    asking.subscribe(ec_code="")

    assert asking.get(STATE).answer.content["state"] == "active"
    assert code(asking.put(STATE, user_id="1001", state="active")) == (200, "UNCHANGED")
    assert code(asking.put(STATE, user_id="1001", state="suspended")) == (200, "DONE")
    assert asking.get(STATE).answer.content["state"] == "suspended"


def test_a_user_who_comes_back_is_not_stopped_by_what_was() -> None:
    asking = Asking("iot_gateway")
    asking.subscribe(ec_code="")
    asking.put(STATE, user_id="1001", state="suspended")
    asking.delete(USER)
    asking.subscribe(ec_code="", user_id="1002")

    assert asking.get(STATE).answer.content == {"user_id": "1002", "state": "active"}
    assert sum(asking.platform.counts.values()) == len(asking.platform.records)


def test_a_change_is_pending_until_its_ending_is_told() -> None:
    asking = Asking("province_management")
    asking.publish()

    assert code(asking.put("/products/P100", version=9)) == (409, "CHANGE_PENDING")
    assert asking.platform.settle("/products/P100", "k1", None)
    assert asking.get("/products/P100").answer.state == "confirmed"
    assert not asking.platform.settle("/products/P100", "k1", None)


@pytest.fixture
def failed() -> Asking:
    """A subscription that the gateway refused."""
    asking = Asking("nationwide_management")
    asking.publish()
    assert code(asking.subscribe_ec("7")) == (202, "PENDING")
    asking.platform.settle(EC, "7", Failure("iot_gateway", "REFUSED", "no"))
    return asking


def test_what_failed_says_where_and_why(failed: Asking) -> None:
    found = failed.get(EC).answer

    assert (found.state, found.transaction) == ("failed", "7")
    assert found.failure == Failure("iot_gateway", "REFUSED", "no")
    assert code(failed.subscribe()) == (409, "EC_UNKNOWN")


def test_what_failed_is_tried_anew_under_its_key(failed: Asking) -> None:
    assert code(failed.subscribe_ec("7")) == (202, "PENDING")
    assert failed.get(EC).answer.failure is None


def test_what_failed_can_be_taken_back(failed: Asking) -> None:
    assert code(failed.delete(EC, "7u")) == (202, "PENDING")
    failed.platform.settle(EC, "7u", None)

    assert failed.get(EC).status == 404


def test_a_member_waits_for_an_enterprise_that_is_on_its_way(failed: Asking) -> None:
    failed.subscribe_ec("7")

    assert code(failed.subscribe()) == (409, "EC_PENDING")


def test_class_1_stays_at_the_nationwide_platform() -> None:
    asking = Asking("nationwide_management")
    asking.put("/products/P100", product_class="1")

    assert code(asking.put(EC, ec_name="E", product_class="1")) == (200, "DONE")
    assert code(asking.put(USER, user_id="1", ec_code="", product_class="1")) == (200, "DONE")
    assert code(asking.put(STATE, user_id="1", state="suspended")) == (200, "DONE")


def test_without_the_token_nothing_is_told_or_done() -> None:
    asking = Asking("iot_gateway", token="sesame")

    assert code(asking.get("/health")) == (401, "UNAUTHORIZED")
    assert code(asking.subscribe_ec()) == (401, "UNAUTHORIZED")
    assert not asking.platform.records


# Passing on.


@pytest.mark.parametrize(
    ("status", "code", "step"),
    [
        (0, None, Next.SEND),
        (502, None, Next.SEND),
        (503, "BUSY", Next.SEND),
        (429, "RATE_EXCEEDED", Next.SEND),
        (401, "UNAUTHORIZED", Next.SEND),
        (409, "CHANGE_PENDING", Next.SEND),
        (202, "PENDING", Next.ASK),
        (200, "DONE", None),
        (200, "UNCHANGED", None),
        (409, "EC_UNKNOWN", Failure("hop2", "EC_UNKNOWN")),
        (422, "KEY_REUSED", Failure("hop2", "KEY_REUSED")),
    ],
)
def test_a_hop_is_tried_again_until_it_takes_or_refuses(
    status: int, code: str | None, step: Any
) -> None:
    answer = None if code is None else an_answer(code)

    assert sent("hop2", status, answer) == step


@pytest.mark.parametrize(
    ("method", "found", "step"),
    [
        ("PUT", {"code": "NOT_FOUND"}, Next.SEND),
        ("DELETE", {"code": "NOT_FOUND"}, None),
        ("PUT", {"code": "BUSY"}, Next.ASK),
        ("PUT", {"code": "FOUND", "state": "pending", "transaction": "7"}, Next.ASK),
        ("PUT", {"code": "FOUND", "state": "confirmed", "transaction": "7"}, None),
        ("PUT", {"code": "FOUND", "state": "confirmed", "transaction": "6"}, Next.SEND),
        (
            "PUT",
            {
                "code": "FOUND",
                "state": "failed",
                "transaction": "7",
                "failure": Failure("hop3", "REFUSED"),
            },
            Failure("hop3", "REFUSED"),
        ),
    ],
)
def test_a_hop_is_asked_until_it_knows_the_ending(
    method: str, found: dict[str, Any], step: Any
) -> None:
    assert asked(Passed(method, EC, None, "7"), an_answer(**found)) == step


def an_answer(code: str, **fields: Any) -> Answer:
    return Answer(EC, code, **fields)


def test_all_five_are_played() -> None:
    assert [Asking(dialect).get("/health").status for dialect in PLATFORMS] == [200] * 5
