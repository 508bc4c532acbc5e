from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from hlrd.domain.identity import ICCID, IMSI, MSISDN, Binding, SealedKey, UserId
from hlrd.domain.orders.batch import ECSuspendAll
from hlrd.runtime.batches import members
from hlrd.runtime.batches.members import MemberRows
from hlrd.store.batches import Member

ORDER = ECSuspendAll(order_id="S-1", province="200", operator_id="op", ec_code="EC")


class Batch:
    """As much of a row as the cursor needs."""

    id = 1
    sent = 0
    cursor = ""


def binding(user: str) -> Binding:
    key = SealedKey("k", b"")
    return Binding(
        UserId(user), MSISDN(f"10647000{user:>05}"), IMSI(""), ICCID(""), "hlr1", "200", key
    )


@pytest.fixture
def listed(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Who is in the table of members, by user; a test adds to it."""
    users: list[str] = []

    async def page(_: Any, __: str, after: str, most: int) -> list[Member]:
        past = sorted(user for user in users if user > after)[:most]
        return [Member(UserId(user), binding(user).msisdn) for user in past]

    monkeypatch.setattr(members.store, "members", page)
    return users


async def do(work: Callable[[Any], Awaitable[Any]], /) -> Any:
    return await work(None)


async def users_of(rows: MemberRows, most: int = 2) -> list[list[str]]:
    """Page by page."""
    pages = []
    while page := await rows.next(most):
        pages.append([child.order.user_id for child in page])  # type: ignore[union-attr]
    return pages


async def test_who_becomes_a_member_meanwhile_comes_last(listed: list[str]) -> None:
    listed += ["1", "2", "3"]
    rows = MemberRows(Batch(), ORDER, do, [binding("0"), binding("5"), binding("6")])  # type: ignore[arg-type]

    assert await users_of(rows) == [["1", "2"], ["3"], ["0", "5"], ["6"]]


async def test_who_is_met_by_the_cursor_comes_once(listed: list[str]) -> None:
    listed += ["1", "2", "3"]
    rows = MemberRows(Batch(), ORDER, do, [binding("3"), binding("0")])  # type: ignore[arg-type]
    await rows.next(2)
    listed += ["0", "7"]

    assert await users_of(rows) == [["3", "7"], ["0"]]


async def test_every_page_moves_the_cursor_by_which_a_lost_answer_is_told(
    listed: list[str],
) -> None:
    listed.append("9")
    rows = MemberRows(Batch(), ORDER, do, [binding("1"), binding("2"), binding("3")])  # type: ignore[arg-type]
    seen = [rows.cursor]
    while await rows.next(1):
        seen.append(rows.cursor)

    assert len(set(seen)) == len(seen) == 5
    assert all(user < cursor for cursor in seen[2:] for user in ("0", "9", "99999"))
