"""`make demo`: activations from end to end, and the proof that all parts agree about them.

Ends by itself. Exit code 1: the proof fails, or the run did not finish in time.
"""

import argparse
import sys
from collections.abc import Coroutine
from random import Random
from typing import Any

from adapters.osmo_hlr import OsmoHLR
from hlrd.domain.orders import Source
from loadtest import chaos, evidence, proof
from loadtest.client import Upstream
from loadtest.generate import batches, member_activations
from loadtest.owner import run_until_signal
from loadtest.process import StackError, beside
from loadtest.settings import Shape
from loadtest.simlot import stock
from loadtest.stack import Stack, running
from loadtest.stocking import Staff
from loadtest.view import View
from loadtest.workload import Book, Workload

BATCH_ORDERS = 100
FIRST_USER = 9_000_000_000


class NotProven(StackError):
    """The run finished and its proof does not hold."""


async def demo(*, orders: int, is_chaotic: bool, is_real: bool, seed: int, view: View) -> None:
    """Raises StackError, with the reason for a person, unless the proof holds."""
    shape = _real_shape(seed) if is_real else _shape(is_chaotic, seed)
    kind = "real osmo-hlr" if is_real else "HLRs"
    view.say(f"starting {shape.hlrs} {kind}, a DSMP, PostgreSQL and the daemon on loopback")
    async with running(shape) as stack:
        view.say(f"daemon ready at {stack.url}")
        imported = stock(shape.hlr_names, orders=orders, seed=seed)
        await Staff(stack.http, stack.url, stack.token(Source.OPS)).import_stock(imported)
        view.say(f"imported {imported.numbers:,} numbers and {imported.cards:,} SIM cards")
        await stack.count_effects()
        workload = _workload(stack, orders, is_chaotic, seed)
        book = await _run(
            stack, workload, orders=orders, is_chaotic=is_chaotic, seed=seed, view=view
        )
        view.say("every order has its receipt; asking every part what it knows")
        checks = proof.prove(await evidence.gather(stack, imported, book))
        view.proof(checks)
        view.figures(book, workload.upstream.counters)
        if is_chaotic:
            view.console.print(f"the HLRs' own faults: {await chaos.inflicted(stack)}")
        if not all(check.holds for check in checks):
            raise NotProven("the proof does not hold; the table above says where")
    view.proven(f"all {orders:,} orders took effect once, and nothing was lost or given twice")


def _shape(is_chaotic: bool, seed: int) -> Shape:
    if not is_chaotic:
        return Shape(seed=seed)
    return Shape(
        seed=seed,
        hlr_sessions=chaos.HLR_SESSIONS,
        hlr_faults=chaos.HLR_FAULTS,
        reply_timeout_s=chaos.REPLY_TIMEOUT_S,
        settle_s=chaos.SETTLE_S,
    )


def _real_shape(seed: int) -> Shape:
    """One connection to each: commands are then carried out in the order that they were sent."""
    return Shape(seed=seed, hlr_dialect=OsmoHLR.dialect, hlr_sessions=1)


def _workload(stack: Stack, orders: int, is_chaotic: bool, seed: int) -> Workload:
    upstream = Upstream(stack.http, stack.url, stack.token(Source.ESOP), random=Random(seed))
    posted = member_activations(orders, run=f"D{seed}", first_user=FIRST_USER)
    rate = chaos.ORDERS_PER_S if is_chaotic else None
    cut = batches(posted, size=BATCH_ORDERS, orders_per_s=rate, seed=seed)
    return Workload(upstream, cut)


async def _run(
    stack: Stack, workload: Workload, *, orders: int, is_chaotic: bool, seed: int, view: View
) -> Book:
    """Every receipt, in spite of what befalls meanwhile."""
    deadline_s = _deadline_s(orders, is_chaotic)
    view.say(f"posting {orders:,} activations, {BATCH_ORDERS} in a batch")
    with view.progress(orders) as on_progress:
        befalling = _chaos(stack, workload, orders, seed, view) if is_chaotic else []
        async with beside(*befalling):
            return await workload.run(deadline_s=deadline_s, on_progress=on_progress)


def _chaos(
    stack: Stack, workload: Workload, orders: int, seed: int, view: View
) -> list[Coroutine[Any, Any, None]]:
    return [
        chaos.cut_sessions(stack, Random(seed)),
        chaos.kill_daemon(stack, workload.book, orders=orders, view=view),
    ]


def _deadline_s(orders: int, is_chaotic: bool) -> float:
    """Far above what it takes: 500 orders/s, 100 in chaos, and a minute."""
    return 60 + orders / (100 if is_chaotic else 500)


def main() -> int:
    parser = argparse.ArgumentParser(prog="loadtest.demo", description=__doc__)
    parser.add_argument("--orders", type=int, default=10_000)
    parser.add_argument("--chaos", action="store_true")
    parser.add_argument("--hlr", choices=["emulated", "osmo"], default="emulated")
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    if options.orders < 1:
        parser.error("--orders: at least 1, as there is nothing to prove about none")
    is_real = options.hlr == "osmo"
    if is_real and options.chaos:
        parser.error("--chaos: its faults are the emulators'; tests/e2e/test_osmo.py has others")
    view = View()
    return run_until_signal(
        demo(
            orders=options.orders,
            is_chaotic=options.chaos,
            is_real=is_real,
            seed=options.seed,
            view=view,
        ),
        on_failure=view.fail,
    )


if __name__ == "__main__":
    sys.exit(main())
