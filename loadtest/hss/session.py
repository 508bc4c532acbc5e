"""One HTTP connection to the emulated HSS: log in for a path, command by command, log out."""

from typing import TYPE_CHECKING, Final

from adapters.hss_soap import BY_TOKEN
from hlrd.codec import hss, http
from hlrd.codec.hss import HSSRequest
from hlrd.codec.http import HTTPRequest, HTTPRequests
from hlrd.codec.mml import MMLCommand
from hlrd.domain.errors import ProtocolError
from loadtest.connection import Connection
from loadtest.faults import Fault
from loadtest.hlr import results
from loadtest.hlr.results import Result

if TYPE_CHECKING:
    from loadtest.hss.server import Server

BAD_LOGINS_MAX: Final = 5
"""Failed logins after which a connection is dropped."""

_FOREIGN_NAME: Final = "LST_SUB"
_FOREIGN: Final = results.shown({"IMSI": "001019999999999", "ISDN": "8610649999999"})


class Session(Connection[HTTPRequest, HSSRequest]):
    def __init__(self, server: "Server") -> None:
        super().__init__(server, HTTPRequests())
        self._server = server
        self._bad_logins = 0
        self.is_logged_in = False
        self.hlrsn = ""  #: that the login named
        self.token = ""  #: the path that it was given; empty: none, or it died

    def serve(self, command: HTTPRequest) -> None:
        if not command.keep_alive:
            self.closes_when_idle = True
        if command.method != "POST":
            self.answer(http.reply(405))
            return
        try:
            request = hss.read_request(command.body)
        except ProtocolError as error:
            self.answer(http.reply(500, hss.fault("Client", str(error))))
            return
        if self._server.settings.login == BY_TOKEN:
            self._serve_by_token(command.target, request)
        else:
            self._serve_by_header(command.target, request)

    def _serve_by_token(self, target: str, request: HSSRequest) -> None:
        if target == "/" and request.name == hss.LOGIN:
            self._log_in(request)
        elif not self.token or target != f"/{self.token}":
            self._tell(request, "307", "")
            self.answer(http.reply(307))
        else:
            self._serve_command(request)

    def _serve_by_header(self, target: str, request: HSSRequest) -> None:
        if target != self._server.settings.path:
            self._tell(request, "404", "")
            self.answer(http.reply(404))
            return
        params = {"OPNAME": request.user, "PWD": request.password}
        result = self._server.login(self, MMLCommand("LGI", params, b""))
        if result is results.OK:
            self._serve_command(request)
        else:
            self.answer(self._reply(request, result))
            self._count_refusal(result)

    def _serve_command(self, request: HSSRequest) -> None:
        if request.command.name == "LGO":
            self.answer(self._reply(request, results.OK))
            self.close()
        else:
            self.begin(request.command.name, request)

    def execute(self, work: HSSRequest, fault: Fault | None) -> bytes:
        if fault is Fault.BUSY:
            return self._reply(work, results.BUSY, fault)
        if fault is Fault.REFUSE:
            return self._reply(work, results.REFUSED, fault)
        result = self._server.execute(
            work.command, hlrsn=self.hlrsn, is_unpushed=fault is Fault.UNPUSHED
        )
        return self._reply(work, result, fault)

    def leave(self, work: HSSRequest, fault: Fault) -> None:
        self._tell(work, "", fault)

    def _reply(self, request: HSSRequest, result: Result, fault: Fault | None = None) -> bytes:
        self._tell(request, str(result.code), fault or "")
        name = request.name
        if fault is Fault.WRONG_ECHO:
            name, result = _FOREIGN_NAME, _FOREIGN
        records = (result.record, *result.rows) if result.record else ()
        body = hss.answer(name, str(result.code), result.text, records, session=self.token)
        if request.name == hss.LOGIN and self.token:
            return http.reply(307, body, location=self._server.location(self.token))
        return http.reply(200, body)

    def _tell(self, request: HSSRequest, code: str, fault: str) -> None:
        command = request.command
        self._server.record.served(command.name or request.name, command.text, code, fault)

    def _log_in(self, request: HSSRequest) -> None:
        fault = self._server.faults.befalls_login(hss.LOGIN)
        if fault is not None:
            self._end(request, fault if fault is Fault.HANG else Fault.CUT_BEFORE)
            return
        result = self._server.login(self, request.command)
        self.token = self._server.new_token() if result is results.OK else ""
        self.answer(self._reply(request, result))
        self._count_refusal(result)

    def _count_refusal(self, result: Result) -> None:
        self._bad_logins += result is results.WRONG_ACCOUNT
        if result is results.TOO_MANY_SESSIONS or self._bad_logins >= BAD_LOGINS_MAX:
            self.closes_when_idle = True
