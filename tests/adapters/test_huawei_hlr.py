"""The M-HLR's dialect: each row of its tables, its read-backs, and what never reaches a wire."""

import re
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import structs

from adapters.huawei_hlr import HuaweiHLR
from hlrd.codec import mml
from hlrd.codec.base import UnsafeValue
from hlrd.codec.mml import MMLCommands, MMLReplies, MMLReply
from hlrd.domain.identity import IMSI, MSISDN, CardKey
from hlrd.domain.operation import Operation, Task
from hlrd.domain.outcome import Outcome, Verdict
from hlrd.domain.script import ScriptError
from hlrd.domain.suspension import Level
from hlrd.ne.adapter import Account, AccountError
from hlrd.ne.replies import Asked
from tests.adapters.conformance import (
    KEY,
    KI,
    PASSWORD,
    Played,
    a_binding,
    a_task,
    an_adapter,
    the_replies,
    the_task,
)

ADD_KEY, REMOVE_KEY = Operation.ADD_KEY, Operation.REMOVE_KEY
ADD_SUBSCRIBER, REMOVE_SUBSCRIBER = Operation.ADD_SUBSCRIBER, Operation.REMOVE_SUBSCRIBER
SET_BARRING, CANCEL_LOCATION = Operation.SET_BARRING, Operation.CANCEL_LOCATION
CHANGE_CARD, CHANGE_NUMBER = Operation.CHANGE_CARD, Operation.CHANGE_NUMBER
ADD_FUNCTION, REMOVE_FUNCTION = Operation.ADD_FUNCTION, Operation.REMOVE_FUNCTION
OPERATIONS = sorted(HuaweiHLR.operations)
QUERIED = [operation for operation in OPERATIONS if operation is not CANCEL_LOCATION]


def adapter(**options: str) -> HuaweiHLR:
    made = an_adapter("huawei_hlr", **options)
    assert isinstance(made, HuaweiHLR)
    return made


def a_reply(*codes: int, text: str = "said the NE", status: str = "", body: str = "") -> MMLReply:
    return MMLReply(b"", codes, status, text, body.encode())


def ours(operation: Operation) -> Task:
    return the_task("huawei_hlr", operation)


def classified(operation: Operation, reply: MMLReply) -> Outcome:
    return adapter().classify(ours(operation), reply)


# --- commands ------------------------------------------------------------------------------------

HEAD = 'HLRSN=1,IMSI="001010000000001"'
COMMANDS = {
    ADD_KEY: f'ADD KI:{HEAD},OPERTYPE=ADD,KIVALUE="{KI}",K4SNO=3,CARDTYPE=USIM,ALG=MILENAGE;',
    REMOVE_KEY: f"RMV KI:{HEAD};",
    ADD_SUBSCRIBER: f'ADD TPLSUB:{HEAD},ISDN="861064900000001",TPLTYPE=NORMAL,TPLID=1;',
    REMOVE_SUBSCRIBER: f"RMV SUB:{HEAD};",
    SET_BARRING: f"MOD LCK:{HEAD},IC=TRUE,OC=TRUE,GPRSLOCK=TRUE,EPSLOCK=TRUE;",
    CANCEL_LOCATION: f"SND CANCELC:{HEAD};",
    CHANGE_CARD: 'MOD IMSI:HLRSN=1,IMSI="001010000000005",NEWIMSI="001010000000006";',
    CHANGE_NUMBER: 'MOD ISDN:HLRSN=1,ISDN="861064900000007",NEWISDN="861064900000008";',
    ADD_FUNCTION: f'MOD GPRS_CONTEXT:{HEAD},PROV=ADDPDPCNTX,CNTXID=2,APN="cmiot.gd";',
    REMOVE_FUNCTION: f"MOD GPRS_CONTEXT:{HEAD},PROV=RMVPDPCNTX,CNTXID=2;",
}


@pytest.mark.parametrize("operation", OPERATIONS)
def test_each_operation_has_its_command(operation: Operation) -> None:
    key = KEY if operation is ADD_KEY else None

    assert adapter().encode(ours(operation), key) == COMMANDS[operation].encode()


@pytest.mark.parametrize("operation", OPERATIONS)
def test_people_see_the_command_with_its_key_masked(operation: Operation) -> None:
    shown = adapter().masked(ours(operation))

    assert shown.startswith(COMMANDS[operation].split(",KIVALUE")[0].removesuffix(";"))
    assert ('KIVALUE="****"' in shown) is (operation is ADD_KEY)


