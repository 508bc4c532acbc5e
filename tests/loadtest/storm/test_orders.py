"""What upstream writes is what hlrd reads, in upstream's own order."""

import msgspec
import pytest

from hlrd.domain import orders as read
from loadtest.settings import Shape
from loadtest.storm import fleet
from loadtest.storm.book import Kind
from loadtest.storm.orders import PRODUCT, SERVICE, Clerk, Plan, User, file_query, of_no_user

PLAN = Plan("1064801000001", "460995100000001", "89869951000000000019", "210")


def a_user() -> User:
    return User("1000000001", "1064901000001")


def test_every_order_of_a_storm_is_one_that_hlrd_takes() -> None:
    clerk, user = Clerk("S"), a_user()
    written = [
        clerk.activate(user),
        clerk.open(User("5"), PLAN, deadline_ms=5_000),
        clerk.report_stop(user, 1),
        clerk.stop(user, 2),
        clerk.pay(user),
        clerk.replace(user),
        clerk.subscribe(user),
        clerk.unsubscribe(user),
    ]

    assert [read.decode(each.body).order_id for each in written] == [
        each.order.order_id for each in written
    ]
    assert {each.order.kind for each in written} == set(Kind)


def test_the_orders_of_a_user_are_counted_over_all_kinds_and_the_masters_word_by_itself() -> None:
    clerk, user = Clerk("S"), a_user()
    bodies = [
        msgspec.json.decode(each.body)
        for each in (
            clerk.subscribe(user),
            clerk.stop(user, 2),
            clerk.replace(user),
            clerk.pay(user),
        )
    ]

    assert [body["seq"] for body in bodies] == [1, 2, 3, 4]
    assert [body.get("state_version") for body in bodies] == [None, 1, None, 2]


def test_an_order_of_no_user_is_one_that_hlrd_takes() -> None:
    about = {"product": PRODUCT, "product_version": 1, "name": "风暴", "services": [SERVICE]}

    assert read.decode(of_no_user("PRODUCT_PUBLISH", "S-1", about)).order_id == "S-1"
    assert file_query(Kind.ACTIVATE, "S-2", {"ec_code": "EC"})["common"] == '{"ec_code":"EC"}'


@pytest.mark.parametrize("chosen", [1, 4, 10])
def test_what_crm_chooses_is_never_drawn_and_at_home_where_its_card_is(chosen: int) -> None:
    shape = Shape()
    imported = fleet.stocked(shape, drawn=1_000, chosen=chosen, seed=1)
    newcomers = list(fleet.newcomers(imported))
    cards = imported.homes_of_cards()

    assert len(newcomers) >= chosen
    assert len({plan.msisdn for _, plan in newcomers}) == len(newcomers)
    assert len(cards) == imported.cards
    for _, plan in newcomers:
        assert imported.home_of_number(plan.msisdn) == cards[plan.iccid]
    drawn = [each for each in imported.ranges if each.province != fleet.CHOSEN_PROVINCE]
    assert not any(plan.msisdn in each for _, plan in newcomers for each in drawn)
