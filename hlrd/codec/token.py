"""Operators' tokens: JSON Web Tokens (RFC 7519) that the SSO signs, and the keys it signs by.

Only what RFC 8725 asks for is taken: the key is found by its `kid` and says by itself by which
algorithm it signs, so nothing that a token claims chooses one; those with a shared secret are not
known here at all.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from math import inf
from typing import Any, Final

import jwt
import msgspec
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, EllipticCurvePublicKey
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from msgspec import Struct

from hlrd import limits
from hlrd.domain.errors import HlrdError
from hlrd.domain.orders import OperatorText
from hlrd.domain.rights import Operator

_RSA_BITS_MIN: Final = 2048
_ALGORITHMS: Final[Mapping[type[Any], tuple[str, ...]]] = {
    Ed25519PublicKey: ("EdDSA",),
    EllipticCurvePublicKey: ("ES256",),
    RSAPublicKey: ("RS256", "PS256"),
}
"""By kind of key, what it may sign by; of several the key's own `alg` says which, or the first."""


class KeysInvalid(HlrdError):
    """This is no set of public keys that tokens can be checked by. Quotes none of them."""


class Cause(StrEnum):
    """Why a token says nothing of anybody."""

    FORM = "form"  #: not a JWT, too long, or a claim that is missing or not of its form
    KEY = "key"  #: by no key of the SSO, or by another algorithm than the key's own
    SIGNATURE = "signature"
    ISSUER = "issuer"
    AUDIENCE = "audience"  #: meant for another system
    EARLY = "early"  #: not valid yet
    EXPIRED = "expired"


class TokenInvalid(HlrdError):
    def __init__(self, cause: Cause) -> None:
        super().__init__(f"the token is refused: {cause}")
        self.cause = cause


@dataclass(frozen=True, slots=True)
class _Key:
    public: Any
    algorithm: str


@dataclass(frozen=True, slots=True)
class Identity:
    """Whom a token names, and until when."""

    operator: Operator
    expires_at: float  #: seconds since 1970


class _Claims(Struct):
    """Those that count; others are the SSO's own business."""

    sub: OperatorText
    exp: float
    nbf: float | None = None


class Keys:
    """The public keys of the SSO."""

    def __init__(self, keys: Mapping[str, _Key]) -> None:
        self._keys = keys

    def __len__(self) -> int:
        return len(self._keys)

    def identity(self, token: str, *, issuer: str, audience: str, now: float) -> Identity:
        """Whom `token` names at `now` (seconds since 1970). Raises TokenInvalid."""
        if len(token) > limits.OPERATOR_TOKEN_CHARS_MAX or not token.isascii():
            raise TokenInvalid(Cause.FORM)
        claims = _claims(token, self._key_of(token), issuer=issuer, audience=audience)
        if not now < claims.exp < inf:  # as JSON has it here, a number may be NaN
            raise TokenInvalid(Cause.EXPIRED)
        if claims.nbf is not None and not claims.nbf <= now + limits.OPERATOR_TOKEN_LEEWAY_S:
            raise TokenInvalid(Cause.EARLY)
        return Identity(Operator(claims.sub), claims.exp)

    def _key_of(self, token: str) -> _Key:
        try:
            header = jwt.get_unverified_header(token)
        except jwt.PyJWTError:
            raise TokenInvalid(Cause.FORM) from None
        key = self._keys.get(str(header.get("kid")))
        if key is None or header.get("alg") != key.algorithm:
            raise TokenInvalid(Cause.KEY)
        if "crit" in header or "b64" in header:  # RFC 7515, 4.1.11: nothing that hlrd understands
            raise TokenInvalid(Cause.FORM)
        return key


def _claims(token: str, key: _Key, *, issuer: str, audience: str) -> _Claims:
    """Times are judged by the caller's clock, not by that of the library."""
    try:
        claims = jwt.decode(
            token,
            key.public,
            algorithms=[key.algorithm],
            issuer=issuer,
            audience=audience,
            options={
                "require": ["exp", "sub", "iss", "aud"],
                "verify_exp": False,
                "verify_nbf": False,
                "verify_iat": False,
            },
        )
        return msgspec.convert(claims, _Claims)
    except jwt.InvalidSignatureError:
        raise TokenInvalid(Cause.SIGNATURE) from None
    except jwt.InvalidIssuerError:
        raise TokenInvalid(Cause.ISSUER) from None
    except jwt.InvalidAudienceError:
        raise TokenInvalid(Cause.AUDIENCE) from None
    except (jwt.PyJWTError, msgspec.ValidationError):
        raise TokenInvalid(Cause.FORM) from None


def read_keys(text: str) -> Keys:
    """A JWK set (RFC 7517) of public keys. Raises KeysInvalid."""
    try:
        document = json.loads(text)
        given = document["keys"]
    except (ValueError, TypeError, KeyError, RecursionError):
        raise KeysInvalid('not a JWK set: {"keys": [...]}') from None
    if not isinstance(given, list) or not 1 <= len(given) <= limits.OPERATOR_KEYS_MAX:
        raise KeysInvalid(f"not 1 to {limits.OPERATOR_KEYS_MAX} keys")
    keys: dict[str, _Key] = {}
    for place, one in enumerate(given):
        kid = one.get("kid") if isinstance(one, dict) else None
        if not isinstance(kid, str) or not kid or kid in keys:
            raise KeysInvalid(f"keys[{place}]: needs a kid that no other has")
        keys[kid] = _key(one, f"keys[{place}]")
    return Keys(keys)


def _key(one: dict[str, Any], where: str) -> _Key:
    if one.get("kty") == "oct" or "d" in one:
        raise KeysInvalid(f"{where}: not a public key; hlrd must have no key that signs")
    if one.get("use", "sig") != "sig":
        raise KeysInvalid(f"{where}: not for signatures")
    try:
        public = jwt.PyJWK(one).key
    except (jwt.PyJWTError, ValueError, TypeError, NotImplementedError):  # the last: alg none
        raise KeysInvalid(f"{where}: not an Ed25519, P-256 or RSA key") from None
    return _Key(public, _algorithm(public, one.get("alg"), where))


def _algorithm(public: object, named: object, where: str) -> str:
    known = next((named for kind, named in _ALGORITHMS.items() if isinstance(public, kind)), ())
    is_weak = (isinstance(public, RSAPublicKey) and public.key_size < _RSA_BITS_MIN) or (
        isinstance(public, EllipticCurvePublicKey) and not isinstance(public.curve, SECP256R1)
    )
    if not known or is_weak or named not in (None, *known):
        raise KeysInvalid(f"{where}: want Ed25519 (EdDSA), P-256 (ES256) or RSA from 2048 bits on")
    return known[0] if named is None else str(named)
