"""The operators' settings, and what their files hold."""

import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from hlrd import limits
from hlrd.config import ConfigError, Operators
from hlrd.domain.rights import RoleTable
from hlrd.runtime.operators.registration import Service, registration
from tests.runtime.operators.rig import BEARER, Rig, a_rig


@pytest.fixture
async def rig(tmp_path: Path) -> AsyncIterator[Rig]:
    async with a_rig(tmp_path) as rig:
        yield rig


async def test_without_the_section_there_is_nothing_to_register() -> None:
    assert registration(None) is None


async def test_a_table_or_a_service_judges_and_neither_shows_a_secret(rig: Rig) -> None:
    local, remote = (registration(rig.settings(check)) for check in ("local", "remote"))

    assert local is not None
    assert remote is not None
    assert isinstance(local.judge, RoleTable)
    assert isinstance(remote.judge, Service)
    assert remote.judge.authorization == f"Bearer {BEARER}"
    assert BEARER not in repr(remote) + repr(rig.settings("remote"))


async def test_what_is_wrong_with_a_file_is_told_by_its_name(rig: Rig, tmp_path: Path) -> None:
    secret = {"kty": "oct", "k": "c2VjcmV0IG9mIHRoZSBTU08", "kid": "a"}
    files = {
        "none": None,
        "binary": b"\xff\xfe",
        "empty": b"",
        "secret": json.dumps({"keys": [secret]}).encode(),
        "huge": b" " * (limits.OPERATOR_KEYS_BYTES_MAX + 1),
    }
    for name, content in files.items():
        if content is not None:
            (tmp_path / name).write_bytes(content)
        with pytest.raises(ConfigError, match=rf"operators\.keys_file: .*{name}") as caught:
            registration(rig.settings("local", keys_file=tmp_path / name))
        assert "c2Vj" not in str(caught.value)
    with pytest.raises(ConfigError, match=r"operators\.ca_file: .*empty is no certificate"):
        registration(rig.settings("remote", ca_file=tmp_path / "empty"))


async def test_a_misspelt_role_is_told_by_its_line(rig: Rig) -> None:
    with pytest.raises(ConfigError, match=r"operators\.roles\.desk: 'falout\.\*' fits no right"):
        registration(rig.settings("local", roles={"desk": ["falout.*"]}))
    with pytest.raises(ConfigError, match=r"operators\.people\.li4: there is no role 'chief'"):
        registration(rig.settings("local", people={"li4": ["chief"]}))


LOCAL: dict[str, Any] = {"check": "local", "issuer": "https://sso", "keys_file": "k"}
REMOTE: dict[str, Any] = {
    **LOCAL, "check": "remote", "authorize_url": "https://sso/authorize", "token": BEARER,
}  # fmt: skip


@pytest.mark.parametrize(
    ("settings", "named"),
    [
        ({**LOCAL, "check": "both"}, "check"),
        ({**LOCAL, "issuer": ""}, "issuer"),
        ({**LOCAL, "authorize_url": "https://sso/authorize"}, "authorize_url goes with"),
        ({**LOCAL, "people": {"zhang 3": ["desk"]}}, "people"),
        ({**LOCAL, "roles": {"Desk": ["read"]}}, "roles"),
        ({**REMOTE, "authorize_url": None}, "authorize_url goes with"),
        ({**REMOTE, "token": None}, "token is missing"),
        ({**REMOTE, "token": "short"}, "token"),
        ({**REMOTE, "roles": {"desk": ["read"]}}, "the SSO has its own"),
        ({**REMOTE, "timeout_s": 0}, "timeout_s"),
        ({**REMOTE, "authorize_url": "http://sso.example/authorize"}, "https"),
        ({**REMOTE, "authorize_url": "http://127.0.0.1.evil.example/"}, "https"),
        ({**REMOTE, "authorize_url": "https://u:p@sso/authorize"}, "no user"),
        ({**REMOTE, "authorize_url": "https:///authorize"}, "a host"),
        ({**REMOTE, "authorize_url": "ftp://127.0.0.1/"}, "https"),
        ({**REMOTE, "authorize_url": "https://[::1/"}, "IPv6"),
    ],
)
def test_settings_that_contradict_themselves_are_refused(
    settings: dict[str, Any], named: str
) -> None:
    with pytest.raises(ValidationError, match=named) as caught:
        Operators(**settings)

    assert BEARER not in str(caught.value.errors(include_input=False, include_url=False))


def test_http_does_on_the_machine_itself() -> None:
    for host in ("127.0.0.1:7094", "localhost", "[::1]:80"):
        Operators(**{**REMOTE, "authorize_url": f"http://{host}/authorize"})
