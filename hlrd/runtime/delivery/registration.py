"""The receipt endpoints of the settings, with what their files hold."""

import ssl
from collections.abc import Iterable

from hlrd import limits
from hlrd.codec.webhook import SecretInvalid, Signer, read_secrets
from hlrd.config import ConfigError, ReceiptEndpoint
from hlrd.domain.delivery import Endpoint
from hlrd.runtime.delivery.sender import Registration
from hlrd.runtime.smallfile import read_small


def registrations(settings: Iterable[ReceiptEndpoint]) -> list[Registration]:
    """Reads the files of each; raises ConfigError, which quotes none of them."""
    return [registration(one) for one in settings]


def registration(settings: ReceiptEndpoint) -> Registration:
    endpoint = Endpoint(
        name=settings.name,
        source=settings.source,
        url=settings.url,
        is_default=settings.is_default,
        in_flight_max=settings.in_flight_max,
        timeout_s=settings.timeout_s,
    )
    return Registration(endpoint, _signer(settings), _trust(settings))


def _signer(settings: ReceiptEndpoint) -> Signer:
    file = settings.secret_file
    where = f"receipt_endpoint.{settings.name}.secret_file"
    try:
        return read_secrets(read_small(file, limits.SECRET_FILE_BYTES_MAX).decode("ascii"))
    except OSError as error:
        raise ConfigError(f"{where}: cannot read {file}: {error.strerror}") from error
    except UnicodeDecodeError:
        raise ConfigError(f"{where}: {file} is not plain text") from None
    except SecretInvalid as error:
        raise ConfigError(f"{where}: {file}: {error}") from None


def _trust(settings: ReceiptEndpoint) -> ssl.SSLContext | None:
    if settings.ca_file is None:
        return None
    try:
        return ssl.create_default_context(cafile=settings.ca_file)
    except OSError as error:  # which an ssl.SSLError is
        where = f"receipt_endpoint.{settings.name}.ca_file"
        raise ConfigError(f"{where}: {settings.ca_file} is no certificate: {error}") from error
