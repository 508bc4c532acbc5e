"""Identities of the network, as typed tokens that are safe to put on any wire.

Every identity is ASCII `[0-9]` or `[0-9A-F]`, matched to the very end of the text (`\\Z`, since `$`
lets a newline through), so nothing that is parsed here can carry a delimiter of a command language.
Formats: 3GPP TS 23.003 (MSISDN, IMSI), ITU-T E.118 (ICCID).
"""

import re
from dataclasses import dataclass, field
from typing import Annotated, Final, NewType

from msgspec import Meta, Struct

from hlrd.domain.errors import BadRequest

MSISDN = NewType("MSISDN", str)
"""National form, 11 digits or 13 (IoT), without the country code."""

IMSI = NewType("IMSI", str)
"""15 digits."""

ICCID = NewType("ICCID", str)
"""19 or 20 characters, letters in capitals (old numbering has a letter for the maker)."""

UserId = NewType("UserId", str)
"""One subscription (用户), not a person. 1 to 19 digits; text, since leading zeros count."""

COUNTRY_CODE: Final = "86"

MSISDN_PATTERN: Final = r"\A(?:1[3-9][0-9]{9}|1(?:064[0-9]|44[0-9]{2})[0-9]{8})\Z"
MOBILE_NETWORKS: Final = ("46000", "46002", "46004", "46007", "46008", "46013", "46099", "00101")
"""MCC and MNC of this operator, and the two that tests and laboratories use (TS 23.003, 2.2)."""

IMSI_PATTERN: Final = rf"\A(?:{'|'.join(MOBILE_NETWORKS)})[0-9]{{10}}\Z"
ICCID_PATTERN: Final = r"\A8986[0-9A-Fa-f]{15,16}\Z"
USER_ID_PATTERN: Final = r"\A[0-9]{1,19}\Z"
KEY_PATTERN: Final = r"\A[0-9A-Fa-f]{32}\Z"

MSISDNText = Annotated[str, Meta(pattern=r"\A(?:\+?86|0086)?1[0-9]{10,12}\Z")]
IMSIText = Annotated[str, Meta(pattern=IMSI_PATTERN)]
ICCIDText = Annotated[str, Meta(pattern=ICCID_PATTERN)]
UserIdText = Annotated[str, Meta(pattern=USER_ID_PATTERN)]
KeyText = Annotated[str, Meta(pattern=KEY_PATTERN)]

_MSISDN: Final = re.compile(MSISDN_PATTERN)
_IMSI: Final = re.compile(IMSI_PATTERN)
_ICCID: Final = re.compile(ICCID_PATTERN)
_USER_ID: Final = re.compile(USER_ID_PATTERN)
_KEY: Final = re.compile(KEY_PATTERN)
_TRIVIAL_KEYS: Final = frozenset({"0" * 32, "F" * 32})
_TRUNK: Final = re.compile(r"\A(?:\+?86|0086)")


def parse_msisdn(text: str, field: str = "msisdn") -> MSISDN:
    """Accept the national form, or the same behind 86, +86 or 0086.

    86 and 11 digits are as long as an IoT number, so a prefix is taken off only if what remains is
    a valid number by itself.
    """
    if _MSISDN.match(text):
        return MSISDN(text)
    stripped = _TRUNK.sub("", text, count=1)
    if stripped != text and _MSISDN.match(stripped):
        return MSISDN(stripped)
    raise BadRequest(
        "MSISDN_INVALID",
        "not an 11-digit number (1[3-9]…) nor a 13-digit IoT number (1064…, 144…)",
        field,
    )


def parse_imsi(text: str, field: str = "imsi") -> IMSI:
    if not _IMSI.match(text):
        text = f"an IMSI is 15 digits that start with one of {', '.join(MOBILE_NETWORKS)}"
        raise BadRequest("IMSI_INVALID", text, field)
    return IMSI(text)


def parse_iccid(text: str, field: str = "iccid") -> ICCID:
    """Capitals; 19 digits are given their check digit, and that of 20 is verified (Luhn, E.118).

    A number with a letter in it has no check digit and stays as long as it is.
    """
    if not _ICCID.match(text):
        raise BadRequest(
            "ICCID_INVALID", "an ICCID is 19 or 20 characters that start with 8986", field
        )
    if len(text) == 20 and text.isdigit() and not luhn_holds(text):
        raise BadRequest(
            "ICCID_CHECK_DIGIT", "the last digit is not the Luhn digit of the rest", field
        )
    if len(text) == 19 and text.isdigit():
        return ICCID(f"{text}{luhn_digit(text)}")
    return ICCID(text.upper())


def parse_user_id(text: str, field: str = "user_id") -> UserId:
    if not _USER_ID.match(text):
        raise BadRequest("USER_ID_INVALID", "a user id is 1 to 19 digits", field)
    return UserId(text)


def international(msisdn: MSISDN) -> str:
    """The E.164 digits an HLR wants: 13 or, for an IoT number, exactly the maximum of 15."""
    return COUNTRY_CODE + msisdn


_ZERO: Final = ord("0")
_DOUBLED: Final = bytes.maketrans(b"0123456789", b"0246813579")  # twice, digits added up


def luhn_digit(body: str) -> int:
    """The digit that makes `body` plus itself pass the Luhn test."""
    digits = body.encode("ascii")
    doubled = digits[-1::-2].translate(_DOUBLED)
    return -(sum(doubled) + sum(digits[-2::-2]) - len(digits) * _ZERO) % 10


def luhn_holds(digits: str) -> bool:
    return luhn_digit(digits[:-1]) == ord(digits[-1]) - 48


@dataclass(frozen=True, slots=True)
class CardKey:
    """A Ki as the card vendor delivered it: encrypted under a transport key that only vendor and
    AuC hold (`k4sno` is that key's index there, 0 for none). hlrd passes it on and never has the
    clear Ki. Kept out of every repr.
    """

    value: str = field(repr=False)  #: 32 hex digits
    k4sno: int
    algorithm: str  #: one of ALGORITHMS
    card_type: str  #: SIM or USIM

    def __post_init__(self) -> None:
        if not _KEY.match(self.value):
            raise BadRequest("KI_INVALID", "a Ki is 32 hexadecimal digits", "ki")
        if self.value.upper() in _TRIVIAL_KEYS:
            raise BadRequest("KI_TRIVIAL", "a Ki of only 0 or only F is never a real key", "ki")


ALGORITHMS: Final = ("COMP128_1", "COMP128_2", "COMP128_3", "MILENAGE")
CARD_TYPES: Final = ("SIM", "USIM")
K4SNO_MAX: Final = 255


class SealedKey(Struct, frozen=True, gc=False):
    """A `CardKey` at rest: AES-256-GCM, bound to its IMSI and key id by the associated data."""

    key_id: str
    ciphertext: bytes  #: nonce, then ciphertext and tag

    def __repr__(self) -> str:
        return f"SealedKey(key_id={self.key_id!r})"


class Card(Struct, frozen=True, gc=False):
    """One physical SIM of the stock."""

    iccid: ICCID
    imsi: IMSI
    hlr: str  #: name of its home HLR
    province: str
    key: SealedKey


class Binding(Struct, frozen=True, gc=False):
    """One MSISDN, one IMSI, one ICCID, one user, in use together; number and card share the HLR."""

    user_id: UserId
    msisdn: MSISDN
    imsi: IMSI
    iccid: ICCID
    hlr: str  #: name of the home HLR
    province: str
    key: SealedKey
