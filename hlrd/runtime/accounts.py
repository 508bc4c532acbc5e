"""The accounts of the settings, with the passwords that their files hold."""

import stat
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import structlog

from hlrd import limits
from hlrd.config import Account, ConfigError
from hlrd.domain.orders import Source
from hlrd.runtime.smallfile import read_small

_log: Final = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Credential:
    user: str
    source: Source
    password: str = field(repr=False)


def credentials(settings: Iterable[Account]) -> Sequence[Credential]:
    """Reads the file of each; raises ConfigError, which quotes none of them."""
    return [credential(account) for account in settings]


def credential(settings: Account) -> Credential:
    """The first line of the file without its end; a space at either end of it counts."""
    file = settings.password_file
    where = f"accounts.{settings.user}.password_file"
    try:
        text = read_small(file, limits.SECRET_FILE_BYTES_MAX).decode("utf-8")
        mode = file.stat().st_mode
    except OSError as error:
        raise ConfigError(f"{where}: cannot read {file}: {error.strerror}") from error
    except UnicodeDecodeError:
        raise ConfigError(f"{where}: {file} is not UTF-8 text") from None
    password = text.partition("\n")[0].removesuffix("\r")
    least, most = limits.PASSWORD_CHARS_MIN, limits.PASSWORD_CHARS_MAX
    if not least <= len(password) <= most or not password.isprintable():
        raise ConfigError(
            f"{where}: the first line of {file} must be {least} to {most} printable characters"
        )
    _warn_if_open(settings.user, file, mode)
    return Credential(settings.user, settings.source, password)


def _warn_if_open(user: str, file: Path, mode: int) -> None:
    if mode & (stat.S_IRWXG | stat.S_IRWXO):
        _log.warning("password_file_open", account=user, file=str(file), fix=f"chmod 600 {file}")
