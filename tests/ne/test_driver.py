"""A driver over real sockets: each command answered once, and told truly whether it was written."""

import asyncio
import time
from random import Random

import orjson
import pytest
import structlog

from hlrd import metrics
from hlrd.domain.operation import Operation
from hlrd.domain.outcome import Outcome, Verdict
from hlrd.ne.sessions import Bounds
from hlrd.ports import Intent
from tests.faultproxy import FaultProxy
from tests.ne.conftest import MakeRig
from tests.ne.peer import Act, Peer, always, in_turn
from tests.ne.rig import KI, Rig, a_command, until
from tests.owntime import own_time


async def test_a_command_is_answered_by_the_word_of_the_ne(a_rig: MakeRig) -> None:
    rig = await a_rig()

    outcome = await rig.asked(a_command())

    assert outcome == Outcome(Verdict.DONE, "OK")


async def test_a_burst_opens_sessions_up_to_the_maximum_and_all_is_answered(
    peer: Peer, a_rig: MakeRig
) -> None:
    rig = await a_rig(sessions_max=4)

    rig.give(*(a_command(number) for number in range(200)))
    await until(lambda: len(rig.answers) == 200)

    assert rig.verdicts() == {Verdict.DONE: 200}
    assert peer.open_max == 4
    assert set(peer.executed.values()) == {1} | {peer.executed["LOGIN hlrd"]}


async def test_one_command_is_outstanding_on_a_session(peer: Peer, a_rig: MakeRig) -> None:
    rig = await a_rig(sessions_max=2, reply_timeout_s=5.0)
    await rig.asked(a_command(1))
    peer.script = lambda request: Act.HANG if request.startswith("DO") else "OK"

    rig.give(*(a_command(number) for number in range(2, 12)))
    await until(lambda: peer.asked("DO") == 3)
    await asyncio.sleep(0)

    assert rig.driver.free() == 0
    assert rig.sessions("busy") == 2
    assert len(rig.backlog) == 8


# --- in doubt, or not sent -----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("act", "cause", "is_executed"),
    [
        (Act.HANG, "reply_timeout", True),
        (Act.DRIP, "reply_timeout", True),
        (Act.CUT, "lost", True),
        (Act.CUT_UNDONE, "lost", False),
        (Act.WRONG_ECHO, "wrong_echo", True),
        (Act.GARBAGE, "protocol_error", True),
        (Act.OVERSIZE, "protocol_error", True),
        ("WHAT", "protocol_error", True),
    ],
)
async def test_a_command_without_a_good_answer_is_in_doubt_and_its_session_closed(
    peer: Peer, a_rig: MakeRig, act: Act | str, cause: str, is_executed: bool
) -> None:
    rig = await a_rig()
    peer.script = in_turn(act)

    outcome = await rig.asked(a_command())

    assert (outcome.verdict, outcome.code) == (Verdict.IN_DOUBT, cause)
    assert peer.asked("DO") == 1
    assert any(request.startswith("DO") for request in peer.executed) is is_executed
    assert rig.ends(cause) == 1
    assert (await rig.asked(a_command(2))).verdict is Verdict.DONE


async def test_a_slow_drip_does_not_put_off_the_time_out(peer: Peer, a_rig: MakeRig) -> None:
    rig = await a_rig(reply_timeout_s=0.2)
    await rig.asked(a_command(1))
    peer.script = always(Act.DRIP)
    started = time.monotonic()

    async with own_time() as own:
        await rig.asked(a_command(2))

    assert time.monotonic() - started >= 0.2
    assert own.s < 0.4


async def test_a_write_to_a_session_that_is_gone_is_not_sent(peer: Peer, a_rig: MakeRig) -> None:
    rig = await a_rig()
    await until(lambda: rig.driver.free() > 0)
    (session,) = rig.driver._idle
    assert session._transport is not None
    session._transport.abort()  # the loop has not told of it yet

    rig.execute(a_command())

    assert (await rig.outcome(a_command())).verdict is Verdict.NOT_SENT
    assert peer.asked("DO") == 0


