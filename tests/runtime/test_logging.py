"""Log lines are JSON, and carry no secret whichever way it got into them."""

import io
import json
import logging
from collections.abc import Iterator
from typing import Any

import pytest
import structlog
from hypothesis import given
from hypothesis import strategies as st

from hlrd.runtime.logging import REDACTED, redact, redact_text, set_up

KI = "0123456789ABCDEFfedcba9876543210"


@pytest.fixture
def log() -> Iterator[io.StringIO]:
    before = logging.root.handlers[:], logging.root.level
    stream = io.StringIO()
    set_up("info", stream)
    yield stream
    structlog.reset_defaults()
    logging.root.handlers[:], logging.root.level = before


def lines(stream: io.StringIO) -> list[dict[str, Any]]:
    return [json.loads(line) for line in stream.getvalue().splitlines()]


def test_a_line_has_time_level_event_and_fields(log: io.StringIO) -> None:
    structlog.get_logger().info("ne.session.lost", ne="hlr1", attempt=3)

    (line,) = lines(log)
    assert line.pop("timestamp").endswith("Z")
    assert line == {"event": "ne.session.lost", "level": "info", "ne": "hlr1", "attempt": 3}


def test_lines_below_the_level_are_not_written(log: io.StringIO) -> None:
    structlog.get_logger().debug("ne.session.read")

    assert lines(log) == []


def test_libraries_log_the_same_way(log: io.StringIO) -> None:
    logging.getLogger("asyncpg.pool").warning("lost %s", "postgresql://hlrd:hunter2@db/hlrd")
    logging.getLogger("asyncpg.pool").info("not this")

    (line,) = lines(log)
    assert line["level"] == "warning"
    assert line["event"] == f"lost postgresql://hlrd:{REDACTED}@db/hlrd"


@pytest.mark.parametrize(
    "name",
    ["ki", "Ki", "KIVALUE", "ki_value", "opc", "OPC", "op", "password", "hlr_password", "token",
     "http.token", "Authorization", "dsn", "K4", "client_secret"],
)  # fmt: skip
def test_a_secret_is_known_by_its_key(log: io.StringIO, name: str) -> None:
    structlog.get_logger().info("x", **{name: "hunter2", "deep": [{name: ["hunter2"]}]})

    assert "hunter2" not in log.getvalue()


@pytest.mark.parametrize("name", ["kind", "operation", "operator_id", "keyid", "ne", "milki"])
def test_a_key_that_only_looks_alike_stays(log: io.StringIO, name: str) -> None:
    structlog.get_logger().info("x", **{name: "visible"})

    assert lines(log)[0][name] == "visible"


@pytest.mark.parametrize(
    "text",
    [
        'ADD KI:IMSI="1",KIVALUE="hunter2",K4SNO=1;',
        'LGI:OPNAME="hlrd",PWD="hunter2";',
        "ki=hunter2",
        "{'password': 'hunter2'}",
        '{"opc": "hunter2"}',
        "Authorization: Bearer hunter2",
        "postgresql://u:hunter2@h/d",
    ],
)
def test_a_secret_is_known_by_the_name_before_it(text: str) -> None:
    assert "hunter2" not in redact_text(text)


def test_a_text_without_a_secret_stays() -> None:
    text = 'ADD TPLSUB:IMSI="460990000000001",TPLID=1; RETCODE = 0 SUCCESS0001, kind=x'

    assert redact_text(text) == text


def test_a_traceback_shows_no_key(log: io.StringIO) -> None:
    try:
        raise ValueError(f"bad value {KI}")
    except ValueError:
        structlog.get_logger().exception("http.failed")

    assert "ValueError" in lines(log)[0]["exception"]
    assert KI not in log.getvalue()


values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.binary(max_size=9),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=8,
)


@given(before=st.text(max_size=9), after=st.text(max_size=9), value=values)
def test_no_value_hides_a_key_or_breaks_a_line(before: str, after: str, value: object) -> None:
    stream = io.StringIO()
    event = {"a": f"{before}{KI}{after}", "b": {"c": [KI.encode(), {KI: value}]}, "d": value}

    cleaned = redact(None, "info", event)
    stream.write(json.dumps(cleaned))

    assert KI not in str(cleaned["a"]) + str(cleaned["b"])
    assert json.loads(stream.getvalue())


def test_what_json_cannot_say_is_said_as_text(log: io.StringIO) -> None:
    endless: list[object] = []
    endless.append(endless)

    structlog.get_logger().info("x", big=2**70, bad="\ud800", raw=b"\xff", thing=object, it=endless)

    (line,) = lines(log)
    assert line["big"] == str(2**70)
    assert line["raw"] == "\\xff"
