"""The engine on a stage: every port is a fake that does nothing until the test says so."""

from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import Any

import orjson

from hlrd.domain.catalogue import BY_NAME
from hlrd.domain.conflict import Nature
from hlrd.domain.fallout import Release, Way
from hlrd.domain.identity import (
    ICCID,
    IMSI,
    MSISDN,
    Binding,
    Card,
    CardKey,
    SealedKey,
    UserId,
)
from hlrd.domain.lifecycle import NumberState, UserState
from hlrd.domain.master import Master, Masters
from hlrd.domain.orders import (
    ArrearsSuspend,
    MemberActivate,
    NumberChange,
    PaymentResume,
    SIMReplace,
    UserOpen,
    UserTerminate,
)
from hlrd.domain.outcome import Outcome, Verdict
from hlrd.domain.plans.plan import Routes
from hlrd.domain.publication import Products
from hlrd.domain.routing import RouteTable
from hlrd.domain.suspension import NO_REASONS, Reasons
from hlrd.domain.user import User
from hlrd.engine.engine import Engine
from hlrd.pool.draw import Drawn, Exhausted, Pending
from hlrd.ports import (
    Acceptance,
    Answer,
    Closing,
    Command,
    Facts,
    NumberFact,
    StoredOrder,
    Submission,
    Wanted,
)

KI = "0123456789ABCDEF0123456789ABCDEF"
FIRST_ID = 1_000
ROUTES = Routes(
    "dsmp",
    {"hlr1": {"GPRS+SMS": 1}},
    dialects={"hlr1": "mml"},
    platforms=frozenset({"platform"}),
    sheets="eoms",
)
DONE = Outcome(Verdict.DONE, "0", "ok")
KEY = SealedKey("k1", b"sealed")


class FakeClock:
    def __init__(self) -> None:
        self.now = 1_000.0

    def monotonic(self) -> float:
        return self.now

    def wall(self) -> datetime:
        return datetime(2026, 1, 1, tzinfo=UTC) + timedelta(seconds=self.now)


class FakeNE:
    def __init__(self, name: str) -> None:
        self.name = name
        self.settle_s = 10.0
        self.poll_s = 5.0
        self.places = 20
        self.sent: list[Command] = []
        self.wanted = 0

    def free(self) -> int:
        return self.places - len(self.sent)

    def window(self) -> int:
        return self.places

    def wants(self, waiting: int) -> None:
        self.wanted = waiting

    def execute(self, command: Command) -> None:
        assert self.free() > 0
        self.sent.append(command)


class FakeJournal:
    def __init__(self) -> None:
        self.accepts: list[Acceptance] = []
        self.closings: list[Closing] = []
        self.durable: list[Closing] = []

    def accept(self, record: Acceptance) -> None:
        self.accepts.append(record)

    def close(self, record: Closing) -> None:
        self.closings.append(record)

    def backlog(self) -> int:
        return len(self.accepts) + len(self.closings)


class FakeLookup:
    def __init__(self) -> None:
        self.wanted: list[Wanted] = []
        self.unparking: list[tuple[list[int], list[UserId]]] = []

    def resolve(self, wanted: Wanted) -> None:
        self.wanted.append(wanted)

    def unpark(self, order_ids: Sequence[int], users: Sequence[UserId]) -> None:
        self.unparking.append((list(order_ids), list(users)))


