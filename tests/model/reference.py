"""What the network is meant to hold, by the rules of the business alone: sets and dictionaries, and
orders as the plain documents that upstream posts. It knows no stage, no task and no part of hlrd.

It is told which orders were taken and in which order they ended; of each it says whether that end
is right, and what is so afterwards.
"""

from collections import Counter
from collections.abc import Callable, Mapping
from copy import deepcopy
from dataclasses import dataclass, field
from typing import Any, Final

Document = Mapping[str, Any]

IDLE, RESERVED, IN_USE = "idle", "reserved", "inUse"
QUARANTINED, LOCKED, SCRAPPED = "quarantined", "locked", "scrapped"

ACTIVE, PRE_TERMINATED, TERMINATED = "active", "preTerminated", "terminated"

REASONS: Final = {
    "ARREARS_SUSPEND": "ARREARS", "PAYMENT_RESUME": "ARREARS",
    "VOLUNTARY_SUSPEND": "VOLUNTARY", "VOLUNTARY_RESUME": "VOLUNTARY",
}  # fmt: skip
"""Kinds that are about one reason; the OPERATOR_ ones name theirs."""

OPENINGS: Final = ("MEMBER_ACTIVATE", "MEMBER_OPEN", "USER_OPEN")
STATE: Final = "state"
MEMBER_WAIT_S: Final = 20.0
"""How long a member's product waits for its member."""

GOES_BACK: Final = {
    "MEMBER_ACTIVATE", "MEMBER_OPEN", "USER_OPEN", "PRODUCT_PUBLISH", "PRODUCT_SUBSCRIBE",
    "SIM_REPLACE", "NUMBER_CHANGE", "EC_PRODUCT_SUBSCRIBE", "MEMBER_PRODUCT_SUBSCRIBE", "BATCH",
}  # fmt: skip
"""What is undone, and has failed, when the network refuses a part of it; all others go forward."""


class Disagreement(AssertionError):
    """hlrd did what the model would not."""


def agree(holds: bool, text: str) -> None:
    if not holds:
        raise Disagreement(text)


@dataclass(frozen=True, slots=True)
class Held:
    """Number and card that an order holds; empty where it holds none."""

    number: str = ""
    card: str = ""
    imsi: str = ""
    hlr: str = ""


@dataclass(frozen=True, slots=True)
class Ending:
    """How an order ended, as upstream and the network elements saw it."""

    result: str
    marks: frozenset[str]
    code: str
    duplicate_of: str | None
    may_fail: bool  #: the network refused a part of it for good
    levels: frozenset[int]  #: that an HLR was told
    is_by_word: bool  #: a person let a step, or all of it, count as done
    reasons: Mapping[str, int] | None  #: as stored with it
    is_unproven: bool  #: what it held was locked away, and not given back
    waited_s: float  #: since it was taken
    is_doubted: bool  #: a life of the daemon before this one may have sent a part of it


@dataclass(slots=True)
class Line:
    """One user."""

    number: str
    card: str
    imsi: str
    hlr: str
    services: tuple[str, ...]
    stage: str = ACTIVE
    reasons: dict[str, int] = field(default_factory=dict)
    products: dict[str, tuple[int, str]] = field(default_factory=dict)  #: version, enterprise
    ec: str = ""
    is_reported: bool = True  #: headquarters was told, and has not told us
    numbers_before: set[str] = field(default_factory=set)

    @property
    def level(self) -> int:
        if self.stage == PRE_TERMINATED:
            return 2
        return max(self.reasons.values(), default=0) if self.stage == ACTIVE else 0


@dataclass(slots=True)
class Course:
    """What was applied of one user's orders, and done in upstream's business."""

    applied: dict[str, int] = field(default_factory=dict)
    done: dict[object, str] = field(default_factory=dict)
    taken_back: Counter[str] = field(default_factory=Counter)  #: stops, by reason


Possible = tuple[Line | None, bool]
"""The line after the order, None if it cannot be; and whether that is certain."""

IMPOSSIBLE: Final[Possible] = (None, True)


