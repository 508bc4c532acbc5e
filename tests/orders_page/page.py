"""docs/orders.md: one section a kind, from the catalogue and from what the examples really did."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Final

from hlrd.domain.catalogue import BY_NAME, Direction, OrderKind
from hlrd.domain.conflict import RULINGS, Nature, Ruling
from hlrd.domain.imports import IMPORTS, NUMBER_SEGMENT, SIM_LOT, ImportKind
from hlrd.domain.orders.batch import FanOut
from tests.orders_page import stocking
from tests.orders_page.bench import Ended
from tests.orders_page.examples import FAMILIES
from tests.orders_page.fields import fields_of
from tests.orders_page.peers import Logged
from tests.orders_page.runs import Run, runs
from tests.orders_page.words import code, filled, flow

_URGENCY: Final = ("emergency", "paid or waiting", "single", "arrears stop", "batch", "repair")
_ENDS: Final[Mapping[Direction, str]] = {
    Direction.BACKWARD: "what was done is undone in reverse order, and the order fails",
    Direction.FORWARD: "nothing is undone; the order goes to the fallout desk",
}
_EARLIER: Final[Mapping[Nature, str]] = {
    Nature.OPEN: "an opening",
    Nature.SUSPEND: "a stop",
    Nature.RESUME: "a resume",
    Nature.CHANGE: "a change",
    Nature.TERMINATE: "a termination",
    Nature.PRODUCT: "an order about a product",
    Nature.MEMBER: "one about the user as a member",
    Nature.REPAIR: "a repair",
}
_RULED: Final[Mapping[Ruling, str]] = {
    Ruling.WAIT: "waits",
    Ruling.COALESCE: "takes that back if it is of the same reason and was not sent, and else waits",
    Ruling.NO_OP: "waits and then changes nothing",
    Ruling.REFUSE: "is refused (`CONFLICT_IN_FLIGHT`)",
}
_INTRODUCTION: Final = """\
# Orders, kind by kind

Every kind of work order: what it is for, its fields, what is sent for it, what becomes of it. What
all have in common (header, posting, repeats, problems) is in [api.md](api.md), which order goes
before which in [turns.md](turns.md).

Each example was carried out by the engine, in the dialects of the network elements, against the
cores of the emulators, and this page was drawn from what happened; `make test` does it again and
compares. `hlr1` is an M-HLR that speaks [huawei_hlr](ne/huawei_hlr.md), `dsmp` a
[DSMP](ne/dsmp.md), `boss1` and `bboss` are the [relays](ne/relays.md) to headquarters, `eoms` an
[EOMS](ne/eoms.md); `nation`, `class1`, `gateway`, `platform` and `management` are
[platforms](ne/platforms.md).

- **if refused** says what becomes of the order when a network element refuses a task for good.
  Faults that pass are retried, and a command without an answer is read back, whatever the kind.
- **plan** names the tasks in their order; those joined by ∥ run side by side.
- Commands stand as the log of the emulator shows them, secrets masked, with the code of the answer.
  The number behind a resource or relation is the transaction, by which a peer tells a repeat; at
  its end a `u` takes the change back that has it, and a `p` closes a sheet that was answered. `GET`
  and `LST` are queries.
