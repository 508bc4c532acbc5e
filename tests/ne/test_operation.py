"""An NE as its operators treat it: held, drained, moved, given another password."""

import asyncio
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import orjson
import pytest
import pytest_asyncio
import structlog

from hlrd.config import Blackout
from hlrd.domain.outcome import Verdict
from hlrd.ne.halts import Halt, HaltKind
from tests.ne.conftest import MakeRig
from tests.ne.lines import Lines, an_account
from tests.ne.peer import Act, Peer, always
from tests.ne.rig import Rig, a_command, some_settings, until


def a_hold(*, seconds: float = 3_600.0) -> Halt:
    now = datetime.now(UTC)
    return Halt(HaltKind.HOLD, "disk swap", now, now + timedelta(seconds=seconds))


def a_drain() -> Halt:
    return Halt(HaltKind.DRAIN, "moves away", datetime.now(UTC))


def reason(rig: Rig) -> str | None:
    obstacle = rig.driver.obstacle()
    return None if obstacle is None else str(obstacle["reason"])


@pytest_asyncio.fixture
async def standby() -> AsyncIterator[Peer]:
    async with Peer() as peer:
        yield peer


# --- holds, drains, blackouts --------------------------------------------------------------------


@pytest.mark.parametrize("a_halt", [a_hold, a_drain])
async def test_what_is_in_flight_is_finished_and_nothing_more_is_sent(
    peer: Peer, a_rig: MakeRig, a_halt: Callable[[], Halt]
) -> None:
    rig = await a_rig(sessions_min=2, sessions_max=2, reply_timeout_s=5.0)
    await until(lambda: rig.sessions("idle") == 2)
    peer.script = lambda request: Act.SPLIT if request.startswith("DO") else "OK"
    rig.give(*(a_command(number) for number in range(1, 6)))

    rig.driver.halt(a_halt())
    await until(lambda: peer.asked("BYE") == 2)

    assert rig.verdicts() == {Verdict.DONE: 2}
    assert peer.asked("DO") == 2
    assert (rig.driver.free(), len(rig.backlog)) == (0, 3)
    await until(lambda: rig.ends("halted") == 2)


async def test_a_released_ne_goes_on_with_what_waits(peer: Peer, a_rig: MakeRig) -> None:
    rig = await a_rig()
    rig.driver.halt(a_drain())
    rig.give(*(a_command(number) for number in range(20)))
    await until(lambda: rig.driver.show()["state"] == "drained")
    connected = peer.connected

    rig.driver.halt(None)
    await until(lambda: len(rig.answers) == 20)

    assert rig.verdicts() == {Verdict.DONE: 20}
    assert peer.connected > connected


async def test_a_hold_ends_by_itself(peer: Peer, a_rig: MakeRig) -> None:
    rig = await a_rig()
    rig.driver.halt(a_hold(seconds=0.2))
    rig.give(a_command())
    assert rig.driver.show()["state"] == "held"

    assert (await rig.outcome(a_command())).verdict is Verdict.DONE
    assert rig.driver.show()["halt"] is None


async def test_a_blackout_of_the_settings_holds_from_the_start(peer: Peer, a_rig: MakeRig) -> None:
    now = datetime.now(UTC)
    planned = Blackout(since=now, until=now + timedelta(seconds=0.3), cause="new release")
    rig = await a_rig(blackouts=[planned])
    rig.give(a_command())
    assert (reason(rig), peer.connected) == ("blackout", 0)

    assert (await rig.outcome(a_command())).verdict is Verdict.DONE


async def test_a_drain_from_before_the_start_holds_from_the_start(peer: Peer) -> None:
    rig = Rig(peer.port)
    rig.driver.halt(a_drain())

    rig.driver.start()
    rig.give(a_command())
    await asyncio.sleep(0.05)  # a session would be open by now

    assert (rig.driver.show()["state"], peer.connected) == ("drained", 0)
    assert rig.driver.free() == 0
    await rig.driver.drain(0.0)


async def test_a_held_ne_is_not_even_probed(peer: Peer, a_rig: MakeRig) -> None:
    await peer.stop()
    rig = await a_rig(breaker_failures=1, breaker_probe_s=0.05)
    await until(lambda: rig.driver.show()["state"] == "broken")
    rig.driver.halt(a_hold())
    failed = rig.ends("connect_failed")

    await asyncio.sleep(0.2)  # four probes' time

    assert rig.ends("connect_failed") == failed
    assert rig.driver.show()["state"] == "held"


