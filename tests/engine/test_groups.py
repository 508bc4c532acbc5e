"""Members wait for their enterprise and products for their member, whatever comes first; and what
an enterprise has follows the fate of its order."""

from collections.abc import Iterable, Mapping
from typing import Any

import pytest
from msgspec import structs

from hlrd import metrics
from hlrd.domain import orders
from hlrd.domain.group import (
    Enterprises,
    GroupPlaces,
    Membership,
    Scope,
    Standing,
    Subscription,
)
from hlrd.domain.lifecycle import ECState, UserState
from hlrd.domain.orders.group import (
    ECProductCancel,
    ECProductSubscribe,
    MemberProductSubscribe,
    MemberProductUnsubscribe,
    MemberRemove,
    PartnerMemberImport,
)
from hlrd.domain.outcome import Outcome, Verdict
from hlrd.domain.plans.plan import Routes
from hlrd.domain.policy import Policy
from hlrd.domain.product import Holding
from hlrd.domain.suspension import NO_REASONS
from hlrd.domain.user import User
from hlrd.engine import groups
from hlrd.ports import BindingEnd, Closing
from tests.domain.products import a_function, a_product, published
from tests.engine.stage import FIRST_ID, FakeNE, Stage, refusal, user_of
from tests.engine.test_turns import at, fall_due, take_dated

NAMES = ("nation", "class1", "gateway", "platform", "management", "boss1")
PLACES = GroupPlaces(
    nationwide="nation",
    class1="class1",
    gateway="gateway",
    province_platform="platform",
    province_management="management",
)
REPORTING = GroupPlaces(
    nationwide="nation",
    class1="class1",
    gateway="gateway",
    province_platform="platform",
    province_management="management",
    relays={"BOSS1": "boss1"},
)
TRACK = a_product("TRACK", a_function("GPRS"))
WAIT_S = 600.0
REFUSED = Outcome(Verdict.PERMANENT, "REFUSED", "refused")


class GroupStage(Stage):
    """With platforms that answer on demand, and one published product."""

    def __init__(
        self,
        *held: Subscription,
        state: ECState = ECState.ACTIVE,
        places: GroupPlaces = PLACES,
        **policy: Any,
    ) -> None:
        self.enterprises = Enterprises()
        for one in held:
            self.enterprises.put(Standing(one, state))
        self.peers = {name: FakeNE(name) for name in ("hlr1", "dsmp", *NAMES)}
        routes = Routes(
            "dsmp",
            {"hlr1": {"GPRS+SMS": 1}},
            dialects={"hlr1": "mml"},
            groups=places,
            policy=Policy(**policy),
        )
        super().__init__(
            nes=self.peers,
            routes=routes,
            products=published(TRACK),
            enterprises=self.enterprises,
            member_wait_s=WAIT_S,
        )
        self.hlr, self.dsmp = self.peers["hlr1"], self.peers["dsmp"]

    # Orders.

    def subscribe_ec(self, **changes: Any) -> ECProductSubscribe:
        named: dict[str, Any] = {
            "ec_code": "EC", "ec_name": "n", "product": "TRACK", "product_class": 1,
        }  # fmt: skip
        return ECProductSubscribe(**self._header(), **named | changes)

    def cancel_ec(self, **changes: Any) -> ECProductCancel:
        return ECProductCancel(**self._header(), ec_code="EC", product="TRACK", **changes)

    def subscribe(self, user: str = "7", **changes: Any) -> MemberProductSubscribe:
        named: dict[str, Any] = {"ec_code": "EC", "product": "TRACK"}
        return MemberProductSubscribe(**self.header(user), **named | changes)

    def remove(self, user: str = "7", **changes: Any) -> MemberRemove:
        return MemberRemove(**self.header(user), **{"ec_code": "EC"} | changes)

    def _header(self) -> dict[str, Any]:
        header = self.header()
        del header["user_id"]
        return header

    # The network.

    def sent(self) -> list[str]:
        """On its way now."""
        return [
            f"{name} {command.task.operation}"
            for name, ne in self.peers.items()
            for command in ne.sent
        ]

    def answer(self, name: str, outcome: Outcome | Verdict = Verdict.DONE) -> str:
        return str(self.reply(outcome, ne=self.peers[name]).task.operation)

    def run(self) -> list[str]:
        """Everything succeeds from here on; what was sent, in order."""
        sent: list[str] = []
        while any(ne.sent for ne in self.peers.values()) or self.journal.backlog():
            self.accept()
            for name, ne in self.peers.items():
                while ne.sent:
                    sent.append(f"{name} {self.answer(name)}")
            self.close()
        return sent

    def results(self) -> dict[str, str]:
        """By kind: how the last one ended."""
        return {one["type"]: one.get("code", one["result"]) for one in self.receipts()}


