"""One emulated M-HLR as a process. Prints `ready NAME port=… control=…` when it listens."""

import os
import sys
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer
import uvloop

from hlrd.domain.errors import HlrdError
from loadtest.emulator import profile_of, run
from loadtest.hlr.server import Server, Settings


class Layout(StrEnum):
    OLD = "old"  #: SMU, result line without RETCODE
    NEW = "new"


def main(
    *,
    name: str = "hlr1",
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
    seed: int = 0,
    layout: Layout = Layout.NEW,
    packet_lines: Annotated[int, typer.Option(min=0, help="0 for whole replies.")] = 0,
) -> None:
    """Emulate one M-HLR that speaks Huawei MML over TCP, with a control port beside it."""
    settings = Settings(
        name=name,
        user=user,
        password=_password(password, password_env),
        sessions_max=sessions_max,
        idle_close_s=idle_close_s,
        state_file=state_file,
        is_old_layout=layout is Layout.OLD,
        packet_lines=packet_lines,
        seed=seed,
    )
    profile = profile_of(faults_json)
    try:
        uvloop.run(
            run(lambda: Server(settings, profile), host=host, port=port, control_port=control_port)
        )
    except (HlrdError, OSError) as error:
        sys.exit(f"{name}: {error}")


def _password(password: str, variable: str) -> str:
    if not variable:
        return password
    try:
        return os.environ[variable]
    except KeyError:
        raise typer.BadParameter(f"no variable {variable}", param_hint="--password-env") from None


if __name__ == "__main__":
    typer.run(main)
