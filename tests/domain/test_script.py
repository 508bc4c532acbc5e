import pytest
from hypothesis import given
from hypothesis import strategies as st

from hlrd.domain import script
from hlrd.domain.identity import ICCID, IMSI, MSISDN, Binding, SealedKey, UserId
from hlrd.domain.script import ScriptError

GPRS = 'MOD GPRS:IMSI="{imsi}",CNTXID={context},APN="{apn}"'
BINDING = Binding(
    UserId("7"), MSISDN("1064900000001"), IMSI("460040000000001"), ICCID("89860420202400000019"),
    "hlr1", "200", SealedKey("k", b""),
)  # fmt: skip
DELIMITERS = set(" ,;:\"'=<>&%{}\r\n\t/\\|#?!$*()[]@~^`+")

literals = st.text(st.characters(min_codepoint=0x20, max_codepoint=0x7E, exclude_characters="{}"))
names = st.from_regex(script.PARAMETER_PATTERN[:-2] + r"\Z").map(lambda name: name.strip())


@given(st.lists(st.tuples(literals, names), max_size=6), literals)
def test_what_is_parsed_is_what_was_written(parts: list[tuple[str, str]], last: str) -> None:
    text = "".join(f"{literal}{{{name}}}" for literal, name in parts) + last
    if not 0 < len(text) <= 1_000:
        return

    parsed = script.parse(text)

    assert parsed.names == tuple(name for _, name in parts)
    assert parsed.literals == (*(literal for literal, _ in parts), last)
    for place, name in enumerate(parsed.names):
        column = parsed.column_of(place)
        assert text[column - 1 :].startswith(f"{{{name}}}")


@given(st.text(min_size=1, max_size=60), st.sampled_from(["apn", "context", "imsi"]))
def test_no_value_that_is_taken_can_end_a_command_or_begin_another(value: str, name: str) -> None:
    parsed = script.parse(GPRS)
    values = {"imsi": "460040000000001", "context": "2", "apn": "cmiot", name: value}
    if not script.fits(name, value):
        with pytest.raises(ScriptError, match=name):
            parsed.fill(values)
        return

    filled = parsed.fill(values)

    assert DELIMITERS.isdisjoint(value)
    assert value.isascii()
    assert filled.count(",") == GPRS.count(",")
    assert filled.count('"') == GPRS.count('"')


def test_a_script_is_filled_with_identities_and_chosen_attributes() -> None:
    values = script.values_of(BINDING, {"apn": "cmiot.gd", "context": "2", "imsi": "0"})

    filled = script.parse('{msisdn} {isdn} {iccid} "{imsi}" {apn} {context}').fill(values)

    assert filled == (
        '1064900000001 861064900000001 89860420202400000019 "460040000000001" cmiot.gd 2'
    ), "an attribute never stands in for an identity"


@pytest.mark.parametrize(
    ("text", "column"),
    [
        ("ADD X:A={Imsi}", 9),
        ("ADD X:A={imsi", 9),
        ("ADD X:A=imsi}", 13),
        ("ADD X:A={imsi},B={{apn}}", 18),
        ("ADD X\r\nADD Y", 6),
        ("ADD X:A=\uff11", 9),
        ("", 0),
        ("A" * 1_001, 0),
    ],
)
def test_a_script_that_is_no_script_is_refused_with_its_column(text: str, column: int) -> None:
    with pytest.raises(ScriptError) as refused:
        script.parse(text)

    assert refused.value.column == column


def test_an_unknown_placeholder_is_refused_with_its_column() -> None:
    parsed = script.parse(GPRS)
    parsed.refuse_unknown({"context"})

    with pytest.raises(ScriptError, match="context") as refused:
        parsed.refuse_unknown({"qos"})

    assert refused.value.column == GPRS.index("{context}") + 1


@pytest.mark.parametrize("apn", ["cmiot", "cmnet.mnc000.mcc460.gprs", "a-b.c", "A" * 63])
def test_an_apn_is_labels_between_dots(apn: str) -> None:
    assert script.fits("apn", apn)


@pytest.mark.parametrize("apn", ["", ".a", "a.", "a..b", "-a", "a_b", "a b", "A" * 64, "a\n"])
def test_what_is_no_apn_is_not_filled_in(apn: str) -> None:
    assert not script.fits("apn", apn)