class Reference:
    def __init__(self) -> None:
        self.lines: dict[str, Line] = {}
        self.courses: dict[str, Course] = {}
        self.numbers: dict[str, str] = {}
        self.cards: dict[str, str] = {}
        self.versions: dict[tuple[str, int], Document] = {}
        self.active: dict[str, int] = {}
        self.ecs: dict[tuple[str, str], Document] = {}
        self.told_ecs: set[tuple[str, str]] = set()  #: those that platforms know of
        self.known: set[str] = set()
        self.partners: dict[tuple[str, str], str] = {}
        self.stops: dict[str, dict[str, int]] = {}
        self.files: set[str] = set()
        self.began: set[str] = set()  #: files
        self.unsure_numbers: set[str] = set()
        self.unsure_cards: set[str] = set()
        self.unsure_ecs: set[tuple[str, str]] = set()
        self._failed_openings: set[str] = set()
        self._open: dict[int, tuple[Document, Held, bool]] = {}
        self._since: dict[int, tuple[int, int]] = {}
        self._ec_moments: list[dict[tuple[str, str], Document]] = [{}]
        self._stop_moments: list[dict[str, dict[str, int]]] = [{}]

    # What upstream is told at once.

    def accepted(self, id: int, order: Document, held: Held, *, is_dated: bool) -> None:
        """`is_dated`: it is dated ahead, and goes by its date."""
        self._open[id] = order, held, is_dated
        self._since[id] = len(self._ec_moments) - 1, len(self._stop_moments) - 1
        if order["type"] in OPENINGS:
            agree(order["user_id"] not in self.lines, f"{id} opens a user for the second time")
        state = IN_USE if order["type"] in OPENINGS else RESERVED
        if held.number:
            now = self.numbers.get(held.number, IDLE)
            agree(now == IDLE, f"{id} is given number {held.number}, which is {now}")
            self.numbers[held.number] = state
        if held.card:
            now = self.cards.get(held.card, IDLE)
            agree(now == IDLE, f"{id} is given card {held.card}, which is {now}")
            self.cards[held.card] = state
        if order["type"] in ("EC_PRODUCT_SUBSCRIBE", "PARTNER_PRODUCT_PUBLISH"):
            self.known.add(order["ec_code"])
        if order["type"] == "PRODUCT_PUBLISH":
            self.versions.setdefault((order["product"], order["product_version"]), order)

    def is_open(self, user: str) -> bool:
        return any(order.get("user_id") == user for order, _, _ in self._open.values())

    def _check_waited(self, id: int, order: Document, end: Ending) -> None:
        """An opening goes before what depends on it, whatever the order of arrival."""
        user = order["user_id"]
        agree(not self._is_being_opened(user), f"{id} does not wait for its opening")
        has_waited = end.waited_s > MEMBER_WAIT_S - 1 or user in self._failed_openings
        needs_not = order["type"] != "MEMBER_PRODUCT_SUBSCRIBE"
        agree(has_waited or needs_not, f"{id} waited for its opening {end.waited_s} s only")

    def _is_being_opened(self, user: str) -> bool:
        return any(
            one["type"] in OPENINGS and one["user_id"] == user and not is_dated
            for one, _, is_dated in self._open.values()
        )

    def fan_out_began(self, ec: str, reason: str, level: int) -> None:
        """Who becomes a member from now on is stopped, or not, as the order says."""
        stops = self.stops.setdefault(ec, {})
        stops[reason] = level
        if not level:
            del stops[reason]
        self._stop_moments.append(deepcopy(self.stops))

    def recycled(self, number: str) -> None:
        agree(self.numbers.get(number) == QUARANTINED, f"{number} goes back to the idle ones")
        self.numbers[number] = IDLE

    # How an order ended.

    def closed(self, id: int, end: Ending) -> None:
        order, held, is_dated = self._open.pop(id)
        if end.result == "cancelled":
            self._give_back(held, end)
            if order["type"] in OPENINGS:
                self._failed_openings.add(order["user_id"])
            agree(not end.levels, f"{id} was called off, and the HLR told {end.levels}")
        elif "user_id" in order:
            self._user_closed(id, order, held, end, is_dated=is_dated)
        else:
            self._other_closed(id, order, end)
        del self._since[id]

    def _user_closed(
        self, id: int, order: Document, held: Held, end: Ending, *, is_dated: bool
    ) -> None:
        user = order["user_id"]
        line, course = self.lines.get(user), self.courses.setdefault(user, Course())
        before = 0 if line is None else line.level
        if end.result == "succeeded" and self._is_needless(id, order, course, end, is_dated):
            agree(not end.levels, f"{id} was needless, and the HLR was told {end.levels}")
            self._give_back(held, end)
            return
        after, is_certain = self._after(id, order, line, held, end)
        if end.result == "succeeded":
            agree(after is not None, f"{id}, {order['type']}, cannot be, and succeeded")
            assert after is not None
            self._adopt(user, line, after)
            if not end.is_by_word and order["type"] != "NE_REPAIR":
                wanted = {after.level} if after.level != before and after.number else set()
                is_so = end.levels == wanted or (self._is_unsure(line) and not end.levels)
                agree(is_so, f"{id} tells levels {set(end.levels)}, not {wanted}")
        else:
            self._failed(id, order, held, end, is_due=after is not None and is_certain)
        if end.is_by_word:
            self._doubt(self.lines.get(user), line, held)

    def _is_unsure(self, line: Line | None) -> bool:
        """A person's word was taken: the HLR may be so already, and be found so by a read-back."""
        return line is not None and line.number in self.unsure_numbers

    def _failed(self, id: int, order: Document, held: Held, end: Ending, *, is_due: bool) -> None:
        may_fail = end.may_fail and order["type"] in GOES_BACK
        agree(may_fail or not is_due, f"{id}, {order['type']}, fails for nothing: {end.code}")
        if order["type"] in OPENINGS:
            self._failed_openings.add(order["user_id"])
        elif order["type"].startswith("MEMBER_PRODUCT") and order["user_id"] not in self.lines:
            self._check_waited(id, order, end)
        self._give_back(held, end)

    def _adopt(self, user: str, before: Line | None, after: Line) -> None:
        self.lines[user] = after
        if before is not None and before.number in self.unsure_numbers:
            self._doubt(after)
        if before is not None and before.number != after.number:
            self.numbers[before.number] = QUARANTINED
        if before is not None and before.card != after.card:
            self.cards[before.card] = SCRAPPED
        if after.number:
            self.numbers[after.number] = IN_USE
            self.cards[after.card] = IN_USE

    def _give_back(self, held: Held, end: Ending) -> None:
        """What it held goes back, but for what may be left on the network."""
        if held.number:
            self.numbers[held.number] = LOCKED if end.is_unproven else IDLE
        if held.card:
            self.cards[held.card] = SCRAPPED if end.is_unproven else IDLE
        if end.is_unproven:
            is_doubtful = end.is_by_word or end.may_fail or end.is_doubted
            agree(is_doubtful, f"{held} is locked away for nothing")
        if end.is_unproven and end.is_doubted:
            self._doubt(held)  # an earlier life may have sent what this one can plan no more

    def _doubt(self, *lines: Line | Held | None) -> None:
        """A person's word stands in the place of a command."""
        for line in lines:
            if line is not None:
                self.unsure_numbers.add(line.number)
                self.unsure_cards.add(line.imsi)

    # Which orders need not be carried out.

    def _is_needless(
        self, id: int, order: Document, course: Course, end: Ending, is_dated: bool
    ) -> bool:
        subject, key = _subject(order), _key(order)
        seq = None if is_dated else order.get("seq")
        version = order.get("state_version")
        first = course.done.get(key)
        is_repeat = key is not None and first is not None and "COALESCED" not in end.marks
        is_late = bool(subject) and seq is not None and course.applied.get(subject, -1) > seq
        if version is not None and course.applied.get(STATE, version) > version:
            is_late = True
        agree(is_repeat == ("DUPLICATE_OF" in end.marks), f"{id} of {first}: {set(end.marks)}")
        if is_repeat:
            agree(end.duplicate_of == first, f"{id} repeats {first}, and names another")
        else:
            said = "SUPERSEDED" in end.marks
            agree(is_late == said, f"{id} after {course.applied}: {set(end.marks)}")
        if seq is not None and subject:
            course.applied[subject] = max(seq, course.applied.get(subject, seq))
        if version is not None:
            course.applied[STATE] = max(version, course.applied.get(STATE, version))
        if key is not None:
            course.done.setdefault(key, str(id))
        if "COALESCED" in end.marks:
            self._take_back(id, order, course)
            return True
        if order["type"].endswith("_RESUME"):
            del course.taken_back[_reason(order)]  # a kill came between the stop's end and its own
        return is_repeat or is_late

    def _take_back(self, id: int, order: Document, course: Course) -> None:
        """Stops of one reason by the resume for that very reason, and no other."""
        reason = _reason(order)
        line = self.lines[order["user_id"]]
        agree(reason not in line.reasons, f"{id} takes back what stood before")
        if order["type"].endswith("SUSPEND"):
            course.taken_back[reason] += 1
            return
        agree(course.taken_back[reason] > 0, f"{id} takes back a stop for another reason")
        del course.taken_back[reason]

    # The rules, kind by kind.

    def _after(
        self, id: int, order: Document, line: Line | None, held: Held, end: Ending
    ) -> Possible:
        kind = order["type"]
        if kind in OPENINGS:
            return self._opened(id, order, held, end)
        if kind == "NE_REPAIR" and (line is None or not line.number):
            return line, False
        if line is None:
            return IMPOSSIBLE
        has_other_number = line.number and order["msisdn"] not in (
            {line.number} | line.numbers_before
        )
        if has_other_number and not (kind.startswith("MEMBER_") and order["msisdn"] is None):
            return IMPOSSIBLE
        if line.stage == PRE_TERMINATED and kind not in _OF_THE_CLOSING:
            return IMPOSSIBLE
        return USER_RULES[kind](self, id, order, deepcopy(line), held)

    def _opened(self, id: int, order: Document, held: Held, end: Ending) -> Possible:
        line = Line(held.number, held.card, held.imsi, held.hlr, tuple(sorted(order["services"])))
        line.reasons = {one["reason"]: one["level"] for one in order["reasons"]}
        if order["type"] == "USER_OPEN":
            return line, True
        line.ec = order["ec_code"]
        line.is_reported = order["type"] != "MEMBER_OPEN"
        ready = {
            any(
                (ec, one["product_class"]) == (line.ec, order["product_class"])
                for (ec, _), one in moment.items()
            )
            for moment in self._ec_moments[self._since[id][0] :]
        }
        born = [self._born(line, stops) for stops in self._stop_moments[self._since[id][1] :]]
        if end.result == "succeeded" and end.reasons is not None:
            agree(end.reasons in born, f"{id} is born with {end.reasons}, not {born}")
            line.reasons = dict(end.reasons)
        return (line, ready == {True}) if True in ready else IMPOSSIBLE

    def _born(self, line: Line, stops: Mapping[str, Mapping[str, int]]) -> dict[str, int]:
        shared = stops.get(line.ec, {})
        return {
            reason: max(line.reasons.get(reason, 0), shared.get(reason, 0))
            for reason in {*line.reasons, *shared}
        }

    def _stopped(self, id: int, order: Document, line: Line, held: Held) -> Possible:
        reason = _reason(order)
        if line.number:
            line.reasons[reason] = max(order["level"], line.reasons.get(reason, 0))
        return line, True

    def _resumed(self, id: int, order: Document, line: Line, held: Held) -> Possible:
        if not line.number:
            return IMPOSSIBLE
        line.reasons.pop(_reason(order), None)
        return line, True

    def _pre_terminated(self, id: int, order: Document, line: Line, held: Held) -> Possible:
        if line.stage == ACTIVE:
            line.stage = PRE_TERMINATED
        return line, True

    def _reinstated(self, id: int, order: Document, line: Line, held: Held) -> Possible:
        if not line.number:
            return IMPOSSIBLE
        line.stage = ACTIVE
        return line, True

    def _terminated(self, id: int, order: Document, line: Line, held: Held) -> Possible:
        if line.number:
            line.number = line.card = line.imsi = line.ec = ""
            line.stage = TERMINATED
            line.reasons.clear()
            line.products.clear()
        return line, True

    def _recarded(self, id: int, order: Document, line: Line, held: Held) -> Possible:
        """A stopped line stays stopped; what was lost is not lost any more."""
        if not line.number or held.hlr != line.hlr:
            return IMPOSSIBLE
        line.card, line.imsi = held.card, held.imsi
        line.is_reported = True
        line.reasons.pop("LOST", None)
        return line, True

    def _renumbered(self, id: int, order: Document, line: Line, held: Held) -> Possible:
        if not line.number or held.hlr != line.hlr:
            return IMPOSSIBLE
        line.numbers_before.add(line.number)
        line.number = held.number
        line.is_reported = True
        return line, True

    def _subscribed(self, id: int, order: Document, line: Line, held: Held) -> Possible:
        return self._taken_on(line, order["product"], order["product_version"], "")

    def _taken_on(self, line: Line, product: str, version: int, ec: str) -> Possible:
        if not line.number:
            return IMPOSSIBLE
        if product in line.products:
            return (line, True) if line.products[product] == (version, ec) else IMPOSSIBLE
        has_content = any(
            one["kind"] == "content" for one in self.versions[product, version]["services"]
        )
        if line.level and has_content:
            return IMPOSSIBLE
        line.products[product] = (version, ec)
        return line, True

    def _unsubscribed(self, id: int, order: Document, line: Line, held: Held) -> Possible:
        line.products.pop(order["product"], None)
        return line, True

    def _member_subscribed(self, id: int, order: Document, line: Line, held: Held) -> Possible:
        if line.ec != order["ec_code"]:
            return IMPOSSIBLE
        key = order["ec_code"], order["product"]
        offers = [moment.get(key) for moment in self._ec_moments[self._since[id][0] :]]
        standing = [one for one in offers if one is not None]
        if not standing:
            return IMPOSSIBLE
        after, is_certain = self._taken_on(line, key[1], standing[-1]["product_version"], key[0])
        return after, is_certain and len(standing) == len(offers)

    def _member_unsubscribed(self, id: int, order: Document, line: Line, held: Held) -> Possible:
        product = order["product"]
        if line.products.get(product, (0, ""))[1] == order["ec_code"]:
            del line.products[product]
        return line, True

    def _left(self, id: int, order: Document, line: Line, held: Held) -> Possible:
        if line.ec not in ("", order["ec_code"]):
            return IMPOSSIBLE
        if order["terminate"]:
            return self._terminated(id, order, line, held)
        if line.ec:
            line.products = {key: one for key, one in line.products.items() if one[1] != line.ec}
            line.ec = ""
        return line, True

    def _repaired(self, id: int, order: Document, line: Line, held: Held) -> Possible:
        """The network is brought to what is meant already."""
        return line, True

    # Orders of no user.

    def _other_closed(self, id: int, order: Document, end: Ending) -> None:
        possible = OTHER_RULES[order["type"]](self, id, order)
        is_done = end.result == "succeeded"
        may_fail = end.may_fail and order["type"] in GOES_BACK
        agree(possible or not is_done, f"{id}, {order['type']}, cannot be, and succeeded")
        agree(is_done or may_fail or not possible, f"{id}, {order['type']}, fails for nothing")
        if is_done:
            OTHER_EFFECTS[order["type"]](self, order)
            self._ec_moments.append(dict(self.ecs))
        if end.is_by_word and "product" in order and "ec_code" in order:
            self.unsure_ecs.add((order["ec_code"], order["product"]))

    def _may_publish(self, id: int, order: Document) -> bool:
        return order["product_version"] >= self.active.get(order["product"], 0)

    def _may_always(self, id: int, order: Document) -> bool:
        return True

    def _may_cancel(self, id: int, order: Document) -> bool:
        """Not what the enterprise has only since the order was taken."""
        key = order["ec_code"], order["product"]
        return key not in self.ecs or key in self._ec_moments[self._since[id][0]]

    def _knows_enterprise(self, id: int, order: Document) -> bool:
        return order["ec_code"] in self.known

    def _has_file(self, id: int, order: Document) -> bool:
        is_there = order["batch"] in self.files - self.began
        self.began.add(order["batch"])
        return is_there

    def _publish(self, order: Document) -> None:
        self.active[order["product"]] = order["product_version"]

    def _subscribe_ec(self, order: Document) -> None:
        key = order["ec_code"], order["product"]
        if key not in self.ecs:
            self.ecs[key] = order
            if order["type"] == "EC_PRODUCT_SUBSCRIBE":
                self.told_ecs.add(key)

    def _cancel_ec(self, order: Document) -> None:
        self.ecs.pop((order["ec_code"], order["product"]), None)
        self.told_ecs.discard((order["ec_code"], order["product"]))

    def _import(self, order: Document) -> None:
        self.partners[order["ec_code"], order["msisdn"]] = order["partner_province"]

    def _nothing(self, order: Document) -> None:
        """What others do is theirs."""

    # At rest.

    def check_taken_back(self) -> None:
        for user, course in self.courses.items():
            agree(not course.taken_back, f"of {user} stops vanished: {course.taken_back}")


