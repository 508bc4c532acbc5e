"""Routes: the longest prefix holds, and a range is of one segment or says which it runs into."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hlrd.domain.routing import (
    Identity,
    Rehoming,
    Route,
    RouteError,
    RouteTable,
    Routing,
    Segment,
)
from tests.engine.stage import user_of

OF = Identity.MSISDN
digits = st.text("123", min_size=1, max_size=4)


def a_route(prefix: str, hlr: str = "hlr1", of: Identity = OF) -> Route:
    return Route(prefix, of, hlr, f"route {prefix}")


def test_the_longest_prefix_holds() -> None:
    routing = Routing([a_route("1064"), a_route("106490", "hlr2"), a_route("10649", "hlr3")])

    assert routing.home(OF, "1064900000001") == "hlr2"
    assert routing.home(OF, "1064910000001") == "hlr3"
    assert routing.home(OF, "1064800000001") == "hlr1"
    assert routing.home(OF, "1440000000001") is None
    assert routing.home(Identity.IMSI, "1064900000001") is None


def test_two_hlrs_for_one_segment_are_refused_with_both_places() -> None:
    with pytest.raises(RouteError) as refused:
        Routing([a_route("10"), Route("10", OF, "hlr2", "ne.toml, route 7")])

    assert "route 10" in str(refused.value)
    assert "ne.toml, route 7" in str(refused.value)


def test_one_segment_said_twice_alike_is_no_fault() -> None:
    assert Routing([a_route("10"), a_route("10")]).home(OF, "105") == "hlr1"


@given(st.lists(st.tuples(digits, st.sampled_from(["hlr1", "hlr2", "hlr3"]))), digits)
def test_the_home_is_what_a_search_through_all_routes_finds(
    segments: list[tuple[str, str]], number: str
) -> None:
    routing = Routing(a_route(prefix, hlr) for prefix, hlr in dict(segments).items())

    fitting = [prefix for prefix in dict(segments) if number.startswith(prefix)]

    expected = dict(segments)[max(fitting, key=len)] if fitting else None
    assert routing.home(OF, number) == expected


@given(
    st.dictionaries(digits, st.sampled_from(["hlr1", "hlr2"]), max_size=6),
    st.integers(1000, 3999),
    st.integers(1000, 3999),
)
def test_a_range_crosses_just_when_two_of_its_numbers_have_two_homes(
    segments: dict[str, str], one: int, other: int
) -> None:
    first, last = sorted((one, other))
    routing = Routing(a_route(prefix, hlr) for prefix, hlr in segments.items())

    crossing = routing.crossing(OF, str(first), str(last))

    home = routing.home(OF, str(first))
    homes = {routing.home(OF, str(number)) for number in range(first, last + 1)} - {None}
    assert (crossing is not None) == bool(homes - {home})
    if crossing is not None:
        within = range(crossing.first, crossing.last + 1)
        assert first <= crossing.first <= crossing.last <= last
        assert any(routing.home(OF, str(n)) == crossing.route.hlr for n in within)


hlrs = st.sampled_from(["hlr1", "hlr2", "hlr3"])


@given(st.dictionaries(digits, hlrs, max_size=6), digits, digits)
def test_a_move_takes_what_of_the_segment_was_at_the_old_home_and_nothing_else(
    segments: dict[str, str], prefix: str, number: str
) -> None:
    routing = Routing(a_route(each, hlr) for each, hlr in segments.items())

    after = routing.after(Rehoming(Segment(OF, prefix), "hlr1", "hlr2"))

    # A longer number, so that it is of the segment or not of it.
    number += "1" * 4
    before, now = routing.home(OF, number), after.home(OF, number)
    if number.startswith(prefix) and before == "hlr1":
        assert now == "hlr2"
    elif before is not None:
        assert now == before
    elif not number.startswith(prefix):
        assert now is None


@given(st.dictionaries(digits, hlrs, max_size=6), digits, digits)
def test_a_move_and_its_way_back_leave_every_route_as_it_was(
    segments: dict[str, str], prefix: str, number: str
) -> None:
    table = RouteTable(Routing(a_route(each, hlr) for each, hlr in segments.items()))
    before = table.routing
    rehoming = Rehoming(Segment(OF, prefix), "hlr1", "hlr4")

    table.move(rehoming)
    table.move(rehoming.back())

    home = before.home(OF, number)
    assert home is None or table.routing.home(OF, number) == home


def test_a_move_holds_over_routes_that_are_read_again() -> None:
    table = RouteTable(Routing([a_route("10")]))
    table.move(Rehoming(Segment(OF, "1064"), "hlr1", "hlr2"))

    table.configure(Routing([a_route("10"), a_route("1065", "hlr3")]))

    homes = [table.routing.home(OF, number) for number in ("1064900", "1065000", "1000000")]
    assert homes == ["hlr2", "hlr3", "hlr1"]


def test_a_segment_spans_its_numbers_of_every_length() -> None:
    assert Segment(OF, "139").spans() == [
        (13900000000, 13999999999),
        (1390000000000, 1399999999999),
    ]
    assert Segment(Identity.IMSI, "46004").spans() == [(460040000000000, 460049999999999)]
    assert Segment(Identity.IMSI, "4" * 15).spans() == [(444444444444444, 444444444444444)]


def test_only_a_binding_of_the_segment_at_the_old_home_is_moved() -> None:
    binding = user_of(1).binding
    assert binding is not None

    moved = Rehoming(Segment(OF, binding.msisdn[:5]), "hlr1", "hlr2").of(binding)

    assert (moved.hlr, moved.msisdn) == ("hlr2", binding.msisdn)
    assert Rehoming(Segment(OF, "199"), "hlr1", "hlr2").of(binding) is binding
    assert Rehoming(Segment(OF, "1"), "hlr3", "hlr2").of(binding) is binding
    by_card = Rehoming(Segment(Identity.IMSI, binding.imsi), "hlr1", "hlr2")
    assert by_card.of(binding).hlr == "hlr2"
