"""DSMP (MISC): order relations by SyncOrderRelationReq 1.5.0, SOAP 1.1 over kept HTTP connections;
and by SyncServiceReq the services of products that there are relations of.

The action codes differ between peers; which table holds is the option `peer`. What an answer means
is in `adapters/replies/dsmp.toml`. See docs/ne/dsmp.md.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

from msgspec.structs import replace

from hlrd.codec import soap
from hlrd.codec.base import UnsafeValue
from hlrd.codec.http import HTTPReplies, HTTPReply, Target
from hlrd.codec.soap import Message, Template
from hlrd.codec.soap_reader import Reader
from hlrd.domain.errors import ProtocolError
from hlrd.domain.identity import CardKey
from hlrd.domain.operation import NO_DETAILS, Cause, Operation, Task
from hlrd.domain.outcome import Outcome
from hlrd.ne.adapter import Account, AccountError, Adapter
from hlrd.ne.replies import Asked, Replies

NAMESPACE: Final = "http://www.monternet.com/dsmp/schemas/"
REQUEST: Final = "SyncOrderRelationReq"
REPLY: Final = "SyncOrderRelationResp"
PUBLICATION: Final = "SyncServiceReq"
PUBLICATION_REPLY: Final = "SyncServiceResp"
VERSION: Final = "1.5.0"

OPEN: Final = Operation.OPEN_RELATION
PAUSE: Final = Operation.PAUSE_RELATION
RESUME: Final = Operation.RESUME_RELATION
CLOSE: Final = Operation.CLOSE_RELATION
PUBLISH: Final = Operation.PUBLISH_PRODUCT


@dataclass(frozen=True, slots=True)
class Peer:
    """How one kind of platform numbers what everybody means."""

    actions: Mapping[Operation, int]  #: ActionID
    reasons: Mapping[Cause, int]  #: ActionReasonID


_BOSS_REASONS: Final = {
    Cause.ORDERED: 1,
    Cause.STOPPED: 3,
    Cause.RESUMED: 4,
    Cause.CLOSED: 6,
    Cause.RENUMBERED: 7,
}
_SYSTEM_REASONS: Final = {**dict.fromkeys(Cause, 2), Cause.ORDERED: 1}

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
_TRANSACTION: Final = re.compile(r"[0-9A-Za-z]{1,64}\Z")
_OF_PUBLICATION: Final = PUBLICATION.encode()
_FIT: Final = re.compile(r"[0-9A-Za-z]{1,64} [0-9]{11}(?:[0-9]{2})?\Z")
"""TransactionID and MSISDN with a blank between."""

_SERVICE: Final = re.compile(r"[0-9]{6} [0-9A-Za-z]{1,10}\Z")
"""SPID and SPServiceID of a product's service with a blank between."""

_PRODUCT: Final = re.compile(r"[0-9A-Za-z][0-9A-Za-z_.-]{0,31} [0-9]{1,10}\Z")
"""Its id and version."""

_OPTION: Final = re.compile(r"[!-~]{1,64}\Z")
_SENT_TRANSACTION: Final = re.compile(rb"<TransactionID[^>]*>([0-9A-Za-z]+)<")


