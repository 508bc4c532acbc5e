"""The command line against a real API: what staff types, and what it shows."""

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from hlrd.__main__ import cli
from hlrd.cli.client import CallFailed
from hlrd.config import Settings
from hlrd.domain.errors import Fenced
from hlrd.domain.orders import Source
from tests.api.client import World, a_member_activation, a_world, token

EXAMPLE = Path(__file__).parent.parent.parent / "hlrd.example.toml"
RANGES = "first,last,province,hlr\n1064900000000,1064900001999,200,hlr1\n"


async def run(world: World, *arguments: str, source: Source = Source.OPS, **env: str) -> Result:
    """In a thread, as a process of its own would: the world's loop goes on."""
    settings = {
        "HLRD_URL": f"http://{world.host}:{world.port}",
        "HLRD_TOKEN": token(source),
        "COLUMNS": "200",
        **env,
    }
    return await asyncio.to_thread(lambda: CliRunner().invoke(cli, list(arguments), env=settings))


def said(result: Result) -> str:
    return " ".join(result.output.replace("│", " ").split())


async def test_a_pool_is_created_filled_listed_and_shown(tmp_path: Path) -> None:
    file = tmp_path / "ranges.csv"
    file.write_text(RANGES)

    async with a_world() as world:
        created = await run(world, "pool", "create", "iot")
        filled = await run(world, "pool", "import", "iot", str(file))
        listed = await run(world, "pool", "list")
        shown = await run(world, "pool", "show", "iot")

    assert [one.exit_code for one in (created, filled, listed, shown)] == [0] * 4
    assert "iot 0 0 0 0 0 0" in said(created)
    assert "iot 2,000 0 0 0 0 0" in said(filled)
    assert "iot 2,000 0 0 0 0 0" in said(listed)
    assert "1064900000000 1064900001999 200 hlr1" in said(shown)


async def test_the_help_says_where_the_token_comes_from() -> None:
    async with a_world() as world:
        told = [await run(world, group, "--help") for group in ("pool", "sim", "order")]

    assert all("HLRD_TOKEN" in one.output for one in told)


async def test_an_order_is_shown_by_either_id() -> None:
    async with a_world() as world:
        order = (await world.post_order(a_member_activation())).json["id"]
        by_id = await run(world, "order", "show", order)
        by_order_id = await run(world, "order", "show", "--order-id", "A1", "--source", "ESOP")
        world.book.close(int(order))
        closed = await run(world, "order", "show", order)

    assert by_id.exit_code == 0
    assert f"id {order}" in said(by_id)
    assert "addKey hlr1 sent execute 2026-11-21T20:00:00.000+08:00 12.0 done 0" in said(by_id)
    assert "addKey: ADD KI:IMSI=" in said(by_id)
    assert by_order_id.output == by_id.output
    assert "'result': 'succeeded'" in closed.output


async def test_an_order_is_called_off_or_urged_on() -> None:
    async with a_world() as world:
        order = (await world.post_order(a_member_activation())).json["id"]
        world.book.live.clear()
        chased = await run(world, "order", "chase", order)
        cancelled = await run(world, "order", "cancel", order)
        again = await run(world, "order", "cancel", order)

    assert (chased.exit_code, cancelled.exit_code) == (0, 0)
    assert "priority 1" in said(chased)
    assert "state cancelled" in said(cancelled)
    assert str(again.exception).startswith("ORDER_BEGUN")


async def test_a_refusal_is_the_daemons_own_words() -> None:
    async with a_world() as world:
        refused = await run(world, "pool", "create", "a b")
        forbidden = await run(world, "pool", "create", "iot", source=Source.CRM)
        stranger = await run(world, "pool", "list", HLRD_TOKEN="nobody")
        unknown = await run(world, "order", "show", "7")

    assert str(refused.exception).startswith("FIELD_INVALID (name): ")
    assert str(forbidden.exception).startswith("SOURCE_NOT_ALLOWED: ")
    assert str(stranger.exception).startswith("TOKEN_UNKNOWN: ")
    assert str(unknown.exception).startswith("ORDER_UNKNOWN: ")


async def test_who_cannot_be_asked_is_said() -> None:
    async with a_world() as world:
        no_token = await run(world, "pool", "list", HLRD_TOKEN="")
        bad_url = await run(world, "pool", "list", HLRD_URL="http://127.0.0.1:1")
        no_url = await run(world, "pool", "list", HLRD_URL="nowhere")
        both = await run(world, "order", "show", "1", "--order-id", "A1")

    assert "HLRD_TOKEN" in str(no_token.exception)
    assert "no answer from http://127.0.0.1:1" in str(bad_url.exception)
    assert "no answer from nowhere" in str(no_url.exception)
    assert "and not both" in str(both.exception)
    assert all(isinstance(one.exception, CallFailed) for one in (no_token, bad_url, no_url, both))


def invoke(*arguments: str) -> Any:
    return CliRunner().invoke(cli, list(arguments))


def test_a_configuration_is_checked(tmp_path: Path) -> None:
    bad = tmp_path / "bad.toml"
    text = EXAMPLE.read_text("utf-8")
    bad.write_text(text.replace("huawei_hlr", "morse").replace('"dsmp"', '"huawei_hlr"'))

    good = invoke("check-config", "--config", str(EXAMPLE))
    unknown = invoke("check-config", "--config", str(bad))
    absent = invoke("check-config", "--config", str(tmp_path / "nothing.toml"))

    assert good.output.endswith("2 tokens, 0 accounts, 2 network elements, ok\n")
    assert "ne.hlr1.dialect: 'morse' is none of" in str(unknown.exception)
    assert "exactly one must have dialect dsmp" in str(unknown.exception)
    assert "cannot read" in str(absent.exception)


def test_operators_whose_keys_and_roles_are_of_no_use_are_told_together_with_the_rest(
    tmp_path: Path,
) -> None:
    bad = tmp_path / "bad.toml"
    operators = """
        [operators]
        check = "local"
        issuer = "https://sso.example"
        keys_file = "/nowhere/sso.jwks.json"
    """
    text = EXAMPLE.read_text("utf-8").replace("huawei_hlr", "morse")
    bad.write_text(text + operators)

    said = str(CliRunner().invoke(cli, ["check-config", "--config", str(bad)]).exception)

    assert "ne.hlr1.dialect: 'morse' is none of" in said
    assert "operators.keys_file: cannot read /nowhere/sso.jwks.json" in said


def test_an_error_of_ours_is_one_line_and_an_exit_code(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from hlrd.__main__ import main

    monkeypatch.setattr("sys.argv", ["hlrd", "check-config", "--config", "/nowhere"])
    with pytest.raises(SystemExit) as caught:
        main()

    assert caught.value.code == "hlrd: cannot read /nowhere: No such file or directory"


def test_a_daemon_that_another_one_fenced_says_so_and_no_more(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def fenced(_: Settings, read: Callable[[], Settings]) -> None:
        raise ExceptionGroup("unhandled errors", [Fenced("another daemon runs as node hlrd")])

    monkeypatch.setattr("hlrd.app.serve", fenced)
    monkeypatch.setattr("hlrd.runtime.logging.set_up", lambda level: None)

    result = CliRunner().invoke(cli, ["serve", "--config", str(EXAMPLE)])

    assert isinstance(result.exception, Fenced)
