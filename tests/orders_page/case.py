"""An example, and the other circumstances that are brought about for it."""

from dataclasses import dataclass, field

from hlrd.domain.orders import Source
from tests.orders_page.ground import Document, Step


@dataclass(frozen=True, slots=True)
class Case:
    """The example, but for what is said here."""

    when: str
    change: Document = field(default_factory=dict)
    then: tuple[Step, ...] = ()  #: happened before it, behind what the example has before
    source: Source | None = None
    is_bare: bool = False  #: nothing of what the example has before it
    is_shown: bool = False  #: with its commands
    refused_at: int | None = None  #: this command is refused for good, counted from 0


@dataclass(frozen=True, slots=True)
class Example:
    kind: str
    about: str  #: what it is for
    ends: str  #: what is so afterwards
    source: Source
    order: Document
    before: tuple[Step, ...] = ()
    said_before: str = ""  #: in words
    cases: tuple[Case, ...] = ()
    if_refused: str = ""  #: where it is otherwise than its direction says
