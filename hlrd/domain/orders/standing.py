"""Orders that change whether a user may use the network: stopped, resumed, closed."""

from typing import Annotated

from msgspec import Meta

from hlrd.domain.identity import MSISDNText
from hlrd.domain.orders.header import (
    LevelNumber,
    MonthText,
    NoteText,
    OrderIdText,
    UserHeader,
    VersionNumber,
)


class ArrearsSuspend(UserHeader, tag="ARREARS_SUSPEND", kw_only=True, forbid_unknown_fields=True):
    """欠费停机."""

    msisdn: MSISDNText
    level: LevelNumber
    account_id: Annotated[str, Meta(pattern=r"\A[0-9]{1,19}\Z")] | None = None
    bill_month: MonthText | None = None
    state_version: VersionNumber | None = None


class PaymentResume(UserHeader, tag="PAYMENT_RESUME", kw_only=True, forbid_unknown_fields=True):
    """缴费开机: takes ARREARS off and no other reason."""

    msisdn: MSISDNText
    payment_id: OrderIdText | None = None
    state_version: VersionNumber | None = None


class UserTerminate(UserHeader, tag="USER_TERMINATE", kw_only=True, forbid_unknown_fields=True):
    """销户."""

    msisdn: MSISDNText
    cause: NoteText | None = None
    quarantine_days: Annotated[int, Meta(ge=0, le=365)] | None = None  #: absent: the pool's own
