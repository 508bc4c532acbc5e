"""How a wish to wait is read."""

import msgspec
import pytest

from hlrd import limits
from hlrd.api.wait import Wait, wanted
from hlrd.domain import orders
from tests.api.client import a_member_activation


def an_order(**fields: object) -> orders.WorkOrder:
    return orders.decode(msgspec.json.encode(a_member_activation(**fields)))


@pytest.mark.parametrize(
    ("prefer", "wait"),
    [
        (None, None),
        ("", None),
        ("respond-async", None),
        ("wait=10", Wait(10, "wait=10")),
        ("respond-async, Wait = 10", Wait(10, "wait=10")),
        ('handling=lenient, wait="7"; x=y', Wait(7, "wait=7")),
        ("wait=99999", Wait(limits.SYNC_WAIT_S_MAX, "wait=60")),
        ("wait=0", None),
        ("wait=-1", None),
        ("wait=1.5", None),
        ("wait=１", None),
        ("wait", None),
        ("await=10", None),
        ("wait=9999999999", None),
    ],
)
def test_a_preference_is_bounded_or_ignored(prefer: str | None, wait: Wait | None) -> None:
    assert wanted(prefer, an_order()) == wait


def test_the_order_says_it_too() -> None:
    assert wanted(None, an_order(mode="sync")) == Wait(limits.SYNC_WAIT_S_MAX)
    assert wanted(None, an_order(mode="sync", deadline_ms=1_500)) == Wait(1.5)
    assert wanted(None, an_order(deadline_ms=1_500)) is None


def test_the_header_goes_before_the_order() -> None:
    assert wanted("wait=3", an_order(mode="sync")) == Wait(3, "wait=3")
    assert wanted("wait=0", an_order(mode="sync")) is None
