"""Scripts of products in every dialect that has functions: one script, one command, whatever an
order says."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from adapters import DIALECTS
from hlrd.codec.base import UnsafeValue
from hlrd.domain import script
from hlrd.domain.operation import Details, Operation
from hlrd.domain.script import ScriptError
from tests.adapters.conformance import EMULATED, an_adapter, the_task

SCRIPTED = [name for name, one in DIALECTS.items() if Operation.ADD_FUNCTION in one.operations]
HOSTILE = st.one_of(
    st.text(max_size=20),
    st.text(";:,=\"'<>&% \r\n\0{}\\/-._aA1", max_size=12),
    st.from_regex(script.VALUE_PATTERN[:-2], fullmatch=True),
)


def details_of(dialect: str) -> Details:
    """A script with a value that an order chooses."""
    known = EMULATED[dialect].details[Operation.ADD_FUNCTION]
    assert "{imsi}" in known.script
    return known


def test_some_dialects_have_functions_and_no_other_takes_a_script() -> None:
    assert {"huawei_hlr", "hss_soap", "ericsson_cai"} <= set(SCRIPTED)
    for name in set(DIALECTS) - set(SCRIPTED):
        with pytest.raises(ScriptError):
            DIALECTS[name].check_script(script.parse("ADD X:IMSI={imsi}"))


@pytest.mark.parametrize("dialect", SCRIPTED)
def test_the_scripts_of_the_suite_are_sound(dialect: str) -> None:
    details = details_of(dialect)

    for text in filter(None, (details.script, details.undo_script, details.query)):
        DIALECTS[dialect].check_script(script.parse(text))


@pytest.mark.parametrize("dialect", SCRIPTED)
@given(st.data())
def test_a_function_is_one_request_or_is_not_sent(dialect: str, data: st.DataObject) -> None:
    details = details_of(dialect)
    names = script.parse(details.script).names
    chosen = {name: data.draw(HOSTILE) for name in names if name not in script.IDENTITIES}
    task = the_task(dialect, Operation.ADD_FUNCTION)
    task = replace(task, details=replace(details, attributes=chosen))

    try:
        request = an_adapter(dialect).encode(task, None)
    except (UnsafeValue, ScriptError):
        assert not all(script.fits(name, value) for name, value in chosen.items())
        return

    assert len(EMULATED[dialect].requests().feed(request)) == 1


@pytest.mark.parametrize("dialect", SCRIPTED)
@pytest.mark.parametrize("tail", [";", "\r\n", ";ADD X:IMSI={imsi}", "{imsi}", '"', ">", "</x>"])
def test_what_is_more_than_one_command_is_not_taken(dialect: str, tail: str) -> None:
    text = details_of(dialect).script
    with pytest.raises(ScriptError):
        DIALECTS[dialect].check_script(script.parse(f"{text}{tail}{text}"))
