"""DSMP (MISC): order relations by SyncOrderRelationReq 1.5.0, SOAP 1.1 over kept HTTP connections.

The action codes differ between peers; which table holds is the option `peer`. See docs/ne/dsmp.md.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from hlrd.codec import soap
from hlrd.codec.base import UnsafeValue
from hlrd.codec.http import HTTPReplies, HTTPReply, Target
from hlrd.codec.soap import Message, Template
from hlrd.codec.soap_reader import Reader
from hlrd.domain.errors import ProtocolError
from hlrd.domain.identity import CardKey
from hlrd.domain.operation import Cause, Operation, Task
from hlrd.domain.outcome import Outcome, Verdict
from hlrd.ne.adapter import Account, AccountError, Adapter

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
"""Every option with its default, but for `code.<number>`, which teaches a site's own code."""


@dataclass(frozen=True, slots=True)
class Ruling:
    """What one result code means."""

    verdict: Verdict
    text: str
    fits: Operation | None = None  #: the only action that may be answered so; None: any
    then: Operation | None = None


DONE, NO_CHANGE, PREREQUISITE = Verdict.DONE, Verdict.NO_CHANGE, Verdict.PREREQUISITE
BUSY, TRANSIENT, PERMANENT = Verdict.BUSY, Verdict.TRANSIENT, Verdict.PERMANENT

CODES: Final[Mapping[int, Ruling]] = {
    0: Ruling(DONE, "done"),
    1: Ruling(TRANSIENT, "unknown error"),
    4000: Ruling(PERMANENT, "invalid MsgType"),
    4001: Ruling(PERMANENT, "invalid ActionID"),
    4002: Ruling(PERMANENT, "invalid ActionReasonID"),
    4003: Ruling(PERMANENT, "invalid SPID"),
    4004: Ruling(PERMANENT, "invalid SPServiceID"),
    4005: Ruling(PERMANENT, "invalid PseudoCode"),
    4006: Ruling(PERMANENT, "invalid AccessMode"),
    4007: Ruling(NO_CHANGE, "the relation is active already", OPEN),
    4008: Ruling(TRANSIENT, "the platform failed to open the relation", OPEN),
    4009: Ruling(PREREQUISITE, "the relation exists and is paused", OPEN, RESUME),
    4010: Ruling(TRANSIENT, "the platform failed to close the relation", CLOSE),
    4011: Ruling(NO_CHANGE, "no relation to close", CLOSE),
    4012: Ruling(TRANSIENT, "the platform failed to pause the relation", PAUSE),
    4013: Ruling(PERMANENT, "no relation to pause", PAUSE),
    4014: Ruling(NO_CHANGE, "the relation is paused already", PAUSE),
    4015: Ruling(NO_CHANGE, "the relation is active already", RESUME),
    4016: Ruling(PERMANENT, "no relation to resume", RESUME),
    4017: Ruling(TRANSIENT, "the platform failed to resume the relation", RESUME),
    9000: Ruling(TRANSIENT, "disk fault of the peer"),
    9001: Ruling(TRANSIENT, "network fault of the peer"),
    9002: Ruling(TRANSIENT, "network error of the peer"),
    9003: Ruling(BUSY, "gateway busy, queued there"),
    9004: Ruling(BUSY, "gateway busy and its queue full: stop sending"),
    9005: Ruling(BUSY, "DSMP busy, queued there"),
    9006: Ruling(BUSY, "DSMP busy and its queue full: stop sending"),
    9007: Ruling(BUSY, "above the agreed rate: slow down"),
    9008: Ruling(TRANSIENT, "DSMP not available"),
    9009: Ruling(TRANSIENT, "gateway not available"),
    9010: Ruling(PERMANENT, "no right to call this interface"),
    9011: Ruling(PERMANENT, "no right to send this message to the gateway"),
    9012: Ruling(PERMANENT, "version not supported"),
    9013: Ruling(PERMANENT, "message type not supported"),
    9014: Ruling(PERMANENT, "the peer cannot parse the message, or misses a field"),
    9015: Ruling(PERMANENT, "message refused"),
}
"""hRet, and what it means for the command that it answers."""

_TEACHABLE: Final = frozenset({NO_CHANGE, BUSY, TRANSIENT, PERMANENT})

_CODE: Final = re.compile(r"[0-9]{1,9}\Z")
_FIT: Final = re.compile(r"[0-9A-Za-z]{1,64} [0-9]{11}(?:[0-9]{2})?\Z")
"""TransactionID and MSISDN with a blank between."""

