"""What an emulator does wrong, how slow it is, and how much it takes: seeded, and settable while it
runs.

    {"latency": {"p50_s": 0.018, "p99_s": 0.12},
     "latency_by_command": {"ADD TPLSUB": {"p50_s": 0.154}},
     "commands_per_s": 500,
     "chance": {"withhold": 0.05, "busy": 0.02, "refuse_login": 0.1},
     "once": [{"fault": "cutAfter", "command": "RMV SUB"}]}

All chance comes from one generator, so a seed and an order of commands give one run.
"""

import math
from collections.abc import Callable
from enum import StrEnum
from random import Random
from typing import Annotated, Final

import msgspec
from msgspec import Meta, Struct

Probability = Annotated[float, Meta(ge=0.0, le=1.0)]
Seconds = Annotated[float, Meta(ge=0.0, le=600.0)]

_Z_P99: Final = 2.3263478740408408
"""The 99th percentile of the standard normal distribution."""


class Fault(StrEnum):
    """What befalls one command."""

    DELAY = "delay"  #: executed and answered late, by `Profile.delay_s`
    WITHHOLD = "withhold"  #: executed, never answered; the session stays open
    CUT_BEFORE = "cutBefore"  #: not executed, session reset
    CUT_AFTER = "cutAfter"  #: executed, session reset instead of the answer
    HANG = "hang"  #: not executed; the session reads and answers no more
    DRIP = "drip"  #: executed, the answer comes a few bytes at a time
    BUSY = "busy"  #: not executed, answered by "busy"
    WRONG_ECHO = "wrongEcho"  #: executed, answered as if to another command
    REFUSE = "refuse"  #: not executed, answered by a refusal for good
    GARBAGE = "garbage"  #: executed, answered by bytes of no protocol
    RESTART = "restart"  #: executed, not answered; every session reset, and back after a while
    UNPUSHED = "unpushed"  #: stored, not told to the serving node: an M-HLR answers 3037


_AT_ONCE: Final = frozenset({Fault.BUSY, Fault.REFUSE})


class Latency(Struct, frozen=True, forbid_unknown_fields=True):
    """Log-normal when `p99_s` is given, else `p50_s` exactly."""

    p50_s: Seconds = 0.0
    p99_s: Seconds | None = None

    def __post_init__(self) -> None:
        if self.p99_s is not None and not 0.0 < self.p50_s <= self.p99_s:
            raise ValueError("p99_s needs 0 < p50_s <= p99_s")


class Chance(Struct, frozen=True, forbid_unknown_fields=True):
    """Probability per command; `refuse_login` per login. At most one befalls a command."""

    delay: Probability = 0.0
    withhold: Probability = 0.0
    cut_before: Probability = 0.0
    cut_after: Probability = 0.0
    hang: Probability = 0.0
    drip: Probability = 0.0
    busy: Probability = 0.0
    wrong_echo: Probability = 0.0
    refuse: Probability = 0.0
    garbage: Probability = 0.0
    restart: Probability = 0.0
    unpushed: Probability = 0.0
    refuse_login: Probability = 0.0

    def __post_init__(self) -> None:
        if sum(probability for probability, _ in self.by_fault()) > 1.0:
            raise ValueError("the chances of all faults of a command add up to more than 1")

    def by_fault(self) -> tuple[tuple[float, Fault], ...]:
        return (
            (self.delay, Fault.DELAY),
            (self.withhold, Fault.WITHHOLD),
            (self.cut_before, Fault.CUT_BEFORE),
            (self.cut_after, Fault.CUT_AFTER),
            (self.hang, Fault.HANG),
            (self.drip, Fault.DRIP),
            (self.busy, Fault.BUSY),
            (self.wrong_echo, Fault.WRONG_ECHO),
            (self.refuse, Fault.REFUSE),
            (self.garbage, Fault.GARBAGE),
            (self.restart, Fault.RESTART),
            (self.unpushed, Fault.UNPUSHED),
        )


class Once(Struct, frozen=True, forbid_unknown_fields=True):
    """A fault for the next command, or for the next one of that name."""

    fault: Fault
    command: str = ""


