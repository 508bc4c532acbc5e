from io import BytesIO
from itertools import pairwise

import pytest

from hlrd.domain.identity import parse_msisdn
from hlrd.pool.simfile import ReadCard, SIMFile
from loadtest.simlot import LOT_CARDS_MAX, stock

HLRS = ("hlr1", "hlr2", "hlr3")


def test_every_generated_card_passes_the_import() -> None:
    lot = stock(HLRS, orders=3_000, seed=1).lots[0]

    file = SIMFile(BytesIO(lot.csv()))
    cards = list(file.cards())

    assert file.header.lot == lot.name
    assert [card.iccid for card in cards if isinstance(card, ReadCard)] == list(lot.iccids())
    assert file.wrong_quantity() is None


def test_no_card_comes_twice_over_all_lots() -> None:
    made = stock(HLRS, orders=300_000, seed=1)

    iccids = [iccid for lot in made.lots for iccid in lot.iccids()]

    assert len(made.lots) > len(HLRS)
    assert all(lot.quantity <= LOT_CARDS_MAX for lot in made.lots)
    assert len(set(iccids)) == len(iccids) == made.cards


def test_ranges_are_valid_and_do_not_overlap() -> None:
    made = stock(HLRS, orders=300_000, seed=1)

    ends = [(parse_msisdn(each.first), parse_msisdn(each.last)) for each in made.ranges]

    assert ends == sorted(ends)
    assert all(last < first for (_, last), (first, _) in pairwise(ends))
    assert made.numbers == sum(int(last) - int(first) + 1 for first, last in ends)


def test_stock_suffices_wherever_the_orders_fall() -> None:
    made = stock(HLRS, orders=10_000, seed=1)

    per_hlr = {hlr: sum(lot.quantity for lot in made.lots if lot.hlr == hlr) for hlr in HLRS}

    assert min(per_hlr.values()) > 10_000 / len(HLRS) * 1.3


def test_a_number_and_a_card_know_their_home() -> None:
    made = stock(HLRS, orders=30, seed=1)

    assert made.home_of_number(made.ranges[1].last) == "hlr2"
    assert made.home_of_number("1064100000000") is None
    assert made.homes_of_cards()[made.lots[2].iccid(5)] == "hlr3"


def test_one_seed_gives_one_delivery() -> None:
    first, again, other = (stock(HLRS, orders=30, seed=seed).lots[0].csv() for seed in (1, 1, 2))

    assert first == again
    assert first != other


def test_more_orders_than_invented_numbers_are_refused() -> None:
    with pytest.raises(AssertionError, match="invented ranges"):
        stock(HLRS, orders=2_000_000, seed=1)
