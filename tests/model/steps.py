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


USERS: Final = 5
ELEMENTS_HIT: Final = 6
STEPS_MAX: Final = 25

FAMILIES: Final = (
    ("ARREARS_SUSPEND", "PAYMENT_RESUME", "VOLUNTARY_SUSPEND", "VOLUNTARY_RESUME",
     "OPERATOR_SUSPEND", "OPERATOR_RESUME"),
    ("PRODUCT_SUBSCRIBE", "PRODUCT_UNSUBSCRIBE", "PRODUCT_SUBSCRIBE", "PRODUCT_PUBLISH"),
    ("MEMBER_PRODUCT_SUBSCRIBE", "MEMBER_PRODUCT_UNSUBSCRIBE", "MEMBER_ACTIVATE", "MEMBER_REMOVE"),
    ("EC_SUSPEND_ALL", "EC_RESUME_ALL", "MEMBER_ACTIVATE", "PAYMENT_RESUME", "MEMBER_REMOVE"),
    ("MEMBER_OPEN", "MEMBER_PRODUCT_SUBSCRIBE", "MEMBER_REMOVE", "SIM_REPLACE", "NUMBER_CHANGE"),
    ("SIM_REPLACE", "NUMBER_CHANGE", "OPERATOR_SUSPEND", "ARREARS_SUSPEND", "NE_REPAIR"),
    ("USER_TERMINATE", "PRE_TERMINATE", "REINSTATE", "USER_OPEN", "PAYMENT_RESUME", "BATCH"),
    ("EC_PRODUCT_SUBSCRIBE", "EC_PRODUCT_CANCEL", "PARTNER_PRODUCT_PUBLISH", "MEMBER_ACTIVATE",
     "PARTNER_MEMBER_IMPORT", "MEMBER_PRODUCT_SUBSCRIBE"),
    tuple(kind.name for kind in KINDS),
)  # fmt: skip
"""Kinds that meet each other more often than chance would have it."""

_UNDONE: Final = (
    "MEMBER_ACTIVATE", "USER_OPEN", "SIM_REPLACE", "NUMBER_CHANGE", "PRODUCT_SUBSCRIBE",
    "MEMBER_PRODUCT_SUBSCRIBE", "EC_PRODUCT_SUBSCRIBE", "USER_TERMINATE", "ARREARS_SUSPEND",
)  # fmt: skip

_pauses = st.sampled_from((Pause.REST, Pause.NONE, Pause.SOME))
_digits = st.integers(0, 5)
_users = st.integers(0, USERS - 1)
_elements = st.integers(0, ELEMENTS_HIT - 1)
_extras = st.sampled_from((*[Extra.PLAIN] * 14, *Extra))
_turns = st.sampled_from(
    (Extra.NEXT, Extra.NEXT, Extra.NEXT, Extra.HELD_BACK, Extra.HELD_BACK, Extra.LATE, Extra.ROOT,
     Extra.TWIN, Extra.VERSION, Extra.LATE_VERSION)
)  # fmt: skip
_acts = st.sampled_from((Act.CANCEL, Act.SKIP, Act.FINISH, Act.RESEND))


@st.composite
def _family(draw: st.DrawFn) -> list[Step]:
    """Some orders of one user, about what belongs together."""
    kinds = st.sampled_from(draw(st.sampled_from(FAMILIES)))
    user, extras = draw(_users), draw(st.sampled_from((_extras, _extras, _turns)))
    return [
        Post(draw(kinds), user, draw(_digits), draw(_digits), draw(extras), draw(_pauses))
        for _ in range(draw(st.integers(1, 4)))
    ]


@st.composite
def _refused(draw: st.DrawFn) -> list[Step]:
    """An order that is refused half-way, perhaps once more on its way back; and its desk."""
    kind, user = draw(st.sampled_from(_UNDONE)), draw(_users)
    good, bad = draw(st.integers(0, 3)), draw(st.sampled_from((1, 2, 3)))
    return [
        Faults(
            draw(st.sampled_from((0, 1, 0, 1, 2, 3, 4, 5))),
            (Fate.OK,) * good + (Fate.REFUSED,) * bad,
        ),
        Post(kind, user, draw(_digits), draw(_digits), draw(_extras), draw(_pauses)),
        *(Desk(0, draw(_acts), Pause.REST) for _ in range(draw(st.integers(0, 2)))),
    ]


@st.composite
def _disturbed(draw: st.DrawFn) -> list[Step]:
    """Silence of an element, or the end of the daemon, in the middle of something."""
    fates = draw(st.lists(st.sampled_from(Fate), min_size=1, max_size=4))
    return [
        Faults(draw(_elements), tuple(fates)),
        *draw(_family()),
        *([Crash(draw(_pauses))] if draw(st.booleans()) else []),
    ]


@st.composite
def _queued(draw: st.DrawFn) -> list[Step]:
    """Stops and resumes of one user that wait for the HLRs, and may take each other back."""
    kinds, user, b = st.sampled_from(FAMILIES[0]), draw(_users), draw(_digits)
    return [
        *(Down(hlr, draw(st.integers(1, 20))) for hlr in (0, 1)),
        *(
            Post(draw(kinds), user, draw(_digits), b, draw(_extras), Pause.NONE)
            for _ in range(draw(st.integers(2, 5)))
        ),
    ]


_others = st.one_of(
    st.builds(Crash, _pauses),
    st.builds(Desk, st.integers(0, 2), _acts, _pauses),
    st.builds(Again, _digits, st.booleans(), _pauses),
    st.builds(Recall, st.integers(0, 3), st.booleans(), _pauses),
    st.builds(Down, _elements, st.integers(1, 20)),
    st.builds(Wait, st.sampled_from((1, 6, 40, 100))),
).map(lambda step: [step])

_parts = st.one_of(
    _family(), _family(), _family(), _refused(), _refused(), _disturbed(), _queued(), _others
)

sequences = st.builds(
    Sequence,
    st.integers(0, 2**16),
    st.sampled_from((True, True, True, False)),
    st.lists(_parts, min_size=4, max_size=10).map(
        lambda parts: tuple(step for part in parts for step in part)[:STEPS_MAX]
    ),
)
