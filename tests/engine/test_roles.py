"""A daemon that plays one role alone: what it refuses, and what a report that fails leaves."""

from typing import Any

import orjson
import pytest
from msgspec.structs import replace

from hlrd.domain.catalogue import KINDS
from hlrd.domain.group import GroupPlaces, Scope, Subscription
from hlrd.domain.orders import MemberOpen, Source, WorkOrder, decode
from hlrd.domain.orders.batch import ECResumeAll, ECSuspendAll
from hlrd.domain.outcome import Outcome, Verdict
from hlrd.domain.plans.plan import Routes
from hlrd.domain.role import Role
from hlrd.engine import eligibility
from hlrd.engine.completion import NUMBER_LOCKED
from hlrd.ports import BindingEnd
from tests.domain.orders import GOOD
from tests.engine.stage import FIRST_ID, KI, card, refusal, user_of
from tests.engine.test_groups import GroupStage

PROVINCE = GroupPlaces(
    province_platform="platform",
    province_management="management",
    relays={"BOSS1": "boss1"},
    role_missing=Role.HQ,
)
HEADQUARTERS = GroupPlaces(
    nationwide="nation", class1="class1", gateway="gateway", role_missing=Role.PROVINCE
)
TRACKED = Subscription("EC", "n", "TRACK", 1, 1, Scope.IN_PROVINCE, "BOSS1", "200")
REFUSED = Outcome(Verdict.PERMANENT, "NE_REFUSED", "hlrd: hlr1 3012: refused", is_standing=True)
OF_ANOTHER = Outcome(Verdict.DIFFERENT, "NUMBER_LOCKED", "hlrd: of another", is_standing=True)
PENDING = Outcome(Verdict.PENDING, "PENDING", "taken")


def a_province() -> GroupStage:
    return GroupStage(TRACKED, places=PROVINCE)


def headquarters() -> GroupStage:
    return GroupStage(TRACKED, places=HEADQUARTERS)


def open_member(stage: GroupStage, n: int = 1, **changes: Any) -> MemberOpen:
    one = card(n)
    named: dict[str, Any] = {
        "msisdn": f"10647000{n:05d}", "imsi": one.imsi, "iccid": one.iccid, "ki": KI, "keyid": 3,
        "services": ["GPRS", "SMS"], "ec_code": "EC",
    }  # fmt: skip
    return MemberOpen(**stage.header() | named | changes)


def good(kind: str) -> WorkOrder:
    """With what is not in the list of good ones."""
    if kind in ("EC_SUSPEND_ALL", "EC_RESUME_ALL"):
        header: dict[str, Any] = {
            "order_id": "A-1", "province": "200", "operator_id": "op", "ec_code": "EC",
        }  # fmt: skip
        return ECSuspendAll(**header) if kind == "EC_SUSPEND_ALL" else ECResumeAll(**header)
    return decode(orjson.dumps(GOOD[kind]))


# Refusals.


@pytest.mark.parametrize(
    ("kind", "stage_of"),
    [
        (kind.name, a_province if kind.role is Role.HQ else headquarters)
        for kind in KINDS
        if kind.role is not None and kind.name in {*GOOD, "EC_SUSPEND_ALL", "EC_RESUME_ALL"}
    ],
)
def test_a_kind_of_the_other_role_is_refused_and_nothing_is_held(kind: str, stage_of: Any) -> None:
    stage = stage_of()
    order = good(kind)

    answers = stage.submit(order, source=_a_source_of(kind))
    stage.resolve()

    assert refusal(answers) == "ROLE_MISSING"
    assert stage.allocator.held == []
    assert stage.journal.accepts == []


def _a_source_of(kind: str) -> str:
    [found] = [one for one in KINDS if one.name == kind]
    return "BOSS" if found.is_state_change else Source.OPS


def test_a_daemon_of_both_roles_refuses_none_for_its_role() -> None:
    routes = Routes("dsmp", {"hlr1": {}})

    for kind in KINDS:
        eligibility.check_role(kind, None, routes)  # type: ignore[arg-type]


def test_headquarters_gives_another_card_or_number_only_if_it_is_named() -> None:
    stage = headquarters()
    stage.users["7"] = user_of(1)

    drawn = [stage.replace_card(), stage.change_number()]
    named = [
        stage.replace_card(imsi=card(5).imsi, iccid=card(5).iccid, ki=KI, keyid=1),
    ]
    refused = [stage.submit(order) for order in drawn]
    taken = [stage.submit(order) for order in named]
    stage.resolve()
    stage.accept()

    assert [refusal(answers) for answers in refused] == ["ROLE_MISSING"] * 2
    assert [answers[0].refusal for answers in taken] == [None]


def test_a_province_reports_nobody_who_is_born_stopped() -> None:
    stage = a_province()

    answers = stage.take(stage.activate(reasons=[{"reason": "VOLUNTARY", "level": 2}]))
    by_another_route = stage.take(stage.activate(user="8", route="BBOSS"))

    assert refusal(answers) == "ROLE_MISSING"
    assert refusal(by_another_route) == "EC_ROUTE_MISSING"
    assert stage.allocator.held == []


# A province.


def test_a_member_is_open_when_headquarters_has_confirmed() -> None:
    stage = a_province()

    [answer] = stage.take(stage.activate())
    assert stage.sent() == ["boss1 reportMember"]
    stage.answer("boss1", PENDING)
    assert stage.close() == []
    stage.wait(6.0)
    stage.answer("boss1", Verdict.APPLIED)
    [closing] = stage.close()

    assert (closing.state, closing.binding_end) == ("succeeded", None)
    assert closing.joins is not None
    assert closing.joins.ec_code == "EC"
    assert stage.receipts()[-1]["msisdn"] == answer.msisdn


