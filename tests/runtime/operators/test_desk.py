"""Who an operator is and what he may: by both schemes, with the SSO there and away."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from hlrd import limits
from hlrd.codec.token import Cause, Identity, Keys, TokenInvalid
from hlrd.domain.errors import Unavailable
from hlrd.domain.rights import READ
from loadtest.sso.server import How
from tests.runtime.operators.rig import Rig, a_rig, a_service

RESEND, HOLD = "fallout.resend", "ne.hold"


@pytest.fixture
async def rig(tmp_path: Path) -> AsyncIterator[Rig]:
    async with a_rig(tmp_path) as rig:
        yield rig


def name_of(rig: Rig, token: str) -> str | None:
    operator = rig.desk.operator(token)
    return None if operator is None else operator.name


def cause_of(rig: Rig, token: str) -> Cause:
    with pytest.raises(TokenInvalid) as caught:
        rig.desk.operator(token)
    return caught.value.cause


# Who he is.


async def test_without_the_section_nobody_is_an_operator(rig: Rig) -> None:
    token = rig.token()

    assert name_of(rig, token) is None
    assert not await rig.desk.may("anna", RESEND, "order:1")


async def test_a_token_of_the_sso_is_its_operators_until_it_expires(rig: Rig) -> None:
    rig.adopt("local")
    token = rig.token()

    rig.clock.now_s += rig.server.sso.token_s - 1
    assert name_of(rig, token) == "anna"

    rig.clock.now_s += 1
    assert cause_of(rig, token) is Cause.EXPIRED


async def test_what_is_not_even_like_a_token_is_left_to_others(rig: Rig) -> None:
    rig.adopt("local")

    assert name_of(rig, "a-token-of-the-configuration") is None


async def test_a_signature_is_checked_once(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    rig.adopt("local")
    checked: list[str] = []
    check = Keys.identity

    def watched(keys: Keys, token: str, **rest: Any) -> Identity:
        checked.append(token)
        return check(keys, token, **rest)

    monkeypatch.setattr(Keys, "identity", watched)
    token = rig.token()

    assert [name_of(rig, token) for _ in range(3)] == ["anna"] * 3
    assert checked == [token]


async def test_tokens_that_were_checked_are_bounded(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "OPERATORS_KEPT_MAX", 2)
    rig.adopt("local")

    for _ in range(5):
        rig.desk.operator(rig.token())

    assert len(rig.desk._known) == 2


async def test_a_key_that_is_taken_out_of_the_file_holds_no_token_any_more(rig: Rig) -> None:
    rig.adopt("local")
    token = rig.token()
    assert name_of(rig, token) == "anna"

    rig.server.rotate(keep=False)
    rig.adopt("local")

    assert cause_of(rig, token) is Cause.KEY
    assert name_of(rig, rig.token()) == "anna"


async def test_a_new_key_counts_from_the_next_reading_on(rig: Rig) -> None:
    rig.adopt("local")
    old = rig.token()
    rig.server.rotate(keep=True)
    new = rig.token()
    assert cause_of(rig, new) is Cause.KEY

    rig.adopt("local")

    assert (name_of(rig, old), name_of(rig, new)) == ("anna", "anna")


# What he may, by our own table.


async def test_the_table_decides_and_nobody_is_asked(rig: Rig) -> None:
    rig.adopt("local")
    rig.fail()

    assert await rig.desk.may("anna", RESEND, "order:1")
    assert not await rig.desk.may("anna", HOLD, "ne:hlr1")
    assert not await rig.desk.may("bert", READ, "/v1/audit")


async def test_a_table_that_was_read_again_holds_at_once(rig: Rig) -> None:
    rig.adopt("local")

    rig.adopt("local", people={"bert": ["desk"]})

    assert not await rig.desk.may("anna", RESEND, "order:1")
    assert await rig.desk.may("bert", RESEND, "order:1")


# What he may, by the SSO.


async def test_every_act_is_asked_for_by_itself(rig: Rig) -> None:
    rig.adopt("remote")

    said = [await rig.desk.may("anna", RESEND, f"order:{n}") for n in range(3)]

    assert said == [True] * 3
    assert rig.asked() == 3


async def test_a_right_that_is_revoked_between_two_acts_refuses_the_second(rig: Rig) -> None:
    rig.adopt("remote")
    first = await rig.desk.may("anna", RESEND, "order:1")

    rig.server.sso.change("anna", revoke=["fallout.*"])

    assert first
    assert not await rig.desk.may("anna", RESEND, "order:1")


@pytest.mark.parametrize("how", How)
async def test_no_plain_answer_is_a_refusal(rig: Rig, how: How) -> None:
    rig.adopt("remote", timeout_s=0.2)
    rig.fail(how)

    with pytest.raises(Unavailable) as caught:
        await rig.desk.may("anna", RESEND, "order:1")

    assert caught.value.code == "AUTHORIZATION_UNAVAILABLE"


async def test_an_sso_that_does_not_know_hlrd_allows_nothing(rig: Rig) -> None:
    rig.adopt("remote", token="another secret, not that one")

    with pytest.raises(Unavailable):
        await rig.desk.may("anna", RESEND, "order:1")


@pytest.mark.parametrize(
    "said",
    [
        "", "null", "true", "[]", "{}", '{"allowed": null}', '{"allowed": "true"}',
        '{"allowed": 1}', '{"allowed": "yes"}', '{"Allowed": true}', '{"allowed": true',
        '{"allowed": false, "allowed": true}', "\xff", "[" * 4_000,
        '{"allowed": true}' + " " * 5_000,
    ],
)  # fmt: skip
async def test_whatever_is_not_a_plain_yes_or_no_is_no_answer(rig: Rig, said: str) -> None:
    async def answering(_: web.Request) -> web.Response:
        return web.Response(body=said.encode("latin-1"), content_type="application/json")

    async with a_service(answering) as url:
        rig.adopt("remote", authorize_url=url)
        with pytest.raises(Unavailable):
            await rig.desk.may("anna", RESEND, "order:1")


async def test_an_answer_from_elsewhere_is_not_fetched(rig: Rig) -> None:
    async def moved(_: web.Request) -> web.Response:
        raise web.HTTPTemporaryRedirect(f"http://127.0.0.1:{rig.port}/authorize")

    async with a_service(moved) as url:
        rig.adopt("remote", authorize_url=url)
        with pytest.raises(Unavailable):
            await rig.desk.may("anna", RESEND, "order:1")

    assert rig.asked() == 0


async def test_many_acts_at_once_are_asked_for_side_by_side_and_bounded(rig: Rig) -> None:
    rig.adopt("remote", timeout_s=10.0)
    many = limits.AUTHORIZATIONS_AT_ONCE_MAX * 3

    said = await asyncio.gather(*(rig.desk.may("anna", RESEND, f"order:{n}") for n in range(many)))

    assert said == [True] * many
    assert rig.asked() == many


# Looking, by the SSO.


async def test_an_answer_about_looking_holds_for_a_while(rig: Rig) -> None:
    rig.adopt("remote")

    for _ in range(3):
        assert await rig.desk.may("anna", READ, "/v1/fallout")
    assert rig.asked() == 1

    rig.server.sso.change("anna", revoke=["read"])
    rig.clock.now_s += limits.READ_RIGHT_FRESH_S
    assert not await rig.desk.may("anna", READ, "/v1/fallout")


async def test_who_was_allowed_to_look_goes_on_while_the_sso_is_away(rig: Rig) -> None:
    rig.adopt("remote")
    assert await rig.desk.may("anna", READ, "/v1/fallout")
    rig.fail()

    rig.clock.now_s += limits.READ_RIGHT_STALE_S - 1
    assert await rig.desk.may("anna", READ, "/v1/fallout")

    rig.clock.now_s += 1
    with pytest.raises(Unavailable):
        await rig.desk.may("anna", READ, "/v1/fallout")


async def test_who_was_not_asked_about_before_does_not_look_while_the_sso_is_away(
    rig: Rig,
) -> None:
    rig.adopt("remote")
    assert not await rig.desk.may("bert", READ, "/v1/fallout")
    rig.fail()
    rig.clock.now_s += limits.READ_RIGHT_FRESH_S

    for name in ("bert", "carl"):
        with pytest.raises(Unavailable):
            await rig.desk.may(name, READ, "/v1/fallout")


async def test_to_have_looked_allows_no_act(rig: Rig) -> None:
    rig.adopt("remote")
    assert await rig.desk.may("anna", READ, "/v1/fallout")
    rig.fail()

    with pytest.raises(Unavailable):
        await rig.desk.may("anna", RESEND, "order:1")
