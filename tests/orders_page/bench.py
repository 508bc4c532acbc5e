"""The real engine between upstream and the emulators' cores, one order at a time, in a time of its
own: every run of the same orders gives the same words.
"""

from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from itertools import count
from typing import Any, Final, NamedTuple

import msgspec
import orjson

from adapters import DIALECTS
from hlrd.domain import orders
from hlrd.domain.batch import Template, member_child
from hlrd.domain.catalogue import BY_NAME
from hlrd.domain.errors import Refusal
from hlrd.domain.group import Enterprises, GroupPlaces
from hlrd.domain.identity import ICCID, IMSI, MSISDN, Card, UserId, luhn_digit
from hlrd.domain.lifecycle import NumberState, OrderState, UserState
from hlrd.domain.orders import Service, WorkOrder
from hlrd.domain.orders.batch import BatchOrder, ECFanOut
from hlrd.domain.outcome import Counts, Outcome, Verdict
from hlrd.domain.plans.batch import BATCHES
from hlrd.domain.plans.plan import Routes
from hlrd.domain.suspension import NO_REASONS
from hlrd.domain.user import User
from hlrd.ports import Acceptance, Answer, Closing, Command, Facts, NumberFact, Wanted
from tests.engine.stage import KEY, FakeAllocator, Stage
from tests.orders_page.peers import HLRPeer, Logged, Sent, network

FIRST_ID: Final = 1 << 40
HLR: Final = "hlr1"
LOT: Final = "LOT-1"
NAMED: Final = 10
"""Numbers and cards that are not drawn."""

EXCHANGE_S: Final = 1 / 64
STEPS_MAX: Final = 2_000

ROUTES: Final = Routes(
    "dsmp",
    {HLR: {"GPRS+SMS": 1}},
    dialects={HLR: "huawei_hlr"},
    groups=GroupPlaces(
        nationwide="nation",
        class1="class1",
        gateway="gateway",
        province_platform="platform",
        province_management="management",
        relays={"BOSS1": "boss1", "BBOSS": "bboss"},
    ),
    sheets="eoms",
    platforms=frozenset({"nation", "class1", "platform", "management"}),
)


class Ended(NamedTuple):
    """What became of one order that was posted."""

    refusal: Refusal | None
    receipt: Mapping[str, Any]  #: the last one; empty for a refused order
    commands: Sequence[Logged]
    children: Sequence[tuple[WorkOrder, Mapping[str, Any]]] = ()  #: with their receipts

    @property
    def said(self) -> str:
        """In a word or two: the result, the marks or the code."""
        if self.refusal is not None:
            return self.refusal.code
        words = self.receipt.get("marks") or [self.receipt.get("code", "")]
        return " ".join([self.receipt["result"], *words]).strip()


def card(n: int) -> Card:
    body = f"898604202024{n:07d}"
    return Card(ICCID(f"{body}{luhn_digit(body)}"), IMSI(f"460040000{n:06d}"), HLR, "200", KEY)


def number(n: int) -> MSISDN:
    return MSISDN(f"1064700{n:06d}")


class Allocator(FakeAllocator):
    """Draws numbers and cards in the order of the stock: chance is tested elsewhere. The first of
    it are for orders that name theirs."""

    def __init__(self) -> None:
        super().__init__()
        self._count = NAMED

    def draw(self, **_: object) -> Any:
        self._count += 1
        return self._hold(card(self._count))

    def draw_card(self, *_: object) -> Any:
        self._count += 1
        drawn = card(self._count)
        self.held.append(drawn.iccid)
        return drawn

    def draw_number(self, **_: object) -> Any:
        self._count += 1
        self.held.append(number(self._count))
        return number(self._count)

    def _hold(self, named: Card) -> Any:
        drawn = super()._hold(named)._replace(msisdn=number(self._count))
        self.held[-2] = drawn.msisdn
        return drawn


class Batches(NamedTuple):
    """Takes the task of a fan-out, as the part of hlrd does that hands in children."""

    name: str
    sent: deque[Command]
    settle_s: float = 0.0
    poll_s: float = 0.0

    def free(self) -> int:
        return 1 - len(self.sent)

    def window(self) -> int:
        return 1

    def wants(self, waiting: int) -> None:
        pass

    def execute(self, command: Command) -> None:
        self.sent.append(command)


