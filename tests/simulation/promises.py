"""The promises of the daemon, watched while a schedule runs and summed up when it is at rest."""

from collections import Counter, defaultdict

import orjson

from hlrd import limits
from hlrd.domain.lifecycle import OrderState, ProductState, UserState
from hlrd.domain.operation import Operation
from hlrd.domain.orders import MemberActivate, UserOpen
from hlrd.domain.outcome import Outcome, Verdict
from hlrd.engine.completion import FOLLOW_UP_MISSING
from hlrd.pool.lease import What
from hlrd.ports import Closing, Command, Intent
from tests.simulation.database import Database
from tests.simulation.intent import Wanted, replay
from tests.simulation.network import DSMP, HLR, SimNE
from tests.simulation.shells import Daemon
from tests.simulation.turns import NEEDLESS, must_precede, order_of_id
from tests.simulation.world import World, promise

_SILENT = frozenset({Verdict.IN_DOUBT})
_FAULTS_OF_READ_BACK = frozenset(
    {Verdict.BUSY, Verdict.TRANSIENT, Verdict.SESSION, Verdict.NOT_SENT, Verdict.IN_DOUBT}
)
_CHANGED = frozenset({Verdict.DONE, Verdict.FOLLOW_UP})


class Promises:
    def __init__(self, world: World, database: Database) -> None:
        self._world = world
        self._database = database
        self._doubted: dict[tuple[str, Operation], str] = {}
        self._lost_at: dict[tuple[str, Operation], float] = {}
        self._started: set[int] = set()
        self._changes: Counter[tuple[str, Operation]] = Counter()
        self.refused: Counter[int] = Counter()  #: by order, answers that may make it fail
        self.passing: Counter[int] = Counter()
        self.is_happy = True  #: no fault of any kind was met
        self.seen: Counter[str] = Counter()
        self.draining: Daemon | None = None

    # 3 and 4: commands.

    def sent(self, command: Command) -> None:
        key = _key(command)
        order_id = order_of(command)
        promise(self.draining is None, "a command is sent while the daemon drains")
        if command.intent is Intent.EXECUTE:
            promise(key not in self._doubted, f"{key} is resent after silence, not read back")
        else:
            self.seen["read back"] += 1
            self._check_settled(key)
        self._doubted[key] = "sent"
        self._check_start(order_id)

    def _check_settled(self, key: tuple[str, Operation]) -> None:
        lost_at = self._lost_at.get(key)
        settled = lost_at is None or self._world.now >= lost_at + SimNE.settle_s
        promise(settled, f"{key} is read back while it may still stand in the NE's queue")

    def _check_start(self, order_id: int) -> None:
        if order_id in self._started:
            return
        self._started.add(order_id)
        user = self._database.orders[order_id].user_id
        for other_id, record in self._database.orders.items():
            if record.user_id == user and other_id != order_id and self._waits(other_id):
                goes_first = must_precede(self._database, other_id, order_id)
                promise(not goes_first, f"{order_id} overtakes {other_id}")

    def _waits(self, order_id: int) -> bool:
        database = self._database
        is_known = not database.is_dated(order_id) or order_id in database.told_due
        return is_known and order_id not in database.final

    def executed(self, command: Command, outcome: Outcome) -> None:
        """2: nothing comes to an HLR that is not bound."""
        task = command.task
        is_change = command.intent is Intent.EXECUTE or task.operation.name.endswith("RELATION")
        if not is_change or outcome.verdict not in _CHANGED:
            return
        self._changes[_key(command)] += 1
        if task.operation is Operation.ADD_SUBSCRIBER:
            bound = self._database.bindings.get(task.binding.msisdn)
            promise(bound == task.binding, f"{task.binding.msisdn} is added and not bound so")

    def answered(self, command: Command, outcome: Outcome) -> None:
        key, verdict = _key(command), outcome.verdict
        self.seen[str(verdict)] += 1
        if verdict in _SILENT:
            self.is_happy = False
            self._lost_at[key] = self._world.now
            return
        is_read_back = command.intent is Intent.READ_BACK
        if not (is_read_back and verdict in _FAULTS_OF_READ_BACK):
            self._doubted.pop(key, None)
            self._lost_at.pop(key, None)
        if verdict is Verdict.PERMANENT:
            self.refused[order_of(command)] += 1
        if verdict in (Verdict.PREREQUISITE, Verdict.PERMANENT, Verdict.TRANSIENT):
            self.is_happy = False
        if verdict in (Verdict.TRANSIENT, Verdict.PREREQUISITE):
            self.passing[order_of(command)] += 1

    def daemon_died(self, now: float) -> None:
        self.is_happy = False
        for key in self._doubted:
            self._lost_at[key] = max(now, self._lost_at.get(key, 0.0))

    # 5: bounds, after every event.

    def after_event(self, daemon: Daemon) -> None:
        book = len(daemon.engine._book)
        arriving = daemon.engine._intake.arriving()
        most = limits.ORDERS_IN_MEMORY_MAX + limits.USER_ORDERS_OPEN_MAX
        resent = limits.RESEND_ORDERS_MAX * limits.USER_ORDERS_OPEN_MAX
        promise(book <= most + resent + arriving, f"{book} orders in memory")
        if daemon.engine._intake._waiting:
            self.seen["an order waits for a number"] += 1
        promise(arriving <= limits.ORDERS_ARRIVING_MAX, f"{arriving} orders arriving")
        most = limits.ORDERS_OPEN_MAX + limits.ORDERS_ARRIVING_MAX
        promise(daemon.engine.open_orders() <= most, "more orders are open than may be")

    # At rest.

    def check_rest(self, daemon: Daemon, elements: dict[str, HLR | DSMP], owed: int) -> None:
        promise(owed == 0, f"{owed} calls of submit have no answer")
        self._check_receipts()
        users = replay(self._database, self._may_fail)
        self._check_failures()
        self._check_network(users, elements)
        self._check_users(users)
        self._check_products(daemon, elements)
        self._check_numbers(daemon)
        self._check_nothing_left(daemon)
        if self.is_happy:
            twice = {key: times for key, times in self._changes.items() if times > 1}
            promise(not twice, f"executed twice without any fault: {twice}")

    def _check_receipts(self) -> None:
        database = self._database
        still_open = set(database.orders) - set(database.final)
        promise(not still_open, f"{sorted(still_open)} never closed")
        last: defaultdict[str, int] = defaultdict(int)
        for closing in database.receipts:
            marks = set(orjson.loads(closing.receipt).get("marks", ()))
            if closing.state == OrderState.CANCELLED or marks & NEEDLESS:
                self.seen.update(marks or ["cancelled"])
                promise(closing.order_id not in self._started, f"{closing.order_id} was sent")
            elif _keeps_its_place(database, closing):
                promise(last[closing.user_id] <= closing.order_id, f"{closing.order_id} is late")
                last[closing.user_id] = closing.order_id

    def _check_failures(self) -> None:
        """An opening fails only for a reason that the network gave."""
        for order_id, closing in self._database.final.items():
            record = self._database.orders[order_id]
            is_opening = record.binding is not None and record.binding.user_id == record.user_id
            if closing.state == OrderState.FAILED and is_opening:
                promise(self._may_fail(order_id), f"opening {order_id} failed for nothing")

    def _may_fail(self, order_id: int) -> bool:
        enough = self.passing[order_id] >= limits.TASK_ATTEMPTS_MAX
        return bool(self.refused[order_id]) or enough

    def _check_products(self, daemon: Daemon, elements: dict[str, HLR | DSMP]) -> None:
        """What is in memory is what is stored, and no target lacks what users are offered."""
        states = self._database.product_states
        known = {(one.product.id, one.product.version): one.state for one in daemon.products}
        _same(known, states, "products")
        dsmp = elements["dsmp"]
        assert isinstance(dsmp, DSMP)
        for key, state in states.items():
            for service in self._database.products[key].services:
                if state is not ProductState.STAGED and service.relation is not None:
                    told = (*key, service.relation.sp_service_id)
                    promise(told in dsmp.published, f"{told} is {state} and not published")

    def _check_network(self, users: dict[str, Wanted], elements: dict[str, HLR | DSMP]) -> None:
        subscribers, keys, relations = {}, set(), {}
        for user in users.values():
            if user.binding is not None:
                bound = user.binding
                functions = user.functions(self._database)
                subscribers[bound.hlr, bound.imsi] = (bound.msisdn, user.level, functions)
                keys.add((bound.hlr, bound.imsi))
                state = "paused" if user.level else "active"
                for service in ("", *user.relations(self._database)):
                    relations[f"{bound.msisdn} {service}".strip()] = state
        for name, element in elements.items():
            if isinstance(element, DSMP):
                _same(element.relations, relations, "relations")
            else:
                found = {
                    (name, imsi): (one.msisdn, int(one.level), one.functions)
                    for imsi, one in element.subscribers.items()
                }
                _same(found, _of(name, subscribers), f"subscribers of {name}")
                promise(
                    not element.untold or self._misses_follow_up(),
                    f"{name} never told the serving nodes of {element.untold}",
                )
                held = {(name, imsi) for imsi in element.keys}
                _same(held, {key for key in keys if key[0] == name}, f"keys of {name}")

    def _misses_follow_up(self) -> bool:
        """Upstream was told that a serving node may not know."""
        mark = FOLLOW_UP_MISSING.encode()
        return any(mark in closing.receipt for closing in self._database.receipts)

    def _check_users(self, users: dict[str, Wanted]) -> None:
        bound = {user: wanted.binding for user, wanted in users.items() if wanted.binding}
        stored = {
            user: self._database.bindings[msisdn]
            for user, msisdn in self._database.by_user.items()
            if not user.startswith("9")  # another node's
        }
        _same(stored, bound, "bindings")
        for name, wanted in users.items():
            user = self._database.user(name)  # type: ignore[arg-type]
            reasons = dict(user.reasons) if user else {}
            promise(reasons == wanted.reasons, f"user {name} is stored with {reasons}")
            is_closing = user is not None and user.state is UserState.PRE_TERMINATED
            promise(is_closing == wanted.is_closing, f"user {name} is stored as {user}")
            held = {one.product: one.version for one in user.products} if user else {}
            promise(held == wanted.products, f"user {name} is stored with {held}")
            promise((user is not None) == wanted.was_opened, f"user {name} is stored as {user}")

    def _check_numbers(self, daemon: Daemon) -> None:
        """What is leased is in memory, once; and nothing else, but for what another node stole."""
        database, allocator = daemon.database, daemon.allocator
        for ledger, what in ((allocator._numbers, What.NUMBERS), (allocator._cards, What.CARDS)):
            shelves = {shelf for _, shelf in ledger._places.values()}
            idle = Counter(item for shelf in shelves for item in shelf.idle)
            leased = Counter(
                name
                for lease_id, row in database.leases.items()
                if row.what is what
                for name in database.names_of(lease_id)
            )
            promise(max(leased.values(), default=1) == 1, f"{what} are leased twice")
            extra = idle - leased
            promise(not leased - idle, f"{what} leased and lost: {leased - idle}")
            promise(extra.total() <= self.seen["stolen"], f"{what} of no lease: {extra}")

    def _check_nothing_left(self, daemon: Daemon) -> None:
        engine = daemon.engine
        parts = [engine, engine._book, engine._parking, engine._intake, engine._dispatch]
        parts += [engine._execution, engine._execution.timers, engine._overflow]
        for part in parts:
            for name, value in _state_of(part).items():
                if name in ("_nes", "_lanes") or not hasattr(value, "__len__"):
                    continue
                empty = not any(map(len, value)) if isinstance(value, tuple) else not len(value)
                promise(empty, f"{type(part).__name__}.{name} keeps {value!r}")
        promise(not daemon.allocator._numbers.in_hand, "a number stays in hand")
        promise(not daemon.allocator._cards.in_hand, "a card stays in hand")


def _keeps_its_place(database: Database, closing: Closing) -> bool:
    order = order_of_id(database, closing.order_id)
    is_moved = database.is_dated(closing.order_id) or isinstance(order, MemberActivate | UserOpen)
    return order.seq is None and not is_moved


def _state_of(part: object) -> dict[str, object]:
    return {
        name: value
        for name, value in vars(part).items()
        if isinstance(value, dict | set | list | tuple) or type(value).__name__ in ("deque", "Book")
        if name not in ("_counts", "_routes", "_nes", "gates") and not name.endswith("_of_kind")
    }


def _key(command: Command) -> tuple[str, Operation]:
    return command.task.transaction, command.task.operation


def order_of(command: Command) -> int:
    return int(command.task.transaction.rstrip("up")[:-2])


def _of(hlr: str, entries: dict[tuple[str, str], object]) -> dict[tuple[str, str], object]:
    return {key: value for key, value in entries.items() if key[0] == hlr}


def _same(found: object, wanted: object, what: str) -> None:
    promise(found == wanted, f"{what}: found {found}, wanted {wanted}")
