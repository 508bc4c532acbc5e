"""What a DSMP does with a request: checks it, moves one order relation, answers by the real state.

Pure: `Platform.read` and `execute` take one HTTP request to its reply, and touch nothing but the
relations. What goes wrong on the way is `loadtest.faults`' business.
"""

import re
from collections import Counter, OrderedDict
from collections.abc import Mapping
from enum import StrEnum
from functools import lru_cache
from typing import Final, NamedTuple

from adapters import dsmp
from adapters.dsmp import CLOSE, OPEN, PAUSE, PUBLISH, RESUME
from hlrd.codec import http, soap
from hlrd.codec.http import HTTPRequest
from hlrd.codec.soap import Message, Template
from hlrd.domain.errors import ProtocolError
from hlrd.domain.operation import Operation

RELATIONS_MAX: Final = 5_000_000
"""At about 200 bytes each, 1 GB. Beyond it the disk of this DSMP is full (9000)."""

REPEATS_MAX: Final = 200_000
"""Executed requests remembered by their TransactionID: half a minute of full load."""

RETRY_AFTER_S: Final = 1
REFUSED_CODE: Final = 9015
OTHER: Final = "OTHER"
"""The name of a request that none of the four actions, and no publication, is in."""

SERVICES_MAX: Final = 100_000


class State(StrEnum):
    ACTIVE = "active"
    PAUSED = "paused"
    CLOSED = "closed"


class Served(NamedTuple):
    """One request and what came of it."""

    reply: bytes
    command: str  #: OPEN, PAUSE, RESUME, CLOSE, PUBLISH or OTHER
    code: int  #: hRet, or the HTTP status of what never was a request
    text: str = ""  #: for the log, of what is no order
    state: State | str | None = None  #: that the relation, or the service, came into if it changed


class Order(NamedTuple):
    """A request that is in good form."""

    transaction: str
    operation: Operation
    relation: str  #: MSISDN and SPServiceID; of a publication the SPServiceID
    product: str = ""  #: of a publication: its id and version


class Refused(Exception):
    """`code` is the hRet."""

    def __init__(
        self, code: int, transaction: str = "", operation: Operation | None = None
    ) -> None:
        super().__init__(code)
        self.code = code
        self.transaction = transaction
        self.operation = operation


NAMES: Final[Mapping[Operation, str]] = {
    OPEN: "OPEN",
    PAUSE: "PAUSE",
    RESUME: "RESUME",
    CLOSE: "CLOSE",
    PUBLISH: "PUBLISH",
}

_MOVES: Final[Mapping[tuple[Operation, State | None], State | int]] = {
    (OPEN, None): State.ACTIVE,
    (OPEN, State.ACTIVE): 4007,
    (OPEN, State.PAUSED): 4009,
    (OPEN, State.CLOSED): State.ACTIVE,
    (PAUSE, None): 4013,
    (PAUSE, State.ACTIVE): State.PAUSED,
    (PAUSE, State.PAUSED): 4014,
    (PAUSE, State.CLOSED): 4013,
    (RESUME, None): 4016,
    (RESUME, State.ACTIVE): 4015,
    (RESUME, State.PAUSED): State.ACTIVE,
    (RESUME, State.CLOSED): 4016,
    (CLOSE, None): 4011,
    (CLOSE, State.ACTIVE): State.CLOSED,
    (CLOSE, State.PAUSED): State.CLOSED,
    (CLOSE, State.CLOSED): 4011,
}
"""The state that an action leads to, or the hRet that says why it leads nowhere."""

_ADDRESSES: Final = (
    "Send_Address/DeviceType",
    "Send_Address/DeviceID",
    "Dest_Address/DeviceType",
    "Dest_Address/DeviceID",
)
_MANDATORY: Final = (
    *_ADDRESSES,
    "FeeUser_ID/UserIDType",
    "DestUser_ID/UserIDType",
    "ActionID",
    "ActionReasonID",
    "SPServiceID",
)
_REASONS: Final = {"misc": 9, "market": 4, "crm": 9}
"""The highest ActionReasonID that each kind of peer knows."""

