"""One client of the torture: asks the same until it knows, and writes everything into its diary."""

import asyncio
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple

from loadtest.settings import POOL, PROVINCE
from loadtest.torture.asking import UNKNOWN, Asker, Question
from loadtest.torture.diary import Act, Event

TTL_S: Final = 3_600
"""Of reservations that are not to expire: longer than any campaign."""

_REPEATED: Final = 0.05
"""Part of the reservations that are asked for twice at once, or once more in the end."""

_LOOK_S: Final = 0.5
_ORDERS: Final = "/v1/work-orders"
_OPERATOR: Final = "torture"
REFUSED_SERVICE: Final = "VOICE"
"""The HLRs of the campaign refuse this service's template, so an opening with it is rolled back."""

FALLOUT: Final = "fallout"
"""Of an interim receipt. The client goes on, and the checker finds it."""


class Reserved(NamedTuple):
    id: str
    numbers: Sequence[str]


@dataclass(slots=True)
class Opened:
    order_id: str
    user: str
    msisdn: str


@dataclass(slots=True)
class _Batch:
    """Orders on their way."""

    act: Act
    left: dict[str, Mapping[str, Any]]  #: by order id, those that are not known about
    taken: dict[str, str] = field(default_factory=dict)  #: numbers by order id


class Client:
    """`first_user` and those after it are its users' ids."""

    def __init__(self, asker: Asker, *, first_user: int) -> None:
        self.name, self.tally, self.random = asker.name, asker.tally, asker.random
        self.diary = asker.diary
        self._asker = asker
        self._next_user = first_user
        self._results: dict[str, str] = {}  #: by order id, of closed ones
        self._closed = asyncio.Event()

    # Reservations.

    async def reserve(
        self, count: int, *, ttl_s: int = TTL_S, pool: str = POOL, partial: bool = False
    ) -> Reserved | None:
        """None: there are not as many."""
        wanted: dict[str, Any] = {"pool": pool, "count": count, "province": PROVINCE, "digits": 13}
        if partial:
            wanted["partial"] = True
        return await self._reserve({**wanted, "ttl_s": ttl_s})

    async def reserve_named(self, numbers: Sequence[str]) -> Reserved | None:
        """None: one of them is another's."""
        wanted = {"pool": POOL, "numbers": numbers, "province": PROVINCE, "digits": 13}
        return await self._reserve({**wanted, "ttl_s": TTL_S})

    async def _reserve(self, wanted: Mapping[str, Any]) -> Reserved | None:
        """Now and then the same is asked twice at once, or once more when the answer is known."""
        key, body = self._asker.new_id(), {**wanted, "operator_id": _OPERATOR}
        twice, again = self.random.random() < _REPEATED, self.random.random() < _REPEATED
        made, twin = await asyncio.gather(
            self._reserve_by(key, body), self._reserve_by(key, body) if twice else _nothing()
        )
        made = made or twin
        if made is not None:
            self.tally.allocations += len(made.numbers)
            self.tally.seen.extend(made.numbers)
            if again:
                await self._reserve_by(key, body)
        return made

    async def _reserve_by(self, key: str, body: Mapping[str, Any]) -> Reserved | None:
        about = {"ttl_s": body["ttl_s"]}
        answer = await self._asker.ask(
            Question(Act.RESERVE, [key], "POST", "/v1/reservations", body, about)
        )
        if answer is None:
            return None
        made = Reserved(str(answer["id"]), await self._numbers(answer))
        given: dict[str, Any] = {"reservation": made.id, "numbers": made.numbers}
        self.diary.write(Event.ANSWERED, Act.RESERVE, [key], status=201, **given)
        return made

    async def _numbers(self, answer: Any) -> list[str]:
        """Those of the page that was answered, and of the ones after it."""
        numbers = [each["msisdn"] for each in answer["numbers"]]
        while "next" in answer and len(numbers) < answer["granted"]:
            path = f"/v1/reservations/{answer['id']}?limit=1000&after={answer['next']}"
            page = await self._asker.get(path)
            if page is None:
                await self._asker.rest()
                continue
            answer = page.document
            numbers += [each["msisdn"] for each in answer["numbers"]]
        return numbers

    async def extend(self, reserved: Reserved) -> bool:
        """False: it has expired."""
        path, about = f"/v1/reservations/{reserved.id}/extend", {"reservation": reserved.id}
        body, told = {"ttl_s": TTL_S}, {**about, "ttl_s": TTL_S}
        question = Question(Act.EXTEND, [self._asker.new_id()], "POST", path, body, told)
        if await self._asker.ask(question) is None:
            self.tally.releases += len(reserved.numbers)
            return False
        self._asker.note(Event.ANSWERED, question, 200)
        return True

    async def choose(self, reserved: Reserved, numbers: Sequence[str]) -> None:
        about = {"reservation": reserved.id, "numbers": numbers}
        path = f"/v1/reservations/{reserved.id}/choose"
        body = {"numbers": numbers, "ttl_s": TTL_S}
        question = Question(Act.CHOOSE, [self._asker.new_id()], "POST", path, body, about)
        if await self._asker.ask(question) is not None:
            self._asker.note(Event.ANSWERED, question, 200)
            self.tally.releases += len(reserved.numbers) - len(numbers)

    async def cancel(self, reserved: Reserved, *, holds: int) -> None:
        """`holds` numbers of it are neither chosen away nor opened."""
        path, about = f"/v1/reservations/{reserved.id}", {"reservation": reserved.id}
        question = Question(Act.CANCEL, [self._asker.new_id()], "DELETE", path, None, about)
        if await self._asker.ask(question) is not None:
            self._asker.note(Event.ANSWERED, question, 200)
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
        answer = await self._asker.get(f"/v1/reservations/{reserved.id}")
        return answer is None or answer.document.get("state") == "open"

    # Orders.

    async def open(
        self,
        count: int,
        *,
        fails: bool = False,
        reservation: str = "",
        msisdn: str = "",
        pool: str = POOL,
    ) -> list[Opened]:
        """Those that are in service in the end; the refused and the rolled back are not."""
        more: dict[str, Any] = {"services": [REFUSED_SERVICE]} if fails else {}
        if reservation:
            more["reservation"] = reservation
        if msisdn:
            more["msisdn"] = msisdn
        orders = [self._opening(pool, more) for _ in range(count)]
        users = {order["order_id"]: order["user_id"] for order in orders}
        numbers = await self._post(Act.OPEN, orders, reservation=reservation)
        self.tally.allocations += 0 if reservation else len(numbers)
        self.tally.seen.extend(number for number in numbers.values() if number)
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
            "order_id": self._asker.new_id(),
            "province": PROVINCE,
            "operator_id": _OPERATOR,
            "user_id": user,
        }

    async def _post(
        self, act: Act, orders: Sequence[Mapping[str, Any]], reservation: str = ""
    ) -> dict[str, str]:
        """Until each is acknowledged or refused; the numbers of the acknowledged, by order id."""
        batch = _Batch(act, {order["order_id"]: order for order in orders})
        while batch.left:
            sent_s = time.monotonic()
            for order_id, order in batch.left.items():
                about = {"user": order["user_id"], "reservation": reservation}
                self.diary.write(Event.SENT, act, [order_id], **about)
            ids, posted = list(batch.left), list(batch.left.values())
            answer = await self._asker.attempt(Question(act, ids, "POST", _ORDERS, posted))
            if answer is not None:
                self._judge_all(batch, ids, answer.document["answers"])
            if len(batch.left) < len(ids):
                self.tally.acknowledged_s = max(self.tally.acknowledged_s, sent_s)
            if batch.left:
                await self._asker.rest()
        return batch.taken

    def _judge_all(
        self, batch: "_Batch", ids: Sequence[str], lines: Sequence[Mapping[str, Any]]
    ) -> None:
        """In the order that they were posted in: one that cannot be read is answered without id."""
        for order_id, line in zip(ids, lines, strict=True):
            self._judge(batch, order_id, line)

    def _judge(self, batch: "_Batch", order_id: str, line: Mapping[str, Any]) -> None:
        refusal = line.get("refusal")
        about = {"user": batch.left[order_id]["user_id"]}
        question = Question(batch.act, [order_id], "POST", _ORDERS, None, about)
        if refusal is None:
            told = {"msisdn": line.get("msisdn") or "", "iccid": line.get("iccid") or ""}
            self.diary.write(Event.ANSWERED, batch.act, [order_id], status=202, **about, **told)
            batch.taken[order_id] = told["msisdn"]
        elif refusal["status"] in UNKNOWN:
            self._asker.lose(question, refusal["status"], refusal["code"])
            return
        else:
            self._asker.refuse(question, refusal["status"], refusal["code"])
        del batch.left[order_id]


async def _nothing() -> None:
    """Beside a question that is asked once."""
