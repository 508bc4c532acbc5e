"""The osmo-hlr dialect: its commands, what it makes of answers, and what nobody gets to see."""

import re

import pytest
from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.algorithms import AES
from cryptography.hazmat.primitives.ciphers.modes import ECB
from hypothesis import given
from hypothesis import strategies as st

from adapters.osmo_hlr import KeyUnfit, OsmoHLR
from hlrd.codec.base import UnsafeValue
from hlrd.codec.ipa import Answer, CTRLCommands, CTRLReply
from hlrd.domain.identity import ALGORITHMS, CardKey
from hlrd.domain.operation import Operation, Task
from hlrd.domain.outcome import Outcome, Verdict
from hlrd.domain.suspension import Level
from hlrd.ne.adapter import Account, AccountError
from tests.adapters.conformance import KEY, KI, a_binding, a_task, an_adapter, the_replies

IMSI = "001010000000001"
SUBSCRIBER = f"subscriber.by-imsi-{IMSI}"
NUMBER = "861064900000001"
OP = "00112233445566778899AABBCCDDEEFF"
TRANSPORT_KEY = "0F" * 16
ADD_KEY, ADD_SUBSCRIBER = Operation.ADD_KEY, Operation.ADD_SUBSCRIBER
SET_BARRING, REMOVE_SUBSCRIBER = Operation.SET_BARRING, Operation.REMOVE_SUBSCRIBER


def an_osmo_hlr(**secrets: str) -> OsmoHLR:
    named = {name.replace("_", "."): value for name, value in secrets.items()}
    account = Account("127.0.0.1", 4259, secrets=named)
    return OsmoHLR(account, the_replies("osmo_hlr"))


def sent(task: Task, key: CardKey | None = None, **secrets: str) -> list[str]:
    request = an_osmo_hlr(**secrets).encode(task, key)
    return [
        f"{command.verb} {command.variable} {command.value}".rstrip()
        for command in CTRLCommands().feed(request)
    ]


def refused(*errors: str) -> CTRLReply:
    """One answer each; an empty error is an OK."""
    return CTRLReply(1, tuple(Answer("" if each else "x", "OK", each) for each in errors))


def an_info(**fields: object) -> CTRLReply:
    shown = {"id": 1, "imsi": IMSI, "msisdn": NUMBER, "nam_cs": 1, "nam_ps": 1, **fields}
    text = "".join(f"\n{name}\t{value}" for name, value in shown.items() if value is not None)
    return CTRLReply(1, (Answer(f"{SUBSCRIBER}.info", text),))


def compared(task: Task, reply: CTRLReply) -> Outcome:
    outcome: Outcome = an_adapter("osmo_hlr").compare(task, reply)
    return outcome


def judged(operation: Operation, *errors: str) -> Outcome:
    outcome: Outcome = an_adapter("osmo_hlr").classify(a_task(operation), refused(*errors))
    return outcome


# --- what is sent --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("task", "commands"),
    [
        (
            a_task(ADD_SUBSCRIBER),
            [f"SET {SUBSCRIBER}.msisdn {NUMBER}", "cs 1", "ps 1"],
        ),
        (
            a_task(ADD_SUBSCRIBER, level=Level.TWO_WAY),
            [f"SET {SUBSCRIBER}.msisdn {NUMBER}", "cs 0", "ps 0"],
        ),
        (a_task(SET_BARRING, level=Level.NONE), [f"GET {SUBSCRIBER}.msisdn", "cs 1", "ps 1"]),
        (a_task(SET_BARRING, level=Level.ONE_WAY), [f"GET {SUBSCRIBER}.msisdn", "cs 1", "ps 0"]),
        (a_task(SET_BARRING), [f"GET {SUBSCRIBER}.msisdn", "cs 0", "ps 0"]),
        (a_task(REMOVE_SUBSCRIBER), [f"SET {SUBSCRIBER}.msisdn none", "cs 0", "ps 0"]),
        (a_task(Operation.REMOVE_KEY), [f"SET subscriber.delete {IMSI}"]),
    ],
)
def test_a_task_is_these_commands(task: Task, commands: list[str]) -> None:
    shown = [
        re.sub(r"\A([cp]s) ", rf"SET {SUBSCRIBER}.\1-enabled ", command) for command in commands
    ]

    assert sent(task) == shown


