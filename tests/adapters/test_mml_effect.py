"""What an M-HLR holds after a function, a change or a barring, read back in every layout."""

from collections.abc import Callable
from typing import Final

import pytest
from msgspec import structs

from adapters.huawei_hlr import HuaweiHLR
from hlrd.codec.mml import MMLCommands, MMLReply
from hlrd.domain.identity import IMSI, MSISDN
from hlrd.domain.operation import Details, Operation, Task
from hlrd.domain.outcome import Outcome, Verdict
from hlrd.domain.suspension import Level
from hlrd.ne.adapter import AccountError
from loadtest.hlr.core import HLR
from loadtest.hlr.frames import Frames
from tests.adapters.conformance import KEY, a_binding, a_task, an_adapter, ground, the_task

ADD, REMOVE = Operation.ADD_FUNCTION, Operation.REMOVE_FUNCTION
CHANGE_CARD, CHANGE_NUMBER = Operation.CHANGE_CARD, Operation.CHANGE_NUMBER
LAYOUTS: Final[dict[str, Callable[[], Frames]]] = {
    "new": lambda: Frames("HLR1"),
    "old": lambda: Frames("HLR1", is_old=True),
    "tables": lambda: Frames("HLR1", has_tables=True),
    "old tables in packets": lambda: Frames("HLR1", is_old=True, has_tables=True, packet_lines=1),
    "packets": lambda: Frames("HLR1", packet_lines=2),
    "tables in packets": lambda: Frames("HLR1", has_tables=True, packet_lines=3),
}
each_layout = pytest.mark.parametrize("layout", list(LAYOUTS))


class Played:
    """An adapter and an HLR on which the user is open."""

    def __init__(self, layout: str = "new", **options: str) -> None:
        adapter = an_adapter("huawei_hlr", **options)
        assert isinstance(adapter, HuaweiHLR)
        self.adapter = adapter
        self.hlr = HLR()
        self._frames = LAYOUTS[layout]()
        for operation in (Operation.ADD_KEY, Operation.ADD_SUBSCRIBER):
            assert self.execute(a_task(operation)).verdict is Verdict.DONE

    def ask(self, request: bytes) -> MMLReply:
        [command] = MMLCommands().feed(request)
        wire = self._frames.reply(command.text, self.hlr.handle(command), "2026-01-31 08:00:00")
        [reply] = self.adapter.decoder().feed(wire)
        assert self.adapter.echoes(request, reply)
        return reply

    def execute(self, task: Task) -> Outcome:
        key = KEY if task.operation is Operation.ADD_KEY else None
        return self.adapter.classify(task, self.ask(self.adapter.encode(task, key)))

    def read_back(self, task: Task) -> Outcome:
        query = self.adapter.read_back(task)
        assert query is not None
        return self.adapter.compare(task, self.ask(query))


def a_function(operation: Operation, text: str, **details: str) -> Task:
    return a_task(
        operation, details=Details(script=text, attributes={"apn": "cmiot.gd"}, **details)
    )