@pytest.mark.parametrize(
    ("level", "flags"),
    [
        (Level.NONE, "IC=FALSE,OC=FALSE,GPRSLOCK=FALSE,EPSLOCK=FALSE"),
        (Level.ONE_WAY, "IC=FALSE,OC=TRUE,GPRSLOCK=FALSE,EPSLOCK=FALSE"),
        (Level.TWO_WAY, "IC=TRUE,OC=TRUE,GPRSLOCK=TRUE,EPSLOCK=TRUE"),
    ],
)
def test_a_level_is_sent_as_all_four_locks(level: Level, flags: str) -> None:
    assert flags in adapter().encode(a_task(SET_BARRING, level=level), None).decode()


def test_a_subscriber_is_added_without_its_level_which_the_plan_sets_after_it() -> None:
    born = a_task(ADD_SUBSCRIBER, level=Level.TWO_WAY)

    assert adapter().encode(born, None) == COMMANDS[ADD_SUBSCRIBER].encode()


def test_an_older_number_keeps_its_13_digits_behind_the_country_code() -> None:
    binding = a_binding(msisdn="13900000001")

    wire = adapter().encode(a_task(ADD_SUBSCRIBER, binding=binding), None)

    assert b'ISDN="8613900000001"' in wire


def test_milenage_cards_name_their_operator_constants_and_others_do_not() -> None:
    ours = adapter(hlrsn="7", opsno="2", amfsno="4")
    older = replace(KEY, algorithm="COMP128_1", card_type="SIM")

    assert ours.encode(a_task(ADD_KEY), KEY).endswith(b"ALG=MILENAGE,OPSNO=2,AMFSNO=4;")
    assert ours.encode(a_task(ADD_KEY), older).endswith(b"ALG=COMP128_1;")
    assert b"HLRSN=7," in ours.encode(a_task(REMOVE_KEY), None)


def test_a_session_begins_with_its_account_and_ends_with_lgo() -> None:
    assert adapter().login() == f'LGI:HLRSN=1,OPNAME="hlrd",PWD="{PASSWORD}";'.encode()
    assert adapter().logout() == b"LGO:;"


@pytest.mark.parametrize("password", ["", 'p";LGO:;', "a b", "pw\n", "密码", "x" * 65])
def test_an_account_that_mml_cannot_carry_stops_the_start_unquoted(password: str) -> None:
    with pytest.raises(AccountError) as refused:
        HuaweiHLR(Account("127.0.0.1", 7776, "hlrd", password), the_replies("huawei_hlr"))

    assert "PWD" in str(refused.value)
    assert not password or password not in str(refused.value)


# --- injection -----------------------------------------------------------------------------------

hostile = st.one_of(
    st.text(max_size=30),
    st.builds(
        lambda head, bad, tail: head + bad + tail,
        st.text("0123456789", max_size=15),
        st.sampled_from([";", '"', "'", ",", ":", "=", "\n", "\r", "\0", " ", "１", "۱", "；"]),
        st.text("0123456789", max_size=15),
    ),
)


def a_hostile_task(operation: Operation, imsi: str, msisdn: str, template: str) -> Task:
    """`template` is what the task is about beside its user."""
    binding = structs.replace(a_binding(), imsi=IMSI(imsi), msisdn=MSISDN(msisdn))
    target = structs.replace(a_binding(), imsi=IMSI(template), msisdn=MSISDN(template))
    details = structs.replace(ours(operation).details, attributes={"apn": template}, target=target)
    return a_task(operation, binding=binding, template=template, details=details)


@given(st.sampled_from(OPERATIONS), hostile, hostile, hostile)
def test_whatever_a_value_holds_a_task_is_one_command_or_none(
    operation: Operation, imsi: str, msisdn: str, template: str
) -> None:
    task = a_hostile_task(operation, imsi, msisdn, template)
    try:
        wire = adapter().encode(task, KEY if operation is ADD_KEY else None)
    except (UnsafeValue, ScriptError):
        return

    [command] = MMLCommands().feed(wire)

    assert command.name == COMMANDS[operation].split(":", maxsplit=1)[0]
    assert command.params.keys() == mml.parse_command(COMMANDS[operation].encode()).params.keys()
    assert command.params.get("IMSI", imsi) == imsi
    for name in ("TPLID", "APN", "NEWIMSI"):
        assert command.params.get(name, template) == template
    assert wire.isascii()
    assert wire.count(b";") == 1


