"""What only the composition decides."""

from collections.abc import MutableMapping
from pathlib import Path
from typing import Any
from unittest.mock import AsyncMock, Mock

import pytest
import structlog

from hlrd.app import Daemon
from hlrd.config import Settings, load
from hlrd.domain.audit import Action
from hlrd.domain.errors import Unavailable
from hlrd.domain.routing import Identity
from hlrd.engine.engine import Engine
from hlrd.ne.driver import Driver
from hlrd.runtime.audit import AuditWriter
from hlrd.runtime.batches.peer import Peer
from hlrd.runtime.delivery.desk import DeliveryDesk
from hlrd.runtime.journal import JournalWriter
from hlrd.runtime.sessions import SessionDesk

EXAMPLE = Path(__file__).parent.parent / "hlrd.example.toml"


def settings(*, drain_s: float) -> Settings:
    read = load(EXAMPLE)
    return read.model_copy(update={"orders": read.orders.model_copy(update={"drain_s": drain_s})})


async def test_a_drain_ends_in_time_also_when_the_database_stays_away() -> None:
    journal = JournalWriter("", node="n", epoch=1, last_seq=0, quarantine_days=0)
    journal.close(Mock())  # never written: nothing runs it
    engine = Mock(Engine, is_quiet=Mock(return_value=False), open_orders=Mock(return_value=1))
    driver = AsyncMock()

    with structlog.testing.capture_logs() as logs:
        await Daemon(settings(drain_s=0.01), "")._drain(engine, journal, [driver], Mock(Peer))

    driver.drain.assert_awaited_once()
    assert logs[-1] == {
        "event": "drained", "log_level": "info", "open_orders": 1, "unwritten": 1,
    }  # fmt: skip


class Running(Daemon):
    """Its drivers are there, and nothing else runs."""

    def __init__(self) -> None:
        super().__init__(load(EXAMPLE), "")
        self.drivers = {ne.name: Mock(Driver) for ne in self._settings.ne}
        self._drivers = dict(self.drivers)


def reloaded(daemon: Daemon, text: str, tmp_path: Path) -> list[MutableMapping[str, Any]]:
    """What the log says when the configuration is `text` by now."""
    path = tmp_path / "hlrd.toml"
    path.write_text(text)
    with structlog.testing.capture_logs() as logs:
        daemon.reload(lambda: load(path))
    return logs


def test_a_reload_gives_each_element_its_new_settings(tmp_path: Path) -> None:
    daemon = Running()
    text = EXAMPLE.read_text().replace('"replace-me-with-its-password"', '"another"')

    logs = reloaded(daemon, text, tmp_path)

    settings, adapter = daemon.drivers["hlr1"].adopt.call_args.args
    assert settings.password.get_secret_value() == adapter.account.password == "another"
    daemon.drivers["dsmp1"].adopt.assert_called_once()
    assert logs == [{"event": "settings_reloaded", "log_level": "info", "need_restart": []}]


def test_a_reload_names_what_needs_a_restart(tmp_path: Path) -> None:
    text = EXAMPLE.read_text().replace('# log_level = "info"', 'log_level = "debug"')

    (said,) = reloaded(Running(), text, tmp_path)

    assert said["need_restart"] == ["log_level"]


def test_a_reload_is_in_the_audit_trail_and_one_of_no_use_is_not(tmp_path: Path) -> None:
    daemon = Running()
    daemon._trail = trail = Mock(AuditWriter)
    text = EXAMPLE.read_text()

    reloaded(daemon, text.replace('dialect = "dsmp"', 'dialect = "mml"'), tmp_path)
    trail.note.assert_not_called()
    reloaded(daemon, text.replace('# log_level = "info"', 'log_level = "debug"'), tmp_path)

    subject = f"node:{daemon._settings.node}"
    said = {"need_restart": ["log_level"]}
    trail.note.assert_called_once_with(Action.SETTINGS_RELOAD, subject, after=said)


def test_a_reload_takes_effect_though_the_audit_trail_cannot_take_it(tmp_path: Path) -> None:
    daemon = Running()
    refused = Unavailable("AUDIT_UNAVAILABLE", "too many wait", 1.0)
    daemon._trail = Mock(AuditWriter, note=Mock(side_effect=refused))

    said = reloaded(daemon, EXAMPLE.read_text(), tmp_path)

    daemon.drivers["hlr1"].adopt.assert_called_once()
    assert [one["event"] for one in said] == ["settings_reloaded", "reload_not_audited"]