class FakeAllocator:
    """Draws what is scripted, else the next number; what is in hand is in `held`."""

    def __init__(self) -> None:
        self.script: list[Pending | Exhausted] = []
        self.held: list[str] = []
        self.dropped: list[str] = []
        self.holds_made = 0
        self._count = 0

    def draw(self, **_: object) -> Drawn | Pending | Exhausted:
        if self.script:
            return self.script.pop(0)
        self._count += 1
        return self._hold(card(self._count))

    def draw_for(self, named: Card, **_: object) -> Drawn | Pending | Exhausted:
        if self.script:
            return self.script.pop(0)
        self._count += 1
        return self._hold(named)

    def draw_reserved(
        self, _: int, *, card: Card | None = None, **__: object
    ) -> Drawn | Pending | Exhausted:
        return self.draw() if card is None else self.draw_for(card)

    def draw_card_for(self, msisdn: MSISDN, **_: object) -> Drawn | Pending | Exhausted:
        if self.script:
            return self.script.pop(0)
        self._count += 1
        drawn = Drawn(msisdn, card(self._count))
        self.held += [msisdn, drawn.card.iccid]
        return drawn

    def draw_number(self, **_: object) -> MSISDN | Pending | Exhausted:
        if self.script:
            return self.script.pop(0)
        self._count += 1
        msisdn = MSISDN(f"10647001{self._count:05d}")
        self.held.append(msisdn)
        return msisdn

    def draw_card(self, *_: object) -> Card | Pending | Exhausted:
        if self.script:
            return self.script.pop(0)
        self._count += 1
        drawn = card(1_000 + self._count)
        self.held.append(drawn.iccid)
        return drawn

    def _hold(self, named: Card) -> Drawn:
        msisdn = MSISDN(f"10647000{self._count:05d}")
        self.held += [msisdn, named.iccid]
        return Drawn(msisdn, named)

    def take(self, *, msisdn: str | None = None, iccid: str | None = None) -> bool:
        named = [item for item in (msisdn, iccid) if item is not None]
        if any(item in self.held for item in named):
            return False
        self.held += named
        return True

    def bound(self, **named: str | None) -> None:
        self._let_go(named)

    def put_back(self, **named: str | None) -> None:
        self._let_go(named)

    def drop(self, **named: str | None) -> None:
        self.dropped += [item for item in named.values() if item is not None]
        self._let_go(named)

    def _let_go(self, named: dict[str, str | None]) -> None:
        for item in named.values():
            if item is not None:
                self.held.remove(item)


class FakeVault:
    def seal(self, imsi: IMSI, key: CardKey) -> SealedKey:
        return KEY

    def open(self, imsi: IMSI, sealed: SealedKey) -> CardKey:
        raise NotImplementedError


def card(n: int, hlr: str = "hlr1") -> Card:
    return Card(ICCID(f"8986042020240{n:06d}"), IMSI(f"46004{n:010d}"), hlr, "200", KEY)


def user_of(n: int, reasons: Reasons = NO_REASONS, user_id: str = "7") -> User:
    """Active, with the number and card `n`."""
    one = card(n)
    binding = Binding(
        UserId(user_id), MSISDN(f"10647000{n:05d}"), one.imsi, one.iccid, one.hlr, "200", KEY
    )
    return User(UserState.ACTIVE, binding, reasons)


