"""Repairs read the HLR first, and send what it lacks and nothing else."""

from typing import Any

import pytest
from msgspec import structs

from hlrd.domain.lifecycle import NumberState, UserState
from hlrd.domain.operation import Operation
from hlrd.domain.orders import NERepair, Service
from hlrd.domain.orders.repair import Subject
from hlrd.domain.orders.standing import LeveledReason
from hlrd.domain.outcome import Outcome, Verdict
from hlrd.domain.suspension import NO_REASONS, Level, Reason
from hlrd.domain.user import User
from hlrd.ports import Intent, NumberFact
from tests.domain.products import a_content, a_function, a_product, held
from tests.engine.stage import Stage, refusal, user_of

THERE, MISSING = Verdict.APPLIED, Verdict.ABSENT
ARREARS = {Reason.ARREARS: Level.TWO_WAY}
GONE = {"imsi": "460990000000001", "hlr": "hlr1", "approved_by": "li4"}


def a_stage(user: User | None = None) -> Stage:
    stage = Stage()
    stage.wait(stage.hlr.settle_s)  # what a run before this one left has come to its end
    if user is not None:
        stage.users["7"] = user
    stage.facts["opened_with"] = (Service.GPRS, Service.SMS)
    return stage


def repair(stage: Stage, **changes: Any) -> NERepair:
    return NERepair(**stage.header(), **{"msisdn": "1064700000001"} | changes)


def run(stage: Stage, *found: Verdict) -> list[str]:
    """Answer the read-backs with what is found in turn, all else with done; what was sent."""
    answers = list(found)
    sent = []
    while stage.hlr.sent or stage.dsmp.sent:
        command = (stage.hlr.sent or stage.dsmp.sent)[0]
        sent.append(f"{command.intent} {command.task.operation}")
        is_query = command.intent is Intent.READ_BACK
        stage.reply(answers.pop(0) if is_query else Verdict.DONE)
        stage.wait(0)
    return sent


def test_what_is_as_it_should_be_costs_queries_alone() -> None:
    stage = a_stage(user_of(1))
    stage.take(repair(stage))

    sent = run(stage, THERE, THERE, THERE)
    stage.close()

    assert sent == ["readBack addKey", "readBack addSubscriber", "readBack setBarring"]
    assert stage.receipts()[-1]["result"] == "succeeded"
    assert stage.receipts()[-1]["marks"] == ["NO_CHANGE"]


def test_what_is_as_it_should_be_owes_nothing_either() -> None:
    stage = a_stage(user_of(1))
    stage.take(repair(stage, check=[Subject.BARRING]))

    stage.reply(Outcome(Verdict.FOLLOW_UP, then=Operation.CANCEL_LOCATION))
    stage.close()

    assert stage.receipts()[-1]["marks"] == ["NO_CHANGE"]


def test_only_what_is_missing_is_sent() -> None:
    stage = a_stage(user_of(1, ARREARS))
    stage.take(repair(stage))

    sent = run(stage, THERE, THERE, MISSING)
    stage.close()

    assert sent[2:] == ["readBack setBarring", "execute setBarring"]
    assert "marks" not in stage.receipts()[-1]


def test_a_record_that_is_not_there_is_made_with_the_services_of_the_opening() -> None:
    stage = a_stage(user_of(1, ARREARS))
    order = repair(stage)
    stage.take(order)

    sent = run(stage, MISSING, MISSING, MISSING)

    executed = [one for one in sent if one.startswith("execute")]
    assert executed == ["execute addKey", "execute addSubscriber", "execute setBarring"]
    assert order.services == [Service.GPRS, Service.SMS]


def test_behind_an_opening_on_its_way_its_services_count() -> None:
    stage = Stage()
    stage.take(stage.activate())
    order = repair(stage)

    (answer,) = stage.take(order)

    assert answer.refusal is None
    assert order.services == [Service.GPRS, Service.SMS]


@pytest.mark.parametrize(
    ("check", "queries"),
    [
        ([Subject.EXISTENCE], ["addKey", "addSubscriber"]),
        ([Subject.BARRING], ["setBarring"]),
        ([Subject.SERVICES], []),
    ],
)
def test_only_what_was_asked_for_is_looked_at(check: list[Subject], queries: list[str]) -> None:
    stage = a_stage(user_of(1))
    stage.take(repair(stage, check=check))

    sent = run(stage, THERE, THERE)

    assert sent == [f"readBack {name}" for name in queries]


def test_what_no_command_of_it_mends_waits_for_a_person() -> None:
    stage = a_stage(user_of(1))
    stage.take(repair(stage, check=[Subject.EXISTENCE]))

    run(stage, THERE, Verdict.DIFFERENT)
    stage.close()

    assert stage.receipts()[-1]["result"] == "fallout"