OLD, NEW = "subscriber.by-imsi-001010000000005", "subscriber.by-imsi-001010000000006"
CHANGE_CARD, CHANGE_NUMBER = Operation.CHANGE_CARD, Operation.CHANGE_NUMBER


def test_a_new_card_has_the_level_of_the_line_before_it_has_its_number() -> None:
    assert sent(a_task(CHANGE_CARD, level=Level.ONE_WAY)) == [
        f"GET {NEW}.msisdn",
        f"SET {NEW}.cs-enabled 1",
        f"SET {NEW}.ps-enabled 0",
        f"SET {OLD}.msisdn none",
        f"SET {NEW}.msisdn 861064900000005",
    ]


def test_the_key_of_a_stopped_line_is_loaded_when_its_card_is_stopped() -> None:
    create, _, cs, ps, load = sent(a_task(ADD_KEY, level=Level.TWO_WAY), KEY, op=OP, k4_3="0F" * 16)

    assert create == f"SET subscriber.create {IMSI}"
    assert (cs, ps) == (f"SET {SUBSCRIBER}.cs-enabled 0", f"SET {SUBSCRIBER}.ps-enabled 0")
    assert ".aud" in load


def test_another_number_is_set_in_the_place_of_the_old() -> None:
    assert sent(a_task(CHANGE_NUMBER)) == [
        "SET subscriber.by-imsi-001010000000007.msisdn 861064900000008"
    ]


def test_a_change_of_card_that_failed_behind_the_old_records_number_is_taken_back() -> None:
    outcome = judged(CHANGE_CARD, "No such subscriber.", "", "", "", "No such subscriber.")

    assert (outcome.verdict, outcome.is_partial) == (Verdict.PERMANENT, True)


def test_an_old_record_that_is_gone_has_no_number_to_give() -> None:
    assert judged(CHANGE_CARD, "", "", "", "No such subscriber.", "").verdict is Verdict.DONE


@pytest.mark.parametrize(
    ("operation", "shown", "verdict"),
    [
        (CHANGE_CARD, {"imsi": "001010000000006"}, Verdict.APPLIED),
        (CHANGE_CARD, {"imsi": "001010000000006", "nam_ps": 0}, Verdict.ABSENT),
        (CHANGE_CARD, {"imsi": "001010000000005"}, Verdict.ABSENT),
        (CHANGE_CARD, {"imsi": "001010000000099"}, Verdict.DIFFERENT),
        (CHANGE_NUMBER, {"msisdn": "861064900000008"}, Verdict.APPLIED),
        (CHANGE_NUMBER, {"msisdn": "861064900000007"}, Verdict.ABSENT),
        (CHANGE_NUMBER, {"msisdn": None}, Verdict.ABSENT),
        (CHANGE_NUMBER, {"msisdn": "861064900000099"}, Verdict.DIFFERENT),
    ],
)
def test_a_change_is_read_back_by_what_stays(
    operation: Operation, shown: dict[str, object], verdict: Verdict
) -> None:
    assert compared(a_task(operation, level=Level.NONE), an_info(**shown)).verdict is verdict


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_a_key_is_loaded_into_the_table_of_its_generation(algorithm: str) -> None:
    key = CardKey(KI, 0, algorithm, "USIM")

    *_, load = sent(a_task(ADD_KEY), key, op=OP)

    if algorithm == "MILENAGE":
        assert load == f"SET {SUBSCRIBER}.aud3g milenage,{KI},OP,{OP}"
    else:
        assert load == f"SET {SUBSCRIBER}.aud2g comp128v{algorithm[-1]},{KI}"


