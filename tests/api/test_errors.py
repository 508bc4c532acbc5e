"""Every refusal has one shape, whatever part of the request is wrong."""

import asyncio
import json
from collections.abc import AsyncIterator
from urllib.parse import quote, urlencode

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hlrd import limits, metrics
from hlrd.api.body import Bodies
from hlrd.domain.orders import Source
from hlrd.store.errors import StoreTimeout
from tests.api.client import Reply, World, a_member_activation, a_world, token, until

JSON = {"Content-Type": "application/json"}


def assert_problem(reply: Reply, status: int, code: str) -> None:
    assert (reply.status, reply.json["code"]) == (status, code)
    assert reply.headers["Content-Type"] == "application/problem+json"
    assert reply.json["status"] == status
    assert reply.json["type"] == f"urn:hlrd:problem:{code.lower().replace('_', '-')}"
    assert reply.json["title"]
    assert reply.json["detail"]


async def test_an_unknown_path_is_404(world: World) -> None:
    assert_problem(await world.ask("GET", "/v2/orders"), 404, "PATH_UNKNOWN")


async def test_a_method_a_path_does_not_take_is_405_and_names_those_it_does(world: World) -> None:
    reply = await world.ask("DELETE", "/v1/work-orders")

    assert_problem(reply, 405, "METHOD_NOT_ALLOWED")
    assert reply.headers["Allow"] == "GET,POST"


@pytest.mark.parametrize(
    ("headers", "code"),
    [
        ({"Content-Type": "text/plain"}, "MEDIA_TYPE"),
        ({"Content-Type": "application/json; charset=gbk"}, "CHARSET"),
        ({**JSON, "Content-Encoding": "compress"}, "CONTENT_ENCODING"),
    ],
)
async def test_a_body_of_the_wrong_kind_is_415(
    world: World, headers: dict[str, str], code: str
) -> None:
    reply = await world.ask("POST", "/v1/work-orders", data=b"{}", headers=headers)

    assert_problem(reply, 415, code)


async def test_a_body_above_the_limit_is_413_however_it_comes(world: World) -> None:
    async def endless() -> AsyncIterator[bytes]:
        for _ in range(17):
            yield b" " * 2**20

    declared = await world.ask(
        "POST", "/v1/work-orders", data=b" " * (limits.BODY_BYTES_MAX + 1), headers=JSON
    )
    chunked = await world.ask("POST", "/v1/work-orders", data=endless(), headers=JSON)

    assert_problem(declared, 413, "BODY_TOO_LARGE")
    assert_problem(chunked, 413, "BODY_TOO_LARGE")


async def test_an_order_above_the_limit_is_refused(world: World) -> None:
    reply = await world.post_order(a_member_activation(channel="x" * limits.ORDER_BYTES_MAX))

    assert_problem(reply, 400, "ORDER_TOO_LARGE")


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"\xff\xfe",
        b'{"type":"USER_OPEN","type":NaN}',
        b"NaN",
        b'{"a":' * 50_000,
        b'{"order_id":"\xff"}',
        b'{"type":"MEMBER_ACTIVATE","order_id":"\\ud800"}',
        b"\x00",
    ],
)
async def test_what_is_not_json_is_400(world: World, body: bytes) -> None:
    reply = await world.ask("POST", "/v1/work-orders", data=body, headers=JSON)

    assert reply.status == 400
    assert reply.headers["Content-Type"] == "application/problem+json"


@pytest.mark.parametrize("value", ["A1\\n", "A1\\u0000", "A１", "A1;", "A1 ", "", "A" * 33])
async def test_an_identifier_is_plain_to_its_very_end(world: World, value: str) -> None:
    body = b'{"order_id":"%b"' % value.encode() + b',"type":"MEMBER_ACTIVATE","province":"200",'
    body += b'"operator_id":"op","user_id":"1","ec_code":"E"}'
    reply = await world.ask("POST", "/v1/work-orders", data=body, headers=JSON)

    assert_problem(reply, 400, "FIELD_INVALID")
    assert reply.json["field"] == "order_id"


