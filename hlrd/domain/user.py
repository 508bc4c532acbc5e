"""What hlrd intends for one user on the network."""

from msgspec import Struct

from hlrd.domain.identity import Binding
from hlrd.domain.lifecycle import UserState
from hlrd.domain.product import Holding
from hlrd.domain.suspension import Reasons


class User(Struct, frozen=True, gc=False):
    """The journal's truth about one user (用户), or the intent of the orders running for it."""

    state: UserState
    binding: Binding | None  #: None once terminated
    reasons: Reasons
    products: tuple[Holding, ...] = ()  #: in the order they came
