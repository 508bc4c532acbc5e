"""MML on both sides: what is decoded does not depend on how TCP cut it, and is bounded."""

from collections.abc import Callable
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hlrd import limits
from hlrd.codec import mml
from hlrd.codec.base import UnsafeValue
from hlrd.codec.mml import Form, MMLCommand, MMLCommands, MMLReplies, MMLReply
from hlrd.domain.errors import ProtocolError

ECHO = 'LST SUB:HLRSN=1,IMSI="001010000000001";'
OK = "SUCCESS0001:Operation is successful"


def a_block(
    *, echo: str = ECHO, retcode: str = "0", result: str = OK, body: str = "", number: int = 7
) -> bytes:
    text = mml.block(
        ne="HLR1",
        stamp="2026-01-31 08:00:00+08:00",
        number=number,
        echo=echo,
        retcode=retcode,
        result=result,
        body=body,
    )
    return text.encode()


def in_pieces(wire: bytes, cuts: list[int]) -> list[bytes]:
    edges = [0, *sorted(cut % (len(wire) + 1) for cut in cuts), len(wire)]
    return [wire[start:end] for start, end in pairwise(edges)]


def replies_of(*pieces: bytes) -> list[MMLReply]:
    decoder = MMLReplies()
    return [reply for piece in pieces for reply in decoder.feed(piece)]


def commands_of(*pieces: bytes) -> list[MMLCommand]:
    decoder = MMLCommands()
    return [command for piece in pieces for command in decoder.feed(piece)]


def pieces_until_refused(decoder: MMLReplies | MMLCommands, piece: bytes) -> int:
    """How many were taken before the next one was refused."""
    for fed in range(1_000):
        try:
            assert decoder.feed(piece) == []
        except ProtocolError:
            return fed
    raise AssertionError("a thousand pieces were taken")


line = st.text(st.characters(codec="utf-8", exclude_characters="\r\n"), max_size=30).filter(
    lambda text: (
        not mml._END_LINE.fullmatch(text.encode()) and not text.strip().startswith("To be cont")
    )
)
bodies = st.lists(
    line | st.sampled_from(["---", "END", "--- END.", "  ---    END", "---  ENDING", "To be"]),
    max_size=6,
).map(lambda lines: "".join(f"{text}\r\n" for text in lines))
blocks = st.builds(
    a_block,
    retcode=st.sampled_from(["", "0", "3001", "[3001, 3048]"]),
    result=st.sampled_from([OK, "ERR3001:The subscriber is not defined"]),
    body=bodies.filter(lambda body: not body.rstrip().endswith("---    END")),
)


@given(st.lists(blocks, max_size=4), st.lists(st.integers(0, 5_000), max_size=12))
def test_a_reply_is_the_same_however_tcp_cuts_it(wires: list[bytes], cuts: list[int]) -> None:
    wire = b"".join(wires)

    replies = replies_of(*in_pieces(wire, cuts))

    assert replies == replies_of(wire)
    assert len(replies) == len(wires)


blanks = st.text(" \t\r\n\v", max_size=4)


@given(
    blocks=st.lists(
        st.tuples(
            blanks,
            st.sampled_from(["+++ HLR1", " +++ HLR1", "+++"]),
            st.sampled_from(["\r\n", "\n", "\r"]),
            blanks,
            st.sampled_from(
                [
                    "RETCODE = 0  SUCCESS0001:ok",
                    "ERR3001",
                    "it went well",
                    "---  END",
                    "RETCODE = 0",
                ]
            ),
            blanks,
            st.sampled_from(
                ["---    END", " ---    END", "---END\t", "---    END.", "To be continued"]
            ),
            blanks,
        ),
        min_size=1,
        max_size=2,
    )
)
def test_a_bare_reply_is_the_same_however_tcp_cuts_it(blocks: list[tuple[str, ...]]) -> None:
    wire = "".join(
        f"{before}{head}{newline}O&M #1\r\n%%LST KI:;%%\r\n{gap}{result}{newline}{rest}{end}{after}"
        for before, head, newline, gap, result, rest, end, after in blocks
    ).encode()

    def read(*pieces: bytes) -> list[MMLReply] | None:
        try:
            return replies_of(*pieces)
        except ProtocolError:
            return None

    assert read(wire) == read(*(bytes([byte]) for byte in wire))


