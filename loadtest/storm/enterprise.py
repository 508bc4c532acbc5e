"""An enterprise owes: all its members are stopped by one order and go on by another, while single
orders of others go on. The members come by a file.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from hlrd.domain.orders import Source
from loadtest.settings import POOL
from loadtest.storm import verdict
from loadtest.storm.book import Kind
from loadtest.storm.checker import FanOut
from loadtest.storm.month import report
from loadtest.storm.orders import PRODUCT, User
from loadtest.storm.storm import Options, Storm, brewing
from loadtest.storm.verdict import Outcome
from loadtest.view import View

EC: Final = "ECOWES"
GATEWAY: Final = "iot_gateway"
PLATFORMS: Final = ("class1_platform", "nationwide_management")
"""That know products; the gateway behind them knows members alone."""
_TWO_WAY: Final = 2
_OPENED, _STOPPED, _RESUMED = 0, 10, 20
"""Where the orders of the enterprise stand among a member's own, of which there is one at most."""


async def run(options: Options, view: View) -> Outcome:
    async with brewing(
        options, view, drawn=options.users, platforms=(*PLATFORMS, GATEWAY)
    ) as storm:
        await storm.publish(*PLATFORMS)
        await storm.about_many(
            Source.ESOP,
            "EC_PRODUCT_SUBSCRIBE",
            ec_code=EC,
            ec_name="示例集团",
            product=PRODUCT,
            product_class=1,
        )
        members = await _open_members(storm)
        await report(storm, members)
        singles = await storm.customers()
        await storm.calm(singles)
        count = f"{len(members):,} members"
        await storm.rage("stop", f"{count} are stopped", singles, _stop(storm, members))
        await storm.rage("resume", f"{count} go on", singles, _go_on(storm, members))
        return await verdict.outcome(storm, "enterprise")


async def _open_members(storm: Storm) -> list[User]:
    members = storm.new_users(storm.options.users)
    async with storm.phase("open", f"a file with {len(members):,} members"):
        receipt = await storm.post_file(
            Kind.ACTIVATE, members, common={"ec_code": EC, "pool": POOL}
        )
    _fan_out(storm, receipt, Kind.ACTIVATE, members, place=_OPENED)
    return members


async def _stop(storm: Storm, members: list[User]) -> None:
    receipt = await storm.about_many(Source.BOSS, "EC_SUSPEND_ALL", ec_code=EC, level=_TWO_WAY)
    _fan_out(storm, receipt, Kind.STOP, members, place=_STOPPED, level=_TWO_WAY)


async def _go_on(storm: Storm, members: list[User]) -> None:
    receipt = await storm.about_many(Source.BOSS, "EC_RESUME_ALL", ec_code=EC)
    _fan_out(storm, receipt, Kind.PAY, members, place=_RESUMED)


def _fan_out(
    storm: Storm,
    receipt: Mapping[str, Any],
    kind: Kind,
    members: Sequence[User],
    *,
    place: int,
    level: int = 0,
) -> None:
    users = [member.id for member in members]
    storm.fan_outs.append(
        FanOut(receipt["order_id"], kind, users, place, level, receipt.get("rows_ok", 0))
    )