_OPTION: Final = re.compile(r"[!-~]{1,64}\Z")
_SENT_TRANSACTION: Final = re.compile(rb"<TransactionID[^>]*>([0-9A-Za-z]+)<")


class DSMP(Adapter[HTTPReply]):
    dialect = "dsmp"
    operations = frozenset({OPEN, PAUSE, RESUME, CLOSE})

    def __init__(self, account: Account) -> None:
        super().__init__(account)
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
        codes = {**CODES, **_taught(account.options)}
        self._outcomes = {
            operation: {code: _outcome(operation, code, codes[code]) for code in codes}
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
            return self._classify_http(reply)
        message = self._reader.parse(reply.body)
        if message.name == soap.FAULT:
            return _classify_fault(message)
        code = _code(message)
        return self._outcomes[task.operation].get(code) or _unknown(code)

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

    def _classify_http(self, reply: HTTPReply) -> Outcome:
        code = f"HTTP {reply.status}"
        if reply.status in (429, 503):
            return Outcome(BUSY, code, _when(reply.retry_after_s))
        if reply.status >= 500:
            return self._fault_in(reply) or Outcome(TRANSIENT, code, "the peer or a proxy failed")
        if reply.status == 408:
            return Outcome(TRANSIENT, code, "the peer waited too long for the request")
        return Outcome(PERMANENT, code, "not served here: check path, address and rights")

    def _fault_in(self, reply: HTTPReply) -> Outcome | None:
        """SOAP 1.1 sends its faults with status 500."""
        try:
            message = self._reader.parse(reply.body)
        except ProtocolError:
            return None
        return _classify_fault(message) if message.name == soap.FAULT else None


def _options(given: Mapping[str, str]) -> Mapping[str, str]:
    named = {name: value for name, value in given.items() if not name.startswith("code.")}
    unknown = sorted(set(named) - set(_OPTIONS))
    if unknown:
        raise AccountError(f"options {unknown}: dsmp knows {sorted(_OPTIONS)} and code.<number>")
    options = {**_OPTIONS, **named}
    wrong = [name for name, value in options.items() if not _OPTION.match(value)]
    if wrong:
        raise AccountError(f"options {wrong}: 1 to 64 visible ASCII characters each")
    if options["peer"] not in PEERS:
        raise AccountError(f"option peer = {options['peer']!r}: dsmp knows {sorted(PEERS)}")
    return options


def _taught(given: Mapping[str, str]) -> Mapping[int, Ruling]:
    """The site's own codes."""
    taught = {}
    for name, value in given.items():
        prefix, _, code = name.partition(".")
        if prefix != "code":
            continue
        if not _CODE.match(code) or value not in _TEACHABLE:
            raise AccountError(
                f"option {name} = {value!r}: code.<number> is one of {sorted(_TEACHABLE)}"
            )
        taught[int(code)] = Ruling(Verdict(value), "as the option says")
    return taught


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


def _code(message: Message) -> int:
    text = message.fields.get("hRet", "").strip()
    if message.name != REPLY or not _CODE.match(text):
        raise ProtocolError(f"SOAP, but not a {REPLY} with an hRet")
    return int(text)


def _outcome(operation: Operation, code: int, ruling: Ruling) -> Outcome:
    if ruling.fits in (None, operation):
        return Outcome(ruling.verdict, str(code), ruling.text, ruling.then)
    text = f"{ruling.text}: the answer to another action; is the option peer right?"
    return Outcome(PERMANENT, str(code), text, is_known=False)


def _unknown(code: int) -> Outcome:
    return Outcome(PERMANENT, str(code), "a code of no table", is_known=False)


def _when(retry_after_s: float | None) -> str:
    return "too much at once" + (
        "" if retry_after_s is None else f": back in {retry_after_s:.0f} s"
    )


def _classify_fault(message: Message) -> Outcome:
    """SOAP 1.1, 4.4.1: Server may pass by itself; the others blame the message."""
    code = message.fields.get("faultcode", "").strip()[:64]
    text = message.fields.get("faultstring", "").strip()[:200]
    kind = code.rpartition(":")[2].partition(".")[0]
    blames_us = kind in ("Client", "VersionMismatch", "MustUnderstand")
    return Outcome(PERMANENT if blames_us else TRANSIENT, code or "Fault", text)
