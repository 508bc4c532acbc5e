"""What is lived through at the emulators of one dialect, and how both sides stand at its end.

A story without faults is the measure for the same story with them.
"""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple

import msgspec
from msgspec.structs import replace

from adapters import DIALECTS
from hlrd.domain.lifecycle import OrderState
from hlrd.domain.operation import Task
from hlrd.domain.plans.plan import undo
from hlrd.ne.adapter import Account, Adapter
from loadtest.emulator import Emulator
from loadtest.faults import Chance, Fault, Once, Profile
from tests.adapters.conformance import EMULATED, KEY, PASSWORD, the_replies
from tests.loadtest.relay.rig import CardVault
from tests.matrix.floor import DELAY_S, LATER, OPENING, Floor, a_floor
from tests.matrix.lives import life
from tests.matrix.peers import playing

USERS: Final = (1, 2)
SESSIONS_MAX: Final = 3
PIPELINED: Final = {"sessions_max": 1, "settle_s": 1.0}
"""The delays of commands that are under way together add up."""

CHANCE: Final = 0.12
"""Of the fault, for each command, beside the one time that it surely comes."""

_CALM: Final = Profile()

REFUSALS: Final = 100
"""More than are asked for: whoever lost a refusal on its way is refused again."""

LOGINS: Final = ("LGI", "LOGIN", "PING")

TOLD_ONCE_MORE: Final = "SND CANCELC"
"""It changes no record, and is owed whenever a lost answer may have asked for it."""

FOLLOW_UPS: Final = {("eoms", "CLOSE")}
"""Owed after a task that stands; when it is refused nothing is undone."""

Effects = Mapping[tuple[str, str, str], int]
"""How often: by emulator, command, subject."""


class Name(NamedTuple):
    """A command that has an effect, as its emulator calls it."""

    server: int  #: 0 is driven, the others are behind it
    command: str
    done_before: int  #: tasks of the opening


@dataclass(frozen=True, slots=True)
class Ending:
    """Both sides, when all is over."""

    states: list[OrderState]
    held: Mapping[str, Any]  #: what each emulator has
    effects: Effects
    befell: Counter[str]  #: faults
    once_left: list[Once]
    unknown_codes: int


@dataclass(slots=True)
class Stage:
    servers: list[Emulator]
    floor: Floor
    states: list[OrderState] = field(default_factory=list)

    async def open(self, tasks: Sequence[Task]) -> OrderState:
        state = await self.floor.carry_out(tasks, OPENING)
        self.states.append(state)
        return state

    async def go_on(self, tasks: Iterable[Task]) -> None:
        """Each an order, which people resend when it fell out and its cause is mended."""
        for task in tasks:
            state = await self.floor.carry_out([task], LATER)
            self.states.append(state)
            if state is OrderState.FALLOUT:
                self._mend()
                self.states.append(await self.floor.carry_out([task], LATER, is_resent=True))

    def _mend(self) -> None:
        for server in self.servers:
            server.faults.put(Profile())

    def put(self, profile: Profile, *, at: int) -> None:
        self.servers[at].faults.put(profile)

    def effects(self) -> dict[tuple[str, str, str], int]:
        return {
            (server.name, each.command, each.subject): each.count
            for server in self.servers
            for each in server.record.effects()
            if each.command != TOLD_ONCE_MORE
        }

    def ending(self) -> Ending:
        return Ending(
            states=list(self.states),
            held={server.name: _sorted(server.dump()) for server in self.servers},
            effects=self.effects(),
            befell=sum((server.record.faults for server in self.servers), Counter[str]()),
            once_left=[once for server in self.servers for once in server.faults.once_left],
            unknown_codes=self.floor.driver.show()["unknown_codes"],
        )


@asynccontextmanager
async def a_stage(dialect: str, seed: int, *profiles: Profile) -> AsyncIterator[Stage]:
    """`profiles` are those of its emulators, in their order; one alone is that of all."""
    async with playing(dialect, seed) as servers:
        each = profiles * len(servers) if len(profiles) == 1 else profiles
        for server, profile in zip(servers, each, strict=False):
            server.faults.put(profile)
        adapter = an_adapter(dialect, servers[0].port)
        settings = PIPELINED if adapter.depth > 1 else {"sessions_max": SESSIONS_MAX}
        async with a_floor(adapter, CardVault(KEY), seed=seed, **settings) as floor:
            yield Stage(servers, floor)


