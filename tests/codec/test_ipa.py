"""IPA frames and CTRL: however TCP cuts them, whatever a peer sends."""

from collections.abc import Sequence
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hlrd.codec import ipa
from hlrd.codec.base import UnsafeValue
from hlrd.codec.ipa import PING, PINGED, PONG, Answer, Command, CTRLCommands, CTRLReplies, CTRLReply
from hlrd.domain.errors import ProtocolError

KI = "0123456789abcdef0123456789abcdef"
NUMBERS = st.integers(1, 10**12 - 1)
VARIABLES = st.from_regex(r"\A[a-z0-9][a-z0-9.-]{0,40}\Z")
VALUES = st.from_regex(r"\A[0-9A-Za-z,]{1,60}\Z")
COMMANDS = st.lists(
    st.one_of(VARIABLES.map(ipa.get), st.builds(ipa.put, VARIABLES, VALUES)),
    min_size=1,
    max_size=ipa.COMMANDS_MAX,
)
TEXTS = st.text(st.characters(min_codepoint=32, max_codepoint=126), min_size=1, max_size=60)


def answered(request: bytes, values: Sequence[str], errors: Sequence[str]) -> bytes:
    """What a server says to `request`; where there is an error, it is said."""
    return b"".join(
        ipa.refusal(command, error) if error else ipa.answer(command, value)
        for command, value, error in zip(CTRLCommands().feed(request), values, errors, strict=True)
    )


def pieces(wire: bytes, cuts: Sequence[int]) -> list[bytes]:
    places = sorted({0, len(wire), *(cut % (len(wire) + 1) for cut in cuts)})
    return [wire[a:b] for a, b in pairwise(places)]


