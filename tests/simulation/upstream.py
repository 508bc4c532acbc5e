"""Upstream systems: random orders on a few users, posted again and again until answered."""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import msgspec

from hlrd.domain.claim import target_of
from hlrd.domain.errors import Refusal
from hlrd.domain.orders import (
    BEIJING,
    ArrearsSuspend,
    LeveledReason,
    MemberActivate,
    NERepair,
    NumberChange,
    OperatorResume,
    OperatorSuspend,
    PaymentResume,
    PreTerminate,
    ProductPublish,
    ProductSubscribe,
    ProductUnsubscribe,
    Reinstate,
    Service,
    SIMReplace,
    UserOpen,
    UserTerminate,
    VoluntaryResume,
    VoluntarySuspend,
    WorkOrder,
)
from hlrd.domain.product import ProductService, Relation
from hlrd.domain.suspension import Reason
from hlrd.ports import Answer, Submission
from tests.domain.products import a_content, a_function
from tests.simulation.database import POOL, PROVINCE, SECOND_RANGE_FIRST, iccid_of, imsi_of
from tests.simulation.faults import Faults
from tests.simulation.shells import Daemon
from tests.simulation.world import World, promise

KI = "0123456789ABCDEF0123456789ABCDEF"


_KINDS = (
    MemberActivate, UserOpen, ArrearsSuspend, PaymentResume, UserTerminate, ProductSubscribe,
    ProductUnsubscribe, VoluntarySuspend, VoluntaryResume, OperatorSuspend, OperatorResume,
    PreTerminate, Reinstate, SIMReplace, NumberChange,
)  # fmt: skip
_WEIGHTS = (1, 0.5, 5, 4, 2, 4, 3, 1, 1, 1, 1, 0.5, 1, 2, 2)
_WEIGHTS_OF_A_NEW_USER = (5, 3, *([0] * 13))
_OTHER_REASONS = (Reason.FRAUD, Reason.LOST)
_PUBLICATIONS = 0.06  #: of all orders
_PRODUCTS = ("A", "B")


def _services(product: str, version: int) -> list[ProductService]:
    """GPRS and V1 are of both products; A has content from its second version on."""
    shared = a_function("GPRS", relation=Relation("900001", "V1"))
    if product == "A":
        return [shared, a_content("NEWS", "N1")] if version > 1 else [shared, a_function("VPN")]
    return [shared] if version == 1 else [a_function("VPN"), a_function("GPRS")]


@dataclass(slots=True, eq=False)
class Post:
    """One order under one id, and what came back."""

    source: str
    order: WorkOrder
    id: int = 0  #: hlrd's, once accepted
    msisdn: str | None = None
    is_answered: bool = False
    receipt: bytes | None = None


def user_of(post: Post) -> str | None:
    return None if isinstance(post.order, ProductPublish) else post.order.user_id


