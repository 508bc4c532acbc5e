"""The emulated HLR's record: each result code follows from what it holds."""

from typing import Any

import msgspec
import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from hlrd.codec.mml import parse_command
from loadtest.hlr.core import HLR, Key, Result, Subscriber

IMSI, OTHER_IMSI = "001010000000001", "001010000000002"
ISDN, OTHER_ISDN = "861064900000001", "861064900000002"
KI = "A1B2C3D4E5F60718293A4B5C6D7E8F90"


def ask(hlr: HLR, text: str, *, is_unpushed: bool = False) -> Result:
    return hlr.handle(parse_command(text.encode()), is_unpushed=is_unpushed)


def add_ki(imsi: str = IMSI) -> str:
    return (
        f'ADD KI:HLRSN=1,IMSI="{imsi}",OPERTYPE=ADD,KIVALUE="{KI}",K4SNO=1,'
        "CARDTYPE=USIM,ALG=MILENAGE;"
    )


def add_sub(imsi: str = IMSI, isdn: str = ISDN) -> str:
    return f'ADD TPLSUB:IMSI="{imsi}",ISDN="{isdn}",TPLTYPE=NORMAL,TPLID=1;'


def an_hlr(*commands: str) -> HLR:
    hlr = HLR()
    for text in commands:
        assert ask(hlr, text).code == 0
    return hlr


OPENED = (add_ki(), add_sub())


@pytest.mark.parametrize(
    ("held", "text", "code"),
    [
        ((), "", 1001),
        ((), "LST ALL:;", 1001),
        ((), add_ki(), 0),
        ((add_ki(),), add_ki(), 3006),
        ((), add_ki().replace(KI, KI[1:]), 1002),
        ((), add_ki().replace("K4SNO=1,", ""), 1002),
        ((), add_ki().replace("MILENAGE", "COMP128_9"), 1002),
        ((), add_ki().replace(IMSI, "1"), 1002),
        ((), add_sub(), 3048),
        ((add_ki(),), add_sub(), 0),
        ((add_ki(),), add_sub(isdn="1"), 1002),
        (OPENED, add_sub(), 3006),
        (OPENED, add_sub(isdn=OTHER_ISDN), 3006),
        ((*OPENED, add_ki(OTHER_IMSI)), add_sub(OTHER_IMSI), 3005),
        ((), f'RMV SUB:IMSI="{IMSI}";', 3001),
        (OPENED, f'RMV SUB:IMSI="{IMSI}";', 0),
        (OPENED, f'RMV SUB:ISDN="{ISDN}";', 0),
        (OPENED, f'RMV SUB:ISDN="{OTHER_ISDN}";', 3001),
        (OPENED, "RMV SUB:HLRSN=1;", 1002),
        ((), f'RMV KI:IMSI="{IMSI}";', 3048),
        (OPENED, f'RMV KI:IMSI="{IMSI}";', 3049),
        ((add_ki(),), f'RMV KI:IMSI="{IMSI}";', 0),
        ((), f'MOD LCK:IMSI="{IMSI}",OC=TRUE;', 3001),
        (OPENED, f'MOD LCK:IMSI="{IMSI}";', 1002),
        (OPENED, f'MOD LCK:IMSI="{IMSI}",OC=YES;', 1002),
        (OPENED, f'MOD LCK:IMSI="{IMSI}",OC=TRUE;', 0),
        ((), f'SND CANCELC:IMSI="{IMSI}";', 3001),
        (OPENED, f'SND CANCELC:IMSI="{IMSI}";', 0),
        ((), f'LST SUB:IMSI="{IMSI}";', 3001),
        ((), f'LST LCK:IMSI="{IMSI}";', 3001),
        ((), f'LST KI:IMSI="{IMSI}";', 3048),
    ],
)
def test_a_result_code_follows_from_what_is_held(
    held: tuple[str, ...], text: str, code: int
) -> None:
    result = ask(an_hlr(*held), text)

    assert result.code == code
    assert result.text.startswith(f"ERR{code}:" if code else "SUCCESS0001:")