def subscription(**changes: Any) -> Subscription:
    fixed: dict[str, Any] = {
        "ec_code": "EC",
        "ec_name": "n",
        "product": "TRACK",
        "version": 1,
        "product_class": 1,
        "scope": Scope.IN_PROVINCE,
        "route": "BOSS1",
        "lead_province": "200",
    }
    return Subscription(**fixed | changes)


def a_member(*products: Holding) -> User:
    member = Membership("EC", "BOSS1", "TRACK")
    user = user_of(1)
    return User(UserState.ACTIVE, user.binding, NO_REASONS, products, member=member)


HELD = Holding("TRACK", 1, {}, "EC", 1)


def standings(closings: Iterable[Closing]) -> list[ECState | None]:
    return [one.enterprise.state for one in closings if one.enterprise is not None]


# Enterprises.


def test_an_enterprise_is_pending_from_its_acceptance_until_the_gateway_knows_it() -> None:
    stage = GroupStage()
    stage.submit(stage.subscribe_ec())
    stage.resolve()
    (record,) = stage.journal.accepts
    assert record.user_id == "ec:EC"
    assert record.enterprise == Standing(subscription(), ECState.PENDING)

    stage.accept()
    assert stage.sent() == ["nation subscribeEC"]
    stage.answer("nation")
    stage.answer("class1")
    assert stage.enterprises.active("EC", "TRACK") is None
    stage.answer("gateway")

    assert standings(stage.close()) == [ECState.ACTIVE]
    assert stage.enterprises.active("EC", "TRACK") == subscription()


def test_a_leg_that_is_refused_takes_the_others_back_and_nothing_is_left() -> None:
    stage = GroupStage()
    stage.take(stage.subscribe_ec(product_class=2))
    assert stage.sent() == ["platform subscribeEC", "management subscribeEC"]

    stage.answer("management", REFUSED)
    assert stage.sent() == ["platform subscribeEC"]
    stage.answer("platform")

    assert stage.sent() == ["platform unsubscribeEC"]
    stage.answer("platform")
    assert standings(stage.close()) == [None]
    assert list(stage.enterprises) == []


def test_a_leg_whose_platform_is_away_is_retried_alone_and_for_ever() -> None:
    stage = GroupStage()
    stage.take(stage.subscribe_ec(product_class=2))
    stage.answer("platform")

    for _ in range(40):
        stage.answer("management", Verdict.TRANSIENT)
        stage.wait(60.0)
        assert stage.sent() == ["management subscribeEC"]
    stage.answer("management")

    assert standings(stage.close()) == [ECState.ACTIVE]


@pytest.mark.parametrize("state", [ECState.PENDING, ECState.ENDING])
def test_one_order_about_a_product_of_an_enterprise_is_open_at_a_time(state: ECState) -> None:
    stage = GroupStage(subscription(), state=state)

    assert refusal(stage.take(stage.subscribe_ec())) == "EC_PRODUCT_OPEN"
    assert refusal(stage.take(stage.cancel_ec())) == "EC_PRODUCT_OPEN"