class Upstream:
    def __init__(
        self,
        world: World,
        *,
        users: int,
        orders: int,
        numbers: list[str],
        bound: Callable[[str], str | None],
        faults: Callable[[], Faults],
    ) -> None:
        self.world = world
        self.posts: list[Post] = []
        self.owed = 0  #: calls of submit that are not answered
        self._users = [str(100 + n) for n in range(users)]
        self._left = orders
        self._numbers = numbers
        self._bound = bound
        self._faults = faults
        self._count = 0
        self._seqs: Counter[str] = Counter()
        self._versions: Counter[str] = Counter()
        self._late: list[Post] = []

    # Orders.

    def submit_some(self, daemon: Daemon) -> None:
        """One call of submit with a few orders."""
        size = min(self._left, self.world.rng.choice((1, 1, 2, 4)))
        self._left -= size
        posts = [self._post_again() or self._post_late() or self._new() for _ in range(size)]
        self._submit(daemon, posts)

    @property
    def is_done(self) -> bool:
        return self._left <= 0

    def repeat_unanswered(self, daemon: Daemon) -> None:
        posts = [post for post in self.posts if not post.is_answered]
        if posts:
            self._submit(daemon, posts)

    def _post_again(self) -> Post | None:
        if not self.posts or not self.world.happens(self._faults().repost):
            return None
        return self.world.rng.choice(self.posts[-8:])

    def _post_late(self) -> Post | None:
        """One that was held back."""
        if not self._late or not self.world.happens(0.3):
            return None
        post = self._late.pop(0)
        self.posts.append(post)
        return post

    def _twin(self) -> Post | None:
        """The same by another id, as when two systems send it."""
        twins = [post for post in self.posts if post.order.root_order_id is not None]
        if not twins or not self.world.happens(self._faults().twin):
            return None
        first = self.world.rng.choice(twins)
        order = msgspec.structs.replace(first.order, order_id=f"A{self._count}")
        is_of_boss = isinstance(order, ArrearsSuspend | PaymentResume) and self.world.happens(0.5)
        return Post("BOSS" if is_of_boss else "OPS", order)

    def _turn(self, user: str) -> dict[str, Any]:
        """What an order says of its turn."""
        faults, world, told = self._faults(), self.world, dict[str, Any]()
        if world.happens(faults.sequence):
            self._seqs[user] += 1 + world.happens(faults.missing)
            told["seq"] = self._seqs[user]
        if world.happens(faults.twin):
            told["root_order_id"] = f"R{self._count}"
        if world.happens(faults.dated):
            due = world.wall() + timedelta(seconds=world.rng.randint(1, 12))
            told["effective_time"] = due.astimezone(BEIJING).strftime("%Y%m%d%H%M%S")
        return told

    def _new(self) -> Post:
        rng = self.world.rng
        self._count += 1
        twin = self._twin()
        if twin is not None:
            self.posts.append(twin)
            return twin
        if self._count <= len(_PRODUCTS) or rng.random() < _PUBLICATIONS:
            return self._publication()
        user = rng.choice(self._users)
        fixed: dict[str, Any] = {
            "order_id": f"A{self._count}",
            "province": PROVINCE,
            "operator_id": "op",
            "user_id": user,
            **self._turn(user),
        }
        if rng.random() < 0.3:
            fixed["priority"] = rng.randrange(6)
        was_opened = any(user_of(post) == user for post in self.posts)
        weights = _WEIGHTS if was_opened or rng.random() < 0.05 else _WEIGHTS_OF_A_NEW_USER
        is_repair = was_opened and self.world.happens(self._faults().repair)
        kind = NERepair if is_repair else rng.choices(_KINDS, weights)[0]
        source = "OPS" if rng.random() < 0.95 else rng.choice(("BOSS", "CRM", "ESOP"))
        post = Post(source, self._order(kind, fixed))
        if post.order.seq is not None and self.world.happens(self._faults().late):
            self._late.append(post)
            return self._new()
        self.posts.append(post)
        return post

    def _publication(self) -> Post:
        rng = self.world.rng
        fixed = {"order_id": f"A{self._count}", "province": PROVINCE, "operator_id": "op"}
        product, version = rng.choice(_PRODUCTS), rng.choice((1, 1, 2, 3))
        is_odd = rng.random() < 0.05
        order = ProductPublish(
            **fixed,
            product=product,
            product_version=version,
            name="odd" if is_odd else product,
            services=_services(product, version),
        )
        post = Post("OPS", order)
        self.posts.append(post)
        return post

    def _order(self, kind: type[WorkOrder], fixed: dict[str, Any]) -> WorkOrder:
        rng = self.world.rng
        is_named = rng.random() < self._faults().named
        services = [Service.GPRS] if rng.random() < 0.05 else [Service.GPRS, Service.SMS]
        if kind is MemberActivate:
            card = iccid_of(rng.randrange(24)) if is_named else None
            lot = "lot1" if not is_named and rng.random() < 0.3 else None
            return MemberActivate(
                **fixed, ec_code="EC1", pool=POOL, iccid=card, lot=lot, services=services
            )
        if kind is UserOpen:
            return self._open(fixed, services)
        msisdn = self._number_of(fixed["user_id"])
        if kind is ArrearsSuspend:
            level = rng.choice((1, 2))
            word = self._word(fixed["user_id"], LeveledReason(Reason.ARREARS, level))
            return ArrearsSuspend(**fixed, msisdn=msisdn, level=level, **word)
        if kind is PaymentResume:
            return PaymentResume(**fixed, msisdn=msisdn, **self._word(fixed["user_id"]))
        if kind is SIMReplace:
            return self._replace(fixed, msisdn, is_named=is_named)
        if kind is NumberChange:
            number = rng.choice(self._numbers) if is_named and rng.random() < 0.7 else None
            days = rng.choice((None, 0))
            return NumberChange(
                **fixed, msisdn=msisdn, new_msisdn=number, pool=POOL, quarantine_days=days
            )
        if kind in (VoluntarySuspend, VoluntaryResume, PreTerminate, Reinstate, NERepair):
            return kind(**fixed, msisdn=msisdn)
        if kind in (OperatorSuspend, OperatorResume):
            return kind(**fixed, msisdn=msisdn, reason=rng.choice(_OTHER_REASONS))
        if kind is ProductSubscribe:
            version = rng.choice((None, None, 1, 2, 3))
            return ProductSubscribe(
                **fixed, msisdn=msisdn, product=rng.choice(_PRODUCTS), product_version=version
            )
        if kind is ProductUnsubscribe:
            return ProductUnsubscribe(**fixed, msisdn=msisdn, product=rng.choice(_PRODUCTS))
        return UserTerminate(**fixed, msisdn=msisdn, quarantine_days=0)

    def _word(self, user: str, *reasons: LeveledReason) -> dict[str, Any]:
        """What an order says of its user's state as the master has it."""
        faults, rng = self._faults(), self.world.rng
        if not self.world.happens(faults.versioned):
            return {}
        version = self._versions[user] = max(0, self._versions[user] + rng.choice((1, 1, 2, -1)))
        if not self.world.happens(faults.word):
            return {"state_version": version}
        others = [LeveledReason(Reason.VOLUNTARY, 1)] if rng.random() < 0.5 else []
        return {"state_version": version, "reasons": [*reasons, *others]}

    def _open(self, fixed: dict[str, Any], services: list[Service]) -> WorkOrder:
        """With a card of the stock, or one that comes with its key."""
        rng = self.world.rng
        msisdn = rng.choice(self._numbers)
        is_second = msisdn >= str(SECOND_RANGE_FIRST)
        lot = 1 if is_second else rng.choice((0, 2))
        serial = lot * 8 + rng.randrange(8) if rng.random() < 0.95 else rng.randrange(24)
        own = rng.random() < 0.5
        serial += 100 * own
        return UserOpen(
            **fixed,
            msisdn=msisdn,
            imsi=imsi_of(serial if rng.random() < 0.95 else serial + 1),
            iccid=iccid_of(serial),
            ki=KI if own else None,
            keyid=1 if own else None,
            services=services,
            reasons=rng.choice(
                (
                    [],
                    [LeveledReason(Reason.ARREARS, 1)],
                    [LeveledReason(Reason.VOLUNTARY, 2)],
                )
            ),
        )

    def _replace(self, fixed: dict[str, Any], msisdn: str, *, is_named: bool) -> WorkOrder:
        """By a card of the stock, one that comes with its key, or one that is drawn."""
        rng = self.world.rng
        if not is_named:
            lot = rng.choice((None, None, "lot1", "lot2"))
            return SIMReplace(**fixed, msisdn=msisdn, lot=lot)
        serial, own = rng.randrange(24), rng.random() < 0.5
        if not own:
            return SIMReplace(**fixed, msisdn=msisdn, iccid=iccid_of(serial))
        card = {"iccid": iccid_of(serial + 100), "imsi": imsi_of(serial + 100)}
        return SIMReplace(**fixed, msisdn=msisdn, **card, ki=KI, keyid=1)

    def _number_of(self, user: str) -> str:
        """As upstream knows it; now and then out of date."""
        known = self._bound(user) or next(
            (
                post.order.msisdn
                for post in reversed(self.posts)
                if user_of(post) == user and isinstance(post.order, UserOpen)
            ),
            None,
        )
        return known if known and self.world.happens(0.97) else self.world.rng.choice(self._numbers)

    # Posting.

    def _submit(self, daemon: Daemon, posts: list[Post]) -> None:
        submissions = [self._submission(post) for post in posts]
        self.owed += 1
        answered = False

        def on_answers(answers: list[Answer]) -> None:
            nonlocal answered
            promise(not answered, "a submit is answered twice")
            promise(len(answers) == len(posts), "as many answers as orders")
            answered = True
            self.owed -= 1
            for post, submission, answer in zip(posts, submissions, answers, strict=True):
                self._take(daemon, post, submission, answer)

        daemon.call(lambda: daemon.engine.submit(submissions, on_answers))

    def _submission(self, post: Post) -> Submission:
        """A copy, since hlrd takes the Ki off; now and then with other content."""
        order = msgspec.structs.replace(post.order)
        if post.is_answered and self.world.happens(0.3):
            order.operator_id = "other"
        if self.world.happens(0.02):
            refusal = Refusal("JSON_INVALID", "not a JSON document")
            return Submission(post.source, None, refusal)
        return Submission(post.source, order)

    def _take(self, daemon: Daemon, post: Post, submission: Submission, answer: Answer) -> None:
        if submission.order is None:
            promise(answer.refusal is submission.refusal, "an undecoded order keeps its refusal")
            return
        promise(answer.order_id == post.order.order_id, "an answer names another order")
        if answer.refusal is not None:
            daemon.seen[answer.refusal.code] += 1
            # Refused for load or drain: posted again. For content: that is the answer.
            post.is_answered = post.is_answered or answer.refusal.status < 429
            return
        self._take_acceptance(daemon, post, submission, answer)

    def _take_acceptance(
        self, daemon: Daemon, post: Post, submission: Submission, answer: Answer
    ) -> None:
        stored = daemon.database.orders.get(answer.id)
        promise(stored is not None, f"{answer.order_id} is answered before it is durable")
        assert stored is not None
        assert submission.order is not None
        promise(stored.operator_id == submission.order.operator_id, "other content, same answer")
        promise(post.id in (0, answer.id), f"{answer.order_id} was taken twice")
        first = target_of(stored.binding).msisdn if stored.binding else None
        if answer.msisdn is not None:
            promise(answer.msisdn == first, f"{answer.order_id} is answered with another number")
            post.msisdn = answer.msisdn
        post.id, post.is_answered = answer.id, True
        daemon.seen["repeated" if answer.is_repeat else "accepted"] += 1
        if answer.receipt is not None:
            post.receipt = answer.receipt
        elif self.world.happens(0.5):
            self._watch(daemon, post, answer.id)

    def _watch(self, daemon: Daemon, post: Post, order_id: int) -> None:
        """As the API does, which looks first whether it is closed already."""
        if order_id in daemon.closed or order_id in daemon.database.final:
            return
        called = False

        def on_receipt(receipt: bytes) -> None:
            nonlocal called
            promise(not called, "a receipt is told twice")
            called = True
            promise(daemon.database.final[order_id].receipt == receipt, "another receipt is told")
            post.receipt = receipt

        forget = daemon.engine.when_closed(order_id, on_receipt)
        if self.world.happens(0.1):
            forget()
