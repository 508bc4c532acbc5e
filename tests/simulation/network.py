"""Network elements with the real operations' semantics, and everything that can go wrong."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol

from hlrd.domain.identity import IMSI, MSISDN
from hlrd.domain.operation import Operation, Task
from hlrd.domain.outcome import Outcome, Verdict
from hlrd.domain.suspension import Level
from hlrd.ports import Command, Intent
from tests.simulation.faults import Faults
from tests.simulation.world import World, promise

DONE = Outcome(Verdict.DONE)
NO_CHANGE = Outcome(Verdict.NO_CHANGE)
APPLIED = Outcome(Verdict.APPLIED)
APPLIED_OWING = Outcome(Verdict.APPLIED, then=Operation.CANCEL_LOCATION)
"""Found as it should be; who knows whether the lost answer asked for more."""

ABSENT = Outcome(Verdict.ABSENT)
IN_DOUBT = Outcome(Verdict.IN_DOUBT)
SETTLE_S = 5.0


@dataclass(slots=True)
class Subscriber:
    msisdn: MSISDN
    level: Level
    template: str
    functions: set[str] = field(default_factory=set)


class Element(Protocol):
    def do(self, task: Task) -> Outcome: ...
    def look(self, task: Task) -> Outcome: ...


class HLR:
    def __init__(self, world: World, faults: Callable[[], Faults]) -> None:
        self._world = world
        self._faults = faults
        self.keys: set[IMSI] = set()
        self.subscribers: dict[IMSI, Subscriber] = {}
        self.untold: set[IMSI] = set()  #: changed, and the serving node knows nothing of it
        self._removed: dict[IMSI, str] = {}  #: with the number that the record had

    def do(self, task: Task) -> Outcome:
        imsi = task.binding.imsi
        match task.operation:
            case Operation.ADD_KEY:
                return self._add_key(imsi)
            case Operation.REMOVE_KEY:
                promise(imsi not in self.subscribers, f"the key of {imsi} goes before its record")
                found = imsi in self.keys
                self.keys.discard(imsi)
                return DONE if found else NO_CHANGE
            case Operation.ADD_SUBSCRIBER:
                return self._add(task)
            case Operation.REMOVE_SUBSCRIBER:
                found = self.subscribers.pop(imsi, None)
                if found is None:
                    return NO_CHANGE
                self._removed[imsi] = found.msisdn
                return self._changed(imsi)
            case Operation.SET_BARRING:
                return self._bar(task)
            case Operation.ADD_FUNCTION | Operation.REMOVE_FUNCTION:
                return self._switch(task)
            case Operation.CHANGE_CARD:
                return self._change_card(task)
            case Operation.CHANGE_NUMBER:
                return self._change_number(task)
            case _:
                self.untold.discard(imsi)
                return DONE

    def _add_key(self, imsi: IMSI) -> Outcome:
        if imsi in self.keys:
            return Outcome(Verdict.EXISTS)
        self.keys.add(imsi)
        return DONE

    def _add(self, task: Task) -> Outcome:
        imsi, msisdn = task.binding.imsi, task.binding.msisdn
        if imsi in self.subscribers:
            return Outcome(Verdict.EXISTS)
        if self._world.happens(self._faults().key_lost):
            self.keys.discard(imsi)
        if imsi not in self.keys:
            return Outcome(Verdict.PREREQUISITE, then=Operation.ADD_KEY)
        taken = any(one.msisdn == msisdn for one in self.subscribers.values())
        promise(not taken, f"{msisdn} is given to a second subscriber")
        self.subscribers[imsi] = Subscriber(msisdn, Level.NONE, task.template)
        if self._removed.get(imsi) == msisdn:
            self.untold.discard(imsi)  # a node that was not told has the same record as before
        return DONE

    def _bar(self, task: Task) -> Outcome:
        subscriber = self.subscribers.get(task.binding.imsi)
        if subscriber is None:
            return Outcome(Verdict.PERMANENT, "3001")
        subscriber.level = task.level
        return self._changed(task.binding.imsi)

    def _switch(self, task: Task) -> Outcome:
        """By a script that can be repeated."""
        subscriber = self.subscribers.get(task.binding.imsi)
        wants_on = task.operation is Operation.ADD_FUNCTION
        if subscriber is None:
            return Outcome(Verdict.PERMANENT, "3001")
        is_on = task.details.service in subscriber.functions
        subscriber.functions ^= {task.details.service} if is_on != wants_on else set()
        return NO_CHANGE if is_on == wants_on else DONE

    def _change_card(self, task: Task) -> Outcome:
        target = task.details.target
        assert target is not None
        if task.binding.imsi not in self.subscribers:
            return Outcome(Verdict.EXISTS)
        promise(target.imsi in self.keys, f"{target.imsi} has no key")
        promise(target.imsi not in self.subscribers, f"{target.imsi} has a record already")
        self.subscribers[target.imsi] = self.subscribers.pop(task.binding.imsi)
        return self._changed(task.binding.imsi)

    def _change_number(self, task: Task) -> Outcome:
        target = task.details.target
        assert target is not None
        held = {one.msisdn: one for one in self.subscribers.values()}
        if task.binding.msisdn not in held:
            return Outcome(Verdict.EXISTS)
        promise(target.msisdn not in held, f"{target.msisdn} is given to a second subscriber")
        held[task.binding.msisdn].msisdn = target.msisdn
        return self._changed(task.binding.imsi)

    def _look_at_change(self, task: Task) -> Outcome:
        """Whose the number is, or which number the card has."""
        target = task.details.target
        assert target is not None
        if task.operation is Operation.CHANGE_NUMBER:
            record = self.subscribers.get(task.binding.imsi)
            shown = None if record is None else record.msisdn
            old, new = task.binding.msisdn, target.msisdn
            return _compared(shown, old, new)
        holders = (i for i, one in self.subscribers.items() if one.msisdn == target.msisdn)
        return _compared(next(holders, None), task.binding.imsi, target.imsi)

    def _changed(self, imsi: IMSI) -> Outcome:
        if self._world.happens(self._faults().follow_up):
            self.untold.add(imsi)
            return Outcome(Verdict.FOLLOW_UP, then=Operation.CANCEL_LOCATION)
        self.untold.discard(imsi)  # this change reached the node, and with it all before
        return DONE

    def look(self, task: Task) -> Outcome:
        imsi = task.binding.imsi
        subscriber = self.subscribers.get(imsi)
        match task.operation:
            case Operation.ADD_KEY:
                return APPLIED if imsi in self.keys else ABSENT
            case Operation.REMOVE_KEY:
                return ABSENT if imsi in self.keys else APPLIED
            case Operation.REMOVE_SUBSCRIBER:
                return ABSENT if subscriber else APPLIED_OWING
            case Operation.CANCEL_LOCATION:
                return self.do(task)
            case Operation.CHANGE_CARD | Operation.CHANGE_NUMBER:
                return self._look_at_change(task)
        if subscriber is None:
            return ABSENT
        if task.operation in (Operation.ADD_FUNCTION, Operation.REMOVE_FUNCTION):
            is_on = task.details.service in subscriber.functions
            return APPLIED if is_on == (task.operation is Operation.ADD_FUNCTION) else ABSENT
        if task.operation is Operation.SET_BARRING:
            return APPLIED_OWING if subscriber.level is task.level else ABSENT
        same = (subscriber.msisdn, subscriber.template) == (task.binding.msisdn, task.template)
        return APPLIED if same else Outcome(Verdict.DIFFERENT)


def _compared(shown: str | None, old: str, new: str) -> Outcome:
    if shown == new:
        return APPLIED_OWING
    return ABSENT if shown in (old, None) else Outcome(Verdict.DIFFERENT)


class DSMP:
    """Its command is its own read-back."""

    def __init__(self) -> None:
        self.relations: dict[str, str] = {}  #: by MSISDN, and behind a blank a product's service
        self.published: set[tuple[str, int, str]] = set()  #: product, version, service

    def do(self, task: Task) -> Outcome:
        details = task.details
        service = details.attributes.get("sp_service_id", "")
        if task.operation is Operation.PUBLISH_PRODUCT:
            self.published.add((details.product, details.version, service))
            return DONE
        relation = f"{task.binding.msisdn} {service}".strip()
        now = self.relations.get(relation)
        match task.operation:
            case Operation.OPEN_RELATION if now == "paused":
                return Outcome(Verdict.PREREQUISITE, then=Operation.RESUME_RELATION)
            case Operation.OPEN_RELATION | Operation.RESUME_RELATION:
                wanted = "active"
            case Operation.PAUSE_RELATION:
                wanted = "paused"
            case _:
                return DONE if self.relations.pop(relation, None) else NO_CHANGE
        if now is None and task.operation is not Operation.OPEN_RELATION:
            return Outcome(Verdict.PERMANENT, "4013")
        self.relations[relation] = wanted
        return NO_CHANGE if now == wanted else DONE

    def look(self, task: Task) -> Outcome:
        return self.do(task)


class Listener(Protocol):
    """The daemon that runs at present."""

    def on_outcome(self, command: Command, outcome: Outcome) -> None: ...
    def on_free(self, ne: str) -> None: ...


class Watcher(Protocol):
    def sent(self, command: Command) -> None: ...
    def executed(self, command: Command, outcome: Outcome) -> None: ...
    def answered(self, command: Command, outcome: Outcome) -> None: ...


class SimNE:
    """`ports.NE`: sessions, a life of its own, and a fate for every command."""

    settle_s = SETTLE_S
    poll_s = SETTLE_S

    def __init__(
        self,
        name: str,
        *,
        element: Element,
        world: World,
        faults: Callable[[], Faults],
        watcher: Watcher,
        sessions: int,
    ) -> None:
        self.name = name
        self.element = element
        self.listener: Listener | None = None
        self.in_flight = 0
        self._world = world
        self._faults = faults
        self._watcher = watcher
        self._sessions = sessions
        self._is_down = False
        self._life = 0
        self._cut_at = 0.0

    # The port.

    def free(self) -> int:
        return 0 if self._is_down else self._sessions - self.in_flight

    def window(self) -> int:
        return self._sessions

    def wants(self, waiting: int) -> None:
        pass

    def execute(self, command: Command) -> None:
        promise(self.free() > 0, f"{self.name} is sent more than it takes")
        self.in_flight += 1
        self._watcher.sent(command)
        life, after = self._life, self._world.after
        delay_s, took_effect, outcome = self._fate()
        if took_effect is None:
            after(delay_s, lambda: self._answer(command, life, outcome))
        elif outcome is not IN_DOUBT:
            after(delay_s, lambda: self._run_and_answer(command, life))
        else:
            after(took_effect, lambda: self._run(command, life))
            after(delay_s, lambda: self._answer(command, life, IN_DOUBT))

    def forget(self) -> None:
        """The daemon died. What it sent may be executed within the settle time, and no later."""
        self._life += 1
        self._cut_at = self._world.now
        self.in_flight = 0

    def go_down(self, for_s: float) -> None:
        self._is_down = True
        self._world.after(for_s, self._come_up)

    def _come_up(self) -> None:
        self._is_down = False
        if self.listener is not None:
            self.listener.on_free(self.name)

    # Fates.

    def _fate(self) -> tuple[float, float | None, Outcome]:
        """When it is answered, when it takes effect if it does, and (other than DONE) how."""
        faults, world = self._faults(), self._world
        delay_s = world.long() if world.happens(faults.slow) else world.brief()
        for chance, verdict in (
            (faults.busy, Verdict.BUSY),
            (faults.transient, Verdict.TRANSIENT),
            (faults.permanent, Verdict.PERMANENT),
            (faults.session_gone, Verdict.SESSION),
            (faults.not_sent, Verdict.NOT_SENT),
            (faults.lost_before, Verdict.IN_DOUBT),
        ):
            if world.happens(chance):
                return delay_s, None, Outcome(verdict)
        if world.happens(faults.lost_after):
            return delay_s, delay_s * world.rng.random(), IN_DOUBT
        if world.happens(faults.executed_late):
            return delay_s, delay_s + 0.99 * SETTLE_S * world.rng.random(), IN_DOUBT
        return delay_s, delay_s, DONE

    def _run(self, command: Command, life: int) -> Outcome | None:
        if life != self._life and self._world.now > self._cut_at + SETTLE_S:
            return None
        is_query = command.intent is Intent.READ_BACK
        outcome = (self.element.look if is_query else self.element.do)(command.task)
        self._watcher.executed(command, outcome)
        return outcome

    def _run_and_answer(self, command: Command, life: int) -> None:
        outcome = self._run(command, life)
        if outcome is not None:
            self._answer(command, life, outcome)

    def _answer(self, command: Command, life: int, outcome: Outcome) -> None:
        """To the daemon that sent it; a dead one hears nothing."""
        if life == self._life and self.listener is not None:
            self.in_flight -= 1
            self._watcher.answered(command, outcome)
            self.listener.on_outcome(command, outcome)
