"""Endpoints of the settings, and what their files hold."""

import base64
from pathlib import Path
from typing import Any

import pytest

from hlrd.config import ConfigError, ReceiptEndpoint
from hlrd.domain.delivery import Endpoint
from hlrd.runtime.delivery.registration import registration

SECRET = "whsec_" + base64.b64encode(b"\x07" * 32).decode()


def an_endpoint(folder: Path, secret: str = SECRET, **fields: Any) -> ReceiptEndpoint:
    file = folder / "crm.secret"
    file.write_text(secret)
    named = {"name": "crm", "source": "CRM", "url": "https://crm.example/receipts"}
    return ReceiptEndpoint(**{**named, "secret_file": file, **fields})


def test_a_registration_has_all_of_the_settings_and_shows_no_secret(tmp_path: Path) -> None:
    settings = an_endpoint(tmp_path, is_default=True, in_flight_max=4, timeout_s=2.5)

    made = registration(settings)

    assert made.endpoint == Endpoint(
        "crm", "CRM", "https://crm.example/receipts", True, in_flight_max=4, timeout_s=2.5
    )
    assert made.trust is None
    assert SECRET.removeprefix("whsec_") not in repr(made) + repr(settings)


@pytest.mark.parametrize("secret", ["", "whsec_short", "a secret of my own", "whsec_日本"])
def test_a_bad_secret_is_told_by_its_file_and_never_quoted(tmp_path: Path, secret: str) -> None:
    with pytest.raises(
        ConfigError, match=r"receipt_endpoint\.crm\.secret_file: .*crm\.secret"
    ) as e:
        registration(an_endpoint(tmp_path, secret))

    assert not secret or secret not in str(e.value)


def test_files_that_are_not_there_or_are_something_else_are_told(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"cannot read .*: No such file"):
        registration(an_endpoint(tmp_path, secret_file=tmp_path / "none"))
    with pytest.raises(ConfigError, match=r"receipt_endpoint\.crm\.ca_file: .* is no certificate"):
        registration(an_endpoint(tmp_path, ca_file=tmp_path / "crm.secret"))
