"""What may go wrong in one schedule, and how likely it is."""

from dataclasses import dataclass, fields
from random import Random


@dataclass(frozen=True, slots=True)
class Faults:
    """Probabilities per event, unless a field says otherwise."""

    lost_before: float = 0.0  #: a command is lost and never executed
    lost_after: float = 0.0  #: executed, the answer lost
    executed_late: float = 0.0  #: given up as lost, then executed within the NE's settle time
    busy: float = 0.0
    transient: float = 0.0
    permanent: float = 0.0
    session_gone: float = 0.0
    not_sent: float = 0.0
    slow: float = 0.0  #: an answer takes seconds
    key_lost: float = 0.0  #: the HLR has forgotten the key when the subscriber is added
    follow_up: float = 0.0  #: a change asks for the location to be cancelled
    ne_down: float = 0.0  #: outages of an NE in a schedule, expected
    journal_stall: float = 0.0  #: a group commit takes seconds
    lookup_slow: float = 0.0  #: a read for intake takes seconds
    unpark_slow: float = 0.0  #: so does one of parked orders
    crash: float = 0.0  #: crashes in a schedule, expected
    drain: float = 0.0  #: orderly restarts in a schedule, expected
    steal: float = 0.0  #: another node binds a number or card that this one has leased
    repost: float = 0.0  #: an order is posted again, as it was or with other content
    named: float = 0.0  #: an opening names its number or card
    sequence: float = 0.0  #: an order has a number in its user's sequence
    late: float = 0.0  #: … and is posted after some that come later
    missing: float = 0.0  #: a number of a sequence is left out
    twin: float = 0.0  #: an order comes once more, under another id
    dated: float = 0.0  #: an order is dated ahead
    versioned: float = 0.0  #: an order has a version of its user's state, not always the next
    word: float = 0.0  #: … and says all reasons that its sender knows of
    repair: float = 0.0  #: an order looks whether the HLR has what it should
    recall: float = 0.0  #: somebody calls an order off, or urges one on


MOST = Faults(
    lost_before=0.1,
    lost_after=0.1,
    executed_late=0.1,
    busy=0.1,
    transient=0.25,
    permanent=0.05,
    session_gone=0.1,
    not_sent=0.1,
    slow=0.2,
    key_lost=0.2,
    follow_up=0.4,
    ne_down=2.0,
    journal_stall=0.1,
    lookup_slow=0.2,
    unpark_slow=0.6,
    crash=2.5,
    drain=1.0,
    steal=0.15,
    repost=0.4,
    named=0.5,
    sequence=0.9,
    late=0.3,
    missing=0.1,
    twin=0.3,
    dated=0.15,
    versioned=0.5,
    word=0.4,
    repair=0.15,
    recall=0.6,
)
NONE = Faults()


def draw(rng: Random) -> Faults:
    """Each kind is absent from half of the schedules, so that none hides behind another."""
    return Faults(
        **{
            field.name: getattr(MOST, field.name) * rng.random()
            for field in fields(Faults)
            if rng.random() < 0.5
        }
    )
