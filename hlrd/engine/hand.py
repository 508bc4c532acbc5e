"""What an order takes before it is durable: a number, a card, and the key that came with it."""

from functools import partial
from typing import Final, get_args

from hlrd import metrics
from hlrd.domain.claim import card_of, number_of
from hlrd.domain.errors import Conflict, Refusal
from hlrd.domain.identity import ICCID, IMSI, MSISDN, Binding, CardKey, SealedKey
from hlrd.domain.orders import Change, MemberActivate, OpeningNamed, SIMReplace
from hlrd.domain.plans.plan import Routes
from hlrd.domain.user import User
from hlrd.engine import changes, eligibility
from hlrd.engine.book import OpenOrder
from hlrd.engine.segments import Segments
from hlrd.pool.allocator import Allocator
from hlrd.pool.draw import Drawn, Exhausted, Pending
from hlrd.ports import Clash, Facts, Vault

_BRINGING_KEYS: Final = frozenset({*get_args(OpeningNamed), SIMReplace})


class Hand:
    def __init__(
        self, *, allocator: Allocator, vault: Vault, routes: Routes, segments: Segments
    ) -> None:
        self._allocator = allocator
        self._vault = vault
        self._routes = routes
        self._segments = segments
        self._keys: dict[int, CardKey] = {}  #: of arriving orders, until they are answered

    def keep_key(self, entry: OpenOrder) -> None:
        """Take its Ki off the order, which is stored without it."""
        order = entry.order
        if type(order) not in _BRINGING_KEYS:
            return
        assert isinstance(order, OpeningNamed | SIMReplace)
        if order.ki is not None and order.keyid is not None:
            self._keys[entry.id] = CardKey(order.ki, order.keyid, order.algorithm, order.card_type)
            order.ki = None

    def forget_key(self, entry: OpenOrder) -> None:
        self._keys.pop(entry.id, None)

    def durable(self, entry: OpenOrder) -> None:
        """What is in hand is the order's for good."""
        msisdn, iccid = _in_hand(entry)
        self._allocator.bound(msisdn=msisdn, iccid=iccid)
        entry.is_in_hand = False

    def let_go(self, entry: OpenOrder, clash: Clash) -> None:
        """Give number and card back, but never again offer the one that another has."""
        msisdn, iccid = _in_hand(entry)
        if clash is Clash.NUMBER:
            self._allocator.drop(msisdn=msisdn)
        else:
            self._allocator.put_back(msisdn=msisdn)
        if clash is Clash.CARD:
            self._allocator.drop(iccid=iccid)
        else:
            self._allocator.put_back(iccid=iccid)
        entry.binding, entry.claim, entry.is_in_hand = None, None, False

    def claim(self, entry: OpenOrder, order: Change, user: User, facts: Facts) -> bool:
        """Take the new card or number; False: it must wait for one."""
        assert user.binding is not None, "checked before"
        claim = changes.claim(
            order, user.binding, facts, self._allocator, partial(self._seal, entry)
        )
        if isinstance(claim, Pending):
            return False
        entry.claim, entry.is_in_hand = self._segments.binding(claim), True
        return True

    def _seal(self, entry: OpenOrder, imsi: IMSI) -> SealedKey:
        """The key that came with the order."""
        return self._vault.seal(imsi, self._keys[entry.id])

    def reserve(self, entry: OpenOrder, facts: Facts) -> Binding | Pending:
        """Take number and card: drawn, or those that the order names."""
        if type(entry.order) is not MemberActivate:
            assert isinstance(entry.order, OpeningNamed)
            return self._take(entry, entry.order, facts)
        drawn = self._draw(entry.order, facts)
        if isinstance(drawn, Pending):
            return drawn
        if isinstance(drawn, Exhausted):
            metrics.POOL_EXHAUSTED.labels(drawn.what).inc()
            raise eligibility.exhausted(drawn, entry.order)
        card = drawn.card
        try:
            eligibility.check_services(card.hlr, entry.order.services, self._routes)
        except Refusal:
            self._allocator.put_back(msisdn=drawn.msisdn, iccid=card.iccid)
            raise
        return Binding(
            entry.user_id, drawn.msisdn, card.imsi, card.iccid, card.hlr, card.province, card.key
        )

    def _draw(self, order: MemberActivate, facts: Facts) -> Drawn | Pending | Exhausted:
        if order.msisdn is not None:
            return self._draw_card_for(MSISDN(order.msisdn), order, facts)
        if order.reservation is not None:
            return self._draw_reserved(int(order.reservation), order, facts)
        if order.iccid is None:
            return self._allocator.draw(
                pool=order.pool, province=order.province, digits=order.digits, lot=order.lot
            )
        assert facts.card is not None, "checked before"
        return self._allocator.draw_for(facts.card, pool=order.pool, digits=order.digits)

    def _draw_card_for(
        self, msisdn: MSISDN, order: MemberActivate, facts: Facts
    ) -> Drawn | Pending | Exhausted:
        if order.iccid is not None:
            assert facts.card is not None, "checked before"
            if self._allocator.take(msisdn=msisdn, iccid=facts.card.iccid):
                return Drawn(msisdn, facts.card)
            raise _taken()
        assert facts.number is not None, "checked before"
        has_cards = facts.reservation is not None and facts.reservation.has_cards
        return self._allocator.draw_card_for(
            msisdn,
            province=order.province,
            hlr=facts.number.hlr,
            lot=order.lot,
            reservation=int(order.reservation) if order.reservation and has_cards else None,
        )

    def _draw_reserved(
        self, reservation: int, order: MemberActivate, facts: Facts
    ) -> Drawn | Pending | Exhausted:
        assert facts.reservation is not None, "checked before"
        return self._allocator.draw_reserved(
            reservation,
            province=order.province,
            has_cards=facts.reservation.has_cards,
            lot=order.lot,
            card=facts.card,
        )

    def _take(self, entry: OpenOrder, order: OpeningNamed, facts: Facts) -> Binding:
        assert facts.number is not None, "checked before"
        msisdn, iccid, imsi = MSISDN(order.msisdn), ICCID(order.iccid), IMSI(order.imsi)
        if not self._allocator.take(msisdn=msisdn, iccid=iccid):
            raise _taken()
        sealed = self._seal(entry, imsi) if facts.card is None else facts.card.key
        return Binding(entry.user_id, msisdn, imsi, iccid, facts.number.hlr, order.province, sealed)


def _in_hand(entry: OpenOrder) -> tuple[MSISDN | None, ICCID | None]:
    if entry.claim is not None:
        return number_of(entry.claim), card_of(entry.claim)
    assert entry.binding is not None, "something is in hand"
    return entry.binding.msisdn, entry.binding.iccid


def _taken() -> Conflict:
    return Conflict("NUMBER_OR_CARD_TAKEN", "another order is opening with it", "msisdn")
