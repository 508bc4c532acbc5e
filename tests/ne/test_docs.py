"""docs/ne/README.md names what people meet in metrics and logs."""

import re
from pathlib import Path

import pytest

import hlrd.ne
from hlrd.ne.session import FAULTS, Cause

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs/ne/README.md").read_text("utf-8")


@pytest.mark.parametrize("cause", list(Cause))
def test_every_cause_has_its_row_and_the_row_says_whether_it_is_a_fault(cause: Cause) -> None:
    row = re.search(rf"^\| `{cause}` \| (yes|no) \|", PAGE, re.MULTILINE)

    assert row is not None
    assert (row[1] == "yes") is (cause in FAULTS)


def test_every_event_of_the_log_has_its_row() -> None:
    sources = Path(hlrd.ne.__path__[0]).glob("*.py")
    events = {
        event for source in sources for event in re.findall(r'"(ne_[a-z_]+)"', source.read_text())
    }

    assert events >= {"ne_session_end", "ne_breaker_open"}
    assert [event for event in events if f"| `{event}` |" not in PAGE] == []
