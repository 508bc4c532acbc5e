"""What goes to an endpoint, held against the library of the standard and against its arithmetic."""

import base64
import hashlib
import hmac
from datetime import UTC, datetime

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st
from standardwebhooks import Webhook, WebhookVerificationError

from hlrd.codec.webhook import CLOSED, FALLOUT, SecretInvalid, Signer, encode, read_secrets
from hlrd.domain.delivery import Content

NOW = datetime.now(UTC).timestamp()


def a_secret(fill: int, size: int = 32) -> str:
    return "whsec_" + base64.b64encode(bytes([fill]) * size).decode()


OLD, NEW = a_secret(1), a_secret(2)


def test_an_event_is_a_cloud_event_with_the_receipt_as_its_data() -> None:
    content = Content(b'{"id":"7","result":"succeeded"}', True, 1_795_000_000.5)

    event = orjson.loads(encode(412, "9001", content, node="north"))

    assert event == {
        "specversion": "1.0",
        "id": "412",
        "source": "/hlrd/north",
        "type": CLOSED,
        "subject": "9001",
        "time": "2026-11-18T19:06:40.500+08:00",
        "datacontenttype": "application/json",
        "sequence": "00000000000000000412",
        "data": {"id": "7", "result": "succeeded"},
    }


def test_an_interim_receipt_is_an_event_of_its_own_kind() -> None:
    content = Content(b"{}", False, NOW)

    assert orjson.loads(encode(1, "9001", content, node="n"))["type"] == FALLOUT


@given(st.integers(1, 2**62), st.text(max_size=50))
def test_what_is_signed_verifies_with_either_secret_and_with_no_other(seq: int, text: str) -> None:
    body = orjson.dumps({"text": text})

    headers = Signer([NEW, OLD]).headers(str(seq), NOW, body)

    for secret in (OLD, NEW):
        assert Webhook(secret).verify(body, headers) == {"text": text}
    for changed in (body + b" ", body.replace(b"text", b"test")):
        with pytest.raises(WebhookVerificationError):
            Webhook(OLD).verify(changed, headers)
    with pytest.raises(WebhookVerificationError):
        Webhook(a_secret(3)).verify(body, headers)
    with pytest.raises(WebhookVerificationError):
        Webhook(OLD).verify(body, {**headers, "webhook-id": "0"})


def test_a_signature_is_what_the_standard_says() -> None:
    headers = Signer([OLD]).headers("412", 1_795_000_000.9, b'{"a":1}')

    signed = hmac.new(b"\x01" * 32, b'412.1795000000.{"a":1}', hashlib.sha256).digest()
    assert headers == {
        "webhook-id": "412",
        "webhook-timestamp": "1795000000",
        "webhook-signature": "v1," + base64.b64encode(signed).decode(),
    }


@pytest.mark.parametrize(
    "document",
    [
        "",
        "# nothing but words\n",
        "not-a-secret",
        OLD.removeprefix("whsec_"),
        "whsec_!!!!",
        a_secret(1, 23),
        a_secret(1, 65),
        f"{OLD}\n{NEW}\n{a_secret(3)}",
    ],
)
def test_a_bad_file_of_secrets_is_refused_and_never_quoted(document: str) -> None:
    with pytest.raises(SecretInvalid) as refused:
        read_secrets(document)

    assert all(line not in str(refused.value) for line in document.split())


@pytest.mark.parametrize("size", [24, 32, 64])
def test_a_file_may_say_something_beside_its_secrets(size: int) -> None:
    signer = read_secrets(f"# of CRM, since May\n\n  {a_secret(1, size)}\r\n")

    assert "AQEB" not in repr(signer)
    assert signer.headers("1", NOW, b"{}")["webhook-signature"].count("v1,") == 1
