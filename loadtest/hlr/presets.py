"""Latencies that were measured on real elements, by name (`--preset`)."""

from collections.abc import Mapping
from typing import Final

from msgspec import structs

from loadtest.faults import Latency, Profile

_LOCK: Final = Latency(p50_s=0.018)  #: MOD_LCK at a Huawei HSS
_PLMN: Final = Latency(p50_s=0.033)  #: MOD_PLMNSS at a Nokia HSS
_TEMPLATE: Final = Latency(p50_s=0.154)  #: ADD_TPLCSPSSUB at an Ericsson HSS
_SERVICE: Final = Latency(p50_s=0.238)  #: SET_OWSBR at a Huawei application server

PRESETS: Final[Mapping[str, Profile]] = {
    "huawei": Profile(latency=_LOCK),
    "nokia": Profile(latency=_PLMN),
    "ericsson": Profile(latency=_TEMPLATE),
    "tas": Profile(latency=_SERVICE),
    "mixed": Profile(
        latency=_PLMN,
        latency_by_command={
            **dict.fromkeys(("MOD LCK", "LST LCK", "LST SUB", "LST KI", "SND CANCELC"), _LOCK),
            **dict.fromkeys(("ADD TPLSUB", "MOD IMSI", "MOD ISDN"), _TEMPLATE),
            **dict.fromkeys(
                ("MOD GPRS_CONTEXT", "MOD EPS_CONTEXT", "ADD EPSSUB", "RMV EPSSUB"), _SERVICE
            ),
        },
    ),
}
"""One latency for every command, or each by its weight. One session makes 1/latency commands/s."""


def laid_under(preset: str, profile: Profile) -> Profile:
    """`profile` with the latencies of `preset`, and without any of its own."""
    under = PRESETS[preset]
    return structs.replace(
        profile, latency=under.latency, latency_by_command=under.latency_by_command
    )
