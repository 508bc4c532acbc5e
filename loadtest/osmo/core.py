"""What the emulated osmo-hlr holds and how each command changes it: no socket, clock or chance.

Its words are those of osmo-hlr 1.5.0, to the letter; `tests/e2e/test_osmo.py` holds them to it.
"""

import re
from collections.abc import Callable
from typing import Final, NamedTuple

from msgspec import Struct

from hlrd.codec.ipa import CTRLCommand

NO_SUCH: Final = "No such subscriber."
EXISTS: Final = "Subscriber already exists."
NOT_THERE: Final = "Subscriber doesn't exist."
ERROR: Final = "An error has occurred."
BAD_VALUE: Final = "Value failed verification."
BAD_IMSI: Final = "Invalid IMSI value."
MSISDN_USED: Final = "Update MSISDN failed"
BAD_KEY: Final = "Invalid KI."
UNKNOWN: Final = "Command not found"
READ_ONLY: Final = "Read Only attribute"

_IMSI: Final = re.compile(r"[0-9]{6,15}").fullmatch
_MSISDN: Final = re.compile(r"[0-9]{1,15}").fullmatch
_KEY: Final = re.compile(r"[0-9A-Fa-f]{32}").fullmatch
_SELECTED: Final = re.compile(
    r"subscriber\.by-(?P<by>imsi|msisdn|id)-(?P<value>[0-9]+)\.(?P<field>[a-z0-9-]+)"
)
_COMP128: Final = frozenset({"comp128v1", "comp128v2", "comp128v3"})
_NONE: Final = "none"
_OK: Final = "OK"


class Record(Struct, tag="subscriber", tag_field="record", gc=False):
    """A subscriber; of its keys only the algorithm is shown, and nothing more is kept."""

    id: int
    imsi: str
    msisdn: str | None = None
    cs: bool = True
    ps: bool = True
    aud2g: str | None = None
    aud3g: str | None = None


class Result(NamedTuple):
    value: str = _OK
    error: str = ""
    changed: str = ""  #: IMSI whose record is another now


class HLR:
    def __init__(self) -> None:
        self.records: dict[str, Record] = {}
        self._imsi_by_msisdn: dict[str, str] = {}
        self._last_id = 0
        self._setters: dict[str, Callable[[Record, str], Result]] = {
            "msisdn": self._set_msisdn,
            "cs-enabled": self._set_cs,
            "ps-enabled": self._set_ps,
            "aud2g": self._set_aud2g,
            "aud3g": self._set_aud3g,
        }
        self._getters: dict[str, Callable[[Record], str]] = {
            "info": _info,
            "msisdn": lambda record: record.msisdn or _NONE,
            "cs-enabled": lambda record: str(int(record.cs)),
            "ps-enabled": lambda record: str(int(record.ps)),
        }

    def handle(self, command: CTRLCommand) -> Result:
        if command.fault:
            return Result(error=command.fault)
        if command.variable == "subscriber.create" and command.verb == "SET":
            return self._create(command.value)
        if command.variable == "subscriber.delete" and command.verb == "SET":
            return self._delete(command.value)
        selected = _SELECTED.fullmatch(command.variable)
        if selected is None:
            return Result(error=UNKNOWN)
        record = self._find(selected["by"], selected["value"])
        if command.verb == "GET":
            return self._get(record, selected["field"])
        return self._set(record, selected["field"], command.value)

    def _create(self, imsi: str) -> Result:
        if not _IMSI(imsi):
            return Result(error=BAD_IMSI)
        if imsi in self.records:
            return Result(error=EXISTS)
        self._last_id += 1
        self.records[imsi] = Record(self._last_id, imsi)
        return Result(str(self._last_id), changed=imsi)

    def _delete(self, imsi: str) -> Result:
        if not _IMSI(imsi):
            return Result(error=BAD_IMSI)
        record = self.records.pop(imsi, None)
        if record is None:
            return Result(error=NOT_THERE)
        if record.msisdn is not None:
            del self._imsi_by_msisdn[record.msisdn]
        return Result(str(record.id), changed=imsi)

    def _get(self, record: Record | None, field: str) -> Result:
        getter = self._getters.get(field)
        if getter is None:
            return Result(error=UNKNOWN)
        return Result(error=NO_SUCH) if record is None else Result(getter(record))

    def _set(self, record: Record | None, field: str, value: str) -> Result:
        setter = self._setters.get(field)
        if setter is None:
            return Result(error=READ_ONLY if field in self._getters else UNKNOWN)
        if field.endswith("-enabled") and value not in ("0", "1"):
            return Result(error=BAD_VALUE)
        if record is None:  # a real one does not look either before it sets a flag
            return Result(error=ERROR if field.endswith("-enabled") else NO_SUCH)
        return setter(record, value)

    def _set_msisdn(self, record: Record, value: str) -> Result:
        if value != _NONE and not _MSISDN(value):
            return Result(error=BAD_VALUE)
        wanted = None if value == _NONE else value
        if wanted is not None and self._imsi_by_msisdn.get(wanted, record.imsi) != record.imsi:
            return Result(error=MSISDN_USED)
        if record.msisdn == wanted:
            return Result()
        if record.msisdn is not None:
            del self._imsi_by_msisdn[record.msisdn]
        if wanted is not None:
            self._imsi_by_msisdn[wanted] = record.imsi
        record.msisdn = wanted
        return Result(changed=record.imsi)

    def _set_cs(self, record: Record, value: str) -> Result:
        changed = "" if record.cs is (value == "1") else record.imsi
        record.cs = value == "1"
        return Result(changed=changed)

    def _set_ps(self, record: Record, value: str) -> Result:
        changed = "" if record.ps is (value == "1") else record.imsi
        record.ps = value == "1"
        return Result(changed=changed)

    def _set_aud2g(self, record: Record, value: str) -> Result:
        algorithm, _, key = value.partition(",")
        if algorithm not in _COMP128:
            return Result(error="Unknown auth algorithm.")
        if not _KEY(key):
            return Result(error=BAD_KEY)
        changed = "" if record.aud2g == algorithm else record.imsi
        record.aud2g = algorithm
        return Result(changed=changed)

    def _set_aud3g(self, record: Record, value: str) -> Result:
        algorithm, _, rest = value.partition(",")
        key, _, constant = rest.partition(",")
        if algorithm != "milenage":
            return Result(error="Unknown auth algorithm.")
        if not _KEY(key):
            return Result(error=BAD_KEY)
        kind, _, operator = constant.partition(",")
        if kind not in ("OP", "OPC") or not _KEY(operator):
            return Result(error="Invalid OP/OPC.")
        changed = "" if record.aud3g == algorithm else record.imsi
        record.aud3g = algorithm
        return Result(changed=changed)

    def _find(self, by: str, value: str) -> Record | None:
        if by == "imsi":
            return self.records.get(value)
        if by == "msisdn":
            return self.records.get(self._imsi_by_msisdn.get(value, ""))
        return next((each for each in self.records.values() if each.id == int(value)), None)


def _info(record: Record) -> str:
    msisdn = "" if record.msisdn is None else f"\nmsisdn\t{record.msisdn}"
    return (
        f"\nid\t{record.id}\nimsi\t{record.imsi}{msisdn}"
        f"\nnam_cs\t{record.cs:d}\nnam_ps\t{record.ps:d}"
        "\nms_purged_cs\t0\nms_purged_ps\t0"
        "\nperiodic_lu_timer\t0\nperiodic_rau_tau_timer\t0\nlmsi\t00000000"
    )
