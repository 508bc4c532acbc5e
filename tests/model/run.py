"""One sequence: carried out by the real engine, and followed by the model."""

from collections import defaultdict
from collections.abc import Callable, Mapping
from datetime import timedelta
from functools import partial
from typing import Any, Final

import msgspec
import orjson

from hlrd import limits
from hlrd.domain import orders
from hlrd.domain.catalogue import BY_NAME
from hlrd.domain.claim import card_of as card_of_claim
from hlrd.domain.claim import number_of, target_of
from hlrd.domain.errors import Refusal
from hlrd.domain.fallout import Act, Way
from hlrd.domain.identity import MSISDN
from hlrd.domain.orders import BEIJING, WorkOrder
from hlrd.domain.orders.batch import ECFanOut
from hlrd.ports import Acceptance, Answer, BindingEnd, Clash, Closing, Submission
from tests.model import compare
from tests.model.making import CARDS, CHILDREN, NOT_OF_USERS, Asked, fields_of
from tests.model.network import HIT, PLATFORMS, RELAYS, ROUTES, Platform, ScriptedNE, Watch
from tests.model.reference import MEMBER_WAIT_S, OPENINGS, Document, Ending, Held, Reference, agree
from tests.model.steps import (
    USERS,
    Again,
    Crash,
    Desk,
    Down,
    Extra,
    Faults,
    Pause,
    Post,
    Recall,
    Sequence,
    Step,
    Wait,
)
from tests.simulation.batches import File, SimBatches
from tests.simulation.database import (
    FIRST_RANGE_FIRST,
    HLRS,
    PROVINCE,
    SECOND_RANGE_FIRST,
    Database,
    card_of,
)
from tests.simulation.faults import NONE
from tests.simulation.network import DSMP, HLR
from tests.simulation.shells import IDS_PER_LIFE, Daemon
from tests.simulation.world import World

NUMBERS_OF_RANGE: Final = 6
REST_S: Final = 45.0
LAST_S: Final = 4_000.0
EVENTS_MAX: Final = 20_000
TOLD_WITHIN_S: Final = 0.1

_NO_WORD: Final = frozenset({"SIM_REPLACE", "NUMBER_CHANGE", *OPENINGS})
"""Kinds that the people of this desk never call done: their network elements would hold what no
later order can name."""

_STEPS_TO_SKIP: Final = frozenset(
    {"setBarring", "openRelation", "pauseRelation", "resumeRelation", "closeRelation", "removeKey",
     "addFunction", "removeFunction", "subscribeMember", "unsubscribeMember", "subscribeEC",
     "unsubscribeEC", "reportMember", "cancelReport"}
)  # fmt: skip


class WatchedDatabase(Database):
    """Tells the model what became durable, in that order."""

    on_accept: Callable[[Acceptance], None]
    on_close: Callable[[Closing], None]

    def accept(self, record: Acceptance) -> Clash | None:
        clash = super().accept(record)
        if clash is None:
            self.on_accept(record)
        return clash

    def close(self, record: Closing, now: float) -> None:
        super().close(record, now)
        if record.is_final:
            self.on_close(record)


class Posted:
    """What upstream remembers of one order."""

    def __init__(self, source: str, order: WorkOrder) -> None:
        self.source = source
        self.order = order
        self.id = 0
        self.is_answered = False
        self.refusal = ""


