"""JSON over HTTP: what one side asks the other reads, and nothing gets out of its place."""

import json
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import Struct

from hlrd.codec import jsonhttp
from hlrd.codec.base import UnsafeValue
from hlrd.codec.http import HTTPReplies, HTTPRequest, HTTPRequests
from hlrd.codec.jsonhttp import Service
from hlrd.domain.errors import ProtocolError

TOKEN = "sesame%s-77"


class Sheet(Struct):
    number: int
    text: str = ""


SHEETS: msgspec.json.Decoder[Sheet] = msgspec.json.Decoder(Sheet)
CONTENTS = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
).filter(lambda content: content is not None)
KEYS = st.text("0123456789abcXYZ", min_size=1, max_size=64)
SEGMENTS = st.text("abcXYZ019._~-", min_size=1).filter(lambda text: text not in (".", ".."))


def a_service(token: str = TOKEN) -> Service:
    return Service("ne1.example:8080", base="/iot/v1", token=token)


def heard(wire: bytes) -> HTTPRequest:
    [request] = HTTPRequests().feed(wire)
    return request


@given(st.lists(SEGMENTS, min_size=1, max_size=4), KEYS, CONTENTS)
def test_a_request_is_read_as_it_was_meant(segments: list[str], key: str, content: Any) -> None:
    resource = "/" + "/".join(segments)

    request = heard(a_service().send("PUT", resource, key=key, content=content))

    assert (request.method, request.target, request.key) == ("PUT", "/iot/v1" + resource, key)
    assert request.authorization == f"Bearer {TOKEN}"
    assert json.loads(request.body) == content


def test_a_request_without_content_has_an_empty_body() -> None:
    request = heard(a_service().send("DELETE", "/ecs/E1", key="7"))

    assert (request.method, request.body, request.key) == ("DELETE", b"", "7")


def test_a_query_has_no_key() -> None:
    request = heard(a_service().get("/health"))

    assert (request.method, request.target, request.key) == ("GET", "/iot/v1/health", "")


def test_a_key_is_of_one_request_and_not_of_the_next() -> None:
    service = a_service()
    wire = service.send("PUT", "/a", key="1", content={}) + service.get("/a")

    assert [request.key for request in HTTPRequests().feed(wire)] == ["1", ""]


def test_without_a_token_none_is_sent() -> None:
    assert heard(a_service(token="").get("/a")).authorization == ""


@pytest.mark.parametrize(
    "resource", ["", "/", "a", "/a b", "/a\r\nX: y", "/a/../b", "/.", "/a/", "/é", "/a?b", "/%2e"]
)
def test_a_resource_cannot_leave_its_place(resource: str) -> None:
    with pytest.raises(UnsafeValue):
        a_service().get(resource)


@pytest.mark.parametrize("key", ["", "a b", "1\r\nX: y", "1\n", "k" * 65, "é"])
def test_a_key_is_letters_and_digits(key: str) -> None:
    with pytest.raises(UnsafeValue):
        a_service().send("PUT", "/a", key=key, content={})


@pytest.mark.parametrize(
    "settings",
    [{"base": "iot"}, {"base": "/a/"}, {"base": "/.."}, {"token": "a\r\nb"}, {"token": "a b"}],
    ids=repr,
)
def test_settings_of_no_use_are_refused_at_once(settings: dict[str, str]) -> None:
    with pytest.raises(UnsafeValue) as refused:
        Service("ne1.example", **settings)

    assert settings.get("token", "no token") not in str(refused.value)


def test_a_host_that_is_none_is_refused() -> None:
    with pytest.raises(UnsafeValue):
        Service("ne1\r\nX: y")


@given(CONTENTS)
def test_an_answer_is_read_as_it_was_meant(content: Any) -> None:
    [reply] = HTTPReplies().feed(jsonhttp.answer(202, content, retry_after_s=3))

    assert (reply.status, reply.retry_after_s) == (202, 3.0)
    assert json.loads(reply.body) == content


def test_a_typed_answer_leaves_out_what_it_does_not_know() -> None:
    assert jsonhttp.read(b'{"number": 7, "colour": "red"}', SHEETS) == Sheet(7)


@pytest.mark.parametrize(
    "body", [b"", b"<html/>", b"[]", b'{"number": "7"}', b"{}", b'{"number": 7, "text": "\xff"}']
)
def test_what_is_no_such_json_breaks_the_protocol(body: bytes) -> None:
    with pytest.raises(ProtocolError):
        jsonhttp.read(body, SHEETS)


def test_json_without_a_bottom_breaks_the_protocol() -> None:
    with pytest.raises(ProtocolError):
        jsonhttp.read(b'{"number": 7, "x": ' + b"[" * 100_000, SHEETS)


def test_a_request_tells_its_target() -> None:
    wire = a_service().send("PUT", "/ecs/E1", key="7", content={"text": " HTTP/1.1\r\n"})

    assert jsonhttp.target_of(wire) == "/iot/v1/ecs/E1"
