"""The smallest dialect: a line to ask, a line to answer that repeats the question.

DO <operation> <imsi> <id>   ->   OK DO …      done
IS <operation> <imsi> <id>   ->   HAS IS …     applied, or NOT IS … absent
"""

from typing import Final

from hlrd import limits
from hlrd.codec.base import Decoder
from hlrd.domain.errors import ProtocolError
from hlrd.domain.identity import CardKey
from hlrd.domain.operation import Operation, Task
from hlrd.domain.outcome import Outcome, Verdict
from hlrd.ne.adapter import Account, Adapter
from hlrd.ne.replies import Replies

WORDS: Final = {
    "OK": Verdict.DONE,
    "LAST": Verdict.DONE,
    "SAME": Verdict.NO_CHANGE,
    "BUSY": Verdict.BUSY,
    "LATER": Verdict.TRANSIENT,
    "WHO": Verdict.SESSION,
    "NO": Verdict.PERMANENT,
    "HAS": Verdict.APPLIED,
    "NOT": Verdict.ABSENT,
}


class LineDecoder(Decoder[str]):
    def __init__(self) -> None:
        self._rest = b""

    def feed(self, data: bytes) -> list[str]:
        *lines, self._rest = (self._rest + data).split(b"\n")
        if len(self._rest) > limits.FRAME_BYTES_MAX:
            raise ProtocolError("a line is too long")
        try:
            return [line.decode("ascii") for line in lines]
        except UnicodeDecodeError as error:
            raise ProtocolError("a line is not ASCII") from error


class Lines(Adapter[str]):
    """`user` none: the dialect has no login. Option `readBack` none: the command is its query."""

    dialect = "lines"
    operations = frozenset(Operation)

    def __init__(self, account: Account) -> None:
        super().__init__(account, Replies(()))

    def decoder(self) -> LineDecoder:
        return LineDecoder()

    def login(self) -> bytes | None:
        return f"LOGIN {self.account.user}\n".encode() if self.account.user else None

    def classify_login(self, reply: str) -> Outcome:
        return self._outcome(reply)

    def logout(self) -> bytes | None:
        return b"BYE\n" if self.account.user else None

    def keepalive(self) -> bytes:
        return b"PING\n"

    def encode(self, task: Task, key: CardKey | None) -> bytes:
        if task.transaction == "unfit":
            raise ValueError("secret value")
        secret = "" if key is None else f" {key.value}"
        return f"DO {task.operation} {task.binding.imsi} {task.transaction}{secret}\n".encode()

    def classify(self, task: Task, reply: str) -> Outcome:
        return self._outcome(reply)

    def read_back(self, task: Task) -> bytes | None:
        if self.account.options.get("readBack") == "none":
            return None
        return f"IS {task.operation} {task.binding.imsi} {task.transaction}\n".encode()

    def echoes(self, request: bytes, reply: str) -> bool:
        return reply.partition(" ")[2] == request.decode().strip()

    def is_last(self, reply: str) -> bool:
        return reply.startswith("LAST")

    def masked(self, task: Task) -> str:
        return f"DO {task.operation}"

    def _outcome(self, reply: str) -> Outcome:
        word = reply.partition(" ")[0]
        if word == "WHAT":
            raise ProtocolError("an answer without sense")
        verdict = WORDS.get(word)
        if verdict is None:
            return Outcome(Verdict.PERMANENT, word, is_known=False)
        return Outcome(verdict, word)


class NumberedLines(Lines):
    """#<number> DO …   ->   OK #<number> DO …, several under way at once; PING as it was."""

    depth = 4

    def numbered(self, request: bytes, number: int) -> bytes:
        return b"#%d " % number + request

    def number_of(self, reply: str) -> int | None:
        tag = reply.partition(" ")[2].partition(" ")[0]
        return int(tag[1:]) if tag.startswith("#") else None


def an_account(port: int, *, user: str = "hlrd", read_back: str = "query") -> Account:
    return Account("127.0.0.1", port, user, "not shown", {"readBack": read_back})
