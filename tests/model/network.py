"""The network of the model: the simulation's HLRs and DSMP, platforms and relays beside them, and
elements whose next answers are scripted.
"""

from collections import defaultdict, deque
from typing import Any, Final

from hlrd.domain.group import GroupPlaces
from hlrd.domain.operation import Operation, Task
from hlrd.domain.outcome import Outcome, Verdict
from hlrd.domain.plans.plan import Routes
from hlrd.domain.policy import Policy
from hlrd.ports import Command
from tests.model.making import PLATFORM
from tests.model.steps import Fate
from tests.simulation.database import HLRS
from tests.simulation.network import DONE, IN_DOUBT, NO_CHANGE, SETTLE_S, SimNE
from tests.simulation.promises import Promises, order_of

PLACES: Final = GroupPlaces(
    nationwide="nation",
    class1="class1",
    gateway="gateway",
    province_platform="province",
    province_management="management",
    relays={"BOSS1": "boss1", "BBOSS": "bboss"},
)
PLATFORMS: Final = (PLATFORM, "nation", "class1", "gateway", "province", "management")
RELAYS: Final = ("boss1", "bboss")
TOLD: Final = {1: ("nation", "class1", "gateway"), 2: ("province", "management"), 3: ("nation",)}
"""Platforms of a class; the products of class 3 are of provinces that built a nationwide one."""

TEMPLATES: Final = {("GPRS", "SMS"): "1", ("GPRS",): "2"}
ROUTES: Final = Routes(
    dsmp="dsmp",
    templates={hlr: {"GPRS+SMS": 1, "GPRS": 2} for hlr in HLRS},
    dialects=dict.fromkeys(HLRS, "mml"),
    platforms=frozenset({PLATFORM}),
    groups=PLACES,
    policy=Policy(ec_unknown="wait"),
)
HIT: Final = (*HLRS, "dsmp", PLATFORM, "nation", "boss1")
"""Elements that faults are drawn for."""


class Platform:
    """What it is told is absolute, so its commands are their own read-back."""

    def __init__(self) -> None:
        self.ecs: set[tuple[str, str]] = set()
        self.members: dict[tuple[str, str], str] = {}  #: by number and product
        self.reports: dict[str, str] = {}  #: IMSI by number

    def do(self, task: Task) -> Outcome:
        before = set(self.ecs), dict(self.members), dict(self.reports)
        self._do(task)
        return NO_CHANGE if before == (self.ecs, self.members, self.reports) else DONE

    def look(self, task: Task) -> Outcome:
        return self.do(task)

    def _do(self, task: Task) -> None:
        number, details = task.binding.msisdn, task.details
        match task.operation:
            case Operation.SUBSCRIBE_EC:
                self.ecs.add((details.ec_code, details.product))
            case Operation.UNSUBSCRIBE_EC:
                self.ecs.discard((details.ec_code, details.product))
            case Operation.SUBSCRIBE_MEMBER:
                self.members.setdefault((number, details.product), "active")
            case Operation.UNSUBSCRIBE_MEMBER:
                self.members.pop((number, details.product), None)
            case Operation.PAUSE_RELATION | Operation.RESUME_RELATION:
                is_pause = task.operation is Operation.PAUSE_RELATION
                for key in self.members:
                    if key[0] == number:
                        self.members[key] = "paused" if is_pause else "active"
            case Operation.REPORT_MEMBER:
                self.reports[number] = task.binding.imsi
            case Operation.CANCEL_REPORT:
                self.reports.pop(number, None)
            case _:
                assert task.operation is Operation.PUBLISH_PRODUCT


class ScriptedNE(SimNE):
    """Whose next commands have fates that were drawn; all others go well."""

    def __init__(self, name: str, **parts: Any) -> None:
        super().__init__(name, **parts)
        self.fates: deque[Fate] = deque()

    def _fate(self) -> tuple[float, float | None, Outcome]:
        world, delay_s = self._world, self._world.brief()
        fate = self.fates.popleft() if self.fates else Fate.OK
        if fate in _ANSWERS:
            return delay_s, None, Outcome(_ANSWERS[fate], "9999")
        if fate is Fate.SILENT:
            return delay_s, delay_s / 2, IN_DOUBT
        if fate is Fate.LATE:
            return delay_s, delay_s + 0.9 * SETTLE_S * world.rng.random(), IN_DOUBT
        if fate is Fate.SLOW:
            delay_s = world.long()
        return delay_s, delay_s, DONE


_ANSWERS: Final = {
    Fate.BUSY: Verdict.BUSY,
    Fate.TRANSIENT: Verdict.TRANSIENT,
    Fate.REFUSED: Verdict.PERMANENT,
    Fate.SESSION_GONE: Verdict.SESSION,
    Fate.NOT_SENT: Verdict.NOT_SENT,
    Fate.LOST: Verdict.IN_DOUBT,
}


class Watch(Promises):
    """The simulation's watch, which also keeps the levels that each order told an HLR."""

    def __init__(self, *parts: Any) -> None:
        super().__init__(*parts)
        self.levels: defaultdict[int, set[int]] = defaultdict(set)
        self.different: set[int] = set()  #: orders that found something else than they left

    def sent(self, command: Command) -> None:
        super().sent(command)
        if command.task.operation is Operation.SET_BARRING and command.intent == "execute":
            self.levels[order_of(command)].add(int(command.task.level))

    def answered(self, command: Command, outcome: Outcome) -> None:
        super().answered(command, outcome)
        if outcome.verdict is Verdict.DIFFERENT:
            self.different.add(order_of(command))

    def may_fail(self, order_id: int) -> bool:
        return self._may_fail(order_id) or order_id in self.different