def test_a_reply_may_come_byte_by_byte() -> None:
    wire = a_block(body="ISDN  =  8610649000001\r\n") * 2

    replies = replies_of(*(bytes([byte]) for byte in wire))

    assert [reply.values() for reply in replies] == [{"ISDN": "8610649000001"}] * 2


@pytest.mark.parametrize("end", ["---    END", "---   END", "---END", "---\tEND  "])
@pytest.mark.parametrize("newline", ["\r\n", "\n"])
def test_the_end_is_its_line_whatever_the_blanks(end: str, newline: str) -> None:
    wire = a_block().replace(b"---    END", end.encode()).replace(b"\r\n", newline.encode())

    assert [reply.codes for reply in replies_of(wire)] == [(0,)]


def test_rules_blanks_and_words_do_not_end_a_reply() -> None:
    body = "---------\r\n\r\n\r\nEND\r\n--- ENDED\r\n ---    END of it\r\nIC  =  TRUE\r\n"

    [reply] = replies_of(a_block(body=body))

    assert reply.values() == {"IC": "TRUE"}


def test_the_older_layout_has_its_code_in_the_result_line() -> None:
    [done] = replies_of(a_block(retcode=""))
    [refused] = replies_of(a_block(retcode="", result="ERR3048:The Ki is not loaded"))

    assert (done.codes, done.status) == ((0,), "SUCCESS0001")
    assert (refused.codes, refused.text) == ((3048,), "The Ki is not loaded")


def test_several_codes_in_one_reply_are_all_kept() -> None:
    [reply] = replies_of(a_block(retcode="[3001, 3048]", result="ERR3001:Not defined"))

    assert reply.codes == (3001, 3048)


def test_a_text_in_the_peers_own_character_set_costs_nothing_but_its_beauty() -> None:
    [reply] = replies_of(a_block(retcode="3001", result="用户未定义").decode().encode("gb18030"))

    assert (reply.codes, reply.text) == ((3001,), "用户未定义")


def test_packets_to_be_continued_are_one_reply() -> None:
    first = a_block(number=1, body="ISDN  =  8610649000001\r\n\r\nTo be continued...\r\n\r\n")
    middle = a_block(number=2, body="IC  =  TRUE\r\nTo be continued...\r\n")
    last = a_block(number=3, body="OC  =  FALSE\r\nThere are together 3 reports\r\n")

    [joined, alone] = replies_of(first + middle + last + a_block())

    assert joined.values() == {"ISDN": "8610649000001", "IC": "TRUE", "OC": "FALSE"}
    assert joined.codes == (0,)
    assert alone.values() == {}


def test_packets_of_two_commands_are_a_broken_frame() -> None:
    first = a_block(body="To be continued...\r\n")

    with pytest.raises(ProtocolError, match="echo different commands"):
        replies_of(first, a_block(echo="LST KI:;"))


@pytest.mark.parametrize(
    "wire",
    [
        b"hello\r\n---    END\r\n",
        a_block().replace(b"+++", b"==="),
        a_block().replace(b"%%", b"%"),
        a_block(retcode="", result="it went well"),
        a_block(retcode="[, ]"),
        b"---    END\r\n",
    ],
)
def test_a_frame_that_is_none_is_refused(wire: bytes) -> None:
    with pytest.raises(ProtocolError):
        replies_of(wire)


def test_an_endless_reply_is_refused_before_it_is_kept() -> None:
    decoder = MMLReplies()
    piece = b"x" * 4_096 + b"\r\n"

    fed = pieces_until_refused(decoder, piece)

    assert fed == limits.FRAME_BYTES_MAX // len(piece)