class Bench(Stage):
    def __init__(self) -> None:
        self.sent: deque[Sent] = deque()
        self.log: list[Logged] = []
        self._files: dict[str, tuple[str, Sequence[Mapping[str, str]]]] = {}
        self.network = network(self.sent)
        self._fan_outs = Batches(BATCHES, deque())
        self._refused_at: int | None = None
        self._accepted: dict[int, Acceptance] = {}
        self._receipts: dict[int, Mapping[str, Any]] = {}
        self._children: list[tuple[WorkOrder, Mapping[str, Any]]] = []
        self._ids = count(1)
        super().__init__(
            nes={**self.network, BATCHES: self._fan_outs},
            routes=ROUTES,
            script_checks={"huawei_hlr": DIALECTS["huawei_hlr"].check_script},
            enterprises=Enterprises(),
            allocator=Allocator(),
            order_ids=count(FIRST_ID),
            first_own_id=FIRST_ID,
        )

    # What an example does.

    def post(
        self, document: Mapping[str, Any], source: str, *, refused_at: int | None = None
    ) -> Ended:
        """To its end. `refused_at`: this command of it is refused for good, counted from 0."""
        before = len(self.log)
        self._refused_at, self._children = refused_at, []
        try:
            order = orders.decode(orjson.dumps(document))
        except Refusal as refusal:
            return Ended(refusal, {}, ())
        answer = self._post(order, source)
        receipt = self._receipts.get(answer.id, {}) if answer.refusal is None else {}
        assert answer.refusal or receipt, f"{document} came to no end"
        return Ended(answer.refusal, receipt, self.log[before:], list(self._children))

    def next_id(self) -> str:
        """Of an order that only prepares."""
        return f"B-{next(self._ids)}"

    def put_file(self, batch: str, child: str, *rows: Mapping[str, str]) -> None:
        """A batch file that was checked."""
        self._files[batch] = (child, rows)

    def by_hand(self, command: str) -> None:
        """Somebody at the HLR's own console."""
        peer = self.network[HLR].peer
        assert isinstance(peer, HLRPeer)
        reply = peer.serve(command.encode())
        assert reply.code == "0", reply

    def _post(self, order: WorkOrder, source: str) -> Answer:
        answers = self.submit(order, source=source)
        for _ in range(STEPS_MAX):
            if answers and (answers[0].refusal or answers[0].id in self._receipts):
                return answers[0]
            self._step()
        raise AssertionError(f"{order} came to no end")

    # The course of things.

    def _step(self) -> None:
        """What is nearest at hand; only when nothing is, time passes."""
        if self.lookup.wanted:
            self.resolve()
        elif self.journal.accepts:
            self._accepted |= {record.id: record for record in self.journal.accepts}
            self.accept()
        elif self.sent:
            self._serve(self.sent.popleft())
        elif self.journal.closings:
            self.close()
        elif self._fan_outs.sent:
            self._fan_out(self._fan_outs.sent[0])
        else:
            due = self.engine.next_due()
            assert due is not None, "nothing more would ever happen"
            self.wait(max(0.0, due - self.clock.now) + 1 / 1024)

    def _serve(self, sent: Sent) -> None:
        is_refused = self._refused_at == 0
        self._refused_at = None if self._refused_at is None else self._refused_at - 1
        self.clock.now += EXCHANGE_S
        logged, outcome = sent.wire.serve(
            sent.command, is_beside=sent.is_beside, is_refused=is_refused
        )
        self.log.append(logged)
        self.engine.on_outcomes([(sent.command, outcome)])

    def close(self) -> list[Closing]:
        closings = super().close()
        for closing in closings:
            self._keep(closing)
            if closing.is_final or closing.state == OrderState.FALLOUT:
                self._receipts[closing.order_id] = orjson.loads(closing.receipt)
        return closings

    def _keep(self, closing: Closing) -> None:
        """What the tables of bindings, products and members say, beside that of users."""
        record, user = self._accepted[closing.order_id], self.users.get(closing.user_id)
        is_opened = closing.state == OrderState.SUCCEEDED and BY_NAME[record.kind].opens_user
        if is_opened and closing.user is None:
            user = User(UserState.ACTIVE, record.binding, NO_REASONS, member=closing.joins)
        if user is None:
            return
        if closing.products is not None:
            user = msgspec.structs.replace(user, products=closing.products)
        if closing.leaves_ec:
            user = msgspec.structs.replace(user, member=None)
        self.users[closing.user_id] = user

    def _fan_out(self, command: Command) -> None:
        record = self._accepted[int(command.task.details.text)]
        ended = [(child, self._child(child, record.source)) for child in self._made(record)]
        self._children += ended
        ok = sum(receipt.get("result") == OrderState.SUCCEEDED for _, receipt in ended)
        counts = Counts(ok=ok, failed=len(ended) - ok)
        self._fan_outs.sent.popleft()
        self.engine.on_outcomes([(command, Outcome(Verdict.DONE, counts=counts))])

    def _child(self, order: WorkOrder, source: str) -> Mapping[str, Any]:
        answer = self._post(order, source)
        if answer.refusal is not None:
            return {"result": "refused", "code": answer.refusal.code}
        return self._receipts[answer.id]

    def _made(self, record: Acceptance) -> Iterable[WorkOrder]:
        order = orders.decode_stored(record.payload)
        if isinstance(order, BatchOrder):
            kind, rows = self._files[order.batch]
            template = Template(
                record.id, kind, order.order_id, order.province, order.operator_id, record.priority
            )
            return [template.child(at, row, is_text=True) for at, row in enumerate(rows, 2)]
        assert isinstance(order, ECFanOut)
        return [
            member_child(order, record.id, UserId(user), held.binding.msisdn)
            for user, held in self.users.items()
            if held.member is not None and held.member.ec_code == order.ec_code and held.binding
        ]

    # What the database knows.

    def _facts(self, wanted: Wanted) -> Facts:
        stock = next((one for one in map(card, range(1, 20)) if one.iccid == wanted.iccid), None)
        bound = [user.binding for user in self.users.values() if user.binding is not None]
        is_taken = any(one.msisdn == wanted.msisdn for one in bound)
        state = NumberState.IN_USE if is_taken else NumberState.IDLE
        return msgspec.structs.replace(
            super()._facts(wanted),
            number=NumberFact(HLR, "200", state) if wanted.msisdn else None,
            card=stock,
            card_is_free=not any(one.iccid == wanted.iccid for one in bound),
            imsi_is_free=not any(one.imsi == wanted.imsi for one in bound),
            opened_with=(Service.GPRS, Service.SMS) if wanted.opened_with else None,
            ec_product_used=wanted.ec_product is not None and self._is_used(*wanted.ec_product),
            has_members=any(
                user.member is not None and user.member.ec_code == wanted.members_of
                for user in self.users.values()
            ),
        )

    def _is_used(self, ec_code: str, product: str) -> bool:
        return any(
            user.member is not None
            and user.member.ec_code == ec_code
            and (
                user.member.product == product or product in [one.product for one in user.products]
            )
            for user in self.users.values()
        )