async def test_a_command_given_without_a_free_session_is_not_sent(a_rig: MakeRig) -> None:
    rig = await a_rig(sessions_min=0)
    assert rig.driver.free() == 0

    rig.execute(a_command())

    assert (await rig.outcome(a_command())).verdict is Verdict.NOT_SENT


async def test_an_answer_in_pieces_is_one_answer(peer: Peer, a_rig: MakeRig) -> None:
    rig = await a_rig(reply_timeout_s=2.0)
    peer.script = in_turn(Act.SPLIT)

    assert (await rig.asked(a_command())).verdict is Verdict.DONE


async def test_of_two_answers_glued_together_the_first_counts_and_the_session_ends(
    peer: Peer, a_rig: MakeRig
) -> None:
    rig = await a_rig()
    peer.script = in_turn(Act.DOUBLED)

    outcome = await rig.asked(a_command(1))

    assert outcome.verdict is Verdict.DONE
    assert rig.ends("out_of_step") == 1
    assert (await rig.asked(a_command(2))).verdict is Verdict.DONE


async def test_words_that_nobody_asked_for_end_an_idle_session(peer: Peer, a_rig: MakeRig) -> None:
    rig = await a_rig()
    await until(lambda: rig.driver.free() == 1)

    for link in peer.links:
        link.transport.write(b"BY THE WAY\n")

    await until(lambda: rig.ends("out_of_step") == 1)


async def test_a_late_answer_is_never_taken_for_that_of_the_next_command(
    peer: Peer, a_rig: MakeRig
) -> None:
    async with FaultProxy("127.0.0.1", peer.port) as proxy:
        rig = await a_rig(port=proxy.port, reply_timeout_s=0.1, sessions_max=1)
        await rig.asked(a_command(1))
        peer.script = in_turn("NO")
        proxy.faults.down.delay_s = 0.15

        assert (await rig.asked(a_command(2))).verdict is Verdict.IN_DOUBT
        proxy.faults.down.delay_s = 0.0

        assert (await rig.asked(a_command(3))).verdict is Verdict.DONE


async def test_no_command_is_written_behind_an_answer_that_is_the_last(
    peer: Peer, a_rig: MakeRig
) -> None:
    peer.script = lambda request: Act.LAST if request.startswith("DO") else "OK"
    rig = await a_rig(user="")

    rig.give(*(a_command(number) for number in range(100)))
    await until(lambda: len(rig.answers) == 100, within_s=2.0)

    assert rig.verdicts() == {Verdict.DONE: 100}
    assert rig.ends("hung_up") == 100
    assert rig.driver.show()["breaker"]["faults"] == 0


# --- what is sent --------------------------------------------------------------------------------


async def test_a_read_back_asks_and_changes_nothing(peer: Peer, a_rig: MakeRig) -> None:
    rig = await a_rig()
    peer.script = in_turn("HAS", "NOT")

    found = await rig.asked(a_command(1, intent=Intent.READ_BACK))
    missed = await rig.asked(a_command(2, intent=Intent.READ_BACK))

    assert (found.verdict, missed.verdict) == (Verdict.APPLIED, Verdict.ABSENT)
    assert (peer.asked("IS"), peer.asked("DO")) == (2, 0)


async def test_without_a_query_the_command_itself_is_the_read_back(
    peer: Peer, a_rig: MakeRig
) -> None:
    rig = await a_rig(read_back="none")
    peer.script = in_turn("SAME")

    outcome = await rig.asked(a_command(intent=Intent.READ_BACK))

    assert outcome.verdict is Verdict.NO_CHANGE
    assert peer.asked("DO") == 1


async def test_the_key_of_a_card_is_opened_for_loading_and_reporting_it_and_for_nothing_else(
    peer: Peer, a_rig: MakeRig
) -> None:
    rig = await a_rig()

    for number, operation in enumerate(Operation):
        await rig.asked(a_command(number, operation=operation))

    with_key = [request.split()[1] for request in peer.requests if KI in request]
    assert with_key == [Operation.ADD_KEY, Operation.REPORT_MEMBER]
    assert len(rig.vault.opened) == len(with_key)


