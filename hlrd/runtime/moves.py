"""Moves a segment of numbers or cards from one HLR to another (割接): drain, switch, verify.

From the start of a move the orders of the segment wait, and say why. The data itself is moved by
the HLRs' own tools, once nothing of the segment is in flight. Then staff orders the switch, which
is durable step by step, and the new HLR is asked for its subscribers. Only when it has them do the
orders go on, there; or staff turns the move back. A restart goes on where it was.
"""

import asyncio
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Final, Protocol, TypeVar

import structlog

from hlrd import limits
from hlrd.domain.errors import BadRequest, Conflict, NotFound
from hlrd.domain.lifecycle import MOVE, MoveEvent, MoveState, advance
from hlrd.domain.operation import Task
from hlrd.domain.outcome import Outcome
from hlrd.domain.routing import Rehoming, RouteTable
from hlrd.engine.segments import Segments
from hlrd.runtime.roll import Roll, RollCall
from hlrd.store import moves as store
from hlrd.store.connection import Connection, writing_as
from hlrd.store.errors import StoreUnavailable
from hlrd.store.link import Link
from hlrd.store.moves import MoveBook, Subscriber
from hlrd.store.record import MoveRow

_log: Final = structlog.get_logger(__name__)
T = TypeVar("T")


class Engine(Protocol):
    """What a move asks of the engine."""

    @property
    def segments(self) -> Segments: ...

    def release_segment(self) -> None: ...

    def inquire(
        self, tasks: Sequence[Task], on_outcome: Callable[[Task, Outcome], None], /
    ) -> Callable[[], None]: ...


@dataclass(frozen=True, slots=True)
class Progress:
    """What only memory knows of the move that goes on."""

    waiting: int  #: users whose orders wait in memory
    running: int  #: orders that had begun


