"""The two roles that hlrd plays (docs/groups.md): of a province, and of headquarters. One process
may play both; else the relays are between them."""

from enum import StrEnum


class Role(StrEnum):
    PROVINCE = "province"  #: draws numbers, binds cards, reports members upward
    HQ = "hq"  #: commands HLRs and DSMP
