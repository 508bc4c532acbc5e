"""What the bench judges isolation by."""

from hypothesis import given
from hypothesis import strategies as st

from loadtest import report
from loadtest.isolation import Watched, most_in_a_second
from loadtest.proof import Bound
from loadtest.simlot import stock

MOMENTS = st.lists(st.floats(0.0, 5.0), min_size=1, max_size=60).map(sorted)


@given(MOMENTS)
def test_the_most_in_a_second_is_that_of_the_second_that_begins_with_a_command(
    at: list[float],
) -> None:
    by_hand = max(sum(0.0 <= moment - start < 1.0 for moment in at) for start in at)

    assert most_in_a_second(at) == by_hand


def test_the_latency_elsewhere_leaves_out_the_home_that_is_disturbed() -> None:
    imported = stock(["hlr1", "hlr2"], orders=10, seed=1)
    numbers = {each.hlr: each.first for each in imported.ranges}
    book = Watched(stock=imported)
    for number, (home, intended_s) in enumerate([("hlr1", 1.0), ("hlr2", 2.0), ("hlr1", 9.0)]):
        book.posted[f"o{number}"] = intended_s
        book._close(f"o{number}", Bound(numbers[home], "", ""))

    assert [home for _, _, home in book.closed] == ["hlr1", "hlr2", "hlr1"]
    waited_ms = round(book.closed[0][1] * 1e3, 1)
    assert book.p99_ms(0.0, 5.0, but="hlr2") == waited_ms


def test_the_page_tells_every_figure() -> None:
    disturbed = {
        "orders_per_s": 1_200.0,
        "seconds": 28,
        "p99_ms_before": 71.5,
        "p99_ms_meanwhile": 72.5,
        "p99_change": 0.014,
        "daemon_rss_mib_before": 120,
        "daemon_rss_mib_meanwhile": 133,
    }
    page = report.isolation(
        {
            "sessions": {
                8: {"commands_per_s": 380, "latency_ms": 20.4, "share": 0.95},
                128: {"commands_per_s": 5_700, "latency_ms": 20.9, "share": 0.91},
            },
            "rate": {"contract_per_s": 200.0, "per_s": 196.9, "in_a_second_max": 198},
            "stalled": {**disturbed, "first_success_after_s": 0.31},
            "slow": disturbed,
        }
    )

    assert "| 8 | 128 |" in page
    assert "| 380 | 5,700 |" in page
    assert "| 20.4 | 20.9 |" in page
    assert "| **95%** | **91%** |" in page
    assert "| **196.9** |" in page
    assert "| **198** |" in page
    assert "| change | **+1.4%** | **+1.4%** |" in page
    assert "| **0.31 s** |" in page
