"""The rows of a batch file are the same orders from wherever a walk goes on."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from io import BytesIO
from typing import BinaryIO

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hlrd.domain.batch import Child, Format
from hlrd.domain.errors import Refusal
from hlrd.domain.identity import ICCID, UserId
from hlrd.domain.orders import MemberActivate, WorkOrder
from hlrd.pool.spool import SpoolDamaged
from hlrd.runtime.batches import children
from hlrd.runtime.batches.filerows import FileRows
from hlrd.store.batches import BatchRow, Sending, SentRow
from tests.api.fake_batches import a_batch_row
from tests.runtime.stock import a_card

CARDS = [a_card(n).iccid for n in range(40)]
PARTS = 3


class FakeStock:
    """Forty cards, the first half at hlr1 and the others at hlr2."""

    async def cards(
        self, first: ICCID, last: ICCID, *, after: str, skip: int, limit: int
    ) -> Sequence[ICCID]:
        found = [card for card in CARDS if first <= card <= last and card > after]
        return found[skip : skip + limit]

    async def homes(self, iccids: Sequence[str]) -> Mapping[str, str]:
        half = CARDS[len(CARDS) // 2]
        return {iccid: "hlr1" if iccid < half else "hlr2" for iccid in iccids}

    async def pools(self, numbers: Sequence[str]) -> Mapping[str, str]:
        return dict.fromkeys(numbers, "iot")

    async def checked(self, id: int, rows: int, *, faults: int) -> bool:
        raise NotImplementedError

    async def faults_of(self, source: str, orders: Sequence[WorkOrder]) -> Sequence[Refusal | None]:
        raise NotImplementedError


def a_batch(*, cards: bool = True, cursor: str = "") -> BatchRow:
    needs = [
        children.Need("iot", "200", 13, hlr, None, hlr is None, False)
        for hlr in (None, "hlr1", "hlr2")
    ]
    return replace(
        a_batch_row(cursor=cursor, common={"ec_code": "EC1"}),
        format=Format.CSV,
        cards=(CARDS[0], CARDS[-1]) if cards else None,
        reservations={need.key: list(range(10 * n, 10 * n + 9)) for n, need in enumerate(needs, 1)},
    )


def rows_of(batch: BatchRow, content: bytes, bad: frozenset[int] = frozenset()) -> FileRows:
    def open_file() -> tuple[BinaryIO, BytesIO]:
        file = BytesIO(content)
        return file, file

    return FileRows(batch, open_file, FakeStock(), bad)


async def all_of(rows: FileRows, most: int) -> list[Child | Sending]:
    found: list[Child | Sending] = []
    while some := await rows.next(most):
        found += some
    rows.close()
    return found


lines = st.lists(st.sampled_from(["1", "22", "x", ""]), min_size=1, max_size=30)


@pytest.fixture(autouse=True, scope="module")
def small_parts() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(children, "PART_NUMBERS", PARTS)
        yield


@given(lines, st.sets(st.integers(2, 30)), st.integers(1, 7), st.integers(0, 31), st.booleans())
async def test_a_walk_goes_on_with_the_very_orders_it_would_have_had(
    users: list[str], bad: set[int], most: int, cut: int, cards: bool
) -> None:
    content = ("user_id\n" + "\n".join(users) + "\n").encode()
    known_bad = frozenset(bad)
    whole = await all_of(rows_of(a_batch(cards=cards), content, known_bad), most)
    cursors = [one.row for one in whole]
    at = cursors[min(cut, len(cursors)) - 1] if cursors and cut else 0

    later = rows_of(a_batch(cards=cards, cursor=str(at) if at else ""), content, known_bad)
    wanted = [SentRow(one.row, UserId(""), "", None) for one in whole if one.row <= at]  # type: ignore[arg-type]
    again = await later.again(wanted)
    rest = await all_of(later, most)

    assert again == [one for one in whole if one.row <= at and isinstance(one, Child)]
    assert rest == [one for one in whole if one.row > at]
    assert not any(one.row in bad for one in whole if isinstance(one, Child))


async def test_openings_draw_from_their_reservations_one_part_after_the_other() -> None:
    content = ("user_id\n" + "\n".join(str(n) for n in range(8)) + "\n").encode()

    made = await all_of(rows_of(a_batch(cards=False), content), 5)

    orders = [one.order for one in made if isinstance(one, Child)]
    reserved = [order.reservation for order in orders if isinstance(order, MemberActivate)]
    assert reserved == ["10"] * PARTS + ["11"] * PARTS + ["12"] * 2


async def test_a_file_that_ends_before_the_cursor_is_not_the_one_that_was_checked() -> None:
    rows = rows_of(a_batch(cursor="9"), b"user_id\n1\n2\n")

    with pytest.raises(SpoolDamaged):
        await rows.again([])
    rows.close()