def test_an_endless_continuation_is_refused_too() -> None:
    decoder = MMLReplies()
    packet = a_block(body="x" * 16_000 + "\r\nTo be continued...\r\n")

    fed = pieces_until_refused(decoder, packet)

    assert fed == limits.FRAME_BYTES_MAX // len(packet)


def test_a_reply_shows_no_secret_in_its_repr() -> None:
    [reply] = replies_of(a_block(echo=f'ADD KI:KIVALUE="{"A1" * 16}";'))

    assert "A1" not in repr(reply)


safe = st.text("0123456789ABCDEFabcdef_", min_size=1, max_size=20)
params = st.dictionaries(st.sampled_from(["HLRSN", "TPLID", "ALG", "IC", "OC"]), safe)
digits = st.text("0123456789", min_size=6, max_size=15)


@given(params, digits, st.lists(st.integers(0, 400), max_size=8))
def test_what_is_built_is_read_back_as_one_command(
    values: dict[str, str], imsi: str, cuts: list[int]
) -> None:
    wire = mml.command("MOD LCK", IMSI=imsi, **values)

    [command] = commands_of(*in_pieces(wire, cuts))

    assert (command.name, command.params) == ("MOD LCK", {"IMSI": imsi, **values})
    assert command.text == wire


@given(
    st.lists(st.sampled_from(["LGO:;", 'lst sub : IMSI = "1" ;', "ADD;", 'X:A="b;c";', "?;"])),
    st.lists(st.integers(0, 200), max_size=8),
    st.sampled_from(["", "\n", "\r\n", "  "]),
)
def test_commands_come_out_the_same_glued_or_split(
    texts: list[str], cuts: list[int], glue: str
) -> None:
    wire = glue.join([*texts, ""]).encode()

    commands = commands_of(*in_pieces(wire, cuts))

    assert [command.text.decode() for command in commands] == texts


def test_case_and_blanks_around_names_are_the_users_own_affair() -> None:
    [command] = commands_of(b'\r\n lst  sub: imsi = "001010000000001" , Detail=TRUE;')

    assert command.name == "LST SUB"
    assert command.params == {"IMSI": "001010000000001", "DETAIL": "TRUE"}


@pytest.mark.parametrize(
    "text",
    [
        ";",
        "LST SUB IMSI=1;",
        "LST SUB:IMSI;",
        "LST SUB:IMSI=;",
        "LST SUB:IMSI=1,;",
        "LST SUB:IMSI=1,IMSI=2;",
        "LST SUB:IMSI=1 OR 2;",
        'LST SUB:IMSI="1\n2";',
        'LST SUB:IMSI="1"2;',
        "LST SUB:IMSI=４６０;",
        "LST SUB:IMSI='1';",
    ],
)
def test_a_command_that_breaks_the_grammar_has_no_name(text: str) -> None:
    [broken, sound] = commands_of(text.encode() + b"LGO:;")

    assert (broken.name, broken.params) == ("", {})
    assert sound.name == "LGO"


def test_an_endless_command_is_refused_before_it_is_kept() -> None:
    decoder = MMLCommands()

    fed = pieces_until_refused(decoder, b"x" * 100)

    assert fed == mml.COMMAND_BYTES_MAX // 100


def test_a_long_command_in_one_piece_is_refused_too() -> None:
    with pytest.raises(ProtocolError, match="longer than"):
        commands_of(b'X:A="' + b"x" * mml.COMMAND_BYTES_MAX + b'";')


@given(
    st.sampled_from(["IMSI", "ISDN", "KIVALUE", "OPNAME", "PWD", "TPLID"]),
    st.text(max_size=40),
    st.sampled_from(list(";:,\"' =\r\n\0\t１é")),
    st.text(max_size=40),
)
def test_no_value_carries_a_delimiter_into_a_command(
    name: str, before: str, forbidden: str, after: str
) -> None:
    value = before + forbidden + after

    with pytest.raises(UnsafeValue) as refused:
        mml.command("ADD KI", **{name: value})

    assert value not in str(refused.value) or len(value) == 1


