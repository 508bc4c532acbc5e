"""Scripts of products in MML: what is refused when published, and that nothing is injected."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters import mml_script
from adapters.huawei_hlr import HuaweiHLR
from hlrd.codec.base import UnsafeValue
from hlrd.codec.mml import MMLCommands
from hlrd.domain import script
from hlrd.domain.script import ScriptError

GPRS = 'MOD GPRS_CONTEXT:IMSI="{imsi}",PROV=ADDPDPCNTX,CNTXID={context},APN="{apn}"'
VALUES = {
    "imsi": "001010000000001",
    "isdn": "861064900000001",
    "iccid": "89860000000000000001",
    "context": "2",
    "apn": "cmiot.gd",
}


def check(text: str) -> None:
    HuaweiHLR.check_script(script.parse(text))


@pytest.mark.parametrize(
    "text",
    [
        GPRS,
        f"{GPRS};",
        f"  {GPRS} ",
        "mod gprs_context: imsi={imsi}, PROV=RMVPDPCNTX, CNTXID={context};",
        'MOD EPSDATA:ISDN="{isdn}",AMBRMAXREQUL=1000',
        "ADD EPSSUB:ISDN={isdn},EPSUSERTPLID={template}",
        'MOD X:IMSI={imsi},NAME="a.b-c",OTHER="{iccid}"',
        "LST GPRS:IMSI={imsi}",
    ],
)
def test_one_command_about_its_user_is_taken(text: str) -> None:
    check(text)


@pytest.mark.parametrize(
    ("text", "column", "why"),
    [
        ("MOD GPRS_CONTEXT IMSI={imsi}", 1, "not one MML command"),
        ("MOD ODB:IMSI={imsi};RMV SUB:IMSI={imsi};", 1, "not one MML command"),
        ("MOD ODB:IMSI={imsi},X=a b", 1, "not one MML command"),
        ("MOD {imsi}:IMSI={imsi}", 1, "not one MML command"),
        ("MOD ODB:{imsi}=1", 1, "not one MML command"),
        ("MOD ODB:IMSI={imsi},IMSI={imsi}", 1, "not one MML command"),
        ("MOD ODB:IMSI={imsi},X={context}1", 23, "a whole value"),
        ('MOD ODB:IMSI={imsi},X="a{context}"', 25, "a whole value"),
        ("MOD ODB:IMSI={imsi},X={context}{apn}", 23, "a whole value"),
        ("MOD ODB:ODBIC=BAIC", 1, "names its user"),
        ('MOD ODB:IMSI="001010000000001"', 1, "names its user"),
        ("MOD ODB:IMSI={isdn}", 1, "names its user"),
        ("MOD ODB:ISDN={msisdn}", 1, "names its user"),
        ("MOD ODB:IMSI={imsi},ISDN={isdn}", 1, "names its user"),
        ("MOD ODB:IMSI={imsi},hlrsn=2", 21, "HLRSN"),
        ("MOD ODB:IMSI={imsi},PWD=x", 21, "PWD"),
        ('MOD ODB:IMSI={imsi},X="a;b"', 1, "cannot carry"),
        ('MOD ODB:IMSI={imsi},X="a,b"', 1, "cannot carry"),
        ("RMV SUB:IMSI={imsi}", 1, "RMV SUB is not for a product"),
        ("MOD LCK:IMSI={imsi},OC=TRUE", 1, "MOD LCK is not for a product"),
        ("LGO:IMSI={imsi}", 1, "LGO is not for a product"),
        ("BAT RMV SUB:IMSI={imsi}", 1, "BAT RMV SUB is not for a product"),
        ("MOD:IMSI={imsi}", 1, "MOD is not for a product"),
    ],
)
def test_anything_else_is_refused_with_its_place(text: str, column: int, why: str) -> None:
    with pytest.raises(ScriptError, match=why) as refused:
        check(text)

    assert refused.value.column == column


@given(
    st.sampled_from(sorted(VALUES)),
    st.text(max_size=40) | st.text("0123456789", max_size=20) | st.sampled_from(['a";b', "1;LGO:"]),
)
def test_whatever_the_values_a_script_is_one_command_of_its_shape(name: str, value: str) -> None:
    try:
        wire = mml_script.fill(GPRS, "1", {**VALUES, name: value})
    except (ScriptError, UnsafeValue):
        return

    [command] = MMLCommands().feed(wire)

    assert wire.count(b";") == 1
    assert command.name == "MOD GPRS_CONTEXT"
    assert list(command.params) == ["HLRSN", "IMSI", "PROV", "CNTXID", "APN"]


@given(st.text(st.characters(min_codepoint=0x20, max_codepoint=0x7E), min_size=1, max_size=60))
def test_whatever_a_publication_says_a_script_that_is_taken_is_one_command(tail: str) -> None:
    text = f"MOD ODB:IMSI={{imsi}},{tail}"
    try:
        check(text)
        wire = mml_script.fill(text, "1", VALUES)
    except (ScriptError, UnsafeValue):
        return

    [command] = MMLCommands().feed(wire)

    assert command.name == "MOD ODB"
    assert command.params["IMSI"] == VALUES["imsi"]
    assert wire.count(b";") == 1


def test_a_script_is_filled_behind_the_serial_number_of_its_hlr() -> None:
    wire = mml_script.fill(GPRS, "7", VALUES)

    assert wire == (
        b'MOD GPRS_CONTEXT:HLRSN=7,IMSI="001010000000001",PROV=ADDPDPCNTX,CNTXID=2,APN="cmiot.gd";'
    )


def test_quotes_stay_where_the_script_has_them() -> None:
    wire = mml_script.fill('MOD X:IMSI={imsi},NAME="{apn}",NUMBER={context}', "1", VALUES)

    assert wire == b'MOD X:HLRSN=1,IMSI="001010000000001",NAME="cmiot.gd",NUMBER=2;'


def test_a_value_that_is_missing_is_named() -> None:
    with pytest.raises(ScriptError, match="context"):
        mml_script.fill(GPRS, "1", {**VALUES, "context": ""})


def test_a_value_that_stands_bare_may_be_no_more_than_bare_values_are() -> None:
    with pytest.raises(UnsafeValue, match="CNTXID"):
        mml_script.fill(GPRS, "1", {**VALUES, "context": "a.b"})


@pytest.mark.parametrize(
    ("shows", "is_shown"),
    [
        ("", True),
        ("CNTXID={context}", True),
        ('CNTXID={context},APN="{apn}"', True),
        ('CNTXID=1,APN="{apn}"', False),
        ("CNTXID=3", False),
        ("NAM=BOTH;", True),
    ],
)
def test_what_a_function_shows_stands_in_one_record(shows: str, is_shown: bool) -> None:
    records = [{"NAM": "BOTH"}, {"CNTXID": "1", "APN": "cmiot"}, {"CNTXID": "2", "APN": "cmiot.gd"}]

    assert mml_script.shows(shows, VALUES, records) is is_shown
