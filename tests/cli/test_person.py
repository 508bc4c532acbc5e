"""Whom the command line says that it is."""

import getpass

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from hlrd.cli.person import named_by_token, person
from tests.api.client import a_world
from tests.api.fake_fallout import a_fallout_row
from tests.cli.test_commands import run

KEY = Ed25519PrivateKey.generate()


@pytest.fixture(autouse=True)
def _somebody_is_logged_in(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(getpass, "getuser", lambda: "li 4")
    monkeypatch.delenv("HLRD_OPERATOR", raising=False)
    monkeypatch.delenv("HLRD_TOKEN", raising=False)


def a_token(**claims: object) -> str:
    return jwt.encode(claims, KEY, algorithm="EdDSA")


def test_an_operators_own_token_goes_before_everything(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HLRD_OPERATOR", "wang5")
    monkeypatch.setenv("HLRD_TOKEN", a_token(sub="zhang3"))

    assert person() == "zhang3"
    assert named_by_token("OPS") == "zhang3"


@pytest.mark.parametrize(
    "token",
    ["of-the-configuration", "a.b.c", a_token(sub=7), a_token(), a_token(sub="x\r\nX-Evil: 1")],
)
def test_any_other_token_names_nobody(monkeypatch: pytest.MonkeyPatch, token: str) -> None:
    monkeypatch.setenv("HLRD_TOKEN", token)
    assert (person(), named_by_token("OPS")) == ("li_4", "OPS")

    monkeypatch.setenv("HLRD_OPERATOR", "wang5")
    assert person() == "wang5"


async def test_with_an_operators_token_the_command_line_needs_nothing_more() -> None:
    async with a_world() as world:
        world.fallout.put(a_fallout_row())
        world.operators.rights["zhang3"] = {"fallout.resend", "read"}
        mine = a_token(sub="zhang3")
        world.operators.signed[mine] = "zhang3"

        result = await run(world, "fallout", "resend", "5", "--reason", "is back", HLRD_TOKEN=mine)

        assert result.exit_code == 0, result.output
        assert [row.actor for row in world.audit.rows_kept] == ["zhang3"]
