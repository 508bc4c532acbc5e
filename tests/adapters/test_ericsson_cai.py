"""The CAI dialect: what it says, what it makes of answers, what it refuses."""

from typing import Final

import pytest
from msgspec.structs import replace

from adapters.ericsson_cai import EricssonCAI
from hlrd.codec.base import UnsafeValue
from hlrd.codec.cai import CAIReply
from hlrd.domain.identity import IMSI, MSISDN, CardKey
from hlrd.domain.operation import Details, Operation
from hlrd.domain.outcome import Verdict
from hlrd.domain.script import ScriptError, parse
from hlrd.domain.suspension import Level
from hlrd.ne.adapter import Account, AccountError
from tests.adapters.conformance import KEY, KI, a_binding, a_task, an_adapter, the_replies, the_task

DIALECT: Final = "ericsson_cai"
HOLDER: Final = b":MSISDN,861064900000001:IMSI,001010000000001"


def adapter(**options: str) -> EricssonCAI:
    made = an_adapter(DIALECT, **options)
    assert isinstance(made, EricssonCAI)
    return made


def a_reply(body: bytes = b"", code: str = "0", transaction: str = "") -> CAIReply:
    return CAIReply(code, transaction, body)


@pytest.mark.parametrize(
    ("level", "said"),
    [
        (Level.NONE, "OBO,0:OBI,0:NAM,0"),
        (Level.ONE_WAY, "OBO,1:OBI,0:NAM,0"),
        (Level.TWO_WAY, "OBO,1:OBI,1:NAM,1"),
    ],
)
def test_a_level_is_said_in_full(level: Level, said: str) -> None:
    task = a_task(Operation.SET_BARRING, level=level)

    assert adapter().encode(task, None) == f"SET:HLRSUB:IMSI,001010000000001:{said};".encode()


@pytest.mark.parametrize(
    ("body", "verdict"),
    [
        (HOLDER + b":OBO,1:OBI,1:NAM,1", Verdict.APPLIED),
        (HOLDER + b":OBO,1:OBI,1", Verdict.ABSENT),
        (HOLDER, Verdict.ABSENT),
    ],
)
def test_a_barring_is_read_back_attribute_by_attribute(body: bytes, verdict: Verdict) -> None:
    task = a_task(Operation.SET_BARRING, level=Level.TWO_WAY)

    assert adapter().compare(task, a_reply(body)).verdict is verdict


def test_what_is_not_shown_is_not_barred() -> None:
    task = a_task(Operation.SET_BARRING, level=Level.NONE)

    assert adapter().compare(task, a_reply(HOLDER)).verdict is Verdict.APPLIED


@pytest.mark.parametrize(
    ("body", "verdict"),
    [
        (HOLDER + b":PROFILE,1", Verdict.APPLIED),
        (HOLDER, Verdict.APPLIED),
        (HOLDER + b":PROFILE,7", Verdict.DIFFERENT),
        (b":MSISDN,861064900000009:IMSI,001010000000001", Verdict.DIFFERENT),
        (b":IMSI,001010000000001", Verdict.PERMANENT),
    ],
)
def test_a_subscriber_that_is_there_may_be_another(body: bytes, verdict: Verdict) -> None:
    assert adapter().compare(a_task(Operation.ADD_SUBSCRIBER), a_reply(body)).verdict is verdict


@pytest.mark.parametrize("operation", [Operation.CHANGE_CARD, Operation.CHANGE_NUMBER])
def test_a_change_is_done_not_done_or_somebody_elses(operation: Operation) -> None:
    before, after = a_binding(), a_binding(imsi="001010000000002", msisdn="1064900000001")
    if operation is Operation.CHANGE_NUMBER:
        after = a_binding(msisdn="1064900000002")
    task = a_task(operation, binding=before, details=Details(target=after))
    found = {
        (each.imsi, each.msisdn): adapter()
        .compare(task, a_reply(f":MSISDN,86{each.msisdn}:IMSI,{each.imsi}".encode()))
        .verdict
        for each in (before, after, a_binding(imsi="001010000000009", msisdn="1064900000009"))
    }

    assert list(found.values()) == [Verdict.ABSENT, Verdict.APPLIED, Verdict.DIFFERENT]


@pytest.mark.parametrize("algorithm", ["COMP128_1", "COMP128_2", "COMP128_3", "MILENAGE"])
def test_a_site_numbers_algorithms_as_its_gateway_does(algorithm: str) -> None:
    key = CardKey(KI, 3, algorithm, "USIM")
    ours = adapter(**{f"a3a8.{algorithm.lower()}": "17"})

    assert ours.encode(a_task(Operation.ADD_KEY), key).endswith(b":KIND,3:A3A8IND,17;")


def test_with_transactions_each_reply_must_repeat_that_of_its_request() -> None:
    ours = adapter(transid="on")
    request = ours.encode(a_task(Operation.ADD_KEY, transaction="t7"), KEY)

    assert request.startswith(b"CREATE:TRANSID,t7:AUCSUB:")
    assert ours.echoes(request, a_reply(transaction="t7"))
    assert not ours.echoes(request, a_reply(transaction="t8"))
    assert not ours.echoes(request, a_reply())


