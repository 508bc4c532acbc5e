"""One session of the emulated HLR: log in, command by command, log out."""

from typing import TYPE_CHECKING, Final

from hlrd.codec.mml import MMLCommand
from hlrd.codec.mml_reader import CommandReader
from loadtest.connection import Connection
from loadtest.faults import Fault
from loadtest.hlr import results
from loadtest.hlr.results import Result

if TYPE_CHECKING:
    from loadtest.hlr.server import Server

BAD_LOGINS_MAX: Final = 5
"""Failed logins after which a connection is dropped."""

_FOREIGN_ECHO: Final = b'LST SUB:IMSI="001019999999999";'


class Session(Connection[MMLCommand, MMLCommand]):
    def __init__(self, server: "Server") -> None:
        super().__init__(server, CommandReader())
        self._server = server
        self._bad_logins = 0
        self.is_logged_in = False
        self.hlrsn = ""  #: that the login named

    def serve(self, command: MMLCommand) -> None:
        if command.name == "LGI":
            self._log_in(command)
        elif not self.is_logged_in:
            self.answer(self._reply(command, results.NOT_LOGGED_IN))
        elif command.name == "LGO":
            self.answer(self._reply(command, results.OK))
            self.close()
        else:
            self.begin(command.name, command)

    def execute(self, work: MMLCommand, fault: Fault | None) -> bytes:
        if fault is Fault.BUSY:
            return self._reply(work, results.BUSY, fault)
        if fault is Fault.REFUSE:
            return self._reply(work, results.REFUSED, fault)
        result = self._server.execute(work, hlrsn=self.hlrsn, is_unpushed=fault is Fault.UNPUSHED)
        return self._reply(work, result, fault)

    def leave(self, work: MMLCommand, fault: Fault) -> None:
        self._server.record.served(work.name, work.text, "", fault)

    def _reply(self, command: MMLCommand, result: Result, fault: Fault | None = None) -> bytes:
        server = self._server
        server.record.served(command.name, command.text, str(result.code), fault or "")
        echo = _FOREIGN_ECHO if fault is Fault.WRONG_ECHO else command.text
        return server.frames.reply(echo, result, server.stamp())

    def _log_in(self, command: MMLCommand) -> None:
        fault = self._server.faults.befalls_login(command.name)
        if fault is not None:
            self._end(command, fault if fault is Fault.HANG else Fault.CUT_BEFORE)
            return
        result = self._server.login(self, command)
        self.answer(self._reply(command, result))
        self._bad_logins += result is results.WRONG_ACCOUNT
        if result is results.TOO_MANY_SESSIONS or self._bad_logins >= BAD_LOGINS_MAX:
            self.close()