async def test_a_value_that_the_encoder_refuses_fails_its_command_alone(
    peer: Peer, a_rig: MakeRig
) -> None:
    rig = await a_rig()

    with structlog.testing.capture_logs() as logs:
        outcome = await rig.asked(a_command(1, transaction="unfit"))

    assert (outcome.verdict, outcome.code) == (Verdict.PERMANENT, "NOT_ENCODABLE")
    assert "secret" not in f"{outcome}{logs}"
    assert [entry["event"] for entry in logs if entry["log_level"] == "error"] == [
        "ne_command_not_encodable"
    ]
    assert (await rig.asked(a_command(2))).verdict is Verdict.DONE


async def test_a_key_that_cannot_be_opened_fails_its_command_alone(a_rig: MakeRig) -> None:
    rig = await a_rig()
    command = a_command(1, operation=Operation.ADD_KEY, sealed="not a key")

    assert (await rig.asked(command)).code == "NOT_ENCODABLE"


async def test_a_code_in_no_table_is_counted(peer: Peer, a_rig: MakeRig) -> None:
    rig = await a_rig()
    peer.script = in_turn("STRANGE")

    outcome = await rig.asked(a_command())

    assert outcome.verdict is Verdict.PERMANENT
    assert rig.driver.show()["unknown_codes"] == 1


# --- login ---------------------------------------------------------------------------------------


async def test_a_void_login_is_renewed_on_the_same_connection(peer: Peer, a_rig: MakeRig) -> None:
    rig = await a_rig(sessions_max=1)
    await rig.asked(a_command(1))
    peer.script = in_turn("WHO")

    assert (await rig.asked(a_command(2))).verdict is Verdict.SESSION
    assert (await rig.asked(a_command(3))).verdict is Verdict.DONE

    assert (peer.asked("LOGIN"), peer.connected) == (2, 1)


async def test_a_login_that_is_void_at_once_is_not_tried_for_ever(
    peer: Peer, a_rig: MakeRig
) -> None:
    rig = await a_rig()
    peer.script = in_turn(*["WHO"] * 100)

    assert (await rig.asked(a_command(1))).verdict is Verdict.SESSION

    assert rig.ends("login_void") == 1
    assert rig.driver.show()["opens_again_in_s"] > 0.4


async def test_a_refused_login_is_tried_rarely_and_is_no_fault_of_the_ne(
    peer: Peer, a_rig: MakeRig
) -> None:
    peer.script = lambda request: "NO" if request.startswith("LOGIN") else "OK"

    with structlog.testing.capture_logs() as logs:
        rig = await a_rig(sessions_min=4)
        await until(lambda: rig.ends("login_refused") == 1)
        await asyncio.sleep(0.3)

    shown = rig.driver.show()
    assert peer.asked("LOGIN") == 1
    assert shown["breaker"] == {"state": "closed", "faults": 0}
    assert shown["opens_again_in_s"] > 4.0
    (entry,) = [entry for entry in logs if entry["event"] == "ne_session_end"]
    assert (entry["log_level"], entry["cause"], entry["error"]) == ("error", "login_refused", "NO")


async def test_at_the_session_limit_of_the_ne_work_goes_on_with_what_there_is(
    peer: Peer, a_rig: MakeRig
) -> None:
    peer.sessions_max = 2
    rig = await a_rig(sessions_max=8)

    rig.give(*(a_command(number) for number in range(300)))
    await until(lambda: len(rig.answers) == 300)

    assert rig.verdicts() == {Verdict.DONE: 300}
    assert 1 <= rig.ends("session_limit") <= 4
    assert rig.driver.show()["breaker"]["faults"] == 0
    assert rig.driver.show()["opens_again_in_s"] > 0.3


async def test_a_dialect_without_login_is_ready_once_connected(peer: Peer, a_rig: MakeRig) -> None:
    rig = await a_rig(user="")

    assert (await rig.asked(a_command())).verdict is Verdict.DONE
    assert peer.asked("LOGIN") == 0