USER_RULES: Final[Mapping[str, Callable[..., Possible]]] = {
    "MEMBER_ACTIVATE": Reference._opened,
    "MEMBER_OPEN": Reference._opened,
    "USER_OPEN": Reference._opened,
    "ARREARS_SUSPEND": Reference._stopped,
    "PAYMENT_RESUME": Reference._resumed,
    "VOLUNTARY_SUSPEND": Reference._stopped,
    "VOLUNTARY_RESUME": Reference._resumed,
    "OPERATOR_SUSPEND": Reference._stopped,
    "OPERATOR_RESUME": Reference._resumed,
    "PRE_TERMINATE": Reference._pre_terminated,
    "REINSTATE": Reference._reinstated,
    "USER_TERMINATE": Reference._terminated,
    "PRODUCT_SUBSCRIBE": Reference._subscribed,
    "PRODUCT_UNSUBSCRIBE": Reference._unsubscribed,
    "SIM_REPLACE": Reference._recarded,
    "NUMBER_CHANGE": Reference._renumbered,
    "MEMBER_PRODUCT_SUBSCRIBE": Reference._member_subscribed,
    "MEMBER_PRODUCT_UNSUBSCRIBE": Reference._member_unsubscribed,
    "MEMBER_REMOVE": Reference._left,
    "NE_REPAIR": Reference._repaired,
}
_OF_THE_CLOSING: Final = {
    "PRE_TERMINATE", "REINSTATE", "USER_TERMINATE", "MEMBER_REMOVE", "NE_REPAIR"
}  # fmt: skip
"""What is taken of a user who is pre-terminated."""

