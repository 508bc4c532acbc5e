"""Routes: the longest prefix holds, and a range is of one segment or says which it runs into."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hlrd.domain.routing import Identity, Route, RouteError, Routing

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
