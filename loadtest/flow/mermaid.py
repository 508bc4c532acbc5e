"""A sequence as a Mermaid diagram. Pure, and the same for the same steps."""

from collections.abc import Sequence
from typing import Final

from loadtest.flow.sequence import Step, participants

_SPECIAL: Final = str.maketrans({"#": "#35;", ";": "#59;", "<": "#lt;", ">": "#gt;"})


def diagram(steps: Sequence[Step]) -> str:
    names = participants(step.message for step in steps)
    called = {name: f"P{number}" for number, name in enumerate(names, 1)}
    lines = ["sequenceDiagram"]
    lines += [f"    participant {called[name]} as {escaped(name)}" for name in names]
    lines += [f"    {_arrow(step, called)}: {_text(step)}" for step in steps]
    return "\n".join(lines)


def escaped(text: str) -> str:
    """Mermaid ends a statement at `;` and begins an entity with `#`."""
    return " ".join(text.translate(_SPECIAL).split())


def _arrow(step: Step, called: dict[str, str]) -> str:
    line = "-->>" if step.message.is_answer else "->>"
    return f"{called[step.message.sender]}{line}{called[step.message.receiver]}"


def _text(step: Step) -> str:
    times = f" ×{step.times}" if step.times > 1 else ""
    return escaped(step.label) + times
