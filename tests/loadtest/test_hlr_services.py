"""What the emulated HLR's subscribers have: contexts, barring, charging; swaps; and batches."""

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hlrd.codec.mml import MMLCommand, parse_command
from loadtest.hlr import batch
from loadtest.hlr.core import HLR
from loadtest.hlr.results import Result

IMSI, OTHER_IMSI, FREE_IMSI = "001010000000001", "001010000000002", "001010000000003"
ISDN, OTHER_ISDN, FREE_ISDN = "861064900000001", "861064900000002", "861064900000003"
KI = "A1B2C3D4E5F60718293A4B5C6D7E8F90"
PDP = f'MOD GPRS_CONTEXT:IMSI="{IMSI}",PROV=ADDPDPCNTX,CNTXID=2,APN="cmiot"'
PDN = f'MOD EPS_CONTEXT:IMSI="{IMSI}",PROV=ADDPDNCNTX,CNTXID=1,APN="cmiot"'
EPS = f'ADD EPSSUB:IMSI="{IMSI}",EPSUSERTPLID=4'


def ask(hlr: HLR, text: str) -> Result:
    return hlr.handle(parse_command(f"{text};".encode()))


def an_hlr(*commands: str) -> HLR:
    """With two subscribers, and a card that nobody has."""
    hlr = HLR()
    opened = [
        f'ADD KI:IMSI="{imsi}",OPERTYPE=ADD,KIVALUE="{KI}",K4SNO=1,CARDTYPE=USIM,ALG=MILENAGE'
        for imsi in (IMSI, OTHER_IMSI, FREE_IMSI)
    ]
    opened += [
        f'ADD TPLSUB:IMSI="{imsi}",ISDN="{isdn}",TPLID=1'
        for imsi, isdn in ((IMSI, ISDN), (OTHER_IMSI, OTHER_ISDN))
    ]
    for text in (*opened, *commands):
        assert ask(hlr, text).code == 0
    return hlr


@pytest.mark.parametrize(
    ("held", "text", "result"),
    [
        ((), PDP, "SUCCESS0001"),
        ((PDP,), PDP, "ERR3006"),
        ((), PDP.replace("CNTXID=2", "CNTXID=51"), "ERR1002"),
        ((), PDP.replace("ADDPDP", "ADDPDN"), "ERR1002"),
        ((), PDP.replace(',APN="cmiot"', ""), "ERR1002"),
        ((), PDP.replace("cmiot", "-"), "ERR1002"),
        ((), f"{PDP},IPV4ADDIND=STATIC", "ERR1002"),
        ((), f'{PDP},IPV4ADDIND=STATIC,IPV4ADD="10.0.0.256"', "ERR1002"),
        ((), f'{PDP},IPV4ADDIND=STATIC,IPV4ADD="10.0.0.25"', "SUCCESS0001"),
        ((), PDP.replace("ADD", "RMV", 1), "ERR3007"),
        ((PDP,), PDP.replace("ADD", "RMV", 1), "SUCCESS0001"),
        ((), PDP.replace(IMSI, FREE_IMSI), "ERR3001"),
        ((), f"MOD OPTGPRS:ISDN={ISDN},PROV=ADDPDPCNTX,CNTXID=1,APNTPLID=3", "SUCCESS0001"),
        ((), f"MOD OPTGPRS:ISDN={ISDN},PROV=ADDPDPCNTX,CNTXID=1,APN=x", "ERR1002"),
        ((), PDN, "ERR3007"),
        ((EPS,), PDN, "SUCCESS0001"),
        ((EPS, PDN), PDN, "ERR3006"),
        ((EPS, PDN), PDN.replace("ADD", "RMV", 1), "SUCCESS0001"),
        ((EPS,), EPS, "ERR3006"),
        ((), f"RMV EPSSUB:IMSI={IMSI}", "ERR3007"),
        ((EPS,), f"RMV EPSSUB:IMSI={IMSI}", "SUCCESS0001"),
        ((), f"LST EPS:IMSI={IMSI}", "ERR3007"),
        ((), f"MOD EPSDATA:IMSI={IMSI},AMBRMAXREQUL=1000", "ERR3007"),
        ((EPS,), f"MOD EPSDATA:IMSI={IMSI}", "ERR1002"),
        ((EPS,), f"MOD EPSDATA:IMSI={IMSI},AMBRMAXREQUL=1000", "SUCCESS0001"),
        ((), f"MOD TPLEPS:IMSI={IMSI},PROV=TRUE,TPLID=3", "SUCCESS0001"),
        ((), f"MOD TPLEPS:IMSI={IMSI},PROV=TRUE", "ERR1002"),
        ((), f"MOD TPLGPRS:IMSI={IMSI},PROV=FALSE", "SUCCESS0002"),
        ((), f"MOD TPLGPRS:IMSI={IMSI},PROV=MAYBE", "ERR1002"),
        ((), f"MOD ODB:IMSI={IMSI},ODBIC=BAIC,ODBOC=BAOC", "SUCCESS0001"),
        ((), f"MOD ODB:IMSI={IMSI},ODBIC=NOBIC", "SUCCESS0002"),
        ((), f"MOD ODB:IMSI={IMSI},ODBIC=NEVER", "ERR1002"),
        ((), f"MOD ODBROAM:IMSI={IMSI},ODBIC=BAIC", "ERR1002"),
        ((), f"MOD NAM:IMSI={IMSI},NAM=SGSN", "SUCCESS0001"),
        ((), f"MOD CCGLOBAL:IMSI={IMSI},CHARGE_GLOBAL=PREPAID", "SUCCESS0001"),
        ((), f"MOD IMSI:IMSI={IMSI},NEWIMSI={FREE_IMSI}", "SUCCESS0001"),
        ((), f"MOD IMSI:ISDN={ISDN},NEWIMSI={IMSI}", "SUCCESS0002"),
        ((), f"MOD IMSI:IMSI={IMSI},NEWIMSI={OTHER_IMSI}", "ERR3006"),
        ((), f"MOD IMSI:IMSI={IMSI},NEWIMSI=001010000000009", "ERR3048"),
        ((), f"MOD IMSI:IMSI={IMSI},NEWIMSI=9", "ERR1002"),
        ((), f"MOD IMSI:IMSI={FREE_IMSI},NEWIMSI=001010000000009", "ERR3001"),
        ((), f"MOD ISDN:ISDN={ISDN},NEWISDN={FREE_ISDN}", "SUCCESS0001"),
        ((), f"MOD ISDN:ISDN={ISDN},NEWISDN={ISDN}", "SUCCESS0002"),
        ((), f"MOD ISDN:ISDN={ISDN},NEWISDN={OTHER_ISDN}", "ERR3005"),
        ((), f"MOD ISDN:ISDN={ISDN},NEWISDN=1", "ERR1002"),
        ((), f"MOD ISDN:ISDN={FREE_ISDN},NEWISDN={ISDN}", "ERR3001"),
    ],
)
def test_a_result_follows_from_what_is_held(held: tuple[str, ...], text: str, result: str) -> None:
    hlr = an_hlr(*held)
    before = msgspec.json.encode(hlr.dump())

    answer = ask(hlr, text)

    assert answer.text.partition(":")[0] == result
    assert bool(answer.changed) is (result == "SUCCESS0001")
    if not answer.changed:
        assert msgspec.json.encode(hlr.dump()) == before


