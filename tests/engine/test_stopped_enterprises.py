"""Who becomes a member of an enterprise that is stopped is opened stopped; and nobody slips through
while all its members are stopped or go on."""

from hlrd.domain.orders import LeveledReason
from hlrd.domain.outcome import Verdict
from hlrd.domain.suspension import Level, Reason
from tests.engine.test_groups import GroupStage, subscription

OWING = Reason.ARREARS
TWO, ONE, NONE = Level.TWO_WAY, Level.ONE_WAY, Level.NONE


def test_a_member_of_a_stopped_enterprise_is_opened_behind_the_bar() -> None:
    stage = GroupStage(subscription())
    stage.engine.stop_enterprise("EC", OWING, TWO)

    stage.take(stage.activate())

    assert stage.run() == [
        "hlr1 addKey", "hlr1 addSubscriber", "hlr1 setBarring",
        "dsmp openRelation", "dsmp pauseRelation",
    ]  # fmt: skip
    assert stage.users["7"].reasons == {OWING: TWO}


def test_a_members_own_reasons_stand_beside_those_of_the_enterprise() -> None:
    stage = GroupStage(subscription())
    stage.engine.stop_enterprise("EC", OWING, ONE)
    own = [LeveledReason(OWING, 2), LeveledReason(Reason.VOLUNTARY, 1)]

    stage.take(stage.activate(reasons=own))
    stage.run()

    assert stage.users["7"].reasons == {OWING: TWO, Reason.VOLUNTARY: ONE}


def test_an_enterprise_that_goes_on_and_another_one_stop_nobody() -> None:
    stage = GroupStage(subscription())
    stage.engine.stop_enterprise("EC", OWING, TWO)
    stage.engine.stop_enterprise("EC", OWING, NONE)
    stage.engine.stop_enterprise("OTHER", OWING, TWO)

    stage.take(stage.activate())

    assert "hlr1 setBarring" not in stage.run()


def test_who_is_no_recorded_member_is_not_stopped_as_nothing_would_let_him_go_on() -> None:
    stage = GroupStage()
    stage.engine.stop_enterprise("EC", OWING, TWO)

    stage.take(stage.activate())

    assert "hlr1 setBarring" not in stage.run()


def test_those_whose_opening_is_under_way_are_told_until_it_is_durable() -> None:
    stage = GroupStage(subscription())
    stage.take(stage.activate("1"), stage.activate("2"), stage.activate("3", ec_code="OTHER"))
    stage.answer("hlr1", Verdict.PERMANENT)
    stage.answer("hlr1")

    under_way = stage.engine.stop_enterprise("EC", OWING, TWO)

    assert [binding.user_id for binding in under_way] == ["2"]
    stage.run()
    assert stage.engine.stop_enterprise("EC", OWING, TWO) == []
