"""Compares the reasons that hlrd holds of a province's users with those of its state master.

What differs is shown, or made right by one `NE_REPAIR` each, which carries the master's word. Users
with an open order are passed by: they are compared again when it is closed.
"""

import asyncio
import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

import msgspec

from hlrd import limits
from hlrd.domain.errors import BadRequest
from hlrd.domain.identity import UserId
from hlrd.domain.master import Master, Masters
from hlrd.domain.orders import NERepair, Source
from hlrd.domain.orders.repair import Subject
from hlrd.domain.reconciliation import Comparison, Difference, Held, Said
from hlrd.ports import Answer, Submission
from hlrd.store.masters import MasterBook


class Intake(Protocol):
    def submit(
        self, submissions: Sequence[Submission], on_answers: Callable[[list[Answer]], None], /
    ) -> None: ...


@dataclass(frozen=True, slots=True)
class _Different:
    said: Said
    held: Held
    shown: Difference


class Reconciler:
    def __init__(self, book: MasterBook, *, masters: Masters, intake: Intake) -> None:
        self._book = book
        self._masters = masters
        self._intake = intake

    async def compare(
        self, province: str, said: Sequence[Said], *, operator_id: str, repairs: bool
    ) -> Comparison:
        """`repairs`: post an order for each difference; the same list again posts none twice."""
        if len({one.user_id for one in said}) != len(said):
            raise BadRequest("USER_TWICE", "a user comes twice", "user_id")
        found = Comparison(province, self._masters.of(province).master)
        for start in range(0, len(said), limits.RECONCILE_USERS):
            different = await self._compare(said[start : start + limits.RECONCILE_USERS], found)
            if repairs and different:
                await self._repair(different, found, operator_id)
        return found

    async def _compare(self, said: Sequence[Said], found: Comparison) -> list[_Different]:
        held = await self._book.held([UserId(one.user_id) for one in said])
        different: list[_Different] = []
        for one in said:
            user = held.get(UserId(one.user_id))
            shown = found.count(one, user)
            if shown is not None:
                assert user is not None, "what is unknown does not differ"
                different.append(_Different(one, user, shown))
        left = limits.RECONCILE_SHOWN_MAX - len(found.differences)
        found.differences += [one.shown for one in different[:left]]
        return different

    async def _repair(
        self, different: Sequence[_Different], found: Comparison, operator_id: str
    ) -> None:
        orders = [_order(one, found, operator_id) for one in different]
        for one, order, answer in zip(different, orders, await self._post(orders), strict=True):
            if answer.refusal is None:
                found.repairs += not answer.is_repeat
                one.shown.order_id = order.order_id
            else:
                one.shown.refused = answer.refusal.code

    async def _post(self, orders: Sequence[NERepair]) -> list[Answer]:
        answers: asyncio.Future[list[Answer]] = asyncio.get_running_loop().create_future()

        def give(given: list[Answer]) -> None:
            if not answers.done():  # whoever asked may have gone
                answers.set_result(given)

        self._intake.submit([Submission(Source.OPS, order) for order in orders], give)
        return await answers


def _order(one: _Different, found: Comparison, operator_id: str) -> NERepair:
    return NERepair(
        order_id=_order_id(one, found),
        province=found.province,
        operator_id=operator_id,
        user_id=one.said.user_id,
        msisdn=one.held.msisdn,
        check=[Subject.BARRING],
        reasons=one.said.reasons,
        state_version=one.said.state_version,
        said_by="CRM" if found.speaker is Master.CRM else "BOSS",
        cause="reconciled with the state master",
    )


def _order_id(one: _Different, found: Comparison) -> str:
    """The same for the same word about the same state."""
    content = msgspec.json.encode([found.province, found.speaker, one.said, one.shown.hlrd])
    return f"RC-{hashlib.blake2b(content, digest_size=12).hexdigest()}"
