from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hlrd.domain import identity
from hlrd.domain.errors import BadRequest
from hlrd.domain.identity import MSISDN, CardKey, SealedKey

PARSERS: dict[str, tuple[Callable[[str], str], str]] = {
    "msisdn": (identity.parse_msisdn, "13800000001"),
    "IoT msisdn": (identity.parse_msisdn, "1064700000001"),
    "imsi": (identity.parse_imsi, "460040000000001"),
    "iccid": (identity.parse_iccid, "89860420202400000019"),
    "user id": (identity.parse_user_id, "0012"),
}
DIGITS = st.text("0123456789", min_size=9, max_size=9)
FOREIGN = st.characters(exclude_characters="0123456789abcdefABCDEF+")


@pytest.mark.parametrize("what", PARSERS)
@given(where=st.integers(0, 20), foreign=FOREIGN)
def test_no_identity_holds_a_character_that_is_no_digit(
    what: str, where: int, foreign: str
) -> None:
    parse, good = PARSERS[what]
    where = min(where, len(good))

    with pytest.raises(BadRequest):
        parse(good[:where] + foreign + good[where:])


@pytest.mark.parametrize("what", PARSERS)
@pytest.mark.parametrize("tail", ["\n", "\r\n", "\0", " ", ";", '"', "\u2028"])
def test_an_identity_ends_where_its_text_ends(what: str, tail: str) -> None:
    parse, good = PARSERS[what]

    assert parse(good)
    for bad in (good + tail, tail + good):
        with pytest.raises(BadRequest):
            parse(bad)


@pytest.mark.parametrize("what", PARSERS)
def test_full_width_and_other_digits_are_no_digits(what: str) -> None:
    parse, good = PARSERS[what]

    for zero in ("\uff10", "\u0660", "\u0966"):
        other = "".join(chr(ord(zero) + int(digit)) for digit in good)
        with pytest.raises(BadRequest):
            parse(other)


@given(DIGITS, st.sampled_from(["86", "+86", "0086"]))
def test_a_country_code_is_taken_off_an_11_digit_number(rest: str, prefix: str) -> None:
    number = "13" + rest

    assert identity.parse_msisdn(prefix + number) == number


@given(DIGITS, st.sampled_from(["86", "+86", "0086"]))
def test_a_country_code_is_taken_off_an_iot_number(rest: str, prefix: str) -> None:
    number = "1064" + rest

    assert identity.parse_msisdn(prefix + number) == number
    assert identity.parse_msisdn(number) == number


def test_86_stays_where_what_remains_is_no_number() -> None:
    for text in ("8612800000001", "8623800000001", "868613800000001", "86106470000000"):
        with pytest.raises(BadRequest) as refused:
            identity.parse_msisdn(text, "users[2].msisdn")
        assert (refused.value.code, refused.value.field) == ("MSISDN_INVALID", "users[2].msisdn")


def test_an_iot_number_with_its_country_code_is_as_long_as_an_imsi_and_none() -> None:
    number = identity.international(MSISDN("1064700000001"))

    assert len(number) == 15
    with pytest.raises(BadRequest):
        identity.parse_imsi(number)


@given(st.text("0123456789", min_size=15, max_size=15))
def test_every_all_digit_iccid_of_20_needs_its_luhn_digit(body: str) -> None:
    head = "8986" + body
    right = identity.luhn_digit(head)

    assert identity.parse_iccid(f"{head}{right}") == f"{head}{right}"
    for wrong in set("0123456789") - {str(right)}:
        with pytest.raises(BadRequest, match="Luhn"):
            identity.parse_iccid(head + wrong)


@pytest.mark.parametrize("iccid", ["89860420202400000019", "89860821190000123452"])
def test_the_check_digit_of_real_cards_holds(iccid: str) -> None:
    assert identity.luhn_holds(iccid)


def test_an_old_iccid_keeps_its_letter_as_a_capital_and_has_no_check_digit() -> None:
    assert identity.parse_iccid("898604202024a0000011") == "898604202024A0000011"
    assert identity.parse_iccid("898604202024A000001") == "898604202024A000001"


def test_19_digits_are_given_their_check_digit() -> None:
    assert identity.parse_iccid("8986042020240000001") == "89860420202400000019"


@pytest.mark.parametrize("network", ["46001", "46011", "45400", "00102"])
def test_an_imsi_of_another_operator_is_refused(network: str) -> None:
    with pytest.raises(BadRequest):
        identity.parse_imsi(f"{network}0123456789")


def test_a_user_id_keeps_its_leading_zeros() -> None:
    assert identity.parse_user_id("0012") != identity.parse_user_id("12")


@pytest.mark.parametrize("ki", ["0" * 32, "f" * 32, "F" * 32, "fF" * 16])
def test_a_trivial_ki_is_refused_and_never_quoted(ki: str) -> None:
    with pytest.raises(BadRequest) as refused:
        CardKey(ki, 1, "MILENAGE", "USIM")

    assert refused.value.code == "KI_TRIVIAL"
    assert ki not in str(refused.value)


def test_no_key_is_in_a_repr() -> None:
    key = "0123456789ABCDEF0123456789ABCDEF"

    assert key not in repr(CardKey(key, 1, "MILENAGE", "USIM"))
    assert "secret" not in repr(SealedKey("k1", b"secret"))