_TOKEN: Final = re.compile(r"[!-~]{1,64}\Z")
_NUMBER: Final = "1[0-9]{10}(?:[0-9]{2})?"
_MSISDN: Final = re.compile(rf"{_NUMBER}\Z")
_SPID: Final = re.compile(r"(?:[0-9]{6})?\Z")
_SERVICE: Final = re.compile(r"[!-~]{1,10}\Z")
_ACCESS: Final = re.compile(r"[1-3]?\Z")
_PRODUCT: Final = re.compile(r"[0-9A-Za-z][0-9A-Za-z_.-]{0,31}/[1-9][0-9]{0,9}\Z")

_REPLY: Final = Template(
    dsmp.REPLY,
    dsmp.NAMESPACE,
    header={"TransactionID": None},
    fields={"Version": dsmp.VERSION, "MsgType": dsmp.REPLY, "hRet": None},
)
_template = lru_cache(maxsize=16)(dsmp.template)


_PUBLICATION_REPLY: Final = Template(
    dsmp.PUBLICATION_REPLY,
    dsmp.NAMESPACE,
    header={"TransactionID": None},
    fields={"Version": dsmp.VERSION, "MsgType": dsmp.PUBLICATION_REPLY, "hRet": None},
)


def answer(code: int, transaction: str, operation: Operation | None = None) -> bytes:
    form = _PUBLICATION_REPLY if operation is PUBLISH else _REPLY
    return http.reply(200, form.fill((transaction, str(code))))


class Platform:
    """One DSMP."""

    def __init__(self, *, peer: str = "misc", path: str = "/dsmp") -> None:
        self._path = path
        self._operations = {str(number): op for op, number in dsmp.PEERS[peer].actions.items()}
        reason, actions = f"[1-{_REASONS[peer]}]\\Z", "|".join(self._operations)
        self._reason = re.compile(reason)
        self._values = re.compile(rf"[!-~]{{1,64}} (?:{_NUMBER} ){{2}}(?:{actions}) {reason}")
        self._template: Template | None = None  #: of the last good request that had to be parsed
        self._service = ""
        self._executed: OrderedDict[str, Order] = OrderedDict()
        self.relations: dict[str, State] = {}
        self.services: dict[str, str] = {}  #: SPServiceID to the product and version it is of
        self.counts: Counter[State] = Counter()

    def handle(self, request: HTTPRequest) -> Served:
        read = self.read(request)
        return self.execute(read) if isinstance(read, Order) else read

    def read(self, request: HTTPRequest) -> Order | Served:
        """The order in a request, or the answer to one that is not in good form."""
        if request.target != self._path:
            return _plain(404)
        if request.method == "GET":
            return _plain(200)
        if request.method != "POST":
            return _plain(405)
        return self._read_alike(request.body) or self._read_body(request.body)

    def execute(self, order: Order) -> Served:
        """Answer by the state of things; one that was executed already is answered as it was."""
        known = self._executed.get(order.transaction)
        if known is not None:
            return _served(order, 0 if known == order else 9015)
        if order.operation is PUBLISH:
            return self._publish(order)
        before = self.relations.get(order.relation)
        after = _MOVES[order.operation, before]
        if isinstance(after, int):
            return _served(order, after)
        if before is None and len(self.relations) >= RELATIONS_MAX:
            return _served(order, 9000)
        self.put(order.relation, after)
        self._remember(order)
        return _served(order, 0, after)

    def _publish(self, order: Order) -> Served:
        if self.services.get(order.relation) == order.product:
            return _served(order, 0)
        if len(self.services) >= SERVICES_MAX:
            return _served(order, 9000)
        self.services[order.relation] = order.product
        self._remember(order)
        return _served(order, 0, order.product)

    def put(self, relation: str, state: State) -> None:
        before = self.relations.get(relation)
        if before is not None:
            self.counts[before] -= 1
        self.counts[state] += 1
        self.relations[relation] = state

    def _remember(self, order: Order) -> None:
        self._executed[order.transaction] = order
        if len(self._executed) > REPEATS_MAX:
            self._executed.popitem(last=False)

    def _read_alike(self, body: bytes) -> Order | None:
        """A good request that differs from an earlier one in what always differs."""
        values = self._template.read(body) if self._template is not None else None
        if values is None:
            return None
        joined = b" ".join(values).decode()
        if not self._values.match(joined):
            return None
        transaction, _, user, action, _ = joined.split(" ")
        return Order(transaction, self._operations[action], f"{user} {self._service}")

    def _learn(self, fields: Mapping[str, str]) -> None:
        self._service = fields["SPServiceID"]
        self._template = _template(
            device_id=fields["Send_Address/DeviceID"],
            sp_id=fields.get("SPID", ""),
            sp_service_id=self._service,
        )

    def _read_body(self, body: bytes) -> Order | Served:
        try:
            message = soap.parse(body, dsmp.NAMESPACE)
        except ProtocolError:
            return _malformed(9014)
        transaction = message.header.get("TransactionID", "").strip()
        if not _TOKEN.match(transaction):
            return _malformed(9014)
        if message.name == dsmp.PUBLICATION:
            return _read_publication(transaction, message)
        code = _envelope_code(message) or self._field_code(message.fields)
        if code:
            return _malformed(code, transaction)
        fields = message.fields
        self._learn(fields)
        relation = f"{fields['DestUser_ID/MSISDN']} {fields['SPServiceID']}"
        return Order(transaction, self._operations[fields["ActionID"]], relation)

    def _field_code(self, fields: Mapping[str, str]) -> int:
        """4001 to 4006 and 9014; 0 when all are right."""
        if not all(_TOKEN.match(fields.get(name, "")) for name in _MANDATORY):
            return 9014
        if fields["ActionID"] not in self._operations:
            return 4001
        if not self._reason.match(fields["ActionReasonID"]):
            return 4002
        if not _SPID.match(fields.get("SPID", "")):
            return 4003
        if not _SERVICE.match(fields["SPServiceID"]):
            return 4004
        if not _ACCESS.match(fields.get("AccessMode", "")):
            return 4006
        return _user_code(fields, "FeeUser_ID") or _user_code(fields, "DestUser_ID")


