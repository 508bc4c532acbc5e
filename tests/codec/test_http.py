"""Both halves of HTTP: what one writes the other reads, however TCP cuts it, within a bound."""

from collections.abc import Callable
from contextlib import suppress
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hlrd import limits
from hlrd.codec import http
from hlrd.codec.base import UnsafeValue
from hlrd.codec.http import HTTPReplies, HTTPReply, HTTPRequest, HTTPRequests, Target
from hlrd.domain.errors import ProtocolError

BODIES = st.binary(max_size=200)
STATUSES = st.sampled_from([200, 400, 404, 429, 500, 503])


def cuts(wire: bytes, places: list[int]) -> list[bytes]:
    edges = [0, *sorted(place % (len(wire) + 1) for place in places), len(wire)]
    return [wire[start:end] for start, end in pairwise(edges)]


def fed(decoder: HTTPReplies | HTTPRequests, pieces: list[bytes]) -> list[Any]:
    return [message for piece in pieces for message in decoder.feed(piece)]


def chunked(body: bytes, size: int) -> bytes:
    chunks = [body[at : at + size] for at in range(0, len(body), size)]
    return b"".join(b"%x\r\n%b\r\n" % (len(chunk), chunk) for chunk in [*chunks, b""])


def a_target() -> Target:
    return Target("/dsmp", "ne1.example:8080", headers={"SOAPAction": '""'})


@given(st.lists(st.tuples(STATUSES, BODIES), min_size=1, max_size=4), st.lists(st.integers(0)))
def test_a_reply_is_the_same_however_tcp_cuts_it(
    sent: list[tuple[int, bytes]], places: list[int]
) -> None:
    wire = b"".join(http.reply(status, body) for status, body in sent)

    replies = fed(HTTPReplies(), cuts(wire, places))

    assert replies == [HTTPReply(status, body) for status, body in sent]


@given(st.lists(BODIES, min_size=1, max_size=4), st.lists(st.integers(0)))
def test_a_request_is_the_same_however_tcp_cuts_it(bodies: list[bytes], places: list[int]) -> None:
    wire = b"".join(a_target().post(body) for body in bodies)

    requests = fed(HTTPRequests(), cuts(wire, places))

    assert requests == [HTTPRequest("POST", "/dsmp", body) for body in bodies]


@given(BODIES, st.integers(1, 64), st.lists(st.integers(0)))
def test_a_chunked_reply_reads_like_one_with_a_length(
    body: bytes, size: int, places: list[int]
) -> None:
    wire = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + chunked(body, size)

    replies = fed(HTTPReplies(), cuts(wire, places))

    assert replies == [HTTPReply(200, body)]


def test_every_single_cut_of_a_reply_gives_it_once() -> None:
    wire = http.reply(503, b"<busy/>", retry_after_s=7)

    for place in range(len(wire) + 1):
        decoder = HTTPReplies()
        assert fed(decoder, [wire[:place], wire[place:]]) == [
            HTTPReply(503, b"<busy/>", retry_after_s=7.0)
        ]


def test_a_get_has_no_body() -> None:
    assert HTTPRequests().feed(a_target().get()) == [HTTPRequest("GET", "/dsmp", b"")]


def test_a_reply_that_ends_the_connection_says_so() -> None:
    [reply] = HTTPReplies().feed(http.reply(200, b"x", keep_alive=False))

    assert not reply.keep_alive


def test_an_http_1_0_request_does_not_keep_the_connection() -> None:
    [request] = HTTPRequests().feed(b"GET / HTTP/1.0\r\n\r\n")

    assert not request.keep_alive


def test_an_announcement_is_no_reply() -> None:
    wire = b"HTTP/1.1 100 Continue\r\n\r\n" + http.reply(200, b"x")

    assert HTTPReplies().feed(wire) == [HTTPReply(200, b"x")]


@pytest.mark.parametrize("named", [b"Wed, 21 Oct 2026 07:28:00 GMT", b"-1", b"", b"1e3"])
def test_a_retry_after_that_is_no_number_of_seconds_is_not_guessed(named: bytes) -> None:
    wire = b"HTTP/1.1 503 x\r\nRetry-After: " + named + b"\r\nContent-Length: 0\r\n\r\n"

    assert HTTPReplies().feed(wire) == [HTTPReply(503, b"")]