@given(st.sampled_from(OPERATIONS), hostile)
def test_no_query_and_nothing_shown_carries_a_delimiter_either(
    operation: Operation, imsi: str
) -> None:
    task = a_hostile_task(operation, imsi, "1064900000001", "1")
    for build in (adapter().read_back, adapter().masked):
        try:
            built = build(task)
        except (UnsafeValue, ScriptError):
            continue
        assert built is None or len(built.split(b";" if isinstance(built, bytes) else ";")) == 2


@given(st.text(max_size=10), st.text(max_size=10))
def test_a_key_with_odd_metadata_is_never_sent(algorithm: str, card_type: str) -> None:
    key = CardKey(KI, 1, algorithm, card_type)
    try:
        wire = adapter().encode(a_task(ADD_KEY), key)
    except UnsafeValue:
        return

    assert len(MMLCommands().feed(wire)) == 1


# --- replies -------------------------------------------------------------------------------------

EVERYWHERE = {
    1001: Verdict.PERMANENT,
    1002: Verdict.PERMANENT,
    1033: Verdict.PERMANENT,
    3049: Verdict.PERMANENT,
    4005: Verdict.BUSY,
    5001: Verdict.SESSION,
    22025: Verdict.TRANSIENT,
    10010505: Verdict.TRANSIENT,
}
ELSEWHERE = dict.fromkeys(OPERATIONS, Verdict.PERMANENT)
PLACES = {
    3001: ELSEWHERE
    | dict.fromkeys(
        (REMOVE_KEY, REMOVE_SUBSCRIBER, CANCEL_LOCATION, REMOVE_FUNCTION), Verdict.NO_CHANGE
    )
    | dict.fromkeys((CHANGE_CARD, CHANGE_NUMBER), Verdict.EXISTS),
    3005: ELSEWHERE | {ADD_SUBSCRIBER: Verdict.DIFFERENT},
    3006: ELSEWHERE | dict.fromkeys((ADD_KEY, ADD_SUBSCRIBER, ADD_FUNCTION), Verdict.EXISTS),
    3007: ELSEWHERE | {REMOVE_FUNCTION: Verdict.NO_CHANGE},
    3037: dict.fromkeys(OPERATIONS, Verdict.FOLLOW_UP) | {CANCEL_LOCATION: Verdict.TRANSIENT},
    3048: ELSEWHERE | {REMOVE_KEY: Verdict.NO_CHANGE, ADD_SUBSCRIBER: Verdict.PREREQUISITE},
}
ROWS = [
    *(
        (operation, code, verdict)
        for code, verdict in EVERYWHERE.items()
        for operation in OPERATIONS
    ),
    *(
        (operation, code, verdict)
        for code, places in PLACES.items()
        for operation, verdict in places.items()
    ),
]


@pytest.mark.parametrize(("operation", "code", "verdict"), ROWS)
def test_a_result_code_says_what_it_means_for_its_operation(
    operation: Operation, code: int, verdict: Verdict
) -> None:
    outcome = classified(operation, a_reply(code))

    assert outcome.verdict is verdict
    assert outcome.code == str(code)
    assert outcome.text == "said the NE"
    assert outcome.is_known


def test_every_code_of_the_dialects_table_is_in_these_tests() -> None:
    covered = {str(code) for _, code, _ in ROWS}
    replies = the_replies("huawei_hlr")

    codes = {code for op in OPERATIONS for code in replies.codes(Asked.COMMAND, op)}

    assert codes == covered | {"0", "SUCCESS0002"}


@pytest.mark.parametrize("operation", OPERATIONS)
def test_success_is_told_from_no_change_by_its_status(operation: Operation) -> None:
    assert classified(operation, a_reply(0, status="SUCCESS0001")).verdict is Verdict.DONE
    assert classified(operation, a_reply(0, status="SUCCESS0002")).verdict is Verdict.NO_CHANGE
    assert classified(operation, a_reply(0)).verdict is Verdict.DONE