@given(st.binary(min_size=16, max_size=16).filter(lambda ki: ki not in (b"\0" * 16, b"\xff" * 16)))
def test_a_key_is_decrypted_under_the_transport_key_of_its_number(ki: bytes) -> None:
    delivered = Cipher(AES(bytes.fromhex(TRANSPORT_KEY)), ECB()).encryptor().update(ki).hex()
    key = CardKey(delivered, 3, "COMP128_1", "SIM")

    *_, load = sent(a_task(ADD_KEY), key, k4_3=TRANSPORT_KEY, k4_4="FF" * 32)

    assert load.endswith(f"comp128v1,{ki.hex()}")


def test_a_key_under_a_transport_key_that_is_not_known_is_never_sent() -> None:
    with pytest.raises(KeyUnfit, match=r"has no k4\.3") as told:
        sent(a_task(ADD_KEY), KEY, k4_4=TRANSPORT_KEY, op=OP)

    assert KI not in str(told.value)


def test_a_milenage_key_without_the_operators_constant_is_never_sent() -> None:
    with pytest.raises(KeyUnfit, match=r"\[ne.secrets\] op"):
        sent(a_task(ADD_KEY), CardKey(KI, 0, "MILENAGE", "USIM"))


@given(st.text(max_size=20))
def test_whatever_a_number_holds_a_task_is_its_commands_or_none(text: str) -> None:
    task = a_task(ADD_SUBSCRIBER, binding=a_binding(msisdn=text))

    try:
        commands = sent(task)
    except UnsafeValue:
        return

    assert commands[0] == f"SET {SUBSCRIBER}.msisdn 86{text}"
    assert len(commands) == 3


def test_nothing_asks_for_a_key() -> None:
    adapter = an_adapter("osmo_hlr")
    tasks = [a_task(each) for each in sorted(adapter.operations | adapter.inquiries)]
    queries = [query for task in tasks if (query := adapter.read_back(task)) is not None]
    requests = [*queries, *(adapter.encode(a_task(each), KEY) for each in adapter.operations)]

    asked = {
        command.variable.rpartition(".")[2]
        for request in requests
        for command in CTRLCommands().feed(request)
        if command.verb == "GET"
    }

    assert asked == {"info", "msisdn"}


# --- what answers mean ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("operation", "errors", "verdict"),
    [
        (ADD_SUBSCRIBER, ("No such subscriber.", *["An error has occurred."] * 2), "prerequisite"),
        (SET_BARRING, ("No such subscriber.", *["An error has occurred."] * 2), "permanent"),
        (SET_BARRING, ("", "An error has occurred.", ""), "transient"),
        (REMOVE_SUBSCRIBER, ("No such subscriber.", *["An error has occurred."] * 2), "noChange"),
        (ADD_SUBSCRIBER, ("Update MSISDN failed", "", ""), "different"),
        (ADD_KEY, ("", "", "Update aud3g failed."), "transient"),
        (ADD_KEY, ("Something new.",), "permanent"),
    ],
)
def test_the_first_refusal_counts(
    operation: Operation, errors: tuple[str, ...], verdict: str
) -> None:
    assert judged(operation, *errors).verdict == verdict


@pytest.mark.parametrize(
    ("create", "is_partial"),
    [(Answer("subscriber.create", "7"), True), (Answer("", "", "Invalid IMSI value."), False)],
)
def test_a_record_without_its_key_is_told_from_none_at_all(
    create: Answer, is_partial: bool
) -> None:
    answers = (create, Answer(f"{SUBSCRIBER}.msisdn", "none"), Answer("", "", "Invalid KI."))

    outcome = an_adapter("osmo_hlr").classify(a_task(ADD_KEY), CTRLReply(1, answers))

    assert (outcome.verdict, outcome.is_partial) == (Verdict.PERMANENT, is_partial)


def test_a_refusal_in_no_table_is_counted() -> None:
    assert not judged(ADD_KEY, "Something new.").is_known