@given(st.sampled_from(["IMSI", "KIVALUE", "PWD", "TPLID"]), st.text(max_size=40))
def test_any_value_is_refused_or_comes_back_as_itself_in_one_command(name: str, value: str) -> None:
    try:
        wire = mml.command("ADD KI", **{name: value})
    except UnsafeValue:
        return

    [command] = commands_of(wire)

    assert command.params == {name: value}


FORM = Form("ADD TPLSUB", HLRSN="1", IMSI=None, TPLTYPE="NORMAL", PWD=None, TPLID=None)
odd = st.text('0aZ_!%",;:= \n\0١é', max_size=20) | st.text(max_size=20)


@given(digits | odd, safe | odd, safe | odd)
def test_a_form_makes_of_values_what_a_command_does(
    imsi: str, password: str, template: str
) -> None:
    def made(build: Callable[[], bytes]) -> bytes | str:
        try:
            return build()
        except UnsafeValue as error:
            return str(error)

    params = {"IMSI": imsi, "TPLTYPE": "NORMAL", "PWD": password, "TPLID": template}
    expected = made(lambda: mml.command("ADD TPLSUB", HLRSN="1", **params))

    assert made(lambda: FORM.fill(imsi, password, template)) == expected


@pytest.mark.parametrize("value", ["", "1;", '1"', "1,IC=TRUE", "%s", "1\n"])
def test_a_form_is_not_made_of_what_mml_cannot_carry(value: str) -> None:
    with pytest.raises(UnsafeValue, match="HLRSN"):
        Form("LST KI", HLRSN=value, IMSI=None)


def test_a_percent_sign_is_only_a_letter_in_a_form() -> None:
    form = Form("LGI", OPNAME="50%s", PWD=None)

    assert form.fill("%d") == b'LGI:OPNAME="50%s",PWD="%d";'


def test_people_see_no_key_and_no_password() -> None:
    shown = mml.masked(f'lgi:OPNAME="u",pwd="secret";ADD KI:KIVALUE = "{"A1" * 16}",OPCVALUE=B2;')

    assert shown == 'lgi:OPNAME="u",pwd="****";ADD KI:KIVALUE = "****",OPCVALUE="****";'


def test_an_echo_may_mask_secrets_and_tidy_blanks_but_not_change_a_value() -> None:
    sent = mml.command("ADD KI", IMSI="001010000000001", KIVALUE="A1" * 16)

    assert mml.is_echo(sent, sent)
    assert mml.is_echo(sent, b'ADD KI: IMSI="001010000000001", KIVALUE="*****"')
    assert not mml.is_echo(sent, sent.replace(b"001010000000001", b"001010000000002"))
    assert not mml.is_echo(sent, b'RMV KI:IMSI="001010000000001",KIVALUE="****";')
    assert not mml.is_echo(sent, b"")


# --- records -------------------------------------------------------------------------------------

cells = st.text("0123456789ABCDEFabc_.-", min_size=1, max_size=20).filter(
    lambda text: set(text) != {"-"}
)
records_shown = st.lists(
    st.fixed_dictionaries({"CNTXID": cells, "APN": cells, "IPV4ADD": cells}), min_size=1, max_size=6
)


def a_query_reply(records: list[dict[str, str]], rows: list[str], cut: int) -> bytes:
    """In packets of `cut` lines, with a title, a rule and a trailer."""
    body = ["The result is as follows", "-" * 24, *rows, f"(Number of results = {len(records)})"]
    packets = [body[at : at + cut] for at in range(0, len(body), cut)]
    ends = ["To be continued...\r\n"] * (len(packets) - 1) + ["There are together 9 reports\r\n"]
    return b"".join(
        a_block(body="\r\n".join(packet) + "\r\n\r\n" + end, number=number)
        for number, (packet, end) in enumerate(zip(packets, ends, strict=True))
    )


