"""What an HLR kept of its commands, read by their text."""

import pytest

from loadtest.storm import mml
from loadtest.storm.mml import Effect, Effects, effect

IMSI = "460990100000001"


def lock(ic: str, oc: str, gprs: str, eps: str) -> str:
    return f'MOD LCK:HLRSN=1,IMSI="{IMSI}",IC={ic},OC={oc},GPRSLOCK={gprs},EPSLOCK={eps};'


@pytest.mark.parametrize(
    ("flags", "level"),
    [
        (("FALSE", "FALSE", "FALSE", "FALSE"), 0),
        (("FALSE", "TRUE", "FALSE", "FALSE"), 1),
        (("TRUE", "TRUE", "TRUE", "TRUE"), 2),
        (("TRUE", "FALSE", "FALSE", "FALSE"), -1),
    ],
)
def test_locks_are_a_level_or_none(flags: tuple[str, str, str, str], level: int) -> None:
    assert effect(lock(*flags)) == Effect(mml.LOCK, IMSI, level)


def test_a_change_of_the_card_is_of_the_new_one() -> None:
    changed = f'MOD IMSI:HLRSN=1,IMSI="{IMSI}",NEWIMSI="460990100000002";'

    assert effect(changed) == Effect("MOD IMSI", "460990100000002")


@pytest.mark.parametrize("command", [f'LST SUB:HLRSN=1,IMSI="{IMSI}";', "LGO:;", "", "no command"])
def test_what_changes_nothing_is_no_effect(command: str) -> None:
    assert effect(command) is None


def test_a_history_is_counted_line_by_line_whatever_stands_before_one() -> None:
    effects = Effects()
    context = f'MOD GPRS_CONTEXT:HLRSN=1,IMSI="{IMSI}",PROV=ADDPDPCNTX,CNTXID=7,APN="a.iot";'

    effects.take(
        [
            f'ADD TPLSUB:HLRSN=1,IMSI="{IMSI}",ISDN="861064901000001",TPLTYPE=NORMAL,TPLID=1;',
            f'!MOD LCK:HLRSN=1,IMSI="{IMSI}",IC=TRUE,OC=TRUE,GPRSLOCK=TRUE,EPSLOCK=TRUE;',
            f"@1 {lock('FALSE', 'FALSE', 'FALSE', 'FALSE')}",
            context,
            context.replace("ADDPDPCNTX", "RMVPDPCNTX"),
        ]
    )

    assert effects.once == {("ADD TPLSUB", IMSI): 1}
    assert effects.levels == {IMSI: [2, 0]}
    assert effects.contexts == {IMSI: [True, False]}