def test_what_headquarters_took_back_is_idle_again_once_the_relay_knows_nothing_of_it() -> None:
    stage = a_province()
    stage.take(stage.activate())
    stage.answer("boss1", PENDING)
    stage.wait(6.0)

    stage.answer("boss1", REFUSED)
    assert stage.sent() == ["boss1 cancelReport"]
    assert stage.close() == []
    stage.answer("boss1", Verdict.DONE)
    [closing] = stage.close()

    assert (closing.state, closing.binding_end) == ("failed", BindingEnd.ROLLED_BACK)
    receipt = stage.receipts()[-1]
    assert (receipt["code"], receipt["ne_code"]) == ("NE_REFUSED", "NE_REFUSED")
    assert "marks" not in receipt


def test_what_headquarters_cannot_prove_clean_is_locked_here_too() -> None:
    stage = a_province()
    stage.take(stage.activate())
    stage.answer("boss1", PENDING)
    stage.wait(6.0)

    stage.answer("boss1", OF_ANOTHER)
    [closing] = stage.close()

    assert stage.sent() == []
    assert (closing.state, closing.binding_end) == ("failed", BindingEnd.UNPROVEN)
    assert stage.receipts()[-1]["marks"] == [NUMBER_LOCKED]


def test_a_report_without_an_answer_is_read_back_and_no_second_number_is_drawn() -> None:
    stage = a_province()
    [answer] = stage.take(stage.activate())

    stage.answer("boss1", Verdict.IN_DOUBT)
    stage.wait(60.0)
    command = stage.peers["boss1"].sent[0]
    stage.answer("boss1", Verdict.ABSENT)
    again = stage.peers["boss1"].sent[0]
    stage.answer("boss1")
    [closing] = stage.close()

    assert command.intent == "readBack"
    assert again.task == command.task
    assert closing.state == "succeeded"
    assert stage.receipts()[-1]["msisdn"] == answer.msisdn


def test_a_withdrawal_that_headquarters_refuses_waits_for_a_person_with_the_number_in_use() -> None:
    stage = a_province()
    stage.take(stage.activate())
    stage.answer("boss1", PENDING)
    stage.wait(6.0)

    stage.answer("boss1", REFUSED)
    stage.answer("boss1", Outcome(Verdict.PERMANENT, "REFUSED", "refused"))
    [closing] = stage.close()

    assert (closing.state, closing.binding_end) == ("fallout", None)


def test_whoever_leaves_gives_his_number_to_rest_once_headquarters_has_closed_him() -> None:
    stage = a_province()
    stage.take(stage.activate())
    stage.run()
    order_id = stage.journal.durable[-1].order_id
    stage.users["7"] = _as_stored(stage, order_id)

    stage.take(stage.remove())
    assert stage.sent() == ["boss1 cancelReport"]
    stage.run()

    closing = stage.journal.durable[-1]
    assert (closing.state, closing.binding_end) == ("succeeded", BindingEnd.TERMINATED)
    assert closing.leaves_ec


def _as_stored(stage: GroupStage, order_id: int) -> Any:
    [closing] = [one for one in stage.journal.durable if one.order_id == order_id]
    return replace(user_of(1), member=closing.joins)


# Headquarters.


def test_a_reported_member_is_opened_and_its_key_is_stored_nowhere() -> None:
    stage = headquarters()

    answers = stage.submit(open_member(stage), source=Source.PBOSS)
    stage.resolve()
    [record] = stage.journal.accepts
    assert KI.encode() not in record.payload
    assert record.binding is not None
    assert record.binding.key.ciphertext == b"sealed"
    stage.accept()
    assert stage.run() == ["hlr1 addKey", "hlr1 addSubscriber", "dsmp openRelation"]

    closing = stage.journal.durable[-1]
    assert answers[0].refusal is None
    assert closing.joins is not None
    assert (closing.joins.ec_code, closing.joins.product) == ("EC", "TRACK")
    assert KI.encode() not in closing.receipt + closing.trail


def test_what_the_hlr_refuses_is_taken_back_and_told_with_its_code() -> None:
    stage = headquarters()
    stage.submit(open_member(stage), source=Source.PBOSS)
    stage.resolve()
    stage.accept()

    stage.answer("hlr1")
    stage.answer("hlr1", Outcome(Verdict.PERMANENT, "3012", "no such template"))
    assert stage.run() == ["hlr1 removeKey"]

    closing = stage.journal.durable[-1]
    receipt = stage.receipts()[-1]
    assert (closing.state, closing.binding_end) == ("failed", BindingEnd.ROLLED_BACK)
    assert (receipt["code"], receipt["ne"], receipt["ne_code"]) == ("NE_REFUSED", "hlr1", "3012")
    assert "marks" not in receipt


def test_the_same_report_twice_opens_one_member() -> None:
    stage = headquarters()
    order = open_member(stage)
    again = open_member(stage, order_id=order.order_id)

    first = stage.take(order, source=Source.PBOSS)
    second = stage.submit(again, source=Source.PBOSS)
    stage.resolve()

    assert (first[0].id, second[0].id) == (FIRST_ID, FIRST_ID)
    assert second[0].is_repeat


def test_a_reported_member_waits_for_its_enterprise_as_any() -> None:
    stage = GroupStage(places=HEADQUARTERS, ec_unknown="wait")

    [answer] = stage.take(open_member(stage), source=Source.PBOSS)
    assert answer.id is not None
    shown = stage.engine.show(answer.id)
    assert shown is not None
    assert shown["waits"]["reason"] == "EC_NOT_READY"
    assert stage.sent() == []
    stage.take(stage.subscribe_ec(product_class=1), source=Source.PBOSS)
    stage.run()

    assert stage.results()["MEMBER_OPEN"] == "succeeded"
