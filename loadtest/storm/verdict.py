"""How a storm is judged: everybody is asked, everything compared, and urgent orders timed."""

import math
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

from hlrd import limits
from loadtest.proof import Check
from loadtest.storm import checker, fleet, promptness, timing, witness
from loadtest.storm.book import Kind
from loadtest.storm.promptness import Row, Urgent
from loadtest.storm.storm import Options, Storm

_ORDER_IN_MEMORY_BYTES: Final = 5_000
_ORDER_PARKED_BYTES: Final = 300
"""As hlrd/limits.py has them."""

_UNDER_WAY_MIB: Final = 64
"""What arrives and is not yet durable, rows of the journal on their way, pages of receipts."""


@dataclass(frozen=True, slots=True)
class Memory:
    """Of the daemon, MiB."""

    calm: float
    peak: float
    bound: float

    @property
    def holds(self) -> bool:
        return self.peak <= self.bound


@dataclass(frozen=True, slots=True)
class Outcome:
    name: str
    options: Options
    checks: Sequence[Check]
    rows: Sequence[Row]
    memory: Memory
    figures: dict[str, Any]

    @property
    def holds(self) -> bool:
        return (
            all(check.holds for check in self.checks)
            and all(row.holds for row in self.rows)
            and self.memory.holds
        )


async def outcome(storm: Storm, name: str) -> Outcome:
    """hlrd is ended and started before: what counts is what outlives it."""
    storm.view.say("reading every receipt again")
    repeated = storm.book.repeated
    await storm.upstreams.read_again()
    over_at = datetime.now(UTC)
    code = await storm.ward.restart_daemon()
    storm.view.say("asking everybody what he holds")
    tables = await witness.tables(
        storm.stack, storm.imported, setup=list(storm.book.of_no_user), since=over_at
    )
    network = await witness.network(storm.stack)
    storm.view.say("comparing")
    checks = checker.check(storm.book, tables, network, storm.fan_outs)
    checks.append(Check("exit code of hlrd when it was ended", code, 0))
    figures = {**await _figures(storm), "receipts_repeated": repeated}
    return Outcome(name, storm.options, checks, _rows(storm), _memory(storm), figures)


def _memory(storm: Storm) -> Memory:
    """Bounded by what hlrd/limits.py lets it keep, above what it had in the calm."""
    window = limits.ORDERS_IN_MEMORY_MAX * _ORDER_IN_MEMORY_BYTES
    parked = len(storm.book.accepted_s) * _ORDER_PARKED_BYTES
    more_mib = (window + parked) / 2**20 + _UNDER_WAY_MIB
    peak = max(storm.watch.rss_mib, default=0.0)
    return Memory(round(storm.calm_mib), round(peak), round(storm.calm_mib + more_mib))


def _rows(storm: Storm) -> list[Row]:
    urgent = list(_urgent(storm))
    return timing.rows(
        [each for each in urgent if each.posted_s < storm.began_s],
        [each for each in urgent if each.posted_s >= storm.began_s],
        storm.ward.absences,
        unanswered_s=fleet.unanswered_s(storm.stack.shape),
        slow_factor=storm.options.sickness.slow_factor if storm.ward.has_befallen else 1.0,
    )


def _urgent(storm: Storm) -> Iterator[Urgent]:
    """Single orders, and payments of the storm; not those before the calm."""
    book = storm.book
    ahead = {(order.user, order.place): order_id for order_id, order in book.orders.items()}
    for order_id, order in book.orders.items():
        if not order.is_urgent or order_id not in book.told:
            continue
        predecessor = ahead.get((order.user, order.place - 1), "")
        posted_s = promptness.began_s(book.posted_s[order_id], book.accepted_s.get(predecessor))
        told = book.told[order_id]
        home = storm.imported.home_of_number(told.msisdn) or ""
        done_s = storm.watch.done_s(order.kind, told, book.posted_s[order_id])
        closed_s = book.closed_s[order_id]
        yield Urgent(order_id, order.kind, home, posted_s, min(done_s, closed_s))


def _taken(storm: Storm) -> Iterator[Urgent]:
    """Until an urgent order of the storm was answered; nobody waits for the end of these."""
    book = storm.book
    for order_id, order in book.orders.items():
        posted_s = book.posted_s[order_id]
        if order.is_urgent and order.kind is not Kind.OPEN and posted_s >= storm.began_s:
            yield Urgent(order_id, order.kind, "", posted_s, book.accepted_s[order_id])


async def _figures(storm: Storm) -> dict[str, Any]:
    book = storm.book
    taken = promptness.row("", _taken(storm), (), bound_s=math.inf)
    marks = Counter(mark for told in book.told.values() for mark in told.marks)
    return {
        "orders": len(book.accepted_s),
        "children": sum(map(len, book.children.values())),
        "phases_s": storm.phases,
        "marks": dict(sorted(marks.items())),
        "urgent_taken_s": {"p50": round(taken.p50_s, 3), "p99": round(taken.p99_s, 3)},
        "elements_did": await witness.hlr_faults(storm.stack),
        "log_lines_missed": storm.watch.missed,
        "absences_s": {
            each.hlr or "hlrd": round(each.end_s - each.start_s, 1) for each in storm.ward.absences
        },
    }