def test_what_an_enterprise_has_it_has_once_and_in_one_way() -> None:
    stage = GroupStage(subscription())

    stage.take(stage.subscribe_ec())
    assert stage.run() == []
    assert stage.receipts()[-1]["marks"] == ["NO_CHANGE"]
    assert refusal(stage.take(stage.subscribe_ec(product_class=2))) == "EC_PRODUCT_HELD"
    assert refusal(stage.take(stage.subscribe_ec(product="OTHER"))) == "PRODUCT_UNKNOWN"


def test_an_order_that_changes_nothing_does_not_end_another() -> None:
    stage = GroupStage(subscription())
    stage.take(stage.subscribe_ec(), stage.cancel_ec())

    sent = stage.run()

    assert sent[-3:] == [f"{ne} unsubscribeEC" for ne in ("gateway", "class1", "nation")]
    assert standings(stage.journal.durable) == [None]
    assert list(stage.enterprises) == []


def test_an_enterprise_keeps_a_product_that_members_have() -> None:
    stage = GroupStage(subscription())
    stage.facts = {"ec_product_used": True}

    assert refusal(stage.take(stage.cancel_ec())) == "EC_HAS_MEMBERS"

    assert stage.enterprises.active("EC", "TRACK") is not None


def test_a_cancelled_product_is_gone_when_the_last_platform_has_forgotten_it() -> None:
    stage = GroupStage(subscription())
    stage.take(stage.cancel_ec())
    assert stage.sent() == ["gateway unsubscribeEC"]

    assert stage.run()[-1] == "nation unsubscribeEC"

    assert standings(stage.journal.durable) == [None]
    assert list(stage.enterprises) == []


def test_what_was_cancelled_before_the_turn_of_an_order_dated_ahead_is_had_again() -> None:
    stage = GroupStage(subscription())
    record = take_dated(stage, stage.subscribe_ec(effective_time=at(stage, 60)))
    stage.take(stage.cancel_ec())
    stage.run()

    fall_due(stage, record)
    assert "gateway subscribeEC" in stage.run()

    assert standings(stage.journal.durable) == [None, ECState.ACTIVE]
    assert stage.enterprises.active("EC", "TRACK") == subscription()


def test_a_cancellation_dated_ahead_leaves_what_was_subscribed_to_after_it() -> None:
    stage = GroupStage()
    record = take_dated(stage, stage.cancel_ec(effective_time=at(stage, 60)))
    stage.take(stage.subscribe_ec())
    stage.run()

    fall_due(stage, record)

    assert stage.run() == []
    assert stage.results()["EC_PRODUCT_CANCEL"] == "EC_PRODUCT_RENEWED"
    assert stage.enterprises.active("EC", "TRACK") == subscription()


def test_a_record_of_a_partners_member_costs_no_command() -> None:
    stage = GroupStage(subscription())
    order = PartnerMemberImport(
        **stage._header(), ec_code="EC", msisdn="1064700000009", partner_province="280"
    )

    stage.take(order)
    assert stage.run() == []

    (closing,) = stage.journal.durable
    assert closing.partner == order.content()
    assert "user_id" not in stage.receipts()[0]


# Members and their enterprise.


def test_members_of_an_enterprise_that_is_not_ready_wait_until_it_is() -> None:
    stage = GroupStage()
    stage.take(stage.activate(), stage.subscribe_ec(), stage.activate("8"))
    assert stage.sent() == ["nation subscribeEC"]
    stage.answer("nation")
    stage.answer("class1")
    assert stage.sent() == ["gateway subscribeEC"]

    stage.answer("gateway")
    stage.close()

    assert stage.sent() == ["hlr1 addKey", "hlr1 addKey"]


def test_a_member_that_waits_says_for_what() -> None:
    stage = GroupStage(subscription(), state=ECState.PENDING)
    (answer,) = stage.take(stage.activate())

    shown = stage.engine.show(answer.id)

    assert shown is not None
    assert shown["waits"]["reason"] == "EC_NOT_READY"