class SegmentMoves:
    """`recover` before the engine takes over open orders, then keep `run` running."""

    def __init__(
        self,
        dsn: str,
        *,
        node: str,
        epoch: int,
        book: MoveBook,
        engine: Engine,
        homes: RouteTable,
        change_ranges: Callable[[Callable[[Connection], Awaitable[None]]], Awaitable[None]],
        templates: Mapping[str, Collection[str]],
        settle_s: Callable[[str], float],
        chance: Callable[[], float],
    ) -> None:
        """`change_ranges`: `LeaseKeeper.change_ranges`. `templates`: of each HLR, the services that
        it has one for. `settle_s`: of an HLR, how long a lost
        command may still stand in its queue."""
        self._link = Link(dsn, "moves", **writing_as(node, epoch))
        self._book = book
        self._engine = engine
        self._homes = homes
        self._change_ranges = change_ranges
        self._templates = templates
        self._settle_s = settle_s
        self._chance = chance
        self._move: MoveRow | None = None
        self._moved_on = asyncio.Event()
        self._rest_s = 0.0  #: before the first look, for commands of an earlier run

    async def recover(self) -> None:
        """Hold what was held before the restart."""
        for rehoming in await self._book.done():
            self._homes.move(rehoming)
        move = await self._book.open()
        if move is not None:
            self._rest_s = self._settle_s(move.rehoming.old)
            if move.state in (MoveState.VERIFYING, MoveState.UNPROVEN):
                self._homes.move(move.rehoming)
            self._take_up(move)

    # Asked by staff.

    async def start(self, rehoming: Rehoming, operator_id: str, sample: int | None) -> MoveRow:
        """Conflict while another move goes on, or for what is in the way of this one."""
        self._refuse_unequal(rehoming.old, rehoming.new)
        move = await self._book.add(rehoming, operator_id, sample)
        _log.info("move_started", id=move.id, move=str(rehoming), operator=operator_id)
        self._take_up(move)
        return move

    async def order(self, id: int, event: MoveEvent, operator_id: str) -> MoveRow:
        """NotFound; Conflict if the move is not in a state for it."""
        move = await self.get(id)
        if (move.state, event) not in MOVE:
            raise Conflict("MOVE_NOT_READY", f"the move is {move.state}")
        _log.info("move_ordered", id=id, event_=event, operator=operator_id)
        if not await self._advance(move, event):
            raise Conflict("MOVE_NOT_READY", "the move has just gone on by itself")
        return await self.get(id)

    async def get(self, id: int) -> MoveRow:
        move = await self._book.get(id)
        if move is None:
            raise NotFound("MOVE_UNKNOWN", "no move has this id")
        return move

    async def newest(self) -> Sequence[MoveRow]:
        return await self._book.newest()

    def progress(self) -> Progress:
        segments = self._engine.segments
        return Progress(segments.waiting(), segments.running())

    def _refuse_unequal(self, old: str, new: str) -> None:
        """Both are HLRs, and the new one can open what the old one can."""
        for name, field in ((old, "from"), (new, "to")):
            if name not in self._templates:
                raise BadRequest("HLR_UNKNOWN", "no HLR of the configuration has this name", field)
        if old == new:
            raise BadRequest("SAME_HLR", "the segment is there already", "to")
        lacking = sorted(set(self._templates[old]) - set(self._templates[new]))
        if lacking:
            text = f"{new} has no template for {lacking[0]}, which {old} has"
            raise Conflict("HLR_LACKS_TEMPLATE", text, "to")

    # The work.

    async def run(self) -> None:
        """For ever. Ends by Fenced, or by being cancelled."""
        works: Mapping[MoveState, Callable[[MoveRow], Awaitable[None]]] = {
            MoveState.DRAINING: self._drain,
            MoveState.SWITCHING: self._switch,
            MoveState.VERIFYING: self._verify,
            MoveState.RETURNING: self._return,
        }
        try:
            while True:
                self._moved_on.clear()
                work = None if self._move is None else works.get(self._move.state)
                if work is None or self._move is None:
                    await self._moved_on.wait()
                else:
                    await self._stubbornly(partial(work, self._move))
        finally:
            self._link.drop()

    async def _drain(self, move: MoveRow) -> None:
        await self._until(lambda: not self._engine.segments.running(), rest_s=self._rest_s)
        if not self._moved_on.is_set():
            await self._advance(move, MoveEvent.EMPTIED)

    async def _switch(self, move: MoveRow) -> None:
        await self._rehome(move, move.rehoming)
        await self._advance(move, MoveEvent.SWITCHED)

    async def _return(self, move: MoveRow) -> None:
        await self._rehome(move, move.rehoming.back())
        await self._advance(move, MoveEvent.RETURNED)

    async def _rehome(self, move: MoveRow, rehoming: Rehoming) -> None:
        """Memory first: from then on nothing goes to the journal with the old home."""
        segments = self._engine.segments
        arriving = segments.rehome(rehoming)
        while True:
            if segments.are_durable(arriving):
                break
            await asyncio.sleep(limits.MOVE_LOOK_S)
        await self._change_ranges(lambda connection: store.rehome_sources(connection, rehoming))
        for first, last in rehoming.segment.spans():
            await self._rehome_bindings(move.id, rehoming, first, last)
        self._homes.move(rehoming)

    async def _rehome_bindings(self, id: int, rehoming: Rehoming, first: int, last: int) -> None:
        after: int | None = first - 1
        while after is not None:
            cursor = after
            after = await self._link.stubbornly(
                lambda connection, cursor=cursor: store.rehome_bindings(  # type: ignore[misc]
                    connection, id, rehoming, cursor, last
                )
            )

    async def _verify(self, move: MoveRow) -> None:
        call = RollCall(self._engine.inquire, move.rehoming.new)
        roll = await call.of(await self._chosen(move), partial(self._note, move.id))
        await self._note(move.id, roll)
        _log.info("move_verified", id=move.id, asked=roll.asked, missing=roll.missing)
        event = MoveEvent.PROVEN if roll.is_proven else MoveEvent.NOT_PROVEN
        await self._advance(move, event)

    async def _note(self, id: int, roll: Roll) -> None:
        await self._book.note(
            id,
            asked=roll.asked,
            missing=roll.missing,
            silent=roll.silent,
            examples=roll.examples,
        )

    async def _chosen(self, move: MoveRow) -> list[Subscriber]:
        """All, or a sample in which each is as likely as any other."""
        most = min(move.sample or limits.MOVE_VERIFIED_MAX, limits.MOVE_VERIFIED_MAX)
        chosen: list[Subscriber] = []
        seen = 0
        for first, last in move.rehoming.segment.spans():
            after: int | None = first - 1
            while after is not None:
                after, page = await self._book.subscribers(move.rehoming, after, last)
                for subscriber in page:
                    seen += 1
                    if len(chosen) < most:
                        chosen.append(subscriber)
                    elif (place := int(self._chance() * seen)) < most:
                        chosen[place] = subscriber
        return chosen

    # States.

    def _take_up(self, move: MoveRow) -> None:
        rehoming = move.rehoming
        why = {
            "reason": "segmentMoves",
            "cause": f"{rehoming.segment} moves from {rehoming.old} to {rehoming.new}",
            "move": str(move.id),
            "since": move.started_at,
        }
        self._engine.segments.hold(rehoming.segment, why)
        self._go_on(move)

    def _go_on(self, move: MoveRow | None) -> None:
        self._move = move
        self._moved_on.set()

    async def _advance(self, move: MoveRow, event: MoveEvent) -> bool:
        """False: it has gone on otherwise."""
        after = advance(MOVE, move.state, event)
        has_gone_on = await self._book.advance(move.id, move.state, after)
        now = await self.get(move.id)
        _log.info("move_advanced", id=move.id, move=str(move.rehoming), state=now.state)
        if now.is_over:
            self._go_on(None)
            self._engine.release_segment()
        else:
            self._go_on(now)
        return has_gone_on

    # Patience.

    async def _until(self, holds: Callable[[], bool], *, rest_s: float) -> None:
        """Or until the move goes on otherwise."""
        wait_s = rest_s
        while not self._moved_on.is_set():
            try:
                async with asyncio.timeout(wait_s):
                    await self._moved_on.wait()
            except TimeoutError:
                if holds():
                    return
            wait_s = limits.MOVE_LOOK_S

    async def _stubbornly(self, work: Callable[[], Awaitable[None]]) -> None:
        try:
            await work()
        except StoreUnavailable as error:
            _log.warning("store_unavailable", purpose="moves", error=str(error))
            await asyncio.sleep(limits.STORE_RETRY_DELAY_S_MAX)