def test_the_masters_word_takes_the_place_of_what_hlrd_had() -> None:
    stage = a_stage(user_of(1, {Reason.VOLUNTARY: Level.TWO_WAY, Reason.FRAUD: Level.ONE_WAY}))
    said = [LeveledReason(Reason.ARREARS, 1)]
    stage.take(
        repair(stage, check=[Subject.BARRING], reasons=said, state_version=4, said_by="BOSS")
    )

    sent = run(stage, MISSING)
    stage.close()

    assert sent == ["readBack setBarring", "execute setBarring"]
    assert stage.users["7"].reasons == {Reason.ARREARS: 1, Reason.FRAUD: 1}


def test_a_line_that_the_master_frees_is_told_to_the_dsmp_too() -> None:
    stage = a_stage(user_of(1, ARREARS))
    stage.take(repair(stage, check=[Subject.BARRING], reasons=[], state_version=4, said_by="BOSS"))

    sent = run(stage, MISSING, MISSING)

    assert sent[-1] == "execute resumeRelation"


def test_the_record_of_nobody_is_removed_if_it_is_there() -> None:
    stage = a_stage(User(UserState.TERMINATED, None, NO_REASONS))
    stage.take(repair(stage, **GONE))

    sent = run(stage, MISSING, THERE)
    stage.close()

    assert sent == ["readBack removeSubscriber", "execute removeSubscriber", "readBack removeKey"]
    assert stage.receipts()[-1]["result"] == "succeeded"
    assert stage.users["7"].state is UserState.TERMINATED


def test_so_is_that_of_a_user_whom_hlrd_never_had() -> None:
    stage = a_stage()
    stage.take(repair(stage, **GONE))

    sent = run(stage, THERE, THERE)
    (closing,) = stage.close()

    assert sent == ["readBack removeSubscriber", "readBack removeKey"]
    assert (closing.state, closing.user) == ("succeeded", None)


@pytest.mark.parametrize(
    ("user", "changes", "facts", "code"),
    [
        (None, {}, {}, "REPAIR_UNCLEAR"),
        (None, GONE | {"approved_by": None}, {}, "APPROVAL_MISSING"),
        (None, GONE | {"approved_by": "op"}, {}, "APPROVAL_MISSING"),
        (None, GONE | {"approved_by": "OP"}, {}, "APPROVAL_MISSING"),
        (
            None,
            GONE,
            {"number": NumberFact("hlr1", "200", NumberState.IN_USE)},
            "USER_NUMBER_MISMATCH",
        ),
        (None, GONE, {"imsi_is_free": False}, "IMSI_IN_USE"),
        (None, GONE | {"reasons": [], "state_version": 1}, {}, "USER_TERMINATED"),
        (user_of(1), GONE, {}, "REPAIR_UNCLEAR"),
        (user_of(1), {"msisdn": "1064700000002"}, {}, "USER_NUMBER_MISMATCH"),
        (user_of(1), {}, {"opened_with": None}, "SERVICES_MISSING"),
    ],
)
def test_a_repair_that_may_not_be_done_is_refused(
    user: User | None, changes: dict[str, Any], facts: dict[str, Any], code: str
) -> None:
    stage = a_stage(user)
    stage.facts |= facts

    answers = stage.submit(repair(stage, **changes))
    stage.resolve()

    assert refusal(answers) == code
    assert not stage.journal.accepts


def test_a_removal_needs_its_approval_also_when_the_user_goes_meanwhile() -> None:
    stage = a_stage(user_of(1))
    stage.take(stage.terminate(), repair(stage))

    stage.finish()

    assert stage.receipts()[-1]["code"] == "APPROVAL_MISSING"


def test_a_repair_is_for_staff_and_goes_behind_all_else() -> None:
    stage = a_stage(user_of(1))

    assert refusal(stage.take(repair(stage), source="BOSS")) == "SOURCE_NOT_ALLOWED"

    stage.submit(repair(stage))
    stage.resolve()
    assert stage.journal.accepts[0].priority == 5


def test_the_functions_of_all_products_are_looked_at_once_each() -> None:
    first = a_product("P1", a_function("GPRS"), a_content())
    second = a_product("P2", a_function("GPRS"), a_function("SMS"))
    user = structs.replace(user_of(1), products=(held(first), held(second)))
    stage = a_stage(user)
    for product in (first, second):
        stage.products.stage(product)
        stage.products.activate(product.id, product.version)
    stage.take(repair(stage, check=[Subject.SERVICES]))

    sent = run(stage, THERE, MISSING)

    assert sent == ["readBack addFunction", "readBack addFunction", "execute addFunction"]
