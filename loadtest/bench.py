"""`make bench`: activations from end to end, on this machine, everything on it at once.

Five measurements: orders a second at saturation; how long an order takes below it; how near HLRs
of 20 ms are driven to sessions / latency; what an outage of every HLR costs; what one element does
to the others (`loadtest.isolation`). Into
`docs/performance.md`, between its markers, and into `build/bench/end_to_end.json`.
"""

import argparse
import asyncio
import sys
import time
from dataclasses import dataclass
from typing import Any, Final

from hlrd.config import Database
from hlrd.domain.orders import Source
from hlrd.store import embedded
from hlrd.store.connection import connect
from loadtest import cpu, isolation, report
from loadtest.client import Upstream
from loadtest.faults import Latency, Profile
from loadtest.generate import batches, member_activations
from loadtest.owner import run_until_signal
from loadtest.process import until
from loadtest.settings import Shape
from loadtest.simlot import stock
from loadtest.stack import Stack, running
from loadtest.stocking import Staff
from loadtest.view import View
from loadtest.workload import Workload

BATCH_ORDERS: Final = 100
OPEN_MAX: Final = 500
"""Orders accepted and not closed at saturation: several for each session. More only lengthen the
queues and spill the caches: 4,000 cost the daemon a tenth more for each."""

HLR_LATENCY_S: Final = 0.020
BELOW_SATURATION: Final = 0.6
"""Share of the saturated rate at which the latency of an order is taken."""

POSTERS: Final = 16
WORK: Final = ("ADD KI", "ADD TPLSUB")
"""The HLR commands of an activation."""


@dataclass(frozen=True, slots=True)
class Plan:
    warm_up_s: float = 5.0
    saturated_s: float = 30.0
    below_s: float = 10.0
    slow_warm_up_s: float = 4.0
    slow_s: float = 15.0
    outage_orders: int = 300_000
    orders_per_s_max: int = 8_000  #: what the stock must last for

    @property
    def orders(self) -> int:
        """More than all measurements together can use up."""
        slow_s = self.slow_warm_up_s + self.slow_s
        seconds = self.warm_up_s + self.saturated_s + self.below_s + slow_s / 4
        return round(seconds * self.orders_per_s_max) + self.outage_orders


QUICK: Final = Plan(
    warm_up_s=2.0,
    saturated_s=4.0,
    below_s=3.0,
    slow_warm_up_s=2.0,
    slow_s=3.0,
    outage_orders=30_000,
)


class Bench:
    def __init__(self, stack: Stack, plan: Plan, view: View) -> None:
        self._stack = stack
        self._plan = plan
        self._view = view
        self._upstream = Upstream(stack.http, stack.url, stack.token(Source.ESOP))
        self._next_user = 1_000_000_000

    async def saturated(self) -> dict[str, Any]:
        """Orders a second over the measured time, and microseconds of processor each costs."""
        plan, stack = self._plan, self._stack
        seconds = plan.warm_up_s + plan.saturated_s
        workload = self._workload(round(seconds * plan.orders_per_s_max), open_max=OPEN_MAX)
        book = workload.book
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(workload.run(deadline_s=seconds * 2 + 60))
            await asyncio.sleep(plan.warm_up_s)
            spent, closed, started_s = cpu.seconds(stack), len(book.receipts), time.monotonic()
            await asyncio.sleep(plan.saturated_s)
            elapsed_s = time.monotonic() - started_s
            closed = len(book.receipts) - closed
            us = cpu.us_per_order(spent, cpu.seconds(stack), max(closed, 1))
            workload.halt()
        return {
            "orders_per_s": round(closed / elapsed_s),
            "seconds": round(elapsed_s, 1),
            "cpu_us_per_order": us,
            "daemon_rss_mib": round(cpu.rss_mib(stack.daemon.pid)),
            "orders_failed": len(book.trouble),
        }

    async def below_saturation(self, saturated: float) -> dict[str, Any]:
        """Latency from the intended post to the receipt in upstream's hands, in an open model."""
        rate = saturated * BELOW_SATURATION
        workload = self._workload(round(rate * self._plan.below_s), orders_per_s=rate)
        book = await workload.run(deadline_s=self._plan.below_s * 5 + 30)
        return {
            "orders_per_s_offered": round(rate),
            "orders_per_s": round(len(book.receipts) / book.elapsed_s),
            "latency_ms": {name: round(ms, 1) for name, ms in book.latency.summary_ms().items()},
        }

    async def slow_hlrs(self) -> dict[str, Any]:
        """How much of the time a session has a command in service."""
        plan, shape = self._plan, self._stack.shape
        await self._stack.put_faults(Profile(latency=Latency(p50_s=HLR_LATENCY_S)))
        sessions = shape.hlrs * shape.hlr_sessions
        possible = sessions / HLR_LATENCY_S
        seconds = plan.slow_warm_up_s + plan.slow_s
        workload = self._workload(round(possible * seconds), open_max=OPEN_MAX)
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(workload.run(deadline_s=seconds * 2 + 60))
            await asyncio.sleep(plan.slow_warm_up_s)
            (commands, held_s), started_s = await self._hlr_service(), time.monotonic()
            await asyncio.sleep(plan.slow_s)
            (later, held_later_s), ended_s = await self._hlr_service(), time.monotonic()
            workload.halt()
        took_s, served, served_s = ended_s - started_s, later - commands, held_later_s - held_s
        return {
            "hlr_latency_ms": HLR_LATENCY_S * 1e3,
            "sessions": sessions,
            "hlr_latency_ms_real": round(served_s / served * 1e3, 1),
            "commands_per_s": round(served / took_s),
            "share": round(served_s / took_s / sessions, 3),
        }

    async def outage(self) -> dict[str, Any]:
        """Every HLR is down while orders keep coming; then they come back, and all must finish."""
        stack, wanted = self._stack, self._plan.outage_orders
        workload = self._workload(wanted)
        book, rss_mib = workload.book, [0.0]
        for name in stack.shape.hlr_names:
            stack.elements[name].kill()
        started_s = time.monotonic()
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(
                workload.run(
                    deadline_s=600,
                    on_progress=lambda _: rss_mib.append(cpu.rss_mib(stack.daemon.pid)),
                )
            )
            await until(
                lambda: len(book.accepted) >= wanted, deadline_s=300, what="all orders accepted"
            )
            accepted_s = time.monotonic() - started_s
            for name in stack.shape.hlr_names:
                await stack.restart_element(name)
        return {
            "orders": wanted,
            "accepted_s": round(accepted_s, 1),
            "finished_after_s": round(time.monotonic() - started_s - accepted_s, 1),
            "daemon_rss_mib_max": round(max(rss_mib)),
            "orders_failed": len(book.trouble),
        }

    async def _hlr_service(self) -> tuple[int, float]:
        """Commands of all HLRs so far, logins and keep-alives not counted, and how long all were in
        service together."""
        stats = [
            await self._stack.control(name, "GET", "/stats") for name in self._stack.shape.hlr_names
        ]
        commands = sum(each["commands"].get(name, 0) for each in stats for name in WORK)
        return commands, sum(each["held_s"] for each in stats)

    def _workload(
        self, orders: int, *, orders_per_s: float | None = None, open_max: int | None = None
    ) -> Workload:
        first_user, self._next_user = self._next_user, self._next_user + orders
        posted = member_activations(orders, run=f"B{first_user}", first_user=first_user)
        cut = batches(posted, size=BATCH_ORDERS, orders_per_s=orders_per_s, seed=1)
        return Workload(self._upstream, cut, posters=POSTERS, open_max=open_max)


