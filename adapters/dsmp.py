"""DSMP (MISC): order relations by SyncOrderRelationReq 1.5.0, SOAP 1.1 over kept HTTP connections.

The action codes differ between peers; which table holds is the option `peer`. What an answer means
is in `adapters/replies/dsmp.toml`. See docs/ne/dsmp.md.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from msgspec.structs import replace

from hlrd.codec import soap
from hlrd.codec.base import UnsafeValue
from hlrd.codec.http import HTTPReplies, HTTPReply, Target
from hlrd.codec.soap import Message, Template
from hlrd.codec.soap_reader import Reader
from hlrd.domain.errors import ProtocolError
from hlrd.domain.identity import CardKey
from hlrd.domain.operation import Cause, Operation, Task
from hlrd.domain.outcome import Outcome
from hlrd.ne.adapter import Account, AccountError, Adapter
from hlrd.ne.replies import Asked, Replies

NAMESPACE: Final = "http://www.monternet.com/dsmp/schemas/"
REQUEST: Final = "SyncOrderRelationReq"
REPLY: Final = "SyncOrderRelationResp"
VERSION: Final = "1.5.0"

OPEN: Final = Operation.OPEN_RELATION
PAUSE: Final = Operation.PAUSE_RELATION
RESUME: Final = Operation.RESUME_RELATION
CLOSE: Final = Operation.CLOSE_RELATION


@dataclass(frozen=True, slots=True)
class Peer:
    """How one kind of platform numbers what everybody means."""

    actions: Mapping[Operation, int]  #: ActionID
    reasons: Mapping[Cause, int]  #: ActionReasonID


_BOSS_REASONS: Final = {Cause.ORDERED: 1, Cause.STOPPED: 3, Cause.RESUMED: 4, Cause.CLOSED: 6}
_SYSTEM_REASONS: Final = {Cause.ORDERED: 1, Cause.STOPPED: 2, Cause.RESUMED: 2, Cause.CLOSED: 2}

PEERS: Final[Mapping[str, Peer]] = {
    "misc": Peer({OPEN: 1, CLOSE: 2, RESUME: 3, PAUSE: 4}, _BOSS_REASONS),
    "market": Peer({OPEN: 1, PAUSE: 2, CLOSE: 3, RESUME: 4}, _SYSTEM_REASONS),
    "crm": Peer({OPEN: 1, CLOSE: 2, PAUSE: 3, RESUME: 4}, _BOSS_REASONS),
}

_OPTIONS: Final[Mapping[str, str]] = {
    "path": "/dsmp",
    "peer": "misc",
    "device_id": "0001",
    "sp_id": "900001",
    "sp_service_id": "IOTBASE",
}
"""Every option with its default."""


_CODE: Final = re.compile(r"[0-9]{1,9}\Z")
_FIT: Final = re.compile(r"[0-9A-Za-z]{1,64} [0-9]{11}(?:[0-9]{2})?\Z")
"""TransactionID and MSISDN with a blank between."""

_OPTION: Final = re.compile(r"[!-~]{1,64}\Z")
_SENT_TRANSACTION: Final = re.compile(rb"<TransactionID[^>]*>([0-9A-Za-z]+)<")


class DSMP(Adapter[HTTPReply]):
    dialect = "dsmp"
    operations = frozenset({OPEN, PAUSE, RESUME, CLOSE})

    def __init__(self, account: Account, replies: Replies) -> None:
        super().__init__(account, replies)
        try:
            options = _options(account.options)
            self._template = template(
                device_id=options["device_id"],
                sp_id=options["sp_id"],
                sp_service_id=options["sp_service_id"],
            )
            self._target = _target(account, options["path"])
        except UnsafeValue as error:
            raise AccountError(f"{account.host}:{account.port}: {error}") from error
        peer = PEERS[options["peer"]]
        self._actions = {operation: str(number) for operation, number in peer.actions.items()}
        self._reasons = {cause: str(number) for cause, number in peer.reasons.items()}
        self._service = options["sp_service_id"]
        self._reader = Reader(NAMESPACE, header="TransactionID", field="hRet")
        self._outcomes = {
            operation: {
                code: Outcome(ruling.verdict, code, ruling.text, ruling.then)
                for code, ruling in replies.codes(Asked.COMMAND, operation).items()
            }
            for operation in self.operations
        }

    def decoder(self) -> HTTPReplies:
        return HTTPReplies()

    def keepalive(self) -> bytes:
        """Any HTTP answer to it proves life; a SOAP endpoint answers a GET cheaply."""
        return self._target.get()

    def encode(self, task: Task, key: CardKey | None) -> bytes:
        """Values are checked again here, and what is filled in is escaped besides."""
        transaction, msisdn = task.transaction, task.binding.msisdn
        if not _FIT.match(f"{transaction} {msisdn}"):
            raise UnsafeValue("an MSISDN or a TransactionID that is not fit for the wire")
        action, reason = self._actions[task.operation], self._reasons[task.cause]
        return self._target.post(self._template.fill((transaction, msisdn, msisdn, action, reason)))

    def classify(self, task: Task, reply: HTTPReply) -> Outcome:
        """Raises ProtocolError when HTTP says 200 and the content is not an answer to a request."""
        if reply.status != 200:
            return self._classify_http(task, reply)
        message = self._reader.parse(reply.body)
        if message.name == soap.FAULT:
            return self._classify_fault(task, message)
        code = _code(message)
        return self._outcomes[task.operation].get(code) or self._judge(task, code)

    def read_back(self, task: Task) -> None:
        """The command is its own query: absolute, the same TransactionID, answered "already"."""
        return

    def echoes(self, request: bytes, reply: HTTPReply) -> bool:
        """Only an answer of the DSMP itself names a TransactionID; a GET asks for none."""
        sent = _SENT_TRANSACTION.search(request)
        if sent is None or reply.status != 200:
            return True
        try:
            message = self._reader.parse(reply.body)
        except ProtocolError:
            return False
        if message.name == soap.FAULT:
            return True
        return message.name == REPLY and _is_of(sent[1].decode(), message)

    def is_last(self, reply: HTTPReply) -> bool:
        return not reply.keep_alive

    def masked(self, task: Task) -> str:
        action, reason = self._actions[task.operation], self._reasons[task.cause]
        return (
            f"{REQUEST}:TransactionID={task.transaction},MSISDN={task.binding.msisdn},"
            f"ActionID={action},ActionReasonID={reason},SPServiceID={self._service}"
        )

    def _classify_http(self, task: Task, reply: HTTPReply) -> Outcome:
        """SOAP 1.1 sends its faults with status 500."""
        try:
            message = self._reader.parse(reply.body)
        except ProtocolError:
            pass
        else:
            if message.name == soap.FAULT:
                return self._classify_fault(task, message)
        outcome = self._judge(task, f"HTTP {reply.status}")
        if reply.retry_after_s is None:
            return outcome
        return replace(outcome, text=f"{outcome.text}: back in {reply.retry_after_s:.0f} s")

    def _classify_fault(self, task: Task, message: Message) -> Outcome:
        """The qualified name of a fault's code loses its prefix for the table."""
        code = message.fields.get("faultcode", "").strip()[:64]
        text = message.fields.get("faultstring", "").strip()[:200]
        outcome = self._judge(task, f"Fault {code.rpartition(':')[2]}", text)
        return replace(outcome, code=code or "Fault")

    def _judge(self, task: Task, code: str, text: str = "") -> Outcome:
        ruling = self.replies.ruling(Asked.COMMAND, task.operation, code, text)
        return Outcome(ruling.verdict, code, text or ruling.text, ruling.then, ruling.is_known)


