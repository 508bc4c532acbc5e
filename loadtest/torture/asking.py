"""How a client asks: in the same words until it knows, with everything in its diary."""

import asyncio
from collections import Counter, deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from random import Random
from typing import Any, Final, NamedTuple

import aiohttp
import msgspec
from aiohttp import hdrs

from loadtest.torture.diary import Act, Diary, Event

UNKNOWN: Final = frozenset({429, 500, 502, 503, 504})
"""Answers after which only the same question again tells what happened."""

_TIMEOUT: Final = aiohttp.ClientTimeout(total=40, sock_connect=2)
_AGAIN_S: Final = (0.05, 0.4)
"""Before the same is asked again. Whatever Retry-After says: this is no polite client."""

_SEEN_MAX: Final = 400


class Question(NamedTuple):
    """What is asked in the same words until the answer is known."""

    act: Act
    ids: Sequence[str]  #: the client's own; the first is the idempotency key
    method: str
    path: str
    body: object = None
    about: Mapping[str, Any] = {}  #: for the diary


class Answer(NamedTuple):
    status: int
    document: Any


@dataclass(slots=True)
class Tally:
    """What all clients together have come to so far."""

    allocations: int = 0
    releases: int = 0
    refused: Counter[str] = field(default_factory=Counter)  #: by code
    lost: int = 0  #: requests without an answer that tells
    seen: deque[str] = field(default_factory=lambda: deque(maxlen=_SEEN_MAX))
    """Numbers that were some client's a moment ago, for others to ask for by name."""
    acknowledged_s: float = 0.0  #: when the latest request was sent that was answered well
    failures: list[str] = field(default_factory=list)  #: answers of 500
    fallouts: list[str] = field(default_factory=list)  #: orders that wait for a person


class Asker:
    def __init__(
        self,
        name: str,
        *,
        http: aiohttp.ClientSession,
        url: str,
        token: str,
        diary: Diary,
        tally: Tally,
        random: Random,
    ) -> None:
        self.name = name
        self.diary = diary
        self.tally = tally
        self.random = random
        self._http = http
        self._url = url
        self._headers: dict[str, str] = {
            hdrs.AUTHORIZATION: f"Bearer {token}",
            hdrs.CONTENT_TYPE: "application/json",
        }
        self._number = 0

    async def ask(self, question: Question) -> Any:
        """The answer when it is known; None: refused. Ends otherwise only by being cancelled."""
        while True:
            sent_s = self.diary.write(Event.SENT, question.act, question.ids, **question.about)
            answer = await self.attempt(question)
            if answer is None:
                await self.rest()
                continue
            if answer.status < 400:
                self.tally.acknowledged_s = max(self.tally.acknowledged_s, sent_s)
                return answer.document
            self.refuse(question, answer.status, answer.document.get("code", ""))
            return None

    async def attempt(self, question: Question) -> Answer | None:
        """Once. None: it is not known what happened."""
        answer = await self._request(question)
        if isinstance(answer, Exception):
            self.lose(question, 0, type(answer).__name__)
            return None
        if answer.status in UNKNOWN:
            self.lose(question, answer.status, answer.document.get("code", ""))
            return None
        return answer

    async def get(self, path: str) -> Answer | None:
        """Changes nothing, so the diary need not have it. None: no answer that tells."""
        answer = await self._request(Question(Act.RESERVE, ("",), "GET", path))
        return None if isinstance(answer, Exception) or answer.status != 200 else answer

    async def _request(self, question: Question) -> Answer | Exception:
        headers = dict(self._headers)
        if question.method == "POST" and question.act is Act.RESERVE:
            headers["Idempotency-Key"] = question.ids[0]
        body = None if question.body is None else msgspec.json.encode(question.body)
        try:
            async with self._http.request(
                question.method,
                self._url + question.path,
                data=body,
                headers=headers,
                timeout=_TIMEOUT,
            ) as response:
                content = await response.read()
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            return error
        return Answer(response.status, msgspec.json.decode(content) if content else {})

    def refuse(self, question: Question, status: int, code: str) -> None:
        self.note(Event.REFUSED, question, status, code)
        self.tally.refused[code] += 1

    def lose(self, question: Question, status: int, code: str) -> None:
        self.note(Event.LOST, question, status, code)
        self.tally.lost += 1
        if status == 500:
            self.tally.failures.append(f"{question.act} {question.ids[0]}: {code}")

    def note(self, event: Event, question: Question, status: int, code: str = "") -> None:
        self.diary.write(
            event, question.act, question.ids, status=status, code=code, **question.about
        )

    async def rest(self) -> None:
        await asyncio.sleep(self.random.uniform(*_AGAIN_S))

    def new_id(self) -> str:
        self._number += 1
        return f"{self.name}-{self._number:06d}"