async def tidy(stack: Stack) -> None:
    """What autovacuum would do a minute after so large an import, in the middle of the figures."""
    server = await asyncio.to_thread(embedded.start, Database(data_dir=stack.data_dir))
    connection = await connect(server.dsn, "bench")
    try:
        await connection.execute("VACUUM (ANALYZE, FREEZE) sim_card", timeout=120)
        await connection.execute("CHECKPOINT", timeout=120)
    finally:
        await connection.close()


async def measure(plan: Plan, view: View, *, is_kept: bool) -> None:
    shape = Shape()
    view.say("starting the stack")
    async with running(shape) as stack:
        imported = stock(shape.hlr_names, orders=plan.orders, seed=shape.seed)
        await Staff(stack.http, stack.url, stack.token(Source.OPS)).import_stock(imported)
        await tidy(stack)
        view.say(f"imported {imported.cards:,} cards; saturating for {plan.saturated_s:.0f} s")
        bench = Bench(stack, plan, view)
        saturated = await bench.saturated()
        spent = ", ".join(f"{us} {part}" for part, us in saturated["cpu_us_per_order"].items())
        view.say(f"{saturated['orders_per_s']:,} orders/s; CPU us per order: {spent}")
        below = await bench.below_saturation(saturated["orders_per_s"])
        latency = ", ".join(f"{name} {ms}" for name, ms in below["latency_ms"].items())
        view.say(f"latency in ms below saturation: {latency}")
        slow = await bench.slow_hlrs()
        view.say(f"20 ms HLRs: {slow['commands_per_s']:,} commands/s, {slow['share']:.0%} of ideal")
        outage = await bench.outage()
        view.say(
            f"all {outage['orders']:,} orders done, {outage['daemon_rss_mib_max']} MiB at most"
        )
    isolated = await isolation.measure(isolation.Plan() if is_kept else isolation.QUICK, view)
    if is_kept:
        figures = {"saturated": saturated, "below_saturation": below, "slow_hlrs": slow}
        report.write({**figures, "outage": outage, "isolation": isolated}, shape)
        view.say(f"written: {report.PAGE} and {report.RECORD}")


def main() -> int:
    parser = argparse.ArgumentParser(prog="loadtest.bench", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a try-out that writes nothing down")
    options = parser.parse_args()
    view = View()
    return run_until_signal(
        measure(QUICK if options.quick else Plan(), view, is_kept=not options.quick),
        on_failure=view.fail,
    )


if __name__ == "__main__":
    sys.exit(main())