class Stage:
    def __init__(self, chance: Callable[[], float] = lambda: 0.5, **changes: Any) -> None:
        self.clock = FakeClock()
        self.journal = FakeJournal()
        self.lookup = FakeLookup()
        self.allocator = FakeAllocator()
        self.hlr, self.dsmp = FakeNE("hlr1"), FakeNE("dsmp")
        self.platform, self.eoms = FakeNE("platform"), FakeNE("eoms")
        self.products = Products()
        self.users: dict[str, User] = {}
        self.releases: dict[int, Release] = {}  #: what persons decided of fallouts
        self.facts: dict[str, Any] = {}  #: what the next answers of the lookup say besides
        self._orders = count(1)
        parts: dict[str, Any] = {
            "clock": self.clock,
            "chance": chance,
            "journal": self.journal,
            "lookup": self.lookup,
            "allocator": self.allocator,
            "vault": FakeVault(),
            "nes": {ne.name: ne for ne in (self.hlr, self.dsmp, self.platform, self.eoms)},
            "routes": ROUTES,
            "homes": RouteTable(),
            "products": self.products,
            "script_checks": {"mml": lambda script: None},
            "masters": Masters(Master.BOSS, {}),
            "order_ids": count(FIRST_ID),
            "first_own_id": FIRST_ID,
        }
        self.engine = Engine(**parts | changes)

    # Orders.

    def header(self, user: str = "7", **changes: Any) -> dict[str, Any]:
        fixed = {"order_id": f"A{next(self._orders)}", "province": "200", "operator_id": "op"}
        return fixed | {"user_id": user} | changes

    def activate(self, user: str = "7", **changes: Any) -> MemberActivate:
        return MemberActivate(**self.header(user), **{"ec_code": "EC"} | changes)

    def open(self, n: int, user: str = "7", **changes: Any) -> UserOpen:
        one = card(n)
        named = {"msisdn": f"10647000{n:05d}", "imsi": one.imsi, "iccid": one.iccid}
        key: dict[str, Any] = {"ki": KI, "keyid": 1, "services": ["GPRS", "SMS"]}
        return UserOpen(**self.header(user), **named | key | changes)

    def suspend(self, n: int = 1, user: str = "7", **changes: Any) -> ArrearsSuspend:
        fixed: dict[str, Any] = {"msisdn": f"10647000{n:05d}", "level": 2}
        return ArrearsSuspend(**self.header(user), **fixed | changes)

    def resume(self, n: int = 1, user: str = "7", **changes: Any) -> PaymentResume:
        return PaymentResume(**self.header(user), **{"msisdn": f"10647000{n:05d}"} | changes)

    def replace_card(self, n: int = 1, user: str = "7", **changes: Any) -> SIMReplace:
        return SIMReplace(**self.header(user), **{"msisdn": f"10647000{n:05d}"} | changes)

    def change_number(self, n: int = 1, user: str = "7", **changes: Any) -> NumberChange:
        return NumberChange(**self.header(user), **{"msisdn": f"10647000{n:05d}"} | changes)

    def terminate(self, n: int = 1, user: str = "7", **changes: Any) -> UserTerminate:
        return UserTerminate(**self.header(user), **{"msisdn": f"10647000{n:05d}"} | changes)

    # What the world does.

    def submit(self, *orders: Any, source: str = "OPS") -> list[Answer]:
        """The answers appear in the list once they are given."""
        answers: list[Answer] = []
        self.engine.submit([Submission(source, order) for order in orders], answers.extend)
        return answers

    def resolve(self) -> None:
        wanted, self.lookup.wanted = self.lookup.wanted, []
        if wanted:
            self.engine.on_resolved([self._facts(one) for one in wanted])

    def _facts(self, wanted: Wanted) -> Facts:
        known: dict[str, Any] = {
            "repeat": None,
            "user": self.users.get(wanted.user_id),
            "number": NumberFact("hlr1", "200", NumberState.IDLE) if wanted.msisdn else None,
            "card": None,
            "card_is_free": True,
        }
        return Facts(wanted.token, **known | self.facts)

    def accept(self) -> list[int]:
        records, self.journal.accepts = self.journal.accepts, []
        ids = [record.id for record in records]
        self.engine.on_accepted(ids)
        return ids

    def close(self) -> list[Closing]:
        closings, self.journal.closings = self.journal.closings, []
        self.journal.durable += closings
        for closing in closings:
            if closing.is_final and closing.user is not None:
                self.users[closing.user_id] = closing.user
        self.engine.on_closed([closing.order_id for closing in closings if closing.is_final])
        return closings

    def take(self, *orders: Any, source: str = "OPS") -> list[Answer]:
        """Submit, read and make durable."""
        answers = self.submit(*orders, source=source)
        self.resolve()
        self.accept()
        return answers

    def reply(self, outcome: Outcome | Verdict = DONE, *, ne: FakeNE | None = None) -> Command:
        """Answer the oldest command of this NE, or of the one that has any."""
        ne = ne or (self.hlr if self.hlr.sent else self.dsmp)
        command = ne.sent.pop(0)
        made = outcome if isinstance(outcome, Outcome) else Outcome(outcome)
        self.engine.on_outcomes([(command, made)])
        return command

    def finish(self) -> None:
        """Everything succeeds from here on."""
        while self.hlr.sent or self.dsmp.sent or self.journal.backlog() or self.lookup.wanted:
            self.resolve()
            self.accept()
            while self.hlr.sent or self.dsmp.sent:
                self.reply()
            self.close()

    def wait(self, seconds: float) -> None:
        self.clock.now += seconds
        self.engine.on_timer()

    def unpark(self, records: Sequence[Acceptance]) -> None:
        self.lookup.unparking.pop(0)
        self.engine.on_unparked([self.stored(record) for record in records])

    def stored(self, record: Acceptance) -> StoredOrder:
        is_change = BY_NAME[record.kind].nature is Nature.CHANGE
        binding, claim = (None, record.binding) if is_change else (record.binding, None)
        return StoredOrder(
            record.id, record.source, record.order_id, record.kind, record.user_id,
            record.priority, record.content_hash, record.payload, record.accepted_at,
            binding, self.users.get(record.user_id), self._release_of(record.id), claim=claim,
        )  # fmt: skip

    def _release_of(self, order_id: int) -> Release | None:
        """A resend of any that fell out, where the test says nothing else."""
        fell_out = any(one.order_id == order_id and one.fall for one in self.journal.durable)
        return self.releases.get(order_id) or (Release(Way.RESEND) if fell_out else None)

    # What is seen.

    def commands(self) -> list[str]:
        """On their way now."""
        return [
            f"{command.intent} {command.task.operation}"
            for command in self.hlr.sent + self.dsmp.sent
        ]

    def receipts(self) -> list[dict[str, Any]]:
        return [orjson.loads(closing.receipt) for closing in self.journal.durable]


def refusal(answers: list[Answer]) -> str:
    """The code of the only answer."""
    (answer,) = answers
    assert answer.refusal is not None, answer
    return answer.refusal.code
