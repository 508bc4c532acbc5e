"""`python -m loadtest storm`: what no storm can be is refused before anything runs."""

import pytest
from typer.testing import CliRunner

from loadtest.__main__ import app


@pytest.mark.parametrize(
    ("storm", "option", "value"),
    [
        ("month", "--users", "9" * 23),
        ("enterprise", "--users", "0"),
        ("elements", "--users-per-s", "0"),
        ("month", "--resumes-s", "-1"),
        ("month", "--busy", "0.9"),
    ],
)
def test_a_setting_of_no_use_is_refused_at_once(storm: str, option: str, value: str) -> None:
    ran = CliRunner().invoke(app, ["storm", storm, option, value])

    assert ran.exit_code == 2
    assert option in ran.output
