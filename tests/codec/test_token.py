"""A token says who somebody is only if the SSO made it for hlrd, and it holds now."""

import base64
import hashlib
import hmac
import json
from collections.abc import Mapping
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from hypothesis import given
from hypothesis import strategies as st

from hlrd.codec.token import Cause, Keys, KeysInvalid, TokenInvalid, read_keys

NOW = 1_790_000_000.0
HOUR = 3_600
ISSUER, AUDIENCE = "https://sso.example", "hlrd"

ED = ed25519.Ed25519PrivateKey.generate()
EC = ec.generate_private_key(ec.SECP256R1())
RSA = rsa.generate_private_key(public_exponent=65537, key_size=2048)
OTHER = ed25519.Ed25519PrivateKey.generate()
SIGNERS: dict[str, tuple[Any, str]] = {
    "ed": (ED, "EdDSA"), "ec": (EC, "ES256"), "rsa": (RSA, "RS256"), "pss": (RSA, "PS256"),
}  # fmt: skip


def jwk(key: Any, kid: str, **more: object) -> dict[str, object]:
    public = key.public_key()
    kinds = {
        ed25519.Ed25519PublicKey: jwt.algorithms.OKPAlgorithm,
        ec.EllipticCurvePublicKey: jwt.algorithms.ECAlgorithm,
        rsa.RSAPublicKey: jwt.algorithms.RSAAlgorithm,
    }
    algorithm = next(algorithm for kind, algorithm in kinds.items() if isinstance(public, kind))
    return {**algorithm.to_jwk(public, as_dict=True), "kid": kid, **more}


def a_set(*keys: Mapping[str, object]) -> str:
    return json.dumps({"keys": list(keys)})


KEYS = read_keys(
    a_set(jwk(ED, "ed"), jwk(EC, "ec", use="sig"), jwk(RSA, "rsa"), jwk(RSA, "pss", alg="PS256"))
)


def claims(**changed: object) -> dict[str, object]:
    usual = {"iss": ISSUER, "aud": AUDIENCE, "sub": "zhang3", "exp": int(NOW) + HOUR}
    return {name: value for name, value in {**usual, **changed}.items() if value is not None}


def a_token(kid: str = "ed", *, key: Any = None, headers: Any = None, **changed: object) -> str:
    own, algorithm = SIGNERS[kid]
    sent = {"kid": kid, **(headers or {})}
    return jwt.encode(claims(**changed), key or own, algorithm=algorithm, headers=sent)


def cause_of(token: str, *, now: float = NOW, keys: Keys = KEYS) -> Cause | None:
    try:
        keys.identity(token, issuer=ISSUER, audience=AUDIENCE, now=now)
    except TokenInvalid as invalid:
        return invalid.cause
    return None


def by_hand(header: Mapping[str, object], secret: bytes | None = None) -> str:
    """As no honest library would make it."""
    parts = [_part(json.dumps(one).encode()) for one in (header, claims())]
    signature = hmac.digest(secret, ".".join(parts).encode(), hashlib.sha256) if secret else b""
    return ".".join([*parts, _part(signature)])


def _part(content: bytes) -> str:
    return base64.urlsafe_b64encode(content).rstrip(b"=").decode()


@pytest.mark.parametrize("kid", SIGNERS)
def test_a_token_of_any_key_of_the_sso_names_its_operator_until_it_expires(kid: str) -> None:
    identity = KEYS.identity(a_token(kid), issuer=ISSUER, audience=AUDIENCE, now=NOW)

    assert identity.operator.name == "zhang3"
    assert identity.expires_at == NOW + HOUR


def test_one_of_several_audiences_does() -> None:
    assert cause_of(a_token(aud=["crm", "hlrd"])) is None


@pytest.mark.parametrize("none", ["none", "None", "NONE", "nOnE"])
def test_a_token_without_a_signature_is_nobodys(none: str) -> None:
    assert cause_of(by_hand({"alg": none, "kid": "ed"})) is Cause.KEY
    assert cause_of(by_hand({"alg": none})) is Cause.KEY


@pytest.mark.parametrize("encoding", ["PEM", "DER", "Raw", "jwk", "x"])
def test_a_public_key_is_no_shared_secret(encoding: str) -> None:
    public = ED.public_key()
    form = serialization.PublicFormat.SubjectPublicKeyInfo
    secret = {
        "PEM": public.public_bytes(serialization.Encoding.PEM, form),
        "DER": public.public_bytes(serialization.Encoding.DER, form),
        "Raw": public.public_bytes_raw(),
        "jwk": json.dumps(jwk(ED, "ed")).encode(),
        "x": str(jwk(ED, "ed")["x"]).encode(),
    }[encoding]

    for algorithm in ("HS256", "HS384", "HS512"):
        assert cause_of(by_hand({"alg": algorithm, "kid": "ed"}, secret)) is Cause.KEY


def test_the_algorithm_is_that_of_the_key_and_not_of_the_token() -> None:
    by_rsa = jwt.encode(claims(), RSA, algorithm="RS256", headers={"kid": "pss"})
    by_other = jwt.encode(claims(), EC, algorithm="ES256", headers={"kid": "ed"})

    assert cause_of(by_rsa) is Cause.KEY
    assert cause_of(by_other) is Cause.KEY