def test_a_wait_for_an_enterprise_is_over_one_day_and_the_number_goes_back() -> None:
    stage = GroupStage(subscription(), state=ECState.PENDING)
    stage.take(stage.activate())

    stage.wait(WAIT_S + 1)

    (closing,) = stage.close()
    assert closing.binding_end is BindingEnd.ROLLED_BACK
    assert stage.results() == {"MEMBER_ACTIVATE": "EC_NOT_READY"}
    assert stage.sent() == []


def test_members_of_an_enterprise_that_is_refused_are_not_opened_as_strangers() -> None:
    stage = GroupStage()
    stage.take(stage.subscribe_ec(), stage.activate())
    stage.answer("nation", REFUSED)
    stage.close()
    assert stage.sent() == []

    stage.wait(WAIT_S + 1)
    stage.close()

    assert stage.results() == {
        "EC_PRODUCT_SUBSCRIBE": "NE_REFUSED",
        "MEMBER_ACTIVATE": "EC_NOT_READY",
    }
    assert stage.sent() == []


def test_a_site_may_refuse_members_of_an_enterprise_that_is_not_ready() -> None:
    stage = GroupStage(subscription(), state=ECState.PENDING, ec_not_ready="refuse")

    assert refusal(stage.take(stage.activate())) == "EC_NOT_READY"
    assert refusal(stage.take(stage.subscribe("8"))) == "EC_NOT_READY"
    assert stage.allocator.held == []


def test_a_site_may_know_its_enterprises() -> None:
    stage = GroupStage(ec_unknown="refuse")

    assert refusal(stage.take(stage.activate())) == "EC_UNKNOWN"
    assert refusal(stage.take(stage.subscribe("8"))) == "EC_UNKNOWN"


def test_a_member_may_come_before_its_enterprise_where_the_site_says_so() -> None:
    stage = GroupStage(ec_unknown="wait")
    stage.take(stage.activate())
    assert stage.sent() == []

    stage.take(stage.subscribe_ec())
    stage.run()

    assert set(stage.results().values()) == {"succeeded"}


def test_a_member_is_recorded_with_its_enterprise_only_if_somebody_knows_that() -> None:
    known, unknown = GroupStage(subscription()), GroupStage()

    for stage in (known, unknown):
        stage.take(stage.activate())
        stage.run()

    assert [one.joins for one in known.journal.durable] == [Membership("EC", "BOSS1", "TRACK")]
    assert [one.joins for one in unknown.journal.durable] == [None]


# Reports.


def test_a_member_that_headquarters_refuses_never_reaches_the_hlr() -> None:
    stage = GroupStage(subscription(), places=REPORTING)
    stage.take(stage.activate())
    assert stage.sent() == ["boss1 reportMember"]

    stage.answer("boss1", Outcome(Verdict.PERMANENT, "EC_UNKNOWN", "unknown"))

    (closing,) = stage.close()
    assert closing.binding_end is BindingEnd.ROLLED_BACK
    assert closing.joins is None
    assert stage.sent() == []
    assert stage.receipts()[-1]["ne_code"] == "EC_UNKNOWN"


def test_a_report_is_withdrawn_when_the_hlr_refuses_the_member() -> None:
    stage = GroupStage(subscription(), places=REPORTING)
    stage.take(stage.activate())
    stage.answer("boss1")

    stage.answer("hlr1", REFUSED)

    assert stage.sent() == ["boss1 cancelReport"]
    stage.answer("boss1")
    (closing,) = stage.close()
    assert closing.binding_end is BindingEnd.ROLLED_BACK


# Products and their member.


def test_a_product_that_comes_before_its_member_begins_when_the_member_is_there() -> None:
    stage = GroupStage(subscription())
    stage.take(*[stage.subscribe(f"{n}") for n in range(100, 130)])
    assert stage.sent() == []

    stage.take(*[stage.activate(f"{n}") for n in range(100, 120)])
    while "addFunction" not in "".join(stage.sent()):
        for name in ("hlr1", "dsmp"):
            if stage.peers[name].sent:
                stage.answer(name)
                break
        stage.close()

    durable = {one.user_id for one in stage.journal.durable}
    begun = {one.task.binding.user_id for one in stage.hlr.sent if "Function" in one.task.operation}
    assert begun <= durable
    stage.run()
    assert len(stage.receipts()) == 40


