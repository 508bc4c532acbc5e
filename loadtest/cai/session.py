"""One session with the emulated gateway: log in, command by command, log out."""

from typing import TYPE_CHECKING, Final

from hlrd.codec import cai
from hlrd.codec.cai import CAICommand, CAICommands
from loadtest.cai import core
from loadtest.cai.core import Result
from loadtest.connection import Connection
from loadtest.faults import Fault

if TYPE_CHECKING:
    import asyncio

    from loadtest.cai.server import Server

BAD_LOGINS_MAX: Final = 5
"""Failed logins after which a connection is dropped."""

BANNER: Final = b"CONNECTED\r\n\r\n" + cai.PROMPT

_FOREIGN: Final = Result(0, {"MSISDN": "8610649999999", "IMSI": "001019999999999"})


class Session(Connection[CAICommand, CAICommand]):
    def __init__(self, server: "Server") -> None:
        super().__init__(server, CAICommands())
        self._server = server
        self._bad_logins = 0
        self.is_logged_in = False

    def connection_made(self, transport: "asyncio.BaseTransport") -> None:
        super().connection_made(transport)
        self.answer(BANNER)
        self._flush()

    def serve(self, command: CAICommand) -> None:
        if command.name == "LOGIN":
            self._log_in(command)
        elif not self.is_logged_in:
            self.answer(self._reply(command, core.NOT_LOGGED_IN))
        elif command.name == "LOGOUT":
            self.answer(self._reply(command, core.OK))
            self.close()
        else:
            self.begin(command.name, command)

    def execute(self, work: CAICommand, fault: Fault | None) -> bytes:
        if fault is Fault.BUSY:
            return self._reply(work, core.BUSY, fault)
        if fault is Fault.REFUSE:
            return self._reply(work, core.REFUSED, fault)
        return self._reply(work, self._server.execute(work), fault)

    def leave(self, work: CAICommand, fault: Fault) -> None:
        self._server.record.served(work.name, work.text, "", fault)

    def _reply(self, command: CAICommand, result: Result, fault: Fault | None = None) -> bytes:
        self._server.record.served(command.name, command.text, str(result.code), fault or "")
        if fault is Fault.WRONG_ECHO:
            return cai.answer(_FOREIGN.code, _FOREIGN.values)
        return cai.answer(result.code, result.values, command.transaction)

    def _log_in(self, command: CAICommand) -> None:
        fault = self._server.faults.befalls_login(command.name)
        if fault is not None:
            self._end(command, fault if fault is Fault.HANG else Fault.CUT_BEFORE)
            return
        result = self._server.login(self, command)
        self.answer(self._reply(command, result))
        self._bad_logins += result is core.WRONG_ACCOUNT
        if result is core.TOO_MANY_SESSIONS or self._bad_logins >= BAD_LOGINS_MAX:
            self.close()
