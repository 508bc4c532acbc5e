"""One emulated osmo-hlr as a process. Prints `ready NAME port=… control=…` when it listens."""

from pathlib import Path
from typing import Annotated

import typer

from hlrd.codec import ipa
from loadtest.emulator import profile_of, run
from loadtest.osmo.server import Server, Settings


def main(
    *,
    name: str = "hlr1",
    host: str = "127.0.0.1",
    port: Annotated[int, typer.Option(help="0 takes a free one.")] = ipa.PORT,
    control_port: Annotated[int, typer.Option(help="0 takes a free one.")] = 7876,
    idle_close_s: Annotated[float, typer.Option(min=0.1)] = 3_600.0,
    state_file: Annotated[Path | None, typer.Option(help="Keeps the state over restarts.")] = None,
    faults_json: Annotated[str, typer.Option("--faults", help="loadtest/faults.py")] = "{}",
    seed: int = 0,
) -> None:
    """Emulate one osmo-hlr that speaks CTRL in IPA frames, with a control port beside it."""
    settings = Settings(name=name, idle_close_s=idle_close_s, state_file=state_file, seed=seed)
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
