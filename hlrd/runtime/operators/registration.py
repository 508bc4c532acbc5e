"""The operators' settings, with what their files hold."""

import ssl
from dataclasses import dataclass

from hlrd import limits
from hlrd.codec.token import Keys, KeysInvalid, read_keys
from hlrd.config import ConfigError, Operators
from hlrd.domain.rights import RolesInvalid, RoleTable, role_table
from hlrd.runtime.smallfile import read_small


@dataclass(frozen=True, slots=True)
class Service:
    """The authorization service, and how to ask it."""

    url: str
    authorization: str  #: the header by which it knows hlrd
    timeout_s: float
    trust: ssl.SSLContext | None = None  #: None: the certificates that the machine trusts

    def __repr__(self) -> str:
        return f"Service({self.url})"


@dataclass(frozen=True, slots=True)
class Registration:
    """By what operators are known and judged; `judge`: our own table, or the service."""

    keys: Keys
    issuer: str
    audience: str
    judge: RoleTable | Service


def registration(settings: Operators | None) -> Registration | None:
    """Reads the files; raises ConfigError, which quotes none of them."""
    if settings is None:
        return None
    return Registration(_keys(settings), settings.issuer, settings.audience, _judge(settings))


def _keys(settings: Operators) -> Keys:
    file = settings.keys_file
    try:
        return read_keys(read_small(file, limits.OPERATOR_KEYS_BYTES_MAX).decode("utf-8"))
    except OSError as error:
        raise ConfigError(f"operators.keys_file: cannot read {file}: {error.strerror}") from error
    except UnicodeDecodeError:
        raise ConfigError(f"operators.keys_file: {file} is not plain text") from None
    except KeysInvalid as error:
        raise ConfigError(f"operators.keys_file: {file}: {error}") from None


def _judge(settings: Operators) -> RoleTable | Service:
    if settings.authorize_url is None:
        try:
            return role_table(settings.roles, settings.people)
        except RolesInvalid as error:
            raise ConfigError(f"operators.{error}") from None
    assert settings.token is not None
    authorization = f"Bearer {settings.token.get_secret_value()}"
    return Service(settings.authorize_url, authorization, settings.timeout_s, _trust(settings))


def _trust(settings: Operators) -> ssl.SSLContext | None:
    if settings.ca_file is None:
        return None
    try:
        return ssl.create_default_context(cafile=settings.ca_file)
    except OSError as error:  # which an ssl.SSLError is
        where = f"operators.ca_file: {settings.ca_file}"
        raise ConfigError(f"{where} is no certificate: {error}") from error
