"""A receipt as it goes to an endpoint: a CloudEvent 1.0 in JSON, signed as a Standard Webhook.

CloudEvents: https://cloudevents.io, structured mode and the sequence extension. Standard Webhooks:
https://www.standardwebhooks.com, symmetric signatures v1.
"""

import base64
import binascii
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Final

import msgspec
from msgspec import Struct
from standardwebhooks import Webhook

from hlrd.domain.delivery import Content
from hlrd.domain.errors import HlrdError
from hlrd.domain.trail import moment

CONTENT_TYPE: Final = "application/cloudevents+json"
CLOSED: Final = "cn.hlrd.order.closed"
FALLOUT: Final = "cn.hlrd.order.fallout"

_PREFIX: Final = "whsec_"
_KEY_BYTES: Final = range(24, 65)
_SECRETS_MAX: Final = 2
_ENCODER: Final = msgspec.json.Encoder()


class SecretInvalid(HlrdError):
    """The text never quotes it."""


class Event(Struct):
    specversion: str
    id: str  #: the same at every try: what comes twice is told by it
    source: str
    type: str
    subject: str  #: the user, or the lane of an order of no user
    time: str
    datacontenttype: str
    sequence: str  #: grows with every receipt, and so with those of one user
    data: msgspec.Raw  #: the receipt as GET /v1/receipts gives it


def event_id(seq: int) -> str:
    """Of the receipt with this number; an order's interim and final one are two."""
    return str(seq)


def encode(seq: int, user_id: str, content: Content, *, node: str) -> bytes:
    return _ENCODER.encode(
        Event(
            specversion="1.0",
            id=event_id(seq),
            source=f"/hlrd/{node}",
            type=CLOSED if content.is_final else FALLOUT,
            subject=user_id,
            time=moment(content.closed_at),
            datacontenttype="application/json",
            sequence=f"{seq:020}",
            data=msgspec.Raw(content.receipt),
        )
    )


class Signer:
    """Signs with each of an endpoint's secrets: while they change, the old one and the new."""

    __slots__ = ("_webhooks",)

    def __init__(self, secrets: Sequence[str]) -> None:
        if not 1 <= len(secrets) <= _SECRETS_MAX:
            raise SecretInvalid(f"{len(secrets)} secrets; one is wanted, or two while they change")
        self._webhooks = [Webhook(_key(secret)) for secret in secrets]

    def headers(self, id: str, epoch_s: float, body: bytes) -> dict[str, str]:
        at = datetime.fromtimestamp(int(epoch_s), UTC)
        text = body.decode()
        return {
            "webhook-id": id,
            "webhook-timestamp": str(int(epoch_s)),
            "webhook-signature": " ".join(one.sign(id, at, text) for one in self._webhooks),
        }


def read_secrets(document: str) -> Signer:
    """One secret a line, the new one first; lines that begin with # say something to people."""
    lines = (line.strip() for line in document.splitlines())
    return Signer([line for line in lines if line and not line.startswith("#")])


def _key(secret: str) -> bytes:
    try:
        key = base64.b64decode(secret.removeprefix(_PREFIX), validate=True)
    except (binascii.Error, ValueError):
        key = b""
    if not secret.startswith(_PREFIX) or len(key) not in _KEY_BYTES:
        raise SecretInvalid(
            f"a secret is {_PREFIX} and the base64 of {_KEY_BYTES[0]} to {_KEY_BYTES[-1]} bytes"
            " (docs/receipts.md says how to make one)"
        )
    return key