def test_what_was_set_is_shown() -> None:
    data = f"MOD EPSDATA:IMSI={IMSI},AMBRMAXREQUL=1000"
    hlr = an_hlr(EPS, data, PDN, PDP, f"MOD TPLGPRS:IMSI={IMSI},PROV=TRUE,TPLID=7")
    ask(hlr, f"MOD ODBOC:ISDN={ISDN},ODBOC=BOIC")
    ask(hlr, f"MOD CCGLOBAL:IMSI={IMSI},CHARGE_GLOBAL=PREPAID")

    gprs, eps = (ask(hlr, f"LST {name}:IMSI={IMSI}") for name in ("GPRS", "EPS"))
    barring = ask(hlr, f"LST ODBDAT:IMSI={IMSI}").record
    everything = ask(hlr, f"LST SUB:IMSI={IMSI},DETAIL=TRUE")

    identity = {"IMSI": IMSI, "ISDN": ISDN}
    assert gprs.record == {**identity, "GPRSTPLID": "7"}
    assert gprs.rows == ({"CNTXID": "2", "APN": "cmiot"},)
    assert eps.record == {**identity, "EPSUSERTPLID": "4", "AMBRMAXREQUL": "1000"}
    assert eps.rows == ({"CNTXID": "1", "APN": "cmiot"},)
    assert barring["ODBOC"] == "BOIC"
    assert barring["ODBIC"] == "NOBIC"
    assert everything.record["CHARGE_GLOBAL"] == "PREPAID"
    assert everything.rows == gprs.rows + eps.rows


def test_with_its_subscription_a_subscriber_loses_its_contexts_of_the_fourth_generation() -> None:
    hlr = an_hlr(EPS, PDN, f"RMV EPSSUB:IMSI={IMSI}", EPS)

    assert ask(hlr, f"LST EPS:IMSI={IMSI}").rows == ()


