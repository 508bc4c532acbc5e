"""One client of the torture: asks the same until it knows, and writes everything into its diary."""

import asyncio
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from random import Random
from typing import Any, Final, NamedTuple

import aiohttp
import msgspec
from aiohttp import hdrs

from loadtest.settings import POOL, PROVINCE
from loadtest.torture.diary import Act, Diary, Event

TTL_S: Final = 3_600.0
"""Of reservations that are not to expire: longer than any campaign."""

_TIMEOUT: Final = aiohttp.ClientTimeout(total=40, sock_connect=2)
_AGAIN_S: Final = (0.05, 0.4)
"""Before the same is asked again. Whatever Retry-After says: this is no polite client."""

_LOOK_S: Final = 0.5
_UNKNOWN: Final = frozenset({429, 500, 502, 503, 504})
"""Answers after which only the same question again tells what happened."""

_ORDERS: Final = "/v1/work-orders"
_OPERATOR: Final = "torture"
REFUSED_SERVICE: Final = "VOICE"
"""The HLRs of the campaign refuse this service's template, so an opening with it is rolled back."""


FALLOUT: Final = "fallout"
"""Of an interim receipt. The client goes on, and the checker finds it."""


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


class Reserved(NamedTuple):
    id: str
    numbers: Sequence[str]


@dataclass(slots=True)
class Opened:
    order_id: str
    user: str
    msisdn: str


@dataclass(slots=True)
class Tally:
    """What all clients together have come to so far."""

    allocations: int = 0
    releases: int = 0
    refused: Counter[str] = field(default_factory=Counter)  #: by code
    lost: int = 0  #: requests without an answer that tells
    repeats: int = 0  #: asked again although the answer was known
    acknowledged_s: float = 0.0  #: when the latest request was sent that was answered well
    failures: list[str] = field(default_factory=list)  #: answers of 500
    fallouts: list[str] = field(default_factory=list)  #: orders that wait for a person