def test_what_is_owed_or_missing_is_named() -> None:
    assert classified(SET_BARRING, a_reply(3037)).then is CANCEL_LOCATION
    assert classified(ADD_SUBSCRIBER, a_reply(3048)).then is ADD_KEY
    assert classified(SET_BARRING, a_reply(3001)).then is None


@pytest.mark.parametrize("operation", OPERATIONS)
@given(code=st.integers(6_000, 9_999_999))
def test_a_code_of_no_table_is_permanent_and_is_counted(operation: Operation, code: int) -> None:
    if code in EVERYWHERE:
        return

    outcome = classified(operation, a_reply(code))

    assert outcome.verdict is Verdict.PERMANENT
    assert not outcome.is_known


def test_of_several_codes_the_worst_counts() -> None:
    both = a_reply(3001, 3048)

    assert classified(REMOVE_KEY, both).verdict is Verdict.NO_CHANGE
    assert classified(ADD_SUBSCRIBER, both).verdict is Verdict.PERMANENT
    assert classified(ADD_SUBSCRIBER, a_reply(3048, 4005)).verdict is Verdict.BUSY
    assert classified(REMOVE_KEY, a_reply(0, 9999)).verdict is Verdict.PERMANENT
    assert not classified(REMOVE_KEY, a_reply(0, 9999)).is_known
    assert classified(REMOVE_KEY, both).code == "3001,3048"


@pytest.mark.parametrize(
    "text",
    [
        "NE command failed, RETCODE = 22025, ERR3001:The subscriber is not defined",
        "ERR22025:NE command failed, result code is 3001",
        "code 22025: code:3001",
    ],
)
def test_a_gateways_wrapper_is_taken_off(text: str) -> None:
    wrapped = a_reply(10010505, text=text)

    assert classified(REMOVE_SUBSCRIBER, wrapped).verdict is Verdict.NO_CHANGE
    assert classified(SET_BARRING, wrapped).verdict is Verdict.PERMANENT
    assert classified(SET_BARRING, wrapped).code == "3001"


def test_a_wrapper_that_names_no_failure_stands_for_itself() -> None:
    outcome = classified(SET_BARRING, a_reply(10010505, text="gateway ended with code 0"))

    assert outcome.verdict is Verdict.TRANSIENT


def test_a_careless_text_is_shown_without_key_and_password() -> None:
    outcome = classified(ADD_KEY, a_reply(1002, text=f"bad KIVALUE {KI} for {PASSWORD}"))

    assert outcome.text == "bad KIVALUE **** for ****"


@pytest.mark.parametrize(
    ("code", "verdict"),
    [
        (0, Verdict.DONE),
        (5002, Verdict.PERMANENT),
        (5003, Verdict.BUSY),
        (5004, Verdict.BUSY),
        (9999, Verdict.PERMANENT),
    ],
)
def test_a_login_is_taken_refused_or_put_off(code: int, verdict: Verdict) -> None:
    assert adapter().classify_login(a_reply(code)).verdict is verdict


# --- read-backs ----------------------------------------------------------------------------------


@pytest.mark.parametrize("operation", QUERIED)
@pytest.mark.parametrize("codes", [(3001,), (3048,), (3001, 3048)])
def test_nothing_found_is_what_a_removal_wants_and_an_addition_lacks(
    operation: Operation, codes: tuple[int, ...]
) -> None:
    removes = operation in (REMOVE_KEY, REMOVE_SUBSCRIBER, REMOVE_FUNCTION)

    found = adapter().compare(ours(operation), a_reply(*codes))

    if operation in (CHANGE_CARD, CHANGE_NUMBER):
        assert found.verdict is Verdict.PERMANENT
    else:
        assert found.verdict is (Verdict.APPLIED if removes else Verdict.ABSENT)


@pytest.mark.parametrize("operation", QUERIED)
@pytest.mark.parametrize(
    ("code", "verdict"),
    [(4005, Verdict.BUSY), (5001, Verdict.SESSION), (22025, Verdict.TRANSIENT)],
)
def test_a_fault_of_the_query_is_not_a_finding(
    operation: Operation, code: int, verdict: Verdict
) -> None:
    worse = Verdict.PERMANENT if operation in (CHANGE_CARD, CHANGE_NUMBER) else verdict

    assert adapter().compare(ours(operation), a_reply(code)).verdict is verdict
    assert adapter().compare(ours(operation), a_reply(3001, code)).verdict is worse


