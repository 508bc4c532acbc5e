"""A stack's processes on a real child: ready, killed, ended, and gone."""

import asyncio
from pathlib import Path

import psutil
import pytest

from loadtest.process import Process, StackError, beside, until


def an_hlr(folder: Path, *more: str) -> Process:
    arguments = ["loadtest.hlr", "--name", "hlr1", "--port", "0", "--control-port", "0", *more]
    return Process("hlr1", arguments, folder)


async def test_a_process_tells_its_ports_and_ends_when_told(tmp_path: Path) -> None:
    hlr = an_hlr(tmp_path)
    hlr.start()

    ports = await hlr.ready()
    pid = hlr.pid
    code = await hlr.end(deadline_s=10)

    assert set(ports) == {"port", "control"}
    assert code == 0
    assert not psutil.pid_exists(pid)


async def test_a_killed_process_is_started_again(tmp_path: Path) -> None:
    hlr = an_hlr(tmp_path)
    hlr.start()
    first = await hlr.ready()

    hlr.kill()
    assert not hlr.is_running()
    hlr.start()
    second = await hlr.ready()
    await hlr.end(deadline_s=10)

    assert first != second, "the ready line of the first run was taken for the second's"


async def test_a_process_that_does_not_start_is_told_with_its_last_words(tmp_path: Path) -> None:
    hlr = an_hlr(tmp_path, "--no-such-option")
    hlr.start()

    with pytest.raises(StackError, match="no-such-option"):
        await hlr.ready()


async def test_ending_what_never_started_is_nothing(tmp_path: Path) -> None:
    assert await an_hlr(tmp_path).end(deadline_s=1) == 0


async def test_waiting_says_what_it_waited_for() -> None:
    with pytest.raises(StackError, match="the sun rises"):
        await until(lambda: False, deadline_s=0.05, what="the sun rises")


async def test_an_error_beside_a_block_ends_the_block_and_is_raised_as_it_is() -> None:
    async def fail() -> None:
        raise StackError("broken")

    with pytest.raises(StackError, match="broken"):
        async with beside(fail()):
            await until(lambda: False, deadline_s=10, what="never")


async def test_work_beside_a_block_ends_with_it() -> None:
    started, ended = asyncio.Event(), asyncio.Event()

    async def work() -> None:
        started.set()
        try:
            await until(lambda: False, deadline_s=10, what="never")
        finally:
            ended.set()

    async with beside(work()):
        await started.wait()

    assert ended.is_set()
