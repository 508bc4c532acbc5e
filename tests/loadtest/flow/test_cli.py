"""`python -m loadtest flow`: names, exit codes, and what a check that fails looks like."""

import re
from io import StringIO
from pathlib import Path

import pytest
from rich.cells import cell_len
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


def terminal(width: int) -> tuple[FlowView, StringIO]:
    output = StringIO()
    console = Console(file=output, force_terminal=True, color_system=None, width=width)
    return FlowView(console), output


def test_the_list_names_every_flow_in_a_terminal_of_80_columns() -> None:
    view, output = terminal(80)

    view.listing(FLOWS)

    shown = re.sub(r"\x1b\[[\d;]*m", "", output.getvalue())
    assert "…" not in shown
    assert all(cell_len(line) <= 80 for line in shown.splitlines())
    for flow in FLOWS:
        assert re.search(rf"^{flow.id}  {flow.slug} .*{re.escape(flow.chinese)}", shown, re.M)


def test_a_sequence_is_a_line_a_message_and_its_columns_stand_below_each_other() -> None:
    story = [
        Message(1.0, Party.CRM, Party.NATIONAL_MANAGEMENT, "请求", "x" * 200),
        Message(1.1, Party.HLRD, Party.HLR, "请求", "订单" * 50),
        Message(1.2, Party.CRM, Party.CRM_DB, "响应", is_answer=True),
    ]
    view, output = terminal(80)

    view.sequence(Played(FLOWS[5], 1, story))

    _, *lines = re.sub(r"\x1b\[[\d;]*m", "", output.getvalue()).splitlines()
    assert len(lines) == len(story)
    assert all(cell_len(line) <= 80 for line in lines)
    starts = {cell_len(line[: re.search("请求|响应", line).start()]) for line in lines}  # type: ignore[union-attr]
    assert len(starts) == 1


@pytest.mark.parametrize(("flows", "said"), [(1, "1 flow, 2 checks"), (2, "2 flows, 4 checks")])
def test_what_was_proven_is_counted_as_one_speaks(flows: int, said: str) -> None:
    results = [Result("it holds", [equal("users", 3, 3)], 0.1, is_fault=False)] * 2
    view, output = terminal(80)

    view.summary([Played(FLOWS[5], 3, [], results)] * flows)

    assert f"{said}, every one passed" in re.sub(r"\x1b\[[\d;]*m", "", output.getvalue())


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


@pytest.mark.parametrize(
    ("found", "said"),
    [
        ((403, "NOT_STATE_MASTER"), "403, NOT_STATE_MASTER"),
        ({"paused"}, "paused"),
        ([], "none"),
        (None, "nothing"),
        (True, "yes"),
        ([["bar2"], []], "(bar2), (none)"),
        ({"ARREARS": 2}, "ARREARS: 2"),
        (1_000, "1,000"),
    ],
)
def test_a_figure_is_said_as_a_person_writes_it(found: object, said: str) -> None:
    assert equal("x", found, found).found == said


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
