"""One emulated DSMP as a process. Prints `ready NAME port=… control=…` when it listens."""

import asyncio
import signal
import sys
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import msgspec
import typer
import uvloop

from hlrd.domain.errors import HlrdError
from loadtest import faults
from loadtest.control import ControlPort
from loadtest.dsmp.server import Server, Settings
from loadtest.faults import Profile


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
    profile = _profile(faults_json)
    try:
        uvloop.run(_run(settings, profile, host, port, control_port))
    except (HlrdError, OSError) as error:
        sys.exit(f"{name}: {error}")


def _profile(document: str) -> Profile:
    try:
        return faults.decode(document)
    except msgspec.MsgspecError as error:
        raise typer.BadParameter(str(error), param_hint="--faults") from error


async def _run(
    settings: Settings, profile: Profile, host: str, port: int, control_port: int
) -> None:
    server = Server(settings, profile)
    control = ControlPort(server)
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, server.stop)
    try:
        await server.open(host, port)
        await control.open(host, control_port)
        print(f"ready {server.name} port={server.port} control={control.port}", flush=True)
        await server.stopping.wait()
    finally:
        await control.close()
        await server.close()


if __name__ == "__main__":
    typer.run(main)
