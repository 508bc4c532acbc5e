"""The emulated EOMS by the real driver: a sheet is opened once, and people have the last word."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from adapters.eoms import CLOSE, FALLOUT, KIND, OPEN, WITHDRAW
from hlrd.domain.operation import Details, Operation, Task
from hlrd.domain.outcome import Outcome, Verdict
from hlrd.ports import Intent
from loadtest.control import ControlPort
from loadtest.eoms.core import NotNow, Result, State, Word
from loadtest.eoms.server import Server, Settings, StateFileDamaged
from loadtest.faults import Fault, Once, Profile
from tests.adapters.conformance import SHEET, a_task
from tests.adapters.desk import Desk, a_desk
from tests.ne.rig import until

DONE = Word("done", "li.si", "tower climbed")
NOT_DONE = Word("cannotBeDone", "li.si", "no power at the site")
FALLEN = Details(text="resend?", attributes={KIND: FALLOUT, "order": "17", "code": "3012"})


def sheet_task(operation: Operation, number: int = 17, details: Details = SHEET) -> Task:
    """Its transactions as a plan numbers them: those that undo and follow have a letter more."""
    suffix = {OPEN: "", WITHDRAW: "u", CLOSE: "p"}[operation]
    return a_task(operation, transaction=f"{number}{suffix}", details=details)


@asynccontextmanager
async def serving(profile: Profile | None = None, **settings: Any) -> AsyncIterator[Server]:
    server = Server(Settings(**settings), profile or Profile(restart_s=0.05))
    server.record.count_effects(True)
    await server.open("127.0.0.1", 0)
    try:
        yield server
    finally:
        await server.close()


def driving(server: Server, **changes: Any) -> AbstractAsyncContextManager[Desk]:
    settings = {"reply_timeout_s": 0.25, "breaker_failures": 100, "sessions_max": 4, **changes}
    return a_desk("eoms", server.port, **settings)


def opened(server: Server) -> dict[str, int]:
    return {each.subject: each.count for each in server.record.effects() if each.command == "OPEN"}


async def told(desk: Desk, server: Server, task: Task, word: Word) -> Outcome:
    """How `task` ends when people answer its sheet so."""
    ending = asyncio.ensure_future(desk.carry_out(task))
    await until(
        lambda: any(sheet.state in (State.OPEN, State.WITHDRAWING) for sheet in held(server))
    )
    for sheet in held(server):
        server.office.reply(sheet.number, word)
    return await ending


def held(server: Server) -> list[Any]:
    return list(server.office.sheets.values())


async def test_a_sheet_is_done_when_people_say_so_and_then_it_is_closed() -> None:
    async with serving() as server, driving(server) as desk:
        taken = await desk.ask(sheet_task(OPEN))
        waiting = await desk.ask(sheet_task(OPEN), Intent.READ_BACK)
        server.office.acknowledge("W17", "li.si")
        at_it = await desk.ask(sheet_task(OPEN), Intent.READ_BACK)
        server.office.reply("W17", DONE)
        done = await desk.carry_out(sheet_task(OPEN), is_in_doubt=True)
        closed = await desk.carry_out(sheet_task(CLOSE))

    assert [each.verdict for each in (taken, waiting, at_it)] == [Verdict.PENDING] * 3
    assert (done.verdict, done.then, done.text) == (Verdict.APPLIED, CLOSE, "tower climbed")
    assert closed.verdict is Verdict.DONE
    [sheet] = held(server)
    assert (sheet.state, sheet.result, sheet.by) == (State.CLOSED, Result.DONE, "li.si")


async def test_what_people_cannot_do_fails_for_good_with_their_words() -> None:
    async with serving() as server, driving(server) as desk:
        outcome = await told(desk, server, sheet_task(OPEN), NOT_DONE)
        undone = await desk.carry_out(sheet_task(WITHDRAW))

    assert outcome == Outcome(Verdict.PERMANENT, "replied cannotBeDone", "no power at the site")
    assert undone.verdict is Verdict.DONE
    assert held(server)[0].state is State.WITHDRAWN


@pytest.mark.parametrize("fault", [each for each in Fault if each is not Fault.REFUSE])
@pytest.mark.parametrize("command", ["OPEN", "WITHDRAW", "CLOSE"])
async def test_whatever_is_lost_a_sheet_is_opened_once_and_ends_as_it_was_meant(
    fault: Fault, command: str
) -> None:
    profile = Profile(once=[Once(fault, command)], restart_s=0.05)
    async with serving(profile) as server, driving(server) as desk:
        done = await told(desk, server, sheet_task(OPEN, 1), DONE)
        await desk.carry_out(sheet_task(CLOSE, 1))
        await desk.ask(sheet_task(OPEN, 2))
        await until(lambda: not server.is_listening or desk.driver.free() > 0)
        await desk.carry_out(sheet_task(WITHDRAW, 2))

        assert done.verdict is Verdict.APPLIED
        assert {sheet.number: sheet.state for sheet in held(server)} == {
            "W1": State.CLOSED,
            "W2": State.WITHDRAWN,
        }
        assert opened(server) == {"/sheets/W1": 1, "/sheets/W2": 1}
        assert server.faults.once_left == []


async def test_a_refusal_ends_a_sheet_for_good() -> None:
    profile = Profile(once=[Once(Fault.REFUSE, "OPEN")])
    async with serving(profile) as server, driving(server) as desk:
        outcome = await desk.carry_out(sheet_task(OPEN))

    assert (outcome.verdict, outcome.is_known, held(server)) == (Verdict.PERMANENT, True, [])


async def test_a_sheet_that_was_done_is_taken_back_by_people() -> None:
    async with serving() as server, driving(server) as desk:
        await told(desk, server, sheet_task(OPEN), DONE)
        undone = await told(desk, server, sheet_task(WITHDRAW), DONE)
        again = await desk.carry_out(sheet_task(WITHDRAW))

    assert [undone.verdict, again.verdict] == [Verdict.APPLIED, Verdict.NO_CHANGE]
    assert held(server)[0].state is State.WITHDRAWN


async def test_what_people_cannot_take_back_stays_and_says_why() -> None:
    async with serving() as server, driving(server) as desk:
        await told(desk, server, sheet_task(OPEN), DONE)
        undone = await told(desk, server, sheet_task(WITHDRAW), NOT_DONE)
        again = await desk.carry_out(sheet_task(WITHDRAW))

    assert (undone.verdict, undone.text) == (Verdict.PERMANENT, "no power at the site")
    assert again.verdict is Verdict.PERMANENT
    assert held(server)[0].state is State.KEPT


async def test_a_sheet_of_that_number_that_asks_something_else_is_not_ours() -> None:
    other = Details(text="something else")
    async with serving() as server, driving(server) as desk:
        await desk.ask(sheet_task(OPEN))
        found = await desk.ask(sheet_task(OPEN, details=other), Intent.READ_BACK)
        sent = await desk.ask(sheet_task(OPEN, details=other))

    assert [found.verdict, sent.verdict] == [Verdict.PERMANENT] * 2
    assert sent.code == "KEY_REUSED"


async def test_a_fallout_is_a_sheet_of_its_own_and_closed_when_it_is_over() -> None:
    async with serving() as server, driving(server) as desk:
        await desk.ask(sheet_task(OPEN))
        await desk.ask(sheet_task(OPEN, details=FALLEN))
        early = await desk.ask(sheet_task(CLOSE))
        over = await desk.carry_out(sheet_task(CLOSE, details=FALLEN))

    assert early.code == "SHEET_OPEN"
    assert over.verdict is Verdict.DONE
    work, fallout = held(server)
    assert (work.number, work.state) == ("W17", State.OPEN)
    assert (fallout.number, fallout.state, fallout.content.code) == ("F17", State.CLOSED, "3012")


async def test_a_sheet_survives_restarts_of_both_sides(tmp_path: Path) -> None:
    settings = {"state_file": tmp_path / "state"}
    async with serving(**settings) as first, driving(first) as desk:
        await desk.ask(sheet_task(OPEN))
        first.office.acknowledge("W17", "li.si")
        first.keep()

    async with serving(**settings) as second, driving(second) as desk:
        found = await desk.ask(sheet_task(OPEN), Intent.READ_BACK)
        sent_again = await desk.ask(sheet_task(OPEN))
        second.office.reply("W17", DONE)
        ending = await desk.carry_out(sheet_task(OPEN), is_in_doubt=True)

        assert [found.verdict, sent_again.verdict] == [Verdict.PENDING] * 2
        assert ending.verdict is Verdict.APPLIED
        assert opened(second) == {}


async def test_people_answer_by_themselves_in_days_that_pass_quickly() -> None:
    async with serving(day_s=0.02, done=1.0, seed=3) as server, driving(server) as desk:
        endings = await asyncio.gather(
            *[desk.carry_out(sheet_task(OPEN, number)) for number in range(1, 21)]
        )

    assert {each.verdict for each in endings} == {Verdict.APPLIED}
    assert {sheet.by for sheet in held(server)} == {"people"}


async def test_people_go_on_with_what_was_open_before_a_restart(tmp_path: Path) -> None:
    settings = {"state_file": tmp_path / "state", "done": 1.0}
    async with serving(**settings) as first, driving(first) as desk:
        await desk.ask(sheet_task(OPEN))

    async with serving(day_s=0.02, **settings) as second, driving(second) as desk:
        ending = await desk.carry_out(sheet_task(OPEN), is_in_doubt=True)

    assert ending.verdict is Verdict.APPLIED


async def test_a_wrong_token_keeps_the_sheet_waiting() -> None:
    async with serving(token="right") as server:
        async with driving(server, password="wrong") as desk:
            refused = await desk.ask(sheet_task(OPEN))
        async with driving(server, password="right") as desk:
            taken = await desk.ask(sheet_task(OPEN))

    assert [refused.verdict, taken.verdict] == [Verdict.BUSY, Verdict.PENDING]


async def test_people_answer_by_the_control_port() -> None:
    async with serving() as server, driving(server) as desk:
        await desk.ask(sheet_task(OPEN))
        control = ControlPort(server)
        await control.open("127.0.0.1", 0)
        base = f"http://127.0.0.1:{control.port}/sheets"
        async with aiohttp.ClientSession() as http:

            async def put(path: str, content: object) -> int:
                async with http.put(f"{base}/{path}", json=content) as answer:
                    return answer.status

            statuses = [
                await put("W17/acknowledgement", {"by": "li.si"}),
                await put("W17/reply", {"result": "maybe", "by": "li.si"}),
                await put("W17/reply", {"result": "done", "by": "li.si", "text": "ok"}),
                await put("W17/reply", {"result": "done", "by": "li.si"}),
                await put("W18/reply", {"result": "done", "by": "li.si"}),
            ]
        await control.close()
        ending = await desk.carry_out(sheet_task(OPEN), is_in_doubt=True)

    assert statuses == [200, 400, 200, 409, 404]
    assert (ending.verdict, ending.text) == (Verdict.APPLIED, "ok")


async def test_a_damaged_state_file_is_told_by_its_line(tmp_path: Path) -> None:
    state_file = tmp_path / "state"
    state_file.write_text(json.dumps({"number": "W1"}) + "\n")
    server = Server(Settings(state_file=state_file), Profile())

    with pytest.raises(StateFileDamaged, match="line 1"):
        await server.open("127.0.0.1", 0)
    await server.close()


@pytest.mark.parametrize("result", ["resend", "cancel"])
async def test_people_say_what_becomes_of_an_order_that_fell_out_and_of_no_other(
    result: Any,
) -> None:
    word = Word(result, "li.si", "the profile is there now")
    async with serving() as server, driving(server) as desk:
        await desk.ask(sheet_task(OPEN))
        with pytest.raises(NotNow):
            server.office.reply("W17", word)
        await desk.ask(sheet_task(OPEN, details=FALLEN))
        server.office.reply("F17", word)
        told_of_it = await desk.ask(sheet_task(OPEN, details=FALLEN), Intent.READ_BACK)

    assert told_of_it.verdict is Verdict.APPLIED
    assert (told_of_it.code, told_of_it.text) == (f"replied {result}", "the profile is there now")