def _options(given: Mapping[str, str]) -> Mapping[str, str]:
    unknown = sorted(set(given) - set(_OPTIONS))
    if unknown:
        raise AccountError(f"options {unknown}: dsmp knows {sorted(_OPTIONS)}")
    options = {**_OPTIONS, **given}
    wrong = [name for name, value in options.items() if not _OPTION.match(value)]
    if wrong:
        raise AccountError(f"options {wrong}: 1 to 64 visible ASCII characters each")
    if options["peer"] not in PEERS:
        raise AccountError(f"option peer = {options['peer']!r}: dsmp knows {sorted(PEERS)}")
    return options


def _target(account: Account, path: str) -> Target:
    host = f"[{account.host}]" if ":" in account.host else account.host
    return Target(path, f"{host}:{account.port}", headers={"SOAPAction": '""'})


def template(*, device_id: str, sp_id: str, sp_service_id: str) -> Template:
    """Of a request. To fill in: TransactionID, both MSISDNs, ActionID, ActionReasonID.

    The order of the elements is the interface's own.
    """
    return Template(
        REQUEST,
        NAMESPACE,
        header={"TransactionID": None},
        fields={
            "Version": VERSION,
            "MsgType": REQUEST,
            "Send_Address/DeviceType": "0",  # DSMP (MISC), in whose place hlrd sends
            "Send_Address/DeviceID": device_id,
            "Dest_Address/DeviceType": "400",  # the platform that serves
            "Dest_Address/DeviceID": "0",
            "FeeUser_ID/UserIDType": "1",  # MSISDN
            "FeeUser_ID/MSISDN": None,
            "FeeUser_ID/PseudoCode": "",
            "DestUser_ID/UserIDType": "1",
            "DestUser_ID/MSISDN": None,
            "DestUser_ID/PseudoCode": "",
            "LinkID": "",  # of a temporary relation only
            "ActionID": None,
            "ActionReasonID": None,
            "SPID": sp_id,
            "SPServiceID": sp_service_id,
            "AccessMode": "1",
            "FeatureStr": "",  # base64 of what the user sent: nothing, with an order
        },
    )


def _is_of(transaction: str, message: Message) -> bool:
    """Peers put it into the header, the body, or both."""
    header, fields = message.header, message.fields
    first = header.get("TransactionID", fields.get("TransactionID"))
    if first is None:
        return False
    return first.strip() == transaction == fields.get("TransactionID", first).strip()


def _code(message: Message) -> str:
    text = message.fields.get("hRet", "").strip()
    if message.name != REPLY or not _CODE.match(text):
        raise ProtocolError(f"SOAP, but not a {REPLY} with an hRet")
    return str(int(text))
