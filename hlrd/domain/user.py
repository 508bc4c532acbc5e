"""What hlrd intends for one user on the network."""

from typing import Final

from msgspec import Struct

from hlrd.domain import suspension
from hlrd.domain.group import Membership
from hlrd.domain.identity import MSISDN, Binding
from hlrd.domain.lifecycle import UserState
from hlrd.domain.product import Holding
from hlrd.domain.suspension import Level, Reasons

_PRE_TERMINATED: Final = UserState.PRE_TERMINATED
"""Asked for four times an order; to look it up in its enum takes ten times as long."""


class User(Struct, frozen=True, gc=False):
    """The journal's truth about one user (用户), or the intent of the orders running for it."""

    state: UserState
    binding: Binding | None  #: None once terminated
    reasons: Reasons
    products: tuple[Holding, ...] = ()  #: in the order they came
    numbers_before: tuple[MSISDN, ...] = ()  #: that orders taken before a change of number name
    member: Membership | None = None  #: of an enterprise that hlrd was told of

    @property
    def level(self) -> Level:
        """What the network is to hold: a user who is pre-terminated is stopped two-way."""
        if self.state is _PRE_TERMINATED:
            return Level.TWO_WAY
        return suspension.effective(self.reasons)
