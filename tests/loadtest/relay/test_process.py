"""The whole way to headquarters as processes, each started as its page says."""

from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from hlrd.domain.outcome import Verdict
from loadtest.process import Process
from loadtest.relay.__main__ import main
from tests.adapters.conformance import KEY, KI
from tests.adapters.desk import a_desk
from tests.loadtest.relay.rig import WITH_PARTNERS, CardVault, report, subscribe

END_S = 60.0


@asynccontextmanager
async def running(folder: Path, role: str, *options: str, name: str = "") -> AsyncIterator[int]:
    """The port of one system."""
    arguments = ["loadtest.relay", "--role", role, "--port", "0", "--control-port", "0", *options]
    process = Process(name or role, arguments, folder)
    process.start()
    try:
        yield (await process.ready())["port"]
    finally:
        await process.end(deadline_s=END_S)


async def test_a_member_goes_all_the_way_up_and_the_key_is_in_no_log(tmp_path: Path) -> None:
    async with AsyncExitStack() as stack:
        registry = await stack.enter_async_context(running(tmp_path, "pboss_registry"))
        partners = [
            (province, await stack.enter_async_context(_partner(tmp_path, province)))
            for province in ("GD", "SC")
        ]
        relay = await stack.enter_async_context(
            running(
                tmp_path,
                "bboss_relay",
                "--hop",
                f"http://127.0.0.1:{registry}/pboss/v1",
                *(
                    option
                    for province, port in partners
                    for option in ("--partner", f"{province}=http://127.0.0.1:{port}/province/v1")
                ),
            )
        )
        desk = await stack.enter_async_context(a_desk("bboss_relay", relay))
        desk.driver._vault = CardVault(KEY)
        outcomes = await desk.carry_out_all([subscribe(WITH_PARTNERS), report(1)])

    assert [each.verdict for each in outcomes] == [Verdict.APPLIED] * 2
    logs = _logs(tmp_path)
    assert len(logs) == 4
    assert not any(KI in log for log in logs)


@pytest.mark.parametrize(
    ("options", "wrong"),
    [
        (["--role", "boss1_relay"], "--hop"),
        (["--role", "pboss_registry", "--hop", "http://h"], "--hop"),
        (
            ["--role", "boss1_relay", "--hop", "http://h", "--province", "280=http://p"],
            "--province",
        ),
        (["--role", "bboss_relay", "--hop", "http://h", "--province", "280"], "--province"),
        (["--role", "partner_province", "--hlrd", "http://h", "--account", "a"], "--hlrd"),
        (["--role", "pboss_registry", "--hlrd", "http://h"], "--account"),
        (
            ["--role", "pboss_registry", "--hlrd", "http://h", "--account", "a"],
            "--password-env",
        ),
    ],
)
def test_options_that_do_not_belong_together_are_refused_by_name(
    options: list[str], wrong: str
) -> None:
    app = typer.Typer()
    app.command()(main)

    result = CliRunner().invoke(app, options, env={"TERM": "dumb"})

    assert result.exit_code == 2
    assert wrong in result.output


def _partner(folder: Path, province: str) -> AbstractAsyncContextManager[int]:
    return running(folder, "partner_province", "--name", province, name=province)


def _logs(folder: Path) -> list[str]:
    return [log.read_text() for log in folder.glob("*.log")]