async def test_a_hold_says_why_and_until_when(a_rig: MakeRig) -> None:
    rig = await a_rig()

    with structlog.testing.capture_logs() as logs:
        rig.driver.halt(a_hold())

    told = rig.driver.obstacle()
    assert told is not None
    assert (told["reason"], told["cause"]) == ("hold", "disk swap")
    assert str(told["until"]).endswith("+08:00")
    assert [entry["cause"] for entry in logs if entry["event"] == "ne_halted"] == ["disk swap"]
    assert orjson.loads(orjson.dumps(rig.driver.show()))["halt"]["cause"] == "disk swap"


# --- why a task waits ----------------------------------------------------------------------------


async def test_every_reason_to_wait_has_a_name(peer: Peer, a_rig: MakeRig) -> None:
    peer.script = lambda request: Act.HANG if request.startswith("DO") else "OK"
    busy = await a_rig(sessions_max=1, reply_timeout_s=5.0)
    await until(lambda: reason(busy) is None)
    busy.give(a_command(1), a_command(2))
    assert reason(busy) == "queue"

    rated = await a_rig(commands_per_s=1.0)
    await until(lambda: rated.sessions("idle") == 1)
    assert reason(rated) == "rate"  # the login was the one command of this second

    peer.script = lambda request: "NO" if request.startswith("LOGIN") else "OK"
    refused = await a_rig()
    await until(lambda: reason(refused) == "loginRefused")
    assert refused.driver.show()["state"] == "refused"

    await peer.stop()
    broken = await a_rig(breaker_failures=1)
    await until(lambda: reason(broken) == "breakerOpen")


# --- other settings while it runs ----------------------------------------------------------------


def adopt(rig: Rig, port: int, *, user: str = "hlrd", **changes: Any) -> None:
    settings = some_settings(port, user=user, **changes)
    rig.driver.adopt(settings, Lines(an_account(port, user=user)))


async def test_after_a_change_of_account_new_sessions_take_the_place_of_the_old(
    peer: Peer, a_rig: MakeRig
) -> None:
    rig = await a_rig(sessions_min=3, sessions_max=4, reply_timeout_s=5.0)
    await until(lambda: rig.sessions("idle") == 3)
    peer.script = lambda request: Act.SPLIT if request.startswith("DO") else "OK"
    rig.give(a_command(1))

    adopt(rig, peer.port, user="renewed", sessions_min=3, reply_timeout_s=5.0)

    await until(lambda: rig.ends("renewed") == 3 and rig.sessions("idle") == 3)
    assert rig.verdicts() == {Verdict.DONE: 1}
    assert [request for request in peer.requests if request.startswith("LOGIN")] == [
        *["LOGIN hlrd"] * 3,
        *["LOGIN renewed"] * 3,
    ]


async def test_a_new_account_that_is_refused_takes_no_session_away(
    peer: Peer, a_rig: MakeRig
) -> None:
    rig = await a_rig(sessions_min=2)
    await until(lambda: rig.sessions("idle") == 2)
    peer.script = lambda request: "NO" if request == "LOGIN wrong" else "OK"

    adopt(rig, peer.port, user="wrong", sessions_min=2)
    await until(lambda: rig.ends("login_refused") == 1)
    await rig.asked(a_command(1))

    assert rig.verdicts() == {Verdict.DONE: 1}
    assert rig.ends("renewed") == 0
    assert peer.asked("LOGIN wrong") == 1


async def test_a_mended_account_is_tried_at_once(peer: Peer, a_rig: MakeRig) -> None:
    peer.script = lambda request: "NO" if request == "LOGIN hlrd" else "OK"
    rig = await a_rig()
    rig.give(a_command())
    await until(lambda: rig.driver.show()["state"] == "refused")

    adopt(rig, peer.port, user="mended")

    assert (await rig.outcome(a_command())).verdict is Verdict.DONE


async def test_at_its_session_limit_one_session_makes_room_for_the_new_account(
    peer: Peer, a_rig: MakeRig
) -> None:
    rig = await a_rig(sessions_min=2, sessions_max=2)
    await until(lambda: rig.sessions("idle") == 2)

    adopt(rig, peer.port, user="renewed", sessions_min=2, sessions_max=2)
    await until(lambda: peer.asked("LOGIN renewed") == 2)

    assert peer.open_max == 2


async def test_limits_are_changed_without_touching_a_session(peer: Peer, a_rig: MakeRig) -> None:
    rig = await a_rig(sessions_min=1, sessions_max=4)
    await until(lambda: rig.sessions("idle") == 1)

    adopt(rig, peer.port, sessions_max=2, commands_per_s=10.0)

    assert rig.driver.show()["window_size"] == 2
    assert rig.driver.show()["commands_per_s"] == 10.0
    assert (peer.asked("LOGIN"), rig.ends("renewed")) == (1, 0)
    assert (await rig.asked(a_command())).verdict is Verdict.DONE