EPS = "ADD EPSSUB:IMSI={imsi},EPSUSERTPLID=4"
FUNCTIONS = [
    (
        (),
        'MOD GPRS_CONTEXT:IMSI={imsi},PROV=ADDPDPCNTX,CNTXID=2,APN="{apn}",IPV4ADDIND=STATIC,'
        'IPV4ADD="10.0.0.7"',
        "MOD GPRS_CONTEXT:IMSI={imsi},PROV=RMVPDPCNTX,CNTXID=2",
    ),
    (
        (),
        "MOD OPTGPRS:ISDN={isdn},PROV=ADDPDPCNTX,CNTXID=3,APNTPLID=9",
        "MOD OPTGPRS:ISDN={isdn},PROV=RMVPDPCNTX,CNTXID=3",
    ),
    (
        (EPS,),
        'MOD EPS_CONTEXT:IMSI={imsi},PROV=ADDPDNCNTX,CNTXID=1,APN="{apn}"',
        "MOD EPS_CONTEXT:IMSI={imsi},PROV=RMVPDNCNTX,CNTXID=1",
    ),
    ((), EPS, "RMV EPSSUB:IMSI={imsi}"),
    (
        (),
        "MOD TPLGPRS:IMSI={imsi},PROV=TRUE,TPLID=5",
        "MOD TPLGPRS:IMSI={imsi},PROV=FALSE,TPLID=5",
    ),
    ((), "MOD TPLEPS:IMSI={imsi},PROV=TRUE,TPLID=5", "MOD TPLEPS:IMSI={imsi},PROV=FALSE,TPLID=5"),
    (
        (EPS, "MOD EPSDATA:IMSI={imsi},AMBRMAXREQUL=64"),
        "MOD EPSDATA:IMSI={imsi},AMBRMAXREQUL=1000",
        "MOD EPSDATA:IMSI={imsi},AMBRMAXREQUL=64",
    ),
    (
        (),
        "MOD ODB:IMSI={imsi},ODBIC=BAIC,ODBROAM=BROHPLMN",
        "MOD ODB:IMSI={imsi},ODBIC=NOBIC,ODBROAM=NOBAR",
    ),
    ((), "MOD ODBROAM:IMSI={imsi},ODBROAM=BROHPLMNC", "MOD ODBROAM:IMSI={imsi},ODBROAM=NOBAR"),
    ((), "MOD NAM:IMSI={imsi},NAM=SGSN", "MOD NAM:IMSI={imsi},NAM=BOTH"),
    (
        (),
        "MOD CCGLOBAL:IMSI={imsi},CHARGE_GLOBAL=PREPAID",
        "MOD CCGLOBAL:IMSI={imsi},CHARGE_GLOBAL=NORMAL",
    ),
]
each_function = pytest.mark.parametrize(
    ("first", "on", "off"), FUNCTIONS, ids=[on.partition(":")[0] for _, on, _ in FUNCTIONS]
)


@each_layout
@each_function
def test_a_function_is_found_on_and_off_as_it_is(
    first: tuple[str, ...], on: str, off: str, layout: str
) -> None:
    played = Played(layout)
    for text in first:
        played.execute(a_function(ADD, text))
    switched_on, switched_off = a_function(ADD, on), a_function(REMOVE, off)

    before = played.read_back(switched_on), played.read_back(switched_off)
    assert played.execute(switched_on).verdict is Verdict.DONE
    while_on = played.read_back(switched_on), played.read_back(switched_off)
    assert played.execute(switched_off).verdict is Verdict.DONE
    after = played.read_back(switched_on), played.read_back(switched_off)

    is_absent, is_applied = Verdict.ABSENT, Verdict.APPLIED
    assert [found.verdict for found in before] == [is_absent, is_applied]
    assert [found.verdict for found in while_on] == [is_applied, is_absent]
    assert [found.verdict for found in after] == [is_absent, is_applied]
    assert while_on[0].then is after[1].then is Operation.CANCEL_LOCATION


@each_function
def test_a_function_that_is_switched_again_is_so_already(
    first: tuple[str, ...], on: str, off: str
) -> None:
    played = Played()
    for text in first:
        played.execute(a_function(ADD, text))
    ways = [a_function(ADD, on), a_function(REMOVE, off)]

    for task in ways:
        played.execute(task)
        again = played.execute(task).verdict

        assert again in (Verdict.NO_CHANGE, Verdict.EXISTS)
        assert played.read_back(task).verdict is Verdict.APPLIED


@each_layout
def test_a_context_of_that_number_with_other_values_is_another(layout: str) -> None:
    played = Played(layout)
    ours, theirs = (
        a_function(ADD, f"MOD GPRS_CONTEXT:IMSI={{imsi}},PROV=ADDPDPCNTX,CNTXID=2,APN={apn}")
        for apn in ("cmiot", "cmmtm")
    )
    played.execute(theirs)

    assert played.execute(ours).verdict is Verdict.EXISTS
    found = played.read_back(ours)
    assert found.verdict is Verdict.DIFFERENT
    assert "APN=cmmtm" in found.text


