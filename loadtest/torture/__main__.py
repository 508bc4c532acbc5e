"""`make torture-pool`: clients reserve, open and let go while the daemon is killed and PostgreSQL
restarted; then an independent checker looks for a number given twice, leaked or lost.

Ends by itself. Exit code 1: something was found, or the campaign could not be carried through.
"""

import argparse
import sys
from dataclasses import fields
from statistics import median

from rich.table import Table

from loadtest.owner import run_until_signal
from loadtest.process import StackError
from loadtest.torture import campaign
from loadtest.torture.campaign import Outcome, Plan
from loadtest.view import View

_MEANS = {
    "allocations": "numbers to allocate durably, and to release, at least",
    "clients": "concurrent clients",
    "kills": "kill -9 of the daemon",
    "pg_restarts": "stops of PostgreSQL; the first one immediate, as if it crashed",
    "numbers": "size of the pool; the smaller, the sooner a number comes again",
    "seed": "of all chance: acts of the clients, moments of the outages",
    "minutes_max": "give up after this long",
}


class Unsound(StackError):
    """The campaign was carried through, and the checker found something."""


async def torture(plan: Plan, view: View) -> None:
    outcome = await campaign.run(plan, view)
    view.proof(outcome.checks)
    view.console.print(figures(outcome, plan))
    if not outcome.is_sound:
        raise Unsound(f"the table above says what is wrong; --seed {plan.seed} draws it again")
    view.proven("no number or card was given twice, leaked or lost")


def figures(outcome: Outcome, plan: Plan) -> Table:
    seconds = outcome.suffered.seconds
    table = Table(box=None, show_header=False)
    table.add_column()
    table.add_column(justify="right")
    for what, value in {
        "allocations": f"{outcome.allocations:,}",
        "releases": f"{outcome.releases:,}",
        "kills of the daemon": f"{outcome.suffered.kills}",
        "restarts of PostgreSQL": f"{outcome.suffered.restarts}",
        "without service after each, median": f"{median(seconds or [0]):.2f} s",
        "without service after each, longest": f"{max(seconds, default=0):.2f} s",
        "requests without an answer that tells": f"{outcome.tally.lost:,}",
        "the clients took": f"{outcome.seconds:,.0f} s",
        "doubles": f"{outcome.found('doubles')}",
        "leaks": f"{outcome.found('leaks')}",
        "lost": f"{outcome.found('lost')}",
        "seed": f"{plan.seed}",
    }.items():
        table.add_row(what, value)
    return table


def main() -> int:
    parser = argparse.ArgumentParser(prog="loadtest.torture", description=__doc__)
    for each in fields(Plan):
        option = "--" + each.name.replace("_", "-")
        kind = type(each.default)
        parser.add_argument(option, type=kind, default=each.default, help=_MEANS[each.name])
    view = View()
    plan = Plan(**vars(parser.parse_args()))
    return run_until_signal(torture(plan, view), on_failure=view.fail)


if __name__ == "__main__":
    sys.exit(main())