def test_a_reload_gives_new_routes(tmp_path: Path) -> None:
    daemon = Running()
    text = EXAMPLE.read_text().replace('prefix = "1064900"', 'prefix = "10648"')

    (said,) = reloaded(daemon, text, tmp_path)

    assert said["need_restart"] == []
    assert daemon._site.homes.routing.home(Identity.MSISDN, "1064800000000") == "hlr1"
    assert daemon._site.homes.routing.home(Identity.MSISDN, "1064900000000") is None


def test_routes_of_no_use_leave_the_old_ones_in_force(tmp_path: Path) -> None:
    daemon = Running()
    text = EXAMPLE.read_text().replace('ne = "hlr1"', 'ne = "hlr9"')

    (said,) = reloaded(daemon, text, tmp_path)

    assert said["event"] == "settings_not_reloaded"
    assert "[[route]] 1: hlr9 is none of the HLRs" in said["error"]
    assert daemon._site.homes.routing.home(Identity.MSISDN, "1064900000000") == "hlr1"


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("port = 7776", "port = 77760"),
        ('dialect = "huawei_hlr"', 'dialect = "morse"'),
        ('name = "hlr1"', 'name = "hlr9"'),
    ],
)
def test_settings_that_are_of_no_use_change_nothing(
    tmp_path: Path, before: str, after: str
) -> None:
    daemon = Running()

    (said,) = reloaded(daemon, EXAMPLE.read_text().replace(before, after), tmp_path)

    assert said["event"] == "settings_not_reloaded"
    assert not any(driver.adopt.called for driver in daemon.drivers.values())


ENDPOINT = """
[[receipt_endpoint]]
name = "crm"
source = "CRM"
url = "https://crm.example/receipts"
secret_file = "{file}"
"""


def test_a_reload_gives_the_endpoints_of_receipts_with_their_secrets(tmp_path: Path) -> None:
    daemon = Running()
    daemon._deliveries = deliveries = Mock(DeliveryDesk)
    file = tmp_path / "crm.secret"
    file.write_text("whsec_" + 43 * "A" + "=")

    (said,) = reloaded(daemon, EXAMPLE.read_text() + ENDPOINT.format(file=file), tmp_path)

    ((registration,),) = deliveries.adopt.call_args.args
    assert registration.endpoint.name == "crm"
    assert said["need_restart"] == []


def test_a_reload_with_a_bad_secret_changes_nothing_and_does_not_quote_it(tmp_path: Path) -> None:
    daemon = Running()
    daemon._deliveries = deliveries = Mock(DeliveryDesk)
    file = tmp_path / "crm.secret"
    file.write_text("hunter2hunter2")

    (said,) = reloaded(daemon, EXAMPLE.read_text() + ENDPOINT.format(file=file), tmp_path)

    assert said["event"] == "settings_not_reloaded"
    assert "receipt_endpoint.crm.secret_file" in said["error"]
    assert "hunter2" not in said["error"]
    deliveries.adopt.assert_not_called()
    daemon.drivers["hlr1"].adopt.assert_not_called()


ACCOUNT = """
[[accounts]]
source = "CRM"
user = "crm-main"
password_file = "{file}"
"""


def test_a_reload_gives_the_accounts_with_their_passwords(tmp_path: Path) -> None:
    daemon = Running()
    daemon._sessions = sessions = Mock(SessionDesk)
    file = tmp_path / "crm.password"
    file.touch(mode=0o600)
    file.write_text("a good password\n")

    (said,) = reloaded(daemon, EXAMPLE.read_text() + ACCOUNT.format(file=file), tmp_path)

    ((credential,),) = sessions.adopt.call_args.args
    assert (credential.user, credential.password) == ("crm-main", "a good password")
    assert said["need_restart"] == []


def test_a_reload_with_a_bad_password_changes_nothing_and_does_not_quote_it(tmp_path: Path) -> None:
    daemon = Running()
    daemon._sessions = sessions = Mock(SessionDesk)
    file = tmp_path / "crm.password"
    file.write_text("hunter2")

    (said,) = reloaded(daemon, EXAMPLE.read_text() + ACCOUNT.format(file=file), tmp_path)

    assert said["event"] == "settings_not_reloaded"
    assert "accounts.crm-main.password_file" in said["error"]
    assert "hunter2" not in said["error"]
    sessions.adopt.assert_not_called()
    daemon.drivers["hlr1"].adopt.assert_not_called()
