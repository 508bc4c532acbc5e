"""What upstream means holds in upstream's own order, whatever came first."""

from itertools import permutations

from hypothesis import given
from hypothesis import strategies as st

from hlrd.domain.orders import Source
from loadtest.storm import intent
from loadtest.storm.book import Kind, Order, Told
from loadtest.storm.intent import is_part_of

TOLD = Told("r", "succeeded", "1064901000001", "460990100000001", "898699010000000001")


def an_order(kind: Kind, place: int, level: int = 0) -> tuple[Order, Told]:
    return Order(f"S-{place}", Source.BOSS, kind, "1", place, level), TOLD


def level_after(*orders: tuple[Order, Told]) -> int:
    return intent.of("1", [an_order(Kind.ACTIVATE, 0), *orders]).level


def test_who_has_paid_is_free() -> None:
    assert level_after(an_order(Kind.STOP, 1, 2), an_order(Kind.PAY, 2)) == 0


def test_a_payment_before_its_stop_frees_the_line_all_the_same() -> None:
    orders = [an_order(Kind.STOP, 1, 2), an_order(Kind.PAY, 2)]

    assert {level_after(*order) for order in permutations(orders)} == {0}


def test_a_payment_leaves_the_stop_on_the_users_own_wish() -> None:
    report, stop = an_order(Kind.REPORT_STOP, 1, 1), an_order(Kind.STOP, 2, 2)
    wanted = intent.of("1", [an_order(Kind.ACTIVATE, 0), report, stop, an_order(Kind.PAY, 3)])

    assert (wanted.level, wanted.levels) == (1, [1, 2, 1])
    assert wanted.reasons == {"VOLUNTARY": 1}


def test_a_lower_stop_for_the_same_reason_takes_nothing_back() -> None:
    assert level_after(an_order(Kind.STOP, 1, 2), an_order(Kind.STOP, 2, 1)) == 2


def test_another_card_keeps_the_stop_and_the_way_to_it() -> None:
    new = TOLD._replace(imsi="460990100000009", iccid="898699010000000009")
    replaced = Order("S-2", Source.CRM, Kind.REPLACE, "1", 2), new
    wanted = intent.of("1", [an_order(Kind.ACTIVATE, 0), an_order(Kind.STOP, 1, 2), replaced])

    assert (wanted.level, wanted.imsi) == (2, "460990100000009")
    assert wanted.imsis == ["460990100000001", "460990100000009"]
    assert wanted.once["MOD IMSI", "460990100000009"] == 1


@given(st.lists(st.integers(0, 2), max_size=8), st.data())
def test_a_path_with_steps_left_out_is_part_of_it(path: list[int], data: st.DataObject) -> None:
    kept = [step for step in path if data.draw(st.booleans())]

    assert is_part_of(kept, path)


@given(st.lists(st.integers(0, 2), min_size=1, max_size=8))
def test_a_path_gone_twice_is_not_part_of_it(path: list[int]) -> None:
    assert not is_part_of([*path, *path], path)