async def test_the_password_and_the_requests_are_in_no_log(peer: Peer, a_rig: MakeRig) -> None:
    peer.script = in_turn(Act.WRONG_ECHO, Act.GARBAGE, Act.CUT, Act.HANG, "WHAT")

    with structlog.testing.capture_logs() as logs:
        rig = await a_rig()
        for number in range(6):
            await rig.asked(a_command(number, operation=Operation.ADD_KEY))

    text = str(logs)
    assert len(logs) >= 5
    for secret in ("not shown", KI, "00101", "LOGIN", "addKey"):
        assert secret not in text


# --- breaker -------------------------------------------------------------------------------------


async def test_an_ne_that_cannot_be_reached_opens_the_breaker_and_tasks_wait(
    peer: Peer, a_rig: MakeRig
) -> None:
    await peer.stop()
    rig = await a_rig(breaker_failures=3)
    rig.give(*(a_command(number) for number in range(20)))

    await until(lambda: rig.driver.show()["state"] == "broken")

    assert rig.driver.free() == 0
    assert len(rig.backlog) == 20
    assert rig.answers == {}


async def test_work_goes_on_within_a_second_of_the_return_of_the_ne(
    peer: Peer, a_rig: MakeRig
) -> None:
    await peer.stop()
    rig = await a_rig(breaker_failures=3, breaker_probe_s=0.5)
    rig.give(*(a_command(number) for number in range(20)))
    await until(lambda: rig.driver.show()["state"] == "broken")
    await until(lambda: rig.ends("connect_failed") >= 4)

    await peer.start()
    await until(lambda: len(rig.answers) == 20, within_s=1.0)

    assert rig.verdicts() == {Verdict.DONE: 20}
    assert rig.driver.show()["breaker"] == {"state": "closed", "faults": 0}


async def test_an_ne_that_went_down_with_many_young_sessions_is_used_as_soon_as_it_is_back(
    peer: Peer, a_rig: MakeRig
) -> None:
    """All of them are hung up on soon after their logins, which is nobody else's login."""
    rig = await a_rig(sessions_min=12, sessions_max=12)
    await until(lambda: rig.sessions("idle") == 12)
    rig.give(*(a_command(number) for number in range(12)))
    await until(lambda: len(rig.answers) == 12)

    await peer.stop()
    await until(lambda: rig.ends("hung_up") == 12)
    await peer.start()
    rig.give(a_command(12))
    await until(lambda: 12 in rig.answers, within_s=2.0)

    assert rig.verdicts() == {Verdict.DONE: 13}


async def test_the_breaker_closes_on_a_sign_of_life_and_not_on_a_connect(
    peer: Peer, a_rig: MakeRig
) -> None:
    peer.script = lambda request: "OK" if request.startswith("LOGIN") else Act.HANG
    rig = await a_rig(breaker_failures=1, reply_timeout_s=0.1, connect_timeout_s=0.15)
    await rig.asked(a_command(1))
    assert rig.driver.show()["state"] == "broken"

    rig.give(a_command(2))
    await until(lambda: rig.ends("login_timeout") >= 2)
    assert rig.driver.show()["state"] == "broken"
    assert peer.asked("DO") == 1
    peer.script = always("OK")

    assert (await rig.outcome(a_command(2))).verdict is Verdict.DONE
    assert peer.asked("PING") >= 3


async def test_a_probe_is_never_a_write(peer: Peer, a_rig: MakeRig) -> None:
    rig = await a_rig(breaker_failures=1, breaker_probe_s=0.05)
    peer.script = always(Act.HANG)
    rig.give(*(a_command(number) for number in range(3)))
    await until(lambda: rig.driver.show()["state"] == "broken")
    written = peer.asked("DO")

    probed = peer.connected
    await until(lambda: peer.connected >= probed + 2)

    assert peer.asked("DO") == written


