"""Each dialect beside its emulator's core, with no socket: what the conformance suite runs on."""

import dataclasses
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from msgspec.structs import replace

from adapters import DIALECTS, shipped_replies
from hlrd.codec import cai, hss, http, ipa
from hlrd.codec.cai import CAICommands
from hlrd.codec.http import HTTPRequests
from hlrd.codec.ipa import CTRLCommand, CTRLCommands
from hlrd.codec.mml import MMLCommands
from hlrd.domain.identity import (
    ICCID,
    IMSI,
    MSISDN,
    Binding,
    CardKey,
    SealedKey,
    UserId,
)
from hlrd.domain.operation import NO_DETAILS, Cause, Details, Operation, Task
from hlrd.domain.outcome import Outcome, Verdict
from hlrd.domain.suspension import Level
from hlrd.ne.adapter import Account, Adapter
from hlrd.ne.replies import Replies, read
from loadtest.cai.core import HLR as CAIHLR
from loadtest.dsmp.core import Platform
from loadtest.hlr.core import HLR
from loadtest.hlr.frames import Frames
from loadtest.osmo import core as osmo
from loadtest.relay.core import Role
from tests.adapters.chain import Chain
from tests.adapters.headquarters import Headquarters, QuickPeople

KI: Final = "A1B2C3D4E5F60718293A4B5C6D7E8F90"
KEY: Final = CardKey(KI, 3, "MILENAGE", "USIM")
PASSWORD: Final = "conformance-7f3a"

PLATFORMS: Final = (
    "class1_platform",
    "province_platform",
    "province_management",
    "nationwide_management",
    "iot_gateway",
)

RELAYS: Final = ("bboss_relay", "boss1_relay", "pboss_registry")
KEYED: Final = frozenset({Operation.ADD_KEY, Operation.REPORT_MEMBER})

REPORT: Final = Details(
    product="P100",
    version=1,
    ec_code="E1001",
    ec_name="示例集团",
    attributes={"product_class": "1", "services": "GPRS,SMS"},
)
REPORTED_PRODUCT: Final = Details(
    product="P100",
    version=1,
    ec_code="E1001",
    attributes={"apn": "example.iot", "product_class": "1"},
)
REPORTS: Final = {
    Operation.SUBSCRIBE_EC: REPORT,
    Operation.REPORT_MEMBER: REPORT,
    Operation.SUBSCRIBE_MEMBER: REPORTED_PRODUCT,
    Operation.UNSUBSCRIBE_MEMBER: REPORTED_PRODUCT,
    Operation.CANCEL_REPORT: REPORT,
    Operation.UNSUBSCRIBE_EC: REPORT,
}
"""In an order in which each takes effect."""

SHEET: Final = Details(text="装机: 现场核对天线", attributes={"order": "17"})

SUBSCRIPTION: Final = Details(
    product="P100",
    version=1,
    ec_code="E1001",
    ec_name="示例集团",
    text="示例产品",
    attributes={"apn": "example.iot", "product_class": "2"},
)
"""Of a class whose changes every platform passes on that passes on any."""

SERVICE: Final = Details(
    product="IOT-VIDEO",
    version=1,
    service="VIDEO",
    text="物联网视频",
    attributes={"sp_id": "900002", "sp_service_id": "VIDEO01"},
)

Exchange = Callable[[bytes], bytes]
"""One request's bytes to its reply's bytes, on a session that is logged in."""


@dataclass(frozen=True, slots=True)
class Emulated:
    """How a dialect's NE is played."""

    start: Callable[[], Exchange]  #: a fresh NE that holds nothing
    requests: Callable[[], Any]  #: the server's decoder: it counts what is on the wire
    life: tuple[Operation, ...]  #: its operations in an order in which each takes effect
    options: Mapping[str, str] = field(default_factory=dict)
    secrets: Mapping[str, str] = field(default_factory=dict)
    details: Mapping[Operation, Details] = field(default_factory=dict)  #: in its own words


def _hlr() -> Exchange:
    hlr, frames = HLR(), Frames("HLR1")

    def exchange(request: bytes) -> bytes:
        [command] = MMLCommands().feed(request)
        return frames.reply(command.text, hlr.handle(command), "2026-01-31 08:00:00+00:00")

    return exchange


def _hss() -> Exchange:
    hlr = HLR()

    def exchange(request: bytes) -> bytes:
        [asked] = HTTPRequests().feed(request)
        said = hss.read_request(asked.body)
        result = hlr.handle(said.command)
        records = (result.record, *result.rows) if result.record else ()
        return http.reply(200, hss.answer(said.name, str(result.code), result.text, records))

    return exchange


def _cai() -> Exchange:
    hlr = CAIHLR()

    def exchange(request: bytes) -> bytes:
        [command] = CAICommands().feed(request)
        result = hlr.handle(command)
        return cai.answer(result.code, result.values, command.transaction)

    return exchange


def _dsmp() -> Exchange:
    platform = Platform()

    def exchange(request: bytes) -> bytes:
        [read] = HTTPRequests().feed(request)
        return platform.handle(read).reply

    return exchange


