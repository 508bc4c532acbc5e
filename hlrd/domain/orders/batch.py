"""Orders that others carry out, their children: of a file's rows, or of all members of an EC."""

from typing import Annotated

from msgspec import Meta

from hlrd import limits
from hlrd.domain.orders.header import (
    ECCodeText,
    Header,
    LevelNumber,
    MonthText,
    NameText,
    OrderIdText,
    VersionNumber,
)
from hlrd.domain.suspension import Reason

BatchText = Annotated[str, Meta(pattern=r"\A[1-9][0-9]{0,17}\Z")]


class BatchOrder(Header, tag="BATCH", kw_only=True, forbid_unknown_fields=True):
    """批量工单: the rows of a file that was checked. Posted by hlrd itself, for its sender."""

    batch: BatchText  #: as GET /v1/batches/{id} knows it
    child: NameText  #: the kind of every row
    rows: Annotated[int, Meta(ge=1, le=limits.BATCH_ROWS_MAX)]


class ECSuspendAll(Header, tag="EC_SUSPEND_ALL", kw_only=True, forbid_unknown_fields=True):
    """集团统付停机: every member is stopped for this reason."""

    ec_code: ECCodeText
    reason: Reason = Reason.ARREARS
    level: LevelNumber = 2
    account_id: Annotated[str, Meta(pattern=r"\A[0-9]{1,19}\Z")] | None = None
    bill_month: MonthText | None = None
    state_version: VersionNumber | None = None


class ECResumeAll(Header, tag="EC_RESUME_ALL", kw_only=True, forbid_unknown_fields=True):
    """集团统付开机: takes this reason, and no other, off every member."""

    ec_code: ECCodeText
    reason: Reason = Reason.ARREARS
    payment_id: OrderIdText | None = None
    state_version: VersionNumber | None = None


ECFanOut = ECSuspendAll | ECResumeAll
FanOut = BatchOrder | ECFanOut