async def test_probes_are_made_one_at_a_time(peer: Peer, a_rig: MakeRig) -> None:
    async with FaultProxy("127.0.0.1", peer.port) as proxy:
        proxy.faults.up.is_swallowed = True
        rig = await a_rig(
            port=proxy.port, breaker_failures=1, breaker_probe_s=0.05, connect_timeout_s=0.3
        )
        await until(lambda: rig.driver.show()["state"] == "broken")

        most = 0
        while rig.ends("login_timeout") < 3:
            most = max(most, rig.sessions("opening"))
            await asyncio.sleep(0.005)

        assert most == 1


async def test_an_open_breaker_trusts_no_idle_session(peer: Peer, a_rig: MakeRig) -> None:
    rig = await a_rig(sessions_min=4, breaker_failures=1)
    await until(lambda: rig.sessions("idle") == 4)
    peer.script = always(Act.CUT)

    await rig.asked(a_command())

    assert rig.ends("breaker") == 3
    assert rig.driver.free() == 0


async def test_refusals_and_busy_are_answers_and_open_no_breaker(
    peer: Peer, a_rig: MakeRig
) -> None:
    rig = await a_rig(breaker_failures=1)
    peer.script = in_turn("NO", "BUSY", "LATER", "NO")

    for number in range(4):
        await rig.asked(a_command(number))

    assert rig.driver.show()["breaker"] == {"state": "closed", "faults": 0}


async def test_faults_with_answers_between_them_open_no_breaker(peer: Peer, a_rig: MakeRig) -> None:
    rig = await a_rig(breaker_failures=2)
    peer.script = in_turn(Act.CUT, "OK", Act.CUT, "NO", Act.CUT, "BUSY", Act.CUT, "OK")

    for number in range(8):
        await rig.asked(a_command(number))

    assert rig.ends("lost") == 4
    assert peer.asked("PING") == 0
    assert rig.driver.show()["breaker"] == {"state": "closed", "faults": 0}


async def test_an_ne_that_comes_back_and_refuses_us_is_no_longer_silent(
    peer: Peer, a_rig: MakeRig
) -> None:
    rig = await a_rig(breaker_failures=1)
    await until(lambda: rig.driver.free() > 0)
    peer.script = lambda request: "NO" if request.startswith("LOGIN") else Act.CUT

    await rig.asked(a_command())
    await until(lambda: rig.ends("login_refused") == 1)

    assert rig.driver.show()["breaker"]["state"] == "closed"
    assert rig.driver.show()["opens_again_in_s"] > 4.0
    assert rig.driver.free() == 0


async def test_silence_as_of_a_stopped_process_ends_when_the_process_goes_on(
    peer: Peer, a_rig: MakeRig
) -> None:
    async with FaultProxy("127.0.0.1", peer.port) as proxy:
        rig = await a_rig(port=proxy.port, breaker_failures=2, sessions_min=2)
        await rig.asked(a_command(0))
        await until(lambda: rig.sessions("idle") == 2)
        proxy.freeze()

        rig.give(a_command(1), a_command(2), a_command(3))
        await until(lambda: rig.driver.show()["state"] == "broken")
        proxy.thaw()
        await until(lambda: len(rig.answers) == 4)

        assert rig.answers[3][0].verdict is Verdict.DONE
        assert {rig.answers[1][0].verdict, rig.answers[2][0].verdict} == {Verdict.IN_DOUBT}


async def test_an_ne_that_hangs_up_on_every_session_is_not_called_without_pause(
    peer: Peer, a_rig: MakeRig
) -> None:
    peer.script = always(Act.FAREWELL)
    rig = await a_rig(sessions_min=1)

    await until(lambda: rig.ends("hung_up") >= 3)
    calls, started = peer.connected, time.monotonic()
    await asyncio.sleep(0.3)

    assert peer.connected - calls <= (time.monotonic() - started) / 0.1 + 1


# --- keep-alive and idleness ---------------------------------------------------------------------


async def test_an_idle_session_proves_its_life(peer: Peer, a_rig: MakeRig) -> None:
    await a_rig(keepalive_s=0.1)

    await until(lambda: peer.asked("PING") >= 2)

    assert peer.connected == 1