def _osmo() -> Exchange:
    hlr = osmo.HLR()

    def exchange(request: bytes) -> bytes:
        return b"".join(_osmo_answer(hlr, command) for command in CTRLCommands().feed(request))

    return exchange


def _osmo_answer(hlr: osmo.HLR, command: CTRLCommand) -> bytes:
    if command is ipa.PINGED:
        return ipa.PONG
    result = hlr.handle(command)
    return ipa.refusal(command, result.error) if result.error else ipa.answer(command, result.value)


def _platform(dialect: str) -> Emulated:
    def start() -> Exchange:
        return Chain(dialect, token=PASSWORD).exchange

    has_catalogue = Operation.PUBLISH_PRODUCT in DIALECTS[dialect].operations
    life = (
        *((Operation.PUBLISH_PRODUCT,) if has_catalogue else ()),
        Operation.SUBSCRIBE_EC,
        Operation.SUBSCRIBE_MEMBER,
        Operation.PAUSE_RELATION,
        Operation.RESUME_RELATION,
        Operation.UNSUBSCRIBE_MEMBER,
        Operation.UNSUBSCRIBE_EC,
    )
    return Emulated(start, HTTPRequests, life, details=dict.fromkeys(life, SUBSCRIPTION))


def _relay(dialect: str) -> Emulated:
    def start() -> Exchange:
        return Headquarters(Role(dialect), token=PASSWORD).exchange

    return Emulated(start, HTTPRequests, tuple(REPORTS), details=REPORTS)


_RELATIONS: Final = (
    Operation.PUBLISH_PRODUCT,
    Operation.OPEN_RELATION,
    Operation.PAUSE_RELATION,
    Operation.RESUME_RELATION,
    Operation.CLOSE_RELATION,
)
_SHEETS: Final = (Operation.OPEN_SHEET, Operation.WITHDRAW_SHEET, Operation.CLOSE_SHEET)


class _OsmoRequests:
    """Commands that share a number are one request."""

    def feed(self, data: bytes) -> list[str]:
        return sorted({command.id[:-2] for command in CTRLCommands().feed(data)})


_CAI_SCRIPTS: Final = "SET:HLRSUB:IMSI,{imsi}:PDPCP,32", "SET:HLRSUB:IMSI,{imsi}:PDPCP,0"

MML_SCRIPTS: Final = (
    'MOD GPRS_CONTEXT:IMSI="{imsi}",PROV=ADDPDPCNTX,CNTXID=2,APN="{apn}"',
    'MOD GPRS_CONTEXT:IMSI="{imsi}",PROV=RMVPDPCNTX,CNTXID=2',
)

EMULATED: Final[dict[str, Emulated]] = {
    "huawei_hlr": Emulated(
        _hlr,
        MMLCommands,
        (
            Operation.ADD_KEY,
            Operation.ADD_SUBSCRIBER,
            Operation.SET_BARRING,
            Operation.CANCEL_LOCATION,
            Operation.ADD_FUNCTION,
            Operation.REMOVE_FUNCTION,
            Operation.CHANGE_CARD,
            Operation.CHANGE_NUMBER,
            Operation.REMOVE_SUBSCRIBER,
            Operation.REMOVE_KEY,
        ),
        details={
            Operation.ADD_FUNCTION: Details(
                script=MML_SCRIPTS[0], undo_script=MML_SCRIPTS[1], attributes={"apn": "cmiot.gd"}
            ),
            Operation.REMOVE_FUNCTION: Details(script=MML_SCRIPTS[1], undo_script=MML_SCRIPTS[0]),
        },
    ),
    "ericsson_cai": Emulated(
        _cai,
        CAICommands,
        (
            Operation.ADD_KEY,
            Operation.ADD_SUBSCRIBER,
            Operation.SET_BARRING,
            Operation.ADD_FUNCTION,
            Operation.REMOVE_FUNCTION,
            Operation.CHANGE_CARD,
            Operation.CHANGE_NUMBER,
            Operation.REMOVE_SUBSCRIBER,
            Operation.REMOVE_KEY,
        ),
        details={
            Operation.ADD_FUNCTION: Details(script=_CAI_SCRIPTS[0], undo_script=_CAI_SCRIPTS[1]),
            Operation.REMOVE_FUNCTION: Details(script=_CAI_SCRIPTS[1]),
        },
    ),
    "osmo_hlr": Emulated(
        _osmo,
        _OsmoRequests,
        (
            Operation.ADD_KEY,
            Operation.ADD_SUBSCRIBER,
            Operation.SET_BARRING,
            Operation.CHANGE_CARD,
            Operation.CHANGE_NUMBER,
            Operation.REMOVE_SUBSCRIBER,
            Operation.REMOVE_KEY,
        ),
        secrets={"op": "00112233445566778899AABBCCDDEEFF", "k4.3": "0F" * 16},
    ),
    "dsmp": Emulated(
        _dsmp,
        HTTPRequests,
        _RELATIONS,
        details=dict.fromkeys(_RELATIONS, SERVICE),
    ),
    **{dialect: _platform(dialect) for dialect in PLATFORMS},
    **{dialect: _relay(dialect) for dialect in RELAYS},
    "eoms": Emulated(
        lambda: QuickPeople().exchange,
        HTTPRequests,
        _SHEETS,
        details=dict.fromkeys(_SHEETS, SHEET),
    ),
}
EMULATED["hss_soap"] = dataclasses.replace(
    EMULATED["huawei_hlr"], start=_hss, requests=HTTPRequests
)
"""It says what huawei_hlr says, in envelopes."""


