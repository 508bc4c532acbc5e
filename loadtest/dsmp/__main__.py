"""One emulated DSMP as a process. Prints `ready NAME port=… control=…` when it listens."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from loadtest.dsmp.server import Server, Settings
from loadtest.emulator import profile_of, run


class Peer(StrEnum):
    """adapters.dsmp.PEERS"""

    MISC = "misc"
    MARKET = "market"
    CRM = "crm"


def main(
    *,
    name: str = "dsmp1",
    host: str = "127.0.0.1",
    port: Annotated[int, typer.Option(help="0 takes a free one.")] = 7080,
    control_port: Annotated[int, typer.Option(help="0 takes a free one.")] = 7180,
    peer: Annotated[Peer, typer.Option(help="Whose ActionIDs it speaks.")] = Peer.MISC,
    path: str = "/dsmp",
    idle_close_s: Annotated[float, typer.Option(min=0.1)] = 300.0,
    state_file: Annotated[Path | None, typer.Option(help="Keeps the state over restarts.")] = None,
    faults_json: Annotated[str, typer.Option("--faults", help="loadtest/faults.py")] = "{}",
    seed: int = 0,
) -> None:
    """Emulate one DSMP that takes SyncOrderRelationReq over HTTP, with a control port beside it."""
    settings = Settings(
        name=name,
        peer=peer,
        path=path,
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
