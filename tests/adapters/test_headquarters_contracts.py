"""The OpenAPI files of the EOMS, the relays and the registry, held against adapter and emulator."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from openapi_core.exceptions import OpenAPIError

from adapters import DIALECTS
from adapters.json_platform import JSONPlatform
from hlrd.codec.http import HTTPReplies, HTTPReply, HTTPRequest, HTTPRequests
from loadtest import jsonpeer
from loadtest.jsonpeer import Served, Work
from loadtest.relay.core import Role
from tests.adapters.conformance import EMULATED, KI, RELAYS, Played, the_replies, the_task
from tests.adapters.contract import Contract
from tests.adapters.headquarters import Headquarters, QuickPeople

SYSTEMS: Final = ("eoms", *RELAYS)
CONTRACTS: Final = {dialect: Contract(dialect) for dialect in SYSTEMS}
EACH: Final = pytest.mark.parametrize("dialect", SYSTEMS)
TOLD_BY_THE_STATE: Final = {"FOUND"}
OF_OTHERS: Final = {"PENDING", "CHANGE_PENDING", "EC_PENDING"}

KEY: Final = {"value": KI, "index": 3, "algorithm": "MILENAGE", "card_type": "USIM"}
MEMBER: Final = {
    "user_id": "1001",
    "imsi": "001010000000001",
    "iccid": "89860000000000000001",
    "province": "HB",
    "ec_code": "E1001",
    "product": "P100",
    "services": ["GPRS", "SMS"],
    "product_class": 2,
    "key": KEY,
}
SUBSCRIPTION: Final = {"ec_name": "示例", "version": 1, "product_class": 2, "lead_province": "HB"}
PRODUCT: Final = {"user_id": "1001", "ec_code": "E1001", "version": 1, "attributes": {"apn": "iot"}}
SHEET: Final = {"kind": "work", "text": "现场核对", "order": "17"}


@dataclass(frozen=True, slots=True)
class Resource:
    path: str
    content: Mapping[str, Any]


RESOURCES: Final = {
    "/health": Resource("/health", {}),
    "/ecs/E1001/products/P100": Resource("/ecs/{ec_code}/products/{product}", SUBSCRIPTION),
    "/members/1064900000001": Resource("/members/{msisdn}", MEMBER),
    "/members/1064900000001/products/P100": Resource(
        "/members/{msisdn}/products/{product}", PRODUCT
    ),
    "/sheets/W17": Resource("/sheets/{number}", SHEET),
    "/sheets/F17": Resource("/sheets/{number}", {**SHEET, "kind": "fallout"}),
    "/sheets/W17/closing": Resource("/sheets/{number}/closing", {}),
}
METHODS = st.sampled_from(["GET", "PUT", "PUT", "PUT", "DELETE"])
KEYS = st.sampled_from(["1", "2", "3", "4", "", "a-b"])
VALUES: st.SearchStrategy[Any] = st.sampled_from(
    [
        "1",
        "",
        1,
        0,
        -1,
        256,
        2.5,
        None,
        True,
        {},
        [],
        ["GD"],
        ["G D"],
        {**KEY, "index": 0},
        "x" * 65,
        "BBOSS",
    ]
)
FIELDS = st.sampled_from(
    [
        "kind",
        "text",
        "order",
        "version",
        "ec_name",
        "partner_provinces",
        "product_class",
        "imsi",
        "key",
        "product",
        "services",
        "attributes",
        "route",
    ]
)
FLAWS = st.none() | st.tuples(FIELDS | st.just("x"), VALUES | st.just("left out"))


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

    takes = dialect != "pboss_registry"
    assert played.statuses == ({200, 202, 404} if takes else {200, 404})


@EACH
def test_the_contract_describes_each_operation_of_the_dialect(dialect: str) -> None:
    described = {name for name in CONTRACTS[dialect].operations if not name.startswith("show")}

    assert described == {"health", *DIALECTS[dialect].operations}


@EACH
def test_the_service_stands_where_the_contract_says(dialect: str) -> None:
    spoken = DIALECTS[dialect]

    assert issubclass(spoken, JSONPlatform)
    assert CONTRACTS[dialect].path == spoken.path


@EACH
def test_the_table_of_replies_rules_on_each_code_of_the_contract_and_no_other(
    dialect: str,
) -> None:
    ruled = {row.code for row in the_replies(dialect).rows if row.code}

    own = {code for code in ruled if code.isupper() and not code.startswith("HTTP ")}

    assert CONTRACTS[dialect].codes() - TOLD_BY_THE_STATE <= own
    assert own - CONTRACTS[dialect].codes() <= OF_OTHERS


def a_system(dialect: str) -> Callable[[HTTPRequest], Served]:
    """Nothing is passed on, nor answered by anybody."""
    if dialect != "eoms":
        return Headquarters(Role(dialect)).system.handle
    office = QuickPeople().office

    def handle(request: HTTPRequest) -> Served:
        read = office.read(request)
        return office.execute(read) if isinstance(read, Work) else read

    return handle


@EACH
@settings(max_examples=80, deadline=None)
@given(st.lists(st.tuples(METHODS, st.sampled_from(list(RESOURCES)), KEYS, FLAWS), max_size=8))
def test_whatever_is_asked_the_emulator_refuses_what_the_contract_forbids_and_nothing_else(
    dialect: str, asked: list[tuple[str, str, str, Any]]
) -> None:
    contract, handle = CONTRACTS[dialect], a_system(dialect)

    for method, resource, key, flaw in asked:
        request = a_request(dialect, method, resource, key, flaw)
        served = handle(request)
        if method.lower() not in contract.document["paths"].get(RESOURCES[resource].path, {}):
            assert served.answer.code in ("NO_SUCH_RESOURCE", "MALFORMED")
            continue
        assert (served.answer.code in ("MALFORMED", "KEY_MISSING")) is not contract.allows(request)
        [reply] = HTTPReplies().feed(jsonpeer.reply(served))
        contract.check_reply(request, reply)


def a_request(
    dialect: str, method: str, resource: str, key: str, flaw: tuple[str, Any] | None
) -> HTTPRequest:
    """With the content that belongs to the resource, but for its flaw."""
    content = dict(RESOURCES[resource].content)
    if flaw is not None:
        content.update([flaw])
    content = {name: value for name, value in content.items() if value != "left out"}
    body = json.dumps(content).encode() if method == "PUT" else b""
    key = "" if method == "GET" else key
    return HTTPRequest(method, CONTRACTS[dialect].path + resource, body, key=key)


@EACH
def test_an_answer_of_another_form_breaks_the_contract(dialect: str) -> None:
    contract = CONTRACTS[dialect]
    request = HTTPRequest("GET", contract.path + "/health", b"")
    reply = HTTPReply(200, b'{"resource": "/health", "code": "DONE", "colour": "red"}')

    with pytest.raises(OpenAPIError):
        contract.check_reply(request, reply)
