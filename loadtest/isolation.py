"""What one network element does to the others, and whether each is used as far as it may be.

Part of `make bench`; by itself a try-out that writes nothing down. Every figure is a ratio within
one run, or a promise: sessions / latency, the p99 of orders elsewhere while one HLR is stalled or
slow, a contracted rate, the return of an element that was away.
"""

import argparse
import asyncio
import os
import signal
import sys
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from hlrd.domain.orders import Source
from loadtest import cpu
from loadtest.client import Upstream
from loadtest.faults import Latency, Profile
from loadtest.generate import batches, member_activations
from loadtest.owner import run_until_signal
from loadtest.process import StackError
from loadtest.proof import Bound
from loadtest.settings import Shape
from loadtest.simlot import Stock, stock
from loadtest.stack import Stack, running
from loadtest.stocking import Staff
from loadtest.view import View
from loadtest.workload import Book, Workload

LATENCY_S: Final = 0.020
SLOW_FACTOR: Final = 100
CONTRACT_PER_S: Final = 200.0
WORK: Final = ("ADD KI", "ADD TPLSUB")
BATCH_ORDERS: Final = 20
OPEN_MAX: Final = 500
RETURN_S_MAX: Final = 30.0
_ROOM: Final = 1.5
"""Stock per order that is meant to be posted."""


@dataclass(frozen=True, slots=True)
class Plan:
    sessions: Sequence[int] = (8, 16, 32, 64, 128)
    share_warm_up_s: float = 3.0
    share_s: float = 8.0
    orders_per_s: float = 1_200.0  #: offered to four HLRs, one of which is then disturbed
    calm_s: float = 30.0
    disturbed_s: float = 30.0
    rate_s: float = 15.0


QUICK: Final = Plan(
    sessions=(8, 128),
    share_warm_up_s=2.0,
    share_s=3.0,
    orders_per_s=400.0,
    calm_s=8.0,
    disturbed_s=10.0,
    rate_s=5.0,
)


@dataclass(slots=True)
class Watched(Book):
    """Keeps of each order when it was to be posted, how long it took, and its home."""

    stock: Stock | None = None
    closed: list[tuple[float, float, str | None]] = field(default_factory=list)

    def _close(self, order_id: str, bound: Bound | None) -> None:
        Book._close(self, order_id, bound)
        assert self.stock is not None
        home = None if bound is None else self.stock.home_of_number(bound.msisdn)
        intended_s = self.posted[order_id]
        self.closed.append((intended_s, self.finished_s - intended_s, home))

    def p99_ms(self, since_s: float, until_s: float, *, but: str) -> float:
        """Of orders to be posted in that time whose home is another."""
        found = sorted(
            latency_s
            for intended_s, latency_s, home in self.closed
            if since_s <= intended_s < until_s and home != but
        )
        return round(found[int(len(found) * 0.99)] * 1e3, 1)


async def measure(plan: Plan, view: View) -> dict[str, Any]:
    uses = {sessions: await sessions_used(plan, sessions) for sessions in plan.sessions}
    told = ", ".join(f"{sessions}: {use['share']:.0%}" for sessions, use in uses.items())
    view.say(f"of sessions / latency at {LATENCY_S * 1e3:.0f} ms: {told}")
    rate = await contracted_rate(plan)
    view.say(f"of {CONTRACT_PER_S:.0f}/s: {rate['per_s']}, at most {rate['in_a_second_max']}")
    stalled, slow = await disturbances(plan, view)
    return {"sessions": uses, "rate": rate, "stalled": stalled, "slow": slow}


