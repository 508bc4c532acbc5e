"""One connection to the emulated osmo-hlr: command by command, each answered under its id."""

from typing import TYPE_CHECKING, Final

from hlrd.codec import ipa
from hlrd.codec.ipa import PINGED, CTRLCommand, CTRLCommands
from loadtest.connection import Connection
from loadtest.faults import Fault
from loadtest.osmo import core
from loadtest.osmo.core import Result

if TYPE_CHECKING:
    from loadtest.osmo.server import Server

_NOT_DONE: Final = {Fault.BUSY: core.ERROR, Fault.REFUSE: core.BAD_VALUE}
"""An osmo-hlr has no word for busy: it says that an error has occurred."""

_FOREIGN_ID: Final = "99999999999900"


class Session(Connection[CTRLCommand, CTRLCommand]):
    def __init__(self, server: "Server") -> None:
        super().__init__(server, CTRLCommands())
        self._server = server

    def serve(self, command: CTRLCommand) -> None:
        if command is not PINGED:
            self.begin(name(command), command)
            return
        fault = self._server.faults.befalls_login("PING")
        if fault is None:
            self.answer(ipa.PONG)
        else:
            self._end(command, fault if fault is Fault.HANG else Fault.CUT_BEFORE)

    def execute(self, work: CTRLCommand, fault: Fault | None) -> bytes:
        not_done = _NOT_DONE.get(fault) if fault is not None else None
        result = Result(error=not_done) if not_done else self._server.execute(work)
        self._server.record.served(name(work), work, result.error or "OK", fault or "")
        if fault is Fault.WRONG_ECHO:
            return ipa.refusal(CTRLCommand(work.verb, _FOREIGN_ID), core.NO_SUCH)
        if result.error:
            return ipa.refusal(work, result.error)
        return ipa.answer(work, result.value)

    def leave(self, work: CTRLCommand, fault: Fault) -> None:
        self._server.record.served(name(work), work, "", fault)


def name(command: CTRLCommand) -> str:
    """As records and fault profiles call it: `SET create`, `SET msisdn`, `GET info`."""
    return f"{command.verb} {command.variable.rpartition('.')[2]}".rstrip()
