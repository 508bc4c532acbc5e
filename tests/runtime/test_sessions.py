"""The desk of sessions when its settings are read again, and the files of accounts."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import structlog

from hlrd import config
from hlrd.config import Account, ConfigError
from hlrd.domain.errors import Unauthorized, Unavailable
from hlrd.domain.orders import Source
from hlrd.domain.session import LoggedIn
from hlrd.runtime.accounts import Credential, credential
from hlrd.runtime.sessions import SessionDesk
from tests.api.client import FakeClock
from tests.api.fakes import FakeAudit

MAIN = Credential("crm-main", Source.CRM, "a good password")
SPARE = Credential("crm-spare", Source.CRM, "another password")


class Desk(SessionDesk):
    def __init__(self, *accounts: Credential) -> None:
        self.audit = FakeAudit()
        self.ended: list[str] = []
        super().__init__(
            accounts,
            config.Sessions(),
            epoch=3,
            clock=FakeClock(),
            entropy=os.urandom,
            trail=self.audit,
        )
        self.on_end(self.ended.append)

    async def enter(self, account: Credential = MAIN) -> LoggedIn:
        return await self.log_in(account.user, account.password, "::1")


async def test_what_is_as_it_was_keeps_its_sessions_when_settings_are_read_again() -> None:
    desk = Desk(MAIN, SPARE)
    await desk.enter()

    desk.adopt([SPARE, Credential(MAIN.user, MAIN.source, MAIN.password)])

    assert desk.ended == []
    assert [one.id for one in desk.shown()] == ["crm-main-3-1"]


@pytest.mark.parametrize(
    "now",
    [
        [],
        [Credential(MAIN.user, MAIN.source, "another password")],
        [Credential(MAIN.user, Source.BOSS, MAIN.password)],
    ],
    ids=["gone", "another password", "another source"],
)
async def test_an_account_that_is_gone_or_another_ends_its_sessions(now: list[Credential]) -> None:
    desk = Desk(MAIN, SPARE)
    await desk.enter()
    await desk.enter(SPARE)

    desk.adopt([*now, SPARE])

    assert desk.ended == ["crm-main-3-1"]
    assert [one.id for one in desk.shown()] == ["crm-spare-3-2"]
    assert desk.audit.rows_kept[-1].after == '{"cause":"revoked"}'


async def test_an_account_that_goes_while_its_login_is_written_down_is_not_logged_in() -> None:
    class Slow(FakeAudit):
        async def record(self, **act: Any) -> int:
            desk.adopt([SPARE])
            return await super().record(**act)

    desk = Desk(MAIN)
    desk._trail = desk._logins._trail = slow = Slow()

    with pytest.raises(Unauthorized):
        await desk.enter()

    assert desk.shown() == []
    assert [row.action for row in slow.rows_kept] == ["session.open", "session.refuse"]


async def test_a_session_ends_although_its_end_cannot_be_written_down() -> None:
    class Full(FakeAudit):
        def note(self, *_: object, **__: object) -> None:
            raise Unavailable("AUDIT_UNAVAILABLE", "too many wait", 1.0)

    desk = Desk(MAIN)
    opened = await desk.enter()
    desk._logins._trail = Full()

    with structlog.testing.capture_logs() as logs:
        desk.log_out(opened.id)

    assert desk.ended == [opened.id]
    assert logs[-1]["event"] == "act_not_audited"


async def test_no_password_and_no_token_shows_when_things_are_printed() -> None:
    desk = Desk(MAIN)
    opened = await desk.enter()
    account = next(iter(desk._logins.all()))

    printed = repr([MAIN, opened, account, *desk._sessions.all()])

    assert MAIN.password not in printed
    assert opened.token not in printed
    assert "digest" not in printed


# Files of accounts


def an_account(file: Path) -> Account:
    return Account(source=Source.CRM, user="crm-main", password_file=file)


def a_file(tmp_path: Path, content: bytes, mode: int = 0o600) -> Path:
    file = tmp_path / "crm-main.password"
    file.write_bytes(content)
    file.chmod(mode)
    return file


def read(file: Path) -> tuple[Credential, list[Mapping[str, Any]]]:
    with structlog.testing.capture_logs() as logs:
        return credential(an_account(file)), list(logs)


@pytest.mark.parametrize("end", [b"", b"\n", b"\r\n", b"\nof no use\n"])
def test_the_first_line_of_the_file_is_the_password(tmp_path: Path, end: bytes) -> None:
    found, logs = read(a_file(tmp_path, "口令 with a space ".encode() + end))

    assert (found.user, found.source, found.password) == (
        "crm-main",
        Source.CRM,
        "口令 with a space ",
    )
    assert logs == []


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o620])
def test_a_file_that_others_can_read_or_write_is_warned_about(tmp_path: Path, mode: int) -> None:
    _, (warning,) = read(a_file(tmp_path, b"a good password\n", mode))

    assert (warning["event"], warning["log_level"]) == ("password_file_open", "warning")
    assert "a good password" not in str(warning)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\n",
        b"short",
        b"x" * 257,
        b"tab\there is none",
        "line\u2028there is none".encode(),
        b"\xff\xfe\xfd\xfc\xfb\xfa\xf9\xf8",
    ],
)
def test_a_password_of_no_use_is_refused_and_not_quoted(tmp_path: Path, content: bytes) -> None:
    with pytest.raises(ConfigError, match=r"accounts\.crm-main\.password_file: ") as caught:
        read(a_file(tmp_path, content))

    assert "there is none" not in str(caught.value)
    assert "xxxx" not in str(caught.value)


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"cannot read .*nothing: No such file"):
        read(tmp_path / "nothing")