async def sessions_used(plan: Plan, sessions: int) -> dict[str, Any]:
    """How much of the time the sessions of one HLR have a command in service. Its latency is what
    it really was, by its own clock: its timers and its processor make it more than was set.
    """
    shape = Shape(hlrs=1, hlr_sessions=sessions, hlr_faults=_latency(LATENCY_S))
    possible = sessions / LATENCY_S
    seconds = plan.share_warm_up_s + plan.share_s
    orders = round(possible * seconds / len(WORK) * _ROOM)
    async with running(shape) as stack:
        workload = await _prepared(stack, orders, open_max=max(OPEN_MAX, 4 * sessions))
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(workload.run(deadline_s=seconds * 3 + 60))
            await asyncio.sleep(plan.share_warm_up_s)
            before, started_s = await stack.control("hlr1", "GET", "/stats"), time.monotonic()
            await asyncio.sleep(plan.share_s)
            after, took_s = (
                await stack.control("hlr1", "GET", "/stats"),
                time.monotonic() - started_s,
            )
            workload.halt()
    commands, held_s = _served(after) - _served(before), after["held_s"] - before["held_s"]
    return {
        "commands_per_s": round(commands / took_s),
        "latency_ms": round(held_s / commands * 1e3, 1),
        "share": round(held_s / took_s / sessions, 3),
    }


async def contracted_rate(plan: Plan) -> dict[str, Any]:
    """By the log of the HLR: commands a second, and the most that any second had."""
    shape = Shape(hlrs=1, hlr_commands_per_s=CONTRACT_PER_S)
    async with running(shape) as stack:
        workload = await _prepared(stack, round(CONTRACT_PER_S * plan.rate_s), open_max=OPEN_MAX)
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(workload.run(deadline_s=plan.rate_s * 3 + 60))
            await asyncio.sleep(plan.rate_s)
            at = [line["at"] for line in await stack.control("hlr1", "GET", "/log")]
            workload.halt()
    steady = [moment for moment in at if at[-1] - plan.rate_s / 2 <= moment]
    return {
        "contract_per_s": CONTRACT_PER_S,
        "per_s": round((len(steady) - 1) / (steady[-1] - steady[0]), 1),
        "in_a_second_max": most_in_a_second(at),
    }


def most_in_a_second(at: Sequence[float]) -> int:
    """Of the moments `at`, in order: the most that any second has, wherever it begins."""
    most = first = 0
    for last, moment in enumerate(at):
        while moment - at[first] >= 1.0:
            first += 1
        most = max(most, last - first + 1)
    return most


async def disturbances(plan: Plan, view: View) -> tuple[dict[str, Any], dict[str, Any]]:
    """Of four HLRs the last is stopped for a while, then slow for a while."""
    shape = Shape(hlr_faults=_latency(LATENCY_S / 4), reply_timeout_s=5.0)
    async with running(shape) as stack:
        orders = round(2 * plan.orders_per_s * (plan.calm_s + plan.disturbed_s) * _ROOM)
        imported = await _stocked(stack, orders)
        sick = shape.hlr_names[-1]

        async def stop() -> None:
            os.kill(stack.elements[sick].pid, signal.SIGSTOP)

        async def go_on() -> dict[str, Any]:
            os.kill(stack.elements[sick].pid, signal.SIGCONT)
            return {"first_success_after_s": await _first_success_s(stack, sick)}

        async def slow_down() -> None:
            await stack.put_faults(_latency(LATENCY_S / 4 * SLOW_FACTOR), elements=[sick])

        async def speed_up() -> dict[str, Any]:
            await stack.put_faults(_latency(LATENCY_S / 4), elements=[sick])
            return {}

        stalled = await _disturbed(stack, plan, imported, Disturbance("S", stop, go_on))
        view.say(f"one HLR stalled: {_told(stalled)}")
        view.say(f"first success {stalled['first_success_after_s']} s after its return")
        slow = await _disturbed(stack, plan, imported, Disturbance("L", slow_down, speed_up))
        view.say(f"one HLR {SLOW_FACTOR} times slower: {_told(slow)}")
    return stalled, slow


@dataclass(frozen=True, slots=True)
class Disturbance:
    run: str  #: keeps the order ids of two runs apart
    begin: Callable[[], Awaitable[None]]
    end: Callable[[], Awaitable[dict[str, Any]]]


