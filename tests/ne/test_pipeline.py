"""Several numbered requests under way on one connection, and replies that come too late."""

import time

import pytest

from hlrd.domain.outcome import Verdict
from tests.ne.conftest import MakeRig
from tests.ne.lines import NumberedLines, an_account
from tests.ne.peer import Act, Peer
from tests.ne.rig import Rig, a_command, some_settings, until

DEPTH = NumberedLines.depth


class Slow:
    """A script that keeps commands back, and answers them when it is told to."""

    def __init__(self, peer: Peer) -> None:
        self._peer = peer
        self.kept: list[str] = []
        self.keeps = True
        self.answers_pings = True
        peer.script = self

    def __call__(self, request: str) -> Act | str:
        if request == "PING" and not self.answers_pings:
            return Act.HANG
        if not self.keeps or not request.startswith("#"):
            return "OK"
        self.kept.append(request)
        return Act.HANG

    def say(self, line: str) -> None:
        (link,) = self._peer.links
        link.transport.write(f"{line}\n".encode())

    def answer(self, *places: int) -> None:
        for place in places:
            self.say(f"OK {self.kept[place]}")


async def a_pipeline(a_rig: MakeRig, **changes: object) -> Rig:
    adapter = NumberedLines(an_account(1, user=""))
    rig = await a_rig(adapter=adapter, **{"sessions_max": 1, **changes})
    await until(lambda: rig.driver.free() > 0)
    return rig


async def test_as_many_commands_as_the_dialect_says_are_under_way_at_once(
    peer: Peer, a_rig: MakeRig
) -> None:
    slow = Slow(peer)
    rig = await a_pipeline(a_rig, reply_timeout_s=5.0)
    assert rig.driver.free() == rig.driver.window() == DEPTH

    rig.give(*(a_command(number) for number in range(10)))
    await until(lambda: len(slow.kept) == DEPTH)

    assert rig.driver.free() == 0
    assert len(rig.backlog) == 10 - DEPTH
    assert peer.connected == 1


async def test_answers_are_told_apart_in_whatever_order_they_come(
    peer: Peer, a_rig: MakeRig
) -> None:
    slow = Slow(peer)
    rig = await a_pipeline(a_rig, reply_timeout_s=5.0)
    rig.give(*(a_command(number) for number in range(1, 4)))
    await until(lambda: len(slow.kept) == 3)

    slow.answer(2)
    assert (await rig.outcome(a_command(3))).verdict is Verdict.DONE
    assert set(rig.answers) == {3}
    slow.answer(0, 1)
    await until(lambda: len(rig.answers) == 3)

    assert rig.verdicts() == {Verdict.DONE: 3}


async def test_more_connections_are_opened_when_one_is_full(peer: Peer, a_rig: MakeRig) -> None:
    slow = Slow(peer)
    rig = await a_pipeline(a_rig, sessions_max=3, reply_timeout_s=5.0)

    rig.give(*(a_command(number) for number in range(20)))
    await until(lambda: len(slow.kept) == 3 * DEPTH)

    assert peer.connected == 3
    assert len(rig.backlog) == 20 - 3 * DEPTH


async def test_a_storm_of_commands_is_answered_each_once(peer: Peer, a_rig: MakeRig) -> None:
    rig = await a_pipeline(a_rig, sessions_max=2, reply_timeout_s=5.0)

    rig.give(*(a_command(number) for number in range(500)))
    await until(lambda: len(rig.answers) == 500)

    assert rig.verdicts() == {Verdict.DONE: 500}
    assert all(len(outcomes) == 1 for outcomes in rig.answers.values())
    assert rig.driver.show()["late_replies"] == 0


async def test_a_reply_that_comes_too_late_is_dropped_by_its_number(
    peer: Peer, a_rig: MakeRig
) -> None:
    slow = Slow(peer)
    rig = await a_pipeline(a_rig, reply_timeout_s=0.1)

    assert (await rig.asked(a_command(1))).verdict is Verdict.IN_DOUBT
    slow.keeps = False
    assert (await rig.asked(a_command(2))).verdict is Verdict.DONE
    slow.say(f"NO {slow.kept[0]}")
    await until(lambda: rig.driver.show()["late_replies"] == 1)

    assert [outcome.verdict for outcome in rig.answers[2]] == [Verdict.DONE]
    assert peer.connected == 1
    assert rig.driver.show()["session_ends"] == {}