class Profile(Struct, frozen=True, forbid_unknown_fields=True):
    """The whole of it, as the control port takes and shows it."""

    latency: Latency = Latency()
    latency_by_command: dict[str, Latency] = {}
    commands_per_s: Annotated[float, Meta(gt=0.0)] | None = None  #: above it: busy
    chance: Chance = Chance()
    once: Annotated[list[Once], Meta(max_length=10_000)] = []
    refuse_logins: bool = False  #: maintenance: no login succeeds
    delay_s: Seconds = 0.1  #: beyond the client's time-out, it finds the command done all the same
    restart_s: Seconds = 0.2  #: how long a restart takes
    drip_interval_s: Seconds = 0.01  #: between two pieces of a dripped answer
    drip_bytes: Annotated[int, Meta(ge=1)] = 3


def decode(document: bytes | str) -> Profile:
    """Raise msgspec.ValidationError or msgspec.DecodeError that names the field."""
    return msgspec.json.decode(document, type=Profile)


class Faults:
    """A profile in force: its dice, its rate and what is left of its one-shots.

    While `is_calm`, nothing befalls a command and none takes time.
    """

    def __init__(self, profile: Profile, *, seed: int = 0) -> None:
        self._random = Random(seed)
        self.put(profile)

    def put(self, profile: Profile) -> None:
        """Replace the profile. The generator goes on where it is."""
        self.profile = profile
        self._once = list(profile.once)
        self._thresholds = _thresholds(profile.chance)
        self._samplers = {
            name: self._sampler(latency) for name, latency in profile.latency_by_command.items()
        }
        self._sampler_default = self._sampler(profile.latency)
        self._tokens = profile.commands_per_s or 0.0
        self._refilled_at_s: float | None = None
        self._has_latency = profile.latency.p50_s > 0.0 or bool(profile.latency_by_command)
        self._settle()

    @property
    def once_left(self) -> list[Once]:
        return list(self._once)

    def latency_s(self, command: str, fault: Fault | None = None) -> float:
        """How long it stands in the queue before it is carried out."""
        if fault in _AT_ONCE:
            return 0.0
        latency_s = self._samplers.get(command, self._sampler_default)()
        return latency_s + self.profile.delay_s if fault is Fault.DELAY else latency_s

    def befalls(self, command: str, now_s: float) -> Fault | None:
        """What happens to this command; `now_s` is monotonic and drives the rate."""
        if not self._takes_one(now_s):
            return Fault.BUSY
        return self._shot(command) or self._draw()

    def befalls_login(self, command: str) -> Fault | None:
        """Only a one-shot that names the login; neither dice nor rate count logins."""
        return self._shot(command, is_named=True) if self._once else None

    def befalls_sent(self, command: str) -> Fault | None:
        """What happens to a command that this system itself sends: the rate does not count those,
        nor does a one-shot that names none."""
        return self._shot(command, is_named=True) or self._draw()

    def refuses_login(self) -> bool:
        chance = self.profile.chance.refuse_login
        return self.profile.refuse_logins or (chance > 0.0 and self._random.random() < chance)

    def _settle(self) -> None:
        has_faults = self._once or self._thresholds or self.profile.commands_per_s is not None
        self.is_calm = not (has_faults or self._has_latency)

    def _takes_one(self, now_s: float) -> bool:
        """A token bucket of one second's worth at most, full at first."""
        rate = self.profile.commands_per_s
        if rate is None:
            return True
        elapsed_s = 0.0 if self._refilled_at_s is None else now_s - self._refilled_at_s
        self._refilled_at_s = now_s
        self._tokens = min(max(rate, 1.0), self._tokens + elapsed_s * rate)
        if self._tokens < 1.0:
            return False
        self._tokens -= 1.0
        return True

    def _shot(self, command: str, *, is_named: bool = False) -> Fault | None:
        for position, once in enumerate(self._once):
            if once.command == command or not (is_named or once.command):
                del self._once[position]
                self._settle()
                return once.fault
        return None

    def _draw(self) -> Fault | None:
        if not self._thresholds:
            return None
        dice = self._random.random()
        for threshold, fault in self._thresholds:
            if dice < threshold:
                return fault
        return None

    def _sampler(self, latency: Latency) -> Callable[[], float]:
        if latency.p99_s is None:
            return lambda: latency.p50_s
        mu = math.log(latency.p50_s)
        sigma = math.log(latency.p99_s / latency.p50_s) / _Z_P99
        return lambda: self._random.lognormvariate(mu, sigma)


def _thresholds(chance: Chance) -> tuple[tuple[float, Fault], ...]:
    """Cumulative, so that one roll of the dice tells all."""
    total = 0.0
    thresholds = []
    for probability, fault in chance.by_fault():
        if probability > 0.0:
            total += probability
            thresholds.append((total, fault))
    return tuple(thresholds)
