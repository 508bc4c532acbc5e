"""Settings: the example shows all, the environment goes first, every error comes at once."""

import os
import re
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple, get_args

import pytest
from pydantic import BaseModel
from pydantic_core import PydanticUndefined

from hlrd import config
from hlrd.config import ConfigError, Settings

EXAMPLE = Path(__file__).parent.parent / "hlrd.example.toml"

#: Shown in the example with a value that is not their default, which is "absent".
OPTIONAL = {
    *(f"operators.{name}" for name in ("authorize_url", "token", "ca_file")),
    *("database.dsn", "imports.folder", "receipt_endpoint.ca_file", "routes_file"),
    *(f"ne.{name}" for name in ("commands_per_s", "replies", "standby_host", "standby_port")),
    "ne.in_flight_max",
    *(f"groups.{name}" for name in ("nationwide", "class1", "gateway", "province_platform")),
    *(f"groups.{name}" for name in ("province_management", "bboss", "boss1", "registry")),
}

#: Have a default, and yet stand in the example with a value, as hardly anyone can do without.
FILLED_IN = {"ne.user", "ne.password"}

_SETTING = re.compile(r"\A(# )?([a-z_0-9]+) = (.+?)\s*\Z")
_SECTION = re.compile(r"\A(?:# )?\[+([a-z_.]+)\]+\Z")


@pytest.fixture(autouse=True)
def _no_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in list(os.environ):
        if name.startswith("HLRD_"):
            monkeypatch.delenv(name)


class Shown(NamedTuple):
    value: Any
    is_commented: bool


def shown() -> dict[str, Shown]:
    """Every setting of the example, by path."""
    section, settings = "", {}
    for line in EXAMPLE.read_text("utf-8").splitlines():
        heading, setting = _SECTION.match(line), _SETTING.match(line)
        if heading:
            section = heading[1] + "."
        elif setting:
            value = tomllib.loads(f"value = {setting[3]}")["value"]
            settings.setdefault(section + setting[2], Shown(value, setting[1] is not None))
    return settings


def declared(model: type[BaseModel] = Settings, at: str = "") -> Iterator[tuple[str, Any]]:
    """Every setting of the code with its default, by path; PydanticUndefined if it has none."""
    for name, field in model.model_fields.items():
        kinds = [field.annotation, *get_args(field.annotation)]
        sections = [k for k in kinds if isinstance(k, type) and issubclass(k, BaseModel)]
        if sections:
            yield from declared(sections[0], f"{at}{name}.")
        else:
            yield f"{at}{name}", field.get_default(call_default_factory=True, validated_data={})


def plain(value: Any) -> Any:
    if hasattr(value, "get_secret_value"):
        return value.get_secret_value()
    return str(value) if isinstance(value, Path) else value


def test_the_example_shows_every_setting_and_no_other() -> None:
    settings = {path for path in shown() if not path.startswith("keys.keys.")}

    assert settings | {"keys.keys"} == {path for path, _ in declared()}


@pytest.mark.parametrize(("path", "default"), list(declared()))
def test_the_example_shows_the_default(path: str, default: Any) -> None:
    setting = shown().get(path, Shown(None, is_commented=False))

    if path in OPTIONAL:
        assert default is None
    elif setting.is_commented and default is not PydanticUndefined:
        assert setting.value == plain(default)
    else:
        assert default is PydanticUndefined or path in FILLED_IN


def test_the_example_is_usable_as_it_is() -> None:
    settings = config.load(EXAMPLE)

    assert settings.http.port == 8080
    assert [ne.name for ne in settings.ne] == ["hlr1", "dsmp1"]


def test_the_environment_goes_before_the_file(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HLRD_DATABASE__DSN", "postgresql://elsewhere/hlrd")
    monkeypatch.setenv("HLRD_HTTP__PORT", "9080")
    monkeypatch.setenv("HLRD_LOG_LEVEL", "debug")

    settings = config.load(EXAMPLE)

    assert settings.database.dsn is not None
    assert settings.database.dsn.get_secret_value() == "postgresql://elsewhere/hlrd"
    assert (settings.http.port, settings.http.host) == (9080, "127.0.0.1")
    assert settings.log_level == "debug"


def test_the_variables_of_the_command_line_are_no_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HLRD_TOKEN", "x")
    monkeypatch.setenv("HLRD_URL", "http://x")

    config.load(EXAMPLE)


def a_file(folder: Path, text: str) -> Path:
    path = folder / "hlrd.toml"
    path.write_text(text)
    return path


def test_everything_that_is_wrong_is_said_at_once(tmp_path: Path) -> None:
    path = a_file(
        tmp_path,
        """
        node = "Bad Name"
        colour = "red"
        [http]
        port = 70000
        [keys]
        current = "k2"
        keys = { k1 = "00" }
        [[ne]]
        name = "hlr1"
        dialect = "huawei_hlr"
        host = "h"
        port = 1
        sessions_min = 9
        sessions_max = 8
        """,
    )

    with pytest.raises(ConfigError) as caught:
        config.load(path)

    for place in ("node", "colour", "http.port", "keys", "ne.0", "tokens"):
        assert f"\n  {place}: " in str(caught.value)


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ('source = "OPS"', 'source = "NOBODY"', "tokens.1.source"),
        ("secret-of-staff", "secret-of-esop", "two sources share a token"),
        ('token = "replace-me-with-a-secret-of-esop"', 'token = "short"', "tokens.0.token"),
        ('current = "k1"', 'current = "k9"', "names no key"),
        ('k1 = "00', 'k1 = "zz', "64 hex digits"),
        ('k1 = "00', 'k1 = "0', "64 hex digits"),
        ('host = "127.0.0.1"\nport = 7776', "port = 7776", "ne.0.host"),
        ('name = "dsmp1"', 'name = "hlr1"', "two network elements are named ['hlr1']"),
    ],
)
def test_what_is_wrong_is_named(tmp_path: Path, old: str, new: str, said: str) -> None:
    text = EXAMPLE.read_text("utf-8")
    assert old in text

    with pytest.raises(ConfigError, match=re.escape(said)):
        config.load(a_file(tmp_path, text.replace(old, new)))


