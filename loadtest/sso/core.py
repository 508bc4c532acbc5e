"""The rules of the SSO, without a socket or a clock: people and their rights, logins that last as
cookies, tokens by keys of its own.
"""

import secrets
from collections import OrderedDict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from hmac import compare_digest
from typing import Any, Final
from urllib.parse import urlsplit

import jwt
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from msgspec import Struct

from hlrd.domain.errors import HlrdError

COOKIES_MAX: Final = 10_000
"""Logins that last; past it the oldest are forgotten, and their people log in again."""

PEOPLE_MAX: Final = 10_000
RIGHTS_MAX: Final = 1_000
"""People, and rights of one."""

KEYS_MAX: Final = 4
"""Published at once: the one that signs and those before it."""

_ALGORITHM: Final = "EdDSA"


class PeopleInvalid(HlrdError):
    """Of whoever may log in nothing can be made of what was given."""


class Person(Struct, forbid_unknown_fields=True):
    name: str
    password: str
    rights: list[str] = []  #: patterns with *

    def __repr__(self) -> str:
        return f"Person({self.name!r})"


class Shown(Struct, frozen=True):
    """A person as anybody may see him."""

    name: str
    rights: Sequence[str]


@dataclass(frozen=True, slots=True)
class Settings:
    name: str = "sso"
    issuer: str = "https://sso.example"
    audiences: Sequence[str] = ("hlrd",)
    token_s: float = 3_600.0
    cookie_s: float = 8 * 3_600.0
    hosts: frozenset[str] = frozenset({"127.0.0.1", "localhost"})  #: that a login may go back to
    bearer: str = field(default="", repr=False)  #: that systems show; empty: everybody is answered


@dataclass(frozen=True, slots=True)
class _Key:
    kid: str
    private: Ed25519PrivateKey = field(repr=False)

    def public(self) -> dict[str, Any]:
        shown = jwt.algorithms.OKPAlgorithm.to_jwk(self.private.public_key(), as_dict=True)
        return {**shown, "kid": self.kid, "alg": _ALGORITHM, "use": "sig"}


@dataclass(slots=True)
class Counters:
    logins: int = 0
    logins_refused: int = 0
    cookies_known: int = 0
    cookies_unknown: int = 0
    tokens: int = 0
    allowed: int = 0
    refused: int = 0


class SSO:
    def __init__(self, settings: Settings, people: Iterable[Person]) -> None:
        self.settings = settings
        self.token_s = settings.token_s
        self.counters = Counters()
        self._people: dict[str, Person] = {}
        self._cookies: OrderedDict[str, tuple[str, float]] = OrderedDict()
        self._keys: list[_Key] = []
        for person in people:
            self.put(person)
        self.rotate()

    # People.

    def put(self, person: Person) -> None:
        """In the place of whoever had the name."""
        if not person.name or not person.password:
            raise PeopleInvalid("a person has a name and a password")
        if person.name not in self._people and len(self._people) >= PEOPLE_MAX:
            raise PeopleInvalid(f"more than {PEOPLE_MAX:,} people")
        if len(person.rights) > RIGHTS_MAX:
            raise PeopleInvalid(f"more than {RIGHTS_MAX:,} rights of one person")
        self._people[person.name] = person

    def people(self) -> Sequence[Shown]:
        return [Shown(person.name, tuple(person.rights)) for person in self._people.values()]

    def change(self, name: str, *, grant: Iterable[str] = (), revoke: Iterable[str] = ()) -> Shown:
        """KeyError: nobody has this name. What is revoked goes by its very text."""
        person = self._people[name]
        gone = set(revoke)
        rights = [right for right in person.rights if right not in gone]
        rights += [right for right in grant if right not in rights]
        self.put(Person(name, person.password, rights))
        return Shown(name, tuple(rights))

    # Authentication (认证).

    def log_in(self, user: str, password: str, now: float) -> str | None:
        """The cookie of who it is; None: user or password is wrong."""
        person = self._people.get(user)
        expected = person.password if person is not None else ""
        is_right = compare_digest(expected.encode(), password.encode("utf-8", "surrogatepass"))
        if person is None or not is_right:
            self.counters.logins_refused += 1
            return None
        self.counters.logins += 1
        cookie = secrets.token_urlsafe(24)
        self._cookies[cookie] = (user, now + self.settings.cookie_s)
        if len(self._cookies) > COOKIES_MAX:
            self._cookies.popitem(last=False)
        return cookie

    def person_of(self, cookie: str, now: float) -> str | None:
        name, until = self._cookies.get(cookie, ("", 0.0))
        if until <= now or name not in self._people:
            self._cookies.pop(cookie, None)
            self.counters.cookies_unknown += 1
            return None
        self.counters.cookies_known += 1
        return name

    def log_out(self, cookie: str) -> None:
        self._cookies.pop(cookie, None)

    def token(self, name: str, now: float) -> tuple[str, float]:
        """Of somebody who is known; with the moment that it expires."""
        expires_at = now + self.token_s
        audiences = list(self.settings.audiences)
        claims = {
            "iss": self.settings.issuer,
            "aud": audiences[0] if len(audiences) == 1 else audiences,
            "sub": name,
            "iat": int(now),
            "nbf": int(now),
            "exp": expires_at,
            "jti": secrets.token_hex(8),
        }
        key = self._keys[-1]
        self.counters.tokens += 1
        headers = {"kid": key.kid}
        return jwt.encode(claims, key.private, algorithm=_ALGORITHM, headers=headers), expires_at

    # Keys.

    def rotate(self, *, keep: bool = True) -> str:
        """Sign by a new key. `keep` publishes those before it on, so that their tokens hold."""
        key = _Key(f"k{secrets.token_hex(4)}", Ed25519PrivateKey.generate())
        self._keys = [*(self._keys[1 - KEYS_MAX :] if keep else []), key]
        return key.kid

    def jwks(self) -> Mapping[str, Any]:
        return {"keys": [key.public() for key in self._keys]}

    # Authorization (鉴权).

    def may(self, name: str, right: str) -> bool:
        person = self._people.get(name)
        allowed = person is not None and any(fnmatchcase(right, one) for one in person.rights)
        if allowed:
            self.counters.allowed += 1
        else:
            self.counters.refused += 1
        return allowed

    def may_return(self, address: str) -> bool:
        """Whether a login may send a browser back there."""
        try:
            parts = urlsplit(address)
            has_port = parts.port is None or parts.port > 0
        except ValueError:
            return False
        if not address.isascii() or not address.isprintable() or set(address) & set(' \\"<>'):
            return False
        is_plain = parts.username is None and parts.password is None and has_port
        is_http = parts.scheme in ("http", "https")
        return is_http and is_plain and parts.hostname in self.settings.hosts