async def test_a_session_that_does_not_prove_its_life_is_closed_before_a_command_uses_it(
    peer: Peer, a_rig: MakeRig
) -> None:
    peer.script = lambda request: Act.HANG if request == "PING" else "OK"
    rig = await a_rig(keepalive_s=0.1, reply_timeout_s=0.1)

    await until(lambda: rig.ends("reply_timeout") == 1)
    peer.script = always("OK")

    assert (await rig.asked(a_command())).verdict is Verdict.DONE


async def test_surplus_sessions_log_out_when_idle_for_long(peer: Peer, a_rig: MakeRig) -> None:
    rig = await a_rig(sessions_min=1, sessions_max=4, idle_close_s=0.2)
    rig.give(*(a_command(number) for number in range(100)))
    await until(lambda: len(rig.answers) == 100)

    await until(lambda: rig.ends("surplus") >= 1 and len(peer.links) == 1)

    assert peer.asked("BYE") == rig.ends("surplus")
    assert rig.driver.free() == 1


async def test_a_keep_alive_does_not_make_a_surplus_session_a_used_one(
    peer: Peer, a_rig: MakeRig
) -> None:
    rig = await a_rig(sessions_min=2, sessions_max=2, idle_close_s=0.3, keepalive_s=0.05)
    await until(lambda: rig.sessions("idle") == 2)
    rig.driver._roster._bounds = Bounds(sessions_min=1, sessions_max=2, idle_close_s=0.3)

    number = 0
    while rig.ends("surplus") == 0:
        number += 1
        await rig.asked(a_command(number))
        await asyncio.sleep(0.01)
        assert number < 100, "the work was spread over both"

    assert peer.asked("PING") >= 2


# --- rate and window -----------------------------------------------------------------------------


async def test_the_contracted_rate_is_kept_and_used(peer: Peer, a_rig: MakeRig) -> None:
    rig = await a_rig(commands_per_s=100.0, sessions_max=8)
    await until(lambda: rig.driver.free() > 0)
    started = time.monotonic()

    async with own_time() as own:
        rig.give(*(a_command(number) for number in range(60)))
        await until(lambda: len(rig.answers) == 60)

    assert time.monotonic() - started > 0.45
    assert own.s < 1.2


async def test_a_reserve_of_one_place_does_not_stop_a_rated_ne(peer: Peer, a_rig: MakeRig) -> None:
    """The engine may leave the last free place to urgent tasks: it must hear when there are two."""
    rig = await a_rig(commands_per_s=200.0, sessions_min=2)
    await until(lambda: rig.sessions("idle") == 2)

    def pump() -> None:
        free = rig.driver.free()
        while free > 1 and rig.backlog:
            rig.execute(rig.backlog.pop(0))
            free -= 1
        rig.driver.wants(len(rig.backlog))

    rig.pump = pump  # type: ignore[method-assign]
    rig.give(*(a_command(number) for number in range(30)))

    await until(lambda: len(rig.answers) == 30)


async def test_the_window_never_says_more_than_can_start_at_once(a_rig: MakeRig) -> None:
    rig = await a_rig(commands_per_s=40.0, sessions_min=8, sessions_max=8)

    await until(lambda: rig.sessions("idle") == 8)

    assert rig.driver.window() == 2


async def test_a_busy_ne_is_given_less_at_once_and_all_is_done_in_the_end(
    peer: Peer, a_rig: MakeRig
) -> None:
    rig = await a_rig(sessions_min=4, sessions_max=4)
    await until(lambda: rig.sessions("idle") == 4)
    peer.script = in_turn(*["BUSY"] * 20)

    smallest = 4
    rig.give(*(a_command(number) for number in range(200)))
    while len(rig.answers) < 200:
        smallest = min(smallest, rig.driver.show()["window_size"])
        await asyncio.sleep(0)

    assert smallest == 1
    assert rig.verdicts() == {Verdict.BUSY: 20, Verdict.DONE: 180}
    assert rig.driver.show()["window_size"] == 4


