"""One emulated HSS as a process. Prints `ready NAME port=… control=…` when it listens."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from adapters.hss_soap import BY_HEADER, BY_TOKEN
from loadtest.emulator import password_of, profile_of, run
from loadtest.hlr.presets import PRESETS, laid_under
from loadtest.hss.server import Server, Settings


class Login(StrEnum):
    """adapters.hss_soap"""

    TOKEN = BY_TOKEN
    HEADER = BY_HEADER


Preset = StrEnum("Preset", [(name.upper(), name) for name in PRESETS])  # type: ignore[misc]


def main(
    *,
    name: str = "hlr1",
    hlrsn: Annotated[
        list[str] | None, typer.Option(help="Serial number of a logical HLR; may be repeated.")
    ] = None,
    host: str = "127.0.0.1",
    port: Annotated[int, typer.Option(help="0 takes a free one.")] = 8002,
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
    login: Annotated[Login, typer.Option(help="For a path, or none and in each header.")] = (
        Login.TOKEN
    ),
    path: Annotated[str, typer.Option(help="Of the commands, without a login.")] = "/",
) -> None:
    """Emulate one HSS that speaks SOAP over HTTP, with a control port beside it."""
    settings = Settings(
        name=name,
        hlrsns=tuple(dict.fromkeys(hlrsn or ["1"])),
        user=user,
        password=password_of(password, password_env),
        sessions_max=sessions_max,
        idle_close_s=idle_close_s,
        state_file=state_file,
        login=login.value,
        path=path,
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


if __name__ == "__main__":
    typer.run(main)
