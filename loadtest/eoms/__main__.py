"""One emulated EOMS as a process. Prints `ready NAME port=… control=…` when it listens."""

from pathlib import Path
from typing import Annotated

import typer

from adapters.eoms import EOMS
from loadtest.emulator import profile_of, run
from loadtest.eoms.server import Server, Settings


def main(
    *,
    name: str = "eoms1",
    host: str = "127.0.0.1",
    port: Annotated[int, typer.Option(help="0 takes a free one.")] = 7081,
    control_port: Annotated[int, typer.Option(help="0 takes a free one.")] = 7181,
    path: Annotated[str, typer.Option(help="Of the service.")] = EOMS.path,
    token: Annotated[str, typer.Option(help="The bearer to ask for.", envvar="OWN_TOKEN")] = "",
    day_s: Annotated[
        float, typer.Option(min=0.0, help="A day of its people; 0: they answer when told to.")
    ] = 0.0,
    done: Annotated[
        float, typer.Option(min=0.0, max=1.0, help="Share of sheets that can be done.")
    ] = 0.95,
    idle_close_s: Annotated[float, typer.Option(min=0.1)] = 300.0,
    state_file: Annotated[Path | None, typer.Option(help="Keeps the state over restarts.")] = None,
    faults_json: Annotated[str, typer.Option("--faults", help="loadtest/faults.py")] = "{}",
    seed: int = 0,
) -> None:
    """Emulate one EOMS whose people answer by its control port, or by themselves."""
    settings = Settings(
        name=name,
        path=path,
        token=token,
        idle_close_s=idle_close_s,
        state_file=state_file,
        day_s=day_s,
        done=done,
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
