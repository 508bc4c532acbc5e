"""What survives a crash: journal, bindings, users, pool and stock, with their unique keys."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from msgspec import structs

from hlrd import limits
from hlrd.domain import claim as claims
from hlrd.domain import orders, trail
from hlrd.domain.catalogue import BY_NAME, Direction
from hlrd.domain.fallout import Act, Fall, Release, Way, done_of, way_of
from hlrd.domain.identity import ICCID, IMSI, MSISDN, Binding, Card, SealedKey, UserId
from hlrd.domain.lifecycle import NumberState, OrderState, ProductState, UserState
from hlrd.domain.orders import Opening, ProductSubscribe, Service, decode_stored
from hlrd.domain.product import Holding, Product
from hlrd.domain.publication import Products
from hlrd.domain.suspension import NO_REASONS
from hlrd.domain.user import User
from hlrd.pool.lease import CardGrant, NumberGrant, Settled, What, Wish
from hlrd.pool.ranges import NumberRange
from hlrd.pool.stock import Lot
from hlrd.ports import (
    Acceptance,
    BindingEnd,
    ClaimEnd,
    Clash,
    Closing,
    Facts,
    NumberFact,
    Repeat,
    StoredOrder,
    Wanted,
)
from hlrd.store.turns import Due
from tests.simulation.batches import BatchTables
from tests.simulation.groups import GroupTables
from tests.simulation.world import promise

HLRS = ("hlr1", "hlr2")
PROVINCE = "200"
POOL = "iot"
QUARANTINE_S = 25.0
FIRST_RANGE_FIRST = 1064700000000
SECOND_RANGE_FIRST = 1064700000100
NUMBERS_A_RANGE = 12
CARDS_A_LOT = 8


@dataclass(slots=True)
class Hold:
    state: str  #: free, quarantined, locked or scrapped
    source_id: int | None
    since: float
    lease_id: int | None = None


@dataclass(slots=True)
class Source:
    """A range or a lot: its items in the order of leasing."""

    items: list[int] | list[Card]
    counter: int = 0


@dataclass(slots=True)
class LeaseRow:
    what: What
    source_id: int
    items: list[int] | list[Card]


def iccid_of(serial: int) -> ICCID:
    return ICCID(f"8986042020240{serial:06d}")


def imsi_of(serial: int) -> IMSI:
    return IMSI(f"46004{serial:010d}")


def card_of(serial: int, hlr: str) -> Card:
    return Card(iccid_of(serial), imsi_of(serial), hlr, PROVINCE, SealedKey("k1", b"sealed"))


@dataclass(slots=True)
class Database:
    orders: dict[int, Acceptance] = field(default_factory=dict)
    by_key: dict[tuple[str, str], int] = field(default_factory=dict)
    receipts: list[Closing] = field(default_factory=list)
    final: dict[int, Closing] = field(default_factory=dict)
    falls: dict[int, Fall] = field(default_factory=dict)  #: of orders that fell out, the last
    releases: dict[int, Release] = field(default_factory=dict)  #: with what persons let them go
    skipped: dict[int, set[str]] = field(default_factory=dict)  #: steps that count as done
    users: dict[UserId, User] = field(default_factory=dict)
    bindings: dict[MSISDN, Binding] = field(default_factory=dict)
    made_by: dict[MSISDN, int] = field(default_factory=dict)
    by_imsi: dict[IMSI, MSISDN] = field(default_factory=dict)
    by_iccid: dict[ICCID, MSISDN] = field(default_factory=dict)
    by_user: dict[UserId, MSISDN] = field(default_factory=dict)
    ranges: dict[int, NumberRange] = field(default_factory=dict)
    lots: dict[int, Lot] = field(default_factory=dict)
    sources: dict[tuple[What, int], Source] = field(default_factory=dict)
    cards: dict[ICCID, Card] = field(default_factory=dict)
    lot_of: dict[ICCID, int] = field(default_factory=dict)
    number_holds: dict[int, Hold] = field(default_factory=dict)
    card_holds: dict[ICCID, Hold] = field(default_factory=dict)
    leases: dict[int, LeaseRow] = field(default_factory=dict)
    next_lease: int = 1
    epoch: int = 0
    products: dict[tuple[str, int], Product] = field(default_factory=dict)
    product_states: dict[tuple[str, int], ProductState] = field(default_factory=dict)
    holdings: dict[UserId, tuple[Holding, ...]] = field(default_factory=dict)
    applied: dict[UserId, dict[str, int]] = field(default_factory=dict)
    places: dict[int, int] = field(default_factory=dict)  #: of orders dated ahead that fell due
    told_due: set[int] = field(default_factory=set)  #: that the daemon knows of
    groups: GroupTables = field(default_factory=GroupTables)
    batches: BatchTables = field(default_factory=BatchTables)

    # Setting up.

    def import_range(self, first: int, hlr: str, items: Sequence[int]) -> None:
        at = len(self.ranges) + 1
        last = first + len(items) - 1
        self.ranges[at] = NumberRange(POOL, first, last, 13, PROVINCE, hlr, at, 0)
        self.sources[What.NUMBERS, at] = Source(list(items))

    def import_lot(self, name: str, hlr: str, cards: Sequence[Card]) -> None:
        at = len(self.lots) + 1
        self.lots[at] = Lot(at, name, PROVINCE, hlr, len(cards), 0)
        self.sources[What.CARDS, at] = Source(list(cards))
        for card in cards:
            self.cards[card.iccid] = card
            self.lot_of[card.iccid] = at

    # The journal.

    def accept(self, record: Acceptance) -> Clash | None:
        clash = self._clash(record)
        if clash is not None:
            return clash
        promise(record.id not in self.orders, f"order {record.id} was accepted twice")
        self.orders[record.id] = record
        self.by_key[record.source, record.order_id] = record.id
        if record.binding is not None:
            self.bind(record.binding, record.id)
        if record.product is not None:
            self._stage(record.product)
        if record.turn is not None:
            self._apply(record.user_id, record.turn.used_up)
        self.groups.put(record.enterprise)
        self._check_offer(record)
        return None

    def _apply(self, user_id: UserId, steps: Sequence[tuple[str, int]]) -> None:
        applied = self.applied.setdefault(user_id, {})
        for subject, seq in steps:
            applied[subject] = max(seq, applied.get(subject, seq))

    def _stage(self, product: Product) -> None:
        key = product.id, product.version
        stands = self.products.setdefault(key, product)
        promise(stands == product, f"version {key} is taken with two contents")
        self.product_states.setdefault(key, ProductState.STAGED)

    def _check_offer(self, record: Acceptance) -> None:
        order = orders.decode_stored(record.payload)
        if isinstance(order, ProductSubscribe):
            assert order.product_version is not None, "fixed before it is stored"
            state = self.product_states.get((order.product, order.product_version))
            promise(
                state in (ProductState.ACTIVE, ProductState.RETIRED),
                f"{record.id} is about {order.product} {order.product_version}, which is {state}",
            )

    def load_products(self) -> Products:
        found = Products()
        for key, product in self.products.items():
            found.load(product, self.product_states[key])
        return found

    def _clash(self, record: Acceptance) -> Clash | None:
        if (record.source, record.order_id) in self.by_key:
            return Clash.ORDER
        new = record.binding
        if new is None:
            return None
        if new.user_id in self.by_user:
            return Clash.USER
        if new.msisdn in self.bindings:
            return Clash.NUMBER
        return Clash.CARD if new.imsi in self.by_imsi or new.iccid in self.by_iccid else None

    def bind(self, binding: Binding, order_id: int) -> None:
        held = self.number_holds.get(int(binding.msisdn))
        promise(held is None or held.state == "free", f"{binding.msisdn} is {held}, and bound")
        card = self.card_holds.get(binding.iccid)
        promise(card is None or card.state == "free", f"{binding.iccid} is {card}, and bound")
        self.number_holds.pop(int(binding.msisdn), None)
        self.card_holds.pop(binding.iccid, None)
        self.bindings[binding.msisdn] = binding
        self.made_by[binding.msisdn] = order_id
        self.by_imsi[binding.imsi] = binding.msisdn
        self.by_iccid[binding.iccid] = binding.msisdn
        self.by_user[binding.user_id] = binding.msisdn

    def close(self, record: Closing, now: float) -> None:
        promise(record.order_id in self.orders, f"{record.order_id} closes and was not accepted")
        promise(record.order_id not in self.final, f"order {record.order_id} closes twice")
        self.receipts.append(record)
        if not record.is_final:
            assert record.fall is not None
            self.falls[record.order_id] = record.fall
            self.releases.pop(record.order_id, None)
            return
        promise(
            record.leaves_fallout == (record.order_id in self.falls),
            f"{record.order_id} does not know whether it fell out before",
        )
        self.final[record.order_id] = record
        self._apply(record.user_id, record.applied)
        promise(
            record.was_dated == self.is_dated(record.order_id),
            f"{record.order_id} does not know that it was dated ahead",
        )
        if record.user is not None:
            self.users[record.user_id] = record.user
        if record.products is not None:
            self.holdings[record.user_id] = record.products
        self.groups.note(record)
        if record.activated is not None:
            self._activate(record.activated)
        if record.binding_end is not None:
            assert record.binding is not None
            self._unbind(record.binding, record.binding_end, now)
        if record.claim_end is not None:
            self._end_claim(record.claim_end, record, now)

    def _activate(self, product: Product) -> None:
        for (id, version), state in self.product_states.items():
            if id == product.id and version < product.version and state is ProductState.ACTIVE:
                self.product_states[id, version] = ProductState.RETIRED
        key = product.id, product.version
        if self.product_states[key] is ProductState.STAGED:
            self.product_states[key] = ProductState.ACTIVE

    def _unbind(self, binding: Binding, end: BindingEnd, now: float) -> None:
        self._forget(binding)
        number, card = {
            BindingEnd.ROLLED_BACK: ("free", "free"),
            BindingEnd.UNPROVEN: ("locked", "scrapped"),
            BindingEnd.TERMINATED: ("quarantined", "scrapped"),
        }[end]
        digits = int(binding.msisdn)
        self.number_holds[digits] = Hold(number, self.range_of(digits), now)
        self.card_holds[binding.iccid] = Hold(card, self.lot_of.get(binding.iccid), now)

    def _end_claim(self, ended: ClaimEnd, record: Closing, now: float) -> None:
        claim, end = ended.claim, ended.end
        self._forget(claim)
        if end is None:
            self._rebind(claim, record.order_id, now)
            return
        number, card = ("free", "free") if end is BindingEnd.ROLLED_BACK else ("locked", "scrapped")
        if claims.number_of(claim) is not None:
            digits = int(claim.msisdn)
            self.number_holds[digits] = Hold(number, self.range_of(digits), now)
        if claims.card_of(claim) is not None:
            self.card_holds[claim.iccid] = Hold(card, self.lot_of.get(claim.iccid), now)

    def _rebind(self, claim: Binding, order_id: int, now: float) -> None:
        target = claims.target_of(claim)
        old = self.bindings[self.by_user[target.user_id]]
        made_by = self.made_by[old.msisdn]
        self._forget(old)
        if claims.number_of(claim) is not None:
            digits, made_by = int(old.msisdn), order_id
            self.number_holds[digits] = Hold("quarantined", self.range_of(digits), now)
            new = structs.replace(old, msisdn=target.msisdn)
        else:
            self.card_holds[old.iccid] = Hold("scrapped", self.lot_of.get(old.iccid), now)
            new = structs.replace(old, imsi=target.imsi, iccid=target.iccid, key=target.key)
        promise(self._bound_twice(new) is None, f"{new} is bound twice")
        self.bind(new, made_by)

    def _bound_twice(self, new: Binding) -> MSISDN | None:
        if new.msisdn in self.bindings:
            return new.msisdn
        return self.by_imsi.get(new.imsi) or self.by_iccid.get(new.iccid)

    def _forget(self, binding: Binding) -> None:
        stored = self.bindings.pop(binding.msisdn, None)
        promise(stored == binding, f"{binding.msisdn} ends and is bound as {stored}")
        del self.made_by[binding.msisdn], self.by_imsi[binding.imsi]
        del self.by_iccid[binding.iccid], self.by_user[binding.user_id]

    def recycle(self, now: float) -> None:
        for hold in self.number_holds.values():
            if hold.state == "quarantined" and now - hold.since > QUARANTINE_S:
                hold.state = "free"

    # Reading.

    def user(self, user_id: UserId) -> User | None:
        held, member = self.holdings.get(user_id, ()), self.groups.members.get(user_id)
        stored = self.users.get(user_id)
        if stored is not None:
            return structs.replace(stored, products=held, member=member)
        msisdn = self.by_user.get(user_id)
        if msisdn is None:
            return None
        is_opened = self.made_by[msisdn] in self.final
        state = UserState.ACTIVE if is_opened else UserState.PROVISIONING
        return User(state, self.bindings[msisdn], NO_REASONS, held, member=member)

    # Turns.

    def is_dated(self, order_id: int) -> bool:
        turn = self.orders[order_id].turn
        return turn is not None and turn.due_at is not None

    def is_scheduled(self, order_id: int) -> bool:
        """Its time has not come."""
        return (
            self.is_dated(order_id) and order_id not in self.places and order_id not in self.final
        )

    def fall_due(self, now: datetime, next_id: Callable[[], int]) -> list[Due]:
        due = [
            (turn.due_at, record)
            for record in self.orders.values()
            if (turn := record.turn) is not None
            and turn.due_at is not None
            and turn.due_at <= now
            and self.is_scheduled(record.id)
        ]
        due.sort(key=lambda found: (found[0], found[1].id))
        for _, record in due:
            self.places[record.id] = next_id()
        return [Due(one.id, one.user_id, one.priority, one.kind) for _, one in due]

    def chase(self, order_id: int) -> int:
        """As urgent as may be from now on; how urgent it was."""
        record = self.orders[order_id]
        before = record.priority
        priority = min(before, limits.PRIORITY_CHASED)
        self.orders[order_id] = structs.replace(record, priority=priority)
        return before

    def _repeat_of(self, user_id: UserId, key: str | None) -> int | None:
        """The order that first did what the key names."""
        if key is None:
            return None
        for order_id, closing in self.final.items():
            turn = self.orders[order_id].turn
            is_it = turn is not None and turn.business_key == key and closing.user_id == user_id
            if is_it and closing.state == OrderState.SUCCEEDED:
                return order_id
        return None

    def _scheduled(self, user_id: UserId) -> int:
        return sum(
            self.is_scheduled(one.id) for one in self.orders.values() if one.user_id == user_id
        )

    def _opens_at(self, user_id: UserId) -> datetime | None:
        msisdn = self.by_user.get(user_id)
        made_by = None if msisdn is None else self.made_by[msisdn]
        if made_by is None or made_by not in self.orders or made_by in self.final:
            return None
        turn = self.orders[made_by].turn
        return None if turn is None else turn.due_at

    def facts(self, wanted: Wanted) -> Facts:
        order_id = self.by_key.get((wanted.source, wanted.order_id))
        card = self.cards.get(wanted.iccid) if wanted.iccid else None
        return Facts(
            wanted.token,
            None if order_id is None else self._repeat(order_id),
            self.user(wanted.user_id),
            None if wanted.msisdn is None else self._number_fact(int(wanted.msisdn)),
            card,
            card_is_free=wanted.iccid is not None and self._card_is_free(wanted.iccid),
            imsi_is_free=wanted.imsi not in self.by_imsi,
            opened_with=self._opened_with(wanted.user_id) if wanted.opened_with else None,
            ec_product_used=self._is_used(wanted.ec_product),
            has_members=self.groups.has_members(wanted.members_of),
            applied=dict(self.applied.get(wanted.user_id, {})) if wanted.has_seq else {},
            repeat_of=self._repeat_of(wanted.user_id, wanted.business_key),
            opens_at=self._opens_at(wanted.user_id) if wanted.is_dated else None,
            scheduled=self._scheduled(wanted.user_id) if wanted.is_dated else 0,
        )

    def _is_used(self, asked: tuple[str, str] | None) -> bool:
        return asked is not None and self.groups.uses(asked, self.holdings.values())

    def _opened_with(self, user_id: UserId) -> tuple[Service, ...] | None:
        for order_id, closing in reversed(self.final.items()):
            if closing.user_id == user_id and closing.state == OrderState.SUCCEEDED:
                order = decode_stored(self.orders[order_id].payload)
                if isinstance(order, Opening):
                    return tuple(order.services)
        return None

    def _repeat(self, order_id: int) -> Repeat:
        closing, binding = self.final.get(order_id), self.binding_of(order_id)
        return Repeat(
            order_id,
            self.orders[order_id].content_hash,
            OrderState.QUEUED if closing is None else closing.state,
            binding and claims.target_of(binding),
            None if closing is None else closing.receipt,
        )

    def binding_of(self, order_id: int) -> Binding | None:
        binding = self.orders[order_id].binding
        if binding is None or self.made_by.get(binding.msisdn) != order_id:
            return None
        return binding

    def _number_fact(self, number: int) -> NumberFact | None:
        at = self.range_of(number)
        if at is None:
            return None
        state = NumberState.IDLE
        hold = self.number_holds.get(number)
        if str(number) in self.bindings:
            state = NumberState.IN_USE
        elif hold is not None and hold.state != "free":
            state = NumberState.QUARANTINED if hold.state == "quarantined" else NumberState.LOCKED
        return NumberFact(self.ranges[at].hlr, PROVINCE, state)

    def _card_is_free(self, iccid: ICCID) -> bool:
        hold = self.card_holds.get(iccid)
        return iccid not in self.by_iccid and (hold is None or hold.state == "free")

    def range_of(self, number: int) -> int | None:
        for at, span in self.ranges.items():
            if span.first <= number <= span.last:
                return at
        return None

    def stored(self, order_ids: Iterable[int], users: Iterable[UserId]) -> list[StoredOrder]:
        wanted = {self.orders[order_id].user_id for order_id in order_ids} | set(users)
        return [
            self._stored(record)
            for order_id, record in sorted(self.orders.items())
            if record.user_id in wanted and order_id not in self.final
            if not self.is_scheduled(order_id)
        ]

    def let_go(self, order_id: int, way: Way) -> bool:
        """A person decides of a fallout that is durable; a roll-back only of what goes back."""
        fall = self.falls.get(order_id)
        if fall is None or order_id in self.releases:
            return False
        kind = BY_NAME[self.orders[order_id].kind]
        goes_back = fall.is_undo and kind.direction is Direction.BACKWARD
        self.releases[order_id] = Release(way if goes_back else Way.RESEND)
        return True

    def decide(self, order_id: int, act: Act) -> bool:
        """The same by one of the acts of the desk; False for one that it is not open to."""
        fall = self.falls.get(order_id)
        if fall is None or order_id in self.releases or order_id in self.final:
            return False
        kind = BY_NAME[self.orders[order_id].kind]
        if act is Act.CANCEL and not (fall.is_undo and kind.direction is Direction.BACKWARD):
            return False
        if act is Act.SKIP:
            self.skipped.setdefault(order_id, set()).add(fall.step)
        interim = next(one for one in reversed(self.receipts) if one.order_id == order_id)
        self.releases[order_id] = Release(
            way_of(act, is_undo=fall.is_undo),
            skipped=frozenset(self.skipped.get(order_id, ())),
            done=done_of(trail.decode(interim.trail)) if act is Act.FINISH else frozenset(),
        )
        return True

    def stored_one(self, order_id: int) -> StoredOrder | None:
        return None if order_id in self.final else self._stored(self.orders[order_id])

    def _stored(self, record: Acceptance) -> StoredOrder:
        turn = record.turn
        if turn is not None:
            turn = structs.replace(turn, place=self.places.get(record.id))
        bound = self.binding_of(record.id)
        is_claim = bound is not None and bound.user_id != record.user_id
        return StoredOrder(
            record.id, record.source, record.order_id, record.kind, record.user_id,
            record.priority, record.content_hash, record.payload, record.accepted_at,
            None if is_claim else bound, self.user(record.user_id),
            claim=bound if is_claim else None,
            turn=turn, applied=dict(self.applied.get(record.user_id, {})),
            repeat_of=self._repeat_of(record.user_id, turn and turn.business_key),
            release=self.releases.get(record.id),
        )  # fmt: skip

    def open_orders(self) -> list[tuple[int, UserId, int, bool, str]]:
        fallen = self.falls.keys() - self.releases.keys()
        return [
            (record.id, record.user_id, record.priority, record.id in fallen, record.kind)
            for record in sorted(self.orders.values(), key=lambda record: record.id)
            if record.id not in self.final
            if not self.is_scheduled(record.id)
        ]

    # Pool and stock.

    def lease(self, wish: Wish) -> NumberGrant | CardGrant | None:
        """Durable at once; None when its source has nothing left."""
        source = self.sources[wish.what, wish.source_id]
        fresh = source.items[source.counter : source.counter + wish.fresh]
        recycled = self._free(wish.what, wish.source_id)[: wish.recycled]
        if not fresh and not recycled:
            return None
        source.counter += len(fresh)
        fresh = [item for item in fresh if self._never_released(wish.what, item)]
        lease_id, self.next_lease = self.next_lease, self.next_lease + 1
        for item in recycled:
            self._holds(wish.what)[_name(item)].lease_id = lease_id
        self.leases[lease_id] = LeaseRow(wish.what, wish.source_id, [*fresh, *recycled])
        return self.grant(lease_id)

    def lease_elsewhere(self, wish: Wish) -> None:
        """Another node was faster."""
        if self.lease(wish) is not None:
            del self.leases[self.next_lease - 1]

    def _holds(self, what: What) -> dict[object, Hold]:
        return self.number_holds if what is What.NUMBERS else self.card_holds  # type: ignore[return-value]

    def _free(self, what: What, source_id: int) -> list[object]:
        found = [
            name
            for name, hold in self._holds(what).items()
            if hold.state == "free" and hold.source_id == source_id and hold.lease_id is None
        ]
        return found if what is What.NUMBERS else [self.cards[name] for name in found]  # type: ignore[index]

    def counts(self, what: What, source_id: int) -> tuple[int, int]:
        """Unleased, and on the free list."""
        source = self.sources[what, source_id]
        return len(source.items) - source.counter, len(self._free(what, source_id))

    def grant(self, lease_id: int) -> NumberGrant | CardGrant:
        row = self.leases[lease_id]
        items = [item for item in row.items if self._is_of(lease_id, row.what, item)]
        unleased, recycled = self.counts(row.what, row.source_id)
        kind = NumberGrant if row.what is What.NUMBERS else CardGrant
        return kind(lease_id, row.source_id, unleased, recycled, items)

    def names_of(self, lease_id: int) -> list[object]:
        """What of a lease is neither bound nor held otherwise."""
        row = self.leases[lease_id]
        return [_name(item) for item in row.items if self._is_of(lease_id, row.what, item)]

    def _is_of(self, lease_id: int, what: What, item: object) -> bool:
        hold = self._holds(what).get(_name(item))
        held_by_it = hold is not None and hold.state == "free" and hold.lease_id == lease_id
        return held_by_it or self._never_released(what, item)

    def _never_released(self, what: What, item: object) -> bool:
        """A number or card that was bound by name before its turn came is leased as recycled."""
        name = _name(item)
        bound = str(name) in self.bindings if what is What.NUMBERS else name in self.by_iccid
        return not bound and name not in self._holds(what)

    def settle(self, settled: Settled[int] | Settled[ICCID]) -> None:
        row = self.leases.pop(settled.lease_id)
        for item in settled.returned:
            source_id = self.lot_of[item] if isinstance(item, str) else row.source_id
            self._holds(row.what)[item] = Hold("free", source_id, 0.0)


def _name(item: object) -> object:
    return item.iccid if isinstance(item, Card) else item
