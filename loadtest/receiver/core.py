"""What a careful receiver does with every receipt: check who signed it, tell repeats by their id,
and see to it that those of a user come in order. Pure but for its chance, which is seeded.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from random import Random
from typing import Any, Final

import msgspec
from msgspec import Struct
from standardwebhooks import Webhook, WebhookVerificationError

KEPT_MAX: Final = 1_000_000
"""Receipts remembered; a run has fewer."""


class Received(Struct):
    """A CloudEvent, as far as a receiver must understand it."""

    id: str
    type: str
    source: str
    sequence: str
    data: dict[str, Any]
    subject: str = ""


@dataclass(frozen=True, slots=True)
class Mood:
    """How it answers what is well signed."""

    status: int = 204
    retry_after: str = ""
    hangs: bool = False  #: takes the request and never answers
    keeps: bool = False  #: it has the receipt all the same, and its answer is lost
    share: float = 1.0  #: of the requests; the others are taken

    def __post_init__(self) -> None:
        assert 0 <= self.share <= 1


TAKES: Final = Mood()


@dataclass(slots=True)
class Receiver:
    secrets: Sequence[str]  #: any of them
    mood: Mood = TAKES
    seed: int = 0
    posts: int = 0
    repeats: int = 0
    unsigned: int = 0
    out_of_order: list[tuple[str, str]] = field(default_factory=list)  #: subject, id
    received: dict[str, Received] = field(default_factory=dict)  #: by id, as they came first
    _last: dict[str, str] = field(default_factory=dict)
    _random: Random = field(init=False)

    def __post_init__(self) -> None:
        self._random = Random(self.seed)

    def answer(self, headers: Mapping[str, str], body: bytes) -> Mood:
        self.posts += 1
        if not self._is_signed(headers, body):
            self.unsigned += 1
            return Mood(401)
        mood = self.mood if self._random.random() < self.mood.share else TAKES
        if mood.keeps or (mood.status < 300 and not mood.hangs):
            self._keep(msgspec.json.decode(body, type=Received))
        return mood

    def of_user(self, user_id: str) -> list[Received]:
        return [one for one in self.received.values() if one.subject == user_id]

    def stats(self) -> dict[str, int]:
        return {
            "posts": self.posts,
            "received": len(self.received),
            "repeats": self.repeats,
            "unsigned": self.unsigned,
            "out_of_order": len(self.out_of_order),
        }

    def _is_signed(self, headers: Mapping[str, str], body: bytes) -> bool:
        given = {name.lower(): value for name, value in headers.items()}
        for secret in self.secrets:
            try:
                Webhook(secret).verify(body, given, json_parse=False)
            except WebhookVerificationError:
                continue
            return True
        return False

    def _keep(self, one: Received) -> None:
        if one.id in self.received:
            self.repeats += 1
            return
        if one.sequence < self._last.get(one.subject, ""):
            self.out_of_order.append((one.subject, one.id))
        self._last[one.subject] = one.sequence
        if len(self.received) < KEPT_MAX:
            self.received[one.id] = one