def an_adapter(dialect: str, port: int) -> Adapter[Any]:
    ne = EMULATED[dialect]
    account = Account("127.0.0.1", port, "hlrd", PASSWORD, ne.options, ne.secrets)
    return DIALECTS[dialect](account, the_replies(dialect))


async def lived(dialect: str, seed: int, profiles: Sequence[Profile] = ()) -> Ending:
    """Every user is opened, and has everything done to him."""
    async with a_stage(dialect, seed, *profiles) as stage:
        lives = [life(dialect, user) for user in USERS]
        await asyncio.gather(*(stage.open(each.opening) for each in lives))
        await asyncio.gather(*(stage.go_on(each.later) for each in lives))
        return stage.ending()


async def refused(dialect: str, seed: int, name: Name, profile: Profile) -> Ending:
    """Nobody is opened: each meets a refusal at `name`, and `profile` everywhere besides."""
    async with a_stage(dialect, seed, profile) as stage:
        stage.put(_refusing(name, profile), at=name.server)
        await asyncio.gather(*(stage.open(life(dialect, user).opening) for user in USERS))
        return stage.ending()


def _refusing(name: Name, profile: Profile = _CALM) -> Profile:
    return replace(profile, once=[Once(Fault.REFUSE, name.command)] * REFUSALS)


async def refused_later(dialect: str, seed: int, name: Name) -> Ending:
    """Of what is done to opened users, `name` is refused until somebody is called."""
    async with a_stage(dialect, seed) as stage:
        lives = [life(dialect, user) for user in USERS]
        for each in lives:
            await stage.open(each.opening)
        stage.put(_refusing(name), at=name.server)
        await asyncio.gather(*(stage.go_on(each.later) for each in lives))
        return stage.ending()


async def undone_calmly(dialect: str, seed: int, done: int) -> Ending:
    """The first `done` tasks of the opening, and what takes them back."""
    async with a_stage(dialect, seed) as stage:
        for user in USERS:
            tasks = life(dialect, user).opening[:done]
            if tasks:
                await stage.open(tasks)
                await stage.go_on(task for (task,) in undo(list(tasks)))
        return stage.ending()


async def named(dialect: str, seed: int) -> tuple[list[Name], list[Name]]:
    """The commands that have an effect: in an opening, and later."""
    async with a_stage(dialect, seed) as stage:
        first = life(dialect, USERS[0])
        opening: list[Name] = []
        later: list[Name] = []
        for done, task in enumerate(first.opening):
            before = stage.effects()
            await stage.open([task])
            opening += _changed(stage, before, done)
        for task in first.later:
            before = stage.effects()
            await stage.go_on([task])
            later += _changed(stage, before)
        fails = [name for name in opening if (dialect, name.command) not in FOLLOW_UPS]
        return fails, list(dict.fromkeys(later))


def _changed(stage: Stage, before: Effects, done: int = 0) -> list[Name]:
    at = {server.name: number for number, server in enumerate(stage.servers)}
    after = stage.effects()
    return [Name(at[key[0]], key[1], done) for key in after if after[key] != before.get(key)]


def profile_of(fault: Fault | None, commands: Iterable[str] = ()) -> Profile:
    """`fault` comes once to each of `commands` and to a login, and by chance to any command."""
    if fault is None or fault is Fault.REFUSE:
        return Profile()
    field_name = "".join(f"_{letter.lower()}" if letter.isupper() else letter for letter in fault)
    return Profile(
        once=[Once(fault, command) for command in (*LOGINS, *commands)],
        chance=Chance(**{field_name: CHANCE}),
        delay_s=DELAY_S,
        restart_s=0.03,
        drip_interval_s=0.02,
    )


def _sorted(rows: Iterable[Any]) -> list[Any]:
    """As JSON, without what only tells in which order users came, and without publications that
    failed: a product that a target refused stays staged, and is not taken back.
    """
    plain = [msgspec.to_builtins(row) for row in rows]
    plain = [row for row in plain if not _is_failed_product(row)]
    for row in plain:
        row.pop("id", None)
    return sorted(plain, key=str)


def _is_failed_product(row: Mapping[str, Any]) -> bool:
    return row.get("state") == "failed" and row["resource"].startswith("/products/")