@pytest.mark.parametrize("product_first", [True, False])
def test_a_product_whose_member_fails_ends_without_a_command(product_first: bool) -> None:
    stage = GroupStage(subscription())
    pair = [stage.subscribe(), stage.activate()]
    stage.take(*(pair if product_first else reversed(pair)))

    stage.answer("hlr1", REFUSED)
    stage.close()
    stage.close()

    assert stage.sent() == []
    assert stage.results() == {
        "MEMBER_ACTIVATE": "NE_REFUSED",
        "MEMBER_PRODUCT_SUBSCRIBE": "DEPENDENCY_FAILED",
    }
    assert "first_command_at" not in stage.receipts()[-1]


def test_a_product_whose_member_never_comes_ends_without_a_command() -> None:
    stage = GroupStage(subscription())
    (answer,) = stage.take(stage.subscribe())
    shown = stage.engine.show(answer.id)
    assert shown is not None
    assert shown["waits"]["reason"] == groups.MEMBER_NOT_OPENED

    stage.wait(WAIT_S + 1)
    stage.close()

    assert stage.results() == {"MEMBER_PRODUCT_SUBSCRIBE": "DEPENDENCY_FAILED"}
    assert stage.sent() == []


def test_enterprise_member_and_product_may_come_in_the_wrong_order() -> None:
    stage = GroupStage(ec_unknown="wait")
    stage.take(stage.subscribe(), stage.activate(), stage.subscribe_ec())

    sent = stage.run()

    first_of = {operation: sent.index(operation) for operation in set(sent)}
    assert first_of["gateway subscribeEC"] < first_of["hlr1 addKey"]
    assert first_of["dsmp openRelation"] < first_of["hlr1 addFunction"]
    assert sent[-1] == "gateway subscribeMember"
    assert set(stage.results().values()) == {"succeeded"}


def test_products_are_for_members() -> None:
    stage = GroupStage(subscription())
    stage.users["7"] = user_of(1)
    stage.users["8"] = a_member()

    assert refusal(stage.take(stage.subscribe())) == "NOT_A_MEMBER"
    assert refusal(stage.take(stage.subscribe("8", product="OTHER"))) == "PRODUCT_UNKNOWN"
    wrong = stage.subscribe("8", attributes={"apn": "x"})
    assert refusal(stage.take(wrong)) == "ATTRIBUTE_UNKNOWN"
    assert refusal(stage.take(stage.subscribe("8", msisdn="1064700099999"))) == (
        "USER_NUMBER_MISMATCH"
    )


def test_a_product_is_given_up_and_its_member_stays() -> None:
    stage = GroupStage(subscription())
    stage.users["7"] = a_member(HELD)
    order = MemberProductUnsubscribe(**stage.header(), ec_code="EC", product="TRACK")

    stage.take(order)
    sent = stage.run()

    assert sent[0] == "gateway unsubscribeMember"
    (closing,) = stage.journal.durable
    assert (closing.products, closing.leaves_ec) == ((), False)


def test_a_member_leaves_the_list_with_its_products() -> None:
    stage = GroupStage(subscription(), places=REPORTING)
    stage.users["7"] = a_member(HELD)

    stage.take(stage.remove())
    assert stage.run()[-1] == "boss1 cancelReport"

    (closing,) = stage.journal.durable
    assert (closing.products, closing.leaves_ec, closing.binding_end) == ((), True, None)


def test_a_member_that_is_removed_and_terminated_gives_its_number_back() -> None:
    stage = GroupStage(subscription(), places=REPORTING)
    stage.users["7"] = a_member(HELD)

    stage.take(stage.remove(terminate=True, quarantine_days=7))
    stage.run()

    (closing,) = stage.journal.durable
    assert closing.binding_end is BindingEnd.TERMINATED
    assert (closing.leaves_ec, closing.quarantine_days) == (True, 7)