@pytest.mark.parametrize(
    ("body", "verdict"),
    [
        ("ISDN = 861064900000001\r\nTPLID = 1\r\n", Verdict.APPLIED),
        ("ISDN  =  861064900000001\r\n", Verdict.APPLIED),
        ("ISDN = 861064900000001\r\nTPLID = 2\r\n", Verdict.DIFFERENT),
        ("ISDN = 861064900000002\r\nTPLID = 1\r\n", Verdict.DIFFERENT),
        ("ISDN = 1064900000001\r\n", Verdict.DIFFERENT),
        ("TPLID = 1\r\n", Verdict.PERMANENT),
    ],
)
def test_a_subscriber_is_ours_by_number_and_template(body: str, verdict: Verdict) -> None:
    assert adapter().compare(a_task(ADD_SUBSCRIBER), a_reply(0, body=body)).verdict is verdict


def test_a_record_that_shows_less_than_it_must_is_for_people_to_see() -> None:
    assert not adapter().compare(a_task(ADD_SUBSCRIBER), a_reply(0)).is_known
    assert not adapter().compare(a_task(SET_BARRING), a_reply(0, body="IC = TRUE")).is_known


@pytest.mark.parametrize("stands", list(Level))
@pytest.mark.parametrize("wanted", list(Level))
def test_barring_is_compared_as_an_absolute_level(stands: Level, wanted: Level) -> None:
    played = Played("huawei_hlr")
    for operation in (ADD_KEY, ADD_SUBSCRIBER):
        played.execute(a_task(operation))
    played.execute(a_task(SET_BARRING, level=stands))

    found = played.read_back(a_task(SET_BARRING, level=wanted))

    assert found.verdict is (Verdict.APPLIED if stands is wanted else Verdict.ABSENT)


@pytest.mark.parametrize("operation", [SET_BARRING, REMOVE_SUBSCRIBER])
def test_a_lost_answer_may_have_said_that_the_serving_node_was_not_told(
    operation: Operation,
) -> None:
    played = Played("huawei_hlr")
    for done in (ADD_KEY, ADD_SUBSCRIBER, operation):
        played.execute(a_task(done))

    found = played.read_back(a_task(operation))

    assert (found.verdict, found.then) == (Verdict.APPLIED, CANCEL_LOCATION)


def test_a_follow_up_is_its_own_read_back() -> None:
    assert adapter().read_back(a_task(CANCEL_LOCATION)) is None
    assert adapter().compare(a_task(CANCEL_LOCATION), a_reply(0)).verdict is Verdict.DONE


# --- echo ----------------------------------------------------------------------------------------


def test_a_reply_to_another_command_is_no_echo() -> None:
    request = adapter().encode(a_task(REMOVE_SUBSCRIBER), None)
    other = structs.replace(a_binding(), imsi=IMSI("001010000000002"))
    foreign = adapter().encode(a_task(REMOVE_SUBSCRIBER, binding=other), None)

    assert adapter().echoes(request, MMLReply(request, (0,), "", ""))
    assert not adapter().echoes(request, MMLReply(foreign, (0,), "", ""))
    assert not adapter().echoes(request, MMLReply(b"", (0,), "", ""))


def test_a_login_is_echoed_with_its_password_masked() -> None:
    request = adapter().login()
    echo = mml.masked(request.decode()).encode()

    assert PASSWORD.encode() not in echo
    assert adapter().echoes(request, MMLReply(echo, (0,), "", ""))


def test_a_decoder_is_fresh_for_each_connection() -> None:
    first, second = adapter().decoder(), adapter().decoder()

    assert isinstance(first, MMLReplies)
    assert first is not second


# --- its page ------------------------------------------------------------------------------------


def test_its_page_has_a_row_for_every_code_and_every_operation() -> None:
    page = (Path(__file__).parents[2] / "docs" / "ne" / "huawei_hlr.md").read_text("utf-8")

    codes = {code for _, code, _ in ROWS} | {5002, 5003, 5004}
    assert {int(code) for code in re.findall(r"^\| (\d+)\b", page, re.MULTILINE)} - {0} == codes
    for operation, command in COMMANDS.items():
        assert f"| `{operation}` | `{command.split(':', maxsplit=1)[0]}`" in page