async def test_an_ne_that_is_busy_with_one_command_at_a_time_is_left_alone_for_a_while(
    peer: Peer, a_rig: MakeRig
) -> None:
    rig = await a_rig(sessions_max=1)
    peer.script = in_turn(*["BUSY"] * 5)
    await until(lambda: rig.driver.free() > 0)
    started = time.monotonic()

    async with own_time() as own:
        rig.give(*(a_command(number) for number in range(6)))
        await until(lambda: len(rig.answers) == 6)

    held_s = 0.01 + 0.02 + 0.04 + 0.08 + 0.16
    assert time.monotonic() - started >= held_s
    assert own.s < 2 * held_s


async def test_many_answers_in_one_turn_of_the_loop_are_one_call_of_the_engine(
    peer: Peer, a_rig: MakeRig
) -> None:
    rig = await a_rig(sessions_min=4)
    await until(lambda: rig.sessions("idle") == 4)
    rig.pump = lambda: None  # type: ignore[method-assign]
    for number in range(4):
        rig.execute(a_command(number))
    assert rig.driver.free() == 0
    before = rig.freed

    for session in tuple(rig.driver._roster._sessions):
        session.data_received(b"OK " + session._request)
    await asyncio.sleep(0)
    await asyncio.sleep(0)

    assert len(rig.answers) == 4
    assert rig.freed == before + 1


# --- what people see -----------------------------------------------------------------------------


def a_sample(name: str, **labels: str) -> float:
    value = metrics.REGISTRY.get_sample_value(f"hlrd_ne_{name}", {"ne": "metered", **labels})
    return 0.0 if value is None else value


async def test_everything_an_ne_does_is_counted(peer: Peer, a_rig: MakeRig) -> None:
    before = {verdict: a_sample("outcomes_total", verdict=verdict.value) for verdict in Verdict}
    times = a_sample("command_duration_seconds_count", operation="setBarring")
    queries = a_sample("command_duration_seconds_count", operation="readBack")
    lost = a_sample("session_ends_total", cause="lost")
    strange = a_sample("unknown_codes_total")
    peer.script = in_turn("OK", "STRANGE", "BUSY", Act.CUT, "HAS")
    rig = await a_rig(name="metered", sessions_min=2)

    for number in range(4):
        await rig.asked(a_command(number))
    await rig.asked(a_command(4, intent=Intent.READ_BACK))

    counted = {
        verdict: a_sample("outcomes_total", verdict=verdict.value) - before[verdict]
        for verdict in Verdict
    }
    assert {verdict: count for verdict, count in counted.items() if count} == {
        Verdict.DONE: 1,
        Verdict.PERMANENT: 1,
        Verdict.BUSY: 1,
        Verdict.IN_DOUBT: 1,
        Verdict.APPLIED: 1,
    }
    assert a_sample("command_duration_seconds_count", operation="setBarring") == times + 3
    assert a_sample("command_duration_seconds_count", operation="readBack") == queries + 1
    assert a_sample("session_ends_total", cause="lost") == lost + 1
    assert a_sample("unknown_codes_total") == strange + 1
    await until(lambda: a_sample("sessions", state="idle") == 2)
    await until(lambda: a_sample("window_commands") == 2)
    await peer.stop()
    await until(lambda: a_sample("breaker_open") == 1)


async def test_what_is_shown_has_no_secret_and_can_be_json(peer: Peer, a_rig: MakeRig) -> None:
    rig = await a_rig(commands_per_s=10.0, password="not shown")
    await rig.asked(a_command())

    shown = orjson.dumps(rig.driver.show()).decode()

    assert '"done":1' in shown
    assert "not shown" not in shown


# --- drain ---------------------------------------------------------------------------------------


async def test_a_drain_finishes_what_is_in_flight_and_logs_out(peer: Peer) -> None:
    async with FaultProxy("127.0.0.1", peer.port) as proxy:
        rig = await Rig(proxy.port, sessions_min=2, reply_timeout_s=5.0).started()
        await until(lambda: rig.sessions("idle") == 2)
        proxy.faults.down.delay_s = 0.1
        rig.give(a_command(1))

        draining = asyncio.create_task(rig.driver.drain(5.0))
        await asyncio.sleep(0)
        assert rig.driver.free() == 0
        await draining

        assert rig.verdicts() == {Verdict.DONE: 1}
        assert peer.asked("BYE") == 2
        assert rig.driver.show()["state"] == "stopped"
        assert rig.ends("drained") == 2


