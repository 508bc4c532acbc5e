"""One step of a sequence, and how sequences are drawn."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from hypothesis import strategies as st

from hlrd.domain.catalogue import KINDS
from hlrd.domain.fallout import Act


class Pause(StrEnum):
    """How much happens before the next step."""

    NONE = "none"
    SOME = "some"  #: a few milliseconds, in which a command or two may be under way
    REST = "rest"  #: until nothing happens any more


class Extra(StrEnum):
    """What is special about an order."""

    PLAIN = "plain"
    NEXT = "next"  #: next in its user's sequence
    HELD_BACK = "heldBack"  #: its place in the sequence is used later, or never
    LATE = "late"  #: of the place that was held back
    VERSION = "version"  #: of the state, as its master counts
    LATE_VERSION = "lateVersion"
    ROOT = "root"  #: of a business order
    TWIN = "twin"  #: what was done last of this kind, under another id
    SOON = "soon"  #: dated ahead, by seconds
    LATER = "later"
    STALE = "stale"  #: about a number that is not the user's
    NAMED = "named"  #: a card or number that it names
    OF_BOSS = "ofBOSS"
    OF_CRM = "ofCRM"


class Fate(StrEnum):
    """What becomes of a command."""

    OK = "ok"
    BUSY = "busy"
    TRANSIENT = "transient"
    REFUSED = "refused"
    SESSION_GONE = "sessionGone"
    NOT_SENT = "notSent"
    LOST = "lost"  #: never executed, and not answered
    SILENT = "silent"  #: executed, and not answered
    LATE = "late"  #: given up as lost, and executed then
    SLOW = "slow"


@dataclass(frozen=True, slots=True)
class Post:
    kind: str
    user: int
    a: int
    b: int
    extra: Extra
    pause: Pause


@dataclass(frozen=True, slots=True)
class Again:
    """The same order once more, or another content under its id."""

    back: int
    is_other: bool
    pause: Pause


@dataclass(frozen=True, slots=True)
class Faults:
    """Of the next commands of one element."""

    element: int
    fates: tuple[Fate, ...]


@dataclass(frozen=True, slots=True)
class Down:
    element: int
    for_s: int


@dataclass(frozen=True, slots=True)
class Desk:
    """What a person does with an order that fell out."""

    which: int
    act: Act
    pause: Pause


@dataclass(frozen=True, slots=True)
class Recall:
    back: int
    is_cancel: bool
    pause: Pause


@dataclass(frozen=True, slots=True)
class Crash:
    pause: Pause


@dataclass(frozen=True, slots=True)
class Wait:
    seconds: int


Step = Post | Again | Faults | Down | Desk | Recall | Crash | Wait


@dataclass(frozen=True, slots=True)
class Sequence:
    seed: int  #: of delays
    is_furnished: bool  #: products, enterprises and users are there when it begins
    steps: tuple[Step, ...]


USERS: Final = 4
ELEMENTS_HIT: Final = 6
_OFTEN: Final = (
    "ARREARS_SUSPEND", "PAYMENT_RESUME", "VOLUNTARY_SUSPEND", "VOLUNTARY_RESUME",
    "ARREARS_SUSPEND", "PAYMENT_RESUME", "OPERATOR_SUSPEND", "OPERATOR_RESUME",
    "MEMBER_ACTIVATE", "SIM_REPLACE", "PRODUCT_SUBSCRIBE", "PRODUCT_UNSUBSCRIBE",
    "MEMBER_PRODUCT_SUBSCRIBE", "EC_SUSPEND_ALL", "EC_RESUME_ALL",
)  # fmt: skip

_pauses = st.sampled_from((Pause.REST, Pause.NONE, Pause.SOME, Pause.REST))
_digits = st.integers(0, 5)

posts = st.builds(
    Post,
    st.sampled_from((*_OFTEN, *(kind.name for kind in KINDS))),
    st.integers(0, USERS - 1),
    _digits,
    _digits,
    st.sampled_from((*[Extra.PLAIN] * 10, *Extra)),
    _pauses,
)
others = st.one_of(
    st.builds(
        Faults,
        st.integers(0, ELEMENTS_HIT - 1),
        st.lists(st.sampled_from(Fate), min_size=1, max_size=4).map(tuple),
    ),
    st.builds(Crash, _pauses),
    st.builds(Desk, st.integers(0, 2), st.sampled_from(Act), _pauses),
    st.builds(Again, st.integers(0, 5), st.booleans(), _pauses),
    st.builds(Recall, st.integers(0, 3), st.booleans(), _pauses),
    st.builds(Down, st.integers(0, ELEMENTS_HIT - 1), st.integers(1, 20)),
    st.builds(Wait, st.sampled_from((1, 6, 40, 100))),
)
_steps = st.integers(0, 9).flatmap(lambda digit: posts if digit < 7 else others)

sequences = st.builds(
    Sequence,
    st.integers(0, 2**16),
    st.sampled_from((True, True, True, False)),
    st.lists(_steps, min_size=1, max_size=25).map(tuple),
)
