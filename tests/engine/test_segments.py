"""A segment that moves: its orders wait, all others go on, and none goes to the old HLR after."""

import pytest

from hlrd import limits
from hlrd.domain.outcome import Outcome, Verdict
from hlrd.domain.routing import Identity, Rehoming, Route, RouteTable, Routing, Segment
from tests.engine.stage import FakeNE, Stage, refusal, user_of

WHY = {"reason": "segmentMoves"}
SEGMENT = Segment(Identity.MSISDN, "106470000001")
MOVE = Rehoming(SEGMENT, "hlr1", "hlr2")


def a_stage() -> Stage:
    """User 10 is of the segment, user 2 is not; both at hlr1."""
    stage = Stage()
    stage.users = {"10": user_of(10, user_id="10"), "2": user_of(2, user_id="2")}
    return stage


def two_hlrs() -> tuple[Stage, FakeNE]:
    second = FakeNE("hlr2")
    first = FakeNE("hlr1")
    stage = Stage(nes={"hlr1": first, "hlr2": second, "dsmp": FakeNE("dsmp")})
    stage.hlr = first
    stage.users = {"10": user_of(10, user_id="10"), "2": user_of(2, user_id="2")}
    return stage, second


def sent_to(ne: FakeNE) -> list[str]:
    return [command.task.binding.user_id for command in ne.sent]


def test_orders_of_the_segment_wait_and_those_of_others_go_on() -> None:
    stage = a_stage()
    stage.engine.segments.hold(SEGMENT, WHY)

    stage.take(stage.suspend(10, user="10"), stage.suspend(2, user="2"))

    assert sent_to(stage.hlr) == ["2"]
    assert stage.engine.segments.waiting() == 1
    assert stage.engine.hold_of(user_of(10).binding) == WHY
    assert stage.engine.hold_of(user_of(2).binding) is None
    assert stage.engine.hold_of(None) is None


def test_what_had_begun_is_carried_out_and_counted_until_it_is_durably_closed() -> None:
    stage = a_stage()
    stage.take(stage.suspend(10, user="10"))
    stage.engine.segments.hold(SEGMENT, WHY)
    counts = [stage.engine.segments.running()]

    stage.reply()
    stage.reply()
    counts.append(stage.engine.segments.running())
    stage.close()

    assert [*counts, stage.engine.segments.running()] == [1, 1, 0]


def test_the_next_order_of_the_user_waits_though_the_one_before_had_begun() -> None:
    stage = a_stage()
    stage.take(stage.suspend(10, user="10"))
    stage.engine.segments.hold(SEGMENT, WHY)
    stage.take(stage.resume(10, user="10"))

    stage.reply()
    stage.reply()
    stage.close()

    assert stage.commands() == []
    stage.engine.release_segment()
    assert stage.commands() == ["execute setBarring"]


def test_what_waits_goes_on_with_the_release_and_to_the_new_home() -> None:
    stage, second = two_hlrs()
    stage.engine.segments.hold(SEGMENT, WHY)
    stage.take(stage.suspend(10, user="10"))

    assert stage.engine.segments.rehome(MOVE) == []
    stage.engine.release_segment()

    assert (sent_to(stage.hlr), sent_to(second)) == ([], ["10"])


def test_an_opening_that_is_on_its_way_to_the_journal_is_told_and_its_end_awaited() -> None:
    stage, second = two_hlrs()
    stage.engine.segments.hold(SEGMENT, WHY)
    stage.submit(stage.open(11, user="11"))
    stage.resolve()

    arriving = stage.engine.segments.rehome(MOVE)

    assert len(arriving) == 1
    assert not stage.engine.segments.are_durable(arriving)
    stage.accept()
    assert stage.engine.segments.are_durable(arriving)
    stage.engine.release_segment()
    assert (sent_to(stage.hlr), sent_to(second)) == ([], [])
    assert stage.journal.closings, "hlr2 has no template on this stage, so it ended at once"


def test_what_was_read_before_the_switch_is_set_right() -> None:
    stage, second = two_hlrs()
    stage.engine.segments.hold(SEGMENT, WHY)
    stage.submit(stage.suspend(10, user="10"))
    stage.engine.segments.rehome(MOVE)

    stage.resolve()  # by facts of before
    stage.accept()
    stage.engine.release_segment()

    assert (sent_to(stage.hlr), sent_to(second)) == ([], ["10"])


def test_a_binding_reserved_by_facts_of_before_has_the_new_home() -> None:
    stage = a_stage()
    stage.engine.segments.hold(SEGMENT, WHY)
    stage.engine.segments.rehome(MOVE)

    stage.submit(stage.open(11, user="11"), stage.open(3, user="3"))
    stage.resolve()

    homes = [record.binding.hlr for record in stage.journal.accepts if record.binding]
    assert homes == ["hlr2", "hlr1"]


def test_back_again_is_as_before() -> None:
    stage, second = two_hlrs()
    stage.engine.segments.hold(SEGMENT, WHY)
    stage.take(stage.suspend(10, user="10"))

    stage.engine.segments.rehome(MOVE)
    stage.engine.segments.rehome(MOVE.back())
    stage.engine.release_segment()

    assert (sent_to(stage.hlr), sent_to(second)) == (["10"], [])


def test_a_read_back_that_is_under_way_at_the_hold_is_answered() -> None:
    stage = a_stage()
    stage.take(stage.suspend(10, user="10"))
    stage.reply(Outcome(Verdict.IN_DOUBT))
    stage.engine.segments.hold(SEGMENT, WHY)

    stage.wait(stage.hlr.settle_s)

    assert stage.commands() == ["readBack setBarring"]


def test_of_a_held_segment_only_a_share_of_memory_waits_and_the_rest_is_parked(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(limits, "ORDERS_IN_MEMORY_MAX", 10)
    monkeypatch.setattr(limits, "UNPARK_ORDERS", 2)
    stage = Stage()
    stage.users = {str(n): user_of(n, user_id=str(n)) for n in (*range(10, 16), 2)}
    stage.engine.segments.hold(SEGMENT, WHY)
    records = []
    for n in range(10, 16):
        stage.submit(stage.suspend(n, user=str(n)))
        stage.resolve()
        records += stage.journal.accepts
        stage.accept()
    waiting = stage.engine.segments.waiting()

    stage.take(stage.suspend(2, user="2"))
    assert sent_to(stage.hlr) == ["2"]
    assert waiting < 6, "not all of them are in memory"
    assert stage.engine.open_orders() == 7
    stage.reply()
    stage.reply()
    stage.close()
    assert stage.lookup.unparking == [], "what is parked waits as well"

    stage.engine.release_segment()
    by_id = {record.id: record for record in records}
    for _ in range(4):
        stage.finish()
        for asked, _ in list(stage.lookup.unparking):
            stage.unpark([by_id[order_id] for order_id in asked])
    stage.finish()
    assert stage.engine.open_orders() == 0


def test_a_card_that_comes_with_its_order_must_be_routed_to_the_home_of_the_number() -> None:
    table = RouteTable(Routing([Route("460040", Identity.IMSI, "hlr2", "[[route]] 1")]))
    stage = Stage(homes=table)

    answers = stage.submit(stage.open(1))
    stage.resolve()

    assert refusal(answers) == "HOME_HLR_DIFFERS"
    table.configure(Routing())
    answers = stage.submit(stage.open(1))
    stage.resolve()
    stage.accept()
    assert answers[0].refusal is None
