"""Asks an HLR for subscribers that it must have, behind all orders: a roll call."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Final, TypeAlias

from msgspec.structs import replace

from hlrd import limits
from hlrd.domain.identity import MSISDN
from hlrd.domain.operation import NOBODY, Cause, Operation, Task
from hlrd.domain.outcome import Outcome, Verdict
from hlrd.store.moves import Subscriber

Inquire: TypeAlias = Callable[[Sequence[Task], Callable[[Task, Outcome], None]], Callable[[], None]]

_ROUNDS: Final = 3
"""Who got no clear word is asked for again: a session may have been lost."""


@dataclass(slots=True)
class Roll:
    """What the HLR said so far."""

    asked: int
    missing: int = 0
    silent: int = 0
    examples: list[dict[str, str]] = field(default_factory=list)

    @property
    def is_proven(self) -> bool:
        return not (self.missing or self.silent)

    def name(self, msisdn: MSISDN, cause: str) -> None:
        if len(self.examples) < limits.MOVE_EXAMPLES_MAX:
            self.examples.append({"msisdn": msisdn, "cause": cause})


class RollCall:
    def __init__(self, inquire: Inquire, hlr: str) -> None:
        self._inquire = inquire
        self._hlr = hlr

    async def of(
        self, subscribers: Sequence[Subscriber], on_round: Callable[[Roll], Awaitable[None]]
    ) -> Roll:
        """`on_round` is told how far it is. Ends early when the HLR says nothing at all."""
        roll = Roll(len(subscribers))
        left = list(subscribers)
        for _ in range(_ROUNDS):
            left = await self._round(roll, left, on_round)
        roll.silent = len(left)
        for one in left:
            roll.name(one.msisdn, "the HLR gave no clear word")
        return roll

    async def _round(
        self,
        roll: Roll,
        subscribers: Sequence[Subscriber],
        on_round: Callable[[Roll], Awaitable[None]],
    ) -> list[Subscriber]:
        """Those without a clear word."""
        size, left = limits.MOVE_INQUIRIES_MAX, list[Subscriber]()
        for start in range(0, len(subscribers), size):
            chunk = subscribers[start : start + size]
            answers = await self._ask(chunk)
            if not answers:
                return [*left, *subscribers[start:]]
            left += [one for one in chunk if not _tell(roll, one, answers.get(one.msisdn))]
            await on_round(roll)
        return left

    async def _ask(self, chunk: Sequence[Subscriber]) -> dict[MSISDN, Outcome]:
        """Until all are answered, or none was for MOVE_SILENCE_S."""
        answers: dict[MSISDN, Outcome] = {}
        came = asyncio.Event()

        def put(task: Task, outcome: Outcome) -> None:
            answers[task.binding.msisdn] = outcome
            came.set()

        call_off = self._inquire([self._question(one) for one in chunk], put)
        try:
            while len(answers) < len(chunk):
                came.clear()
                async with asyncio.timeout(limits.MOVE_SILENCE_S):
                    await came.wait()
        except TimeoutError:
            pass
        finally:
            call_off()
        return answers

    def _question(self, one: Subscriber) -> Task:
        named = replace(NOBODY, msisdn=one.msisdn, hlr=self._hlr, province=one.province)
        return Task(Operation.FIND_NUMBER, self._hlr, named, Cause.ORDERED)


def _tell(roll: Roll, one: Subscriber, outcome: Outcome | None) -> bool:
    """Whether that was a clear word."""
    if outcome is None or outcome.verdict not in (Verdict.APPLIED, Verdict.ABSENT):
        return False
    found = outcome.text.removeprefix("IMSI ")
    if outcome.verdict is Verdict.ABSENT:
        roll.missing += 1
        roll.name(one.msisdn, "the HLR has no record of it")
    elif found.isdecimal() and found != one.imsi:
        roll.missing += 1
        roll.name(one.msisdn, f"the HLR has it with IMSI {found}")
    return True