# Memory.


def test_a_change_of_card_that_is_undone_after_a_restart_leaves_its_member_reported() -> None:
    before, stage = (GroupStage(subscription(), places=REPORTING) for _ in range(2))
    before.users["7"] = stage.users["7"] = a_member()
    before.submit(before.replace_card())
    before.resolve()
    record = structs.replace(before.journal.accepts[0], id=FIRST_ID - 1)
    stage.engine.recover([(record.id, record.user_id, record.priority, False, record.kind)])
    stage.unpark([record])
    stage.wait(11)

    stage.answer("hlr1", Verdict.ABSENT)
    stage.answer("hlr1", REFUSED)
    undone = []
    while stage.sent():
        undone += stage.sent()
        stage.answer(undone[-1].split()[0], Verdict.APPLIED)
    stage.close()

    assert stage.results() == {"SIM_REPLACE": "NE_REFUSED"}
    assert undone
    assert "boss1 cancelReport" not in undone


def test_who_waits_is_counted_and_forgotten_when_it_does_not() -> None:
    stage = GroupStage(subscription(), state=ECState.PENDING)
    stage.take(stage.activate("7"), stage.activate("8"), stage.subscribe("9"))

    def waiting(code: str) -> float:
        stage.engine.observe()
        return float(metrics.MEMBERS_WAITING.labels(code)._value.get())

    assert (waiting("EC_NOT_READY"), waiting(groups.MEMBER_NOT_OPENED)) == (2, 1)
    stage.wait(WAIT_S + 1)
    stage.close()

    assert (waiting("EC_NOT_READY"), waiting(groups.MEMBER_NOT_OPENED)) == (0, 0)


def test_those_that_only_wait_leave_memory_to_the_others(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(groups, "memory_share", lambda: 3)
    stage = GroupStage(subscription(), state=ECState.PENDING)

    answers = stage.take(*[stage.activate(f"{n}") for n in range(100, 120)])

    shown = [stage.engine.show(answer.id) or {} for answer in answers]
    assert sum("trail" in one for one in shown) == 4
    assert stage.lookup.unparking == []


def test_a_parked_order_says_what_it_would_wait_for_in_memory() -> None:
    stage = GroupStage(subscription(), state=ECState.PENDING)
    opening, product = orders.encode(stage.activate()), orders.encode(stage.subscribe())

    def lack(kind: str, payload: bytes, *, is_bound: bool) -> Mapping[str, Any] | None:
        return stage.engine.lack_of(kind, payload, is_bound=is_bound)

    assert lack("MEMBER_ACTIVATE", opening, is_bound=True) == {"reason": "EC_NOT_READY"}
    assert lack("MEMBER_PRODUCT_SUBSCRIBE", product, is_bound=True) == {"reason": "EC_NOT_READY"}
    told = lack("MEMBER_PRODUCT_SUBSCRIBE", product, is_bound=False)
    assert told == {"reason": "MEMBER_NOT_OPENED"}
    assert lack("USER_TERMINATE", b"", is_bound=True) is None

    stage.enterprises.put(Standing(subscription(), ECState.ACTIVE))
    assert lack("MEMBER_ACTIVATE", opening, is_bound=True) is None
    assert lack("MEMBER_PRODUCT_SUBSCRIBE", product, is_bound=True) is None


def test_who_is_parked_for_an_enterprise_comes_back_when_it_is_ready(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(groups, "memory_share", lambda: 3)
    stage = GroupStage()
    stage.take(stage.subscribe_ec())
    submitted = stage.submit(*[stage.activate(f"{n}") for n in range(100, 120)])
    stage.resolve()
    records = {record.id: record for record in stage.journal.accepts}
    stage.accept()
    assert len(submitted) == 20

    for name in ("nation", "class1", "gateway"):
        stage.answer(name)
    stage.close()
    taken, _ = stage.lookup.unparking[0]
    stage.unpark([records[order_id] for order_id in taken])
    stage.run()

    assert len(stage.receipts()) == 21
