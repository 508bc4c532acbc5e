"""What a dialect must say: the whole difference between one kind of NE and another.

An adapter is pure. It holds its NE's settings and nothing that changes, and is shared by every
session of that NE. Which command to send when, on which session, how often: that is none of its
business.
"""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import ClassVar, Generic, TypeVar

from hlrd.codec.base import Decoder
from hlrd.domain.errors import HlrdError
from hlrd.domain.identity import CardKey
from hlrd.domain.operation import Operation, Task
from hlrd.domain.outcome import Outcome
from hlrd.domain.script import Script, ScriptError
from hlrd.ne.replies import Replies

R = TypeVar("R")


class AccountError(HlrdError):
    """The settings of an NE are of no use to its dialect; raised when the adapter is built."""


@dataclass(frozen=True, slots=True)
class Account:
    """How hlrd presents itself to one NE."""

    host: str
    port: int
    user: str = ""
    password: str = field(default="", repr=False)
    options: Mapping[str, str] = field(default_factory=dict)  #: what only this dialect knows
    secrets: Mapping[str, str] = field(default_factory=dict, repr=False)  #: and nobody may see


class Adapter(ABC, Generic[R]):
    """`R` is the reply its decoder gives: text for MML, an HTTPReply for SOAP."""

    dialect: ClassVar[str]
    operations: ClassVar[frozenset[Operation]]  #: what it can be asked
    family: ClassVar[str] = ""  #: names a table of replies that it shares with others
    inquiries: ClassVar[frozenset[Operation]] = frozenset()
    """What it can be asked that changes nothing: by `read_back` and `compare` alone."""

    depth = 1  #: requests that may be under way on one connection; above 1 they carry numbers

    @classmethod
    def check_script(cls, script: Script) -> None:
        """Raise ScriptError unless `script` is exactly one command, with each placeholder in the
        place of a value. Asked when a product is published.
        """
        raise ScriptError(1, f"{cls.dialect} switches no function by a script")

    def __init__(self, account: Account, replies: Replies) -> None:
        self.account = account
        self.replies = replies

    @abstractmethod
    def decoder(self) -> Decoder[R]:
        """A fresh one for a new connection."""

    def login(self) -> bytes | None:
        """The first request of a connection; None where the dialect has no login."""
        return None

    def classify_login(self, reply: R) -> Outcome:
        """DONE: logged in. PERMANENT: refused, wrong account. BUSY: session limit reached."""
        raise NotImplementedError

    def ticket(self, reply: R) -> str | None:
        """What a login's good reply gives its connection to show with every later request; None
        where it gives nothing. For a `depth` of 1.
        """
        return None

    def ticketed(self, request: bytes, ticket: str) -> bytes:
        """`request` with `ticket` shown in it."""
        raise NotImplementedError

    def logout(self) -> bytes | None:
        """The last request of a connection that ends in good order."""
        return None

    @abstractmethod
    def keepalive(self) -> bytes:
        """A harmless query. It keeps an idle session open, proves life, and probes a breaker."""

    @abstractmethod
    def encode(self, task: Task, key: CardKey | None) -> bytes:
        """The whole request. `key` is given for ADD_KEY and REPORT_MEMBER alone."""

    @abstractmethod
    def classify(self, task: Task, reply: R) -> Outcome:
        """What the reply to `encode(task)` means, by the dialect's table."""

    @abstractmethod
    def read_back(self, task: Task) -> bytes | None:
        """The query that tells whether `task` took effect.

        None where the dialect's own command does: it is absolute and answers "already so".
        """

    def compare(self, task: Task, reply: R) -> Outcome:
        """The reply to `read_back(task)`: APPLIED, ABSENT or DIFFERENT, or a fault of the query."""
        return self.classify(task, reply)

    def numbered(self, request: bytes, number: int) -> bytes:
        """`request` with `number` in it, which its reply will repeat; for a `depth` above 1."""
        raise NotImplementedError

    def number_of(self, reply: R) -> int | None:
        """Of the request that `reply` answers; None: of the login or the keep-alive."""
        raise NotImplementedError

    def echoes(self, request: bytes, reply: R) -> bool:
        """Whether `reply` answers `request`. A wrong echo means a session out of step."""
        return True

    def is_last(self, reply: R) -> bool:
        """Whether the NE closes the connection behind `reply`."""
        return False

    @abstractmethod
    def masked(self, task: Task) -> str:
        """The command as people may see it: no Ki, no password."""
