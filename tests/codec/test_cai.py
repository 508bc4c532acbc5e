"""CAI frames, both ways."""

import contextlib
import itertools

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from hlrd import limits
from hlrd.codec import cai
from hlrd.codec.base import UnsafeValue
from hlrd.codec.cai import CAICommands, CAIReplies, Form
from hlrd.domain.errors import ProtocolError

VALUES = {"MSISDN": "861064900000001", "IMSI": "001010000000001", "OBO": "1"}
WIRE = (
    b"CONNECTING TO HOST\r\nCONNECTED\r\n\r\n"
    + cai.PROMPT
    + cai.answer(0, {})
    + cai.answer(0, VALUES, "t1")
    + cai.answer(13001, {})
)


def told(replies: list[cai.CAIReply]) -> list[tuple[str, str, dict[str, str]]]:
    return [(reply.code, reply.transaction, reply.values()) for reply in replies]


WHOLE = [("0", "", {}), ("0", "t1", VALUES), ("13001", "", {})]


@given(st.lists(st.integers(0, len(WIRE)), max_size=12))
def test_a_reply_is_the_same_however_tcp_cuts_it(cuts: list[int]) -> None:
    decoder = CAIReplies()
    edges = [0, *sorted(cuts), len(WIRE)]

    replies = [
        reply for start, end in itertools.pairwise(edges) for reply in decoder.feed(WIRE[start:end])
    ]

    assert told(replies) == WHOLE


def test_a_reply_needs_no_banner_and_no_prompt() -> None:
    assert told(CAIReplies().feed(b"RESP:0;RESP:1001;\n")) == [("0", "", {}), ("1001", "", {})]


def test_a_value_may_have_commas_and_quoted_delimiters() -> None:
    [reply] = CAIReplies().feed(b'RESP:0:BAIC,1,0,TS10:\r\n LOC,4-86,"PURGED; AT: VLR":NAM,0;')

    assert reply.values() == {"BAIC": "1,0,TS10", "LOC": '4-86,"PURGED; AT: VLR"', "NAM": "0"}


def test_words_in_place_of_attributes_are_for_people() -> None:
    [worded] = CAIReplies().feed(b"RESP:1102:Unknown attribute;")
    [plain] = CAIReplies().feed(b"RESP:0:IMSI,001010000000001;")

    assert (worded.text(), worded.values()) == ("Unknown attribute", {})
    assert plain.text() == ""


@pytest.mark.parametrize(
    "wire",
    [
        b"\x00\xff\x15 no protocol at all",
        cai.PROMPT + b"\x00\xff",
        cai.PROMPT + b"ERROR 17;",
        b"RESP:abc;",
        b"RESP:0;RESQ:0;",
        b"RESP:0;EnterX",
        b"RESP:12345678901;",
        b"words " * 1_000,
    ],
)
def test_what_is_no_reply_breaks_the_protocol(wire: bytes) -> None:
    with pytest.raises(ProtocolError):
        CAIReplies().feed(wire)


def test_a_reply_without_end_is_not_kept() -> None:
    decoder = CAIReplies()
    decoder.feed(b"RESP:0:A," + b"x" * (limits.FRAME_BYTES_MAX - 9))

    with pytest.raises(ProtocolError):
        decoder.feed(b"x")


@given(st.binary(max_size=200))
def test_garbage_is_refused_or_waits_for_more(wire: bytes) -> None:
    """Nothing but a whole reply is taken for one."""
    replies = []
    with contextlib.suppress(ProtocolError):
        replies = CAIReplies().feed(wire)

    assert all(reply.code.isdigit() and b"RESP:" in wire for reply in replies)


def test_commands_come_glued_and_split() -> None:
    wire = (
        b"LOGIN:hlrd:p@#w;\r\nCREATE:HLRSUB:MSISDN,861064900000001:IMSI,001010000000001:PROFILE,1;"
        b"get:TRANSID,t9:HLRSUB:MSISDN,861064900000001:IMSI;LOGOUT;"
    )
    decoder = CAICommands()

    commands = [each for at in range(len(wire)) for each in decoder.feed(wire[at : at + 1])]

    assert [(each.name, each.transaction, dict(each.params)) for each in commands] == [
        ("LOGIN", "", {"USER": "hlrd", "PASSWORD": "p@#w"}),
        (
            "CREATE:HLRSUB",
            "",
            {"MSISDN": "861064900000001", "IMSI": "001010000000001", "PROFILE": "1"},
        ),
        ("GET:HLRSUB", "t9", {"MSISDN": "861064900000001", "IMSI": ""}),
        ("LOGOUT", "", {}),
    ]
    assert commands[1].key() == ("MSISDN", "861064900000001")


@pytest.mark.parametrize(
    "text", [b"NONSENSE;", b"GET;", b"SET:HLRSUB:IMSI,1:IMSI,2;", b"GET:HLR SUB:IMSI,1;", b";"]
)
def test_a_command_that_breaks_the_grammar_has_no_name(text: bytes) -> None:
    [command] = CAICommands().feed(text)

    assert command.name == ""


def test_a_command_without_end_is_not_kept() -> None:
    with pytest.raises(ProtocolError):
        CAICommands().feed(b"SET:HLRSUB:" + b"x" * cai.COMMAND_BYTES_MAX)


TEXTS = st.text(max_size=40) | st.sampled_from(["1;LOGOUT", "1:OBO,1", "1,2:X", "", "1\n", "é"])


@given(TEXTS, TEXTS)
def test_no_value_adds_a_command_or_an_attribute(imsi: str, value: str) -> None:
    form = Form("SET:HLRSUB", {"IMSI": None, "OICK": None})
    try:
        wire = form.fill(imsi, value)
    except UnsafeValue:
        return

    [command] = CAICommands().feed(wire)
    assert (command.name, dict(command.params)) == ("SET:HLRSUB", {"IMSI": imsi, "OICK": value})


@given(TEXTS, TEXTS)
@example("0", "0\r")
def test_no_account_adds_a_command(user: str, password: str) -> None:
    try:
        wire = cai.login(user, password)
    except UnsafeValue:
        return

    [command] = CAICommands().feed(wire)
    assert dict(command.params) == {"USER": user, "PASSWORD": password}


def test_people_see_neither_key_nor_password() -> None:
    secret = "A1B2C3D4E5F60718293A4B5C6D7E8F90"
    key = f"CREATE:AUCSUB:IMSI,001010000000001:EKI,{secret}:KIND,3;"

    assert secret not in cai.masked(key)
    assert "KIND,3" in cai.masked(key)
    assert cai.masked("LOGIN:hlrd:geheim;") == "LOGIN:hlrd:****;"
    assert "geheim" not in repr(cai.parse_command(b"LOGIN:hlrd:geheim;"))