def an_adapter(dialect: str, **options: str) -> Adapter[Any]:
    ne = EMULATED[dialect]
    account = Account("127.0.0.1", 7776, "hlrd", PASSWORD, {**ne.options, **options}, ne.secrets)
    return DIALECTS[dialect](account, the_replies(dialect))


def the_replies(dialect: str, site: str = "") -> Replies:
    """The shipped table, with the text of a site's own over it."""
    return Replies(read(shipped_replies(dialect), dialect), read(site, "site") if site else ())


def a_binding(*, imsi: str = "001010000000001", msisdn: str = "1064900000001") -> Binding:
    sealed = SealedKey("k1", b"sealed")
    return Binding(
        UserId("1001"),
        MSISDN(msisdn),
        IMSI(imsi),
        ICCID("89860000000000000001"),
        "hlr1",
        "HB",
        sealed,
    )


_CHANGERS: Final = {
    Operation.CHANGE_CARD: a_binding(imsi="001010000000005", msisdn="1064900000005"),
    Operation.CHANGE_NUMBER: a_binding(imsi="001010000000007", msisdn="1064900000007"),
}
_CHANGED: Final = {
    Operation.CHANGE_CARD: a_binding(imsi="001010000000006", msisdn="1064900000005"),
    Operation.CHANGE_NUMBER: a_binding(imsi="001010000000007", msisdn="1064900000008"),
}
_UNBARRED: Final = frozenset({Operation.ADD_KEY, Operation.ADD_SUBSCRIBER})
_CAUSES: Final = {
    Operation.PAUSE_RELATION: Cause.STOPPED,
    Operation.RESUME_RELATION: Cause.RESUMED,
    Operation.CLOSE_RELATION: Cause.CLOSED,
}


def a_task(
    operation: Operation,
    *,
    level: Level | None = None,
    binding: Binding | None = None,
    template: str = "1",
    transaction: str = "",
    details: Details | None = None,
) -> Task:
    """A subscriber is born without a barring, and barred both ways, unless `level` says. Who
    changes card or number is somebody else than who has all the rest done.
    """
    if level is None:
        level = Level.NONE if operation in _UNBARRED else Level.TWO_WAY
    target = _CHANGED.get(operation)
    return Task(
        operation,
        "ne1",
        binding or _CHANGERS.get(operation) or a_binding(),
        _CAUSES.get(operation, Cause.ORDERED),
        level,
        template,
        transaction or f"1{operation.value}",
        details or (NO_DETAILS if target is None else Details(target=target)),
    )


def the_task(dialect: str, operation: Operation) -> Task:
    """With the details that this dialect wants."""
    return a_task(operation, details=EMULATED[dialect].details.get(operation))


def ground(operation: Operation) -> tuple[Task, ...]:
    """What must be done before it, beside what comes earlier in the life of its dialect."""
    changer, target = _CHANGERS.get(operation), _CHANGED.get(operation)
    if changer is None or target is None:
        return ()
    opened = tuple(
        a_task(each, binding=changer) for each in (Operation.ADD_KEY, Operation.ADD_SUBSCRIBER)
    )
    if target.imsi == changer.imsi:
        return opened
    return *opened, a_task(Operation.ADD_KEY, binding=target)


_ASKED_MAX: Final = 10


class Played:
    """An adapter and its emulator, one command at a time."""

    def __init__(self, dialect: str) -> None:
        self.adapter = an_adapter(dialect)
        self.exchange = EMULATED[dialect].start()

    def request(self, task: Task) -> bytes:
        return self.adapter.encode(task, KEY if task.operation in KEYED else None)

    def reply(self, request: bytes) -> Any:
        [reply] = self.adapter.decoder().feed(self.exchange(request))
        assert self.adapter.echoes(request, reply)
        return reply

    def execute(self, task: Task) -> Outcome:
        """What the peer takes and does later is asked about until it is done."""
        outcome = self.adapter.classify(task, self.reply(self.request(task)))
        for _ in range(_ASKED_MAX):
            if outcome.verdict is not Verdict.PENDING:
                break
            outcome = self._settled(self.read_back(task))
        return outcome

    def _settled(self, found: Outcome) -> Outcome:
        return replace(found, verdict=Verdict.DONE) if found.verdict is Verdict.APPLIED else found

    def read_back(self, task: Task) -> Outcome:
        """As the driver does it: the query, or the command itself where there is none."""
        query = self.adapter.read_back(task)
        if query is None:
            return self.execute(task)
        return self.adapter.compare(task, self.reply(query))