@given(records_shown, st.booleans(), st.integers(1, 9), st.lists(st.integers(0, 5_000), max_size=5))
def test_records_are_the_same_in_lines_or_in_a_table_and_in_any_packets(
    records: list[dict[str, str]], is_table: bool, cut: int, cuts: list[int]
) -> None:
    rows = mml.columns(records) if is_table else mml.lines(records)
    wire = a_query_reply(records, rows, cut)

    [reply] = replies_of(*in_pieces(wire, cuts))

    assert reply.records() == records
    assert reply.values() == records[0]


def test_a_record_and_a_table_in_one_reply_are_told_apart() -> None:
    body = [
        "The result is as follows",
        "-" * 24,
        *mml.lines([{"IMSI": "001010000000001", "ISDN": "861064900000001"}]),
        "(Number of results = 1)",
        "",
        "The contexts of the subscriber",
        "-" * 40,
        "CNTXID    APN        QOSTPLID",
        "1         cmiot      NULL",
        "2         cmiot.gd   3",
        "(Number of results = 2)",
    ]

    [reply] = replies_of(a_block(body="\r\n".join(body) + "\r\n"))

    assert reply.records() == [
        {"IMSI": "001010000000001", "ISDN": "861064900000001"},
        {"CNTXID": "1", "APN": "cmiot", "QOSTPLID": "NULL"},
        {"CNTXID": "2", "APN": "cmiot.gd", "QOSTPLID": "3"},
    ]


def test_a_table_shows_what_a_record_lacks_as_null() -> None:
    assert mml.columns([{"CNTXID": "1", "APN": "a"}, {"CNTXID": "12"}]) == [
        "CNTXID  APN",
        "1       a",
        "12      NULL",
    ]


def test_a_body_without_records_shows_none() -> None:
    [reply] = replies_of(a_block(body="No matching result is found\r\n\r\n"))

    assert reply.records() == []
    assert reply.values() == {}


# --- batches and quotes --------------------------------------------------------------------------


@given(st.lists(digits, min_size=1, max_size=9), st.lists(st.integers(0, 200), max_size=6))
def test_a_batch_is_one_command_with_its_list(imsis: list[str], cuts: list[int]) -> None:
    wire = mml.command("BAT MOD LCK", IMSILIST="&".join(imsis), OC="TRUE")

    [command] = commands_of(*in_pieces(wire, cuts))

    assert command.name == "BAT MOD LCK"
    assert command.params["IMSILIST"].split("&") == imsis


@pytest.mark.parametrize(
    "value", ["", "&", "001010000000001&", "&001010000000001", "001010000000001&&1", "1;2"]
)
def test_a_list_has_no_empty_place(value: str) -> None:
    with pytest.raises(UnsafeValue, match="IMSILIST"):
        mml.command("BAT RMV SUB", IMSILIST=value)


def test_the_keys_of_a_batch_are_masked() -> None:
    keys = "&".join(["A1" * 16, "B2" * 16])
    wire = mml.command("BAT ADD KI", IMSILIST="001010000000001&001010000000002", KIVALUELIST=keys)

    assert mml.masked(wire.decode()).endswith('KIVALUELIST="****";')


def test_blanks_within_a_name_are_one() -> None:
    [command] = commands_of(b"bat \t add   ki:K4SNO=1;")

    assert command.name == "BAT ADD KI"


@given(safe | odd)
def test_a_form_quotes_what_it_is_told_to_quote(value: str) -> None:
    form = Form("MOD X", ("NAME",), NAME=None, OTHER="1")
    try:
        wire = form.fill(value)
    except UnsafeValue:
        return

    assert wire == f'MOD X:NAME="{value}",OTHER=1;'.encode()
    assert commands_of(wire)[0].params == {"NAME": value, "OTHER": "1"}
