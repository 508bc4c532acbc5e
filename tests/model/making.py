"""From a few drawn digits to an order of any kind, about whatever its user has at the moment."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from hlrd.domain.product import ProductService, Relation
from tests.domain.products import a_content, a_function
from tests.simulation.database import HLRS, POOL, PROVINCE, iccid_of, imsi_of

KI: Final = "0123456789ABCDEF0123456789ABCDEF"
ECS: Final = ("EC1", "EC1", "EC1", "EC2", "EC3", "EC1")
"""By digit; what EC3 has is for a partner province to publish."""
PRODUCTS: Final = ("A", "B", "N")
CLASSES: Final = {"A": 1, "B": 2, "N": 3}
PLATFORM: Final = "market"
OTHER_REASONS: Final = ("LOST", "FRAUD", "OPERATOR")
CARDS: Final = 6
"""Of each lot; there is one for each HLR."""

Fields = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Asked:
    """What a step says of its order, beside the kind."""

    user: str
    msisdn: str  #: as upstream knows it
    a: int
    b: int
    numbers: tuple[str, ...]
    is_named: bool
    file: str  #: of a batch, that is ready
    rows: int
    child: str

    @property
    def ec(self) -> str:
        return ECS[self.a]

    @property
    def product(self) -> str:
        return PRODUCTS[(0, 1, 0, 1, 2, 0)[self.b]]

    @property
    def level(self) -> int:
        return 1 + (self.a % 3 != 0)

    @property
    def reason(self) -> str:
        return OTHER_REASONS[self.b % 3]


def services_of(product: str, version: int) -> list[ProductService]:
    """GPRS and its relation are of A and B; N is content."""
    shared = a_function("GPRS", relation=Relation("900001", "V1"))
    if product == "N":
        return [a_content("NEWS", "N1")]
    if product == "B":
        return [shared] if version == 1 else [shared, a_function("ROAM")]
    return [shared, a_function("VPN")]


def _activation(asked: Asked) -> Fields:
    named = {"iccid": iccid_of(asked.a + CARDS * (asked.b % 2))} if asked.is_named else {}
    return {
        "ec_code": asked.ec, "pool": POOL, "services": ["GPRS", "SMS"] if asked.b else ["GPRS"],
        "product_class": CLASSES[asked.product], **named, "reasons": _born_with(asked),
    }  # fmt: skip


def _born_with(asked: Asked) -> list[Fields]:
    return [{"reason": "VOLUNTARY", "level": asked.level}] if asked.a == 5 else []


def _opening(asked: Asked) -> Fields:
    """With a card of the stock, or one that brings its key."""
    msisdn = asked.numbers[(asked.a * 6 + asked.b) % len(asked.numbers)]
    lot = asked.numbers.index(msisdn) * len(HLRS) // len(asked.numbers)
    own = 100 if asked.is_named else 0
    serial = lot * CARDS + asked.a % CARDS + own
    key: Fields = {"ki": KI, "keyid": 1} if own else {}
    return {
        "msisdn": msisdn, "imsi": imsi_of(serial), "iccid": iccid_of(serial), **key,
        "services": ["GPRS", "SMS"], "reasons": _born_with(asked),
    }  # fmt: skip


def _member_opening(asked: Asked) -> Fields:
    return _opening(asked) | {"ec_code": asked.ec, "product_class": CLASSES[asked.product]}


def _with_level(asked: Asked) -> Fields:
    return {"level": asked.level}


def _with_reason(asked: Asked) -> Fields:
    return {"reason": asked.reason, "level": asked.level}


def _of_reason(asked: Asked) -> Fields:
    return {"reason": asked.reason}


def _card(asked: Asked) -> Fields:
    if not asked.is_named:
        return {}
    serial = asked.a + CARDS * (asked.b % 2)
    if asked.b > 3:
        serial += 200
        return {"iccid": iccid_of(serial), "imsi": imsi_of(serial), "ki": KI, "keyid": 1}
    return {"iccid": iccid_of(serial)}


def _number(asked: Asked) -> Fields:
    others = [number for number in asked.numbers if number != asked.msisdn]
    number = others[(asked.a * 6 + asked.b) % len(others)]
    return {"pool": POOL} | ({"new_msisdn": number} if asked.is_named else {})


def _nothing(asked: Asked) -> Fields:
    return {}


def _product(asked: Asked) -> Fields:
    return {"product": asked.product}


def _publication(asked: Asked) -> Fields:
    version = 1 + asked.a % 2
    platforms = [PLATFORM] if asked.product == "A" else []
    return {
        "product": asked.product, "product_version": version, "name": asked.product,
        "services": services_of(asked.product, version), "platforms": platforms,
    }  # fmt: skip


def _of_ec(asked: Asked) -> Fields:
    return {"ec_code": asked.ec, "product": asked.product}


def _of_member(asked: Asked) -> Fields:
    return _of_ec(asked) | ({"msisdn": None} if asked.is_named else {})


def _ec_subscription(asked: Asked) -> Fields:
    kind = CLASSES[asked.product]
    return _of_ec(asked) | {"ec_name": "ec", "product_class": kind, "straight": kind == 3}


def _partner_publication(asked: Asked) -> Fields:
    """Of none that is straight, as publications do not say that."""
    product = "AB"[asked.b % 2]
    return {
        "ec_code": asked.ec if asked.a < 2 else "EC3", "product": product,
        "product_class": CLASSES[product], "ec_name": "ec", "lead_province": "100",
    }  # fmt: skip


def _partner_member(asked: Asked) -> Fields:
    return {
        "ec_code": asked.ec, "msisdn": f"106480000000{asked.b}", "partner_province": "100"
    }  # fmt: skip


def _removal(asked: Asked) -> Fields:
    return {"ec_code": asked.ec, "terminate": asked.b > 3}


def _stop_all(asked: Asked) -> Fields:
    return {"ec_code": asked.ec, "reason": _of_all(asked), "level": asked.level}


def _resume_all(asked: Asked) -> Fields:
    return {"ec_code": asked.ec, "reason": _of_all(asked)}


def _of_all(asked: Asked) -> str:
    return "VOLUNTARY" if asked.b == 5 else "ARREARS"


def _batch(asked: Asked) -> Fields:
    file = "999" if asked.a == 5 else asked.file
    return {"batch": file, "child": asked.child, "rows": asked.rows}


MAKERS: Final[Mapping[str, Callable[[Asked], Fields]]] = {
    "MEMBER_ACTIVATE": _activation,
    "MEMBER_OPEN": _member_opening,
    "USER_OPEN": _opening,
    "ARREARS_SUSPEND": _with_level,
    "PAYMENT_RESUME": _nothing,
    "VOLUNTARY_SUSPEND": _with_level,
    "VOLUNTARY_RESUME": _nothing,
    "OPERATOR_SUSPEND": _with_reason,
    "OPERATOR_RESUME": _of_reason,
    "PRE_TERMINATE": _nothing,
    "REINSTATE": _nothing,
    "USER_TERMINATE": _nothing,
    "PRODUCT_PUBLISH": _publication,
    "PRODUCT_SUBSCRIBE": _product,
    "PRODUCT_UNSUBSCRIBE": _product,
    "SIM_REPLACE": _card,
    "NUMBER_CHANGE": _number,
    "EC_PRODUCT_SUBSCRIBE": _ec_subscription,
    "EC_PRODUCT_CANCEL": _of_ec,
    "PARTNER_PRODUCT_PUBLISH": _partner_publication,
    "PARTNER_MEMBER_IMPORT": _partner_member,
    "MEMBER_PRODUCT_SUBSCRIBE": _of_member,
    "MEMBER_PRODUCT_UNSUBSCRIBE": _of_member,
    "MEMBER_REMOVE": _removal,
    "EC_SUSPEND_ALL": _stop_all,
    "EC_RESUME_ALL": _resume_all,
    "BATCH": _batch,
    "NE_REPAIR": _nothing,
}

CHILDREN: Final = (
    "ARREARS_SUSPEND", "PAYMENT_RESUME", "MEMBER_PRODUCT_SUBSCRIBE", "USER_TERMINATE",
    "MEMBER_ACTIVATE", "PRODUCT_SUBSCRIBE",
)  # fmt: skip
"""Of batch files."""

NOT_OF_USERS: Final = frozenset(
    {"PRODUCT_PUBLISH", "EC_PRODUCT_SUBSCRIBE", "EC_PRODUCT_CANCEL", "PARTNER_PRODUCT_PUBLISH",
     "PARTNER_MEMBER_IMPORT", "EC_SUSPEND_ALL", "EC_RESUME_ALL", "BATCH"}
)  # fmt: skip
_WITHOUT_NUMBER: Final = frozenset({"MEMBER_ACTIVATE", "MEMBER_OPEN", "USER_OPEN"})


def fields_of(kind: str, asked: Asked) -> Fields:
    """All but the header."""
    if kind in NOT_OF_USERS:
        return MAKERS[kind](asked)
    fields: Fields = {"user_id": asked.user}
    if kind not in _WITHOUT_NUMBER:
        fields["msisdn"] = asked.msisdn
    return {"province": PROVINCE} | fields | MAKERS[kind](asked)
