"""`BAT` commands: one command for a range or a list of subscribers, answered line by line.

    BAT MOD LCK:IMSI="001010000000001",ENDIMSI="001010000000100",OC=TRUE;
    BAT ADD KI:IMSILIST="001010000000001&001010000000002",KIVALUELIST="…&…",OPERTYPE=ADD,…;

A range is counted upwards; two (IMSI and ISDN) go in step. Each line is a command of its own: some
may be done and others not.
"""

from collections.abc import Mapping, Sequence
from typing import Final

from hlrd.codec import mml
from hlrd.codec.mml import MMLCommand
from loadtest.hlr.checks import Params, is_imsi, is_isdn
from loadtest.hlr.results import PARTLY, SUCCESS, Result, wrong

LINES_MAX: Final = 1_000
"""Of one batch; one session is held up by it so long."""

COMMANDS: Final = frozenset({"ADD KI", "RMV KI", "ADD TPLSUB", "RMV SUB", "MOD LCK"})
_PREFIX: Final = "BAT "
_IDENTITIES: Final = {"IMSI": is_imsi, "ISDN": is_isdn}
_LISTS: Final = {"IMSILIST": "IMSI", "ISDNLIST": "ISDN", "KIVALUELIST": "KIVALUE"}
_ENDS: Final = {"ENDIMSI": "IMSI", "ENDISDN": "ISDN"}


def is_batch(command: MMLCommand) -> bool:
    return command.name.startswith(_PREFIX) and command.name.removeprefix(_PREFIX) in COMMANDS


def expand(command: MMLCommand) -> list[MMLCommand] | Result:
    """The commands that it stands for, or what is wrong with it as a whole."""
    params = command.params
    varying: dict[str, Sequence[str]] = {
        single: params[plural].split("&") for plural, single in _LISTS.items() if plural in params
    }
    for end, name in _ENDS.items():
        if end in params:
            counted = _range(params, name, end)
            if counted is None or name in varying:
                return wrong(end)
            varying[name] = counted
    lengths = {len(values) for values in varying.values()}
    if len(lengths) != 1 or max(lengths) > LINES_MAX:
        return wrong("range or list")
    same = {
        name: value
        for name, value in params.items()
        if name not in varying and name not in _LISTS and name not in _ENDS
    }
    name = command.name.removeprefix(_PREFIX)
    return [_single(name, {**same, **each}) for each in _lines(varying)]


def summary(lines: Sequence[tuple[MMLCommand, Result]]) -> Result:
    done = sum(result.code == 0 for _, result in lines)
    rows = tuple(
        {
            "LINE": str(number),
            **{name: command.params[name] for name in _IDENTITIES if name in command.params},
            "RETCODE": str(result.code),
            "RESULT": result.text.partition(":")[0],
        }
        for number, (command, result) in enumerate(lines, start=1)
    )
    record = {"DONE": str(done), "FAILED": str(len(lines) - done)}
    if done == len(lines):
        return Result(0, SUCCESS, record=record, rows=rows)
    return Result(4010, PARTLY, record=record, rows=rows)


def _range(params: Params, name: str, end: str) -> Sequence[str] | None:
    first, last = params.get(name, ""), params[end]
    fits = _IDENTITIES[name]
    if not (fits(first) and fits(last)) or len(first) != len(last):
        return None
    count = int(last) - int(first) + 1
    if not 0 < count <= LINES_MAX:
        return None
    return [f"{int(first) + step:0{len(first)}}" for step in range(count)]


def _lines(varying: Mapping[str, Sequence[str]]) -> list[dict[str, str]]:
    return [
        dict(zip(varying, values, strict=True)) for values in zip(*varying.values(), strict=True)
    ]


def _single(name: str, params: dict[str, str]) -> MMLCommand:
    """With a text, which a state file keeps and a log shows."""
    return MMLCommand(name, params, mml.written(name, params).encode("ascii"))
