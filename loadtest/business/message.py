"""What one business system said to another, as the flows draw it.

Each message is noted once, by the system that sends it or that gets its answer; what hlrd says to
network elements is in the elements' own record (loadtest.record).
"""

import time
from collections import deque
from enum import StrEnum
from typing import Final

from msgspec import Struct

MESSAGES_MAX: Final = 20_000
"""Kept for `/messages`; at about 300 bytes each, 6 MB. A story has some fifty, a storm overruns."""


class Party(StrEnum):
    """Who takes part, as the seeds name them. A province's own system has its code behind it."""

    CRM_UI = "CRM 界面"
    CRM = "CRM 服务"
    CRM_DB = "CRM DB"
    BOSS_UI = "BOSS 界面"
    BOSS = "BOSS 服务"
    BOSS_DB = "BOSS DB"
    SSO = "统一认证"
    CUSTOMER = "集团客户"
    ESOP = "ESOP"
    BBOSS = "一级BBOSS"
    BOSS1 = "一级BOSS"
    PBOSS = "物联网PBOSS"
    HLRD = "开通 (hlrd)"
    HLRD_PROVINCE = "开通·省 (hlrd)"
    HLRD_HQ = "开通·总部 (hlrd)"
    HLR = "M-HLR"
    DSMP = "DSMP"
    CLASS1_PLATFORM = "一类业务平台"
    PROVINCE_PLATFORM = "省内业务平台"
    PROVINCE_MANAGEMENT = "省物联网运营管理平台"
    NATIONAL_MANAGEMENT = "物联网全网运营管理平台"
    GATEWAY = "物联网业务网关"
    EOMS = "EOMS"
    MAINTENANCE = "维护人员"

    def of(self, province: str) -> str:
        """The province's own: `ESOP 200`."""
        return f"{self} {province}"


class Message(Struct, frozen=True, gc=False):
    at: float  #: monotonic seconds of this machine, comparable between its processes
    sender: str
    receiver: str
    name: str  #: the Chinese name as the seeds print it, its characters corrected
    detail: str = ""  #: short: kind and order id, result; never a secret
    is_answer: bool = False


class Messages:
    """The newest `MESSAGES_MAX`, each with its number."""

    def __init__(self) -> None:
        self._ring: deque[tuple[int, Message]] = deque(maxlen=MESSAGES_MAX)
        self._number = 0

    def note(
        self, sender: str, receiver: str, name: str, detail: str = "", *, is_answer: bool = False
    ) -> None:
        self._number += 1
        message = Message(time.monotonic(), sender, receiver, name, detail, is_answer)
        self._ring.append((self._number, message))

    def after(self, number: int) -> list[tuple[int, Message]]:
        return [numbered for numbered in self._ring if numbered[0] > number]