class DSMP(Adapter[HTTPReply]):
    dialect = "dsmp"
    operations = frozenset({OPEN, PAUSE, RESUME, CLOSE, PUBLISH})

    def __init__(self, account: Account, replies: Replies) -> None:
        super().__init__(account, replies)
        try:
            options = _options(account.options)
            self._template = template(
                device_id=options["device_id"],
                sp_id=options["sp_id"],
                sp_service_id=options["sp_service_id"],
            )
            self._publication = publication(device_id=options["device_id"])
            self._target = _target(account, options["path"])
        except UnsafeValue as error:
            raise AccountError(f"{account.host}:{account.port}: {error}") from error
        peer = PEERS[options["peer"]]
        self._actions = {operation: str(number) for operation, number in peer.actions.items()}
        self._reasons = {cause: str(number) for cause, number in peer.reasons.items()}
        self._device_id = options["device_id"]
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
        if task.operation is PUBLISH:
            return self._encode_publication(task)
        transaction, msisdn = task.transaction, task.binding.msisdn
        if not _FIT.match(f"{transaction} {msisdn}"):
            raise UnsafeValue("an MSISDN or a TransactionID that is not fit for the wire")
        action, reason = self._actions[task.operation], self._reasons[task.cause]
        form = self._template if task.details is NO_DETAILS else self._template_of(task)
        return self._target.post(form.fill((transaction, msisdn, msisdn, action, reason)))

    def _template_of(self, task: Task) -> Template:
        """A relation of a product's service, or of the base service."""
        attributes = task.details.attributes
        if not attributes:
            return self._template
        sp_id, service = _service_of(task)
        return _product_template(device_id=self._device_id, sp_id=sp_id, sp_service_id=service)

    def _encode_publication(self, task: Task) -> bytes:
        details = task.details
        if not _TRANSACTION.match(task.transaction):
            raise UnsafeValue("a TransactionID that is not fit for the wire")
        if not _PRODUCT.match(f"{details.product} {details.version}"):
            raise UnsafeValue("a product that is not fit for the wire")
        named = *_service_of(task), details.product, str(details.version), details.text
        return self._target.post(self._publication.fill((task.transaction, *named)))

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
        name = PUBLICATION_REPLY if _OF_PUBLICATION in request else REPLY
        return message.name == name and _is_of(sent[1].decode(), message)

    def is_last(self, reply: HTTPReply) -> bool:
        return not reply.keep_alive

    def masked(self, task: Task) -> str:
        service = task.details.attributes.get("sp_service_id", self._service)
        if task.operation is PUBLISH:
            return (
                f"{PUBLICATION}:TransactionID={task.transaction},SPServiceID={service},"
                f"ProductID={task.details.product},ProductVersion={task.details.version}"
            )
        action, reason = self._actions[task.operation], self._reasons[task.cause]
        return (
            f"{REQUEST}:TransactionID={task.transaction},MSISDN={task.binding.msisdn},"
            f"ActionID={action},ActionReasonID={reason},SPServiceID={service}"
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


_product_template: Final = lru_cache(maxsize=1_024)(template)
"""By service; there are as many as products, and one that is rare is made again."""


def publication(*, device_id: str) -> Template:
    """Of a service that a product brings. To fill in: TransactionID, SPID, SPServiceID, ProductID,
    ProductVersion, ProductName. Ours: no published part of the interface has such a message.
    """
    return Template(
        PUBLICATION,
        NAMESPACE,
        header={"TransactionID": None},
        fields={
            "Version": VERSION,
            "MsgType": PUBLICATION,
            "Send_Address/DeviceType": "0",
            "Send_Address/DeviceID": device_id,
            "Dest_Address/DeviceType": "400",
            "Dest_Address/DeviceID": "0",
            "SPID": None,
            "SPServiceID": None,
            "ProductID": None,
            "ProductVersion": None,
            "ProductName": None,
        },
    )


def _service_of(task: Task) -> tuple[str, str]:
    attributes = task.details.attributes
    named = attributes.get("sp_id", ""), attributes.get("sp_service_id", "")
    if not _SERVICE.match(" ".join(named)):
        raise UnsafeValue("an SPID or SPServiceID that is not fit for the wire")
    return named


def _is_of(transaction: str, message: Message) -> bool:
    """Peers put it into the header, the body, or both."""
    header, fields = message.header, message.fields
    first = header.get("TransactionID", fields.get("TransactionID"))
    if first is None:
        return False
    return first.strip() == transaction == fields.get("TransactionID", first).strip()


def _code(message: Message) -> str:
    """`echoes` has seen to it that the answer is of the request's own kind."""
    text = message.fields.get("hRet", "").strip()
    if message.name not in (REPLY, PUBLICATION_REPLY) or not _CODE.match(text):
        raise ProtocolError(f"SOAP, but not a {REPLY} or {PUBLICATION_REPLY} with an hRet")
    return str(int(text))