async def test_only_what_is_overdue_is_in_doubt_while_the_connection_lives(
    peer: Peer, a_rig: MakeRig
) -> None:
    slow = Slow(peer)
    rig = await a_pipeline(a_rig, reply_timeout_s=0.5)
    started = time.monotonic()
    rig.give(a_command(1))
    await until(lambda: time.monotonic() - started > 0.3)
    rig.give(a_command(2))

    assert (await rig.outcome(a_command(1))).code == "reply_timeout"
    assert 2 not in rig.answers
    slow.answer(1)

    assert (await rig.outcome(a_command(2))).verdict is Verdict.DONE
    assert rig.driver.show()["session_ends"] == {}


async def test_a_connection_that_owes_replies_takes_nothing_new_until_it_shows_life(
    peer: Peer, a_rig: MakeRig
) -> None:
    slow = Slow(peer)
    rig = await a_pipeline(a_rig, reply_timeout_s=0.2)
    slow.answers_pings = False
    rig.give(a_command(1))

    await rig.outcome(a_command(1))
    assert rig.driver.free() == 0
    slow.say("OK PING")
    await until(lambda: rig.driver.free() > 0)

    assert rig.driver.show()["session_ends"] == {}


async def test_a_connection_that_shows_no_life_is_closed_and_all_its_tasks_are_in_doubt(
    peer: Peer, a_rig: MakeRig
) -> None:
    slow = Slow(peer)
    rig = await a_pipeline(a_rig, reply_timeout_s=0.2)
    slow.answers_pings = False
    rig.give(*(a_command(number) for number in range(DEPTH)))

    await until(lambda: rig.ends("reply_timeout") == 1)

    assert rig.verdicts() == {Verdict.IN_DOUBT: DEPTH}
    assert rig.driver.show()["breaker"]["faults"] == 2  # overdue, and then dead


async def test_a_lost_connection_leaves_all_that_was_under_way_in_doubt(
    peer: Peer, a_rig: MakeRig
) -> None:
    slow = Slow(peer)
    rig = await a_pipeline(a_rig, reply_timeout_s=5.0)
    rig.give(*(a_command(number) for number in range(DEPTH)))
    await until(lambda: len(slow.kept) == DEPTH)

    for link in tuple(peer.links):
        link.transport.abort()
    await until(lambda: len(rig.answers) == DEPTH)

    assert rig.verdicts() == {Verdict.IN_DOUBT: DEPTH}
    assert rig.ends("lost") == 1
    slow.keeps = False
    assert (await rig.asked(a_command(99))).verdict is Verdict.DONE


@pytest.mark.parametrize(
    ("line", "cause"),
    [("OK #77 DO nothing", "out_of_step"), ("OK PING", "out_of_step")],
)
async def test_a_reply_that_nothing_asked_for_ends_the_connection(
    peer: Peer, a_rig: MakeRig, line: str, cause: str
) -> None:
    slow = Slow(peer)
    rig = await a_pipeline(a_rig, reply_timeout_s=5.0)
    rig.give(a_command(1))
    await until(lambda: len(slow.kept) == 1)

    slow.say(line)

    assert (await rig.outcome(a_command(1))).verdict is Verdict.IN_DOUBT
    assert rig.ends(cause) == 1


async def test_a_reply_of_the_right_number_to_another_request_ends_the_connection(
    peer: Peer, a_rig: MakeRig
) -> None:
    slow = Slow(peer)
    rig = await a_pipeline(a_rig, reply_timeout_s=5.0)
    rig.give(a_command(1), a_command(2))
    await until(lambda: len(slow.kept) == 2)

    slow.say("OK #1 DO something else")
    await until(lambda: len(rig.answers) == 2)

    assert rig.verdicts() == {Verdict.IN_DOUBT: 2}
    assert rig.ends("wrong_echo") == 1


async def test_a_drain_waits_for_all_that_is_under_way(peer: Peer, a_rig: MakeRig) -> None:
    slow = Slow(peer)
    rig = await a_pipeline(a_rig, reply_timeout_s=5.0)
    rig.give(*(a_command(number) for number in range(DEPTH)))
    await until(lambda: len(slow.kept) == DEPTH)

    slow.answer(*range(DEPTH))
    await rig.driver.drain(5.0)

    assert rig.verdicts() == {Verdict.DONE: DEPTH}
    assert rig.driver.show()["session_ends"] == {"drained": 1}


async def test_another_depth_is_taken_up_by_new_connections(peer: Peer, a_rig: MakeRig) -> None:
    rig = await a_pipeline(a_rig, reply_timeout_s=5.0)
    deeper = NumberedLines(an_account(peer.port, user=""))
    deeper.depth = 9

    rig.driver.adopt(some_settings(peer.port, sessions_max=1), deeper)
    await until(lambda: rig.driver.free() == 9)

    assert rig.ends("renewed") == 1
    assert (await rig.asked(a_command(1))).verdict is Verdict.DONE