class Run:
    def __init__(self, sequence: Sequence) -> None:
        self.sequence = sequence
        self.world = World(sequence.seed)
        self.reference = Reference()
        self.database = WatchedDatabase()
        self.database.on_accept, self.database.on_close = self._accepted, self._closed
        self._stock()
        self.watch = Watch(self.world, self.database)
        self.elements: dict[str, Any] = {name: HLR(self.world, lambda: NONE) for name in HLRS}
        self.elements["dsmp"] = DSMP()
        self.elements |= {name: Platform() for name in (*PLATFORMS, *RELAYS)}
        self.nes = {name: self._ne(name) for name in self.elements}
        self.batches = SimBatches(self.database, self)
        self.posted: list[Posted] = []
        self.fan_outs: list[tuple[ECFanOut, int, frozenset[str]]] = []
        self._seqs: defaultdict[str, int] = defaultdict(int)
        self._held_back: defaultdict[str, list[int]] = defaultdict(list)
        self._versions: defaultdict[str, int] = defaultdict(int)
        self._held_versions: defaultdict[str, list[int]] = defaultdict(list)
        self._closed_at: defaultdict[str, float] = defaultdict(lambda: -TOLD_WITHIN_S)
        self._accepted_at: dict[int, float] = {}
        self._count = 0
        self.daemon = self._start()

    def _stock(self) -> None:
        firsts = (FIRST_RANGE_FIRST, SECOND_RANGE_FIRST)
        for place, (first, hlr) in enumerate(zip(firsts, HLRS, strict=True)):
            self.database.import_range(first, hlr, range(first, first + NUMBERS_OF_RANGE))
            serials = range(place * CARDS, (place + 1) * CARDS)
            self.database.import_lot(f"lot{place}", hlr, [card_of(n, hlr) for n in serials])
        self.numbers = tuple(str(first + n) for first in firsts for n in range(NUMBERS_OF_RANGE))

    def _ne(self, name: str) -> ScriptedNE:
        return ScriptedNE(
            name, element=self.elements[name], world=self.world, faults=lambda: NONE,
            watcher=self.watch, sessions=4,
        )  # fmt: skip

    # A daemon lives and dies.

    def _start(self) -> Daemon:
        daemon = Daemon(
            world=self.world,
            database=self.database,
            nes={**self.nes, self.batches.name: self.batches},
            faults=lambda: NONE,
            watcher=self.watch,
            routes=ROUTES,
            member_wait_s=MEMBER_WAIT_S,
        )
        self.batches.take_up()
        return daemon

    def _crash(self) -> None:
        self.daemon.die()
        self.batches.forget()
        for ne in self.nes.values():
            ne.forget()
        self.watch.daemon_died(self.world.now)
        self.daemon = self._start()
        self._post_unanswered()

    # What the model is told.

    def _accepted(self, record: Acceptance) -> None:
        self._accepted_at[record.id] = self.world.now
        order = orjson.loads(record.payload)
        held = Held()
        if record.binding is not None:
            target = target_of(record.binding)
            is_claim = record.binding.user_id != record.user_id
            number = number_of(record.binding) or "" if is_claim else target.msisdn
            card = card_of_claim(record.binding) or "" if is_claim else target.iccid
            held = Held(number, card, target.imsi if card else "", target.hlr)
        is_dated = self.database.is_dated(record.id)
        self.reference.accepted(record.id, order, held, is_dated=is_dated)

    def _closed(self, record: Closing) -> None:
        told = orjson.loads(record.receipt)
        self._closed_at[record.user_id] = self.world.now
        release = self.database.releases.get(record.order_id)
        ends = record.binding_end, record.claim_end and record.claim_end.end
        is_by_word = release is not None and (release.way is Way.FINISH or bool(release.skipped))
        user = record.user
        binding = self.database.orders[record.order_id].binding
        born = {} if binding is not None and user is None else None
        reasons = born if user is None else {str(one): int(at) for one, at in user.reasons.items()}
        self.reference.closed(
            record.order_id,
            Ending(
                result=told["result"],
                marks=frozenset(told.get("marks", ())),
                code=told.get("code", ""),
                duplicate_of=told.get("duplicate_of"),
                may_fail=self.watch.may_fail(record.order_id),
                levels=frozenset(self.watch.levels[record.order_id]),
                is_by_word=is_by_word,
                reasons=reasons,
                is_unproven=BindingEnd.UNPROVEN in ends,
                waited_s=self.world.now - self._accepted_at[record.order_id],
                is_doubted=record.order_id < self.database.epoch * IDS_PER_LIFE,
            ),
        )

    def fan_out_began(self, order: ECFanOut, batch: int) -> None:
        level = getattr(order, "level", 0)
        members = frozenset(
            user for user, line in self.reference.lines.items() if line.ec == order.ec_code
        )
        self.fan_outs.append((order, batch, members))
        self.reference.fan_out_began(order.ec_code, order.reason, level)

    # The course of a sequence.

    def run(self) -> None:
        if self.sequence.is_furnished:
            self._furnish()
        for step in self.sequence.steps:
            self.take(step)
        self._come_to_rest()
        compare.check(self)

    def _furnish(self) -> None:
        """Products, two enterprises, two members, one of them as reported, and a user."""
        plain = partial(Post, extra=Extra.PLAIN, pause=Pause.NONE)
        for b in (0, 1, 4):
            self.take(plain("PRODUCT_PUBLISH", 0, 0, b))
        self._run_for(REST_S)
        for a, b in ((0, 0), (0, 1), (3, 1)):
            self.take(plain("EC_PRODUCT_SUBSCRIBE", 0, a, b))
        self._run_for(REST_S)
        self.take(plain("MEMBER_ACTIVATE", 0, 0, 0))
        self.take(Post("MEMBER_OPEN", 1, 0, 0, Extra.NAMED, Pause.NONE))
        self.take(Post("USER_OPEN", 2, 1, 1, Extra.NAMED, Pause.REST))

    def take(self, step: Step) -> None:
        match step:
            case Post():
                self._post(self._new(step))
            case Again():
                self._post_again(step)
            case Faults(element, fates):
                self.nes[HIT[element]].fates.extend(fates)
            case Down(element, for_s):
                self.nes[HIT[element]].go_down(float(for_s))
            case Desk(which, act):
                self._act(which, act)
            case Recall(back, is_cancel):
                self._recall(back, is_cancel=is_cancel)
            case Crash():
                self._crash()
            case Wait(seconds):
                self._run_for(float(seconds))
                self._recycle()
        self._pause(getattr(step, "pause", Pause.NONE))

    def _pause(self, pause: Pause) -> None:
        if pause is Pause.SOME:
            self._run_for(self.world.rng.random() * 0.08)
        elif pause is Pause.REST:
            self._run_for(REST_S)

    def _run_for(self, seconds: float) -> None:
        end = self.world.now + seconds
        for _ in range(EVENTS_MAX):
            at, due = self.world.next_at(), self.daemon.engine.next_due()
            if due is not None and (at is None or due <= at):
                if due > end:
                    return
                self.world.now = max(self.world.now, due + 0.001)
                self.daemon.call(self.daemon.engine.on_timer)
            elif at is not None and at <= end:
                self.world.step()
            else:
                return
        agree(False, f"no end after {EVENTS_MAX} events")

    # Orders.

    def _new(self, step: Post) -> Posted:
        self._count += 1
        user = str(100 + step.user % USERS)
        header: dict[str, Any] = {
            "type": step.kind, "order_id": f"A{self._count}", "province": PROVINCE,
            "operator_id": "op",
        }  # fmt: skip
        asked = self._asked(step, user)
        fields = {**fields_of(step.kind, asked), **header}
        fields = {name: value for name, value in fields.items() if value is not None}
        source = "BBOSS" if step.kind.startswith("PARTNER") else "OPS"
        if step.extra in (Extra.OF_BOSS, Extra.OF_CRM):
            source = "BOSS" if step.extra is Extra.OF_BOSS else "CRM"
        if step.kind == "BATCH":
            self._put_file(asked, source, header["order_id"], step)
        elif step.kind not in NOT_OF_USERS:
            fields |= self._turn_of(step, user)
        if step.extra in (Extra.SOON, Extra.LATER):
            due = self.world.wall() + timedelta(seconds=5 if step.extra is Extra.SOON else 60)
            fields["effective_time"] = due.astimezone(BEIJING).strftime("%Y%m%d%H%M%S")
        return Posted(source, orders.of_fields(fields, is_text=False))

    def _asked(self, step: Post, user: str) -> Asked:
        known = self._number_of(user)
        is_stale = step.extra is Extra.STALE or not known
        return Asked(
            user=user,
            msisdn=self.numbers[step.a] if is_stale else known,
            a=step.a,
            b=step.b,
            numbers=self.numbers,
            is_named=step.extra is Extra.NAMED,
            file=str(self._count),
            rows=1 + step.b % 3,
            child=CHILDREN[step.a],
        )

    def _number_of(self, user: str) -> str:
        """As upstream knows it."""
        line = self.reference.lines.get(user)
        if line is not None and line.number:
            return line.number
        bound: Mapping[Any, MSISDN] = self.database.by_user
        return bound.get(user, MSISDN(""))

    def _put_file(self, asked: Asked, source: str, order_id: str, step: Post) -> None:
        rows: list[dict[str, Any]] = []
        for user in range(asked.rows):
            one = self._asked(step, str(100 + (step.user + user) % USERS))
            fields = fields_of(asked.child, one)
            rows.append({name: value for name, value in fields.items() if value is not None})
        file = File(int(asked.file), source, order_id, asked.child, rows)
        self.database.batches.files[file.id] = file
        self.reference.files.add(asked.file)

    def _turn_of(self, step: Post, user: str) -> dict[str, Any]:
        """What an order says of its place among those of its user."""
        match step.extra:
            case Extra.NEXT | Extra.HELD_BACK:
                self._seqs[user] += 1
                if step.extra is Extra.HELD_BACK:
                    self._held_back[user].append(self._seqs[user])
                    self._seqs[user] += 1
                return {"seq": self._seqs[user]}
            case Extra.LATE if self._held_back[user]:
                return {"seq": self._held_back[user].pop()}
            case Extra.ROOT:
                return {"root_order_id": f"R{self._count}"}
            case Extra.TWIN:
                return self._twin_of(step.kind, user)
            case Extra.VERSION | Extra.LATE_VERSION:
                return self._version_of(step, user)
        return {}

    def _twin_of(self, kind: str, user: str) -> dict[str, Any]:
        for one in reversed(self.posted):
            is_alike = BY_NAME[kind].shape is type(one.order)
            if is_alike and getattr(one.order, "user_id", "") == user:
                return {"root_order_id": one.order.root_order_id or f"R{self._count}"}
        return {"root_order_id": f"R{self._count}"}

    def _version_of(self, step: Post, user: str) -> dict[str, Any]:
        if not BY_NAME[step.kind].is_versioned:
            return {}
        held = self._held_versions[user]
        if step.extra is Extra.LATE_VERSION and held:
            return {"state_version": held.pop()}
        self._versions[user] += 2
        held.append(self._versions[user] - 1)
        return {"state_version": self._versions[user]}

    def _post(self, posted: Posted, order: WorkOrder | None = None) -> None:
        if posted not in self.posted:
            self.posted.append(posted)
        copy = msgspec.structs.replace(order or posted.order)
        known, was_open = self._snapshot(posted)

        def take(answers: list[Answer]) -> None:
            (answer,) = answers
            self._answered(posted, copy, answer, is_other=order is not None)
            if answer.refusal is not None and not known:
                self._check_refusal(posted, answer.refusal, was_open=was_open)

        self.daemon.call(lambda: self.daemon.engine.submit([Submission(posted.source, copy)], take))

    def _snapshot(self, posted: Posted) -> tuple[bool, bool]:
        """Whether it was posted before, and whether something of its user is under way."""
        user = getattr(posted.order, "user_id", None)
        on_its_way = any(
            getattr(one.order, "user_id", None) == user and not one.is_answered
            for one in self.posted
            if one is not posted
        )
        is_open = user is None or on_its_way or self._is_busy(user)
        return posted.is_answered, is_open

    def _answered(
        self, posted: Posted, order: WorkOrder, answer: Answer, *, is_other: bool
    ) -> None:
        name = posted.order.order_id
        if answer.refusal is not None:
            self.watch.seen[answer.refusal.code] += 1
            if is_other and posted.id:
                agree(answer.refusal.code == "DUPLICATE_CONFLICT", f"{name}: {answer.refusal.code}")
            if answer.refusal.status < 429:
                posted.is_answered, posted.refusal = True, answer.refusal.code
            return
        agree(answer.id in self.database.orders, f"{name} is answered before it is durable")
        agree(posted.id in (0, answer.id), f"{name} was taken twice")
        agree(not (is_other and posted.id), f"{name} has other content and the same answer")
        self.watch.seen["repeated" if answer.is_repeat else "accepted"] += 1
        posted.id, posted.is_answered = answer.id, True
        if is_other:
            posted.order = order

    def _check_refusal(self, posted: Posted, refusal: Refusal, *, was_open: bool) -> None:
        """Of a user that nothing is open of, the model knows whether it is true."""
        if was_open or self._is_busy(getattr(posted.order, "user_id", "")):
            return
        holds = compare.REFUSALS.get(refusal.code)
        if holds is not None:
            fields = orjson.loads(msgspec.json.encode(posted.order))
            fields["source"] = posted.source
            agree(holds(self.reference, fields), f"{fields['order_id']} is refused: {refusal}")

    def _is_busy(self, user: str) -> bool:
        """Or was a moment ago: hlrd itself is told last. A batch may hand in orders of anybody."""
        is_just_closed = self.world.now < self._closed_at[user] + TOLD_WITHIN_S
        return is_just_closed or self.reference.is_open(user) or not self.batches.is_idle()

    def _post_unanswered(self) -> None:
        for posted in self.posted:
            if not posted.is_answered:
                self._post(posted)

    def _post_again(self, step: Again) -> None:
        if not self.posted:
            return
        posted = self.posted[-1 - step.back % len(self.posted)]
        other = msgspec.structs.replace(posted.order, operator_id="other")
        self._post(posted, other if step.is_other and posted.id else None)

    # People.

    def _recall(self, back: int, *, is_cancel: bool) -> None:
        open_ids = [id for id in self.database.orders if id not in self.database.final]
        if open_ids:
            order_id = open_ids[-1 - back % len(open_ids)]
            act = self.daemon.cancel if is_cancel else self.daemon.chase
            self.daemon.call(lambda: act(order_id))

    def _act(self, which: int, act: Act) -> None:
        fallen = [id for id in self.daemon.engine.fallout if id in self.database.falls]
        if not fallen:
            return
        order_id = fallen[which % len(fallen)]
        fall, kind = self.database.falls[order_id], self.database.orders[order_id].kind
        if act is Act.SKIP and fall.operation not in _STEPS_TO_SKIP:
            act = Act.RESEND
        if act is Act.FINISH and (kind in _NO_WORD or fall.is_undo):
            act = Act.RESEND
        self._decide(order_id, act)

    def _decide(self, order_id: int, act: Act) -> None:
        if act in (Act.CHANGE, Act.TO_EOMS):
            act = Act.RESEND
        if self.database.decide(order_id, act):
            self.watch.seen[str(act)] += 1
            self.daemon.call(lambda: self.daemon.engine.release(order_id))

    def _recycle(self) -> None:
        """As the daemon does it: who still has a record is not given to the next."""
        for number, hold in self.database.number_holds.items():
            if hold.state == "quarantined" and not compare.is_known_of(str(number), self.elements):
                hold.state = "free"
                self.reference.recycled(str(number))
        self.daemon.recount()

    # At the end.

    def _come_to_rest(self) -> None:
        """No more faults; people send again what fell out, and call done what cannot go on."""
        for ne in self.nes.values():
            ne.fates.clear()
        for turn in range(12):
            self._run_for(LAST_S)
            fallen = list(self.daemon.engine.fallout)
            for order_id in fallen:
                self._decide(order_id, Act.RESEND if turn < 3 else self._last_resort(order_id))
            self._post_unanswered()
            is_over = all(one.is_answered for one in self.posted) and not self.batches._held
            if not fallen and is_over:
                break
        self._run_for(LAST_S)
        agree(not self.daemon.engine.fallout, "what fell out cannot be carried out any more")
        agree(self.daemon.engine.is_quiet(), "the daemon does not come to rest")
        agree(self.batches.is_idle(), "a batch does not come to its end")

    def _last_resort(self, order_id: int) -> Act:
        """Only where a person's word stood in the place of a command before."""
        record = self.database.orders[order_id]
        order: Document = orjson.loads(record.payload)
        line = self.reference.lines.get(order.get("user_id", ""))
        is_unsure = line is not None and line.number in self.reference.unsure_numbers
        is_unsure |= order_id in self.database.skipped or "user_id" not in order
        agree(is_unsure, f"{order_id} cannot be carried out: {self.database.falls[order_id]}")
        return Act.SKIP if self.database.falls[order_id].is_undo else Act.FINISH


assert limits.USER_ORDERS_OPEN_MAX > 25, "no sequence fills the line of a user"