@pytest.mark.parametrize(
    ("changed", "cause"),
    [
        ({"iss": "https://sso.example.evil"}, Cause.ISSUER),
        ({"iss": None}, Cause.FORM),
        ({"aud": "crm"}, Cause.AUDIENCE),
        ({"aud": ["crm", "boss"]}, Cause.AUDIENCE),
        ({"aud": None}, Cause.FORM),
        ({"exp": int(NOW)}, Cause.EXPIRED),
        ({"exp": int(NOW) - 1}, Cause.EXPIRED),
        ({"exp": None}, Cause.FORM),
        ({"exp": "tomorrow"}, Cause.FORM),
        ({"exp": float("nan")}, Cause.EXPIRED),
        ({"exp": float("inf")}, Cause.EXPIRED),
        ({"exp": True}, Cause.FORM),
        ({"nbf": int(NOW) + 60}, Cause.EARLY),
        ({"nbf": float("nan")}, Cause.EARLY),
        ({"nbf": int(NOW) + 10}, None),
        ({"sub": None}, Cause.FORM),
        ({"sub": ""}, Cause.FORM),
        ({"sub": "zhang 3"}, Cause.FORM),
        ({"sub": "z" * 21}, Cause.FORM),
        ({"sub": "zhang3\n"}, Cause.FORM),
        ({"sub": ["zhang3"]}, Cause.FORM),
        ({"roles": ["chief"], "operator_id": "li4"}, None),
    ],
)
def test_every_claim_that_counts_is_looked_at(
    changed: dict[str, object], cause: Cause | None
) -> None:
    assert cause_of(a_token(**changed)) is cause


def test_a_token_holds_to_the_second_and_no_longer() -> None:
    token = a_token()

    assert cause_of(token, now=NOW + HOUR - 0.001) is None
    assert cause_of(token, now=NOW + HOUR) is Cause.EXPIRED


def test_a_key_that_is_not_the_ssos_signs_for_nobody() -> None:
    assert cause_of(a_token(key=OTHER)) is Cause.SIGNATURE
    assert cause_of(a_token(key=OTHER, headers={"kid": "new"})) is Cause.KEY
    assert cause_of(jwt.encode(claims(), ED, algorithm="EdDSA")) is Cause.KEY


def test_a_key_that_the_token_brings_along_does_not_count() -> None:
    brought = {"jwk": jwk(OTHER, "ed"), "jku": "https://evil.example/jwks"}

    assert cause_of(a_token(key=OTHER, headers=brought)) is Cause.SIGNATURE


def test_what_must_be_understood_and_is_not_refuses_the_token() -> None:
    assert cause_of(a_token(headers={"crit": ["exp"], "exp": 1})) is Cause.FORM


@pytest.mark.parametrize("kid", [None, 7, ["ed"], {"ed": 1}])
def test_a_kid_is_a_name(kid: object) -> None:
    assert cause_of(by_hand({"alg": "EdDSA", "kid": kid})) in (Cause.KEY, Cause.FORM)


def test_a_huge_token_is_not_even_looked_at() -> None:
    assert cause_of(a_token(note="x" * 5_000)) is Cause.FORM
    assert cause_of("a." * 1_000_000) is Cause.FORM


@given(st.text(max_size=60) | st.binary(max_size=60).map(lambda raw: raw.decode("latin-1")))
def test_no_text_is_taken_for_a_token(text: str) -> None:
    assert cause_of(text) is not None


@given(st.data())
def test_one_changed_character_is_enough_to_refuse_it(data: st.DataObject) -> None:
    token = a_token()
    place = data.draw(st.integers(0, len(token) - 1))
    other = data.draw(
        st.sampled_from("ABCDEFabcdef0123456789-_.").filter(lambda c: c != token[place])
    )

    assert cause_of(token[:place] + other + token[place + 1 :]) is not None


P384 = ec.generate_private_key(ec.SECP384R1())
SHORT = rsa.generate_private_key(public_exponent=65537, key_size=1024)
PRIVATE = {**jwk(ED, "ed"), "d": _part(ED.private_bytes_raw())}


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("", "not a JWK set"),
        ("[]", "not a JWK set"),
        ("[" * 100_000, "not a JWK set"),
        ('{"keys": {}}', "not 1 to 16 keys"),
        (a_set(), "not 1 to 16 keys"),
        (a_set(*(jwk(ED, f"k{n}") for n in range(17))), "not 1 to 16 keys"),
        (a_set(jwk(ED, "")), "needs a kid"),
        (a_set(jwk(ED, "a"), jwk(EC, "a")), r"keys\[1\]: needs a kid that no other has"),
        ('{"keys": [7]}', "needs a kid"),
        (a_set(PRIVATE), "not a public key"),
        (a_set({"kty": "oct", "k": "c2VjcmV0", "kid": "a"}), "not a public key"),
        (a_set(jwk(ED, "a", use="enc")), "not for signatures"),
        (a_set(jwk(P384, "a")), "P-256"),
        (a_set(jwk(SHORT, "a")), "2048 bits"),
        (a_set(jwk(ED, "a", alg="HS256")), "keys"),
        (a_set(jwk(ED, "a", alg="none")), "not an Ed25519"),
        (a_set(jwk(RSA, "a", alg="RS512")), "RSA from 2048"),
        (a_set({"kty": "EC", "crv": "P-256", "x": "AA", "y": "AA", "kid": "a"}), "not an Ed25519"),
        (a_set({"kty": "nonsense", "kid": "a"}), "not an Ed25519"),
    ],
)
def test_a_file_of_keys_that_is_of_no_use_is_refused_without_a_word_of_it(
    text: str, named: str
) -> None:
    with pytest.raises(KeysInvalid, match=named) as caught:
        read_keys(text)

    assert str(PRIVATE["d"]) not in str(caught.value)
