"""One emulated HLR behind CAI as a process: prints `ready NAME port=… control=…` at its start."""

from pathlib import Path
from typing import Annotated

import typer

from hlrd.codec import cai
from loadtest.cai.server import Server, Settings
from loadtest.emulator import password_of, profile_of, run


def main(
    *,
    name: str = "hlr1",
    host: str = "127.0.0.1",
    port: Annotated[int, typer.Option(help="0 takes a free one.")] = cai.PORT,
    control_port: Annotated[int, typer.Option(help="0 takes a free one.")] = 7876,
    user: str = "hlrd",
    password: str = "hlrd",
    password_env: Annotated[str, typer.Option(help="Variable that holds the password.")] = "",
    sessions_max: Annotated[int, typer.Option(min=1)] = 32,
    idle_close_s: Annotated[float, typer.Option(min=0.1)] = 300.0,
    state_file: Annotated[Path | None, typer.Option(help="Keeps the state over restarts.")] = None,
    faults_json: Annotated[str, typer.Option("--faults", help="loadtest/faults.py")] = "{}",
    seed: int = 0,
) -> None:
    """Emulate one HLR behind a gateway that speaks CAI over TCP, with a control port beside it."""
    settings = Settings(
        name=name,
        user=user,
        password=password_of(password, password_env),
        sessions_max=sessions_max,
        idle_close_s=idle_close_s,
        state_file=state_file,
        seed=seed,
    )
    profile = profile_of(faults_json)
    run(
        lambda: Server(settings, profile),
        name=name,
        host=host,
        port=port,
        control_port=control_port,
    )


if __name__ == "__main__":
    typer.run(main)