class Client:
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
        first_user: int,
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
        self._next_user = first_user
        self._results: dict[str, str] = {}  #: by order id, of closed ones
        self._closed = asyncio.Event()

    # Reservations.

    async def reserve(
        self, count: int, *, ttl_s: float = TTL_S, pool: str = POOL, partial: bool = False
    ) -> Reserved | None:
        """None: there are not as many."""
        key = self._name()
        body = {
            "pool": pool,
            "count": count,
            "province": PROVINCE,
            "digits": 13,
            "ttl_s": ttl_s,
            "operator_id": _OPERATOR,
            **({"partial": True} if partial else {}),
        }
        made = await self._reserve(key, body)
        if made is not None:
            self.tally.allocations += len(made.numbers)
            if self.random.random() < 0.05:
                self.tally.repeats += 1
                await self._reserve(key, body)
        return made

    async def _reserve(self, key: str, body: Mapping[str, Any]) -> Reserved | None:
        about = {"ttl_s": body["ttl_s"]}
        answer = await self._ask(
            Question(Act.RESERVE, [key], "POST", "/v1/reservations", body, about)
        )
        if answer is None:
            return None
        made = Reserved(str(answer["id"]), answer["numbers"])
        given: dict[str, Any] = {"reservation": made.id, "numbers": made.numbers}
        self.diary.write(Event.ANSWERED, Act.RESERVE, [key], status=201, **given)
        return made

    async def choose(self, reserved: Reserved, numbers: Sequence[str]) -> None:
        about = {"reservation": reserved.id, "numbers": numbers}
        path = f"/v1/reservations/{reserved.id}/choose"
        body = {"numbers": numbers, "ttl_s": TTL_S, "operator_id": _OPERATOR}
        question = Question(Act.CHOOSE, [self._name()], "POST", path, body, about)
        if await self._ask(question) is not None:
            self._note(Event.ANSWERED, question, 200)
            self.tally.releases += len(reserved.numbers) - len(numbers)

    async def cancel(self, reserved: Reserved, *, holds: int) -> None:
        """`holds` numbers of it are neither chosen away nor opened."""
        path, about = f"/v1/reservations/{reserved.id}", {"reservation": reserved.id}
        question = Question(Act.CANCEL, [self._name()], "DELETE", path, None, about)
        if await self._ask(question) is not None:
            self._note(Event.ANSWERED, question, 200)
            self.tally.releases += holds

    async def outlive(self, reserved: Reserved) -> None:
        """Until the server says that it is over."""
        while True:
            if not await self._is_in_force(reserved):
                break
            await asyncio.sleep(_LOOK_S)
        self.tally.releases += len(reserved.numbers)

    async def _is_in_force(self, reserved: Reserved) -> bool:
        """An answer that does not tell counts as yes."""
        try:
            async with self._http.get(
                f"{self._url}/v1/reservations/{reserved.id}",
                headers=self._headers,
                timeout=_TIMEOUT,
            ) as response:
                content = await response.read()
        except (aiohttp.ClientError, TimeoutError, OSError):
            return True
        return response.status != 200 or msgspec.json.decode(content)["state"] == "open"

    # Orders.

    async def open(
        self,
        count: int,
        *,
        fails: bool = False,
        reservation: str = "",
        pool: str = POOL,
    ) -> list[Opened]:
        """Those that are in service in the end; the refused and the rolled back are not."""
        more: dict[str, Any] = {"services": [REFUSED_SERVICE]} if fails else {}
        if reservation:
            more["reservation"] = reservation
        orders = [self._opening(pool, more) for _ in range(count)]
        users = {order["order_id"]: order["user_id"] for order in orders}
        numbers = await self._post(Act.OPEN, orders, reservation=reservation)
        self.tally.allocations += 0 if reservation else len(numbers)
        await self._await(numbers)
        good = [each for each in numbers if self._results[each] == "succeeded"]
        self.tally.releases += len(numbers) - len(good)
        return [Opened(each, users[each], numbers[each]) for each in good]

    async def terminate(self, opened: Sequence[Opened]) -> None:
        orders = [
            {
                **self._header("USER_TERMINATE", each.user),
                "msisdn": each.msisdn,
                "quarantine_days": 0,
            }
            for each in opened
        ]
        taken = await self._post(Act.TERMINATE, orders)
        await self._await(taken)
        self.tally.releases += sum(self._results[each] == "succeeded" for each in taken)

    def on_receipt(self, act: Act, order_id: str, user: str, result: str) -> None:
        if order_id in self._results:
            return
        if result == FALLOUT:
            self.tally.fallouts.append(order_id)
        self.diary.write(Event.RECEIPT, act, [order_id], user=user, result=result)
        self._results[order_id] = result
        self._closed.set()

    async def _await(self, orders: Mapping[str, str]) -> None:
        while not self._results.keys() >= orders.keys():
            self._closed.clear()
            await self._closed.wait()

    def _opening(self, pool: str, more: Mapping[str, Any]) -> dict[str, Any]:
        user, self._next_user = str(self._next_user), self._next_user + 1
        header = self._header("MEMBER_ACTIVATE", user)
        return {**header, "ec_code": "ECTORTURE", "pool": pool, **more}

    def _header(self, kind: str, user: str) -> dict[str, Any]:
        return {
            "type": kind,
            "order_id": self._name(),
            "province": PROVINCE,
            "operator_id": _OPERATOR,
            "user_id": user,
        }

    async def _post(
        self, act: Act, orders: Sequence[Mapping[str, Any]], reservation: str = ""
    ) -> dict[str, str]:
        """Until each is acknowledged or refused; the numbers of the acknowledged, by order id."""
        left = {order["order_id"]: order for order in orders}
        taken: dict[str, str] = {}
        while left:
            sent_s = time.monotonic()
            for order_id, order in left.items():
                about = {"user": order["user_id"], "reservation": reservation}
                self.diary.write(Event.SENT, act, [order_id], **about)
            posted = list(left.values())
            answer = await self._try(Question(act, list(left), "POST", _ORDERS, posted))
            for line in answer.document["answers"] if answer else ():
                self._judge(act, line, left, taken)
                self.tally.acknowledged_s = max(self.tally.acknowledged_s, sent_s)
            if left:
                await self._rest()
        return taken

    def _judge(
        self,
        act: Act,
        line: Mapping[str, Any],
        left: dict[str, Mapping[str, Any]],
        taken: dict[str, str],
    ) -> None:
        order_id, refusal = line["order_id"], line.get("refusal")
        about = {"user": left[order_id]["user_id"]}
        question = Question(act, [order_id], "POST", _ORDERS, None, about)
        if refusal is None:
            told = {"msisdn": line.get("msisdn") or "", "iccid": line.get("iccid") or ""}
            self.diary.write(Event.ANSWERED, act, [order_id], status=202, **about, **told)
            taken[order_id] = told["msisdn"]
        elif refusal["status"] in _UNKNOWN:
            self._lose(question, refusal["status"], refusal["code"])
            return
        else:
            self._refuse(question, refusal["status"], refusal["code"])
        del left[order_id]

    # Asking.

    async def _ask(self, question: Question) -> Any:
        """The answer when it is known; None: refused. Ends otherwise only by being cancelled."""
        while True:
            sent_s = self.diary.write(Event.SENT, question.act, question.ids, **question.about)
            answer = await self._try(question)
            if answer is None:
                await self._rest()
                continue
            if answer.status < 400:
                self.tally.acknowledged_s = max(self.tally.acknowledged_s, sent_s)
                return answer.document
            self._refuse(question, answer.status, answer.document.get("code", ""))
            return None

    async def _try(self, question: Question) -> Answer | None:
        """None: it is not known what happened."""
        body = question.body
        headers = dict(self._headers)
        if question.act is Act.RESERVE:
            headers["Idempotency-Key"] = question.ids[0]
        try:
            async with self._http.request(
                question.method,
                self._url + question.path,
                data=None if body is None else msgspec.json.encode(body),
                headers=headers,
                timeout=_TIMEOUT,
            ) as response:
                content = await response.read()
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            self._lose(question, 0, type(error).__name__)
            return None
        answer = Answer(response.status, msgspec.json.decode(content) if content else {})
        if answer.status in _UNKNOWN:
            self._lose(question, answer.status, answer.document.get("code", ""))
            return None
        return answer

    def _refuse(self, question: Question, status: int, code: str) -> None:
        self._note(Event.REFUSED, question, status, code)
        self.tally.refused[code] += 1

    def _lose(self, question: Question, status: int, code: str) -> None:
        self._note(Event.LOST, question, status, code)
        self.tally.lost += 1
        if status == 500:
            self.tally.failures.append(f"{question.act} {question.ids[0]}: {code}")

    def _note(self, event: Event, question: Question, status: int, code: str = "") -> None:
        self.diary.write(
            event, question.act, question.ids, status=status, code=code, **question.about
        )

    async def _rest(self) -> None:
        await asyncio.sleep(self.random.uniform(*_AGAIN_S))

    def _name(self) -> str:
        self._number += 1
        return f"{self.name}-{self._number:06d}"
