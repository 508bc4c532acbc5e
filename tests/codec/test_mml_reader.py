"""A reader of commands gives what the parser gives, whatever came before; it is only faster."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hlrd.codec.mml import COMMAND_BYTES_MAX, MMLCommand, MMLCommands
from hlrd.codec.mml_reader import LESSONS_MAX, CommandReader
from hlrd.domain.errors import ProtocolError

LAYOUTS = (
    'ADD KI:IMSI="%s",K4SNO=%s;',
    "ADD KI:K4SNO=%s,ALG=%s;",
    'ADD KI: IMSI = "%s" , K4SNO = %s ;',
    '\r\nadd ki:imsi="%s",\r\nALG="%s";\r\n',
    'LST SUB:IMSI="%s";LST KI:IMSI=%s;',
    "ADD KI:A=%s,a=%s;",
    'X:A="B=%s",C="%s";',
    "LGO%s;%s;",
    "%s:%s;",
)
VALUES = st.sampled_from(
    ["1", "", "460001", "a,b", "x=y", 'q"', '","B="', "a;b", " ", "a b", "C=1", "\r\n", "é", "成"]
)


def parsed(decoder: MMLCommands | CommandReader, pieces: list[bytes]) -> list[MMLCommand]:
    return [command for piece in pieces for command in decoder.feed(piece)]


@given(st.lists(st.tuples(st.sampled_from(LAYOUTS), VALUES, VALUES), max_size=8))
def test_whatever_came_before_it_reads_what_the_parser_reads(
    texts: list[tuple[str, str, str]],
) -> None:
    wires = [(layout % (first, second)).encode() for layout, first, second in texts]

    assert parsed(CommandReader(), wires) == parsed(MMLCommands(), wires)


@given(st.sampled_from(LAYOUTS), st.lists(st.tuples(VALUES, VALUES), max_size=8))
def test_in_one_layout_too(layout: str, texts: list[tuple[str, str]]) -> None:
    wires = [(layout % values).encode() for values in texts]

    assert parsed(CommandReader(), wires) == parsed(MMLCommands(), wires)


@given(st.lists(st.integers(0, 200), max_size=6))
def test_commands_come_out_the_same_glued_or_split(cuts: list[int]) -> None:
    wire = "".join(f'ADD KI:IMSI="46000{n}",K4SNO={n};' for n in range(6)).encode()
    edges = [0, *sorted(cut % (len(wire) + 1) for cut in cuts), len(wire)]
    pieces = [wire[start:end] for start, end in pairwise(edges)]

    assert parsed(CommandReader(), pieces) == parsed(MMLCommands(), [wire])


def test_a_command_like_the_one_before_is_not_parsed(monkeypatch: pytest.MonkeyPatch) -> None:
    reader = CommandReader()
    reader.feed(b'ADD KI:IMSI="1",K4SNO=1;')
    monkeypatch.setattr(reader._parser, "feed", None)

    text = b'ADD KI:IMSI="2",K4SNO=255;'
    assert reader.feed(text) == [MMLCommand("ADD KI", {"IMSI": "2", "K4SNO": "255"}, text)]


def test_it_stops_learning_from_a_client_that_is_never_twice_alike() -> None:
    reader = CommandReader()
    for number in range(LESSONS_MAX + 10):
        reader.feed(b"V N%d:A=1;" % number)

    assert len(reader._shapes) == LESSONS_MAX
    assert reader.feed(b"V NX:A=1;") == [MMLCommand("V NX", {"A": "1"}, b"V NX:A=1;")]


def test_a_long_command_is_refused_however_well_known_it_is() -> None:
    reader = CommandReader()
    reader.feed(b'X:A="1";')

    with pytest.raises(ProtocolError, match="longer than"):
        reader.feed(b'X:A="' + b"x" * COMMAND_BYTES_MAX + b'";')