def test_setting_locks_as_they_are_is_no_change() -> None:
    hlr = an_hlr(*OPENED)

    first = ask(hlr, f'MOD LCK:ISDN="{ISDN}",OC=TRUE,IC=FALSE;')
    again = ask(hlr, f'MOD LCK:IMSI="{IMSI}",OC=TRUE,IC=FALSE;')

    assert (first.text[:11], first.changed) == ("SUCCESS0001", IMSI)
    assert (again.text[:11], again.changed) == ("SUCCESS0002", "")


def test_a_query_shows_number_template_and_locks() -> None:
    hlr = an_hlr(*OPENED, f'MOD LCK:IMSI="{IMSI}",OC=TRUE,GPRSLOCK=TRUE;')

    assert ask(hlr, f'LST SUB:IMSI="{IMSI}";').record == {
        "IMSI": IMSI,
        "ISDN": ISDN,
        "TPLID": "1",
        "IC": "FALSE",
        "OC": "TRUE",
        "GPRSLOCK": "TRUE",
        "EPSLOCK": "FALSE",
    }


def test_a_change_that_the_network_was_not_told_stands_and_owes_a_cancel() -> None:
    hlr = an_hlr(*OPENED)

    result = ask(hlr, f'MOD LCK:IMSI="{IMSI}",OC=TRUE;', is_unpushed=True)

    assert result.code == 3037
    assert hlr.subscribers[IMSI].oc
    assert hlr.cancel_pending == {IMSI}
    assert ask(hlr, f'SND CANCELC:IMSI="{IMSI}";').changed == IMSI
    assert hlr.cancel_pending == set()


def test_a_cancel_is_still_possible_when_the_record_is_gone() -> None:
    hlr = an_hlr(*OPENED)

    ask(hlr, f'RMV SUB:IMSI="{IMSI}",RMVKI=TRUE;', is_unpushed=True)

    assert ask(hlr, f'SND CANCELC:IMSI="{IMSI}";').code == 0
    assert ask(hlr, f'SND CANCELC:IMSI="{IMSI}";').code == 3001
    assert hlr.keys == {}


def test_no_key_is_shown_or_dumped() -> None:
    hlr = an_hlr(*OPENED)

    shown = repr(ask(hlr, f'LST KI:IMSI="{IMSI}";')) + msgspec.json.encode(hlr.dump()).decode()

    assert KI not in shown
    assert '"record":"key"' in shown


numbers = st.integers(0, 4)


class RecordsStayOneToOne(RuleBasedStateMachine):
    """Whatever is asked in whatever order, an IMSI and an ISDN are each held once, over a key."""

    def __init__(self) -> None:
        super().__init__()
        self.hlr = HLR()

    @rule(imsi=numbers)
    def add_key(self, imsi: int) -> None:
        ask(self.hlr, add_ki(f"{1010000000000 + imsi:015}"))

    @rule(imsi=numbers, isdn=numbers)
    def add_subscriber(self, imsi: int, isdn: int) -> None:
        ask(self.hlr, add_sub(f"{1010000000000 + imsi:015}", str(861064900000000 + isdn)))

    @rule(isdn=numbers, with_key=st.booleans())
    def remove_subscriber(self, isdn: int, with_key: bool) -> None:
        tail = ",RMVKI=TRUE" if with_key else ""
        ask(self.hlr, f'RMV SUB:ISDN="{861064900000000 + isdn}"{tail};')

    @rule(imsi=numbers)
    def remove_key(self, imsi: int) -> None:
        ask(self.hlr, f'RMV KI:IMSI="{1010000000000 + imsi:015}";')

    @invariant()
    def holds_each_once(self) -> None:
        rows: list[Any] = self.hlr.dump()
        subscribers = [row for row in rows if isinstance(row, Subscriber)]
        keys = {row.imsi for row in rows if isinstance(row, Key)}
        isdns = {row.isdn for row in subscribers}

        assert len(isdns) == len(subscribers)
        assert {row.imsi for row in subscribers} <= keys
        assert self.hlr._imsi_by_isdn == {row.isdn: row.imsi for row in subscribers}
        assert self.hlr._key_values.keys() == keys


TestRecordsStayOneToOne = RecordsStayOneToOne.TestCase
TestRecordsStayOneToOne.settings = settings(max_examples=60, stateful_step_count=30, deadline=None)
