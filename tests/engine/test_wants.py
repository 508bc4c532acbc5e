"""What an order takes by name: its place in the order of a range may still be to come."""

from typing import Any, Final

import pytest

from hlrd.domain.catalogue import KINDS
from hlrd.domain.conflict import Nature
from hlrd.domain.orders import MemberActivate, NumberChange, SIMReplace, WorkOrder
from hlrd.engine.wants import names_a_number

HEADER: Final[dict[str, Any]] = {
    "order_id": "A-1",
    "province": "200",
    "operator_id": "li4",
    "user_id": "9001",
}
NUMBER = "1064900001234"


@pytest.mark.parametrize(
    ("order", "names"),
    [
        (MemberActivate(**HEADER, ec_code="EC1"), False),
        (MemberActivate(**HEADER, ec_code="EC1", iccid="89860420200000000019"), False),
        (MemberActivate(**HEADER, ec_code="EC1", msisdn=NUMBER), True),
        (MemberActivate(**HEADER, ec_code="EC1", reservation="7"), True),
        (NumberChange(**HEADER, msisdn=NUMBER), False),
        (NumberChange(**HEADER, msisdn=NUMBER, new_msisdn="1064900001235"), True),
        (SIMReplace(**HEADER, msisdn=NUMBER), False),
    ],
)  # fmt: skip
def test_a_number_is_named_or_drawn(order: WorkOrder, names: bool) -> None:
    assert names_a_number(order) is names


def test_every_other_opening_names_its_number() -> None:
    for kind in KINDS:
        if kind.nature is Nature.OPEN and kind.shape is not MemberActivate:
            fields: dict[str, Any] = dict.fromkeys(kind.shape.__struct_fields__, "1")
            assert names_a_number(kind.shape(**fields))