# --- two addresses -------------------------------------------------------------------------------


async def test_when_the_primary_is_gone_work_goes_on_at_the_standby(
    peer: Peer, standby: Peer, a_rig: MakeRig
) -> None:
    rig = await a_rig(standby_host="127.0.0.1", standby_port=standby.port)
    await rig.asked(a_command(1))

    await peer.stop()
    await until(lambda: rig.driver.free() == 0)
    rig.give(*(a_command(number) for number in range(2, 12)))
    await until(lambda: len(rig.answers) == 11, within_s=2.0)

    assert rig.verdicts() == {Verdict.DONE: 11}
    assert rig.driver.show()["is_on_standby"] is True
    assert standby.asked("DO") == 10


async def test_when_the_primary_is_back_work_returns_to_it(
    peer: Peer, standby: Peer, a_rig: MakeRig
) -> None:
    await peer.stop()
    rig = await a_rig(standby_host="127.0.0.1", standby_port=standby.port, failback_s=0.2)
    await rig.asked(a_command(1))
    faults = rig.driver.show()["breaker"]["faults"]

    await until(lambda: rig.ends("connect_failed") >= 4)  # looks at it in vain, and harms nothing
    assert rig.driver.show()["breaker"]["faults"] == faults == 0
    await peer.start()
    await until(lambda: rig.driver.show()["is_on_standby"] is False)

    assert (await rig.asked(a_command(2))).verdict is Verdict.DONE
    assert peer.asked("PING") == 1
    assert (peer.asked("DO"), standby.asked("DO")) == (1, 1)
    await until(lambda: standby.asked("BYE") >= 1)


@pytest.mark.parametrize("returns", ["primary", "standby"])
async def test_with_both_gone_the_first_to_return_is_used_within_a_second(
    peer: Peer, standby: Peer, a_rig: MakeRig, returns: str
) -> None:
    await peer.stop()
    await standby.stop()
    rig = await a_rig(
        standby_host="127.0.0.1",
        standby_port=standby.port,
        breaker_failures=2,
        breaker_probe_s=0.5,
    )
    rig.give(a_command())
    await until(lambda: rig.driver.show()["state"] == "broken")
    await until(lambda: rig.ends("connect_failed") >= 5)

    await (peer if returns == "primary" else standby).start()

    await until(lambda: 1 in rig.answers, within_s=1.0)
    assert rig.driver.show()["is_on_standby"] is (returns == "standby")


# --- a connection is no proof of life ------------------------------------------------------------


async def test_without_a_login_a_connection_answers_a_query_before_it_is_used(
    peer: Peer, a_rig: MakeRig
) -> None:
    peer.script = always(Act.HANG)
    rig = await a_rig(user="", breaker_failures=1)

    rig.give(a_command())
    await until(lambda: rig.driver.show()["state"] == "broken")
    assert peer.asked("DO") == 0
    peer.script = always("OK")

    assert (await rig.outcome(a_command())).verdict is Verdict.DONE


async def test_a_stolen_login_is_not_stolen_back_without_pause(peer: Peer, a_rig: MakeRig) -> None:
    """Another system under our account throws us out with each of its logins."""
    turn = 0

    def script(request: str) -> str:
        nonlocal turn
        turn += request.startswith("DO")
        return "WHO" if request.startswith("DO") and turn % 2 == 0 else "OK"

    peer.script = script
    rig = await a_rig(sessions_max=1)

    for number in range(6):
        await rig.asked(a_command(number))

    assert rig.ends("login_stolen") >= 1
    assert rig.driver.show()["breaker"]["faults"] == 0


async def test_an_ne_that_is_silent_is_given_less_at_once(peer: Peer, a_rig: MakeRig) -> None:
    rig = await a_rig(sessions_min=4, sessions_max=4, breaker_failures=10)
    await until(lambda: rig.sessions("idle") == 4)
    peer.script = lambda request: Act.HANG if request.startswith("DO") else "OK"

    rig.give(*(a_command(number) for number in range(4)))
    await until(lambda: len(rig.answers) == 4)

    assert rig.driver.show()["window_size"] == 3


async def test_logouts_are_within_the_rate_too(peer: Peer, a_rig: MakeRig) -> None:
    rig = await a_rig(sessions_min=4, sessions_max=4, commands_per_s=3.0)
    await until(lambda: rig.sessions("idle") >= 2)

    await rig.driver.drain(0.1)

    assert len(peer.requests) <= 4  # of this second and the next
