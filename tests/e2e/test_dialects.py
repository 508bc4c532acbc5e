"""The main job on HLRs of each emulated dialect: activate, suspend, resume, terminate."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, Final

import msgspec
import pytest

from hlrd.domain.orders import Source
from loadtest.generate import batches
from loadtest.proof import Bound
from loadtest.settings import PROVINCE
from loadtest.stack import EMULATED_HLRS
from loadtest.workload import Book, Workload
from tests.e2e.flow import DEADLINE_S, SMALL, System, system

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(240)]

ORDERS: Final = 200
BARRED: Final[Mapping[str, Mapping[str, Any]]] = {
    "hss_soap": {"ic": True, "oc": True, "gprslock": True, "epslock": True},
    "ericsson_cai": {"attributes": {"OBO": "1", "OBI": "1", "NAM": "1"}},
}
FREE: Final[Mapping[str, Mapping[str, Any]]] = {
    "hss_soap": dict.fromkeys(BARRED["hss_soap"], False),
    "ericsson_cai": {"attributes": {}},
}


async def rows(made: System, record: str) -> list[dict[str, Any]]:
    dumps = [await made.stack.control(name, "GET", "/dump") for name in made.stack.shape.hlr_names]
    return [row for dump in dumps for row in dump if row["record"] == record]


async def all_are(made: System, wanted: Mapping[str, Any]) -> bool:
    """Each subscriber has what is wanted."""
    found = await rows(made, "subscriber")
    return len(found) == ORDERS and all(
        row.get(name) == value for row in found for name, value in wanted.items()
    )


async def change(
    made: System, source: Source, kind: str, users: Mapping[str, Bound], **fields: Any
) -> set[bool]:
    """One order for each user; whether they succeeded."""
    orders = [_order(kind, user, bound, fields) for user, bound in users.items()]
    cut = batches(orders, size=50, orders_per_s=None, seed=1)
    book = await Workload(made.upstream(source), cut, posters=2).run(deadline_s=DEADLINE_S)
    return {bound is not None for bound in book.receipts.values()}


def _order(kind: str, user: str, bound: Bound, fields: Mapping[str, Any]) -> tuple[str, bytes]:
    order_id = f"{kind}-{user}"
    header = {"type": kind, "order_id": order_id, "province": PROVINCE, "operator_id": "op"}
    return order_id, msgspec.json.encode(
        {**header, "user_id": user, "msisdn": bound.msisdn, **fields}
    )


def users_of(book: Book) -> dict[str, Bound]:
    """By user id: the workload's orders are numbered as its users are."""
    return {
        str(7_000_000 + int(order_id.rpartition("-")[2])): bound
        for order_id, bound in book.receipts.items()
        if bound is not None
    }


DIALECTS: Final[Sequence[str]] = [each for each in EMULATED_HLRS if each in BARRED]


@pytest.mark.parametrize("dialect", DIALECTS)
async def test_users_live_through_it_all(dialect: str) -> None:
    async with system(replace(SMALL, hlr_dialect=dialect), orders=ORDERS) as made:
        book = await made.workload(ORDERS, size=50).run(deadline_s=DEADLINE_S)
        assert await made.wrong(book) == []
        users = users_of(book)
        assert await all_are(made, FREE[dialect])

        assert await change(made, Source.BOSS, "ARREARS_SUSPEND", users, level=2) == {True}
        assert await all_are(made, BARRED[dialect])

        assert await change(made, Source.BOSS, "PAYMENT_RESUME", users) == {True}
        assert await all_are(made, FREE[dialect])

        assert await change(made, Source.ESOP, "USER_TERMINATE", users) == {True}
        assert await rows(made, "subscriber") == await rows(made, "key") == []