async def _disturbed(
    stack: Stack,
    plan: Plan,
    imported: Stock,
    disturbance: "Disturbance",
) -> dict[str, Any]:
    seconds = plan.calm_s + plan.disturbed_s
    book = Watched(stock=imported)
    orders = round(plan.orders_per_s * seconds)
    workload = _workload(stack, orders, disturbance.run, orders_per_s=plan.orders_per_s, book=book)
    sick, rss_mib = stack.shape.hlr_names[-1], []
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(workload.run(deadline_s=seconds * 4 + 120))
        await asyncio.sleep(plan.calm_s / 4)  # sessions open, caches fill
        calm_s = time.monotonic()
        await asyncio.sleep(plan.calm_s * 3 / 4)
        rss_mib.append(cpu.rss_mib(stack.daemon.pid))
        disturbed_s = time.monotonic()
        await disturbance.begin()
        await asyncio.sleep(plan.disturbed_s - 2.0)
        over_s = time.monotonic()
        rss_mib.append(cpu.rss_mib(stack.daemon.pid))
        found = await disturbance.end()
    before, meanwhile = (
        book.p99_ms(calm_s, disturbed_s, but=sick),
        book.p99_ms(disturbed_s, over_s, but=sick),
    )
    return {
        **found,
        "orders_per_s": plan.orders_per_s,
        "seconds": round(over_s - disturbed_s),
        "p99_ms_before": before,
        "p99_ms_meanwhile": meanwhile,
        "p99_change": round(meanwhile / before - 1.0, 3),
        "daemon_rss_mib_before": round(rss_mib[0]),
        "daemon_rss_mib_meanwhile": round(rss_mib[1]),
        "orders_failed": len(book.trouble),
    }


async def _first_success_s(stack: Stack, name: str) -> float:
    """Since now, as the daemon counts what was done."""
    started_s, staff = time.monotonic(), _staff(stack)
    path = f"/v1/network-elements/{name}"
    before = (await staff.get(path))["outcomes"].get("done", 0)
    while (await staff.get(path))["outcomes"].get("done", 0) == before:
        if time.monotonic() - started_s > RETURN_S_MAX:
            raise StackError(f"{name} did nothing within {RETURN_S_MAX:.0f} s of its return")
        await asyncio.sleep(0.02)
    return round(time.monotonic() - started_s, 3)


async def _prepared(stack: Stack, orders: int, *, open_max: int) -> Workload:
    await _stocked(stack, orders)
    return _workload(stack, orders, "I", open_max=open_max)


async def _stocked(stack: Stack, orders: int) -> Stock:
    imported = stock(stack.shape.hlr_names, orders=orders, seed=stack.shape.seed)
    await _staff(stack).import_stock(imported)
    return imported


def _workload(
    stack: Stack,
    orders: int,
    run: str,
    *,
    orders_per_s: float | None = None,
    open_max: int | None = None,
    book: Book | None = None,
) -> Workload:
    upstream = Upstream(stack.http, stack.url, stack.token(Source.ESOP))
    first_user = 1_000_000_000 + ord(run) * 10_000_000
    posted = member_activations(orders, run=run, first_user=first_user)
    cut = batches(posted, size=BATCH_ORDERS, orders_per_s=orders_per_s, seed=1)
    return Workload(upstream, cut, posters=16, open_max=open_max, book=book)


def _staff(stack: Stack) -> Staff:
    return Staff(stack.http, stack.url, stack.token(Source.OPS))


def _served(stats: Mapping[str, Any]) -> int:
    return sum(stats["commands"].get(command, 0) for command in WORK)


def _latency(seconds: float) -> Profile:
    return Profile(latency=Latency(p50_s=seconds))


def _told(found: dict[str, Any]) -> str:
    return (
        f"p99 elsewhere {found['p99_ms_before']} -> {found['p99_ms_meanwhile']} ms"
        f" ({found['p99_change']:+.1%}), memory {found['daemon_rss_mib_before']} ->"
        f" {found['daemon_rss_mib_meanwhile']} MiB"
    )


async def _try_out(plan: Plan, view: View) -> None:
    await measure(plan, view)


def main() -> int:
    parser = argparse.ArgumentParser(prog="loadtest.isolation", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="short and rough")
    options = parser.parse_args()
    view = View()
    return run_until_signal(
        _try_out(QUICK if options.quick else Plan(), view), on_failure=view.fail
    )


if __name__ == "__main__":
    sys.exit(main())
