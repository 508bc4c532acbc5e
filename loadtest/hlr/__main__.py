"""One emulated M-HLR as a process. Prints `ready NAME port=… control=…` when it listens."""

import re
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from loadtest.emulator import password_of, profile_of, run
from loadtest.hlr.presets import PRESETS, laid_under
from loadtest.hlr.server import Server, Settings


class Layout(StrEnum):
    OLD = "old"  #: SMU, result line without RETCODE
    NEW = "new"


Preset = StrEnum("Preset", [(name.upper(), name) for name in PRESETS])  # type: ignore[misc]


def main(
    *,
    name: str = "hlr1",
    hlrsn: Annotated[
        list[str] | None, typer.Option(help="Serial number of a logical HLR; may be repeated.")
    ] = None,
    host: str = "127.0.0.1",
    port: Annotated[int, typer.Option(help="0 takes a free one.")] = 7776,
    control_port: Annotated[int, typer.Option(help="0 takes a free one.")] = 7876,
    user: str = "hlrd",
    password: str = "hlrd",
    password_env: Annotated[str, typer.Option(help="Variable that holds the password.")] = "",
    sessions_max: Annotated[int, typer.Option(min=1)] = 32,
    idle_close_s: Annotated[float, typer.Option(min=0.1)] = 300.0,
    state_file: Annotated[Path | None, typer.Option(help="Keeps the state over restarts.")] = None,
    faults_json: Annotated[str, typer.Option("--faults", help="loadtest/faults.py")] = "{}",
    preset: Annotated[
        Preset | None, typer.Option(help="Measured latencies, in place of those of --faults.")
    ] = None,
    seed: int = 0,
    layout: Layout = Layout.NEW,
    tables: Annotated[bool, typer.Option(help="Answer queries by column tables.")] = False,
    packet_lines: Annotated[int, typer.Option(min=0, help="0 for whole replies.")] = 0,
) -> None:
    """Emulate one M-HLR that speaks Huawei MML over TCP, with a control port beside it."""
    settings = Settings(
        name=name,
        hlrsns=_hlrsns(hlrsn or ["1"]),
        user=user,
        password=password_of(password, password_env),
        sessions_max=sessions_max,
        idle_close_s=idle_close_s,
        state_file=state_file,
        is_old_layout=layout is Layout.OLD,
        has_tables=tables,
        packet_lines=packet_lines,
        seed=seed,
    )
    profile = profile_of(faults_json)
    if preset is not None:
        profile = laid_under(preset, profile)
    run(
        lambda: Server(settings, profile),
        name=name,
        host=host,
        port=port,
        control_port=control_port,
    )


def _hlrsns(numbers: list[str]) -> tuple[str, ...]:
    if not all(re.fullmatch(r"[0-9]{1,5}", number) for number in numbers):
        raise typer.BadParameter("a serial number is 1 to 5 digits", param_hint="--hlrsn")
    return tuple(dict.fromkeys(numbers))


if __name__ == "__main__":
    typer.run(main)
