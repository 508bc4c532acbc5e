from dataclasses import replace

import pytest

from loadtest import report
from loadtest.poolbench import flat, page
from loadtest.poolbench.bench import DESIGNS
from loadtest.poolbench.cell import WORK
from loadtest.poolbench.meter import Figures

CELL = Figures(
    per_s=60_000.0,
    p50_ms=15.0,
    p99_ms=30.0,
    client_us=7.5,
    server_us=11.0,
    rss_mib=90.0,
    seconds=4.0,
    acknowledged=300_000,
    distinct=300_000,
)


def cells(*rates: float) -> list[Figures]:
    return [replace(CELL, per_s=rate) for rate in rates]


def test_a_ratio_is_of_medians_and_says_how_often_the_other_fits_into_hlrd() -> None:
    designs = {"first_idle": cells(1_000, 9_000, 2_000), "hlrd_1024": cells(60_000, 10, 70_000)}

    found = page.figures(designs, {}, [0.5])

    assert found["hlrd_1024_ratio"] == {"first_idle": 30.0, "hlrd_1024": 1.0}
    assert found["designs"]["first_idle"]["per_s"] == {"median": 2_000, "min": 1_000, "max": 9_000}


def test_the_page_has_a_line_for_every_design_and_every_pool() -> None:
    designs = {name: cells(50_000) for name in DESIGNS}
    bursts = {name: cells(50_000) for name in (*flat.SIZES, flat.FULL_POOL)}

    text = page.table(page.figures(designs, bursts, [0.61, 0.59, 0.6]))

    assert text.count("| 50,000 (50,000-50,000) |") == len(designs) + len(bursts)
    assert "**0.60 s** (0.59-0.61)" in text


def test_without_redis_the_page_leaves_its_lines_out() -> None:
    designs = {name: cells(50_000) for name in DESIGNS if not name.startswith("spop")}

    text = page.table(page.figures(designs, {}, [0.6]))

    assert "Redis" not in text


def test_every_design_can_be_run() -> None:
    assert set(DESIGNS) < set(WORK)


def test_of_the_full_pool_a_thousandth_is_idle_and_enough_for_a_burst() -> None:
    idle = flat.FULL - flat.BOUND

    assert idle >= flat.BURST
    assert round(flat.BOUND / flat.FULL, 5) == 0.999


@pytest.mark.parametrize("section", report.SECTIONS)
def test_only_the_part_between_its_markers_is_rewritten(section: str) -> None:
    before = (report.ROOT / report.PAGE).read_text("utf-8")

    once = report.between_markers(before, section, "\nnew\n")
    again = report.between_markers(once, section, "\nnewer\n")

    assert again == once.replace("\nnew\n", "\nnewer\n")
    assert [line for line in once.splitlines() if line.startswith("#")] == [
        line for line in before.splitlines() if line.startswith("#")
    ]