OTHER_RULES: Final[Mapping[str, Callable[[Reference, int, Document], bool]]] = {
    "PRODUCT_PUBLISH": Reference._may_publish,
    "EC_PRODUCT_SUBSCRIBE": Reference._may_always,
    "EC_PRODUCT_CANCEL": Reference._may_cancel,
    "PARTNER_PRODUCT_PUBLISH": Reference._may_always,
    "PARTNER_MEMBER_IMPORT": Reference._knows_enterprise,
    "EC_SUSPEND_ALL": Reference._knows_enterprise,
    "EC_RESUME_ALL": Reference._knows_enterprise,
    "BATCH": Reference._has_file,
}
OTHER_EFFECTS: Final[Mapping[str, Callable[[Reference, Document], None]]] = {
    "PRODUCT_PUBLISH": Reference._publish,
    "EC_PRODUCT_SUBSCRIBE": Reference._subscribe_ec,
    "EC_PRODUCT_CANCEL": Reference._cancel_ec,
    "PARTNER_PRODUCT_PUBLISH": Reference._subscribe_ec,
    "PARTNER_MEMBER_IMPORT": Reference._import,
    "EC_SUSPEND_ALL": Reference._nothing,
    "EC_RESUME_ALL": Reference._nothing,
    "BATCH": Reference._nothing,
}


def _reason(order: Document) -> str:
    return REASONS.get(order["type"]) or str(order["reason"])


def _subject(order: Document) -> str:
    """What of its user an order is about; of two about the same the later one holds."""
    kind: str = order["type"]
    if kind in REASONS or kind.startswith("OPERATOR_"):
        return _reason(order)
    return f"product {order['product']}" if kind.startswith("PRODUCT_") else ""


def _key(order: Document) -> object:
    """What the order does in upstream's business, whoever sent it."""
    version = order.get("state_version")
    named = order["root_order_id"] if version is None else version
    if named is None or not _subject(order):
        return None
    return order["type"], _subject(order), order.get("level"), version is None, named
