"""Logs: one JSON object a line on standard error, and no secret in any of them.

Whoever logs should not log a secret; this is the net below. It knows secrets by the name of their
key at any depth, by the name before them in a text, and by their look: 32 or more hex digits.
"""

import logging
import re
import sys
from collections.abc import Mapping, MutableMapping
from typing import Any, Final, TextIO

import orjson
import structlog
from structlog.stdlib import ProcessorFormatter
from structlog.typing import Processor

REDACTED: Final = "[redacted]"

_NAMES: Final = (
    "ki|ki_?value|kc|k4|opc?|opc?_?value|password|passwd|pwd|token|secret|authorization|dsn"
)
_NAME: Final = re.compile(rf"(?:\A|.*[^a-z0-9])(?:{_NAMES})\Z", re.IGNORECASE)
_NAMED: Final = re.compile(
    rf"""(?<![a-z0-9])({_NAMES})(["']?\s*[=:]\s*)(?:"[^"]*"|'[^']*'|(?:Bearer\s+)?[^\s,;"'}}]+)""",
    re.IGNORECASE,
)
_URL: Final = re.compile(r"(://[^\s/:@]*:)[^\s/@]+@")
_HEX: Final = re.compile(r"[0-9A-Fa-f]{32,}")
_DEPTH_MAX: Final = 8
_INTEGER_END: Final = 2**63


def set_up(level: str, stream: TextIO | None = None) -> None:
    """Once, before the first line. What libraries log by the standard module goes the same way,
    from warnings up."""
    stream = stream or sys.stderr
    stamp: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    finish: list[Processor] = [structlog.processors.format_exc_info, redact, _render]
    structlog.configure(
        processors=[*stamp, *finish],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.WriteLoggerFactory(stream),
    )
    handler = logging.StreamHandler(stream)
    handler.setFormatter(
        ProcessorFormatter(
            foreign_pre_chain=stamp,
            processors=[ProcessorFormatter.remove_processors_meta, *finish],
        )
    )
    logging.basicConfig(handlers=[handler], level=logging.WARNING, force=True)


def redact(_: Any, __: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """The event without secrets, and of nothing but what JSON can say."""
    return cleaned(event)


def cleaned(facts: Mapping[str, Any]) -> dict[str, Any]:
    """The same for what is written down elsewhere."""
    return {_plain(key): _clean(key, value, _DEPTH_MAX) for key, value in facts.items()}


def redact_text(text: str) -> str:
    text = _NAMED.sub(rf"\1\2{REDACTED}", text)
    text = _URL.sub(rf"\1{REDACTED}@", text)
    return _HEX.sub(REDACTED, text)


def _clean(key: str, value: Any, depth: int) -> Any:
    if _NAME.match(key):
        return REDACTED
    if value is None or isinstance(value, bool | float):
        return value
    if isinstance(value, int) and abs(value) < _INTEGER_END:
        return int(value)
    if isinstance(value, Mapping) and depth:
        return {
            redact_text(_plain(inner)): _clean(str(inner), one, depth - 1)
            for inner, one in value.items()
        }
    if isinstance(value, list | tuple | set | frozenset) and depth:
        return [_clean("", one, depth - 1) for one in value]
    if isinstance(value, bytes):
        value = value.decode("utf-8", "backslashreplace")
    return redact_text(_plain(value))


def _plain(value: object) -> str:
    return str(value).encode("utf-8", "backslashreplace").decode()


def _render(_: Any, __: str, event: MutableMapping[str, Any]) -> str:
    return orjson.dumps(event).decode()