@pytest.mark.parametrize("status", [204, 304])
def test_a_reply_that_never_has_a_body_needs_no_length(status: int) -> None:
    assert HTTPReplies().feed(b"HTTP/1.1 %d x\r\n\r\n" % status) == [HTTPReply(status, b"")]


@pytest.mark.parametrize(
    "wire",
    [
        b"HTTP/1.1 200 OK\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: one\r\n\r\n",
        b"HTTP/1.1 101 x\r\nConnection: upgrade\r\nUpgrade: h2c\r\n\r\n",
        b"SSH-2.0-OpenSSH_9.2\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\nHTTP/1.1 200 OK\r\n",
    ],
    ids=["no length", "gzip", "length twice", "lengths", "word", "upgrade", "ssh", "after close"],
)
def test_what_is_no_kept_http_connection_breaks_the_protocol(wire: bytes) -> None:
    with pytest.raises(ProtocolError):
        HTTPReplies().feed(wire)


@given(st.binary(max_size=300))
def test_garbage_never_raises_anything_but_a_protocol_error(garbage: bytes) -> None:
    for decoder in (HTTPReplies(), HTTPRequests()):
        with suppress(ProtocolError):
            decoder.feed(garbage)


PIECE = b"x" * 4096


def flood(decoder: HTTPReplies, piece: bytes, times: int) -> None:
    for _ in range(times):
        assert decoder.feed(piece) == []


def endless_body() -> bytes:
    return b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + b"ffffff\r\n"


def endless_header() -> bytes:
    return b"HTTP/1.1 200 OK\r\nX-Long: "


def endless_status_line() -> bytes:
    return b"HTTP/1.1 200 "


@pytest.mark.parametrize("head", [endless_body, endless_header, endless_status_line])
def test_what_never_ends_is_cut_at_the_bound(head: Callable[[], bytes]) -> None:
    decoder = HTTPReplies()
    decoder.feed(head())
    pieces = limits.FRAME_BYTES_MAX // len(PIECE)

    flood(decoder, PIECE, pieces - 1)

    with pytest.raises(ProtocolError, match="above"):
        flood(decoder, PIECE, 3)


def test_many_headers_are_bounded_like_one_long_one() -> None:
    decoder = HTTPReplies()
    decoder.feed(b"HTTP/1.1 200 OK\r\n")
    line = b"X-Some: " + b"y" * 1000 + b"\r\n"

    with pytest.raises(ProtocolError, match="above"):
        flood(decoder, line, limits.FRAME_BYTES_MAX // 1000)


def test_a_length_above_the_bound_is_refused_before_the_body_comes() -> None:
    head = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % (limits.FRAME_BYTES_MAX + 1)

    with pytest.raises(ProtocolError, match="above"):
        HTTPReplies().feed(head)


def test_many_replies_in_one_piece_do_not_add_up_to_the_bound() -> None:
    body = b"x" * (limits.FRAME_BYTES_MAX // 2)

    assert len(HTTPReplies().feed(http.reply(200, body) * 5)) == 5


@pytest.mark.parametrize(
    ("path", "host", "headers"),
    [
        ("dsmp", "ne1", {}),
        ("/ds mp", "ne1", {}),
        ("/a\r\nX: y", "ne1", {}),
        ("/a\n", "ne1", {}),
        ("/a", "ne1\r\nX: y", {}),
        ("/a", "", {}),
        ("/a", "ne1", {"X-A": "b\r\nX-C: d"}),
        ("/a", "ne1", {"X-A": "b\n"}),
        ("/a", "ne1", {"X-A": "b\0"}),
        ("/a", "ne1", {"X A": "b"}),
        ("/a", "ne1", {"X-A:": "b"}),
        ("/a", "ne1", {"X-A": ""}),
    ],
)
def test_no_header_can_carry_another(path: str, host: str, headers: dict[str, str]) -> None:
    with pytest.raises(UnsafeValue):
        Target(path, host, headers=headers)


TEMPTING = st.text("aZ0./:-_[] \t\r\n\0%?é１", max_size=6)


@given(TEMPTING, TEMPTING, TEMPTING)
def test_a_target_is_refused_or_written_as_exactly_one_request(
    path: str, host: str, value: str
) -> None:
    try:
        target = Target("/" + path, host, headers={"X-Value": value})
    except UnsafeValue:
        return

    wire = target.post(b"body")

    assert HTTPRequests().feed(wire) == [HTTPRequest("POST", "/" + path, b"body")]
    assert wire.count(b"\r\n") == 6