def test_an_eps_subscription_of_another_template_is_another() -> None:
    played = Played()
    played.execute(a_function(ADD, EPS))

    found = played.read_back(a_function(ADD, "ADD EPSSUB:IMSI={imsi},EPSUSERTPLID=5"))

    assert found.verdict is Verdict.DIFFERENT


@pytest.mark.parametrize(
    ("operation", "shows", "verdict"),
    [
        (ADD, 'CNTXID=2,APN="{apn}"', Verdict.APPLIED),
        (ADD, 'CNTXID=2,APN="cmmtm"', Verdict.ABSENT),
        (ADD, "", Verdict.APPLIED),
        (REMOVE, 'CNTXID=2,APN="{apn}"', Verdict.ABSENT),
        (REMOVE, "CNTXID=3", Verdict.APPLIED),
    ],
)
@each_layout
def test_a_script_may_name_its_own_query_and_what_it_shows(
    operation: Operation, shows: str, verdict: Verdict, layout: str
) -> None:
    played = Played(layout)
    played.execute(a_function(ADD, FUNCTIONS[0][1]))
    task = a_function(operation, FUNCTIONS[0][1], query="LST GPRS:ISDN={isdn}", shows=shows)

    assert played.adapter.read_back(task) == b'LST GPRS:HLRSN=1,ISDN="861064900000001";'
    assert played.read_back(task).verdict is verdict


def test_what_a_function_shows_and_cannot_be_read_is_for_people_to_see() -> None:
    played = Played()
    task = a_function(ADD, FUNCTIONS[0][1], query="LST GPRS:IMSI={imsi}", shows="is it on?")

    found = played.read_back(task)

    assert (found.verdict, found.is_known) == (Verdict.PERMANENT, False)
    assert "shows" in found.text


@pytest.mark.parametrize(
    ("operation", "code", "verdict"),
    [
        (ADD, "0", Verdict.DONE),
        (ADD, "3006", Verdict.APPLIED),
        (ADD, "3037", Verdict.FOLLOW_UP),
        (ADD, "9999", Verdict.PERMANENT),
        (REMOVE, "0", Verdict.DONE),
        (REMOVE, "3007", Verdict.APPLIED),
    ],
)
def test_a_command_of_no_known_effect_is_its_own_query(
    operation: Operation, code: str, verdict: Verdict
) -> None:
    played = Played()
    task = a_function(operation, "MOD CAMEL:IMSI={imsi},TPLID=3")

    assert played.adapter.read_back(task) == played.adapter.encode(task, None)
    found = played.adapter.compare(task, MMLReply(b"", (int(code),), "", ""))
    assert found.verdict is verdict


# --- changes -------------------------------------------------------------------------------------


@each_layout
@pytest.mark.parametrize("operation", [CHANGE_CARD, CHANGE_NUMBER])
def test_a_change_is_found_by_what_leads_to_whom(operation: Operation, layout: str) -> None:
    played = Played(layout)
    for task in ground(operation):
        played.execute(task)
    change = the_task("huawei_hlr", operation)

    assert played.read_back(change).verdict is Verdict.ABSENT
    assert played.execute(change).verdict is Verdict.DONE
    found = played.read_back(change)

    assert (found.verdict, found.then) == (Verdict.APPLIED, Operation.CANCEL_LOCATION)
    assert played.execute(change).verdict is Verdict.EXISTS


def test_a_card_whose_key_is_not_loaded_takes_no_subscriber() -> None:
    played = Played()
    target = a_binding(imsi="001010000000009")
    change = a_task(CHANGE_CARD, binding=a_binding(), details=Details(target=target))

    assert played.execute(change).code == "3048"
    assert played.execute(change).verdict is Verdict.PERMANENT
    assert played.read_back(change).verdict is Verdict.ABSENT


