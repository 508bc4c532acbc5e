"""The SSO knows its people, signs for them by keys that change, and says who may what."""

from typing import Any

import jwt
import pytest
from hypothesis import given
from hypothesis import strategies as st
from yarl import URL

from loadtest.sso import core
from loadtest.sso.core import SSO, PeopleInvalid, Person, Settings

NOW = 1_790_000_000.0
ANNA = Person("anna", "secret of anna", ["fallout.*", "read"])


def an_sso(**settings: Any) -> SSO:
    return SSO(Settings(**settings), [ANNA])


def cookie_of(sso: SSO) -> str:
    cookie = sso.log_in("anna", ANNA.password, NOW)
    assert cookie is not None
    return cookie


def read(sso: SSO, token: str) -> dict[str, Any]:
    kid = jwt.get_unverified_header(token)["kid"]
    key = jwt.PyJWKSet.from_dict(dict(sso.jwks()))[kid]
    options: Any = {"verify_exp": False, "verify_nbf": False, "verify_iat": False}
    return jwt.decode(token, key, algorithms=["EdDSA"], audience="hlrd", options=options)


@pytest.mark.parametrize(
    ("user", "password"), [("anna", "secret"), ("bert", ANNA.password), ("anna", ""), ("", "")]
)
def test_who_does_not_know_the_password_is_not_let_in(user: str, password: str) -> None:
    sso = an_sso()

    assert sso.log_in(user, password, NOW) is None
    assert sso.counters.logins_refused == 1


def test_a_cookie_is_its_owner_until_it_expires_or_he_logs_out() -> None:
    sso = an_sso(cookie_s=60.0)
    first, second = cookie_of(sso), cookie_of(sso)

    assert first != second
    assert sso.person_of(first, NOW + 59) == "anna"
    sso.log_out(first)
    assert sso.person_of(first, NOW + 59) is None
    assert sso.person_of(second, NOW + 60) is None


def test_cookies_are_bounded_and_the_oldest_goes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(core, "COOKIES_MAX", 3)
    sso = an_sso()

    cookies = [cookie_of(sso) for _ in range(5)]

    assert [sso.person_of(cookie, NOW) for cookie in cookies] == [None, None, *["anna"] * 3]


def test_a_token_has_every_claim_that_a_system_asks_for() -> None:
    sso = an_sso(issuer="https://sso", token_s=60.0)

    token, expires_at = sso.token("anna", NOW)

    claims = read(sso, token)
    assert (claims["iss"], claims["aud"], claims["sub"]) == ("https://sso", "hlrd", "anna")
    assert claims["exp"] == expires_at == NOW + 60


def test_keys_before_the_one_that_signs_are_published_as_long_as_they_are_kept() -> None:
    sso = an_sso()
    old, _ = sso.token("anna", NOW)
    sso.rotate()
    new, _ = sso.token("anna", NOW)

    assert read(sso, old)["sub"] == read(sso, new)["sub"] == "anna"

    sso.rotate(keep=False)
    with pytest.raises(KeyError):
        read(sso, old)


def test_no_more_keys_are_published_than_anybody_needs() -> None:
    sso = an_sso()
    for _ in range(10):
        sso.rotate()

    assert len(sso.jwks()["keys"]) == core.KEYS_MAX


def test_nothing_that_is_published_or_shown_is_a_secret() -> None:
    sso = an_sso()

    shown = f"{sso.jwks()} {sso.people()} {ANNA!r} {sso.settings!r}"

    assert "'d'" not in shown
    assert ANNA.password not in shown


def test_a_right_holds_from_its_grant_to_its_revocation() -> None:
    sso = an_sso()
    assert sso.may("anna", "fallout.resend")
    assert not sso.may("anna", "ne.hold")

    sso.change("anna", grant=["ne.*"], revoke=["fallout.*"])

    assert sso.may("anna", "ne.hold")
    assert not sso.may("anna", "fallout.resend")
    assert not sso.may("bert", "read")


def test_who_is_put_anew_logs_in_by_the_new_password() -> None:
    sso = an_sso()

    sso.put(Person("anna", "another secret", []))

    assert sso.log_in("anna", ANNA.password, NOW) is None
    assert sso.log_in("anna", "another secret", NOW) is not None
    with pytest.raises(PeopleInvalid):
        sso.put(Person("", "x"))


@pytest.mark.parametrize(
    ("address", "may"),
    [
        ("http://127.0.0.1:7090/ui?x=1", True),
        ("https://localhost/ui", True),
        ("http://evil.example/", False),
        ("http://127.0.0.1.evil.example/", False),
        ("http://127.0.0.1@evil.example/", False),
        ("http://user:pw@127.0.0.1/", False),
        ("//evil.example/", False),
        ("/ui", False),
        ("javascript:alert(1)", False),
        ("http:\\\\evil.example", False),
        ("http://127.0.0.1\\@evil.example", False),
        ("http://127.0.0.1/\r\nSet-Cookie: x=1", False),
        ("http://127.0.0.1:99999/", False),
        ("ftp://127.0.0.1/", False),
    ],
)
def test_a_login_goes_back_to_hosts_that_are_allowed_and_nowhere_else(
    address: str, may: bool
) -> None:
    assert an_sso().may_return(address) is may


_PIECES = ("http://", "https://", "127.0.0.1", "localhost", "evil.example")
addresses = st.lists(st.sampled_from([*_PIECES, *"@:/\\#?. ", "80"]), max_size=6).map("".join)


@given(addresses)
def test_no_address_is_read_otherwise_by_who_follows_it(address: str) -> None:
    sso = an_sso()
    for tried in (address, f"http://127.0.0.1{address}"):
        if sso.may_return(tried):
            assert URL(tried).host in ("127.0.0.1", "localhost")
