from datetime import UTC, datetime

from hlrd.domain.identity import MSISDN, parse_iccid, parse_imsi, parse_msisdn
from hlrd.store.batch import BINDING_COLUMNS, ORDER_COLUMNS, binding_rows, order_row
from loadtest.poolbench import orders
from loadtest.poolbench.database import PEER_NUMBERS

COUNT = 500
AT = datetime(2026, 1, 1, tzinfo=UTC)


def test_no_two_orders_share_what_the_database_holds_unique() -> None:
    made = list(orders.make(1, COUNT))

    for unique in (
        {order.id for order in made},
        {order.order_id for order in made},
        {order.user_id for order in made},
        {order.card.iccid for order in made},
        {order.card.imsi for order in made},
    ):
        assert len(unique) == COUNT


def test_a_payload_has_the_size_that_the_page_says() -> None:
    assert {len(order.payload) for order in orders.make(1, COUNT)} == {orders.PAYLOAD_BYTES}


def test_cards_and_numbers_are_of_the_form_that_hlrd_takes() -> None:
    (order,) = orders.make(1, 1)

    assert parse_iccid(order.card.iccid) == order.card.iccid
    assert parse_imsi(order.card.imsi) == order.card.imsi
    for number in (orders.FIRST, orders.FIRST + PEER_NUMBERS - 1, orders.FIRST + 10**9 - 1):
        assert parse_msisdn(str(number)) == str(number)


def test_an_order_becomes_the_two_rows_of_one_allocation() -> None:
    (order,) = orders.make(7, 1)
    record = orders.acceptance(order, MSISDN(str(orders.FIRST)), AT)

    row = dict(zip(ORDER_COLUMNS, order_row(record), strict=True))
    (bound,) = (dict(zip(BINDING_COLUMNS, each, strict=True)) for each in binding_rows([record]))

    assert (row["id"], row["user_id"], row["accepted_at"]) == (7, order.user_id, AT)
    assert (bound["msisdn"], bound["order_id"], bound["iccid"]) == (
        orders.FIRST,
        7,
        order.card.iccid,
    )