def test_a_change_to_what_is_another_users_is_refused_for_good() -> None:
    played = Played()
    other = a_binding(imsi="001010000000009", msisdn="1064900000009")
    for operation in (Operation.ADD_KEY, Operation.ADD_SUBSCRIBER):
        played.execute(a_task(operation, binding=other))

    for operation, code in ((CHANGE_CARD, "3006"), (CHANGE_NUMBER, "3005")):
        change = a_task(operation, binding=a_binding(), details=Details(target=other))
        refused = played.execute(change)
        assert (refused.verdict, refused.code) == (Verdict.PERMANENT, code)
        assert played.read_back(change).verdict is Verdict.ABSENT


@pytest.mark.parametrize("operation", [CHANGE_CARD, CHANGE_NUMBER])
def test_a_third_value_is_neither_before_nor_after(operation: Operation) -> None:
    played = Played()
    third = structs.replace(a_binding(), imsi=IMSI("001010000000004"), msisdn=MSISDN("13900000004"))
    target = structs.replace(
        a_binding(), imsi=IMSI("001010000000005"), msisdn=MSISDN("13900000005")
    )
    played.execute(a_task(Operation.ADD_KEY, binding=third))
    played.execute(a_task(operation, binding=a_binding(), details=Details(target=third)))

    found = played.read_back(a_task(operation, binding=a_binding(), details=Details(target=target)))

    assert found.verdict is Verdict.DIFFERENT


@pytest.mark.parametrize("operation", [CHANGE_CARD, CHANGE_NUMBER])
def test_a_change_of_which_nothing_is_shown_is_for_people_to_see(operation: Operation) -> None:
    found = Played().adapter.compare(
        the_task("huawei_hlr", operation), MMLReply(b"", (0,), "", "", b"TPLID = 1\r\n")
    )

    assert (found.verdict, found.is_known) == (Verdict.PERMANENT, False)


# --- barring -------------------------------------------------------------------------------------


@each_layout
@pytest.mark.parametrize("way", ["lck", "odb"])
@pytest.mark.parametrize("stands", list(Level))
def test_a_level_is_found_as_it_stands_whichever_way_it_is_barred(
    stands: Level, way: str, layout: str
) -> None:
    played = Played(layout, barring=way)
    played.execute(a_task(Operation.SET_BARRING, level=Level.TWO_WAY))
    played.execute(a_task(Operation.SET_BARRING, level=stands))

    found = [played.read_back(a_task(Operation.SET_BARRING, level=level)) for level in Level]

    assert [each.verdict is Verdict.APPLIED for each in found] == [
        level is stands for level in Level
    ]


@pytest.mark.parametrize(
    ("level", "flags"),
    [
        (Level.NONE, "ODBIC=NOBIC,ODBOC=NOBOC,ODBPOS=NOBPOS"),
        (Level.ONE_WAY, "ODBIC=NOBIC,ODBOC=BAOC,ODBPOS=NOBPOS"),
        (Level.TWO_WAY, "ODBIC=BAIC,ODBOC=BAOC,ODBPOS=BAPOS"),
    ],
)
def test_a_site_may_bar_by_odb(level: Level, flags: str) -> None:
    adapter = an_adapter("huawei_hlr", barring="odb")
    task = a_task(Operation.SET_BARRING, level=level)

    assert adapter.encode(task, None).decode() == (
        f'MOD ODB:HLRSN=1,IMSI="001010000000001",{flags};'
    )
    assert adapter.read_back(task) == b'LST ODBDAT:HLRSN=1,IMSI="001010000000001";'


def test_another_way_of_barring_stops_the_start() -> None:
    with pytest.raises(AccountError, match="barring = 'off'"):
        an_adapter("huawei_hlr", barring="off")