@pytest.mark.parametrize(
    ("holder", "loaded", "verdict"),
    [
        ("none", "", Verdict.DONE),
        (NUMBER, "", Verdict.DONE),
        ("861064900000002", "", Verdict.DIFFERENT),
        ("none", "Update aud3g failed.", Verdict.TRANSIENT),
        ("none", "Invalid KI.", Verdict.PERMANENT),
    ],
)
def test_a_record_that_was_there_is_ours_unless_it_holds_another_number(
    holder: str, loaded: str, verdict: Verdict
) -> None:
    created = Answer("", "", "Subscriber already exists.")
    answers = (created, Answer(f"{SUBSCRIBER}.msisdn", holder), Answer("", "OK", loaded))

    outcome = an_adapter("osmo_hlr").classify(a_task(ADD_KEY), CTRLReply(1, answers))

    assert outcome.verdict is verdict


@pytest.mark.parametrize(
    ("task", "reply", "verdict"),
    [
        (a_task(ADD_SUBSCRIBER), an_info(), Verdict.APPLIED),
        (a_task(ADD_SUBSCRIBER), an_info(nam_ps=0), Verdict.ABSENT),
        (a_task(ADD_SUBSCRIBER), an_info(msisdn=None), Verdict.ABSENT),
        (a_task(ADD_SUBSCRIBER), an_info(msisdn="861064900000002"), Verdict.DIFFERENT),
        (a_task(ADD_SUBSCRIBER), refused("No such subscriber."), Verdict.ABSENT),
        (a_task(SET_BARRING), an_info(), Verdict.ABSENT),
        (a_task(SET_BARRING), an_info(nam_cs=0, nam_ps=0), Verdict.APPLIED),
        (a_task(REMOVE_SUBSCRIBER), an_info(msisdn=None, nam_cs=0, nam_ps=0), Verdict.APPLIED),
        (a_task(REMOVE_SUBSCRIBER), an_info(msisdn=None), Verdict.ABSENT),
        (a_task(REMOVE_SUBSCRIBER), an_info(), Verdict.ABSENT),
        (a_task(REMOVE_SUBSCRIBER), refused("No such subscriber."), Verdict.APPLIED),
        (a_task(Operation.REMOVE_KEY), an_info(), Verdict.ABSENT),
        (a_task(Operation.REMOVE_KEY), refused("No such subscriber."), Verdict.APPLIED),
        (a_task(SET_BARRING), refused("An error has occurred."), Verdict.TRANSIENT),
    ],
)
def test_a_record_is_compared_with_what_the_task_makes_of_it(
    task: Task, reply: CTRLReply, verdict: Verdict
) -> None:
    assert compared(task, reply).verdict is verdict


def test_a_record_without_its_flags_is_seen_by_people() -> None:
    outcome = compared(a_task(SET_BARRING), an_info(nam_cs=None))

    assert (outcome.verdict, outcome.is_known) == (Verdict.PERMANENT, False)


# --- settings ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "secrets",
    [{"op": "12"}, {"opc": OP}, {"k4_0": TRANSPORT_KEY}, {"k4_3": "0F" * 15}, {"k4": OP}],
)
def test_an_unusable_secret_stops_the_start_and_is_not_quoted(secrets: dict[str, str]) -> None:
    with pytest.raises(AccountError) as told:
        an_osmo_hlr(**secrets)

    assert next(iter(secrets)).replace("_", ".") in str(told.value)
    assert next(iter(secrets.values())) not in str(told.value)


@pytest.mark.parametrize("depth", ["0", "1", "65", "-3", "x", "１６"])
def test_an_unusable_depth_stops_the_start(depth: str) -> None:
    with pytest.raises(AccountError, match="depth"):
        an_adapter("osmo_hlr", depth=depth)


def test_the_depth_is_the_operators() -> None:
    assert (an_adapter("osmo_hlr").depth, an_adapter("osmo_hlr", depth="64").depth) == (16, 64)


def test_an_account_shows_no_secret() -> None:
    assert OP not in repr(an_osmo_hlr(op=OP).account)