def test_no_secret_is_said_when_something_is_wrong(tmp_path: Path) -> None:
    text = EXAMPLE.read_text("utf-8").replace('token = "replace-me', 'token = "hunter2')
    text = text.replace('k1 = "0000', 'k1 = "hunter2').replace(
        '# password = ""', 'pasword = "hunter2"'
    )

    with pytest.raises(ConfigError) as caught:
        config.load(a_file(tmp_path, text))

    assert "hunter2" not in str(caught.value)


def test_a_file_that_is_not_there_or_is_not_toml(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="No such file"):
        config.load(tmp_path / "nothing.toml")
    with pytest.raises(ConfigError, match="is not TOML"):
        config.load(a_file(tmp_path, "node = "))
    with pytest.raises(ConfigError, match="is not TOML"):
        config.load(a_file(tmp_path, "node = " + "[" * 5_000))


def test_settings_show_no_secret() -> None:
    assert "replace-me" not in repr(config.load(EXAMPLE))
    assert "0000" not in repr(config.load(EXAMPLE))


AN_ACCOUNT = """
[[accounts]]
source = "CRM"
user = "crm-main"
password_file = "crm-main.password"
"""


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ('"CRM"', '"NOBODY"', "accounts.0.source"),
        ('"crm-main"', '"crm main"', "accounts.0.user"),
        ('"crm-main"', '"?"', "accounts.0.user"),
        ("password_file", "password", "accounts.0.password"),
    ],
)
def test_an_account_has_a_user_of_its_own_and_a_file(
    tmp_path: Path, old: str, new: str, said: str
) -> None:
    text = EXAMPLE.read_text("utf-8")
    assert config.load(a_file(tmp_path, text + AN_ACCOUNT)).accounts[0].user == "crm-main"

    with pytest.raises(ConfigError, match=re.escape(said)):
        config.load(a_file(tmp_path, text + AN_ACCOUNT.replace(old, new)))
    with pytest.raises(ConfigError, match="two accounts have the user"):
        config.load(a_file(tmp_path, text + AN_ACCOUNT + AN_ACCOUNT))


@pytest.mark.parametrize(
    ("setting", "said"),
    [
        ("heartbeat_s = 100.0", "sessions: Value error, idle_close_s is below two heartbeat_s"),
        ("lifetime_s = 1e9", "sessions.lifetime_s"),
        ("per_account_max = 0", "sessions.per_account_max"),
        ("lock_after = 0", "sessions.lock_after"),
        ("lock_s = 4000.0", "sessions.lock_s"),
    ],
)
def test_a_session_outlives_a_lost_heartbeat_and_keeps_to_its_bounds(
    tmp_path: Path, setting: str, said: str
) -> None:
    text = EXAMPLE.read_text("utf-8").replace("[sessions]\n", f"[sessions]\n{setting}\n")

    with pytest.raises(ConfigError, match=re.escape(said)):
        config.load(a_file(tmp_path, text))


def test_accounts_may_take_the_place_of_tokens(tmp_path: Path) -> None:
    text = re.sub(r"(?m)^\[\[tokens\]\]\n.*\n.*\n", "", EXAMPLE.read_text("utf-8"))

    assert config.load(a_file(tmp_path, text + AN_ACCOUNT)).tokens == []
    with pytest.raises(ConfigError, match="nobody could ask anything"):
        config.load(a_file(tmp_path, text))


AN_ENDPOINT = """
[[receipt_endpoint]]
name = "crm"
source = "CRM"
url = "https://crm.example:8443/receipts?of=hlrd"
secret_file = "crm.secret"
is_default = true
"""


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("https:", "ftp:", "not an http or https address"),
        ("crm.example:8443", "", "not an http or https address"),
        ("/receipts", "/rec eipts", "not an http or https address"),
        (":8443", ":99999", "not an http or https address"),
        ("crm.example", "user:password@crm.example", "no user, password or fragment"),
        ("?of=hlrd", "#top", "no user, password or fragment"),
        ('"CRM"', '"NOBODY"', "receipt_endpoint.0.source"),
        ('"crm"', '"a b"', "receipt_endpoint.0.name"),
    ],
)
def test_a_receipt_endpoint_has_an_address_that_can_be_posted_to(
    tmp_path: Path, old: str, new: str, said: str
) -> None:
    text = EXAMPLE.read_text("utf-8")
    assert config.load(a_file(tmp_path, text + AN_ENDPOINT)).receipt_endpoint[0].is_default

    with pytest.raises(ConfigError, match=re.escape(said)) as refused:
        config.load(a_file(tmp_path, text + AN_ENDPOINT.replace(old, new)))
    assert "password@" not in str(refused.value)


def test_names_of_receipt_endpoints_and_defaults_of_a_source_are_one_each(tmp_path: Path) -> None:
    text = EXAMPLE.read_text("utf-8") + AN_ENDPOINT

    with pytest.raises(ConfigError, match="have one name"):
        config.load(a_file(tmp_path, text + AN_ENDPOINT))
    with pytest.raises(ConfigError, match="two default endpoints"):
        config.load(a_file(tmp_path, text + AN_ENDPOINT.replace('"crm"', '"crm-2"')))