@pytest.mark.parametrize("second", [b'"user_id":"2"', b'"user\\u005fid":"2"', b'"user_id" : "1"'])
async def test_a_field_that_comes_twice_is_refused(world: World, second: bytes) -> None:
    body = b'{"type":"USER_TERMINATE","order_id":"A1","province":"200","operator_id":"op","cause":'
    body += b'"a:b","user_id":"1","msisdn":"13800138000",' + second + b"}"
    reply = await world.ask("POST", "/v1/work-orders", data=body, headers=JSON)

    assert_problem(reply, 400, "FIELD_TWICE")
    assert reply.json["field"] == "user_id"


async def test_a_colon_in_a_text_is_no_second_field(world: World) -> None:
    reply = await world.post_order(
        {
            "type": "USER_TERMINATE", "order_id": "A1", "province": "200", "operator_id": "o:p",
            "user_id": "1", "msisdn": "13800138000", "cause": 'said: "stop"',
        }
    )  # fmt: skip

    assert reply.status == 202


async def test_a_wrong_value_is_not_quoted_back(world: World) -> None:
    ki = "0123456789ABCDEF0123456789ABCDEF"
    for field in ("services", "algorithm", "msisdn", "imsi", "ki", "province", "type", "mode"):
        order = {"type": "USER_OPEN", "order_id": "A1", field: [ki] if field == "services" else ki}
        reply = await world.post_order(order)
        assert reply.status == 400
        assert ki not in reply.body.decode()


async def test_a_failure_of_ours_is_500_and_tells_nothing(world: World) -> None:
    def fail(*_: object, **__: object) -> None:
        raise RuntimeError("ki=0123456789ABCDEF0123456789ABCDEF")

    world.book.submit = fail  # type: ignore[method-assign]
    reply = await world.post_order(a_member_activation())

    assert_problem(reply, 500, "INTERNAL")
    assert b"0123" not in reply.body


async def test_a_database_out_of_reach_is_503(world: World) -> None:
    async def fail(_: int) -> None:
        raise StoreTimeout("PostgreSQL did not answer in time")

    world.book.by_id = fail  # type: ignore[method-assign]
    reply = await world.ask("GET", "/v1/work-orders/1")

    assert_problem(reply, 503, "STORE_UNAVAILABLE")
    assert reply.headers["Retry-After"] == "1"


@pytest.mark.parametrize(
    "query",
    [
        "",
        "?order_id=",
        "?order_id=A%0A",
        "?order_id=A&order_id=B",
        "?order_id=A&source=NOBODY",
        "?order_id=A&colour=red",
    ],
)
async def test_a_query_is_typed_too(world: World, query: str) -> None:
    reply = await world.ask("GET", f"/v1/work-orders{query}")

    assert reply.status == 400
    assert reply.headers["Content-Type"] == "application/problem+json"


# Who asks


@pytest.mark.parametrize(
    ("authorization", "code"),
    [
        (None, "TOKEN_MISSING"),
        ("", "TOKEN_MISSING"),
        ("Basic b3BzOm9wcw==", "TOKEN_MISSING"),
        ("Bearer", "TOKEN_MISSING"),
        ("Bearer nobodys-token-0123456789", "TOKEN_UNKNOWN"),
    ],
)
@pytest.mark.parametrize("path", ["/v1/work-orders/1", "/v1/nowhere"])
async def test_without_a_known_token_everything_is_401(
    world: World, path: str, authorization: str | None, code: str
) -> None:
    headers = {} if authorization is None else {"Authorization": authorization}
    reply = await world.ask("GET", path, source=None, headers=headers)

    assert_problem(reply, 401, code)
    assert reply.headers["WWW-Authenticate"].startswith("Bearer")


@pytest.mark.parametrize("value", [b"Bearer \xff\xfe", b"Bearer \xc3\xa9", b"Bearer  "])
async def test_a_token_may_be_any_bytes_and_is_still_unknown(world: World, value: bytes) -> None:
    head = b"GET /v1/pools HTTP/1.1\r\nHost: h\r\nConnection: close\r\nAuthorization: "
    answer = await raw(world, head + value + b"\r\n\r\n")

    assert answer.startswith(b"HTTP/1.1 401")


