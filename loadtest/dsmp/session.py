"""One HTTP connection to the emulated DSMP."""

from typing import TYPE_CHECKING

from hlrd.codec.http import HTTPRequest, HTTPRequests
from loadtest.connection import Connection
from loadtest.dsmp import core
from loadtest.dsmp.core import Order, Served
from loadtest.faults import Fault

if TYPE_CHECKING:
    from loadtest.dsmp.server import Server


class Session(Connection[HTTPRequest, Order]):
    def __init__(self, server: "Server") -> None:
        super().__init__(server, HTTPRequests())
        self._server = server
        self._is_refused = server.faults.refuses_login()

    def serve(self, command: HTTPRequest) -> None:
        if self._is_refused:
            self._answer_at_once(core.IN_MAINTENANCE)
            self.closes_when_idle = True
            return
        if not command.keep_alive:
            self.closes_when_idle = True
        read = self._server.platform.read(command)
        if isinstance(read, Order):
            self.begin(core.NAMES[read.operation], read)
        else:
            self._answer_at_once(read)

    def execute(self, work: Order, fault: Fault | None) -> bytes:
        if fault is Fault.BUSY:
            served = core.refusal(work, self._server.busy_code())
        elif fault is Fault.REFUSE:
            served = core.refusal(work, core.REFUSED_CODE)
        else:
            served = self._server.execute(work)
        self._server.record.served(served.command, work, str(served.code), fault or "")
        return (
            core.answer(served.code, "0", work.operation)
            if fault is Fault.WRONG_ECHO
            else served.reply
        )

    def leave(self, work: Order, fault: Fault) -> None:
        self._server.record.served(core.NAMES[work.operation], work, "", fault)

    def _answer_at_once(self, served: Served) -> None:
        self._server.record.served(served.command, served.text, str(served.code))
        self.answer(served.reply)
