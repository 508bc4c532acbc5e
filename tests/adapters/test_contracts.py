"""The OpenAPI file of each platform, held against its adapter and its emulator alike."""

import json
from itertools import product
from typing import Any, Final

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from openapi_core.exceptions import OpenAPIError

from adapters import DIALECTS
from adapters.subscriptions import SubscriptionPlatform
from hlrd.codec.http import HTTPReplies, HTTPReply, HTTPRequest, HTTPRequests
from hlrd.domain.operation import Operation
from loadtest import jsonpeer
from tests.adapters.chain import Chain
from tests.adapters.conformance import EMULATED, PLATFORMS, Played, the_replies, the_task
from tests.adapters.contract import Contract

CONTRACTS: Final = {dialect: Contract(dialect) for dialect in PLATFORMS}
EACH: Final = pytest.mark.parametrize("dialect", PLATFORMS)
_SPOKEN_BY_HTTP: Final = "HTTP "

PATHS: Final = {
    "/health": "/health",
    "/products/P100": "/products/{product}",
    "/ecs/E1001/products/P100": "/ecs/{ec_code}/products/{product}",
    "/users/1064900000001/products/P100": "/users/{msisdn}/products/{product}",
    "/users/1064900000001/state": "/users/{msisdn}/state",
}
METHODS = st.sampled_from(["GET", "PUT", "PUT", "PUT", "DELETE"])
RESOURCES = st.sampled_from(list(PATHS))
KEYS = st.sampled_from(["1", "2", "3", "4", "", "a-b"])
VALUES: Final[tuple[Any, ...]] = (
    *("1", "2", "4", "active", "suspended", "", 1, 0, -1, 2.5, None, True, {}, []),
    *({"apn": 1}, {"apn": "b"}, "left out"),
)
FIELDS: Final = (
    *("version", "attributes", "product_class", "ec_name", "user_id", "ec_code", "state"),
    *("name", "unheard_of"),
)
FLAWS = st.none() | st.tuples(st.sampled_from(FIELDS), st.sampled_from(VALUES))


class Watched(Played):
    """Every request and every answer must keep to the contract."""

    def __init__(self, dialect: str) -> None:
        super().__init__(dialect)
        self._contract = CONTRACTS[dialect]
        self._plain = self.exchange
        self.exchange = self._watch
        self.statuses: set[int] = set()

    def _watch(self, request: bytes) -> bytes:
        [asked] = HTTPRequests().feed(request)
        self._contract.check_request(asked)
        wire = self._plain(request)
        [reply] = HTTPReplies().feed(wire)
        self._contract.check_reply(asked, reply)
        self.statuses.add(reply.status)
        return wire


@EACH
def test_adapter_and_emulator_keep_to_the_contract_through_a_whole_life(dialect: str) -> None:
    played = Watched(dialect)

    for operation in EMULATED[dialect].life:
        played.read_back(the_task(dialect, operation))
        played.execute(the_task(dialect, operation))
        played.execute(the_task(dialect, operation))
        played.read_back(the_task(dialect, operation))
    played.reply(played.adapter.keepalive())

    is_chain = "202" in CONTRACTS[dialect].operations["subscribeEC"]["responses"]
    assert played.statuses == ({200, 202, 404} if is_chain else {200, 404})


@EACH
def test_the_contract_describes_each_operation_of_the_dialect(dialect: str) -> None:
    spoken = DIALECTS[dialect]
    states = {Operation.PAUSE_RELATION, Operation.RESUME_RELATION}

    described = {name for name in CONTRACTS[dialect].operations if not name.startswith("show")}

    assert described == {
        "health",
        "setUserState",
        *(operation.value for operation in spoken.operations - states),
    }


@EACH
def test_the_service_stands_where_the_contract_says(dialect: str) -> None:
    spoken = DIALECTS[dialect]

    assert issubclass(spoken, SubscriptionPlatform)
    assert CONTRACTS[dialect].path == spoken.path


@EACH
def test_the_table_of_replies_rules_on_each_code_of_the_contract_and_no_other(
    dialect: str,
) -> None:
    ruled = {row.code for row in the_replies(dialect).rows if row.code}

    own = {code for code in ruled if not code.startswith(_SPOKEN_BY_HTTP)}
    told_by_the_state = {"FOUND"}
    passes_nothing_on = {"PENDING", "CHANGE_PENDING", "EC_PENDING"}

    assert CONTRACTS[dialect].codes() - told_by_the_state <= own
    assert own - CONTRACTS[dialect].codes() <= passes_nothing_on


@EACH
def test_the_emulator_takes_each_single_value_just_where_the_contract_does(dialect: str) -> None:
    contract = CONTRACTS[dialect]
    puts = [path for path in PATHS if "put" in contract.document["paths"].get(PATHS[path], {})]
    taken = 0

    for resource, *flaw in product(puts, FIELDS, VALUES):
        request = a_request(dialect, "PUT", resource, "1", (flaw[0], flaw[1]))
        served = Chain(dialect).platform.handle(request)
        assert (served.answer.code != "MALFORMED") is contract.allows(request), (resource, flaw)
        taken += served.answer.code != "MALFORMED"

    assert taken > 20


@EACH
@settings(max_examples=80, deadline=None)
@given(st.lists(st.tuples(METHODS, RESOURCES, KEYS, FLAWS), max_size=8))
def test_whatever_is_asked_the_emulator_refuses_what_the_contract_forbids_and_nothing_else(
    dialect: str, asked: list[tuple[str, str, str, Any]]
) -> None:
    contract, chain = CONTRACTS[dialect], Chain(dialect)

    for method, resource, key, flaw in asked:
        request = a_request(dialect, method, resource, key, flaw)
        served = chain.platform.handle(request)
        chain.carry()
        if method.lower() not in contract.document["paths"].get(PATHS[resource], {}):
            assert served.answer.code in ("NO_SUCH_RESOURCE", "MALFORMED")
            continue
        assert (served.answer.code in ("MALFORMED", "KEY_MISSING")) is not contract.allows(request)
        [reply] = HTTPReplies().feed(jsonpeer.reply(served))
        contract.check_reply(request, reply)


def a_request(
    dialect: str, method: str, resource: str, key: str, flaw: tuple[str, Any] | None
) -> HTTPRequest:
    """With the content that belongs to the resource, but for its flaw."""
    content = a_content(dialect, resource)
    if flaw is not None:
        content.update([flaw])
    content = {name: value for name, value in content.items() if value != "left out"}
    body = json.dumps(content).encode() if method == "PUT" else b""
    key = "" if method == "GET" else key
    return HTTPRequest(method, CONTRACTS[dialect].path + resource, body, key=key)


def a_content(dialect: str, resource: str) -> dict[str, Any]:
    schemas = CONTRACTS[dialect].document["components"]["schemas"]
    described: dict[str, Any] = {"version": 1, "attributes": {"apn": "a"}}
    if "product_class" in schemas["EC"]["properties"]:
        described["product_class"] = "2"
    if resource.endswith("/state"):
        return {"user_id": "1001", "state": "suspended"}
    if resource.startswith("/users"):
        return {"user_id": "1001", "ec_code": "", **described}
    name = "ec_name" if resource.startswith("/ecs") else "name"
    return {name: "示例", **described}


@EACH
def test_an_answer_of_another_form_breaks_the_contract(dialect: str) -> None:
    contract = CONTRACTS[dialect]
    request = HTTPRequest("GET", contract.path + "/health", b"")
    reply = HTTPReply(200, b'{"resource": "/health", "code": "DONE", "colour": "red"}')

    with pytest.raises(OpenAPIError):
        contract.check_reply(request, reply)