async def test_the_scheme_of_a_token_may_be_in_any_case(world: World) -> None:
    headers = {"Authorization": f"bEARER  {token(Source.OPS)}"}
    reply = await world.ask("GET", "/v1/pools", source=None, headers=headers)

    assert reply.status == 200


async def test_the_body_of_a_stranger_is_not_decoded(world: World) -> None:
    reply = await world.post_order(a_member_activation(), source=None)

    assert reply.status == 401
    assert world.book.seen == []


# Below the routes


async def raw(world: World, request: bytes) -> bytes:
    reader, writer = await asyncio.open_connection(world.host, world.port)
    writer.write(request)
    try:
        return await asyncio.wait_for(reader.read(), 10)
    finally:
        writer.close()


def post_head(*headers: str) -> bytes:
    lines = [
        "POST /v1/work-orders HTTP/1.1",
        "Host: h",
        f"Authorization: Bearer {token(Source.ESOP)}",
        "Content-Type: application/json",
        *headers,
    ]
    return "\r\n".join([*lines, "", ""]).encode()


@pytest.mark.parametrize(
    "request_",
    [
        b"\x16\x03\x01\x02\x00",
        b"nonsense\r\n\r\n",
        post_head("Content-Length: 5", "Transfer-Encoding: chunked"),
        post_head("Content-Length: x"),
        post_head("X: " + "y" * 2 * limits.HTTP_LINE_BYTES_MAX),
        post_head(*(f"X-{number}: 1" for number in range(2 * limits.HTTP_HEADERS_MAX))),
        b"GET /" + b"x" * 2 * limits.HTTP_LINE_BYTES_MAX + b" HTTP/1.1\r\n\r\n",
    ],
)
async def test_what_is_not_http_is_400_and_closed(world: World, request_: bytes) -> None:
    answer = await raw(world, request_)

    assert answer.startswith(b"HTTP/1.1 400") or answer.startswith(b"HTTP/1.0 400")
    assert b"application/problem+json" in answer
    assert b"HTTP_INVALID" in answer
    assert b"aiohttp" not in answer


async def test_a_slow_body_is_cut() -> None:
    async with a_world(bodies=Bodies(read_timeout_s=0.05)) as world:
        answer = await raw(world, post_head("Content-Length: 100") + b'{"type":')

    assert answer.startswith(b"HTTP/1.1 408")
    assert b"BODY_TOO_SLOW" in answer
    assert b"Connection: close" in answer


