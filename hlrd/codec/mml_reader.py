"""Reads what one client says over and over: the same commands but for their values.

A command that is like an earlier one is read by comparison, three times faster than it is parsed,
and gives the same. What a reader learns changes its speed and nothing else.
"""

import re
from typing import Final, NamedTuple

from hlrd.codec.mml import COMMAND_BYTES_MAX, MMLCommand, MMLCommands

LESSONS_MAX: Final = 32
"""Commands learnt from, in the life of a reader. A client that is never twice alike is parsed."""

_VALUE: Final = re.compile(r'(?<==)("[^"]*"|[^",:;=\s]+)')
_QUOTED: Final = r'"([ !#-~]*+)"'
_BARE: Final = r"([!#-&(-+\--9<>-~]++)"


class _Shape(NamedTuple):
    pattern: re.Pattern[str]
    name: str
    params: tuple[str, ...]


class CommandReader:
    """A `codec.base.Decoder`: as `MMLCommands`."""

    def __init__(self) -> None:
        self._parser = MMLCommands()
        self._shapes: dict[bytes, _Shape] = {}
        self._lessons_left = LESSONS_MAX

    def feed(self, data: bytes) -> list[MMLCommand]:
        if not self._parser.has_begun and len(data) <= COMMAND_BYTES_MAX:
            command = self._read(data)
            if command is not None:
                return [command]
        commands = self._parser.feed(data)
        for command in commands:
            self._learn(command)
        return commands

    def _read(self, data: bytes) -> MMLCommand | None:
        """The one command that `data` is and nothing else; None to look closer."""
        shape = self._shapes.get(data[: data.find(b":")])
        found = shape.pattern.fullmatch(data.decode("latin-1")) if shape is not None else None
        if shape is None or found is None:
            return None
        return MMLCommand(shape.name, dict(zip(shape.params, found.groups(), strict=True)), data)

    def _learn(self, command: MMLCommand) -> None:
        if not command.params or not self._lessons_left:
            return
        self._lessons_left -= 1
        head, _, rest = command.text.decode("ascii").partition(":")
        values = _VALUE.split(rest)
        values[::2] = map(re.escape, values[::2])
        values[1::2] = [_QUOTED if value[0] == '"' else _BARE for value in values[1::2]]
        pattern = re.compile(re.escape(f"{head}:") + "".join(values))
        found = pattern.fullmatch(command.text.decode("ascii"))
        if found is not None and found.groups() == tuple(command.params.values()):
            self._shapes[head.encode()] = _Shape(pattern, command.name, tuple(command.params))