def test_a_change_of_card_takes_everything_along_and_leaves_the_old_key() -> None:
    hlr = an_hlr(PDP, f"MOD LCK:IMSI={IMSI},OC=TRUE", f"MOD IMSI:IMSI={IMSI},NEWIMSI={FREE_IMSI}")

    moved = ask(hlr, f"LST SUB:ISDN={ISDN},DETAIL=TRUE")

    assert (moved.record["IMSI"], moved.record["OC"]) == (FREE_IMSI, "TRUE")
    assert moved.rows == ({"CNTXID": "2", "APN": "cmiot"},)
    assert ask(hlr, f"LST SUB:IMSI={IMSI}").code == 3001
    assert ask(hlr, f"RMV KI:IMSI={FREE_IMSI}").code == 3049
    assert ask(hlr, f"RMV KI:IMSI={IMSI}").code == 0


def test_a_change_of_number_frees_the_old_one() -> None:
    hlr = an_hlr(f"MOD ISDN:ISDN={ISDN},NEWISDN={FREE_ISDN}")

    assert ask(hlr, f"LST SUB:ISDN={FREE_ISDN}").record["IMSI"] == IMSI
    assert ask(hlr, f"MOD ISDN:ISDN={OTHER_ISDN},NEWISDN={ISDN}").code == 0


def test_services_go_with_their_subscriber() -> None:
    hlr = an_hlr(PDP, f"RMV SUB:IMSI={IMSI}", f"ADD TPLSUB:IMSI={IMSI},ISDN={ISDN},TPLID=1")

    assert ask(hlr, f"LST GPRS:IMSI={IMSI}").rows == ()
    assert hlr.services == {}


# --- batches -------------------------------------------------------------------------------------


def expanded(text: str) -> list[MMLCommand] | Result:
    command = parse_command(text.encode())
    assert batch.is_batch(command)
    return batch.expand(command)


def names_of(lines: list[MMLCommand] | Result, name: str) -> list[str]:
    assert isinstance(lines, list)
    return [line.params[name] for line in lines]


@given(st.integers(0, 10**14), st.integers(1, batch.LINES_MAX))
def test_a_range_is_counted_from_its_first_to_its_last(first: int, count: int) -> None:
    start, end = f"{first:015}", f"{first + count - 1:015}"

    lines = expanded(f'BAT MOD LCK:IMSI="{start}",ENDIMSI="{end}",OC=TRUE;')

    imsis = names_of(lines, "IMSI")
    assert (imsis[0], imsis[-1], len(imsis)) == (start, end, count)
    assert set(names_of(lines, "OC")) == {"TRUE"}


def test_two_ranges_go_in_step() -> None:
    lines = expanded(
        f'BAT ADD TPLSUB:IMSI="{IMSI}",ENDIMSI="{OTHER_IMSI}",ISDN="{ISDN}",'
        f'ENDISDN="{OTHER_ISDN}",TPLTYPE=NORMAL,TPLID=1;'
    )

    assert isinstance(lines, list)
    assert [line.text.decode() for line in lines] == [
        f'ADD TPLSUB:TPLTYPE=NORMAL,TPLID=1,IMSI="{imsi}",ISDN="{isdn}";'
        for imsi, isdn in ((IMSI, ISDN), (OTHER_IMSI, OTHER_ISDN))
    ]


def test_a_list_of_cards_has_a_list_of_keys() -> None:
    other = "B" * 32

    lines = expanded(
        f'BAT ADD KI:IMSILIST="{IMSI}&{OTHER_IMSI}",KIVALUELIST="{KI}&{other}",OPERTYPE=ADD;'
    )

    assert names_of(lines, "IMSI") == [IMSI, OTHER_IMSI]
    assert names_of(lines, "KIVALUE") == [KI, other]


@pytest.mark.parametrize(
    "text",
    [
        f'BAT RMV SUB:IMSI="{IMSI}";',
        f'BAT RMV SUB:IMSI="{OTHER_IMSI}",ENDIMSI="{IMSI}";',
        f'BAT RMV SUB:IMSI="{IMSI}",ENDIMSI="001010000009999";',
        f'BAT RMV SUB:IMSI="1",ENDIMSI="{IMSI}";',
        f'BAT RMV SUB:IMSI="{IMSI}",ENDIMSI="{OTHER_IMSI}",IMSILIST="{IMSI}&{OTHER_IMSI}";',
        f'BAT ADD KI:IMSILIST="{IMSI}&{OTHER_IMSI}",KIVALUELIST="{KI}";',
    ],
)
def test_a_batch_that_makes_no_sense_is_refused_as_a_whole(text: str) -> None:
    refused = expanded(text)

    assert isinstance(refused, Result)
    assert refused.code == 1002


def test_only_some_commands_come_in_batches() -> None:
    assert not batch.is_batch(parse_command(b"BAT MOD ISDN:ISDN=1;"))
    assert not batch.is_batch(parse_command(b"MOD LCK:IMSI=1;"))