async def test_a_body_that_is_not_packed_as_it_says_is_400(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    answer = await raw(world, post_head("Content-Length: 4", "Content-Encoding: gzip") + b"abcd")

    assert answer.startswith(b"HTTP/1.1 400")
    assert b"BODY_BROKEN" in answer
    assert b"Connection: close" in answer
    assert caplog.messages == []


@pytest.mark.parametrize("packed", ["br", "zstd", "compress"])
async def test_a_body_packed_as_nobody_here_unpacks_is_415(world: World, packed: str) -> None:
    head = post_head("Content-Length: 4", f"Content-Encoding: {packed}", "Connection: close")

    answer = await raw(world, head + b"abcd")

    assert b" 415 " in answer.splitlines()[0]
    assert b"CONTENT_ENCODING" in answer


async def test_an_expectation_that_nobody_knows_is_a_problem_too(world: World) -> None:
    reply = await world.ask("GET", "/v1/pools", headers={"Expect": "a miracle"})

    assert_problem(reply, 400, "HTTP_INVALID")
    assert reply.headers["Server"] == "hlrd"


async def test_bodies_share_one_bound() -> None:
    async with a_world(bodies=Bodies(bytes_max=1_000, read_timeout_s=5)) as world:
        _, writer = await asyncio.open_connection(world.host, world.port)
        writer.write(post_head("Content-Length: 900") + b"{")
        await until(lambda: world.bodies._bytes_held == 900)

        refused = await world.post_order(a_member_activation())
        writer.close()
        await until(lambda: world.bodies._bytes_held == 0)
        taken = await world.post_order(a_member_activation())

    assert_problem(refused, 503, "BODIES_FULL")
    assert refused.headers["Retry-After"] == "1"
    assert taken.status == 202


async def test_one_connection_too_many_is_told_so() -> None:
    async with a_world(connections_max=1) as world:
        _, first = await asyncio.open_connection(world.host, world.port)
        await asyncio.sleep(0)
        answer = await raw(world, b"")
        first.close()

    assert answer.startswith(b"HTTP/1.1 503")
    assert b"Retry-After: 1" in answer
    assert b"CONNECTIONS_FULL" in answer


# Anything at all


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda children: (
        st.lists(children, max_size=3) | st.dictionaries(st.text(max_size=12), children, max_size=4)
    ),
    max_leaves=10,
)
order_like = st.fixed_dictionaries(
    {"type": st.sampled_from(["MEMBER_ACTIVATE", "USER_OPEN", "USER_TERMINATE", "X"])},
    optional={
        name: st.sampled_from(["1", "200", "13800138000", "460001234567890", 1, ["SMS"]])
        | st.text(max_size=8)
        | json_values
        for name in (
            "order_id", "province", "operator_id", "user_id", "ec_code", "msisdn", "imsi", "iccid",
            "services", "cause", "mode", "deadline_ms", "accept_time", "seq", "priority", "ki",
            "keyid",
        )
    },
)  # fmt: skip


@settings(
    max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    body=st.binary(max_size=200)
    | json_values.map(json.dumps).map(str.encode)
    | st.lists(order_like, max_size=3).map(json.dumps).map(str.encode)
    | order_like.map(json.dumps).map(str.encode),
    media=st.sampled_from(["application/json", "application/x-ndjson", "text/csv", "x"]),
)
async def test_no_body_makes_a_failure(world: World, body: bytes, media: str) -> None:
    for path in ("/v1/work-orders", "/v1/pools", "/v1/pools/iot/ranges"):
        reply = await world.ask(
            "POST", path, source=Source.OPS, data=body, headers={"Content-Type": media}
        )
        assert reply.status < 500
    lot = await world.ask(
        "POST",
        "/v1/sim-lots?province=200&hlr=hlr1",
        source=Source.OPS,
        data=body,
        headers={"Content-Type": media},
    )
    assert lot.status < 500


@settings(
    max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    path=st.sampled_from(
        ["/v1/work-orders", "/v1/receipts", "/v1/pools", "/v1/numbers", "/v1/sim-lots", "/v1", ""]
    ),
    tail=st.text(alphabet=st.characters(exclude_categories=["Cs"]), max_size=20),
    query=st.dictionaries(
        st.sampled_from(["after", "limit", "wait", "order_id", "source", "x"]),
        st.text(alphabet=st.characters(exclude_categories=["Cs"]), max_size=20)
        | st.integers().map(str),
        max_size=3,
    ),
)
async def test_no_path_makes_a_failure(
    world: World, path: str, tail: str, query: dict[str, str]
) -> None:
    for target in (f"{path}/{quote(tail)}?{urlencode(query)}", f"{path}?{urlencode(query)}"):
        reply = await world.ask("GET", target, source=Source.OPS)
        assert reply.status < 500


async def test_requests_are_counted_by_route_and_never_by_path(world: World) -> None:
    for path in ("/v1/work-orders/1", "/v1/work-orders/2", "/nowhere/1", "/nowhere/2"):
        await world.ask("GET", path)

    routes = {
        sample.labels["route"]
        for metric in metrics.HTTP_REQUESTS.collect()
        for sample in metric.samples
    }
    assert "GET /v1/work-orders/{id}" in routes
    assert "unmatched" in routes
    assert not any("1" in route.replace("/v1/", "") for route in routes)