def _read_publication(transaction: str, message: Message) -> Order | Served:
    fields = message.fields
    product = f"{fields.get('ProductID', '')}/{fields.get('ProductVersion', '')}"
    code = _version_code(message, dsmp.PUBLICATION) or _publication_code(fields, product)
    if code:
        reply = answer(code, transaction, PUBLISH)
        return Served(reply, NAMES[PUBLISH], code, f"{NAMES[PUBLISH]} {transaction}")
    return Order(transaction, PUBLISH, fields["SPServiceID"], product)


def _publication_code(fields: Mapping[str, str], product: str) -> int:
    if not all(_TOKEN.match(fields.get(name, "")) for name in _ADDRESSES):
        return 9014
    if not _SPID.match(fields.get("SPID", "")):
        return 4003
    if not _SERVICE.match(fields.get("SPServiceID", "")):
        return 4004
    return 0 if _PRODUCT.match(product) else 9014


def refusal(order: Order, code: int) -> Served:
    """The answer to a good request that is not executed."""
    return _served(order, code)


def shown(order: Order) -> str:
    about = f"{order.relation} {order.product}" if order.product else order.relation
    return f"{NAMES[order.operation]} {about} {order.transaction}"


def _served(order: Order, code: int, state: State | str | None = None) -> Served:
    reply = answer(code, order.transaction, order.operation)
    return Served(reply, NAMES[order.operation], code, "", state)


def _malformed(code: int, transaction: str = "") -> Served:
    return Served(answer(code, transaction), OTHER, code, f"{OTHER} {transaction}")


def _plain(status: int) -> Served:
    reply = http.reply(status, b"", content_type="text/plain")
    return Served(reply, OTHER, status, f"HTTP {status}")


def _envelope_code(message: Message) -> int:
    if message.name != dsmp.REQUEST:
        return 9013
    return _version_code(message, dsmp.REQUEST)


def _version_code(message: Message, name: str) -> int:
    if message.fields.get("Version") != dsmp.VERSION:
        return 9012
    return 0 if message.fields.get("MsgType") == name else 4000


def _user_code(fields: Mapping[str, str], user: str) -> int:
    """Only an MSISDN names a user here: this DSMP gave out no pseudo codes."""
    if fields[f"{user}/UserIDType"] != "1" or fields.get(f"{user}/PseudoCode"):
        return 4005
    return 0 if _MSISDN.match(fields.get(f"{user}/MSISDN", "")) else 9014


IN_MAINTENANCE: Final = Served(
    http.reply(503, keep_alive=False, retry_after_s=RETRY_AFTER_S), OTHER, 503, "HTTP 503"
)