async def test_what_a_drain_cannot_finish_is_in_doubt_by_its_deadline(peer: Peer) -> None:
    rig = await Rig(peer.port, reply_timeout_s=60.0).started()
    peer.script = always(Act.HANG)
    rig.give(a_command(1))

    async with own_time() as own:
        await rig.driver.drain(0.2)

    assert own.s < 0.6
    assert rig.answers[1][0].verdict is Verdict.IN_DOUBT


async def test_a_drain_opens_no_session_for_what_waits(peer: Peer) -> None:
    rig = await Rig(peer.port, sessions_max=2).started()
    await until(lambda: rig.sessions("idle") >= 1)
    peer.script = lambda request: Act.HANG if request.startswith("DO") else "OK"
    rig.give(*(a_command(number) for number in range(10)))
    await until(lambda: rig.sessions("busy") == 2)
    connected = peer.connected

    await rig.driver.drain(1.0)

    assert rig.verdicts() == {Verdict.IN_DOUBT: 2}
    assert peer.connected == connected


async def test_a_drain_takes_nothing_more(peer: Peer) -> None:
    rig = await Rig(peer.port).started()
    await rig.driver.drain(0.1)

    rig.execute(a_command())

    assert (await rig.outcome(a_command())).verdict is Verdict.NOT_SENT
    assert peer.asked("DO") == 0


async def test_a_drain_of_an_ne_that_is_away_ends_at_once(peer: Peer) -> None:
    await peer.stop()
    rig = Rig(peer.port)
    rig.driver.start()
    await until(lambda: rig.ends("connect_failed") >= 1)

    async with own_time() as own:
        await rig.driver.drain(5.0)

    assert own.s < 0.5


# --- all of it at once ---------------------------------------------------------------------------

FAULTS = (
    *(Act.HANG, Act.CUT, Act.CUT_UNDONE, Act.WRONG_ECHO, Act.GARBAGE, Act.DOUBLED, Act.SPLIT),
    *(Act.FAREWELL, Act.LAST, "BUSY", "LATER", "WHO", "NO"),
)
IS_WITHOUT_EFFECT = {Verdict.NOT_SENT, Verdict.BUSY, Verdict.SESSION, Verdict.TRANSIENT}


@pytest.mark.parametrize("seed", range(3))
async def test_under_random_faults_every_command_is_answered_once_and_truly(
    peer: Peer, a_rig: MakeRig, seed: int
) -> None:
    chance = Random(seed)

    def script(request: str) -> Act | str:
        is_command = request.startswith("DO")
        return chance.choice(FAULTS) if is_command and chance.random() < 0.1 else "OK"

    peer.script = script
    rig = await a_rig(sessions_max=6, reply_timeout_s=0.15, breaker_probe_s=0.05)
    commands = [a_command(number) for number in range(600)]
    rig.give(*commands)
    for _ in range(5):
        await asyncio.sleep(chance.random() * 0.1)
        for link in chance.sample(sorted(peer.links, key=id), k=len(peer.links) // 2):
            link.transport.abort()
    await until(lambda: len(rig.answers) == 600, within_s=20.0)

    for command in commands:
        where = f"seed {seed}, command {command.id}"
        (outcome,) = rig.answers[command.id]
        ran = peer.executed[
            f"DO {command.task.operation} {command.task.binding.imsi} t{command.id}"
        ]
        assert ran <= 1, where
        if outcome.verdict is Verdict.DONE:
            assert ran == 1, where
        if outcome.verdict in IS_WITHOUT_EFFECT:
            assert ran == 0, where
    assert rig.verdicts()[Verdict.DONE] > 300
    assert rig.driver.show()["in_flight"] == 0
