"""`python -m loadtest flow`: names, exit codes, and what a check that fails looks like."""

from io import StringIO
from pathlib import Path

import pytest
from rich.console import Console
from typer.testing import CliRunner

from loadtest.__main__ import app
from loadtest.business.message import Message, Party
from loadtest.flow.catalogue import FLOWS
from loadtest.flow.flow import Figure, at_least, at_most, equal, none, percentile
from loadtest.flow.runner import Played, Result
from loadtest.flow.view import FlowView


def test_flow_alone_lists_every_flow() -> None:
    ran = CliRunner().invoke(app, ["flow"])

    assert ran.exit_code == 0
    assert all(flow.id in ran.output and flow.slug in ran.output for flow in FLOWS)


def test_a_name_that_no_flow_has_is_answered_with_the_list() -> None:
    ran = CliRunner().invoke(app, ["flow", "F99"])

    assert ran.exit_code == 2
    assert "no flow is called 'F99'" in ran.output
    assert FLOWS[-1].id in ran.output


def test_a_size_that_no_stock_could_be_laid_in_for_is_refused_at_once() -> None:
    ran = CliRunner().invoke(app, ["flow", "F05", "--size", "9" * 23])

    assert ran.exit_code == 2
    assert "--size" in ran.output


@pytest.mark.parametrize("option", ["--html", "--json", "--page"])
def test_a_file_that_cannot_be_written_is_told_before_anything_runs(
    option: str, tmp_path: Path
) -> None:
    file = tmp_path / "nowhere" / "flows"

    ran = CliRunner().invoke(app, ["flow", "F05", option, str(file)])

    assert ran.exit_code == 2
    assert "cannot write" in ran.output
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("figure", "holds"),
    [
        (equal("x", 1_000, 1_000), True),
        (equal("x", "a", "b"), False),
        (at_most("x", 100.0, 100, unit="ms"), True),
        (at_most("x", 100.1, 100, unit="ms"), False),
        (at_least("x", 1, 1), True),
        (at_least("x", 0, 1), False),
        (none("x", []), True),
        (none("x", ["a", "b", "c", "d"]), False),
    ],
)
def test_a_figure_holds_or_says_what_was_wanted(figure: Figure, holds: bool) -> None:
    assert figure.holds is holds
    assert holds or figure.found != figure.wanted


def test_of_what_is_wrong_a_few_are_shown_and_all_are_counted() -> None:
    assert none("x", ["a", "b", "c", "d"]).found == "4: a, b, c"


def test_a_percentile_is_one_of_the_values() -> None:
    assert percentile([float(n) for n in range(1, 101)], 0.99) == 100.0
    assert percentile([7.0], 0.5) == 7.0
    assert percentile([], 0.5) == 0.0


def test_a_person_reads_who_said_what_and_which_check_failed() -> None:
    story = [
        Message(1.0, Party.CRM, Party.HLRD, "开通类订单请求", "USER_OPEN A-1001"),
        Message(1.25, Party.HLRD, Party.CRM, "开通类订单响应", "succeeded", is_answer=True),
    ]
    results = [
        Result("it holds", [equal("users", 3, 3)], 0.1, is_fault=False),
        Result("it fails", [equal("users", 2, 3)], 0.1, is_fault=True),
    ]
    output = StringIO()

    FlowView(Console(file=output, highlight=False)).played(Played(FLOWS[5], 3, story, results))

    lines = output.getvalue().splitlines()
    assert any("250" in line and "CRM 服务" in line and "<-" in line for line in lines)
    assert any("pass" in line and "it holds" in line for line in lines)
    assert any("FAIL" in line and "it fails" in line for line in lines)
    assert any("users: 2, wanted 3" in line for line in lines)