def test_without_transactions_a_reply_that_names_somebody_else_is_out_of_step() -> None:
    ours = adapter()
    request = ours.read_back(a_task(Operation.ADD_SUBSCRIBER))

    assert ours.echoes(request, a_reply(HOLDER))
    assert ours.echoes(request, a_reply(code="13001"))
    assert not ours.echoes(request, a_reply(b":IMSI,001010000000009"))
    assert ours.echoes(ours.login(), a_reply())


@pytest.mark.parametrize(
    "options", [{"transid": "yes"}, {"a3a8.milenage": "x"}, {"a3a8.milenage": "1234"}]
)
def test_an_option_of_no_use_stops_the_start(options: dict[str, str]) -> None:
    with pytest.raises(AccountError):
        adapter(**options)


@pytest.mark.parametrize("password", ["", "a:b", "a;b", "a b", "ä", "a,b"])
def test_a_password_that_cai_cannot_carry_stops_the_start_unquoted(password: str) -> None:
    with pytest.raises(AccountError) as refused:
        EricssonCAI(Account("h", 1, "hlrd", password), the_replies(DIALECT))

    assert not password or password not in str(refused.value)


@pytest.mark.parametrize(
    "binding",
    [
        replace(a_binding(), imsi=IMSI("1:NAM,1")),
        replace(a_binding(), imsi=IMSI("001010000000001;LOGOUT")),
        replace(a_binding(), imsi=IMSI("")),
    ],
)
@pytest.mark.parametrize("operation", [Operation.SET_BARRING, Operation.REMOVE_SUBSCRIBER])
def test_no_value_reaches_the_wire_unchecked(operation: Operation, binding: object) -> None:
    with pytest.raises(UnsafeValue):
        adapter().encode(a_task(operation, binding=binding), None)  # type: ignore[arg-type]


def test_a_number_that_is_none_is_not_asked_for() -> None:
    task = a_task(Operation.FIND_NUMBER, binding=replace(a_binding(), msisdn=MSISDN("1,2:X")))

    with pytest.raises(UnsafeValue):
        adapter().read_back(task)


# --- functions -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "text",
    [
        "SET:HLRSUB:IMSI,{imsi}:PDPCP,32",
        "SET:HLRSUB:MSISDN,{isdn}:PDPCP,{contexts}:CFU,1,{bearer}",
        "CREATE:GPRSSUB:IMSI,{imsi}:APN,{apn};",
        "DELETE:GPRSSUB:IMSI,{imsi}",
    ],
)
def test_a_script_is_one_command_about_its_user(text: str) -> None:
    EricssonCAI.check_script(parse(text))


@pytest.mark.parametrize(
    "text",
    [
        "GET:HLRSUB:IMSI,{imsi}",
        "LOGOUT",
        "SET:HLRSUB:IMSI,{imsi}:NAM,1;DELETE:HLRSUB:IMSI,{imsi}",
        "SET:HLRSUB:IMSI,001010000000009:NAM,1",
        "SET:HLRSUB:IMSI,{imsi}:{name},1",
        "SET:HLRSUB:IMSI,{imsi}:APN,x{apn}",
        "SET:TRANSID,1:HLRSUB:IMSI,{imsi}:NAM,1",
        "MOD LCK:IMSI={imsi}",
    ],
)
def test_a_script_that_is_not_is_refused(text: str) -> None:
    with pytest.raises(ScriptError):
        EricssonCAI.check_script(parse(text))


def test_a_script_about_somebody_else_is_never_sent() -> None:
    details = Details(script="SET:HLRSUB:IMSI,001010000000009:NAM,1")

    with pytest.raises(UnsafeValue):
        adapter().encode(a_task(Operation.ADD_FUNCTION, details=details), None)


def test_an_object_of_its_own_is_read_back_by_its_class() -> None:
    details = Details(script="CREATE:GPRSSUB:IMSI,{imsi}:APN,{apn}", attributes={"apn": "iot.gd"})
    task = a_task(Operation.ADD_FUNCTION, details=details)
    ours = adapter()

    assert ours.read_back(task) == b"GET:GPRSSUB:IMSI,001010000000001;"
    assert ours.compare(task, a_reply(b":APN,iot.gd")).verdict is Verdict.APPLIED
    assert ours.compare(task, a_reply(b":APN,other")).verdict is Verdict.DIFFERENT


# --- people --------------------------------------------------------------------------------------


def test_a_gateway_that_quotes_secrets_is_not_quoted() -> None:
    reply = a_reply(f":said {KI} by conformance-7f3a".encode(), code="1102")

    outcome = adapter().classify(the_task(DIALECT, Operation.ADD_KEY), reply)

    assert KI not in outcome.text
    assert "conformance-7f3a" not in outcome.text
    assert outcome.text.startswith("said ****")