- The table at the end of a section tells how the example ends if one thing is otherwise. A code
  alone is a refusal of the POST; else it is the result of the receipt, with its marks or its code,
  and how many commands were sent. [api.md](api.md#problems) explains the codes.
- Every kind is taken `async`, and `sync` from an upstream that waits
  ([api.md](api.md#waiting-for-the-end)).
"""


def draw() -> str:
    parts = [_INTRODUCTION, *_index()]
    for family, examples in FAMILIES.items():
        parts.append(f"## {family}\n")
        for example in examples:
            parts += _section(BY_NAME[example.kind], runs()[example.kind])
    parts += _section_of_imports()
    return "\n".join(parts).rstrip("\n") + "\n"


def _index() -> Iterator[str]:
    yield "| kind | | from | priority | if refused |"
    yield "| --- | --- | --- | --- | --- |"
    for run in runs().values():
        kind = BY_NAME[run.example.kind]
        yield _row(kind, _in_short(kind, run))
    for one in IMPORTS:
        yield _row(one, "whole or not at all")
    yield ""


def _in_short(kind: OrderKind, run: Run) -> str:
    if kind.nature is Nature.CHANGE:
        return "undone up to the switch"
    if run.refused is None:
        return ""
    return "undone" if run.is_undone else "forward only"


def _row(kind: OrderKind | ImportKind, ending: str) -> str:
    link = f"[`{kind.name}`](#{kind.name.lower()})"
    return f"| {link} | {kind.chinese} | {_sources(kind)} | {kind.priority} | {ending} |"


def _section(kind: OrderKind, run: Run) -> Iterator[str]:
    example = run.example
    yield f"### {kind.name}\n"
    yield filled(f"{kind.chinese}. {example.about}")
    yield from _facts(kind, run)
    yield "| field | form | if absent | |"
    yield "| --- | --- | --- | --- |"
    for one in fields_of(kind):
        yield f"| `{one.name}` | {one.form} | {one.default} | {one.meaning} |"
    yield ""
    if example.said_before:
        yield f"{example.said_before}\n"
    yield from code("json", flow(example.order))
    yield from _commands(run.ended.commands)
    yield from _children(run.ended)
    yield from code("json", flow(run.ended.receipt))
    if run.refused is not None:
        yield from _refused(run.ended, run.refused)
    for case, ended in run.cases:
        if case.is_shown:
            yield f"When {case.when}:\n"
            yield from _commands(ended.commands)
    yield "| when | then |"
    yield "| --- | --- |"
    for case, ended in run.cases:
        yield f"| {case.when} | {_told(ended)} |"
    yield ""


def _facts(kind: OrderKind, run: Run) -> Iterator[str]:
    yield "| | |"
    yield "| --- | --- |"
    yield f"| from | {_sources(kind)}{_master(kind)} |"
    yield f"| priority | {kind.priority}: {_URGENCY[kind.priority]} |"
    is_fan_out = issubclass(kind.shape, FanOut)
    plan = "an order for each, with its own" if is_fan_out else _plan(run.ended.commands)
    yield f"| plan | {plan} |"
    if kind.is_of_user:
        yield f"| behind an open order of the user | {_behind(kind.nature)} |"
    yield f"| if refused | {run.example.if_refused or _ending(kind)} |"
    yield f"| afterwards | {run.example.ends} |"
    yield ""


def _behind(nature: Nature) -> str:
    """By the matrix of conflicts: what becomes of it mostly, and behind what it is otherwise."""
    found: dict[Ruling, list[str]] = {}
    for earlier, name in _EARLIER.items():
        found.setdefault(RULINGS[earlier][nature], []).append(name)
    mostly = max(found, key=lambda ruling: len(found[ruling]))
    others = [
        f"behind {_either(found[one])} it {_RULED[one]}" for one in found if one is not mostly
    ]
    return "; ".join([_RULED[mostly], *others])


def _either(names: Sequence[str]) -> str:
    *others, last = names
    return f"{', '.join(others)} or {last}" if others else last


def _ending(kind: OrderKind) -> str:
    words = [_ENDS[kind.direction]]
    if kind.nature is Nature.CHANGE:
        words.append("; behind the switch at the HLR it only goes forward")
    if kind.is_patient:
        words.append("; a fault that passes is retried without end")
    return "".join(words)


def _master(kind: OrderKind) -> str:
    text = "; of BOSS and CRM the [state master](state-master.md) alone"
    return text if kind.is_state_change else ""


def _sources(kind: OrderKind | ImportKind) -> str:
    return ", ".join(sorted(kind.sources))


def _plan(commands: Iterable[Logged]) -> str:
    words: list[str] = []
    for one in commands:
        if one.operation:
            joint = " ∥ " if one.is_beside else ", "
            words += [joint if words else "", f"{one.operation} at `{one.ne}`"]
    return "".join(words) or "no command: a record"


def _commands(commands: Sequence[Logged]) -> Iterator[str]:
    if not commands:
        return
    width = max(len(one.ne) for one in commands)
    lines = (f"{one.ne:{width}}  {one.command}  -> {one.code}" for one in commands)
    yield from code("text", lines)


def _refused(ended: Ended, refused: Ended) -> Iterator[str]:
    """What was done before the refusal stands above."""
    same = len(
        [one for one, other in zip(ended.commands, refused.commands, strict=False) if one == other]
    )
    yield f"Refused at its last change, it ends as {_told(refused)}:\n"
    yield from _commands(refused.commands[same:])


def _children(ended: Ended) -> Iterator[str]:
    if not ended.children:
        return
    yield "| child | kind | user | then |"
    yield "| --- | --- | --- | --- |"
    for order, receipt in ended.children:
        told = Ended(None, receipt, ())
        kind = type(order).__struct_config__.tag
        yield f"| `{order.order_id}` | `{kind}` | {getattr(order, 'user_id', '')} | `{told.said}` |"
    yield ""


def _told(ended: Ended) -> str:
    if ended.refusal is not None:
        return f"`{ended.said}`"
    count = len(ended.commands)
    commands = {0: "no command", 1: "1 command"}.get(count, f"{count} commands")
    return f"`{ended.said}`, {commands}"


def _section_of_imports() -> Iterator[str]:
    yield "## Imports\n"
    yield "Work of staff that is no order: it asks nothing of a network element, and a file of a"
    yield "million cards is no JSON document.\n"
    for one in IMPORTS:
        yield f"### {one.name}\n"
        yield f"{one.chinese}.\n"
        yield "| | |"
        yield "| --- | --- |"
        yield f"| from | {_sources(one)} |"
        told = "[api.md](api.md#pools-numbers-and-sim-lots)"
        yield f"| route | `{one.route}`, `{one.command}` ({told}) |"
        yield f"| priority | {one.priority}: {_URGENCY[one.priority]} |"
        yield f"| a repeat | {one.is_repeated_by}: changes nothing |"
        yield "| if refused | whole or not at all |"
        yield f"| afterwards | {one.leads_to} ([states.md](states.md)) |"
        yield ""
        yield from _IMPORTED[one.name]()
        yield "| when | then |"
        yield "| --- | --- |"
        for tried in stocking.TRIED[one.name]():
            yield f"| {tried.when} | `{tried.said}` |"
        yield ""


def _range() -> Iterator[str]:
    yield from code("json", flow(stocking.RANGE))


def _lot() -> Iterator[str]:
    yield "The card vendor's own file: [pool.md](pool.md#the-file-of-a-card-vendor) shows one.\n"


_IMPORTED: Final[Mapping[str, Callable[[], Iterator[str]]]] = {
    NUMBER_SEGMENT.name: _range,
    SIM_LOT.name: _lot,
}