@given(COMMANDS, NUMBERS)
def test_a_server_reads_what_was_asked(commands: list[Command], number: int) -> None:
    request = ipa.numbered(ipa.request(*commands), number)

    read = CTRLCommands().feed(request)

    assert [(each.verb, each.variable, each.value) for each in read] == commands
    assert {int(each.id) // 100 for each in read} == {number}
    assert [int(each.id) % 100 for each in read] == list(range(len(commands)))[::-1]
    assert not any(each.fault for each in read)


@given(COMMANDS, NUMBERS, st.data(), st.lists(st.integers(0, 10_000)))
def test_a_reply_is_the_same_however_tcp_cuts_it(
    commands: list[Command], number: int, data: st.DataObject, cuts: list[int]
) -> None:
    request = ipa.numbered(ipa.request(*commands), number)
    values = data.draw(st.lists(TEXTS, min_size=len(commands), max_size=len(commands)))
    errors = data.draw(
        st.lists(st.just("") | TEXTS, min_size=len(commands), max_size=len(commands))
    )
    wire = answered(request, values, errors)
    decoder = CTRLReplies()

    replies = [reply for piece in pieces(wire * 2, cuts) for reply in decoder.feed(piece)]

    assert replies == CTRLReplies().feed(wire) * 2
    assert replies[0].number == number
    assert [answer.error for answer in replies[0].answers] == errors
    assert ipa.is_echo(request, replies[0])


@given(COMMANDS, NUMBERS)
def test_a_number_changes_nothing_but_itself(commands: list[Command], number: int) -> None:
    once = ipa.numbered(ipa.request(*commands), number)

    assert ipa.numbered(once, 7) == ipa.numbered(ipa.request(*commands), 7)
    assert len(once) == len(ipa.request(*commands))


@given(st.text(max_size=30), st.text(max_size=30))
def test_no_value_breaks_out_of_its_place(variable: str, value: str) -> None:
    try:
        request = ipa.request(ipa.put(variable, value), ipa.get("a"))
    except UnsafeValue:
        return

    first, second = CTRLCommands().feed(request)

    assert (first.verb, first.variable, first.value) == ("SET", variable, value)
    assert (second.verb, second.variable) == ("GET", "a")


@pytest.mark.parametrize("value", ["1\0garbage", "1\n", "1 2", "１", "", "a\tb", "x;y"])
def test_what_an_osmo_hlr_would_cut_off_or_misread_is_never_built(value: str) -> None:
    with pytest.raises(UnsafeValue):
        ipa.put("subscriber.create", value)


def test_a_command_that_would_be_answered_by_a_reset_is_never_built() -> None:
    with pytest.raises(UnsafeValue):
        ipa.request(ipa.put("a", "1" * ipa.COMMAND_BYTES_MAX))


def test_a_ping_is_told_from_a_command_and_a_pong_from_a_reply() -> None:
    assert CTRLCommands().feed(PING) == [PINGED]
    assert CTRLReplies().feed(PONG) == [CTRLReply(None)]
    assert ipa.is_echo(PING, CTRLReply(None))
    assert not ipa.is_echo(PING, CTRLReply(1, (Answer("a", "1"),)))


@pytest.mark.parametrize(
    "wire",
    [
        ipa.frame("ERROR err Request malformed"),
        ipa.frame("SET_REPLY 1 a OK"),  # not an id of ours
        ipa.frame("HELLO"),
        ipa.frame("SET_REPLY 00000000000199 a OK"),
        b"HTTP/1.1 400 Bad Request\r\n\r\n",
        b"\xff\xff\xee",
        b"\x00\x00\xee",
        b"\x00\x02\xee\x05x",  # GSUP on the port of CTRL
        PING,
    ],
)
def test_what_is_no_answer_breaks_the_protocol(wire: bytes) -> None:
    with pytest.raises(ProtocolError):
        CTRLReplies().feed(wire)


def test_answers_of_two_requests_are_never_mixed() -> None:
    decoder = CTRLReplies()
    decoder.feed(ipa.frame("SET_REPLY 00000000000501 a OK"))

    with pytest.raises(ProtocolError, match="out of its turn"):
        decoder.feed(ipa.frame("SET_REPLY 00000000000600 a OK"))


def test_what_a_server_reports_of_its_own_accord_is_dropped() -> None:
    wire = ipa.frame("TRAP 0 link up") + ipa.frame("GET_REPLY 00000000000100 a 1")

    assert CTRLReplies().feed(wire) == [CTRLReply(1, (Answer("a", "1"),))]


def test_nothing_above_the_bound_is_kept() -> None:
    decoder = CTRLReplies()

    with pytest.raises(ProtocolError):
        decoder.feed((ipa.FRAME_BYTES_MAX + 1).to_bytes(2, "big") + b"\xee")


@given(st.binary(max_size=400), st.lists(st.integers(0, 400)))
def test_noise_ends_in_a_broken_protocol_or_is_waited_for(noise: bytes, cuts: list[int]) -> None:
    decoder = CTRLReplies()

    try:
        for piece in pieces(noise, cuts):
            decoder.feed(piece)
    except ProtocolError:
        return

    assert len(decoder._frames._rest) <= ipa.FRAME_BYTES_MAX + 3


@pytest.mark.parametrize("variable", ["aud2g", "aud3g", "info-aud", "info-all"])
def test_a_key_that_a_server_shows_is_not_kept(variable: str) -> None:
    wire = ipa.frame(f"GET_REPLY 00000000000100 subscriber.by-imsi-1.{variable} milenage,{KI}")

    [reply] = CTRLReplies().feed(wire)

    assert KI not in repr(reply)
    assert (
        ipa.put(f"subscriber.by-imsi-1.{variable}", f"milenage,{KI}")
        .masked()
        .endswith(f"{variable} milenage,{ipa.MASK}")
    )


@pytest.mark.parametrize(
    ("reply", "is_echo"),
    [
        (CTRLReply(5, (Answer("a", "1"), Answer("b", "OK"))), True),
        (CTRLReply(5, (Answer("a", "1"), Answer("", "", "no"))), True),
        (CTRLReply(6, (Answer("a", "1"), Answer("b", "OK"))), False),
        (CTRLReply(5, (Answer("b", "1"), Answer("a", "OK"))), False),
        (CTRLReply(5, (Answer("a", "1"),)), False),
        (CTRLReply(None), False),
    ],
)
def test_an_echo_has_the_number_and_each_variable_in_turn(reply: CTRLReply, is_echo: bool) -> None:
    request = ipa.numbered(ipa.request(ipa.get("a"), ipa.put("b", "1")), 5)

    assert ipa.is_echo(request, reply) is is_echo
